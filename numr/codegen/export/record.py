"""What an exported function is, for any target: kernels, buffers whose lengths are formulas, and steps.

A `Recording` is what a bound Program does, written down. Nothing in it is Python's: every printer and every
loader reads it, and `manifest.py` makes JSON of it and back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numr.codegen.kernel import Kernel
from numr.dtypes import DType, real_part_dtype
from numr.ir.formulas import Formula
from numr.ir.symbolic import Condition


@dataclass(frozen=True, slots=True)
class Argument:
    """An array that is passed in or out: row-major, of a dtype and a shape.

    `path` is where in the function's arguments or result it is, `unit` and `doc` what the user says of it.
    """

    name: str
    dtype: DType
    shape: tuple[Formula, ...]
    path: str = ""
    unit: str = ""
    doc: str = ""

    @property
    def bytes(self) -> Formula:
        total = Formula.of(self.dtype.dtype.itemsize)
        for n in self.shape:
            total = total * n
        return total

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype.short}[{', '.join(map(str, self.shape))}]"


@dataclass(eq=False, slots=True)
class Memory:
    """A buffer: `kind` is "in", "out", "const" or "temp", and `number` its place among those.

    `length` counts elements of `dtype`; kernels see the parts of complex numbers one by one.
    """

    kind: str
    number: int
    dtype: DType
    length: Formula

    @property
    def part(self) -> DType:
        """The dtype that kernels see."""
        return real_part_dtype(self.dtype) if self.dtype.kind == "c" else self.dtype

    def __str__(self) -> str:
        return f"{self.kind}{self.number}"

    @property
    def bytes(self) -> Formula:
        return self.length * Formula.of(self.dtype.dtype.itemsize)


@dataclass(slots=True)
class Launch:
    """A kernel by number, on buffers, with its size parameters, over [0, points)."""

    kernel: int
    buffers: tuple[Memory, ...]
    sizes: tuple[Formula, ...]
    points: Formula


@dataclass(slots=True)
class Repeat:
    """A loop kernel: launched with sizes `first`, then with `again` as long as it sets its flag.

    The flag, an int32, is the last of the buffers, and 0 before each launch.
    """

    kernel: int
    buffers: tuple[Memory, ...]
    first: tuple[Formula, ...]
    again: tuple[Formula, ...]
    points: Formula


@dataclass(slots=True)
class Loop:
    """Steps for each value of a symbol from 1 to `count`."""

    symbol: str
    count: Formula
    steps: list[Step]


@dataclass(slots=True)
class While:
    """Steps as long as a boolean in a buffer, which the steps `test` make, is true."""

    flag: Memory
    test: list[Step]
    steps: list[Step]


@dataclass(slots=True)
class Switch:
    """One of several lists of steps, by an int64 in a buffer."""

    selector: Memory
    cases: list[list[Step]]


@dataclass(slots=True)
class Library:
    """A library's function by key, for targets that were asked for one: operands and their layout."""

    key: str
    buffers: tuple[Memory, ...]
    shapes: tuple[tuple[Formula, ...], ...]
    strides: tuple[tuple[Formula, ...], ...]


Step = Launch | Repeat | Loop | While | Switch | Library


@dataclass(slots=True)
class Recording:
    """One exported function.

    Attributes:
        name: what it is called in C and in the manifest.
        doc: what the user says of it.
        inputs, outputs: its arrays; `in_tree` and `out_tree` say how they are nested.
        symbols: the sizes it is called with, in order.
        conditions: what they must fulfil besides being at least 1.
        constants: arrays that it holds.
        memories: its temporaries, by number.
        kernels: in the order of their numbers.
    """

    name: str
    doc: str
    inputs: list[Argument]
    outputs: list[Argument]
    in_tree: Any
    out_tree: Any
    symbols: list[str]
    conditions: list[Condition] = field(default_factory=list)
    constants: list[np.ndarray[Any, Any]] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    kernels: list[Kernel] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def text(self) -> str:
        """The recording to read, a step a line."""
        head = [
            f"{self.name}({', '.join(self.symbols)})",
            *(f"requires {c}" for c in self.conditions),
            *(f"{kind}{k}: {a}" for kind, arguments in (("in", self.inputs), ("out", self.outputs))
              for k, a in enumerate(arguments)),
            *(f"const{k}: {c.dtype}{list(c.shape)}" for k, c in enumerate(self.constants)),
            *(f"temp{m.number}: {m.dtype.short}[{m.length}]" for m in self.memories),
        ]  # fmt: skip
        return "\n".join([*head, *_lines(self.steps, "")])


def walk(steps: Sequence[Step]) -> Iterator[Step]:
    """Steps in order, each followed by those inside of it."""
    for step in steps:
        yield step
        if isinstance(step, Loop):
            yield from walk(step.steps)
        elif isinstance(step, While):
            yield from walk([*step.test, *step.steps])
        elif isinstance(step, Switch):
            for case in step.cases:
                yield from walk(case)


def buffers_in(steps: Sequence[Step]) -> Iterator[Memory]:
    """The buffers that steps read or write, those of steps inside them too."""
    for step in walk(steps):
        if isinstance(step, (Launch, Repeat, Library)):
            yield from step.buffers
        elif isinstance(step, While):
            yield step.flag
        elif isinstance(step, Switch):
            yield step.selector


def launches_in(steps: Sequence[Step]) -> Iterator[Launch | Repeat]:
    """The launches among steps, those inside loops too."""
    return (step for step in walk(steps) if isinstance(step, (Launch, Repeat)))


def _lines(steps: Sequence[Step], pad: str) -> Iterator[str]:
    def of(buffers: Sequence[Memory], *sizes: Sequence[Formula]) -> str:
        return ", ".join([" ".join(map(str, buffers)), *(" ".join(map(str, s)) for s in sizes)])

    for s in steps:
        if isinstance(s, Launch):
            yield f"{pad}kernel {s.kernel} ({of(s.buffers, s.sizes)}) over {s.points}"
        elif isinstance(s, Repeat):
            yield f"{pad}repeat {s.kernel} ({of(s.buffers, s.first, s.again)}) over {s.points}"
        elif isinstance(s, Library):
            yield f"{pad}library {s.key} ({of(s.buffers, *s.shapes, *s.strides)})"
        elif isinstance(s, Loop):
            yield f"{pad}for {s.symbol} in 1 .. {s.count}"
            yield from _lines(s.steps, pad + "  ")
        elif isinstance(s, While):
            yield f"{pad}while {s.flag} after"
            yield from _lines(s.test, pad + "    ")
            yield f"{pad}do"
            yield from _lines(s.steps, pad + "  ")
        else:
            yield f"{pad}switch {s.selector}"
            for k, case in enumerate(s.cases):
                yield f"{pad}case {k}"
                yield from _lines(case, pad + "  ")
