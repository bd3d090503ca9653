"""Vectorisation: the graph of f made into the graph of f over a batch axis, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numr.ir.node import Node, located, toposort_between


def batch(
    outputs: Sequence[Node], mapped: Mapping[Node, tuple[Node, int | None]], size: int
) -> list[tuple[Node, int | None]]:
    """Outputs as (node, batch axis) once every key of `mapped` is replaced by its batched value.

    An axis of None means the value is the same for the whole batch.
    """
    batched: dict[Node, tuple[Node, int | None]] = dict(mapped)
    for node in toposort_between(outputs, mapped):
        pairs = [batched.get(x, (x, None)) for x in node.inputs]
        operands = tuple(x for x, _ in pairs)
        axes = [axis for _, axis in pairs]
        with located(node.location):
            if all(axis is None for axis in axes):
                batched[node] = (node.prim(*operands, **node.params), None)
            else:
                batched[node] = node.prim.batch(size, operands, axes, **node.params)
    return [batched.get(out, (out, None)) for out in outputs]
