"""Measurements that need fresh processes: import, first results, new shapes, memory.

A probe module declares PROBE, and is itself the program that its measured processes run.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.workload import Case

PROBES = ("new_shape", "startup", "startup_of_loops", "import_time", "memory")


@dataclass(frozen=True)
class Probe:
    """Cases, the peers that take part, and `measure(peers, threads, python_of, progress)`."""

    name: str
    title: str
    cases: tuple[Case, ...]
    peers: tuple[str, ...]
    measure: Callable[
        [Sequence[str], int, Callable[[str], str], Callable[[str], None]], dict[str, Any]
    ]


def load(name: str) -> Probe:
    """The probe that `benchmarks/probes/<name>.py` declares."""
    probe: Probe = importlib.import_module(f"benchmarks.probes.{name}").PROBE
    return probe
