"""Built kernels by content: memory, then disk, then the backend's compiler, which counts.

A kernel's key is its canonical text with everything outside it that changes generated code. Two
programs with an equal kernel share it, whatever sizes they run on.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from numr import config
from numr.codegen import store
from numr.codegen.recent import Recent
from numr.codegen.stages import show


@dataclass(slots=True)
class KernelStatistics:
    """Counts since the process started."""

    hits: int = 0
    misses: int = 0
    compiled: int = 0


statistics = KernelStatistics()
# What is forgotten is loaded from disk when it is needed again, and lives as long as programs use it.
BUILT: Recent[tuple[str, str], Any] = Recent(8192)
_lock = threading.RLock()


def build_all(
    backend: str,
    fingerprint: str,
    texts: Sequence[str],
    compile_one: Callable[[int], bytes],
    load: Callable[[int, bytes], Any],
) -> list[Any]:
    """Each kernel callable, in order. `compile_one(k)` gives the artifact of kernel k, `load(k, artifact)`
    makes it callable."""
    result: list[Any] = []
    progress = _Progress(len(set(texts)))
    with _lock:
        for k, text in enumerate(texts):
            key = (fingerprint, text)
            built = BUILT.get(key)
            how = "found in memory"
            if built is None:
                how = "found on disk"
                statistics.misses += 1
                key_text = fingerprint + "\n" + text
                artifact = store.get(backend, key_text)
                if artifact is not None:
                    try:
                        built = load(k, artifact)
                    except (
                        Exception
                    ):  # a file that passes its checksum and still does not load is a miss
                        built = None
                if built is None:
                    how = "compiled"
                    artifact = compile_one(k)
                    statistics.compiled += 1
                    store.put(backend, key_text, artifact)
                    built = load(k, artifact)
                    progress.step()
                BUILT[key] = built
            else:
                statistics.hits += 1
            show("cache", f"kernel {k} {how}".format)
            result.append(built)
    progress.close()
    return result


class _Progress:
    """A line on a terminal while many kernels compile; nothing elsewhere, nothing for a few."""

    def __init__(self, total: int) -> None:
        self.shown = total >= 8 and sys.stderr.isatty() and not config.get().debug
        self.total, self.done = total, 0

    def step(self) -> None:
        if self.shown:
            self.done += 1
            print(
                f"\rnumr: compiled {self.done} of up to {self.total} kernels",
                end="",
                file=sys.stderr,
                flush=True,
            )

    def close(self) -> None:
        if self.shown and self.done:
            print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
