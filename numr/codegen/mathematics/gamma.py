"""lgamma and digamma: a polynomial around their zeros, a recurrence towards it, Stirling's series."""

from __future__ import annotations

from typing import NamedTuple

from numr.codegen.mathematics.bits import INFINITY, NAN
from numr.codegen.mathematics.exponential import LN2_PARTS
from numr.codegen.mathematics.logarithm import (
    largest,
    log_of_fraction,
    log_of_parts,
    log_parts,
)
from numr.codegen.mathematics.terms import Coefficients, Formula, Term, first, polynomial, select
from numr.codegen.mathematics.trigonometric import cosine, sine

# (lgamma(2 + d) / d - c) / d in d for |d| <= 1/2, c the value at 0: within 0.3 ulp.
_LGAMMA = Coefficients(
    """0x1.4a34ccp-2 -0x1.13e000p-4 0x1.513598p-6 -0x1.e40b30p-8 0x1.7956cep-9 -0x1.374ac2p-10
    0x1.2af9d4p-11 -0x1.06bbbcp-12""",
    """0x1.4a34cc4a60fa7p-2 -0x1.13e001a557607p-4 0x1.51322ac7d7fd2p-6 -0x1.e404fc218ecffp-8
    0x1.7add6eae5b8fdp-9 -0x1.38ac5c2c96006p-10 0x1.0b36af3424c50p-11 -0x1.d3fd4bda4f97bp-13
    0x1.a127dd231f4b2p-14 -0x1.78de85fa0bf74p-15 0x1.5806d7786fbc2p-16 -0x1.3cb5f201754a6p-17
    0x1.2640a5e8ab73ep-18 -0x1.125408d7ee6ebp-19 0x1.edf317afe0c72p-21 -0x1.d06b46182e294p-22
    0x1.2b4bb069ee6a9p-22 -0x1.1be56b7e101c6p-23""",
)
_EULER = 0.5772156649015329
# x (lgamma(x) - (x - 1/2) log x + x - log(2 pi) / 2) in 1 / x^2, for x >= 4 and x >= 6.
_STIRLING = Coefficients(
    "0x1.555554p-4 -0x1.6befbcp-9 0x1.856662p-11",
    """0x1.5555555555555p-4 -0x1.6c16c16c14538p-9 0x1.a01a018331afdp-11 -0x1.3813603b5c4d0p-11
    0x1.b93f37c61b6f6p-11 -0x1.f3c0af310132ap-10 0x1.82c39136363f8p-8 -0x1.0d8513863b2b2p-6""",
)
_HALF_LOG_2PI = 0.9189385332046727
# digamma(13/8 + u) / (u - zero) in u for |u| <= 5/8: within 0.6 ulp.
_DIGAMMA = Coefficients(
    """0x1.cd9d88p-1 -0x1.7aa65ep-2 0x1.8ab0f2p-3 -0x1.bf3524p-4 0x1.072e2cp-4 -0x1.3da54p-5
    0x1.814122p-6 -0x1.ab450ep-7 0x1.0570ap-7 -0x1.0dd7c2p-7 0x1.4b9fa8p-8""",
    """0x1.cd9d88c399e19p-1 -0x1.7aa649cce5887p-2 0x1.8ab0d9438dfe8p-3 -0x1.bf4556b33102cp-4
    0x1.0738222bbfcb3p-4 -0x1.3bdd9fa8541b8p-5 0x1.7f10ac3fc4522p-6 -0x1.d35ab0d09fadcp-7
    0x1.1e17d20c9e0d2p-7 -0x1.5efe96a797c63p-8 0x1.af27617b33c12p-9 -0x1.08fb51322a028p-9
    0x1.45e49138e2d16p-10 -0x1.91aa8e2fa2d96p-11 0x1.ee38b2f06836dp-12 -0x1.29850b11c1dcap-12
    0x1.6e237954a3dedp-13 -0x1.06ddabe5aa0cap-13 0x1.4384096bcb3f9p-14 -0x1.0072f236a3501p-16
    0x1.3b9df8854362ap-17 -0x1.44f94db64a6aap-15 0x1.8ff76a2d60d22p-16""",
)
# The zero, less 13/8, in two numbers; the slope there.
_ZERO = Coefficients(
    "-0x1.4e93cep-3 -0x1.528382p-29", "-0x1.4e93ce54a0e05p-3 0x1.c353910cbc14ap-57"
)
_SLOPE = 0.9676722454476212
# x^2 (log x - 1 / (2 x) - digamma(x)) in 1 / x^2, for x >= 3 and x >= 5.
_DIGAMMA_SERIES = Coefficients(
    "0x1.555554p-4 -0x1.1103b8p-7 0x1.fe54a0p-9 -0x1.84ce26p-9",
    """0x1.5555555555555p-4 -0x1.1111111110761p-7 0x1.041041001fa71p-8 -0x1.11110c0ced468p-8
    0x1.f078d78787e0fp-8 -0x1.594589da9ceb1p-6 0x1.509147b389575p-4 -0x1.96ead56a6a9b1p-2
    0x1.dc0f0f5f0f65ap+0 -0x1.5429cd35aa00ap+2""",
)
PI = 3.141592653589793


class Circle(NamedTuple):
    """|sin(pi x)| and |cos(pi x)|, and where the signs of the two differ."""

    sine: Term
    cosine: Term
    differ: Term


def circle(x: Term) -> Circle:
    """The circle of pi x, exact where it is 0 or 1."""
    rest = x - x.floor()
    differ = rest > 0.5
    near = select(differ, 1.0 - rest, rest)
    swapped = near > 0.25
    angle = select(swapped, 0.5 - near, near) * PI
    s, c = sine(angle), cosine(angle)
    return Circle(select(swapped, c, s), select(swapped, s, c), differ)


def _lgamma_right(x: Term) -> Term:
    """lgamma of a finite x > -1/2.

    Below 5/2: lgamma(2 + d) for x = d, 1 + d, 2 + d, less the logarithm of x (x + 1), x or 1. Above:
    plus that of (x - 1) (x - 2) ..., and then Stirling's series.
    """
    edge = 4.5 if x.single else 6.5
    small, one, two, large = x < 0.5, x < 1.5, x < 2.5, x >= edge
    n = (x - 1.5).floor()
    d = select(small, x, x - (n + 2.0))
    product = x - 1.0
    for i in range(2, int(edge - 0.5)):
        product = select(n >= float(i), product * (x - float(i)), product)
    argument = first(
        (small, abs(x * (x + 1.0))),
        (one | large, x),
        (two, 1.0),
        otherwise=product,
    )
    k, fraction = log_parts(argument)
    f, low = log_of_fraction(fraction)
    power = k.cast(x.dtype)
    upper, lower = LN2_PARTS.of(x)
    high, low = power * upper, low - power * lower
    # About 1 the term d of lgamma(2 + d) and that of the logarithm are one.
    about_one = one & ~small
    slope = select(about_one, x.constant(-_EULER), 1.0 - _EULER)
    near = d * (polynomial(d, _LGAMMA.of(x), d * d) * d + slope)
    leading = select(about_one, (f - d) + high, f + high)
    near = select(one, (near + low) - leading, (near - low) + leading)
    over = 1.0 / select(large, x, 1.0)
    series = polynomial(over * over, _STIRLING.of(x)) * over + (_HALF_LOG_2PI - 0.5)
    far = (x - 0.5) * (high + (f - low) - 1.0) + series
    return select(large, far, near)


def lgamma(x: Term) -> Term:
    """Left of -1/2, log(pi / (a sin(pi a))) - lgamma(a) for a = -x."""
    a = abs(x)
    left = x < -0.5
    right = _lgamma_right(select(left, a, x))
    turn = select(left, a, 0.5)
    s = circle(turn).sine
    reflected = log_of_parts(log_parts(PI / (turn * s))) - right
    return first(
        (x.isnan(), x),
        (x < -largest(x), -INFINITY),
        (x.equals(0.0) | (x > largest(x)) | s.equals(0.0), INFINITY),
        otherwise=select(left, reflected, right),
    )


def _digamma_right(x: Term) -> Term:
    """digamma of a finite x > 0, with one division for all that is added: +-1 / (x - i) or -1 / (2 x)."""
    edge = 3 if x.single else 5
    small, large = x < 1.0, x >= float(edge)
    n = first((small, -1.0), (x < 2.25, 0.0), otherwise=(x - 1.25).floor())
    u = x - (n + 1.625)
    top, below = x.constant(1.0), x - 1.0
    for i in range(2, edge - 1):
        factor, wanted = x - float(i), n >= float(i)
        top = select(wanted, top * factor + below, top)
        below = select(wanted, below * factor, below)
    top = first((small, -1.0), (large, -0.5), (n.equals(0.0), 0.0), otherwise=top)
    below = first((small | large, x), (n.equals(0.0), 1.0), otherwise=below)
    added = top / below
    zero, rest = _ZERO.of(x)
    # What the zero's rounding left out counts at the zero alone.
    near = (u - zero) * polynomial(u, _DIGAMMA.of(x), u * u) - rest * _SLOPE
    square = added * added * 4.0
    far = log_of_parts(log_parts(x)) - square * polynomial(
        square, _DIGAMMA_SERIES.of(x), square * square
    )
    return select(large, far, near) + added


def digamma(x: Term) -> Term:
    """Left of 0, digamma(1 + a) + pi / tan(pi a) for a = -x."""
    left = x < 0.0
    right = _digamma_right(select(left, 1.0 - x, x))
    turn = circle(-x)
    cotangent = turn.cosine / turn.sine * PI
    reflected = right + select(turn.differ, -cotangent, cotangent)
    return first(
        (x.isnan(), x),
        (x.equals(0.0), x.constant(-INFINITY).copysign(-x)),
        (x > largest(x), INFINITY),
        (left & turn.sine.equals(0.0), NAN),
        otherwise=select(left, reflected, right),
    )


FORMULAS: dict[str, Formula] = {"lgamma": lgamma, "digamma": digamma}
