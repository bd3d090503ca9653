"""Make a graph anew: nodes replaced, and what depends on them rebuilt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from numr.ir.node import Node, located, scope, toposort_between


def again(node: Node, operands: tuple[Node, ...]) -> Node:
    """The node on other operands."""
    return node.prim(*operands, **node.params)


def rebuild(
    outputs: Sequence[Node],
    order: Iterable[Node],
    make: Callable[[Node, tuple[Node, ...]], Node] = again,
    replacements: Mapping[Node, Node] | None = None,
) -> list[Node]:
    """The outputs with every node of `order` made anew, at its own location, by
    `make(node, what became of its operands)`. Nodes of neither `order` nor `replacements` stay."""
    new: dict[Node, Node] = dict(replacements or {})
    with located(scope.location):
        for node in order:
            scope.location = node.location
            new[node] = make(node, tuple([new.get(x, x) for x in node.inputs]))
    return [new.get(out, out) for out in outputs]


def substitute(outputs: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """The outputs with every key of `replacements` replaced by its value."""
    order = toposort_between(outputs, replacements)
    return rebuild(outputs, order, replacements=replacements)
