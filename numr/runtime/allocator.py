"""Host memory for results: small arrays from NumPy, large ones from a pool of reused blocks.

The first touch of fresh memory costs more than most kernels that write it, so a large block goes back
to the pool when the last array over it dies and is handed out again, never zeroed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

# From here on the C library may ask the system for fresh memory each time, which costs more than what
# is written to it; below, a block's bookkeeping (1 us) would show.
SMALL = 1 << 17
# Blocks are rounded up to this, so that near-equal sizes share them.
GRANULE = 1 << 16
ALIGNMENT = 64


class Pool:
    """Free blocks by size. `limit` bounds the bytes kept while nobody uses them."""

    def __init__(self, limit: int = 1 << 30) -> None:
        self.limit = limit
        self.idle = 0
        self._free: dict[int, list[Any]] = {}
        self._lock = threading.Lock()

    def take(self, nbytes: int) -> Any:
        """Memory of at least nbytes, as an aligned byte array."""
        size = -(-nbytes // GRANULE) * GRANULE
        with self._lock:
            blocks = self._free.get(size)
            if blocks:
                self.idle -= size
                return blocks.pop()
        raw = np.empty(size + ALIGNMENT, np.uint8)
        start = -raw.ctypes.data % ALIGNMENT
        return raw[start : start + size].view(_Memory)

    def give(self, memory: Any) -> None:
        """Take memory back."""
        size = memory.nbytes
        with self._lock:
            if self.idle + size <= self.limit:
                self.idle += size
                self._free.setdefault(size, []).append(memory)

    def trim(self) -> None:
        """Return every idle block to the system."""
        with self._lock:
            self._free.clear()
            self.idle = 0


pool = Pool()


class _Memory(np.ndarray[Any, Any]):
    """A block. Its own class keeps NumPy from taking it, past the lease, for an array's base."""


class _Lease(np.ndarray[Any, Any]):
    """A view of a block that gives it back when the last array over it dies: their base."""

    # Bound now: at interpreter exit the module's names are gone before the last arrays.
    def __del__(self, give: Callable[[Any], None] = pool.give) -> None:
        give(self.base)


def allocator(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Callable[[], Any]:
    """A function that returns a fresh uninitialised C-contiguous array.

    Raises (the returned function):
        OutOfMemoryError: naming the shape, dtype and size asked for.
    """
    nbytes = dtype.itemsize
    for n in shape:
        nbytes *= n
    if nbytes < SMALL:
        empty = np.empty

        def small() -> Any:
            return empty(shape, dtype)

        return small

    def large() -> Any:
        try:
            memory = pool.take(nbytes)
        except MemoryError:
            pool.trim()
            try:
                memory = pool.take(nbytes)
            except MemoryError:
                from numr import messages

                raise messages.out_of_memory(shape, dtype, dtype.itemsize) from None
        return np.ndarray(shape, dtype, memory.view(_Lease))

    return large
