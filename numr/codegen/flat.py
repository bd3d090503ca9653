"""Programs of nothing but kernels, bound to sizes: what a backend may run many times without Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numr.codegen.lowered import product
from numr.codegen.steps import Allocation, Launch, Program, Repeat
from numr.dtypes import DType


@dataclass(slots=True)
class Op:
    """A kernel's launch: over which slots, with which size parameters, over how many points."""

    built: Any
    slots: tuple[int, ...]
    sizes: tuple[int, ...]
    points: int
    work: int


@dataclass(slots=True)
class Flat:
    """Launches in order, over slots: the operands', then the others, which are arrays of a type each.

    Attributes:
        inputs: how many operands there are, in the first slots.
        made: the shape and dtype of each other slot.
        results: the slot of each result, all of whose elements it is, in order.
        kernels: keeps the kernels.
    """

    inputs: int
    ops: list[Op]
    made: dict[int, tuple[tuple[int, ...], DType]]
    results: list[int]
    kernels: Any

    @property
    def work(self) -> int:
        """Additions of the largest launch."""
        return max((op.work for op in self.ops), default=0)


def flat(program: Program, sizes: Sequence[int], inputs: int) -> Flat | None:
    """A program as launches; None if it has anything else."""
    ops: list[Op] = []
    made: dict[int, tuple[tuple[int, ...], DType]] = {}
    for step in program.steps:
        if isinstance(step, Allocation) and step.fill is None and step.copy is None:
            made[step.slot] = tuple(product((e,), sizes) for e in step.shape), step.dtype
        elif isinstance(step, Launch) and not isinstance(step, Repeat):
            points, launches = step.stage.points(sizes), step.stage.launches(sizes)
            work = step.stage.work(sizes) // max(len(launches), 1)
            built = program.built[step.kernel]
            if points > 0:
                ops += [Op(built, step.slots, values, points, work) for values in launches]
        else:
            return None
    if any(kind != "reshape" for _, views in program.results for kind, _ in views):
        return None
    results = [slot for slot, _ in program.results]
    return Flat(inputs, ops, made, results, program.built)
