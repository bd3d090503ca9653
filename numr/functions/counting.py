"""Counting: how often values occur, which occur, and in which of many intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr import messages
from numr.array import Array, from_node, to_array
from numr.dtypes import int64
from numr.errors import DTypeError, ShapeError, TracedValueError, UnsupportedError
from numr.functions.declare import ORDERED
from numr.functions.manipulation import ravel
from numr.functions.operands import (
    default_float,
    is_traced,
    length_of,
    node_of,
    plain,
    promoted,
)
from numr.ir.node import Node
from numr.primitives import elementwise as E
from numr.primitives import mathematics as M
from numr.primitives import sorting as S
from numr.primitives.cumulative import cumsum
from numr.primitives.indexing import GATHER, SCATTER
from numr.primitives.reduction import reduce_max, reduce_min, reduce_sum, shifted
from numr.primitives.shape import SLICE, broadcast_to, full_like, reshape
from numr.primitives.source import IOTA, STOP_GRADIENT, const, size_of


def needs_size(name: str, fix: str, node: Node) -> TracedValueError:
    """The error for a result whose length depends on values that are not known."""
    return TracedValueError(
        f"{name}: the length of its result depends on values of x, of shape {plain(node.shape)} and "
        f"dtype {node.dtype}, which are not known while the function is traced\n"
        f"  {fix}, a length that holds all"
    )


def _tally(places: Node, amounts: Node, length: int) -> Node:
    """Sums of amounts by place; what is outside range(length) is not counted."""
    inside = M.bit_and(M.ge(places, E.like(places, 0)), M.lt(places, size_of(length, places.dtype)))
    kept = E.select(inside, amounts, E.like(amounts, 0))
    board = broadcast_to(const(0, amounts.dtype), (length,))
    if length == 0:
        return board
    return SCATTER(board, kept, places, mode="add")


def _weights(name: str, weights: Any, like: Node, shape: tuple[int, ...]) -> Node:
    """What each element counts for; 1 of int64 by default."""
    if weights is None:
        return broadcast_to(const(1, int64), like.shape)
    (found,), _ = promoted(name, (weights,), "fc", default_float())
    if plain(found.shape) != plain(shape):
        raise messages.shape_mismatch(
            name, ("x", "weights"), (plain(shape), plain(found.shape)), hint="one weight for each"
        )
    return reshape(found, like.shape)


def bincount(
    x: Any, /, weights: Any = None, minlength: int = 0, *, length: int | None = None
) -> Array:
    """How often each of 0, 1, 2, .. occurs, or the sum of the weights there.

    Args:
        x: vector of integers, not negative.
        weights: vector of as many numbers; or None to count.
        minlength: the least length of the result.
        length: the length of the result, needed inside jit, grad and vmap; values that are not below
            it are not counted. By default the greatest value and 1.

    Returns:
        Vector of int64, or of the dtype of the weights (integers are converted to float64).

    Raises:
        DTypeError: for an x that is not of integers.
        ShapeError: for an x that is no vector, negative known values, or weights of another length.
        TracedValueError: for traced values without a length.

    Examples:
        >>> import numr as nr
        >>> nr.bincount(nr.asarray([0, 2, 2, 5]), minlength=4)
        numr.Array([1, 0, 2, 0, 0, 1])
        >>> nr.jit(lambda x: nr.bincount(x, length=3))(nr.asarray([0, 2, 2, 5]))
        numr.Array([1, 0, 2])
    """
    node = node_of(x)
    if node.dtype.kind not in "iu":
        if to_array(x).size:
            raise DTypeError(f"bincount: x holds integers, not {node.dtype}")
        node = E.cast(node, int64)
    if node.rank != 1:
        raise ShapeError(f"bincount: x is a vector, and its shape is {plain(node.shape)}")
    if length is None:
        if is_traced(node):
            raise needs_size("bincount", "give length=...", node)
        values = np.asarray(from_node(node))
        if values.size and values.min() < 0:
            raise ShapeError(f"bincount: x has no negative values, and {values.min()} is one")
        length = int(values.max()) + 1 if values.size else 0
        length = max(length, minlength)
    length = max(length_of("bincount", "length", length), minlength)
    amounts = _weights("bincount", weights, node, node.shape)
    return from_node(_tally(E.cast(node, int64), amounts, length))


def histogram(
    x: Any,
    bins: Any = 10,
    /,
    range: tuple[float, float] | None = None,
    *,
    weights: Any = None,
    density: bool = False,
) -> tuple[Array, Array]:
    """How many elements lie in each of many intervals, and the intervals' edges.

    Each interval has its lower edge and not its upper one; the last has both. Elements outside, and
    NaN, are not counted. Counts have no derivative by x; with weights they have one by them.

    Args:
        x: array of real numbers, taken as flat.
        bins: how many intervals of equal width, or a vector of their edges in ascending order.
        range: (low, high), the ends of equal intervals; by default the least and greatest element.
        weights: array of x's shape, what each element counts for; or None for 1.
        density: divide by the total and by each interval's width, so that the integral is 1.

    Returns:
        (counts, edges): a vector of int64, or of a floating dtype with weights or density; and a
        vector of the edges, longer by one, of a floating dtype.

    Raises:
        DTypeError: for complex numbers.
        ShapeError: for no bins, edges that are no vector of two or more, or weights of another shape.
        UnsupportedError: for a range whose low end is not below its high one.

    Examples:
        >>> import numr as nr
        >>> nr.histogram(nr.asarray([1.0, 2.0, 2.5, 5.0]), 2)
        (numr.Array([3, 1]), numr.Array([1., 3., 5.]))
    """
    from numr.functions.creation import linspace
    from numr.functions.searching import searchsorted

    (given,), _ = promoted("histogram", (x,), "f", default_float())
    shape = given.shape
    node = ravel(from_node(given)).node
    amounts = _weights("histogram", weights, node, shape)
    if not isinstance(bins, (list, tuple)) and np.ndim(bins) == 0:
        bins = length_of("histogram", "bins", bins)
        if bins < 1:
            raise ShapeError(f"histogram: bins is at least 1, not {bins}")
        low, high = _ends(node, range)
        edges = linspace(from_node(low), from_node(high), bins + 1).node
        edges = E.cast(edges, node.dtype)
        count = bins
        share = E.mul(E.sub(node, low), E.div(E.like(low, bins), E.sub(high, low)))
        inside = M.bit_and(M.ge(node, low), M.le(node, high))
        place = E.cast(M.floor(E.select(inside, share, E.like(share, 0))), int64)
        last = E.like(place, bins - 1)
        place = M.minimum(M.maximum(place, E.like(place, 0)), last)
        # Rounding may be off by one: the edges decide.
        place = E.select(M.lt(node, GATHER(edges, place)), E.sub(place, E.like(place, 1)), place)
        place = M.maximum(place, E.like(place, 0))
        above = GATHER(edges, E.add(place, E.like(place, 1)))
        up = M.bit_and(M.ge(node, above), M.lt(place, last))
        place = E.select(up, E.add(place, E.like(place, 1)), place)
    else:
        both = (from_node(node), bins)
        (node, edges), _ = promoted("histogram", both, "f", default_float())
        if edges.rank != 1 or edges.shape[0] < 2:
            raise ShapeError(
                f"histogram: edges are a vector of two or more, not of shape {plain(edges.shape)}"
            )
        count = int(edges.shape[0]) - 1
        top = _at(edges, count)
        inside = M.bit_and(M.ge(node, _at(edges, 0)), M.le(node, top))
        found = searchsorted(from_node(edges), from_node(node), side="right").node
        place = M.minimum(E.sub(found, E.like(found, 1)), E.like(found, count - 1))
    place = E.select(inside, place, E.like(place, -1))
    counts = _tally(place, amounts, count)
    if density:
        steps = (1,)
        upper = SLICE(edges, starts=(1,), sizes=(count,), steps=steps)
        widths = E.sub(upper, SLICE(edges, starts=(0,), sizes=(count,), steps=steps))
        shares = counts if counts.dtype.is_inexact else E.cast(counts, edges.dtype)
        total = broadcast_to(reduce_sum(shares, axes=(0,)), shares.shape)
        counts = E.div(shares, E.mul(E.cast(widths, shares.dtype), total))
    return from_node(counts), from_node(edges)


def _at(line: Node, place: int) -> Node:
    return reshape(SLICE(line, starts=(place,), sizes=(1,), steps=(1,)), ())


def _ends(node: Node, given: Any) -> tuple[Node, Node]:
    """The ends of a histogram, apart from each other."""
    if given is not None:
        low, high = given
        if not low < high and isinstance(low, (int, float)) and isinstance(high, (int, float)):
            if low == high:
                low, high = low - 0.5, high + 0.5
            else:
                raise UnsupportedError(f"histogram: range {given!r} does not go up")
        found = [E.cast(node_of(v), node.dtype) for v in (low, high)]
        return found[0], found[1]
    if node.shape[0] == 0:
        return const(0, node.dtype), const(1, node.dtype)
    node = STOP_GRADIENT(node)
    least, most = reduce_min(node, axes=(0,)), reduce_max(node, axes=(0,))
    half = E.select(M.eq(least, most), E.like(least, 0.5), E.like(least, 0))
    return E.sub(least, half), E.add(most, half)


def unique(
    x: Any,
    /,
    *,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    equal_nan: bool = True,
    size: int | None = None,
    fill_value: Any = None,
) -> Array | tuple[Array, ...]:
    """The distinct values, sorted, and on request where and how often they occur, as `numpy.unique`.

    With a size it also runs inside jit, grad and vmap: the result then has that length, the first
    values are kept, and what is left over is filled.

    Args:
        x: array of real numbers or booleans, taken as flat.
        return_index: also the position of the first of each value.
        return_inverse: also, of x's shape, which value each element has.
        return_counts: also how often each value occurs.
        equal_nan: whether NaN is one value, however often it occurs.
        size: the length of the result, needed for traced values.
        fill_value: what fills the rest of the values; by default the least value. Positions are then
            filled with that of the least value, and counts with 0.

    Returns:
        Vector of x's dtype; with any of the requests a tuple of it and vectors of int64, in this
        order: positions, inverse, counts.

    Raises:
        DTypeError: for complex numbers.
        ShapeError: for a size that is no length.
        TracedValueError: for traced values without a size.

    Examples:
        >>> import numr as nr
        >>> nr.unique(nr.asarray([3, 1, 3]), return_counts=True)
        (numr.Array([1, 3]), numr.Array([1, 2]))
        >>> nr.jit(lambda x: nr.unique(x, size=4, fill_value=-1))(nr.asarray([3, 1, 3]))
        numr.Array([ 1,  3, -1, -1])
    """
    (node,), _ = promoted("unique", (x,), ORDERED)
    wanted = (return_index, return_inverse, return_counts)
    if size is None:
        if is_traced(node):
            raise needs_size("unique", "give size=...", node)
        value = np.asarray(from_node(node))
        distinct: Any = np.unique  # whose type has no place for requests that are variables
        found = distinct(value, *wanted, equal_nan=equal_nan)
        if not any(wanted):
            return to_array(found)
        parts = list(found)
        if return_inverse:
            parts[1 + return_index] = parts[1 + return_index].reshape(value.shape)
        return tuple(map(to_array, parts))
    length = length_of("unique", "size", size)
    flat = ravel(from_node(node)).node
    results = _distinct(flat, node.shape, length, fill_value, equal_nan)
    values, *others = map(from_node, results)
    kept = [v for v, want in zip(others, wanted, strict=True) if want]
    return (values, *kept) if kept else values


def _distinct(
    flat: Node, shape: tuple[int, ...], length: int, fill_value: Any, equal_nan: bool
) -> list[Node]:
    """Distinct values, first positions, inverse and counts, of a given length."""
    n = flat.shape[0]

    def board(value: Any, dtype: Any) -> Node:
        # One place more, where what does not fit is put.
        return broadcast_to(const(value, dtype), (length + 1,))

    def cut(x: Node) -> Node:
        return SLICE(x, starts=(0,), sizes=(length,), steps=(1,))

    if n == 0:
        filler = 0 if fill_value is None else fill_value
        empty = reshape(E.cast(flat, int64), shape)
        zeros = board(0, int64)
        return [cut(board(filler, flat.dtype)), cut(zeros), empty, cut(zeros)]
    order = S.argsort(flat, axis=0)
    line = GATHER(flat, order)
    before = shifted(line, 0, 1, 0)
    new = M.ne(line, before)
    if equal_nan and flat.dtype.kind == "f":
        new = M.bit_and(new, M.invert(M.bit_and(M.isnan(line), M.isnan(before))))
    first = M.eq(IOTA(shape=(n,), axis=0), const(0, int64))
    new = M.bit_or(new, first)
    group = E.sub(cumsum(E.cast(new, int64), axis=0, reverse=False), const(1, int64))
    place = E.select(new, group, E.like(group, length))
    values = SCATTER(board(0, flat.dtype), line, place, mode="set")
    positions = SCATTER(board(0, int64), order, place, mode="set")
    counts = SCATTER(board(0, int64), full_like(group, 1), group, mode="add")
    inverse = SCATTER(full_like(group, 0), group, order, mode="set")
    there = M.gt(cut(counts), const(0, int64))
    if fill_value is None:
        filler = _at(line, 0)
    else:
        filler = E.cast(node_of(fill_value), flat.dtype)
    where = _at(order, 0)
    shown = E.select(there, cut(values), broadcast_to(filler, (length,)))
    positions = E.select(there, cut(positions), broadcast_to(where, (length,)))
    return [shown, positions, reshape(inverse, shape), cut(counts)]


def positions(node: Node, length: int, fill_value: Any) -> tuple[Array, ...]:
    """Where elements are not zero, by axis: the first `length` places, and what fills the rest."""
    hit = node if node.dtype.kind == "b" else M.ne(node, E.like(node, 0))
    flat = ravel(from_node(hit)).node
    rank = E.sub(cumsum(E.cast(flat, int64), axis=0, reverse=False), const(1, int64))
    place = E.select(flat, rank, E.like(rank, length))
    serial = IOTA(shape=flat.shape, axis=0)
    board = broadcast_to(const(-1, int64), (length + 1,))
    found = SCATTER(board, serial, place, mode="set") if flat.shape[0] else board
    found = SLICE(found, starts=(0,), sizes=(length,), steps=(1,))
    filled = M.lt(found, E.like(found, 0))
    fills = fill_value if isinstance(fill_value, tuple) else (fill_value,) * node.rank
    out: list[Array] = []
    rest = found
    for n, fill in zip(reversed(node.shape), reversed(fills), strict=True):
        size = size_of(n, int64)
        step = E.select(M.gt(size, const(0, int64)), size, const(1, int64))
        step = broadcast_to(step, rest.shape)
        index = M.remainder(rest, step)
        rest = M.floor_divide(rest, step)
        out.append(from_node(E.select(filled, E.cast(node_of(fill), int64), index)))
    return tuple(reversed(out))


__all__ = ["bincount", "histogram", "unique"]
