"""Transforms composed: higher orders, nesting, pytrees, graph growth, and very long graphs."""

from __future__ import annotations

import math
import time
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.ir.node import toposort

LAZY = lambda f: f
MODES = pytest.mark.parametrize("mode", [LAZY, nr.jit], ids=["lazy", "jit"])


def check(got: Any, want: Any, tolerance: float = 1e-11) -> None:
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=tolerance, atol=tolerance)


def nth(f: Callable[..., Any], n: int) -> Callable[..., Any]:
    for _ in range(n):
        f = nr.grad(f)
    return f


# -- high orders against closed forms -------------------------------------------------------------

T = math.tanh(0.7)
ORDERS: list[tuple[str, Callable[[Any], Any], float, list[float]]] = [
    ("sin", nr.sin, 0.7, [math.cos(0.7), -math.sin(0.7), -math.cos(0.7), math.sin(0.7)]),
    ("exp2x", lambda x: nr.exp(2 * x), 0.7, [2**n * math.exp(1.4) for n in (1, 2, 3, 4)]),
    ("log", nr.log, 0.7, [1 / 0.7, -(0.7**-2), 2 * 0.7**-3, -6 * 0.7**-4]),
    ("reciprocal", lambda x: 1 / x, 0.7, [-(0.7**-2), 2 * 0.7**-3, -6 * 0.7**-4, 24 * 0.7**-5]),
    ("fifth", lambda x: x**5, 0.7, [5 * 0.7**4, 20 * 0.7**3, 60 * 0.7**2, 120 * 0.7]),
    ("root", nr.sqrt, 0.7, [0.5 * 0.7**-0.5, -0.25 * 0.7**-1.5, 0.375 * 0.7**-2.5, -0.9375 * 0.7**-3.5]),
    ("tanh", nr.tanh, 0.7,
     [1 - T**2, -2 * T * (1 - T**2), (1 - T**2) * (6 * T**2 - 2), (1 - T**2) * (16 * T - 24 * T**3)]),
    ("power", lambda x: nr.pow(x, 2.5), 0.7,
     [2.5 * 0.7**1.5, 3.75 * 0.7**0.5, 1.875 * 0.7**-0.5, -0.9375 * 0.7**-1.5]),
    ("gauss", lambda x: nr.exp(-x * x), 0.7,
     [math.exp(-0.49) * p for p in (-1.4, 4 * 0.49 - 2, -8 * 0.343 + 12 * 0.7, 16 * 0.2401 - 48 * 0.49 + 12)]),
    ("erf", nr.erf, 0.7,
     [2 / math.sqrt(math.pi) * math.exp(-0.49) * p for p in (1, -1.4, 4 * 0.49 - 2, -8 * 0.343 + 12 * 0.7)]),
]  # fmt: skip


@MODES
@pytest.mark.parametrize(("name", "f", "x", "want"), ORDERS, ids=[o[0] for o in ORDERS])
def test_four_orders(mode: Any, name: str, f: Any, x: float, want: list[float]) -> None:
    for n, value in enumerate(want, 1):
        check(mode(nth(f, n))(x), value)

    def forward(x: Any, n: int) -> Any:
        return f(x) if n == 0 else nr.jvp(lambda y: forward(y, n - 1), (x,), (1.0,))[1]

    check(forward(x, 4), want[3])
    check(mode(lambda x: nr.jvp(nth(f, 2), (x,), (1.0,))[1])(x), want[2])


@MODES
def test_third_order_of_many_variables(mode: Any) -> None:
    """Third derivatives of a product of powers are products of powers."""

    def f(x: Any) -> Any:
        return x[0] ** 3 * x[1] ** 2 * nr.exp(x[2])

    third = np.asarray(mode(nr.jacfwd(nr.hessian(f)))(np.array([2.0, 3.0, 0.5])))
    e = math.exp(0.5)
    check(third[0, 0, 0], 6 * 9 * e)
    check(third[0, 0, 1], 12 * 6 * e)
    check(third[0, 1, 2], 12 * 6 * e)
    check(third[1, 1, 0], 12 * 2 * e)
    check(third[2, 2, 2], 8 * 9 * e)
    for order in ((1, 0, 2), (2, 1, 0), (0, 2, 1)):
        check(np.transpose(third, order), third)


# -- nesting --------------------------------------------------------------------------------------


@MODES
def test_grad_inside_vmap_inside_grad(mode: Any) -> None:
    x = np.array([0.3, -0.2, 1.1])

    def f(a: Any) -> Any:
        return nr.sum(
            nr.vmap(nr.grad(lambda b, a: nr.sin(a * b) * b), in_axes=(0, None))(nr.asarray(x), a)
        )

    def exact(a: float) -> Any:
        return np.sum(a * x * np.cos(a * x) + np.sin(a * x))

    def slope(a: float) -> Any:
        return np.sum(2 * x * np.cos(a * x) - a * x**2 * np.sin(a * x))

    check(mode(f)(0.8), exact(0.8))
    check(mode(nr.grad(f))(0.8), slope(0.8))
    per_row = nr.vmap(nr.grad(f))
    check(mode(per_row)(np.array([0.8, 0.1])), [slope(0.8), slope(0.1)])


@MODES
def test_vmap_of_everything(mode: Any) -> None:
    x = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])
    f = lambda x: nr.sum(nr.sin(x) * x[0])
    rows = [np.asarray(nr.hessian(f)(nr.asarray(r))) for r in x]
    check(mode(nr.vmap(nr.hessian(f)))(x), rows)
    check(mode(nr.vmap(nr.vmap(nr.grad(nr.sin))))(x), np.cos(x))
    check(
        mode(nr.vmap(nr.jacrev(nr.sin), in_axes=1, out_axes=1))(x)[:, 0], np.diag(np.cos(x[:, 0]))
    )
    inner = nr.jit(nr.grad(nr.jit(f)))
    check(mode(nr.vmap(inner))(x), [np.asarray(nr.grad(f)(nr.asarray(r))) for r in x])


@MODES
def test_perturbations_are_not_confused(mode: Any) -> None:
    # The classic: d/dx (x * d/dy (x + y)) = 1, not 2.
    check(mode(nr.grad(lambda x: x * nr.grad(lambda y: x + y)(1.0)))(3.0), 1.0)
    check(mode(nr.grad(lambda x: x * nr.grad(lambda y: x * y)(2.0)))(3.0), 6.0)
    forward = lambda f, x: nr.jvp(f, (x,), (1.0,))[1]
    check(mode(lambda x: forward(lambda x: x * forward(lambda y: x + y, 1.0), x))(3.0), 1.0)
    check(mode(nr.grad(lambda x: x * forward(lambda y: x * y, 2.0)))(3.0), 6.0)
    check(mode(lambda x: forward(lambda x: x * nr.grad(lambda y: x * y)(2.0), x))(3.0), 6.0)
    # The same point inside and outside: nodes are interned, seeds are not.
    check(mode(nr.grad(lambda x: nr.grad(lambda y: x * y)(x)))(3.0), 1.0)
    check(mode(nr.grad(lambda x: nr.grad(lambda y: x * y**2)(x)))(3.0), 12.0)
    check(mode(nr.grad(lambda x: nr.grad(lambda y: y**3)(x) + x))(3.0), 19.0)
    # A function that hands out a function of an outer variable (Manzyuk et al.).
    check(nr.grad(lambda a: nr.grad(lambda b: (lambda c: a * b * c)(b))(2.0))(3.0), 4.0)


@MODES
def test_stop_gradient(mode: Any) -> None:
    check(mode(nr.grad(lambda x: x**2 * nr.stop_gradient(x)))(3.0), 18.0)
    check(mode(nr.grad(lambda x: nr.grad(lambda y: y * nr.stop_gradient(x * y))(x)))(3.0), 0.0)
    got = mode(nr.grad(lambda p: p["a"] * nr.stop_gradient(p)["b"]))({"a": 2.0, "b": 3.0})
    check([got["a"], got["b"]], [3.0, 0.0])


# -- pytrees, argnums, aux ------------------------------------------------------------------------

Pair = namedtuple("Pair", "left right")


def tree_loss(p: dict[str, Any], q: Pair, s: Any) -> Any:
    return nr.sum(p["w"] * q.left) * s + nr.sum(p["b"] ** 2) * nr.sum(q.right)


P = {"w": np.array([1.0, 2.0]), "b": np.array([3.0])}
Q = Pair(np.array([4.0, 5.0]), np.array([6.0, 7.0, 8.0]))


@MODES
def test_gradients_of_trees(mode: Any) -> None:
    gp, gq = mode(nr.grad(tree_loss, argnums=(0, 1)))(P, Q, 2.0)
    assert type(gq) is Pair
    assert sorted(gp) == ["b", "w"]
    check(gp["w"], [8.0, 10.0])
    check(gp["b"], [126.0])
    check(gq.left, [2.0, 4.0])
    check(gq.right, [9.0, 9.0, 9.0])
    check(mode(nr.grad(tree_loss, argnums=-1))(P, Q, 2.0), 14.0)
    value, slope = mode(nr.value_and_grad(tree_loss, argnums=2))(P, Q, 2.0)
    check([value, slope], [28.0 + 9 * 21, 14.0])


@MODES
def test_aux(mode: Any) -> None:
    f = lambda x: (nr.sum(x**2), {"x": x * 2, "n": None})
    x = np.array([1.0, 2.0])
    slope, aux = mode(nr.grad(f, has_aux=True))(x)
    check(slope, 2 * x)
    check(aux["x"], 2 * x)
    assert aux["n"] is None
    (value, aux), slope = mode(nr.value_and_grad(f, has_aux=True))(x)
    check([value, *np.asarray(slope), *np.asarray(aux["x"])], [5, 2, 4, 2, 4])
    for jacobian in (nr.jacfwd, nr.jacrev):
        got, aux = mode(jacobian(lambda x: (x**2, x + 1), has_aux=True))(x)
        check(got, np.diag(2 * x))
        check(aux, x + 1)
    got, aux = mode(nr.hessian(f, has_aux=True))(x)
    check(got, 2 * np.eye(2))
    check(aux["x"], 2 * x)
    out, pull, aux = nr.vjp(f, nr.asarray(x), has_aux=True)
    check(out, 5.0)
    check(pull(1.0)[0], 2 * x)
    out, push, aux = nr.linearize(f, nr.asarray(x), has_aux=True)
    check(push(x), 10.0)
    out, tangent, aux = nr.jvp(f, (x,), (x,), has_aux=True)
    check([out, tangent], [5.0, 10.0])
    check(aux["x"], 2 * x)


@MODES
def test_jacobians_of_trees(mode: Any) -> None:
    f = lambda p, s: {"y": p["a"] * nr.sum(p["b"]), "z": s * nr.sum(p["a"] ** 2)}
    p = {"a": np.array([1.0, 2.0]), "b": np.array([[3.0, 4.0, 5.0]])}
    for jacobian in (nr.jacfwd, nr.jacrev):
        j = mode(jacobian(f))(p, 2.0)
        check(j["y"]["a"], 12 * np.eye(2))
        check(j["y"]["b"], np.multiply.outer([1.0, 2.0], np.ones((1, 3))))
        check(j["z"]["a"], [4.0, 8.0])
        check(j["z"]["b"], np.zeros((1, 3)))
        both = mode(jacobian(f, argnums=(0, 1)))(p, 2.0)
        check(both["z"][1], 5.0)
        check(both["y"][1], np.zeros(2))
        check(both["y"][0]["a"], 12 * np.eye(2))


@MODES
def test_hessians_of_trees(mode: Any) -> None:
    f = lambda p: nr.sum(p["a"] ** 2) * p["b"] ** 3
    p = {"a": np.array([1.0, 2.0]), "b": np.array(2.0)}
    h = mode(nr.hessian(f))(p)
    check(h["a"]["a"], 16 * np.eye(2))
    check(h["a"]["b"], [24.0, 48.0])
    check(h["b"]["a"], [24.0, 48.0])
    check(h["b"]["b"], 60.0)
    v = {"a": np.array([1.0, -1.0]), "b": np.array(0.5)}
    got = mode(nr.hvp(f))(p, v)
    check(got["a"], [16 + 12, -16 + 24])
    check(got["b"], 24 - 48 + 30)
    g = lambda s, x: s * nr.sum(x**3)
    check(mode(nr.hvp(g, argnums=1))(2.0, np.array([1.0, 2.0]), np.array([1.0, 1.0])), [12.0, 24.0])


def test_linear_functions_of_a_point() -> None:
    f = lambda x, y: {"p": x * y, "s": nr.sin(x)}
    x, y = np.array([0.1, 0.2]), np.array([3.0, 4.0])
    out, push = nr.linearize(f, x, y)
    check(out["p"], x * y)
    for tx, ty in ((np.ones(2), np.zeros(2)), (x, y)):
        got, want = push(tx, ty), nr.jvp(f, (x, y), (tx, ty))[1]
        check(got["p"], want["p"])
        check(got["s"], want["s"])
    _, pull = nr.vjp(f, x, y)
    for _ in range(2):
        gx, gy = pull({"p": np.ones(2), "s": np.array([1.0, 0.0])})
        check(gx, y + np.array([math.cos(0.1), 0.0]))
        check(gy, x)
    rows = nr.vmap(pull)({"p": np.eye(2), "s": np.zeros((2, 2))})
    check(rows[0], np.diag(y))


# -- how graphs grow ------------------------------------------------------------------------------


def black_scholes(s: Any) -> Any:
    d1 = (nr.log(s / 100.0) + (0.03 + 0.5 * 0.2**2) * 1.5) / (0.2 * math.sqrt(1.5))
    d2 = d1 - 0.2 * math.sqrt(1.5)
    cdf = lambda x: 0.5 * nr.erfc(-x / math.sqrt(2.0))
    return s * cdf(d1) - 100.0 * math.exp(-0.045) * cdf(d2)


GROWTH: list[tuple[str, Callable[[Any], Any], float, tuple[int, ...]]] = [
    ("sin(x) exp(x)", lambda x: nr.sin(x) * nr.exp(x), 0.5, (6, 14, 25, 38, 60)),
    ("tanh(tanh(x))", lambda x: nr.tanh(nr.tanh(x)), 0.5, (5, 17, 35, 80, 180)),
    ("log(1 + x x)", lambda x: nr.log(1 + x * x), 0.5, (8, 13, 25, 38, 60)),
    ("x sqrt(1 + x x)", lambda x: x * nr.sqrt(1 + x * x), 0.5, (8, 24, 40, 80, 150)),
    ("Black-Scholes", black_scholes, 105.0, (32, 60, 100, 190, 350)),
]


def test_node_counts_by_order() -> None:
    """Graphs stay moderate: counts of nodes by order of the derivative."""
    lines = [f"{'':18s}" + "".join(f"order {n}".rjust(9) for n in range(5))]
    for name, f, x, bounds in GROWTH:
        counts = []
        for n, bound in enumerate(bounds):
            traced = nr.jit(nth(f, n)).trace(x)
            counts.append(len(toposort(traced.outputs)))
            assert counts[-1] <= bound, f"{name}, order {n}: {counts}"
        lines.append(f"{name:18s}" + "".join(f"{c:9d}" for c in counts))
    print("\n" + "\n".join(lines))


# -- very long graphs -----------------------------------------------------------------------------

LONG = 100_000


def chain(x: Any, n: int = LONG) -> Any:
    for k in range(n // 2):
        x = x * 0.5 + (0.25 if k % 2 else 0.5)
    return x


@pytest.mark.slow
@MODES
def test_a_hundred_thousand_operations(mode: Any) -> None:
    begin = time.perf_counter()
    want = 0.3
    for k in range(LONG // 2):
        want = want * 0.5 + (0.25 if k % 2 else 0.5)
    check(mode(chain)(0.3), want)
    check(mode(nr.grad(chain))(0.3), 0.0)
    swing = lambda x: chain(nr.sin(x) * 2.0**200, 200)
    check(mode(nr.grad(swing))(0.3), math.cos(0.3) * 2.0**100)
    assert time.perf_counter() - begin < 240


@MODES
def test_hvp_of_several_arguments_and_aux(mode: Any) -> None:
    def f(x: Any, y: Any, s: float = 1.0) -> Any:
        return s * nr.sum(x**2 * y)

    x, y, u, v = (np.array(a) for a in ([1.0, 2.0], [3.0, 4.0], [0.5, 1.0], [2.0, -1.0]))
    want_x, want_y = 2 * y * u + 2 * x * v, 2 * x * u
    hx, hy = mode(nr.hvp(f, (0, 1)))(x, y, (u, v))
    check(hx, want_x)
    check(hy, want_y)
    hy, hx = mode(nr.hvp(f, argnums=(-1, 0)))(x, y, (v, u))
    check(hx, want_x)
    check(hy, want_y)
    (hx,) = mode(nr.hvp(f, (0,)))(x, (u,), y)
    check(hx, 2 * y * u)
    got, aux = mode(nr.hvp(lambda x: (nr.sum(x**3), {"x": x}), has_aux=True))(x, u)
    check(got, 6 * x * u)
    check(aux["x"], x)


def test_hvp_without_its_direction() -> None:
    with pytest.raises(nr.errors.GradientError, match="a direction after it"):
        nr.hvp(nr.sum)(1.0)
    with pytest.raises(nr.errors.GradientError, match="a tuple of them for several argnums"):
        nr.hvp(nr.multiply, (0, 1))(1.0, 2.0, 1.0)
