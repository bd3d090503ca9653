"""Gradient graphs are as small as hand-derived ones: at most 1.3 times their operations, for what users write.

Each case has a function, its derivative derived by hand, written with few operations by somebody who knows the
calculus, and the list of these operations. The derivative by hand is traced as well, so that the list is what it
is said to be, and its value is what the other one is held against.

What counts is the nodes of a graph, as written for those by hand and of `lower(..).rewritten` for numr's own; but
not inputs, nor what is made of constants, positions and lengths alone, which are numbers, nor views (`broadcast`,
`permute`, `reshape`), which compute nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr

MOST = 1.3
VIEWS = ("alias", "broadcast", "permute", "reshape", "stop_gradient")
CASES: dict[str, tuple[Any, Any, tuple[Any, ...], str]] = {}

R = np.random.default_rng(5)
MATRIX, TARGET, POINT = R.normal(size=(30, 20)), R.normal(size=30), R.normal(size=20)


def operations(graph: str) -> list[str]:
    """The names of the operations in a graph's text."""
    found: list[str] = []
    moving: set[str] = set()  # what depends on an input
    for line in graph.splitlines():
        node = re.match(r"(%\d+) = (\w+)((?: %\d+)*)", line)
        if node is None:
            assert line.startswith("return"), line
        elif node[2] == "input" or moving.intersection(node[3].split()):
            moving.add(node[1])
            if node[2] != "input" and node[2] not in VIEWS:
                found.append(node[2])
    return found


def case(function: Any, *args: Any, transform: Any = nr.grad, by: Any = 0) -> Callable[[Any], Any]:
    """Declare the derivative of a function, derived by hand; its documentation lists its operations."""

    def declare(hand: Any) -> Any:
        derivative = transform(function, by)
        CASES[hand.__name__] = derivative, hand, args, hand.__doc__
        return hand

    return declare


# -- gradients -------------------------------------------------------------------------------------


@case(lambda x, a, b: nr.sum((a @ x - b) ** 2), POINT, MATRIX, TARGET)
def least_squares(x: Any, a: Any, b: Any) -> Any:
    """matmul sub mul matmul"""
    return a.T @ (2.0 * (a @ x - b))


def logistic(w: Any, x: Any, y: Any) -> Any:
    return nr.mean(nr.logaddexp(0.0, -y * (x @ w)))


@case(logistic, POINT, MATRIX, np.sign(TARGET))
def logistic_regression(w: Any, x: Any, y: Any) -> Any:
    """matmul mul exp add mul div matmul"""
    return x.T @ (y / (-y.shape[0] * (1.0 + nr.exp(y * (x @ w)))))


@case(
    lambda z, k: -nr.mean(nr.take_along_axis(nr.log_softmax(z, axis=1), k[:, None], axis=1)),
    MATRIX,
    R.integers(0, 20, 30),
)
def cross_entropy_of_labels(z: Any, k: Any) -> Any:
    """reduce_max isfinite select sub exp reduce_sum div eq cast sub div"""
    labels = nr.arange(z.shape[1]) == k[:, None]
    return (nr.softmax(z, axis=1) - labels.astype(z.dtype)) / z.shape[0]


def rosenbrock_sum(x: Any) -> Any:
    return nr.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


@case(rosenbrock_sum, POINT)
def rosenbrock(x: Any) -> Any:
    """slice slice mul sub mul mul sub add mul pad pad sub"""
    a, b = x[1:], x[:-1]
    u = 200.0 * (a - b * b)
    return nr.pad(u, (1, 0)) - nr.pad(2.0 * (b * u + (1.0 - b)), (0, 1))


def normal(m: Any, s: Any, x: Any) -> Any:
    return nr.sum(-0.5 * ((x - m) / nr.exp(s)) ** 2 - s - 0.5 * np.log(2 * np.pi))


@case(normal, 0.3, 0.2, TARGET, transform=nr.value_and_grad, by=(0, 1))
def gaussian_log_likelihood(m: Any, s: Any, x: Any) -> Any:
    """exp sub div mul reduce_sum mul add mul sub reduce_sum div sub"""
    n, e = x.shape[0], nr.exp(s)
    z = (x - m) / e
    square = nr.sum(z * z)
    value = -0.5 * square - n * (s + 0.5 * np.log(2 * np.pi))
    return value, (nr.sum(z) / e, square - n)


def weights(x: Any) -> Any:
    """The derivative of logsumexp; 0 where all elements are -inf, as it is documented."""
    top = nr.max(x)
    e = nr.exp(x - nr.where(nr.isfinite(top), top, 0.0))
    total = nr.sum(e)
    return nr.where(total == 0.0, 0.0, e / total)


@case(nr.logsumexp, POINT)
def logsumexp(x: Any) -> Any:
    """reduce_max isfinite select sub exp reduce_sum eq div select"""
    return weights(x)


def layer_norm(x: Any, g: Any, c: Any) -> Any:
    d = x - nr.mean(x, axis=1, keepdims=True)
    return nr.sum(c * g * d / nr.sqrt(nr.mean(d * d, axis=1, keepdims=True) + 1e-5))


@case(layer_norm, MATRIX, POINT, R.normal(size=(30, 20)))
def weighted_layer_norm(x: Any, g: Any, c: Any) -> Any:
    """reduce_sum div sub mul reduce_sum div add sqrt div mul mul
    reduce_sum div mul reduce_sum div mul sub sub mul"""
    d = x - nr.mean(x, axis=1, keepdims=True)
    r = 1.0 / nr.sqrt(nr.mean(d * d, axis=1, keepdims=True) + 1e-5)
    h, t = d * r, c * g
    across = nr.mean(t * h, axis=1, keepdims=True)
    return r * (t - nr.mean(t, axis=1, keepdims=True) - h * across)


def huber(x: Any, a: Any, b: Any) -> Any:
    e = a @ x - b
    size = nr.abs(e)
    return nr.sum(nr.where(size <= 1.5, 0.5 * e**2, 1.5 * (size - 0.75)))


@case(huber, POINT, MATRIX, TARGET)
def huber_regression(x: Any, a: Any, b: Any) -> Any:
    """matmul sub maximum minimum matmul"""
    return a.T @ nr.clip(a @ x - b, -1.5, 1.5)


OTHERS = ~np.eye(15, dtype=bool)


def pair_energies(p: Any) -> Any:
    d = p[:, None, :] - p[None, :, :]
    r2 = nr.where(OTHERS, nr.sum(d**2, axis=-1), 1.0)
    i6 = (1.0 / r2) ** 3
    return nr.sum(nr.where(OTHERS, 2.0 * (i6**2 - i6), 0.0))


@case(pair_energies, R.normal(size=(15, 3)))
def lennard_jones(p: Any) -> Any:
    """sub mul reduce_sum div mul mul mul sub mul mul mul select mul reduce_sum"""
    d = p[:, None, :] - p[None, :, :]
    i = 1.0 / nr.sum(d**2, axis=-1)
    i6 = i * i * i
    force = nr.where(OTHERS, -24.0 * (i * i6 * (2.0 * i6 - 1.0)), 0.0)
    return nr.sum(force[:, :, None] * d, axis=1)


def mlp(w: Any, b: Any, v: Any, c: Any, x: Any, y: Any) -> Any:
    return nr.mean((nr.tanh(x @ w + b) @ v + c - y) ** 2)


LAYERS = R.normal(size=(20, 8)), R.normal(size=8), R.normal(size=8), 0.1


@case(mlp, *LAYERS, MATRIX, TARGET, by=(0, 1, 2, 3))
def tanh_mlp(w: Any, b: Any, v: Any, c: Any, x: Any, y: Any) -> Any:
    """matmul add tanh matmul add sub mul matmul mul sub mul matmul reduce_sum matmul reduce_sum"""
    h = nr.tanh(x @ w + b)
    e = 2.0 / y.shape[0] * (h @ v + c - y)
    inner = (e[:, None] @ v[None, :]) * (1.0 - h * h)
    return x.T @ inner, nr.sum(inner, axis=0), h.T @ e, nr.sum(e)


@case(lambda x, q: 0.5 * nr.sum(x * (q @ x)), POINT, R.normal(size=(20, 20)))
def quadratic_form(x: Any, q: Any) -> Any:
    """matmul matmul add mul"""
    return 0.5 * (q @ x + q.T @ x)


K, C = float(np.sqrt(2 / np.pi)), 0.044715


@case(lambda x: nr.sum(0.5 * x * (1.0 + nr.tanh(K * (x + C * x**3)))), POINT)
def gelu(x: Any) -> Any:
    """mul mul add mul tanh add sub mul add mul mul add mul mul"""
    square = x * x
    t = nr.tanh(x * (K + K * C * square))
    slope = x * (K + 3.0 * K * C * square)
    return 0.5 * ((1.0 + t) * (1.0 + slope * (1.0 - t)))


# -- second derivatives along a direction ----------------------------------------------------------

DIRECTION = R.normal(size=20)


@case(rosenbrock_sum, POINT, DIRECTION, transform=nr.hvp)
def rosenbrock_hvp(x: Any, v: Any) -> Any:
    """slice slice slice slice mul sub mul mul mul sub mul sub mul mul add mul pad pad sub"""
    a, b, va, vb = x[1:], x[:-1], v[1:], v[:-1]
    u = 200.0 * (a - b * b)
    du = 200.0 * (va - 2.0 * (b * vb))
    return nr.pad(du, (1, 0)) - nr.pad(2.0 * (b * du + vb * (u - 1.0)), (0, 1))


@case(logistic, POINT, DIRECTION, MATRIX, np.sign(TARGET), transform=nr.hvp)
def logistic_regression_hvp(w: Any, v: Any, x: Any, y: Any) -> Any:
    """matmul mul abs neg exp add mul div matmul mul mul mul div matmul"""
    e = nr.exp(-nr.abs(y * (x @ w)))
    slope = e / ((1.0 + e) * (1.0 + e))
    return x.T @ (slope * (y * y) * (x @ v) / y.shape[0])


@case(nr.logsumexp, POINT, DIRECTION, transform=nr.hvp)
def logsumexp_hvp(x: Any, v: Any) -> Any:
    """reduce_max isfinite select sub exp reduce_sum eq div select mul reduce_sum sub mul"""
    p = weights(x)
    return p * (v - nr.sum(p * v))


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_as_small_as_those_by_hand(name: str) -> None:
    derivative, hand, args, listed = CASES[name]
    by_hand, found = nr.jit(hand).lower(*args), nr.jit(derivative).lower(*args)
    count = len(listed.split())
    assert Counter(operations(by_hand.graph)) == Counter(listed.split())
    assert len(operations(by_hand.rewritten)) >= count, "the list has more than is needed"
    assert len(operations(found.rewritten)) <= MOST * count, found.rewritten


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_by_hand(name: str) -> None:
    derivative, hand, args, _ = CASES[name]
    leaves, structure = nr.tree.flatten(nr.jit(derivative)(*args))
    expected, same = nr.tree.flatten(nr.jit(hand)(*args))
    assert structure == same
    for value, right in zip(leaves, expected, strict=True):
        scale = float(np.max(np.abs(np.asarray(right))))
        np.testing.assert_allclose(value, right, rtol=1e-12, atol=1e-13 * scale)
