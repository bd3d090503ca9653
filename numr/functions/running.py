"""Running extrema and running sums of exponentials along an axis."""

from __future__ import annotations

from typing import Any

from numr.array import Array, from_node
from numr.functions.declare import REALS
from numr.functions.manipulation import ravel
from numr.functions.operands import default_float, normalized_axis, promoted
from numr.ir.node import Node
from numr.primitives import cumulative as K
from numr.primitives.elementwise import add, like, select, sub
from numr.primitives.mathematics import eq, exp, isfinite, log
from numr.primitives.reduction import shifted
from numr.primitives.source import STOP_GRADIENT


def _line(name: str, x: Any, axis: int | None, kinds: str, least: Any = None) -> tuple[Node, int]:
    """The node and the axis to go along, of all elements where none is given."""
    (node,), _ = promoted(name, (x if axis is not None else ravel(x),), kinds, least)
    return node, normalized_axis(name, 0 if axis is None else axis, node.rank)


def cummax(x: Any, /, axis: int | None = None) -> Array:
    """The greatest of the elements so far: out[k] = max(x[0], .., x[k]); NaN from the first NaN on.

    Its derivative goes to the latest element that is as great.

    Args:
        x: array of real numbers.
        axis: axis to go along; None for all elements in row-major order.

    Returns:
        Array of x's shape, or one axis, of x's dtype.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for booleans and complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.cummax(nr.asarray([1, 3, 2, 5]))
        numr.Array([1, 3, 3, 5])
    """
    node, place = _line("cummax", x, axis, REALS)
    return from_node(K.cummax(node, axis=place, reverse=False))


def cummin(x: Any, /, axis: int | None = None) -> Array:
    """The least of the elements so far: out[k] = min(x[0], .., x[k]); NaN from the first NaN on.

    Its derivative goes to the latest element that is as small.

    Args:
        x: array of real numbers.
        axis: axis to go along; None for all elements in row-major order.

    Returns:
        Array of x's shape, or one axis, of x's dtype.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for booleans and complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.cummin(nr.asarray([4, 3, 5, 1]))
        numr.Array([4, 3, 3, 1])
    """
    node, place = _line("cummin", x, axis, REALS)
    return from_node(K.cummin(node, axis=place, reverse=False))


def logcumsumexp(x: Any, /, axis: int | None = None) -> Array:
    """log(cumsum(exp(x))), without overflow, and without loss where early elements are small.

    Where all elements so far are -inf it is -inf, and its derivative is taken as 0.

    Args:
        x: array of real numbers.
        axis: axis to go along; None for all elements in row-major order.

    Returns:
        Array of x's shape, or one axis, of a floating dtype (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.logcumsumexp(nr.asarray([-1000.0, -1000.0, 1000.0]))
        numr.Array([-1000.        ,  -999.30685282,  1000.        ])
    """
    node, place = _line("logcumsumexp", x, axis, "f", default_float())
    # Sums in units of exp(the greatest so far), which is at least 1 of them: what the unit is does
    # not change the result, so derivatives need not know of it.
    top = STOP_GRADIENT(K.cummax(node, axis=place, reverse=False))
    unit = select(isfinite(top), top, like(top, 0))
    before = shifted(top, place, 1, float("-inf"))
    change = exp(sub(shifted(unit, place, 1, 0), unit))
    change = select(isfinite(before), change, like(change, 1))
    total = K.linear_recurrence(change, exp(sub(node, unit)), axis=place, reverse=False)
    nothing = eq(total, like(total, 0))
    out = add(log(select(nothing, like(total, 1), total)), unit)
    return from_node(select(nothing, like(out, float("-inf")), out))


__all__ = ["cummax", "cummin", "logcumsumexp"]
