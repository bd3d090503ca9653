"""Indexing: basic slices become slices, index arrays become one gather; updates mirror them."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr.array import Array, from_node, to_array
from numr.dtypes import bool_, int64
from numr.errors import IndexOutOfRangeError, TracedValueError
from numr.functions.operands import broadcast_shapes, node_of, normalized_axis
from numr.ir.node import Node
from numr.primitives import shape as P
from numr.primitives.elementwise import add, cast, select
from numr.primitives.indexing import GATHER
from numr.primitives.mathematics import lt
from numr.primitives.source import CONST, IOTA, const, constant_value, size_of


class Selection:
    """A NumPy index expression taken apart.

    First a slice of every axis (`starts`, `sizes`, `steps`, then flips), then index arrays on the axes
    in `gathered`, then new axes. `placed` is where the index arrays' shape goes in the result.
    """

    def __init__(self, key: Any, shape: tuple[int, ...]) -> None:
        items = _expand(key, shape)
        self.shape = shape
        self.starts: list[int] = []
        self.sizes: list[int] = []
        self.steps: list[int] = []
        self.flips: list[int] = []
        self.dropped: list[int] = []  # axes indexed by an integer
        self.arrays: dict[int, Node] = {}  # axes indexed by an array
        self.layout: list[Any] = []  # the result's axes: "new", or a source axis, in order
        self.separated = False
        axis = 0
        blocks: list[int] = []
        for position, item in enumerate(items):
            if item is None:
                self.layout.append("new")
                continue
            n = shape[axis]
            if isinstance(item, slice):
                self._slice(item, axis, n)
            elif isinstance(item, Node):
                self.starts.append(0)
                self.sizes.append(n)
                self.steps.append(1)
                self.arrays[axis] = wrapped(item, n)
                blocks.append(position)
            else:
                i = int(item)
                if not -n <= i < n:
                    raise IndexOutOfRangeError(
                        f"index {i} is out of range for axis {axis} of length {int(n)} (shape {tuple(map(int, shape))})"
                    )
                self.starts.append(i + n if i < 0 else i)
                self.sizes.append(1)
                self.steps.append(1)
                self.dropped.append(axis)
                if self._has_arrays(items):
                    # Beside index arrays an integer is an index array of no axes, as NumPy has it.
                    self.dropped.pop()
                    self.starts[-1], self.sizes[-1] = 0, n
                    self.arrays[axis] = const(i + int(n) if i < 0 else i, int64)
                    blocks.append(position)
            if not isinstance(item, slice) and axis in self.arrays and len(blocks) == 1:
                self.layout.append("arrays")
            elif isinstance(item, slice):
                self.layout.append(axis)
            axis += 1
        if blocks and blocks != list(range(blocks[0], blocks[0] + len(blocks))):
            self.separated = True
            self.layout.remove("arrays")
            self.layout.insert(0, "arrays")

    @staticmethod
    def _has_arrays(items: list[Any]) -> bool:
        return any(isinstance(i, Node) for i in items)

    def _slice(self, item: slice, axis: int, n: int) -> None:
        bounds = [_as_int(b) for b in (item.start, item.stop, item.step)]
        start, stop, step = slice(*bounds).indices(int(n))
        count = len(range(start, stop, step))
        if step < 0:
            start, step = start + (count - 1) * step, -step
            if count:
                self.flips.append(axis)
        whole = start == 0 and count == n and step == 1
        if count == 0:
            start = 0
        self.starts.append(start)
        self.sizes.append(n if whole else count)
        self.steps.append(step)

    @property
    def is_slice(self) -> bool:
        return not self.arrays

    def slice(self, x: Node) -> Node:
        """The basic part: slices and flips, dropped axes still of length 1."""
        sizes = tuple(self.sizes)
        if sizes != x.shape or any(s != 1 for s in self.steps):
            x = P.SLICE(x, starts=tuple(self.starts), sizes=sizes, steps=tuple(self.steps))
        return P.FLIP(x, axes=tuple(self.flips)) if self.flips else x

    def gather(self, x: Node) -> Node:
        """The whole selection of x."""
        x = self.slice(x)
        if not self.arrays:
            shape = tuple(1 if a == "new" else x.shape[a] for a in self.layout)
            return P.reshape(x, shape)
        axes = list(self.arrays)
        rest = [a for a in range(x.rank) if a not in self.arrays]
        lead = broadcast_shapes("indexing", [i.shape for i in self.arrays.values()])
        indices = [P.broadcast_to(i, lead) for i in self.arrays.values()]
        out = GATHER(P.permute(x, (*axes, *rest)), *indices)
        # Now (lead..., rest...): drop integer axes, put the lead where NumPy puts it, add new axes.
        kept = [a for a in rest if a not in self.dropped]
        position = {a: len(lead) + k for k, a in enumerate(kept)}
        order: list[int] = []
        full: list[int] = []
        for a in self.layout:
            if a == "new":
                full.append(1)
            elif a == "arrays":
                order += range(len(lead))
                full += lead
            else:
                order.append(position[a])
                full.append(x.shape[a])
        squeezed = P.reshape(out, (*lead, *(x.shape[a] for a in kept)))
        return P.reshape(P.permute(squeezed, order), tuple(full))


def _as_int(value: Any) -> Any:
    if value is None or isinstance(value, int):
        return value
    if (
        isinstance(value, Array)
        and value.node.trace is not None
        and value.node.trace.blocker() is not None
    ):
        raise TracedValueError(
            "a slice bound must be known while the function is traced, but it is a traced value; use nr.take with "
            "start + nr.arange(length), or mark the argument static"
        )
    return value.__index__()


def _expand(key: Any, shape: tuple[int, ...]) -> list[Any]:
    """The index as a list: Ellipsis replaced, arrays as nodes, boolean masks as positions."""
    items = list(key) if isinstance(key, tuple) else [key]
    found: list[Any] = []
    used = 0
    for item in items:
        if item is None or item is Ellipsis or isinstance(item, slice):
            found.append(item)
            used += isinstance(item, slice)
            continue
        if isinstance(item, (int, np.integer)) and not isinstance(item, (bool, np.bool_)):
            found.append(item)
            used += 1
            continue
        if isinstance(item, (float, str, complex)):
            raise TypeError(
                f"an index is an integer, slice, None, ... or array of integers or booleans, not {item!r}"
            )
        array = (
            to_array(np.asarray(item))
            if isinstance(item, (list, bool, np.bool_))
            else to_array(item)
        )
        if array.dtype is bool_:
            positions = mask_positions(array, shape, used)
            found.extend(p.node for p in positions)
            used += len(positions)
            continue
        if array.dtype.kind not in "iu":
            if array.size:
                raise TypeError(f"an index array holds integers or booleans, not {array.dtype}")
            array = to_array(np.zeros(array.shape, np.int64))
        _check_constant(array, shape, used)
        if array.ndim == 0 and array._value is not None and array._node is None:
            found.append(int(array._value))
        else:
            found.append(array.node)
        used += 1
    if used > len(shape):
        raise IndexOutOfRangeError(
            f"{used} indices for an array with {len(shape)} axes (shape {tuple(map(int, shape))})"
        )
    rest = [slice(None)] * (len(shape) - used)
    if any(f is Ellipsis for f in found):
        if sum(f is Ellipsis for f in found) > 1:
            raise IndexOutOfRangeError("an index may hold one '...'")
        at = next(k for k, f in enumerate(found) if f is Ellipsis)
        return found[:at] + rest + found[at + 1 :]
    return found + rest


def mask_positions(mask: Array, shape: tuple[int, ...], axis: int) -> list[Array]:
    """Where a boolean mask holds. Its values decide a shape, so they must be known."""
    node = mask.node
    own = tuple(map(int, node.shape))
    if own != tuple(map(int, shape[axis : axis + len(own)])):
        raise IndexOutOfRangeError(
            f"a boolean mask of shape {own} does not fit the axes {tuple(map(int, shape[axis:]))} it indexes"
        )
    if node.trace is not None and node.trace.blocker() is not None:
        raise TracedValueError(
            "x[mask] has a shape that depends on the mask's values, which are not known while the function is traced; "
            "use nr.where(mask, x, fill) to keep the shape, or x.at[mask].set(v) to assign"
        )
    return [to_array(p) for p in np.nonzero(np.asarray(mask))]


def _check_constant(array: Array, shape: tuple[int, ...], axis: int) -> None:
    """Indices known in Python are checked now; others clamp when they run."""
    value = array._value
    if value is None and array._node is not None and array._node.prim is CONST:
        value = np.asarray(constant_value(array._node.params["value"], array.dtype))
    if value is None or axis >= len(shape) or value.size == 0:
        return
    n = int(shape[axis])
    low, high = int(value.min()), int(value.max())
    if low < -n or high >= n:
        bad = low if low < -n else high
        raise IndexOutOfRangeError(
            f"index {bad} is out of range for axis {axis} of length {n} (shape {tuple(map(int, shape))})"
        )


def wrapped(index: Node, n: int) -> Node:
    """Index arrays as int64 with negative ones counted from the end."""
    if index.dtype.kind == "u":
        return cast(index, int64)
    index = cast(index, int64)
    return select(lt(index, const(0, int64)), add(index, size_of(n, int64)), index)


def getitem(x: Array, key: Any) -> Array:
    """x[key], as NumPy has it. Dynamic indices outside their axis move to its nearest end."""
    node = x.node
    return from_node(Selection(key, node.shape).gather(node))


def gather_leading(x: Node, indices: tuple[Node, ...]) -> Node:
    return GATHER(x, *indices)


def take(x: Any, indices: Any, /, *, axis: int | None = None) -> Array:
    """Elements picked along an axis by an array of indices (of the flattened array without one).

    Indices known in Python are checked; computed ones outside the axis move to its nearest end.

    Raises:
        IndexOutOfRangeError: for a known index outside the axis.

    Examples:
        >>> import numr as nr
        >>> nr.take(nr.asarray([10, 20, 30]), nr.asarray([2, 0])).tolist()
        [30, 10]
    """
    from numr.functions.manipulation import ravel

    node = node_of(x)
    if axis is None and node.rank != 1:
        node = ravel(x).node
    place = 0 if axis is None else normalized_axis("take", axis, node.rank)
    whole = (slice(None),) * place
    picked = indices if isinstance(indices, (int, np.integer)) else to_array(indices)
    return getitem(from_node(node), (*whole, picked))


def take_along_axis(x: Any, indices: Any, /, *, axis: int = -1) -> Array:
    """Elements picked line by line: out[.., i, ..] = x[.., indices[.., i, ..], ..].

    Examples:
        >>> import numr as nr
        >>> nr.take_along_axis(nr.asarray([[1, 2], [3, 4]]), nr.asarray([[1], [0]]), axis=1).tolist()
        [[2], [3]]
    """
    node, index = node_of(x), node_of(indices)
    if node.rank != index.rank:
        raise IndexOutOfRangeError(
            f"take_along_axis: arrays with {node.rank} and {index.rank} axes"
        )
    place = normalized_axis("take_along_axis", axis, node.rank)
    shape = tuple(
        index.shape[i]
        if i == place
        else broadcast_shapes("take_along_axis", [(node.shape[i],), (index.shape[i],)])[0]
        for i in range(node.rank)
    )
    index = wrapped(P.broadcast_to(index, shape), node.shape[place])
    source = P.broadcast_to(
        node, tuple(node.shape[i] if i == place else n for i, n in enumerate(shape))
    )
    places = (index if k == place else IOTA(shape=shape, axis=k) for k in range(node.rank))
    return from_node(GATHER(source, *places))


def gather(x: Any, indices: Any, /) -> Array:
    """x[i0[b], i1[b], ..] for index vectors along the last axis of `indices` (gather_nd).

    Examples:
        >>> import numr as nr
        >>> nr.gather(nr.asarray([[1, 2], [3, 4]]), nr.asarray([[0, 1], [1, 0]])).tolist()
        [2, 3]
    """
    index = to_array(indices)
    parts = tuple(index[..., k] for k in range(int(index.shape[-1])))
    return getitem(to_array(x), parts)


__all__ = ["gather", "take", "take_along_axis"]
