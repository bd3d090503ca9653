"""Arrays in the memory of a CUDA device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.cuda import interchange
from numr.codegen.backends.cuda.device import Device
from numr.runtime.device_array import DeviceArray

Array = np.ndarray[Any, Any]
# Kernels rely on arrays to start at multiples of so many bytes.
ALIGNED = 16


class Storage:
    """Memory of a device, which returns to it with the last array over it."""

    __slots__ = ("device", "nbytes", "pointer")

    def __init__(self, device: Device, nbytes: int) -> None:
        self.device = device
        self.nbytes = nbytes
        self.pointer = device.allocate(nbytes)

    def __del__(self) -> None:
        if hasattr(self, "pointer"):
            self.device.free(self.pointer, self.nbytes)


class Borrowed:
    """Memory that somebody else's object owns, which lives as long as an array over it."""

    __slots__ = ("device", "nbytes", "owner", "pointer")

    def __init__(self, device: Device, pointer: Any, nbytes: int, owner: Any) -> None:
        self.device = device
        self.pointer = pointer
        self.nbytes = nbytes
        self.owner = owner


class CudaArray(DeviceArray):
    """An array in the memory of a CUDA device."""

    __slots__ = ()

    @property
    def device(self) -> str:  # type: ignore[override]
        return self.storage.device.name  # type: ignore[no-any-return]

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return interchange.describe(self)

    def __dlpack_device__(self) -> tuple[int, int]:
        return interchange.KIND, self.storage.device.ordinal

    def __dlpack__(self, *, stream: Any, max_version: Any, copied: bool) -> Any:
        return interchange.give(self, stream, max_version, copied)


def empty(device: Device, shape: tuple[int, ...], dtype: np.dtype[Any]) -> CudaArray:
    """A fresh array, whose contents may be anything.

    Raises:
        OutOfMemoryError: naming the shape, dtype and size asked for, and what is free.
    """
    try:
        storage = Storage(device, math.prod(shape) * dtype.itemsize)
    except MemoryError:
        raise messages.out_of_memory(shape, dtype, dtype.itemsize, device.free_memory()) from None
    return CudaArray(storage, shape, dtype)


def borrowed(
    device: Device,
    pointer: Any,
    nbytes: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    owner: Any,
    strides: tuple[int, ...] | None = None,
) -> CudaArray:
    """An array over somebody else's memory, with strides in elements; None if it is row-major."""
    return CudaArray(Borrowed(device, pointer, nbytes, owner), shape, dtype, strides)


def upload(device: Device, array: Array) -> CudaArray:
    """A copy of a host array in device memory."""
    data = np.ascontiguousarray(array)
    made = empty(device, tuple(array.shape), array.dtype)
    if data.size:
        device.write(made.storage.pointer, data)
    return made


def download(array: CudaArray) -> Array:
    """A copy of a row-major device array in host memory; this waits for the work before it."""
    result = np.empty(array.shape, array.dtype)
    if result.size:
        array.storage.device.read(array.storage.pointer, result)
    return result
