"""The adaptive integrator of the examples beside SciPy's: values, orders, batches, every kind of derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import numr as nr
from examples.dormand_prince import by_scipy, integrate, step, van_der_pol

TIMES = np.array([0.0, 1.0, 2.5])
START = np.array([2.0, 0.0])


def lotka_volterra(t: Any, y: Any) -> Any:
    return nr.stack([y[0] * (1.1 - 0.4 * y[1]), y[1] * (0.1 * y[0] - 0.4)])


def test_one_step_is_scipys() -> None:
    """RK45 is the same pair: one step of the same length, its result and the estimate of its error."""
    from scipy.integrate import RK45

    y = np.array([10.0, 5.0])
    f = lambda t, y: lotka_volterra(t, y).numpy()
    theirs = RK45(f, 0.0, y, 10.0, first_step=0.01, rtol=1e-3)
    theirs.step()
    assert theirs.t == 0.01
    new, slope, error = step(lotka_volterra, 0.0, nr.asarray(y), nr.asarray(f(0, y)), 0.01)
    np.testing.assert_allclose(new.numpy(), theirs.y, rtol=1e-14)
    np.testing.assert_allclose(slope.numpy(), theirs.f, rtol=1e-13)
    estimate = theirs.K.T @ theirs.E * 0.01
    np.testing.assert_allclose(error.numpy(), -estimate, rtol=1e-4, atol=1e-16)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10])
def test_beside_scipy(tolerance: float) -> None:
    run = nr.jit(lambda y: integrate(lotka_volterra, y, TIMES, tolerance, tolerance))
    found, counts = run([10.0, 5.0])
    f = lambda t, y: lotka_volterra(t, y).numpy()
    want = solve_ivp(f, TIMES[[0, -1]], [10.0, 5.0], "DOP853", TIMES, rtol=1e-12, atol=1e-12)
    assert np.abs(found.numpy() - want.y.T).max() < 100 * tolerance
    theirs = solve_ivp(f, TIMES[[0, -1]], [10.0, 5.0], "RK45", rtol=tolerance, atol=tolerance)
    # As many evaluations as the same pair of SciPy's needs, and some for the times to stop at.
    assert 6 * counts.numpy().sum() < 1.5 * theirs.nfev + 30


def test_single_precision() -> None:
    times = TIMES.astype(np.float32)
    start = nr.asarray(np.array([10, 5], np.float32))
    found, _ = nr.jit(lambda y: integrate(lotka_volterra, y, times, 1e-5, 1e-5))(start)
    assert found.dtype == nr.float32
    exact, _ = integrate(lotka_volterra, [10.0, 5.0], TIMES, 1e-10, 1e-10)
    np.testing.assert_allclose(found.numpy(), exact.numpy(), rtol=1e-3)


def test_each_trajectory_has_its_own_steps() -> None:
    dampings = np.array([0.0, 0.5, 3.0, 8.0])
    run = lambda d: integrate(van_der_pol(d), START, TIMES)
    found, counts = nr.jit(nr.vmap(run))(dampings)
    one = nr.jit(run)
    for k, d in enumerate(dampings):
        alone, its = one(d)
        np.testing.assert_allclose(found.numpy()[k], alone.numpy(), rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(counts.numpy()[k], its.numpy())
    assert len(set(counts.numpy().sum(1))) > 2


def test_derivatives() -> None:
    """Forwards through the while_loop, backwards where there is a limit, batched; by the variational equation."""
    last = lambda d, most: integrate(van_der_pol(d), START, TIMES, 1e-9, 1e-9, most)[0][-1, 0]
    forward = lambda d: nr.jvp(lambda d: last(d, None), (d,), (1.0,))[1]
    dampings = np.array([0.3, 1.0, 2.5])
    right = [by_scipy(d, TIMES)[1][-1, 0] for d in dampings]
    np.testing.assert_allclose(nr.jit(nr.vmap(forward))(dampings).numpy(), right, rtol=1e-6)
    back = nr.vmap(nr.grad(lambda d: last(d, 120)))
    np.testing.assert_allclose(nr.jit(back)(dampings).numpy(), right, rtol=1e-6)


def test_what_explodes_ends() -> None:
    """y' = y² is infinite at time 1: the integrator says so, and does not go on for ever."""
    found, _ = nr.jit(lambda y: integrate(lambda t, y: y**2, y, [0.0, 0.5, 2.0]))([1.0])
    np.testing.assert_allclose(found.numpy()[1], [2.0], rtol=1e-4)
    assert np.isnan(found.numpy()[2]).all()
