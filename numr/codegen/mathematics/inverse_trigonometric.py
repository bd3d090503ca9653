"""asin, acos, atan, atan2."""

from __future__ import annotations

from numr.codegen.mathematics.bits import INFINITY, NAN
from numr.codegen.mathematics.terms import Coefficients, Formula, Term, first, polynomial, select

# atan(t) = t + t^3 P(t^2) for |t| <= tan(pi / 8), within 0.15 ulp in both dtypes.
_ATAN = Coefficients(
    "-0x1.555554p-2 0x1.999730p-3 -0x1.242014p-3 0x1.b80d6cp-4 -0x1.083c36p-4",
    """-0x1.5555555555555p-2 0x1.9999999999346p-3 -0x1.2492492435cefp-3 0x1.c71c71850a87cp-4
    -0x1.745d0b2091602p-4 0x1.3b12624a748ddp-4 -0x1.10fa6d5c134a0p-4 0x1.dfe595fbcecdep-5
    -0x1.a095f1348d5e3p-5 0x1.41582779ac536p-5 -0x1.3a17becee1f16p-6""",
)
# asin(t) = t + t^3 P(t^2) for |t| <= 1/2, within 0.3 ulp in float32, 0.5 ulp in float64.
_ASIN = Coefficients(
    "0x1.55555ep-3 0x1.332732p-4 0x1.70a6bcp-5 0x1.b311cep-6 0x1.37fe1ap-5",
    """0x1.555555555554fp-3 0x1.3333333336da6p-4 0x1.6db6db684b686p-5 0x1.f1c71f95277b0p-6
    0x1.6e8b2b3af28aep-6 0x1.1c593c7d7a61ap-6 0x1.c8726599c7673p-7 0x1.8522dfd25909fp-7
    0x1.ff5fb244a4e10p-8 0x1.06b9e1075510bp-6 -0x1.6039c5a845dd8p-7 0x1.cd8657622d02cp-6""",
)
_TAN_EIGHTH = 0.41421356237309503
# pi / 2 and what its rounding left out.
_HALF_PI = Coefficients(
    "0x1.921fb6p+0 -0x1.777a5cp-25", "0x1.921fb54442d18p+0 0x1.1a62633145c07p-54"
)


def _steep(y: Term, x: Term) -> Term:
    """atan(y / x) for y and x that are not negative: from 0 to pi / 2."""
    half_pi, rest = _HALF_PI.of(x)
    over = y > x
    small, large = select(over, x, y), select(over, y, x)
    # 0 / 0 is 0 here, and infinity / infinity 1.
    q = first(
        (small.equals(large) & large.equals(INFINITY), 1.0),
        (small.equals(0.0), 0.0),
        otherwise=small / large,
    )
    middle = q > _TAN_EIGHTH
    t = select(middle, (q - 1.0) / (q + 1.0), q)
    z = t * t
    part = polynomial(z, _ATAN.of(z), z * z) * z * t
    r = select(middle, half_pi * 0.5 + (t + (part + rest * 0.5)), t + part)
    return select(over, half_pi - (r - rest), r)


def atan2(y: Term, x: Term) -> Term:
    half_pi, rest = _HALF_PI.of(x)
    angle = _steep(abs(y), abs(x))
    # The sign of x also tells +0 from -0.
    behind = x.bits() >= x.layout.sign
    angle = select(behind, half_pi * 2.0 - (angle - rest * 2.0), angle)
    return first((x.isnan(), x), (y.isnan(), y), otherwise=angle.copysign(y))


def atan(x: Term) -> Term:
    return select(x.isnan(), x, _steep(abs(x), x.constant(1.0)).copysign(x))


def _arc(t: Term, square: Term) -> Term:
    """asin(t) - t of t up to 1/2 and its square."""
    return polynomial(square, _ASIN.of(t), square * square) * square * t


def asin(x: Term) -> Term:
    """Above 1/2, pi / 2 - 2 asin(sqrt((1 - x) / 2))."""
    a = abs(x)
    half_pi, rest = _HALF_PI.of(x)
    far = a > 0.5
    square = select(far, (1.0 - a) * 0.5, a * a)
    t = select(far, square.sqrt(), a)
    part = _arc(t, square)
    y = select(far, half_pi - ((t + part) * 2.0 - rest), t + part)
    return first((x.isnan(), x), (a > 1.0, NAN), otherwise=y.copysign(x))


def acos(x: Term) -> Term:
    """pi / 2 - asin(x); beyond 1/2, 2 asin(sqrt((1 - |x|) / 2)), taken from pi where x is negative."""
    a = abs(x)
    half_pi, rest = _HALF_PI.of(x)
    far = a > 0.5
    square = select(far, (1.0 - a) * 0.5, a * a)
    t = select(far, square.sqrt(), x)
    part = _arc(t, square)
    double = (t + part) * 2.0
    y = first(
        (~far, half_pi - (t + (part - rest))),
        (x < 0.0, half_pi * 2.0 - (double - rest * 2.0)),
        otherwise=double,
    )
    return first((x.isnan(), x), (a > 1.0, NAN), otherwise=y)


FORMULAS: dict[str, Formula] = {"asin": asin, "acos": acos, "atan": atan, "atan2": atan2}
