"""Peak memory beyond inputs and outputs: ten elementwise operations on 1e8 float32, and N-body.

The forces on 8000 bodies, as a gradient, need 512 MB for each 8000 x 8000 array that is formed.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import harness, peers
from benchmarks.probes import Probe
from benchmarks.worker import error_of
from benchmarks.workload import Case, Target
from benchmarks.workloads import nbody

N = 100_000_000
REPEAT = 2
MIB = 2**20
BODIES = 8000
EXTRA, SECONDS, FORCES = "ten operations, peak", "ten operations, time", "N-body n = 8000, peak"


def chain(xp: Any) -> Callable[[Any], Any]:
    """Ten operations; `xp` has sqrt, abs and exp."""

    def apply(x):
        y = x * 2
        y = y + 1
        y = y * x
        y = y - 0.5
        y = abs(y)
        y = xp.sqrt(y)
        y = y + x
        y = y * 0.5
        y = -y
        return xp.exp(y)

    return apply


def _numpy(threads: int) -> tuple[Callable, Callable]:
    return chain(np), np.asarray


def _numba(threads: int) -> tuple[Callable, Callable]:
    from numba import float32, prange

    sqrt, exp = math.sqrt, math.exp
    two, one, half = np.float32(2), np.float32(1), np.float32(0.5)

    @peers.numba_jit(threads)
    def fused(x, out):
        for i in prange(x.size):
            y = sqrt(abs((x[i] * two + one) * x[i] - half))
            out[i] = exp(float32(-((y + x[i]) * half)))

    def call(x):
        out = np.empty_like(x)
        fused(x, out)
        return out

    return call, np.asarray


def _jax(threads: int) -> tuple[Callable, Callable]:
    jax = peers.jax_setup()
    function = jax.jit(chain(jax.numpy))
    return lambda x: function(x).block_until_ready(), jax.numpy.asarray


def _torch(threads: int) -> tuple[Callable, Callable]:
    torch = peers.torch_setup(threads)
    return torch.compile(chain(torch), dynamic=True), torch.from_numpy


def _pytensor(threads: int) -> tuple[Callable, Callable]:
    import pytensor
    import pytensor.tensor as pt

    x = pt.fvector()
    with pytensor.config.change_flags(floatX="float32"):
        return pytensor.function([x], chain(pt)(x)), np.asarray


def _numr(threads: int) -> tuple[Callable, Callable]:
    import numr as nr

    return nr.jit(chain(nr)), nr.asarray


BUILDERS = {
    "numpy": _numpy,
    "numba": _numba,
    "jax": _jax,
    "torch": _torch,
    "pytensor": _pytensor,
    "numr": _numr,
}


def _status(field: str) -> int:
    """Bytes of a field of this process's memory accounting."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"no {field} in the process's status")


def _peak_from_here() -> int:
    """Forgets the high-water mark so far, where the system can; gives the memory in use now."""
    gc.collect()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def chain_child(peer: str, threads: int) -> dict[str, Any]:
    """Compiles on small arrays, then computes once on the large one."""
    function, own = BUILDERS[peer](threads)
    random = np.random.default_rng(0)
    small = random.random(100_001, dtype=np.float32)
    want = chain(np)(small)
    for size in (1000, small.size):
        got = peers.flatten(function(own(small[:size].copy())))[0]
    error = float(np.abs(got - want).max())
    before = _peak_from_here()
    data = own(random.random(N, dtype=np.float32))
    begin = time.perf_counter()
    out = function(data)
    seconds = time.perf_counter() - begin
    extra = _status("VmHWM") - before - 2 * N * 4
    del out
    return {EXTRA: extra / MIB, SECONDS: seconds, "error": error}


def forces_child(peer: str, threads: int) -> dict[str, Any]:
    """Computes the forces on a few bodies, then once on many."""
    build = nbody.WORKLOAD.peers[peer]
    few = nbody.inputs()
    result = build(few, threads)["forces"]()
    error = error_of(result, nbody.oracle(few)["forces"])
    before = _peak_from_here()
    build(nbody.inputs(BODIES), threads)["forces"]()
    return {FORCES: (_status("VmHWM") - before) / MIB, "error": error}


CHILDREN = {"chain": chain_child, "forces": forces_child}


def measure(
    names: Sequence[str],
    threads: int,
    python_of: Callable[[str], str],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    cells: dict[str, dict[str, dict]] = {EXTRA: {}, SECONDS: {}, FORCES: {}}
    versions: dict[str, str] = {}
    for child, figures in (("chain", (EXTRA, SECONDS)), ("forces", (FORCES,))):
        for peer in names:
            progress(f"memory, {child}: {peer}")
            samples: dict[str, list[float]] = {figure: [] for figure in figures}
            for _ in range(REPEAT):
                with tempfile.TemporaryDirectory() as folder:
                    env = harness.environment(threads, Path(folder))
                    asked = ("--peer", peer, "--threads", str(threads), "--child", child)
                    answer = harness.run_child(__name__, asked, python_of(peer), env)
                if not answer.get("error", 0) <= 1e-5:
                    answer = {"failed": f"wrong by {answer['error']:.1e}"}
                if "failed" in answer:
                    break
                versions[peer] = answer["version"]
                for figure in figures:
                    samples[figure].append(answer[figure])
            for figure in figures:
                failed = "failed" in answer
                cells[figure][peer] = answer if failed else harness.summary(samples[figure])
    return {"cases": cells, "versions": versions}


PROBE = Probe(
    name="memory",
    title="peak memory beyond inputs and outputs; ten operations on 1e8 float32",
    cases=(
        Case(EXTRA, Target(plus=64.0), unit="MiB"),
        Case(SECONDS),
        Case(FORCES, Target(plus=64.0), unit="MiB"),
    ),
    peers=tuple(BUILDERS),
    measure=measure,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--child", choices=CHILDREN, required=True)
    asked = parser.parse_args()
    answer = CHILDREN[asked.child](asked.peer, asked.threads)
    version = getattr(importlib.import_module(asked.peer), "__version__", "?")
    print(json.dumps(answer | {"version": version}))


if __name__ == "__main__":
    main()
