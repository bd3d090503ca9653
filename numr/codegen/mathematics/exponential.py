"""exp and what is made of it: exp2, expm1, sinh, cosh, tanh."""

from __future__ import annotations

from typing import NamedTuple

from numr.codegen.mathematics.bits import nearest, power_of_two, scaled
from numr.codegen.mathematics.terms import Coefficients, Formula, Term, polynomial, select

# exp(r) = 1 + r + r^2 q(r) for |r| <= log(2) / 2: q interpolated at Chebyshev nodes. The relative
# error of the sum is below 0.2 ulp in float32, 0.15 ulp in float64.
_EXP = Coefficients(
    "0x1p-1 0x1.5554dcp-3 0x1.555518p-5 0x1.120be2p-7 0x1.6d117cp-10",
    """0x1.0000000000001p-1 0x1.5555555555556p-3 0x1.5555555553d63p-5 0x1.11111111109b3p-7
    0x1.6c16c1788bd90p-10 0x1.a01a01a7c41d5p-13 0x1.a019b90d2ae7ap-16 0x1.71de0dae63bb3p-19
    0x1.289185613a3d6p-22 0x1.af38a9b0ec855p-26""",
)
LOG2_E = float.fromhex("0x1.71547652b82fep+0")
LN2 = float.fromhex("0x1.62e42fefa39efp-1")
# log(2) in two numbers, the first with so many zeros that its product with an exponent is exact.
LN2_PARTS = Coefficients("0x1.62e4p-1 0x1.7f7d1cp-20", "0x1.62e42feep-1 0x1.a39ef35793c76p-33")
# Where exp is 0 for certain, and where it is infinite for certain.
_RANGE = Coefficients("-0x1.ap+6 0x1.64p+6", "-0x1.75p+9 0x1.63p+9")


class Parts(NamedTuple):
    """exp(x) as 2^k (1 + p), k an integer."""

    k: Term
    p: Term


def clamped(x: Term, low: float, high: float) -> Term:
    """x between bounds; what becomes of NaN is the caller's to say."""
    return select(x > high, high, select(x < low, low, x))


def exp_parts(x: Term, low: Term | None = None) -> Parts:
    """The parts of exp(x + low) for a small low and an x that is in range."""
    whole, k = nearest((x if low is None else x + low) * LOG2_E)
    upper, lower = LN2_PARTS.of(x)
    r = (x - k * upper) - k * lower
    if low is not None:
        r = r + low
    return Parts(whole, power_less_one(r))


def power_less_one(r: Term) -> Term:
    """exp(r) - 1 for |r| <= log(2) / 2."""
    square = r * r
    return polynomial(r, _EXP.of(r), square) * square + r


def bounded(x: Term) -> Term:
    """x where exp is neither 0 nor infinite, else a number at which it is."""
    return clamped(x, *_RANGE.of(x))


def exp(x: Term) -> Term:
    k, p = exp_parts(bounded(x))
    return select(x.isnan(), x, scaled(p + 1.0, k))


def exp2(x: Term) -> Term:
    near = clamped(x, -1080.0, 1030.0) if not x.single else clamped(x, -152.0, 130.0)
    whole, k = nearest(near)
    p = power_less_one((near - k) * LN2)
    return select(x.isnan(), x, scaled(p + 1.0, whole))


def _less_one(parts: Parts) -> Term:
    """exp(x) - 1 divided by 2^k: p + (1 - 2^-k), for an x that is not so small that 2^-k overflows."""
    # 2^-k of a large k is nothing beside 1, and of a larger one not a normal number.
    k = parts.k
    return parts.p + (1.0 - power_of_two(-select(k > 64, 64, k), parts.p))


def expm1(x: Term) -> Term:
    parts = exp_parts(clamped(x, -50.0, _RANGE.of(x)[1]))
    y = scaled(_less_one(parts), parts.k).copysign(x)
    return select(x.isnan(), x, y)


def sinh(x: Term) -> Term:
    """(m + m / (m + 1)) / 2 for m = exp(|x|) - 1, with 2^k taken out of both."""
    parts = exp_parts(clamped(abs(x), 0.0, _RANGE.of(x)[1] + 1.0))
    m = _less_one(parts)
    k = select(parts.k > 64, 64, parts.k)
    y = m + power_of_two(-k, x) * (m / (parts.p + 1.0))
    return select(x.isnan(), x, scaled(y, parts.k - 1).copysign(x))


def cosh(x: Term) -> Term:
    k, p = exp_parts(clamped(abs(x), 0.0, _RANGE.of(x)[1] + 1.0))
    part = p + 1.0
    small = power_of_two(-select(k > 32, 32, k), x)
    return select(x.isnan(), x, scaled(part + small * small / part, k - 1))


def tanh(x: Term) -> Term:
    """m / (m + 2) for m = exp(2 |x|) - 1."""
    size = clamped(abs(x), 0.0, 22.0)
    parts = exp_parts(size + size)
    m = _less_one(parts) * power_of_two(parts.k, x)
    return select(x.isnan(), x, (m / (m + 2.0)).copysign(x))


FORMULAS: dict[str, Formula] = {
    "exp": exp,
    "exp2": exp2,
    "expm1": expm1,
    "sinh": sinh,
    "cosh": cosh,
    "tanh": tanh,
}
