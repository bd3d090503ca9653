"""Library calls through CuPy, where it is installed: cuBLAS, cuSOLVER and the sorts and scans of CUB.

Each is asked for by name and dtype ("matmul:f64"); what is not here, and everything where CuPy or its
libraries are not, is done by kernels of numr's own. Nothing here waits for the device: what cannot be
factored or solved becomes NaN by what the libraries leave in the device's memory.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from numr.codegen.backends.cuda import memory
from numr.codegen.backends.cuda.device import simulated
from numr.primitives import decompositions
from numr.primitives.linalg import Library

# CuPy arrays, which nothing here can name the type of.
Array = Any

FIELDS = ("f32", "f64", "c64", "c128")
INTEGERS = ("i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64")


@functools.cache
def library() -> Mapping[str, Callable[..., Any]]:
    """The calls there are, by name and dtype; none where CuPy or what it loads is missing."""
    if simulated():
        return {}
    try:
        cupy = importlib.import_module("cupy")
        for name in ("cublas", "cusolver"):
            importlib.import_module(f"cupy_backends.cuda.libs.{name}")
    except Exception:  # CuPy raises what its loader finds wrong, of many types
        return {}
    calls = Calls(cupy)
    solvers = (calls.cholesky, calls.triangular_solve, calls.solve, calls.inv)
    determinants = (calls.det, calls.logabsdet, calls.signdet)
    found: set[tuple[Callable[..., Array], str]]
    known: tuple[Callable[..., Array], ...]
    known = (calls.matmul, *solvers, *determinants, *map(calls.decomposition, decompositions.CALLS))
    found = {(f, d) for f in known for d in FIELDS}
    found |= {(f, d) for f in (calls.sort, calls.argsort) for d in (*INTEGERS, "f32", "f64")}
    # Sums of floating-point numbers as CUB makes them differ from one run to the next.
    found |= {(f, d) for f in (calls.cumsum, calls.cumprod) for d in INTEGERS}
    return {f"{f.__name__}:{d}": _of_device_arrays(cupy, f) for f, d in found}


def _of_device_arrays(cupy: Any, function: Callable[..., Array]) -> Callable[..., Any]:
    """The same of numr's arrays, whose memory CuPy is lent and whose result's memory it lends."""

    @functools.wraps(function)
    def call(*arrays: memory.CudaArray, **params: Any) -> memory.CudaArray:
        device = arrays[0].storage.device
        with device.within():
            result = cupy.ascontiguousarray(function(*(lent(cupy, a) for a in arrays), **params))
        return memory.borrowed(
            device, result.data.ptr, result.nbytes, result.shape, result.dtype, result
        )

    return call


def lent(cupy: Any, array: memory.CudaArray) -> Array:
    """An array as CuPy's, in the same memory, which lives as long as either."""
    storage = array.storage
    owned = cupy.cuda.UnownedMemory(storage.pointer, storage.nbytes, storage)
    strides = tuple(s * array.dtype.itemsize for s in array.element_strides())
    return cupy.ndarray(array.shape, array.dtype, cupy.cuda.MemoryPointer(owned, 0), strides)


class Calls:
    """The calls, as functions of CuPy's arrays."""

    def __init__(self, cupy: Any) -> None:
        self.cp = cupy

    def matmul(self, x: Array, y: Array) -> Array:
        if not (x.size and y.size):
            lead = x.shape[:-2]
            return self.cp.zeros((*lead, x.shape[-2], y.shape[-1]), x.dtype)
        return self.cp.matmul(x, y)

    def sort(self, x: Array, *, axis: int) -> Array:
        return self.cp.sort(x, axis=axis)

    def argsort(self, x: Array, *, axis: int) -> Array:
        return self.cp.argsort(x, axis=axis)  # which is stable, as all of its sorts

    def _directed(self, function: Any, x: Array, axis: int, reverse: bool) -> Array:
        turned = self.cp.flip(x, axis) if reverse else x
        out = function(turned, axis=axis, dtype=x.dtype)
        return self.cp.flip(out, axis) if reverse else out

    def cumsum(self, x: Array, *, axis: int, reverse: bool) -> Array:
        return self._directed(self.cp.cumsum, x, axis, reverse)

    def cumprod(self, x: Array, *, axis: int, reverse: bool) -> Array:
        return self._directed(self.cp.cumprod, x, axis, reverse)

    def cholesky(self, a: Array) -> Array:
        cp = self.cp
        if not a.size:
            return a
        n = a.shape[-1]
        # Upper in the library's column-major eyes is lower in row-major ones.
        factor = cp.ascontiguousarray((a + a.conj().swapaxes(-1, -2)) / 2).reshape(-1, n, n)
        failed = cp.zeros(len(factor), "int32")
        cublas, cusolver, handle = self._solver()
        letter = {"f": "s", "d": "d", "F": "c", "D": "z"}[a.dtype.char]
        if len(factor) == 1:
            size = getattr(cusolver, f"{letter}potrf_bufferSize")
            args = (handle, cublas.CUBLAS_FILL_MODE_UPPER, n, factor.data.ptr, n)
            length = size(*args)
            space = cp.empty(length, a.dtype)
            run = getattr(cusolver, f"{letter}potrf")
            run(*args, space.data.ptr, length, failed.data.ptr)
        else:
            first, step = factor.data.ptr, n * n * a.dtype.itemsize
            pointers = cp.arange(first, first + step * len(factor), step, dtype="uint64")
            run = getattr(cusolver, f"{letter}potrfBatched")
            upper = cublas.CUBLAS_FILL_MODE_UPPER
            run(handle, upper, n, pointers.data.ptr, n, failed.data.ptr, len(factor))
        factor = cp.where((failed != 0)[:, None, None], cp.nan, factor)
        return cp.tril(factor).astype(a.dtype, copy=False).reshape(a.shape)

    @staticmethod
    def _solver() -> tuple[Any, Any, int]:
        load = importlib.import_module
        libs = [load(f"cupy_backends.cuda.libs.{name}") for name in ("cublas", "cusolver")]
        return libs[0], libs[1], load("cupy.cuda.device").get_cusolver_handle()

    def triangular_solve(
        self, a: Array, b: Array, *, lower: bool, adjoint: bool, unit: bool
    ) -> Array:
        if not (a.size and b.size):
            return b
        solve = importlib.import_module("cupyx.scipy.linalg").solve_triangular
        x = solve(a, b, trans="C" if adjoint else "N", lower=lower, unit_diagonal=unit)
        if unit:
            return x
        singular = (self.cp.diagonal(a, 0, -2, -1) == 0).any(axis=-1)
        return self._unless(singular, x)

    def solve(self, a: Array, b: Array, *, transposed: bool) -> Array:
        if not (a.size and b.size):
            return b
        x = self.cp.linalg.solve(a.swapaxes(-1, -2) if transposed else a, b)
        return self._unless(self._finite(a) & self._finite(b) & ~self._finite(x), x)

    def inv(self, a: Array) -> Array:
        if not a.size:
            return a
        x = self.cp.linalg.inv(a)
        return self._unless(self._finite(a) & ~self._finite(x), x)

    def _finite(self, x: Array) -> Array:
        return self.cp.isfinite(x).all(axis=(-2, -1))

    def _unless(self, singular: Array, x: Array) -> Array:
        """NaN throughout where a matrix was singular: a zero pivot has left infinities or NaN."""
        return self.cp.where(singular[..., None, None], self.cp.nan, x).astype(x.dtype, copy=False)

    def det(self, a: Array) -> Array:
        return self.cp.linalg.det(a).astype(a.dtype, copy=False)

    def logabsdet(self, a: Array) -> Array:
        return self.cp.linalg.slogdet(a)[1]

    def signdet(self, a: Array) -> Array:
        return self.cp.linalg.slogdet(a)[0].astype(a.dtype, copy=False)

    def decomposition(self, prim: Library) -> Callable[..., Array]:
        """A decomposition as it is declared, by CuPy's functions of the same names as NumPy's."""

        def call(a: Array, **params: Any) -> Array:
            return prim.compute(self.cp, a, **params)  # type: ignore[attr-defined]

        call.__name__ = prim.name
        return call
