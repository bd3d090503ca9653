"""Pools and windows against loops, their derivatives to second order, batches, dtypes, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import numr as nr
from numr import errors
from tests.functions.orders import check_derivatives
from tests.functions.support import agree, value

RNG = np.random.default_rng(7)
X = RNG.permutation(240).astype(float).reshape(2, 3, 8, 5) / 50 - 2


def pooled(
    f: Any, x: Any, sizes: Any, strides: Any, widths: Any, dilations: Any, outside: float
) -> Any:
    """A reduction of each window, one after another."""
    many = len(sizes)
    lead = x.shape[: x.ndim - many]
    x = np.pad(x, [(0, 0)] * len(lead) + list(widths), constant_values=outside)
    lengths = x.shape[len(lead) :]
    counts = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(lengths, sizes, strides, dilations, strict=True)
    ]
    out = np.zeros((*lead, *counts))
    for place in np.ndindex(*counts):
        window = tuple(
            slice(i * s, i * s + d * (k - 1) + 1, d)
            for i, k, s, d in zip(place, sizes, strides, dilations, strict=True)
        )
        out[(..., *place)] = f(x[(..., *window)], axis=tuple(range(len(lead), x.ndim)))
    return out


CASES: dict[str, tuple[Any, dict[str, Any], Any]] = {
    "plain": (2, {}, ((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1))),
    "overlapping": ((3, 2), {"stride": 1}, ((3, 2), (1, 1), ((0, 0), (0, 0)), (1, 1))),
    "padded": (
        (3, 3),
        {"stride": (2, 1), "padding": 1},
        ((3, 3), (2, 1), ((1, 1), (1, 1)), (1, 1)),
    ),
    "dilated": (
        (3, 2),
        {"stride": 1, "dilation": (2, 3), "padding": ((0, 1), (2, 0))},
        ((3, 2), (1, 1), ((0, 1), (2, 0)), (2, 3)),
    ),
    "same": ((3, 2), {"stride": 2, "padding": "same"}, ((3, 2), (2, 2), ((0, 1), (0, 1)), (1, 1))),
    "one axis": ((4,), {"stride": 1}, ((4,), (1,), ((0, 0),), (1,))),
    "all": ((8, 5), {}, ((8, 5), (8, 5), ((0, 0), (0, 0)), (1, 1))),
    "single": ((1, 1), {}, ((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    window, options, plain = CASES[name]
    largest = pooled(np.max, X, *plain, -np.inf)
    agree(nr.max_pool(X, window, **options), largest)
    means = pooled(np.mean, X, *plain, 0.0)
    agree(nr.avg_pool(X, window, **options), means, 1e-12, 1e-13)
    there = pooled(np.nanmean, X, *plain, np.nan)
    agree(nr.avg_pool(X, window, **options, count_include_pad=False), there, 1e-12, 1e-13)
    for f, want in ((nr.max_pool, largest), (nr.avg_pool, means)):
        got = np.asarray(nr.jit(lambda x, f=f: f(x, window, **options))(X.astype("f4")))
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name: str) -> None:
    window, options, _ = CASES[name]
    x = X[:1, :2]
    check_derivatives(lambda v: nr.max_pool(v, window, **options), x)
    check_derivatives(
        lambda v: nr.avg_pool(v, window, **options, count_include_pad=False), x, compiled=False
    )


@pytest.mark.parametrize("name", CASES)
def test_batched(name: str) -> None:
    window, options, _ = CASES[name]
    xs = np.stack([X, -X, X**2])
    for f in (nr.max_pool, nr.avg_pool):
        g = lambda v, f=f: f(v, window, **options)
        agree(nr.vmap(g)(xs), np.stack([value(g(v)) for v in xs]), 1e-12, 1e-12)


def test_ties_nan_and_dtypes() -> None:
    x = np.array([1.0, 1.0, 0.0, np.nan, 2.0, -np.inf, -np.inf, -np.inf])
    np.testing.assert_array_equal(value(nr.max_pool(x, (2,))), [1, np.nan, 2, -np.inf])
    slopes = value(nr.grad(lambda v: nr.sum(nr.max_pool(v, (2,), stride=1)))(nr.asarray(x[:3])))
    np.testing.assert_array_equal(slopes, [0.5, 1.5, 0.0])
    small = np.array([[-5, -3, -7]], np.int8)
    agree(nr.max_pool(small, (2,), stride=1, padding=1), np.array([[-5, -3, -3, -7]], np.int8))
    agree(nr.avg_pool(small, (2,), stride=1), np.array([[-4.0, -5.0]]))
    agree(nr.avg_pool(np.array([1j, 3.0]), (2,)), np.array([1.5 + 0.5j]))
    assert value(nr.max_pool(np.ones((0, 4, 6)), (2, 3))).shape == (0, 2, 2)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize(("size", "step"), [(1, 1), (2, 1), (3, 2), (4, 3), (1, 2)])
def test_unfold(axis: int, size: int, step: int) -> None:
    x = RNG.normal(size=(4, 5, 6))
    cut = [slice(None)] * 3
    cut[axis] = slice(None, None, step)
    want = sliding_window_view(x, size, axis)[tuple(cut)]
    agree(nr.unfold(x, axis, size, step), want)
    agree(nr.unfold(x.T, axis, size, step), sliding_window_view(x.T, size, axis)[tuple(cut)])
    np.testing.assert_array_equal(
        np.asarray(nr.jit(lambda v: nr.unfold(v, axis, size, step))(x)), want
    )
    if size == 3:
        check_derivatives(lambda v: nr.unfold(v, axis, size, step) ** 2, x)
        xs = np.stack([x, -x])
        got = nr.vmap(lambda v: nr.unfold(v, axis, size, step))(xs)
        agree(got, np.stack([want, -want]))


def test_windows_are_not_stored_where_they_are_reduced() -> None:
    f = lambda x: nr.max_pool(x, (3, 3), stride=1, padding=1)
    assert len(nr.jit(f).lower(X.astype("f4")).kernels) == 1
    running = lambda x: nr.mean(nr.unfold(x, 0, 16), axis=-1)
    assert len(nr.jit(running).lower(np.ones(1000)).kernels) == 1


def test_webgpu() -> None:
    pytest.importorskip("wgpu")
    if not any(str(d).startswith("webgpu") for d in nr.available_devices()):
        pytest.skip("no adapter")
    x = X.astype("f4")
    for g in (
        lambda v: nr.sum(nr.max_pool(v, (3, 3), stride=2, padding=1) ** 2),
        lambda v: nr.sum(nr.avg_pool(v, 2) ** 2),
    ):
        f = nr.jit(nr.grad(g))
        got = np.asarray(f(nr.asarray(x, device="webgpu")))
        np.testing.assert_allclose(got, np.asarray(f(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nr.max_pool(np.ones((3, 4)), 2), ("max_pool", "(3, 4)")),
        (lambda: nr.max_pool(np.ones(3), (4,)), ("(4,)", "(3,)", "not fit")),
        (lambda: nr.avg_pool(np.ones(3), (0,)), ("window", "(0,)")),
        (lambda: nr.avg_pool(np.ones(3), (2,), padding=2), ("padding of 2", "see nothing")),
        (lambda: nr.avg_pool(np.ones(3), (2,), stride=0), ("stride", "0")),
        (lambda: nr.unfold(np.ones(3), 0, 4), ("unfold", "(3,)")),
    ],
)
def test_errors(call: Callable[[], Any], words: tuple[str, ...]) -> None:
    with pytest.raises(errors.ShapeError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_other_errors() -> None:
    with pytest.raises(errors.AxisError):
        nr.unfold(np.ones(3), 1, 2)
    with pytest.raises(errors.DTypeError):
        nr.max_pool(np.ones(3, complex), (2,))
