"""Patterns: rules written as two functions of variables that build graph on both sides.

`rule("neg-neg", lambda x: neg(neg(x)), lambda x: x)` matches any node built as the left side builds
its example, whatever its shape and dtype, and the same left side makes the instances the tests use.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from numr.ir.node import Node
from numr.ir.rewrite.engine import Numerics, Rule


def pattern_rule(
    name: str,
    left: Callable[..., Node],
    right: Callable[..., Node],
    *,
    variables: Callable[[Sequence[str]], Sequence[Node]],
    constant: Callable[[Node], Any],
    when: Callable[..., bool] | None = None,
    numerics: Numerics = "exact",
) -> Rule:
    """A rule from its two sides.

    `variables(names)` makes fresh pattern variables; `constant(node)` is the value of a constant node, or
    None for other nodes. `when` is asked with the nodes bound to the variables.
    """
    holes = list(variables(list(inspect.signature(left).parameters)))
    count = len(holes)
    pattern = left(*holes)
    numbers = {hole: k for k, hole in enumerate(holes)}

    def match(p: Node, node: Node, bound: list[Node | None]) -> bool:
        hole = numbers.get(p)
        if hole is not None:
            if bound[hole] is None:
                bound[hole] = node
            return bound[hole] is node
        wanted = constant(p)
        if wanted is not None:
            return bool(constant(node) == wanted)
        if p.prim is not node.prim or len(p.inputs) != len(node.inputs):
            return False
        orders = [node.inputs]
        op = getattr(p.prim, "op", None)
        if op is not None and op.commutative and len(node.inputs) == 2:
            orders.append(node.inputs[::-1])
        for order in orders:
            trial = list(bound)
            if all(match(q, x, trial) for q, x in zip(p.inputs, order, strict=True)):
                bound[:] = trial
                return True
        return False

    def apply(node: Node) -> Node | None:
        bound: list[Node | None] = [None] * count
        if not match(pattern, node, bound):
            return None
        if when is not None and not when(*bound):
            return None
        return right(*bound)

    return Rule(name, (pattern.prim.name,), apply, numerics, left, count)
