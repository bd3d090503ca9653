"""What neural networks take besides: rows of a table, and units left out at random."""

from __future__ import annotations

from typing import Any

from numr.array import Array, from_node, to_array
from numr.errors import DTypeError, ShapeError, UnsupportedError
from numr.functions.indexing import take
from numr.functions.operands import default_float, promoted
from numr.primitives.elementwise import div, like, select
from numr.primitives.shape import zeros_like


def embedding(indices: Any, weight: Any, /) -> Array:
    """The rows of a table that indices name.

    Its derivative by the table adds up where an index occurs more than once. Negative indices count
    from the end; computed indices that are outside the table move to its nearest end.

    Args:
        indices: array of integers, of any shape.
        weight: the table, of shape (V, ..).

    Returns:
        Array of the shape of `indices` followed by that of a row.

    Raises:
        DTypeError: for indices that are not integers.
        IndexOutOfRangeError: for a known index outside the table.
        ShapeError: for a table without axes.

    Examples:
        >>> import numr as nr
        >>> nr.embedding(nr.asarray([2, 0]), nr.asarray([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
        numr.Array([[5., 6.],
               [1., 2.]])
    """
    places = to_array(indices)
    if places.dtype.kind not in "iu":
        raise DTypeError(f"embedding: indices are integers, not {places.dtype}")
    if to_array(weight).ndim == 0:
        raise ShapeError("embedding: weight has at least one axis, that of its rows")
    return take(weight, places, axis=0)


def dropout(x: Any, key: Any, /, p: float = 0.5, *, training: bool = True) -> Array:
    """Elements left out (set to 0) with probability p, and the others divided by 1 - p.

    The same key leaves out the same elements; take a new one from `nr.random.split` at each step.

    Args:
        x: array of real or complex numbers.
        key: key of `nr.random`.
        p: the probability of being left out, from 0 to 1.
        training: False to return x as it is.

    Returns:
        Array of x's shape, of a floating dtype (integers are converted to float64).

    Raises:
        DTypeError: for a key that is not one.
        UnsupportedError: for a probability outside 0 to 1.

    Examples:
        >>> import numr as nr
        >>> x = nr.dropout(nr.ones(1000), nr.random.key(0), 0.75)
        >>> sorted(set(x.tolist()))
        [0.0, 4.0]
    """
    from numr import random

    (node,), _ = promoted("dropout", (x,), "fc", default_float())
    if not 0 <= p <= 1:
        raise UnsupportedError(f"dropout: p is a probability, from 0 to 1, not {p!r}")
    if not training or p == 0:
        return from_node(node)
    if p == 1:
        return from_node(zeros_like(node))
    stays = random.bernoulli(key, 1.0 - p, shape=node.shape).node
    return from_node(select(stays, div(node, like(node, 1.0 - p)), like(node, 0)))


__all__ = ["dropout", "embedding"]
