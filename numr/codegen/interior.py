"""The inside of an array, where no element is beyond an end: which conditions always hold there, or never.

A stencil, a roll or a join asks of every element whether its neighbours exist. But for a few at the ends
they do: a loop over the inside asks nothing, and is as fast as one that was written without ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from numr.codegen.emit import Emitter
from numr.codegen.kernel import Value
from numr.codegen.prepare import reachable, remake, roots_of, transform, with_roots
from numr.codegen.region import INDEX, Axis, Expr, ExprBuilder, Output, Region
from numr.dtypes import bool_
from numr.ir import scalar as S

# A region of more expressions is not written out twice more.
MOST_EXPRESSIONS = 400


@dataclass(frozen=True, slots=True)
class Interior:
    """The inside along one axis.

    Attributes:
        region: the region as it is there.
        lows, highs: bounds of the inside; it begins at the largest and ends at the least.
        rows: conditions on the other axes under which a row has an inside, with their truth.
    """

    region: Region
    lows: tuple[Expr, ...]
    highs: tuple[Expr, ...]
    rows: tuple[tuple[Expr, bool], ...]


def interior(builder: ExprBuilder, region: Region, axes: Sequence[Axis]) -> Interior | None:
    """The inside of a region along the last of its axes; None if there are no ends, or it is too long to be
    written again."""
    order = reachable(roots_of(region))
    if len(order) > MOST_EXPRESSIONS or any(o.mode != "set" for o in region.outputs):
        return None
    truths: dict[Expr, bool] = {}
    lows: list[Expr] = []
    highs: list[Expr] = []
    rows: list[tuple[Expr, bool]] = []
    for atom in _atoms(order):
        found = _bound(builder, atom)
        if found is None:
            continue
        along, bound, below = found
        if along not in axes:
            continue
        # One end is a number, and near; the other is made of lengths, and far.
        near = bound.kind == "const"
        truths[atom] = below != near
        if along is not axes[-1]:
            rows.append((atom, truths[atom]))
        else:
            (lows if near else highs).append(bound)
    if not lows and not highs:
        return None
    inside = with_roots(region, _assumed(builder, roots_of(region), truths))
    return Interior(inside, tuple(lows), tuple(highs), tuple(rows))


def in_parts(
    emitter: Emitter,
    region: Region,
    axes: Sequence[Axis],
    inside: Interior,
    buffer: Callable[[Output], str],
) -> None:
    """Loops over axes, the innermost in three parts: one end, the inside, the other end."""
    *outer, last = axes
    if outer:
        emitter.open_grid(outer[:1])
        emitter.open_nest(outer[1:])
    lo, hi = (emitter.zero, emitter.size(last.extent)) if outer else emitter.range

    def clamped(bounds: Sequence[Expr], start: Value, op: str, least: Value) -> Value:
        found = start
        for bound in bounds:
            found = emitter.let(op, (found, emitter.value(bound)), INDEX)
        return emitter.let("minimum", (emitter.let("maximum", (found, least), INDEX), hi), INDEX)

    begin = clamped(inside.lows, lo, "maximum", lo)
    end = clamped(inside.highs, hi, "minimum", begin)
    for condition, truth in inside.rows:
        # A row at an end of another axis has no inside.
        holds = emitter.value(condition)
        sides = (end, begin) if truth else (begin, end)
        end = emitter.let("select", (holds, *sides), INDEX)
    for first, after, part in ((lo, begin, region), (begin, end, inside.region), (end, hi, region)):
        emitter.open(last, first, after)
        for o in part.outputs:
            emitter.store(o, buffer(o))
        emitter.close(last)
    if outer:
        emitter.close_nest(outer[1:])
        emitter.close_range(outer[:1])


def _atoms(order: Sequence[Expr]) -> list[Expr]:
    """The comparisons that choices and guards are made of."""
    stack = [e.args[-1] for e in order if e.kind == "guarded"]
    stack += [e.args[0] for e in order if e.kind == "op" and e.data is S.select]
    found: dict[Expr, None] = {}
    seen = set(stack)
    while stack:
        e = stack.pop()
        if e.kind != "op":
            continue
        if e.data in (S.lt, S.ge):
            found[e] = None
        elif e.data in (S.and_, S.or_, S.invert) and e.dtype is bool_:
            for a in e.args:
                if a not in seen:
                    seen.add(a)
                    stack.append(a)
    return sorted(found, key=lambda e: e.number)


def _bound(builder: ExprBuilder, atom: Expr) -> tuple[Axis, Expr, bool] | None:
    """A comparison of a position along one axis with what does not change along any: the axis, where along
    it the outcome changes, and whether the comparison holds below that."""
    x, y = atom.args
    if x.dtype is not INDEX or y.free:
        return None
    if x.kind == "op" and x.data in (S.add, S.sub):
        first, second = x.args
        if x.data is S.add and first.kind != "axis":
            first, second = second, first
        if second.free:
            return None
        # axis + offset < y below y - offset.
        sign = 1 if x.data is S.sub else -1
        if y.kind == second.kind == "const":
            y = builder.const(y.data + sign * second.data, INDEX)
        else:
            y = builder.op(S.add if sign > 0 else S.sub, y, second)
        x = first
    if x.kind != "axis":
        return None
    return x.data, y, atom.data is S.lt


def _assumed(
    builder: ExprBuilder, roots: Sequence[Expr], truths: Mapping[Expr, bool]
) -> list[Expr]:
    """Expressions where the outcome of some comparisons is known."""

    def known(e: Expr) -> bool | None:
        return bool(e.data) if e.kind == "const" and e.dtype is bool_ else None

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if expr in truths:
            return builder.const(truths[expr], bool_)
        if expr.kind == "guarded" and known(args[-1]):
            return builder.load(expr.data, args[:-1], expr.dtype)
        if expr.kind == "op" and args and known(args[0]) is not None:
            here = known(args[0])
            if expr.data is S.select:
                return args[1] if here else args[2]
            if expr.data is S.invert:
                return builder.const(not here, bool_)
            if expr.data is S.and_:
                return args[1] if here else args[0]
            if expr.data is S.or_:
                return args[0] if here else args[1]
        if expr.kind == "op" and expr.data in (S.and_, S.or_) and known(args[1]) is not None:
            return args[0] if known(args[1]) is (expr.data is S.and_) else args[1]
        return remake(builder, expr, args)

    return transform(roots, rule)
