"""Complex expressions as pairs of real ones, so that no printer knows complex numbers.

A complex buffer is a real one with a last axis of length 2. Branch cuts are NumPy's; the inverse
functions are Kahan's (Branch Cuts for Complex Elementary Functions, 1987).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numr.codegen.prepare import reachable, remake, roots_of
from numr.codegen.region import INDEX, Expr, ExprBuilder, Operand, Output, Region
from numr.dtypes import bool_, real_part_dtype
from numr.ir import scalar as S

Pair = tuple[Expr, Expr]


def has_complex(region: Region) -> bool:
    """Whether anything in a region is complex."""
    return any(e.dtype.kind == "c" for e in reachable(roots_of(region)))


def pairs(builder: ExprBuilder, region: Region) -> Region:
    """The region over real buffers twice as long, real and imaginary parts side by side."""
    operands = tuple(
        Operand(real_part_dtype(o.dtype), (*o.shape, 2)) if o.dtype.kind == "c" else o
        for o in region.operands
    )
    p = _Parts(builder)
    new: dict[Expr, Any] = {}
    for expr in reachable(roots_of(region)):
        new[expr] = p.rewrite(expr, [new[a] for a in expr.args])
    outputs: list[Output] = []
    for o in region.outputs:
        index = tuple(new[e] for e in o.index)
        if o.dtype.kind != "c":
            outputs.append(replace(o, expr=new[o.expr], index=index))
            continue
        for k, part in enumerate(new[o.expr]):
            place = (*index, builder.const(k, INDEX))
            shape = (*o.shape, 2)
            outputs.append(
                replace(o, expr=part, index=place, shape=shape, dtype=real_part_dtype(o.dtype))
            )
    return replace(region, operands=operands, outputs=tuple(outputs))


class _Parts:
    """Arithmetic on pairs. Methods named like scalar operations implement them."""

    def __init__(self, builder: ExprBuilder) -> None:
        self.b = builder

    def rewrite(self, expr: Expr, args: list[Any]) -> Any:
        if expr.dtype.kind != "c" and not any(isinstance(a, tuple) for a in args):
            return remake(self.b, expr, tuple(args))
        kind, part = expr.kind, real_part_dtype(expr.dtype)
        if kind == "const":
            value = complex(expr.data)
            return self.b.const(value.real, part), self.b.const(value.imag, part)
        if kind in ("load", "guarded"):
            guard = args.pop() if kind == "guarded" else None
            places = [(*args, self.b.const(k, INDEX)) for k in (0, 1)]
            return tuple(self.b.load(expr.data, place, part, guard) for place in places)
        if kind == "cast":
            return self._cast(expr, args[0])
        if kind == "reduce":
            monoid, axes = expr.data
            if monoid != "add":
                raise NotImplementedError(f"a complex reduction by {monoid}")
            return tuple(self.b.reduce(monoid, axes, a) for a in args[0])
        method: Callable[..., Any] = getattr(self, "op_" + expr.data.name)
        return method(*args)

    def _cast(self, expr: Expr, x: Any) -> Any:
        to = expr.dtype
        if not isinstance(x, tuple):
            part = real_part_dtype(to)
            return self.b.cast(x, part), self.b.const(0, part)
        if to.kind == "c":
            return tuple(self.b.cast(p, real_part_dtype(to)) for p in x)
        if to is bool_:
            return self.op(S.or_, *(self.op(S.ne, p, self.c(0, p)) for p in x))
        return self.b.cast(x[0], to)

    def op(self, op: S.ScalarOp, *args: Expr) -> Expr:
        return self.b.op(op, *args)

    def c(self, value: float, like: Expr) -> Expr:
        return self.b.const(value, like.dtype)

    def plus(self, *terms: Expr) -> Expr:
        total = terms[0]
        for t in terms[1:]:
            total = self.op(S.add, total, t)
        return total

    def times(self, *terms: Expr) -> Expr:
        total = terms[0]
        for t in terms[1:]:
            total = self.op(S.mul, total, t)
        return total

    def choose(self, mask: Expr, yes: Pair, no: Pair) -> Pair:
        return self.op(S.select, mask, yes[0], no[0]), self.op(S.select, mask, yes[1], no[1])

    # -- the scalar table ------------------------------------------------------------------------

    def op_real(self, z: Pair) -> Expr:
        return z[0]

    def op_imag(self, z: Pair) -> Expr:
        return z[1]

    def op_complex(self, re: Expr, im: Expr) -> Pair:
        return re, im

    def op_add(self, z: Pair, w: Pair) -> Pair:
        return self.op(S.add, z[0], w[0]), self.op(S.add, z[1], w[1])

    def op_sub(self, z: Pair, w: Pair) -> Pair:
        return self.op(S.sub, z[0], w[0]), self.op(S.sub, z[1], w[1])

    def op_neg(self, z: Pair) -> Pair:
        return self.op(S.neg, z[0]), self.op(S.neg, z[1])

    def op_mul(self, z: Pair, w: Pair) -> Pair:
        (a, b), (c, d) = z, w
        return (
            self.op(S.sub, self.times(a, c), self.times(b, d)),
            self.plus(self.times(a, d), self.times(b, c)),
        )

    def op_div(self, z: Pair, w: Pair) -> Pair:
        """Smith's algorithm: scaled by the larger part of the divisor, so that squares do not overflow."""
        (a, b), (c, d) = z, w
        wide = self.op(S.ge, self.op(S.abs_, c), self.op(S.abs_, d))
        large = self.op(S.select, wide, c, d)
        small = self.op(S.select, wide, d, c)
        zero = self.op(S.eq, large, self.c(0, large))
        ratio = self.op(S.select, zero, self.c(0, large), self.op(S.div, small, large))
        scale = self.plus(large, self.times(small, ratio))
        first = self.choose(wide, (a, b), (b, a))
        re = self.plus(first[0], self.times(first[1], ratio))
        im = self.choose(
            wide,
            (self.op(S.sub, b, self.times(a, ratio)), b),
            (self.op(S.sub, self.times(b, ratio), a), b),
        )[0]
        return self.op(S.div, re, scale), self.op(S.div, im, scale)

    def op_eq(self, z: Pair, w: Pair) -> Expr:
        return self.op(S.and_, self.op(S.eq, z[0], w[0]), self.op(S.eq, z[1], w[1]))

    def op_ne(self, z: Pair, w: Pair) -> Expr:
        return self.op(S.or_, self.op(S.ne, z[0], w[0]), self.op(S.ne, z[1], w[1]))

    def op_select(self, mask: Expr, z: Pair, w: Pair) -> Pair:
        return self.choose(mask, z, w)

    def op_exp(self, z: Pair) -> Pair:
        a, b = z
        size = self.op(S.exp, a)
        # On the real axis the imaginary part is 0 even where the size is infinite.
        on_axis = self.op(S.eq, b, self.c(0, b))
        return (
            self.op(S.select, on_axis, size, self.times(size, self.op(S.cos, b))),
            self.op(S.select, on_axis, b, self.times(size, self.op(S.sin, b))),
        )

    def op_log(self, z: Pair) -> Pair:
        return self.op(S.log, self.op(S.hypot, *z)), self.op(S.atan2, z[1], z[0])

    def op_sqrt(self, z: Pair) -> Pair:
        a, b = z
        half = self.c(0.5, a)
        t = self.op(S.sqrt, self.times(half, self.plus(self.op(S.abs_, a), self.op(S.hypot, a, b))))
        zero = self.op(S.eq, t, self.c(0, t))
        safe = self.op(S.select, zero, self.c(1, t), t)
        other = self.op(S.div, self.times(half, b), safe)
        right = self.op(S.ge, a, self.c(0, a))
        found = self.choose(right, (t, other), (self.op(S.abs_, other), self.op(S.copysign, t, b)))
        return self.choose(zero, (self.c(0, a), b), found)

    def op_sin(self, z: Pair) -> Pair:
        a, b = z
        return (
            self.times(self.op(S.sin, a), self.op(S.cosh, b)),
            self.times(self.op(S.cos, a), self.op(S.sinh, b)),
        )

    def op_cos(self, z: Pair) -> Pair:
        a, b = z
        return (
            self.times(self.op(S.cos, a), self.op(S.cosh, b)),
            self.op(S.neg, self.times(self.op(S.sin, a), self.op(S.sinh, b))),
        )

    def op_tan(self, z: Pair) -> Pair:
        """In the tangents of the parts, which do not overflow far from the real axis."""
        s, t = self.op(S.tan, z[0]), self.op(S.tanh, z[1])
        one = self.c(1, s)
        bottom = self.plus(one, self.times(s, s, t, t))
        width = self.times(self.op(S.sub, one, t), self.plus(one, t))
        return (
            self.op(S.div, self.times(s, width), bottom),
            self.op(S.div, self.times(t, self.plus(one, self.times(s, s))), bottom),
        )

    def turned(self, function: Callable[[Pair], Pair], z: Pair) -> Pair:
        """-i f(i z)"""
        u, v = function((self.op(S.neg, z[1]), z[0]))
        return v, self.op(S.neg, u)

    def op_sinh(self, z: Pair) -> Pair:
        return self.turned(self.op_sin, z)

    def op_cosh(self, z: Pair) -> Pair:
        return self.op_cos((self.op(S.neg, z[1]), z[0]))

    def op_tanh(self, z: Pair) -> Pair:
        return self.turned(self.op_tan, z)

    def _roots(self, z: Pair) -> tuple[Pair, Pair]:
        """sqrt(1 - z), sqrt(1 + z)"""
        one = self.c(1, z[0])
        minus = (self.op(S.sub, one, z[0]), self.op(S.neg, z[1]))
        return self.op_sqrt(minus), self.op_sqrt((self.plus(one, z[0]), z[1]))

    def _re_product(self, z: Pair, w: Pair) -> Expr:
        return self.op(S.sub, self.times(z[0], w[0]), self.times(z[1], w[1]))

    def _im_of_conjugate_product(self, z: Pair, w: Pair) -> Expr:
        return self.op(S.sub, self.times(z[0], w[1]), self.times(z[1], w[0]))

    def op_asin(self, z: Pair) -> Pair:
        minus, plus = self._roots(z)
        return (
            self.op(S.atan2, z[0], self._re_product(minus, plus)),
            self.op(S.asinh, self._im_of_conjugate_product(minus, plus)),
        )

    def op_acos(self, z: Pair) -> Pair:
        minus, plus = self._roots(z)
        return (
            self.times(self.c(2, z[0]), self.op(S.atan2, minus[0], plus[0])),
            self.op(S.asinh, self._im_of_conjugate_product(plus, minus)),
        )

    def op_atanh(self, z: Pair) -> Pair:
        x, y = z
        one = self.c(1, x)
        left = self.op(S.sub, one, x)
        square = self.plus(self.times(left, left), self.times(y, y))
        ratio = self.op(S.div, self.times(self.c(4, x), x), square)
        width = self.op(S.sub, self.times(left, self.plus(one, x)), self.times(y, y))
        return (
            self.times(self.c(0.25, x), self.op(S.log1p, ratio)),
            self.times(self.c(0.5, x), self.op(S.atan2, self.times(self.c(2, x), y), width)),
        )

    def op_atan(self, z: Pair) -> Pair:
        return self.turned(self.op_atanh, z)

    def op_asinh(self, z: Pair) -> Pair:
        return self.turned(self.op_asin, z)

    def op_acosh(self, z: Pair) -> Pair:
        one = self.c(1, z[0])
        minus = self.op_sqrt((self.op(S.sub, z[0], one), z[1]))
        plus = self.op_sqrt((self.plus(z[0], one), z[1]))
        re = self.plus(self.times(minus[0], plus[0]), self.times(minus[1], plus[1]))
        return self.op(S.asinh, re), self.times(
            self.c(2, z[0]), self.op(S.atan2, minus[1], plus[0])
        )

    def op_expm1(self, z: Pair) -> Pair:
        a, b = z
        s = self.op(S.sin, self.times(self.c(0.5, b), b))
        drop = self.times(self.c(2, b), s, s)
        return (
            self.op(S.sub, self.times(self.op(S.expm1, a), self.op(S.cos, b)), drop),
            self.times(self.op(S.exp, a), self.op(S.sin, b)),
        )

    def op_log1p(self, z: Pair) -> Pair:
        a, b = z
        inner = self.plus(self.times(a, self.plus(self.c(2, a), a)), self.times(b, b))
        return (
            self.times(self.c(0.5, a), self.op(S.log1p, inner)),
            self.op(S.atan2, b, self.plus(self.c(1, a), a)),
        )

    def op_pow(self, z: Pair, w: Pair) -> Pair:
        power = self.op_exp(self.op_mul(w, self.op_log(z)))
        nothing = (self.c(0, z[0]), self.c(0, z[0]))
        unit = (self.c(1, z[0]), self.c(0, z[0]))
        at_zero = self.choose(self.op_eq(w, nothing), unit, nothing)
        return self.choose(self.op_eq(z, nothing), at_zero, power)
