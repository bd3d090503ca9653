"""Data types: one interned object per dtype, the array API promotion table, weak Python scalars."""

from __future__ import annotations

from typing import Any

import numpy as np


class DType:
    """One element type. Instances are interned, so `is` compares them.

    Equality also accepts anything `numpy.dtype` understands, and `numpy.dtype(numr.float64)`
    works, so the objects can be handed to NumPy functions.

    Examples:
        >>> import numr as nr
        >>> nr.float32.itemsize
        4
        >>> nr.float32 == "float32"
        True
    """

    __slots__ = ("bits", "dtype", "itemsize", "kind", "name", "short")

    def __init__(self, name: str, kind: str, short: str) -> None:
        self.name = name
        self.kind = kind  # "b" bool, "i" signed, "u" unsigned, "f" real floating, "c" complex
        self.short = short  # the spelling in printed IR: f64, i32, ...
        self.dtype = np.dtype(name)  # numpy.dtype(obj) reads this attribute
        self.itemsize = self.dtype.itemsize
        self.bits = self.itemsize * 8

    def __repr__(self) -> str:
        return f"numr.{self.name}"

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, DType) or other is None:
            return False
        try:
            return bool(self.dtype == np.dtype(other))  # type: ignore[call-overload]
        except TypeError:
            return False

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (as_dtype, (self.name,))

    @property
    def is_inexact(self) -> bool:
        return self.kind in "fc"

    @property
    def is_half(self) -> bool:
        """Whether it is a floating dtype of 16 bits, which is stored as such and computed in float32."""
        return self.bits == 16 and self.kind == "f"


bool_ = DType("bool", "b", "bool")
int8 = DType("int8", "i", "i8")
int16 = DType("int16", "i", "i16")
int32 = DType("int32", "i", "i32")
int64 = DType("int64", "i", "i64")
uint8 = DType("uint8", "u", "u8")
uint16 = DType("uint16", "u", "u16")
uint32 = DType("uint32", "u", "u32")
uint64 = DType("uint64", "u", "u64")
float16 = DType("float16", "f", "f16")
float32 = DType("float32", "f", "f32")
float64 = DType("float64", "f", "f64")
complex64 = DType("complex64", "c", "c64")
complex128 = DType("complex128", "c", "c128")

ALL: tuple[DType, ...] = (
    bool_,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
    float16,
    float32,
    float64,
    complex64,
    complex128,
)
_BY_NUMPY: dict[np.dtype[Any], DType] = {d.dtype: d for d in ALL}

# What a Python scalar becomes when nothing else decides (array API: the default dtypes).
DEFAULT_BY_PYTHON: dict[type, DType] = {
    bool: bool_,
    int: int64,
    float: float64,
    complex: complex128,
}


def as_dtype(value: Any) -> DType:
    """The numr dtype for a numr dtype, NumPy dtype, name, or Python scalar type.

    Raises:
        TypeError: for a dtype numr does not have (strings, objects, float16, dates).
    """
    if type(value) is DType:
        return value
    try:
        found = _BY_NUMPY.get(value)
    except TypeError:
        found = None
    if found is None and "bfloat16" in (value, getattr(value, "name", ""), _type_name(value)):
        return _bfloat16()
    if found is None:
        if isinstance(value, type) and value in DEFAULT_BY_PYTHON:
            return DEFAULT_BY_PYTHON[value]
        try:
            numpy_dtype = np.dtype(value)
        except TypeError:
            numpy_dtype = None
        if numpy_dtype is not None:
            found = _BY_NUMPY.get(numpy_dtype.newbyteorder("="))
    if found is None:
        names = ", ".join(d.name for d in ALL)
        raise TypeError(f"numr has no dtype for {value!r}; it has {names}")
    return found


def _type_name(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else ""


def _bfloat16() -> DType:
    """The dtype of ml_dtypes, which need not be installed: nothing else knows it.

    Raises:
        TypeError: if it is not.
    """
    try:
        import ml_dtypes  # noqa: F401  (NumPy knows the name from then on)
    except ImportError:
        raise TypeError("bfloat16 needs the package ml_dtypes: pip install ml_dtypes") from None
    made = DType("bfloat16", "f", "bf16")
    return _BY_NUMPY.setdefault(made.dtype, made)


_COMPLEX_PART = {complex64: float32, complex128: float64}
_COMPLEX_OF = {float32: complex64, float64: complex128}


def real_part_dtype(dtype: DType) -> DType:
    """float32 for complex64, float64 for complex128, and every other dtype itself."""
    return _COMPLEX_PART.get(dtype, dtype)


def complex_dtype(dtype: DType) -> DType:
    """The complex dtype whose parts have the given real floating dtype."""
    return _COMPLEX_OF.get(dtype, dtype if dtype.kind == "c" else complex128)


def _promote_pair(a: DType, b: DType) -> DType:
    # The array API table where it speaks; NumPy's answer for the mixed kinds it leaves open.
    return _BY_NUMPY[np.promote_types(a.dtype, b.dtype)]


_PROMOTION: dict[tuple[DType, DType], DType] = {
    (a, b): _promote_pair(a, b) for a in ALL for b in ALL
}


def promote(a: DType, b: DType) -> DType:
    """The common dtype of two arrays (array API table, then NumPy's for mixed kinds)."""
    found = _PROMOTION.get((a, b))
    if found is None:  # one of them is bfloat16
        rank = {"b": 0, "i": 0, "u": 0, "f": 1, "c": 2}
        found = a if rank[a.kind] >= rank[b.kind] else b
        if a.kind == b.kind == "f" and a is not b:
            found = max(a, b, float32, key=lambda d: d.bits)
    return found


_KIND_RANK = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}


def promote_weak(strong: DType, weak: DType) -> DType:
    """The dtype of an array beside a weakly typed one (a Python scalar).

    The strong dtype wins unless the weak one is of a higher kind: int32 + 1.5 is float64,
    float32 + 1.5 is float32, float32 + 1j is complex64.
    """
    if _KIND_RANK[weak.kind] <= _KIND_RANK[strong.kind]:
        return strong
    if weak.kind == "c":
        return complex_dtype(strong) if strong.kind == "f" else complex128
    return weak


def result_type(*operands: tuple[DType, bool]) -> tuple[DType, bool]:
    """The common (dtype, weak) of operands given as (dtype, weak) pairs."""
    strong: DType | None = None
    weak: DType | None = None
    for dtype, is_weak in operands:
        if is_weak:
            weak = dtype if weak is None else promote(weak, dtype)
        else:
            strong = dtype if strong is None else promote(strong, dtype)
    if strong is None:
        if weak is None:
            raise TypeError("result_type needs at least one operand")
        return weak, True
    return (strong if weak is None else promote_weak(strong, weak)), False
