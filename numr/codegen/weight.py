"""What an element of a node costs to compute from stored arrays, each expression counted once.

A value used twice at one place of a kernel is computed there once; read at two places, by slices of one
array, it is computed twice. So a term counts once for each way of views on which it is come to.
"""

from __future__ import annotations

from collections.abc import Callable

from numr.ir.node import Node

# Work worth keeping rather than repeating, in additions (see the scalar table's costs).
EXPENSIVE = 12

_COSTS = {"gather": 4, "cast": 1, "concat": 2, "pad": 2, "threefry": 120}


def own_cost(node: Node) -> int:
    """What one element of a node costs beyond its operands, in additions."""
    op = getattr(node.prim, "op", None)
    if op is not None:
        return int(op.cost)
    if hasattr(node.prim, "monoid"):
        return 4 * EXPENSIVE
    return _COSTS.get(node.prim.name, 0)


def cost_of(node: Node, loaded: Callable[[Node], bool], limit: int) -> int:
    """What an element of a node costs; where that is `limit` or more, a number of which this is true.

    Looks at about `limit` terms at most, as all that has several operands costs something.

    Args:
        node: what is to be computed, even if it is stored.
        loaded: whether another node is read from memory, where it costs nothing.
        limit: where to stop counting.
    """
    total = own_cost(node)
    # A place is the views passed on the way, as a number; elementwise operations stay where they are.
    places: dict[tuple[object, ...], int] = {}
    stack = [(x, _place(node, 0, places)) for x in node.inputs]
    seen: set[tuple[Node, int]] = set()
    while stack and total < limit:
        term = stack.pop()
        x, place = term
        if term in seen or loaded(x):
            continue
        seen.add(term)
        total += own_cost(x)
        here = _place(x, place, places)
        stack += [(y, here) for y in x.inputs]
    return total


def _place(node: Node, place: int, places: dict[tuple[object, ...], int]) -> int:
    """Where the operands of a node are read, if it is read at a place."""
    if hasattr(node.prim, "op") or node.prim.name == "cast":
        return place
    # Two slices or sums alike read one place; what an index array picks, only that array knows.
    picked = node.inputs[1:] if node.prim.name == "gather" else ()
    return places.setdefault((place, node.prim, picked, *node.params.values()), len(places) + 1)
