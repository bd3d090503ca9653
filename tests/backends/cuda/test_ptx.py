"""Every kernel of the conformance samples becomes PTX and machine code, with no device at hand."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import widths
from numr.codegen.backends.cuda import assembly
from numr.codegen.backends.cuda import compile as compiler
from numr.codegen.backends.cuda.backend import CAPABILITIES, Cuda
from numr.codegen.kernel import Kernel
from numr.codegen.program import bucket, build_program, representatives
from numr.errors import DeviceError
from numr.ir.primitive import Primitive, Sample
from numr.ir.text import Canonical
from tests.backends.test_conformance import build, samples
from tests.backends.test_derivatives import gradients, smooth_samples
from tests.backends.test_loops import CASES


@functools.cache
def compiled(text: str) -> None:
    kernel = KERNELS[text]
    for capability in ((8, 0), (9, 0)):
        ptx = compiler.compile_kernel(kernel, capability, False)
        assert f".target sm_{capability[0]}{capability[1]}" in ptx
        assert f".entry {kernel.entry}" in ptx
    assert compiler.to_cubin(ptx, capability).startswith(b"\x7fELF")


KERNELS: dict[str, Kernel] = {}


def first_samples() -> Any:
    return itertools.groupby(samples(), key=lambda case: case.values[0].name)


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


@pytest.mark.parametrize(("prim", "sample"), [next(g) for _, g in first_samples()])
def test_positions_of_64_bits(
    prim: Primitive, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widths, "NARROW", 0)
    operands, out = build(prim, sample)
    graph = Canonical(operands, [out])
    program = build_program(graph, tuple(map(bucket, graph.sizes)), Offline(), False)  # type: ignore[arg-type]
    assert all(k.index is nr.int64 for k in program.kernels)


@pytest.mark.parametrize(("prim", "sample"), list(smooth_samples()))
def test_derivatives(prim: Primitive, sample: Sample) -> None:
    given, functions = gradients(prim, sample)
    for f in functions:
        kernels_of(f, *given)


def kernels_of(f: Any, *args: Any) -> list[Kernel]:
    graph = nr.jit(f).lower(*args)._graph
    return build_program(graph, tuple(map(bucket, graph.sizes)), Offline(), False).kernels  # type: ignore[arg-type]


def ptx_of(f: Any, *args: Any, fast_math: bool = False) -> list[str]:
    return [compiler.compile_kernel(k, (9, 0), fast_math) for k in kernels_of(f, *args)]


X = np.zeros((1000, 300), np.float32)


@pytest.mark.parametrize("name", CASES)
def test_loops(name: str) -> None:
    f, args = CASES[name]
    graph = nr.jit(f).lower(*args)._graph
    program = build_program(graph, representatives(graph), Offline(), False)  # type: ignore[arg-type]
    assert " of\n" not in program.text()


def test_neighbouring_elements_are_loaded_and_stored_together() -> None:
    (ptx,) = ptx_of(lambda x: x * 3 + 1, X)
    assert "ld.global.nc.v4.f32" in ptx and "st.global.v4.f32" in ptx
    assert "fma" not in ptx  # a product and a sum round twice, as in NumPy
    assert "fma.rn.ftz.f32" in ptx_of(lambda x: x * 3 + 1, X, fast_math=True)[0]


def test_machine_code_has_wide_loads_whatever_is_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """sin and log have branches, and each element waits for its own."""
    x = X
    for f, args in (
        (lambda x: nr.sin(x) + nr.log(x), (x,)),
        (lambda x, y: nr.sin(x) * nr.cos(y), (x, x)),
    ):
        asm = Cuda().assembly(kernels_of(f, *args)[0], False)
        assert asm.count(".entry") == 1 and "// machine code, sm_80" in asm
        assert asm.count("LDG.E.128") == len(args) and asm.count("STG.E.128") == 1
    monkeypatch.setattr(assembly, "disassembler", lambda: None)
    asm = Cuda().assembly(kernels_of(lambda x: 2 * x, x)[0], False)
    assert ".entry" in asm and "machine code" not in asm


def test_positions_have_the_bits_that_they_need() -> None:
    def addresses(ptx: str) -> int:
        return len(re.findall(r"(add|mul|mad|shl)[a-z.]*\.[bsu]64", ptx))

    def f(x: Any) -> Any:
        return nr.sum(x[::-1].T * 2, axis=1)

    (narrow,), (narrow_ptx,) = kernels_of(f, X), ptx_of(f, X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(widths, "NARROW", X.size)
        (wide,), (wide_ptx,) = kernels_of(f, X), ptx_of(f, X)
        patch.setattr(widths, "NARROW", X.size + 1)
        assert kernels_of(f, X)[0].index is nr.int32
    assert (narrow.index, wide.index) == (nr.int32, nr.int64)
    assert addresses(narrow_ptx) < addresses(wide_ptx)


def test_rows_are_added_up_by_shuffles() -> None:
    (ptx,) = ptx_of(lambda x: nr.softmax(x, axis=1), X)
    assert "shfl.sync.bfly" in ptx and "bar.sync" in ptx


def test_everything_is_added_up_in_two_stages() -> None:
    first, second = ptx_of(lambda x: nr.sum(x), X)
    assert "shfl.sync.bfly" in first and "shfl.sync.bfly" in second
    assert "atom" not in first + second


def test_matrix_products_go_through_shared_memory() -> None:
    ptx = "".join(ptx_of(lambda a, b: a @ b, X, X.T.copy()))
    assert "st.shared" in ptx and "ld.shared" in ptx and "fma.rn.f32" in ptx


def test_atomics_only_for_integers_or_where_any_order_will_do() -> None:
    at = np.zeros(1000, np.int64)

    def f(x: Any, at: Any) -> Any:
        return nr.scatter_add(nr.zeros(7, dtype=x.dtype), at, x)

    for dtype, sum_of in (
        ("int32", "s32"),
        ("uint64", "u64"),
        ("float32", "f32"),
        ("float64", "f64"),
    ):
        x = np.zeros(1000, dtype)
        deterministic = "".join(ptx_of(f, x, at))
        with nr.config.override(deterministic=False):
            free = "".join(ptx_of(f, x, at))
        found = [
            bool(re.search(rf"(atom|red)\.[a-z.]*add\.[suf]{sum_of[1:]}", p))
            for p in (deterministic, free)
        ]
        assert found == [x.dtype.kind in "iu", True], (dtype, deterministic)


@pytest.mark.parametrize("name", ["direct", "numba"])
def test_both_front_ends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMR_FRONTEND", name)
    at = np.zeros(1000, np.int64)
    (ptx,) = ptx_of(lambda x: nr.softmax(x, axis=1), X)
    assert "shfl.sync.bfly" in ptx
    ptx = "".join(ptx_of(lambda x, at: nr.scatter_add(nr.zeros(7, dtype=x.dtype), at, x), at, at))
    assert "add.u64" in ptx


def test_without_a_driver_the_error_says_so_and_the_cpu_goes_on() -> None:
    try:
        nr.jit(lambda x: x + 1, device="cuda")(np.arange(3.0))
    except DeviceError as error:
        assert 'device "cuda" cannot be used' in str(error)
    assert nr.jit(lambda x: x + 1)(np.arange(3.0)).numpy().tolist() == [1, 2, 3]
