"""Every primitive under vmap: each combination of batched operands against a loop."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numr.primitives  # noqa: F401  (fills the registry)
from numr.ir.interpret import interpret
from numr.ir.primitive import REGISTRY, Primitive, Sample
from numr.ir.transforms.batch import batch
from numr.ir.transforms.jvp import jvp
from numr.primitives.shape import batched_first
from numr.primitives.source import leaf, param_like

SIZE = 3
LARGEST = 400


def samples() -> Iterator[Any]:
    for name, prim in sorted(REGISTRY.items()):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        for k, sample in enumerate(prim.samples(rng)):
            if sample.operands and sum(x.size for x in sample.operands) <= LARGEST:
                yield pytest.param(prim, sample, id=f"{name}-{sample.name or k}")


def variants(x: Any, rng: np.random.Generator) -> list[Any]:
    """SIZE operands like x, each a valid one: x itself, scaled a little, and x turned around."""
    if x.dtype.kind in "fc" and np.isfinite(x).all():
        return [
            x,
            (x * x.dtype.type(0.875)).astype(x.dtype),
            (x * x.dtype.type(0.75)).astype(x.dtype),
        ]
    if x.dtype.kind in "fc":
        return [x, *(rng.permutation(x.ravel()).reshape(x.shape) for _ in range(SIZE - 1))]
    return [x, np.flip(x), x]


def combinations(count: int) -> list[tuple[int, ...]]:
    """Which operands are batched: every choice of few, or the telling ones of many."""
    if count <= 3:
        every = itertools.product((0, 1), repeat=count)
        return [c for c in every if any(c)]
    single = [tuple(int(i == k) for i in range(count)) for k in range(count)]
    return [*single, (1,) * count]


def agree(got: Any, want: Any, what: str) -> None:
    assert got.dtype == want.dtype, what
    assert got.shape == want.shape, what
    if want.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, want, err_msg=what)
        return
    single = want.dtype in (np.float32, np.complex64)
    finite = want[np.isfinite(want)]
    scale = min(float(np.abs(finite).max()), 1e300) if finite.size else 1.0
    tolerance = 2e-5 if single else 1e-11
    np.testing.assert_allclose(
        got, want, rtol=tolerance, atol=tolerance * scale, equal_nan=True, err_msg=what
    )


def fixed_operands(prim: Primitive, sample: Sample) -> set[int]:
    """The order of polygamma has to stay a whole number."""
    return {0} if prim.name == "polygamma" else set()


def axis_of(x: Any, last: bool) -> int:
    return x.ndim if last else min(1, x.ndim)


@pytest.mark.parametrize("last", [False, True], ids=["inner", "last"])
@pytest.mark.parametrize(("prim", "sample"), list(samples()))
def test_against_a_loop(prim: Primitive, sample: Sample, last: bool) -> None:
    rng = np.random.default_rng(5)
    several = [variants(x, rng) for x in sample.operands]
    for k in fixed_operands(prim, sample):
        several[k] = [sample.operands[k]] * SIZE
    for chosen in combinations(len(sample.operands)):
        loop = []
        for b in range(SIZE):
            one = [v[b if c else 0] for v, c in zip(several, chosen, strict=True)]
            out = prim(*(leaf(np.array(x)) for x in one), **sample.params)
            loop.append(interpret([out], {})[0])
        operands = [leaf(np.array(v[0])) for v in several]
        mapped = {}
        for x, v, c in zip(operands, several, chosen, strict=True):
            if c:
                axis = axis_of(v[0], last)
                mapped[x] = (leaf(np.stack(v, axis=axis)), axis)
        out = prim(*operands, **sample.params)
        ((node, axis),) = batch([out], mapped, SIZE)
        assert axis is not None
        (got,) = interpret([batched_first(node, axis, SIZE)], {})
        agree(got, np.stack(loop), f"batched operands {chosen}")


@pytest.mark.parametrize(("prim", "sample"), list(samples()))
def test_derivative_against_a_loop(prim: Primitive, sample: Sample) -> None:
    """The tangent's graph batches too: over operands and tangents together."""
    moving = [k for k, x in enumerate(sample.operands) if x.dtype.kind in "fc"]
    if not sample.smooth or not moving:
        return
    rng = np.random.default_rng(5)
    several = [variants(x, rng) for x in sample.operands]
    for k in fixed_operands(prim, sample):
        several[k] = [sample.operands[k]] * SIZE
    operands = [leaf(np.array(x)) for x in sample.operands]
    out = prim(*operands, **sample.params)
    seeds = {operands[k]: param_like(operands[k]) for k in moving}
    (tangent,) = jvp([out], seeds)
    if tangent is None:
        return
    directions = {k: rng.normal(size=(SIZE, *sample.operands[k].shape)) for k in moving}
    typed = {k: np.asarray(d).astype(sample.operands[k].dtype) for k, d in directions.items()}
    loop = []
    for b in range(SIZE):
        values = {x: v[b] for x, v in zip(operands, several, strict=True)}
        values |= {seeds[operands[k]]: typed[k][b] for k in moving}
        loop.append(interpret([tangent], values)[0])
    mapped = {x: (leaf(np.stack(v)), 0) for x, v in zip(operands, several, strict=True)}
    mapped |= {seeds[operands[k]]: (leaf(typed[k]), 0) for k in moving}
    ((node, axis),) = batch([tangent], mapped, SIZE)
    (got,) = interpret([batched_first(node, axis, SIZE)], {})
    agree(got, np.stack(loop), "batched tangent")
