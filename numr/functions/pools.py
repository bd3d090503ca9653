"""Windows over the last axes of an array, and what is made of each: pools of neural networks."""

from __future__ import annotations

from typing import Any

from numr.array import Array, from_node
from numr.errors import ShapeError
from numr.functions.declare import REALS
from numr.functions.operands import default_float, node_of, normalized_axis, plain, promoted
from numr.functions.windowing import Numbers, padded, paddings, whole_numbers, window_counts
from numr.ir.node import Node
from numr.primitives.elementwise import div
from numr.primitives.reduction import reduce_max, reduce_sum
from numr.primitives.shape import full_like
from numr.primitives.source import const, lowest
from numr.primitives.windows import windows


def _pooled_axes(name: str, x: Node, window: Any) -> int:
    """How many of the last axes are pooled."""
    many = len(window) if isinstance(window, (tuple, list)) else x.rank - 2
    if not 1 <= many <= x.rank:
        raise ShapeError(
            f"{name}: window {window!r} does not fit x of shape {plain(x.shape)}: a tuple has one "
            "length for each of the last axes, and a number needs x of shape (N, C, L, ..)"
        )
    return many


def _seen(
    name: str, x: Node, window: Any, stride: Any, padding: Any, dilation: Any, outside: Any
) -> tuple[Node, tuple[int, ...]]:
    """The windows of x, and the axes of their elements."""
    many = _pooled_axes(name, x, window)
    first = x.rank - many
    sizes = whole_numbers(name, "window", window, many, 1)
    strides = sizes if stride is None else whole_numbers(name, "stride", stride, many, 1)
    dilations = whole_numbers(name, "dilation", dilation, many, 1)
    widths = paddings(name, padding, x.shape[first:], sizes, strides, dilations)
    for (low, high), k, d in zip(widths, sizes, dilations, strict=True):
        if max(low, high) > d * (k - 1):
            raise ShapeError(
                f"{name}: a padding of {max(low, high)} leaves windows of {k} that see nothing of x"
            )
    x = padded(x, widths, outside)
    counts = window_counts(name, x.shape[first:], sizes, strides, dilations)
    seen = windows(x, range(first, first + many), sizes, strides, dilations, counts)
    return seen, tuple(range(x.rank, x.rank + many))


def max_pool(
    x: Any,
    window: Numbers,
    /,
    *,
    stride: Numbers | None = None,
    padding: Any = 0,
    dilation: Numbers = 1,
) -> Array:
    """The greatest element of each window; NaN if any is.

    Elements that tie for it share its derivative equally.

    Args:
        x: array of real numbers; of shape (N, C, L, ..) where `window` is one number.
        window: lengths of the window along the last axes of x, one for each in a tuple; one number
            is for all axes but the first two.
        stride: how far the window moves; by default its own length.
        padding: places added around, which are never the greatest: a number, one for each axis, a
            pair for each axis, "valid" for none, or "same" for ceil(length / stride) windows.
        dilation: how far the elements of a window are apart.

    Returns:
        Array of x's dtype, with (length + padding - dilation * (window - 1) - 1) // stride + 1 places
        along each pooled axis.

    Raises:
        DTypeError: for booleans and complex numbers.
        ShapeError: for windows that do not fit into x, or that padding alone would fill.

    Examples:
        >>> import numr as nr
        >>> nr.max_pool(nr.asarray([[1, 5, 2, 0], [3, 4, 9, 1]]), (2, 2))
        numr.Array([[5, 9]])
    """
    (node,), _ = promoted("max_pool", (x,), REALS)
    outside = lowest(node.dtype)
    seen, axes = _seen("max_pool", node, window, stride, padding, dilation, outside)
    return from_node(reduce_max(seen, axes=axes))


def avg_pool(
    x: Any,
    window: Numbers,
    /,
    *,
    stride: Numbers | None = None,
    padding: Any = 0,
    dilation: Numbers = 1,
    count_include_pad: bool = True,
) -> Array:
    """The mean of each window.

    Args:
        x: array of real or complex numbers; of shape (N, C, L, ..) where `window` is one number.
        window: lengths of the window along the last axes of x, one for each in a tuple; one number
            is for all axes but the first two.
        stride: how far the window moves; by default its own length.
        padding: zeros added around: as in `max_pool`.
        dilation: how far the elements of a window are apart.
        count_include_pad: divide by the window's size everywhere; otherwise by the number of
            elements of x that it sees.

    Returns:
        Array of a floating dtype (integers are converted to float64), with
        (length + padding - dilation * (window - 1) - 1) // stride + 1 places along each pooled axis.

    Raises:
        ShapeError: for windows that do not fit into x, or that padding alone would fill.

    Examples:
        >>> import numr as nr
        >>> nr.avg_pool(nr.asarray([1.0, 5.0, 2.0, 4.0]), (2,))
        numr.Array([3., 3.])
    """
    (node,), _ = promoted("avg_pool", (x,), "fc", default_float())
    options = (window, stride, padding, dilation, 0)
    seen, axes = _seen("avg_pool", node, *options)
    total = reduce_sum(seen, axes=axes)
    if count_include_pad:
        size = 1
        for a in axes:
            size *= seen.shape[a]
        return from_node(div(total, const(size, node.dtype)))
    ones, _ = _seen("avg_pool", full_like(node, 1), *options)
    return from_node(div(total, reduce_sum(ones, axes=axes)))


def unfold(x: Any, axis: int, size: int, step: int = 1, /) -> Array:
    """All windows of a length along an axis, each along a new last axis.

    Args:
        x: array.
        axis: axis along which the windows lie.
        size: length of a window.
        step: how far a window is from the next.

    Returns:
        Array of x's shape with (length - size) // step + 1 in place of the axis' length, and a last
        axis of `size`.

    Raises:
        AxisError: for an axis that x does not have.
        ShapeError: for a window longer than the axis.

    Examples:
        >>> import numr as nr
        >>> nr.unfold(nr.arange(5), 0, 3, 2)
        numr.Array([[0, 1, 2],
               [2, 3, 4]])
    """
    node = node_of(x)
    place = normalized_axis("unfold", axis, node.rank)
    (size,) = whole_numbers("unfold", "size", size, 1, 1)
    (step,) = whole_numbers("unfold", "step", step, 1, 1)
    counts = window_counts("unfold", (node.shape[place],), (size,), (step,), (1,))
    return from_node(windows(node, (place,), (size,), (step,), (1,), counts))


__all__ = ["avg_pool", "max_pool", "unfold"]
