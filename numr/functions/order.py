"""What is found by putting lines in order: the greatest few, quantiles, the median."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from numr.array import Array, from_node, to_array
from numr.dtypes import bool_, int64
from numr.errors import ShapeError, UnsupportedError
from numr.functions.declare import ORDERED
from numr.functions.indexing import take, take_along_axis
from numr.functions.logic import where
from numr.functions.manipulation import count
from numr.functions.operands import (
    default_float,
    length_of,
    normalized_axes,
    normalized_axis,
    plain,
    promoted,
)
from numr.functions.reductions import Axes
from numr.functions.searching import argsort
from numr.ir.node import Node
from numr.primitives import elementwise as E
from numr.primitives import mathematics as M
from numr.primitives import sorting as S
from numr.primitives.shape import BROADCAST, SLICE, permute, reshape
from numr.primitives.source import const, size_of


class _Method(NamedTuple):
    """A kind of quantile.

    Attributes:
        place: where it is in a sorted line of n elements that count from 0, given n and q.
        share: how far it is from the element below that place to the next one, given how far the place
            is, and the number of the element below; a boolean says that it is one of the two.
    """

    place: Callable[[Any, Any], Any]
    share: Callable[[Any, Any], Any]


def _continuous(alpha: float, beta: float) -> _Method:
    """Hyndman and Fan's family of methods that follow q."""
    at = lambda n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1
    return _Method(at, lambda t, below: t)


def _is_odd(below: Any) -> Any:
    return below * 0.5 != from_node(M.floor((below * 0.5).node))


def _within(n: Any, q: Any) -> Any:
    return (n - 1) * q


_METHODS = {
    "linear": _Method(_within, lambda t, below: t),
    "lower": _Method(_within, lambda t, below: t < 0.0),
    "higher": _Method(_within, lambda t, below: t > 0.0),
    "nearest": _Method(_within, lambda t, below: (t > 0.5) | ((t == 0.5) & _is_odd(below))),
    "midpoint": _Method(_within, lambda t, below: where(t == 0.0, 0.0, 0.5)),
    "inverted_cdf": _Method(lambda n, q: n * q - 1, lambda t, below: t > 0.0),
    "averaged_inverted_cdf": _Method(
        lambda n, q: n * q - 1, lambda t, below: where(t == 0.0, 0.5, 1.0)
    ),
    "closest_observation": _Method(
        lambda n, q: n * q - 1 - 0.5, lambda t, below: (t != 0.0) | ~_is_odd(below)
    ),
    "interpolated_inverted_cdf": _continuous(0.0, 1.0),
    "hazen": _continuous(0.5, 0.5),
    "weibull": _continuous(0.0, 0.0),
    "median_unbiased": _continuous(1 / 3, 1 / 3),
    "normal_unbiased": _continuous(3 / 8, 3 / 8),
}


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
    k = length_of("topk", "k", k)
    if k > node.shape[place]:
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
    "nearest" the nearer (in the middle that at the even place), "midpoint" (a + b) / 2. NumPy's other
    eight methods are those of Hyndman and Fan with other places: "inverted_cdf",
    "averaged_inverted_cdf" and "closest_observation" take elements, "interpolated_inverted_cdf", "hazen",
    "weibull", "median_unbiased" and "normal_unbiased" interpolate. Derivatives go to the elements a and
    b, and through q where there is interpolation.

    Args:
        x: array of real numbers. If any element of a line is NaN, its quantiles are.
        q: number or array of numbers from 0 to 1; computed ones outside count as the nearest end.
        axis: axis or axes to reduce; None for all.
        method: one of these.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of the shape of q followed by that of x without the reduced axes, of a floating dtype
        (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for lines without elements.
        UnsupportedError: for another method, or a known q outside 0 to 1.

    References:
        Hyndman, Fan, Sample quantiles in statistical packages (1996).

    Examples:
        >>> import numr as nr
        >>> nr.quantile(nr.asarray([4.0, 1.0, 2.0, 3.0]), nr.asarray([0.0, 0.5, 0.75]))
        numr.Array([1.  , 2.5 , 3.25])
    """
    if method not in _METHODS:
        names = ", ".join(map(repr, _METHODS))
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
    last = E.sub(size_of(n, int64), const(1, int64))
    kind = _METHODS[method]
    place = kind.place(from_node(E.cast(size_of(n, int64), line.dtype)), from_node(share)).node
    below = M.floor(place)
    low = E.cast(below, int64)
    high = E.add(low, E.like(low, 1))
    zeroth = E.like(low, 0)

    def at(index: Node) -> Node:
        return take(from_node(line), from_node(index), axis=-1).node

    a, b = (at(M.maximum(M.minimum(index, last), zeroth)) for index in (low, high))
    t = kind.share(from_node(E.sub(place, below)), from_node(below)).node
    t = BROADCAST(t, shape=a.shape, axes=tuple(range(a.rank - share.rank, a.rank)))
    out = E.select(t, b, a) if t.dtype is bool_ else _on_the_way(a, b, E.cast(t, a.dtype))
    worst = at(BROADCAST(last, shape=share.shape, axes=()) if share.rank else last)
    return E.select(M.isnan(worst), worst, out)


def _on_the_way(a: Node, b: Node, t: Node) -> Node:
    """What is a share t of the way from a to b."""
    start, end = M.eq(t, E.like(t, 0)), M.eq(t, E.like(t, 1))
    step = E.sub(b, a)
    near = E.add(a, E.mul(step, t))
    far = E.sub(b, E.mul(step, E.sub(E.like(t, 1), t)))
    out = E.select(M.lt(t, E.like(t, 0.5)), near, far)
    # Infinities are not reached by steps: what is on the way to one is it.
    first, second = M.isinf(a), M.isinf(b)
    into = M.bit_and(second, M.invert(M.bit_or(first, start)))
    alone = M.bit_and(first, M.bit_or(M.eq(a, b), M.invert(second)))
    alone = M.bit_or(alone, M.bit_and(start, M.bit_or(first, second)))
    return E.select(end, b, E.select(alone, a, E.select(into, b, out)))


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
