"""Calls whose reverse mode computes them anew: what is kept of the forward pass is chosen, not all of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numr.dtypes import DType
from numr.ir.body import Body
from numr.ir.dims import Shape
from numr.ir.node import Node, dependents, toposort
from numr.ir.transforms.substitute import substitute
from numr.ir.transforms.transpose import transpose as transpose_graph
from numr.primitives.calls import Call, all_batched, first_axes
from numr.primitives.control import linear_in, only, others, spread, with_zeros
from numr.primitives.guards import add_cotangents
from numr.primitives.shape import RESHAPE
from numr.primitives.source import param_like

# Whether to keep a value, by its operation and, if it has one, its name.
Policy = Callable[[str, str | None], bool]

_serial = itertools.count(1)


class _Identity(Call):
    """The value itself."""

    abstract = True
    has_siblings = False
    lowering = "element"

    def infer(self, *operands: Node, **params: Any) -> tuple[Shape, DType]:
        return operands[0].shape, operands[0].dtype

    def reference(self, *arrays: Any, **params: Any) -> Any:
        return arrays[0]

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        return [ct]

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node | None:
        return tangents[0]

    def batch(
        self, size: int, operands: tuple[Node, ...], axes: Sequence[int | None], /, **params: Any
    ) -> tuple[Node, int]:
        return self(operands[0], **params), axes[0]  # type: ignore[return-value]


class _Again(type(RESHAPE)):  # type: ignore[misc]
    """A barrier's end: a view of the whole that still says when, so that kernels are not joined across it."""

    def __init__(self) -> None:
        # For everything after rewriting it is a reshape; it is not registered.
        self.name = "reshape"

    def infer(self, x: Node, *, shape: Shape, serial: int) -> tuple[Shape, DType]:
        return shape, x.dtype


class Checkpoint(Call):
    """A body of which reverse mode keeps the operands, and what the policy says.

    Its tangent is such a call, too: of the operands, of what is kept, and of the operands' tangents.
    """

    no_transpose = "its tangent has the adjoint, where it is not linear"

    def jvp(
        self, out: Node, operands: tuple[Node, ...], tangents: Sequence[Node | None], **params: Any
    ) -> Node | None:
        body, policy, index = params["body"], params["policy"], params["index"]
        moved = tuple(t is not None for t in tangents)
        whole, linear, flags = body.made(
            ("checkpoint", policy, moved), lambda: self._moved(body, policy, moved)
        )
        if not flags[index]:
            return None
        kept = self.results(*operands, body=whole, policy=policy)[len(body.outputs) :]
        given = [t for t in tangents if t is not None]
        place = sum(flags[:index])
        return self(*operands, *kept, *given, body=linear, policy=policy, index=place)

    @staticmethod
    def _moved(
        body: Body, policy: Policy, moved: tuple[bool, ...]
    ) -> tuple[Body, Body, list[bool]]:
        """The body with what is kept among its results; and that of its tangents, which is given it."""
        seeds, tangents = body.moved(moved, param_like)
        order = toposort(body.outputs, body.params)
        computed = dependents(order, body.params).difference(body.params)
        saved = [n for n in order if n in computed and policy(n.prim.name, n.params.get("label"))]
        places = {n: param_like(n) for n in saved}
        flags = [t is not None for t in tangents]
        outs = substitute([t for t in tangents if t is not None], places)
        used = set(toposort(outs))
        saved = [n for n in saved if places[n] in used]
        given = [*body.params, *(places[n] for n in saved), *(s for s in seeds if s is not None)]
        return Body(body.params, [*body.outputs, *saved]), Body(given, outs), flags

    def transposed(
        self, cts: Mapping[int, Node], node: Node, wanted: Sequence[bool]
    ) -> Sequence[Node | None]:
        body, policy = node.params["body"], node.params["policy"]
        flags, places = tuple(wanted), tuple(sorted(cts))

        def make() -> Body:
            seeds = only(body.params, flags)
            ends = [body.outputs[k] for k in places]
            linear = [
                x if yes else None for x, yes in zip(ends, linear_in(body, seeds), strict=False)
            ]
            given = [param_like(x) for x in ends]
            found = transpose_graph(linear, seeds, given, add_cotangents)
            return Body([*others(body.params, flags), *given], with_zeros(found, seeds))

        made = body.made(("transpose", flags, places), make)
        # Behind a barrier what is computed again is not found to be there already.
        serial = next(_serial)
        again = [BARRIER(x, serial=serial) for x in others(node.inputs, flags)]
        found = self.results(*again, *(cts[k] for k in places), body=made, policy=policy)
        return spread(found, flags)

    def batch(
        self, size: int, operands: tuple[Node, ...], axes: Sequence[int | None], /, **params: Any
    ) -> tuple[Node, int]:
        given, which = first_axes(size, operands, axes)
        return self(*given, **params | {"body": all_batched(params["body"], which, size)}), 0


CHECKPOINT = Checkpoint("checkpoint", "A body that reverse mode computes anew.")
BARRIER = _Identity(
    "barrier", "The value itself: what is made of it is not what is made of the value."
)
AGAIN = _Again()
NAMED = _Identity("named", "The value itself, under a name that a policy may ask for.")
