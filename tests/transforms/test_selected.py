"""Selecting by slice, index, maximum or sorting is a guard: what was left out has no derivative, not NaN.

Each function takes log(x) or 1 / x at a point where it is infinite and leaves that element out. The
oracle is the closed form for the elements that stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr

X = np.array([0.0, 2.0, 0.5, 3.0])

# (name, function of log(x) that leaves element 0 out, the weights of the others)
SELECTIONS: list[tuple[str, Callable[[Any], Any], list[float]]] = [
    ("slice", lambda y: nr.sum(y[1:]), [0, 1, 1, 1]),
    ("strided slice", lambda y: nr.sum(y[1::2]), [0, 1, 0, 1]),
    ("reversed slice", lambda y: nr.sum(y[:0:-1] * np.array([1.0, 2, 3])), [0, 3, 2, 1]),
    ("integer", lambda y: y[1] + 2 * y[3], [0, 1, 0, 2]),
    ("neighbours", lambda y: nr.sum(y[1:-1] + y[2:]), [0, 1, 2, 1]),
    ("differences", lambda y: nr.sum(nr.diff(y[1:])), [0, -1, 0, 1]),
    ("integer array", lambda y: nr.sum(y[nr.asarray([1, 1, 3])]), [0, 2, 0, 1]),
    ("mask", lambda y: nr.sum(y[X > 0]), [0, 1, 1, 1]),
    ("take", lambda y: nr.take(y, nr.asarray(2)), [0, 0, 1, 0]),
    ("split", lambda y: nr.sum(nr.split(y, 2)[1]), [0, 0, 1, 1]),
    ("reshaped", lambda y: nr.sum(nr.reshape(y, (2, 2))[:, 1] * 2), [0, 2, 0, 2]),
    ("permuted", lambda y: nr.sum(nr.reshape(y, (2, 2)).T[1]), [0, 1, 0, 1]),
    ("diagonal", lambda y: nr.sum(nr.flip(nr.reshape(y, (2, 2)), axis=0).diagonal()), [0, 1, 1, 0]),
    ("sorted", lambda y: nr.sum(nr.sort(y)[1:]), [0, 1, 1, 1]),
    ("maximum", lambda y: nr.sum(nr.maximum(y, -9.0)), [0, 1, 1, 1]),
    ("clipped", lambda y: nr.sum(nr.clip(y, -9.0, 9.0)), [0, 1, 1, 1]),
    ("greatest", lambda y: nr.max(y), [0, 0, 0, 1]),
    ("segments", lambda y: nr.segment_sum(y, np.array([0, 1, 1, 1]), 2)[1], [0, 1, 1, 1]),
    ("placed", lambda y: nr.sum(y.at[0].set(1.0)), [0, 1, 1, 1]),
    ("lower triangle", lambda y: nr.sum(nr.triu(nr.reshape(y, (2, 2)), k=1)), [0, 1, 0, 0]),
]
CASES = pytest.mark.parametrize(
    ("select", "weights"), [(s, w) for _, s, w in SELECTIONS], ids=[n for n, _, _ in SELECTIONS]
)


def closed(weights: Any, f: Callable[[Any], Any]) -> Any:
    with np.errstate(all="ignore"):
        return np.where(np.asarray(weights) != 0, np.asarray(weights) * f(X), 0.0)


@pytest.mark.parametrize("jit", [False, True])
@CASES
def test_logarithms_that_are_left_out(select: Any, weights: Any, jit: bool) -> None:
    def f(x: Any) -> Any:
        return select(nr.log(x))

    f = nr.jit(f) if jit else f
    slope, curve = closed(weights, lambda x: 1 / x), np.diag(closed(weights, lambda x: -1 / x**2))
    for derivative in (nr.grad(f), nr.jacfwd(f)):
        np.testing.assert_allclose(derivative(X), slope, rtol=1e-14)
    np.testing.assert_allclose(nr.vmap(nr.grad(f))(np.stack([X, X]))[1], slope, rtol=1e-14)
    for inner in (nr.grad, nr.jacfwd):
        for outer in (nr.jacrev, nr.jacfwd):
            np.testing.assert_allclose(outer(inner(f))(X), curve, rtol=1e-14, atol=1e-300)


# 1 / x orders the elements otherwise than log(x), and these go by the order.
ORDERED = ("sorted", "greatest", "clipped", "maximum")
UNORDERED = [(n, s, w) for n, s, w in SELECTIONS if n not in ORDERED]


@pytest.mark.parametrize(
    ("select", "weights"), [(s, w) for _, s, w in UNORDERED], ids=[n for n, _, _ in UNORDERED]
)
def test_quotients_that_are_left_out(select: Any, weights: Any) -> None:
    def f(x: Any) -> Any:
        return select(-1 / x)

    np.testing.assert_allclose(nr.grad(f)(X), closed(weights, lambda x: x**-2.0), rtol=1e-14)


def test_what_was_taken_keeps_its_infinity() -> None:
    """Only structural zeros are guarded: a derivative that is infinite stays so."""
    assert np.isinf(np.asarray(nr.grad(lambda x: nr.sum(nr.log(x)[:1]))(X))[0])
    assert np.isinf(np.asarray(nr.grad(lambda x: nr.log(x)[nr.asarray([0])][0])(X))[0])


def test_a_zero_weight_is_not_a_selection() -> None:
    assert np.isnan(np.asarray(nr.grad(lambda x: nr.sum(nr.log(x) * (X > 0)))(X))[0])


@pytest.mark.parametrize("take", [lambda y: y[1:], lambda y: y[nr.asarray([1, 1])]])
def test_no_mask_where_nothing_can_be_infinite(take: Callable[[Any], Any]) -> None:
    text = str(nr.jit(nr.grad(lambda x: nr.sum(take(nr.tanh(x))))).lower(X).graph)
    assert text.count("scatter") <= 1
    assert not [line for line in text.splitlines() if "select" in line and "-> f64" in line]


def test_long_chains_of_selections_and_sums() -> None:
    """Looking for selections stays shallow, however deep the graph."""

    def f(x: Any) -> Any:
        for _ in range(3000):
            x = nr.sin(x)[nr.asarray([1, 0, 3, 2])] + nr.reshape(nr.reshape(x, (2, 2)).T, (4,))
            x = x / 3
        return nr.sum(nr.exp(x)[1:])

    assert len(nr.jit(nr.grad(f)).trace(X).outputs) == 1
