"""Selections of which only one side is read: dropped, and every bit of the results is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.ir.interpret import interpret
from numr.ir.node import Node, toposort
from numr.ir.rewrite.engine import own_arena
from numr.primitives.elementwise import add, div, like, mul, neg, select
from numr.primitives.mathematics import bit_and, bit_or, gt, log, sqrt
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import BROADCAST, PERMUTE, RESHAPE
from numr.primitives.source import leaf
from numr.rules.selected import MOST, drop_choices

X = np.array([-3.0, -0.0, 0.0, 1.0, 4.0, np.inf, -np.inf, np.nan, 1e-310])
Y = np.array([2.0, -1.0, np.nan, 0.0, np.inf, 5.0, -0.0, 3.0, -7.0])


def selections(nodes: list[Node]) -> int:
    return sum(n.prim.name == "select" for n in toposort(nodes))


def check(outputs: list[Node], left: int) -> None:
    with own_arena():
        after = drop_choices([], outputs)
    for got, want in zip(interpret(after, {}), interpret(outputs, {}), strict=True):
        assert got.tobytes() == want.tobytes()
    assert selections(after) == left


def test_inner_selections_go() -> None:
    x, y = leaf(X), leaf(Y)
    m = gt(x, like(x, 0))
    inner = log(select(m, x, like(x, 1)))
    check([select(m, mul(inner, select(m, y, like(y, 0))), y)], 1)
    check([select(m, y, neg(sqrt(select(m, x, y))))], 1)


def test_what_is_read_elsewhere_too_stays() -> None:
    x, y = leaf(X), leaf(Y)
    m, other = gt(x, like(x, 0)), gt(y, like(y, 0))
    inner = select(m, x, like(x, 1))
    check([select(m, inner, y), inner], 2)
    check([add(select(m, inner, y), div(inner, y))], 2)
    check([select(other, inner, y)], 2)
    check([select(m, y, inner), select(m, inner, x)], 3)


def test_masks_of_several_conditions() -> None:
    x, y = leaf(X), leaf(Y)
    m, n = gt(x, like(x, 0)), gt(y, like(y, 0))
    inner = neg(select(m, x, y))
    check([select(bit_and(m, n), inner, y)], 1)
    check([select(bit_or(m, n), y, inner)], 1)
    check([select(bit_or(m, n), inner, y)], 2)
    check([select(bit_and(m, n), y, inner)], 2)


def test_scalars_and_views() -> None:
    x, s = leaf(X), leaf(np.array(2.0))
    yes = gt(s, like(s, 0))
    # A scalar mask holds for all of an array; one of an array says nothing of a scalar.
    check([select(yes, mul(x, select(yes, s, like(s, 0))), x)], 1)
    check([select(yes, reduce_sum(select(yes, x, neg(x)), axes=(0,)), s)], 1)
    m = gt(x, like(x, 0))
    check([select(m, mul(x, select(yes, s, like(s, 0))), x)], 2)
    check([reduce_sum(select(m, select(m, x, neg(x)), x), axes=(0,))], 1)
    # A mask that is viewed like what it chooses from.
    for view in (
        lambda v: BROADCAST(v, shape=(2, 9), axes=(1,)),
        lambda v: RESHAPE(v, shape=(3, 3)),
        lambda v: PERMUTE(RESHAPE(v, shape=(3, 3)), order=(1, 0)),
    ):
        inner = view(neg(select(m, x, mul(x, x))))
        check([select(view(m), inner, neg(inner)), view(m)], 2)
        check([select(view(m), inner, view(x))], 1)
    other = BROADCAST(m, shape=(9, 9), axes=(0,))
    inner = BROADCAST(neg(select(m, x, mul(x, x))), shape=(9, 9), axes=(1,))
    check([select(other, inner, like(x, 0))], 2)


def test_long_chains_of_selections() -> None:
    x = leaf(X)
    value: Any = x
    for k in range(3 * MOST):
        value = select(gt(x, like(x, float(k))), add(x, like(x, k)), value)
    check([value], 3 * MOST)


@pytest.mark.parametrize("n", [0, 1, 9])
def test_guarded_derivatives_need_one_selection(n: int) -> None:
    """Of sizes 0 and 1, too; the values are those of the unrewritten graph."""
    f = nr.grad(lambda x: nr.sum(nr.where(x > 0, nr.log(nr.where(x > 0, x, 1.0)) ** 3, 0.0)))
    x = np.resize(X, n)
    assert str(nr.jit(f).lower(np.ones(9)).rewritten).count("= select") == 1
    with np.errstate(all="ignore"):
        want = np.where(x > 0, 3 * np.log(np.where(x > 0, x, 1.0)) ** 2 / x, 0.0)
    np.testing.assert_allclose(nr.jit(f)(x), want, rtol=1e-14)
