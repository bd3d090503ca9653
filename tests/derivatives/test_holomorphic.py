"""holomorphic=True: df/dz, to second order; and the convention for real functions of complex numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import GradientError

Z = np.array([0.3 + 0.7j, -1.1 + 0.2j, 0.5 - 0.9j])


def f(z: Any) -> Any:
    return nr.sum(nr.exp(z) * z**2)


def first(z: Any) -> Any:
    return np.exp(z) * (z**2 + 2 * z)


def second(z: Any) -> Any:
    return np.diag(np.exp(z) * (z**2 + 4 * z + 2))


@pytest.mark.parametrize("how", ["lazy", "jit", "reference"])
def test_derivatives_against_closed_forms(how: str) -> None:
    device = "reference" if how == "reference" else None
    run = (lambda g: g) if how == "lazy" else (lambda g: nr.jit(g, device=device))
    z = nr.asarray(Z)
    np.testing.assert_allclose(run(nr.grad(f, holomorphic=True))(z), first(Z), rtol=1e-12)
    np.testing.assert_allclose(
        run(nr.hessian(f, holomorphic=True))(z), second(Z), rtol=1e-12, atol=1e-12
    )
    for transform in (nr.jacfwd, nr.jacrev, nr.jacobian):
        got = run(transform(lambda z: nr.exp(z) * z**2, holomorphic=True))(z)
        np.testing.assert_allclose(got, np.diag(first(Z)), rtol=1e-12, atol=1e-12)
    each = nr.grad(lambda z: nr.exp(z) * z**2, holomorphic=True)
    np.testing.assert_allclose(nr.vmap(each)(z), first(Z), rtol=1e-12)


def test_real_functions_have_the_documented_gradient() -> None:
    """df/dx - i df/dy, by differences."""
    g = lambda z: nr.sum(nr.abs(z) ** 3 * nr.real(z))
    h = 1e-6
    want = []
    for k in range(3):
        e = np.eye(3)[k] * h
        dx, dy = (
            (g(nr.asarray(Z + d)) - g(nr.asarray(Z - d))).item() / (2 * h) for d in (e, 1j * e)
        )
        want.append(dx - 1j * dy)
    np.testing.assert_allclose(nr.grad(g)(nr.asarray(Z)), want, rtol=1e-7)


def test_refusals() -> None:
    with pytest.raises(GradientError, match="its argument is float64, and holomorphic=True is for"):
        nr.grad(f, holomorphic=True)(nr.ones(3))
    with pytest.raises(GradientError, match="its result is float64, and holomorphic=True is for"):
        nr.jacrev(nr.abs, holomorphic=True)(nr.asarray(Z))
    with pytest.raises(GradientError, match="f returns a complex128"):
        nr.grad(f)(nr.asarray(Z))


def test_jacobians_of_complex_numbers_say_which_half_they_would_lose() -> None:
    z, x = nr.asarray(Z), nr.asarray(Z.real)
    half = "is complex128, and one derivative per element is half of its Jacobian"
    for transform in (nr.jacfwd, nr.hessian):
        with pytest.raises(GradientError, match=f"numr.jacfwd: abs2: its argument {half}"):
            transform(abs2)(z)
    with pytest.raises(GradientError, match=rf"numr.jacfwd: f: its argument\['z'\] {half}"):
        nr.jacfwd(named("f", lambda p: p["z"]))({"z": z})
    with pytest.raises(GradientError, match=f"numr.jacrev: waves: its result {half}"):
        nr.jacrev(waves)(x)
    for transform in (nr.jacobian, nr.sparse_jacobian):
        with pytest.raises(
            GradientError, match=f"{transform.__name__}: squares: its result {half}"
        ):
            transform(named("squares", lambda z: z * z))(z)
    with pytest.raises(
        GradientError, match=r"pass holomorphic=True if the function is holomorphic"
    ):
        nr.jacrev(waves)(x)


def test_jacobians_take_the_mode_that_loses_nothing() -> None:
    """By complex arguments rows that are gradients, of complex results columns; by differences."""
    z, x, h = nr.asarray(Z), nr.asarray(Z.real), 1e-6
    by_z, of_waves = np.zeros((3, 3), complex), np.zeros((3, 3), complex)
    for k in range(3):
        e = np.eye(3)[k] * h
        dx, dy = ((np.abs(Z + d) ** 2 - np.abs(Z - d) ** 2) / (2 * h) for d in (e, 1j * e))
        by_z[:, k] = dx - 1j * dy
        of_waves[:, k] = (np.exp(1j * (Z.real + e)) - np.exp(1j * (Z.real - e))) / (2 * h)
    for transform in (nr.jacrev, nr.jacobian):
        np.testing.assert_allclose(transform(abs2)(z), by_z, rtol=1e-7, atol=1e-9)
    for transform in (nr.jacfwd, nr.jacobian):
        np.testing.assert_allclose(transform(waves)(x), of_waves, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(nr.sparse_jacobian(abs2)(z).todense(), by_z, rtol=1e-7, atol=1e-9)


def abs2(z: Any) -> Any:
    return nr.real(z) ** 2 + nr.imag(z) ** 2


def waves(x: Any) -> Any:
    return nr.exp(1j * x)


def named(name: str, function: Any) -> Any:
    function.__name__ = name
    return function
