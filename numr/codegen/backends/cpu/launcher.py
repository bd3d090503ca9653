"""Calling a kernel from Python in about 0.1 us: native callables over NumPy's own structures.

``make_launcher`` returns a builtin function that reads the data pointers straight from the arrays
it is given and calls a kernel's packed form, ``void packed(lo, hi, words)``, where ``words`` holds
the pointers, then the fixed sizes and scalars, one 8-byte word each. ``make_guard`` gives one that
says whether its arguments are the arrays a plan was made for. Both are made of native.py's
functions; where an interpreter lays its objects out otherwise (checked on first use: free-threaded
builds, PyPy), plain Python does the same job through ctypes.
"""

from __future__ import annotations

import ctypes
import functools
import struct
import sys
import sysconfig
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numr.codegen.backends.cpu import native

Launcher = Callable[..., None]
Guard = Callable[..., bool]
Spec = tuple[np.dtype[Any], tuple[int, ...]]  # dtype, shape

_FASTCALL = 0x0080
_CONTIGUOUS_ALIGNED = 0x0001 | 0x0100
_WRITEABLE = 0x0400
_MESSAGE = ctypes.create_string_buffer(b"a kernel takes exactly its number of NumPy arrays")
_PACKED = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
_PARALLEL = ctypes.CFUNCTYPE(
    None,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    *[ctypes.c_int64] * 4,
)


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_methods: dict[str, _MethodDef] = {}  # CPython keeps pointers to these


def pack_word(code: str, value: float) -> int:
    """A scalar argument as the 8-byte word the packed form of a kernel reads."""
    if code == "f64":
        return int(struct.unpack("<q", struct.pack("<d", value))[0])
    if code == "f32":
        return int(struct.unpack("<I", struct.pack("<f", value))[0])
    word = int(value) & 0xFFFF_FFFF_FFFF_FFFF
    return word - (1 << 64) if word >> 63 else word


@functools.cache
def layout_known() -> bool:
    """Whether this interpreter's objects lie as native.py expects, checked on real ones."""
    if sys.implementation.name != "cpython" or struct.calcsize("P") != 8:
        return False
    if sys.byteorder != "little" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    if bytes.__basicsize__ != 33 or object.__basicsize__ != 16:
        return False
    word = ctypes.c_void_p.from_address
    marker = b"numr layout"
    if ctypes.string_at(id(marker) + 32, len(marker)) != marker:
        return False
    for array in (np.zeros((3, 5)), np.zeros((4, 6), np.float32)[:, ::2], np.zeros(())):
        at = id(array)
        shape_at, flags = word(at + 32).value, ctypes.c_int.from_address(at + 64).value
        shape = tuple(
            ctypes.c_ssize_t.from_address((shape_at or 0) + 8 * d).value for d in range(array.ndim)
        )
        if (
            word(at + 8).value != id(np.ndarray)
            or word(at + 16).value != array.ctypes.data
            or ctypes.c_int.from_address(at + 24).value != array.ndim
            or shape != array.shape
            or word(at + 56).value != id(array.dtype)
            or bool(flags & 0x0001) != array.flags.c_contiguous
            or bool(flags & 0x0100) != array.flags.aligned
            or bool(flags & 0x0400) != array.flags.writeable
        ):
            return False
    return True


def _builtin(symbol: str, plan: bytes) -> Any:
    """A builtin function whose ``self`` is the plan."""
    method = _methods.get(symbol)
    if method is None:
        method = _MethodDef(symbol.encode(), native.address(symbol), _FASTCALL, None)
        _methods[symbol] = method
    new = ctypes.pythonapi.PyCFunction_NewEx
    new.restype, new.argtypes = (
        ctypes.py_object,
        [ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p],
    )
    return new(ctypes.addressof(method), plan, None)


@functools.cache
def _interpreter_words() -> tuple[int, ...]:
    """The words of a plan that are the same for every launch: from ``ndarray`` on."""

    def at(name: str) -> int:
        return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0

    return (
        id(np.ndarray),
        id(None),
        at("Py_IncRef"),
        at("PyEval_SaveThread"),
        at("PyEval_RestoreThread"),
        at("PyErr_SetString"),
        id(TypeError),
        ctypes.addressof(_MESSAGE),
    )


def make_launcher(
    packed: int,
    n_arrays: int,
    ints: Sequence[int],
    *,
    lo: int = 0,
    hi: int,
    grain: int = 0,
    pool: int = 0,
    threads: int = 1,
    release_gil: bool = False,
) -> Launcher:
    """A callable of ``n_arrays`` arrays that runs a packed kernel over [lo, hi).

    ``ints`` are the words after the pointers (``pack_word`` makes one of a scalar). With
    ``release_gil`` the interpreter is free while the kernel runs (30 ns more); with a ``pool``
    (pool.py) too, at most ``threads`` pieces of at least ``grain`` run on its threads.
    """
    if not layout_known() or n_arrays + len(ints) > native.MAX_WORDS:
        return _plain_launcher(packed, n_arrays, tuple(ints), lo, hi, grain, pool, threads)
    words = (packed, n_arrays, len(ints), lo, hi, grain, pool, int(release_gil or pool != 0))
    plan = struct.pack(
        f"<{len(native.PLAN_FIELDS) + len(ints)}q", *words, *_interpreter_words(), threads, *ints
    )
    launcher: Launcher = _builtin("numr_launch", plan)
    return launcher


def _plain_launcher(
    packed: int,
    n_arrays: int,
    ints: tuple[int, ...],
    lo: int,
    hi: int,
    grain: int,
    pool: int,
    threads: int,
) -> Launcher:
    """The same through ctypes, for layouts we do not know and for very many arguments."""
    buffer = ctypes.c_int64 * (n_arrays + len(ints))
    parallel = _PARALLEL(native.address("numr_parallel"))

    def launch(*arrays: Any) -> None:
        if len(arrays) != n_arrays or not all(type(a) is np.ndarray for a in arrays):
            raise TypeError(_MESSAGE.value.decode())
        words = buffer(*(a.ctypes.data for a in arrays), *ints)
        parallel(pool or None, packed, ctypes.addressof(words), lo, hi, grain, threads)

    return launch


def make_guard(specs: Sequence[Spec], writeable: bool = False) -> Guard:
    """A callable that is true of exactly as many arrays, each of its spec.

    An array fits if its type is ``numpy.ndarray`` itself, its dtype is the very object of the spec
    (NumPy's builtin dtypes are single objects), its shape is equal, and it is C-contiguous and
    aligned (and ``writeable``, if asked).
    """
    wanted = _CONTIGUOUS_ALIGNED | (_WRITEABLE if writeable else 0)
    if not layout_known():
        return _plain_guard(tuple(specs), writeable)
    incref = _interpreter_words()[2]
    words = [id(np.ndarray), id(True), id(False), incref, len(specs)]
    for dtype, shape in specs:
        words += [id(dtype), len(shape), wanted, *shape]
    plan = struct.pack(f"<{len(words)}q", *words)
    guard: Guard = _builtin("numr_guard", plan)
    # The plan holds addresses: what they point to must live as long as the plan may.
    _dtypes.update((id(dtype), dtype) for dtype, _ in specs)
    return guard


_dtypes: dict[int, Any] = {}


def _plain_guard(specs: tuple[Spec, ...], writeable: bool) -> Guard:
    def guard(*args: Any) -> bool:
        return len(args) == len(specs) and all(
            type(a) is np.ndarray
            and a.dtype is dtype
            and a.shape == shape
            and a.flags.c_contiguous
            and a.flags.aligned
            and (a.flags.writeable or not writeable)
            for a, (dtype, shape) in zip(args, specs, strict=True)
        )

    return guard
