"""Every primitive's samples on every compiled backend against the reference interpreter."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numr.primitives  # noqa: F401  (fills the registry)
from numr.codegen.program import compile_graph
from numr.devices import device_of, to_device, to_host
from numr.dtypes import as_dtype
from numr.ir.interpret import interpret
from numr.ir.node import Node
from numr.ir.primitive import REGISTRY, Primitive, Sample
from numr.primitives.source import leaf

BACKENDS = ("cpu", "webgpu", pytest.param("cuda", marks=pytest.mark.gpu))
# Relative to the largest magnitude involved: what a few ulp in each of several steps amount to.
TOLERANCE = {
    "float16": 2e-3,
    "float32": 2e-5,
    "float64": 1e-12,
    "complex64": 5e-5,
    "complex128": 1e-11,
}
# Powers that overflow or divide by zero in integers have no meaning to compare.
SKIP_SPECIAL = ("pow",)


def samples() -> Iterator[Any]:
    for name, prim in sorted(REGISTRY.items()):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        for k, sample in enumerate(prim.samples(rng)):
            yield pytest.param(prim, sample, id=f"{name}-{sample.name or k}")


def build(prim: Primitive, sample: Sample) -> tuple[list[Node], Node]:
    operands = [leaf(np.array(x, order="C")) for x in sample.operands]
    return operands, prim(*operands, **sample.params)


def agree(got: Any, want: Any, where: str = "") -> None:
    assert got.shape == want.shape and got.dtype == want.dtype, (
        f"{where} {got.dtype}{got.shape} {want.dtype}{want.shape}"
    )
    if want.dtype.kind in "biu":
        np.testing.assert_array_equal(got, want)
        return
    tolerance = TOLERANCE[want.dtype.name]
    finite = np.isfinite(want)
    scale = float(np.abs(want[finite]).max()) if finite.any() else 1.0
    np.testing.assert_allclose(
        got, want, rtol=tolerance, atol=tolerance * min(scale, 1e300), equal_nan=True
    )
    zero = (want == 0) & (got == 0)
    if want.dtype.kind == "f":
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]), "sign of 0")


@pytest.mark.parametrize("device", BACKENDS)
@pytest.mark.parametrize(("prim", "sample"), list(samples()))
def test_value(prim: Primitive, sample: Sample, device: str) -> None:
    operands, out = build(prim, sample)
    (want,) = interpret([out], {})
    run = compile_graph(operands, [out], device=device)
    (got,) = run(*(to_device(x.value, device) for x in operands))
    assert device_of(got) == device
    got = to_host(got)
    agree(got, want, prim.name)
    assert as_dtype(got.dtype) is out.dtype
