"""Rewriting before fusion: what only derivatives need goes, composites expand, rules simplify."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from numr.ir.node import Node, located, toposort
from numr.ir.rewrite.engine import Fired, Rule, index_rules, rewrite_graph

TRANSPARENT = ("alias", "stop_gradient")


@functools.cache
def all_rules() -> tuple[Rule, ...]:
    """Every rule, in the order they are tried."""
    from numr.rules import arithmetic, structure

    return (*arithmetic.RULES, *structure.RULES)


@functools.cache
def _table(fast_math: bool) -> dict[str, list[Rule]]:
    return index_rules(all_rules(), fast_math)


def expand(inputs: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    """The outputs without aliases and composites, equal subgraphs merged."""
    new: dict[Node, Node] = {n: n for n in inputs}
    for node in toposort(outputs):
        if node in new:
            continue
        if node.prim.name in TRANSPARENT:
            new[node] = new[node.inputs[0]]
        elif node.value is not None or not node.inputs:
            new[node] = node
        else:
            expansion = getattr(node.prim, "expand", None)
            operands = [new[x] for x in node.inputs]
            with located(node.location):
                if expansion is not None:
                    new[node] = expansion(*operands, **node.params)
                else:
                    new[node] = node.prim(*operands, **node.params)
    return [new[out] for out in outputs]


def rewrite(
    inputs: Sequence[Node],
    outputs: Sequence[Node],
    fast_math: bool,
    record: list[Fired] | None = None,
) -> list[Node]:
    """The outputs in their simplest form: the same inputs, the same lengths."""
    from numr.rules.sharing import share_reciprocals

    outputs = expand(inputs, outputs)
    table = _table(fast_math)
    for _ in range(4):
        before = outputs
        outputs = rewrite_graph(inputs, outputs, table, record)
        if all(a is b for a, b in zip(before, outputs, strict=True)):
            break
    return share_reciprocals(inputs, outputs)
