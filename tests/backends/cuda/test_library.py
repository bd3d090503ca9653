"""Library calls through CuPy where it is installed: the primitives' samples on a CuPy that is not there."""

from __future__ import annotations

import functools
import gc
import sys
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import target
from numr.codegen.backends.cpu.library import LIBRARY
from numr.codegen.backends.cuda import library
from numr.codegen.backends.cuda.device import open_device
from numr.codegen.program import compile_graph
from numr.devices import to_device, to_host
from numr.ir.interpret import interpret
from numr.ir.primitive import Primitive, Sample
from tests.backends.cuda.conftest import only_for
from tests.backends.cuda.fake_cupy import FakeCupyLibrary
from tests.backends.cuda.fake_driver import FakeDriver
from tests.backends.test_conformance import agree, build, samples

NAMES = set(LIBRARY) | {"matmul", "contract"}


@pytest.fixture
def cupy(fake_cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> FakeCupyLibrary:
    module = FakeCupyLibrary(fake_cuda)
    module.install(monkeypatch)
    only_for(fake_cuda, monkeypatch)
    found = functools.cache(REAL.__wrapped__)  # type: ignore[attr-defined]
    monkeypatch.setattr(library, "library", found)
    return module


REAL = library.library


def library_samples() -> list[Any]:
    return [case for case in samples() if case.values[0].name in NAMES]


@pytest.mark.parametrize(("prim", "sample"), library_samples())
def test_samples(cupy: FakeCupyLibrary, prim: Primitive, sample: Sample) -> None:
    operands, out = build(prim, sample)
    (want,) = interpret([out], {})
    run = compile_graph(operands, [out], device="cuda")
    for _ in range(2):
        (got,) = run(*(to_device(x.value, "cuda") for x in operands))
        assert got.device == "cuda"
        agree(to_host(got), want, prim.name)


def test_which_calls_there_are(cupy: FakeCupyLibrary) -> None:
    keys = set(target.get("cuda").library)
    assert {"matmul:f64", "cholesky:c64", "solve:f32", "sort:i8", "cumsum:i64"} <= keys
    assert not {"matmul:i32", "matmul:f16", "sort:c64", "cumsum:f64"} & keys
    x = np.arange(12.0).reshape(3, 4)
    for dtype, by_library in (("float64", True), ("int32", False)):
        mine = nr.asarray(x.astype(dtype), device="cuda")
        cupy.called.clear()
        np.testing.assert_array_equal((mine @ mine.T).numpy(), (x @ x.T).astype(dtype))
        assert ("matmul" in cupy.called) == by_library


def test_without_cupy_kernels_do_it(fake_cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cupy", "cupy_backends.cuda.libs.cublas"):
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    monkeypatch.setattr(library, "library", functools.cache(REAL.__wrapped__))  # type: ignore[attr-defined]
    assert not target.get("cuda").library
    x = np.arange(12.0).reshape(3, 4)
    mine = nr.asarray(x, device="cuda")
    np.testing.assert_allclose((mine @ mine.T).numpy(), x @ x.T)
    assert fake_cuda.count("cuLaunchKernel")


def test_memory_is_lent_and_not_copied(cupy: FakeCupyLibrary, fake_cuda: FakeDriver) -> None:
    x = nr.asarray(np.arange(16.0).reshape(4, 4), device="cuda")
    fake_cuda.log.clear()
    y = (x @ x).realize()
    assert not fake_cuda.count("cuMemAllocAsync", "cuLaunchKernel", "cuStreamSynchronize")
    assert not any(call[0].startswith("cuMemcpy") for call in fake_cuda.log)
    del x
    gc.collect()
    assert open_device(0).allocated == 0
    np.testing.assert_array_equal(
        y.numpy(), np.arange(16.0).reshape(4, 4) @ np.arange(16.0).reshape(4, 4)
    )


def test_programs_that_call_a_library_are_no_graphs(
    cupy: FakeCupyLibrary, fake_cuda: FakeDriver
) -> None:
    f = nr.jit(lambda x: nr.cumsum(nr.sum(nr.sin(x) @ x, axis=0)) * nr.sum(nr.sort(x * x, axis=1)))
    want = nr.jit(
        lambda x: nr.cumsum(nr.sum(nr.sin(x) @ x, axis=0)) * nr.sum(nr.sort(x * x, axis=1))
    )
    x = np.arange(16.0).reshape(4, 4)
    for _ in range(4):
        got = f(nr.asarray(x, device="cuda"))
        np.testing.assert_allclose(got.numpy(), want(x).numpy())
    assert not fake_cuda.count("cuGraphCreate")


def test_derivatives(cupy: FakeCupyLibrary) -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(4, 4))
    s, b = a @ a.T + 4 * np.eye(4), rng.normal(size=(4, 2))

    def f(s: Any, b: Any) -> Any:
        factor = nr.linalg.cholesky(s)
        values = nr.linalg.eigh(s).eigenvalues + nr.linalg.svdvals(s)
        triangle = nr.linalg.qr(s).R
        solved = nr.linalg.solve(s, b)
        return (
            nr.sum(solved**2)
            + nr.sum(factor * factor.T)
            + nr.linalg.det(s)
            + nr.sum(nr.sin(values))
            + nr.sum(triangle**4)
        )

    for transform in (nr.grad, nr.hessian):
        want = nr.jit(transform(f))(s, b)
        got = nr.jit(transform(f), device="cuda")(s, b)
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-9, atol=1e-9)
