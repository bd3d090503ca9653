"""What a workload is: cases, inputs, expected results, a builder per peer, numr's targets."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PEERS = ("numpy", "numba", "jax", "torch", "pytensor", "numr")

# the module that a peer is imported as, and whose version a report names
MODULES = {peer: peer for peer in PEERS}

Inputs = Mapping[str, Any]
Call = Callable[[], Any]  # computes one case and returns when the result is there


@dataclass(frozen=True)
class Target:
    """What numr must reach: `factor` times the fastest peer of `against` plus `plus`, or `plus`."""

    against: tuple[str, ...] = ()
    factor: float = 1.0
    plus: float = 0.0

    def bound(self, measured: Mapping[str, float]) -> float | None:
        """The most that numr may take, or None where no peer it is held against was measured."""
        if not self.against:
            return self.plus
        known = [measured[peer] for peer in self.against if peer in measured]
        return self.factor * min(known) + self.plus if known else None


@dataclass(frozen=True)
class Case:
    """One timed quantity of a workload."""

    name: str
    target: Target | None = None
    unit: str = "s"


@dataclass(frozen=True)
class Workload:
    """Inputs, the results to expect, and for each peer a builder of {case: call}.

    `inputs()` and `oracle(inputs)` use NumPy and SciPy only. A builder `peers[name](inputs,
    threads)` imports its own library, moves the inputs to the library's own arrays and compiles;
    what is timed is a call with inputs and outputs in the library's own arrays.
    """

    name: str
    title: str
    cases: tuple[Case, ...]
    inputs: Callable[[], Inputs]
    oracle: Callable[[Inputs], Mapping[str, Any]]
    peers: Mapping[str, Callable[[Inputs, int], Mapping[str, Call]]]
    tolerance: float = 1e-10  # of the largest value of a result


WORKLOADS = ("black_scholes", "nbody", "rows", "logistic", "mlp", "rosenbrock", "call_overhead")


def load(name: str) -> Workload:
    """The workload that `benchmarks/workloads/<name>.py` declares."""
    workload: Workload = importlib.import_module(f"benchmarks.workloads.{name}").WORKLOAD
    return workload
