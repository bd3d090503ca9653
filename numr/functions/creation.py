"""Creation of arrays: from data, of one value, of ranges, and of positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numr import devices
from numr.array import Array, from_node, from_value, to_array
from numr.dtypes import DType, as_dtype, complex_dtype, int64
from numr.errors import DTypeError, ShapeError
from numr.functions.operands import Weak, default_float, node_of, operand, plain
from numr.ir.dims import Size, as_length
from numr.ir.node import Node
from numr.ir.symbolic import Symbolic, largest
from numr.primitives.elementwise import add, cast, div, mul, select, sub
from numr.primitives.mathematics import eq
from numr.primitives.shape import BROADCAST, broadcast_to, reshape
from numr.primitives.source import IOTA, const, size_of

Shape = int | Sequence[int]


def as_shape(shape: Shape) -> tuple[int, ...]:
    """A shape from an int or a sequence of ints; Sizes stay Sizes."""
    result: list[int] = []
    for n in shape if isinstance(shape, (tuple, list)) else (shape,):
        if not hasattr(n, "__index__") or isinstance(n, bool) or n < 0:
            raise ShapeError(
                f"a shape holds whole numbers that are not negative, and {n!r} is none"
            )
        result.append(as_length(n))
    return tuple(result)


def placed(array: Array, device: Any) -> Array:
    """A new array on the device that was asked for, if one was; else it goes where it is used."""
    return array if device is None else array.to_device(device)


def asarray(
    obj: Any, /, dtype: Any = None, *, device: Any = None, copy: bool | None = None
) -> Array:
    """An array of given values.

    Args:
        obj: a number, nested sequences of numbers or numr arrays, a NumPy array, or anything that
            supports DLPack or NumPy's array protocol.
        dtype: element type; by default that of `obj`, and for Python numbers bool, int64, float64
            or complex128, as they need.
        device: where the array shall be.
        copy: False to share the memory of a NumPy array, which must not be changed any more. By
            default it is copied, since a computation that is still to run may read it later.

    Returns:
        Array of the shape of `obj`.

    Raises:
        DeviceError: for a device that is not there.
        TypeError: for what holds no numbers.

    Examples:
        >>> import numr as nr
        >>> nr.asarray([[1, 2], [3, 4]])
        numr.Array([[1, 2],
               [3, 4]])
    """
    array = to_array(obj, dtype, copy)
    if array._value is not None and array.node.device is None:
        # Given numbers: this is where they get their place.
        array = from_value(array._value)
        device = device or devices.get_default_device()
    return placed(array, device)


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> Array:
    """An array that shares memory with an array of another library.

    Args:
        x: any object with `__dlpack__`, in the host's memory or on a device that numr has ("cuda"). It
            must not be changed any more, unless copied.
        device: where the array shall be.
        copy: True to copy the memory.

    Returns:
        Array of x's shape and dtype.

    Raises:
        DeviceError: for a device that is not there, or an array on a device that numr has not.
        TypeError: for what has no `__dlpack__`.

    Examples:
        >>> import numpy as np, numr as nr
        >>> nr.from_dlpack(np.ones(2))
        numr.Array([1., 1.])
    """
    if not hasattr(x, "__dlpack__"):
        raise TypeError(f"from_dlpack takes an array with __dlpack__, not {type(x).__name__}")
    return placed(to_array(x, copy=bool(copy)), device)


def full(shape: Shape, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Array:
    """An array of one value.

    Args:
        shape: shape of the result.
        fill_value: a Python number or an array; an array broadcasts to the shape.
        dtype: element type; by default that of the value (int64, float64, complex128 or bool for a
            Python number).
        device: where the array shall be.

    Returns:
        Array of the given shape.

    Raises:
        DeviceError: for a device that is not there.
        ShapeError: for a length that is negative or no integer.

    Examples:
        >>> import numr as nr
        >>> nr.full((2,), 7)
        numr.Array([7, 7])
    """
    found, own, _ = operand(fill_value)
    target = as_dtype(dtype) if dtype is not None else own
    if dtype is None and isinstance(found, Weak) and own.kind == "f":
        target = default_float()
    wanted = as_shape(shape)
    if isinstance(found, Weak):
        # A fraction where integers are asked for is cut off, as NumPy does.
        exact = target.kind in "biu" and own.kind in "fc"
        node = cast(found.node(own), target) if exact else found.node(target)
    else:
        node = cast(found, target)
    return placed(from_node(broadcast_to(node, wanted)), device)


def zeros(shape: Shape, dtype: Any = None, *, device: Any = None) -> Array:
    """An array of zeros.

    Args:
        shape: shape of the result.
        dtype: element type, by default float64.
        device: where the array shall be.

    Returns:
        Array of the given shape.

    Raises:
        DeviceError: for a device that is not there.
        ShapeError: for a length that is negative or no integer.

    Examples:
        >>> import numr as nr
        >>> nr.zeros((2, 2))
        numr.Array([[0., 0.],
               [0., 0.]])
    """
    return full(shape, 0, default_float() if dtype is None else dtype, device=device)


def ones(shape: Shape, dtype: Any = None, *, device: Any = None) -> Array:
    """An array of ones.

    Args:
        shape: shape of the result.
        dtype: element type, by default float64.
        device: where the array shall be.

    Returns:
        Array of the given shape.

    Raises:
        DeviceError: for a device that is not there.
        ShapeError: for a length that is negative or no integer.

    Examples:
        >>> import numr as nr
        >>> nr.ones(3)
        numr.Array([1., 1., 1.])
    """
    return full(shape, 1, default_float() if dtype is None else dtype, device=device)


def empty(shape: Shape, dtype: Any = None, *, device: Any = None) -> Array:
    """An array of zeros: numr never shows memory that was not written.

    Args:
        shape: shape of the result.
        dtype: element type, by default float64.
        device: where the array shall be.

    Returns:
        Array of the given shape.

    Raises:
        DeviceError: for a device that is not there.
        ShapeError: for a length that is negative or no integer.

    Examples:
        >>> import numr as nr
        >>> nr.empty((2, 3)).shape
        (2, 3)
    """
    return zeros(shape, dtype, device=device)


def full_like(x: Any, /, fill_value: Any, dtype: Any = None, *, device: Any = None) -> Array:
    """An array of one value, like another in shape and dtype.

    Args:
        x: array.
        fill_value: a Python number or an array; an array broadcasts to x's shape.
        dtype: element type, by default x's.
        device: where the array shall be.

    Returns:
        Array of x's shape.

    Raises:
        DeviceError: for a device that is not there.

    Examples:
        >>> import numr as nr
        >>> nr.full_like(nr.ones(2), 3)
        numr.Array([3., 3.])
    """
    node = node_of(x)
    return full(node.shape, fill_value, node.dtype if dtype is None else dtype, device=device)


def zeros_like(x: Any, /, dtype: Any = None, *, device: Any = None) -> Array:
    """An array of zeros, like another in shape and dtype.

    Args:
        x: array.
        dtype: element type, by default x's.
        device: where the array shall be.

    Returns:
        Array of x's shape.

    Raises:
        DeviceError: for a device that is not there.

    Examples:
        >>> import numr as nr
        >>> nr.zeros_like(nr.ones(2))
        numr.Array([0., 0.])
    """
    return full_like(x, 0, dtype, device=device)


def ones_like(x: Any, /, dtype: Any = None, *, device: Any = None) -> Array:
    """An array of ones, like another in shape and dtype.

    Args:
        x: array.
        dtype: element type, by default x's.
        device: where the array shall be.

    Returns:
        Array of x's shape.

    Raises:
        DeviceError: for a device that is not there.

    Examples:
        >>> import numr as nr
        >>> nr.ones_like(nr.zeros(2))
        numr.Array([1., 1.])
    """
    return full_like(x, 1, dtype, device=device)


def empty_like(x: Any, /, dtype: Any = None, *, device: Any = None) -> Array:
    """An array of zeros, like another in shape and dtype; see `empty`.

    Args:
        x: array.
        dtype: element type, by default x's.
        device: where the array shall be.

    Returns:
        Array of x's shape.

    Raises:
        DeviceError: for a device that is not there.

    Examples:
        >>> import numr as nr
        >>> nr.empty_like(nr.zeros(2)).shape
        (2,)
    """
    return full_like(x, 0, dtype, device=device)


def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Array:
    """start, start + step, ... up to but not including stop.

    Args:
        start: the first number; with one argument it is the stop, and the start is 0.
        stop: the end, which is not reached.
        step: the difference of neighbours, not 0. These three are Python numbers.
        dtype: element type; by default int64, or float64 if a number is floating.
        device: where the array shall be.

    Returns:
        Vector of ceil((stop - start) / step) numbers, start + k * step; the length and the numbers
        follow NumPy's.

    Raises:
        DeviceError: for a device that is not there.
        DTypeError: for arrays, which cannot decide a shape.
        ShapeError: for a step of 0.

    Examples:
        >>> import numr as nr
        >>> nr.arange(3), nr.arange(1.0, 2.0, 0.5)
        (numr.Array([0, 1, 2]), numr.Array([1. , 1.5]))
    """
    if stop is None:
        start, stop = 0, start
    for name, value in (("start", start), ("stop", stop), ("step", step)):
        if isinstance(value, Array):
            raise DTypeError(
                f"arange: {name} decides a shape and must be a Python number, not an array\n"
                "  for numbers that depend on an array, scale and shift nr.arange(n)"
            )
    if step == 0:
        raise ShapeError("arange: step must not be 0")
    exact = all(isinstance(v, (int, np.integer)) for v in (start, stop, step))
    kind = as_dtype(dtype) if dtype is not None else int64 if exact else default_float()
    if isinstance(stop, Size) and start == 0 and step == 1:
        length = largest([0, stop])
    else:
        gaps = -((start - stop) // step) if exact else math.ceil((stop - start) / step)
        length = largest([0, gaps])
    line = IOTA(shape=(length,), axis=0)
    work = int64 if exact and kind.kind in "iu" else kind if kind.is_inexact else default_float()
    line = cast(line, work)
    if step != 1:
        line = mul(line, const(step, work))
    if start != 0:
        line = add(line, const(start, work))
    return placed(from_node(cast(line, kind)), device)


def linspace(
    start: Any,
    stop: Any,
    /,
    num: int = 50,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Array:
    """Evenly spaced numbers from start to stop: start + k * (stop - start) / (num - 1).

    Args:
        start: the first number, or an array of shape ().
        stop: the last number, likewise.
        num: how many.
        dtype: element type, by default float64 (complex128 for complex ends).
        device: where the array shall be.
        endpoint: whether stop is the last number; else the first left out, as in `arange`.

    Returns:
        Vector of num numbers. The last is stop itself, whatever rounding does.

    Raises:
        DeviceError: for a device that is not there.
        ShapeError: for ends with axes, or a negative num.

    Examples:
        >>> import numr as nr
        >>> nr.linspace(0.0, 1.0, 5)
        numr.Array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    ends = [node_of(v) for v in (start, stop)]
    if any(n.rank for n in ends):
        raise ShapeError(
            f"linspace: start and stop are numbers, not arrays of shape {plain(ends[0].shape)} and "
            f"{plain(ends[1].shape)}\n  nr.vmap makes one for each pair"
        )
    own = default_float()
    own = complex_dtype(own) if any(n.dtype.kind == "c" for n in ends) else own
    kind = own if dtype is None else as_dtype(dtype)
    work = kind if kind.is_inexact else own
    a, b = (cast(n, work) for n in ends)
    (length,) = as_shape(num)
    gaps = length - 1 if endpoint else length
    if not isinstance(gaps, Symbolic) and gaps <= 0:
        return placed(from_node(cast(broadcast_to(a, (length,)), kind)), device)
    line = IOTA(shape=(length,), axis=0)

    def count(dtype: DType) -> Node:
        if isinstance(gaps, Symbolic) or not endpoint:
            return size_of(largest([gaps, 1]), dtype)
        return sub(size_of(length, dtype), const(1, dtype))

    inner = add(mul(cast(line, work), div(sub(b, a), count(work))), a)
    if endpoint:
        inner = select(eq(line, count(int64)), b, inner)
    return placed(from_node(cast(inner, kind)), device)


def meshgrid(*arrays: Any, indexing: str = "xy") -> list[Array]:
    """The coordinates of the points of a grid, from those along each of its axes.

    Args:
        *arrays: vectors (or numbers), one for each axis.
        indexing: "ij" for a result whose axis i belongs to the i-th vector; "xy" with the first two
            axes exchanged, as for pictures.

    Returns:
        As many arrays, each of the shape of the grid, in a list.

    Raises:
        ShapeError: for arrays with more than one axis, or another indexing.

    Examples:
        >>> import numr as nr
        >>> x, y = nr.meshgrid(nr.arange(3), nr.arange(2))
        >>> x
        numr.Array([[0, 1, 2],
               [0, 1, 2]])
    """
    nodes = [node_of(a) for a in arrays]
    if indexing not in ("xy", "ij"):
        raise ShapeError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    if any(n.rank > 1 for n in nodes):
        raise ShapeError("meshgrid takes vectors: arrays with at most one axis")
    order = list(range(len(nodes)))
    if indexing == "xy":
        order[:2] = order[:2][::-1]
    lengths = [n.shape[0] if n.rank else 1 for n in nodes]
    shape = tuple(lengths[i] for i in order)
    return [
        from_node(BROADCAST(reshape(n, (lengths[i],)), shape=shape, axes=(order[i],)))
        for i, n in enumerate(nodes)
    ]


def one_hot(indices: Any, num_classes: int, /, *, dtype: Any = None) -> Array:
    """1 at the place that an index names and 0 elsewhere, along a new last axis.

    Args:
        indices: array of integers. Those outside range(num_classes) give zeros only.
        num_classes: length of the new axis.
        dtype: element type, by default float64.

    Returns:
        Array of the shape of `indices` with an axis of num_classes added.

    Raises:
        DTypeError: for indices that are not integers.

    Examples:
        >>> import numr as nr
        >>> nr.one_hot(nr.asarray([0, 2]), 3)
        numr.Array([[1., 0., 0.],
               [0., 0., 1.]])
    """
    node = node_of(indices)
    if node.dtype.kind not in "iu":
        raise DTypeError(f"one_hot: indices are integers, not {node.dtype}")
    shape = (*node.shape, *as_shape(num_classes))
    spread = BROADCAST(cast(node, int64), shape=shape, axes=tuple(range(node.rank)))
    hit = eq(spread, IOTA(shape=shape, axis=len(shape) - 1))
    return from_node(cast(hit, default_float() if dtype is None else as_dtype(dtype)))


# NumPy's name for the same function.
array = asarray

__all__ = [
    "arange",
    "array",
    "asarray",
    "empty",
    "empty_like",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "one_hot",
    "ones",
    "ones_like",
    "zeros",
    "zeros_like",
]
