"""What a new shape of the same rank and dtypes costs: the first call, and what numr compiled."""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness
from benchmarks.probes import Probe
from benchmarks.probes.first_calls import CASES, builders
from benchmarks.report import quantity
from benchmarks.workload import Case, Target

SHAPES = 6
REPEAT = 3


def compilations() -> int | None:
    """How many kernels numr has compiled in this process; None where it does not say."""
    import numr

    info = getattr(getattr(numr, "cache", None), "info", None)
    if info is None:
        return None
    return _total(info(), "compil")


def _total(value: Any, wanted: str) -> int:
    """The sum of every number whose name holds `wanted`, through nested records."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    elif hasattr(value, "__dataclass_fields__"):
        value = {name: getattr(value, name) for name in value.__dataclass_fields__}
    if not isinstance(value, dict):
        return 0
    return sum(
        int(part) if wanted in name and isinstance(part, int) else _total(part, wanted)
        for name, part in value.items()
    )


def child(peer: str, case: str) -> dict[str, Any]:
    """Compiles for one size, then times the first call of each of some others."""
    start, sizes = (10_000, range(11_000, 11_000 + 700 * SHAPES, 700))
    if case == "mlp":
        start, sizes = (64, range(72, 72 + 8 * SHAPES, 8))
    call, inputs_of = builders(peer, case)
    for _ in range(2):
        call(inputs_of(start))
    before = compilations() if peer == "numr" else None
    samples = []
    for size in sizes:
        values = inputs_of(size)
        begin = time.perf_counter()
        call(values)
        samples.append(time.perf_counter() - begin)
    after = compilations() if peer == "numr" else None
    compiled = None if before is None or after is None else after - before
    version = getattr(importlib.import_module(peer), "__version__", "?")
    return {"samples": samples, "compiled": compiled, "version": version}


def measure(
    peers: Sequence[str],
    threads: int,
    python_of: Callable[[str], str],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    cells: dict[str, dict[str, dict]] = {case: {} for case in CASES}
    versions: dict[str, str] = {}
    for case in CASES:
        for peer in peers:
            samples: list[float] = []
            for turn in range(REPEAT):
                progress(f"new shape, {case}: {peer} {turn + 1}/{REPEAT}")
                with tempfile.TemporaryDirectory() as folder:
                    env = harness.environment(threads, Path(folder))
                    asked = ("--peer", peer, "--case", case)
                    answer = harness.run_child(__name__, asked, python_of(peer), env)
                if "failed" in answer:
                    cells[case][peer] = answer
                    break
                samples += answer["samples"]
                versions[peer] = answer["version"]
            else:
                note = f"worst {quantity(max(samples))}"
                if answer["compiled"] is not None:
                    note += f", {answer['compiled']} kernels compiled for {SHAPES} new shapes"
                cells[case][peer] = harness.summary(samples, note=note)
    return {"cases": cells, "versions": versions}


PROBE = Probe(
    name="new_shape",
    title="first call with a new shape",
    cases=(
        Case("black_scholes", Target(plus=5e-3)),
        Case("mlp", Target(plus=10e-3)),
    ),
    peers=("numba", "jax", "torch", "pytensor", "numr"),
    measure=measure,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--case", required=True)
    asked = parser.parse_args()
    np.seterr(all="ignore")
    print(json.dumps(child(asked.peer, asked.case)))


if __name__ == "__main__":
    main()
