"""Shape manipulation: the same elements in other places."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from numr.array import Array, from_node
from numr.dtypes import int64
from numr.errors import ShapeError
from numr.functions.operands import broadcast_shapes as _broadcast_shapes
from numr.functions.operands import node_of, normalized_axes, normalized_axis, promoted
from numr.ir.dims import Size
from numr.ir.node import Node
from numr.primitives import shape as P
from numr.primitives.source import const


def _count(shape: Sequence[int]) -> int:
    if len(shape) == 1:
        return shape[0]
    n = 1
    for length in shape:
        n *= length
    return n


def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Array:
    """The elements in row-major order under another shape; one length may be -1.

    Raises:
        ShapeError: if the number of elements differs.

    Examples:
        >>> import numr as nr
        >>> nr.reshape(nr.arange(6), (2, -1)).tolist()
        [[0, 1, 2], [3, 4, 5]]
    """
    node = node_of(x)
    wanted = [shape] if isinstance(shape, int) else list(shape)
    total = _count(node.shape)
    if -1 in wanted:
        rest = 1
        for n in wanted:
            rest *= 1 if n == -1 else n
        if wanted.count(-1) > 1 or rest == 0 or total % rest:
            raise ShapeError(
                f"reshape: an array of shape {tuple(map(int, node.shape))} cannot take shape {tuple(map(int, wanted))}"
            )
        free = wanted.index(-1)
        # An axis that stays as it is keeps its identity.
        same = [n for n in node.shape if n == total // rest and type(n) is Size]
        wanted[free] = same[0] if same else total // rest
    if _count(wanted) != total:
        raise ShapeError(
            f"reshape: an array of shape {tuple(map(int, node.shape))} ({int(total)} elements) cannot take shape "
            f"{tuple(map(int, wanted))} ({int(_count(wanted))})"
        )
    return from_node(P.reshape(node, tuple(wanted)))


def ravel(x: Any, /) -> Array:
    """All elements in one axis.

    Examples:
        >>> import numr as nr
        >>> nr.ravel(nr.ones((2, 2))).shape
        (4,)
    """
    node = node_of(x)
    return from_node(node if node.rank == 1 else P.reshape(node, (_count(node.shape),)))


def permute_dims(x: Any, /, axes: Sequence[int]) -> Array:
    """Axis i of the result is axis `axes[i]` of x.

    Examples:
        >>> import numr as nr
        >>> nr.permute_dims(nr.ones((2, 3)), (1, 0)).shape
        (3, 2)
    """
    node = node_of(x)
    order = tuple(normalized_axis("permute_dims", a, node.rank) for a in axes)
    if sorted(order) != list(range(node.rank)):
        raise ShapeError(
            f"permute_dims: axes {tuple(axes)} must name each of the {node.rank} axes once"
        )
    return from_node(P.permute(node, order))


def transpose(x: Any, /, axes: Sequence[int] | None = None) -> Array:
    """Axes in reverse, or in a given order (NumPy's name).

    Examples:
        >>> import numr as nr
        >>> nr.transpose(nr.ones((2, 3))).shape
        (3, 2)
    """
    node = node_of(x)
    return permute_dims(x, tuple(range(node.rank))[::-1] if axes is None else axes)


def matrix_transpose(x: Any, /) -> Array:
    """The last two axes exchanged.

    Examples:
        >>> import numr as nr
        >>> nr.matrix_transpose(nr.ones((4, 2, 3))).shape
        (4, 3, 2)
    """
    node = node_of(x)
    if node.rank < 2:
        raise ShapeError("matrix_transpose needs at least two axes")
    return from_node(P.permute(node, (*range(node.rank - 2), node.rank - 1, node.rank - 2)))


def swapaxes(x: Any, axis1: int, axis2: int, /) -> Array:
    """Two axes exchanged.

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


def moveaxis(x: Any, source: Any, destination: Any, /) -> Array:
    """Axes moved to other positions, the others keeping their order.

    Examples:
        >>> import numr as nr
        >>> nr.moveaxis(nr.ones((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    node = node_of(x)
    sources = [
        normalized_axis("moveaxis", a, node.rank)
        for a in (source if isinstance(source, (tuple, list)) else [source])
    ]
    targets = [
        normalized_axis("moveaxis", a, node.rank)
        for a in (destination if isinstance(destination, (tuple, list)) else [destination])
    ]
    if (
        len(sources) != len(targets)
        or len(set(sources)) != len(sources)
        or len(set(targets)) != len(targets)
    ):
        raise ShapeError("moveaxis: source and destination must name as many distinct axes")
    order = [i for i in range(node.rank) if i not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return from_node(P.permute(node, order))


def expand_dims(x: Any, /, axis: Any = 0) -> Array:
    """New axes of length 1 at the given positions of the result.

    Examples:
        >>> import numr as nr
        >>> nr.expand_dims(nr.ones(3), axis=1).shape
        (3, 1)
    """
    node = node_of(x)
    listed = axis if isinstance(axis, (tuple, list)) else (axis,)
    rank = node.rank + len(listed)
    return from_node(
        P.insert_axes(node, tuple(normalized_axis("expand_dims", a, rank) for a in listed))
    )


def squeeze(x: Any, /, axis: Any = None) -> Array:
    """Without axes of length 1 (all of them, or those given).

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
                    f"squeeze: axis {a} has length {int(node.shape[a])}, not 1 (shape {tuple(map(int, node.shape))})"
                )
    return from_node(P.reshape(node, tuple(n for i, n in enumerate(node.shape) if i not in axes)))


def broadcast_to(x: Any, /, shape: Any) -> Array:
    """x stretched to a shape by NumPy's rule.

    Examples:
        >>> import numr as nr
        >>> nr.broadcast_to(nr.asarray([1.0, 2.0]), (2, 2)).tolist()
        [[1.0, 2.0], [1.0, 2.0]]
    """
    node = node_of(x)
    target = (shape,) if isinstance(shape, int) else tuple(shape)
    if _broadcast_shapes("broadcast_to", [node.shape, target]) != target:
        raise ShapeError(
            f"broadcast_to: shape {tuple(map(int, node.shape))} does not stretch to {tuple(map(int, target))}"
        )
    return from_node(P.broadcast_to(node, target))


def broadcast_arrays(*arrays: Any) -> list[Array]:
    """Arrays stretched to their common shape.

    Examples:
        >>> import numr as nr
        >>> [a.shape for a in nr.broadcast_arrays(nr.ones((2, 1)), nr.ones(3))]
        [(2, 3), (2, 3)]
    """
    nodes = [node_of(a) for a in arrays]
    shape = _broadcast_shapes("broadcast_arrays", [n.shape for n in nodes])
    return [from_node(P.broadcast_to(n, shape)) for n in nodes]


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The common shape of shapes.

    Examples:
        >>> import numr as nr
        >>> nr.broadcast_shapes((2, 1), (3,))
        (2, 3)
    """
    return _broadcast_shapes(
        "broadcast_shapes", [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    )


def _together(name: str, arrays: Any) -> list[Node]:
    if isinstance(arrays, Array) or not isinstance(arrays, (list, tuple)):
        arrays = list(arrays)
    if not arrays:
        raise ValueError(f"{name} needs at least one array")
    return promoted(name, list(arrays))[0]


def concat(arrays: Any, /, *, axis: int | None = 0) -> Array:
    """Arrays joined along an axis (flattened first with axis=None).

    Examples:
        >>> import numr as nr
        >>> nr.concat([nr.asarray([1, 2]), nr.asarray([3])]).tolist()
        [1, 2, 3]
    """
    nodes = _together("concat", arrays)
    if axis is None:
        nodes, axis = [ravel(from_node(n)).node for n in nodes], 0
    place = normalized_axis("concat", axis, nodes[0].rank)
    for n in nodes[1:]:
        if n.rank != nodes[0].rank or any(
            a != b
            for i, (a, b) in enumerate(zip(n.shape, nodes[0].shape, strict=True))
            if i != place
        ):
            shapes = " and ".join(str(tuple(map(int, m.shape))) for m in (nodes[0], n))
            raise ShapeError(f"concat: arrays of shapes {shapes} differ in more than axis {place}")
    return from_node(nodes[0] if len(nodes) == 1 else P.CONCAT(*nodes, axis=place))


def concatenate(arrays: Any, /, axis: int | None = 0) -> Array:
    """Arrays joined along an axis (NumPy's name).

    Examples:
        >>> import numr as nr
        >>> nr.concatenate([nr.ones(1), nr.zeros(1)]).tolist()
        [1.0, 0.0]
    """
    return concat(arrays, axis=axis)


def stack(arrays: Any, /, *, axis: int = 0) -> Array:
    """Arrays of one shape joined along a new axis.

    Examples:
        >>> import numr as nr
        >>> nr.stack([nr.asarray([1, 2]), nr.asarray([3, 4])], axis=1).tolist()
        [[1, 3], [2, 4]]
    """
    nodes = _together("stack", arrays)
    for n in nodes[1:]:
        if n.shape != nodes[0].shape:
            raise ShapeError(
                f"stack: shapes {tuple(map(int, nodes[0].shape))} and {tuple(map(int, n.shape))} differ"
            )
    place = normalized_axis("stack", axis, nodes[0].rank + 1)
    return concat([from_node(P.insert_axes(n, (place,))) for n in nodes], axis=place)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The slices along an axis.

    Examples:
        >>> import numr as nr
        >>> [a.item() for a in nr.unstack(nr.asarray([1, 2]))]
        [1, 2]
    """
    node = node_of(x)
    place = normalized_axis("unstack", axis, node.rank)
    whole = [slice(None)] * node.rank
    array = from_node(node)
    return tuple(array[tuple(whole[:place]) + (i,)] for i in range(node.shape[place]))


def split(x: Any, indices_or_sections: Any, /, axis: int = 0) -> list[Array]:
    """Pieces along an axis: so many equal ones, or cut at the given positions.

    Examples:
        >>> import numr as nr
        >>> [p.tolist() for p in nr.split(nr.arange(5), [2, 3])]
        [[0, 1], [2], [3, 4]]
    """
    node = node_of(x)
    place = normalized_axis("split", axis, node.rank)
    length = node.shape[place]
    if isinstance(indices_or_sections, int):
        if length % indices_or_sections:
            raise ShapeError(
                f"split: axis {place} of length {int(length)} is not {indices_or_sections} equal parts"
            )
        step = length // indices_or_sections
        cuts = list(range(step, length, step))
    else:
        cuts = list(indices_or_sections)
    edges = [0, *cuts, None]
    whole = (slice(None),) * place
    array = from_node(node)
    return [array[(*whole, slice(a, b))] for a, b in itertools.pairwise(edges)]


def flip(x: Any, /, *, axis: Any = None) -> Array:
    """Axes reversed (all of them by default).

    Examples:
        >>> import numr as nr
        >>> nr.flip(nr.arange(3)).tolist()
        [2, 1, 0]
    """
    node = node_of(x)
    axes = normalized_axes("flip", axis, node.rank)
    return from_node(P.FLIP(node, axes=axes) if axes else node)


def roll(x: Any, /, shift: Any, *, axis: Any = None) -> Array:
    """Elements moved along axes, those pushed out coming back at the other end.

    Examples:
        >>> import numr as nr
        >>> nr.roll(nr.arange(4), 1).tolist()
        [3, 0, 1, 2]
    """
    node = node_of(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, axis=0), node.shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    shifts = shift if isinstance(shift, (tuple, list)) else (shift,) * len(axes)
    out = from_node(node)
    for a, s in zip(axes, shifts, strict=True):
        place = normalized_axis("roll", a, node.rank)
        n = node.shape[place]
        s = s % n if n else 0
        if s:
            whole = (slice(None),) * place
            joined = concat(
                [out[(*whole, slice(n - s, None))], out[(*whole, slice(None, n - s))]], axis=place
            )
            out = from_node(P.reshape(joined.node, node.shape))
    return out


def pad(x: Any, pad_width: Any, /, mode: str = "constant", *, constant_values: Any = 0) -> Array:
    """x inside a border of a constant.

    Args:
        x: array.
        pad_width: border before and after: a number, a pair for all axes, or a pair per axis.
        mode: "constant" only.
        constant_values: value of the border.

    Examples:
        >>> import numr as nr
        >>> nr.pad(nr.asarray([1, 2]), 1).tolist()
        [0, 1, 2, 0]
    """
    if mode != "constant":
        raise ValueError(f"pad: mode {mode!r} is not there; it has 'constant'")
    node = node_of(x)
    widths = _pad_widths(pad_width, node.rank)
    if any(w < 0 for pair in widths for w in pair):
        raise ValueError("pad: widths must not be negative")
    value = node_of(constant_values)
    from numr.primitives.elementwise import cast

    shape = tuple(
        n if a == b == 0 else a + n + b for n, (a, b) in zip(node.shape, widths, strict=True)
    )
    starts = tuple(a for a, _ in widths)
    return from_node(
        P.PAD(node, cast(value, node.dtype), starts=starts, shape=shape, steps=(1,) * node.rank)
    )


def _pad_widths(pad_width: Any, rank: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, int):
        return [(pad_width, pad_width)] * rank
    listed = list(pad_width)
    if len(listed) == 2 and all(isinstance(w, int) for w in listed):
        return [(listed[0], listed[1])] * rank
    if len(listed) == 1:
        listed = listed * rank
    if len(listed) != rank:
        raise ShapeError(f"pad: {len(listed)} widths for an array with {rank} axes")
    return [(w, w) if isinstance(w, int) else (w[0], w[1]) for w in listed]


def tile(x: Any, repetitions: Any, /) -> Array:
    """x repeated as a whole along axes.

    Examples:
        >>> import numr as nr
        >>> nr.tile(nr.asarray([1, 2]), 2).tolist()
        [1, 2, 1, 2]
    """
    node = node_of(x)
    times = (repetitions,) if isinstance(repetitions, int) else tuple(repetitions)
    times = (1,) * (node.rank - len(times)) + times
    own = (1,) * (len(times) - node.rank) + node.shape
    inner, axes, full = [], [], []
    for k, (n, t) in enumerate(zip(own, times, strict=True)):
        inner += [t, n]
        axes.append(2 * k + 1)
        full.append(n if t == 1 else n * t)
    spread = P.BROADCAST(P.reshape(node, own), shape=tuple(inner), axes=tuple(axes))
    return from_node(P.reshape(spread, tuple(full)))


def repeat(x: Any, repeats: Any, /, *, axis: int | None = None) -> Array:
    """Each element repeated along an axis (of the flattened array without one).

    Args:
        x: array.
        repeats: how often, the same for all elements or one number for each (known in Python).
        axis: axis to repeat along.

    Examples:
        >>> import numr as nr
        >>> nr.repeat(nr.asarray([1, 2]), 2).tolist()
        [1, 1, 2, 2]
    """
    if axis is None:
        return repeat(ravel(x), repeats, axis=0)
    node = node_of(x)
    place = normalized_axis("repeat", axis, node.rank)
    if not isinstance(repeats, int):
        import numpy as np

        from numr.functions.indexing import take

        return take(x, np.repeat(np.arange(node.shape[place]), np.asarray(repeats)), axis=place)
    shape = (*node.shape[: place + 1], repeats, *node.shape[place + 1 :])
    axes = tuple(i if i <= place else i + 1 for i in range(node.rank))
    spread = P.BROADCAST(node, shape=shape, axes=axes)
    full = tuple(
        n * repeats if i == place and repeats != 1 else n for i, n in enumerate(node.shape)
    )
    return from_node(P.reshape(spread, full))


def diff(x: Any, /, *, axis: int = -1, n: int = 1) -> Array:
    """Differences of neighbours along an axis, n times over.

    Examples:
        >>> import numr as nr
        >>> nr.diff(nr.asarray([1.0, 4.0, 9.0])).tolist()
        [3.0, 5.0]
    """
    node = node_of(x)
    place = normalized_axis("diff", axis, node.rank)
    whole = (slice(None),) * place
    out = from_node(node)
    for _ in range(n):
        later, earlier = out[(*whole, slice(1, None))], out[(*whole, slice(None, -1))]
        out = later ^ earlier if out.dtype.kind == "b" else later - earlier
    return out


def diagonal(x: Any, /, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Array:
    """The diagonal of two axes, as a new last axis.

    Examples:
        >>> import numr as nr
        >>> nr.diagonal(nr.asarray([[1, 2], [3, 4]])).tolist()
        [1, 4]
    """
    from numr.functions.indexing import gather_leading
    from numr.primitives.source import IOTA

    node = node_of(x)
    a, b = (normalized_axis("diagonal", k, node.rank) for k in (axis1, axis2))
    rest = [i for i in range(node.rank) if i not in (a, b)]
    node = P.permute(node, (a, b, *rest))
    rows, columns = node.shape[:2]
    square = offset == 0 and (rows is columns or rows == columns)
    length = rows if square else max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    line = IOTA(shape=(length,), axis=0)
    from numr.primitives.elementwise import add

    row = add(line, const(-offset, int64)) if offset < 0 else line
    column = add(line, const(offset, int64)) if offset > 0 else line
    out = gather_leading(node, (row, column))
    return from_node(P.move_axis(out, 0, out.rank - 1))


def diag(x: Any, /, k: int = 0) -> Array:
    """The k-th diagonal of a matrix, or a matrix with a vector on its k-th diagonal.

    Examples:
        >>> import numr as nr
        >>> nr.diag(nr.asarray([1.0, 2.0])).tolist()
        [[1.0, 0.0], [0.0, 2.0]]
    """
    from numr.primitives.elementwise import like, select
    from numr.primitives.mathematics import eq
    from numr.primitives.source import IOTA

    node = node_of(x)
    if node.rank == 2:
        return diagonal(x, offset=k)
    if node.rank != 1:
        raise ShapeError(f"diag takes one or two axes, not {node.rank}")
    n = node.shape[0] if k == 0 else node.shape[0] + abs(k)
    wide = P.PAD(node, like(node, 0), starts=(max(k, 0),), shape=(n,), steps=(1,)) if k else node
    columns = P.BROADCAST(wide, shape=(n, n), axes=(1,))
    rows = IOTA(shape=(n, n), axis=0)
    from numr.primitives.elementwise import add

    on = eq(add(rows, const(k, int64)) if k else rows, IOTA(shape=(n, n), axis=1))
    return from_node(select(on, columns, like(node, 0)))


def atleast_1d(x: Any, /) -> Array:
    """x with at least one axis.

    Examples:
        >>> import numr as nr
        >>> nr.atleast_1d(3.0).shape
        (1,)
    """
    node = node_of(x)
    return from_node(node if node.rank else P.reshape(node, (1,)))


def rot90(x: Any, /, k: int = 1) -> Array:
    """The first two axes turned by k quarter turns.

    Examples:
        >>> import numr as nr
        >>> nr.rot90(nr.asarray([[1, 2], [3, 4]])).tolist()
        [[2, 4], [1, 3]]
    """
    out = from_node(node_of(x))
    for _ in range(k % 4):
        out = flip(swapaxes(out, 0, 1), axis=0)
    return out


__all__ = [
    "atleast_1d", "broadcast_arrays", "broadcast_shapes", "broadcast_to", "concat", "concatenate", "diag", "diagonal",
    "diff", "expand_dims", "flip", "matrix_transpose", "moveaxis", "pad", "permute_dims", "ravel", "repeat", "reshape",
    "roll", "rot90", "split", "squeeze", "stack", "swapaxes", "tile", "transpose", "unstack",
]  # fmt: skip
