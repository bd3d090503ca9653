"""What `import numr` costs beyond `import numpy`, beside the same for its peers."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import harness
from benchmarks.probes import Probe
from benchmarks.workload import Case, Target

CASE = "import beyond NumPy"
REPEAT = 9
HEAVY = ("numba", "llvmlite", "scipy")  # what `import numr` must not load


def child(peer: str) -> dict[str, Any]:
    import importlib

    import numpy  # noqa: F401

    begin = time.perf_counter()
    module = importlib.import_module(peer)
    seconds = time.perf_counter() - begin
    loaded = [name for name in HEAVY if name in sys.modules]
    return {"seconds": seconds, "loaded": loaded, "version": getattr(module, "__version__", "?")}


def measure(
    peers: Sequence[str],
    threads: int,
    python_of: Callable[[str], str],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    samples: dict[str, list[float]] = {}
    cells: dict[str, dict] = {}
    notes: dict[str, str] = {}
    versions: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        env = harness.environment(threads, Path(folder))
        for turn in range(REPEAT + 1):
            for peer in peers:
                if peer in cells:
                    continue
                progress(f"import: {peer}, {turn}/{REPEAT}")
                answer = harness.run_child(__name__, (peer,), python_of(peer), env)
                if "failed" in answer:
                    cells[peer] = answer
                    continue
                versions[peer] = answer["version"]
                if peer == "numr":
                    loaded = ", ".join(answer["loaded"]) or "none"
                    notes[peer] = f"loads {loaded} of {', '.join(HEAVY)}"
                if turn > 0:  # the first import may write bytecode
                    samples.setdefault(peer, []).append(answer["seconds"])
    for peer, seconds in samples.items():
        cells.setdefault(peer, harness.summary(seconds, note=notes.get(peer)))
    return {"cases": {CASE: cells}, "versions": versions}


PROBE = Probe(
    name="import_time",
    title="import",
    cases=(Case(CASE, Target(plus=0.05)),),
    peers=("numba", "jax", "torch", "pytensor", "numr"),
    measure=measure,
)

if __name__ == "__main__":
    print(json.dumps(child(sys.argv[1])))
