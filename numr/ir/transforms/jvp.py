"""Forward mode on the graph: the tangents of outputs, given tangents of some nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numr.ir.node import Node, located, toposort_between


def jvp(outputs: Sequence[Node], seeds: Mapping[Node, Node]) -> list[Node | None]:
    """Tangents of the outputs when each key of `seeds` moves by its value; None where zero.

    Only nodes between the seeds and the outputs are visited, in creation order.
    """
    tangents: dict[Node, Node] = dict(seeds)
    for node in toposort_between(outputs, seeds):
        incoming = [tangents.get(x) for x in node.inputs]
        if any(t is not None for t in incoming) and node.dtype.is_inexact:
            with located(node.location):
                tangent = node.prim.jvp(node, node.inputs, incoming, **node.params)
            if tangent is not None:
                tangents[node] = tangent
    return [tangents.get(out) for out in outputs]
