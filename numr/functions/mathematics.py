"""Elementwise mathematics: exponentials, logarithms, roots, trigonometry, special functions."""

# Declared functions get their bodies from the decorator.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

import math
from typing import Any

from numr.array import Array, from_node
from numr.functions.declare import FLOATING, FLOATS, INEXACT, binary, unary
from numr.functions.operands import aligned, default_float, promoted
from numr.ir.node import Node
from numr.primitives import composites as C
from numr.primitives import elementwise as E
from numr.primitives import mathematics as M


def _scaled(factor: float) -> Any:
    return lambda x: E.mul(x, E.like(x, factor))


def _exp2(x: Node) -> Node:
    return M.exp(_scaled(math.log(2.0))(x)) if x.dtype.kind == "c" else M.exp2(x)


def _log_to_base(prim: Any, base: float) -> Any:
    """A logarithm that kernels have for real numbers only."""
    return lambda x: _scaled(1 / math.log(base))(M.log(x)) if x.dtype.kind == "c" else prim(x)


@unary(M.exp, INEXACT)
def exp(x: Any, /) -> Array:
    """The exponential function, e**x.

    >>> nr.exp(nr.asarray([0.0, 1.0]))
    numr.Array([1.        , 2.71828183])
    """


@unary(_exp2, INEXACT)
def exp2(x: Any, /) -> Array:
    """2**x.

    >>> nr.exp2(nr.asarray([0.0, 3.0]))
    numr.Array([1., 8.])
    """


@unary(M.expm1, INEXACT)
def expm1(x: Any, /) -> Array:
    """exp(x) - 1, without losing the digits of small x.

    >>> nr.expm1(nr.asarray([0.0, 1e-10]))
    numr.Array([0.e+00, 1.e-10])
    """


@unary(M.log, INEXACT)
def log(x: Any, /) -> Array:
    """The natural logarithm: -inf at 0, NaN below.

    >>> nr.log(nr.asarray([1.0, nr.e]))
    numr.Array([0., 1.])
    """


@unary(_log_to_base(M.log2, 2.0), INEXACT)
def log2(x: Any, /) -> Array:
    """The logarithm to base 2.

    >>> nr.log2(nr.asarray([1.0, 8.0]))
    numr.Array([0., 3.])
    """


@unary(_log_to_base(M.log10, 10.0), INEXACT)
def log10(x: Any, /) -> Array:
    """The logarithm to base 10.

    >>> nr.log10(nr.asarray([1.0, 1000.0]))
    numr.Array([0., 3.])
    """


@unary(M.log1p, INEXACT)
def log1p(x: Any, /) -> Array:
    """log(1 + x), without losing the digits of small x.

    >>> nr.log1p(nr.asarray([0.0, 1e-10]))
    numr.Array([0.e+00, 1.e-10])
    """


@unary(M.sqrt, INEXACT)
def sqrt(x: Any, /) -> Array:
    """The square root: NaN below 0. Its derivative at 0 is taken as 0.

    >>> nr.sqrt(nr.asarray([0.0, 9.0]))
    numr.Array([0., 3.])
    """


@unary(M.cbrt, FLOATS)
def cbrt(x: Any, /) -> Array:
    """The cube root, of negative numbers too. Its derivative at 0 is taken as 0.

    >>> nr.cbrt(nr.asarray([8.0, -27.0]))
    numr.Array([ 2., -3.])
    """


@unary(M.sin, INEXACT)
def sin(x: Any, /) -> Array:
    """The sine of x in radians.

    >>> nr.sin(nr.asarray([0.0, nr.pi / 2]))
    numr.Array([0., 1.])
    """


@unary(M.cos, INEXACT)
def cos(x: Any, /) -> Array:
    """The cosine of x in radians.

    >>> nr.cos(nr.asarray([0.0, nr.pi]))
    numr.Array([ 1., -1.])
    """


@unary(M.tan, INEXACT)
def tan(x: Any, /) -> Array:
    """The tangent of x in radians.

    >>> nr.tan(nr.asarray([0.0, 1.0]))
    numr.Array([0.        , 1.55740772])
    """


@unary(M.asin, INEXACT)
def asin(x: Any, /) -> Array:
    """The inverse sine in radians, in [-pi/2, pi/2]: NaN where |x| > 1.

    >>> nr.asin(nr.asarray([0.0, 1.0]))
    numr.Array([0.        , 1.57079633])
    """


@unary(M.acos, INEXACT)
def acos(x: Any, /) -> Array:
    """The inverse cosine in radians, in [0, pi]: NaN where |x| > 1.

    >>> nr.acos(nr.asarray([1.0, -1.0]))
    numr.Array([0.        , 3.14159265])
    """


@unary(M.atan, INEXACT)
def atan(x: Any, /) -> Array:
    """The inverse tangent in radians, in [-pi/2, pi/2].

    >>> nr.atan(nr.asarray([0.0, 1.0]))
    numr.Array([0.        , 0.78539816])
    """


@unary(M.sinh, INEXACT)
def sinh(x: Any, /) -> Array:
    """The hyperbolic sine, (exp(x) - exp(-x)) / 2.

    >>> nr.sinh(nr.asarray([0.0, 1.0]))
    numr.Array([0.        , 1.17520119])
    """


@unary(M.cosh, INEXACT)
def cosh(x: Any, /) -> Array:
    """The hyperbolic cosine, (exp(x) + exp(-x)) / 2.

    >>> nr.cosh(nr.asarray([0.0, 1.0]))
    numr.Array([1.        , 1.54308063])
    """


@unary(M.tanh, INEXACT)
def tanh(x: Any, /) -> Array:
    """The hyperbolic tangent, sinh(x) / cosh(x).

    >>> nr.tanh(nr.asarray([0.0, 1.0]))
    numr.Array([0.        , 0.76159416])
    """


@unary(M.asinh, INEXACT)
def asinh(x: Any, /) -> Array:
    """The inverse hyperbolic sine, log(x + sqrt(x**2 + 1)).

    >>> nr.asinh(nr.asarray([0.0, 1.0]))
    numr.Array([0.        , 0.88137359])
    """


@unary(M.acosh, INEXACT)
def acosh(x: Any, /) -> Array:
    """The inverse hyperbolic cosine, log(x + sqrt(x**2 - 1)): NaN below 1.

    >>> nr.acosh(nr.asarray([1.0, 2.0]))
    numr.Array([0.       , 1.3169579])
    """


@unary(M.atanh, INEXACT)
def atanh(x: Any, /) -> Array:
    """The inverse hyperbolic tangent, log((1 + x) / (1 - x)) / 2: NaN where |x| > 1.

    >>> nr.atanh(nr.asarray([0.0, 0.5]))
    numr.Array([0.        , 0.54930614])
    """


@unary(_scaled(math.pi / 180), FLOATS)
def deg2rad(x: Any, /) -> Array:
    """Degrees as radians: x * pi / 180.

    >>> nr.deg2rad(nr.asarray([0.0, 180.0]))
    numr.Array([0.        , 3.14159265])
    """


@unary(_scaled(180 / math.pi), FLOATS)
def rad2deg(x: Any, /) -> Array:
    """Radians as degrees: x * 180 / pi.

    >>> nr.rad2deg(nr.asarray([0.0, nr.pi]))
    numr.Array([  0., 180.])
    """


@unary(M.erf, FLOATS)
def erf(x: Any, /) -> Array:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x.

    >>> nr.erf(nr.asarray([0.0, 1.0]))
    numr.Array([0.        , 0.84270079])
    """


@unary(M.erfc, FLOATS)
def erfc(x: Any, /) -> Array:
    """1 - erf(x), without losing digits where erf(x) is near 1.

    >>> nr.erfc(nr.asarray([0.0, 10.0]))
    numr.Array([1.00000000e+00, 2.08848758e-45])
    """


@unary(M.lgamma, FLOATS)
def lgamma(x: Any, /) -> Array:
    """log(|gamma(x)|).

    >>> nr.lgamma(nr.asarray([1.0, 10.0]))
    numr.Array([ 0.        , 12.80182748])
    """


@unary(M.digamma, FLOATS)
def digamma(x: Any, /) -> Array:
    """The derivative of lgamma, gamma'(x) / gamma(x).

    >>> nr.digamma(nr.asarray([1.0, 10.0]))
    numr.Array([-0.57721566,  2.25175259])
    """


@binary(M.atan2, FLOATS, FLOATING)
def atan2(x1: Any, x2: Any, /) -> Array:
    """The angle of the point (x2, x1), that is atan(x1 / x2) in the right quadrant, in [-pi, pi].

    >>> nr.atan2(nr.asarray([0.0, 1.0]), nr.asarray([-1.0, 0.0]))
    numr.Array([3.14159265, 1.57079633])
    """


@binary(C.logaddexp, FLOATS, FLOATING)
def logaddexp(x1: Any, x2: Any, /) -> Array:
    """log(exp(x1) + exp(x2)), without overflow; its derivatives of any order are finite.

    >>> nr.logaddexp(nr.asarray([0.0, 1000.0]), nr.asarray([0.0, 1000.0]))
    numr.Array([6.93147181e-01, 1.00069315e+03])
    """


def polygamma(n: Any, x: Any, /) -> Array:
    """The n-th derivative of digamma.

    Args:
        n: the order, a whole number that is not negative, or an array of them.
        x: array of real numbers of a shape that broadcasts with n's.

    Returns:
        Array of the broadcast shape, of a floating dtype. The derivative with respect to n is 0.

    Raises:
        DTypeError: for complex numbers.
        ShapeError: if the shapes do not broadcast together.

    Examples:
        >>> import numr as nr
        >>> nr.polygamma(1, nr.asarray([1.0, 10.0]))
        numr.Array([1.64493407, 0.10516634])
    """
    nodes, weak = promoted("polygamma", (n, x), FLOATS, default_float())
    return from_node(M.polygamma(*aligned("polygamma", nodes, ("n", "x"))), weak)


# NumPy's and SciPy's names for the same functions.
arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh
radians, degrees, gammaln = deg2rad, rad2deg, lgamma

__all__ = [
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "cos",
    "cosh",
    "deg2rad",
    "degrees",
    "digamma",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "gammaln",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "logaddexp",
    "polygamma",
    "rad2deg",
    "radians",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
]
