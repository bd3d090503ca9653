"""What derivatives cost, by the compiler's own counting: a gradient at most 4 functions, and of memory no more
than what is still to be used."""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numr as nr
from benchmarks.workloads.derivatives import (
    FUNCTIONS,
    Scalar,
    chain,
    derivatives,
    in_segments,
    whole,
    with_direction,
)
from numr.autograd import Var, backward
from numr.codegen.steps import last_uses
from numr.runtime.allocator import pool


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_operations(function: Scalar) -> None:
    """The bounds of reverse mode, for a small call and, where the plan is another, a large one."""
    made = derivatives(function.call)
    for large in (False, True):
        args = function.at(large)
        count = {
            name: f.lower(*(with_direction(args) if name == "product" else args)).cost.flops
            for name, f in made.items()
        }
        assert 0 < count["gradient"] <= 4 * count["value"], count
        assert 0 < count["both"] <= 4 * count["value"], count
        assert 0 < count["product"] <= 3 * count["gradient"], count


# -- memory ----------------------------------------------------------------------------------------

COUNT, WIDTH = 4096, 64
LAYER = COUNT * WIDTH * 8
MATRIX = WIDTH * WIDTH * 8


def planned(f: Any, depth: int) -> int:
    return int(nr.jit(nr.grad(f)).lower(*chain(depth, COUNT, WIDTH)).cost.peak)


def test_a_chain_keeps_each_layer_once() -> None:
    """At the widest point there are the results of all layers, of which the derivative is made, and one more."""
    for depth in (4, 16, 64):
        assert (depth + 1) * LAYER <= planned(whole, depth) <= (depth + 1) * LAYER + depth * MATRIX


def test_a_chain_in_segments_needs_the_square_root() -> None:
    """Between segments one result of each, and within one those of its layers."""
    for depth, root in ((4, 2), (16, 4), (64, 8)):
        peak = planned(in_segments, depth)
        assert 2 * root * LAYER <= peak <= (2 * root + 1) * LAYER + depth * MATRIX


@pytest.fixture
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Memory goes back to the system at once, so that what is in use is seen from outside."""
    pool.trim()
    monkeypatch.setattr(pool, "limit", 0)
    yield
    pool.trim()


def in_use(call: Callable[[], Any]) -> int:
    """The most bytes that a call has in use at once, as Python's tracer of allocations sees it."""
    call()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


HOW = [
    ("jit", whole),
    ("jit", in_segments),
    ("lazy", whole),
    ("autograd", whole),
    ("autograd after the loss was read", whole),
]


@pytest.mark.parametrize(("how", "f"), HOW, ids=lambda x: getattr(x, "__name__", x))
def test_every_result_goes_when_its_last_use_is_over(how: str, f: Any, nothing_kept: None) -> None:
    """In a program no more is in use than was planned, and of lazy arrays and in `backward` one result more."""
    depth = 9
    compiled = nr.jit(nr.grad(f))

    def call(count: int) -> Any:
        weights, x = chain(depth, count, WIDTH)
        if how == "jit":
            return compiled(weights, x)
        own, x = [nr.asarray(w + 0.0) for w in weights], nr.asarray(x)
        if how == "lazy":
            return [g.numpy() for g in nr.grad(f)(own, x)]
        variables = [Var(w) for w in own]
        loss = f(variables, x)
        if how != "autograd":
            float(loss)
        store = backward(loss)
        return [store[v].numpy() for v in variables]

    # Python's own objects, weights and their gradients are the same for few rows.
    few = 16
    arrays = (in_use(lambda: call(COUNT)) - in_use(lambda: call(few))) * COUNT / (COUNT - few)
    arrays -= LAYER  # the inputs, which the call makes
    layers = depth + 1 if f is whole else 2 * 3 + 1
    assert layers - 1.1 <= arrays / LAYER <= layers + (0.1 if how == "jit" else 1)
    want = nr.jit(nr.grad(whole))(*chain(depth, COUNT, WIDTH))
    for got, expected in zip(call(COUNT), want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


def test_a_program_drops_each_buffer_right_after_its_last_use() -> None:
    """Read from the text of a program: what it makes and does not return is dropped by the step that reads it last."""
    traced = nr.jit(nr.grad(whole)).lower(*chain(3, COUNT, WIDTH))
    program = traced._program
    given = 4
    *listed, returned = str(traced.program).splitlines()
    assert len(listed) == len(program.steps)
    named = [set(map(int, re.findall(r"\bb(\d+)", line))) for line in listed]
    kept = set(map(int, re.findall(r"\bb(\d+)", returned)))
    last = {slot: number for number, slots in enumerate(named) for slot in slots}
    dropped = last_uses(program, given)
    assert {s: n for n, slots in dropped.items() for s in slots} == {
        s: n for s, n in last.items() if s not in kept
    }
    made = {s for slots in named for s in slots if s >= given}
    assert len(made - kept) > 3 * 2  # there is something to drop
