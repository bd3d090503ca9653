"""What each elementwise primitive means, in Python's exact numbers and mpmath: no NumPy, no SciPy.

An oracle takes Python floats and returns a float, a bool or an mpmath number; None where the value is
left open. Where mpmath has no signed zeros and infinities, C's annex F speaks through `math`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath

NAN, INF = math.nan, math.inf
Oracle = Callable[..., Any]


def real_part_only(f: Callable[..., Any]) -> Oracle:
    """A function of mpmath as one of real numbers: NaN of NaN and outside its domain."""

    def oracle(*xs: float) -> Any:
        if any(math.isnan(x) for x in xs):
            return NAN
        try:
            value = f(*map(mpmath.mpf, xs))
        except ValueError:  # a pole
            return None
        return NAN if isinstance(value, mpmath.mpc) and value.imag != 0 else mpmath.re(value)

    return oracle


def odd(f: Callable[..., Any]) -> Oracle:
    """The same where the function keeps the sign of a zero."""
    inner = real_part_only(f)
    return lambda x: x if x == 0 else inner(x)


def at(values: dict[float, Any], f: Oracle) -> Oracle:
    """An oracle with given values at some points."""
    return lambda x: values[x] if x in values else f(x)


def by_c(special: Callable[..., float], f: Oracle) -> Oracle:
    """C's function where an argument is zero or not finite, mpmath's elsewhere."""

    def oracle(x: float, y: float) -> Any:
        if all(math.isfinite(v) and v != 0 for v in (x, y)):
            return f(x, y)
        return special(x, y)

    return oracle


def c_pow(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except ValueError:  # a zero to a negative power
        return math.copysign(INF, x) if y % 2 == 1 else INF


def divided(x: float, y: float) -> float:
    if y != 0:
        return x / y
    return NAN if x == 0 or math.isnan(x) else math.copysign(INF, x) * math.copysign(1, y)


def floored(x: float, y: float) -> Any:
    """floor(x / y)"""
    if math.isnan(x) or math.isnan(y):
        return NAN
    if y == 0:
        return divided(x, y)
    if math.isinf(x):
        return NAN
    if math.isinf(y):
        apart = math.copysign(1, x) != math.copysign(1, y)
        return -1.0 if x != 0 and apart else -0.0 if apart else 0.0
    quotient = math.floor(Fraction(x) / Fraction(y))
    return mpmath.mpf(quotient) if quotient else math.copysign(0.0, x) * math.copysign(1, y)


def modulo(x: float, y: float) -> Any:
    """x - floor(x / y) * y"""
    if math.isnan(x) or math.isnan(y) or math.isinf(x) or y == 0:
        return NAN
    if math.isinf(y) and x != 0:
        return x if (x < 0) == (y < 0) else y
    if x == 0:
        return math.copysign(0.0, y)
    rest = Fraction(x) % Fraction(y)
    return mpmath.mpf(rest.numerator) / rest.denominator if rest else math.copysign(0.0, y)


def c_fmod(x: float, y: float) -> float:
    return NAN if math.isinf(x) or y == 0 else math.fmod(x, y)


def extreme(choose: Callable[..., float]) -> Oracle:
    return lambda x, y: NAN if math.isnan(x) or math.isnan(y) else choose(x, y)


def whole(f: Callable[[float], int]) -> Oracle:
    """A rounding to whole numbers, which keeps the sign of a zero."""
    return lambda x: math.copysign(float(f(x)), x) if math.isfinite(x) else x


def sign(x: float) -> float:
    return x if math.isnan(x) else float((x > 0) - (x < 0))


def root(x: float) -> float:
    return NAN if x < 0 else math.sqrt(x)


def lgamma(x: Any) -> Any:
    if x == INF or x == -INF:
        return mpmath.inf
    if x <= 0 and x == mpmath.floor(x):
        return mpmath.inf
    return mpmath.loggamma(x) if x > 0 else mpmath.log(abs(mpmath.gamma(x)))


def polygamma(n: float, x: float) -> Any:
    if not math.isfinite(x) or (x <= 0 and x == math.floor(x)):
        return None
    return mpmath.polygamma(int(n), mpmath.mpf(x))


def logaddexp(x: float, y: float) -> Any:
    if math.isnan(x) or math.isnan(y):
        return NAN
    high, low = max(x, y), min(x, y)
    if math.isinf(high) or math.isinf(low):
        return high + 0.0  # log(1 + 0)
    return high + mpmath.log1p(mpmath.exp(mpmath.mpf(low) - mpmath.mpf(high)))


def sigmoid(x: float) -> Any:
    if math.isnan(x):
        return NAN
    return 1 / (1 + mpmath.exp(-mpmath.mpf(x)))


def silu(x: float) -> Any:
    if math.isinf(x) and x < 0:
        return None  # no limit is taken of -inf * 0
    return x if math.isinf(x) else x * sigmoid(x)


def erfc(x: Any) -> Any:
    # Far below every float; mpmath's own would work with numbers too long for it.
    return mpmath.mpf(0) if x > 40 else mpmath.erfc(x)


def cube_root(x: Any) -> Any:
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


def power(x: float, y: float) -> Any:
    if x < 0 and y != math.floor(y):
        return NAN
    value = mpmath.power(abs(mpmath.mpf(x)), mpmath.mpf(y))
    return -value if x < 0 and y % 2 == 1 else value


# Where e**-x overflows these are 0, though their true value need not be, quite.
VANISHING = ("sigmoid", "silu")

_up = {INF: INF, -INF: -INF}
_none = {INF: NAN, -INF: NAN}
_outside = {INF: NAN, -INF: NAN, 1.0: INF, -1.0: -INF}

# Name: the oracle, and the bound in ulp of the rounded result (0: correctly rounded).
REAL: dict[str, tuple[Oracle, float]] = {
    "add": (lambda x, y: x + y, 0),
    "sub": (lambda x, y: x - y, 0),
    "mul": (lambda x, y: x * y, 0),
    "div": (divided, 0),
    "xdivy": (lambda x, y: 0.0 if x == 0 else divided(x, y), 0),
    "neg": (lambda x: -x, 0),
    "abs": (abs, 0),
    "sign": (sign, 0),
    "floor": (whole(math.floor), 0),
    "ceil": (whole(math.ceil), 0),
    "rint": (whole(round), 0),
    "trunc": (whole(math.trunc), 0),
    "sqrt": (root, 0),
    "maximum": (extreme(max), 0),
    "minimum": (extreme(min), 0),
    "copysign": (math.copysign, 0),
    "floor_divide": (floored, 1),
    "remainder": (modulo, 0),
    "fmod": (c_fmod, 0),
    "eq": (lambda x, y: x == y, 0),
    "ne": (lambda x, y: x != y, 0),
    "lt": (lambda x, y: x < y, 0),
    "le": (lambda x, y: x <= y, 0),
    "gt": (lambda x, y: x > y, 0),
    "ge": (lambda x, y: x >= y, 0),
    "isnan": (math.isnan, 0),
    "isinf": (math.isinf, 0),
    "isfinite": (math.isfinite, 0),
    "signbit": (lambda x: math.copysign(1, x) < 0, 0),
    "pow": (by_c(c_pow, power), 4),
    "atan2": (by_c(math.atan2, real_part_only(mpmath.atan2)), 4),
    "hypot": (by_c(math.hypot, real_part_only(mpmath.hypot)), 4),
    "logaddexp": (logaddexp, 4),
    "cbrt": (at(_up, odd(cube_root)), 4),
    "exp": (real_part_only(mpmath.exp), 4),
    "exp2": (real_part_only(lambda x: mpmath.power(2, x)), 4),
    "expm1": (odd(mpmath.expm1), 4),
    "log": (real_part_only(mpmath.log), 4),
    "log2": (real_part_only(lambda x: mpmath.log(x) / mpmath.log(2)), 4),
    "log10": (real_part_only(lambda x: mpmath.log(x) / mpmath.log(10)), 4),
    "log1p": (at({-1.0: -INF, INF: INF, -INF: NAN}, odd(mpmath.log1p)), 4),
    "sin": (at(_none, odd(mpmath.sin)), 4),
    "cos": (at(_none, real_part_only(mpmath.cos)), 4),
    "tan": (at(_none, odd(mpmath.tan)), 4),
    "asin": (at(_none, odd(mpmath.asin)), 4),
    "acos": (at(_none, real_part_only(mpmath.acos)), 4),
    "atan": (odd(mpmath.atan), 4),
    "sinh": (at(_up, odd(mpmath.sinh)), 4),
    "cosh": (real_part_only(mpmath.cosh), 4),
    "tanh": (odd(mpmath.tanh), 4),
    "asinh": (at(_up, odd(mpmath.asinh)), 4),
    "acosh": (at({-INF: NAN, INF: INF}, real_part_only(mpmath.acosh)), 4),
    "atanh": (at(_outside, odd(mpmath.atanh)), 4),
    "erf": (odd(mpmath.erf), 4),
    "erfc": (real_part_only(erfc), 4),
    "lgamma": (real_part_only(lgamma), 4),
    "digamma": (at({INF: INF, -INF: None}, real_part_only(mpmath.digamma)), 4),
    "polygamma": (polygamma, 4),
    "sigmoid": (sigmoid, 4),
    "softplus": (at({-INF: 0.0, INF: INF}, real_part_only(lambda x: mpmath.log1p(mpmath.exp(x)))), 4),
    "silu": (silu, 4),
}  # fmt: skip

COMPLEX: dict[str, Oracle] = {
    name: getattr(mpmath, name)
    for name in ("exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan")
    + ("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sqrt")
} | {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "xdivy": lambda x, y: x / y if x else mpmath.mpc(0),
    "neg": lambda x: -x,
    "pow": mpmath.power,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "real": mpmath.re,
    "imag": mpmath.im,
}


def unless_zero(f: Callable[[int, int], int]) -> Callable[[int, int], int]:
    return lambda x, y: f(x, y) if y else 0


def truncated_rest(x: int, y: int) -> int:
    rest = abs(x) % abs(y)
    return -rest if x < 0 else rest


# Whole numbers of any size; results wrap around. Divided by 0 they are 0.
WHOLE: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "neg": lambda x: -x,
    "abs": abs,
    "sign": lambda x: (x > 0) - (x < 0),
    "maximum": max,
    "minimum": min,
    "floor_divide": unless_zero(lambda x, y: x // y),
    "remainder": unless_zero(lambda x, y: x % y),
    "fmod": unless_zero(truncated_rest),
    "pow": lambda x, y: x**y,
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
    "invert": lambda x: ~x,
    "shift_left": lambda x, y: x << y if y < 64 else 0,
    "shift_right": lambda x, y: x >> y,
    **{name: REAL[name][0] for name in ("eq", "ne", "lt", "le", "gt", "ge")},
}
