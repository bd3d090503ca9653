"""A range split over threads in fixed contiguous pieces, as the setting ``num_threads`` allows.

The CPU backend's native pool splits as ``pieces`` does; the pool in this file runs any callable that
releases the GIL (ctypes functions do), for what is not a kernel. Threads wait passively: a pool that
spins against BLAS's made an MLP gradient 16 times slower.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable

from numr import config

Call = Callable[[int, int], object]


def pieces(lo: int, hi: int, grain: int, threads: int) -> list[tuple[int, int]]:
    """[lo, hi) in at most ``threads`` near-equal contiguous pieces of at least ``grain`` each."""
    length = hi - lo
    parts = min(threads, length // grain) if grain > 0 else 1
    if parts <= 1:
        return [(lo, hi)]
    edges = [lo + part * length // parts for part in range(parts + 1)]
    return list(itertools.pairwise(edges))


class _Worker:
    """A sleeping thread and the two locks that wake it and that say it is done."""

    def __init__(self) -> None:
        self.start, self.done = threading.Lock(), threading.Lock()
        self.start.acquire()
        self.done.acquire()
        self.call: Call | None = None
        self.range = (0, 0)
        self.error: BaseException | None = None
        threading.Thread(target=self._run, name="numr-worker", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.start.acquire()
            try:
                if self.call is not None:
                    self.call(*self.range)
            except BaseException as error:
                self.error = error
            self.done.release()


class _Pool:
    """Workers kept between calls; one caller at a time, others run their range alone."""

    def __init__(self) -> None:
        self.owner = threading.Lock()
        self.workers: list[_Worker] = []

    def run(self, call: Call, parts: list[tuple[int, int]]) -> bool:
        if not self.owner.acquire(blocking=False):
            return False
        try:
            while len(self.workers) < len(parts) - 1:
                self.workers.append(_Worker())
            busy = self.workers[: len(parts) - 1]
            for worker, part in zip(busy, parts[1:], strict=True):
                worker.call, worker.range, worker.error = call, part, None
                worker.start.release()
            failure: BaseException | None = None
            try:
                call(*parts[0])
            except BaseException as error:
                failure = error
            for worker in busy:
                worker.done.acquire()
                worker.call = None
                failure = failure or worker.error
                worker.error = None
            if failure is not None:
                raise failure
        finally:
            self.owner.release()
        return True


_pool = _Pool()


def _after_fork() -> None:
    """A forked child has none of its parent's threads."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def parallel_for(call: Call, lo: int, hi: int, grain: int) -> None:
    """``call(lo, hi)`` over contiguous pieces at once, this thread taking the first.

    Inside another ``parallel_for``, or while another thread's runs, the whole range runs here: it
    never waits for a pool that waits for it. An exception of any piece is raised when all are done.
    """
    parts = pieces(lo, hi, grain, config.get().num_threads)
    if len(parts) == 1 or not _pool.run(call, parts):
        call(lo, hi)
