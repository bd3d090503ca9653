"""Derivatives of linear algebra: expm against mpmath and its block form; first and second order of all."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

import numr as nr

rng = np.random.default_rng(6)
A = rng.normal(size=(3, 3))
SPD = A @ A.T + 3.0 * np.eye(3)


def exact_expm(a: Any) -> Any:
    with mpmath.workdps(40):
        found = mpmath.expm(mpmath.matrix(a.tolist()))
    return np.array(found.tolist(), dtype=complex if np.iscomplexobj(a) else float)


@pytest.mark.parametrize(
    "a",
    [A, 1e-9 * A, 20.0 * A, A + 1j * A.T, np.array([[0.0, 1.0], [0.0, 0.0]]), np.zeros((2, 2))],
    ids=["usual", "tiny", "squared", "complex", "defective", "zero"],
)
def test_expm_against_mpmath(a: Any) -> None:
    want = exact_expm(a)
    np.testing.assert_allclose(
        nr.linalg.expm(nr.asarray(a)), want, rtol=1e-12, atol=1e-12 * np.abs(want).max()
    )


@pytest.mark.parametrize("a", [A, np.array([[0.0, 1.0], [0.0, 0.0]])], ids=["usual", "defective"])
def test_the_derivative_of_expm_is_a_block_of_a_larger_one(a: Any) -> None:
    """expm([[A, E], [0, A]]) has the derivative along E as its upper right block."""
    n = len(a)
    e = rng.normal(size=(n, n))
    whole = exact_expm(np.block([[a, e], [np.zeros((n, n)), a]]))
    expm = nr.linalg.expm
    got = nr.jvp(expm, (nr.asarray(a),), (nr.asarray(e),))[1]
    np.testing.assert_allclose(got, whole[:n, n:], rtol=1e-11, atol=1e-12)
    u = rng.normal(size=(n, n))
    (back,) = nr.vjp(expm, nr.asarray(a))[1](nr.asarray(u))
    assert float(np.sum(back.numpy() * e)) == pytest.approx(float(np.sum(whole[:n, n:] * u)))


FUNCTIONS: dict[str, Any] = {
    "expm": nr.linalg.expm,
    "cholesky": nr.linalg.cholesky,
    "inv": nr.linalg.inv,
    "det": nr.linalg.det,
    "slogdet": lambda m: nr.linalg.slogdet(m).logabsdet,
    "solve": lambda m: nr.linalg.solve(m, nr.asarray(A)),
    "norm": nr.linalg.norm,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_and_second_order(name: str) -> None:
    """By central differences; the second order in three ways, under jit and vmap."""
    g = lambda m: nr.sum(nr.sin(FUNCTIONS[name](m / 4.0)))
    x, d, h = nr.asarray(SPD), nr.asarray(rng.normal(size=(3, 3))), 1e-5
    slope = nr.grad(g)
    want = (g(x + h * d) - g(x - h * d)).item() / (2 * h)
    assert nr.sum(slope(x) * d).item() == pytest.approx(want, rel=1e-7, abs=1e-8)
    second = ((slope(x + h * d) - slope(x - h * d)) / (2 * h)).numpy()
    for product in (nr.hvp, nr.vhp):
        got = nr.jit(product(g))(x, d)
        np.testing.assert_allclose(got, second, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(
        nr.grad(lambda m: nr.sum(slope(m) * d))(x), second, rtol=1e-6, atol=1e-8
    )
    batch = nr.vmap(slope)(nr.stack([x, 2.0 * x]))
    np.testing.assert_allclose(batch[1], slope(2.0 * x), rtol=1e-9, atol=1e-12)
