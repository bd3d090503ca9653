"""What a call costs the host: a program of one small kernel, and one of ten, each needing the last."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload
from benchmarks.workloads.cuda import DEVICE, WAITS, double, peer_device, single, size

N, WIDTH = size(1000, 40), size(64, 2)
KERNELS = 10
ONE = Case("call of one kernel", Target(plus=15e-6))
TEN = Case("call of ten kernels")


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(8)
    matrix = random.uniform(0, 2 / WIDTH, (WIDTH, WIDTH))
    return single({"x": np.arange(N), "a": matrix, "v": random.uniform(0, 1, WIDTH)})


def one(x: Any) -> Any:
    return x + 1


def ten(total: Any):
    """A power of a matrix times a vector, for a library's sum along the last axis."""

    def apply(a: Any, v: Any) -> Any:
        for _ in range(KERNELS):
            v = total(a * v)
        return v

    return apply


def oracle(inputs: Any) -> dict[str, Any]:
    x, a, v = (double(inputs)[name] for name in ("x", "a", "v"))
    return {ONE.name: one(x), TEN.name: ten(partial(np.sum, axis=1))(a, v)}


def calls(inputs: Any, compile: Any, own: Any, total: Any) -> dict[str, Any]:
    x, a, v = (own(inputs[name]) for name in ("x", "a", "v"))
    return {ONE.name: partial(compile(one), x), TEN.name: partial(compile(ten(total)), a, v)}


def with_hand(inputs: Any, threads: int):
    from numba import cuda

    from benchmarks import cuda_kernels as kernels

    x, a, v = (cuda.to_device(inputs[name]) for name in ("x", "a", "v"))
    y, steps = cuda.device_array_like(x), [cuda.device_array_like(v) for _ in range(KERNELS)]
    add = kernels.add_one[kernels.blocks(N), kernels.THREADS]
    multiply = kernels.matvec[WIDTH, kernels.WARP]

    def one() -> Any:
        add(x, y)
        return y

    def ten() -> Any:
        for before, after in zip([v, *steps], steps, strict=False):
            multiply(a, before, after)
        return steps[-1]

    return {ONE.name: one, TEN.name: ten}


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    return calls(inputs, jax.jit, jax.numpy.asarray, partial(jax.numpy.sum, axis=1))


def with_torch(inputs: Any, threads: int):
    torch = peers.torch_setup(threads)

    def own(array: np.ndarray) -> Any:
        return torch.from_numpy(array).to(peer_device())

    return calls(inputs, torch.compile, own, partial(torch.sum, dim=1))


def with_numr(inputs: Any, threads: int):
    import numr as nr

    compile, own = (partial(f, device=DEVICE) for f in (nr.jit, nr.asarray))
    return calls(inputs, compile, own, partial(nr.sum, axis=1))


WORKLOAD = Workload(
    name="cuda.calls",
    title="calls",
    cases=(ONE, TEN),
    inputs=inputs,
    oracle=oracle,
    peers={"hand": with_hand, "jax": with_jax, "torch": with_torch, "numr": with_numr},
    tolerance=1e-5,
    waits=WAITS,
)
