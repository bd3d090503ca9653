"""Device memory: typed views of pooled buffers, and the ways to and from the host.

An element takes 4 or 8 bytes as on the host, but a boolean takes 4 and a complex number two floats.
Integers of 8 and 16 bits are packed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.webgpu.gpu import gpu

Array = np.ndarray[Any, Any]

# A buffer that recorded work still uses is not written; rather than wait, make so many more.
SPARE = 8
IDLE_LIMIT = 1 << 29


class Block:
    """A buffer of the device. `last_use` is the number of the last command buffer it is in."""

    __slots__ = ("buffer", "last_use", "serial", "size")

    count = 0

    def __init__(self, buffer: Any, size: int) -> None:
        Block.count += 1
        self.buffer = buffer
        self.size = size
        self.serial = Block.count
        self.last_use = 0


class Pool:
    """Free buffers by size; so many bytes of them are kept at most."""

    def __init__(self) -> None:
        self.idle = 0
        self.live = 0
        self._free: dict[int, list[Block]] = {}
        self._lock = threading.RLock()

    def take(self, size: int, written: bool) -> Block:
        """A buffer of at least so many bytes; `written` if the host is going to write it now."""
        size = _rounded(size)
        device = gpu()
        with self._lock:
            free = self._free.setdefault(size, [])
            found: Block | None = None
            if written:
                found = next((b for b in free if b.last_use < device.batch), None)
                if found is None and len(free) >= SPARE:
                    device.flush()
                    found = free[0]
                if found is not None:
                    free.remove(found)
            elif free:
                found = free.pop()
            if found is not None:
                self.idle -= size
            else:
                found = self._make(size)
            self.live += size
            return found

    def _make(self, size: int) -> Block:
        device = gpu()
        if size > device.limits["max-buffer-size"]:
            raise MemoryError
        usage = device.wgpu.BufferUsage
        flags = usage.STORAGE | usage.COPY_SRC | usage.COPY_DST
        for attempt in (1, 2):
            try:
                buffer = device.device.create_buffer(size=size, usage=flags)
                break
            except device.wgpu.GPUError:
                if attempt == 2:
                    raise MemoryError from None
                device.flush()
                self.trim()
        device.statistics.buffers += 1
        return Block(buffer, size)

    def give(self, block: Block) -> None:
        """Take a buffer back."""
        with self._lock:
            self.live -= block.size
            if self.idle + block.size > IDLE_LIMIT:
                _drop(block)
                return
            self.idle += block.size
            self._free.setdefault(block.size, []).append(block)

    def trim(self) -> None:
        """Return all free buffers to the system."""
        with self._lock:
            for blocks in self._free.values():
                for b in blocks:
                    _drop(b)
            self._free.clear()
            self.idle = 0


def _drop(block: Block) -> None:
    device = gpu()
    if block.last_use >= device.batch:
        device.flush()
    block.buffer.destroy()


def _rounded(size: int) -> int:
    """A size class: at most an eighth is wasted, so that near-equal sizes share buffers."""
    size = max(size, 256)
    step = 1 << max(size.bit_length() - 4, 6)
    return -(-size // step) * step


pool = Pool()


class Storage:
    """A buffer in use, which returns to the pool with the last array over it."""

    __slots__ = ("block",)

    def __init__(self, block: Block) -> None:
        self.block = block

    def __del__(self) -> None:
        pool.give(self.block)


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
        return pool.take(_device_bytes(shape, dtype), written)
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
            device.device.queue.write_buffer(storage.block.buffer, 0, raw)
            device.statistics.uploaded += raw.size
    return DeviceArray(storage, tuple(array.shape), dtype)


_staging: dict[int, Any] = {}


def download(array: DeviceArray) -> Array:
    """A copy of a device array in host memory; this waits for all work recorded before."""
    device = gpu()
    size = _device_bytes(array.shape, array.dtype)
    kind = np.dtype(np.uint32) if array.dtype.kind == "b" else array.dtype
    if not array.size:
        return np.empty(array.shape, array.dtype)
    assert array.is_contiguous, "what is read is made row-major before"
    with device.lock:
        room = _rounded(size)
        staging = _staging.pop(room, None)
        if staging is None:
            usage = device.wgpu.BufferUsage
            flags = usage.COPY_DST | usage.MAP_READ
            staging = device.device.create_buffer(size=room, usage=flags)
            device.statistics.buffers += 1
        block = array.storage.block
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
        if room <= IDLE_LIMIT // 8:
            _staging[room] = staging
        device.statistics.downloaded += size
    return result
