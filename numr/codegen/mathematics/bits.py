"""Functions of a floating number's bits: classes, signs, rounding, powers of two.

NaN and infinity are told by their bits: shader compilers may assume that neither exists.
"""

from __future__ import annotations

from numr.codegen.mathematics.terms import Formula, Term, select

INFINITY, NAN = float("inf"), float("nan")


def magnitude_bits(x: Term) -> Term:
    return x.bits() & (x.layout.sign - 1)


def isnan(x: Term) -> Term:
    return magnitude_bits(x) > x.layout.infinity


def isinf(x: Term) -> Term:
    return magnitude_bits(x).equals(x.layout.infinity)


def isfinite(x: Term) -> Term:
    return magnitude_bits(x) < x.layout.infinity


def signbit(x: Term) -> Term:
    return x.bits() >= x.layout.sign


def copysign(x: Term, y: Term) -> Term:
    return (magnitude_bits(x) | (y.bits() & x.layout.sign)).bitcast(x.dtype)


def _chosen(smaller: Term, x: Term, y: Term) -> Term:
    return select(x.isnan(), x, select(y.isnan(), y, select(smaller, x, y)))


def minimum(x: Term, y: Term) -> Term:
    return _chosen(x < y, x, y)


def maximum(x: Term, y: Term) -> Term:
    return _chosen(x > y, x, y)


def rint(x: Term) -> Term:
    """Half to even, from the exact distance to the floor."""
    low = x.floor()
    rest = x - low
    odd = low - (low * 0.5).floor() * 2.0
    up = (rest > 0.5) | (rest.equals(0.5) & odd.differs(0.0))
    # Infinity has no distance to its floor, and x itself is what all of its neighbours are.
    whole = abs(x) >= 2.0**x.layout.mantissa
    return select(whole | x.isnan(), x, select(up, low + 1.0, low).copysign(x))


def ceil(x: Term) -> Term:
    return -(-x).floor()


def trunc(x: Term) -> Term:
    return abs(x).floor().copysign(x)


def high(x: Term) -> Term:
    """The upper half of the bits; products of two such are exact, contracted or not.

    It is also how the difference of a sum and its term is kept: a compiler that takes (x + y) - x for y
    has nothing to take here.
    """
    layout = x.layout
    mask = (1 << layout.word.bits) - (1 << layout.halves)
    return (x.bits() & mask).bitcast(x.dtype)


def power_of_two(k: Term, like: Term) -> Term:
    """2^k for an integer k that is a normal number's exponent."""
    layout = like.layout
    return ((k + layout.bias) << layout.mantissa).bitcast(like.dtype)


def nearest(x: Term) -> tuple[Term, Term]:
    """The integer nearest to x, as an integer and as a floating number, for |x| below 2^(mantissa - 2).

    A sum with 1.5 * 2^mantissa has it in the low bits of its fraction.
    """
    layout = x.layout
    shift = ((layout.bias + layout.mantissa) << layout.mantissa) + (1 << (layout.mantissa - 1))
    k = ((x + 1.5 * 2.0**layout.mantissa).bits() - shift).bitcast(layout.signed)
    return k, k.cast(x.dtype)


def scaled(x: Term, k: Term) -> Term:
    """x 2^k, overflowing and underflowing as it should, for integers k of twice the exponents."""
    half = k >> 1
    return x * power_of_two(half, x) * power_of_two(k - half, x)


def least_normal(x: Term) -> float:
    return float(2.0 ** (1 - x.layout.bias))


FORMULAS: dict[str, Formula] = {
    "isnan": isnan,
    "isinf": isinf,
    "isfinite": isfinite,
    "signbit": signbit,
    "copysign": copysign,
    "minimum": minimum,
    "maximum": maximum,
    "rint": rint,
    "ceil": ceil,
    "trunc": trunc,
}
