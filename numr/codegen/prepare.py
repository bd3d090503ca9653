"""Region to Region, before lowering: unroll literal axes, share mirrored squares, collapse axes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numr.codegen.region import INDEX, Axis, Expr, ExprBuilder, Operand, Output, Region
from numr.ir import scalar as S

Rule = Callable[[Expr, tuple[Expr, ...]], Expr]

# Axes of at most this literal extent disappear from regions that reduce.
UNROLL_EXTENT = 8
# As many results may be written out where a short axis is a result's.
UNROLL_RESULTS = 16
COMBINE: dict[str, S.ScalarOp] = {
    "add": S.add,
    "mul": S.mul,
    "max": S.maximum,
    "min": S.minimum,
    "and": S.and_,
    "or": S.or_,
}


def reachable(roots: Iterable[Expr]) -> list[Expr]:
    """Every expression under the roots, arguments before users."""
    stack = list(roots)
    seen = set(stack)
    while stack:
        for arg in stack.pop().args:
            if arg not in seen:
                seen.add(arg)
                stack.append(arg)
    return sorted(seen, key=lambda e: e.number)


def transform(roots: Sequence[Expr], rule: Rule) -> list[Expr]:
    """Rebuild expressions bottom-up."""
    new: dict[Expr, Expr] = {}
    for expr in reachable(roots):
        new[expr] = rule(expr, tuple(new[a] for a in expr.args))
    return [new[r] for r in roots]


def remake(builder: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """The expression with other arguments."""
    if args == expr.args:
        return expr
    kind = expr.kind
    if kind == "op":
        return builder.op(expr.data, *args)
    if kind == "load":
        return builder.load(expr.data, args, expr.dtype)
    if kind == "guarded":
        return builder.load(expr.data, args[:-1], expr.dtype, args[-1])
    if kind in ("cast", "bitcast"):
        return getattr(builder, kind)(args[0], expr.dtype)  # type: ignore[no-any-return]
    if kind == "rounds":
        return builder.rounds(expr.data, args[: len(args) // 2], args[len(args) // 2 :])
    if kind == "result":
        return builder.result(args[0], expr.data)
    monoid, axes = expr.data
    return builder.reduce(monoid, axes, args[0])


def substitute(
    builder: ExprBuilder, roots: Sequence[Expr], values: Mapping[Axis, Expr]
) -> list[Expr]:
    """Put expressions in place of free axes."""

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if expr.free.isdisjoint(values):
            return expr
        if expr.kind == "axis":
            return values[expr.data]
        return remake(builder, expr, args)

    # A reduction that binds one of the axes itself hides it: its body must stay as it is.
    def shielded(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if expr.kind == "reduce" and not set(expr.data[1]).isdisjoint(values):
            rest = {a: v for a, v in values.items() if a not in expr.data[1]}
            (body,) = substitute(builder, expr.args, rest) if rest else expr.args
            return remake(builder, expr, (body,))
        return rule(expr, args)

    return transform(roots, shielded)


def roots_of(region: Region) -> list[Expr]:
    """All expressions of a region: values and indices."""
    return [e for o in region.outputs for e in (o.expr, *o.index)]


def with_roots(region: Region, roots: Sequence[Expr]) -> Region:
    """The region with other expressions, in the order of `roots_of`."""
    rest = iter(roots)
    outputs = []
    for o in region.outputs:
        expr = next(rest)
        outputs.append(replace(o, expr=expr, index=tuple(next(rest) for _ in o.index)))
    return replace(region, outputs=tuple(outputs))


def literal(axis: Axis) -> bool:
    """Whether an axis is short and of known length, so that a reduction over it is written out."""
    return isinstance(axis.extent, int) and axis.extent <= UNROLL_EXTENT


def loop_axes(output: Output) -> tuple[Axis, ...]:
    """The axes of an output that stay loops: few results of literal axes are written out one by one."""
    count = 1
    for a in output.axes:
        count *= a.extent if literal(a) else 1  # type: ignore[operator]
    if output.mode != "set" or count > UNROLL_RESULTS:
        return output.axes
    return tuple(a for a in output.axes if not literal(a))


def unroll(builder: ExprBuilder, region: Region) -> Region:
    """Replace axes of small literal extent by constants: reductions become sums, outputs several."""

    def constants(axes: Sequence[Axis]) -> Iterable[dict[Axis, Expr]]:
        for point in itertools.product(*(range(int(a.extent)) for a in axes)):  # type: ignore[arg-type]
            yield {a: builder.const(i, INDEX) for a, i in zip(axes, point, strict=True)}

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if expr.kind != "reduce":
            return remake(builder, expr, args)
        monoid, axes = expr.data
        small = tuple(a for a in axes if literal(a))
        if not small:
            return remake(builder, expr, args)
        total: Expr | None = None
        for values in constants(small):
            (term,) = substitute(builder, args, values)
            total = term if total is None else builder.op(COMBINE[monoid], total, term)
        if total is None:
            return remake(builder, expr, args)  # an empty axis: leave the identity to the loop
        rest = tuple(a for a in axes if a not in small)
        return builder.reduce(monoid, rest, total) if rest else total

    region = with_roots(region, transform(roots_of(region), rule))
    outputs: list[Output] = []
    for o in region.outputs:
        kept = loop_axes(o)
        small = tuple(a for a in o.axes if a not in kept)
        for values in constants(small):
            expr, *index = substitute(builder, (o.expr, *o.index), values)
            outputs.append(replace(o, expr=expr, index=tuple(index), axes=kept))
    return replace(region, outputs=tuple(outputs))


def share_squares(builder: ExprBuilder, region: Region) -> Region:
    """Write (a - b) * (a - b) one way round: it equals (b - a) * (b - a) to the last bit.

    The way round is that of a difference which is needed anyway, where there is one.
    """

    def is_difference(x: Expr) -> bool:
        return x.kind == "op" and x.data is S.sub and x.dtype.kind == "f"

    def is_even(x: Expr) -> bool:
        if x.kind != "op" or not is_difference(x.args[0]):
            return False
        return x.data is S.abs_ or (x.data is S.mul and x.args[0] is x.args[1])

    roots = roots_of(region)
    wanted = {a for e in reachable(roots) if not is_even(e) for a in e.args if is_difference(a)}

    def ordered(x: Expr) -> Expr:
        a, b = x.args
        other = builder.op(S.sub, b, a)
        if (x in wanted) != (other in wanted):
            return x if x in wanted else other
        return other if a.number > b.number else x

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if is_even(expr) and is_difference(args[0]):
            return builder.op(expr.data, *(ordered(a) for a in args))
        return remake(builder, expr, args)

    return with_roots(region, transform(roots, rule))


def join_reciprocal_roots(builder: ExprBuilder, region: Region) -> Region:
    """Write 1 / sqrt(x) as the one operation that many processors have."""

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if expr.kind == "op" and expr.data is S.div and expr.dtype.kind == "f":
            one, root = args
            if one.kind == "const" and one.data == 1 and root.kind == "op" and root.data is S.sqrt:
                return builder.op(S.rsqrt, *root.args)
        return remake(builder, expr, args)

    return with_roots(region, transform(roots_of(region), rule))


def collapse(
    builder: ExprBuilder, region: Region, axes: tuple[Axis, ...]
) -> tuple[Region, tuple[Axis, ...]]:
    """Merge neighbouring axes that every access walks as one run of memory."""
    k = 0
    while k + 1 < len(axes):
        merged = _merge(builder, region, axes[k], axes[k + 1])
        if merged is None:
            k += 1
            continue
        region, axis = merged
        axes = (*axes[:k], axis, *axes[k + 2 :])
    return region, axes


def factors(extent: Any) -> tuple[Any, ...]:
    """An extent as a product: Dims and literals, or the factors of a collapsed axis."""
    return extent if isinstance(extent, tuple) else (extent,)


def _run(index: Sequence[Expr], shape: Sequence[Any], p: Axis, q: Axis) -> int | None:
    """Where p and q are neighbouring indices of an access; -1 if it uses neither; None if otherwise."""
    uses = [i for i, e in enumerate(index) if p in e.free or q in e.free]
    if not uses:
        return -1
    if len(uses) != 2 or uses[1] != uses[0] + 1:
        return None
    first, second = index[uses[0]], index[uses[1]]
    neighbours = first.kind == second.kind == "axis" and first.data is p and second.data is q
    contiguous = neighbours and factors(shape[uses[1]]) == factors(q.extent)
    return uses[0] if contiguous else None


def _merge(builder: ExprBuilder, region: Region, p: Axis, q: Axis) -> tuple[Region, Axis] | None:
    places: dict[int, int] = {}
    roots = [o.expr for o in region.outputs]
    for expr in reachable(roots):
        if expr.kind == "load":
            at = _run(expr.args, region.operands[expr.data].shape, p, q)
            if at is None or places.setdefault(expr.data, at) != at:
                return None
        elif expr.kind == "guarded" and places.setdefault(expr.data, -1) >= 0:
            return None  # an access that does not walk the operand needs its dimensions as they are
        elif any(a.kind == "axis" and a.data in (p, q) for a in expr.args) or (
            expr.kind == "reduce" and (p in expr.data[1] or q in expr.data[1])
        ):
            return None
    for expr in roots:
        if expr.kind == "axis":
            return None
    whole = ("set", "start", "next", "go")
    stores = [_run(o.index, o.shape, p, q) if o.mode in whole else None for o in region.outputs]
    if any(
        at is None or (at < 0 and (p in o.axes or q in o.axes))
        for at, o in zip(stores, region.outputs, strict=True)
    ):
        return None
    axis = Axis(p.name, (*factors(p.extent), *factors(q.extent)))  # type: ignore[arg-type]
    flat = builder.axis(axis)

    def joined(items: Sequence[Any], at: int, value: Any) -> tuple[Any, ...]:
        return (*items[:at], value, *items[at + 2 :]) if at >= 0 else tuple(items)

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if expr.kind == "load":
            return builder.load(expr.data, joined(args, places[expr.data], flat), expr.dtype)
        return remake(builder, expr, args)

    def flattened(shape: Sequence[Any], at: int) -> tuple[Any, ...]:
        """A buffer's shape with two dimensions as one: its own lengths, which a slice's axes lack."""
        return joined(shape, at, sum(map(factors, shape[at : at + 2]), ()))

    new_roots = transform(roots, rule)
    operands = tuple(
        Operand(o.dtype, flattened(o.shape, places.get(k, -1)))
        for k, o in enumerate(region.operands)
    )
    outputs = tuple(
        replace(
            o,
            expr=expr,
            index=joined(o.index, at or 0, flat) if at is not None and at >= 0 else o.index,
            shape=flattened(o.shape, at) if at is not None else o.shape,
            axes=tuple(axis if a is p else a for a in o.axes if a is not q),
        )
        for o, expr, at in zip(region.outputs, new_roots, stores, strict=True)
    )
    return replace(region, operands=operands, outputs=outputs), axis
