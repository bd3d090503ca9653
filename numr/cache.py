"""The caches as a user sees them: counts at each level, and emptying them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Level:
    """Counts of one cache level since the process started."""

    hits: int
    misses: int
    entries: int


@dataclass(frozen=True)
class CacheInfo:
    """What the caches did.

    Attributes:
        traces: functions traced, per signature.
        programs: graphs rewritten, fused and lowered; a new size of a known structure is a hit.
        bound: programs bound to sizes.
        kernels: kernels found in memory (hits) or not (misses).
        disk: kernels found on disk (hits) or not (misses).
        compilations: kernels compiled to machine code by this process.
    """

    traces: Level
    programs: Level
    bound: Level
    kernels: Level
    disk: Level
    compilations: int

    def __str__(self) -> str:
        rows = [f"{'level':10} {'hits':>8} {'misses':>8} {'entries':>8}"]
        for name in ("traces", "programs", "bound", "kernels", "disk"):
            level: Level = getattr(self, name)
            rows.append(f"{name:10} {level.hits:8} {level.misses:8} {level.entries:8}")
        return "\n".join([*rows, f"kernels compiled: {self.compilations}"])


def info() -> CacheInfo:
    """Hits, misses and entries at each level, and the number of kernels compiled.

    Examples:
        >>> import numr as nr
        >>> before = nr.cache.info().compilations
        >>> _ = nr.jit(nr.sin)(1.0), nr.jit(nr.sin)(2.0)
        >>> nr.cache.info().compilations - before <= 1
        True
    """
    from numr.codegen import kernels, program, store
    from numr.jit import count_plans, trace_statistics

    bound = sum(len(p.bound) for p in program.PROGRAMS.values())
    return CacheInfo(
        traces=_level(trace_statistics, count_plans()),
        programs=_level(program.program_statistics, len(program.PROGRAMS)),
        bound=_level(program.bound_statistics, bound),
        kernels=_level(kernels.statistics, len(kernels.BUILT)),
        disk=Level(store.counters.hits, store.counters.misses, 0),
        compilations=kernels.statistics.compiled,
    )


def _level(counts: Any, entries: int) -> Level:
    return Level(counts.hits, counts.misses, entries)


def clear(disk: bool = False) -> None:
    """Forget compiled programs and kernels in memory, and with `disk` those kept on disk too.

    Jitted functions keep working; they compile again.
    """
    from numr.codegen import kernels, program, store, varying
    from numr.jit import forget_all

    program.PROGRAMS.clear()
    varying.forget()
    kernels.BUILT.clear()
    forget_all()
    if disk:
        store.clear()
