"""Heat that spreads on a plate of 512 x 512 points, whose rim stays cold: a hundred explicit steps."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload, size

N = size(512, 16)
STEPS = size(100, 5)
RATE = 0.2


def inputs() -> dict[str, Any]:
    plate = np.random.default_rng(8).uniform(size=(N, N))
    plate[[0, -1]] = plate[:, [0, -1]] = 0
    return {"plate": plate}


def step(xp: Any):
    def spread(u):
        inner = u[1:-1, 1:-1]
        around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
        return xp.pad(inner + RATE * (around - 4 * inner), 1)

    return spread


def heated(plate: np.ndarray) -> np.ndarray:
    """Whole-array NumPy."""
    spread = step(np)
    for _ in range(STEPS):
        plate = spread(plate)
    return plate


def oracle(inputs: Any) -> dict[str, Any]:
    return {"value": heated(inputs["plate"])}


def with_numpy(inputs: Any, threads: int):
    return {"value": partial(heated, inputs["plate"])}


def with_numba(inputs: Any, threads: int):
    """Two plates by turns, whose rows threads share."""
    from numba import njit, prange

    @peers.numba_jit(threads)
    def spread(u, out):
        for i in prange(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                around = u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1]
                out[i, j] = u[i, j] + RATE * (around - 4 * u[i, j])

    @njit
    def heat(u):
        u = u.copy()
        out = np.zeros_like(u)
        for _ in range(STEPS):
            spread(u, out)
            u, out = out, u
        return u

    return {"value": partial(heat, inputs["plate"])}


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    spread = step(jax.numpy)
    heat = jax.jit(lambda u: jax.lax.fori_loop(0, STEPS, lambda _, u: spread(u), u))
    return {"value": peers.jax_call(heat, jax.numpy.asarray(inputs["plate"]))}


def with_numr(inputs: Any, threads: int):
    import numr as nr

    spread = step(nr)
    heat = nr.jit(lambda u: nr.fori_loop(0, STEPS, lambda _, u: spread(u), u))
    return {"value": partial(heat, nr.asarray(inputs["plate"]))}


WORKLOAD = Workload(
    name="heat",
    title=f"heat on {N} x {N} points, {STEPS} steps",
    cases=(Case("value", Target(against=("numba",), factor=1.2, also=Target(against=("jax",)))),),
    inputs=inputs,
    oracle=oracle,
    peers={"numpy": with_numpy, "numba": with_numba, "jax": with_jax, "numr": with_numr},
)
