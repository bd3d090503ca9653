"""One division where a graph has both 1 / x and c / x: scaling by a power of two is exact."""

from __future__ import annotations

from collections.abc import Sequence

from numr.ir.node import Node, toposort
from numr.primitives.elementwise import div, is_one, mul
from numr.rules.arithmetic import power_of_two


def share_reciprocals(inputs: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    """Write c / x as c * (1 / x) where 1 / x is computed anyway and c is a power of two.

    The two differ only where 1 / x overflows or is subnormal, that is for |x| beyond about 1e308
    or below 1e-308.
    """
    order = toposort(outputs)
    reciprocals = {n.inputs[1]: n for n in order if n.prim is div and is_one(n.inputs[0])}
    wanted = {
        n
        for n in order
        if n.prim is div
        and n.inputs[1] in reciprocals
        and not is_one(n.inputs[0])
        and power_of_two(n.inputs[0])
    }
    if not wanted:
        return list(outputs)
    new: dict[Node, Node] = {n: n for n in inputs}
    for node in order:
        if node in new:
            continue
        if node.value is not None or not node.inputs:
            new[node] = node
        elif node in wanted:
            new[node] = (
                mul(new[node.inputs[0]], new[reciprocals[node.inputs[1]]])
                if reciprocals[node.inputs[1]] in new
                else node.prim(*(new[x] for x in node.inputs))
            )
        else:
            new[node] = node.prim(*(new[x] for x in node.inputs), **node.params)
    return [new[out] for out in outputs]
