"""Loops that carry the same are one, and carry nothing that nobody wants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr

X = np.linspace(0.1, 0.9, 5)
ROWS = np.linspace(-1.0, 1.0, 20).reshape(4, 5)


def loops(f: Any, *args: Any) -> list[str]:
    """The loops of a function's program, as its fused steps tell them."""
    return [
        line for line in str(nr.explain(nr.jit(f), *args)).splitlines() if "gone through" in line
    ]


def same(f: Any, *args: Any) -> None:
    got, want = nr.jit(f)(*args), nr.jit(f, device="reference")(*args)
    for g, w in zip(nr.tree.leaves(got), nr.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-12)


def test_value_and_gradient_go_forward_once() -> None:
    f = nr.value_and_grad(lambda x: nr.sum(nr.fori_loop(0, 9, lambda i, x: nr.sin(x) * x, x)))
    assert len(loops(f, X)) == 2
    same(f, X)


def test_gradients_of_rows_go_forward_once() -> None:
    def loss(x: Any, rows: Any) -> Any:
        step = lambda c, r: ((nr.tanh(c[0] * r), c[1] + 1), c[0] * c[0])
        (_, count), ys = nr.scan(step, (x, 0), rows)
        return nr.sum(ys**2) * (1.0 + 0.1 * count)

    f = nr.value_and_grad(loss, argnums=(0, 1))
    assert len(loops(f, X, ROWS)) == 2
    same(f, X, ROWS)


def test_what_differs_stays_apart() -> None:
    def two(x: Any) -> Any:
        a = nr.fori_loop(0, 5, lambda i, x: nr.sin(x), x)
        b = nr.fori_loop(0, 5, lambda i, x: nr.cos(x), x)
        c = nr.fori_loop(0, 6, lambda i, x: nr.sin(x), x)
        d = nr.scan(lambda c, r: (nr.sin(c) + r, None), x, ROWS)[0]
        e = nr.scan(lambda c, r: (nr.sin(c) + r, None), x, ROWS, reverse=True)[0]
        return a, b, c, d, e

    assert len(loops(two, X)) == 5
    same(two, X)


def test_a_loop_on_the_result_of_another_is_not_joined_with_it() -> None:
    def chained(x: Any) -> Any:
        step = lambda c, r: (nr.sin(c) * r, c)
        last, rows = nr.scan(step, x, ROWS)
        return nr.scan(step, x, rows + last)

    assert len(loops(chained, X)) == 2
    same(chained, X)


def test_equal_recurrences_among_others() -> None:
    def shared(x: Any, rows: Any) -> Any:
        a = nr.scan(lambda c, r: ((nr.sin(c[0]), c[1] + r * c[0]), c[1]), (x, 0.0 * x), rows)
        b = nr.scan(lambda c, r: ((nr.sin(c[0]), c[1] * c[0]), c[0] - r), (x, x), rows)
        return a, b

    assert len(loops(shared, X, ROWS)) == 1
    same(shared, X, ROWS)


def test_swapped_recurrences_are_not_taken_for_equal() -> None:
    def swapped(x: Any) -> Any:
        a = nr.fori_loop(0, 3, lambda i, c: (c[1] + 1.0, c[0] * 2.0), (x, x))
        b = nr.fori_loop(0, 3, lambda i, c: (c[1] + 1.0, c[0] * 3.0), (x, x))
        return a, b

    same(swapped, X)


@pytest.mark.parametrize("bound", [None, 7])
def test_what_nobody_wants_is_not_carried(bound: Any) -> None:
    def first(x: Any) -> Any:
        step = lambda c: (c[0] * 1.5, c[1] + nr.sin(c[2]), c[2] * x, c[3] + 1)
        return nr.while_loop(lambda c: c[3] < 5, step, (x, x, x, 0), max_steps=bound)[0]

    f = nr.vmap(first)
    assert str(nr.jit(f).lower(X).program).count("new f64") == 1
    same(f, X)
    same(nr.vmap(nr.grad(first)) if bound else f, X)
    rows = lambda x: nr.scan(lambda c, r: ((c[0] + r, c[1] * r), (c[0], c[1])), (x, x), ROWS)[1][1]
    assert str(nr.jit(rows).lower(X).program).count("new f64") == 2
    same(rows, X)
