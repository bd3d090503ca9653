"""How soon a million points of the plane leave the Mandelbrot set's iteration: vmap of a while_loop."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload, size

WIDTH, HEIGHT = size(1000, 20), size(1000, 10)
MOST = size(500, 30)  # iterations
LANES = 32
VALUE, BESIDE_LANES = "counts", "counts, beside vectors by hand"


def inputs() -> dict[str, Any]:
    return {"x": np.linspace(-2.0, 0.6, WIDTH), "y": np.linspace(-1.3, 1.3, HEIGHT)}


def escape(while_loop: Any):
    """The number of iterations of one point."""

    def count(a, b):
        def inside(state):
            x, y, n = state
            return (x * x + y * y <= 4.0) & (n < MOST)

        def step(state):
            x, y, n = state
            return x * x - y * y + a, 2 * x * y + b, n + 1

        return while_loop(inside, step, (0.0, 0.0, 0))[2]

    return count


def counts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whole-array NumPy: the points that are still inside go on."""
    found = np.full(len(y) * len(x), MOST)
    left = np.arange(found.size)
    a, b = np.tile(x, len(y)), np.repeat(y, len(x))
    u, v = np.zeros_like(a), np.zeros_like(b)
    for n in range(MOST):
        stay = u * u + v * v <= 4.0
        found[left[~stay]] = n
        left, a, b, u, v = left[stay], a[stay], b[stay], u[stay], v[stay]
        u, v = u * u - v * v + a, 2 * u * v + b
    return found.reshape(len(y), len(x))


def oracle(inputs: Any) -> dict[str, Any]:
    found = counts(inputs["x"], inputs["y"])
    return {VALUE: found, BESIDE_LANES: found}


def differing(result: Any, expected: np.ndarray) -> float:
    """The share of points that have another count: by the rim, it depends on how numbers are rounded."""
    (found,) = peers.flatten(result)
    return float((found != expected).mean())


def with_numpy(inputs: Any, threads: int):
    return {VALUE: partial(counts, inputs["x"], inputs["y"])}


def with_numba(inputs: Any, threads: int):
    """One point after another; and points side by side in vectors, which go on for all while one does."""
    from numba import prange

    @peers.numba_jit(threads)
    def count(x, y):
        found = np.empty((y.size, x.size), np.int64)
        for i in prange(y.size):
            for j in range(x.size):
                u, v, n = 0.0, 0.0, 0
                while u * u + v * v <= 4.0 and n < MOST:
                    u, v, n = u * u - v * v + x[j], 2 * u * v + y[i], n + 1
                found[i, j] = n
        return found

    @peers.numba_jit(threads)
    def lanes(x, y):
        found = np.empty((y.size, x.size), np.int64)
        for i in prange(y.size):
            us, vs, ns = np.empty(LANES), np.empty(LANES), np.empty(LANES)
            for first in range(0, x.size, LANES):
                a = x[first : first + LANES]
                u, v, n = us[: a.size], vs[: a.size], ns[: a.size]
                u[:], v[:], n[:] = 0.0, 0.0, 0.0
                for steps in range(MOST):
                    for k in range(a.size):
                        uu, vv = u[k] * u[k], v[k] * v[k]
                        n[k] += 1.0 if uu + vv <= 4.0 else 0.0  # once outside, always outside
                        u[k], v[k] = uu - vv + a[k], 2 * u[k] * v[k] + y[i]
                    if steps % 8 == 7:
                        going = 0.0
                        for k in range(a.size):
                            going = max(going, 1.0 if u[k] * u[k] + v[k] * v[k] <= 4.0 else 0.0)
                        if going == 0.0:
                            break
                found[i, first : first + LANES] = n
        return found

    x, y = inputs["x"], inputs["y"]
    return {VALUE: partial(count, x, y), BESIDE_LANES: partial(lanes, x, y)}


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    over_row = jax.vmap(escape(jax.lax.while_loop), (0, None))
    values = peers.own_arrays(jax.numpy.asarray, inputs, ("x", "y"))
    return {VALUE: peers.jax_call(jax.jit(jax.vmap(over_row, (None, 0))), *values)}


def with_numr(inputs: Any, threads: int):
    import numr as nr

    over_row = nr.vmap(escape(nr.while_loop), (0, None))
    values = peers.own_arrays(nr.asarray, inputs, ("x", "y"))
    call = partial(nr.jit(nr.vmap(over_row, (None, 0))), *values)
    return {VALUE: call, BESIDE_LANES: call}


WORKLOAD = Workload(
    name="mandelbrot",
    title=f"Mandelbrot set, {WIDTH} x {HEIGHT}, up to {MOST} iterations, vmap of while_loop",
    cases=(Case(VALUE, Target(against=("numba",), factor=1.2)), Case(BESIDE_LANES)),
    inputs=inputs,
    oracle=oracle,
    peers={"numpy": with_numpy, "numba": with_numba, "jax": with_jax, "numr": with_numr},
    tolerance=1e-4,
    error=differing,
)
