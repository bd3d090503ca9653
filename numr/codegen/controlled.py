"""Loops and branches as steps of programs: what their bodies became, and the loop around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numr.codegen.flat import flat
from numr.codegen.lowered import product
from numr.codegen.target import Backend
from numr.devices import to_host
from numr.dtypes import DType
from numr.ir.body import bodies
from numr.ir.dims import Extent
from numr.ir.node import Node

Run = Callable[..., tuple[Any, ...]]
View = tuple[str, Any]


@dataclass(slots=True)
class Controlled:
    """A loop or branch: its operands under views, the slots of the results that are wanted, its bodies as
    programs, and what else binding it needs."""

    kind: str
    operands: tuple[tuple[int, tuple[View, ...]], ...]
    slots: dict[int, int]  # of results by their index
    bodies: tuple[Any, ...]
    inputs: tuple[int, ...]  # how many operands each body has
    counts: tuple[int, ...]  # how many operands there are of each kind, but for the last
    made: dict[int, tuple[tuple[Extent, ...], DType]]  # the type of each result, by slot
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def results(self) -> tuple[int, ...]:
        return tuple(self.slots.values())

    @property
    def uses(self) -> tuple[int, ...]:
        return (*self.results, *(s for s, _ in self.operands))

    def __str__(self) -> str:
        operands = [f"b{s}" + "".join(f".{kind}" for kind, _ in v) for s, v in self.operands]
        results = ", ".join(f"b{s}" for s in self.results)
        inner = "\n".join("  " + line for body in self.bodies for line in body.text().splitlines())
        return f"{results}: {self.kind}({', '.join(operands)}) of\n{inner}"


def controlled(
    node: Node,
    operands: tuple[tuple[int, tuple[View, ...]], ...],
    slots: dict[int, int],
    programs: tuple[Any, ...],
    extents: Callable[[tuple[int, ...]], tuple[Extent, ...]],
) -> Controlled:
    """The step of a node of control flow."""
    given = node.params
    inputs = tuple(len(b.params) for b in bodies(node))
    counts: tuple[int, ...] = ()
    params: dict[str, Any] = {}

    def kinds(nodes: Sequence[Node]) -> list[tuple[tuple[Extent, ...], DType]]:
        return [(extents(x.shape), x.dtype) for x in nodes]

    if node.prim.name == "scan":
        body, consts, carries = given["body"], given["consts"], given["carries"]
        counts = consts, carries
        params = {
            "length": extents((given["length"],))[0],
            "reverse": given["reverse"],
            "carried": kinds(body.outputs[:carries]),
            "rows_in": kinds(body.params[consts + carries :]),
            "rows": kinds(body.outputs[carries:]),
        }
    elif node.prim.name == "while":
        counts = given["tests"], given["consts"]
        params = {"carried": kinds(given["body"].outputs)}
    made = {}
    for index, slot in slots.items():
        shape, dtype = node.prim.infer(*node.inputs, **{**given, "index": index})
        made[slot] = extents(shape), dtype
    return Controlled(node.prim.name, operands, slots, programs, inputs, counts, made, params)


def bind(
    step: Controlled,
    sizes: Sequence[int],
    backend: Backend,
    make: Callable[[Any, int], Run],
) -> Callable[..., tuple[Any, ...]]:
    """The step as a function of its operands' buffers that returns those of the results wanted. `make`
    binds a body's program with so many operands."""
    chosen = list(step.slots)
    recorded = getattr(backend, "controlled", None)
    whole = _native(step, sizes, backend) if recorded is None else recorded(step, sizes, make)
    if whole is None:
        bodies = [make(b, n) for b, n in zip(step.bodies, step.inputs, strict=True)]
        whole = _KINDS[step.kind](step, sizes, backend, bodies)

    def call(*buffers: Any) -> tuple[Any, ...]:
        found = whole([_row_major(b, backend) for b in buffers])
        return tuple([found[k] for k in chosen])

    return call


def _native(step: Controlled, sizes: Sequence[int], backend: Backend) -> Whole | None:
    """A loop that the backend runs by itself, if it can, and the bodies are nothing but kernels."""
    looped = getattr(backend, "looped", None)
    if looped is None or step.kind == "switch":
        return None
    found = [flat(b, sizes, n) for b, n in zip(step.bodies, step.inputs, strict=True)]
    if None in found:
        return None
    params = {
        name: [(_shape(shape, sizes), dtype) for shape, dtype in step.params.get(name, ())]
        for name in ("carried", "rows_in", "rows")
    }
    kinds = params["carried"], params["rows_in"], params["rows"]
    if step.kind == "while":
        return looped(*found, step.counts, *kinds, 0, False)  # type: ignore[no-any-return]
    length = _length(step.params["length"], sizes)
    counts = 0, step.counts[0]
    return looped(None, *found, counts, *kinds, length, step.params["reverse"])  # type: ignore[no-any-return]


def _row_major(buffer: Any, backend: Backend) -> Any:
    if type(buffer) is np.ndarray:
        return buffer if buffer.flags.c_contiguous else np.ascontiguousarray(buffer)
    return buffer if buffer.is_contiguous else backend.copy(buffer)


Whole = Callable[[list[Any]], Sequence[Any]]


def _scan(step: Controlled, sizes: Sequence[int], backend: Backend, bodies: Sequence[Run]) -> Whole:
    consts, carries = step.counts
    length = _length(step.params["length"], sizes)
    makers = [
        backend.allocator((length, *_shape(shape, sizes)), dtype)
        for shape, dtype in step.params["rows"]
    ]
    row, put = backend.row, backend.put
    order = range(length)[::-1] if step.params["reverse"] else range(length)
    (body,) = bodies

    def whole(given: list[Any]) -> Sequence[Any]:
        fixed = given[:consts]
        carry: Sequence[Any] = given[consts : consts + carries]
        xs = given[consts + carries :]
        ys = [make() for make in makers]
        if not ys and not xs:
            for _ in order:
                carry = body(*fixed, *carry)
            return carry
        for t in order:
            out = body(*fixed, *carry, *[row(x, t) for x in xs])
            carry = out[:carries]
            for y, made in zip(ys, out[carries:], strict=True):
                put(y, t, _row_major(made, backend))
        return [*carry, *ys]

    return whole


def _while(
    step: Controlled, sizes: Sequence[int], backend: Backend, bodies: Sequence[Run]
) -> Whole:
    tests, consts = step.counts
    condition, body = bodies

    def whole(given: list[Any]) -> Sequence[Any]:
        seen, fixed = given[:tests], given[tests : tests + consts]
        carry: Sequence[Any] = given[tests + consts :]
        while to_host(condition(*seen, *carry)[0]):
            carry = body(*fixed, *carry)
        return carry

    return whole


def _switch(
    step: Controlled, sizes: Sequence[int], backend: Backend, bodies: Sequence[Run]
) -> Whole:
    def whole(given: list[Any]) -> Sequence[Any]:
        return bodies[int(to_host(given[0]))](*given[1:])

    return whole


_KINDS = {"scan": _scan, "while": _while, "switch": _switch}


def _length(extent: Extent, sizes: Sequence[int]) -> int:
    return product((extent,), sizes)


def _shape(extents: Sequence[Extent], sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(product((e,), sizes) for e in extents)
