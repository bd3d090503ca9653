"""log and what is made of it: log2, log10, log1p, asinh, acosh, atanh."""

from __future__ import annotations

from typing import NamedTuple

from numr.codegen.mathematics.bits import INFINITY, NAN, least_normal, power_of_two
from numr.codegen.mathematics.exponential import LN2_PARTS, LOG2_E
from numr.codegen.mathematics.terms import Coefficients, Formula, Term, first, polynomial, select

# log((1 + s) / (1 - s)) = s (2 + z R(z)) for z = s^2 <= 0.0295: R interpolated at Chebyshev nodes, the
# relative error of the logarithm below 0.05 ulp in float32, 0.03 ulp in float64.
_LOG = Coefficients(
    "0x1.55555cp-1 0x1.997c10p-2 0x1.2eebdap-2",
    """0x1.5555555555558p-1 0x1.99999999951f5p-2 0x1.2492492e0b70cp-2 0x1.c71c62c42db89p-3
    0x1.7462be245eae3p-3 0x1.39fd25d62ab23p-3 0x1.2b6776a1bf0b9p-3""",
)
# The bits of sqrt(1/2): what the fractions begin with.
_ROOT = {True: 0x3F3504F3, False: 0x3FE6A09E667F3BCD}
_LOG10_E = 0.4342944819032518
# log10(2) in two numbers, the first with zeros enough for its product with an exponent.
_LOG10_2 = Coefficients("0x1.344p-2 0x1.3509f8p-18", "0x1.34413509p-2 0x1.ef3fde623e256p-35")


class Parts(NamedTuple):
    """x as 2^k (1 + f), 1 + f from sqrt(1/2) to sqrt(2), k an integer."""

    k: Term
    f: Term


def log_parts(x: Term) -> Parts:
    """Of a positive finite number."""
    layout = x.layout
    tiny = x < least_normal(x)
    root, one = _ROOT[x.single], layout.bias << layout.mantissa
    bits = select(tiny, x * 2.0**layout.mantissa, x).bits() + (one - root)
    k = (bits >> layout.mantissa).bitcast(layout.signed) - layout.bias
    fraction = (bits & ((1 << layout.mantissa) - 1)) + root
    return Parts(
        select(tiny, k - layout.mantissa, k),
        fraction.bitcast(x.dtype) - 1.0,
    )


class Sum(NamedTuple):
    """log(1 + f) as f - low."""

    f: Term
    low: Term


def log_of_fraction(f: Term) -> Sum:
    """low = f^2 / 2 - s (f^2 / 2 + z R(z)) for s = f / (2 + f), z = s^2."""
    s = f / (f + 2.0)
    z = s * s
    half = f * 0.5 * f
    return Sum(f, half - s * (half + z * polynomial(z, _LOG.of(f))))


def log_of_parts(parts: Parts) -> Term:
    """k log(2) + log(1 + f)."""
    f, low = log_of_fraction(parts.f)
    k = parts.k.cast(f.dtype)
    upper, lower = LN2_PARTS.of(f)
    return k * upper - ((low - k * lower) - f)


def guarded(x: Term, y: Term) -> Term:
    """The logarithm y of x, right also where x is not a positive finite number."""
    # One less than their bits tells positive finite numbers from all others, zeros among them.
    infinity = x.layout.infinity
    other = select(x.equals(0.0), -INFINITY, select(x.bits() > infinity, NAN, x))
    return select((x.bits() - 1) < infinity - 1, y, other)


def largest(x: Term) -> float:
    return float.fromhex("0x1.fffffep+127" if x.single else "0x1.fffffffffffffp+1023")


def log(x: Term) -> Term:
    return guarded(x, log_of_parts(log_parts(x)))


def log2(x: Term) -> Term:
    parts = log_parts(x)
    f, low = log_of_fraction(parts.f)
    return guarded(x, (f - low) * LOG2_E + parts.k.cast(x.dtype))


def log10(x: Term) -> Term:
    parts = log_parts(x)
    f, low = log_of_fraction(parts.f)
    k = parts.k.cast(x.dtype)
    upper, lower = _LOG10_2.of(x)
    return guarded(x, k * upper + ((f - low) * _LOG10_E + k * lower))


def _log_one_more(x: Term, extra: Term | None = None) -> Term:
    """log(1 + x) for a finite x > -1, log(2) added where extra holds.

    For the k of 1 + x, rounded, 1 + f = 2^-k (1 + x) gives f = 2^-k x + (2^-k - 1): what is rounded here
    is nothing beside k log(2), and where k is 0, f is x.
    """
    k, _ = log_parts(x + 1.0)
    # In two steps, since 2^-k alone may be too small.
    part = power_of_two(2 - k, x)
    f = select(k.equals(0), x, x * 0.25 * part + (part * 0.25 - 1.0))
    if extra is not None:
        k = select(extra, k + 1, k)
    y = log_of_parts(Parts(k, f))
    return select(abs(x) < least_normal(x), x, y)


def log1p(x: Term) -> Term:
    return first(
        (x.isnan(), x),
        (x < -1.0, NAN),
        (x.equals(-1.0), -INFINITY),
        (x > largest(x), INFINITY),
        otherwise=_log_one_more(x),
    )


def _one_is_nothing(x: Term) -> float:
    """Beyond this 1 + x is x, and its square is not yet infinite."""
    return 2.0**30 if x.single else 2.0**60


def asinh(x: Term) -> Term:
    """log1p(a + a^2 / (1 + sqrt(1 + a^2))) for a = |x|; for large ones log(a) + log(2)."""
    a = abs(x)
    large = a > _one_is_nothing(x)
    near = select(large, 1.0, a)
    square = near * near
    inner = near + square / ((square + 1.0).sqrt() + 1.0)
    y = _log_one_more(select(large, a, inner), large)
    finite = select(a > largest(x), INFINITY, y)
    return select(x.isnan(), x, finite.copysign(x))


def acosh(x: Term) -> Term:
    """log1p(t + sqrt(t (t + 2))) for t = x - 1; for large ones log(x) + log(2)."""
    large = x > _one_is_nothing(x)
    t = select(large, 1.0, x) - 1.0
    inner = t + (t * (t + 2.0)).sqrt()
    y = _log_one_more(select(large, x, inner), large)
    return first(
        (x.isnan(), x),
        (x < 1.0, NAN),
        (x > largest(x), INFINITY),
        otherwise=y,
    )


def atanh(x: Term) -> Term:
    """log1p(2 a / (1 - a)) / 2 for a = |x|."""
    a = abs(x)
    inside = select(a < 1.0, a, 0.0)
    y = _log_one_more((inside + inside) / (1.0 - inside)) * 0.5
    return first(
        (x.isnan(), x),
        (a > 1.0, NAN),
        (a.equals(1.0), x.constant(INFINITY).copysign(x)),
        otherwise=y.copysign(x),
    )


FORMULAS: dict[str, Formula] = {
    "log": log,
    "log2": log2,
    "log10": log10,
    "log1p": log1p,
    "asinh": asinh,
    "acosh": acosh,
    "atanh": atanh,
}
