"""Logistic regression, 10000 x 100: value and gradient, and Hessian-vector product."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload

ROWS, COLUMNS = 10_000, 100
RIDGE = 1e-3
NAMES = ("w", "v", "x", "y")


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(3)
    x = random.normal(size=(ROWS, COLUMNS))
    w = random.normal(size=COLUMNS) / 10
    label = random.uniform(size=ROWS) < 1 / (1 + np.exp(-x @ w))
    return {
        "w": w + 0.1 * random.normal(size=COLUMNS),
        "v": random.normal(size=COLUMNS),
        "x": x,
        "y": np.where(label, 1.0, -1.0),
    }


def loss(xp: Any, softplus: Any):
    """Mean of log(1 + exp(-y x.w)), with a ridge penalty."""

    def value(w, x, y):
        return xp.mean(softplus(-y * (x @ w))) + 0.5 * RIDGE * xp.sum(w * w)

    return value


def value_and_grad(w: np.ndarray, x: np.ndarray, y: np.ndarray):
    """Whole-array NumPy."""
    z = -y * (x @ w)
    value = np.logaddexp(0, z).mean() + 0.5 * RIDGE * w @ w
    slope = -y / (1 + np.exp(-z))
    return value, x.T @ slope / len(y) + RIDGE * w


def hvp(w: np.ndarray, v: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whole-array NumPy."""
    p = 1 / (1 + np.exp(y * (x @ w)))
    return x.T @ (p * (1 - p) * (x @ v)) / len(y) + RIDGE * v


def oracle(inputs: Any) -> dict[str, Any]:
    w, v, x, y = (inputs[name] for name in NAMES)
    return {"value_and_grad": value_and_grad(w, x, y), "hvp": hvp(w, v, x, y)}


def with_numpy(inputs: Any, threads: int):
    w, v, x, y = (inputs[name] for name in NAMES)
    return {"value_and_grad": partial(value_and_grad, w, x, y), "hvp": partial(hvp, w, v, x, y)}


def with_numba(inputs: Any, threads: int):
    """One pass over x: each row's products, its link function and its share of the gradient."""
    from numba import prange

    exp, log1p = math.exp, math.log1p
    jit = peers.numba_jit(threads, fastmath=peers.REORDER)

    @jit
    def gradient(w, x, y):
        rows, columns = x.shape
        sums = np.zeros((threads, columns))
        values = np.zeros(threads)
        for share in prange(threads):
            total = 0.0
            for i in range(rows * share // threads, rows * (share + 1) // threads):
                z = 0.0
                for j in range(columns):
                    z += x[i, j] * w[j]
                z *= -y[i]
                e = exp(-abs(z))
                total += max(z, 0.0) + log1p(e)
                slope = -y[i] * (1.0 if z > 0 else e) / (1 + e)
                for j in range(columns):
                    sums[share, j] += slope * x[i, j]
            values[share] = total
        out = np.empty(columns)
        for j in range(columns):
            out[j] = sums[:, j].sum() / rows + RIDGE * w[j]
        square = 0.0
        for j in range(columns):
            square += w[j] * w[j]
        return values.sum() / rows + 0.5 * RIDGE * square, out

    @jit
    def product(w, v, x, y):
        rows, columns = x.shape
        sums = np.zeros((threads, columns))
        for share in prange(threads):
            for i in range(rows * share // threads, rows * (share + 1) // threads):
                z, u = 0.0, 0.0
                for j in range(columns):
                    z += x[i, j] * w[j]
                    u += x[i, j] * v[j]
                p = 1 / (1 + exp(y[i] * z))
                slope = p * (1 - p) * u
                for j in range(columns):
                    sums[share, j] += slope * x[i, j]
        out = np.empty(columns)
        for j in range(columns):
            out[j] = sums[:, j].sum() / rows + RIDGE * v[j]
        return out

    w, v, x, y = (inputs[name] for name in NAMES)
    return {"value_and_grad": partial(gradient, w, x, y), "hvp": partial(product, w, v, x, y)}


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    value = loss(jax.numpy, jax.nn.softplus)
    w, v, x, y = peers.own_arrays(jax.numpy.asarray, inputs, NAMES)

    def product(w, v, x, y):
        return jax.jvp(jax.grad(lambda w: value(w, x, y)), (w,), (v,))[1]

    return {
        "value_and_grad": peers.jax_call(jax.jit(jax.value_and_grad(value)), w, x, y),
        "hvp": peers.jax_call(jax.jit(product), w, v, x, y),
    }


def with_torch(inputs: Any, threads: int):
    torch = peers.torch_setup(threads)
    # softplus has a threshold beyond which torch returns its argument; this form has none
    value = loss(torch, lambda z: torch.logaddexp(z, torch.zeros_like(z)))
    w, v, x, y = peers.own_arrays(torch.from_numpy, inputs, NAMES)

    def both(w, x, y):
        gradient, result = torch.func.grad_and_value(value)(w, x, y)
        return result, gradient

    def product(w, v, x, y):
        return torch.func.jvp(torch.func.grad(lambda w: value(w, x, y)), (w,), (v,))[1]

    return {
        "value_and_grad": partial(torch.compile(both), w, x, y),
        "hvp": partial(torch.compile(product), w, v, x, y),
    }


def with_pytensor(inputs: Any, threads: int):
    import pytensor.tensor as pt
    from pytensor.gradient import grad

    symbols, values = peers.pytensor_inputs(inputs, NAMES)
    w, v, x, y = symbols
    value = loss(pt, pt.softplus)(w, x, y)
    gradient = grad(value, w)
    outputs = {"value_and_grad": [value, gradient], "hvp": grad(pt.sum(gradient * v), w)}
    return peers.pytensor_calls(symbols, values, outputs)


def with_numr(inputs: Any, threads: int):
    import numr as nr

    value = loss(nr, nr.softplus)
    w, v, x, y = peers.own_arrays(nr.asarray, inputs, NAMES)
    return {
        "value_and_grad": partial(nr.jit(nr.value_and_grad(value)), w, x, y),
        "hvp": partial(nr.jit(nr.hvp(value)), w, v, x, y),
    }


BESIDE_JAX = Target(against=("jax",))

WORKLOAD = Workload(
    name="logistic",
    title="logistic regression, 10000 x 100",
    cases=(Case("value_and_grad", BESIDE_JAX), Case("hvp", BESIDE_JAX)),
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
