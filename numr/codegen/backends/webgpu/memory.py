"""Device memory: arrays over pooled buffers, and the ways to and from the host.

An element takes 4 or 8 bytes as on the host, but a boolean takes 4 and a complex number two floats.
Integers of 8 and 16 bits are packed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.webgpu.buffers import Block
from numr.codegen.backends.webgpu.gpu import gpu
from numr.runtime.device_array import DeviceArray

Array = np.ndarray[Any, Any]


class Storage:
    """A buffer in use, which returns to the pool with the last array over it."""

    __slots__ = ("block",)

    def __init__(self, block: Block) -> None:
        self.block = block

    def __del__(self) -> None:
        self.block.pool.give(self.block)


class WebGpuArray(DeviceArray):
    """An array in the memory of the WebGPU device."""

    __slots__ = ()

    device = "webgpu"


def _device_bytes(shape: Sequence[int], dtype: np.dtype[Any]) -> int:
    size = 4 if dtype.kind == "b" else dtype.itemsize
    for n in shape:
        size *= n
    return -(-size // 4) * 4


def _take(shape: tuple[int, ...], dtype: np.dtype[Any], written: bool) -> Block:
    try:
        return gpu().pool.take(_device_bytes(shape, dtype), written)
    except MemoryError:
        raise messages.out_of_memory(shape, dtype, dtype.itemsize) from None


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> WebGpuArray:
    """A fresh array, whose contents may be anything.

    Raises:
        OutOfMemoryError: naming the shape, dtype and size asked for.
    """
    return WebGpuArray(Storage(_take(shape, dtype, False)), shape, dtype)


def upload(array: Array) -> WebGpuArray:
    """A copy of a host array in device memory."""
    device = gpu()
    dtype = array.dtype
    data = np.ascontiguousarray(array, np.uint32 if dtype.kind == "b" else None)
    with device.lock:
        storage = Storage(_take(array.shape, dtype, True))
        if data.size:
            raw = data.reshape(-1).view(np.uint8)
            if raw.size % 4:
                raw = np.concatenate([raw, np.zeros(-raw.size % 4, np.uint8)])
            with device.watched():
                device.device.queue.write_buffer(storage.block.buffer, 0, raw)
            device.statistics.uploaded += raw.size
    return WebGpuArray(storage, tuple(array.shape), dtype)


def download(array: WebGpuArray) -> Array:
    """A copy of a device array in host memory; this waits for all work recorded before.

    Raises:
        DeviceLostError: if the device was lost, and the array with it.
    """
    block = array.storage.block
    device = block.pool.device
    size = _device_bytes(array.shape, array.dtype)
    kind = np.dtype(np.uint32) if array.dtype.kind == "b" else array.dtype
    if not array.size:
        return np.empty(array.shape, array.dtype)
    assert array.is_contiguous, "what is read is made row-major before"
    with device.lock, device.watched():
        staging = device.pool.take_staging(size)
        device.encoder().copy_buffer_to_buffer(block.buffer, 0, staging, 0, size)
        device.flush()
        # The mode that does not submit once more before it waits.
        staging.map_async("READ_NOSYNC", 0, size).sync_wait()
        try:
            raw = np.frombuffer(staging.read_mapped(0, size, copy=False), np.uint8)
            values = raw[: array.size * kind.itemsize].view(kind)
            result = values.astype(array.dtype).reshape(array.shape)
        finally:
            staging.unmap()
        device.pool.give_staging(staging)
        device.statistics.downloaded += size
    return result
