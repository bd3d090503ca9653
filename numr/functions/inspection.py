"""Dtypes: conversion, promotion, limits, and what the namespace offers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from numr import devices, dtypes
from numr.array import Array, from_node
from numr.dtypes import DType, as_dtype
from numr.dtypes import result_type as _result_type
from numr.functions.operands import Weak, operand
from numr.primitives.elementwise import cast

_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


class FInfo(NamedTuple):
    """Limits of a floating dtype (of its parts, if it is complex)."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


class IInfo(NamedTuple):
    """Limits of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: DType


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Array:
    """x in another dtype.

    Floating numbers become integers by dropping their fraction, numbers become booleans by whether
    they are not 0, and complex numbers become real by dropping the imaginary part.

    Args:
        x: array, or a Python number.
        dtype: the dtype: numr's, NumPy's, its name, or bool, int, float or complex.
        copy: accepted for the standard's sake; arrays are values, so nothing depends on it.
        device: where the result shall be; by default where x is.

    Returns:
        Array of x's shape.

    Raises:
        DeviceError: for a device that is not there.
        TypeError: for a dtype that numr does not have.

    Examples:
        >>> import numr as nr
        >>> nr.astype(nr.asarray([1.7, -1.7]), nr.int32)
        numr.Array([ 1, -1], dtype=int32)
    """
    found, own, _ = operand(x)
    node = found.node(own) if isinstance(found, Weak) else found
    result = from_node(cast(node, as_dtype(dtype)))
    return result if device is None else result.to_device(device)


def _dtype_of(x: Any) -> DType:
    """The dtype that is meant by a dtype, its name, or an array."""
    return x.dtype if isinstance(x, Array) else as_dtype(getattr(x, "dtype", x))


def finfo(type: Any, /) -> FInfo:
    """The limits of a floating dtype.

    Args:
        type: a floating or complex dtype, or an array of it.

    Returns:
        bits, eps (what 1 and the next number differ by), max, min, smallest_normal and dtype.

    Raises:
        ValueError: for other dtypes.

    Examples:
        >>> import numr as nr
        >>> nr.finfo(nr.float32).bits, nr.finfo(nr.float64).eps
        (32, 2.220446049250313e-16)
    """
    dtype = dtypes.real_part_dtype(_dtype_of(type))
    found: Any
    if dtype.name == "bfloat16":
        import ml_dtypes

        found = ml_dtypes.finfo(dtype.dtype)
    else:
        found = np.finfo(dtype.dtype)
    eps, largest, least, normal = map(
        float, (found.eps, found.max, found.min, found.smallest_normal)
    )
    return FInfo(found.bits, eps, largest, least, normal, dtype)


def iinfo(type: Any, /) -> IInfo:
    """The limits of an integer dtype.

    Args:
        type: an integer dtype, or an array of it.

    Returns:
        bits, max, min and dtype.

    Raises:
        ValueError: for other dtypes.

    Examples:
        >>> import numr as nr
        >>> nr.iinfo(nr.int8).max
        127
    """
    dtype = _dtype_of(type)
    found = np.iinfo(dtype.dtype)
    return IInfo(found.bits, int(found.max), int(found.min), dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind.

    Args:
        dtype: a dtype.
        kind: a dtype; "bool", "signed integer", "unsigned integer", "integral", "real floating",
            "complex floating" or "numeric"; or a tuple of these, any of which will do.

    Returns:
        bool.

    Raises:
        TypeError: for a kind that does not exist.

    Examples:
        >>> import numr as nr
        >>> nr.isdtype(nr.float32, "real floating"), nr.isdtype(nr.int8, ("bool", nr.int16))
        (True, False)
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return as_dtype(dtype).kind in _KINDS[kind]
    return as_dtype(dtype) is as_dtype(kind)


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype that operands are promoted to.

    Python numbers are weak: they take the dtype of what they meet, unless they are of a higher kind
    (a float beside integers, a complex number beside floats).

    Args:
        *arrays_and_dtypes: arrays, dtypes and Python numbers.

    Returns:
        The dtype.

    Raises:
        TypeError: without arguments.

    Examples:
        >>> import numr as nr
        >>> nr.result_type(nr.float32, 1.0), nr.result_type(nr.int32, 1.0)
        (numr.float32, numr.float64)
    """
    pairs = []
    for x in arrays_and_dtypes:
        if isinstance(x, (DType, np.dtype, type, str)):
            pairs.append((as_dtype(x), False))
        else:
            pairs.append(operand(x)[1:])
    return _result_type(*pairs)[0]


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether promotion may turn one dtype into another.

    Args:
        from_: a dtype, or an array.
        to: a dtype.

    Returns:
        bool.

    Examples:
        >>> import numr as nr
        >>> nr.can_cast(nr.int32, nr.float64), nr.can_cast(nr.float64, nr.float32)
        (True, False)
    """
    return bool(np.can_cast(_dtype_of(from_).dtype, as_dtype(to).dtype))


class NamespaceInfo:
    """What the namespace offers, as the standard's inspection API asks.

    Examples:
        >>> import numr as nr
        >>> nr.__array_namespace_info__().default_dtypes()["integral"]
        numr.int64
    """

    def capabilities(self) -> dict[str, Any]:
        """Boolean indexing works outside traced functions; `max dimensions` has no limit."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": None}

    def default_device(self) -> str:
        """The device of arrays that name none."""
        return devices.get_default_device()

    def devices(self) -> list[str]:
        """The devices arrays can be on."""
        from numr.codegen import target

        return target.usable()

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The dtypes of arrays that name none."""
        from numr.functions.operands import default_float

        real = default_float()
        return {
            "real floating": real,
            "complex floating": dtypes.complex_dtype(real),
            "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, DType]:
        """The dtypes there are, by name; of a kind, where one is given (see `isdtype`)."""
        return {d.name: d for d in dtypes.ALL if kind is None or isdtype(d, kind)}


def __array_namespace_info__() -> NamespaceInfo:
    """What the namespace offers: `capabilities`, `default_dtypes`, `dtypes` and `devices`.

    Returns:
        An object with these methods.

    Examples:
        >>> import numr as nr
        >>> sorted(nr.__array_namespace_info__().dtypes(kind="complex floating"))
        ['complex128', 'complex64']
    """
    return NamespaceInfo()


__all__ = [
    "__array_namespace_info__",
    "astype",
    "can_cast",
    "finfo",
    "iinfo",
    "isdtype",
    "result_type",
]
