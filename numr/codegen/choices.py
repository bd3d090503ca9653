"""Branches that cost less than asking which one to take: both are computed, and the result is a choice."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from numr.codegen.weight import own_cost
from numr.ir.node import Node, toposort
from numr.ir.primitive import siblings_key
from numr.ir.transforms.substitute import rebuild
from numr.primitives.branches import SWITCH

# Additions of all branches together. A step of Python's, or a number read back from a device, takes longer.
CHEAP = 4096


def with_choices(outputs: Sequence[Node], size: Callable[[int], int]) -> list[Node]:
    """The outputs with cheap branches as choices.

    Args:
        outputs: the graph.
        size: a representative of a length, the same for all lengths that share a program.
    """
    order = toposort(outputs)
    cheap: dict[object, bool] = {}
    for node in order:
        if node.prim is SWITCH and (key := siblings_key(node)) not in cheap:
            cheap[key] = _cost(node, size) <= CHEAP
    if not any(cheap.values()):
        return list(outputs)

    def make(node: Node, operands: tuple[Node, ...]) -> Node:
        new = node.prim(*operands, **node.params)
        if node.prim is SWITCH and cheap[siblings_key(node)]:
            return with_choices([SWITCH.chosen(new)], size)[0]
        return new

    return rebuild(outputs, [n for n in order if n.inputs], make)


def _cost(node: Node, size: Callable[[int], int]) -> float:
    total = 0.0
    for branch in node.params["branches"]:
        for inner in toposort(branch.outputs, branch.params):
            if inner.inputs and inner.prim is not SWITCH and inner.prim.lowering != "element":
                return math.inf
            if inner.prim is SWITCH:
                total += _cost(inner, size)
            total += (1 + own_cost(inner)) * math.prod(map(size, inner.shape))
    return total
