"""Newton's method, bisection and L-BFGS of the examples beside SciPy's, and their derivatives by implicit formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize, root_scalar

import numr as nr
from examples.lbfgs import minimise, rosenbrock
from examples.root_finding import bisection, newton

A = np.array([0.5, 2.0, 9.0, 1e3])


def cubic(a: Any) -> Any:
    """One root for each a > 0, that of x³ + x = a."""
    return lambda x: x**3 + x - a


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_roots(dtype: Any) -> None:
    want = [root_scalar(cubic(a), bracket=(0, 100), xtol=1e-15, rtol=1e-15).root for a in A]
    tolerance = 4 * np.finfo(dtype).eps
    a = nr.asarray(A.astype(dtype))
    by_newton = nr.vmap(lambda a: newton(cubic(a), a, tolerance))
    roots, counts = nr.jit(by_newton)(a)
    assert roots.dtype == nr.as_dtype(dtype)
    np.testing.assert_allclose(roots.numpy(), want, rtol=10 * tolerance)
    assert len(set(counts.tolist())) > 1
    low = nr.zeros(len(A), a.dtype)
    halved = nr.jit(nr.vmap(lambda a, low: bisection(cubic(a), low, low + 100, tolerance)))(a, low)
    assert halved.dtype == nr.as_dtype(dtype)
    np.testing.assert_allclose(halved.numpy(), want, rtol=10 * tolerance)


def test_batches_are_as_one_by_one() -> None:
    f = lambda a: newton(cubic(a), a)
    roots, counts = nr.jit(nr.vmap(f))(A)
    for a, root, count in zip(A, roots.numpy(), counts.numpy(), strict=True):
        alone, its = f(a)
        assert (alone.item(), its.item()) == (pytest.approx(root, rel=1e-15), count)


def test_derivatives_of_roots() -> None:
    """dx/da = 1 / (3x² + 1), and its derivative -6x (dx/da)³."""
    root = lambda a: newton(cubic(a), a)[0]
    bounded = lambda a: newton(cubic(a), a, max_steps=25)[0]
    x = nr.vmap(root)(A).numpy()
    slope = 1 / (3 * x**2 + 1)
    forward = nr.vmap(lambda a: nr.jvp(root, (a,), (1.0,))[1])
    np.testing.assert_allclose(nr.jit(forward)(A).numpy(), slope, rtol=1e-12)
    np.testing.assert_allclose(nr.jit(nr.vmap(nr.grad(bounded)))(A).numpy(), slope, rtol=1e-12)
    with pytest.raises(nr.errors.NotDifferentiableError):
        nr.grad(root)(2.0)


def quadratic(x: Any) -> Any:
    weights = np.arange(1.0, 9.0)
    return nr.sum(weights * (x - weights) ** 2) + nr.sum(x) ** 2


@pytest.mark.parametrize("f", [rosenbrock, quadratic], ids=["rosenbrock", "quadratic"])
def test_minima(f: Any) -> None:
    start = np.linspace(-1, 1, 8)
    found, count = nr.jit(lambda x: minimise(f, x))(start)
    both = nr.jit(nr.value_and_grad(f))
    theirs = minimize(
        lambda x: tuple(np.asarray(v) for v in both(x)),
        *(start, (), "L-BFGS-B", True),
        options={"gtol": 1e-9, "ftol": 0},
    )
    np.testing.assert_allclose(found.numpy(), theirs.x, atol=1e-6)
    assert np.abs(both(found)[1].numpy()).max() <= 1e-8
    assert count.item() < 3 * theirs.nit


def test_minima_in_batches_and_single_precision() -> None:
    starts = np.array([[-1.2, 1.0], [0.0, 0.0], [1.5, -1.0]])
    run = lambda x: minimise(rosenbrock, x)
    found, counts = nr.jit(nr.vmap(run))(starts)
    np.testing.assert_allclose(found.numpy(), np.ones((3, 2)), atol=1e-6)
    one = nr.jit(run)
    assert [one(x)[1].item() for x in starts] == counts.tolist()
    single, _ = nr.jit(lambda x: minimise(rosenbrock, x, 1e-3, 200))(starts.astype(np.float32)[0])
    assert single.dtype == nr.float32
    np.testing.assert_allclose(single.numpy(), [1, 1], atol=1e-2)
