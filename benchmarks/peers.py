"""The few lines that every workload says to one peer: its settings, its own arrays, waiting."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

# Numba's flags for loops with sums: a sum may be reordered; NaN and infinity stay as they are.
# All of `fastmath=True` makes libmvec's loops slower, not faster.
REORDER = {"reassoc", "nsz", "contract", "arcp"}


def numba_jit(threads: int, fastmath: Any = False) -> Callable[[Callable], Callable]:
    """Numba's decorator, with parallel loops exactly where there is more than one thread."""
    import numba

    cache = "NUMBA_CACHE_DIR" in os.environ
    return numba.njit(error_model="numpy", fastmath=fastmath, parallel=threads > 1, cache=cache)


def jax_setup() -> Any:
    """JAX in double precision, with its disk cache where the environment names a folder.

    Calls run in the calling thread: handing them to another one first, as JAX does unless told, is
    up to ten times slower for small functions where there is one thread, and no faster where two.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return jax


def jax_call(function: Callable, *arguments: Any) -> Callable[[], Any]:
    """A call that waits for every array of its result."""
    import jax

    if isinstance(jax.eval_shape(function, *arguments), jax.ShapeDtypeStruct):
        return lambda: function(*arguments).block_until_ready()
    return lambda: jax.block_until_ready(function(*arguments))


def torch_setup(threads: int) -> Any:
    """PyTorch with its compiler, for `threads` threads."""
    import torch

    torch.set_num_threads(threads)
    return torch


def pytensor_inputs(inputs: Any, names: tuple[str, ...]) -> tuple[list, list]:
    """Symbolic variables for the named inputs, and their values."""
    import pytensor.tensor as pt

    values = [np.asarray(inputs[name]) for name in names]
    symbols = [
        pt.tensor(name, dtype=value.dtype, shape=(None,) * value.ndim)
        for name, value in zip(names, values, strict=True)
    ]
    return symbols, values


def pytensor_calls(symbols: list, values: list, outputs: dict) -> dict[str, Callable[[], Any]]:
    """One compiled function per case; inputs are trusted, so that no checks are timed."""
    import pytensor

    calls = {}
    for name, output in outputs.items():
        function = pytensor.function(symbols, output, on_unused_input="ignore")
        function.trust_input = True
        calls[name] = partial(function, *values)
    return calls


def own_arrays(convert: Callable[[Any], Any], inputs: Any, names: tuple[str, ...]) -> list:
    """The named inputs as a library's own arrays."""
    return [convert(inputs[name]) for name in names]


def flatten(result: Any) -> list[np.ndarray]:
    """The arrays of a result, in order, as NumPy arrays: dicts by sorted key, None left out."""
    if result is None:
        return []
    if isinstance(result, dict):
        return [array for key in sorted(result) for array in flatten(result[key])]
    if isinstance(result, list | tuple):
        return [array for part in result for array in flatten(part)]
    if hasattr(result, "detach") and hasattr(result, "cpu"):  # PyTorch
        result = result.detach().cpu()
    for to_host in ("copy_to_host", "get"):  # Numba's and CuPy's arrays on a device
        if hasattr(result, to_host):
            result = getattr(result, to_host)()
    return [np.asarray(result)]
