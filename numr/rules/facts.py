"""What the form of a node proves about its values."""

from __future__ import annotations

import math

from numr.ir.node import Node
from numr.primitives.source import SIZE_OF
from numr.rules.vocabulary import constant

VIEWS = ("broadcast", "reshape", "permute", "slice", "flip", "gather")
# How deep a proof may look: rules ask at every node, and long chains must cost no more.
DEPTH = 6


def bare(node: Node) -> Node:
    """A node without the views on top of it."""
    while node.prim.name in VIEWS:
        node = node.inputs[0]
    return node


def is_size(node: Node) -> bool:
    """Whether a node is a length, in any dtype."""
    node = bare(node)
    while node.prim.name == "cast":
        node = node.inputs[0]
    return node.prim is SIZE_OF


def is_tame(node: Node, depth: int = DEPTH) -> bool:
    """Whether a scalar is known to be finite and of ordinary size: constants, lengths, their products."""
    value = constant(node)
    if value is not None:
        return isinstance(value, float) and 2.0**-40 <= abs(value) <= 2.0**40
    if is_size(node):
        return True
    return (
        depth > 0
        and node.prim.name in ("mul", "div", "neg")
        and all(is_tame(x, depth - 1) for x in node.inputs)
    )


def never_subnormal(node: Node, depth: int = DEPTH) -> bool:
    """Whether a value is proven to be 0, NaN, infinite or so large that its reciprocal is finite.

    Then x * (1 / value) is x / value up to rounding, at NaN and infinities too.
    """
    node = bare(node)
    if is_size(node):
        return True
    value = constant(node)
    if value is not None:
        return not isinstance(value, float) or _far_from_zero(value)
    if depth == 0 or node.dtype.kind != "f":
        return False
    name, operands = node.prim.name, node.inputs
    if name == "sqrt" or name == "cosh":
        return True
    if name in ("neg", "abs"):
        return never_subnormal(operands[0], depth - 1)
    if name in ("add", "sub"):
        # A sum is a multiple of the last digit of its greater operand: far from zero, or zero.
        return any(_far_from_zero(constant(x)) for x in operands)
    if name == "select":
        return all(never_subnormal(x, depth - 1) for x in operands[1:])
    return name == "reduce_sum" and _counts_its_maximum(node)


def positive(node: Node, depth: int = DEPTH) -> bool:
    """Whether a value is proven to be greater than 0, or NaN."""
    node = bare(node)
    value = constant(node)
    if value is not None:
        return isinstance(value, float) and value > 0
    if depth == 0:
        return False
    name, operands = node.prim.name, node.inputs
    if name in ("sqrt", "abs"):
        return positive(operands[0], depth - 1)
    if name == "add":
        return any(
            positive(x, depth - 1) and not_negative(y, depth - 1)
            for x, y in (operands, operands[::-1])
        )
    return name == "maximum" and any(positive(x, depth - 1) for x in operands)


def not_negative(node: Node, depth: int = DEPTH) -> bool:
    """Whether a value is proven to be 0 of either sign, greater, or NaN."""
    node = bare(node)
    value = constant(node)
    if value is not None:
        return value == (0.0, 1.0) or value == (0.0, -1.0) or positive(node)
    if is_size(node):
        return True
    if depth == 0 or node.dtype.kind != "f":
        return False
    name, operands = node.prim.name, node.inputs
    if name in ("exp", "sqrt", "abs", "cosh"):
        return True
    if name == "mul" and operands[0] is operands[1]:
        return True
    if name in ("add", "mul"):
        return all(not_negative(x, depth - 1) for x in operands)
    if name == "div":
        x, y = operands
        return not_negative(x, depth - 1) and (is_size(y) or positive(y, depth - 1))
    if name == "reduce_sum":
        return not_negative(operands[0], depth - 1)
    return name == "select" and all(not_negative(x, depth - 1) for x in operands[1:])


def _far_from_zero(value: object) -> bool:
    return isinstance(value, float) and (not math.isfinite(value) or abs(value) > 2.0**-60)


def _counts_its_maximum(node: Node) -> bool:
    """Whether a sum is one of exp(x - max x), over the axes of that maximum: then it is at least 1."""
    (e,) = node.inputs
    return e.prim.name == "exp" and shifted_over(e.inputs[0]) == node.params["axes"]


def shifted_over(y: Node) -> tuple[int, ...] | None:
    """The axes of the maximum, where y is x - max x (which is at most 0); None of other nodes.

    A maximum that is not finite may be replaced by 0.
    """
    if y.prim.name != "sub" or y.inputs[0].rank == 0:
        return None
    x, spread = y.inputs
    if spread.prim.name != "broadcast" and spread.shape:
        return None
    top = spread.inputs[0] if spread.shape else spread  # a scalar needs no spreading
    if top.prim.name == "select":
        mask, yes, no = top.inputs
        if mask.prim.name != "isfinite" or mask.inputs[0] is not yes or constant(no) != (0.0, 1.0):
            return None
        top = yes
    if top.prim.name != "reduce_max" or top.inputs[0] is not x:
        return None
    axes: tuple[int, ...] = top.params["axes"]
    kept = tuple(i for i in range(x.rank) if i not in axes)
    return axes if not spread.shape or spread.params["axes"] == kept else None
