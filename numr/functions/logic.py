"""Elementwise comparisons, logic, bit operations, choices, and tests of what a number is."""

# Declared functions get their bodies from the decorator.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

from typing import Any

from numr.array import Array, from_node
from numr.dtypes import bool_
from numr.functions.arithmetic import abs as _abs
from numr.functions.declare import (
    ALL,
    BITS,
    BOOLEAN,
    FLOATING,
    FLOATS,
    INTEGERS,
    ORDERED,
    SAME,
    binary,
    unary,
)
from numr.functions.operands import aligned, promoted
from numr.ir.node import Node
from numr.primitives import elementwise as E
from numr.primitives import mathematics as M
from numr.primitives.source import const


@binary(M.eq, ALL, BOOLEAN)
def equal(x1: Any, x2: Any, /) -> Array:
    """x1 == x2. NaN equals nothing; -0.0 equals 0.0.

    >>> nr.equal(nr.asarray([1, 2]), 1)
    numr.Array([ True, False])
    """


@binary(M.ne, ALL, BOOLEAN)
def not_equal(x1: Any, x2: Any, /) -> Array:
    """x1 != x2. NaN differs from everything, itself too.

    >>> nr.not_equal(nr.asarray([1, 2]), 1)
    numr.Array([False,  True])
    """


@binary(M.lt, ORDERED, BOOLEAN)
def less(x1: Any, x2: Any, /) -> Array:
    """x1 < x2.

    >>> nr.less(nr.asarray([1, 2]), 2)
    numr.Array([ True, False])
    """


@binary(M.le, ORDERED, BOOLEAN)
def less_equal(x1: Any, x2: Any, /) -> Array:
    """x1 <= x2.

    >>> nr.less_equal(nr.asarray([1, 2]), 1)
    numr.Array([ True, False])
    """


@binary(M.gt, ORDERED, BOOLEAN)
def greater(x1: Any, x2: Any, /) -> Array:
    """x1 > x2.

    >>> nr.greater(nr.asarray([1, 2]), 1)
    numr.Array([False,  True])
    """


@binary(M.ge, ORDERED, BOOLEAN)
def greater_equal(x1: Any, x2: Any, /) -> Array:
    """x1 >= x2.

    >>> nr.greater_equal(nr.asarray([1, 2]), 2)
    numr.Array([False,  True])
    """


def truth(x: Node) -> Node:
    """Whether elements are nonzero, as booleans."""
    return E.cast(x, bool_)


def _of_truth(prim: Any) -> Any:
    return lambda *nodes: prim(*map(truth, nodes))


@binary(_of_truth(M.bit_and), ALL, BOOLEAN)
def logical_and(x1: Any, x2: Any, /) -> Array:
    """Whether both hold; numbers hold unless they are zero.

    >>> nr.logical_and(nr.asarray([True, False]), True)
    numr.Array([ True, False])
    """


@binary(_of_truth(M.bit_or), ALL, BOOLEAN)
def logical_or(x1: Any, x2: Any, /) -> Array:
    """Whether at least one holds; numbers hold unless they are zero.

    >>> nr.logical_or(nr.asarray([True, False]), False)
    numr.Array([ True, False])
    """


@binary(_of_truth(M.bit_xor), ALL, BOOLEAN)
def logical_xor(x1: Any, x2: Any, /) -> Array:
    """Whether exactly one holds; numbers hold unless they are zero.

    >>> nr.logical_xor(nr.asarray([True, False]), True)
    numr.Array([False,  True])
    """


@unary(_of_truth(M.invert), ALL, BOOLEAN)
def logical_not(x: Any, /) -> Array:
    """Whether x is zero or False.

    >>> nr.logical_not(nr.asarray([0, 3]))
    numr.Array([ True, False])
    """


@binary(M.bit_and, BITS)
def bitwise_and(x1: Any, x2: Any, /) -> Array:
    """x1 & x2, bit by bit; of booleans, logical and.

    >>> nr.bitwise_and(nr.asarray([6, 5]), 3)
    numr.Array([2, 1])
    """


@binary(M.bit_or, BITS)
def bitwise_or(x1: Any, x2: Any, /) -> Array:
    """x1 | x2, bit by bit; of booleans, logical or.

    >>> nr.bitwise_or(nr.asarray([6, 5]), 3)
    numr.Array([7, 7])
    """


@binary(M.bit_xor, BITS)
def bitwise_xor(x1: Any, x2: Any, /) -> Array:
    """x1 ^ x2, bit by bit; of booleans, logical exclusive or.

    >>> nr.bitwise_xor(nr.asarray([6, 5]), 3)
    numr.Array([5, 6])
    """


@unary(M.invert, BITS, SAME)
def bitwise_invert(x: Any, /) -> Array:
    """~x, bit by bit; of booleans, logical not.

    >>> nr.bitwise_invert(nr.asarray([0, 5]))
    numr.Array([-1, -6])
    """


@binary(M.shift_left, INTEGERS)
def bitwise_left_shift(x1: Any, x2: Any, /) -> Array:
    """x1 << x2, that is x1 * 2**x2. Defined for x2 from 0 to the number of bits less one.

    >>> nr.bitwise_left_shift(nr.asarray([1, 3]), 2)
    numr.Array([ 4, 12])
    """


@binary(M.shift_right, INTEGERS)
def bitwise_right_shift(x1: Any, x2: Any, /) -> Array:
    """x1 >> x2, that is floor(x1 / 2**x2). Defined for x2 from 0 to the number of bits less one.

    >>> nr.bitwise_right_shift(nr.asarray([8, -8]), 1)
    numr.Array([ 4, -4])
    """


def _classified(prim: Any, of_exact: bool) -> Any:
    """A test of floating numbers, extended to complex ones and to those that are exact."""

    def test(x: Node) -> Node:
        if x.dtype.kind == "f":
            return prim(x)  # type: ignore[no-any-return]
        if x.dtype.kind == "c":
            join = M.bit_and if of_exact else M.bit_or
            return join(prim(M.real(x)), prim(M.imag(x)))
        return E.expand_like(const(of_exact, bool_), x)

    return test


@unary(_classified(M.isnan, False), ALL, BOOLEAN)
def isnan(x: Any, /) -> Array:
    """Whether x is NaN (a complex number: whether a part is).

    >>> nr.isnan(nr.asarray([1.0, nr.nan]))
    numr.Array([False,  True])
    """


@unary(_classified(M.isinf, False), ALL, BOOLEAN)
def isinf(x: Any, /) -> Array:
    """Whether x is infinite (a complex number: whether a part is).

    >>> nr.isinf(nr.asarray([1.0, -nr.inf]))
    numr.Array([False,  True])
    """


@unary(_classified(M.isfinite, True), ALL, BOOLEAN)
def isfinite(x: Any, /) -> Array:
    """Whether x is neither infinite nor NaN (a complex number: in both parts).

    >>> nr.isfinite(nr.asarray([1.0, nr.inf, nr.nan]))
    numr.Array([ True, False, False])
    """


@unary(M.signbit, FLOATS, FLOATING)
def signbit(x: Any, /) -> Array:
    """Whether the sign bit is set, as booleans; it is for -0.0.

    >>> nr.signbit(nr.asarray([1.0, -0.0]))
    numr.Array([False,  True])
    """


def where(condition: Any, x1: Any, x2: Any, /) -> Array:
    """x1 where the condition holds, x2 elsewhere.

    The derivative of the side that is not chosen is exactly zero, also where it would be infinite
    or NaN: `where(x > 0, sqrt(x), 0)` needs no second `where` inside.

    Args:
        condition: array of booleans (numbers count as true unless they are zero).
        x1: array or Python number; all three shapes broadcast together.
        x2: likewise.

    Returns:
        Array of the broadcast shape and the promoted dtype of x1 and x2.

    Raises:
        ShapeError: if the shapes do not broadcast together.

    Examples:
        >>> import numr as nr
        >>> x = nr.asarray([-1.0, 4.0])
        >>> nr.where(x > 0, nr.sqrt(x), 0.0)
        numr.Array([0., 2.])
        >>> nr.grad(lambda x: nr.sum(nr.where(x > 0, nr.sqrt(x), 0.0)))(x)
        numr.Array([0.  , 0.25])
    """
    (mask,), _ = promoted("where", (condition,))
    nodes, weak = promoted("where", (x1, x2))
    operands = aligned("where", [truth(mask), *nodes], ("condition", "x1", "x2"))
    return from_node(E.select(*operands), weak)


def isclose(
    x1: Any, x2: Any, /, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Array:
    """Whether |x1 - x2| <= atol + rtol * |x2|; equal infinities are close.

    Args:
        x1: array of numbers.
        x2: array of a shape that broadcasts with x1's.
        rtol: tolerance relative to x2.
        atol: absolute tolerance.
        equal_nan: whether NaN is close to NaN.

    Returns:
        Array of booleans of the broadcast shape.

    Raises:
        ShapeError: if the shapes do not broadcast together.

    Examples:
        >>> import numr as nr
        >>> nr.isclose(nr.asarray([1.0, 1.1]), 1.0)
        numr.Array([ True, False])
    """
    (a, b), _ = promoted("isclose", (x1, x2))
    x1, x2 = from_node(a), from_node(b)
    if a.dtype.kind == "b":
        return equal(x1, x2)
    near = _abs(x1 - x2) <= atol + rtol * _abs(x2)
    close = equal(x1, x2) | (near & isfinite(x1) & isfinite(x2))
    return close | (isnan(x1) & isnan(x2)) if equal_nan else close


def allclose(
    x1: Any, x2: Any, /, *, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Array:
    """Whether all elements are close, see `isclose`.

    Args:
        x1: array of numbers.
        x2: array of a shape that broadcasts with x1's.
        rtol: tolerance relative to x2.
        atol: absolute tolerance.
        equal_nan: whether NaN is close to NaN.

    Returns:
        One boolean, as an array of shape ().

    Raises:
        ShapeError: if the shapes do not broadcast together.

    Examples:
        >>> import numr as nr
        >>> nr.allclose(nr.asarray([1.0, 2.0]), [1.0, 2.0 + 1e-9])
        numr.Array(True)
    """
    from numr.functions.reductions import all

    return all(isclose(x1, x2, rtol=rtol, atol=atol, equal_nan=equal_nan))


def array_equal(x1: Any, x2: Any, /) -> Array:
    """Whether two arrays have one shape and equal elements.

    Args:
        x1: array.
        x2: array.

    Returns:
        One boolean, as an array of shape ().

    Examples:
        >>> import numr as nr
        >>> nr.array_equal(nr.asarray([1, 2]), [1, 2])
        numr.Array(True)
    """
    from numr.functions.reductions import all

    (a, b), _ = promoted("array_equal", (x1, x2))
    if a.shape != b.shape:
        return from_node(const(False, bool_))
    return all(equal(from_node(a), from_node(b)))


# NumPy's names for the same functions.
invert, left_shift, right_shift = bitwise_invert, bitwise_left_shift, bitwise_right_shift

__all__ = [
    "allclose",
    "array_equal",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "equal",
    "greater",
    "greater_equal",
    "invert",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "left_shift",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
    "right_shift",
    "signbit",
    "where",
]
