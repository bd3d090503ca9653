"""Buffers of a device, and the pool they return to when the last array over them is gone."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numr.codegen.backends.webgpu.gpu import Gpu

# A buffer that recorded work still uses is not written; rather than wait, make so many more.
SPARE = 8
IDLE_LIMIT = 1 << 29


class Block:
    """A buffer of the device. `last_use` is the number of the last command buffer it is in."""

    __slots__ = ("buffer", "last_use", "pool", "serial", "size")

    count = 0

    def __init__(self, buffer: Any, size: int, pool: Pool) -> None:
        Block.count += 1
        self.buffer = buffer
        self.size = size
        self.pool = pool
        self.serial = Block.count
        self.last_use = 0


class Pool:
    """Free buffers of one device by size; so many bytes of them are kept at most."""

    def __init__(self, device: Gpu) -> None:
        self.device = device
        self.idle = 0
        self.live = 0
        # All of them: one in use must not be collected with a cycle of its arrays, only returned.
        self._all: dict[int, Block] = {}
        self._free: dict[int, list[Block]] = {}
        self._staging: dict[int, Any] = {}
        self._dropped: deque[Block] = deque()  # which recorded work still uses
        self._lock = threading.RLock()

    def take(self, size: int, written: bool) -> Block:
        """A buffer of at least so many bytes; `written` if the host is going to write it now.

        Raises:
            MemoryError: if the device has none.
        """
        size = rounded(size)
        device = self.device
        with self._lock:
            free = self._free.setdefault(size, [])
            found: Block | None = None
            if written:
                # Always among the same few: launchers have bind groups for those.
                few = free[-SPARE:]
                found = next((b for b in few if b.last_use < device.batch), None)
                if found is None and len(few) == SPARE:
                    device.flush()
                    found = few[0]
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
        usage = self.device.wgpu.BufferUsage
        flags = usage.STORAGE | usage.COPY_SRC | usage.COPY_DST
        block = Block(self._buffer(size, flags), size, self)
        self._all[block.serial] = block
        return block

    def _buffer(self, size: int, flags: int) -> Any:
        device = self.device
        if size > device.limits["max-buffer-size"]:
            raise MemoryError
        for attempt in (1, 2):
            try:
                buffer = device.device.create_buffer(size=size, usage=flags)
                break
            except device.wgpu.GPUError as error:
                device.check_loss(error)
                if attempt == 2:
                    raise MemoryError from None
                device.flush()
                self.trim()
        device.statistics.buffers += 1
        return buffer

    def give(self, block: Block, limit: int = IDLE_LIMIT) -> None:
        """Take a buffer back; free ones are kept up to the limit."""
        with self._lock:
            self.live -= block.size
            if self.idle + block.size > limit or self.device.lost:
                self._drop(block)
                return
            self.idle += block.size
            self._free.setdefault(block.size, []).append(block)

    def trim(self) -> None:
        """Return all free buffers to the system."""
        with self._lock:
            # Dropping one may end arrays elsewhere, which return theirs meanwhile.
            free, self._free = self._free, {}
            for blocks in free.values():
                for b in blocks:
                    self.idle -= b.size
                    self._drop(b)
            self._staging.clear()

    def _drop(self, block: Block) -> None:
        if self.device.lost:
            return  # its memory is gone
        # An array may end anywhere, in the middle of a submission too: nothing is submitted from here.
        self._dropped.append(block)
        self.destroy_dropped()

    def destroy_dropped(self) -> None:
        """Destroy the buffers that were let go, but for those that recorded work still uses."""
        # Without a lock, which the thread that holds the device's might wait for.
        for _ in range(len(self._dropped)):
            try:
                block = self._dropped.popleft()
            except IndexError:
                return  # another thread was here
            if block.last_use >= self.device.batch:
                self._dropped.append(block)
            else:
                block.buffer.destroy()
                del self._all[block.serial]

    def take_staging(self, size: int) -> Any:
        """A buffer that the host can read, of at least so many bytes."""
        size = rounded(size)
        with self._lock:
            found = self._staging.pop(size, None)
            if found is None:
                usage = self.device.wgpu.BufferUsage
                found = self._buffer(size, usage.COPY_DST | usage.MAP_READ)
            return found

    def give_staging(self, buffer: Any) -> None:
        """Keep a buffer that the host has read for the next time, unless it is large."""
        if buffer.size <= IDLE_LIMIT // 8:
            with self._lock:
                self._staging[buffer.size] = buffer


def rounded(size: int) -> int:
    """A size class: at most an eighth is wasted, so that near-equal sizes share buffers."""
    size = max(size, 256)
    step = 1 << max(size.bit_length() - 4, 6)
    return -(-size // step) * step
