"""Rosenbrock's function of 1000 variables: gradient and Hessian-vector product."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload

N = 1000
NAMES = ("x", "v")


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(5)
    return {"x": random.normal(size=N), "v": random.normal(size=N)}


def rosenbrock(xp: Any):
    def value(x):
        return xp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    return value


def gradient(x: np.ndarray) -> np.ndarray:
    """Whole-array NumPy."""
    residual = x[1:] - x[:-1] ** 2
    out = np.zeros_like(x)
    out[:-1] = -400 * x[:-1] * residual - 2 * (1 - x[:-1])
    out[1:] += 200 * residual
    return out


def hvp(x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Whole-array NumPy."""
    out = np.zeros_like(x)
    out[:-1] = (1200 * x[:-1] ** 2 - 400 * x[1:] + 2) * v[:-1] - 400 * x[:-1] * v[1:]
    out[1:] += 200 * v[1:] - 400 * x[:-1] * v[:-1]
    return out


def oracle(inputs: Any) -> dict[str, Any]:
    return {"gradient": gradient(inputs["x"]), "hvp": hvp(inputs["x"], inputs["v"])}


def with_numpy(inputs: Any, threads: int):
    x, v = inputs["x"], inputs["v"]
    return {"gradient": partial(gradient, x), "hvp": partial(hvp, x, v)}


def with_numba(inputs: Any, threads: int):
    """One loop over the interior, ends apart; too small to share between threads."""
    jit = peers.numba_jit(1)

    @jit
    def gradient(x):
        n = x.size
        out = np.empty(n)
        out[0] = -400 * x[0] * (x[1] - x[0] * x[0]) - 2 * (1 - x[0])
        for i in range(1, n - 1):
            here, before = x[i], x[i - 1]
            step = -400 * here * (x[i + 1] - here * here) - 2 * (1 - here)
            out[i] = step + 200 * (here - before * before)
        out[n - 1] = 200 * (x[n - 1] - x[n - 2] * x[n - 2])
        return out

    @jit
    def hvp(x, v):
        n = x.size
        out = np.empty(n)
        out[0] = (1200 * x[0] * x[0] - 400 * x[1] + 2) * v[0] - 400 * x[0] * v[1]
        for i in range(1, n - 1):
            here = x[i]
            step = (1200 * here * here - 400 * x[i + 1] + 202) * v[i]
            out[i] = step - 400 * (here * v[i + 1] + x[i - 1] * v[i - 1])
        out[n - 1] = 200 * v[n - 1] - 400 * x[n - 2] * v[n - 2]
        return out

    x, v = inputs["x"], inputs["v"]
    return {"gradient": partial(gradient, x), "hvp": partial(hvp, x, v)}


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    slope = jax.grad(rosenbrock(jax.numpy))
    x, v = peers.own_arrays(jax.numpy.asarray, inputs, NAMES)
    return {
        "gradient": peers.jax_call(jax.jit(slope), x),
        "hvp": peers.jax_call(jax.jit(lambda x, v: jax.jvp(slope, (x,), (v,))[1]), x, v),
    }


def with_torch(inputs: Any, threads: int):
    torch = peers.torch_setup(threads)
    slope = torch.func.grad(rosenbrock(torch))
    x, v = peers.own_arrays(torch.from_numpy, inputs, NAMES)
    product = torch.compile(lambda x, v: torch.func.jvp(slope, (x,), (v,))[1])
    return {"gradient": partial(torch.compile(slope), x), "hvp": partial(product, x, v)}


def with_pytensor(inputs: Any, threads: int):
    import pytensor.tensor as pt
    from pytensor.gradient import grad

    symbols, values = peers.pytensor_inputs(inputs, NAMES)
    slope = grad(rosenbrock(pt)(symbols[0]), symbols[0])
    outputs = {"gradient": slope, "hvp": grad(pt.sum(slope * symbols[1]), symbols[0])}
    return peers.pytensor_calls(symbols, values, outputs)


def with_numr(inputs: Any, threads: int):
    import numr as nr

    value = rosenbrock(nr)
    x, v = peers.own_arrays(nr.asarray, inputs, NAMES)
    return {
        "gradient": partial(nr.jit(nr.grad(value)), x),
        "hvp": partial(nr.jit(nr.hvp(value)), x, v),
    }


NEAR_NUMBA = Target(against=("numba",), plus=4e-6)

WORKLOAD = Workload(
    name="rosenbrock",
    title="Rosenbrock, n = 1000",
    cases=(Case("gradient", NEAR_NUMBA), Case("hvp", NEAR_NUMBA)),
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
