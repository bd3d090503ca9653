"""Peak memory of a chain of ten elementwise operations on 1e8 float32, beyond input and output."""

from __future__ import annotations

import argparse
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
from benchmarks.workload import Case, Target

N = 100_000_000
MIB = 2**20
EXTRA, SECONDS = "peak beyond input and output", "time"


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


def child(peer: str, threads: int) -> dict[str, Any]:
    """Compiles on a small array, computes once on the large one, reads the high-water mark."""
    function, own = BUILDERS[peer](threads)
    random = np.random.default_rng(0)
    small = random.random(100_001, dtype=np.float32)
    want = chain(np)(small)
    for size in (1000, small.size):
        got = peers.flatten(function(own(small[:size].copy())))[0]
    error = float(np.abs(got - want).max())
    before = _status("VmRSS")
    data = own(random.random(N, dtype=np.float32))
    begin = time.perf_counter()
    out = function(data)
    seconds = time.perf_counter() - begin
    peak = _status("VmHWM")
    del out
    version = getattr(importlib.import_module(peer), "__version__", "?")
    return {
        "extra": (peak - before - 2 * N * 4) / MIB,
        "seconds": seconds,
        "error": error,
        "version": version,
    }


def measure(
    names: Sequence[str],
    threads: int,
    python_of: Callable[[str], str],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    cells: dict[str, dict[str, dict]] = {EXTRA: {}, SECONDS: {}}
    versions: dict[str, str] = {}
    for peer in names:
        progress(f"memory: {peer}")
        samples: dict[str, list[float]] = {"extra": [], "seconds": []}
        for _ in range(2):
            with tempfile.TemporaryDirectory() as folder:
                env = harness.environment(threads, Path(folder))
                asked = ("--peer", peer, "--threads", str(threads))
                answer = harness.run_child(__name__, asked, python_of(peer), env)
            if answer.get("error", 0) > 1e-5:
                answer = {"failed": f"wrong by {answer['error']:.1e}"}
            if "failed" in answer:
                cells[EXTRA][peer] = cells[SECONDS][peer] = answer
                break
            versions[peer] = answer["version"]
            for key in samples:
                samples[key].append(answer[key])
        else:
            cells[EXTRA][peer] = harness.summary(samples["extra"])
            cells[SECONDS][peer] = harness.summary(samples["seconds"])
    return {"cases": cells, "versions": versions}


PROBE = Probe(
    name="memory",
    title="ten fused operations on 1e8 float32",
    cases=(Case(EXTRA, Target(plus=64.0), unit="MiB"), Case(SECONDS)),
    peers=tuple(BUILDERS),
    measure=measure,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--threads", type=int, required=True)
    asked = parser.parse_args()
    print(json.dumps(child(asked.peer, asked.threads)))


if __name__ == "__main__":
    main()
