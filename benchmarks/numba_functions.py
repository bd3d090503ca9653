"""The Numba peer's functions for first calls.

They are a module's, since Numba's disk cache misses closures over an intrinsic: those are keyed by
an object that differs in every process.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from benchmarks.libmvec import erf, exp, log, tanh
from benchmarks.peers import REORDER, numba_jit
from benchmarks.workloads.black_scholes import RSQRT2


@numba_jit(1, fastmath=REORDER)
def total_price_and_deltas(s, k, t, v, r):
    """The sum of all prices, and its gradient, in one loop."""
    total = 0.0
    delta = np.empty_like(s)
    for i in range(s.size):
        deviation = v[i] * sqrt(t[i])
        d1 = (log(s[i] / k[i]) + r * t[i]) / deviation + 0.5 * deviation
        upper = 0.5 * (1 + erf(d1 * RSQRT2))
        lower = 0.5 * (1 + erf((d1 - deviation) * RSQRT2))
        total += s[i] * upper - k[i] * exp(-r * t[i]) * lower
        delta[i] = upper
    return total, delta


@numba_jit(1)
def tanh_in_place(a):
    flat = a.ravel()
    for i in range(flat.size):
        flat[i] = tanh(flat[i])
    return a
