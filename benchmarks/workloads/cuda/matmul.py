"""A product of matrices, which numr leaves to cuBLAS, beside CuPy's."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.workload import Case, Target, Workload
from benchmarks.workloads.cuda import DEVICE, WAITS, double, single, size

N = size(4096, 8)
PRODUCT = Case(f"product of {N} x {N} matrices", Target(against=("cupy",), factor=1 / 0.95))


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(9)
    return single({name: random.normal(size=(N, N)) for name in ("a", "b")})


def oracle(inputs: Any) -> dict[str, Any]:
    whole = double(inputs)
    return {PRODUCT.name: whole["a"] @ whole["b"]}


def with_cupy(inputs: Any, threads: int):
    import cupy

    return {PRODUCT.name: partial(cupy.matmul, *map(cupy.asarray, (inputs["a"], inputs["b"])))}


def with_numr(inputs: Any, threads: int):
    import numr as nr

    values = (nr.asarray(inputs[name], device=DEVICE) for name in ("a", "b"))
    return {PRODUCT.name: partial(nr.jit(lambda a, b: a @ b, device=DEVICE), *values)}


WORKLOAD = Workload(
    name="cuda.matmul",
    title="matrix product",
    cases=(PRODUCT,),
    inputs=inputs,
    oracle=oracle,
    peers={"cupy": with_cupy, "numr": with_numr},
    tolerance=1e-4,
    waits=WAITS,
)
