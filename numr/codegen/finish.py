"""What every strategy ends with: the stage around what was emitted; and the bounds of a block of an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.codegen.emit import Emitter
from numr.codegen.kernel import Buffer, Kernel, Literal, Value, used
from numr.codegen.lowered import Stage
from numr.codegen.prepare import reachable
from numr.codegen.region import INDEX, Axis, Region


def finished(
    emitter: Emitter,
    region: Region,
    outputs: Sequence[tuple[str, int, Any]],
    grid: Any,
    block: int,
    volume: Any,
) -> Stage:
    """The stage around what was emitted. `outputs` are (kind, number, dtype) in buffer order."""
    count = len(region.operands)
    buffers = [Buffer(f"a{k}", o.dtype, False) for k, o in enumerate(region.operands)]
    buffers += [Buffer(f"a{count + k}", dtype, True) for k, (_, _, dtype) in enumerate(outputs)]
    places = [("in", k) for k in range(count)] + [(kind, number) for kind, number, _ in outputs]
    body = emitter.scopes[0].body
    needed = used(body)
    places = [p for p, b in zip(places, buffers, strict=True) if b.name in needed]
    sizes = tuple(v.name for v in emitter.sizes.values())
    kernel = Kernel(tuple(b for b in buffers if b.name in needed), sizes, body, emitter.lanes)
    weight = sum(e.cost for e in reachable([o.expr for o in region.outputs])) + 1
    return Stage(kernel, tuple(places), tuple(emitter.sizes), grid, block, volume, weight)


def bounds_of(emitter: Emitter, part: Axis, axis: Axis, block: int) -> tuple[Value, Value]:
    """Where a block of an axis begins and ends, inside the loop over its blocks."""
    width = Literal(block, emitter.index)
    lo = emitter.let("mul", (emitter.variables[part][-1], width), INDEX)
    end = emitter.let("add", (lo, width), INDEX)
    return lo, emitter.let("minimum", (end, emitter.size(axis.extent)), INDEX)
