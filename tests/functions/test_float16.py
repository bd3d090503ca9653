"""float16: exact conversions on every device, arithmetic no worse than NumPy's, results of its dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr

DEVICES = ("cpu", "webgpu")
ALL = np.arange(65536, dtype=np.uint16).view(np.float16)


def same(got: Any, want: Any) -> None:
    """To the bit, but that any NaN is NaN."""
    assert got.dtype == want.dtype
    word = np.dtype(f"u{got.itemsize}")
    equal = (got.view(word) == want.view(word)) | (np.isnan(got) & np.isnan(want))
    assert equal.all(), (got[~equal][:5], want[~equal][:5])


@pytest.mark.parametrize("device", DEVICES)
def test_every_number_becomes_float32_and_comes_back(device: str) -> None:
    x = nr.asarray(ALL, device=device)
    wide = nr.jit(lambda x: x.astype("float32"))(x)
    same(wide.numpy(), ALL.astype(np.float32))
    same(nr.jit(lambda x: x.astype("float16"))(wide).numpy(), ALL)


@pytest.mark.parametrize("device", DEVICES)
def test_float32_rounds_half_to_even(device: str) -> None:
    rng = np.random.default_rng(0)
    finite = ALL[np.isfinite(ALL)].astype(np.float64)
    borders = (finite[:-1] + finite[1:]) / 2
    near = [np.float32(borders), np.nextafter(np.float32(borders), np.float32(np.inf))]
    wide = np.float32(rng.normal(size=100_000) * 10.0 ** rng.uniform(-9, 6, 100_000))
    edges = np.float32([65504, 65519.99, 65520, 1e30, np.inf, -np.inf, np.nan, 2**-25, 0.0, -0.0])
    for x in (*near, wide, edges):
        got = nr.jit(lambda x: x.astype("float16"))(nr.asarray(x, device=device)).numpy()
        with np.errstate(all="ignore"):
            same(got, x.astype(np.float16))


@pytest.mark.parametrize("device", DEVICES)
def test_expressions_are_rounded_once(device: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(33, 65)).astype(np.float16)
    y = rng.normal(size=65).astype(np.float16)
    functions = {
        "elementwise": lambda xp, x, y: xp.exp(-x * x) * y + xp.sin(x),
        "rows": lambda xp, x, y: xp.sum(x * y, axis=1),
        "columns": lambda xp, x, y: xp.max(x + y, axis=0),
        "all": lambda xp, x, y: xp.mean(x),
        "product": lambda xp, x, y: xp.matmul(x, xp.permute_dims(x, (1, 0))),
        "scan": lambda xp, x, y: xp.cumulative_sum(x, axis=1),
    }
    for name, f in functions.items():
        given = [nr.asarray(a, device=device) for a in (x, y)]
        got = nr.jit(lambda x, y, f=f: f(nr, x, y))(*given)
        assert got.dtype is nr.float16, name
        exact = f(np, x.astype(np.float64), y.astype(np.float64))
        error = np.abs(got.numpy().astype(np.float64) - exact)
        assert (error <= 0.51 * np.spacing(np.abs(exact).astype(np.float16)) + 1e-5).all(), name


@pytest.mark.parametrize("device", DEVICES)
def test_derivatives_sorting_and_updates(device: str) -> None:
    x = np.array([0.5, -2.0, 3.0, 0.25], np.float16)
    a = nr.asarray(x, device=device)
    gradient = nr.grad(lambda a: nr.sum(a * a * a))(a)
    assert gradient.dtype is nr.float16
    np.testing.assert_array_equal(gradient.numpy(), (3 * x * x).astype(np.float16))
    np.testing.assert_array_equal(nr.sort(a).numpy(), np.sort(x))
    np.testing.assert_array_equal(nr.argsort(a).numpy(), np.argsort(x))
    np.testing.assert_array_equal(a.at[1].add(1.5).numpy(), np.float16([0.5, -0.5, 3.0, 0.25]))
    assert (a + 1).dtype is nr.float16
    assert (a * nr.ones(4, dtype="float32")).dtype is nr.float32
    assert nr.result_type(nr.float16, nr.float64) is nr.float64


def test_what_is_not_compiled_says_so() -> None:
    x = nr.asarray(np.float16([1.0]))
    with pytest.raises(nr.errors.UnsupportedError, match=r"nextafter of float16"):
        nr.nextafter(x, x + 1).numpy()
