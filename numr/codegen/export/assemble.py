"""From a graph with symbolic sizes to a Recording: compiled as for `jit`, bound to formulas, run once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.binding import bind
from numr.codegen.export.record import Argument, Memory, Recording
from numr.codegen.export.recorder import RecordedArray, Recorder
from numr.codegen.export.target import Target
from numr.codegen.program import build_program, representatives
from numr.dtypes import DType
from numr.ir.symbolic import Scope, formula
from numr.ir.text import Canonical

Sized = tuple[Canonical, Scope]
Names = Sequence[tuple[str, str]]


def record(
    known: Recording, sized: Sized, other: Sized | None, names: Names, target: Target, fast: bool
) -> Recording:
    """A function's recording, from its graph on typical sizes and, to check it, on others.

    Args:
        known: what is known of the function; its inputs and constants are the graph's inputs.
        sized: its graph, and the sizes of that.
        other: the same for other typical sizes; None if it has no symbolic ones.
        names: (name, path) of each result.
        target: what it is for.
        fast: whether NaN, infinities and the sign of zero may be ignored.

    Raises:
        ExportError: if what the function does depends on the values of its sizes, as a number of passes may.
    """
    hints = representatives(sized[0])
    found = _recorded(known, sized, hints, names, target, fast)
    if other is not None:
        again = _recorded(known, other, hints, names, target, fast)
        lines = zip(found.text().splitlines(), again.text().splitlines(), strict=False)
        differing = next(((a, b) for a, b in lines if a != b), None)
        if differing is not None:
            raise messages.cannot_export(
                f"the steps of {known.name} depend on the value of a symbolic size",
                f"for one size there is  {differing[0].strip()}",
                f"and for another one    {differing[1].strip()}",
                "give that size as a number in the spec; a sort is such a function",
            )
    return found


def _recorded(
    known: Recording, sized: Sized, hints: Sequence[int], names: Names, target: Target, fast: bool
) -> Recording:
    graph, scope = sized
    library = getattr(target, "library", ())
    recorder = Recorder(target.name, target.capabilities, target.rounds, scope, library)
    program = build_program(graph, hints, recorder, fast)  # type: ignore[arg-type]
    run = bind(program, graph.sizes, len(graph.inputs), recorder)  # type: ignore[arg-type]
    arrays = []
    for k, node in enumerate(graph.inputs):
        constant = k - len(known.inputs)
        kind, number = ("in", k) if constant < 0 else ("const", constant)
        memory = Memory(kind, number, node.dtype, formula(math.prod(node.shape)))
        arrays.append(recorder.array(memory, node.shape, node.dtype))
    taken: set[Memory] = set()
    outputs = [
        _output(recorder, result, node.dtype, name, len(taken), taken)
        for result, node, name in zip(run(*arrays), graph.outputs, names, strict=True)
    ]
    memories = [m for m in recorder.memories if m.kind == "temp"]
    for k, memory in enumerate(memories):
        memory.number = k
    # What is about a loop's own count holds for each of its rounds.
    conditions = [c for c in scope.conditions.values() if c.formula.symbols() <= set(known.symbols)]
    return replace(
        known,
        outputs=outputs,
        conditions=conditions,
        memories=memories,
        kernels=recorder.kernels,
        steps=recorder.steps,
    )


def _output(
    recorder: Recorder,
    result: RecordedArray,
    dtype: DType,
    name: tuple[str, str],
    number: int,
    taken: set[Memory],
) -> Argument:
    """Make a result an output: the memory it is in if that is its own, else a copy."""
    storage: Memory = result.storage
    if storage.kind != "temp" or storage in taken or not result.is_contiguous:
        result = recorder.copy(result)
        storage = result.storage
    taken.add(storage)
    storage.kind, storage.number = "out", number
    return Argument(name[0], dtype, tuple(formula(n) for n in result.shape), name[1])


def constants(values: Sequence[Any]) -> list[np.ndarray[Any, Any]]:
    """Captured buffers as arrays of the host."""
    from numr.devices import to_host

    return [np.ascontiguousarray(to_host(v)) for v in values]
