"""Elementwise arithmetic: sums, products, powers, extrema, rounding, signs, parts of numbers."""

# Declared functions get their bodies from the decorator.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Any

from numr.array import Array, from_node
from numr.functions.declare import (
    ALL,
    FLOATING,
    FLOATS,
    INEXACT,
    NUMBERS,
    ORDERED,
    REALS,
    SAME,
    binary,
    unary,
)
from numr.functions.operands import aligned, operand, promoted
from numr.ir.node import Node
from numr.primitives import elementwise as E
from numr.primitives import mathematics as M
from numr.primitives.powers import whole_power

# Whole constant exponents up to this size become products.
LARGEST_PRODUCT = 8


def _boolean_too(prim: Any, logical: Any) -> Any:
    """A primitive on numbers, with the logical operation NumPy has in its place for booleans."""
    return lambda a, b: (logical if a.dtype.kind == "b" else prim)(a, b)


@binary(_boolean_too(E.add, M.bit_or), ALL)
def add(x1: Any, x2: Any, /) -> Array:
    """x1 + x2. Of booleans, x1 or x2.

    >>> nr.add(1.0, nr.asarray([1.0, 2.0]))
    numr.Array([2., 3.])
    """


@binary(E.sub, NUMBERS)
def subtract(x1: Any, x2: Any, /) -> Array:
    """x1 - x2.

    >>> nr.subtract(nr.asarray([3, 5]), 1)
    numr.Array([2, 4])
    """


@binary(_boolean_too(E.mul, M.bit_and), ALL)
def multiply(x1: Any, x2: Any, /) -> Array:
    """x1 * x2, element by element. Of booleans, x1 and x2.

    >>> nr.multiply(nr.asarray([3, 5]), nr.asarray([2, 4]))
    numr.Array([ 6, 20])
    """


@binary(E.div, INEXACT, FLOATING)
def divide(x1: Any, x2: Any, /) -> Array:
    """x1 / x2; of integers too, it is a floating number.

    >>> nr.divide(nr.asarray([3, 4]), 2)
    numr.Array([1.5, 2. ])
    """


@binary(M.floor_divide, REALS)
def floor_divide(x1: Any, x2: Any, /) -> Array:
    """floor(x1 / x2). An integer divided by 0 gives 0, as in NumPy; the derivative is 0.

    >>> nr.floor_divide(nr.asarray([7, -7]), 2)
    numr.Array([ 3, -4])
    """


@binary(M.remainder, REALS)
def remainder(x1: Any, x2: Any, /) -> Array:
    """x1 - floor(x1 / x2) * x2: what Python's `%` gives, with the sign of x2.

    >>> nr.remainder(nr.asarray([7, -7]), 3)
    numr.Array([1, 2])
    """


@binary(M.fmod, REALS)
def fmod(x1: Any, x2: Any, /) -> Array:
    """x1 - trunc(x1 / x2) * x2: what C's `%` gives, with the sign of x1.

    >>> nr.fmod(nr.asarray([7.0, -7.0]), 3.0)
    numr.Array([ 1., -1.])
    """


def pow(x1: Any, x2: Any, /) -> Array:
    """x1 ** x2.

    A whole constant exponent n with |n| <= 8 becomes products, so that `x ** 2` costs one
    multiplication and is right for negative x, with derivatives of every order. Where the base is 0
    and the derivative would be infinite or undefined (exponents below 1, and with respect to the
    exponent) it is taken as 0.

    Args:
        x1: array of numbers, or a Python number.
        x2: array of a shape that broadcasts with x1's, likewise.

    Returns:
        Array of the broadcast shape and the promoted dtype.

    Raises:
        DTypeError: for booleans, and for integers to a negative constant power, which would not be
            integers. (Computed negative powers of integers are undefined.)
        ShapeError: if the shapes do not broadcast together.

    Examples:
        >>> import numr as nr
        >>> nr.pow(nr.asarray([2.0, 3.0]), 2)
        numr.Array([4., 9.])
        >>> nr.pow(2.0, nr.asarray([0.5, -1.0]))
        numr.Array([1.41421356, 0.5       ])
    """
    if type(x2) in (int, float) and -LARGEST_PRODUCT <= x2 <= LARGEST_PRODUCT and x2 == int(x2):
        power = int(x2)
        if type(x2) is int and power < 0 and operand(x1)[1].kind in "iu":
            from numr.errors import DTypeError

            raise DTypeError(
                f"pow: integers to the negative power {power} are not integers\n"
                "  convert first, as with x.astype(numr.float64)"
            )
        (base, *_), weak = promoted("pow", (x1, x2), NUMBERS)
        return from_node(_whole_power(base, power), weak)
    nodes, weak = promoted("pow", (x1, x2), NUMBERS)
    return from_node(M.pow_(*aligned("pow", nodes)), weak)


def _whole_power(x: Node, n: int) -> Node:
    """x**n as products."""
    if n < 0:
        return E.div(E.like(x, 1), _whole_power(x, -n))
    if n == 0:
        return E.expand_like(E.like(x, 1), x)
    return whole_power(x, n=n) if x.dtype.is_inexact else whole_power.expand(x, n=n)


@unary(lambda x: E.mul(x, x), NUMBERS, SAME)
def square(x: Any, /) -> Array:
    """x * x.

    >>> nr.square(nr.asarray([3.0, -4.0]))
    numr.Array([ 9., 16.])
    """


@unary(lambda x: E.div(E.like(x, 1), x), INEXACT)
def reciprocal(x: Any, /) -> Array:
    """1 / x.

    >>> nr.reciprocal(nr.asarray([2.0, -4.0]))
    numr.Array([ 0.5 , -0.25])
    """


@unary(E.neg, NUMBERS, SAME)
def negative(x: Any, /) -> Array:
    """-x.

    >>> nr.negative(nr.asarray([1, -2]))
    numr.Array([-1,  2])
    """


@unary(lambda x: x, NUMBERS, SAME)
def positive(x: Any, /) -> Array:
    """x itself.

    >>> nr.positive(nr.asarray([1, -2]))
    numr.Array([ 1, -2])
    """


@binary(_boolean_too(M.maximum, M.bit_or), ORDERED)
def maximum(x1: Any, x2: Any, /) -> Array:
    """The greater of x1 and x2; NaN if either is. Where they tie, each has half the derivative.

    >>> nr.maximum(nr.asarray([1.0, 4.0]), 2.0)
    numr.Array([2., 4.])
    """


@binary(_boolean_too(M.minimum, M.bit_and), ORDERED)
def minimum(x1: Any, x2: Any, /) -> Array:
    """The lesser of x1 and x2; NaN if either is. Where they tie, each has half the derivative.

    >>> nr.minimum(nr.asarray([1.0, 4.0]), 2.0)
    numr.Array([1., 2.])
    """


def clip(x: Any, /, min: Any = None, max: Any = None) -> Array:
    """minimum(maximum(x, min), max): x limited to the range from min to max.

    Args:
        x: array of real numbers.
        min: lower bound, broadcast with x; None for no bound.
        max: upper bound, likewise. Where the bounds cross, max wins.

    Returns:
        Array of the broadcast shape and the promoted dtype. The derivative is 1 inside the range, 0
        outside, and one half on a bound.

    Raises:
        DTypeError: for complex numbers.
        ShapeError: if the shapes do not broadcast together.

    Examples:
        >>> import numr as nr
        >>> nr.clip(nr.asarray([-1.0, 0.5, 2.0]), 0.0, 1.0)
        numr.Array([0. , 0.5, 1. ])
    """
    if min is not None:
        x = maximum(x, min)
    if max is not None:
        x = minimum(x, max)
    (node,), weak = promoted("clip", (x,), ORDERED)
    return from_node(node, weak)


def _abs(x: Node) -> Node:
    return M.hypot(M.real(x), M.imag(x)) if x.dtype.kind == "c" else M.abs_(x)


@unary(_abs, NUMBERS, SAME)
def abs(x: Any, /) -> Array:
    """|x|, real for complex x. Its derivative at 0 is taken as 0.

    >>> nr.abs(nr.asarray([-2.0, 3.0]))
    numr.Array([2., 3.])
    """


def _sign(x: Node) -> Node:
    if x.dtype.kind != "c":
        return M.sign(x)
    size = _abs(x)
    zero = M.eq(size, E.like(size, 0))
    safe = E.select(zero, E.like(size, 1), size)
    unit = M.make_complex(E.div(M.real(x), safe), E.div(M.imag(x), safe))
    return E.select(zero, E.like(x, 0), unit)


@unary(_sign, NUMBERS, SAME)
def sign(x: Any, /) -> Array:
    """-1, 0 or 1 by the sign of x; x / |x| (0 at 0) for complex x; NaN of NaN.

    >>> nr.sign(nr.asarray([-3.0, 0.0, 2.0]))
    numr.Array([-1.,  0.,  1.])
    """


@binary(M.copysign, FLOATS, FLOATING)
def copysign(x1: Any, x2: Any, /) -> Array:
    """|x1| with the sign of x2, whose sign counts at 0 too.

    >>> nr.copysign(2.0, nr.asarray([1.0, -0.0]))
    numr.Array([ 2., -2.])
    """


@binary(M.nextafter, FLOATS, FLOATING)
def nextafter(x1: Any, x2: Any, /) -> Array:
    """The floating number next to x1 on the way to x2; x2 where they are equal.

    >>> nr.nextafter(1.0, 2.0) - 1.0
    numr.Array(2.22044605e-16)
    """


def _rounding(prim: Any) -> Any:
    """Rounding leaves integers as they are."""
    return lambda x: prim(x) if x.dtype.kind == "f" else x


@unary(_rounding(M.floor), REALS, SAME)
def floor(x: Any, /) -> Array:
    """The greatest whole number that is not above x. The derivative is 0.

    >>> nr.floor(nr.asarray([1.5, -1.5]))
    numr.Array([ 1., -2.])
    """


@unary(_rounding(M.ceil), REALS, SAME)
def ceil(x: Any, /) -> Array:
    """The least whole number that is not below x. The derivative is 0.

    >>> nr.ceil(nr.asarray([1.5, -1.5]))
    numr.Array([ 2., -1.])
    """


@unary(_rounding(M.trunc), REALS, SAME)
def trunc(x: Any, /) -> Array:
    """x without its fraction: the nearest whole number towards 0. The derivative is 0.

    >>> nr.trunc(nr.asarray([1.5, -1.5]))
    numr.Array([ 1., -1.])
    """


def _rint(x: Node) -> Node:
    if x.dtype.kind == "c":
        return M.make_complex(M.rint(M.real(x)), M.rint(M.imag(x)))
    return _rounding(M.rint)(x)  # type: ignore[no-any-return]


def round(x: Any, /, decimals: int = 0) -> Array:
    """The nearest whole number (or multiple of 10**-decimals); halves go to the even one.

    Args:
        x: array of numbers, or a Python number; the parts of a complex number are rounded apart.
        decimals: digits to keep after the point, known in Python; only floating numbers take it.

    Returns:
        Array of x's shape and dtype. The derivative is 0.

    Raises:
        DTypeError: for booleans.

    Examples:
        >>> import numr as nr
        >>> nr.round(nr.asarray([0.5, 1.5, -1.7]))
        numr.Array([ 0.,  2., -2.])
        >>> nr.round(nr.asarray([3.14159]), 2)
        numr.Array([3.14])
    """
    (node,), weak = promoted("round", (x,), NUMBERS)
    if decimals == 0 or not node.dtype.is_inexact:
        return from_node(_rint(node), weak)
    scale = E.like(node, 10.0 ** (decimals if decimals > 0 else -decimals))
    into, back = (E.mul, E.div) if decimals > 0 else (E.div, E.mul)
    return from_node(back(_rint(into(node, scale)), scale), weak)


@binary(M.hypot, FLOATS, FLOATING)
def hypot(x1: Any, x2: Any, /) -> Array:
    """sqrt(x1**2 + x2**2) without overflow. The derivative at the origin is taken as 0.

    >>> nr.hypot(3.0, nr.asarray([4.0, 0.0]))
    numr.Array([5., 3.])
    """


@unary(lambda x: M.real(x) if x.dtype.kind == "c" else x, NUMBERS, SAME)
def real(x: Any, /) -> Array:
    """The real part, which is x itself for real x.

    >>> nr.real(nr.asarray([1 + 2j]))
    numr.Array([1.])
    """


def _imag(x: Node) -> Node:
    return M.imag(x) if x.dtype.kind == "c" else E.expand_like(E.like(x, 0), x)


@unary(_imag, NUMBERS, SAME)
def imag(x: Any, /) -> Array:
    """The imaginary part, which is 0 for real x.

    >>> nr.imag(nr.asarray([1 + 2j]))
    numr.Array([2.])
    """


def _conj(x: Node) -> Node:
    return M.make_complex(M.real(x), E.neg(M.imag(x))) if x.dtype.kind == "c" else x


@unary(_conj, NUMBERS, SAME)
def conj(x: Any, /) -> Array:
    """The complex conjugate, which is x itself for real x.

    >>> nr.conj(nr.asarray([1 + 2j]))
    numr.Array([1.-2.j], dtype=complex128)
    """


def _angle(x: Node) -> Node:
    parts = (M.imag(x), M.real(x)) if x.dtype.kind == "c" else (E.like(x, 0), x)
    return M.atan2(*parts)


@unary(_angle, INEXACT)
def angle(x: Any, /) -> Array:
    """The angle of a number in the complex plane: atan2(imag(x), real(x)), in [-pi, pi].

    >>> nr.angle(nr.asarray([1.0, -1.0]))
    numr.Array([0.        , 3.14159265])
    """


def nan_to_num(
    x: Any, /, *, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Array:
    """x with NaN and infinities replaced by numbers.

    Args:
        x: array of real numbers.
        nan: what stands for NaN.
        posinf: what stands for infinity; None for the greatest number of the dtype.
        neginf: what stands for minus infinity; None for the least number of the dtype.

    Returns:
        Array of x's shape and dtype. The derivative of a replaced element is 0.

    Raises:
        DTypeError: for complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.nan_to_num(nr.asarray([1.0, nr.nan, nr.inf]), posinf=9.0)
        numr.Array([1., 0., 9.])
    """
    from numr.functions.inspection import finfo

    (node,), weak = promoted("nan_to_num", (x,), ORDERED)
    if node.dtype.kind == "f":
        limits = finfo(node.dtype)
        for value, put in (
            (float("inf"), float(limits.max) if posinf is None else posinf),
            (float("-inf"), float(limits.min) if neginf is None else neginf),
        ):
            node = E.select(M.eq(node, E.like(node, value)), E.like(node, put), node)
        node = E.select(M.isnan(node), E.like(node, nan), node)
    return from_node(node, weak)


# NumPy's names for the same functions.
power, true_divide, mod, absolute, fabs = pow, divide, remainder, abs, abs
rint, conjugate = round, conj

__all__ = [
    "abs",
    "absolute",
    "add",
    "angle",
    "ceil",
    "clip",
    "conj",
    "conjugate",
    "copysign",
    "divide",
    "fabs",
    "floor",
    "floor_divide",
    "fmod",
    "hypot",
    "imag",
    "maximum",
    "minimum",
    "mod",
    "multiply",
    "nan_to_num",
    "negative",
    "nextafter",
    "positive",
    "pow",
    "power",
    "real",
    "reciprocal",
    "remainder",
    "rint",
    "round",
    "sign",
    "square",
    "subtract",
    "true_divide",
    "trunc",
]
