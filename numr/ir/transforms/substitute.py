"""Replace nodes of a graph and rebuild what depends on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numr.ir.node import Node, located, toposort_between


def substitute(outputs: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """The outputs with every key of `replacements` replaced by its value."""
    new: dict[Node, Node] = dict(replacements)
    for node in toposort_between(outputs, replacements):
        with located(node.location):
            new[node] = node.prim(*(new.get(x, x) for x in node.inputs), **node.params)
    return [new.get(out, out) for out in outputs]
