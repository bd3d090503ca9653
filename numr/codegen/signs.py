"""Signs under sums: mirrored terms, as in forces between pairs of points, become one term and one sum."""

from __future__ import annotations

from collections.abc import Sequence

from numr.codegen.prepare import reachable, remake, roots_of, transform, with_roots
from numr.codegen.region import Expr, ExprBuilder, Region
from numr.ir import scalar as S

# An expression, and whether it is the negative of what is meant.
Signed = tuple[Expr, bool]


def join_differences(builder: ExprBuilder, region: Region) -> Region:
    """Write a + (-b) as a - b, and a - (-b) as a + b: the same to the last bit."""

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if expr.kind == "op" and expr.data in (S.add, S.sub):
            x, y = args
            if expr.data is S.add and _is(x, S.neg):
                x, y = y, x
            if _is(y, S.neg):
                return builder.op(S.sub if expr.data is S.add else S.add, x, y.args[0])
        return remake(builder, expr, args)

    return with_roots(region, transform(roots_of(region), rule))


def absorb_signs(builder: ExprBuilder, region: Region) -> Region:
    """Write what is under sums with differences one way round and no negation, and the sign before the sum.

    w * (b - a) is -(w * (a - b)) but for the sign of zero, and that a sum from +0.0 does not see through products,
    sums and differences. So the sum of mirrored terms is 0 minus that of the terms, and where both are wanted one is
    computed.
    """
    roots = roots_of(region)
    before = reachable(roots)
    there = {e for e in before if _is(e, S.sub)}
    odd: dict[
        Expr, Signed
    ] = {}  # what each expression is under a sum; the sign of a zero may differ

    def difference(x: Expr, y: Expr) -> Signed:
        """x - y, the way round that there is anyway, or else by age."""
        here, other = builder.op(S.sub, x, y), builder.op(S.sub, y, x)
        if (here in there) == (other in there):
            return (other, True) if x.number > y.number else (here, False)
        return (here, False) if here in there else (other, True)

    def under_sum(expr: Expr, new: Expr) -> Signed:
        if not _is(expr, S.neg, S.mul, S.div, S.add, S.sub):
            return new, False
        (x, minus), *rest = (odd[a] for a in expr.args)
        if expr.data is S.neg:
            return x, not minus
        if expr.data is S.div:
            return builder.op(S.div, x, new.args[1]), minus
        ((y, other),) = rest
        if expr.data is S.mul:
            return builder.op(S.mul, x, y), minus != other
        other = other != (expr.data is S.sub)
        if minus == other:
            return builder.op(S.add, x, y), minus
        found, flipped = difference(x, y)
        return found, flipped != minus

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        new = remake(builder, expr, args)
        odd[expr] = new, False
        if expr.kind == "reduce" and expr.data[0] == "add" and expr.dtype.kind == "f":
            body, minus = odd[expr.args[0]]
            total = builder.reduce("add", expr.data[1], body)
            odd[expr] = total, minus
            return builder.op(S.sub, builder.const(0.0, expr.dtype), total) if minus else total
        odd[expr] = under_sum(expr, new)
        return new

    after = transform(roots, rule)
    summed = {a for e in before if e.kind == "reduce" for a in e.data[1]}

    def inside(order: Sequence[Expr]) -> int:
        return sum(not e.free.isdisjoint(summed) for e in order)

    # Where something is wanted as it is, too, its other way round would be one more.
    return with_roots(region, after) if inside(reachable(after)) <= inside(before) else region


def _is(e: Expr, *ops: S.ScalarOp) -> bool:
    return e.kind == "op" and e.data in ops and e.dtype.kind == "f"
