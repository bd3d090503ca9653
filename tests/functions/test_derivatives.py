"""Derivatives of the functions: every order against finite differences, and the awkward points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from tests.functions.support import slope, value

X = np.array([[0.3, -1.2, 2.1], [1.7, 0.4, -0.6]])
P = np.abs(X) + 0.2
W = np.array([[0.7, -0.3, 1.1], [0.2, 0.9, -1.4]])
A = X @ X.T + 3 * np.eye(2)
I = np.array([2, 0, 2])

# Functions of an array, smooth at the point beside them; their results are weighted and summed.
SMOOTH: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "arithmetic": (lambda x: (x * x - 3 / x) ** 3 + x**-2 + 2.0**x, P),
    "pow": (lambda x: nr.pow(x, x), P),
    "pow fraction": (lambda x: x**1.5, P),
    "remainder": (lambda x: x % 0.77, X),
    "hypot atan2": (lambda x: nr.hypot(x, 2.0) + nr.atan2(x, x * x + 1), X),
    "exponentials": (lambda x: nr.exp(x) + nr.expm1(x) + nr.exp2(x), X),
    "logarithms": (lambda x: nr.log(x) + nr.log2(x) + nr.log10(x) + nr.log1p(x), P),
    "roots": (lambda x: nr.sqrt(x) + nr.cbrt(x), P),
    "trigonometry": (lambda x: nr.sin(x) * nr.cos(x) + nr.tan(x / 4), X),
    "inverses": (lambda x: nr.asin(x / 4) + nr.acos(x / 4) + nr.atan(x), X),
    "hyperbolic": (lambda x: nr.sinh(x) + nr.cosh(x) * nr.tanh(x), X),
    "hyperbolic inverses": (lambda x: nr.asinh(x) + nr.acosh(x + 2) + nr.atanh(x / 4), P),
    "special": (lambda x: nr.erf(x) + nr.erfc(x) + nr.lgamma(x) + nr.digamma(x), P),
    "polygamma": (lambda x: nr.polygamma(1, x), P),
    "sigmoid": (nr.sigmoid, X),
    "softplus": (nr.softplus, X),
    "log_sigmoid": (nr.log_sigmoid, X),
    "silu": (nr.silu, X),
    "gelu": (nr.gelu, X),
    "gelu tanh": (lambda x: nr.gelu(x, approximate=True), X),
    "relu": (nr.relu, X),
    "leaky_relu": (nr.leaky_relu, X),
    "logaddexp": (lambda x: nr.logaddexp(x, x * x), X),
    "clip": (lambda x: nr.clip(x, -1.0, 1.0) * x, X),
    "where": (lambda x: nr.where(x > 0, x**3, nr.sin(x)), X),
    "extrema": (lambda x: nr.maximum(x, x**2 - 1) * nr.minimum(x, 0.5), X),
    "sum": (lambda x: nr.sum(x**2, axis=1), X),
    "prod": (lambda x: nr.prod(x, axis=1), X),
    "prod all": (lambda x: nr.prod(x), X),
    "max": (lambda x: nr.max(x, axis=0) ** 2, X),
    "mean": (lambda x: nr.mean(x**3, axis=0), X),
    "var": (lambda x: nr.var(x**2, axis=1, correction=1), X),
    "std": (lambda x: nr.std(x, axis=1), X),
    "logsumexp": (lambda x: nr.logsumexp(x, axis=1), X),
    "softmax": (nr.softmax, X),
    "log_softmax": (nr.log_softmax, X),
    "norm": (lambda x: nr.norm(x, axis=1), X),
    "norm 3": (lambda x: nr.norm(x, 3, axis=1), X),
    "matrix norm": (lambda x: nr.norm(x, 1) + nr.norm(x, np.inf), X),
    "cumsum": (lambda x: nr.cumsum(x**2, axis=1), X),
    "cumprod": (lambda x: nr.cumprod(x, axis=1), X),
    "shapes": (lambda x: nr.flip(nr.roll(x.T.reshape(2, 3) ** 2, 1, 1), 0), X),
    "joining": (lambda x: nr.concat([x, nr.pad(x * x, 1)[1:-1, :3]], axis=1), X),
    "tile repeat": (lambda x: nr.tile(x**2, (2, 1)) * nr.repeat(x, 2, axis=0), X),
    "diff": (lambda x: nr.diff(x**2, axis=1), X),
    "triangles": (lambda x: nr.tril(x) * 2 + nr.triu(x**2, k=1), X),
    "diagonals": (lambda x: nr.diag(x[0]) @ x.T + nr.diagonal(x @ x.T), X),
    "slices": (lambda x: x[::-1, 1:] ** 2 * x[0, :2], X),
    "gathers": (lambda x: x[:, I] ** 2 * x[[1, 0], 1][:, None], X),
    "updates": (lambda x: x.at[0, 1:].set(x[1, :2] ** 2).at[:, I].add(x[:, :1]), X),
    "update set": (lambda x: x.at[:, I].set(x**2), X),
    "update mul": (lambda x: (x**2).at[:, I].mul(x), X),
    "update max": (lambda x: (x**2).at[:, I[:2]].max(x[:, :2] ** 3), X),
    "masked": (lambda x: x.at[x > 0].mul(nr.sum(x)) + nr.where(x < 1, x, 0.0) ** 2, X),
    "take_along_axis": (lambda x: nr.take_along_axis(x**2, np.array([[1], [0]]), axis=1), X),
    "segment_sum": (lambda x: nr.segment_sum(x**2, np.array([1, 1]), 2), X),
    "sort": (lambda x: nr.sort(x**3, axis=1, descending=True), X),
    "matmul": (lambda x: (x @ x.T) @ x, X),
    "vector products": (lambda x: nr.vecdot(x, x**2) + nr.outer(x[0], x[1])[:2, 0], X),
    "einsum": (lambda x: nr.einsum("ij,kj,kl->il", x, x, x), X),
    "tensordot": (lambda x: nr.tensordot(x, x, ((0, 1), (0, 1))), X),
    "cross": (lambda x: nr.linalg.cross(x[0], x[1] ** 2), X),
    "cholesky": (lambda a: nr.cholesky(a + a.T), A),
    "solve": (lambda a: nr.solve(a, a[0]), A),
    "solve_triangular": (lambda a: nr.solve_triangular(a, a * a, adjoint=True), A),
    "inv": (nr.inv, A),
    "det": (nr.det, A),
    "slogdet": (lambda a: nr.slogdet(a).logabsdet, A),
    "complex": (lambda x: nr.abs(nr.exp(1j * x) + x**2), X),
    "complex parts": (lambda x: nr.real((x + 1j) ** 3) * nr.imag(nr.sin(x * (1 + 1j))), X),
}


def weighted(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A scalar of a function's result that tells its elements apart."""

    def scalar(x: Any) -> Any:
        out = f(nr.asarray(x))
        weight = np.cos(np.arange(out.size, dtype=float)).reshape(tuple(map(int, out.shape)))
        return nr.sum(out * weight)

    return scalar


@pytest.mark.parametrize("name", SMOOTH)
def test_first_and_second_order(name: str) -> None:
    f, x = SMOOTH[name]
    scalar = weighted(f)
    gradient = nr.grad(scalar)
    np.testing.assert_allclose(
        value(gradient(nr.asarray(x))), slope(scalar, x), rtol=1e-6, atol=1e-7
    )

    def along(y: Any) -> Any:
        return nr.sum(gradient(nr.asarray(y)) * W[: x.shape[0], : x.shape[1]])

    got = value(nr.grad(along)(nr.asarray(x)))
    np.testing.assert_allclose(got, slope(along, x), rtol=2e-6, atol=2e-6)
    # forward over reverse gives the same
    _, forward = nr.jvp(gradient, (nr.asarray(x),), (nr.asarray(W[: x.shape[0], : x.shape[1]]),))
    np.testing.assert_allclose(value(forward), got, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SMOOTH)
def test_batched(name: str) -> None:
    f, x = SMOOTH[name]
    xs = np.stack([x, x * 0.9, x * 1.1])
    one = [value(f(nr.asarray(y))) for y in xs]
    np.testing.assert_allclose(
        value(nr.vmap(f)(nr.asarray(xs))), np.stack(one), rtol=1e-11, atol=1e-12
    )
    gradient = nr.grad(weighted(f))
    one = [value(gradient(nr.asarray(y))) for y in xs]
    got = value(nr.vmap(gradient)(nr.asarray(xs)))
    np.testing.assert_allclose(got, np.stack(one), rtol=1e-10, atol=1e-11)


def derivatives(f: Callable[[Any], Any], x: Any, order: int = 3) -> list[Any]:
    """The derivatives of the sum of an elementwise function, order by order."""
    found = []
    for _ in range(order):
        f = nr.grad(lambda x, g=f: nr.sum(g(x)))
        found.append(value(f(nr.asarray(x))))
    return found


ORDERS: dict[str, tuple[Callable[[Any], Any], Any, list[Any]]] = {
    "abs": (nr.abs, [0.0, -2.0], [[0, -1], [0, 0], [0, 0]]),
    "abs complex": (lambda x: nr.abs(x * (1 + 0j)), [0.0, -2.0], [[0, -1], [0, 0], [0, 0]]),
    "sign": (nr.sign, [0.0, -2.0], [[0, 0]]),
    "sqrt": (nr.sqrt, [0.0, 4.0], [[0, 0.25], [0, -1 / 32]]),
    "cbrt": (nr.cbrt, [0.0, 8.0], [[0, 1 / 12], [0, -1 / 144]]),
    "pow": (lambda x: x**0.5, [0.0, 4.0], [[0, 0.25], [0, -1 / 32]]),
    "pow 1.5": (lambda x: x**1.5, [0.0, 4.0], [[0, 3], [0, 3 / 8]]),
    "pow 0": (lambda x: nr.pow(x, nr.asarray([0.0, 0.0])), [0.0, 4.0], [[0, 0], [0, 0]]),
    "pow of zero": (lambda y: nr.pow(0.0, y), [0.0, 2.0], [[0, 0], [0, 0]]),
    "relu": (nr.relu, [0.0, 1.0], [[0, 1], [0, 0]]),
    "hypot": (lambda x: nr.hypot(x, 0.0), [0.0, 3.0], [[0, 1], [0, 0]]),
    "maximum": (lambda x: nr.maximum(x, 0.0), [0.0, 3.0], [[0.5, 1], [0, 0]]),
    "sigmoid": (nr.sigmoid, [-800.0, 0.0, 800.0], [[0, 0.25, 0], [0, 0, 0], [0, -0.125, 0]]),
    "softplus": (nr.softplus, [-800.0, 0.0, 800.0], [[0, 0.5, 1], [0, 0.25, 0], [0, 0, 0]]),
    "silu": (nr.silu, [-800.0, 0.0, 800.0], [[0, 0.5, 1], [0, 0.5, 0], [0, 0, 0]]),
    "gelu": (nr.gelu, [-800.0, 800.0], [[0, 1], [0, 0], [0, 0]]),
    "gelu tanh": (lambda x: nr.gelu(x, approximate=True), [-1e200, 1e200], [[0, 1], [0, 0]]),
    "log_sigmoid": (nr.log_sigmoid, [-800.0, 0.0, 800.0], [[1, 0.5, 0], [0, -0.25, 0], [0, 0, 0]]),
    "logaddexp": (
        lambda x: nr.logaddexp(x, nr.asarray([0.0, -np.inf, 900.0])),
        [0.0, -np.inf, 1.0],
        [[0.5, 0.5, 0], [0.25, 0, 0], [0, 0, 0]],
    ),
    "tanh": (nr.tanh, [-800.0, 0.0, 800.0], [[0, 1, 0], [0, 0, 0], [0, -2, 0]]),
    "guarded sqrt": (
        lambda x: nr.where(x > 0, nr.sqrt(x), 0),
        [0.0, -1.0, 4.0],
        [[0, 0, 0.25], [0, 0, -1 / 32]],
    ),
    "guarded sinc": (
        lambda x: nr.where(x != 0, nr.sin(x) / x, 1),
        [0.0, np.pi],
        [[0, -1 / np.pi], [0, 2 / np.pi**2]],
    ),
    "guarded log": (
        lambda x: nr.where(x > 1, nr.log(x), 0),
        [0.0, -1.0, 2.0],
        [[0, 0, 0.5], [0, 0, -0.25]],
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_awkward_points(name: str) -> None:
    f, x, want = ORDERS[name]
    for got, w in zip(derivatives(f, np.array(x), len(want)), want, strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-12, atol=1e-14)


def gradient_at(f: Callable[[Any], Any], x: Any) -> Any:
    return value(nr.grad(f)(nr.asarray(np.asarray(x, float))))


def test_awkward_reductions() -> None:
    for f in (nr.std, nr.norm, lambda x: nr.norm(x, 3), lambda x: nr.sqrt(nr.sum(x * x))):
        np.testing.assert_array_equal(gradient_at(f, [0.0, 0.0]), [0.0, 0.0])
        np.testing.assert_array_equal(value(nr.hessian(f)(nr.zeros(2))), np.zeros((2, 2)))
    np.testing.assert_array_equal(gradient_at(nr.std, [3.0, 3.0]), [0.0, 0.0])
    near = gradient_at(nr.std, [1.0, 1.0 + 1e-9])
    np.testing.assert_allclose(near, [-0.5, 0.5], rtol=1e-6)
    np.testing.assert_array_equal(gradient_at(nr.var, [3.0, 3.0]), [0.0, 0.0])
    np.testing.assert_allclose(gradient_at(nr.max, [1.0, 3.0, 3.0]), [0, 0.5, 0.5])
    np.testing.assert_allclose(gradient_at(nr.min, [1.0, 1.0, 3.0]), [0.5, 0.5, 0])
    np.testing.assert_allclose(gradient_at(nr.prod, [0.0, 2.0, 5.0]), [10.0, 0, 0])
    np.testing.assert_allclose(gradient_at(nr.prod, [0.0, 2.0, 0.0]), [0.0, 0, 0])
    total = lambda x: nr.sum(nr.cumprod(x))
    np.testing.assert_allclose(gradient_at(total, [2.0, 0.0, 3.0]), [1.0, 8.0, 0.0])
    want = [[0, 4, 0], [4, 0, 2], [0, 2, 0]]
    np.testing.assert_allclose(value(nr.hessian(total)(nr.asarray([2.0, 0.0, 3.0]))), want)


def test_rows_of_nothing() -> None:
    low = -np.inf
    x = np.array([[low, low], [0.0, low], [0.0, 0.0]])
    f = lambda x: nr.sum(nr.where(x < 9, nr.logsumexp(x, axis=1, keepdims=True), 0)[1:])
    np.testing.assert_allclose(gradient_at(f, x), [[0, 0], [2, 0], [1, 1]])
    g = lambda x: nr.sum(nr.exp(nr.logsumexp(x, axis=1)))
    np.testing.assert_allclose(gradient_at(g, x), [[0, 0], [1, 0], [1, 1]])
    h = nr.hessian(g)(nr.asarray(x))
    assert np.isfinite(value(h)).all()
    p = lambda x: nr.sum(nr.softmax(x) ** 2)
    np.testing.assert_allclose(gradient_at(p, x[1:]), np.zeros((2, 2)), atol=1e-15)


def test_indices_get_no_derivative() -> None:
    f = lambda x: x[nr.argmax(x)] + nr.sum(nr.floor(x)) + nr.sum(nr.asarray(x > 0) * 1.0)
    np.testing.assert_array_equal(gradient_at(f, [0.5, 2.5]), [0.0, 1.0])


def test_compiled_gradients_are_the_interpreted_ones() -> None:
    for name in (
        "slices",
        "gelu",
        "softplus",
        "logsumexp",
        "updates",
        "gathers",
        "einsum",
        "cumprod",
    ):
        f, x = SMOOTH[name]
        gradient = nr.grad(weighted(f))
        want = value(gradient(nr.asarray(x)))
        np.testing.assert_allclose(np.asarray(nr.jit(gradient)(x)), want, rtol=1e-12, atol=1e-13)
