"""Random programs: compiled, interpreted, lazy and NumPy agree, and so do gradients and batches."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import numr as nr
from tests.programs import generate
from tests.programs.modules import NUMPY, NUMR
from tests.programs.values import Program, Value, arguments

# More, and other ones each time: NUMR_FUZZ=2000 pytest tests/programs
MANY = int(os.environ.get("NUMR_FUZZ", "0"))
SETTINGS = settings(
    deadline=None,
    derandomize=not MANY,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
DTYPES = ("float64", "float64", "float64", "float32", "int64", "int32", "uint8", "bool")
SMOOTH = ("float64", "float64", "float64", "float64", "int64", "bool")


def examples(count: int) -> Any:
    return settings(SETTINGS, max_examples=MANY or count)


@st.composite
def programs(draw: Any, smooth: bool = False, most: int = 12) -> Program:
    def choose(options: Any) -> Any:
        return options[draw(st.integers(0, len(options) - 1))]

    steps = draw(st.integers(1, most))
    return generate.program(choose, steps, smooth, SMOOTH if smooth else DTYPES)


@st.composite
def sizes(draw: Any, least: int = 0) -> dict[str, int]:
    large = st.sampled_from((*range(1, 10), 31, 33))
    small = st.integers(1, 5)
    return {
        "n": draw(large),
        "m": draw(small),
        "k": draw(small),
        "z": draw(st.integers(least, 3)),
    }


def reach(program: Program, arrays: list[Any]) -> tuple[float, bool]:
    """The largest magnitude on the way, and whether float32 is involved."""
    names = {v.name: a for v, a in zip(program.inputs, arrays, strict=True)}
    names["xp"] = NUMPY
    exec("\n".join(program.lines), names)
    largest, coarse = 1.0, False
    for name, value in names.items():
        value = np.asarray(value) if name[0] in "vabcd" and name[-1] != "_" else None
        if value is None or value.dtype.kind != "f":
            continue
        coarse |= value.dtype == np.float32
        finite = np.abs(value[np.isfinite(value)])
        largest = max(largest, float(finite.max(initial=0)))
    return largest, coarse


def agree(got: Any, want: Any, v: Value, scale: tuple[float, bool], what: str) -> None:
    got, want = np.asarray(got), np.asarray(want)
    where = f"{what}: {v.name}"
    assert got.shape == want.shape, f"{where} has shape {got.shape}, not {want.shape}"
    assert got.dtype == want.dtype, f"{where} is {got.dtype}, not {want.dtype}"
    if want.dtype.kind in "biu":
        np.testing.assert_array_equal(got, want, where)
        return
    largest, coarse = scale
    small = 3e-5 if coarse else 3e-12
    np.testing.assert_allclose(got, want, rtol=small, atol=small * largest, err_msg=where)


def run(program: Program, arrays: list[Any]) -> tuple[Any, Any]:
    with np.errstate(all="ignore"):
        return program.function(NUMPY)(*arrays), reach(program, arrays)


@examples(100)
@given(programs(), sizes(), sizes(), sizes(), st.integers(0, 999), st.booleans())
def test_values(
    program: Program, first: Any, second: Any, third: Any, seed: int, awkward: bool
) -> None:
    """Compiled, at three sizes in turn; interpreted; lazily. All as NumPy has it."""
    f = program.function(NUMR)
    compiled = nr.jit(f)
    for k, chosen in enumerate((first, second, third)):
        arrays = arguments(program.inputs, chosen, seed + k, awkward)
        want, scale = run(program, arrays)
        results = {"compiled": compiled(*arrays)}
        if k == 0:
            results["interpreted"] = nr.jit(f, device="reference")(*arrays)
            results["lazy"] = f(*map(nr.asarray, arrays))
        for what, got in results.items():
            for g, w, v in zip(got, want, program.outputs, strict=True):
                agree(g, w, v, scale, f"{what} at {chosen}")


def scalar_of(program: Program) -> Any:
    """A scalar of a program's floating results, weighing elements differently."""

    def scalar(*arrays: Any) -> Any:
        total: Any = 0.0
        for v, out in zip(program.outputs, program.function(NUMR)(*arrays), strict=True):
            if v.floating:
                flat = nr.ravel(out)
                total = total + nr.sum(flat * nr.cos(1.0 * nr.arange(flat.shape[0])))
        return total

    return scalar


def floats_of(program: Program) -> tuple[int, ...]:
    return tuple(i for i, v in enumerate(program.inputs) if v.floating)


@examples(60)
@given(programs(smooth=True, most=9), sizes(1), sizes(), st.integers(0, 999), st.booleans())
def test_gradients(program: Program, first: Any, second: Any, seed: int, generic: bool) -> None:
    """Compiled gradients are the interpreter's, and what finite differences give."""
    wrt = floats_of(program)
    if not wrt or not any(v.floating for v in program.outputs):
        return
    scalar = scalar_of(program)
    compiled = nr.jit(nr.value_and_grad(scalar, argnums=wrt))
    interpreted = nr.jit(nr.value_and_grad(scalar, argnums=wrt), device="reference")
    for k, chosen in enumerate((first, second)):
        arrays = arguments(program.inputs, chosen, seed + k, False, generic)
        _, (largest, coarse) = run(program, arrays)
        _, slopes = compiled(*arrays)
        for got, want, i in zip(slopes, interpreted(*arrays)[1], wrt, strict=True):
            limit = max(largest, float(np.nan_to_num(np.abs(want.numpy())).max(initial=0)))
            agree(got, want, program.inputs[i], (limit**2, coarse), f"gradient at {chosen}")
        if generic and not coarse:
            along(scalar, arrays, wrt, slopes, chosen)


def along(scalar: Any, arrays: list[Any], wrt: Any, slopes: Any, chosen: Any) -> None:
    """The slope in a direction, by differences where two steps agree on it."""
    rng = np.random.default_rng(7)
    ways = {i: rng.normal(size=arrays[i].shape) for i in wrt}
    f = nr.jit(scalar, device="reference")

    def at(t: float) -> float:
        return float(f(*(a + t * ways[i] if i in ways else a for i, a in enumerate(arrays))))

    estimates = [(at(h) - at(-h)) / (2 * h) for h in (1e-5, 2e-5, 0.7e-5)]
    middle = max(map(abs, estimates))
    if not np.isfinite(middle) or np.ptp(estimates) > 1e-4 * (1 + middle):
        return
    got = sum(float((s.numpy() * ways[i]).sum()) for s, i in zip(slopes, wrt, strict=True))
    assert abs(got - estimates[0]) <= 1e-3 * (1 + middle), (
        f"slope at {chosen}: {got}, by differences {estimates}"
    )


@examples(40)
@given(
    programs(most=8),
    sizes(),
    st.integers(0, 999),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_batches(program: Program, chosen: Any, seed: int, how: list[int]) -> None:
    """vmap, compiled, against a loop: batches at the front, at the back, of some arguments only."""
    f = program.function(NUMR)
    many = [arguments(program.inputs, chosen, seed + k, False) for k in range(3)]
    axes: list[int | None] = []
    stacked = []
    for i in range(len(program.inputs)):
        axis = (0, 0, -1, None)[how[i]] if i or how[0] < 3 else 0
        axes.append(axis)
        if axis is None:
            for row in many[1:]:
                row[i] = many[0][i]
            stacked.append(many[0][i])
        else:
            stacked.append(np.stack([row[i] for row in many], axis=axis))
    got = nr.jit(nr.vmap(f, in_axes=tuple(axes)))(*stacked)
    for k, row in enumerate(many):
        want, scale = run(program, row)
        for g, w, v in zip(got, want, program.outputs, strict=True):
            agree(g.numpy()[k], w, v, scale, f"batch {k} at {chosen}, in_axes={axes}")
