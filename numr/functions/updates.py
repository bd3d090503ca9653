"""Updated copies of arrays: `x.at[i].set(v)` and its kin, scatter-add and segment reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr import messages
from numr.array import Array, from_node, to_array
from numr.dtypes import bool_, int64
from numr.errors import DTypeError, ShapeError
from numr.functions.indexing import Selection, without_scalar_masks
from numr.functions.operands import length_of, node_of, normalized_axis, operand, plain
from numr.ir.node import Node
from numr.primitives import mathematics as M
from numr.primitives import shape as P
from numr.primitives.elementwise import add, cast, like, mul, select
from numr.primitives.indexing import SCATTER
from numr.primitives.reduction import lowest_like
from numr.primitives.source import const, size_of

_COMBINE: dict[str, Any] = {
    "set": lambda old, new: new,
    "add": add,
    "mul": mul,
    "min": M.minimum,
    "max": M.maximum,
}


class At:
    """`x.at[index]`: the place of an update. Its methods return an updated copy of x.

    The index is anything `x[index]` takes. Values broadcast to the shape of `x[index]` and are
    converted to x's dtype. Masks may be traced values. Where index arrays repeat a place, `add`,
    `mul`, `min` and `max` combine all updates and `set` keeps the last. Computed indices outside
    their axis move to its nearest end.

    Examples:
        >>> import numr as nr
        >>> x = nr.zeros(4)
        >>> x.at[1:3].set(5.0)
        numr.Array([0., 5., 5., 0.])
        >>> x.at[[0, 0, 3]].add(nr.asarray([1.0, 2.0, 4.0]))
        numr.Array([3., 0., 0., 4.])
    """

    __slots__ = ("array", "key")

    def __init__(self, array: Array, key: Any = None) -> None:
        self.array = array
        self.key = key

    def __getitem__(self, key: Any) -> At:
        return At(self.array, key)

    def set(self, value: Any) -> Array:
        """x with x[index] = value.

        Examples:
            >>> import numr as nr
            >>> nr.asarray([1, 2, 3]).at[0].set(9)
            numr.Array([9, 2, 3])
        """
        return self._update("set", value)

    def add(self, value: Any) -> Array:
        """x with value added to x[index].

        Examples:
            >>> import numr as nr
            >>> nr.asarray([1, 2, 3]).at[0].add(9)
            numr.Array([10,  2,  3])
        """
        return self._update("add", value)

    def mul(self, value: Any) -> Array:
        """x with x[index] multiplied by value.

        Examples:
            >>> import numr as nr
            >>> nr.asarray([1, 2, 3]).at[1:].mul(2)
            numr.Array([1, 4, 6])
        """
        return self._update("mul", value)

    multiply = mul

    def min(self, value: Any) -> Array:
        """x with x[index] replaced by value where that is less.

        Examples:
            >>> import numr as nr
            >>> nr.asarray([1, 2, 3]).at[:].min(2)
            numr.Array([1, 2, 2])
        """
        return self._update("min", value)

    def max(self, value: Any) -> Array:
        """x with x[index] replaced by value where that is greater.

        Examples:
            >>> import numr as nr
            >>> nr.asarray([1, 2, 3]).at[:].max(2)
            numr.Array([2, 2, 3])
        """
        return self._update("max", value)

    def get(self) -> Array:
        """x[index].

        Examples:
            >>> import numr as nr
            >>> nr.asarray([1, 2, 3]).at[0].get()
            numr.Array(1)
        """
        return self.array[self.key]

    def _update(self, mode: str, value: Any) -> Array:
        x = self.array.node
        if mode != "set" and x.dtype is bool_:
            hint = "use .set with & and |"
            raise messages.dtype_mismatch(f"at[].{mode}", ["x"], [str(x.dtype)], hint=hint)
        if x.dtype.kind == "c" and mode in ("min", "max"):
            raise messages.dtype_mismatch(
                f"at[].{mode}", ["x"], [str(x.dtype)], hint="complex numbers have no order"
            )
        mask = self._mask()
        if mask is not None:
            return from_node(self._masked(mode, x, mask, value))
        spread, key = without_scalar_masks(self.array, self.key)
        if spread is not self.array:
            updated = At(spread, key)._update(mode, value)
            return from_node(P.reshape(updated.node, x.shape))
        selection = Selection(key, x.shape)
        sliced = _like_slice(selection, x)
        new = _fitted(_converted(value, x), selection.arrange(sliced).shape)
        new = selection.disarrange(new, sliced.shape)
        if not selection.arrays:
            return from_node(_into_slice(mode, x, new, selection))
        if x.dtype.kind == "c" and mode == "mul":
            # A scatter handles the two parts of a complex number apart.
            raise messages.dtype_mismatch(
                "at[].mul by index arrays",
                ["x"],
                [str(x.dtype)],
                hint="where no index repeats, x.at[i].set(x[i] * value) does the same",
            )
        if selection.whole:
            # Index arrays and whole axes: rows go to their places.
            order = (*selection.arrays, *selection.rest)
            out = SCATTER(P.permute(x, order), new, *selection.indices(), mode=mode)
            return from_node(P.permute(out, P.inverse_order(order)))
        # Index arrays beside slices: every element is told its place.
        lead = len(selection.lead)
        places = []
        for axis in range(x.rank):
            if axis in selection.arrays:
                place, axes = P.broadcast_to(selection.arrays[axis], selection.lead), range(lead)
            else:
                k = lead + selection.rest.index(axis)
                place, axes = selection.line(axis), range(k, k + 1)
            places.append(P.BROADCAST(place, shape=new.shape, axes=tuple(axes)))
        return from_node(SCATTER(x, new, *places, mode=mode))

    def _mask(self) -> Array | None:
        key = self.key[0] if isinstance(self.key, tuple) and len(self.key) == 1 else self.key
        if isinstance(key, (list, np.ndarray, Array)):
            mask = to_array(key)
            trace = mask.node.trace
            if mask.dtype is bool_ and (mask.ndim or (trace is not None and trace.blocker())):
                return mask
        return None

    def _masked(self, mode: str, x: Node, mask: Array, value: Any) -> Node:
        """An update where a mask holds; no shape depends on the mask, so it may be traced."""
        m = mask.node
        if plain(m.shape) != plain(x.shape[: m.rank]):
            raise messages.shape_mismatch(
                "indexing by a mask",
                ("the mask", "the array"),
                (plain(m.shape), plain(x.shape)),
                hint="a mask has the shape of the first axes",
            )
        new = _converted(value, x)
        rest = x.shape[m.rank :]
        if new.rank > len(rest) and new.shape[new.rank - len(rest) - 1] != 1:
            # A value for each place where the mask holds, in order: the mask must be known.
            return At(self.array, (mask,))._listed(mode, new)
        inside = P.BROADCAST(m, shape=x.shape, axes=tuple(range(m.rank)))
        if new.rank:
            new = P.broadcast_to(_fitted(new, rest), x.shape)
        return select(inside, _COMBINE[mode](x, new), x)

    def _listed(self, mode: str, new: Node) -> Node:
        from numr.functions.indexing import mask_positions

        places = mask_positions(self.key[0], self.array.node.shape, 0)
        return At(self.array, tuple(places))._update(mode, from_node(new)).node


def _like_slice(selection: Selection, x: Node) -> Node:
    """Something of the shape that gathering gives before it is arranged; never computed."""
    sliced = selection.slice(x)
    if not selection.arrays:
        return sliced
    shape = (*selection.lead, *(sliced.shape[a] for a in selection.rest))
    return P.broadcast_to(like(x, 0), shape)


def _converted(value: Any, x: Node) -> Node:
    """A value to be written into x, in its dtype."""
    found, dtype, _ = operand(value)
    if dtype.kind == "c" and x.dtype.kind != "c":
        raise DTypeError(
            f"complex values cannot be written into an array of {x.dtype}\n"
            "  take nr.real(value), or convert the array with .astype(nr.complex128)"
        )
    if isinstance(found, Node):
        return cast(found, x.dtype)
    return (
        found.node(x.dtype)
        if dtype.kind in "b" + x.dtype.kind
        else cast(found.node(dtype), x.dtype)
    )


def _fitted(new: Node, shape: tuple[int, ...]) -> Node:
    """A value broadcast to the place it goes to; as in NumPy, leading axes of length 1 may go."""
    given, wanted = plain(new.shape), plain(shape)
    spare = max(0, len(given) - len(wanted))
    pairs = zip(given[spare:][::-1], wanted[::-1], strict=False)
    if any(n != 1 for n in given[:spare]) or any(n not in (1, m) for n, m in pairs):
        raise messages.shape_mismatch(
            "assignment",
            ("the value", "the place it goes to"),
            (given, wanted),
            hint="a value broadcasts to the shape of what it replaces",
        )
    return P.broadcast_to(P.reshape(new, new.shape[spare:]), shape)


def _into_slice(mode: str, x: Node, new: Node, selection: Selection) -> Node:
    """An update of a slice: elements inside it are combined, all others stay."""
    if selection.flips:
        new = P.FLIP(new, axes=tuple(selection.flips))
    if selection.whole or tuple(selection.sizes) == x.shape:
        return _COMBINE[mode](x, new)  # type: ignore[no-any-return]
    params = {
        "starts": tuple(selection.starts),
        "shape": x.shape,
        "steps": tuple(selection.steps),
    }
    inside = P.broadcast_to(const(True, bool_), new.shape)
    inside = P.PAD(inside, const(False, bool_), **params)
    spread = P.PAD(new, like(x, 0), **params)
    return select(inside, _COMBINE[mode](x, spread), x)


def scatter_add(x: Any, indices: Any, updates: Any, /, *, axis: int = 0) -> Array:
    """x with updates added into it along an axis: out[.., indices[k], ..] += updates[.., k, ..].

    Args:
        x: array of numbers.
        indices: array of integers; those that repeat add up.
        updates: array that broadcasts to x's shape with that of `indices` in place of the axis.
        axis: axis that the indices run along.

    Returns:
        Array of x's shape and dtype.

    Raises:
        AxisError: for an axis that x does not have.
        IndexOutOfRangeError: for a known index outside the axis.
        ShapeError: for updates that do not fit.

    Examples:
        >>> import numr as nr
        >>> nr.scatter_add(nr.zeros(3), nr.asarray([0, 2, 2]), nr.asarray([1.0, 2.0, 3.0]))
        numr.Array([1., 0., 5.])
    """
    array = to_array(x)
    place = normalized_axis("scatter_add", axis, array.ndim)
    return array.at[(*(slice(None),) * place, to_array(indices))].add(updates)


def _segments(name: str, data: Any, segment_ids: Any, num_segments: int | None, mode: str) -> Array:
    node, ids = node_of(data), node_of(segment_ids)
    if ids.dtype.kind not in "iu":
        raise DTypeError(f"{name}: segment ids are integers, not {ids.dtype}")
    if ids.rank != 1 or node.rank < 1 or ids.shape[0] != node.shape[0]:
        shapes = (plain(node.shape), plain(ids.shape))
        hint = "there is one segment id for each element of data's first axis"
        raise messages.shape_mismatch(name, ("data", "segment_ids"), shapes, hint=hint)
    ids = cast(ids, int64)
    if num_segments is None:
        value = np.asarray(from_node(ids))
        num_segments = int(value.max()) + 1 if value.size else 0
    num_segments = length_of(name, "num_segments", num_segments)
    if num_segments == 0 and ids.shape[0] == 0:
        return from_node(P.broadcast_to(like(node, 0), (0, *node.shape[1:])))
    if num_segments < 1:
        raise ShapeError(f"{name}: num_segments is {num_segments}, and there are elements")
    if node.dtype.kind == "c" and mode != "add":
        hint = "complex numbers have no order"
        raise messages.dtype_mismatch(name, ["data"], [str(node.dtype)], hint=hint)
    nothing = lowest_like(node, mode)
    outside = M.bit_or(M.lt(ids, const(0, int64)), M.ge(ids, size_of(num_segments, int64)))
    outside = P.BROADCAST(outside, shape=node.shape, axes=(0,))
    start = P.broadcast_to(nothing, (num_segments, *node.shape[1:]))
    return from_node(SCATTER(start, select(outside, nothing, node), ids, mode=mode))


def segment_sum(data: Any, segment_ids: Any, /, num_segments: int | None = None) -> Array:
    """Sums of the elements of `data` that share a segment id, along the first axis.

    Args:
        data: array of numbers, of shape (n, ...).
        segment_ids: vector of n integers, in any order. Elements with an id that is negative or not
            below num_segments are left out.
        num_segments: how many segments; None for one more than the greatest id. Inside jit it must
            be given, since it decides a shape.

    Returns:
        Array of shape (num_segments, ...) and of data's dtype; 0 for segments without elements.

    Raises:
        DTypeError: for ids that are not integers.
        ShapeError: if the lengths differ.

    Examples:
        >>> import numr as nr
        >>> nr.segment_sum(nr.asarray([1.0, 2.0, 4.0]), nr.asarray([0, 1, 0]), 2)
        numr.Array([5., 2.])
    """
    return _segments("segment_sum", data, segment_ids, num_segments, "add")


def segment_max(data: Any, segment_ids: Any, /, num_segments: int | None = None) -> Array:
    """Greatest elements of `data` by segment id, along the first axis.

    Args:
        data: array of real numbers, of shape (n, ...).
        segment_ids: vector of n integers, in any order. Elements with an id that is negative or not
            below num_segments are left out.
        num_segments: how many segments; None for one more than the greatest id. Inside jit it must
            be given, since it decides a shape.

    Returns:
        Array of shape (num_segments, ...) and of data's dtype; -inf, or the least integer, for
        segments without elements.

    Raises:
        DTypeError: for ids that are not integers.
        ShapeError: if the lengths differ.

    Examples:
        >>> import numr as nr
        >>> nr.segment_max(nr.asarray([1.0, 2.0, 4.0]), nr.asarray([0, 1, 0]), 2)
        numr.Array([4., 2.])
    """
    return _segments("segment_max", data, segment_ids, num_segments, "max")


def segment_min(data: Any, segment_ids: Any, /, num_segments: int | None = None) -> Array:
    """Least elements of `data` by segment id, along the first axis.

    Args:
        data: array of real numbers, of shape (n, ...).
        segment_ids: vector of n integers, in any order. Elements with an id that is negative or not
            below num_segments are left out.
        num_segments: how many segments; None for one more than the greatest id. Inside jit it must
            be given, since it decides a shape.

    Returns:
        Array of shape (num_segments, ...) and of data's dtype; inf, or the greatest integer, for
        segments without elements.

    Raises:
        DTypeError: for ids that are not integers.
        ShapeError: if the lengths differ.

    Examples:
        >>> import numr as nr
        >>> nr.segment_min(nr.asarray([1.0, 2.0, 4.0]), nr.asarray([0, 1, 0]), 2)
        numr.Array([1., 2.])
    """
    return _segments("segment_min", data, segment_ids, num_segments, "min")


__all__ = ["scatter_add", "segment_max", "segment_min", "segment_sum"]
