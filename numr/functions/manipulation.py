"""Shape manipulation: the same elements under other shapes and in another order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numr import messages
from numr.array import Array, from_node
from numr.errors import AxisError, ShapeError
from numr.functions.operands import broadcast_shapes as _broadcast_shapes
from numr.functions.operands import node_of, normalized_axes, normalized_axis, plain
from numr.ir.dims import Size, as_length
from numr.ir.node import Node
from numr.ir.symbolic import Symbolic, is_nothing
from numr.primitives import shape as P

Axes = int | Sequence[int] | None


def count(shape: Sequence[int]) -> int:
    """How many elements a shape has; the one length itself, with its identity, where there is one."""
    if len(shape) == 1:
        return shape[0]
    n = 1
    for length in shape:
        n *= length
    return n


def as_tuple(x: Any) -> tuple[Any, ...]:
    """One number, or several, as a tuple."""
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def reshape(x: Any, /, shape: int | Sequence[int], *, copy: bool | None = None) -> Array:
    """The elements, in row-major order, under another shape of as many elements.

    Args:
        x: array.
        shape: the new shape. One length may be -1, to be computed from the others.
        copy: accepted for the standard's sake; arrays are values, so nothing depends on it.

    Returns:
        Array of the given shape.

    Raises:
        ShapeError: if the number of elements differs.

    Examples:
        >>> import numr as nr
        >>> nr.reshape(nr.arange(6), (2, -1))
        numr.Array([[0, 1, 2],
               [3, 4, 5]])
    """
    node = node_of(x)
    wanted = [as_length(n) for n in as_tuple(shape)]
    total = count(node.shape)
    rest = 1
    for n in wanted:
        rest *= 1 if n == -1 else n
    fits = rest == total
    if -1 in wanted:
        fits = wanted.count(-1) == 1 and rest != 0 and total % rest == 0
    if not fits or any(n < -1 for n in wanted):
        raise ShapeError(
            f"reshape: an array of shape {plain(node.shape)} cannot take shape {plain(wanted)}\n"
            f"  it has {int(total)} elements, and the new shape "
            + (f"needs a multiple of {int(rest)}" if -1 in wanted else f"has {int(rest)}")
        )
    if -1 in wanted:
        # An axis that stays as it is keeps its identity.
        same = [n for n in node.shape if n == total // rest and isinstance(n, Size)]
        wanted[wanted.index(-1)] = same[0] if same else total // rest
    return from_node(P.reshape(node, tuple(wanted)))


def ravel(x: Any, /) -> Array:
    """All elements, in row-major order, along one axis.

    Args:
        x: array.

    Returns:
        Array with one axis.

    Examples:
        >>> import numr as nr
        >>> nr.ravel(nr.asarray([[1, 2], [3, 4]]))
        numr.Array([1, 2, 3, 4])
    """
    node = node_of(x)
    return from_node(node if node.rank == 1 else P.reshape(node, (count(node.shape),)))


def permute_dims(x: Any, /, axes: Sequence[int]) -> Array:
    """The axes in another order: axis i of the result is axis `axes[i]` of x.

    Args:
        x: array.
        axes: every axis of x once.

    Returns:
        Array of the permuted shape.

    Raises:
        AxisError: if `axes` does not name each axis once.

    Examples:
        >>> import numr as nr
        >>> nr.permute_dims(nr.ones((2, 3, 4)), (2, 0, 1)).shape
        (4, 2, 3)
    """
    node = node_of(x)
    order = tuple(normalized_axis("permute_dims", a, node.rank) for a in axes)
    if sorted(order) != list(range(node.rank)):
        raise AxisError(
            f"permute_dims: axes {tuple(axes)} do not name each axis of an array of shape "
            f"{plain(node.shape)} once"
        )
    return from_node(P.permute(node, order))


def transpose(x: Any, /, axes: Sequence[int] | None = None) -> Array:
    """The axes in reverse, or in a given order (NumPy's name for `permute_dims`).

    Args:
        x: array.
        axes: every axis of x once; None to reverse them.

    Returns:
        Array of the permuted shape.

    Raises:
        AxisError: if `axes` does not name each axis once.

    Examples:
        >>> import numr as nr
        >>> nr.transpose(nr.asarray([[1, 2], [3, 4]]))
        numr.Array([[1, 3],
               [2, 4]])
    """
    node = node_of(x)
    return permute_dims(x, tuple(range(node.rank))[::-1] if axes is None else axes)


def matrix_transpose(x: Any, /) -> Array:
    """The last two axes exchanged.

    Args:
        x: array of shape (..., m, n).

    Returns:
        Array of shape (..., n, m).

    Raises:
        ShapeError: for fewer than two axes.

    Examples:
        >>> import numr as nr
        >>> nr.matrix_transpose(nr.ones((4, 2, 3))).shape
        (4, 3, 2)
    """
    node = node_of(x)
    if node.rank < 2:
        raise ShapeError(f"matrix_transpose needs two axes, and the shape is {plain(node.shape)}")
    return from_node(P.permute(node, (*range(node.rank - 2), node.rank - 1, node.rank - 2)))


def swapaxes(x: Any, axis1: int, axis2: int, /) -> Array:
    """Two axes exchanged.

    Args:
        x: array.
        axis1: an axis.
        axis2: another.

    Returns:
        Array of the permuted shape.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.swapaxes(nr.ones((2, 3, 4)), 0, 2).shape
        (4, 3, 2)
    """
    node = node_of(x)
    a, b = (normalized_axis("swapaxes", k, node.rank) for k in (axis1, axis2))
    order = list(range(node.rank))
    order[a], order[b] = b, a
    return from_node(P.permute(node, order))


def moveaxis(x: Any, source: Axes, destination: Axes, /) -> Array:
    """Axes moved to other positions, the others keeping their order.

    Args:
        x: array.
        source: axis or axes to move.
        destination: where each of them goes.

    Returns:
        Array of the permuted shape.

    Raises:
        AxisError: for axes that x does not have, that repeat, or that differ in number.

    Examples:
        >>> import numr as nr
        >>> nr.moveaxis(nr.ones((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    node = node_of(x)
    sources = [normalized_axis("moveaxis", a, node.rank) for a in as_tuple(source)]
    targets = [normalized_axis("moveaxis", a, node.rank) for a in as_tuple(destination)]
    if not len(sources) == len(targets) == len(set(sources)) == len(set(targets)):
        raise AxisError(
            f"moveaxis: source {source} and destination {destination} must name as many distinct "
            "axes"
        )
    order = [i for i in range(node.rank) if i not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return from_node(P.permute(node, order))


def expand_dims(x: Any, /, axis: int | Sequence[int] = 0) -> Array:
    """New axes of length 1 at the given positions of the result.

    Args:
        x: array.
        axis: position or positions, counted in the result.

    Returns:
        Array with the new axes.

    Raises:
        AxisError: for a position outside the result, or one that repeats.

    Examples:
        >>> import numr as nr
        >>> nr.expand_dims(nr.ones(3), axis=1).shape
        (3, 1)
    """
    node = node_of(x)
    rank = node.rank + len(as_tuple(axis))
    return from_node(P.insert_axes(node, normalized_axes("expand_dims", as_tuple(axis), rank)))


def squeeze(x: Any, /, axis: Axes = None) -> Array:
    """Without axes of length 1.

    Args:
        x: array.
        axis: axis or axes to drop; None for all of length 1.

    Returns:
        Array without those axes.

    Raises:
        AxisError: for an axis that x does not have.
        ShapeError: for an axis of another length.

    Examples:
        >>> import numr as nr
        >>> nr.squeeze(nr.ones((1, 3, 1)), axis=0).shape
        (3, 1)
    """
    node = node_of(x)
    if axis is None:
        axes = tuple(i for i, n in enumerate(node.shape) if n == 1)
    else:
        axes = normalized_axes("squeeze", axis, node.rank)
    for a in axes:
        if node.shape[a] != 1:
            raise ShapeError(
                f"squeeze: axis {a} of an array of shape {plain(node.shape)} has length "
                f"{int(node.shape[a])}, not 1"
            )
    return from_node(P.reshape(node, tuple(n for i, n in enumerate(node.shape) if i not in axes)))


def broadcast_to(x: Any, /, shape: int | Sequence[int]) -> Array:
    """x repeated along new leading axes and along axes of length 1, up to a shape.

    Args:
        x: array.
        shape: the shape of the result.

    Returns:
        Array of that shape. Nothing is stored twice: what uses it reads x.

    Raises:
        ShapeError: if x does not broadcast to the shape.

    Examples:
        >>> import numr as nr
        >>> nr.broadcast_to(nr.asarray([1.0, 2.0]), (2, 2))
        numr.Array([[1., 2.],
               [1., 2.]])
    """
    node = node_of(x)
    target = as_tuple(shape)
    names = ("x", "the result")
    if _broadcast_shapes("broadcast_to", [node.shape, target], names) != target:
        shapes = [plain(node.shape), plain(target)]
        hint = "axes of length 1 and missing leading axes stretch, nothing else does"
        raise messages.shape_mismatch("broadcast_to", names, shapes, hint=hint)
    return from_node(P.broadcast_to(node, target))


def broadcast_arrays(*arrays: Any) -> list[Array]:
    """Arrays stretched to their common shape.

    Args:
        *arrays: arrays whose shapes broadcast together.

    Returns:
        The arrays, each of the common shape, in a list.

    Raises:
        ShapeError: if the shapes do not broadcast together.

    Examples:
        >>> import numr as nr
        >>> [a.shape for a in nr.broadcast_arrays(nr.ones((2, 1)), nr.ones(3))]
        [(2, 3), (2, 3)]
    """
    nodes = [node_of(a) for a in arrays]
    shape = _broadcast_shapes("broadcast_arrays", [n.shape for n in nodes])
    return [from_node(P.broadcast_to(n, shape)) for n in nodes]


def broadcast_shapes(*shapes: int | Sequence[int]) -> tuple[int, ...]:
    """The shape to which shapes broadcast.

    Args:
        *shapes: shapes; a number stands for one axis.

    Returns:
        The common shape.

    Raises:
        ShapeError: if they do not broadcast together.

    Examples:
        >>> import numr as nr
        >>> nr.broadcast_shapes((2, 1), (3,))
        (2, 3)
    """
    return _broadcast_shapes("broadcast_shapes", [as_tuple(s) for s in shapes])


def flip(x: Any, /, axis: Axes = None) -> Array:
    """Axes reversed.

    Args:
        x: array.
        axis: axis or axes to reverse; None for all.

    Returns:
        Array of x's shape.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.flip(nr.asarray([[1, 2], [3, 4]]), axis=1)
        numr.Array([[2, 1],
               [4, 3]])
    """
    node = node_of(x)
    axes = normalized_axes("flip", axis, node.rank)
    return from_node(P.FLIP(node, axes=axes) if axes else node)


def roll(x: Any, /, shift: int | Sequence[int], axis: Axes = None) -> Array:
    """Elements moved along axes; those pushed out at one end come back at the other.

    Args:
        x: array.
        shift: by how many places, for all axes or for each.
        axis: axis or axes; None to roll all elements in row-major order.

    Returns:
        Array of x's shape.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.roll(nr.arange(4), 1)
        numr.Array([3, 0, 1, 2])
    """
    node = node_of(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, axis=0), node.shape)
    if isinstance(shift, Symbolic):
        shifts, axes = [shift], [axis]
    else:
        shifts, axes = (a.ravel().tolist() for a in np.broadcast_arrays(shift, axis))
    for s, a in zip(shifts, axes, strict=True):
        place = normalized_axis("roll", a, node.rank)
        n = node.shape[place]
        if not is_nothing(n) and not is_nothing(s % n):
            cut = n - s % n
            parts = (_section(node, place, cut, n - cut), _section(node, place, 0, cut))
            node = P.reshape(P.CONCAT(*parts, axis=place), node.shape)
    return from_node(node)


def _section(x: Node, axis: int, start: int, size: int) -> Node:
    """A run of elements along one axis."""
    starts = tuple(start if i == axis else 0 for i in range(x.rank))
    sizes = tuple(size if i == axis else n for i, n in enumerate(x.shape))
    return P.SLICE(x, starts=starts, sizes=sizes, steps=(1,) * x.rank)


def rot90(x: Any, /, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """Two axes turned by k quarter turns, from the first towards the second.

    Args:
        x: array with at least two axes.
        k: how many quarter turns.
        axes: the plane that is turned.

    Returns:
        Array of x's shape, or with the two lengths exchanged.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.rot90(nr.asarray([[1, 2], [3, 4]]))
        numr.Array([[2, 4],
               [1, 3]])
    """
    out = from_node(node_of(x))
    for _ in range(k % 4):
        out = flip(swapaxes(out, *axes), axis=axes[0])
    return out


__all__ = [
    "broadcast_arrays",
    "broadcast_shapes",
    "broadcast_to",
    "expand_dims",
    "flip",
    "matrix_transpose",
    "moveaxis",
    "permute_dims",
    "ravel",
    "reshape",
    "roll",
    "rot90",
    "squeeze",
    "swapaxes",
    "transpose",
]
