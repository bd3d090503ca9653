"""Rewriting before fusion: drop aliases and merge equal subgraphs."""

from __future__ import annotations

from collections.abc import Sequence

from numr.ir.node import Node, toposort

TRANSPARENT = ("alias", "stop_gradient")


def rewrite(inputs: Sequence[Node], outputs: Sequence[Node], fast_math: bool) -> list[Node]:
    """The outputs rebuilt without nodes that only matter to derivatives."""
    new: dict[Node, Node] = {n: n for n in inputs}
    for node in toposort(outputs):
        if node in new:
            continue
        if node.prim.name in TRANSPARENT:
            new[node] = new[node.inputs[0]]
        elif node.value is not None or not node.inputs:
            new[node] = node
        else:
            expand = getattr(node.prim, "expand", None)
            operands = [new[x] for x in node.inputs]
            new[node] = (
                node.prim(*operands, **node.params)
                if expand is None
                else expand(*operands, **node.params)
            )
    return [new[out] for out in outputs]
