"""What moves more than it computes, beside copying as many bytes within the device's memory.

Bytes are what has to be moved at least: inputs read once, results written once. The roofs move as many,
half of them read and half written, in the driver's copy and in a copying kernel.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.probes.memory import chain
from benchmarks.workload import Case, Target, Workload
from benchmarks.workloads import black_scholes
from benchmarks.workloads.cuda import DEVICE, WAITS, single, size

NUMBERS, OPTIONS = size(100_000_000, 400), size(16_000_000, 100)
DRAWN = 1_000_000  # numbers that differ: to draw all of them takes seconds
RATE = 0.03
NAMES = black_scholes.NAMES[:4]

COPIED = Target(against=("memcpy", "copy"), factor=1 / 0.85)
CHAIN = Case(f"ten operations on {NUMBERS:,} numbers", COPIED, nbytes=8 * NUMBERS)
PRICES = Case(
    f"Black-Scholes, price and gradient of {OPTIONS:,} options", COPIED, nbytes=36 * OPTIONS
)
FAST_PRICES = Case(f"{PRICES.name}, fast_math", COPIED, nbytes=PRICES.nbytes)
SUM = Case(f"sum of {NUMBERS:,} numbers", COPIED, nbytes=4 * NUMBERS)
CASES = (CHAIN, PRICES, FAST_PRICES, SUM)


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(7)
    drawn = random.uniform(0, 1, min(DRAWN, NUMBERS)).astype(np.float32)
    options = black_scholes.inputs(OPTIONS)
    return {"x": np.resize(drawn, NUMBERS)} | single({name: options[name] for name in NAMES})


def greeks(s: Any, k: Any, t: Any, v: Any) -> tuple[Any, ...]:
    """The price and its derivatives by all four, in closed form."""
    from scipy.special import ndtr

    root = np.sqrt(t)
    d1 = (np.log(s / k) + (RATE + 0.5 * v * v) * t) / (v * root)
    density = np.exp(-0.5 * d1 * d1) * black_scholes.RSQRT2PI
    upper, discounted = ndtr(d1), np.exp(-RATE * t) * ndtr(d1 - v * root)
    by_time = 0.5 * s * density * v / root + RATE * k * discounted
    return s * upper - k * discounted, upper, -discounted, by_time, s * density * root


def oracle(inputs: Any) -> dict[str, Any]:
    drawn = inputs["x"][:DRAWN].astype(np.float64)
    prices = greeks(*(inputs[name].astype(np.float64) for name in NAMES))
    return {
        CHAIN.name: np.resize(chain(np)(drawn).astype(np.float32), NUMBERS),
        PRICES.name: prices,
        FAST_PRICES.name: prices,
        SUM.name: np.sum(inputs["x"], dtype=np.float64),
    }


def copies(start: Any) -> dict[str, Any]:
    """For each case a copy that moves its bytes; `start(source, target)` starts it."""
    from numba import cuda

    values = np.arange(max(case.nbytes for case in CASES) // 16, dtype=np.float64)
    source, target = cuda.to_device(values), cuda.device_array_like(values)
    calls = {}
    for case in CASES:
        n = case.nbytes // 16
        target.copy_to_device(np.zeros_like(values))
        calls[case.name] = partial(start, source[:n], target[:n])
        calls[case.name]()
        got = target.copy_to_host()
        if not np.array_equal(got[:n], values[:n]) or got[n:].any():
            raise ValueError(f"wrong copy of {n} numbers")
    return calls


def with_memcpy(inputs: Any, threads: int):
    return copies(lambda source, target: target.copy_to_device(source))


def with_copy(inputs: Any, threads: int):
    from benchmarks import cuda_kernels as kernels

    def start(source: Any, target: Any) -> None:
        blocks = kernels.blocks(source.size, kernels.EACH)
        kernels.copy[blocks, kernels.THREADS](source, target)

    return copies(start)


def with_numr(inputs: Any, threads: int):
    import numr as nr

    formula = black_scholes.formula(nr, nr.special.erf)

    def price(*market: Any) -> Any:
        return formula(*market, RATE)

    def price_and_gradient(*market: Any) -> Any:
        gradient = nr.grad(lambda *a: nr.sum(price(*a)), argnums=(0, 1, 2, 3))
        return price(*market), *gradient(*market)

    jit = partial(nr.jit, device=DEVICE)
    x = nr.asarray(inputs["x"], device=DEVICE)
    market = [nr.asarray(inputs[name], device=DEVICE) for name in NAMES]
    return {
        CHAIN.name: partial(jit(chain(nr)), x),
        PRICES.name: partial(jit(price_and_gradient), *market),
        FAST_PRICES.name: partial(jit(price_and_gradient, fast_math=True), *market),
        SUM.name: partial(jit(lambda x: nr.sum(x)), x),
    }


WORKLOAD = Workload(
    name="cuda.bandwidth",
    title="bandwidth",
    cases=CASES,
    inputs=inputs,
    oracle=oracle,
    peers={"memcpy": with_memcpy, "copy": with_copy, "numr": with_numr},
    tolerance=3e-5,
    waits=WAITS,
    roofs=("memcpy", "copy"),
)
