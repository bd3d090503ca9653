"""Filters and systems solved row by row, of the examples: against closed forms, SciPy, and loops in NumPy."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from scipy.linalg import solve_banded
from scipy.stats import multivariate_normal

import numr as nr
from examples.hidden_markov import forward
from examples.kalman_filter import kalman
from examples.mandelbrot import by_numpy, plane
from examples.tridiagonal import solve

RNG = np.random.default_rng(0)
KINDS = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def close(got: Any, want: Any, dtype: Any, factor: float = 1.0) -> None:
    assert got.dtype == nr.as_dtype(dtype)
    bound = factor * (1e-11 if dtype is np.float64 else 1e-5)
    np.testing.assert_allclose(got.numpy(), want, rtol=bound, atol=bound)


def differences(f: Any, x: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """The gradient by central differences of order 4."""
    found = np.empty_like(x)
    for k in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[k] = h
        found[k] = (8 * (f(x + d) - f(x - d)) - f(x + 2 * d) + f(x - 2 * d)) / (12 * h)
    return found


def moving() -> tuple[Any, ...]:
    """Place and speed, of which the place is seen: model, prior, measurements."""
    model = (
        np.array([[1.0, 0.5], [0.0, 0.9]]),
        np.array([[0.2, 0.1], [0.1, 0.3]]),
        np.array([[1.0, 0.0]]),
        np.array([[0.4]]),
    )
    return model, np.array([0.3, -0.1]), np.eye(2), RNG.normal(size=(7, 1))


def as_one(model: Any, mean: Any, cov: Any, measured: np.ndarray) -> float:
    """The likelihood by the joint distribution of all measurements."""
    f, q, h, r = model
    n = len(measured)
    means, covs = [mean], [cov]
    for _ in range(n - 1):
        means.append(f @ means[-1])
        covs.append(f @ covs[-1] @ f.T + q)
    joint = np.zeros((n, n))
    for i, j in product(range(n), range(n)):
        a, b = min(i, j), max(i, j)
        joint[i, j] = (h @ np.linalg.matrix_power(f, b - a) @ covs[a] @ h.T).item()
    joint += r.item() * np.eye(n)
    return float(multivariate_normal.logpdf(measured[:, 0], [(h @ m).item() for m in means], joint))


@KINDS
def test_kalman(dtype: Any) -> None:
    parts = moving()
    given = nr.tree.map(lambda x: nr.asarray(x.astype(dtype)), parts)
    total, (means, _) = nr.jit(kalman)(*given)
    close(total, as_one(*parts), dtype, 10)
    assert means.shape == (7, 2) and means.dtype == nr.as_dtype(dtype)


def test_gradient_of_kalman() -> None:
    model, mean, cov, measured = moving()
    by_transition = lambda f, y: kalman((f, *model[1:]), mean, cov, y)[0]
    for argnum in (0, 1):
        args = [model[0], measured]

        def value(x: np.ndarray, argnum: int = argnum, args: list = args) -> float:
            f, y = (x if k == argnum else a for k, a in enumerate(args))
            return as_one((f, *model[1:]), mean, cov, y)

        gradient = nr.jit(nr.grad(by_transition, argnum))(*args).numpy()
        np.testing.assert_allclose(gradient, differences(value, args[argnum]), rtol=1e-8, atol=1e-9)
    batch = RNG.normal(size=(3, 7, 1))
    batched = nr.jit(nr.vmap(by_transition, (None, 0)))(model[0], batch).numpy()
    np.testing.assert_allclose(batched, [as_one(model, mean, cov, y) for y in batch], rtol=1e-11)


def chain(times: int = 6, states: int = 3) -> list[np.ndarray]:
    change = RNG.dirichlet(np.ones(states), states)
    return [
        np.log(RNG.dirichlet(np.ones(states))),
        np.log(change),
        RNG.normal(size=(times, states)),
    ]


def all_paths(first: Any, change: Any, seen: Any) -> tuple[float, np.ndarray]:
    """The likelihood as the sum over all paths of states, and the chance of each state at each time."""
    total, chances = 0.0, np.zeros(seen.shape)
    for path in product(range(seen.shape[1]), repeat=len(seen)):
        log = first[path[0]] + sum(change[a, b] for a, b in pairwise(path))
        weight = np.exp(log + sum(seen[t, s] for t, s in enumerate(path)))
        total += weight
        chances[np.arange(len(seen)), path] += weight
    return np.log(total), chances / total


@KINDS
def test_hidden_markov(dtype: Any) -> None:
    parts = chain()
    given = [nr.asarray(x.astype(dtype)) for x in parts]
    total, chances = all_paths(*parts)
    close(nr.jit(forward)(*given), total, dtype)
    close(nr.jit(nr.grad(forward, 2))(*given), chances, dtype)
    batch = [np.stack([x, x - 0.5]) for x in given]
    got = nr.jit(nr.vmap(forward))(*batch)
    close(got, [total, total - 0.5 * 12], dtype)  # six times seen, five changes, one start


@KINDS
def test_tridiagonal(dtype: Any) -> None:
    n = 40
    lower, upper, right = RNG.normal(size=(3, n))
    diagonal = 4 + RNG.uniform(size=n)
    given = [nr.asarray(x.astype(dtype)) for x in (lower, diagonal, upper, right)]
    bands = np.array([np.roll(upper, 1), diagonal, np.roll(lower, -1)])
    want = solve_banded((1, 1), bands, right)
    close(nr.jit(solve)(*given), want, dtype)
    # The adjoint: λ of Aᵀ λ = c, which is the gradient by the right side; by a diagonal it is -λ x.
    c = RNG.normal(size=n)
    value = lambda *args: nr.sum(solve(*args) * c.astype(dtype))
    got = nr.jit(nr.grad(value, (0, 1, 2, 3)))(*given)
    adjoint = solve_banded((1, 1), np.array([lower, diagonal, upper]), c)
    wants = [
        -adjoint * np.concatenate([[0], want[:-1]]),
        -adjoint * want,
        -adjoint * np.concatenate([want[1:], [0]]),
        adjoint,
    ]
    for g, w in zip(got, wants, strict=True):
        close(g, w, dtype, 10)
    rights = RNG.normal(size=(5, n)).astype(dtype)
    batched = nr.jit(nr.vmap(solve, (None, None, None, 0)))(*given[:3], rights)
    close(batched, solve_banded((1, 1), bands, rights.T).T, dtype)


def test_mandelbrot() -> None:
    x, y = np.linspace(-2.0, 0.6, 61), np.linspace(-1.3, 1.3, 40)
    assert (plane(x, y).numpy() != by_numpy(x, y)).mean() < 1e-3
