"""Black-Scholes calls: price, delta = grad(price) and gamma = grad(grad(price)) of 1e6 options."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload

N = 1_000_000
NAMES = ("spot", "strike", "time", "volatility", "rate")
RSQRT2 = 1 / math.sqrt(2)
RSQRT2PI = 1 / math.sqrt(2 * math.pi)


def inputs(n: int = N) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        "spot": random.uniform(50, 150, n),
        "strike": random.uniform(50, 150, n),
        "time": random.uniform(0.1, 2, n),
        "volatility": random.uniform(0.1, 0.5, n),
        "rate": 0.03,
    }


def formula(xp: Any, erf: Any):
    """The price in terms of a library's log, sqrt and exp: what every tracing peer is given."""

    def price(s, k, t, v, r):
        deviation = v * xp.sqrt(t)
        d1 = (xp.log(s / k) + (r + 0.5 * v * v) * t) / deviation
        d2 = d1 - deviation
        upper = 0.5 * (1 + erf(d1 * RSQRT2))
        lower = 0.5 * (1 + erf(d2 * RSQRT2))
        return s * upper - k * xp.exp(-r * t) * lower

    return price


def closed_forms(inputs: Any) -> dict[str, Any]:
    """Whole-array NumPy: {case: call}."""
    from scipy.special import erf

    s, k, t, v, r = (inputs[name] for name in NAMES)

    def deviation_and_d1():
        deviation = v * np.sqrt(t)
        return deviation, (np.log(s / k) + (r + 0.5 * v * v) * t) / deviation

    def delta():
        return 0.5 * (1 + erf(deviation_and_d1()[1] * RSQRT2))

    def gamma():
        deviation, d1 = deviation_and_d1()
        return np.exp(-0.5 * d1 * d1) * RSQRT2PI / (s * deviation)

    return {"price": partial(formula(np, erf), s, k, t, v, r), "delta": delta, "gamma": gamma}


def oracle(inputs: Any) -> dict[str, np.ndarray]:
    return {name: call() for name, call in closed_forms(inputs).items()}


def with_numpy(inputs: Any, threads: int):
    return closed_forms(inputs)


def with_numba(inputs: Any, threads: int):
    """Closed forms, each one loop with libmvec's vector exp, log and erf."""
    from numba import prange

    from benchmarks.libmvec import erf, exp, log

    sqrt = math.sqrt
    jit = peers.numba_jit(threads)

    @jit
    def price(s, k, t, v, r, out):
        for i in prange(s.size):
            deviation = v[i] * sqrt(t[i])
            d1 = (log(s[i] / k[i]) + r * t[i]) / deviation + 0.5 * deviation
            upper = 1 + erf(d1 * RSQRT2)
            lower = 1 + erf((d1 - deviation) * RSQRT2)
            out[i] = 0.5 * (s[i] * upper - k[i] * exp(-r * t[i]) * lower)

    @jit
    def delta(s, k, t, v, r, out):
        for i in prange(s.size):
            deviation = v[i] * sqrt(t[i])
            d1 = (log(s[i] / k[i]) + r * t[i]) / deviation + 0.5 * deviation
            out[i] = 0.5 * (1 + erf(d1 * RSQRT2))

    @jit
    def gamma(s, k, t, v, r, out):
        for i in prange(s.size):
            deviation = v[i] * sqrt(t[i])
            d1 = (log(s[i] / k[i]) + r * t[i]) / deviation + 0.5 * deviation
            out[i] = RSQRT2PI * exp(-0.5 * d1 * d1) / (s[i] * deviation)

    values = [inputs[name] for name in NAMES]

    def fresh(kernel):
        out = np.empty_like(values[0])
        kernel(*values, out)
        return out

    return {k.py_func.__name__: partial(fresh, k) for k in (price, delta, gamma)}


def derivatives(grad: Any, total: Any, price: Any):
    """Delta and gamma as gradients of sums: each option's price depends on its own spot alone."""
    delta = grad(lambda *a: total(price(*a)))
    gamma = grad(lambda *a: total(delta(*a)))
    return {"price": price, "delta": delta, "gamma": gamma}


def jax_functions(jax: Any):
    price = formula(jax.numpy, jax.scipy.special.erf)
    made = derivatives(jax.grad, jax.numpy.sum, price)
    return {name: jax.jit(function) for name, function in made.items()}


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    values = peers.own_arrays(jax.numpy.asarray, inputs, NAMES)
    return {name: peers.jax_call(f, *values) for name, f in jax_functions(jax).items()}


def torch_functions(torch: Any):
    price = formula(torch, torch.erf)
    made = derivatives(torch.func.grad, torch.sum, price)
    return {name: torch.compile(function) for name, function in made.items()}


def with_torch(inputs: Any, threads: int):
    torch = peers.torch_setup(threads)
    values = [*peers.own_arrays(torch.from_numpy, inputs, NAMES[:4]), inputs["rate"]]
    return {name: partial(f, *values) for name, f in torch_functions(torch).items()}


def pytensor_outputs(symbols: list):
    import pytensor.tensor as pt
    from pytensor.gradient import grad

    price = formula(pt, pt.erf)(*symbols)
    delta = grad(pt.sum(price), symbols[0])
    return {"price": price, "delta": delta, "gamma": grad(pt.sum(delta), symbols[0])}


def with_pytensor(inputs: Any, threads: int):
    symbols, values = peers.pytensor_inputs(inputs, NAMES)
    return peers.pytensor_calls(symbols, values, pytensor_outputs(symbols))


def numr_functions(nr: Any):
    made = derivatives(nr.grad, nr.sum, formula(nr, nr.erf))
    return {name: nr.jit(function) for name, function in made.items()}


def with_numr(inputs: Any, threads: int):
    import numr as nr

    values = [*peers.own_arrays(nr.asarray, inputs, NAMES[:4]), inputs["rate"]]
    return {name: partial(f, *values) for name, f in numr_functions(nr).items()}


BESIDE_NUMBA = Target(against=("numba",), factor=1.2)

WORKLOAD = Workload(
    name="black_scholes",
    title="Black-Scholes call of 1e6 options",
    cases=(
        Case("price", BESIDE_NUMBA),
        Case("delta", BESIDE_NUMBA),
        Case("gamma", BESIDE_NUMBA),
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
    tolerance=1e-11,
)
