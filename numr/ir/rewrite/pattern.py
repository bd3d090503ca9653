"""Patterns: rules written as two functions of variables that build graph on both sides.

`rule("neg-neg", lambda x: neg(neg(x)), lambda x: x)` matches any node built as the left side builds
its example, whatever its shape, and the same left side makes the instances the tests use.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from numr.ir.node import Node
from numr.ir.rewrite.engine import Numerics, Rule, own_arena


def pattern_rule(
    name: str,
    left: Callable[..., Node],
    right: Callable[..., Node],
    *,
    variables: Callable[[Sequence[str]], Sequence[Node]],
    constant: Callable[[Node], Any],
    fits: Callable[[str, Node], bool],
    head: Callable[[str], Any],
    when: Callable[..., bool] | None = None,
    numerics: Numerics = "exact",
    kinds: str = "f",
) -> Rule:
    """A rule from its two sides.

    `variables(names)` makes fresh pattern variables; `constant(node)` is the value of a constant node,
    or None for other nodes; `fits(name, node)` says whether a node may stand for a variable, and
    `head(name)` which primitive that node must have, if one. `when` is asked with the nodes bound to
    the variables, once they all fit.
    """
    names = list(inspect.signature(left).parameters)
    holes = list(variables(names))
    count = len(holes)
    # Nobody else may hold the pattern's constants: a user's that is read becomes a leaf in place.
    with own_arena():
        pattern = left(*holes)
    numbers = {hole: k for k, hole in enumerate(holes)}
    # Most nodes are turned away by the primitives of their operands.
    heads = [head(names[numbers[p]]) if p in numbers else p.prim for p in pattern.inputs]
    wanted_heads = [(k, h) for k, h in enumerate(heads) if h is not None]
    swappable = _commutes(pattern)

    def match(p: Node, node: Node, bound: list[Node | None]) -> bool:
        hole = numbers.get(p)
        if hole is not None:
            present = bound[hole]
            if present is None:
                bound[hole] = node
                return fits(names[hole], node)
            return present is node
        if not p.inputs:
            wanted = constant(p)
            return wanted is not None and bool(constant(node) == wanted)
        if p.prim is not node.prim:
            return False
        if not _commutes(p):
            return all(match(q, x, bound) for q, x in zip(p.inputs, node.inputs, strict=True))
        for order in (node.inputs, node.inputs[::-1]):
            trial = list(bound)
            if match(p.inputs[0], order[0], trial) and match(p.inputs[1], order[1], trial):
                bound[:] = trial
                return True
        return False

    def apply(node: Node) -> Node | None:
        operands = node.inputs
        for k, h in wanted_heads:
            if operands[k].prim is not h and not (swappable and operands[1 - k].prim is h):
                return None
        bound: list[Node | None] = [None] * count
        if not match(pattern, node, bound):
            return None
        if when is not None and not when(*bound):
            return None
        return right(*bound)

    return Rule(name, (pattern.prim.name,), apply, numerics, left, count, kinds)


def _commutes(node: Node) -> bool:
    op = getattr(node.prim, "op", None)
    return op is not None and op.commutative and len(node.inputs) == 2
