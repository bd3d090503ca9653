"""What the tests of functions share: values by the reference interpreter, and comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import numr as nr
from numr.ir.interpret import interpret

DTYPES = {
    "b": ["bool"],
    "i": ["int8", "int16", "int32", "int64"],
    "u": ["uint8", "uint16", "uint32", "uint64"],
    "f": ["float32", "float64"],
    "c": ["complex64", "complex128"],
}
RTOL = {"float32": 2e-6, "complex64": 1e-5}


def value(x: Any) -> Any:
    """An array's values, by NumPy node by node: what a function means, whatever a backend does."""
    if isinstance(x, nr.Array):
        return interpret([x.node], {})[0]
    if isinstance(x, (tuple, list)):
        return type(x)(map(value, x)) if not hasattr(x, "_fields") else tuple(map(value, x))
    return x


def lazy(x: Any) -> nr.Array:
    """A numr array over values that are known."""
    return nr.asarray(np.asarray(x))


def computed(x: Any) -> nr.Array:
    """A numr array whose values are still to be computed, so that nothing in Python knows them."""
    return nr.bitwise_xor(nr.asarray(np.asarray(x)), 0)


def agree(got: Any, want: Any, rtol: float | None = None, atol: float = 0.0) -> None:
    """Equal shapes and dtypes, and values within a tolerance that suits the dtype."""
    if isinstance(want, (tuple, list)) and not np.isscalar(want):
        assert len(got) == len(want)
        for g, w in zip(got, want, strict=True):
            agree(g, w, rtol, atol)
        return
    got, want = value(got), np.asarray(want)
    assert got.shape == want.shape, (got.shape, want.shape)
    assert got.dtype == want.dtype, (got.dtype, want.dtype)
    if want.dtype.kind in "biu":
        np.testing.assert_array_equal(got, want)
    else:
        rtol = RTOL.get(want.dtype.name, 1e-13) if rtol is None else rtol
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def numbers(rng: np.random.Generator, dtype: str, shape: Any, low: float, high: float) -> Any:
    """Random numbers of a dtype within limits."""
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind == "c":
        parts = (rng.uniform(low, high, shape) for _ in range(2))
        re, im = parts
        return np.asarray(re + 1j * im).astype(dtype)
    if kind in "iu":
        return rng.integers(
            max(int(low), 0 if kind == "u" else -9), max(int(high), 2), shape
        ).astype(dtype)
    return np.asarray(rng.uniform(low, high, shape)).astype(dtype)


def slope(f: Callable[[Any], Any], x: Any, step: float = 1e-6) -> Any:
    """The gradient of a scalar function by central differences, for comparison."""
    x = np.asarray(x, float)
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[i] = step
        out[i] = (float(value(f(x + d))) - float(value(f(x - d)))) / (2 * step)
    return out
