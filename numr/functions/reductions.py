"""Reductions: sums, products, extrema and their places, counts, any and all; cumulative ones."""

from __future__ import annotations

from typing import Any

from numr.array import Array, from_node
from numr.dtypes import as_dtype, bool_, int64, uint8, uint64
from numr.errors import ShapeError
from numr.functions.declare import ORDERED
from numr.functions.logic import truth
from numr.functions.operands import node_of, normalized_axes, normalized_axis, plain, promoted
from numr.ir.node import Node
from numr.primitives import cumulative as K
from numr.primitives import reduction as R
from numr.primitives import shape as P
from numr.primitives.elementwise import cast, like, select
from numr.primitives.mathematics import bit_or, eq, ne
from numr.primitives.source import IOTA, size_of

Axes = int | tuple[int, ...] | None


def kept(reduced: Node, x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    """A reduced node, with its axes put back as length 1 where asked."""
    if not keepdims or not axes:
        return reduced
    return P.reshape(reduced, tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def _widened(x: Node, dtype: Any) -> Node:
    """Sums of small integers are taken in 64 bits, as the standard and NumPy have it."""
    if dtype is not None:
        return cast(x, as_dtype(dtype))
    kind = x.dtype.kind
    return cast(x, uint64 if kind == "u" else int64) if kind in "biu" else x


def _reduced(name: str, prim: Any, node: Node, axis: Axes, keepdims: bool) -> Array:
    axes = normalized_axes(name, axis, node.rank)
    return from_node(kept(prim(node, axes=axes), node, axes, keepdims))


def sum(x: Any, /, axis: Axes = None, *, dtype: Any = None, keepdims: bool = False) -> Array:
    """The sum over axes; of no elements, 0.

    Args:
        x: array of any dtype.
        axis: axis or axes to sum over; None for all.
        dtype: dtype to sum in and return. By default x's own, but at least 64 bits wide for
            booleans and integers.
        keepdims: keep the summed axes, with length 1.

    Returns:
        Array without the summed axes.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.sum(nr.asarray([[1.0, 2.0], [3.0, 4.0]]), axis=0)
        numr.Array([4., 6.])
    """
    return _reduced("sum", R.reduce_sum, _widened(node_of(x), dtype), axis, keepdims)


def prod(x: Any, /, axis: Axes = None, *, dtype: Any = None, keepdims: bool = False) -> Array:
    """The product over axes; of no elements, 1. Its derivatives are right with zeros among them.

    Args:
        x: array of any dtype.
        axis: axis or axes to multiply over; None for all.
        dtype: dtype to multiply in and return. By default x's own, but at least 64 bits wide for
            booleans and integers.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array without the reduced axes.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.prod(nr.asarray([[1.0, 2.0], [3.0, 4.0]]), axis=1)
        numr.Array([ 2., 12.])
    """
    node = _widened(node_of(x), dtype)
    if node.dtype.kind == "c":
        return _complex_product(node, normalized_axes("prod", axis, node.rank), keepdims)
    return _reduced("prod", R.reduce_prod, node, axis, keepdims)


def _complex_product(node: Node, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The last running product, axis by axis: kernels multiply real numbers only."""
    out = node
    for a in axes:
        ends = tuple(1 if i == a else n for i, n in enumerate(out.shape))
        one = P.broadcast_to(like(out, 1), ends)
        running = K.cumprod(P.CONCAT(one, out, axis=a), axis=a, reverse=False)
        starts = tuple(running.shape[a] - 1 if i == a else 0 for i in range(out.rank))
        out = P.SLICE(running, starts=starts, sizes=ends, steps=(1,) * out.rank)
    shape = out.shape if keepdims else tuple(n for i, n in enumerate(out.shape) if i not in axes)
    return from_node(P.reshape(out, shape))


def _extremum(name: str, prim: Any, logical: Any, x: Any, axis: Axes, keepdims: bool) -> Array:
    (node,), _ = promoted(name, (x,), ORDERED)
    for a in normalized_axes(name, axis, node.rank):
        if node.shape[a] == 0:
            raise _nothing_to_choose(name, node, a)
    prim = logical if node.dtype is bool_ else prim
    return _reduced(name, prim, node, axis, keepdims)


def _nothing_to_choose(name: str, node: Node, axis: int) -> ShapeError:
    return ShapeError(
        f"{name}: axis {axis} of an array of shape {plain(node.shape)} has no elements\n"
        "  there is nothing to choose from: give another axis, or test the shape first"
    )


def max(x: Any, /, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The greatest element over axes; NaN if any is. Elements that tie share the derivative.

    Args:
        x: array of real numbers or booleans.
        axis: axis or axes to reduce; None for all.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of x's dtype without the reduced axes.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for an axis of length 0.

    Examples:
        >>> import numr as nr
        >>> nr.max(nr.asarray([[1.0, 2.0], [4.0, 3.0]]), axis=1)
        numr.Array([2., 4.])
    """
    return _extremum("max", R.reduce_max, R.reduce_or, x, axis, keepdims)


def min(x: Any, /, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The least element over axes; NaN if any is. Elements that tie share the derivative.

    Args:
        x: array of real numbers or booleans.
        axis: axis or axes to reduce; None for all.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of x's dtype without the reduced axes.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for an axis of length 0.

    Examples:
        >>> import numr as nr
        >>> nr.min(nr.asarray([[1.0, 2.0], [4.0, 3.0]]), axis=1)
        numr.Array([1., 3.])
    """
    return _extremum("min", R.reduce_min, R.reduce_and, x, axis, keepdims)


def any(x: Any, /, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """Whether any element over axes is nonzero; of no elements, False.

    Args:
        x: array of any dtype.
        axis: axis or axes to reduce; None for all.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of booleans without the reduced axes.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.any(nr.asarray([[0, 1], [0, 0]]), axis=1)
        numr.Array([ True, False])
    """
    return _reduced("any", R.reduce_or, truth(node_of(x)), axis, keepdims)


def all(x: Any, /, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """Whether all elements over axes are nonzero; of no elements, True.

    Args:
        x: array of any dtype.
        axis: axis or axes to reduce; None for all.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of booleans without the reduced axes.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.all(nr.asarray([[0, 1], [1, 1]]), axis=1)
        numr.Array([False,  True])
    """
    return _reduced("all", R.reduce_and, truth(node_of(x)), axis, keepdims)


def count_nonzero(x: Any, /, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """How many elements over axes are not zero.

    Args:
        x: array of any dtype.
        axis: axis or axes to count over; None for all.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of int64 without the reduced axes.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.count_nonzero(nr.asarray([[0, 2], [3, 4]]), axis=1)
        numr.Array([1, 2])
    """
    counted = cast(truth(node_of(x)), int64)
    return _reduced("count_nonzero", R.reduce_sum, counted, axis, keepdims)


def _first_place(name: str, prim: Any, x: Any, axis: int | None, keepdims: bool) -> Array:
    (node,), _ = promoted(name, (x,), ORDERED)
    if node.dtype is bool_:
        node = cast(node, uint8)
    shape = node.shape
    if axis is None:
        count = 1
        for n in shape:
            count *= n
        node, place = (node if node.rank == 1 else P.reshape(node, (count,))), 0
    else:
        place = normalized_axis(name, axis, node.rank)
    if node.shape[place] == 0:
        raise _nothing_to_choose(name, node, place)
    hit = eq(node, R.restore(prim(node, axes=(place,)), node, (place,)))
    if node.dtype.kind == "f":
        # The extremum is NaN exactly when an element is, and only those differ from themselves.
        hit = bit_or(hit, ne(node, node))
    found = select(hit, IOTA(shape=node.shape, axis=place), size_of(node.shape[place], int64))
    found = R.reduce_min(found, axes=(place,))
    if keepdims:
        ends = (1 if axis is None or i == place else n for i, n in enumerate(shape))
        found = P.reshape(found, tuple(ends))
    return from_node(found)


def argmax(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The position of the first greatest element along an axis (of the first NaN, if there is one).

    Args:
        x: array of real numbers or booleans.
        axis: axis to search along; None for the position among all elements in row-major order.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of int64 without the axis.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for an axis of length 0.

    Examples:
        >>> import numr as nr
        >>> nr.argmax(nr.asarray([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]]), axis=1)
        numr.Array([1, 0])
    """
    return _first_place("argmax", R.reduce_max, x, axis, keepdims)


def argmin(x: Any, /, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The position of the first least element along an axis (of the first NaN, if there is one).

    Args:
        x: array of real numbers or booleans.
        axis: axis to search along; None for the position among all elements in row-major order.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of int64 without the axis.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for an axis of length 0.

    Examples:
        >>> import numr as nr
        >>> nr.argmin(nr.asarray([[1.0, 3.0, 1.0], [2.0, 0.0, 1.0]]), axis=1)
        numr.Array([0, 1])
    """
    return _first_place("argmin", R.reduce_min, x, axis, keepdims)


def _cumulative(
    name: str, prim: Any, x: Any, axis: int | None, dtype: Any, initial: bool = False
) -> Array:
    node = _widened(node_of(x), dtype)
    if axis is None:
        if node.rank != 1:
            raise ShapeError(f"{name}: an array of shape {plain(node.shape)} needs axis=...")
        axis = 0
    place = normalized_axis(name, axis, node.rank)
    out = prim(node, axis=place, reverse=False)
    if initial:
        ends = tuple(1 if i == place else n for i, n in enumerate(node.shape))
        first = P.broadcast_to(like(out, 1 if prim is K.cumprod else 0), ends)
        out = P.CONCAT(first, out, axis=place)
    return from_node(out)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Running sums along an axis: out[k] = x[0] + ... + x[k].

    Args:
        x: array of any dtype.
        axis: axis to sum along; needed unless x has one axis.
        dtype: dtype to sum in and return. By default x's own, but at least 64 bits wide for
            booleans and integers.
        include_initial: begin with the 0 before the first element; the axis is longer by one.

    Returns:
        Array of x's shape, or longer by one along the axis.

    Raises:
        AxisError: for an axis that x does not have.
        ShapeError: without an axis, unless x has one.

    Examples:
        >>> import numr as nr
        >>> nr.cumulative_sum(nr.asarray([1.0, 2.0, 3.0]), include_initial=True)
        numr.Array([0., 1., 3., 6.])
    """
    return _cumulative("cumulative_sum", K.cumsum, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Running products along an axis: out[k] = x[0] * ... * x[k].

    The derivatives are right with zeros among the factors.

    Args:
        x: array of any dtype.
        axis: axis to multiply along; needed unless x has one axis.
        dtype: dtype to multiply in and return. By default x's own, but at least 64 bits wide for
            booleans and integers.
        include_initial: begin with the 1 before the first element; the axis is longer by one.

    Returns:
        Array of x's shape, or longer by one along the axis.

    Raises:
        AxisError: for an axis that x does not have.
        ShapeError: without an axis, unless x has one.

    Examples:
        >>> import numr as nr
        >>> nr.cumulative_prod(nr.asarray([1.0, 2.0, 3.0]))
        numr.Array([1., 2., 6.])
    """
    return _cumulative("cumulative_prod", K.cumprod, x, axis, dtype, include_initial)


def _flattened(x: Any, axis: int | None) -> tuple[Any, int]:
    from numr.functions.manipulation import ravel

    return (ravel(x), 0) if axis is None else (x, axis)


def cumsum(x: Any, /, axis: int | None = None, dtype: Any = None) -> Array:
    """Running sums along an axis, of the flattened array without one (NumPy's `cumulative_sum`).

    Args:
        x: array of any dtype.
        axis: axis to sum along; None for all elements in row-major order.
        dtype: dtype to sum in and return.

    Returns:
        Array of x's shape, or one axis.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.cumsum(nr.asarray([[1, 2], [3, 4]]))
        numr.Array([ 1,  3,  6, 10])
    """
    return _cumulative("cumsum", K.cumsum, *_flattened(x, axis), dtype)


def cumprod(x: Any, /, axis: int | None = None, dtype: Any = None) -> Array:
    """Running products along an axis, of the flattened array without one (`cumulative_prod`).

    Args:
        x: array of any dtype.
        axis: axis to multiply along; None for all elements in row-major order.
        dtype: dtype to multiply in and return.

    Returns:
        Array of x's shape, or one axis.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.cumprod(nr.asarray([[1, 2], [3, 4]]), axis=1)
        numr.Array([[ 1,  2],
               [ 3, 12]])
    """
    return _cumulative("cumprod", K.cumprod, *_flattened(x, axis), dtype)


# NumPy's names for the same functions.
amax, amin = max, min

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "max",
    "min",
    "prod",
    "sum",
]
