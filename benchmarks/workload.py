"""What a workload is: cases, inputs, expected results, a builder per peer, numr's targets."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

PEERS = ("numpy", "numba", "jax", "torch", "pytensor", "numr")

# on a GPU: the driver's copy, a copying kernel, hand-written kernels, and libraries
GPU_PEERS = ("memcpy", "copy", "hand", "cupy", "jax", "torch", "numr")

# the module that a peer is imported as, and whose version a report names
MODULES = {peer: peer for peer in (*PEERS, *GPU_PEERS)}
MODULES |= dict.fromkeys(("memcpy", "copy", "hand"), "numba_cuda")

SMALL = "BENCHMARK_SMALL"  # an environment variable, set for a trial run

Inputs = Mapping[str, Any]
Call = Callable[[], Any]  # computes one case and returns when the result is there, or starts it


def size(whole: int, small: int) -> int:
    """A size of a workload: the small one is for a trial run."""
    return small if os.environ.get(SMALL) else whole


@dataclass(frozen=True)
class Target:
    """What numr must reach: `factor` times the fastest peer of `against` plus `plus`, or `plus`.

    `case` names another case of the workload, whose times are the ones it is held against; `also` is a
    second bound, of which the lower one counts.
    """

    against: tuple[str, ...] = ()
    factor: float = 1.0
    plus: float = 0.0
    case: str = ""
    also: Target | None = None

    def bound(self, measured: Mapping[str, float]) -> float | None:
        """The most that numr may take, or None where no peer it is held against was measured."""
        if not self.against:
            return self.plus
        known = [measured[peer] for peer in self.against if peer in measured]
        own = self.factor * min(known) + self.plus if known else None
        other = self.also.bound(measured) if self.also else None
        return min((b for b in (own, other) if b is not None), default=None)


@dataclass(frozen=True)
class Case:
    """One timed quantity of a workload."""

    name: str
    target: Target | None = None
    unit: str = "s"
    nbytes: int = 0  # what it has to move at least, where it is judged by its bandwidth


@dataclass(frozen=True)
class Workload:
    """Inputs, the results to expect, and for each peer a builder of {case: call}.

    `inputs()` and `oracle(inputs)` use NumPy and SciPy only. A builder `peers[name](inputs,
    threads)` imports its own library, moves the inputs to the library's own arrays and compiles;
    what is timed is a call with inputs and outputs in the library's own arrays. Where a peer's calls
    only start work, `waits[name]` takes a result and returns when it is there. The peers named in
    `roofs` compute nothing of the cases, but set a bound for them; they check themselves. `error`,
    where there is one, measures how far a result is from what is expected, in place of the largest
    difference.
    """

    name: str
    title: str
    cases: tuple[Case, ...]
    inputs: Callable[[], Inputs]
    oracle: Callable[[Inputs], Mapping[str, Any]]
    peers: Mapping[str, Callable[[Inputs, int], Mapping[str, Call]]]
    tolerance: float = 1e-10  # of the largest value of a result, unless `error` says another thing
    waits: Mapping[str, Callable[[Any], None]] = field(default_factory=dict)
    roofs: tuple[str, ...] = ()
    error: Callable[[Any, Any], float] | None = None


LOOPS = ("lorenz", "pendulums", "adaptive", "mandelbrot", "heat")
WORKLOADS = (
    *("black_scholes", "nbody", "rows", "logistic", "mlp", "rosenbrock", "call_overhead"),
    *LOOPS,
)


def load(name: str) -> Workload:
    """The workload that `benchmarks/workloads/<name>.py` declares."""
    workload: Workload = importlib.import_module(f"benchmarks.workloads.{name}").WORKLOAD
    return workload
