"""Kernel IR: one kernel as typed three-address statements in loops, and its canonical text.

A kernel runs the points [lo, hi) of its grid, so that a runtime may split it over threads as it likes.
Its parameters are the range, then buffers (flat, row-major), then sizes. Nothing in it depends on a
size, except literals. Equal text means equal kernels: names are given in order of first use.

A kernel of several lanes runs every point by so many at once, which do the same but where a loop is
dealt out to them: iteration k of it is lane (k mod lanes)'s. Which one it is a lane reads from LANE.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from numr.dtypes import DType, int64


@dataclass(frozen=True, slots=True)
class Literal:
    """A typed constant."""

    value: Any
    dtype: DType

    def __str__(self) -> str:
        kind = self.dtype.kind
        if kind == "f":
            value = float(self.value)
            body = "nan" if math.isnan(value) else value.hex()
        else:
            body = str(int(self.value))
        return f"{self.dtype.short}:{body}"


@dataclass(frozen=True, slots=True)
class Var:
    """A local, a loop variable or a size parameter, by name."""

    name: str
    dtype: DType

    def __str__(self) -> str:
        return self.name


Value = Var | Literal


@dataclass(frozen=True, slots=True)
class Let:
    """var = op(args): a scalar operation by name, `cast`, or `load` with args (index,) of `buffer`."""

    var: Var
    op: str
    args: tuple[Value, ...]
    buffer: str = ""

    def __str__(self) -> str:
        inner = ", ".join(map(str, self.args))
        head = f"{self.buffer}[{inner}]" if self.op == "load" else f"{self.op}({inner})"
        if self.buffer and self.op != "load":
            head += f" of {self.buffer}"
        return f"{self.var}:{self.var.dtype.short} = {head}"


@dataclass(frozen=True, slots=True)
class Declare:
    """A mutable accumulator and its first value."""

    var: Var
    value: Value

    def __str__(self) -> str:
        return f"mutable {self.var}:{self.var.dtype.short} = {self.value}"


@dataclass(frozen=True, slots=True)
class Accumulate:
    """One step of a reduction; `free` allows the target to reorder the steps of its loop."""

    var: Var
    monoid: str
    value: Value
    free: bool

    def __str__(self) -> str:
        return f"{self.var} {self.monoid}={'*' if self.free else ''} {self.value}"


@dataclass(frozen=True, slots=True)
class Assign:
    """A mutable variable takes a value."""

    var: Var
    value: Value

    def __str__(self) -> str:
        return f"{self.var} = {self.value}"


@dataclass(frozen=True, slots=True)
class Combine:
    """The accumulators of all lanes become one, which every lane then has."""

    var: Var
    monoid: str

    def __str__(self) -> str:
        return f"{self.var} = {self.monoid} of all lanes' {self.var}"


@dataclass(frozen=True, slots=True)
class Barrier:
    """What any lane stored before is there for all lanes after."""

    def __str__(self) -> str:
        return "barrier"


@dataclass(frozen=True, slots=True)
class Store:
    """buffer[index] = value, or combined with what is there by `mode`; `atomic` where other points may
    do so at the same time."""

    buffer: str
    index: Value
    value: Value
    mode: str = "set"
    atomic: bool = False

    def __str__(self) -> str:
        how = f"{'atomic ' if self.atomic else ''}{'' if self.mode == 'set' else self.mode}="
        return f"{self.buffer}[{self.index}] {how} {self.value}"


@dataclass(slots=True)
class For:
    """A loop over [lo, hi), dealt out to the lanes or not. The grid's loop runs over the kernel's range."""

    var: Var
    lo: Value
    hi: Value
    body: list[Statement] = field(default_factory=list)
    dealt: bool = False

    def __str__(self) -> str:
        return f"for {self.var} in {self.lo}..{self.hi}{' over lanes' if self.dealt else ''}"


@dataclass(slots=True)
class If:
    """Statements under a condition; no barrier may be among them."""

    condition: Value
    body: list[Statement] = field(default_factory=list)

    def __str__(self) -> str:
        return f"if {self.condition}"


@dataclass(frozen=True, slots=True)
class Break:
    """The innermost loop, none that is dealt out, ends."""

    def __str__(self) -> str:
        return "break"


Statement = Let | Declare | Accumulate | Assign | Combine | Barrier | Store | For | If | Break


@dataclass(frozen=True, slots=True)
class Buffer:
    """A buffer parameter."""

    name: str
    dtype: DType
    written: bool


@dataclass(frozen=True, slots=True)
class Shared:
    """Memory that the lanes of one point share."""

    name: str
    dtype: DType
    length: int


@dataclass(slots=True)
class Kernel:
    """A whole kernel: parameters and statements."""

    buffers: tuple[Buffer, ...]
    sizes: tuple[str, ...]
    body: list[Statement]
    lanes: int = 1
    shared: tuple[Shared, ...] = ()

    def text(self) -> str:
        """Canonical text: the kernel's identity."""
        heads = [f"{b.name}:{'out ' if b.written else ''}{b.dtype.short}" for b in self.buffers]
        lines = [f"kernel({', '.join([*heads, *self.sizes])})"]
        if self.index is not int64:
            lines.append(f"  positions {self.index.short}")
        if self.lanes > 1:
            lines.append(f"  lanes {self.lanes}")
        lines += [f"  shared {m.name}:{m.dtype.short}[{m.length}]" for m in self.shared]
        return "\n".join([*lines, *_render(self.body, 1)])

    @property
    def index(self) -> DType:
        """The dtype of its positions and sizes."""
        return next((s.var.dtype for s in self.body if isinstance(s, For)), int64)

    @property
    def entry(self) -> str:
        """The name of the compiled function: content-addressed, so that no two kernels share one."""
        return "numr_k_" + hashlib.sha256(self.text().encode()).hexdigest()[:20]


def _render(body: list[Statement], depth: int) -> Iterator[str]:
    for statement in body:
        yield "  " * depth + str(statement)
        if isinstance(statement, (For, If)):
            yield from _render(statement.body, depth + 1)


def used(body: list[Statement]) -> set[str]:
    """The names of the buffers that statements load from or store to."""
    found: set[str] = set()
    for s in body:
        if isinstance(s, (For, If)):
            found |= used(s.body)
        elif isinstance(s, (Let, Store)):
            found.add(s.buffer)
    return found


def dtypes(kernel: Kernel) -> set[DType]:
    """The dtypes of a kernel's buffers and values."""

    def inside(body: list[Statement]) -> Iterator[Value]:
        for s in body:
            if isinstance(s, Let):
                yield from (s.var, *s.args)
            elif isinstance(s, (For, If)):
                yield from inside(s.body)
            elif isinstance(s, Store):
                yield s.value
            elif isinstance(s, (Declare, Assign, Accumulate)):
                yield from (s.var, s.value)

    return {b.dtype for b in kernel.buffers} | {v.dtype for v in inside(kernel.body)}


def stores(body: list[Statement]) -> Iterator[str]:
    """The names of the buffers that statements store to."""
    for statement in body:
        if isinstance(statement, Store):
            yield statement.buffer
        elif isinstance(statement, (For, If)):
            yield from stores(statement.body)


class InvalidKernel(Exception):
    """A kernel that breaks the IR's rules: a defect of lowering, never of the user's program."""


def verify(kernel: Kernel) -> None:
    """Check that every name is defined once before use, and only written buffers are stored to."""
    shared = {m.name for m in kernel.shared}
    writable = {b.name for b in kernel.buffers if b.written} | shared
    readable = {b.name for b in kernel.buffers} | shared
    known = {"lo", "hi", *kernel.sizes, *(["lane"] if kernel.lanes > 1 else [])}
    _verify(kernel.body, known, writable, readable)


def _verify(body: list[Statement], known: set[str], writable: set[str], readable: set[str]) -> None:
    known = set(known)

    def use(*values: Value) -> None:
        for value in values:
            if isinstance(value, Var) and value.name not in known:
                raise InvalidKernel(f"{value} is used before it is defined")

    for statement in body:
        if isinstance(statement, Let):
            use(*statement.args)
            if statement.op == "load" and statement.buffer not in readable:
                raise InvalidKernel(f"{statement.buffer} is no buffer")
            known.add(statement.var.name)
        elif isinstance(statement, Declare):
            use(statement.value)
            known.add(statement.var.name)
        elif isinstance(statement, Accumulate):
            use(statement.var, statement.value)
            if statement.var.dtype is not statement.value.dtype:
                raise InvalidKernel(f"{statement}: accumulator and value differ in dtype")
        elif isinstance(statement, Store):
            use(statement.index, statement.value)
            if statement.buffer not in writable:
                raise InvalidKernel(f"{statement.buffer} is not writable")
        elif isinstance(statement, Assign):
            use(statement.var, statement.value)
        elif isinstance(statement, Combine):
            use(statement.var)
            if "lane" not in known:
                raise InvalidKernel(f"{statement} in a kernel of one lane")
        elif isinstance(statement, If):
            use(statement.condition)
            _verify(statement.body, known, writable, readable)
        elif isinstance(statement, For):
            use(statement.lo, statement.hi)
            if statement.dealt and "lane" not in known:
                raise InvalidKernel(f"{statement} in a kernel of one lane")
            _verify(statement.body, known | {statement.var.name}, writable, readable)
