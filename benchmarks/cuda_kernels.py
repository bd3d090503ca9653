"""The CUDA workloads as an engineer writes them by hand, in numba.cuda.

Indices are unsigned: of signed ones Numba looks whether they count from the end.
"""

from __future__ import annotations

import math
import os
from typing import Any

from numba import cuda, float32, uint32

from benchmarks.workloads.nbody import SOFTENING

THREADS = 128
EACH = 4  # elements that a thread of `copy` has on their way at once
WARP = 32
_SOFTENING, _ONE, _ZERO = float32(SOFTENING), float32(1), float32(0)
_1 = uint32(1)

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":  # the simulator has neither
    ALIGNED = None

    def rsqrt(x: Any) -> Any:
        return _ONE / float32(math.sqrt(x))

else:
    from numba.cuda.libdevice import rsqrtf as rsqrt

    ALIGNED = 16  # bytes that one load then takes


def blocks(points: int, each: int = 1) -> int:
    """How many blocks have a thread for every `each` points."""
    return -(-points // (THREADS * each))


@cuda.jit
def copy(source: Any, target: Any) -> None:
    n = uint32(target.size)
    i = uint32(cuda.blockIdx.x * EACH * THREADS + cuda.threadIdx.x)
    j = i + uint32(THREADS)
    k = j + uint32(THREADS)
    l = k + uint32(THREADS)
    if l < n:
        a, b, c, d = source[i], source[j], source[k], source[l]
        target[i], target[j], target[k], target[l] = a, b, c, d
    else:
        while i < n:
            target[i] = source[i]
            i += uint32(THREADS)


@cuda.jit
def add_one(x: Any, y: Any) -> None:
    i = uint32(cuda.grid(1))
    if i < uint32(y.size):
        y[i] = x[i] + _ONE


@cuda.jit
def matvec(a: Any, x: Any, y: Any) -> None:
    """A matrix times a vector; a row is a block of one warp."""
    part = cuda.shared.array(WARP, float32)
    row, lane = uint32(cuda.blockIdx.x), uint32(cuda.threadIdx.x)
    n = uint32(x.size)
    total = _ZERO
    k = lane
    while k < n:
        total += a[row, k] * x[k]
        k += uint32(WARP)
    part[lane] = total
    cuda.syncthreads()
    if lane == 0:
        total = _ZERO
        for k in range(WARP):
            total += part[k]
        y[row] = total


@cuda.jit(fastmath=True)
def forces(x: Any, m: Any, force: Any) -> None:
    """A body a thread; tiles of bodies go through shared memory, filled up with bodies of no mass."""
    tile = cuda.shared.array((THREADS, 4), float32, ALIGNED)
    n = uint32(m.size)
    i, lane = uint32(cuda.grid(1)), uint32(cuda.threadIdx.x)
    here = min(i, n - _1)
    own_x, own_y, own_z = x[here, 0], x[here, 1], x[here, 2]
    total_x, total_y, total_z = _ZERO, _ZERO, _ZERO
    for start in range(0, m.size, THREADS):
        j = uint32(start) + lane
        there = min(j, n - _1)
        cuda.syncthreads()
        tile[lane, 0] = x[there, 0]
        tile[lane, 1] = x[there, 1]
        tile[lane, 2] = x[there, 2]
        tile[lane, 3] = m[there] if j < n else _ZERO
        cuda.syncthreads()
        k = uint32(0)
        while k < THREADS:
            away_x = tile[k, 0] - own_x
            away_y = tile[k, 1] - own_y
            away_z = tile[k, 2] - own_z
            near = rsqrt(away_x * away_x + away_y * away_y + away_z * away_z + _SOFTENING)
            weight = tile[k, 3] * near * near * near
            total_x += weight * away_x
            total_y += weight * away_y
            total_z += weight * away_z
            k += _1
    if i < n:
        force[i, 0] = m[i] * total_x
        force[i, 1] = m[i] * total_y
        force[i, 2] = m[i] * total_z
