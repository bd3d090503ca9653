"""Every elementwise primitive, compiled and interpreted, against mpmath and Python's exact numbers."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest

import numr.primitives  # noqa: F401  (fills the registry)
from numr.codegen.program import compile_graph
from numr.ir.primitive import REGISTRY
from numr.primitives.elementwise import Elementwise
from numr.primitives.source import leaf
from tests.primitives.oracles import COMPLEX, REAL, VANISHING, WHOLE

ELEMENTWISE = {n: p for n, p in sorted(REGISTRY.items()) if isinstance(p, Elementwise)}
# What has a meaning in bits, and is checked on its own below.
BY_BITS = ("nextafter", "complex")
DEVICES = ("cpu", "reference")
AWKWARD = {
    "f8": (5e-324, -5e-324, 1e-310, 2.5e-308, 1e-17, 1e22, -1e15, 1e300, -1.7e308, 710.0, -746.0),
    "f4": (1e-45, -1e-45, 1e-40, 2e-38, 1e-9, 1e12, -1e7, 1e30, -3.4e38, 89.5, -104.5),
}
# SciPy's own accuracy, where it is less than what compiled code holds to.
REFERENCE = {"erfc": 8}
# Several steps, each rounded; as a multiple of the spacing of numbers of the result's size.
COMPLEX_ULPS = 16.0


def run(name: str, operands: list[Any], device: str) -> Any:
    nodes = [leaf(np.ascontiguousarray(x)) for x in operands]
    program = compile_graph(nodes, [ELEMENTWISE[name](*nodes)], device=device)
    return np.asarray(program(*(n.value for n in nodes))[0])


def cases(kind: str) -> Iterator[Any]:
    for name, prim in ELEMENTWISE.items():
        if name not in BY_BITS:
            for k in prim.op.kinds:
                dtypes = {"f": ("f8", "f4"), "c": ("c16", "c8"), "b": ("?",)}
                dtypes |= {"i": ("i1", "i4", "i8"), "u": ("u1", "u4", "u8")}
                for dtype in dtypes[k] if k in kind else ():
                    yield pytest.param(name, dtype, id=f"{name}-{dtype}")


def arguments(name: str, dtype: str) -> list[Any]:
    """A primitive's samples of a dtype, one after another; floats with awkward ones besides."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    kind = np.dtype(dtype).kind
    found: list[list[Any]] = []
    for sample in ELEMENTWISE[name].samples(rng):
        if all(np.asarray(x).dtype.kind == kind for x in sample.operands):
            if kind in "iub" and np.asarray(sample.operands[0]).dtype != np.dtype(dtype):
                continue
            found.append([x.ravel() for x in np.broadcast_arrays(*sample.operands)])
    columns = [np.concatenate(c).astype(dtype) for c in zip(*found, strict=True)]
    if kind != "f":
        return columns
    odd = np.array(AWKWARD[dtype], dtype)
    ordinary = np.array([0.75, -2.0, 3.0], dtype)
    if name == "polygamma":
        more = [np.repeat(np.arange(4.0), 3), np.tile([1e-3, 7.5, 1e5], 4)]
    elif len(columns) == 2:
        grid = np.meshgrid(np.concatenate([odd, ordinary]), np.concatenate([odd, ordinary]))
        more = [g.ravel() for g in grid]
    else:
        more = [odd]
    return [np.concatenate([c, m]).astype(dtype) for c, m in zip(columns, more, strict=True)]


def ulps(got: Any, true: Any, dtype: Any, larger: float = 0.0) -> float:
    """The distance in units in the last place of the rounded true value, or of a larger number."""
    rounded = dtype.type(float(true))
    if not np.isfinite(rounded) or not np.isfinite(got):
        # A result at the end of the range may round either way.
        edge = np.isinf(got) and abs(float(true)) >= float(np.finfo(dtype).max) * (1 - 1e-6)
        return 0.0 if got == rounded or edge else float("inf")
    return float(
        abs(mpmath.mpf(float(got)) - true)
        / float(np.spacing(np.maximum(abs(rounded), dtype.type(larger))))
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("name", "dtype"), list(cases("f")))
def test_reals(name: str, dtype: str, device: str) -> None:
    oracle, bound = REAL[name]
    bound = REFERENCE.get(name, bound) if device == "reference" else bound
    operands = arguments(name, dtype)
    got = run(name, operands, device)
    with mpmath.workprec(200), np.errstate(over="ignore", under="ignore"):
        for value, *row in zip(got, *operands, strict=True):
            true = oracle(*map(float, row))
            where = f"{name}({', '.join(repr(x) for x in row)}) is {value!r}, not {true}"
            if true is None:
                continue
            if value.dtype == bool:
                assert value == true, where
            elif mpmath.isnan(true):
                assert np.isnan(value), where
            elif bound == 0:
                rounded = value.dtype.type(float(true))
                assert value == rounded, where
                if true == 0 and name not in ("maximum", "minimum"):
                    assert np.signbit(value) == np.signbit(rounded), where
            elif name in VANISHING and float(-row[0]) > math.log(np.finfo(value.dtype).max):
                assert value == 0, where
            else:
                larger = 0.0
                if name == "logaddexp":  # near zero as exact as its larger term
                    larger = max((float(abs(v)) for v in row if np.isfinite(v)), default=0.0)
                elif name == "lgamma" and device == "reference":
                    larger = 1.0  # SciPy's is not relatively exact beside its zeros at 1 and 2
                assert ulps(value, true, value.dtype, larger) <= bound, where
                if isinstance(true, float) and true == 0:
                    assert np.signbit(value) == np.signbit(true), where


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("name", "dtype"), list(cases("c")))
def test_complex_numbers(name: str, dtype: str, device: str) -> None:
    operands = arguments(name, dtype)
    got = run(name, operands, device)
    part = operands[0].real.dtype
    with mpmath.workprec(200):
        for value, *row in zip(got, *operands, strict=True):
            true = COMPLEX[name](*(mpmath.mpc(complex(x)) for x in row))
            where = f"{name}({', '.join(map(str, row))}) is {value}, not {true}"
            if got.dtype == bool:
                assert value == true, where
            else:
                distance = abs(mpmath.mpc(complex(value)) - true)
                assert distance <= COMPLEX_ULPS * float(np.finfo(part).eps) * abs(true), where


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("name", "dtype"), list(cases("biu")))
def test_whole_numbers(name: str, dtype: str, device: str) -> None:
    operands = arguments(name, dtype)
    kind = np.dtype(dtype)
    if kind.kind in "iu" and name not in ("pow", "shift_left", "shift_right"):
        info = np.iinfo(kind)
        ends = np.array([info.min, info.max, 0, 1, info.max - 1, info.min + 1], kind)
        more = [g.ravel() for g in np.meshgrid(ends, ends)] if len(operands) == 2 else [ends]
        operands = [np.concatenate(pair) for pair in zip(operands, more, strict=True)]
    got = run(name, operands, device)
    for value, *row in zip(got, *operands, strict=True):
        true = WHOLE[name](*(bool(x) if kind.kind == "b" else int(x) for x in row))
        if got.dtype != bool:
            true = wrapped(true, got.dtype)
        elif name == "invert":
            true = not row[0]
        assert value == true, f"{name}({', '.join(map(str, row))}) is {value}, not {true}"


def wrapped(value: int, dtype: Any) -> int:
    bits = 8 * dtype.itemsize
    value &= (1 << bits) - 1
    return value - (1 << bits) if dtype.kind == "i" and value >> (bits - 1) else value


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_nextafter_is_the_neighbour_in_bits(dtype: str, device: str) -> None:
    code, integer = {"f8": ("<d", "<q"), "f4": ("<f", "<i")}[dtype]

    def place(x: float) -> int:
        """A number's place on the line of all numbers of the dtype."""
        bits = struct.unpack(integer, struct.pack(code, x))[0]
        return bits if bits >= 0 else -(bits & ((1 << (8 * int(dtype[1]) - 1)) - 1))

    x, y = arguments("nextafter", dtype)
    for a, b, value in zip(x, y, run("nextafter", [x, y], device), strict=True):
        if np.isnan(a) or np.isnan(b):
            assert np.isnan(value)
        elif a == b:
            assert value == b
        else:
            assert place(value) - place(a) == (1 if b > a else -1), (a, b, value)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_complex_keeps_its_parts(dtype: str, device: str) -> None:
    re, im = arguments("complex", dtype)
    got = run("complex", [re, im], device)
    np.testing.assert_array_equal(got.real, re)
    np.testing.assert_array_equal(got.imag, im)
    np.testing.assert_array_equal(np.signbit(got.imag), np.signbit(im))


def test_every_primitive_has_an_oracle() -> None:
    for name, prim in ELEMENTWISE.items():
        for kind in prim.op.kinds if name not in BY_BITS else "":
            table: Any = REAL if kind == "f" else COMPLEX if kind == "c" else WHOLE
            assert name in table, f"{name} of kind {kind}"
