"""topk, quantiles, the median, covariances and correlations against NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr import errors
from tests.functions.orders import check_derivatives
from tests.functions.support import agree, value

RNG = np.random.default_rng(10)
X = RNG.normal(size=(4, 7))
METHODS = ["linear", "lower", "higher", "nearest", "midpoint"]
OTHERS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen",
    "weibull", "median_unbiased", "normal_unbiased",
]  # fmt: skip


def numpy_topk(x: Any, k: int, axis: int, largest: bool) -> tuple[Any, Any]:
    order = np.argsort(-x if largest else x, axis=axis, kind="stable")
    order = np.take(order, np.arange(k), axis=axis)
    return np.take_along_axis(x, order, axis), order


@pytest.mark.parametrize("largest", [True, False])
@pytest.mark.parametrize(("k", "axis"), [(1, 0), (3, 1), (7, -1), (0, 0)])
def test_topk(k: int, axis: int, largest: bool) -> None:
    for x in (X, RNG.integers(0, 4, (4, 7)), X.astype("f4")[:, ::-1]):
        want = numpy_topk(x, k, axis, largest)
        f = lambda v: nr.topk(v, k, axis=axis, largest=largest)
        agree(tuple(f(x)), want)
        for got, w in zip(nr.jit(f)(x), want, strict=True):
            np.testing.assert_array_equal(np.asarray(got), w)


def test_topk_of_nan_batches_and_derivatives() -> None:
    values, places = nr.topk(np.array([1.0, np.nan, np.inf, 2.0]), 3)
    agree(values, np.array([np.nan, np.inf, 2.0]))
    agree(places, np.array([1, 2, 3]))
    check_derivatives(lambda v: nr.topk(v, 3).values ** 2, X)
    agree(tuple(nr.vmap(lambda v: nr.topk(v, 2))(X)), numpy_topk(X, 2, 1, True))
    agree(nr.topk(np.array([True, False]), 1).values, np.array([True]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1), -1])
def test_quantile(method: str, axis: Any) -> None:
    for q in (0.0, 0.3, 1.0, np.array([0.25, 0.5, 0.9]), np.array([[0.1], [1 / 3]])):
        for keepdims in (False, True):
            want = np.quantile(X, q, axis=axis, method=method, keepdims=keepdims)
            options = {"method": method, "keepdims": keepdims}
            f = lambda v, q=q, options=options: nr.quantile(v, q, axis, **options)
            agree(f(X), want, 1e-13, 1e-14)
    np.testing.assert_allclose(np.asarray(nr.jit(f)(X)), want, rtol=1e-13)


@pytest.mark.parametrize("method", METHODS + OTHERS)
def test_quantile_at_places(method: str) -> None:
    """Where one element ends and the next one begins, and beyond the first and the last."""
    for n in (1, 2, 3, 4, 5, 6, 9):
        x = RNG.normal(size=n)
        for parts in (2 * n, 2 * (n - 1), 7):
            q = np.linspace(0, 1, parts + 1)
            agree(nr.quantile(x, q, method=method), np.quantile(x, q, method=method), 1e-13, 1e-14)


@pytest.mark.parametrize("method", ["midpoint", *OTHERS])
def test_quantile_of_other_methods(method: str) -> None:
    q = np.array([0.0, 0.05, 0.3, 0.5, 0.95, 1.0])
    for x, axis in ((X, None), (X, 1), (X[:, :1], 1)):
        want = np.quantile(x, q, axis=axis, method=method)
        agree(nr.quantile(x, q, axis, method=method), want, 1e-13, 1e-14)
    got = nr.jit(lambda x, q: nr.quantile(x, q, 1, method=method))(X, q)
    np.testing.assert_allclose(got, np.quantile(X, q, axis=1, method=method), rtol=1e-13)
    single = [v.astype("f4") for v in (X, q)]
    got = nr.quantile(*single, method=method)
    assert got.dtype is nr.float32
    np.testing.assert_allclose(got, np.quantile(*single, method=method), rtol=1e-5)
    ends = np.array([-np.inf, 1.0, 2.0, np.inf])
    assert not np.isnan(value(nr.quantile(ends, q, method=method))).any()
    assert np.isnan(value(nr.quantile(np.append(ends, np.nan), q, method=method))).all()


def test_quantile_awkward() -> None:
    rows = np.array([[1.0, np.nan, 2.0], [3.0, 1.0, 2.0]])
    agree(nr.quantile(rows, 0.5, 1), np.array([np.nan, 2.0]))
    ends = np.array([-np.inf, 1.0, 2.0, np.inf, np.inf])
    agree(nr.quantile(ends, np.array([0.0, 0.25, 0.5, 1.0])), np.array([-np.inf, 1, 2, np.inf]))
    agree(nr.quantile(ends, np.array([0.1, 0.6, 0.9])), np.array([-np.inf, np.inf, np.inf]))
    agree(nr.quantile(-ends, 0.3, method="midpoint"), -np.inf)
    agree(nr.quantile([3, 1, 2, 4], 0.5), 2.5)
    agree(nr.quantile(X.astype("f4"), 0.3), np.quantile(X.astype("f4"), 0.3), 1e-6)
    agree(nr.vmap(lambda v: nr.quantile(v, 0.3))(X), np.quantile(X, 0.3, axis=1), 1e-13)
    agree(nr.vmap(lambda q: nr.quantile(X, q))(np.array([0.1, 0.8])), np.quantile(X, [0.1, 0.8]))
    agree(nr.jit(lambda q: nr.quantile(X, q))(np.array([-1.0, 2.0])), np.array([X.min(), X.max()]))
    ties = nr.grad(lambda v: nr.quantile(v, 0.5))(nr.asarray([1.0, 1.0]))
    np.testing.assert_allclose(value(ties), [0.5, 0.5])


def test_median() -> None:
    for x in (X, X[:3], X[:, :1], RNG.integers(0, 9, (3, 4))):
        for axis in (None, 0, 1):
            agree(nr.median(x, axis), np.median(x, axis=axis), 1e-14)
        agree(nr.median(x, 0, keepdims=True), np.median(x, axis=0, keepdims=True), 1e-14)


def test_quantile_derivatives() -> None:
    check_derivatives(lambda v, q: nr.quantile(v, q, 1), X, 0.37)
    check_derivatives(lambda v: nr.median(v, 0), X, compiled=False)
    for method in METHODS[1:] + OTHERS[:3]:
        check_derivatives(lambda v, m=method: nr.quantile(v, 0.4, 1, method=m), X, compiled=False)
    check_derivatives(lambda v, q: nr.quantile(v, q, 1, method="hazen"), X, 0.37, compiled=False)


@pytest.mark.parametrize("options", [{}, {"bias": True}, {"ddof": 0}, {"ddof": 2}])
@pytest.mark.parametrize("rowvar", [True, False])
def test_cov(options: Any, rowvar: bool) -> None:
    z = X + 1j * RNG.normal(size=X.shape)
    for x in (X, X[0], z, RNG.integers(0, 9, (4, 7)), X[::-1, ::2]):
        agree(
            nr.cov(x, rowvar=rowvar, **options), np.cov(x, rowvar=rowvar, **options), 1e-12, 1e-14
        )
        agree(nr.corrcoef(x, rowvar=rowvar), np.corrcoef(x, rowvar=rowvar), 1e-12, 1e-14)
    y = RNG.normal(size=(2, 7) if rowvar else (4, 3))
    agree(nr.cov(X, y, rowvar=rowvar, **options), np.cov(X, y, rowvar, **options), 1e-12, 1e-14)
    agree(nr.corrcoef(X, y, rowvar=rowvar), np.corrcoef(X, y, rowvar), 1e-12, 1e-14)


def test_cov_awkward_and_derivatives() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        agree(nr.cov(np.ones((2, 1))), np.cov(np.ones((2, 1))))
        agree(nr.corrcoef(np.ones((2, 3))), np.corrcoef(np.ones((2, 3))))
    check_derivatives(nr.cov, X)
    check_derivatives(lambda x, y: nr.corrcoef(x, y)[:4, 4:], X, RNG.normal(size=(2, 7)), rtol=1e-6)
    both = nr.vmap(nr.cov)(np.stack([X, 2 * X]))
    agree(both, np.stack([np.cov(X), np.cov(2 * X)]), 1e-12, 1e-14)
    got = np.asarray(nr.jit(nr.corrcoef)(X.astype("f4")))
    np.testing.assert_allclose(got, np.corrcoef(X), rtol=1e-4, atol=1e-5)


def test_webgpu() -> None:
    pytest.importorskip("wgpu")
    if not any(str(d).startswith("webgpu") for d in nr.available_devices()):
        pytest.skip("no adapter")
    x = X.astype("f4")
    for f in (
        lambda v: nr.quantile(v, 0.3, 1),
        lambda v: nr.topk(v, 3).values,
        lambda v: nr.corrcoef(v),
    ):
        g = nr.jit(nr.grad(lambda v, f=f: nr.sum(f(v) ** 2)))
        got = np.asarray(g(nr.asarray(x, device="webgpu")))
        np.testing.assert_allclose(got, np.asarray(g(x)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nr.topk(X, 8), errors.ShapeError, ("topk", "7", "8")),
        (lambda: nr.topk(X, 1, axis=2), errors.AxisError, ("topk",)),
        (lambda: nr.topk(X + 0j, 1), errors.DTypeError, ("topk",)),
        (lambda: nr.quantile(X, 1.5), errors.UnsupportedError, ("1.5",)),
        (lambda: nr.quantile(X, 0.5, method="cubic"), errors.UnsupportedError, ("'cubic'",)),
        (lambda: nr.median(np.ones((0, 2)), 0), errors.ShapeError, ("(0, 2)",)),
        (lambda: nr.cov(np.ones((2, 2, 2))), errors.ShapeError, ("cov", "(2, 2, 2)")),
        (lambda: nr.cov(X, np.ones((2, 3))), errors.ShapeError, ("(4, 7)", "(2, 3)")),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
