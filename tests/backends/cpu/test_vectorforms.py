"""The vector functions that are put in line: their error, their special values, their tails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import numr as nr
from numr.codegen.backends.cpu import machine, vectorforms

pytestmark = pytest.mark.skipif(
    machine.host().lanes != vectorforms.LANES, reason="vector forms are for AVX-512"
)


def rsqrt(x: Any) -> Any:
    return 1 / nr.sqrt(x)


CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[tuple[float, float]]]] = {
    "exp": (nr.exp, mpmath.exp, [(-746, 711), (-1, 1), (-1e-5, 1e-5)]),
    "expm1": (nr.expm1, mpmath.expm1, [(-60, 711), (-1, 1), (-1e-5, 1e-5)]),
    "log": (nr.log, mpmath.log, [(5e-324, 1e-308), (1e-300, 1e300), (0.5, 2), (0.999, 1.001)]),
    "log1p": (nr.log1p, mpmath.log1p, [(-1, 3), (1e-300, 1e300), (-1e-4, 1e-4)]),
    "tanh": (nr.tanh, mpmath.tanh, [(-25, 25), (-1, 1), (-1e-5, 1e-5)]),
    "erf": (nr.erf, mpmath.erf, [(-7, 7), (-1, 1), (-1e-5, 1e-5)]),
    "rsqrt": (rsqrt, lambda x: 1 / mpmath.sqrt(x), [(5e-324, 1e-300), (1e-9, 1e9), (1, 4)]),
}
AWKWARD = [0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, 1.0, 5e-324, -5e-324, 1e308, -1e308]
AWKWARD += [709.7, 709.8, -745.1, -745.2, -746.0, 710.0, 2.0**-1022, 0.75, 1.5, -0.5, 22.0, 37.0]


def test_every_form_is_tested() -> None:
    assert set(CASES) == set(vectorforms.FORMS)


@pytest.mark.parametrize("name", CASES)
def test_error_is_below_four_ulp(name: str) -> None:
    function, exact, ranges = CASES[name]
    random = np.random.default_rng(0)
    parts = [random.uniform(low, high, 400) for low, high in ranges]
    parts += [np.geomspace(low, high, 400) for low, high in ranges if low > 0]
    x = np.concatenate(parts)
    with mpmath.workprec(140):
        truth = [exact(mpmath.mpf(float(v))) for v in x]
        for v, found, wanted in zip(x, nr.jit(function)(x).numpy(), truth, strict=True):
            nearest = float(wanted)
            if np.isinf(nearest):
                assert found == nearest, v
                continue
            error = abs((mpmath.mpf(float(found)) - wanted) / float(np.spacing(abs(nearest))))
            assert error < 4, (v, found, nearest)


@pytest.mark.parametrize("name", CASES)
def test_awkward_values(name: str) -> None:
    function = CASES[name][0]
    x = np.array(AWKWARD * 8)
    with np.errstate(all="ignore"):
        other = {"rsqrt": lambda x: 1 / np.sqrt(x), "erf": scipy.special.erf}
        wanted = (other.get(name) or getattr(np, name))(x)
    found = nr.jit(function)(x).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-15, atol=0)
    real = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found)[real], np.signbit(wanted)[real])


@pytest.mark.parametrize("name", CASES)
def test_tails(name: str) -> None:
    """Elements after the last whole vector go to the C library: they agree to the last digits."""
    function = CASES[name][0]
    x = np.random.default_rng(0).uniform(0.1, 3, 1000)
    whole = nr.jit(function)(x).numpy()
    for size in (1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65):
        part = nr.jit(function)(x[:size]).numpy()
        np.testing.assert_allclose(part, whole[:size], rtol=1e-15)
