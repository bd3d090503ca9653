"""x**n as products: its value within the rounding of the products, and derivatives in closed form."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

import numr as nr

X = np.array([-2.5, -1.0, -0.3, 0.0, 1e-3, 0.7, 1.0, 3.1])


@pytest.mark.parametrize("n", range(3, 9))
@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_powers_and_their_derivatives(n: int, device: str) -> None:
    f = lambda x: x**n
    for order in range(4):
        got = nr.jit(nr.vmap(f), device=device)(nr.asarray(X))
        for x, value in zip(X, np.asarray(got), strict=True):
            true = mpmath.mpf(math.perm(n, order)) * mpmath.mpf(float(x)) ** (n - order)
            # A rounding for every product on the way to the power, and those by the factors before it.
            assert abs(value - true) <= (n + order) * np.finfo(float).eps * abs(true), (n, order, x)
        f = nr.grad(f)


def test_signs_and_ends() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e200, -1e200])
    for n in (3, 4):
        got = np.asarray(nr.asarray(x) ** n)
        with np.errstate(over="ignore"):
            want = np.power(x, n)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got[1:]), np.signbit(want[1:]))
    np.testing.assert_array_equal(
        np.asarray(nr.vmap(nr.grad(lambda x: x**3))(x))[1:5], [np.inf, np.inf, 0.0, 0.0]
    )


def test_integers_and_complex_numbers() -> None:
    np.testing.assert_array_equal(np.asarray(nr.asarray([-2, 3]) ** 5), [-32, 243])
    z = np.array([0.3 + 0.7j, -1.1 + 0.2j])
    slope = nr.vmap(nr.grad(lambda z: z**4, holomorphic=True))(nr.asarray(z))
    np.testing.assert_allclose(np.asarray(slope), 4 * z**3, rtol=1e-14)
