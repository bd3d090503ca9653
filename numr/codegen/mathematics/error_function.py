"""erf and erfc."""

from __future__ import annotations

from numr.codegen.mathematics.bits import high, scaled
from numr.codegen.mathematics.exponential import exp_parts
from numr.codegen.mathematics.terms import Coefficients, Formula, Term, first, polynomial, select

# erf(x) / x - 1 in x^2 for |x| <= 1/2, within 0.1 ulp.
_ERF = Coefficients(
    "0x1.06eba8p-3 -0x1.812732p-2 0x1.ce2510p-4 -0x1.b66610p-6 0x1.354512p-8",
    """0x1.06eba8214db69p-3 -0x1.812746b0379b5p-2 0x1.ce2f21a03d814p-4 -0x1.b82ce30f2b28fp-6
    0x1.565bcbf8e0365p-8 -0x1.c02d4f6e4921ap-11 0x1.f98db34e8872ep-14 -0x1.f224dfc5409afp-17
    0x1.8b4b60851826bp-20""",
)
# (x + 2) exp(x^2) erfc(x) in (x - 2) / (x + 2) from x = 1/2 to where erfc is 0, within 0.2 ulp.
_TAIL = Coefficients(
    """0x1.058672p+0 -0x1.5fd38ap-1 0x1.1e2dd6p-2 -0x1.2a8420p-5 -0x1.604e18p-6 0x1.a770b2p-8
    0x1.8e4646p-9 -0x1.9ca0aep-11 -0x1.10d9c8p-11""",
    """0x1.058671b52c776p+0 -0x1.5fd386754eff7p-1 0x1.1e2deea6b11adp-2 -0x1.2a88e6107e491p-5
    -0x1.606e41553c192p-6 0x1.a89eaff9fc0f8p-8 0x1.9517bb8252bf4p-9 -0x1.b6fbfad18afdcp-11
    -0x1.5ba43c9079bb5p-11 0x1.20552396f3cb4p-15 0x1.2efab843c4c4bp-13 0x1.1e6d275633502p-15
    -0x1.6c15a93d689b4p-16 -0x1.0e135d1be9ba7p-16 -0x1.2b7d6fc8c30bdp-20 0x1.de3b85535df97p-19
    0x1.0de3fa31453c2p-19 0x1.74cf3dfaa63c1p-23 -0x1.62ca6076db3bcp-21 -0x1.19871de6e0513p-21
    0x1.7820c8d8fe9a2p-23 0x1.b0a319658f88ep-23 -0x1.49155e3bcab3ap-24""",
)
# For float32: erf(x) / x - 1 in x^2 for |x| <= 1, and 1 - erf(x) in x - 2.5 from there to 4, where
# erf is 1; each with the least largest error, 0.02 and 0.16 ulp of erf.
_NEAR = Coefficients(
    """0x1.06eba8p-3 -0x1.81273ep-2 0x1.ce2d20p-4 -0x1.b7fbb6p-6 0x1.5419fap-8 -0x1.a485f8p-11
    0x1.4ae4c6p-14""",
    "",
)
_FAR = Coefficients(
    """0x1.aab88ap-12 -0x1.1d7fe4p-9 0x1.64e344p-8 -0x1.11ab44p-7 0x1.1a8c68p-7 -0x1.906118p-8
    0x1.6ea6d6p-9 -0x1.25a2c6p-11 -0x1.0f0422p-12 0x1.1b890ep-12 -0x1.54dc58p-14 -0x1.28ab42p-16
    0x1.08982cp-16 -0x1.115844p-21 -0x1.e14af4p-21""",
    "",
)
# For float32 under fast_math: erf(x) / x as a quotient in x^2 up to where erf is 1, within 0.3 ulp.
_ABOVE = Coefficients(
    "0x1.20dd74p+0 0x1.85f46ap-3 0x1.b01e6ap-5 0x1.ed92cap-9 0x1.2ab8f4p-12 0x1.132838p-19", ""
)
_BELOW = Coefficients(
    "0x1p+0 0x1.011040p-1 0x1.d36492p-4 0x1.ea83b8p-7 0x1.30c140p-10 0x1.3f8950p-15", ""
)


def _near(x: Term) -> Term:
    """erf(x) for |x| <= 1/2."""
    z = x * x
    return polynomial(z, _ERF.of(x), z * z) * x + x


def _tail(a: Term) -> Term:
    """erfc(a) for a >= 1/2."""
    end = 10.5 if a.single else 27.5
    a = select(a > end, end, a)
    w = 1.0 / (a + 2.0)
    t = (a - 2.0) * w
    part = polynomial(t, _TAIL.of(a), t * t) * w
    # a^2 without rounding: that of its upper half, and the rest.
    upper = high(a)
    k, p = exp_parts(-(upper * upper), -((a - upper) * (a + upper)))
    return scaled(part * p + part, k)


def _single(x: Term) -> Term:
    """erf in float32, without an exponential: only 1e-8 of what it lacks to 1 is still seen."""
    a = abs(x)
    square = x * x
    small = polynomial(square, _NEAR.of(x), square * square) * x + x
    a = select(a > 4.0, 4.0, a)
    t = a - 2.5
    far = 1.0 - polynomial(t, _FAR.of(x), t * t)
    return select(x.isnan(), x, select(a < 1.0, small, far.copysign(x)))


def erf(x: Term) -> Term:
    if x.single:
        return _single(x)
    a = abs(x)
    y = select(a < 0.5, _near(x), (1.0 - _tail(a)).copysign(x))
    return first((x.isnan() | x.equals(0.0), x), otherwise=y)


def erf_fast(x: Term) -> Term:
    """erf within 3.2e-7 of its value, in float32; NaN is not looked for."""
    if not x.single:
        return erf(x)
    a = abs(x)
    a = select(a > 3.92, 3.92, a)
    z = a * a
    square = z * z
    y = a * polynomial(z, _ABOVE.of(x), square) / polynomial(z, _BELOW.of(x), square)
    return select(y > 1.0, 1.0, y).copysign(x)


def erfc(x: Term) -> Term:
    a = abs(x)
    tail = _tail(a)
    y = first((a < 0.5, 1.0 - _near(x)), (x < 0.0, 2.0 - tail), otherwise=tail)
    return select(x.isnan(), x, y)


FAST: dict[str, Formula] = {"erf": erf_fast}
FORMULAS: dict[str, Formula] = {"erf": erf, "erfc": erfc}
