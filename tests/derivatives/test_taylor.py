"""jet and laplacian: against nested derivatives, closed forms and mpmath."""

from __future__ import annotations

import functools
from typing import Any

import mpmath
import numpy as np
import pytest

import numr as nr
from numr.errors import GradientError, ShapeError

rng = np.random.default_rng(4)
W = nr.asarray(rng.normal(size=(3, 3)) / 2)

# Functions of one positive number, and the same in mpmath.
SCALAR: dict[str, tuple[Any, Any]] = {
    "exp sin": (lambda x: nr.exp(nr.sin(x)), lambda x: mpmath.exp(mpmath.sin(x))),
    "log": (nr.log, mpmath.log),
    "quotient": (lambda x: nr.sin(x) / (1.0 + x**2), lambda x: mpmath.sin(x) / (1 + x**2)),
    "root": (lambda x: nr.sqrt(1.0 + x), lambda x: mpmath.sqrt(1 + x)),
    "power": (lambda x: x**2.5, lambda x: x ** mpmath.mpf(2.5)),
    "tan tanh": (
        lambda x: nr.tan(x / 2) * nr.tanh(x),
        lambda x: mpmath.tan(x / 2) * mpmath.tanh(x),
    ),
    "erf": (lambda x: nr.special.erf(x), mpmath.erf),
    "atan": (nr.atan, mpmath.atan),
    "lgamma": (nr.special.gammaln, mpmath.loggamma),
}


@pytest.mark.parametrize("name", SCALAR)
def test_sixth_order_against_mpmath(name: str) -> None:
    f, exact = SCALAR[name]
    order, at = 6, 0.7
    if name == "lgamma":
        order = 2
    with mpmath.workdps(40):
        want = [float(c) for c in mpmath.taylor(exact, mpmath.mpf(at), order)]
    y, terms = nr.jet(f, (at,), ([1.0, *(0.0 for _ in range(order - 1))],))
    got = [y.item(), *(t.item() / float(mpmath.factorial(k)) for k, t in enumerate(terms, 1))]
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


def network(x: Any) -> Any:
    y = nr.tanh(W @ x) * nr.softmax(x)
    y = nr.cumsum(y[::-1]) / nr.sum(nr.exp(x))
    return {"y": nr.where(y > 0.0, nr.sin(y), y**2), "m": nr.max(x) * nr.linalg.norm(x)}


def nested(f: Any, x: Any, terms: Any) -> Any:
    """The same by derivatives of derivatives along the curve."""

    def curve(t: Any) -> Any:
        powers = [t ** (k + 1) / float(mpmath.factorial(k + 1)) for k in range(len(terms))]
        return functools.reduce(
            lambda a, b: a + b, [v * p for v, p in zip(terms, powers, strict=True)], x
        )

    found, g = [], lambda t: f(curve(t))
    for _ in terms:
        g = slope(g)
        found.append(g(0.0))
    return found


def slope(g: Any) -> Any:
    return lambda t: nr.jvp(g, (t,), (1.0,))[1]


@pytest.mark.parametrize("how", ["lazy", "jit", "reference"])
def test_a_network_along_a_curve(how: str) -> None:
    x, *terms = (nr.asarray(v) for v in rng.normal(size=(4, 3)))
    run = lambda x, terms: nr.jet(network, (x,), (terms,))
    if how != "lazy":
        run = nr.jit(run, device="reference" if how == "reference" else None)
    y, got = run(x, terms)
    np.testing.assert_allclose(y["y"], network(x)["y"])
    for a, b in zip(got, nested(network, x, terms), strict=True):
        for key in ("y", "m"):
            np.testing.assert_allclose(a[key], b[key], rtol=1e-9, atol=1e-9)


def test_jet_composes() -> None:
    """Under vmap, and differentiated itself."""
    xs = nr.asarray(rng.uniform(0.5, 1.5, size=5))
    third = lambda x: nr.jet(lambda x: nr.log(x) * nr.sin(x), (x,), ([1.0, 0.0, 0.0],))[1][2]
    plain = nr.grad(nr.grad(nr.grad(lambda x: nr.log(x) * nr.sin(x))))
    np.testing.assert_allclose(nr.vmap(third)(xs), nr.vmap(plain)(xs), rtol=1e-10)
    np.testing.assert_allclose(nr.grad(third)(0.8), nr.grad(plain)(0.8), rtol=1e-10)


def test_several_arguments_and_loops() -> None:
    def f(x: Any, p: Any) -> Any:
        return nr.scan(lambda c, r: (nr.sin(c) * r + p["a"], c), x, nr.arange(1.0, 4.0))[0]

    x, p = 0.3, {"a": 0.5}
    _, terms = nr.jet(f, (x, p), ([1.0, 0.5], [{"a": -1.0}, {"a": 0.25}]))
    first = nr.jvp(f, (x, p), (1.0, {"a": -1.0}))[1]
    curve = lambda t: f(x + t + 0.25 * t**2, {"a": 0.5 - t + 0.125 * t**2})
    np.testing.assert_allclose(terms[0], first, rtol=1e-12)
    np.testing.assert_allclose(terms[1], nr.grad(nr.grad(curve))(0.0), rtol=1e-10)


def test_cost_grows_slowly_with_the_order() -> None:
    """Nested derivatives double with each order; series do not."""
    f = lambda x: nr.tanh(nr.sin(x) * nr.exp(x))
    counts = []
    for order in (4, 8):
        run = nr.jit(lambda x, k=order: nr.jet(f, (x,), ([1.0] + [0.0] * (k - 1),))[1])
        counts.append(len(str(run.lower(0.3).graph).splitlines()))
    assert counts[1] < 5 * counts[0]


@pytest.mark.parametrize("how", ["lazy", "jit", "reference"])
def test_laplacian_is_the_trace_of_the_hessian(how: str) -> None:
    f = lambda x: nr.sum(nr.tanh(W @ x) ** 2) * nr.exp(-nr.sum(x**2))
    run = nr.laplacian(f)
    if how != "lazy":
        run = nr.jit(run, device="reference" if how == "reference" else None)
    x = nr.asarray(rng.normal(size=3))
    np.testing.assert_allclose(run(x), nr.trace(nr.hessian(f)(x)), rtol=1e-11)


def test_harmonic_functions_and_structures() -> None:
    inverse = nr.laplacian(lambda p: 1.0 / nr.sqrt(p["x"] ** 2 + p["y"] ** 2 + p["z"] ** 2))
    assert abs(inverse({"x": 0.3, "y": -0.4, "z": 1.2}).item()) < 1e-13
    waves = nr.laplacian(lambda x: (nr.sin(x), "kept"), has_aux=True)
    xs = nr.asarray(rng.normal(size=4))
    got, aux = waves(xs)
    np.testing.assert_allclose(got, -nr.sin(xs), rtol=1e-12)
    assert aux == "kept"
    rows = nr.vmap(nr.laplacian(lambda x: nr.sum(x**4)))(nr.reshape(nr.arange(6.0), (3, 2)))
    np.testing.assert_allclose(rows, [12.0, 156.0, 492.0])


def test_errors() -> None:
    with pytest.raises(GradientError, match="all to one order, not lists of 1, 2"):
        nr.jet(lambda x, y: x * y, (1.0, 2.0), ([1.0], [1.0, 0.0]))
    with pytest.raises(GradientError, match=r"numr.jet: <lambda>: .*int64"):
        nr.jet(lambda x: x, (1,), ([1.0],))
    with pytest.raises(ShapeError, match=r"jet: series\[0\] has shape \(2,\), its primal \(3,\)"):
        nr.jet(lambda x: x, (nr.ones(3),), ([nr.ones(2)],))
