"""Derivatives where calculus gives none or floating point loses it: finite, documented, and right."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr

LAZY = lambda f: f
MODES = pytest.mark.parametrize("mode", [LAZY, nr.jit], ids=["lazy", "jit"])


def second(f: Callable[..., Any]) -> Callable[..., Any]:
    """The diagonal's sum of the Hessian's rows: the gradient of the summed gradient."""
    return nr.grad(lambda x: nr.sum(nr.grad(f)(x)))


def check(got: Any, want: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=tolerance, atol=tolerance)


# -- guarded domains ------------------------------------------------------------------------------

X = np.array([-2.0, -0.0, 0.0, 0.25, 4.0])


def root(x: Any) -> Any:
    return nr.sum(nr.where(x > 0, nr.sqrt(x), 0))


def sinc(x: Any) -> Any:
    return nr.sum(nr.where(x != 0, nr.sin(x) / x, 1))


def masked_log(x: Any) -> Any:
    m = nr.asarray([False, False, False, True, True])
    return nr.sum(nr.where(m, nr.log(x), 0))


def reciprocal(x: Any) -> Any:
    return nr.sum(nr.where(x > 0, 1 / x, 0))


def inverted(x: Any) -> Any:
    return nr.sum(nr.where(x <= 0, 0, nr.log(x) * x + x**1.5))


def clipped_root(x: Any) -> Any:
    return nr.sum(nr.where(x > 0, nr.exp(nr.sqrt(x) * nr.log(x)), 0) ** 2)


def _closed(x: Any, mask: Any, f: Callable[[Any], Any]) -> Any:
    with np.errstate(all="ignore"):
        return np.where(mask, f(x), 0.0)


GUARDED: list[tuple[Any, Any, Any]] = [
    (root, lambda x: _closed(x, x > 0, lambda x: 0.5 / np.sqrt(x)),
     lambda x: _closed(x, x > 0, lambda x: -0.25 * x**-1.5)),
    (sinc, lambda x: _closed(x, x != 0, lambda x: (x * np.cos(x) - np.sin(x)) / x**2),
     lambda x: _closed(x, x != 0, lambda x: (2 * np.sin(x) - 2 * x * np.cos(x) - x**2 * np.sin(x)) / x**3)),
    (masked_log, lambda x: _closed(x, x > 0, lambda x: 1 / x),
     lambda x: _closed(x, x > 0, lambda x: -1 / x**2)),
    (reciprocal, lambda x: _closed(x, x > 0, lambda x: -1 / x**2),
     lambda x: _closed(x, x > 0, lambda x: 2 / x**3)),
    (inverted, lambda x: _closed(x, x > 0, lambda x: np.log(x) + 1 + 1.5 * x**0.5),
     lambda x: _closed(x, x > 0, lambda x: 1 / x + 0.75 * x**-0.5)),
]  # fmt: skip


@MODES
@pytest.mark.parametrize(("f", "slope", "curve"), GUARDED)
def test_guarded_domains(mode: Any, f: Any, slope: Any, curve: Any) -> None:
    x = nr.asarray(X)
    check(mode(nr.grad(f))(x), slope(X))
    check(mode(second(f))(x), curve(X))
    v = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    check(mode(lambda x, v: nr.jvp(f, (x,), (v,))[1])(x, v), np.sum(slope(X) * v))
    check(mode(nr.hvp(f))(x, nr.asarray(v)), curve(X) * v)
    check(mode(nr.hessian(f))(x), np.diag(curve(X)))
    check(mode(nr.vmap(nr.grad(lambda x: f(x))))(nr.asarray(np.stack([X, X]))), [slope(X)] * 2)


@MODES
def test_guarded_chain(mode: Any) -> None:
    """The guard holds through what surrounds the selection too."""
    gradient, hessian = mode(nr.grad(clipped_root))(X), mode(nr.hessian(clipped_root))(X)
    assert np.isfinite(np.asarray(gradient)).all()
    assert np.isfinite(np.asarray(hessian)).all()
    check(np.asarray(gradient)[:3], 0.0)

    def f(x: float) -> float:
        return math.exp(2 * math.sqrt(x) * math.log(x))

    for k in (3, 4):
        h = 1e-5
        check(np.asarray(gradient)[k], (f(X[k] + h) - f(X[k] - h)) / (2 * h), 1e-6)


@MODES
def test_guarded_reduction(mode: Any) -> None:
    """A selection inside a reduction, by rows, and the third order."""
    x = np.array([[0.0, 1.0, 4.0], [0.0, 0.0, 9.0]])

    def f(x: Any) -> Any:
        return nr.sum(nr.sum(nr.where(x > 0, nr.sqrt(x), 0), axis=1) ** 2)

    rows = np.sqrt(x).sum(1, keepdims=True)
    check(mode(nr.grad(f))(x), _closed(x, x > 0, lambda x: rows / np.sqrt(x)))
    third = nr.grad(lambda x: nr.sum(second(root)(x)))
    check(mode(third)(nr.asarray(X)), _closed(X, X > 0, lambda x: 0.375 * x**-2.5))


@MODES
def test_guards_seen_through_what_moves_and_sums(mode: Any) -> None:
    x = np.array([0.0, 1.0, 4.0])
    m = nr.asarray([False, True, True])
    slope = np.array([0.0, 1.0, 0.25])
    where, log, total = nr.where, nr.log, nr.sum
    for f, want in (
        (lambda x: total(where(m[:, None], nr.reshape(log(x), (3, 1)), 0)), slope),
        (lambda x: total(where(m, nr.broadcast_to(log(x), (2, 3)), 0)), 2 * slope),
        (lambda x: total(where(m, nr.flip(nr.flip(log(x))), 0)), slope),
        (lambda x: total(where(m, log(x)[nr.asarray([0, 1, 2])], 0)), slope),
        (lambda x: total(where(m[:2], log(x)[:2], 0)), [0, 1, 0]),
        (lambda x: total(where(m, nr.stack([log(x), log(x)]), 0)), 2 * slope),
        (lambda x: total(where(m, -log(x) * x / x, 0)), -slope),
        (lambda x: total(where(m, nr.astype(log(x), nr.float64) + log(x), 0)), 2 * slope),
    ):
        check(mode(nr.grad(f))(x), want)
    rows = np.array([[0.0, 1.0], [0.0, 4.0]])
    f = lambda x: total(where(nr.all(x > 0, axis=0), total(log(x), axis=0), 0))
    check(mode(nr.grad(f))(rows), [[0, 1], [0, 0.25]])
    nothing = nr.asarray([False, False])
    check(mode(nr.grad(lambda s: total(where(nothing, nr.log(s) * 2, 0))))(0.0), 0.0)
    check(mode(nr.grad(lambda s: total(where(nothing, nr.ones(2) * nr.log(s), 0))))(0.0), 0.0)
    check(mode(nr.grad(nr.atan2, argnums=(0, 1)))(0.0, 0.0), [0, 0])


# -- ties, zeros ----------------------------------------------------------------------------------


@MODES
def test_ties(mode: Any) -> None:
    zero = nr.asarray([0.0, -0.0])
    check(mode(nr.grad(lambda x: nr.sum(nr.abs(x))))(zero), [0, 0])
    check(mode(second(lambda x: nr.sum(nr.abs(x))))(zero), [0, 0])
    for f in (nr.maximum, nr.minimum):
        both = mode(nr.grad(lambda x, y, f=f: f(x, y), argnums=(0, 1)))(2.0, 2.0)
        check(both, [0.5, 0.5])
        check(mode(nr.grad(lambda x, f=f: f(x, x)))(2.0), 1.0)
    x = nr.asarray([1.0, 3.0, 3.0, 2.0])
    check(mode(nr.grad(nr.max))(x), [0, 0.5, 0.5, 0])
    check(mode(nr.grad(lambda x: nr.min(-x)))(x), [0, -0.5, -0.5, 0])
    check(mode(second(nr.max))(x), [0, 0, 0, 0])
    check(mode(nr.grad(lambda x: nr.sum(nr.relu(x))))(zero), [0, 0])
    check(
        mode(nr.grad(lambda x: nr.sum(nr.clip(x, 0.0, 1.0))))(nr.asarray([0.0, 0.5, 1.0])),
        [0.5, 1, 0.5],
    )


@MODES
def test_roots_and_norms_at_zero(mode: Any) -> None:
    check(mode(nr.grad(nr.sqrt))(0.0), 0.0)
    check(mode(nr.grad(nr.grad(nr.sqrt)))(0.0), 0.0)
    check(mode(nr.grad(nr.cbrt))(0.0), 0.0)
    zeros = nr.zeros(3)
    norm = nr.linalg.vector_norm
    check(mode(nr.grad(lambda x: norm(x)))(zeros), [0, 0, 0])
    assert np.isfinite(np.asarray(mode(nr.hessian(lambda x: norm(x)))(zeros))).all()
    check(mode(nr.grad(lambda x: nr.sum(norm(nr.reshape(x, (2, 2)), axis=1))))(nr.asarray([3.0, 4.0, 0.0, 0.0])),
          [0.6, 0.8, 0, 0])  # fmt: skip
    both = mode(nr.grad(nr.hypot, argnums=(0, 1)))(0.0, 0.0)
    check(both, [0, 0])
    check(mode(nr.grad(lambda z: nr.abs(z)))(nr.asarray(0j)), 0)


POWERS = [
    # exponent, first derivative at 0, second derivative at 0
    (0.0, 0.0, 0.0),
    (0.5, 0.0, 0.0),
    (1.0, 1.0, 0.0),
    (1.5, 0.0, 0.0),
    (2.0, 0.0, 2.0),
    (3.0, 0.0, 0.0),
]


@MODES
@pytest.mark.parametrize(("exponent", "slope", "curve"), POWERS)
def test_powers_at_zero(mode: Any, exponent: float, slope: float, curve: float) -> None:
    fixed = lambda x: x**exponent
    check(mode(nr.grad(fixed))(0.0), slope)
    check(mode(nr.grad(nr.grad(fixed)))(0.0), curve)
    check(mode(nr.grad(nr.pow))(0.0, exponent), slope)
    check(mode(nr.grad(nr.grad(nr.pow)))(0.0, exponent), curve)
    by_exponent = mode(nr.grad(nr.pow, argnums=1))(0.0, exponent)
    check(by_exponent, 0.0)
    both = mode(nr.grad(lambda x, p: nr.grad(nr.pow)(x, p), argnums=(0, 1)))(0.0, exponent)
    assert np.isfinite(np.asarray(both)).all()
    check(mode(nr.grad(fixed))(2.0), exponent * 2.0 ** (exponent - 1))
    check(
        mode(nr.grad(nr.grad(nr.pow)))(2.0, exponent),
        exponent * (exponent - 1) * 2.0 ** (exponent - 2),
    )


@MODES
@pytest.mark.parametrize("n", [2, 3])
def test_whole_powers_of_negative_bases(mode: Any, n: int) -> None:
    check(mode(nr.grad(lambda x: x**n))(-2.0), n * (-2.0) ** (n - 1))
    check(mode(nr.grad(nr.pow))(-2.0, float(n)), n * (-2.0) ** (n - 1))
    check(mode(nr.grad(nr.grad(nr.pow)))(-2.0, float(n)), n * (n - 1) * (-2.0) ** (n - 2))


# -- products with zeros --------------------------------------------------------------------------

FACTORS = [
    np.array([1.5, 0.0, 2.0]),
    np.array([1.5, 0.0, 2.0, 0.0, 3.0]),
    np.array([0.0, 0.0, 0.0, 2.0]),
    np.array([-1.0, 2.0, 0.5]),
    np.array([0.0]),
]


def product_derivatives(x: Any) -> tuple[Any, Any]:
    n = len(x)
    gradient = np.array([np.prod(np.delete(x, i)) for i in range(n)])
    hessian = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                hessian[i, j] = np.prod(np.delete(x, [i, j]))
    return gradient, hessian


@MODES
@pytest.mark.parametrize("x", FACTORS, ids=len)
def test_products_with_zeros(mode: Any, x: Any) -> None:
    gradient, hessian = product_derivatives(x)
    check(mode(nr.grad(nr.prod))(x), gradient)
    check(mode(nr.hessian(nr.prod))(x), hessian)
    check(mode(nr.jacrev(nr.jacfwd(nr.prod)))(x), hessian)
    jacobian = np.zeros((len(x), len(x)))
    second = np.zeros((len(x),) * 3)
    for k in range(len(x)):
        g, h = product_derivatives(x[: k + 1])
        jacobian[k, : k + 1] = g
        second[k, : k + 1, : k + 1] = h
    check(mode(nr.jacfwd(nr.cumulative_prod))(x), jacobian)
    check(mode(nr.jacrev(nr.cumulative_prod))(x), jacobian)
    check(mode(nr.hessian(nr.cumulative_prod))(x), second)


@MODES
@pytest.mark.parametrize("x", [[2.0, 3.0], [0.0, 3.0], [0.0, 0.0]], ids=str)
@pytest.mark.parametrize(
    "y", [[2.0, 3.0, 4.0], [0.0, 3.0, 4.0], [0.0, 0.0, 4.0], [2.0, 0.0, 0.0]], ids=str
)
def test_products_by_place_with_zeros(mode: Any, x: Any, y: Any) -> None:
    """A product that is updated, to second order: each factor's others, of which some are zero."""
    places = np.array([0, 0, 1])
    mine = lambda x, y: nr.sum(x.at[places].mul(y) * np.array([1.0, 2.0]))
    plain = lambda x, y: x[0] * y[0] * y[1] + 2.0 * x[1] * y[2]
    both = lambda f: (
        lambda x, y: (
            nr.grad(f, (0, 1))(x, y),
            nr.hessian(f, (0, 1))(x, y),
            nr.jacrev(nr.grad(f, (0, 1)), (0, 1))(x, y),
        )
    )
    args = nr.asarray(x), nr.asarray(y)
    got, want = (nr.tree.leaves(mode(both(f))(*args)) for f in (mine, plain))
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-14)


@MODES
def test_product_over_several_axes(mode: Any) -> None:
    x = np.array([[[1.5, 0.0], [2.0, 3.0]], [[0.0, 0.0], [1.0, 2.0]], [[1.0, 2.0], [4.0, 0.5]]])
    got = np.asarray(mode(nr.grad(lambda x: nr.sum(nr.prod(x, axis=(1, 2)))))(x))
    for k in range(3):
        check(got[k].ravel(), product_derivatives(x[k].ravel())[0])


# -- spread of constants --------------------------------------------------------------------------


@MODES
def test_spread_of_constants(mode: Any) -> None:
    for x in (np.full(5, 3.0), np.full(5, 0.1), np.zeros(4), np.full(3, 1e8)):
        check(mode(nr.std)(x), 0.0, 1e-7)
        gradient = np.asarray(mode(nr.grad(nr.std))(x))
        hessian = np.asarray(mode(nr.hessian(nr.std))(x))
        assert np.isfinite(gradient).all()
        assert np.isfinite(hessian).all()
        assert np.abs(gradient).max() <= 1.0
        check(mode(nr.grad(nr.var))(x), np.zeros_like(x), 1e-7)


@MODES
@pytest.mark.parametrize("spread", [1e-3, 1e-6, 1e-9, 1e-12])
def test_spread_of_near_constants(mode: Any, spread: float) -> None:
    shape = np.array([-1.0, 0.0, 2.0, -1.0])
    x = spread * shape
    want = (x - x.mean()) / (len(x) * x.std())
    check(mode(nr.grad(nr.std))(x), want, 1e-9)
    shifted = 1.0 + x
    exact = shifted - shifted.mean()
    want = exact / (len(x) * np.sqrt(np.mean(exact**2)))
    check(mode(nr.grad(nr.std))(shifted), want, max(1e-9, 1e-15 / spread))
    assert np.isfinite(np.asarray(mode(nr.hessian(nr.std))(shifted))).all()


# -- the ends of the number line ------------------------------------------------------------------


@MODES
def test_logsumexp_of_nothing(mode: Any) -> None:
    inf = math.inf
    x = np.array([[-inf, -inf, -inf], [0.0, -inf, 0.0], [1000.0, 999.0, -1000.0]])
    value = mode(lambda x: nr.logsumexp(x, axis=1))(x)
    check(np.asarray(value)[1:], [math.log(2), 1000 + math.log1p(math.exp(-1))])
    assert np.asarray(value)[0] == -inf
    e = math.exp(-1)
    want = np.array([[0, 0, 0], [0.5, 0, 0.5], [1 / (1 + e), e / (1 + e), 0]])
    summed = lambda x: nr.sum(nr.logsumexp(x, axis=1))
    check(mode(nr.grad(summed))(x), want)
    blocks = np.asarray(mode(nr.hessian(summed))(x))
    for row in range(3):
        p = want[row]
        check(blocks[row, :, row, :], np.diag(p) - np.outer(p, p))
    soft = mode(lambda x: nr.softmax(x, axis=1))(x[1:])
    check(soft, want[1:])


@MODES
def test_saturation(mode: Any) -> None:
    x = np.array([-1000.0, -40.0, 0.0, 40.0, 1000.0])
    sigmoid = 1 / (1 + np.exp(-np.maximum(x, -700)))
    check(mode(nr.softplus)(x), np.logaddexp(x, 0))
    check(mode(nr.sigmoid)(x), sigmoid)
    check(mode(nr.grad(lambda x: nr.sum(nr.softplus(x))))(x), sigmoid)
    check(mode(second(lambda x: nr.sum(nr.softplus(x))))(x), sigmoid * (1 - sigmoid), 1e-15)
    check(mode(nr.grad(lambda x: nr.sum(nr.sigmoid(x))))(x), sigmoid * (1 - sigmoid), 1e-15)
    for f in (nr.sigmoid, nr.softplus, nr.silu, nr.gelu, nr.tanh):
        for g in (
            f,
            lambda x, f=f: nr.grad(lambda x: nr.sum(f(x)))(x),
            second(lambda x, f=f: nr.sum(f(x))),
        ):
            assert np.isfinite(np.asarray(mode(g)(x))).all(), f
    y = np.array([1000.0, 0.0, -1000.0, 1000.0, 1000.0])
    check(mode(nr.logaddexp)(x, y), np.logaddexp(x, y))
    share = 1 / (1 + np.exp(np.clip(y - x, -700, 700)))
    gx, gy = mode(nr.grad(lambda x, y: nr.sum(nr.logaddexp(x, y)), argnums=(0, 1)))(x, y)
    check(gx, share)
    check(gy, 1 - share)
    infinite = mode(nr.grad(nr.logaddexp, argnums=(0, 1)))(-math.inf, -math.inf)
    assert np.isfinite(np.asarray(infinite)).all()
