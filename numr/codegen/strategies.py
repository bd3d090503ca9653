"""The ways to compute a Region: each strategy turns one kind of Schedule into kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from numr.codegen.emit import Emitter, identity
from numr.codegen.finish import bounds_of, finished
from numr.codegen.interior import in_parts, interior
from numr.codegen.kernel import (
    Accumulate,
    Declare,
    Literal,
    Store,
    Value,
)
from numr.codegen.loop_kernel import loop
from numr.codegen.lowered import BEGIN, END, Blocks, Lowered, Temporary
from numr.codegen.prepare import collapse, factors, reachable
from numr.codegen.region import INDEX, Axis, Expr, ExprBuilder, Output, Region
from numr.codegen.schedule import Schedule
from numr.dtypes import bool_

# A value of at least this cost, needed by several loops over a row, is kept rather than recomputed.
KEEP_COST = 10


def _volume(region: Region) -> tuple[Any, ...]:
    """The lengths of all loops of the largest output, reductions included."""
    axes: dict[Axis, None] = {}
    for o in region.outputs:
        axes.update(dict.fromkeys(o.axes))
    for e in reachable([o.expr for o in region.outputs]):
        if e.kind == "reduce":
            axes.update(dict.fromkeys(e.data[1]))
    return tuple(f for a in axes for f in factors(a.extent))


def points(builder: ExprBuilder, region: Region, schedule: Schedule) -> Lowered:
    """Every output element by itself; contiguous axes become one loop."""
    if schedule.flat and len({o.axes for o in region.outputs}) > 1:
        return _apart(builder, region, schedule)
    region, outer = _merged(builder, region)
    emitter = Emitter(builder, region, schedule)
    emitter.plan_reductions([o.expr for o in region.outputs])
    width = len(outer) if schedule.flat else min(len(outer), 1)
    inside = None
    if outer and not schedule.flat and all(o.axes == outer for o in region.outputs):
        inside = interior(builder, region, outer)
    if inside is None:
        _nest(emitter, region, outer, width)
    else:
        in_parts(emitter, region, outer, inside, lambda o: _buffer(region, o))
    grid = tuple(f for a in outer[:width] for f in factors(a.extent)) or (1,)
    return Lowered([finished(emitter, region, _outputs(region), grid, 1, _volume(region))])


def _apart(builder: ExprBuilder, region: Region, schedule: Schedule) -> Lowered:
    """Results over different axes in a kernel each, where all axes are the grid."""
    lowered = Lowered()
    for axes in dict.fromkeys(o.axes for o in region.outputs):
        outputs = [o for o in region.outputs if o.axes == axes]
        slots = sorted({o.slot for o in outputs})
        part = replace(region, outputs=tuple(replace(o, slot=slots.index(o.slot)) for o in outputs))
        (stage,) = points(builder, part, schedule).stages
        places = tuple((kind, slots[n] if kind == "out" else n) for kind, n in stage.buffers)
        lowered.stages.append(replace(stage, buffers=places))
    return lowered


def _merged(builder: ExprBuilder, region: Region) -> tuple[Region, tuple[Axis, ...]]:
    axes = max((o.axes for o in region.outputs), key=len, default=())
    if all(o.axes == axes for o in region.outputs):
        return collapse(builder, region, axes)
    return region, axes


def _outputs(region: Region) -> list[tuple[str, int, Any]]:
    """Distinct output buffers; unrolled outputs share theirs."""
    found: dict[int, Any] = {}
    for o in region.outputs:
        found.setdefault(o.slot, o.dtype)
    return [("out", slot, dtype) for slot, dtype in sorted(found.items())]


def _buffer(region: Region, output: Output) -> str:
    return f"a{len(region.operands) + output.slot}"


def _nest(emitter: Emitter, region: Region, axes: Sequence[Axis], width: int) -> None:
    """Loops over axes, the first few being the grid, with every output stored as far out as it can be."""
    pending = list(region.outputs)
    for depth in (0, *range(width, len(axes) + 1)) if width else (0,):
        if depth == width and width:
            emitter.open_grid(axes[:width])
        elif depth:
            emitter.open_nest(axes[depth - 1 : depth])
        for o in [p for p in pending if set(p.axes) <= set(axes[:depth])]:
            emitter.store(o, _buffer(region, o))
            pending.remove(o)
    emitter.close_nest(axes[width:])
    if width:
        emitter.close_range(axes[:width])


def rows(builder: ExprBuilder, region: Region, schedule: Schedule) -> Lowered:
    """One grid point per row: reductions of the row first, then loops over its elements."""
    lowered = Lowered()
    by_axis: dict[Axis, list[Output]] = {}
    for o in region.outputs:
        by_axis.setdefault(o.axes[0], []).append(o)
    for outputs in by_axis.values():
        part = replace(region, outputs=tuple(outputs))
        emitter = Emitter(builder, part, schedule)
        exprs = [o.expr for o in outputs]
        emitter.plan_reductions(exprs)
        grid = _row_axes(part) if schedule.flat else outputs[0].axes[:1]
        if not any(set(grid) & set(e.data[1]) for e in reachable(exprs) if e.kind == "reduce"):
            _keep_rows(emitter, part)  # or one row's reductions would write into others
        emitter.open_grid(grid)
        row = frozenset(grid)
        for e in reachable(exprs):
            # In order of creation, so that nothing a loop needs is still missing when it opens.
            if e.kind == "reduce" and e.free <= row:
                emitter.value(e)
        for inner in dict.fromkeys(o.axes[len(grid) :] for o in outputs):
            emitter.open_nest(inner)
            for o in outputs:
                if o.axes[len(grid) :] == inner:
                    emitter.store(o, _buffer(part, o))
            emitter.close_nest(inner)
        emitter.close_range(grid)
        points = tuple(f for a in grid for f in factors(a.extent))
        lowered.stages.append(finished(emitter, part, _renumbered(part), points, 1, _volume(part)))
    return lowered


def _row_axes(region: Region) -> tuple[Axis, ...]:
    """The leading axes that all results have and all reductions of the region's keep."""
    kept = [o.axes for o in region.outputs]
    reductions = [e for e in reachable([o.expr for o in region.outputs]) if e.kind == "reduce"]
    count = 1
    while all(len(axes) > count and axes[count] is kept[0][count] for axes in kept) and all(
        kept[0][count] in r.free for r in reductions
    ):
        count += 1
    return kept[0][:count]


def _renumbered(region: Region) -> list[tuple[str, int, Any]]:
    top = max(o.slot for o in region.outputs)
    found = dict(_slots(region))
    # Buffers are named by slot: keep the numbering dense by listing every slot up to the last.
    return [("out", k, found.get(k, region.outputs[0].dtype)) for k in range(top + 1)]


def _slots(region: Region) -> list[tuple[int, Any]]:
    return [(o.slot, o.dtype) for o in region.outputs]


def _keep_rows(emitter: Emitter, region: Region) -> None:
    """Let expensive values of a row that several loops need be written once, into a result's own row."""
    loops: list[set[Expr]] = []
    members: dict[int, int] = {}
    for e in reachable([o.expr for o in region.outputs]):
        if e.kind == "reduce":
            group = id(emitter.groups[e])
            if group not in members:
                members[group] = len(loops)
                loops.append(set())
            loops[members[group]] |= _own(e.args)
    for inner in dict.fromkeys(o.axes for o in region.outputs):
        loops.append(_own([o.expr for o in region.outputs if o.axes == inner]))
    wide = [o for o in region.outputs if len(o.axes) > 1]
    if len({o.axes for o in wide}) != 1:
        return  # a later loop would find a row already overwritten
    free = {o: _own([o.expr]) for o in wide if o.dtype.kind == "f"}
    candidates = [
        e
        for e in sorted(set().union(*loops), key=lambda e: -e.number)
        if e.kind == "op" and sum(e in loop for loop in loops) > 1 and _worth_keeping(emitter, e)
    ]
    for e in candidates:
        # Only a result that is made from the value: it is then read before the result overwrites it.
        fits = (o for o, own in free.items() if e in own and e.dtype is o.dtype)
        home = next((o for o in fits if e.free == frozenset(o.axes)), None)
        if home is not None:
            del free[home]
            emitter.keep[e] = (_buffer(region, home), home.index, home.shape)


def _worth_keeping(emitter: Emitter, e: Expr) -> bool:
    """Whether a value costs more than its way to memory: by itself, or, where mathematics is written out
    and rows are the work of many lanes, with what it is made of."""
    if e.data.cost >= KEEP_COST or emitter.lanes == 1:
        return bool(e.data.cost >= KEEP_COST)
    return sum(x.cost for x in _own([e])) >= 2 * KEEP_COST


def _own(roots: Sequence[Expr]) -> set[Expr]:
    """Expressions of a loop's own body: those under roots, not inside further reductions."""
    stack, seen = list(roots), set(roots)
    while stack:
        e = stack.pop()
        if e.kind == "reduce":
            continue
        for a in e.args:
            if a not in seen:
                seen.add(a)
                stack.append(a)
    return seen


def _open_block(emitter: Emitter, axis: Axis, block: int) -> tuple[Axis, Value, Value]:
    """Open the grid over blocks of an axis; its axis, and the bounds of the block at hand."""
    part = Axis("block", 1)
    emitter.open_grid((part,))
    return part, *bounds_of(emitter, part, axis, block)


def columns(builder: ExprBuilder, region: Region, schedule: Schedule) -> Lowered:
    """Reductions along the axis that memory does not run along: accumulate whole runs, never stride."""
    axes = region.outputs[0].axes
    last, outer = axes[-1], axes[:-1]
    emitter = Emitter(builder, region, schedule)
    reductions = [e for e in reachable([o.expr for o in region.outputs]) if e.kind == "reduce"]
    outputs = _outputs(region)
    lowered = Lowered()
    count = len(region.operands) + len(outputs)
    here = tuple(builder.axis(a) for a in axes), tuple(a.extent for a in axes)
    # Where each reduction is accumulated: in the first result that it is (a second one is a copy of
    # that), at that result's own place, or else in a temporary.
    direct = {o.expr: o for o in reversed(region.outputs)}
    rest = [o for o in region.outputs if direct[o.expr] is not o or o.expr not in reductions]
    places: dict[Expr, tuple[str, tuple[Expr, ...], tuple[Any, ...]]] = {}
    for r in reductions:
        if r in direct:
            places[r] = (_buffer(region, direct[r]), direct[r].index, direct[r].shape)
        else:
            places[r] = (f"a{count + len(lowered.temporaries)}", *here)
            lowered.temporaries.append(Temporary(here[1], r.dtype))
    lo: Value
    hi: Value
    if outer:
        grid, block = factors(outer[0].extent), 1
        for k, a in enumerate(outer):
            if k == 0:
                emitter.open_grid((a,))
            else:
                emitter.open_nest((a,))
        lo, hi = emitter.zero, emitter.size(last.extent)
    else:
        grid, block = factors(last.extent), schedule.block
        part, lo, hi = _open_block(emitter, last, block)
    emitter.open(last, lo, hi)
    for r, (buffer, *place) in places.items():
        emitter.statement(Store(buffer, emitter.linear(*place), identity(r.data[0], r.dtype)))
    emitter.close(last)
    emitter.open_nest(reductions[0].data[1])
    emitter.open(last, lo, hi)
    for r, (buffer, *place) in places.items():
        value = emitter.value(r.args[0])
        emitter.statement(Store(buffer, emitter.linear(*place), value, r.data[0]))
    emitter.close(last)
    emitter.close_nest(reductions[0].data[1])
    if rest:
        emitter.cached.update(places)
        emitter.open(last, lo, hi)
        for o in rest:
            emitter.store(o, _buffer(region, o))
        emitter.close(last)
    for a in reversed(outer or (part,)):
        emitter.close(a)
    temps = [("temp", k, t.dtype) for k, t in enumerate(lowered.temporaries)]
    lowered.stages.append(finished(emitter, region, outputs + temps, grid, block, _volume(region)))
    return lowered


def strips(builder: ExprBuilder, region: Region, schedule: Schedule) -> Lowered:
    """Reductions along a long axis that memory does not run along: a strip of it for each point and
    column, so that neighbouring points read neighbours, then one pass over the strips' results."""
    emitter = Emitter(builder, region, schedule)
    exprs = [o.expr for o in region.outputs]
    emitter.plan_reductions(exprs)
    reductions = [e for e in reachable(exprs) if e.kind == "reduce"]
    axes: tuple[Axis, ...] = reductions[0].data[1]
    kept, first = region.outputs[0].axes, axes[0]
    count = Blocks(factors(first.extent), schedule.block)
    strip = Axis("strip", (count,))  # type: ignore[arg-type]
    grid = (strip, *kept)
    shape = tuple(a.extent for a in grid)
    points = (count, *(f for a in kept for f in factors(a.extent)))
    temporaries = [Temporary(points, r.dtype) for r in reductions]
    place = tuple(map(builder.axis, grid))

    emitter.open_grid(grid)
    lo, hi = bounds_of(emitter, strip, first, schedule.block)
    accumulators = [emitter.fresh(r.dtype) for r in reductions]
    for r, var in zip(reductions, accumulators, strict=True):
        emitter.statement(Declare(var, identity(r.data[0], r.dtype)))
    emitter.open(first, lo, hi)
    emitter.open_nest(axes[1:])
    emitter.accumulate(reductions, accumulators)
    emitter.close_nest(axes[1:])
    emitter.close(first)
    for k, var in enumerate(accumulators):
        name = f"a{len(region.operands) + k}"
        emitter.statement(Store(name, emitter.linear(place, shape), var))
    emitter.close_range(grid)
    temps = [("temp", k, t.dtype) for k, t in enumerate(temporaries)]
    stage = finished(emitter, region, temps, points, 1, _volume(region))

    second = Emitter(builder, region, schedule)
    base = len(region.operands) + len(_outputs(region))
    second.open_grid(kept)
    combined = [second.fresh(r.dtype) for r in reductions]
    for r, var in zip(reductions, combined, strict=True):
        second.statement(Declare(var, identity(r.data[0], r.dtype)))
    second.open_nest((strip,))
    here = second.linear(place, shape)
    for k, (r, var) in enumerate(zip(reductions, combined, strict=True)):
        value = second.let("load", (here,), r.dtype, f"a{base + k}")
        second.statement(Accumulate(var, r.data[0], value, r.dtype.kind == "f"))
    second.close_nest((strip,))
    second.scopes[-1].known.update(zip(reductions, combined, strict=True))
    for o in region.outputs:
        second.store(o, _buffer(region, o))
    second.close_range(kept)
    last = finished(second, region, _outputs(region) + temps, points[1:], 1, points)
    return Lowered([stage, last], temporaries)


def full(builder: ExprBuilder, region: Region, schedule: Schedule) -> Lowered:
    """Scalars from whole arrays, in one pass by one thread."""
    emitter = Emitter(builder, region, schedule)
    emitter.plan_reductions([o.expr for o in region.outputs])
    for o in region.outputs:
        emitter.store(o, _buffer(region, o))
    return Lowered([finished(emitter, region, _outputs(region), (1,), 1, _volume(region))])


def blocks(builder: ExprBuilder, region: Region, schedule: Schedule) -> Lowered:
    """Scalars from large arrays: partial results of fixed blocks, then one pass over those.

    The tree of a sum is the same whatever the number of threads.
    """
    emitter = Emitter(builder, region, schedule)
    exprs = [o.expr for o in region.outputs]
    emitter.plan_reductions(exprs)
    outer = [e for e in reachable(exprs) if e.kind == "reduce" and not e.free]
    axes: tuple[Axis, ...] = outer[0].data[1]
    first = axes[0]
    count = Blocks(factors(first.extent), schedule.block)
    temporaries = [Temporary((count,), r.dtype) for r in outer]
    names = [f"a{len(region.operands) + k}" for k in range(len(outer))]

    part, lo, hi = _open_block(emitter, first, schedule.block)
    here = emitter.variables[part][-1]
    accumulators = [emitter.fresh(r.dtype) for r in outer]
    for r, var in zip(outer, accumulators, strict=True):
        emitter.statement(Declare(var, identity(r.data[0], r.dtype)))
    apart = emitter.alike
    emitter.open(first, lo, hi, dealt=len(axes) == 1)
    emitter.open_nest(axes[1:])
    emitter.accumulate(outer, accumulators)
    emitter.close_nest(axes[1:])
    emitter.close(first)
    if apart:
        emitter.combine(outer, accumulators)
    for name, var in zip(names, accumulators, strict=True):
        emitter.write(Store(name, here, var))
    emitter.close_range((part,))
    temps = [("temp", k, t.dtype) for k, t in enumerate(temporaries)]
    stage = finished(emitter, region, temps, factors(first.extent), schedule.block, _volume(region))

    second = Emitter(builder, region, schedule)
    combined = [second.fresh(r.dtype) for r in outer]
    base = len(region.operands) + len(_outputs(region))
    for r, var in zip(outer, combined, strict=True):
        second.statement(Declare(var, identity(r.data[0], r.dtype)))
    line = Axis("partials", (count,))  # type: ignore[arg-type]
    apart = second.alike
    second.open_nest((line,))
    for k, (r, var) in enumerate(zip(outer, combined, strict=True)):
        value = second.let("load", (second.variables[line][-1],), r.dtype, f"a{base + k}")
        second.statement(Accumulate(var, r.data[0], value, r.dtype.kind == "f"))
    second.close_nest((line,))
    if apart:
        second.combine(outer, combined)
    second.scopes[0].known.update(zip(outer, combined, strict=True))
    for o in region.outputs:
        second.store(o, _buffer(region, o))
    last = finished(second, region, _outputs(region) + temps, (1,), 1, (1,))
    return Lowered([stage, last], temporaries)


def scatter(builder: ExprBuilder, region: Region, schedule: Schedule) -> Lowered:
    """Updates one after another, in row-major order: deterministic, whatever indices repeat.

    Several points of a grid each do all that fall on every so many-th element. Or each update is a
    point, where additions may come in any order.
    """
    emitter = Emitter(builder, region, schedule)
    emitter.plan_reductions([o.expr for o in region.outputs])
    if schedule.atomic:
        return _in_any_order(emitter, region)
    owner = Axis("owner", schedule.block)
    if schedule.block > 1:
        emitter.open_grid((owner,))
    # Several outputs are the parts of one complex update.
    axes = region.outputs[0].axes
    if schedule.piece:
        emitter.open_range(axes, emitter.size(BEGIN), emitter.size(END))
    else:
        emitter.open_nest(axes)
    for o in region.outputs:
        o = replace(o, mode="set") if o.mode == "replace" else o
        mine = None
        if schedule.block > 1:
            count = Literal(schedule.block, emitter.index)
            part = emitter.let("urem", (emitter.linear(o.index, o.shape), count), INDEX)
            mine = emitter.let("eq", (part, emitter.variables[owner][-1]), bool_)
        emitter.store(o, _buffer(region, o), condition=mine)
    if schedule.piece:
        emitter.close_range(axes)
    else:
        emitter.close_nest(axes)
    if schedule.block > 1:
        emitter.close_range((owner,))
    grid = (schedule.block,)
    # Every point goes through all updates.
    volume = (*_volume(region), *grid)
    stage = finished(emitter, region, _outputs(region), grid, 1, volume)
    if schedule.piece:
        updates = tuple(f for a in axes for f in factors(a.extent))
        stage = replace(stage, pieces=updates, piece=schedule.piece)
    return Lowered([stage])


def _in_any_order(emitter: Emitter, region: Region) -> Lowered:
    axes = region.outputs[0].axes
    if axes:
        emitter.open_grid(axes)
    for o in region.outputs:
        emitter.store(o, _buffer(region, o), atomic=True)
    if axes:
        emitter.close_range(axes)
    grid = tuple(f for a in axes for f in factors(a.extent)) or (1,)
    return Lowered([finished(emitter, region, _outputs(region), grid, 1, _volume(region))])


Strategy = Callable[[ExprBuilder, Region, Schedule], Lowered]
STRATEGIES: dict[str, Strategy] = {
    "points": points,
    "rows": rows,
    "columns": columns,
    "strips": strips,
    "full": full,
    "blocks": blocks,
    "scatter": scatter,
    "loop": loop,
}
