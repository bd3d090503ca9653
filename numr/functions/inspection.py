"""Questions about dtypes: the standard's finfo, iinfo, isdtype, can_cast and result_type."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr.dtypes import DType, as_dtype
from numr.dtypes import result_type as _result_type
from numr.functions.operands import operand

_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


def finfo(type: Any, /) -> Any:
    """Limits of a floating dtype: bits, eps, max, min, smallest_normal.

    Examples:
        >>> import numr as nr
        >>> nr.finfo(nr.float32).bits
        32
    """
    return np.finfo(_dtype_of(type).dtype)


def iinfo(type: Any, /) -> Any:
    """Limits of an integer dtype: bits, max, min.

    Examples:
        >>> import numr as nr
        >>> nr.iinfo(nr.int8).max
        127
    """
    return np.iinfo(_dtype_of(type).dtype)


def _dtype_of(x: Any) -> DType:
    return (
        x.dtype
        if hasattr(x, "dtype") and not isinstance(x, DType) and not isinstance(x, np.dtype)
        else as_dtype(x)
    )


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: a name of the standard, a dtype, or a tuple of them.

    Examples:
        >>> import numr as nr
        >>> nr.isdtype(nr.float32, "real floating")
        True
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str) and kind in _KINDS:
        return as_dtype(dtype).kind in _KINDS[kind]
    return as_dtype(dtype) is as_dtype(kind)


def result_type(*arrays_and_dtypes: Any) -> DType:
    """The dtype that operands are promoted to; Python numbers are weak.

    Examples:
        >>> import numr as nr
        >>> nr.result_type(nr.float32, 1.0)
        numr.float32
    """
    pairs = []
    for x in arrays_and_dtypes:
        if isinstance(x, (DType, np.dtype, type, str)):
            pairs.append((as_dtype(x), False))
        else:
            _, dtype, weak = operand(x)
            pairs.append((dtype, weak))
    return _result_type(*pairs)[0]


def can_cast(from_: Any, to: Any, /) -> bool:
    """Whether promotion may turn one dtype into another.

    Examples:
        >>> import numr as nr
        >>> nr.can_cast(nr.int32, nr.float64)
        True
    """
    return bool(np.can_cast(_dtype_of(from_).dtype, as_dtype(to).dtype))
