"""Rows of 4096 x 512: logsumexp, softmax and layernorm along the rows, and their gradients.

A gradient is that of sum(c * f(x)) with a given c of the shape of f(x); layernorm has a scale and a
bias, and its gradient is with respect to x, scale and bias.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload
from benchmarks.workloads import rows_numba

ROWS, COLUMNS = 4096, 512
EPSILON = rows_numba.EPSILON
LSE, SOFTMAX, NORM = ("x", "c_row"), ("x", "c"), ("x", "scale", "bias", "c")


def inputs(rows: int = ROWS, columns: int = COLUMNS) -> dict[str, Any]:
    random = np.random.default_rng(2)
    return {
        "x": 2 * random.normal(size=(rows, columns)),
        "scale": random.uniform(0.5, 1.5, columns),
        "bias": random.normal(size=columns),
        "c_row": random.normal(size=rows),
        "c": random.normal(size=(rows, columns)),
    }


def layernorm(xp: Any, rsqrt: Any):
    """Layer normalisation in terms of a library's mean."""

    def apply(x, scale, bias):
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        return centred * rsqrt(variance + EPSILON) * scale + bias

    return apply


def closed_forms(inputs: Any) -> dict[str, Any]:
    """Whole-array NumPy, with the gradients as one writes them by hand: {case: call}."""
    x, scale, bias, c_row, c = (inputs[k] for k in ("x", "scale", "bias", "c_row", "c"))

    def logsumexp():
        top = x.max(1, keepdims=True)
        return top[:, 0] + np.log(np.exp(x - top).sum(1))

    def softmax():
        e = np.exp(x - x.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    def softmax_grad():
        s = softmax()
        return s * (c - (c * s).sum(1, keepdims=True))

    def normalised():
        centred = x - x.mean(1, keepdims=True)
        inverse = 1 / np.sqrt((centred * centred).mean(1, keepdims=True) + EPSILON)
        return centred * inverse, inverse

    def layernorm_grad():
        z, inverse = normalised()
        g = c * scale
        inner = g - g.mean(1, keepdims=True) - z * (g * z).mean(1, keepdims=True)
        return inverse * inner, (c * z).sum(0), c.sum(0)

    return {
        "logsumexp": logsumexp,
        "logsumexp grad": lambda: softmax() * c_row[:, None],
        "softmax": softmax,
        "softmax grad": softmax_grad,
        "layernorm": lambda: normalised()[0] * scale + bias,
        "layernorm grad": layernorm_grad,
    }


def oracle(inputs: Any) -> dict[str, Any]:
    return {name: call() for name, call in closed_forms(inputs).items()}


def with_numpy(inputs: Any, threads: int):
    return closed_forms(inputs)


def with_numba(inputs: Any, threads: int):
    return rows_numba.calls(inputs, threads)


def functions(xp: Any, grad: Any, logsumexp: Any, softmax: Any, rsqrt: Any) -> dict[str, Any]:
    """{case: (function, names of its arguments)} for a library with a functional `grad`."""
    norm = layernorm(xp, rsqrt)

    def lse(x, c_row):
        return xp.sum(c_row * logsumexp(x))

    def soft(x, c):
        return xp.sum(c * softmax(x))

    def normed(x, scale, bias, c):
        return xp.sum(c * norm(x, scale, bias))

    return {
        "logsumexp": (logsumexp, LSE[:1]),
        "logsumexp grad": (grad(lse, 0), LSE),
        "softmax": (softmax, SOFTMAX[:1]),
        "softmax grad": (grad(soft, 0), SOFTMAX),
        "layernorm": (norm, NORM[:3]),
        "layernorm grad": (grad(normed, (0, 1, 2)), NORM),
    }


def with_jax(inputs: Any, threads: int, call: Any = peers.jax_call):
    jax = peers.jax_setup()
    made = functions(
        jax.numpy,
        jax.grad,
        partial(jax.scipy.special.logsumexp, axis=-1),
        partial(jax.nn.softmax, axis=-1),
        jax.lax.rsqrt,
    )
    own = {name: jax.numpy.asarray(value) for name, value in inputs.items()}
    return {
        case: call(jax.jit(f), *(own[name] for name in names)) for case, (f, names) in made.items()
    }


def with_torch(inputs: Any, threads: int, device: str = "cpu"):
    torch = peers.torch_setup(threads)
    made = functions(
        torch,
        torch.func.grad,
        partial(torch.logsumexp, dim=-1),
        partial(torch.softmax, dim=-1),
        torch.rsqrt,
    )
    own = {name: torch.from_numpy(value).to(device) for name, value in inputs.items()}
    return {
        case: partial(torch.compile(f), *(own[name] for name in names))
        for case, (f, names) in made.items()
    }


def with_pytensor(inputs: Any, threads: int):
    import pytensor.tensor as pt
    from pytensor.gradient import grad

    symbols, values = peers.pytensor_inputs(inputs, ("x", "scale", "bias", "c_row", "c"))
    x, scale, bias, c_row, c = symbols
    lse = pt.logsumexp(x, axis=-1)
    soft = pt.special.softmax(x, axis=-1)
    norm = layernorm(pt, lambda v: 1 / pt.sqrt(v))(x, scale, bias)
    outputs = {
        "logsumexp": lse,
        "logsumexp grad": grad(pt.sum(c_row * lse), x),
        "softmax": soft,
        "softmax grad": grad(pt.sum(c * soft), x),
        "layernorm": norm,
        "layernorm grad": grad(pt.sum(c * norm), [x, scale, bias]),
    }
    return peers.pytensor_calls(symbols, values, outputs)


def with_numr(inputs: Any, threads: int, device: str | None = None):
    import numr as nr

    made = functions(
        nr,
        nr.grad,
        partial(nr.logsumexp, axis=-1),
        partial(nr.softmax, axis=-1),
        lambda v: 1 / nr.sqrt(v),
    )
    own = {name: nr.asarray(value, device=device) for name, value in inputs.items()}
    return {
        case: partial(nr.jit(f), *(own[name] for name in names))
        for case, (f, names) in made.items()
    }


BEST_OF_TWO = Target(against=("jax", "torch"))

WORKLOAD = Workload(
    name="rows",
    title="rows of 4096 x 512",
    cases=tuple(
        Case(name, BEST_OF_TWO)
        for name in (
            "logsumexp",
            "logsumexp grad",
            "softmax",
            "softmax grad",
            "layernorm",
            "layernorm grad",
        )
    ),
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
