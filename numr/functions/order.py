"""What is found by putting lines in order: the greatest few, quantiles, the median."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numr.array import Array, from_node, to_array
from numr.dtypes import int64
from numr.errors import ShapeError, UnsupportedError
from numr.functions.declare import ORDERED
from numr.functions.indexing import take, take_along_axis
from numr.functions.manipulation import count
from numr.functions.operands import default_float, normalized_axes, normalized_axis, plain, promoted
from numr.functions.reductions import Axes
from numr.functions.searching import argsort
from numr.ir.node import Node
from numr.primitives import elementwise as E
from numr.primitives import mathematics as M
from numr.primitives import sorting as S
from numr.primitives.shape import BROADCAST, SLICE, permute, reshape
from numr.primitives.source import const, size_of

METHODS = ("linear", "lower", "higher", "nearest", "midpoint")


class TopK(NamedTuple):
    """What `topk` returns."""

    values: Array
    indices: Array


def topk(x: Any, k: int, /, *, axis: int = -1, largest: bool = True) -> TopK:
    """The k greatest elements of each line along an axis, from the greatest on, and where they are.

    NaN counts as greatest, as in `sort`; of equal elements the first comes first. The derivative of
    the values follows each element from its place.

    Args:
        x: array of real numbers or booleans.
        k: how many, at most the length of the axis.
        axis: axis along which lines lie.
        largest: False for the k least, from the least on.

    Returns:
        (values, indices): of x's shape with k places along the axis; of x's dtype and of int64.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for a k that is negative or longer than the axis.

    Examples:
        >>> import numr as nr
        >>> nr.topk(nr.asarray([3, 1, 4, 1, 5]), 2)
        TopK(values=numr.Array([5, 4]), indices=numr.Array([4, 2]))
    """
    (node,), _ = promoted("topk", (x,), ORDERED)
    place = normalized_axis("topk", axis, node.rank)
    if not isinstance(k, int) or not 0 <= k <= node.shape[place]:
        raise ShapeError(
            f"topk: k is from 0 to {int(node.shape[place])}, the length of axis {place} of x of shape "
            f"{plain(node.shape)}, not {k!r}"
        )
    order = argsort(from_node(node), axis=place, descending=largest).node
    sizes = tuple(k if i == place else n for i, n in enumerate(node.shape))
    steps = (1,) * node.rank
    first = from_node(SLICE(order, starts=(0,) * node.rank, sizes=sizes, steps=steps))
    return TopK(take_along_axis(from_node(node), first, axis=place), first)


def _known_share(q: Any) -> None:
    """Check quantiles that are known."""
    if isinstance(q, (int, float)):
        values = np.asarray(float(q))
    else:
        array = to_array(q)
        if array._value is None or array.node.trace is not None:
            return
        values = np.asarray(array)
    if not ((values >= 0) & (values <= 1)).all():
        raise UnsupportedError(f"quantile: q is from 0 to 1, not {values.tolist()}")


def quantile(
    x: Any, q: Any, /, axis: Axes = None, *, method: str = "linear", keepdims: bool = False
) -> Array:
    """What a share q of the elements is below, as `numpy.quantile`.

    In the sorted line of n elements it is at the place (n - 1) * q. Between two elements a and b, a
    share t of the way, the method says what it is: "linear" a + (b - a) * t, "lower" a, "higher" b,
    "nearest" the nearer (in the middle that at the even place), "midpoint" (a + b) / 2. Derivatives
    go to those elements, and through q for "linear".

    Args:
        x: array of real numbers. If any element of a line is NaN, its quantiles are.
        q: number or array of numbers from 0 to 1; computed ones outside count as the nearest end.
        axis: axis or axes to reduce; None for all.
        method: one of the five.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of the shape of q followed by that of x without the reduced axes, of a floating dtype
        (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for lines without elements.
        UnsupportedError: for another method, or a known q outside 0 to 1.

    Examples:
        >>> import numr as nr
        >>> nr.quantile(nr.asarray([4.0, 1.0, 2.0, 3.0]), nr.asarray([0.0, 0.5, 0.75]))
        numr.Array([1.  , 2.5 , 3.25])
    """
    if method not in METHODS:
        names = ", ".join(map(repr, METHODS))
        raise UnsupportedError(f"quantile: method {method!r} is not one of {names}")
    (node, share), _ = promoted("quantile", (x, q), "f", default_float())
    _known_share(q)
    axes = normalized_axes("quantile", axis, node.rank)
    rest = tuple(i for i in range(node.rank) if i not in axes)
    n = count(tuple(node.shape[a] for a in axes)) if axes else 1
    if n == 0:
        raise ShapeError(f"quantile: x of shape {plain(node.shape)} has no elements along {axes}")
    lines = reshape(permute(node, (*rest, *axes)), (*(node.shape[i] for i in rest), n))
    line = S.sort(lines, axis=len(rest))
    found = _between(line, share, n, method)  # (rest.., q..)
    order = (*range(len(rest), found.rank), *range(len(rest)))
    found = permute(found, order)
    if not keepdims:
        return from_node(found)
    lead = found.shape[: share.rank]
    return from_node(
        reshape(found, (*lead, *(1 if i in axes else m for i, m in enumerate(node.shape))))
    )


def _between(line: Node, share: Node, n: int, method: str) -> Node:
    """The quantiles of sorted lines along the last axis, along new last axes."""
    dtype, last = line.dtype, E.sub(size_of(n, int64), const(1, int64))
    place = E.mul(share, E.cast(last, dtype))
    below = M.floor(place)
    part = E.sub(place, below)
    low = E.cast(below, int64)
    high = M.maximum(M.minimum(E.add(low, E.like(low, 1)), last), E.like(low, 0))
    low = M.maximum(low, E.like(low, 0))

    def at(index: Node) -> Node:
        return take(from_node(line), from_node(index), axis=-1).node

    a, b = at(low), at(high)
    t = BROADCAST(part, shape=a.shape, axes=tuple(range(a.rank - share.rank, a.rank)))
    zero, half = E.like(t, 0), E.like(t, 0.5)
    exact = M.eq(t, zero)
    if method == "lower":
        out = a
    elif method == "higher":
        out = E.select(exact, a, b)
    elif method == "nearest":
        odd = M.ne(M.floor(E.mul(below, E.like(below, 0.5))), E.mul(below, E.like(below, 0.5)))
        odd = BROADCAST(odd, shape=a.shape, axes=tuple(range(a.rank - share.rank, a.rank)))
        up = M.bit_or(M.gt(t, half), M.bit_and(M.eq(t, half), odd))
        out = E.select(up, b, a)
    else:
        if method == "midpoint":
            t = E.select(exact, zero, half)
        step = E.sub(b, a)
        out = E.select(
            M.lt(t, half), E.add(a, E.mul(step, t)), E.sub(b, E.mul(step, E.sub(E.like(t, 1), t)))
        )
        # Infinities are not reached by steps: what is on the way to one is it.
        first, second = M.isinf(a), M.isinf(b)
        into = M.bit_and(second, M.invert(M.bit_or(first, exact)))
        alone = M.bit_and(first, M.bit_or(M.eq(a, b), M.invert(second)))
        alone = M.bit_or(alone, M.bit_and(exact, M.bit_or(first, second)))
        out = E.select(alone, a, E.select(into, b, out))
    worst = at(BROADCAST(last, shape=share.shape, axes=()) if share.rank else last)
    return E.select(M.isnan(worst), worst, out)


def median(x: Any, /, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The middle element in order, or the mean of the two in the middle.

    Args:
        x: array of real numbers. If any element of a line is NaN, its median is.
        axis: axis or axes to reduce; None for all.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array without the reduced axes, of a floating dtype (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for lines without elements.

    Examples:
        >>> import numr as nr
        >>> nr.median(nr.asarray([[5.0, 1.0, 2.0], [1.0, 9.0, 3.0]]), axis=1)
        numr.Array([2., 3.])
    """
    return quantile(x, 0.5, axis, keepdims=keepdims)


__all__ = ["median", "quantile", "topk"]
