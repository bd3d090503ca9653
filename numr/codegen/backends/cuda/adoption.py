"""Other libraries' device memory as arrays, with no copy: DLPack and the CUDA array interface."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr.codegen.backends.cuda import interchange, memory
from numr.codegen.backends.cuda.device import Device, open_device
from numr.dtypes import as_dtype
from numr.runtime import dlpack
from numr.runtime.device_array import row_major

# DLPack's number of memory that moves between device and host.
MANAGED = 13


def adopt(x: Any) -> memory.CudaArray | None:
    """Another library's array as one of numr's over the same memory, row-major; a copy where its strides
    or its address are none that kernels take. None for what is not on a CUDA device."""
    where = getattr(x, "__dlpack_device__", None)
    if where is not None:
        kind, ordinal = where()
        if int(kind) not in (interchange.KIND, MANAGED):
            return None
        device = open_device(int(ordinal))
        taken = dlpack.Taken(_capsule(x, device.stream() or interchange.LEGACY))
        args = taken.pointer, taken.shape, taken.dtype.dtype, taken.strides
        return _over(device, *args, taken)
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
) -> memory.CudaArray:
    if strides is not None and (0 in shape or _is_row_major(shape, strides)):
        strides = None
    if pointer % memory.ALIGNED and 0 not in shape:
        return memory.realigned(device, pointer, shape, dtype, strides)
    return memory.borrowed(device, pointer, shape, dtype, owner, strides)


def _is_row_major(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether elements are in order; the stride along an axis of one element says nothing."""
    wanted = row_major(shape)
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted, strict=True))
