"""Sums of everything beside sums of rows: taken row by row, in the kernel that goes through the rows anyway.

The value of a function and its gradient are such a pair. A kernel each would compute what both need twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from numr.ir.dims import Dim, Extent
from numr.ir.node import Node, toposort
from numr.ir.transforms.substitute import again, rebuild


def by_rows(
    outputs: Sequence[Node], extent: Callable[[int], Extent]
) -> tuple[list[Node], dict[Node, str]]:
    """The outputs, with a reduction of a whole array as one of each row and one of these, where another result
    reduces rows of what it is made of; and the reductions of rows, which are to be stored, and why.

    Args:
        outputs: the graph.
        extent: what a length is for any sizes.
    """
    order = toposort(outputs)
    reductions = [n for n in order if hasattr(n.prim, "monoid")]
    rows = [n for n in reductions if n.shape and 0 not in n.params["axes"]]

    def lengths(node: Node) -> list[Extent]:
        return [extent(n) for n in node.shape]

    def split(node: Node) -> bool:
        (x,) = node.inputs
        shape = lengths(x)
        if node.shape or sum(isinstance(e, Dim) for e in shape[1:]) == 0 or shape[0] == 1:
            return False
        below = set(toposort([node]))
        users = (n for n in rows if n not in below and lengths(n)[0] == shape[0])
        shared = {n for n in _elements([x]) if lengths(n) == shape}
        return any(
            n in shared and not _free(n) for n in _elements([user.inputs[0] for user in users])
        )

    wanted = {n for n in reductions if n.rank == 0 and split(n)} if rows else set()
    stored: dict[Node, str] = {}
    if not wanted:
        return list(outputs), stored

    def make(node: Node, operands: tuple[Node, ...]) -> Node:
        if node not in wanted:
            return again(node, operands)
        row = node.prim(*operands, axes=tuple(range(1, operands[0].rank)))
        stored[row] = "another kernel goes through these rows anyway"
        return node.prim(row, axes=(0,))

    return rebuild(outputs, [n for n in order if n.inputs], make), stored


def _free(node: Node) -> bool:
    """Whether an element of a node is neither work nor read from an array of its size."""
    return node.prim.lowering == "element" and not hasattr(node.prim, "op") and bool(node.inputs)


def _elements(nodes: Iterable[Node]) -> set[Node]:
    """What is computed for each element of these, element by element, and the arrays it is read from."""
    stack = list(nodes)
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node.prim.lowering == "element":
            for x in node.inputs:
                if x not in seen:
                    seen.add(x)
                    stack.append(x)
    return seen
