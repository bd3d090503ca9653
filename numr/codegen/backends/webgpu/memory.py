"""Device memory: typed views of pooled buffers, and the ways to and from the host.

An element takes 4 or 8 bytes as on the host, but a boolean takes 4 and a complex number two floats.
Integers of 8 and 16 bits are packed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.webgpu.buffers import Block
from numr.codegen.backends.webgpu.gpu import gpu
from numr.runtime.generated import define

Array = np.ndarray[Any, Any]


class Storage:
    """A buffer in use, which returns to the pool with the last array over it."""

    __slots__ = ("block",)

    def __init__(self, block: Block) -> None:
        self.block = block

    def __del__(self) -> None:
        self.block.pool.give(self.block)


class DeviceArray:
    """An array in the memory of a device: a shape and strides, in elements, over a buffer."""

    __slots__ = ("dtype", "shape", "storage", "strides")

    device = "webgpu"

    def __init__(
        self,
        storage: Storage,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self.storage = storage
        self.shape = shape
        self.dtype = dtype
        self.strides = strides  # None if row-major

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        count = 1
        for n in self.shape:
            count *= n
        return count

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def is_contiguous(self) -> bool:
        return self.strides is None or self.strides == row_major(self.shape)

    def element_strides(self) -> tuple[int, ...]:
        """How many elements further the next along each axis is."""
        return row_major(self.shape) if self.strides is None else self.strides

    def reshape(self, shape: tuple[int, ...]) -> DeviceArray:
        if not self.is_contiguous:
            raise ValueError("only a row-major array has another shape without a copy")
        return DeviceArray(self.storage, shape, self.dtype)

    def transpose(self, order: Sequence[int]) -> DeviceArray:
        strides = self.element_strides()
        shape = tuple(self.shape[i] for i in order)
        return DeviceArray(self.storage, shape, self.dtype, tuple(strides[i] for i in order))

    def spread(self, shape: tuple[int, ...], axes: Sequence[int]) -> DeviceArray:
        """A view in a larger shape: axis i of this is its axis `axes[i]`, the others repeat it."""
        strides = [0] * len(shape)
        for stride, axis, n in zip(self.element_strides(), axes, self.shape, strict=True):
            strides[axis] = 0 if n == 1 else stride
        return DeviceArray(self.storage, shape, self.dtype, tuple(strides))


def guard(specs: Sequence[tuple[np.dtype[Any], tuple[int, ...]]]) -> Callable[..., bool]:
    """A check that arguments are row-major arrays of these dtypes and shapes, in one expression."""
    tests = [
        f"type(a{k}) is DeviceArray and a{k}.strides is None and a{k}.shape == {shape}"
        f" and a{k}.dtype is d{k}"
        for k, (_, shape) in enumerate(specs)
    ]
    names = ", ".join(f"a{k}" for k in range(len(specs)))
    space = {"DeviceArray": DeviceArray} | {f"d{k}": dtype for k, (dtype, _) in enumerate(specs)}
    lines = [f"def accepts({names}): return {' and '.join(tests) or True}"]
    return define("accepts", lines, space)  # type: ignore[no-any-return]


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a row-major array, in elements."""
    strides: list[int] = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


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


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> DeviceArray:
    """A fresh array, whose contents may be anything.

    Raises:
        OutOfMemoryError: naming the shape, dtype and size asked for.
    """
    return DeviceArray(Storage(_take(shape, dtype, False)), shape, dtype)


def upload(array: Array) -> DeviceArray:
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
    return DeviceArray(storage, tuple(array.shape), dtype)


def download(array: DeviceArray) -> Array:
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
