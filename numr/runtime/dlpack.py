"""DLPack capsules: how libraries hand each other arrays in memory that stays where it is.

The structures are those of dlpack.h 1.0 (https://dmlc.github.io/dlpack/latest/c_api.html), with and
without the version that can say that memory is not to be written to.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from typing import Any

from numr.dtypes import DType, as_dtype

VERSION = (1, 0)
READ_ONLY, IS_COPIED = 1, 2

# Codes of dtypes' kinds; bfloat16 has one of its own.
_CODES = {"i": 0, "u": 1, "f": 2, "c": 5, "b": 6}
_NAMES = {0: "int", 1: "uint", 2: "float", 5: "complex", 6: "bool"}
_BFLOAT = 4


class _Device(ctypes.Structure):
    _fields_ = [("kind", c_int32), ("number", c_int32)]


class _Kind(ctypes.Structure):
    _fields_ = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device", _Device),
        ("ndim", c_int32),
        ("dtype", _Kind),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


class _Managed(ctypes.Structure):
    _fields_ = [("tensor", _Tensor), ("context", c_void_p), ("deleter", c_void_p)]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", c_uint32),
        ("minor", c_uint32),
        ("context", c_void_p),
        ("deleter", c_void_p),
        ("flags", c_uint64),
        ("tensor", _Tensor),
    ]


# Name of a capsule -> its structure. The names must live as long as the capsules.
_STRUCTURES: dict[bytes, Any] = {b"dltensor": _Managed, b"dltensor_versioned": _Versioned}
_USED = {name: b"used_" + name for name in _STRUCTURES}

_deleter_type = ctypes.CFUNCTYPE(None, c_void_p)
_destructor_type = ctypes.PYFUNCTYPE(None, c_void_p)
_api = ctypes.pythonapi
# A capsule by its address: one that is being destroyed must not be counted by Python again.
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, c_void_p, ctypes.c_char_p)(("PyCapsule_IsValid", _api))
_pointer = ctypes.PYFUNCTYPE(c_void_p, c_void_p, ctypes.c_char_p)(("PyCapsule_GetPointer", _api))
_set_name = ctypes.PYFUNCTYPE(ctypes.c_int, c_void_p, ctypes.c_char_p)(("PyCapsule_SetName", _api))
_new = ctypes.PYFUNCTYPE(ctypes.py_object, c_void_p, ctypes.c_char_p, c_void_p)(
    ("PyCapsule_New", _api)
)

# What has been given away, by its address, until its consumer is done with it.
_given: dict[int, Any] = {}


@_deleter_type
def _forget(address: int) -> None:
    _given.pop(address, None)


@_destructor_type
def _end(capsule: int) -> None:
    """A capsule ends: what nobody took from it, ends too."""
    for name in _STRUCTURES:
        if _is_valid(capsule, name):
            _forget(_pointer(capsule, name))


def give(
    pointer: int,
    device: tuple[int, int],
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: DType,
    owner: Any,
    flags: int | None,
) -> Any:
    """A capsule over memory.

    Args:
        pointer: address of the first element.
        device: DLPack's kind of device, and the number of it.
        shape: lengths.
        strides: how many elements further the next along each axis is.
        dtype: element type.
        owner: what must live as long as the memory is used.
        flags: what is to be known of the memory (READ_ONLY, IS_COPIED); None for a capsule of before
            DLPack 1.0, which cannot say it.
    """
    name = b"dltensor" if flags is None else b"dltensor_versioned"
    managed = _STRUCTURES[name]()
    lengths = (c_int64 * (2 * len(shape) or 1))(*shape, *strides)
    tensor = managed.tensor
    tensor.data = pointer
    tensor.device = _Device(*device)
    tensor.ndim = len(shape)
    code = _BFLOAT if dtype.name == "bfloat16" else _CODES[dtype.kind]
    tensor.dtype = _Kind(code, dtype.bits, 1)
    first = ctypes.addressof(lengths)
    tensor.shape = ctypes.cast(first, POINTER(c_int64))
    tensor.strides = ctypes.cast(first + 8 * len(shape), POINTER(c_int64))
    managed.deleter = ctypes.cast(_forget, c_void_p)
    if flags is not None:
        managed.major, managed.minor = VERSION
        managed.flags = flags
    address = ctypes.addressof(managed)
    _given[address] = managed, lengths, owner
    return _new(address, name, ctypes.cast(_end, c_void_p))


class Taken:
    """What a capsule held: memory that ends with this object.

    Attributes:
        pointer: address of the first element.
        device: DLPack's kind of device, and the number of it.
        shape: lengths.
        strides: how many elements further the next along each axis is; None if row-major.
        dtype: element type.
        read_only: whether the memory is not to be written to.

    Raises:
        BufferError: for a capsule that was used before, or of a version or dtype that numr has not.
    """

    def __init__(self, capsule: Any) -> None:
        address = id(capsule)
        name = next((n for n in _STRUCTURES if _is_valid(address, n)), None)
        if name is None:
            raise BufferError("not a DLPack capsule, or one that was used before")
        managed = _STRUCTURES[name].from_address(_pointer(address, name))
        versioned = isinstance(managed, _Versioned)
        if versioned and managed.major > VERSION[0]:
            raise BufferError(f"DLPack {managed.major}.{managed.minor} is newer than numr knows")
        tensor = managed.tensor
        self.dtype = _dtype(tensor.dtype)
        axes = range(tensor.ndim)
        self.shape = tuple(tensor.shape[i] for i in axes)
        self.strides = tuple(tensor.strides[i] for i in axes) if tensor.strides else None
        self.device = tensor.device.kind, tensor.device.number
        self.pointer = (tensor.data or 0) + tensor.byte_offset
        self.read_only = versioned and bool(managed.flags & READ_ONLY)
        _set_name(address, _USED[name])
        self._managed = managed

    def __del__(self) -> None:
        managed = getattr(self, "_managed", None)
        if managed is not None and managed.deleter:
            done: Callable[[int], None] = _deleter_type(managed.deleter)
            done(ctypes.addressof(managed))


def _dtype(kind: _Kind) -> DType:
    if kind.lanes == 1 and kind.code == _BFLOAT and kind.bits == 16:
        return as_dtype("bfloat16")
    name = _NAMES.get(kind.code)
    try:
        if kind.lanes == 1 and name is not None:
            return as_dtype(name if name == "bool" else f"{name}{kind.bits}")
    except TypeError:
        pass
    given = f"code {kind.code}, {kind.bits} bits, {kind.lanes} lanes"
    raise BufferError(f"numr has no dtype like that of the DLPack array ({given})")
