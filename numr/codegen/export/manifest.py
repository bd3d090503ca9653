"""A Recording as JSON and back: what loaders in other languages run, and `numr.load` reads.

A formula is a number, a symbol's name, or `[operation, operands..]` of `+ * // % min max`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numr.codegen.export.layout import host_bytes, layout
from numr.codegen.export.record import (
    Argument,
    Launch,
    Library,
    Loop,
    Memory,
    Recording,
    Repeat,
    Step,
    While,
)
from numr.ir.formulas import Formula


def function(recording: Recording) -> dict[str, Any]:
    """What anybody needs to call a function: its arrays, sizes and conditions."""
    return {
        "name": recording.name,
        "doc": recording.doc,
        "sizes": recording.symbols,
        "requires": [
            {"relation": c.relation, "formula": tree(c.formula)} for c in recording.conditions
        ],
        "inputs": [_argument(a) for a in recording.inputs],
        "outputs": [_argument(a) for a in recording.outputs],
        "arguments": recording.in_tree,
        "result": recording.out_tree,
    }


def program(
    recording: Recording,
    kernel_name: Callable[[int], str],
    bytes_of: Callable[[Memory], Formula] = host_bytes,
) -> dict[str, Any]:
    """What a loader that launches kernels itself needs besides: memory and steps."""
    places = layout(recording, bytes_of)
    return {
        "constants": [{"dtype": str(c.dtype), "shape": list(c.shape)} for c in recording.constants],
        "blocks": [tree(b) for b in places.blocks],
        "temporaries": [places.places.get(m.number, 0) for m in recording.memories],
        "steps": [_step(s, kernel_name) for s in recording.steps],
    }


def tree(formula: Formula) -> Any:
    """A formula as JSON."""

    def lists(found: Any) -> Any:
        return [lists(x) for x in found] if isinstance(found, tuple) else found

    return lists(formula.tree())


def value(found: Any, sizes: Mapping[str, int]) -> int:
    """The value of a formula in JSON."""
    if isinstance(found, str):
        return sizes[found]
    if isinstance(found, int):
        return found
    operation, *operands = found
    return functools.reduce(_OPERATIONS[operation], [value(x, sizes) for x in operands])


def formula(found: Any) -> Formula:
    """A formula from JSON."""
    if isinstance(found, (str, int)):
        return Formula.of(found)
    operation, *operands = found
    rule = _OF_FORMULAS.get(operation, _OPERATIONS[operation])
    return functools.reduce(rule, [formula(x) for x in operands])


_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "*": operator.mul,
    "//": operator.floordiv,
    "%": operator.mod,
    "min": min,
    "max": max,
}
# Of formulas it need not be known which is smaller.
_OF_FORMULAS = {"min": Formula.minimum, "max": Formula.maximum}


def _argument(a: Argument) -> dict[str, Any]:
    found = {"name": a.name, "dtype": str(a.dtype), "shape": [tree(n) for n in a.shape]}
    extra = {"path": a.path, "unit": a.unit, "doc": a.doc}
    return found | {k: v for k, v in extra.items() if v}


def _memory(memory: Memory) -> list[Any]:
    return [memory.kind, memory.number]


def _step(step: Step, kernel_name: Callable[[int], str]) -> dict[str, Any]:
    def inner(steps: Sequence[Step]) -> list[dict[str, Any]]:
        return [_step(s, kernel_name) for s in steps]

    def trees(formulas: Sequence[Formula]) -> list[Any]:
        return [tree(f) for f in formulas]

    if isinstance(step, Launch):
        return {
            "kernel": kernel_name(step.kernel),
            "buffers": [_memory(m) for m in step.buffers],
            "sizes": trees(step.sizes),
            "points": tree(step.points),
        }
    if isinstance(step, Repeat):
        return {
            "repeat": kernel_name(step.kernel),
            "buffers": [_memory(m) for m in step.buffers],
            "first": trees(step.first),
            "again": trees(step.again),
            "points": tree(step.points),
        }
    if isinstance(step, Loop):
        return {"loop": step.symbol, "count": tree(step.count), "steps": inner(step.steps)}
    if isinstance(step, While):
        flag = _memory(step.flag)
        return {"while": flag, "test": inner(step.test), "steps": inner(step.steps)}
    if isinstance(step, Library):
        return {"library": step.key, "buffers": [_memory(m) for m in step.buffers]}
    selector = {"switch": _memory(step.selector), "dtype": str(step.selector.dtype)}
    return selector | {"cases": [inner(c) for c in step.cases]}
