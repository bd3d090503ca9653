"""Joining, cutting, padding and repeating arrays; differences of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numr import messages
from numr.array import Array, from_node, to_array
from numr.errors import ShapeError, UnsupportedError
from numr.functions.manipulation import as_tuple, ravel
from numr.functions.operands import is_traced, length_of, node_of, normalized_axis, plain, promoted
from numr.ir.node import Node
from numr.primitives import shape as P
from numr.primitives.elementwise import cast


def _together(name: str, arrays: Any) -> list[Node]:
    """Several arrays, in their common dtype."""
    listed = list(arrays)
    if not listed:
        raise ShapeError(f"{name} needs at least one array")
    return promoted(name, listed)[0]


def concat(arrays: Any, /, axis: int | None = 0) -> Array:
    """Arrays joined along an axis.

    Args:
        arrays: sequence of arrays whose shapes differ at most along the axis.
        axis: axis to join along; None to join all elements in row-major order.

    Returns:
        Array of the promoted dtype.

    Raises:
        AxisError: for an axis that the arrays do not have.
        ShapeError: if the shapes differ elsewhere.

    Examples:
        >>> import numr as nr
        >>> nr.concat([nr.asarray([[1, 2]]), nr.asarray([[3, 4]])], axis=1)
        numr.Array([[1, 2, 3, 4]])
    """
    nodes = _together("concat", arrays)
    if axis is None:
        nodes, axis = [ravel(from_node(n)).node for n in nodes], 0
    place = normalized_axis("concat", axis, nodes[0].rank)
    rest = plain(nodes[0].shape[:place] + nodes[0].shape[place + 1 :])
    for k, n in enumerate(nodes):
        if n.rank != nodes[0].rank or plain(n.shape[:place] + n.shape[place + 1 :]) != rest:
            hint = f"only axis {place}, along which they are joined, may differ"
            shapes = [plain(nodes[0].shape), plain(n.shape)]
            raise messages.shape_mismatch(
                "concat", ("arrays[0]", f"arrays[{k}]"), shapes, hint=hint
            )
    return from_node(nodes[0] if len(nodes) == 1 else P.CONCAT(*nodes, axis=place))


def stack(arrays: Any, /, axis: int = 0) -> Array:
    """Arrays of one shape joined along a new axis.

    Args:
        arrays: sequence of arrays of one shape.
        axis: where the new axis goes in the result.

    Returns:
        Array of the promoted dtype, with one axis more.

    Raises:
        AxisError: for a position outside the result.
        ShapeError: if the shapes differ.

    Examples:
        >>> import numr as nr
        >>> nr.stack([nr.asarray([1, 2]), nr.asarray([3, 4])], axis=1)
        numr.Array([[1, 3],
               [2, 4]])
    """
    nodes = _together("stack", arrays)
    for k, n in enumerate(nodes):
        if n.shape != nodes[0].shape:
            shapes = [plain(nodes[0].shape), plain(n.shape)]
            raise messages.shape_mismatch(
                "stack", ("arrays[0]", f"arrays[{k}]"), shapes, hint="stack needs equal shapes"
            )
    place = normalized_axis("stack", axis, nodes[0].rank + 1)
    return concat([from_node(P.insert_axes(n, (place,))) for n in nodes], axis=place)


def atleast_1d(x: Any, /) -> Array:
    """x with at least one axis.

    Args:
        x: array.

    Returns:
        Array of x's shape, or of shape (1,).

    Examples:
        >>> import numr as nr
        >>> nr.atleast_1d(3.0).shape
        (1,)
    """
    node = node_of(x)
    return from_node(node if node.rank else P.reshape(node, (1,)))


def atleast_2d(x: Any, /) -> Array:
    """x with at least two axes: a vector becomes a row.

    Args:
        x: array.

    Returns:
        Array of x's shape, or of shape (1, n) or (1, 1).

    Examples:
        >>> import numr as nr
        >>> nr.atleast_2d(nr.ones(3)).shape
        (1, 3)
    """
    node = node_of(x)
    return from_node(
        P.reshape(node, (1,) * (2 - node.rank) + node.shape) if node.rank < 2 else node
    )


def hstack(arrays: Any, /) -> Array:
    """Arrays joined along their second axis; vectors, end to end.

    Args:
        arrays: sequence of arrays whose shapes differ at most along that axis.

    Returns:
        Array of the promoted dtype.

    Raises:
        ShapeError: if the shapes differ elsewhere.

    Examples:
        >>> import numr as nr
        >>> nr.hstack([nr.asarray([1, 2]), nr.asarray([3])])
        numr.Array([1, 2, 3])
    """
    listed = [atleast_1d(x) for x in arrays]
    return concat(listed, axis=0 if listed and listed[0].ndim == 1 else 1)


def vstack(arrays: Any, /) -> Array:
    """Arrays joined along their first axis, vectors taken as rows.

    Args:
        arrays: sequence of arrays whose shapes differ at most along that axis.

    Returns:
        Array of the promoted dtype.

    Raises:
        ShapeError: if the shapes differ elsewhere.

    Examples:
        >>> import numr as nr
        >>> nr.vstack([nr.asarray([1, 2]), nr.asarray([3, 4])])
        numr.Array([[1, 2],
               [3, 4]])
    """
    return concat([atleast_2d(x) for x in arrays], axis=0)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices along an axis, which disappears.

    Args:
        x: array with at least one axis.
        axis: axis to take apart.

    Returns:
        As many arrays as the axis is long, in a tuple.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.unstack(nr.asarray([[1, 2], [3, 4]]), axis=1)
        (numr.Array([1, 3]), numr.Array([2, 4]))
    """
    array = to_array(x)
    place = normalized_axis("unstack", axis, array.ndim)
    whole = (slice(None),) * place
    return tuple(array[(*whole, i)] for i in range(array.shape[place]))


def split(x: Any, indices_or_sections: int | Sequence[int], /, axis: int = 0) -> list[Array]:
    """Pieces along an axis.

    Args:
        x: array with at least one axis.
        indices_or_sections: how many equal pieces; or the positions to cut at.
        axis: axis to cut.

    Returns:
        The pieces, in a list.

    Raises:
        AxisError: for an axis that x does not have.
        ShapeError: if the axis does not divide into equal pieces.

    Examples:
        >>> import numr as nr
        >>> nr.split(nr.arange(5), [2, 3])
        [numr.Array([0, 1]), numr.Array([2]), numr.Array([3, 4])]
    """
    array = to_array(x)
    place = normalized_axis("split", axis, array.ndim)
    length = array.shape[place]
    if isinstance(indices_or_sections, int):
        pieces = indices_or_sections
        if pieces < 1 or length % pieces:
            raise ShapeError(
                f"split: axis {place} of an array of shape {plain(array.shape)} does not divide "
                f"into {pieces} equal pieces\n  positions to cut at, as a list, may be anything"
            )
        step = length // pieces
        cuts = [step * k for k in range(1, pieces)]
    else:
        cuts = list(indices_or_sections)
    whole = (slice(None),) * place
    return [array[(*whole, slice(a, b))] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]


def _pad_widths(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    try:
        return [(int(a), int(b)) for a, b in np.broadcast_to(pad_width, (rank, 2)).tolist()]
    except ValueError:
        raise ShapeError(
            f"pad: widths {pad_width} do not fit an array with {rank} axes\n"
            "  give one number, a pair (before, after), or a pair for each axis"
        ) from None


def pad(x: Any, pad_width: Any, /, mode: str = "constant", *, constant_values: Any = 0) -> Array:
    """x inside a border.

    Args:
        x: array.
        pad_width: width of the border before and after: a number, a pair for all axes, or a pair
            for each axis; known in Python.
        mode: what the border holds: "constant", or elements of x as in NumPy, by "edge",
            "reflect", "symmetric" or "wrap".
        constant_values: the one value of a constant border.

    Returns:
        Array of x's dtype.

    Raises:
        ShapeError: for widths that do not fit the axes, or that are negative.
        UnsupportedError: for other modes.

    Examples:
        >>> import numr as nr
        >>> nr.pad(nr.asarray([1, 2]), (1, 2))
        numr.Array([0, 1, 2, 0, 0])
        >>> nr.pad(nr.asarray([1, 2, 3]), 1, mode="wrap")
        numr.Array([3, 1, 2, 3, 1])
    """
    node = node_of(x)
    widths = _pad_widths(pad_width, node.rank)
    if any(w < 0 for pair in widths for w in pair):
        raise ShapeError(f"pad: widths must not be negative: {pad_width}")
    if mode == "constant":
        value = cast(node_of(constant_values), node.dtype)
        pairs = list(zip(node.shape, widths, strict=True))
        shape = tuple(n if a == b == 0 else a + n + b for n, (a, b) in pairs)
        starts = tuple(a for a, _ in widths)
        return from_node(P.PAD(node, value, starts=starts, shape=shape, steps=(1,) * node.rank))
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        raise UnsupportedError(
            f"pad has no mode {mode!r}; it has constant, edge, reflect, symmetric and wrap"
        )
    from numr.functions.indexing import take

    out = from_node(node)
    for axis, (n, pair) in enumerate(zip(node.shape, widths, strict=True)):
        if any(pair):
            places = np.pad(np.arange(int(n)), pair, mode=mode)  # type: ignore[call-overload]
            out = take(out, places, axis=axis)
    return out


def tile(x: Any, repetitions: int | Sequence[int], /) -> Array:
    """x repeated as a whole along axes.

    Args:
        x: array.
        repetitions: how often, along the last axes or, with as many numbers, along new ones.

    Returns:
        Array whose lengths are those of x times the repetitions.

    Examples:
        >>> import numr as nr
        >>> nr.tile(nr.asarray([1, 2]), (2, 2))
        numr.Array([[1, 2, 1, 2],
               [1, 2, 1, 2]])
    """
    node = node_of(x)
    times = as_tuple(repetitions)
    times = (1,) * (node.rank - len(times)) + times
    own = (1,) * (len(times) - node.rank) + node.shape
    inner, axes, full = [], [], []
    for k, (n, t) in enumerate(zip(own, times, strict=True)):
        inner += [t, n]
        axes.append(2 * k + 1)
        full.append(n if t == 1 else n * t)
    spread = P.BROADCAST(P.reshape(node, own), shape=tuple(inner), axes=tuple(axes))
    return from_node(P.reshape(spread, tuple(full)))


def repeat(x: Any, repeats: Any, /, axis: int | None = None) -> Array:
    """Each element repeated along an axis.

    Args:
        x: array.
        repeats: how often, the same for all elements or a number for each; known in Python.
        axis: axis to repeat along; None to repeat all elements in row-major order.

    Returns:
        Array that is longer along the axis.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.repeat(nr.asarray([1, 2]), 2), nr.repeat(nr.asarray([1, 2]), [1, 3])
        (numr.Array([1, 1, 2, 2]), numr.Array([1, 2, 2, 2]))
    """
    if axis is None:
        return repeat(ravel(x), repeats, axis=0)
    node = node_of(x)
    place = normalized_axis("repeat", axis, node.rank)
    if not isinstance(repeats, int):
        from numr.functions.indexing import take

        if isinstance(repeats, Array) and is_traced(repeats.node):
            length_of("repeat", "repeats", repeats)
        places = np.repeat(np.arange(int(node.shape[place])), np.asarray(repeats))
        return take(from_node(node), places, axis=place)
    shape = (*node.shape[: place + 1], repeats, *node.shape[place + 1 :])
    axes = tuple(i if i <= place else i + 1 for i in range(node.rank))
    spread = P.BROADCAST(node, shape=shape, axes=axes)
    full = (n * repeats if i == place and repeats != 1 else n for i, n in enumerate(node.shape))
    return from_node(P.reshape(spread, tuple(full)))


def diff(
    x: Any, /, n: int = 1, axis: int = -1, *, prepend: Any = None, append: Any = None
) -> Array:
    """Differences of neighbours along an axis, out[k] = x[k + 1] - x[k], n times over.

    Args:
        x: array of numbers, or of booleans, whose difference is whether they differ.
        n: how often differences are taken.
        axis: the axis.
        prepend: array to put before x along the axis first.
        append: array to put after it.

    Returns:
        Array that is shorter by n along the axis.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.diff(nr.asarray([1.0, 4.0, 9.0]))
        numr.Array([3., 5.])
    """
    out = to_array(x)
    place = normalized_axis("diff", axis, out.ndim)
    ends = tuple(1 if i == place else m for i, m in enumerate(out.shape))

    def border(value: Any) -> list[Array]:
        if value is None:
            return []
        node = node_of(value)
        return [from_node(node if node.rank else P.broadcast_to(node, ends))]

    if prepend is not None or append is not None:
        out = concat([*border(prepend), out, *border(append)], axis=place)
    whole = (slice(None),) * place
    for _ in range(n):
        later, earlier = out[(*whole, slice(1, None))], out[(*whole, slice(None, -1))]
        out = later ^ earlier if out.dtype.kind == "b" else later - earlier
    return out


# NumPy's name for the same function.
concatenate = concat

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "concat",
    "concatenate",
    "diff",
    "hstack",
    "pad",
    "repeat",
    "split",
    "stack",
    "tile",
    "unstack",
    "vstack",
]
