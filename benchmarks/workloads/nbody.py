"""N-body: the forces on 1000 bodies as minus the gradient of the softened pairwise potential."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload

N = 1000
SOFTENING = 1e-2  # squared; it keeps the distance of a body to itself from being zero


def inputs(n: int = N) -> dict[str, Any]:
    random = np.random.default_rng(1)
    return {"x": random.normal(size=(n, 3)), "m": random.uniform(0.5, 1.0, n)}


def potential(xp: Any):
    """Half the sum over all ordered pairs; each body's own term is a constant and has no force."""

    def energy(x, m):
        difference = x[:, None, :] - x[None, :, :]
        squared = xp.sum(difference * difference, axis=-1) + SOFTENING
        return -0.5 * xp.sum(m[:, None] * m[None, :] / xp.sqrt(squared))

    return energy


def forces(x: np.ndarray, m: np.ndarray, on: slice = slice(None)) -> np.ndarray:
    """Whole-array NumPy; `on` chooses bodies."""
    difference = x[None, :, :] - x[on, None, :]
    squared = np.einsum("ijk,ijk->ij", difference, difference) + SOFTENING
    weight = m[on, None] * m[None, :] / (squared * np.sqrt(squared))
    return np.einsum("ij,ijk->ik", weight, difference)


def oracle(inputs: Any) -> dict[str, np.ndarray]:
    return {"forces": forces(inputs["x"], inputs["m"])}


def with_numpy(inputs: Any, threads: int):
    return {"forces": lambda: forces(inputs["x"], inputs["m"])}


def with_numba(inputs: Any, threads: int):
    """Each pair once, coordinates in columns; each thread has a share of the rows and own sums."""
    from numba import prange

    sqrt = math.sqrt

    @peers.numba_jit(threads, fastmath=True)
    def fused(x, m):
        n = x.shape[0]
        columns = np.ascontiguousarray(x.T)
        px, py, pz = columns[0], columns[1], columns[2]
        shares = np.zeros((threads, 3, n))
        for share in prange(threads):
            fx, fy, fz = shares[share, 0], shares[share, 1], shares[share, 2]
            for i in range(share, n, threads):
                xi, yi, zi, mi = px[i], py[i], pz[i], m[i]
                ax, ay, az = 0.0, 0.0, 0.0
                for j in range(i):
                    dx, dy, dz = px[j] - xi, py[j] - yi, pz[j] - zi
                    squared = dx * dx + dy * dy + dz * dz + SOFTENING
                    weight = mi * m[j] / (squared * sqrt(squared))
                    ax += weight * dx
                    ay += weight * dy
                    az += weight * dz
                    fx[j] -= weight * dx
                    fy[j] -= weight * dy
                    fz[j] -= weight * dz
                fx[i] += ax
                fy[i] += ay
                fz[i] += az
        out = np.empty((n, 3))
        for i in range(n):
            for axis in range(3):
                total = 0.0
                for share in range(threads):
                    total += shares[share, axis, i]
                out[i, axis] = total
        return out

    return {"forces": partial(fused, inputs["x"], inputs["m"])}


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    gradient = jax.grad(potential(jax.numpy))
    values = peers.own_arrays(jax.numpy.asarray, inputs, ("x", "m"))
    return {"forces": peers.jax_call(jax.jit(lambda x, m: -gradient(x, m)), *values)}


def with_torch(inputs: Any, threads: int):
    torch = peers.torch_setup(threads)
    gradient = torch.func.grad(potential(torch))
    values = peers.own_arrays(torch.from_numpy, inputs, ("x", "m"))
    return {"forces": partial(torch.compile(lambda x, m: -gradient(x, m)), *values)}


def with_pytensor(inputs: Any, threads: int):
    import pytensor.tensor as pt
    from pytensor.gradient import grad

    symbols, values = peers.pytensor_inputs(inputs, ("x", "m"))
    outputs = {"forces": -grad(potential(pt)(*symbols), symbols[0])}
    return peers.pytensor_calls(symbols, values, outputs)


def with_numr(inputs: Any, threads: int):
    import numr as nr

    gradient = nr.grad(potential(nr))
    values = peers.own_arrays(nr.asarray, inputs, ("x", "m"))
    return {"forces": partial(nr.jit(lambda x, m: -gradient(x, m)), *values)}


WORKLOAD = Workload(
    name="nbody",
    title="N-body, n = 1000, d = 3",
    cases=(Case("forces", Target(against=("numba",), factor=1.5)),),
    inputs=inputs,
    oracle=oracle,
    peers={
        "numpy": with_numpy,
        "numba": with_numba,
        "jax": with_jax,
        "torch": with_torch,
        "pytensor": with_pytensor,
        "numr": with_numr,
    },
)
