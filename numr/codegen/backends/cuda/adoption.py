"""Other libraries' device memory as arrays, with no copy: DLPack and the CUDA array interface."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from numr.codegen.backends.cuda import interchange, memory
from numr.codegen.backends.cuda.device import Device, open_device
from numr.dtypes import as_dtype
from numr.runtime import dlpack
from numr.runtime.device_array import row_major

# DLPack's number of memory that moves between device and host.
MANAGED = 13


def adopt(x: Any) -> tuple[memory.CudaArray, int] | None:
    """Another library's array as one of numr's over the same memory, from its lowest address on, and how
    many elements after that its first one is. A copy of the memory where kernels take no such address.
    None for what is not on a CUDA device."""
    where = getattr(x, "__dlpack_device__", None)
    if where is not None:
        kind, ordinal = where()
        if int(kind) not in (interchange.KIND, MANAGED):
            return None
        device = open_device(int(ordinal))
        taken = dlpack.Taken(_capsule(x, device.stream() or interchange.LEGACY))
        return _over(device, taken.pointer, taken.shape, taken.dtype.dtype, taken.strides, taken)
    described = getattr(x, "__cuda_array_interface__", None)
    if described is None:
        return None
    pointer, dtype = described["data"][0], np.dtype(described["typestr"])
    device = open_device(open_device(0).place_of(pointer) if pointer else 0)
    stream = described.get("stream")
    if stream is not None:
        device.order(stream, device.stream())
    strides = described.get("strides")
    if strides is not None:
        strides = tuple(s // dtype.itemsize for s in strides)
    return _over(device, pointer, tuple(described["shape"]), as_dtype(dtype).dtype, strides, x)


def _capsule(x: Any, stream: int) -> Any:
    try:
        return x.__dlpack__(stream=stream, max_version=dlpack.VERSION)
    except TypeError:  # of before DLPack 1.0
        return x.__dlpack__(stream=stream)


def _over(
    device: Device,
    pointer: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    strides: tuple[int, ...] | None,
    owner: Any,
) -> tuple[memory.CudaArray, int]:
    if 0 in shape:
        return memory.empty(device, shape, dtype), 0
    if strides is None or _is_row_major(shape, strides):
        before, length, strides = 0, math.prod(shape), None
    else:
        steps = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
        before = -sum(s for s in steps if s < 0)
        length = before + sum(s for s in steps if s > 0) + 1
    lowest, nbytes = pointer - before * dtype.itemsize, length * dtype.itemsize
    if lowest % memory.ALIGNED:
        owner = memory.empty(device, (nbytes,), np.dtype(np.uint8)).storage
        device.copy(owner.pointer, lowest, nbytes)
        lowest = owner.pointer
    return memory.borrowed(device, lowest, nbytes, shape, dtype, owner, strides), before


def _is_row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether elements are in order; the stride along an axis of one element says nothing."""
    wanted = row_major(shape)
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted, strict=True))
