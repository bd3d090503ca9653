"""Transposes, linear solves, roots and fixed points: against closed forms, to second order, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import GradientError, ShapeError, TreeMismatchError

rng = np.random.default_rng(2)
A = rng.normal(size=(4, 4)) + 4 * np.eye(4)
B = rng.normal(size=4)

ORDERS = {
    "grad": nr.grad,
    "jacfwd": nr.jacfwd,
    "forward over reverse": lambda f: nr.jacfwd(nr.grad(f)),
    "reverse over reverse": lambda f: nr.jacrev(nr.grad(f)),
    "reverse over forward": lambda f: nr.jacrev(nr.jacfwd(f)),
    "vmap of grad": lambda f: lambda x: nr.vmap(nr.grad(f))(nr.stack([x, 1.1 * x])),
    "grad of vmap": lambda f: nr.grad(lambda x: nr.sum(nr.vmap(f)(nr.stack([x, 1.1 * x])))),
}


def check(mine: Any, plain: Any, x: Any, tolerance: float = 1e-9) -> None:
    for name, transform in ORDERS.items():
        want = transform(plain)(nr.asarray(x)).numpy()
        got = transform(mine)
        for run in (got, nr.jit(got), nr.jit(got, device="reference")):
            np.testing.assert_allclose(
                run(nr.asarray(x)), want, rtol=tolerance, atol=tolerance, err_msg=name
            )


# -- linear_transpose ------------------------------------------------------------------------------

LINEAR = {
    "matrix": (lambda x: nr.asarray(A[:2]) @ x, (4,)),
    "differences": (lambda x: x[1:] - 2.0 * x[:-1], (4,)),
    "masked": (lambda x: nr.where(nr.asarray(B) > 0, x, 0.0)[::-1], (4,)),
    "sums": (lambda x: (nr.sum(x), nr.cumsum(x) / 3.0), (4,)),
    "loop": (lambda x: nr.scan(lambda c, r: (0.5 * c + r, c), 0.0, x), (4,)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_transposes_are_adjoint(name: str) -> None:
    """<A x, u> = <x, A' u>."""
    f, shape = LINEAR[name]
    x = rng.normal(size=shape)
    out = f(nr.asarray(x))
    u = nr.tree.map(lambda y: nr.asarray(rng.normal(size=y.shape)), out)
    (back,) = nr.linear_transpose(f, nr.zeros(shape))(u)
    pairs = zip(nr.tree.leaves(out), nr.tree.leaves(u), strict=True)
    assert sum(np.vdot(a, b) for a, b in pairs) == pytest.approx(float(np.vdot(x, back)))


def test_transposes_of_several_arguments_under_jit_and_vmap() -> None:
    f = nr.linear_transpose(lambda p, y: 2.0 * p["x"] + y, {"x": nr.zeros(3)}, nr.zeros(3))
    p, y = nr.jit(f)(nr.ones(3))
    assert p["x"].tolist() == [2.0] * 3
    assert y.tolist() == [1.0] * 3
    g = nr.linear_transpose(lambda x: nr.asarray(A) @ x, nr.zeros(4))
    np.testing.assert_allclose(nr.vmap(g)(np.eye(4))[0], A, rtol=1e-12)
    h = nr.linear_transpose(lambda z: 1j * z, nr.zeros(1, dtype="complex128"))
    np.testing.assert_array_equal(h(nr.asarray([1.0 + 0j]))[0], [1j])


def test_linear_transpose_refuses() -> None:
    with pytest.raises(GradientError, match="sin is not linear in its arguments"):
        nr.linear_transpose(nr.sin, 0.0)
    with pytest.raises(GradientError, match=r"args\[0\] is int64"):
        nr.linear_transpose(lambda x: x, nr.arange(3))
    with pytest.raises(ShapeError, match=r"cotangents has shape \(2,\), its primal \(3,\)"):
        nr.linear_transpose(lambda x: x, nr.zeros(3))(nr.zeros(2))


# -- solves ----------------------------------------------------------------------------------------


def conjugate_gradients(matvec: Any, b: Any) -> Any:
    """For symmetric positive definite matrices; its loop cannot be gone through backwards."""

    def on(s: Any) -> Any:
        x, r, p, k = s
        ap = matvec(p)
        alpha = nr.sum(r * r) / nr.sum(p * ap)
        new = r - alpha * ap
        return x + alpha * p, new, new + nr.sum(new * new) / nr.sum(r * r) * p, k + 1

    start = (0.0 * b, b, b, 0)
    return nr.while_loop(lambda s: (nr.sum(s[1] ** 2) > 1e-26) & (s[3] < 50), on, start)[0]


def test_a_solve_by_conjugate_gradients() -> None:
    spd = nr.asarray(A @ A.T)

    def with_(solver: Any) -> Any:
        return lambda x: nr.sum(solver(spd * (1.0 + nr.sum(x**2)) + nr.diag(x**2), nr.sin(x)) ** 2)

    def mine(m: Any, b: Any) -> Any:
        return nr.custom_linear_solve(lambda x: m @ x, b, conjugate_gradients, symmetric=True)

    check(with_(mine), with_(nr.solve), B)


def test_a_solve_that_is_not_symmetric() -> None:
    def solve(matvec: Any, b: Any) -> Any:
        return nr.solve(nr.jacfwd(matvec)(nr.zeros_like(b)), b)

    def with_(solver: Any) -> Any:
        return lambda x: nr.sum(solver(nr.asarray(A) + nr.outer(x, x**2), nr.cos(x)) ** 2)

    def mine(m: Any, b: Any) -> Any:
        return nr.custom_linear_solve(lambda x: m @ x, b, solve)

    check(with_(mine), with_(nr.solve), B)


# -- roots -----------------------------------------------------------------------------------------


def newton(f: Any, x: Any) -> Any:
    def on(s: Any) -> Any:
        x, k = s
        step = f(x) / nr.jvp(f, (x,), (nr.ones_like(x),))[1]
        return x - step, k + 1

    return nr.while_loop(lambda s: (nr.max(nr.abs(f(s[0]))) > 1e-13) & (s[1] < 60), on, (x, 0))[0]


def test_cube_roots() -> None:
    """Elementwise: x**3 = a**2 + 1, with a loop that reverse mode could not go through."""

    def mine(a: Any) -> Any:
        c = a**2 + 1.0
        return nr.sum(nr.custom_root(lambda x: x**3 - c, nr.ones_like(a), newton))

    check(mine, lambda a: nr.sum((a**2 + 1.0) ** (1 / 3)), B)


def test_a_system_of_equations_in_a_structure() -> None:
    """r cos(t) = x, r sin(t) = y has polar coordinates as its root."""

    def solve(f: Any, start: Any) -> Any:
        def on(_: Any, v: Any) -> Any:
            flat = lambda v: nr.stack([*f({"r": v[0], "t": v[1]}).values()])
            return v - nr.solve(nr.jacfwd(flat)(v), flat(v))

        r, t = nr.fori_loop(0, 30, on, nr.stack([start["r"], start["t"]]))
        return {"r": r, "t": t}

    def mine(p: Any) -> Any:
        def equations(v: Any) -> Any:
            return {"r": v["r"] * nr.cos(v["t"]) - p[0], "t": v["r"] * nr.sin(v["t"]) - p[1]}

        found = nr.custom_root(equations, {"r": 1.0, "t": 0.5}, solve)
        return found["r"] ** 2 * found["t"]

    check(mine, lambda p: nr.sum(p**2) * nr.atan2(p[1], p[0]), np.array([1.2, 0.7]))


def test_what_a_root_refuses() -> None:
    with pytest.raises(TreeMismatchError, match="initial_guess"):
        nr.custom_root(lambda x: (x, x), 1.0, newton)
    with pytest.raises(ShapeError, match=r"shape \(2,\) for initial_guess, which has shape \(3,\)"):
        nr.custom_root(lambda x: x[:2], nr.ones(3), newton)
    with pytest.raises(ShapeError, match=r"the rule short returned a result of shape \(2,\)"):

        def short(f: Any, x: Any) -> Any:
            return x[:2]

        nr.custom_root(lambda x: x, nr.ones(3), short)


# -- fixed points ----------------------------------------------------------------------------------


def test_fixed_points() -> None:
    """x = tanh(W x + p), against Newton's method by the matrix, differentiated as a root."""
    w = nr.asarray(rng.normal(size=(4, 4)) / 6)

    def mine(p: Any) -> Any:
        return nr.sum(nr.fixed_point(lambda x: nr.tanh(w @ x + p), nr.zeros(4)) ** 2)

    def unrolled(p: Any) -> Any:
        x = nr.zeros(4)
        return nr.sum(nr.fori_loop(0, 60, lambda _, x: nr.tanh(w @ x + p), x) ** 2)

    check(mine, unrolled, B, 1e-8)


def test_a_fixed_point_of_a_structure_in_single_precision() -> None:
    def find(a: Any) -> Any:
        f = lambda s: {"x": 0.5 * (s["x"] + a / s["x"]), "y": s["x"]}
        return nr.fixed_point(f, {"x": a, "y": a})["y"]

    a = nr.asarray([4.0, 9.0], dtype="float32")
    np.testing.assert_allclose(find(a), [2.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(nr.grad(lambda a: nr.sum(find(a)))(a), [0.25, 1 / 6], rtol=1e-5)


def test_a_fixed_point_that_is_none_ends() -> None:
    assert nr.fixed_point(lambda x: 2.0 * x, 1.0, max_steps=5).item() == 2.0**6
