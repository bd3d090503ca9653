"""Every kernel of the conformance samples becomes PTX and machine code, with no device at hand."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.backends.cuda import compile as compiler
from numr.codegen.backends.cuda.backend import CAPABILITIES
from numr.codegen.kernel import Kernel
from numr.codegen.program import bucket, build_program
from numr.errors import DeviceError
from numr.ir.primitive import Primitive, Sample
from numr.ir.text import Canonical
from tests.backends.test_conformance import build, samples


@functools.cache
def compiled(text: str) -> None:
    kernel = KERNELS[text]
    for capability in ((8, 0), (9, 0)):
        ptx = compiler.compile_kernel(kernel, capability, False)
        assert f".target sm_{capability[0]}{capability[1]}" in ptx
        assert f".entry {kernel.entry}" in ptx
    assert compiler.to_cubin(ptx, capability).startswith(b"\x7fELF")


KERNELS: dict[str, Kernel] = {}


class Offline:
    """What builds programs for a device that is not there."""

    name = "cuda"
    capabilities = CAPABILITIES
    library: dict[str, Any] = {}

    def build(self, kernels: Sequence[Kernel], fast_math: bool) -> list[Any]:
        for kernel in kernels:
            KERNELS[kernel.text()] = kernel
            compiled(kernel.text())
        return list(kernels)

    def source(self, kernel: Kernel, fast_math: bool) -> str:
        return ""


@pytest.mark.parametrize(("prim", "sample"), list(samples()))
def test_samples(prim: Primitive, sample: Sample) -> None:
    operands, out = build(prim, sample)
    graph = Canonical(operands, [out])
    build_program(graph, tuple(map(bucket, graph.sizes)), Offline(), False)  # type: ignore[arg-type]


def test_neighbouring_elements_are_loaded_and_stored_together() -> None:
    x = np.zeros(1000, np.float32)
    kernel = nr.jit(lambda x: x * 3 + 1).lower(x).kernels[0]._kernel
    ptx = compiler.compile_kernel(kernel, (9, 0), False)
    assert "ld.global.nc.v4.f32" in ptx and "st.global.v4.f32" in ptx
    assert "fma" not in ptx  # a product and a sum round twice, as in NumPy
    assert "fma.rn.ftz.f32" in compiler.compile_kernel(kernel, (9, 0), True)


def test_without_a_driver_the_error_says_so_and_the_cpu_goes_on() -> None:
    try:
        nr.jit(lambda x: x + 1, device="cuda")(np.arange(3.0))
    except DeviceError as error:
        assert 'device "cuda" cannot be used' in str(error)
    assert nr.jit(lambda x: x + 1)(np.arange(3.0)).numpy().tolist() == [1, 2, 3]
