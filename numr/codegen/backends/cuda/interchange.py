"""Device memory for other libraries, with no copy: DLPack and the CUDA array interface.

https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html (version 3) and
https://data-apis.org/array-api/latest/design_topics/data_interchange.html have the protocols. Streams
are kept in order: who takes memory waits, on the device, for what was to be done to it before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numr.dtypes import as_dtype
from numr.runtime import dlpack

if TYPE_CHECKING:
    from numr.codegen.backends.cuda.memory import CudaArray

# DLPack's number of memory that is on a device.
KIND = 2
# Both protocols' number of the stream that all others wait for, which the driver calls 0.
LEGACY = 1


def describe(array: CudaArray) -> dict[str, Any]:
    """The CUDA array interface of an array."""
    device = array.storage.device
    strides = None
    if not array.is_contiguous:
        strides = tuple(s * array.dtype.itemsize for s in array.element_strides())
    return {
        "version": 3,
        "shape": array.shape,
        "strides": strides,
        "typestr": array.dtype.str,
        "data": (array.storage.pointer if array.size else 0, True),
        "stream": device.stream() or LEGACY,
    }


def give(array: CudaArray, stream: Any, max_version: Any, copied: bool) -> Any:
    """An array as a DLPack capsule, for work on a stream."""
    device = array.storage.device
    if stream is None:
        stream = LEGACY
    if stream != -1:
        device.order(device.stream(), stream)
    versioned = max_version is not None and max_version[0] >= 1
    # Numr's arrays never change; a copy is the taker's own.
    flags = (dlpack.IS_COPIED if copied else dlpack.READ_ONLY) if versioned else None
    return dlpack.give(
        array.storage.pointer,
        (KIND, device.ordinal),
        array.shape,
        array.element_strides(),
        as_dtype(array.dtype),
        array.storage,
        flags,
    )
