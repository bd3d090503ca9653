"""jet and laplacian: against nested derivatives, closed forms and mpmath."""

from __future__ import annotations

import functools
import re
from typing import Any

import mpmath
import numpy as np
import pytest

import numr as nr
from numr.errors import GradientError, ShapeError
from numr.ir.primitive import REGISTRY
from numr.primitives.elementwise import Elementwise

rng = np.random.default_rng(4)
W = nr.asarray(rng.normal(size=(3, 3)) / 2)

m = mpmath
COMPLEX = 2.0j

# Functions of one number, the same in mpmath, and where: every elementwise operation with a derivative is
# in one of them, and some that are made of several.
SCALAR: dict[str, tuple[Any, Any, float]] = {
    "abs": (nr.abs, abs, -0.7),
    "sqrt": (nr.sqrt, m.sqrt, 0.7),
    "cbrt": (nr.cbrt, m.cbrt, 0.7),
    "exp": (nr.exp, m.exp, 0.7),
    "exp2": (nr.exp2, lambda x: m.mpf(2) ** x, 0.7),
    "expm1": (nr.expm1, m.expm1, 0.7),
    "log": (nr.log, m.log, 0.7),
    "log2": (nr.log2, lambda x: m.log(x) / m.log(2), 0.7),
    "log10": (nr.log10, m.log10, 0.7),
    "log1p": (nr.log1p, m.log1p, 0.7),
    "sin": (nr.sin, m.sin, 0.7),
    "cos": (nr.cos, m.cos, 0.7),
    "tan": (nr.tan, m.tan, 0.7),
    "asin": (nr.asin, m.asin, 0.4),
    "acos": (nr.acos, m.acos, 0.4),
    "atan": (nr.atan, m.atan, 0.7),
    "sinh": (nr.sinh, m.sinh, 0.7),
    "cosh": (nr.cosh, m.cosh, 0.7),
    "tanh": (nr.tanh, m.tanh, 0.7),
    "asinh": (nr.asinh, m.asinh, 0.7),
    "acosh": (nr.acosh, m.acosh, 1.7),
    "atanh": (nr.atanh, m.atanh, 0.4),
    "erf": (nr.erf, m.erf, 0.7),
    "erfc": (nr.erfc, m.erfc, 0.7),
    "lgamma": (nr.lgamma, m.loggamma, 1.7),
    "digamma": (nr.digamma, m.digamma, 1.7),
    "polygamma": (lambda x: nr.polygamma(2, x), lambda x: m.psi(2, x), 1.7),
    "reciprocal": (nr.reciprocal, lambda x: 1 / x, -0.7),
    "square": (nr.square, lambda x: x * x, 0.7),
    "negative": (lambda x: 1.0 - nr.negative(x) + x, lambda x: 1 + 2 * x, 0.7),
    "sigmoid": (nr.sigmoid, lambda x: 1 / (1 + m.exp(-x)), 0.7),
    "softplus": (nr.softplus, lambda x: m.log(1 + m.exp(x)), 0.7),
    "log_sigmoid": (nr.log_sigmoid, lambda x: -m.log(1 + m.exp(-x)), 0.7),
    "silu": (nr.silu, lambda x: x / (1 + m.exp(-x)), 0.7),
    "gelu": (nr.gelu, lambda x: x * m.ncdf(x), 0.7),
    "relu": (nr.relu, lambda x: x, 0.7),
    "leaky_relu": (nr.leaky_relu, lambda x: m.mpf(0.01) * x, -0.7),
    "pow": (lambda x: x**2.5, lambda x: x ** m.mpf(2.5), 0.7),
    "pow of an integer": (lambda x: x**5, lambda x: x**5, -0.7),
    "pow of a base": (lambda x: 3.0**x, lambda x: m.mpf(3) ** x, 0.7),
    "pow of both": (lambda x: x**x, lambda x: x**x, 0.7),
    "hypot": (lambda x: nr.hypot(x, 2.0), lambda x: m.sqrt(x * x + 4), 0.7),
    "atan2": (lambda x: nr.atan2(x, 1 + x), lambda x: m.atan2(x, 1 + x), 0.7),
    "logaddexp": (
        lambda x: nr.logaddexp(x, 2 * x),
        lambda x: m.log(m.exp(x) + m.exp(2 * x)),
        0.7,
    ),
    "remainder": (lambda x: x % 0.5, lambda x: x - m.mpf(0.5), 0.7),
    "fmod": (lambda x: nr.fmod(x, 0.5), lambda x: x - m.mpf(0.5), 0.7),
    "copysign": (lambda x: nr.copysign(x, -1.0), lambda x: -x, 0.7),
    "maximum": (lambda x: nr.maximum(x, x * x), lambda x: x, 0.7),
    "minimum": (lambda x: nr.minimum(x, x * x), lambda x: x * x, 0.7),
    "clip": (lambda x: nr.clip(x, 0.0, 0.5), lambda x: m.mpf(0.5), 0.7),
    "where": (lambda x: nr.where(x > 0, nr.sin(x), nr.cos(x)), m.sin, 0.7),
    "real and imag": (
        lambda x: nr.real(nr.exp(x * 1j)) - nr.imag(nr.conj(nr.exp(x * 1j))),
        lambda x: m.cos(x) + m.sin(x),
        0.7,
    ),
    "angle": (lambda x: nr.angle(x + COMPLEX), lambda x: m.atan2(2, x), 0.7),
    "abs of a complex number": (
        lambda x: nr.abs(x + COMPLEX),
        lambda x: m.sqrt(x * x + 4),
        0.7,
    ),
    "steps": (
        lambda x: nr.floor(x) + nr.ceil(x) + nr.round(x) + nr.trunc(x) + nr.sign(x) + x // 0.5,
        lambda x: m.mpf(4),
        0.7,
    ),
    "exp sin": (lambda x: nr.exp(nr.sin(x)), lambda x: m.exp(m.sin(x)), 0.7),
    "quotient": (lambda x: nr.sin(x) / (1.0 + x**2), lambda x: m.sin(x) / (1 + x**2), 0.7),
    "tan tanh": (
        lambda x: nr.tan(x / 2) * nr.tanh(x),
        lambda x: m.tan(x / 2) * m.tanh(x),
        0.7,
    ),
    "custom rule": (lambda x: nr.checkpoint(lambda x: nr.log(x) * x)(x), lambda x: m.log(x) * x, 0.7),
}  # fmt: skip


@pytest.mark.parametrize("name", SCALAR)
def test_eighth_order_against_mpmath(name: str) -> None:
    f, exact, at = SCALAR[name]
    order = 8
    with mpmath.workdps(60):
        terms = mpmath.taylor(exact, mpmath.mpf(at), order)
        want = np.array([float(c * mpmath.factorial(k)) for k, c in enumerate(terms)])
    series = [1.0, *(0.0 for _ in range(order - 1))]
    y, found = nr.jit(lambda x: nr.jet(f, (x,), (series,)), device="reference")(at)
    got = [y.item(), *(t.item() for t in found)]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13 * np.abs(want).max())


def test_every_elementwise_operation_with_a_derivative_is_there() -> None:
    """Those that say how they are differentiated, and those that are linear in a part of themselves."""
    used: set[str] = set()
    for f, _, at in SCALAR.values():
        used |= set(re.findall(r"= (\w+)", str(nr.jit(f).lower(at).graph)))
    wanted = {
        name
        for name, prim in REGISTRY.items()
        if isinstance(prim, Elementwise) and any(p is not None for p in prim.partials)
    }
    assert len(wanted) > 40
    assert wanted | {"div", "real", "imag", "complex", "select"} <= used


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


@pytest.mark.parametrize("name", ["exp", "tanh", "pow", "atan2", "silu", "erf", "where", "lgamma"])
def test_laplacians_of_elementwise_functions(name: str) -> None:
    f, _, at = SCALAR[name]
    g = lambda x: f(x[0] * x[1]) + f(x[1] + x[2] / 4) * x[0]
    x = nr.asarray([1.1 * at, 0.9, 0.8])
    run = nr.jit(lambda x: (nr.laplacian(g)(x), nr.trace(nr.hessian(g)(x))), device="reference")
    got, want = run(x)
    np.testing.assert_allclose(got, want, rtol=1e-12)


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
