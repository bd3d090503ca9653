"""First and second derivatives of every primitive's samples on devices, against the reference."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numr as nr
import numr.primitives
from numr.array import from_node
from numr.ir.primitive import REGISTRY, Primitive, Sample

# What NumPy computes from the same derivative, in float64 (LAPACK pivots and sums in another order).
TOLERANCE = 1e-9


def smooth_samples() -> Iterator[Any]:
    """Two samples of every primitive that has a derivative."""
    for name, prim in sorted(REGISTRY.items()):
        if prim.no_jvp:
            continue
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        found = 0
        for k, sample in enumerate(prim.samples(rng)):
            real = [x for x in sample.operands if np.asarray(x).dtype == np.float64]
            special = any(not np.isfinite(x).all() for x in real)
            if sample.smooth and real and not special and found < 2:
                found += 1
                yield pytest.param(prim, sample, id=f"{name}-{sample.name or k}")


def weights(shape: tuple[int, ...]) -> Any:
    return np.cos(np.arange(np.prod(shape, dtype=int))).reshape(shape)


def gradients(prim: Primitive, sample: Sample) -> tuple[list[Any], list[Callable[..., Any]]]:
    """Arguments, and the gradient of a weighted sum of the primitive's results and its gradient."""
    operands = [np.array(x, order="C") for x in sample.operands]
    varied = [k for k, x in enumerate(operands) if x.dtype == np.float64]

    def loss(*xs: Any) -> Any:
        full = list(operands)
        for k, x in zip(varied, xs, strict=True):
            full[k] = x
        out = from_node(prim(*(nr.functions.operands.node_of(x) for x in full), **sample.params))
        out = nr.real(out) if out.dtype.kind == "c" else out
        return nr.sum(out * weights(tuple(map(int, out.shape))))

    numbers = tuple(range(len(varied)))
    first = nr.grad(loss, argnums=numbers)

    def second(*xs: Any) -> Any:
        parts = first(*xs)
        return sum((nr.sum(p * weights(tuple(map(int, p.shape)))) for p in parts), start=0.0)

    return [operands[k] for k in varied], [first, nr.grad(second, argnums=numbers)]


@pytest.mark.parametrize(("prim", "sample"), list(smooth_samples()))
def test_gradient_and_its_gradient(prim: Primitive, sample: Sample, device: str) -> None:
    given, functions = gradients(prim, sample)
    for f in functions:
        want = nr.jit(f, device="reference")(*given)
        got = nr.jit(f, device=device)(*given)
        for g, w in zip(got, want, strict=True):
            assert g.device == device
            w = w.numpy()
            scale = np.abs(w[np.isfinite(w)]).max(initial=1.0)
            np.testing.assert_allclose(g.numpy(), w, rtol=TOLERANCE, atol=TOLERANCE * scale)
