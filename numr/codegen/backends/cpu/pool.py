"""The native worker pool: threads that run packed kernels without ever taking the GIL.

The threads are Python's to start and to count, but each sits in native.py's ``numr_worker``, asleep
on a semaphore until a launch gives it a piece; waking one costs a futex call and no interpreter.
"""

from __future__ import annotations

import ctypes
import os
import threading

from numr.codegen.backends.cpu import native

_lock = threading.Lock()
_state: ctypes.Array[ctypes.c_char] | None = None
_address = 0
_running = 0
_LIMIT = 256  # workers that fit in the state


def _have(count: int) -> None:
    """Have at least ``count`` workers asleep, and say so in the pool."""
    global _running
    work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(native.address("numr_worker"))
    while _running < count:
        _new_semaphore(_address + native.POOL_HEADER + native.POOL_SLOT * _running)
        thread = threading.Thread(
            target=work, args=(_address, _running), name="numr-native-worker", daemon=True
        )
        thread.start()
        _running += 1
    ctypes.c_int64.from_address(_address + 8).value = _running


def _new_semaphore(at: int) -> None:
    library = ctypes.CDLL(None)
    if library.sem_init(ctypes.c_void_p(at), 0, 0) != 0:
        raise OSError("sem_init failed")


def address(threads: int) -> int:
    """The pool's address for ``make_launcher``, with workers enough for ``threads`` threads; or 0 where
    there is none (launches are serial)."""
    global _state, _address
    if not native.has_pool():
        return 0
    with _lock:
        if not _address:
            size = native.POOL_HEADER + native.POOL_SLOT * _LIMIT
            _state = ctypes.create_string_buffer(size + 64)
            at = (ctypes.addressof(_state) + 63) & ~63
            _new_semaphore(at + native.POOL_DONE)
            _address = at
        _have(min(threads - 1, _LIMIT))
    return _address


def _after_fork() -> None:
    """The child has no workers: start as many anew."""
    global _lock, _running
    _lock = threading.Lock()
    count, _running = _running, 0
    if _address:
        ctypes.memset(_address, 0, native.POOL_HEADER)
        _new_semaphore(_address + native.POOL_DONE)
        _have(count)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
