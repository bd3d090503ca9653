"""What an element costs: each expression once at each place, in time that does not grow with its uses."""

from __future__ import annotations

from typing import Any

import numpy as np

import numr as nr
from numr.codegen.fuse import MAX_DEPTH
from numr.codegen.weight import EXPENSIVE, cost_of, own_cost
from numr.ir.node import Node
from numr.primitives.elementwise import add, mul
from numr.primitives.indexing import GATHER
from numr.primitives.mathematics import exp
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import SLICE
from numr.primitives.source import leaf

X, NO_END = leaf(np.ones(9)), 10**6


def chain(x: Any, length: int) -> Any:
    for _ in range(length):
        x = x * x + x
    return x


def cost(node: Node, *stored: Node, limit: int = NO_END) -> int:
    return cost_of(node, lambda n: n is X or n in stored, limit)


def test_a_term_counts_once() -> None:
    y = exp(X)
    once = own_cost(y)
    assert cost(y) == once
    assert cost(mul(y, y)) == once + 1
    z = add(mul(y, y), y)
    assert cost(z) == once + 2
    assert cost(z, y) == 2, "what is stored costs nothing"
    many = X
    for k in range(100):
        assert cost(many) == 2 * k
        many = add(mul(many, many), many)


def test_a_term_counts_once_for_each_place() -> None:
    y = exp(X)
    once = own_cost(y)

    def part(start: int, x: Node = y) -> Node:
        return SLICE(x, starts=(start,), sizes=(3,), steps=(1,))

    assert cost(add(part(0), part(1))) == 2 * once + 1
    assert cost(add(part(0), exp(part(0)))) == 2 * once + 1
    z = mul(y, y)
    assert cost(add(part(0), part(0, z))) == once + 2, "two slices alike are one place"
    i, j = leaf(np.array([0, 1, 2])), leaf(np.array([2, 1, 0]))
    picked = own_cost(GATHER(y, i))
    assert cost(add(GATHER(y, i), GATHER(z, i)), i, j) == once + 2 * picked + 2
    assert cost(add(GATHER(y, i), GATHER(y, j)), i, j) == 2 * (once + picked) + 1
    assert cost(reduce_sum(z, axes=(0,))) == once + 1 + 4 * EXPENSIVE


def test_counting_ends_at_the_limit() -> None:
    y = X
    for k in range(200):
        # Two places of every one below: 2**200 in all.
        y = add(
            SLICE(y, starts=(0,), sizes=(9,), steps=(1,)),
            SLICE(y, starts=(k + 1,), sizes=(9,), steps=(1,)),
        )
    assert cost(y, limit=3000) >= 3000


def test_a_chain_that_reuses_its_terms_is_one_kernel() -> None:
    x = np.linspace(-0.9, -0.1, 50)
    lowered = nr.jit(lambda x: chain(x, 28)).lower(x)
    assert len(lowered.kernels) == 1 and str(lowered.regions).count("stored because") == 1
    np.testing.assert_allclose(nr.jit(lambda x: chain(x, 28))(x), chain(x, 28), rtol=1e-13)


def test_a_long_chain_is_cut_by_its_length_alone() -> None:
    lowered = nr.jit(lambda x: chain(x, 290)).lower(np.zeros(50))
    # A cut stores the product, and the sum of it and of the term before.
    assert str(lowered.regions).count("as long as a kernel may be") <= 2 * (2 * 290 // MAX_DEPTH)
