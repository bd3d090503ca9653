"""N-body forces, as minus the gradient of the potential, beside a hand-written tiled kernel."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.workload import Case, Target, Workload
from benchmarks.workloads import nbody
from benchmarks.workloads.cuda import DEVICE, WAITS, double, single, size

N = size(16384, 16)
AT_ONCE = 128  # bodies whose expected forces are computed together
FORCES, FAST = f"forces between {N} bodies", f"forces between {N} bodies, fast_math"


def oracle(inputs: Any) -> dict[str, np.ndarray]:
    x, m = (double(inputs)[name] for name in ("x", "m"))
    parts = [nbody.forces(x, m, slice(k, k + AT_ONCE)) for k in range(0, N, AT_ONCE)]
    return dict.fromkeys((FORCES, FAST), np.concatenate(parts))


def with_hand(inputs: Any, threads: int):
    from numba import cuda

    from benchmarks import cuda_kernels as kernels

    x, m = cuda.to_device(inputs["x"]), cuda.to_device(inputs["m"])
    force = cuda.device_array_like(x)

    def call() -> Any:
        kernels.forces[kernels.blocks(N), kernels.THREADS](x, m, force)
        return force

    return dict.fromkeys((FORCES, FAST), call)


def with_numr(inputs: Any, threads: int):
    import numr as nr

    gradient = nr.grad(nbody.potential(nr))
    values = [nr.asarray(inputs[name], device=DEVICE) for name in ("x", "m")]
    jit = partial(nr.jit, lambda x, m: -gradient(x, m), device=DEVICE)
    return {FORCES: partial(jit(), *values), FAST: partial(jit(fast_math=True), *values)}


BESIDE_HAND = Target(against=("hand",), factor=1.2)

WORKLOAD = Workload(
    name="cuda.nbody",
    title="N-body",
    cases=(Case(FORCES, BESIDE_HAND), Case(FAST, BESIDE_HAND)),
    inputs=lambda: single(nbody.inputs(N)),
    oracle=oracle,
    peers={"hand": with_hand, "numr": with_numr},
    tolerance=1e-4,
    waits=WAITS,
)
