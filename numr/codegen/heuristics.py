"""Choose a Schedule from a Region's structure and coarse sizes; never from exact ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from numr.codegen.deferred import WORTH, branches
from numr.codegen.pack import repeated_runs
from numr.codegen.prepare import literal, loop_axes, reachable, roots_of
from numr.codegen.region import Axis, Expr, Region
from numr.codegen.schedule import Schedule
from numr.codegen.target import Capabilities
from numr.ir.dims import Dim

# A full reduction of more elements than this is worth splitting into blocks with partial results.
TWO_STAGES = 16384
BLOCK_OF_ELEMENTS = 8192
BLOCK_OF_ROWS = 32
# Columns one grid point accumulates: their accumulators stay in the first cache.
BLOCK_OF_COLUMNS = 256
# So many visits of an operand pay for a copy of it in a better order.
MANY_ROWS = 129
# Sums of fewer terms are one lane's.
LANES_WORTH = 32
# Among how many points of a grid the elements that a scatter updates are divided.
OWNERS = 256
# A column of more elements than this is many points' work, of so many elements each.
LONG_COLUMN = 1024
STRIP = 256
# So few are not worth the lanes' waiting for each other.
FEW_STEPS = 256
# So many lanes of a loop are gone through together, so many at a time: what they carry stays in the first
# cache.
LANES_TOGETHER = 16
BLOCK_OF_LANES = 128
# So many points keep a device busy with one lane each.
MANY_POINTS = 1024


def _looped(axis: Axis) -> bool:
    return not literal(axis)


def _reductions(region: Region) -> list[Expr]:
    return [e for e in reachable(roots_of(region)) if e.kind == "reduce"]


def choose(
    region: Region,
    hints: Mapping[Dim, int],
    capabilities: Capabilities,
    deterministic: bool = True,
) -> Schedule:
    """The schedule of a region. `hints` gives each symbol a representative size; `deterministic` says
    that floating-point numbers are to be added up in one order."""
    if region.loop is not None:
        return _looped_region(region, hints, capabilities)
    schedule = _choose(region, hints)
    if schedule.kind == "scatter" and _in_any_order(region, capabilities, deterministic):
        schedule = replace(schedule, atomic=True)
    elif capabilities.lanes > 1:
        schedule = _for_lanes(schedule, region, hints, capabilities)
    return replace(schedule, index=capabilities.index)


def _looped_region(
    region: Region, hints: Mapping[Dim, int], capabilities: Capabilities
) -> Schedule:
    """The schedule of a loop: several lanes at once where one after another would go through the same."""
    assert region.loop is not None
    together = (
        capabilities.lanes == 1
        and _length(region.loop.lanes, hints) >= LANES_TOGETHER
        and not any(o.mode == "go" for o in region.outputs)
        and not any(e.kind == "rounds" for e in reachable(roots_of(region)))
        and not any(min(b.costs) < WORTH <= max(b.costs) for b in branches(region))
    )
    return Schedule(
        "loop",
        block=BLOCK_OF_LANES if together else 1,
        piece=capabilities.trips or 0,
        index=capabilities.index,
    )


def _for_lanes(
    schedule: Schedule, region: Region, hints: Mapping[Dim, int], capabilities: Capabilities
) -> Schedule:
    """The schedule for a device that runs very many points at once, and some of them together."""
    if schedule.kind == "columns":
        axes = _reductions(region)[0].data[1]
        if _length(axes[:1], hints) > LONG_COLUMN and _looped(axes[0]):
            return replace(schedule, kind="strips", block=STRIP)
    if schedule.kind in ("points", "columns"):
        # One point for each result: neighbours then read neighbours, along whatever axis they reduce.
        return replace(schedule, kind="points", flat=True, block=1)
    if schedule.kind == "scatter":
        updates = _length(region.outputs[0].axes, hints)
        block, piece = OWNERS if updates >= LANES_WORTH else 1, 0
        if capabilities.trips is not None and region.outputs[0].axes:
            inner = [_length(r.data[1], hints) for r in _reductions(region)]
            piece = max(capabilities.trips // math.prod(inner), 1)
        return replace(schedule, block=block, piece=piece)
    reductions = _reductions(region)
    longest = max(_length(r.data[1], hints) for r in reductions)
    lanes = 1 if longest < LANES_WORTH else min(capabilities.lanes, 64 if longest <= 1024 else 256)
    if longest <= (capabilities.trips or longest) and _one_lane_each(region, reductions, hints):
        lanes = 1
    innermost = min(_length([a for a in r.data[1] if _looped(a)][-1:], hints) for r in reductions)
    # What neighbouring points or lanes read is side by side, or the same: there is nothing to pack.
    return replace(schedule, lanes=lanes, joined=innermost < lanes, flat=True, pack=False)


def _in_any_order(region: Region, capabilities: Capabilities, deterministic: bool) -> bool:
    """Whether updates may be added as they come."""
    return all(
        o.mode == "add"
        and o.dtype in capabilities.atomics
        and (o.dtype.kind in "iu" or not deterministic)
        for o in region.outputs
    )


def _one_lane_each(region: Region, reductions: Sequence[Expr], hints: Mapping[Dim, int]) -> bool:
    """Whether there are very many results, and each takes few steps or all go through the same elements,
    as all pairs of points do."""
    rows = {a for o in region.outputs for a in loop_axes(o)}
    reduced = {a for r in reductions for a in r.data[1] if _looped(a)}
    if any(not r.free >= rows for r in reductions if reduced & set(r.data[1])):
        return False  # results that are a row of elements for a sum are written by many lanes
    if any(_length(loop_axes(o), hints) < MANY_POINTS for o in region.outputs):
        return False
    return max(_length(r.data[1], hints) for r in reductions) <= FEW_STEPS or not any(
        e.kind in ("load", "guarded") and e.free & rows and e.free & reduced
        for e in reachable(reductions)
    )


def _choose(region: Region, hints: Mapping[Dim, int]) -> Schedule:
    reductions = _reductions(region)
    if any(o.mode != "set" for o in region.outputs):
        return Schedule("scatter", reduces=bool(reductions))
    if not reductions:
        return Schedule("points")
    looped = [r for r in reductions if any(map(_looped, r.data[1]))]
    if not looped:
        return Schedule("points", reduces=True)
    if not any(loop_axes(o) for o in region.outputs):
        return _full(looped, hints)
    if _columnwise(region, looped):
        return Schedule("columns", reduces=True, block=BLOCK_OF_COLUMNS)
    rows = min(_length(loop_axes(o)[:1], hints) for o in region.outputs if loop_axes(o))
    pack = rows >= MANY_ROWS and bool(repeated_runs(region))
    return Schedule("rows", reduces=True, pack=pack)


def _length(axes: Sequence[Axis], hints: Mapping[Dim, int]) -> int:
    count = 1
    for axis in axes:
        count *= hints.get(axis.extent, 1) if isinstance(axis.extent, Dim) else axis.extent
    return count


def _full(reductions: list[Expr], hints: Mapping[Dim, int]) -> Schedule:
    outer = [r for r in reductions if not any(map(_looped, r.free))]
    axes = [a for a in outer[0].data[1] if _looped(a)]
    count = _length(axes, hints)
    same = all([a for a in r.data[1] if _looped(a)] == axes for r in outer)
    flat = not any(
        r.kind == "reduce" for o in outer for r in reachable(o.args) if r is not o and r in outer
    )
    if count <= TWO_STAGES or not same or not flat:
        return Schedule("full", reduces=True)
    return Schedule(
        "blocks", reduces=True, block=BLOCK_OF_ELEMENTS if len(axes) == 1 else BLOCK_OF_ROWS
    )


def _columnwise(region: Region, reductions: list[Expr]) -> bool:
    """Whether memory runs along a kept axis while the reduced one strides over it."""
    axes = {loop_axes(o) for o in region.outputs}
    if len(axes) != 1 or len({r.data[1] for r in reductions}) != 1:
        return False
    if any(not r.free.issuperset(*axes) for r in reductions):
        return (
            False  # what is the same along a kept axis is not to be summed for each of its elements
        )
    if any(s in reductions for r in reductions for s in reachable(r.args)):
        return False
    along = across = 0
    for r in reductions:
        for load in reachable(r.args):
            if load.kind != "load" or len(load.args) < 2:
                continue
            reduced = [k for k, e in enumerate(load.args) if not e.free.isdisjoint(r.data[1])]
            if not reduced:
                continue
            last = load.args[-1]
            if last.kind == "axis" and _looped(last.data) and last.data not in r.data[1]:
                across += 1
            elif any(map(_looped, last.free)):
                along += 1
    return across > along
