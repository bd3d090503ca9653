"""Running extrema and logcumsumexp against NumPy and mpmath, with derivatives to second order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

import numr as nr
from numr import errors
from tests.functions.orders import check_derivatives
from tests.functions.support import agree, value

RNG = np.random.default_rng(9)
X = RNG.normal(size=(3, 7)) * 2
EXTREMA = {"cummax": (nr.cummax, np.maximum), "cummin": (nr.cummin, np.minimum)}


@pytest.mark.parametrize("name", EXTREMA)
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int32", "uint8"])
def test_extrema(name: str, dtype: str) -> None:
    f, ufunc = EXTREMA[name]
    x = np.abs(X * 20).astype(dtype)
    for axis in (0, 1, -1):
        agree(f(x, axis), ufunc.accumulate(x, axis))
        got = np.asarray(nr.jit(lambda v, a=axis: f(v, a))(x))
        np.testing.assert_array_equal(got, ufunc.accumulate(x, axis))
    agree(f(x), ufunc.accumulate(x.ravel()))
    agree(f(x.T[::-1], 0), ufunc.accumulate(x.T[::-1], 0))
    agree(nr.vmap(f)(x), ufunc.accumulate(x, 1))


@pytest.mark.parametrize("name", EXTREMA)
def test_extrema_awkward(name: str) -> None:
    f, ufunc = EXTREMA[name]
    for x in ([1.0, np.nan, 9.0, -9.0], [-np.inf, np.inf, 0.0], [2.0], []):
        agree(f(np.array(x)), ufunc.accumulate(np.array(x)))
    long = RNG.normal(size=5000)
    np.testing.assert_array_equal(np.asarray(nr.jit(f)(long)), ufunc.accumulate(long))
    check_derivatives(lambda v: f(v, 1), X)
    check_derivatives(lambda v: f(v, 0) ** 2, X, compiled=False)
    ties = nr.grad(lambda v: nr.sum(f(v)))(nr.asarray([3.0, 3.0, 3.0]))
    np.testing.assert_array_equal(value(ties), [1, 1, 1])


def exact(x: Any) -> list[float]:
    """log(cumsum(exp(x))) of a line, with 60 digits."""
    with mpmath.workdps(60):
        total, out = mpmath.mpf(0), []
        for v in x:
            total += mpmath.exp(mpmath.mpf(float(v)))
            out.append(float(mpmath.log(total)) if total else -np.inf)
        return out


LINES: dict[str, Any] = {
    "plain": RNG.normal(size=40),
    "rising": np.linspace(-900.0, 900.0, 150),
    "falling": np.linspace(900.0, -900.0, 150),
    "jumps": np.array([-1000.0, 0.0, -1000.0, 1000.0, 999.0]),
    "nothing first": np.array([-np.inf, -np.inf, -5000.0, 1.0, -np.inf]),
    "single": np.array([3.0]),
    "constant": np.zeros(300),
}


@pytest.mark.parametrize("name", LINES)
def test_logcumsumexp(name: str) -> None:
    x = LINES[name]
    want = np.array(exact(x))
    agree(nr.logcumsumexp(x), want, 1e-13, 1e-13)
    got = np.asarray(nr.jit(nr.logcumsumexp)(x))
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)
    got = np.asarray(nr.jit(nr.logcumsumexp)(x.astype("f4")))
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    slopes = value(nr.grad(lambda v: nr.logcumsumexp(v)[-1])(nr.asarray(x)))
    np.testing.assert_allclose(slopes, np.exp(x - want[-1]), rtol=1e-11, atol=1e-15)


def test_logcumsumexp_infinities_and_axes() -> None:
    agree(nr.logcumsumexp(np.array([1.0, np.inf, 2.0, -np.inf])), np.array([1, *[np.inf] * 3]))
    got = value(nr.logcumsumexp(np.array([1.0, np.nan, 2.0])))
    np.testing.assert_array_equal(np.isnan(got), [False, True, True])
    agree(nr.logcumsumexp(np.full(3, -np.inf)), np.full(3, -np.inf))
    assert value(nr.logcumsumexp(np.zeros((0, 3)), 0)).shape == (0, 3)
    for axis in (0, 1):
        want = np.logaddexp.accumulate(X, axis)
        agree(nr.logcumsumexp(X, axis), want, 1e-13, 1e-14)
        agree(nr.logcumsumexp(X[:, ::-2], axis), np.logaddexp.accumulate(X[:, ::-2], axis), 1e-13)
    agree(nr.vmap(nr.logcumsumexp)(X), np.logaddexp.accumulate(X, 1), 1e-13, 1e-14)
    agree(nr.logcumsumexp(np.array([0, 0])), np.array([0.0, np.log(2.0)]), 1e-13)


def test_logcumsumexp_derivatives() -> None:
    check_derivatives(lambda v: nr.logcumsumexp(v, 1), X)
    check_derivatives(lambda v: nr.logcumsumexp(v, 0), X, compiled=False)
    total = lambda v: nr.sum(nr.where(v > -9, nr.logcumsumexp(v), 0.0))
    x = nr.asarray([-np.inf, 1.0, 2.0])
    assert np.isfinite(value(nr.grad(total)(x))).all()
    assert np.isfinite(value(nr.hessian(total)(x))).all()


def test_webgpu() -> None:
    pytest.importorskip("wgpu")
    if not any(str(d).startswith("webgpu") for d in nr.available_devices()):
        pytest.skip("no adapter")
    x = RNG.normal(size=(3, 200)).astype("f4")
    for f in (nr.cummax, nr.cummin, nr.logcumsumexp):
        g = nr.jit(nr.value_and_grad(lambda v, f=f: nr.sum(f(v, 1) ** 2)))
        there = g(nr.asarray(x, device="webgpu"))
        for got, want in zip(there, g(x), strict=True):
            np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: nr.cummax(X, 2), errors.AxisError),
        (lambda: nr.cummax(X > 0, 0), errors.DTypeError),
        (lambda: nr.logcumsumexp(X + 0j, 0), errors.DTypeError),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="cum"):
        call()
