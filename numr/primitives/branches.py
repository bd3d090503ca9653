"""Branches: one of several bodies, by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numr.dtypes import DType
from numr.ir.body import Body
from numr.ir.dims import Shape
from numr.ir.interpret import Evaluate, evaluate
from numr.ir.node import Node
from numr.ir.transforms.transpose import transpose as transpose_graph
from numr.primitives.control import (
    Control,
    linear_ends,
    on,
    only,
    others,
    over_batch,
    run,
    spread,
    where_lanes,
    with_zeros,
)
from numr.primitives.guards import add_cotangents
from numr.primitives.mathematics import eq
from numr.primitives.shape import batched_first, broadcast_to
from numr.primitives.source import const, param_like


class Switch(Control):
    """One of several bodies, by number, of which only that one runs.

    Operands: the number (int32, in range), then what all branches see.
    """

    def infer(self, *operands: Node, **params: Any) -> tuple[Shape, DType]:
        out = params["branches"][0].outputs[params["index"]]
        return out.shape, out.dtype

    def count(self, **params: Any) -> int:
        return len(params["branches"][0].outputs)

    def whole(self, *arrays: Any, evaluate: Evaluate = evaluate, **params: Any) -> list[Any]:
        return run(params["branches"][int(arrays[0])], arrays[1:], evaluate)

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node | None:
        branches, index = params["branches"], params["index"]
        moved = tuple(t is not None for t in tangents[1:])

        def make() -> tuple[tuple[Body, ...], list[bool]]:
            found = [b.moved(moved, param_like) for b in branches]
            flags = [
                any(t is not None for t in ts) for ts in zip(*(f[1] for f in found), strict=True)
            ]
            made = []
            for b, (seeds, ts) in zip(branches, found, strict=True):
                outs = with_zeros(only(ts, flags), only(b.outputs, flags))
                made.append(Body([*b.params, *(s for s in seeds if s is not None)], outs))
            return tuple(made), flags

        key = ("jvp", branches, moved)
        made, flags = branches[0].made(key, make)
        if not flags[index]:
            return None
        given = [t for t in tangents[1:] if t is not None]
        return self(*operands, *given, branches=made, index=sum(flags[:index]))

    def transposed(
        self, cts: Mapping[int, Node], node: Node, wanted: Sequence[bool]
    ) -> Sequence[Node | None]:
        branches = node.params["branches"]
        which, *operands = node.inputs
        flags, places = tuple(wanted[1:]), tuple(sorted(cts))

        def make() -> tuple[Body, ...]:
            made = []
            for b in branches:
                seeds = only(b.params, flags)
                ends = [b.outputs[k] for k in places]
                linear = [
                    x if yes else None
                    for x, yes in zip(ends, linear_ends(ends, b, seeds), strict=True)
                ]
                given = [param_like(x) for x in ends]
                found = transpose_graph(linear, seeds, given, add_cotangents)
                made.append(Body([*others(b.params, flags), *given], with_zeros(found, seeds)))
            return tuple(made)

        made = branches[0].made(("transpose", branches, flags, places), make)
        given = [*others(operands, flags), *(cts[k] for k in places)]
        found = self.results(which, *given, branches=made)
        return [None, *spread(found, flags)]

    def batch(
        self, size: int, operands: tuple[Node, ...], axes: Sequence[int | None], /, **params: Any
    ) -> tuple[Node, int]:
        branches, index = params["branches"], params["index"]
        which = tuple(a is not None for a in axes[1:])
        found = [over_batch(b, which, size) for b in branches]
        given = [
            x if a is None else batched_first(x, a, size)
            for x, a in zip(operands[1:], axes[1:], strict=True)
        ]
        if axes[0] is not None:
            # All run, and each element of the batch takes its own.
            results = [
                on(batched_first(out, axis, size), dict(zip(inner, given, strict=True)))[0]
                for inner, out, axis in ((inner, *outs[index]) for inner, outs in found)
            ]
            return _chosen(batched_first(operands[0], axes[0], size), results), 0
        flags = [any(outs[k][1] is not None for _, outs in found) for k in range(len(found[0][1]))]

        def make() -> tuple[Body, ...]:
            return tuple(
                Body(
                    inner,
                    [
                        batched_first(n, a, size) if f else n
                        for (n, a), f in zip(outs, flags, strict=True)
                    ],
                )
                for inner, outs in found
            )

        key = ("batched", branches, tuple(id(f) for f in found))
        made = branches[0].made(key, make)
        node = self(operands[0], *given, branches=made, index=index)
        return node, 0 if flags[index] else None  # type: ignore[return-value]

    def chosen(self, node: Node) -> Node:
        """The result as a choice among the results of all branches, which then all run."""
        number, *operands = node.inputs
        results = [
            on(b.outputs[node.params["index"]], dict(zip(b.params, operands, strict=True)))[0]
            for b in node.params["branches"]
        ]
        return _chosen(number, results)


def _chosen(number: Node, results: Sequence[Node]) -> Node:
    """One of several nodes, by number: one number, or one for each lane."""
    found = results[0]
    for k, result in enumerate(results[1:], 1):
        mine = eq(number, broadcast_to(const(k, number.dtype), number.shape))
        found = where_lanes(mine, result, found)
    return found


SWITCH = Switch("switch", "One of several branches, by number.")
