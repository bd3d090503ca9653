"""Selections kept outermost in derivatives, so that what was not selected never meets an infinite factor.

The cotangent of `where(x > 0, log(x), 0)` is 0 where x is not positive, and a product with 1 / x would
make that 0 * inf. The same holds for what a slice, a gather or a maximum left out. `guard` finds where
a cotangent is zero by construction; `times` and `over` multiply and divide inside of that.
"""

from __future__ import annotations

import functools

from numr.dtypes import bool_
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.primitives.elementwise import (
    SELECT,
    add,
    cast,
    expand_like,
    is_zero,
    like,
    select,
    zero_like_scalar,
)
from numr.primitives.mathematics import bit_and, bit_or, gt, invert
from numr.primitives.reduction import reduce_or
from numr.primitives.shape import BROADCAST, broadcast_to
from numr.primitives.source import const


class Guard:
    """A selection against zero: `value` where the mask equals `when`, 0 elsewhere.

    `last` says that no further selection is to be looked for in the value.
    """

    __slots__ = ("last", "mask", "value", "when")

    def __init__(self, mask: Node, value: Node, when: bool, last: bool = False) -> None:
        self.mask, self.value, self.when, self.last = mask, value, when, last

    def around(self, value: Node) -> Node:
        """Another value under the same selection."""
        zero = zero_like_scalar(value)
        return select(self.mask, value, zero) if self.when else select(self.mask, zero, value)

    def holds(self, places: bool = False) -> Node:
        """Where the value is selected, by this selection and those inside it."""
        mask = self.mask if self.when else invert(self.mask)
        inner = None if self.last else guard(self.value, places=places)
        return mask if inner is None else bit_and(mask, inner.holds(places))


# What only moves elements (or fills with zeros), and what keeps zeros in place: a selection is seen
# through both.
MOVES = ("broadcast", "permute", "reshape", "slice", "flip", "pad", "gather")
IN_PLACE = ("neg", "cast", "real", "imag")
PRODUCTS = ("mul", "div")


# Terms of a sum, and sums of sums, that are looked into for what each of them leaves out.
TERMS = 8
LEVELS = 8


def guard(x: Node, sums: bool = False, places: bool = False, level: int = 0) -> Guard | None:
    """The selection against zero that a cotangent is, or is a move of; None if it is none.

    With `sums`, sums of selected elements count as selected where any of their elements is. With
    `places`, the elements that a slice or a gather took count as selected: its adjoint is zero
    everywhere else.
    """
    if level > LEVELS:
        return None
    moves: list[Node] = []
    padded = -1
    products = 0
    while x.dtype.is_inexact:
        if places and x.prim.name in PRODUCTS and x.inputs[0].shape == x.shape:
            # `times` made it of a factor that is finite where x is 0.
            products += 1
            if products > LEVELS:
                return None
        elif x.prim.name not in MOVES and x.prim.name not in IN_PLACE:
            break
        if x.prim.name == "pad":
            if not is_zero(x.inputs[1]):
                return None
            padded = len(moves)
        moves.append(x)
        x = x.inputs[0]
    found: Guard | None = None
    if x.prim is SELECT:
        mask, yes, no = x.inputs
        if is_zero(no):
            found = Guard(mask, yes, True)
        elif is_zero(yes):
            found = Guard(mask, no, False)
    elif sums and x.prim.name == "reduce_sum":
        found = _guard_of_reduction(x, places, level + 1)
    elif (sums or places) and x.prim.name == "scatter":
        found = _guard_of_scatter(x, sums, places, level + 1)
    elif sums and places and x.prim.name == "add":
        found = _guard_of_terms(x, level + 1)
    if found is None and places and padded >= 0:
        # Nothing is left out but by the padding.
        x = moves[padded].inputs[0]
        found = Guard(_everywhere(x.shape), x, True, last=True)
        moves = moves[: padded + 1]
    if found is not None and moves:
        found.mask, found.value = expand_like(found.mask, x), expand_like(found.value, x)
        for move in reversed(moves):
            if move.prim.name in MOVES:
                pad = move.prim.name == "pad"
                others = (const(not found.when, bool_),) if pad else move.inputs[1:]
                found.mask = move.prim(found.mask, *others, **move.params)
            found.value = move.prim(found.value, *move.inputs[1:], **move.params)
    return found


# Finite wherever their operands are, but for overflow.
_FINITE = frozenset(
    (
        *("abs", "add", "and", "atan", "cast", "cos", "cumsum", "erf", "erfc", "invert", "matmul"),
        *("maximum", "minimum", "mul", "neg", "or", "sigmoid", "sign", "sin", "sub", "tanh"),
        "whole_power",
        *("eq", "ge", "gt", "le", "lt", "ne", "select"),
        *("reduce_max", "reduce_min", "reduce_sum", "scatter", *MOVES),
        *("alias", "const", "iota", "leaf", "param", "size_of"),
    )
)
_PASSING = frozenset((*MOVES, *IN_PLACE, *PRODUCTS, "add", "reduce_sum", "scatter"))
LOOKED_AT = 24


def leaves_out_places(x: Node) -> bool:
    """Whether x can be the adjoint of a slice or a gather, moved or added up: a quick look."""
    return x.prim.name in _PASSING


def may_be_infinite(x: Node) -> bool:
    """Whether finite arguments could make x infinite or NaN, as far as a short look tells."""
    stack, seen = [x], {x}
    while stack:
        if len(seen) > LOOKED_AT:
            return True
        node = stack.pop().made_by
        if node.prim.name not in _FINITE:
            return True
        for operand in node.inputs:
            if operand not in seen:
                seen.add(operand)
                stack.append(operand)
    return False


def _everywhere(shape: Shape) -> Node:
    return broadcast_to(const(True, bool_), shape)


def _guard_of_reduction(x: Node, places: bool, level: int) -> Guard | None:
    """Where a sum over axes has any selected element."""
    inner = guard(x.inputs[0], sums=True, places=places, level=level)
    if inner is None:
        return None
    return Guard(
        reduce_or(expand_like(inner.holds(places), x.inputs[0]), **x.params), x, True, True
    )


def _guard_of_terms(x: Node, level: int) -> Guard | None:
    """Where any term of a sum is selected, if every term is a selection."""
    terms, masks = [x], []
    while terms:
        term = terms.pop()
        if term.prim is add:
            terms += term.inputs
        else:
            # Sums of sums branch; two levels of them are enough.
            inner = guard(term, sums=True, places=True, level=level + LEVELS // 3)
            if inner is None:
                return None
            masks.append(expand_like(inner.holds(places=True), x))
        if len(terms) + len(masks) > TERMS:
            return None
    return Guard(functools.reduce(bit_or, masks), x, True, True)


def _guard_of_scatter(x: Node, sums: bool, places: bool, level: int) -> Guard | None:
    """Where a scatter-add into zeros has put a selected element."""
    base, updates, *indices = x.inputs
    if x.params["mode"] != "add" or not is_zero(base):
        return None
    inner = guard(updates, sums, places, level)
    if inner is not None:
        marks = cast(expand_like(inner.holds(places), updates), x.dtype)
        count = x.prim(base, marks, *indices, mode="add")
        return Guard(gt(count, like(count, 0)), x, True, True)
    if not places:
        return None
    lead = len(indices)
    nowhere = broadcast_to(const(False, bool_), x.shape[:lead])
    taken = x.prim(nowhere, _everywhere(indices[0].shape), *indices, mode="set")
    mask = BROADCAST(taken, shape=x.shape, axes=tuple(range(lead)))
    return Guard(mask, x, True, True)


def add_cotangents(x: Node, y: Node) -> Node:
    """x + y where cotangents meet; selections stay outermost, so that `times` still finds them."""
    a = guard(x)
    b = None if a is None else guard(y)
    if a is None or b is None:
        return add(x, y)
    if a.mask is b.mask:
        if a.when is b.when:
            return a.around(add_cotangents(a.value, b.value))
        first, second = (a, b) if a.when else (b, a)
        return select(a.mask, first.value, second.value)
    total = add(x, y)
    return select(bit_or(a.holds(), b.holds()), total, zero_like_scalar(total))
