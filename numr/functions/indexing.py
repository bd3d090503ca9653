"""Indexing as NumPy has it: slices stay slices, and everything else becomes one gather."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numr import messages
from numr.array import Array, from_node, to_array
from numr.devices import to_host
from numr.dtypes import bool_, int64
from numr.errors import DTypeError, IndexOutOfRangeError, ShapeError, TracedValueError
from numr.functions.operands import broadcast_shapes, node_of, normalized_axis, plain
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.symbolic import Symbolic, is_nothing, largest
from numr.primitives import shape as P
from numr.primitives.elementwise import add, cast, select
from numr.primitives.indexing import GATHER
from numr.primitives.mathematics import lt
from numr.primitives.source import CONST, IOTA, const, constant_value, size_of

# What stands in a selection's layout for a new axis, and for the axes of the index arrays.
NEW, PICKED = "new", "picked"


class Selection:
    """An index expression taken apart, for an array of a given shape.

    Applied to an array it is, in this order: a slice of every axis (`starts`, `sizes`, `steps`),
    reversal of the axes in `flips`, index arrays on the axes that are keys of `arrays`, and the
    arrangement of the result's axes in `layout`, whose entries are NEW, PICKED or an axis of x.
    """

    def __init__(self, key: Any, shape: Shape) -> None:
        items = _items(key, shape)
        self.shape = shape
        self.starts: list[int] = []
        self.sizes: list[int] = []
        self.steps: list[int] = []
        self.flips: list[int] = []
        self.arrays: dict[int, Node] = {}
        self.layout: list[Any] = []
        gathers = any(isinstance(item, Node) for item in items)
        blocks: list[int] = []  # where index arrays stand among the items
        for position, item in enumerate(items):
            axis = len(self.starts)
            if item is Ellipsis:
                continue  # stands for no axes, and still separates index arrays
            if item is None:
                self.layout.append(NEW)
            elif isinstance(item, slice):
                self._slice(item, axis, shape[axis])
                self.layout.append(axis)
            elif gathers:
                # Beside index arrays an integer is an index array without axes.
                self._take(0, shape[axis], 1)
                self.arrays[axis] = _from_front(item, shape[axis])
                self.layout += [] if blocks else [PICKED]
                blocks.append(position)
            else:
                self._take(item + shape[axis] if item < 0 else item, 1, 1)
        if blocks and blocks[-1] - blocks[0] != len(blocks) - 1:
            # Index arrays with something else between them: their axes come first.
            self.layout.remove(PICKED)
            self.layout.insert(0, PICKED)
        self.lead = broadcast_shapes("indexing", [i.shape for i in self.arrays.values()])

    def _take(self, start: int, size: int, step: int) -> None:
        self.starts.append(start)
        self.sizes.append(size)
        self.steps.append(step)

    def _slice(self, item: slice, axis: int, n: int) -> None:
        bounds = [_bound(b) for b in (item.start, item.stop, item.step)]
        if any(isinstance(m, Symbolic) for m in (n, *bounds)):
            start, stop, step = _indices(bounds, n)
            count = largest(
                [0, -(-(stop - start) // step) if step > 0 else -((stop - start) // -step)]
            )
        else:
            start, stop, step = slice(*bounds).indices(int(n))
            count = len(range(start, stop, step))
        if step < 0:
            start, step = start + (count - 1) * step, -step
            self.flips += [axis] if count != 1 else []
        # A slice of everything keeps the identity of the length.
        whole = count == n and step == 1
        start = 0 if is_nothing(count) else start
        self._take(start, n if whole else count, step if count != 1 else 1)

    @property
    def rest(self) -> tuple[int, ...]:
        """The axes without index arrays."""
        return tuple(a for a in range(len(self.shape)) if a not in self.arrays)

    @property
    def whole(self) -> bool:
        """Whether the slices take everything as it is."""
        return tuple(self.sizes) == self.shape and not self.flips

    def slice(self, x: Node) -> Node:
        """The basic part of the selection; axes indexed by an integer still have length 1."""
        if tuple(self.sizes) != x.shape:
            starts, sizes, steps = (tuple(v) for v in (self.starts, self.sizes, self.steps))
            x = P.SLICE(x, starts=starts, sizes=sizes, steps=steps)
        return P.FLIP(x, axes=tuple(self.flips)) if self.flips else x

    def line(self, axis: int) -> Node:
        """The positions that the slice of one axis selects."""
        n, size = self.shape[axis], self.sizes[axis]
        place = IOTA(shape=(n,), axis=0)
        if size != n:
            starts, steps = (self.starts[axis],), (self.steps[axis],)
            place = P.SLICE(place, starts=starts, sizes=(size,), steps=steps)
        return P.FLIP(place, axes=(0,)) if axis in self.flips else place

    def indices(self) -> list[Node]:
        """The index arrays, of one shape."""
        return [P.broadcast_to(i, self.lead) for i in self.arrays.values()]

    def gather(self, x: Node) -> Node:
        """The whole selection of x."""
        x = self.slice(x)
        if self.arrays:
            x = GATHER(P.permute(x, (*self.arrays, *self.rest)), *self.indices())
        return self.arrange(x)

    def arrange(self, x: Node) -> Node:
        """From axes (lead .., rest ..), which gather gives, to those of the result."""
        order, shape = self._arrangement(x)
        kept = P.reshape(x, tuple(x.shape[i] for i in sorted(order)))
        ranks = {axis: k for k, axis in enumerate(sorted(order))}
        return P.reshape(P.permute(kept, [ranks[i] for i in order]), shape)

    def disarrange(self, x: Node, like: Shape) -> Node:
        """From the axes of the result back to (lead .., rest ..), whose shape is given."""
        order, _ = self._arrangement_of(like)
        kept = P.reshape(x, tuple(like[i] for i in order))
        return P.reshape(P.permute(kept, P.inverse_order(_ranks(order))), like)

    def _arrangement(self, x: Node) -> tuple[list[int], Shape]:
        return self._arrangement_of(x.shape)

    def _arrangement_of(self, shape: Shape) -> tuple[list[int], Shape]:
        """Which axes of (lead .., rest ..) make the result's, in order, and the result's shape."""
        lead = len(self.lead) if self.arrays else 0
        place = {axis: lead + k for k, axis in enumerate(self.rest)}
        order: list[int] = []
        result: list[int] = []
        for entry in self.layout:
            if entry is NEW:
                result.append(1)
                continue
            axes = list(range(lead)) if entry is PICKED else [place[entry]]
            order += axes
            result += [shape[a] for a in axes]
        return order, tuple(result)


def _ranks(order: list[int]) -> list[int]:
    ranks = {axis: k for k, axis in enumerate(sorted(order))}
    return [ranks[i] for i in order]


def _indices(bounds: Sequence[Any], n: int) -> tuple[int, int, int]:
    """`slice(*bounds).indices(n)`, also for lengths that are formulas."""
    start, stop, step = bounds
    step = 1 if step is None else step
    first, last = (0, n) if step > 0 else (-1, n - 1)

    def clipped(bound: int | None, default: int) -> int:
        if bound is None:
            return default
        place = bound + n if bound < 0 else bound
        return first if place < first else last if place > last else place

    return (
        clipped(start, first if step > 0 else last),
        clipped(stop, last if step > 0 else first),
        step,
    )


def _bound(value: Any) -> Any:
    """A bound of a slice, which decides a shape and must be known."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, Array):
        trace = value.node.trace
        if trace is not None and trace.blocker() is not None:
            raise TracedValueError(
                "the bounds of a slice decide a shape, and this one is a traced value\n"
                "  use nr.take(x, start + nr.arange(length)) for a window that moves, nr.where with "
                "nr.arange for one that grows, or static_argnums for a bound that is an argument"
            )
    return value.__index__()


def _from_front(item: Any, n: int) -> Node:
    """An index as int64 counted from the front."""
    if isinstance(item, Node):
        return wrapped(item, n)
    return add(size_of(n, int64), const(item, int64)) if item < 0 else const(item, int64)


def wrapped(index: Node, n: int) -> Node:
    """An index array as int64, with negative indices counted from the end of an axis of length n."""
    unsigned = index.dtype.kind == "u"
    index = cast(index, int64)
    if unsigned:
        return index
    return select(lt(index, const(0, int64)), add(index, size_of(n, int64)), index)


def _items(key: Any, shape: Shape) -> list[Any]:
    """The index as one item for each axis of x (an int, a slice or a node), None for new axes, and
    an Ellipsis that stands for no axes."""
    parts = [_converted(item) for item in (key if isinstance(key, tuple) else (key,))]
    used = sum(_width(part) for part in parts)
    if used > len(shape):
        raise IndexOutOfRangeError(
            f"{used} indices for an array with {len(shape)} axes, of shape {plain(shape)}"
        )
    dots = [k for k, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexOutOfRangeError("an index has room for one '...'")
    at = dots[0] if dots else len(parts)
    filling: list[Any] = [slice(None)] * (len(shape) - used)
    parts[at : at + len(dots)] = filling or parts[at : at + len(dots)]
    items: list[Any] = []
    axis = 0
    for part in parts:
        if isinstance(part, Array):
            items += (
                [p.node for p in mask_positions(part, shape, axis)]
                if _is_mask(part)
                else [_checked(part, shape, axis)]
            )
        elif isinstance(part, int):
            _check(part, part, shape, axis)
            items.append(part)
        else:
            items.append(part)
        axis += _width(part)
    return items


def without_scalar_masks(x: Array, key: Any) -> tuple[Array, Any]:
    """x and an index into it without single booleans.

    A boolean is a mask over no axes at all: it adds an axis of length 1 where it holds and 0 where
    it does not. That is what an index array selects from an axis of length 1 put into x there.
    """
    parts = key if isinstance(key, tuple) else (key,)
    if not any(map(_is_scalar_mask, parts)):
        return x, key
    spread: list[Any] = []
    picks: list[Any] = []
    for part in parts:
        if _is_scalar_mask(part):
            spread.append(None)
            picks.append(np.zeros(int(_known(to_array(part))), np.int64))
            continue
        spread += [part] if part is Ellipsis else [slice(None)] * _width(_converted(part))
        picks.append(part)
    return getitem(x, tuple(spread)), tuple(picks)


def _is_scalar_mask(part: Any) -> bool:
    if isinstance(part, (bool, np.bool_)):
        return True
    return isinstance(part, (np.ndarray, Array)) and part.ndim == 0 and part.dtype.kind == "b"


def _is_mask(part: Any) -> bool:
    return isinstance(part, Array) and part.dtype is bool_


def _width(part: Any) -> int:
    """How many axes of x an item of an index takes."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if _is_mask(part) else 1


def _converted(item: Any) -> Any:
    """An item of an index: None, Ellipsis and slices as they are, integers as int, else an Array."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
        return item if isinstance(item, Symbolic) else int(item)
    if isinstance(item, (bool, np.bool_, float, complex, str, np.inexact)):
        raise DTypeError(
            f"an index is an integer, a slice, None, ... or an array of integers or booleans; "
            f"this is {item!r}"
        )
    array = to_array(item)
    if array.dtype is bool_:
        return array
    if array.dtype.kind not in "iu":
        if array.size:
            raise DTypeError(f"an index array holds integers or booleans, not {array.dtype}")
        return to_array(np.zeros(array.shape, np.int64))  # an empty list says nothing of its dtype
    given = array._node is None or array._node.device is None
    if array.ndim == 0 and array._value is not None and given:
        return int(to_host(array._value))
    return array


def _check(low: int, high: int, shape: Shape, axis: int) -> None:
    n = shape[axis]
    if low < -n or high >= n:
        raise messages.index_out_of_range(low if low < -n else high, axis, plain(shape))


def _checked(array: Array, shape: Shape, axis: int) -> Node:
    """The node of an index array. Indices known in Python are checked; others clamp at run time."""
    value, node = array._value, array.node
    if value is None and node.prim is CONST:
        value = np.asarray(constant_value(node.params["value"], node.dtype))
    if value is not None and value.size:
        value = to_host(value)
        _check(int(value.min()), int(value.max()), shape, axis)
    return node


def mask_positions(mask: Array, shape: Shape, axis: int) -> list[Array]:
    """Where a boolean mask holds, by axis. Its values decide a shape, so they must be known."""
    node = mask.node
    own = plain(node.shape)
    covered = plain(shape[axis : axis + len(own)])
    if own != covered:
        raise messages.shape_mismatch(
            "indexing by a mask",
            ("the mask", "what it covers"),
            (own, covered),
            hint="a mask has the shape of the axes it stands for",
        )
    return [to_array(p) for p in np.nonzero(_known(mask))]


def _known(mask: Array) -> Any:
    """The values of a mask, which decide a shape."""
    node = mask.node
    if node.trace is not None and node.trace.blocker() is not None:
        raise TracedValueError(
            "x[mask] has a shape that depends on the mask's values, which are not known while the "
            "function is traced\n"
            "  use nr.where(mask, x, fill) to keep the shape, x.at[mask].set(v) to assign, or sums "
            "of nr.where(mask, x, 0) to reduce"
        )
    return np.asarray(mask)


def getitem(x: Array, key: Any) -> Array:
    """x[key]. Computed indices outside their axis move to its nearest end."""
    x, key = without_scalar_masks(x, key)
    node = x.node
    return from_node(Selection(key, node.shape).gather(node))


def take(x: Any, indices: Any, /, axis: int | None = None) -> Array:
    """Elements picked along an axis by an array of indices.

    Negative indices count from the end. Indices known in Python are checked; computed ones that are
    outside the axis move to its nearest end, so that no memory outside the array is ever read.

    Args:
        x: array.
        indices: array of integers, of any shape.
        axis: axis to pick along; None to pick among all elements in row-major order.

    Returns:
        Array of x's shape with that of `indices` in place of the axis.

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for indices that are not integers.
        IndexOutOfRangeError: for a known index outside the axis.

    Examples:
        >>> import numr as nr
        >>> nr.take(nr.asarray([10, 20, 30]), nr.asarray([2, 0]))
        numr.Array([30, 10])
    """
    from numr.functions.manipulation import ravel

    array = to_array(x) if axis is not None else ravel(x)
    place = 0 if axis is None else normalized_axis("take", axis, array.ndim)
    picked = to_array(indices)
    if picked.dtype is bool_:
        raise DTypeError("take: indices are integers, not booleans; x[mask] selects by a mask")
    return getitem(array, (*(slice(None),) * place, picked))


def take_along_axis(x: Any, indices: Any, /, axis: int = -1) -> Array:
    """Elements picked line by line: out[.., k, ..] = x[.., indices[.., k, ..], ..].

    Negative indices count from the end; those outside the axis move to its nearest end.

    Args:
        x: array.
        indices: array of integers with as many axes as x, whose other axes broadcast with x's. What
            `argsort` returns is one.
        axis: axis to pick along.

    Returns:
        Array of the shape of `indices`, broadcast.

    Raises:
        AxisError: for an axis that x does not have.
        ShapeError: if the numbers of axes differ, or the shapes do not broadcast.

    Examples:
        >>> import numr as nr
        >>> nr.take_along_axis(nr.asarray([[1, 2], [3, 4]]), nr.asarray([[1], [0]]), axis=1)
        numr.Array([[2],
               [3]])
    """
    node, index = node_of(x), node_of(indices)
    if index.dtype.kind not in "iu":
        raise DTypeError(f"take_along_axis: indices are integers, not {index.dtype}")
    if node.rank != index.rank:
        shapes = (plain(node.shape), plain(index.shape))
        hint = "they need as many axes"
        raise messages.shape_mismatch("take_along_axis", ("x", "indices"), shapes, hint=hint)
    place = normalized_axis("take_along_axis", axis, node.rank)
    others = (tuple(1 if i == place else n for i, n in enumerate(v.shape)) for v in (node, index))
    common = broadcast_shapes("take_along_axis", list(others), ("x", "indices"))
    shape = tuple(index.shape[i] if i == place else n for i, n in enumerate(common))
    full = tuple(node.shape[i] if i == place else n for i, n in enumerate(common))
    index = wrapped(P.broadcast_to(index, shape), node.shape[place])
    places = (index if k == place else IOTA(shape=shape, axis=k) for k in range(node.rank))
    return from_node(GATHER(P.broadcast_to(node, full), *places))


def gather(x: Any, indices: Any, /) -> Array:
    """x[i, j, ..] for index vectors (i, j, ..) along the last axis of `indices`.

    Args:
        x: array with at least k axes.
        indices: array of integers, of shape (..., k).

    Returns:
        Array of the shape of `indices` without its last axis, followed by the axes of x that are
        not indexed.

    Raises:
        IndexOutOfRangeError: for a known index outside its axis, or more indices than axes.
        ShapeError: for indices without an axis.

    Examples:
        >>> import numr as nr
        >>> nr.gather(nr.asarray([[1, 2], [3, 4]]), nr.asarray([[0, 1], [1, 0]]))
        numr.Array([2, 3])
    """
    index = to_array(indices)
    if index.ndim == 0:
        raise ShapeError("gather: indices need a last axis, which holds the index vectors")
    if index._value is not None and index._node is None:
        parts = [to_array(index._value[..., k]) for k in range(index.shape[-1])]
    else:
        parts = [index[..., k] for k in range(index.shape[-1])]
    return getitem(to_array(x), tuple(parts)) if parts else to_array(x)


__all__ = ["gather", "take", "take_along_axis"]
