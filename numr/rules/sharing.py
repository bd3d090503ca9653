"""Divisions: one where several have one divisor, whose reciprocal they multiply by; no reciprocal for one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from numr.ir.node import Node, toposort
from numr.ir.transforms.substitute import again, rebuild
from numr.primitives.elementwise import div, is_one, like, mul
from numr.rules.facts import is_size, never_subnormal
from numr.rules.vocabulary import power_of_two


def share_reciprocals(
    inputs: Sequence[Node], outputs: Sequence[Node], fast_math: bool = False
) -> list[Node]:
    """Write x / d as x * (1 / d) where several nodes divide by d, and this rounds but does no harm.

    It does none where d cannot be subnormal, or where x is a power of two and 1 / d is computed
    anyway: the two then differ only for |d| beyond about 1e308 or below 1e-308.
    """
    order = toposort(outputs, inputs)
    divisions = [n for n in order if n.prim is div]
    count = Counter(n.inputs[1] for n in divisions)
    inverted = {
        n.inputs[1] for n in divisions if is_one(n.inputs[0]) and n.shape == n.inputs[1].shape
    }
    wanted = {n for n in divisions if _shares(n, count, inverted, fast_math)}
    if not wanted:
        return list(outputs)

    def make(node: Node, operands: tuple[Node, ...]) -> Node:
        if node in wanted:
            x, d = operands
            return mul(x, div(like(d, 1), d))
        return node if operands == node.inputs else again(node, operands)

    return rebuild(outputs, order, make)


def join_reciprocals(inputs: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    """Write x * (1 / d) as x / d where nothing else reads 1 / d: one rounding and one operation less."""
    order = toposort(outputs, inputs)
    reads = Counter(x for n in order for x in n.inputs)
    reads.update(outputs)

    def reciprocal(x: Node) -> bool:
        return x.prim is div and is_one(x.inputs[0]) and reads[x] == 1

    def make(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.prim is mul:
            for k, d in enumerate(node.inputs):
                # A scalar is divided by once; what it multiplies may be an array.
                if reciprocal(d) and len(d.shape) == len(node.shape):
                    return div(operands[1 - k], operands[k].inputs[1])
        return node if operands == node.inputs else again(node, operands)

    return rebuild(outputs, order, make)


def _shares(node: Node, count: Counter[Node], inverted: set[Node], fast_math: bool) -> bool:
    x, d = node.inputs
    # The mean of equal numbers should be that number: dividing by a length stays exact.
    if count[d] < 2 or is_one(x) or is_size(d):
        return False
    return fast_math or never_subnormal(d) or (d in inverted and power_of_two(x))
