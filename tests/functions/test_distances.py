"""Distances of all pairs against SciPy, their derivatives to second order, batches, dtypes, errors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.spatial import distance

import numr as nr
from numr import errors
from tests.functions.orders import check_derivatives
from tests.functions.support import agree, value

RNG = np.random.default_rng(8)
X, Y = RNG.normal(size=(5, 4)), RNG.normal(size=(3, 4))
METRICS: dict[str, tuple[str, dict[str, Any]]] = {
    "euclidean": ("euclidean", {}),
    "sqeuclidean": ("sqeuclidean", {}),
    "cityblock": ("cityblock", {}),
    "chebyshev": ("chebyshev", {}),
    "minkowski 3": ("minkowski", {"p": 3}),
    "minkowski 1.5": ("minkowski", {"p": 1.5}),
    "minkowski 2": ("minkowski", {"p": 2}),
    "minkowski 1": ("minkowski", {"p": 1}),
    "cosine": ("cosine", {}),
    "correlation": ("correlation", {}),
    "hamming": ("hamming", {}),
    "jaccard": ("jaccard", {}),
}
COUNTED = ("hamming", "jaccard")


def points(name: str) -> tuple[Any, Any]:
    if name in COUNTED:
        return RNG.integers(0, 2, (7, 6)).astype(float), RNG.integers(0, 2, (4, 6)).astype(float)
    return X, Y


def oracle(name: str, x: Any, y: Any) -> Any:
    metric, options = METRICS[name]
    if name == "jaccard":
        x, y = x.astype(bool), y.astype(bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return distance.cdist(x, y, metric, **options)


@pytest.mark.parametrize("name", METRICS)
def test_values(name: str) -> None:
    metric, options = METRICS[name]
    x, y = points(name)
    want = oracle(name, x, y)
    f = lambda a, b: nr.cdist(a, b, metric, **options)
    agree(f(x, y), want, 1e-12, 1e-13)
    got = np.asarray(nr.jit(f)(x.astype("f4"), y.astype("f4")))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    agree(f(x[::2].T.copy().T, y[:1]), oracle(name, x[::2], y[:1]), 1e-12, 1e-13)
    pairs = nr.cdist(np.stack([x, x + 1]), y, metric, **options)
    if name not in COUNTED:
        agree(pairs, np.stack([want, oracle(name, x + 1, y)]), 1e-12, 1e-13)
    agree(nr.vmap(f, in_axes=(0, None))(np.stack([x, x]), y), np.stack([want, want]), 1e-12, 1e-13)


@pytest.mark.parametrize("name", METRICS)
def test_derivatives(name: str) -> None:
    metric, options = METRICS[name]
    if name in COUNTED:
        x, y = points(name)
        f = lambda a: nr.sum(nr.cdist(a, y, metric))
        np.testing.assert_array_equal(value(nr.grad(f)(nr.asarray(x))), np.zeros_like(x))
        return
    check_derivatives(lambda a, b: nr.cdist(a, b, metric, **options), X, Y, rtol=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_equal_points(name: str) -> None:
    """Distance 0, derivatives that are finite, and 0 where there is none; those of smooth ones are theirs."""
    metric, options = METRICS[name]
    x, _ = points(name)
    f = lambda a: nr.sum(nr.cdist(a, x[:1], metric, **options))
    point = nr.asarray(x[:1])
    np.testing.assert_allclose(value(f(point)), 0.0, atol=1e-15)
    np.testing.assert_allclose(value(nr.grad(f)(point)), np.zeros_like(x[:1]), atol=1e-15)
    curvature = value(nr.hessian(f)(point)).reshape(x.shape[1], x.shape[1])
    want = np.zeros_like(curvature)
    if name == "sqeuclidean":
        want = 2 * np.eye(4)
    if name in ("cosine", "correlation"):
        # 1 - cos is half the square of the angle: (I - u u^T) / |x|^2, in the space it is a function on.
        space = np.eye(4) - (0.25 if name == "correlation" else 0.0)
        d = space @ x[0]
        want = space / (d @ d) - np.outer(d, d) / (d @ d) ** 2
    np.testing.assert_allclose(curvature, want, atol=1e-13)
    both = nr.grad(lambda a: nr.sum(nr.cdist(a, a, metric, **options)))(nr.asarray(x))
    assert np.isfinite(value(both)).all()


def test_awkward() -> None:
    x = np.array([[1.0, np.nan], [np.inf, 0.0], [1e200, 0.0]])
    y = np.zeros((1, 2))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(
            value(nr.cdist(x, y, "cityblock"))[:, 0], [np.nan, np.inf, 1e200]
        )
        np.testing.assert_array_equal(
            value(nr.cdist(x, y, "chebyshev"))[:, 0], [np.nan, np.inf, 1e200]
        )
    assert np.isnan(value(nr.cdist(y, np.ones((1, 2)), "cosine"))).all()
    agree(nr.cdist(y, y, "jaccard"), np.zeros((1, 1)))
    for metric in ("euclidean", "chebyshev", "cityblock"):
        agree(nr.cdist(np.ones((2, 0)), np.ones((3, 0)), metric), np.zeros((2, 3)))
        assert value(nr.cdist(np.ones((0, 4)), Y, metric)).shape == (0, 3)
    agree(nr.cdist([[1, 2]], [[4, 6]]), np.array([[5.0]]))
    agree(nr.cdist(X, Y, "manhattan"), distance.cdist(X, Y, "cityblock"), 1e-13)
    agree(nr.cdist(X, Y, "squared_euclidean"), distance.cdist(X, Y, "sqeuclidean"), 1e-13)
    agree(nr.cdist(X, Y, "minkowski", p=float("inf")), distance.cdist(X, Y, "chebyshev"), 1e-13)


def test_differences_are_not_stored() -> None:
    lowered = nr.jit(nr.cdist).lower(np.ones((100, 17)), np.ones((90, 17)))
    assert len(lowered.kernels) == 1


def test_webgpu() -> None:
    pytest.importorskip("wgpu")
    if not any(str(d).startswith("webgpu") for d in nr.available_devices()):
        pytest.skip("no adapter")
    x, y = X.astype("f4"), Y.astype("f4")
    for metric in ("euclidean", "correlation", "chebyshev"):
        f = nr.jit(nr.grad(lambda a, b, m=metric: nr.sum(nr.cdist(a, b, m) ** 2)))
        got = f(*(nr.asarray(v, device="webgpu") for v in (x, y)))
        np.testing.assert_allclose(np.asarray(got), np.asarray(f(x, y)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nr.cdist(X, np.ones((3, 5))), errors.ShapeError, ("(5, 4)", "(3, 5)", "x2")),
        (lambda: nr.cdist(X, Y[0]), errors.ShapeError, ("(4,)", "(.., M, K)")),
        (lambda: nr.cdist(X, Y, "edit"), errors.UnsupportedError, ("'edit'", "'jaccard'")),
        (lambda: nr.cdist(X, Y, "minkowski", p=0.5), errors.UnsupportedError, ("0.5",)),
        (lambda: nr.cdist(X + 0j, Y), errors.DTypeError, ("cdist",)),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
