"""fmod, exact: long division with many bits a step, in integers that wrap."""

from __future__ import annotations

from typing import NamedTuple

from numr.codegen.mathematics.bits import NAN, least_normal, power_of_two, scaled
from numr.codegen.mathematics.logarithm import largest
from numr.codegen.mathematics.terms import Formula, Term, first, select


class _Number(NamedTuple):
    """A positive number as mantissa 2^(exponent - bias - stored bits), the mantissa's first bit 1."""

    mantissa: Term
    exponent: Term


def _number(x: Term) -> _Number:
    layout = x.layout
    tiny = x < least_normal(x)
    bits = select(tiny, x * 2.0**layout.mantissa, x).bits()
    exponent = (bits >> layout.mantissa).bitcast(layout.signed)
    one = 1 << layout.mantissa
    mantissa = ((bits & (one - 1)) | one).bitcast(layout.signed)
    return _Number(mantissa, select(tiny, exponent - layout.mantissa, exponent))


def fmod(x: Term, y: Term) -> Term:
    """The remainder r of a step is signed and below twice the divisor m: the quotient of r 2^k and m, by
    floating division, is out by one or two, and r 2^k - quotient m is right even where both overflow.
    """
    a, b = abs(x), abs(y)
    layout = x.layout
    # k bits a step, and 2^16 / k for a division by k that is exact as far as it is needed.
    k, over_k = (21, 3121) if x.single else (50, 1311)
    top, m = _number(a), _number(b)
    inverse = 1.0 / m.mantissa.cast(x.dtype)
    difference = top.exponent - m.exponent
    difference = select(difference < 0, 0, difference)
    steps = (difference * over_k) >> 16
    some = difference - steps * k

    def shifted(r: Term, bits: Term, scale: Term) -> Term:
        quotient = (r.cast(x.dtype) * scale).cast(layout.signed)
        return (r << bits) - quotient * m.mantissa

    r = shifted(top.mantissa, some, inverse * power_of_two(some, x))
    scale = inverse * 2.0**k
    whole_steps = (2 * layout.bias + layout.mantissa - 1) // k
    for step in range(whole_steps):
        r = select(steps > step, shifted(r, r.constant(k), scale), r)
    for _ in range(2):
        r = select(r < 0, r + m.mantissa, r)
    r = select(r >= m.mantissa, r - m.mantissa, r)
    y_exact = scaled(r.cast(x.dtype), m.exponent - (layout.bias + layout.mantissa))
    return first(
        (x.isnan() | y.isnan() | b.equals(0.0) | (a > largest(x)), NAN),
        (a < b, x),
        otherwise=y_exact.copysign(x),
    )


FORMULAS: dict[str, Formula] = {"fmod": fmod}
