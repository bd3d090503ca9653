"""pow with a logarithm of two numbers; cbrt, hypot and 1 / sqrt."""

from __future__ import annotations

from numr.codegen.mathematics.bits import (
    INFINITY,
    NAN,
    high,
    least_normal,
    magnitude_bits,
    scaled,
)
from numr.codegen.mathematics.exponential import LN2_PARTS, bounded, exp_parts
from numr.codegen.mathematics.logarithm import largest, log_parts
from numr.codegen.mathematics.terms import Coefficients, Formula, Term, first, polynomial, select

# log((1 + s) / (1 - s)) = s (2 + z (2/3 + z R(z))) for z = s^2 <= 0.0295: R interpolated at Chebyshev
# nodes; of the logarithm what is left is 2^-33 in float32 and 2^-69 in float64.
_LOG = Coefficients(
    "0x1.9999a4p-2 0x1.247a16p-2 0x1.d81032p-3",
    """0x1.999999999999ap-2 0x1.2492492492524p-2 0x1.c71c71c6ea01fp-3 0x1.745d177b22bcfp-3
    0x1.3b1395976d2f0p-3 0x1.1118d458653bcp-3 0x1.df7a2eafecf14p-4 0x1.e0499f72e39b9p-4""",
)
# 2/3 in two numbers.
_THIRDS = Coefficients("0x1.54p-1 0x1.555556p-9", "0x1.55554p-1 0x1.5555555555555p-21")
# Above this an exponent takes every base but 1 to 0 or infinity.
_LARGE_EXPONENT = Coefficients("0x1p+40", "0x1p+70")


def _coarse(x: Term) -> Term:
    """The first bits of x, so few that its cube is exact: 8 of 24, 17 of 53."""
    layout = x.layout
    mask = (1 << layout.word.bits) - (1 << (16 if x.single else 36))
    return (x.bits() & mask).bitcast(x.dtype)


def _long_log(x: Term) -> tuple[Term, Term]:
    """log(x) as a number of half the bits and a rest, of a positive finite x."""
    parts = log_parts(x)
    f, k = parts.f, parts.k.cast(x.dtype)
    # s = f / (2 + f) in two numbers; every product below that is not a small correction is exact.
    over = 1.0 / (f + 2.0)
    s = f * over
    s_high = _coarse(s)
    f_high = high(f)
    s_low = (((f - s_high * 2.0) - s_high * f_high) - s_high * (f - f_high)) * over
    z_high = s_high * s_high
    z_low = s_low * (s_high + s)
    z = z_high + z_low
    third, rest = _THIRDS.of(x)
    # z (2/3 + z R(z)), in two numbers too
    low = z_high * rest + z_low * (third + rest) + z * z * polynomial(z, _LOG.of(x), z * z)
    g_exact = z_high * third
    g = g_exact + low
    g_high = high(g)
    g_low = (g_exact - g_high) + low
    upper, lower = LN2_PARTS.of(x)
    low = s_low * 2.0 + s_high * g_low + s_low * g + k * lower
    result = high((k * upper + s_high * 2.0) + (s_high * g_high + low))
    return result, (((k * upper - result) + s_high * 2.0) + s_high * g_high) + low


def pow_(x: Term, y: Term) -> Term:
    """exp(y log |x|) with the sign and the exceptions of IEEE 754."""
    a = abs(x)
    limit = _LARGE_EXPONENT.of(y)[0]
    exponent = select(y > limit, limit, select(y < -limit, -limit, y))
    log_high, log_low = _long_log(a)
    y_high = high(exponent)
    product = log_high * y_high
    near = bounded(product)
    low = log_high * (exponent - y_high) + log_low * exponent
    k, p = exp_parts(near, select(near.equals(product), low, 0.0))
    result = scaled(p + 1.0, k)
    # 0 and infinity have no logarithm here.
    edge = a.equals(0.0) | (a > largest(x))
    result = select(edge, select((a > 1.0) ^ (y < 0.0), x.constant(INFINITY), 0.0), result)
    half = y * 0.5
    whole = y.floor().equals(y)
    odd = whole & half.floor().differs(half)
    sign = select(odd, x.bits() & x.layout.sign, 0)
    signed = (result.bits() | sign).bitcast(x.dtype)
    undefined = (x < 0.0) & ~whole & (a <= largest(x))
    return first(
        (y.equals(0.0) | x.equals(1.0), 1.0),
        (x.isnan() | y.isnan() | undefined, NAN),
        otherwise=signed,
    )


def cbrt(x: Term) -> Term:
    """A third of the exponent as a first guess, Halley's steps, and one of Newton's in two numbers."""
    layout = x.layout
    a = abs(x)
    tiny = a < least_normal(x) * 8.0
    up = 24 if x.single else 54
    # An eighth, so that no sum below overflows.
    q = a * select(tiny, x.constant(2.0**up), 0.125)
    third = (q.bits().cast(x.dtype) * (1.0 / 3.0)).cast(layout.word)
    t = (third + (709958130 if x.single else 715094163 << 32)).bitcast(x.dtype)
    for _ in range(1 if x.single else 2):
        cube = t * t * t
        t = t * ((cube + (q + q)) / ((cube + cube) + q))
    coarse = _coarse(t)
    low = t - coarse
    square = coarse * coarse
    left = (q - square * coarse) - low * (square * 3.0 + low * (coarse * 3.0 + low))
    t = t + left / (t * t * 3.0)
    y = t * select(tiny, x.constant(2.0 ** -(up // 3)), 2.0)
    plain = x.equals(0.0) | (magnitude_bits(x) >= layout.infinity)
    return select(plain, x, y.copysign(x))


def hypot(x: Term, y: Term) -> Term:
    a, b = abs(x), abs(y)
    over = b > a
    large, small = select(over, b, a), select(over, a, b)
    limit, step = (2.0**60, 2.0**70) if x.single else (2.0**500, 2.0**600)
    above, below = large > limit, large < 1 / limit
    scale = first((above, 1 / step), (below, step), otherwise=x.constant(1.0))
    back = first((above, step), (below, 1 / step), otherwise=x.constant(1.0))
    p, q = large * scale, small * scale
    return first(
        ((a > largest(x)) | (b > largest(x)), INFINITY),
        (x.isnan() | y.isnan(), NAN),
        otherwise=(p * p + q * q).sqrt() * back,
    )


def rsqrt(x: Term) -> Term:
    return first(
        (x.isnan(), x),
        (x.equals(0.0), x.constant(INFINITY).copysign(x)),
        (x < 0.0, NAN),
        otherwise=1.0 / x.sqrt(),
    )


FORMULAS: dict[str, Formula] = {"pow": pow_, "cbrt": cbrt, "hypot": hypot, "rsqrt": rsqrt}
