"""Updated copies of arrays: `x.at[i].set(v)` and its kin, scatter-add and segment sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr.array import Array, from_node, to_array
from numr.dtypes import bool_, int64
from numr.functions.elementwise import add, maximum, minimum, multiply, where
from numr.functions.indexing import Selection, wrapped
from numr.functions.operands import broadcast_shapes, node_of, operand
from numr.ir.node import Node
from numr.primitives import shape as P
from numr.primitives.elementwise import cast
from numr.primitives.indexing import SCATTER
from numr.primitives.reduction import lowest_like
from numr.primitives.source import IOTA

_COMBINE = {
    "add": add,
    "mul": multiply,
    "max": maximum,
    "min": minimum,
    "set": lambda old, new: new,
}


class At:
    """`x.at[index]`: what would be there, to be updated in a copy."""

    __slots__ = ("array", "key")

    def __init__(self, array: Array, key: Any = None) -> None:
        self.array = array
        self.key = key

    def __getitem__(self, key: Any) -> At:
        return At(self.array, key)

    def set(self, value: Any) -> Array:
        """x with x[index] = value. Where indices repeat, the last one wins."""
        return self._update("set", value)

    def add(self, value: Any) -> Array:
        """x with value added at the index, as often as it repeats."""
        return self._update("add", value)

    def mul(self, value: Any) -> Array:
        """x multiplied by value at the index, as often as it repeats."""
        return self._update("mul", value)

    multiply = mul

    def min(self, value: Any) -> Array:
        """x limited from above by value at the index."""
        return self._update("min", value)

    def max(self, value: Any) -> Array:
        """x limited from below by value at the index."""
        return self._update("max", value)

    def get(self) -> Array:
        """x[index]."""
        return self.array[self.key]

    def _update(self, mode: str, value: Any) -> Array:
        x = self.array.node
        mask = self._mask()
        if mask is not None:
            return self._masked(mode, mask, value)
        selection = Selection(self.key, x.shape)
        shape = selection.gather(x).shape
        found, _, _ = operand(value)
        new = cast(found, x.dtype) if isinstance(found, Node) else found.node(x.dtype)
        if broadcast_shapes("assignment", [new.shape, shape]) != shape:
            from numr.errors import ShapeError

            raise ShapeError(
                f"a value of shape {tuple(map(int, new.shape))} cannot be assigned to a selection of shape "
                f"{tuple(map(int, shape))}"
            )
        positions = _positions(selection, x)
        spread = P.broadcast_to(new, shape)
        return from_node(
            SCATTER(x, spread, *(P.broadcast_to(p, shape) for p in positions), mode=mode)
        )

    def _mask(self) -> Array | None:
        key = self.key[0] if isinstance(self.key, tuple) and len(self.key) == 1 else self.key
        if isinstance(key, (list, np.ndarray, Array)):
            mask = to_array(key)
            if mask.dtype is bool_:
                return mask
        return None

    def _masked(self, mode: str, mask: Array, value: Any) -> Array:
        """An update where a mask holds keeps every shape, so it works on traced masks too."""
        x = self.array
        m = mask.node
        if tuple(map(int, m.shape)) != tuple(map(int, x.node.shape[: m.rank])):
            from numr.errors import IndexOutOfRangeError

            raise IndexOutOfRangeError(
                f"a boolean mask of shape {tuple(map(int, m.shape))} does not fit an array of shape "
                f"{tuple(map(int, x.node.shape))}"
            )
        new = to_array(value) if not isinstance(value, (int, float, complex)) else value
        if isinstance(new, Array) and new.ndim > x.ndim - m.rank:
            count = int(np.count_nonzero(np.asarray(mask)))
            if new.shape[0] not in (1, count) or new.ndim != x.ndim - m.rank + 1:
                from numr.errors import ShapeError

                raise ShapeError(
                    f"{count} masked elements cannot take values of shape {tuple(map(int, new.shape))}"
                )
            return At(x, tuple(np.nonzero(np.asarray(mask))))._update(mode, new)
        full = P.reshape(m, (*m.shape, *(1 for _ in range(x.ndim - m.rank))))
        node = x.node
        combined = _COMBINE[mode](x, new)
        result = where(from_node(full), combined, x)
        return from_node(cast(result.node, node.dtype))


def _positions(selection: Selection, x: Node) -> list[Node]:
    """For every axis of x, where each selected element comes from, in the selection's shape."""
    return [selection.gather(IOTA(shape=x.shape, axis=axis)) for axis in range(x.rank)]


def scatter_add(x: Any, indices: Any, updates: Any, /, *, axis: int = 0) -> Array:
    """x with updates added into it along an axis: out[.., indices[k], ..] += updates[.., k, ..].

    Examples:
        >>> import numr as nr
        >>> nr.scatter_add(nr.zeros(3), nr.asarray([0, 2, 2]), nr.asarray([1.0, 2.0, 3.0])).tolist()
        [1.0, 0.0, 5.0]
    """
    array = to_array(x)
    return array.at[(*(slice(None),) * (axis % array.ndim), to_array(indices))].add(updates)


def _segments(
    name: str, data: Any, segment_ids: Any, num_segments: int | None, mode: str, fill: Any
) -> Array:
    node, ids = node_of(data), cast(node_of(segment_ids), int64)
    if num_segments is None:
        value = np.asarray(from_node(ids))
        num_segments = int(value.max()) + 1 if value.size else 0
    if ids.rank != 1 or node.rank < 1 or ids.shape[0] != node.shape[0]:
        from numr.errors import ShapeError

        raise ShapeError(
            f"{name}: {int(node.shape[0])} rows of data need as many segment ids, "
            f"not shape {tuple(map(int, ids.shape))}"
        )
    start = P.broadcast_to(fill(node), (num_segments, *node.shape[1:]))
    return from_node(SCATTER(start, node, wrapped(ids, num_segments), mode=mode))


def segment_sum(data: Any, segment_ids: Any, /, num_segments: int | None = None) -> Array:
    """Sums of the rows of `data` that share a segment id.

    Args:
        data: array whose first axis runs over elements.
        segment_ids: integer vector of as many ids.
        num_segments: how many segments (inside jit it must be given); ids beyond are moved to the last.

    Examples:
        >>> import numr as nr
        >>> nr.segment_sum(nr.asarray([1.0, 2.0, 4.0]), nr.asarray([0, 1, 0]), 2).tolist()
        [5.0, 2.0]
    """
    return _segments(
        "segment_sum", data, segment_ids, num_segments, "add", lambda x: lowest_like(x, "add")
    )


def segment_max(data: Any, segment_ids: Any, /, num_segments: int | None = None) -> Array:
    """Greatest rows of `data` per segment id; -inf (or the least integer) for empty segments.

    Examples:
        >>> import numr as nr
        >>> nr.segment_max(nr.asarray([1.0, 2.0, 4.0]), nr.asarray([0, 1, 0]), 2).tolist()
        [4.0, 2.0]
    """
    return _segments(
        "segment_max", data, segment_ids, num_segments, "max", lambda x: lowest_like(x, "max")
    )


__all__ = ["scatter_add", "segment_max", "segment_sum"]
