"""Random programs before and after rewriting: the same values, and the same again rewritten twice."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from numr.dtypes import float64
from numr.ir.interpret import interpret
from numr.ir.node import Node, toposort
from numr.ir.text import Canonical
from numr.primitives.elementwise import add, cast, div, mul, neg, select, sub
from numr.primitives.mathematics import (
    abs_,
    cos,
    eq,
    invert,
    lt,
    maximum,
    minimum,
    sin,
    sqrt,
    tanh,
)
from numr.primitives.reduction import reduce_max, reduce_sum, restore
from numr.primitives.shape import FLIP, PAD, PERMUTE, RESHAPE, SLICE, broadcast_to
from numr.primitives.source import const, param
from numr.rules import rewrite

CONSTANTS = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -3.0, 0.1)
UNARY = (
    neg,
    abs_,
    sin,
    cos,
    tanh,
    lambda x: sqrt(abs_(x)),
    lambda x: cast(cast(x, float64), x.dtype),
)
BINARY = (add, sub, mul, maximum, minimum, lambda x, y: div(x, add(const(2, y.dtype), mul(y, y))))
COMPARE = (lt, eq)
ROWS, COLUMNS = 5, 4


def scramble(x: Node, k: int) -> Node:
    """A view of a matrix, of the same shape."""
    rows, columns = x.shape
    if k == 0:
        return PERMUTE(PERMUTE(x, order=(1, 0)), order=(1, 0))
    if k == 1:
        return FLIP(x, axes=(0,))
    if k == 2:
        return RESHAPE(RESHAPE(x, shape=(rows, 1, columns)), shape=x.shape)
    starts, steps = (0, 1), (1, 1)
    wide = PAD(x, const(0, x.dtype), starts=starts, shape=(rows, 9), steps=steps)
    return SLICE(wide, starts=starts, sizes=x.shape, steps=steps)


@st.composite
def programs(draw: Any) -> tuple[list[Node], list[Node]]:
    """Inputs and outputs of a random graph over a matrix, its rows, and scalars."""
    matrix = param((ROWS, COLUMNS), float64, None)
    other, scalar = param((ROWS, COLUMNS), float64, None), param((), float64, None)
    # One size class, as a function of equal shapes would have.
    add(matrix, other)
    values = [matrix, other, scalar]
    masks = [lt(matrix, other)]

    def pick() -> Node:
        return draw(st.sampled_from(values))

    def full(x: Node) -> Node:
        return broadcast_to(x, matrix.shape)

    for _ in range(draw(st.integers(3, 14))):
        kind = draw(st.integers(0, 8))
        if kind == 0:
            values.append(draw(st.sampled_from(UNARY))(pick()))
        elif kind <= 3:
            values.append(draw(st.sampled_from(BINARY))(pick(), pick()))
        elif kind == 4:
            c = const(draw(st.sampled_from(CONSTANTS)), float64)
            values.append(draw(st.sampled_from(BINARY))(c, pick()))
        elif kind == 5:
            mask = draw(st.sampled_from(masks))
            values.append(select(mask, pick(), pick()))
            masks.append(invert(mask))
        elif kind == 6:
            masks.append(draw(st.sampled_from(COMPARE))(full(pick()), pick()))
        elif kind == 7:
            axes = draw(st.sampled_from([(0,), (1,), (0, 1)]))
            reduce = draw(st.sampled_from([reduce_sum, reduce_max]))
            values.append(restore(reduce(full(pick()), axes=axes), matrix, axes))
        else:
            values.append(scramble(full(pick()), draw(st.integers(0, 3))))
    return [matrix, other, scalar], [values[-1], pick()]


ELEMENTS = st.floats(-4, 4, allow_nan=False, allow_subnormal=False)


@settings(max_examples=150, deadline=None)
@given(programs(), st.lists(ELEMENTS, min_size=41, max_size=41), st.booleans())
def test_random_programs_keep_their_values(program: Any, numbers: list[float], odd: bool) -> None:
    inputs, outputs = program
    values = np.array(numbers)
    if odd:
        values[:6] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0]
    bound = dict(
        zip(
            inputs,
            (values[:20].reshape(5, 4), values[20:40].reshape(5, 4), values[40]),
            strict=True,
        )
    )
    after = rewrite(inputs, outputs, False)
    assert [(n.shape, n.dtype) for n in after] == [(n.shape, n.dtype) for n in outputs]
    steps = interpret(toposort(outputs), bound)
    reach = max(
        float(np.max(np.abs(v[np.isfinite(v)]), initial=1)) for v in steps if v.dtype != bool
    )
    for got, want in zip(interpret(after, bound), interpret(outputs, bound), strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12 * reach)


@settings(max_examples=60, deadline=None)
@given(programs())
def test_rewriting_again_changes_nothing(program: Any) -> None:
    inputs, outputs = program
    once = rewrite(inputs, outputs, False)
    twice = rewrite(inputs, once, False)
    assert Canonical(inputs, twice).text == Canonical(inputs, once).text
