"""searchsorted: bisection against NumPy's, on every kind of number and device, and its size in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import ShapeError, UnsupportedError
from tests.functions.support import agree

RNG = np.random.default_rng(12)


def line_and_values(n: int, dtype: str) -> tuple[Any, Any]:
    """A sorted line with ties and, of floats, infinities and NaN at its ends; and values on and off it."""
    line = np.sort((3 * RNG.normal(size=n)).round(1).astype(dtype))
    values = np.concatenate([line, (3 * RNG.normal(size=20)).astype(dtype)])
    if dtype.startswith("f"):
        special = [np.nan, np.inf, -np.inf, 0.0, -0.0]
        values = np.concatenate([values, np.array(special, dtype)])
        line[n - n // 4 :] = np.nan
        line[: n // 4] = -np.inf
    return line, values


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", "i8", "i4", "u1", "?"])
def test_against_numpy(dtype: str, side: str) -> None:
    for n in (0, 1, 2, 9, 200):
        line, values = line_and_values(n, dtype)
        want = np.searchsorted(line, values, side=side)
        f = lambda a, v: nr.searchsorted(a, v, side=side)
        agree(f(nr.asarray(line), nr.asarray(values)), want)
        np.testing.assert_array_equal(np.asarray(nr.jit(f)(line, values)), want)


def test_a_sorter_shapes_and_batches() -> None:
    x, v = RNG.normal(size=9), RNG.normal(size=(2, 3))
    order = np.argsort(x)
    want = np.searchsorted(x, v, sorter=order)
    agree(nr.searchsorted(x, v, sorter=order), want)
    np.testing.assert_array_equal(nr.jit(nr.searchsorted)(x[order], v), want)
    agree(nr.searchsorted(x[order], 0.2), np.searchsorted(x[order], 0.2))
    assert nr.searchsorted(x, np.ones((0, 2))).shape == (0, 2)
    lines = np.sort(RNG.normal(size=(4, 9)), axis=1)
    want = np.stack([np.searchsorted(row, v) for row in lines])
    agree(nr.vmap(nr.searchsorted, in_axes=(0, None))(lines, v), want)
    agree(nr.vmap(lambda row, w: nr.searchsorted(row, w))(lines[:2], v), want[[0, 1], [0, 1]])


def test_it_makes_no_table_of_pairs() -> None:
    """And a place is no quantity with a derivative: the rest of the function has its own."""
    line, v = np.sort(RNG.normal(size=1000)), RNG.normal(size=2000)
    lowered = nr.jit(nr.searchsorted).lower(line, v)
    assert lowered.cost.peak < 10 * 8 * (1000 + 2000)
    f = lambda a, w: nr.sum(nr.searchsorted(a, w) * w**2)
    places = np.searchsorted(line, v)
    np.testing.assert_allclose(nr.grad(f, 1)(line, v), 2 * places * v, rtol=1e-14)
    np.testing.assert_allclose(nr.jvp(nr.grad(f, 1), (line, v), (line, v))[1], 2 * places * v)
    np.testing.assert_array_equal(nr.grad(f)(line, v), np.zeros(1000))


def test_webgpu() -> None:
    pytest.importorskip("wgpu")
    if not any(str(d).startswith("webgpu") for d in nr.available_devices()):
        pytest.skip("no adapter")
    line, values = line_and_values(200, "f4")
    for side in ("left", "right"):
        f = nr.jit(lambda a, v, side=side: nr.searchsorted(a, v, side=side))
        got = f(*(nr.asarray(x, device="webgpu") for x in (line, values)))
        np.testing.assert_array_equal(np.asarray(got), np.searchsorted(line, values, side=side))


def test_errors() -> None:
    with pytest.raises(UnsupportedError, match="side is 'left' or 'right', not 'middle'"):
        nr.searchsorted(np.ones(2), np.ones(2), side="middle")
    with pytest.raises(ShapeError, match=r"x1 is a vector, and its shape is \(2, 2\)"):
        nr.searchsorted(np.ones((2, 2)), np.ones(2))
    with pytest.raises(nr.errors.DTypeError, match="searchsorted"):
        nr.searchsorted(np.ones(2) + 0j, np.ones(2))
