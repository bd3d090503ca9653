"""float16 and bfloat16: exact conversions on every device, one rounding, results of their dtype."""

from __future__ import annotations

import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import numr as nr

WORDS = np.arange(65536, dtype=np.uint16)
HALVES = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
everywhere = pytest.mark.parametrize("device", ["cpu", "webgpu"])
both = pytest.mark.parametrize("name", HALVES)


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with np.errstate(all="ignore"):
        yield


def same(got: Any, want: Any) -> None:
    """To the bit, but that any NaN is NaN."""
    assert got.dtype == want.dtype
    word = np.dtype(f"u{got.itemsize}")
    nan = np.isnan(got.astype(np.float32)) & np.isnan(want.astype(np.float32))
    equal = (got.view(word) == want.view(word)) | nan
    assert equal.all(), (got[~equal][:5], want[~equal][:5])


@both
@everywhere
def test_every_number_becomes_float32_and_comes_back(device: str, name: str) -> None:
    every = WORDS.view(HALVES[name])
    wide = nr.jit(lambda x: x.astype("float32"))(nr.asarray(every, device=device))
    same(wide.numpy(), every.astype(np.float32))
    same(nr.jit(lambda x: x.astype(name))(wide).numpy(), every)


@both
@everywhere
def test_float32_rounds_half_to_even(device: str, name: str) -> None:
    rng = np.random.default_rng(0)
    every = WORDS.view(HALVES[name]).astype(np.float64)
    finite = every[np.isfinite(every)]
    borders = (finite[:-1] + finite[1:]) / 2
    near = [np.float32(borders), np.nextafter(np.float32(borders), np.float32(np.inf))]
    wide = np.float32(rng.normal(size=100_000) * 10.0 ** rng.uniform(-9, 6, 100_000))
    edges = np.float32([65504, 65519.99, 65520, 1e30, np.inf, -np.inf, np.nan, 2**-25, 0.0, -0.0])
    for x in (*near, wide, edges):
        got = nr.jit(lambda x: x.astype(name))(nr.asarray(x, device=device)).numpy()
        same(got, x.astype(HALVES[name]))


@both
@everywhere
def test_expressions_are_rounded_once(device: str, name: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(33, 65)).astype(HALVES[name])
    y = rng.normal(size=65).astype(HALVES[name])
    functions = {
        "elementwise": lambda xp, x, y: xp.exp(-x * x) * y + xp.sin(x),
        "rows": lambda xp, x, y: xp.sum(x * y, axis=1),
        "columns": lambda xp, x, y: xp.max(x + y, axis=0),
        "all": lambda xp, x, y: xp.mean(x),
        "product": lambda xp, x, y: xp.matmul(x, xp.permute_dims(x, (1, 0))),
        "scan": lambda xp, x, y: xp.cumulative_sum(x, axis=1),
    }
    for what, f in functions.items():
        given = [nr.asarray(a, device=device) for a in (x, y)]
        got = nr.jit(lambda x, y, f=f: f(nr, x, y))(*given)
        assert got.dtype == name, what
        exact = f(np, x.astype(np.float64), y.astype(np.float64))
        error = np.abs(got.numpy().astype(np.float64) - exact)
        # Half a step of the dtype, and what float32 adds.
        digits = {"float16": 11, "bfloat16": 8}[name]
        assert (error <= 0.51 * 2.0 ** (1 - digits) * np.abs(exact) + 1e-5).all(), what


@both
@everywhere
def test_derivatives_sorting_and_updates(device: str, name: str) -> None:
    x = np.array([0.5, -2.0, 3.0, 0.25], HALVES[name])
    a = nr.asarray(x, device=device)
    gradient = nr.grad(lambda a: nr.sum(a * a * a))(a)
    assert gradient.dtype == name
    np.testing.assert_array_equal(gradient.numpy(), (3 * x * x).astype(HALVES[name]))
    np.testing.assert_array_equal(nr.sort(a).numpy(), np.sort(x))
    np.testing.assert_array_equal(nr.argsort(a).numpy(), np.argsort(x))
    np.testing.assert_array_equal(
        a.at[1].add(1.5).numpy(), np.array([0.5, -0.5, 3.0, 0.25], HALVES[name])
    )
    assert (a + 1).dtype == name
    assert (a * nr.ones(4, dtype="float32")).dtype is nr.float32
    assert nr.result_type(a.dtype, nr.float64) is nr.float64
    assert nr.result_type(a.dtype, nr.int32).kind == "f"


@both
@everywhere
def test_views_and_what_is_filled(device: str, name: str) -> None:
    x = np.arange(35).reshape(5, 7).astype(HALVES[name])
    a = nr.asarray(x, device=device)
    same(nr.jit(lambda a: a.T)(a).numpy(), x.T.copy())
    same(nr.jit(lambda a: nr.broadcast_to(a[:, None], (5, 3, 7)))(a).numpy(), np.stack([x] * 3, 1))
    gradient = nr.jit(nr.grad(lambda a: nr.sum(a[nr.asarray([1, 1, 3], device=device)] * 3)))(a)
    want = np.zeros_like(x)
    want[1], want[3] = 6, 3
    same(gradient.numpy(), want)
    filled = nr.jit(lambda a: nr.full((3, 5), 1.5, dtype=name).at[1].set(a[0, 1]))(a)
    same(filled.numpy(), np.array([[1.5] * 5, [1] * 5, [1.5] * 5], HALVES[name]))


@both
@everywhere
def test_next_after(device: str, name: str) -> None:
    every = WORDS.view(HALVES[name])
    for to in (every[::-1], np.full_like(every, np.inf), np.full_like(every, -1), every, -every):
        got = nr.jit(nr.nextafter)(nr.asarray(every, device=device), nr.asarray(to, device=device))
        # Of two zeros it is the second, as C has it; NumPy's float16 takes the first.
        same(got.numpy(), np.where(every == to, to, np.nextafter(every, to)))


def test_limits() -> None:
    assert nr.finfo("float16").max == 65504
    assert nr.finfo("bfloat16").eps == 2.0**-7
    assert nr.bfloat16 is nr.ones(1, dtype="bfloat16").dtype
    assert nr.result_type(nr.bfloat16, nr.float16) is nr.float32


def test_bfloat16_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(TypeError, match="pip install ml_dtypes"):
        nr.dtypes._bfloat16()
