"""The native worker pool: threads that run packed kernels without ever taking the GIL.

The threads are Python's to start and to count, but each sits in native.py's ``numr_worker``, asleep
on a semaphore until a launch gives it a piece; waking one costs a futex call and no interpreter.
"""

from __future__ import annotations

import ctypes
import os
import threading

from numr.codegen.backends.cpu import native
from numr.runtime import threads

_lock = threading.Lock()
_state: ctypes.Array[ctypes.c_char] | None = None
_address = 0
_running = 0
_LIMIT = 256  # workers that fit in the state


def _set_workers(address: int, count: int) -> None:
    ctypes.c_int64.from_address(address + 8).value = count


def _start(address: int, count: int) -> None:
    """Have at least ``count`` workers asleep."""
    global _running
    work = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(native.address("numr_worker"))
    while _running < count:
        index = _running
        semaphore = address + native.POOL_HEADER + native.POOL_SLOT * index
        _new_semaphore(semaphore)
        thread = threading.Thread(
            target=work, args=(address, index), name="numr-native-worker", daemon=True
        )
        thread.start()
        _running += 1


def _new_semaphore(at: int) -> None:
    library = ctypes.CDLL(None)
    if library.sem_init(ctypes.c_void_p(at), 0, 0) != 0:
        raise OSError("sem_init failed")


def address() -> int:
    """The pool's address for ``make_launcher``, or 0 where there is none (launches are serial)."""
    global _state, _address
    if _address or not native.has_pool():
        return _address
    with _lock:
        if not _address:
            size = native.POOL_HEADER + native.POOL_SLOT * _LIMIT
            _state = ctypes.create_string_buffer(size + 64)
            at = (ctypes.addressof(_state) + 63) & ~63
            _new_semaphore(at + native.POOL_DONE)
            count = min(threads.num_threads() - 1, _LIMIT)
            _start(at, count)
            _set_workers(at, count)
            _address = at
    return _address


def _changed(count: int) -> None:
    with _lock:
        if _address:
            wanted = min(count - 1, _LIMIT)
            _start(_address, wanted)
            _set_workers(_address, wanted)


def _after_fork() -> None:
    """The child has no workers: plans that hold this address run serially until it is remade."""
    global _lock, _running
    _lock = threading.Lock()
    _running = 0
    if _address:
        ctypes.memset(_address, 0, native.POOL_HEADER)
        _new_semaphore(_address + native.POOL_DONE)
        _start(_address, min(threads.num_threads() - 1, _LIMIT))
        _set_workers(_address, min(threads.num_threads() - 1, _LIMIT))


threads.on_change(_changed)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
