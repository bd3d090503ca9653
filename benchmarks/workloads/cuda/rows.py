"""Softmax and layernorm along rows, and their gradients, in single precision."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.workload import Case, Workload
from benchmarks.workloads import rows
from benchmarks.workloads.cuda import DEVICE, WAITS, double, peer_device, single, size

ROWS, COLUMNS = size(32768, 1), size(1024, 40)  # of no cache's size

NAMES = ("softmax", "softmax grad", "layernorm", "layernorm grad")


def titled(calls: dict[str, Any]) -> dict[str, Any]:
    return {f"{name} of {ROWS} x {COLUMNS}": calls[name] for name in NAMES}


def with_jax(inputs: Any, threads: int):
    return titled(rows.with_jax(inputs, threads, partial))


def with_torch(inputs: Any, threads: int):
    return titled(rows.with_torch(inputs, threads, peer_device()))


def with_numr(inputs: Any, threads: int):
    return titled(rows.with_numr(inputs, threads, DEVICE))


WORKLOAD = Workload(
    name="cuda.rows",
    title="rows",
    cases=tuple(Case(name, rows.BEST_OF_TWO) for name in titled(dict.fromkeys(NAMES))),
    inputs=lambda: single(rows.inputs(ROWS, COLUMNS)),
    oracle=lambda inputs: titled(rows.oracle(double(inputs))),
    peers={"jax": with_jax, "torch": with_torch, "numr": with_numr},
    tolerance=1e-4,
    waits=WAITS,
)
