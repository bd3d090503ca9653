"""Scalar operations that printers need not know, written with those they do, before lowering.

What stays for printers: + - * / and comparisons, the mathematical functions, integer // and % (floor,
never trapping), & | ^ ~ and in-range shifts, NaN-propagating min and max, select, casts and bitcasts.
"""

from __future__ import annotations

from collections.abc import Callable

from numr.codegen.complexpair import has_complex, pairs
from numr.codegen.prepare import remake, roots_of, transform, with_roots
from numr.codegen.region import Expr, ExprBuilder, Region
from numr.dtypes import DType, bool_, int32, int64, uint8
from numr.ir import scalar as S

Rule = Callable[[ExprBuilder, Expr, tuple[Expr, ...]], Expr]


def decompose(builder: ExprBuilder, region: Region) -> Region:
    """The region in terms of what every printer spells; complex numbers as pairs of reals."""
    if has_complex(region):
        region = pairs(builder, region)

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if expr.kind == "op":
            found = RULES.get((expr.data.name, args[0].dtype.kind))
            if found is not None:
                return found(builder, expr, args)
        return remake(builder, expr, args)

    return with_roots(region, transform(roots_of(region), rule))


def _sign(b: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    (x,) = args
    zero, one = b.const(0, x.dtype), b.const(1, x.dtype)
    below = zero if x.dtype.kind == "u" else b.op(S.neg, one)
    # The last branch keeps NaN and turns -0.0 into 0.0.
    rest = b.op(S.select, b.op(S.eq, x, zero), zero, x) if x.dtype.kind == "f" else zero
    return b.op(
        S.select, b.op(S.gt, x, zero), one, b.op(S.select, b.op(S.lt, x, zero), below, rest)
    )


def _float_remainder(b: ExprBuilder, x: Expr, y: Expr) -> Expr:
    """x - floor(x / y) * y with the sign of y, exact as fmod is."""
    zero = b.const(0, x.dtype)
    r = b.op(S.fmod, x, y)
    differ = b.op(S.xor, b.op(S.lt, y, zero), b.op(S.lt, r, zero))
    moved = b.op(S.select, differ, b.op(S.add, r, y), r)
    nonzero = b.op(S.ne, r, zero)
    return b.op(S.select, nonzero, moved, b.op(S.copysign, zero, y))


def _remainder(b: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    return _float_remainder(b, *args)


def _floor_divide(b: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """NumPy's: from the exact remainder, so that floor_divide(1.0, 0.1) is 9."""
    x, y = args
    dtype = x.dtype
    zero, half, one = (b.const(v, dtype) for v in (0, 0.5, 1))
    plain = b.op(S.div, x, y)
    r = b.op(S.fmod, x, y)
    quotient = b.op(S.div, b.op(S.sub, x, r), y)
    differ = b.op(S.xor, b.op(S.lt, y, zero), b.op(S.lt, r, zero))
    lower = b.op(S.and_, b.op(S.ne, r, zero), differ)
    quotient = b.op(S.select, lower, b.op(S.sub, quotient, one), quotient)
    floor = b.op(S.floor, quotient)
    above = b.op(S.gt, b.op(S.sub, quotient, floor), half)
    floor = b.op(S.select, above, b.op(S.add, floor, one), floor)
    whole = b.op(S.select, b.op(S.ne, quotient, zero), floor, b.op(S.copysign, zero, plain))
    return b.op(S.select, b.op(S.eq, y, zero), plain, whole)


def _integer_fmod(b: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """The remainder with the sign of x, from that with the sign of y: no magnitudes, since the least
    integer's has no room in its dtype."""
    x, y = args
    r = b.op(S.remainder, x, y)
    if x.dtype.kind == "u":
        return r
    zero = b.const(0, x.dtype)
    differ = b.op(S.xor, b.op(S.lt, x, zero), b.op(S.lt, r, zero))
    moved = b.op(S.and_, differ, b.op(S.ne, r, zero))
    return b.op(S.select, moved, b.op(S.sub, r, y), r)


def _integer_power(b: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """Square and multiply over the six low bits of the exponent: more would overflow anyway, but for
    bases 0, 1 and -1, whose powers the low bits decide."""
    base, exponent = args
    dtype = base.dtype
    one, zero = b.const(1, dtype), b.const(0, dtype)
    total, power = one, base
    for bit in range(6):
        wanted = b.op(S.ne, b.op(S.and_, exponent, b.const(1 << bit, dtype)), zero)
        total = b.op(S.select, wanted, b.op(S.mul, total, power), total)
        if bit < 5:
            power = b.op(S.mul, power, power)
    large = b.op(S.gt, exponent, b.const(63, dtype))
    small_base = b.op(S.le, _magnitude(b, base), one)
    return b.op(
        S.select, b.op(S.and_, large, b.op(S.xor, small_base, b.const(True, bool_))), zero, total
    )


def _magnitude(b: ExprBuilder, x: Expr) -> Expr:
    return x if x.dtype.kind == "u" else b.op(S.maximum, x, b.op(S.neg, x))


def _shift(b: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """Shifts by the width or more are defined: all bits go out (the sign stays in a right shift)."""
    x, n = args
    top = b.const(x.dtype.bits - 1, n.dtype)
    kept = b.op(S.maximum, b.op(S.minimum, n, top), b.const(0, n.dtype))
    moved = b.op(expr.data, x, kept)
    if expr.data is S.shift_right and x.dtype.kind == "i":
        return moved
    return b.op(S.select, b.op(S.gt, n, top), b.const(0, x.dtype), moved)


def _compare_booleans(b: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    if expr.data in (S.eq, S.ne):
        different = b.op(S.xor, *args)
        return different if expr.data is S.ne else b.op(S.invert, different)
    return b.op(expr.data, *(b.cast(a, uint8) for a in args))


def _nextafter(b: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    """A step of one in the ordered integer image of the floating line."""
    x, y = args
    dtype = x.dtype
    word: DType = int64 if dtype.bits == 64 else int32
    bits, one = b.bitcast(x, word), b.const(1, word)
    zero = b.const(0, dtype)
    # Away from zero the magnitude grows, and with it the bits, whatever the sign.
    outward = b.op(S.xor, b.op(S.lt, y, x), b.op(S.lt, x, zero))
    stepped = b.bitcast(
        b.op(S.select, outward, b.op(S.sub, bits, one), b.op(S.add, bits, one)), dtype
    )
    tiny = b.op(S.copysign, b.bitcast(one, dtype), y)
    moved = b.op(S.select, b.op(S.eq, x, zero), tiny, stepped)
    result = b.op(S.select, b.op(S.eq, x, y), y, moved)
    wrong = b.op(S.or_, b.op(S.isnan, x), b.op(S.isnan, y))
    return b.op(S.select, wrong, b.op(S.add, x, y), result)


def _copy(b: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    return args[0]


RULES: dict[tuple[str, str], Rule] = {
    ("sign", "f"): _sign,
    ("sign", "i"): _sign,
    ("sign", "u"): _sign,
    ("remainder", "f"): _remainder,
    ("floor_divide", "f"): _floor_divide,
    ("fmod", "i"): _integer_fmod,
    ("fmod", "u"): _integer_fmod,
    ("pow", "i"): _integer_power,
    ("pow", "u"): _integer_power,
    ("shift_left", "i"): _shift,
    ("shift_left", "u"): _shift,
    ("shift_right", "i"): _shift,
    ("shift_right", "u"): _shift,
    ("nextafter", "f"): _nextafter,
    ("abs", "u"): _copy,
    **{(name, "b"): _compare_booleans for name in ("eq", "ne", "lt", "le", "gt", "ge")},
}
