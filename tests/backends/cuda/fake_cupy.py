"""CuPy for tests, as far as library calls use it: NumPy on the fake driver's memory, which is the host's.

The driver does its streams' work before a call computes, as a device would do both in order. cuSOLVER's
factorization is LAPACK's, on the same pointers and in the same column-major reading of them.
"""

from __future__ import annotations

import ctypes
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from tests.backends.cuda.conftest import FakeCupy
from tests.backends.cuda.fake_driver import FakeDriver

UPPER = 1
_LETTERS = {"s": np.float32, "d": np.float64, "c": np.complex64, "z": np.complex128}


class Memory:
    """Memory of somebody else's."""

    def __init__(self, pointer: int, nbytes: int, owner: Any) -> None:
        self.pointer, self.nbytes, self.owner = pointer, nbytes, owner


class Array(np.ndarray):  # type: ignore[type-arg]
    """NumPy's array, whose `data` says where it is in CuPy's way."""

    @property
    def data(self) -> Any:  # type: ignore[override]
        return types.SimpleNamespace(ptr=self.ctypes.data)


def on_pointers(address: int, shape: tuple[int, ...], dtype: Any) -> Any:
    count = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer((ctypes.c_uint8 * count).from_address(address), dtype).reshape(shape)


def factor(dtype: Any, n: int, address: int, failed: Any) -> None:
    """LAPACK's potrf of the upper triangle of a column-major matrix in place; the rest of it stays."""
    matrix = on_pointers(address, (n, n), dtype).T
    made, info = scipy.linalg.get_lapack_funcs("potrf", dtype=dtype)(matrix, lower=0, clean=0)
    rows, columns = np.triu_indices(n)
    matrix[rows, columns] = made[rows, columns]
    failed[0] = info


class Solver(types.ModuleType):
    """cupy_backends.cuda.libs.cusolver."""

    def __getattr__(self, name: str) -> Any:
        letter, call = name[:1], name[1:]
        dtype = _LETTERS.get(letter)
        if dtype is None or not call.startswith("potrf"):
            raise AttributeError(name)

        def size(handle: int, fill: int, n: int, a: int, lda: int) -> int:
            assert fill == UPPER and lda == n
            return 8

        def one(*args: int) -> None:
            _, fill, n, a, lda, _, length, info = args
            assert fill == UPPER and lda == n and length == 8
            factor(dtype, n, a, on_pointers(info, (1,), np.int32))

        def batch(*args: int) -> None:
            _, fill, n, pointers, lda, info, count = args
            assert fill == UPPER and lda == n
            failed = on_pointers(info, (count,), np.int32)
            for k, a in enumerate(on_pointers(pointers, (count,), np.uint64)):
                factor(dtype, n, int(a), failed[k : k + 1])

        return {"potrf_bufferSize": size, "potrf": one, "potrfBatched": batch}[call]


def solve_triangular(a: Any, b: Any, **options: Any) -> Any:
    """cupyx.scipy.linalg's: one matrix or a stack of them, zeros on the diagonal allowed."""
    with np.errstate(all="ignore"):
        full = np.triu(a) if not options["lower"] else np.tril(a)
        if options["unit_diagonal"]:
            full = full - full * np.eye(a.shape[-1]) + np.eye(a.shape[-1], dtype=a.dtype)
        full = full + np.zeros((), a.dtype)
        matrix = full.conj().swapaxes(-1, -2) if options["trans"] == "C" else full
        singular = (np.diagonal(matrix, 0, -2, -1) == 0).any(-1)[..., None, None]
        safe = np.where(singular, np.eye(a.shape[-1], dtype=a.dtype), matrix)
        return np.where(singular, np.inf, np.linalg.solve(safe, b)).astype(b.dtype).view(Array)


def solved(function: Callable[..., Any]) -> Callable[..., Any]:
    """LAPACK's as cuSOLVER has it: a singular matrix leaves infinities and no error."""

    def call(a: Any, *rest: Any) -> Any:
        out = []
        shape = (rest[0] if rest else a).shape
        a = np.broadcast_to(a, (*shape[:-2], *a.shape[-2:]))
        for k in np.ndindex(*shape[:-2]):
            try:
                out.append(function(a[k], *(r[k] for r in rest)))
            except np.linalg.LinAlgError:
                out.append(np.full(shape[-2:], np.inf, a.dtype))
        return np.reshape(out, shape).astype(a.dtype).view(Array)

    return call


def several(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, **options: [np.asarray(x).view(Array) for x in function(a, **options)]


class FakeCupyLibrary(FakeCupy):
    """An imported CuPy with its arrays and linear algebra."""

    def __init__(self, fake: FakeDriver) -> None:
        super().__init__(fake)
        self.cuda.UnownedMemory = Memory
        self.cuda.MemoryPointer = lambda memory, offset: (memory, offset)
        self.linalg = types.SimpleNamespace(
            solve=solved(np.linalg.solve),
            inv=solved(np.linalg.inv),
            det=lambda a: np.linalg.det(a).view(Array),
            **{k: several(getattr(np.linalg, k)) for k in ("slogdet", "eigh", "svd", "qr")},
        )
        self.called: list[str] = []

    def ndarray(self, shape: Any, dtype: Any, place: Any, strides: Any) -> Any:
        memory, offset = place
        for device in self.fake.devices:
            for handle in list(device.streams):
                self.fake.wait_for(handle, device.ordinal)
        space = (ctypes.c_uint8 * max(memory.nbytes, 1)).from_address(memory.pointer)
        made = np.ndarray(shape, dtype, space, offset, strides).view(Array)
        made.owner = memory  # type: ignore[attr-defined]
        return made

    def ascontiguousarray(self, x: Any) -> Any:
        """A result: memory of the device's from now on."""
        made = np.ascontiguousarray(x).reshape(np.shape(x)).view(Array)
        device = self.fake.current
        if made.size and device.owner(made.ctypes.data) is None:
            device.lend(made.view(np.ndarray))
        return made

    def argsort(self, x: Any, axis: int) -> Any:
        """CuPy's sorts are stable."""
        self.called.append("argsort")
        return np.argsort(x, axis, kind="stable").view(Array)

    def __getattr__(self, name: str) -> Any:
        function = getattr(np, name)
        if not callable(function):
            return function

        def call(*args: Any, **kwargs: Any) -> Any:
            self.called.append(name)
            with np.errstate(all="ignore"):
                return np.asarray(function(*args, **kwargs)).view(Array)

        return call

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Make it what is imported."""
        names = {
            "cupy": self,
            "cupy.cuda.device": types.SimpleNamespace(get_cusolver_handle=lambda: 1),
            "cupy_backends.cuda.libs.cublas": types.SimpleNamespace(CUBLAS_FILL_MODE_UPPER=UPPER),
            "cupy_backends.cuda.libs.cusolver": Solver("cusolver"),
            "cupyx.scipy.linalg": types.SimpleNamespace(solve_triangular=solve_triangular),
        }
        for name, module in names.items():
            monkeypatch.setitem(sys.modules, name, module)
