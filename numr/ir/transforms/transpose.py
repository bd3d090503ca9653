"""Reverse mode: the transpose of a linear stretch of graph, found by reachability from its seeds.

Nodes that do not depend on a seed are the residuals, as they stand: there is no tape and no partial
evaluation, and the result is a graph like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numr.ir.node import Node, located, toposort_between
from numr.ir.primitive import siblings_key


def transpose(
    outputs: Sequence[Node | None],
    seeds: Sequence[Node],
    cotangents: Sequence[Node | None],
    add: Callable[[Node, Node], Node],
) -> list[Node | None]:
    """Cotangents of the seeds, given those of outputs that are linear in the seeds; None is zero.

    `add` sums the cotangents that meet at a node.
    """
    collected: dict[Node, Node] = {}

    def collect(node: Node, ct: Node) -> None:
        present = collected.get(node)
        collected[node] = ct if present is None else add(present, ct)

    live = [
        (out, ct)
        for out, ct in zip(outputs, cotangents, strict=True)
        if out is not None and ct is not None
    ]
    for out, ct in live:
        collect(out, ct)
    order = toposort_between([out for out, _ in live], seeds)
    linear = set(order).union(seeds)
    # Results of one operation go together, when the first made of them is come to: whatever uses any of
    # them is newer.
    together: dict[Any, list[Node]] = {}
    for node in order:
        if node.prim.has_siblings:
            together.setdefault(siblings_key(node), []).append(node)
    for node in reversed(order):
        siblings = together[siblings_key(node)] if node.prim.has_siblings else [node]
        if siblings[0] is not node:
            continue
        found = {n: collected.pop(n) for n in siblings if n in collected}
        if not found:
            continue
        wanted = [x in linear for x in node.inputs]
        with located(node.location):
            if node.prim.has_siblings:
                cts = {n.params["index"]: ct for n, ct in found.items()}
                parts = node.prim.transposed(cts, node, wanted)  # type: ignore[attr-defined]
            else:
                parts = node.prim.transpose(found[node], node, wanted)
            for x, want, part in zip(node.inputs, wanted, parts, strict=True):
                if want and part is not None:
                    collect(x, part)
    return [collected.get(seed) for seed in seeds]
