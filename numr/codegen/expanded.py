"""Library calls on a device that has no such library: bound to sizes as launches of numr's kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numr import messages
from numr.codegen.expansions import EXPANSIONS, Expansion, NotExpanded, Operands, Plan, row_major
from numr.codegen.expansions.matmul import takes
from numr.codegen.support import require_rounds
from numr.codegen.target import Backend, Capabilities
from numr.dtypes import DType
from numr.ir.node import Node
from numr.ir.symbolic import is_nothing

View = tuple[str, Any]


def expand(key: str, node: Node, device: str, capabilities: Capabilities) -> Expansion:
    """The kernels of a library call.

    Raises:
        DeviceError: if there are none, saying why.
    """
    params = {k: v for k, v in node.params.items() if k != "serial"}
    operands = Operands(
        tuple(x.dtype for x in node.inputs),
        tuple(x.rank for x in node.inputs),
        params,
        node.dtype,
        capabilities,
    )
    make = EXPANSIONS.get(key)
    try:
        if make is None:
            raise NotExpanded("there are no kernels for it")
        return make(operands)
    except NotExpanded as gap:
        raise messages.device_gap(device, node.prim.name, str(gap), node.location) from None


def layout(
    shape: tuple[int, ...], views: Sequence[tuple[str, tuple[int, ...], Any]]
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """The shape and strides of a row-major array under views; no strides if a copy is needed."""
    strides: tuple[int, ...] | None = row_major(shape)
    for kind, new, payload in views:
        if kind == "transpose":
            shape = tuple(shape[i] for i in payload)
            strides = strides and tuple(strides[i] for i in payload)
        elif kind == "reshape":
            strides = row_major(new) if strides == row_major(shape) else None
            shape = new
        else:
            if strides is not None:
                spread = [0] * len(new)
                for stride, axis, n in zip(strides, payload, shape, strict=True):
                    spread[axis] = 0 if n == 1 else stride
                strides = tuple(spread)
            shape = new
    return shape, strides


def bind(
    expansion: Expansion,
    built: Sequence[Any],
    operands: Sequence[tuple[tuple[int, ...], Sequence[tuple[str, tuple[int, ...], Any]]]],
    result: tuple[tuple[int, ...], DType],
    backend: Backend,
) -> Callable[..., Any]:
    """A function of the buffers under the operands' views that returns the result's buffer."""
    shapes, strides, ready = [], [], []
    for shape, views in operands:
        viewed, steps = layout(shape, views)
        plain = row_major(viewed)
        fits = steps == plain or (expansion.strided and steps is not None and takes(viewed, steps))
        shapes.append(viewed)
        strides.append(steps if fits and steps is not None else plain)
        ready.append(None if fits else views)
    plan: Plan = expansion.plan(shapes, strides)
    make = backend.allocator(*result)
    temporaries = [backend.allocator(*t) for t in plan.temporaries]
    launches = []
    for launch in plan.launches:
        if is_nothing(launch.points):
            continue
        require_rounds(launch.rounds, backend.name, backend.capabilities)
        count = len(launch.buffers)
        kernel = built[launch.kernel]
        run = backend.launcher(kernel, count, launch.sizes, launch.points, launch.points)
        launches.append((run, launch.buffers))

    def call(*buffers: Any) -> Any:
        out = make()
        given = [
            b if views is None else backend.copy(_viewed(b, views, backend))
            for b, views in zip(buffers, ready, strict=True)
        ]
        places = {"in": given, "out": [out], "temp": [t() for t in temporaries]}
        for run, slots in launches:
            run(*[places[kind][k] for kind, k in slots])
        return out

    return call


def _viewed(
    buffer: Any, views: Sequence[tuple[str, tuple[int, ...], Any]], backend: Backend
) -> Any:
    for kind, shape, payload in views:
        if kind == "transpose":
            buffer = buffer.transpose(payload)
        elif kind == "reshape":
            buffer = buffer.reshape(shape)
        else:
            buffer = backend.broadcast(buffer, shape, payload)
    return buffer
