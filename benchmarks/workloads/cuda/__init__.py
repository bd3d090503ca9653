"""What the workloads for a CUDA device share: sizes, devices, and how each peer waits for its device."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.workload import SMALL, size

__all__ = [
    "DEVICE",
    "NAMES",
    "PEER_DEVICE",
    "SMALL",
    "WAITS",
    "double",
    "peer_device",
    "single",
    "size",
]

NAMES = ("bandwidth", "rows", "nbody", "calls", "matmul")
DEVICE = "cuda"  # numr's
PEER_DEVICE = "BENCHMARK_PEER_DEVICE"  # an environment variable


def peer_device() -> str:
    """The device of JAX and PyTorch: "cuda", or "cpu" for trying out their code without one."""
    return os.environ.get(PEER_DEVICE, DEVICE)


def single(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays in single precision."""
    return {name: np.asarray(value, np.float32) for name, value in inputs.items()}


def double(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays in double precision, for the expected results."""
    return {name: np.asarray(value, np.float64) for name, value in inputs.items()}


def _numr(result: Any) -> None:
    (result[-1] if isinstance(result, tuple) else result).block_until_ready()


def _numba(result: Any) -> None:
    from numba import cuda

    cuda.synchronize()


def _cupy(result: Any) -> None:
    import cupy

    cupy.cuda.get_current_stream().synchronize()


def _jax(result: Any) -> None:
    import jax

    jax.block_until_ready(result)


def _torch(result: Any) -> None:
    import torch

    if peer_device() == DEVICE:
        torch.cuda.synchronize()


WAITS: dict[str, Callable[[Any], None]] = {
    "numr": _numr,
    "memcpy": _numba,
    "copy": _numba,
    "hand": _numba,
    "cupy": _cupy,
    "jax": _jax,
    "torch": _torch,
}
