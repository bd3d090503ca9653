"""The hand-written Numba kernels of the row workload: one pass over memory, vectorised sums."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers

EPSILON = 1e-5


def calls(inputs: Any, threads: int) -> dict[str, Any]:
    x, scale, bias, c_row, c = (inputs[k] for k in ("x", "scale", "bias", "c_row", "c"))
    soft = _softmax_kernels(threads)
    norm = _layernorm_kernels(threads)
    return {
        "logsumexp": partial(soft["logsumexp"], x),
        "logsumexp grad": lambda: soft["logsumexp_grad"](x, c_row, np.empty_like(x)),
        "softmax": lambda: soft["softmax"](x, np.empty_like(x)),
        "softmax grad": lambda: soft["softmax_grad"](x, c, np.empty_like(x)),
        "layernorm": lambda: norm["layernorm"](x, scale, bias, np.empty_like(x)),
        "layernorm grad": lambda: norm["layernorm_grad"](x, scale, c, np.empty_like(x)),
    }


def _softmax_kernels(threads: int) -> dict[str, Any]:
    from numba import njit, prange

    from benchmarks.libmvec import exp

    log = math.log
    jit = peers.numba_jit(threads, fastmath=peers.REORDER)

    @njit(fastmath=peers.REORDER)
    def largest(row):
        top = -np.inf
        for j in range(row.size):
            top = max(top, row[j])
        return top

    @njit(error_model="numpy", fastmath=peers.REORDER)
    def exponentials(row, out):
        top = largest(row)
        total = 0.0
        for j in range(row.size):
            e = exp(row[j] - top)
            out[j] = e
            total += e
        return total

    @jit
    def logsumexp(x):
        out = np.empty(x.shape[0])
        for i in prange(x.shape[0]):
            top = largest(x[i])
            total = 0.0
            for j in range(x.shape[1]):
                total += exp(x[i, j] - top)
            out[i] = top + log(total)
        return out

    @jit
    def logsumexp_grad(x, c, out):
        for i in prange(x.shape[0]):
            factor = c[i] / exponentials(x[i], out[i])
            for j in range(x.shape[1]):
                out[i, j] *= factor
        return out

    @jit
    def softmax(x, out):
        for i in prange(x.shape[0]):
            factor = 1 / exponentials(x[i], out[i])
            for j in range(x.shape[1]):
                out[i, j] *= factor
        return out

    @jit
    def softmax_grad(x, c, out):
        for i in prange(x.shape[0]):
            factor = 1 / exponentials(x[i], out[i])
            inner = 0.0
            for j in range(x.shape[1]):
                inner += c[i, j] * out[i, j]
            inner *= factor
            for j in range(x.shape[1]):
                out[i, j] *= factor * (c[i, j] - inner)
        return out

    made = (logsumexp, logsumexp_grad, softmax, softmax_grad)
    return {kernel.py_func.__name__: kernel for kernel in made}


def _layernorm_kernels(threads: int) -> dict[str, Any]:
    from numba import njit, prange

    sqrt = math.sqrt
    jit = peers.numba_jit(threads, fastmath=peers.REORDER)

    @njit(error_model="numpy", fastmath=peers.REORDER)
    def moments(row):
        total = 0.0
        for j in range(row.size):
            total += row[j]
        mean = total / row.size
        total = 0.0
        for j in range(row.size):
            total += (row[j] - mean) * (row[j] - mean)
        return mean, 1 / sqrt(total / row.size + EPSILON)

    @jit
    def layernorm(x, scale, bias, out):
        for i in prange(x.shape[0]):
            mean, inverse = moments(x[i])
            for j in range(x.shape[1]):
                out[i, j] = (x[i, j] - mean) * inverse * scale[j] + bias[j]
        return out

    @jit
    def layernorm_grad(x, scale, c, out):
        rows, columns = x.shape
        sums = np.zeros((threads, 2, columns))
        for share in prange(threads):
            scale_sum, bias_sum = sums[share, 0], sums[share, 1]
            for i in range(rows * share // threads, rows * (share + 1) // threads):
                mean, inverse = moments(x[i])
                along, across = 0.0, 0.0
                for j in range(columns):
                    z = (x[i, j] - mean) * inverse
                    g = c[i, j] * scale[j]
                    along += g
                    across += g * z
                    scale_sum[j] += c[i, j] * z
                    bias_sum[j] += c[i, j]
                along /= columns
                across /= columns
                for j in range(columns):
                    z = (x[i, j] - mean) * inverse
                    out[i, j] = inverse * (c[i, j] * scale[j] - along - z * across)
        for share in range(1, threads):
            for j in range(columns):
                sums[0, 0, j] += sums[share, 0, j]
                sums[0, 1, j] += sums[share, 1, j]
        return out, sums[0, 0], sums[0, 1]

    return {kernel.py_func.__name__: kernel for kernel in (layernorm, layernorm_grad)}
