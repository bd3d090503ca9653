"""What a call costs, by the compiler's own counting: floating-point operations, bytes, launches, memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from numr.codegen import steps
from numr.codegen.controlled import Controlled
from numr.codegen.fuse import LibraryStep, reads, writes
from numr.codegen.lowered import product
from numr.codegen.work import operations
from numr.ir.dims import Extent
from numr.ir.text import Canonical


@dataclass(frozen=True)
class Cost:
    """What one call costs, by the compiler's own counting.

    Attributes:
        flops: floating-point operations of all kernels, a transcendental counted by its weight in additions, and of
            library calls the usual number for their method.
        bytes: bytes read and written by kernels and library calls.
        kernels: kernels launched.
        library_calls: library calls made.
        peak: bytes of temporaries and results alive at once, at most.

    The steps of a loop count as often as they run, those of a `while_loop` without `max_steps`, whose
    number nobody knows, once. Of branches the dearest counts.
    """

    flops: int
    bytes: int
    kernels: int
    library_calls: int
    peak: int


def cost_of(graph: Canonical, program: steps.Program) -> Cost:
    """The cost of a call of a program.

    Args:
        graph: the graph it was made of, with the sizes of the call.
        program: the program, with the fused steps it was made of.
    """
    sizes, given = graph.sizes, len(graph.inputs)
    counted = _counted(program, sizes)
    peak = _peak(program, given, sizes)
    return Cost(_flops(program, sizes), _moved(program), counted[0], counted[1], peak)


def _count(shape: tuple[int, ...]) -> int:
    return math.prod(map(int, shape))


def _flops(program: steps.Program, sizes: Sequence[int]) -> int:
    fused = program.fused
    assert fused is not None
    called = (s.node for s in fused.steps if isinstance(s, LibraryStep))
    total = 0
    for step in program.steps:
        if isinstance(step, steps.Launch):
            stage = step.stage
            once = isinstance(step, steps.Repeat)
            launches = [stage.launch(sizes, 0, 1)] if once else stage.launches(sizes)
            points = stage.points(sizes)
            total += sum(operations(stage.kernel, values, points) for values in launches)
        elif isinstance(step, steps.Call):
            node = next(called)
            total += node.prim.flops(node)
        elif isinstance(step, Controlled):
            inner = [_flops(body, sizes) for body in step.bodies]
            rounds = product((step.params.get("length", 1),), sizes)
            total += rounds * (max(inner) if step.kind == "switch" else sum(inner))
    return total


def _moved(program: steps.Program) -> int:
    fused = program.fused
    assert fused is not None
    total = 0
    for step in fused.steps:
        arrays = [*dict.fromkeys(reads(step)), *writes(step)]
        total += sum(_count(n.shape) * n.dtype.itemsize for n in arrays)
    return total


def _counted(program: steps.Program, sizes: Sequence[int]) -> tuple[int, int]:
    """Launches and library calls."""
    launches = calls = 0
    for step in program.steps:
        if isinstance(step, Controlled):
            inner = [_counted(body, sizes) for body in step.bodies]
            rounds = product((step.params.get("length", 1),), sizes)
            join = max if step.kind == "switch" else sum
            launches += rounds * join(n for n, _ in inner)
            calls += rounds * join(n for _, n in inner)
        launches += isinstance(step, steps.Launch)
        calls += isinstance(step, steps.Call)
    return launches, calls


def _peak(program: steps.Program, given: int, sizes: Sequence[int]) -> int:
    """Bytes of what a program makes, when they are most."""

    def size(shape: Iterable[Extent], dtype: Any) -> int:
        return int(product(tuple(shape), sizes) * dtype.itemsize)

    fused = program.fused
    assert fused is not None
    alive: dict[int, int] = {}
    peak = 0
    dead = steps.last_uses(program, given)
    results = (s.node for s in fused.steps if isinstance(s, LibraryStep))
    for number, step in enumerate(program.steps):
        within = 0
        if isinstance(step, steps.Allocation):
            alive[step.slot] = size(step.shape, step.dtype)
        elif isinstance(step, steps.Call):
            result = next(results)
            alive[step.slot] = _count(result.shape) * result.dtype.itemsize
        elif isinstance(step, Controlled):
            # What is carried into a step is there until the next is, and all rows are.
            within = max(_peak(b, n, sizes) for b, n in zip(step.bodies, step.inputs, strict=True))
            within += sum(size(*kind) for kind in step.params.get("carried", ()))
            alive.update({slot: size(*kind) for slot, kind in step.made.items()})
        peak = max(peak, sum(alive.values()) + within)
        for slot in dead.get(number, ()):
            alive.pop(slot, None)
    return peak
