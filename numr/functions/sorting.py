"""Sorting and searching."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr.array import Array, from_node, to_array
from numr.dtypes import int64
from numr.functions.operands import node_of, normalized_axis, promoted
from numr.primitives import sorting as S
from numr.primitives.elementwise import cast
from numr.primitives.mathematics import le, lt
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import BROADCAST, FLIP


def _reversed(node: Any, place: int) -> Any:
    return FLIP(node, axes=(place,))


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The elements of each line along an axis in order; NaN last.

    Examples:
        >>> import numr as nr
        >>> nr.sort(nr.asarray([3, 1, 2])).tolist()
        [1, 2, 3]
    """
    node = node_of(x)
    place = normalized_axis("sort", axis, node.rank)
    out = S.sort(node, axis=place)
    return from_node(_reversed(out, place) if descending else out)


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Array:
    """The positions that sort each line along an axis; equal elements keep their order.

    Examples:
        >>> import numr as nr
        >>> nr.argsort(nr.asarray([3, 1, 2])).tolist()
        [1, 2, 0]
    """
    node = node_of(x)
    place = normalized_axis("argsort", axis, node.rank)
    if not descending:
        return from_node(S.argsort(node, axis=place))
    # Sorting the reversed line and reversing the result keeps equal elements in their order.
    order = _reversed(S.argsort(_reversed(node, place), axis=place), place)
    from numr.primitives.elementwise import sub
    from numr.primitives.source import const, size_of

    last = sub(size_of(node.shape[place], int64), const(1, int64))
    return from_node(sub(last, order))


def searchsorted(x1: Any, x2: Any, /, *, side: str = "left") -> Array:
    """Where elements of x2 would go in the sorted vector x1 to keep it sorted.

    Examples:
        >>> import numr as nr
        >>> nr.searchsorted(nr.asarray([1.0, 3.0]), nr.asarray([2.0, 3.0])).tolist()
        [1, 1]
    """
    line, values = promoted("searchsorted", (x1, x2))[0]
    shape = (*values.shape, line.shape[0])
    spread = BROADCAST(values, shape=shape, axes=tuple(range(values.rank)))
    ladder = BROADCAST(line, shape=shape, axes=(values.rank,))
    below = lt(ladder, spread) if side == "left" else le(ladder, spread)
    return from_node(reduce_sum(cast(below, int64), axes=(values.rank,)))


def nonzero(x: Any, /) -> tuple[Array, ...]:
    """The positions of nonzero elements, one index array per axis. Not inside jit: its shape is data.

    Examples:
        >>> import numr as nr
        >>> nr.nonzero(nr.asarray([0, 5]))[0].tolist()
        [1]
    """
    return tuple(to_array(p) for p in np.nonzero(np.asarray(to_array(x))))


def unique_values(x: Any, /) -> Array:
    """The distinct values, sorted. Not inside jit: its shape is data.

    Examples:
        >>> import numr as nr
        >>> nr.unique_values(nr.asarray([2, 1, 2])).tolist()
        [1, 2]
    """
    return to_array(np.unique(np.asarray(to_array(x))))


__all__ = ["argsort", "nonzero", "searchsorted", "sort", "unique_values"]
