"""First results in fresh processes, with caches on disk cold and warm.

A run starts a process on an empty cache folder (cold), then again on the same folder (warm). "First
call" goes from building the compiled function to its result in NumPy, libraries imported as their
users import them: what a library puts off until it compiles counts. "Process" is from starting
Python to its end, and "over NumPy" takes off that of a process that makes the same inputs with
NumPy and ends.
"""

from __future__ import annotations

import argparse
import importlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import harness
from benchmarks.probes import Probe
from benchmarks.workload import Case, Target

FUNCTIONS = ("black_scholes", "mlp")
SIZES = {"black_scholes": 10_000, "mlp": 256, "lorenz": 3}
NUMPY, OVER = "numpy", "warm process over NumPy"
FIGURES = ("cold first call", "cold process", "warm first call", OVER)
REPEAT = 5
SLOW = ("torch", "pytensor")  # seconds a process: measured less often

TARGETS = {
    "cold first call": Target(against=("jax",), factor=2.0),
    "cold process": Target(against=("jax",)),
    OVER: Target(plus=0.15),
}


def child(peer: str, function: str) -> dict[str, Any]:
    """Imports the library, then times building the function and its first result."""
    module = importlib.import_module(peer)
    from benchmarks.probes.first_calls import builders

    if peer == "jax":
        module.devices()  # what its users wait for once, whatever they compute
    begin = time.perf_counter()
    call, inputs_of = builders(peer, function)
    values = inputs_of(SIZES[function])
    ready = time.perf_counter()
    if peer == "pytensor":
        ready = begin  # it compiles when the function is made
    call(values)
    return {"first": time.perf_counter() - ready, "version": getattr(module, "__version__", "?")}


def numpy_child(function: str) -> dict[str, Any]:
    """What a measured process does without a library: imports NumPy and makes the inputs."""
    from benchmarks.probes.first_calls import numpy_inputs

    numpy_inputs(function, SIZES[function])
    return {}


def _run(
    arguments: Sequence[str], python: str, env: dict[str, str]
) -> tuple[dict[str, Any], float]:
    begin = time.perf_counter()
    answer = harness.run_child(__name__, arguments, python, env)
    return answer, time.perf_counter() - begin


def _cached(env: dict[str, str], folder: Path) -> dict[str, str]:
    """The environment with the disk caches of the peers that have theirs off by default."""
    return env | {
        "NUMBA_CACHE_DIR": str(folder / "numba"),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
    }


def measure(
    peers: Sequence[str],
    threads: int,
    python_of: Callable[[str], str],
    progress: Callable[[str], None],
    functions: Sequence[str] = FUNCTIONS,
) -> dict[str, Any]:
    cells: dict[str, dict[str, dict]] = {}
    versions: dict[str, str] = {}
    for function in functions:
        names = {figure: f"{function}, {figure}" for figure in FIGURES}
        cells |= {name: {} for name in names.values()}
        for peer in peers:
            samples: dict[str, list[float]] = {figure: [] for figure in (*FIGURES, NUMPY)}
            failed = None
            for turn in range(2 if peer in SLOW else REPEAT):
                progress(f"startup, {function}: {peer}, run {turn + 1}")
                failed = _one_turn(peer, function, threads, python_of(peer), samples, versions)
                if failed:
                    break
            else:
                base = median(samples[NUMPY])
                samples[OVER] = [seconds - base for seconds in samples[OVER]]
            for figure, name in names.items():
                cells[name][peer] = failed or harness.summary(samples[figure])
    return {"cases": cells, "versions": versions}


def _one_turn(
    peer: str,
    function: str,
    threads: int,
    python: str,
    samples: dict[str, list[float]],
    versions: dict[str, str],
) -> dict[str, Any] | None:
    """Adds one sample to each figure; gives what failed, if anything did."""
    with tempfile.TemporaryDirectory() as text:
        env = _cached(harness.environment(threads, Path(text)), Path(text))
        for state in (NUMPY, "cold", "warm"):
            asked = ("--peer", "numpy" if state == NUMPY else peer, "--function", function)
            answer, process = _run(asked, python, env)
            if "failed" in answer:
                return answer
            if state == NUMPY:
                samples[NUMPY].append(process)
                continue
            versions[peer] = answer["version"]
            samples[f"{state} first call"].append(answer["first"])
            samples["cold process" if state == "cold" else OVER].append(process)
    return None


PROBE = Probe(
    name="startup",
    title="fresh processes",
    cases=tuple(
        Case(f"{function}, {figure}", TARGETS.get(figure))
        for function in FUNCTIONS
        for figure in FIGURES
    ),
    peers=("numba", "jax", "torch", "pytensor", "numr"),
    measure=measure,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--function", choices=SIZES, required=True)
    asked = parser.parse_args()
    if asked.peer == "numpy":
        print(json.dumps(numpy_child(asked.function)))
    else:
        print(json.dumps(child(asked.peer, asked.function)))


if __name__ == "__main__":
    main()
