"""Sorting and searching: order, places, and distinct values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numr.array import Array, from_node, to_array
from numr.dtypes import int32, int64
from numr.errors import ShapeError, UnsupportedError
from numr.functions.declare import ORDERED
from numr.functions.operands import (
    is_traced,
    length_of,
    node_of,
    normalized_axis,
    plain,
    promoted,
)
from numr.ir.node import Node
from numr.ir.symbolic import digits
from numr.primitives import sorting as S
from numr.primitives.elementwise import add, cast, like, select, sub
from numr.primitives.indexing import GATHER
from numr.primitives.mathematics import (
    bit_and,
    bit_or,
    invert,
    isnan,
    le,
    lt,
    maximum,
    minimum,
    shift_right,
)
from numr.primitives.shape import FLIP, broadcast_to
from numr.primitives.source import const, size_of


def _line(name: str, x: Any, axis: int) -> tuple[Node, int]:
    (node,), _ = promoted(name, (x,), ORDERED)
    return node, normalized_axis(name, axis, node.rank)


def sort(x: Any, /, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Array:
    """The elements of each line along an axis in order, NaN last.

    Args:
        x: array of real numbers or booleans.
        axis: axis to sort along.
        descending: from the greatest to the least (NaN first).
        stable: accepted for the standard's sake; equal elements always keep their order.

    Returns:
        Array of x's shape and dtype. The derivative follows each element to its place.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.sort(nr.asarray([3, 1, 2]))
        numr.Array([1, 2, 3])
    """
    node, place = _line("sort", x, axis)
    out = S.sort(node, axis=place)
    return from_node(FLIP(out, axes=(place,)) if descending else out)


def argsort(x: Any, /, axis: int = -1, *, descending: bool = False, stable: bool = True) -> Array:
    """The positions that sort each line along an axis; equal elements keep their order.

    Args:
        x: array of real numbers or booleans.
        axis: axis to sort along.
        descending: from the greatest to the least (NaN first).
        stable: accepted for the standard's sake; equal elements always keep their order.

    Returns:
        Array of x's shape, of int64, for `take_along_axis`.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.argsort(nr.asarray([3, 1, 2]))
        numr.Array([1, 2, 0])
    """
    node, place = _line("argsort", x, axis)
    if not descending:
        return from_node(S.argsort(node, axis=place))
    # Sorting the reversed line and reversing the result keeps equal elements in their order.
    order = FLIP(S.argsort(FLIP(node, axes=(place,)), axis=place), axes=(place,))
    last = sub(size_of(node.shape[place], int64), const(1, int64))
    return from_node(sub(last, order))


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left", sorter: Any = None) -> Array:
    """Where the elements of x2 would have to be put into x1 to keep it sorted.

    Args:
        x1: sorted vector.
        x2: array of any shape.
        side: "left" for the place before elements that are equal, "right" for that after them.
        sorter: positions that sort x1, if it is not sorted.

    Returns:
        Array of x2's shape, of int64, found by bisection. NaN counts as greatest, as in `sort`.

    Raises:
        DTypeError: for complex numbers.
        ShapeError: if x1 is not a vector.

    Examples:
        >>> import numr as nr
        >>> nr.searchsorted(nr.asarray([1.0, 3.0]), nr.asarray([2.0, 3.0]))
        numr.Array([1, 1])
    """
    if side not in ("left", "right"):
        raise UnsupportedError(f"searchsorted: side is 'left' or 'right', not {side!r}")
    if sorter is not None:
        from numr.functions.indexing import take

        x1 = take(x1, sorter, axis=0)
    line, values = promoted("searchsorted", (x1, x2), ORDERED)[0]
    if line.rank != 1:
        raise ShapeError(f"searchsorted: x1 is a vector, and its shape is {plain(line.shape)}")
    return from_node(cast(_bisected(line, values, right=side == "right"), int64))


def _bisected(line: Node, values: Node, right: bool) -> Node:
    """How many elements of a sorted line come before each value: the lesser ones, or those not greater."""
    from numr.control import fori_loop

    n = line.shape[0]
    # Every device has loops over integers of 32 bits.
    dtype = int32 if n < 2**31 else int64
    none = broadcast_to(const(0, dtype), values.shape)
    if n == 0:
        return none
    end = broadcast_to(size_of(n, dtype), values.shape)

    def before(element: Node) -> Node:
        """Whether an element comes before a value. NaN is the greatest, and equal to itself."""
        if not right:
            less = lt(element, values)
            return bit_or(less, bit_and(isnan(values), invert(isnan(element)))) if nans else less
        return bit_or(le(element, values), isnan(values)) if nans else le(element, values)

    nans = line.dtype.kind == "f"

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = (x.node for x in ends)
        middle = add(low, shift_right(sub(high, low), like(low, 1)))
        # Where low has met high, at the end of the line maybe, nothing changes.
        after = bit_and(lt(low, high), before(GATHER(line, middle)))
        next_low = select(after, add(middle, like(middle, 1)), low)
        return from_node(next_low), from_node(select(after, high, middle))

    low: Array = fori_loop(0, digits(n), halve, (from_node(none), from_node(end)))[0]
    # That it is within the line is said once more for what knows nothing of loops: whoever makes a position of
    # it then needs no wider integers.
    return maximum(minimum(low.node, end), none)


def _known(name: str, x: Any) -> Any:
    """The values of an array, on which the shape of a result depends."""
    from numr.functions.counting import needs_size

    node = node_of(x)
    if is_traced(node):
        other = "nonzero" if name == "argwhere" else "unique"
        raise needs_size(name, f"use numr.{other} with size=...", node)
    return np.asarray(from_node(node))


def nonzero(
    x: Any, /, *, size: int | None = None, fill_value: int | tuple[int, ...] = 0
) -> tuple[Array, ...]:
    """The positions of the nonzero elements.

    Their number is data; with a size it also runs inside jit, grad and vmap: the first positions are
    kept, and what is left over is filled.

    Args:
        x: array of any dtype.
        size: how many positions, needed for traced values.
        fill_value: what fills the rest, a number, or one for each axis in a tuple.

    Returns:
        One vector of int64 for each axis, in a tuple, in row-major order.

    Raises:
        ShapeError: for an array without axes, or a size that is no length.
        TracedValueError: for traced values without a size.

    Examples:
        >>> import numr as nr
        >>> nr.nonzero(nr.asarray([[0, 5], [6, 0]]))
        (numr.Array([0, 1]), numr.Array([1, 0]))
        >>> nr.jit(lambda x: nr.nonzero(x, size=3, fill_value=-1))(nr.asarray([0, 5, 6, 0]))
        (numr.Array([ 1,  2, -1]),)
    """
    from numr.functions.counting import needs_size, positions

    node = node_of(x)
    if node.rank == 0:
        raise ShapeError("nonzero needs at least one axis; nr.atleast_1d adds it")
    if size is not None:
        length = length_of("nonzero", "size", size)
        if isinstance(fill_value, tuple) and len(fill_value) != node.rank:
            raise ShapeError(
                f"nonzero: fill_value {fill_value} has not one number for each axis of x, of shape "
                f"{plain(node.shape)}"
            )
        return positions(node, length, fill_value)
    if is_traced(node):
        raise needs_size("nonzero", "give size=...", node)
    return tuple(to_array(p) for p in np.nonzero(_known("nonzero", x)))


def argwhere(x: Any, /) -> Array:
    """The positions of the nonzero elements, as rows. Not for traced values.

    Args:
        x: array of any dtype.

    Returns:
        Matrix of int64, of as many rows as there are nonzero elements.

    Raises:
        TracedValueError: inside jit, grad or vmap.

    Examples:
        >>> import numr as nr
        >>> nr.argwhere(nr.asarray([[0, 5], [6, 0]]))
        numr.Array([[0, 1],
               [1, 0]])
    """
    return to_array(np.argwhere(_known("argwhere", x)))


class UniqueAll(NamedTuple):
    """What `unique_all` returns."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCounts(NamedTuple):
    """What `unique_counts` returns."""

    values: Array
    counts: Array


class UniqueInverse(NamedTuple):
    """What `unique_inverse` returns."""

    values: Array
    inverse_indices: Array


def unique_all(x: Any, /) -> UniqueAll:
    """The distinct values, sorted, with where and how often they occur. Not for traced values.

    Args:
        x: array of any dtype.

    Returns:
        (values, indices, inverse_indices, counts): the values; the position of the first of each in
        the flattened array; of x's shape, which value each element has; how often each occurs.

    Raises:
        TracedValueError: inside jit, grad or vmap.

    Examples:
        >>> import numr as nr
        >>> nr.unique_all(nr.asarray([2, 1, 2])).inverse_indices
        numr.Array([1, 0, 1])
    """
    return _all("unique_all", x)


def _all(name: str, x: Any) -> UniqueAll:
    value = _known(name, x)
    values, first, inverse, counts = np.unique(
        value, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    found = (values, first, inverse.reshape(value.shape), counts)
    return UniqueAll(*(to_array(v) for v in found))


def unique_counts(x: Any, /) -> UniqueCounts:
    """The distinct values, sorted, and how often each occurs. Not for traced values.

    Args:
        x: array of any dtype.

    Returns:
        (values, counts).

    Raises:
        TracedValueError: inside jit, grad or vmap.

    Examples:
        >>> import numr as nr
        >>> nr.unique_counts(nr.asarray([2, 1, 2])).counts
        numr.Array([1, 2])
    """
    found = _all("unique_counts", x)
    return UniqueCounts(found.values, found.counts)


def unique_inverse(x: Any, /) -> UniqueInverse:
    """The distinct values, sorted, and which of them each element is. Not for traced values.

    Args:
        x: array of any dtype.

    Returns:
        (values, inverse_indices): `values[inverse_indices]` is x.

    Raises:
        TracedValueError: inside jit, grad or vmap.

    Examples:
        >>> import numr as nr
        >>> nr.unique_inverse(nr.asarray([2, 1, 2])).values
        numr.Array([1, 2])
    """
    found = _all("unique_inverse", x)
    return UniqueInverse(found.values, found.inverse_indices)


def unique_values(x: Any, /) -> Array:
    """The distinct values, sorted. Not for traced values: their number is data.

    Args:
        x: array of any dtype.

    Returns:
        Vector of x's dtype.

    Raises:
        TracedValueError: inside jit, grad or vmap.

    Examples:
        >>> import numr as nr
        >>> nr.unique_values(nr.asarray([2, 1, 2]))
        numr.Array([1, 2])
    """
    return to_array(np.unique(_known("unique_values", x), equal_nan=False))


__all__ = [
    "argsort",
    "argwhere",
    "nonzero",
    "searchsorted",
    "sort",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]
