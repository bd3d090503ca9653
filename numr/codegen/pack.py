"""Operands read many times in short runs, such as the coordinates of points, are put in columns first.

An array of n rows of 3 read along its rows costs shuffles at every visit. Where a kernel visits it for
every one of its own rows, a copy with the short axis first is made once, and read in whole runs.
"""

from __future__ import annotations

from dataclasses import replace

from numr.codegen.lowered import Lowered, Stage, Temporary
from numr.codegen.prepare import (
    literal,
    loop_axes,
    reachable,
    remake,
    roots_of,
    transform,
    with_roots,
)
from numr.codegen.region import Axis, Expr, ExprBuilder, Operand, Output, Region
from numr.codegen.schedule import Schedule


def is_short_run(load: Expr, region: Region) -> bool:
    """Whether a load walks rows of a short literal length, at one place of each."""
    if load.kind != "load" or len(load.args) != 2:
        return False
    along, within = load.args
    width = region.operands[load.data].shape[1]
    if not isinstance(width, int) or along.kind != "axis" or literal(along.data):
        return False
    return within.kind == "const" or (within.kind == "axis" and literal(within.data))


def repeated_runs(region: Region) -> set[int]:
    """Operands that a sum over their rows reads in short runs, once for every row of a result."""
    found: set[int] = set()
    for reduction in reachable(roots_of(region)):
        if reduction.kind != "reduce":
            continue
        rows = {a for o in region.outputs for a in loop_axes(o)}
        for load in reachable(reduction.args):
            if (
                rows
                and is_short_run(load, region)
                and load.args[0].data in reduction.data[1]
                and load.free.isdisjoint(rows)
            ):
                found.add(load.data)
    return found


def pack(
    builder: ExprBuilder, region: Region, schedule: Schedule
) -> tuple[Region, Lowered, dict[int, int]]:
    """The region reading columns, the kernels that make them, and the temporary behind each operand
    that is new."""
    chosen = sorted(repeated_runs(region))
    reduced = {a for e in reachable(roots_of(region)) if e.kind == "reduce" for a in e.data[1]}
    number = {k: len(region.operands) + t for t, k in enumerate(chosen)}
    made = Lowered()
    operands = list(region.operands)
    for t, k in enumerate(chosen):
        source = region.operands[k]
        shape = (source.shape[1], source.shape[0])
        operands.append(Operand(source.dtype, shape))
        made.temporaries.append(Temporary(shape, source.dtype))
        made.stages.append(_columns(builder, source, k, t, schedule))

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        run = expr.kind == "load" and expr.data in number and is_short_run(expr, region)
        if run and expr.args[0].data in reduced:
            return builder.load(number[expr.data], args[::-1], expr.dtype)
        return remake(builder, expr, args)

    region = replace(region, operands=tuple(operands))
    region = with_roots(region, transform(roots_of(region), rule))
    return region, made, {number[k]: t for t, k in enumerate(chosen)}


def _columns(builder: ExprBuilder, source: Operand, k: int, t: int, schedule: Schedule) -> Stage:
    """The kernel that writes an operand with its axes swapped into a temporary."""
    from numr.codegen.strategies import points

    rows, width = source.shape
    axis = Axis("row", rows)
    i = builder.axis(axis)
    outputs = []
    for c in range(int(width)):  # type: ignore[arg-type]
        place = builder.const(c, i.dtype)
        value = builder.load(0, (i, place), source.dtype)
        outputs.append(Output(value, (place, i), (axis,), (width, rows), source.dtype, 0))
    region = Region((source,), tuple(outputs))
    plain = Schedule("points", flat=schedule.flat, index=schedule.index)
    (stage,) = points(builder, region, plain).stages
    return replace(stage, buffers=(("in", k), ("temp", t)))


def behind(stage: Stage, temporaries: dict[int, int], first: int) -> Stage:
    """A stage of the packed region, with its buffers as the program knows them: operands that are
    temporaries, and its own temporaries after the first few."""

    def place(kind: str, number: int) -> tuple[str, int]:
        if kind == "in" and number in temporaries:
            return "temp", temporaries[number]
        return (kind, number + first) if kind == "temp" else (kind, number)

    return replace(stage, buffers=tuple(place(*b) for b in stage.buffers))
