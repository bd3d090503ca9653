"""Creation functions: arrays from data, constants, ranges and grids."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numr.array import Array, from_node, to_array
from numr.dtypes import DType, as_dtype, int64
from numr.functions.elementwise import default_float
from numr.functions.operands import node_of, operand
from numr.ir.dims import Size
from numr.ir.node import Node
from numr.primitives.elementwise import add, cast, mul, select, sub
from numr.primitives.mathematics import eq, ge, le
from numr.primitives.shape import broadcast_to
from numr.primitives.source import IOTA, const, size_of


def as_shape(shape: Any) -> tuple[int, ...]:
    """A shape from an int or a sequence of ints; Sizes stay Sizes."""
    listed = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    result = []
    for n in listed:
        if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 0:
            raise ValueError(f"a shape holds non-negative integers, not {n!r}")
        result.append(n if type(n) is Size else int(n))
    return tuple(result)


def _check_device(device: Any) -> None:
    if device is not None and device != "cpu":
        from numr.codegen import target

        target.get(device)


def asarray(
    obj: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None
) -> Array:
    """An array of numbers, nested lists of them, a NumPy array, or anything with DLPack.

    Args:
        obj: the data. NumPy arrays are copied unless `copy=False`.
        dtype: element type; by default int64, float64, complex128 or bool as the data need.
        device: where the array shall be.
        copy: False to share a NumPy array's memory (it must not be changed afterwards).

    Returns:
        array.

    Raises:
        TypeError: for data that are not numbers.

    Examples:
        >>> import numr as nr
        >>> nr.asarray([[1, 2], [3, 4]]).shape
        (2, 2)
    """
    _check_device(device)
    return to_array(obj, dtype, copy)


array = asarray


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array that shares memory with any object that supports DLPack.

    Examples:
        >>> import numpy as np, numr as nr
        >>> nr.from_dlpack(np.ones(2)).tolist()
        [1.0, 1.0]
    """
    return to_array(np.from_dlpack(x), copy=bool(copy))


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """An array of one value.

    Examples:
        >>> import numr as nr
        >>> nr.full((2,), 7).tolist()
        [7, 7]
    """
    _check_device(device)
    found, own, _ = operand(fill_value)
    target = (
        as_dtype(dtype)
        if dtype is not None
        else default_float()
        if own.kind == "f" and isinstance(fill_value, float)
        else own
    )
    node = cast(found, target) if isinstance(found, Node) else found.node(target)
    return from_node(broadcast_to(node, as_shape(shape)))


def zeros(shape: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros, float64 unless a dtype is given.

    Examples:
        >>> import numr as nr
        >>> nr.zeros((2, 2)).tolist()
        [[0.0, 0.0], [0.0, 0.0]]
    """
    return full(shape, 0, dtype=default_float() if dtype is None else dtype, device=device)


def ones(shape: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """Ones, float64 unless a dtype is given.

    Examples:
        >>> import numr as nr
        >>> nr.ones(3).tolist()
        [1.0, 1.0, 1.0]
    """
    return full(shape, 1, dtype=default_float() if dtype is None else dtype, device=device)


def empty(shape: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros: numr never shows uninitialised memory.

    Examples:
        >>> import numr as nr
        >>> nr.empty((2, 3)).shape
        (2, 3)
    """
    return zeros(shape, dtype=dtype, device=device)


def _like(x: Any, value: Any, dtype: Any) -> Array:
    x = to_array(x)
    return full(x.node.shape, value, dtype=x.dtype if dtype is None else dtype)


def full_like(x: Any, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Array:
    """An array of one value with x's shape and dtype.

    Examples:
        >>> import numr as nr
        >>> nr.full_like(nr.ones(2), 3).tolist()
        [3.0, 3.0]
    """
    return _like(x, fill_value, dtype)


def zeros_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros with x's shape and dtype.

    Examples:
        >>> import numr as nr
        >>> nr.zeros_like(nr.ones(2)).tolist()
        [0.0, 0.0]
    """
    return _like(x, 0, dtype)


def ones_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Ones with x's shape and dtype.

    Examples:
        >>> import numr as nr
        >>> nr.ones_like(nr.zeros(2)).tolist()
        [1.0, 1.0]
    """
    return _like(x, 1, dtype)


def empty_like(x: Any, /, *, dtype: Any = None, device: Any = None) -> Array:
    """Zeros with x's shape and dtype.

    Examples:
        >>> import numr as nr
        >>> nr.empty_like(nr.zeros(2)).shape
        (2,)
    """
    return _like(x, 0, dtype)


def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Array:
    """start, start + step, ... up to but not including stop.

    Examples:
        >>> import numr as nr
        >>> nr.arange(3).tolist(), nr.arange(1.0, 2.0, 0.5).tolist()
        ([0, 1, 2], [1.0, 1.5])
    """
    _check_device(device)
    if stop is None:
        start, stop = 0, start
    if step == 0:
        raise ValueError("arange: step must not be 0")
    for name, value in (("start", start), ("stop", stop), ("step", step)):
        if isinstance(value, Array):
            raise TypeError(
                f"arange: {name} decides a shape and must be a Python number, not an array"
            )
    exact = all(isinstance(v, (int, np.integer)) for v in (start, stop, step))
    kind: DType = as_dtype(dtype) if dtype is not None else int64 if exact else default_float()
    if type(stop) is Size and start == 0 and step == 1:
        length: int = stop
    else:
        length = max(0, math.ceil((stop - start) / step))
    line = IOTA(shape=(length,), axis=0)
    if exact and kind.kind in "iu":
        if step != 1:
            line = mul(line, const(step, int64))
        return from_node(cast(add(line, const(start, int64)) if start != 0 else line, kind))
    work = kind if kind.kind in "fc" else default_float()
    line = cast(line, work)
    if step != 1:
        line = mul(line, const(step, work))
    return from_node(cast(add(line, const(start, work)) if start != 0 else line, kind))


def linspace(
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Array:
    """num evenly spaced numbers from start to stop (inclusive with `endpoint`).

    Examples:
        >>> import numr as nr
        >>> nr.linspace(0.0, 1.0, 3).tolist()
        [0.0, 0.5, 1.0]
    """
    kind = as_dtype(dtype) if dtype is not None else default_float()
    if any(isinstance(v, complex) for v in (start, stop)):
        from numr.dtypes import complex_dtype

        kind = complex_dtype(kind)
    work = kind if kind.kind in "fc" else default_float()
    line = IOTA(shape=(num,), axis=0)
    a, b = (cast(node_of(v), work) for v in (start, stop))
    gaps = num - 1 if endpoint else num
    if gaps <= 0:
        return from_node(cast(broadcast_to(a, (num,)), kind))
    part = cast(line, work)
    step = sub(b, a)
    from numr.primitives.elementwise import div

    count = sub(size_of(num, work), const(1, work)) if endpoint else size_of(num, work)
    inner = add(mul(div(part, count), step), a)
    if endpoint:
        # The last point is stop itself, whatever rounding did.
        last = eq(line, cast(sub(size_of(num, int64), const(1, int64)), int64))
        inner = select(last, b, inner)
    return from_node(cast(inner, kind))


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None
) -> Array:
    """Ones on the k-th diagonal, zeros elsewhere.

    Examples:
        >>> import numr as nr
        >>> nr.eye(2).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    _check_device(device)
    shape = (n_rows, n_rows if n_cols is None else n_cols)
    rows, columns = IOTA(shape=shape, axis=0), IOTA(shape=shape, axis=1)
    shifted = add(rows, const(k, int64)) if k else rows
    return from_node(
        cast(eq(shifted, columns), default_float() if dtype is None else as_dtype(dtype))
    )


identity = eye


def _triangle(x: Any, k: int, lower: bool) -> Array:
    node = node_of(x)
    if node.rank < 2:
        raise ValueError("tril and triu need at least two axes")
    rows, columns = (IOTA(shape=node.shape, axis=node.rank - i) for i in (2, 1))
    shifted = add(rows, const(k, int64)) if k else rows
    inside = (le if lower else ge)(columns, shifted)
    return from_node(select(inside, node, const(0, node.dtype)))


def tril(x: Any, /, *, k: int = 0) -> Array:
    """The lower triangle of the last two axes, from the k-th diagonal down; zeros above.

    Examples:
        >>> import numr as nr
        >>> nr.tril(nr.ones((2, 2))).tolist()
        [[1.0, 0.0], [1.0, 1.0]]
    """
    return _triangle(x, k, True)


def triu(x: Any, /, *, k: int = 0) -> Array:
    """The upper triangle of the last two axes, from the k-th diagonal up; zeros below.

    Examples:
        >>> import numr as nr
        >>> nr.triu(nr.ones((2, 2))).tolist()
        [[1.0, 1.0], [0.0, 1.0]]
    """
    return _triangle(x, k, False)


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Array]:
    """Coordinate grids of one-dimensional arrays.

    Examples:
        >>> import numr as nr
        >>> [g.tolist() for g in nr.meshgrid(nr.arange(2), nr.arange(2), indexing="ij")]
        [[[0, 0], [1, 1]], [[0, 1], [0, 1]]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    nodes = [node_of(a) for a in arrays]
    if any(n.rank > 1 for n in nodes):
        raise ValueError("meshgrid takes one-dimensional arrays")
    order = list(range(len(nodes)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    lengths = [n.shape[0] if n.rank else 1 for n in nodes]
    shape = [0] * len(nodes)
    for i, axis in enumerate(order):
        shape[axis] = lengths[i]
    from numr.primitives.shape import BROADCAST, reshape

    grids = []
    for i, node in enumerate(nodes):
        line = reshape(node, (lengths[i],))
        grids.append(from_node(BROADCAST(line, shape=tuple(shape), axes=(order[i],))))
    return grids


def one_hot(indices: Any, num_classes: int, /, *, dtype: Any = None) -> Array:
    """A new last axis with 1 at each index and 0 elsewhere.

    Examples:
        >>> import numr as nr
        >>> nr.one_hot(nr.asarray([0, 2]), 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    node = cast(node_of(indices), int64)
    shape = (*node.shape, num_classes)
    from numr.primitives.shape import BROADCAST

    spread = BROADCAST(node, shape=shape, axes=tuple(range(node.rank)))
    hit = eq(spread, IOTA(shape=shape, axis=len(shape) - 1))
    return from_node(cast(hit, default_float() if dtype is None else as_dtype(dtype)))


__all__ = [
    "arange", "array", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like", "identity",
    "linspace", "meshgrid", "one_hot", "ones", "ones_like", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip
