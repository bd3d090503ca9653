"""What a program is made of: steps over numbered buffers, which say which buffers they use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numr.codegen.expansions import Expansion
from numr.codegen.fuse import Fused
from numr.codegen.recent import Recent
from numr.dtypes import DType
from numr.ir.dims import Extent

# How many sets of sizes a program stays bound to.
SIZES_BOUND = 256

Run = Callable[..., tuple[Any, ...]]
View = tuple[str, Any]


@dataclass(slots=True)
class Allocation:
    """A fresh buffer in a slot; `fill` is a constant it starts from, `copy` a slot it is a copy of."""

    slot: int
    shape: tuple[Extent, ...]
    dtype: DType
    fill: Any = None
    copy: int | None = None

    @property
    def uses(self) -> tuple[int, ...]:
        return (self.slot,) if self.copy is None else (self.slot, self.copy)

    def __str__(self) -> str:
        start = f" = {self.fill}" if self.fill is not None else ""
        start = start if self.copy is None else f" = copy of b{self.copy}"
        return f"b{self.slot}: new {self.dtype.short}{list(self.shape)}{start}"


@dataclass(slots=True)
class Launch:
    """A kernel over buffers in slots."""

    kernel: int
    slots: tuple[int, ...]
    stage: Any

    @property
    def uses(self) -> tuple[int, ...]:
        return self.slots

    def __str__(self) -> str:
        over = " * ".join(map(str, self.stage.grid))
        blocks = "" if self.stage.block == 1 else f" in blocks of {self.stage.block}"
        return (
            f"kernel {self.kernel} ({', '.join(f'b{s}' for s in self.slots)}) over {over}{blocks}"
        )


@dataclass(slots=True)
class Repeat(Launch):
    """A kernel that is launched again until nothing goes on."""

    def __str__(self) -> str:
        return super(Repeat, self).__str__() + ", again until all have ended"


@dataclass(slots=True)
class Call:
    """A library call on viewed slots; its result is a new buffer."""

    key: str
    slot: int
    operands: tuple[tuple[int, tuple[View, ...]], ...]
    params: dict[str, Any]

    @property
    def uses(self) -> tuple[int, ...]:
        return (self.slot, *(s for s, _ in self.operands))

    def __str__(self) -> str:
        operands = [f"b{s}" + "".join(f".{kind}" for kind, _ in v) for s, v in self.operands]
        return f"b{self.slot}: library {self.key}({', '.join(operands)})"


@dataclass(slots=True)
class Expanded(Call):
    """A library call by kernels of numr's own, from number `first` on, on a device without it."""

    expansion: Expansion
    shapes: tuple[tuple[Extent, ...], ...]
    result: tuple[tuple[Extent, ...], DType]
    first: int

    def __str__(self) -> str:
        last = self.first + len(self.expansion.kernels) - 1
        text = super(Expanded, self).__str__().replace("library", "expanded")
        return f"{text} by kernels {self.first} to {last}"


@dataclass(slots=True)
class Program:
    """Steps, and where the results are: (slot, views) each."""

    steps: list[Any] = field(default_factory=list)
    kernels: list[Any] = field(default_factory=list)
    built: list[Any] = field(default_factory=list)
    bodies: list[Program] = field(default_factory=list)
    results: list[tuple[int, tuple[View, ...]]] = field(default_factory=list)
    fused: Fused | None = None
    # Ready to run, by the values of the size symbols.
    bound: Recent[tuple[int, ...], Run] = field(default_factory=lambda: Recent(SIZES_BOUND))

    def launched(self) -> list[int]:
        """The numbers of the kernels that its steps, and its bodies', launch."""
        found = {k for body in self.bodies for k in body.launched()}
        for step in self.steps:
            if isinstance(step, Launch):
                found.add(step.kernel)
            elif isinstance(step, Expanded):
                found.update(range(step.first, step.first + len(step.expansion.kernels)))
        return sorted(found)

    def keep(self, numbers: list[int]) -> None:
        """Keep these kernels only, in this order."""
        self.kernels = [self.kernels[k] for k in numbers]
        places = {k: n for n, k in enumerate(numbers)}
        for step in self.steps:
            if isinstance(step, Launch):
                step.kernel = places[step.kernel]
            elif isinstance(step, Expanded) and step.expansion.kernels:
                step.first = places[step.first]
        for body in self.bodies:
            body.keep(numbers)

    def use(self, built: list[Any]) -> None:
        """Take built kernels, also for the programs of bodies."""
        self.built = built
        for body in self.bodies:
            body.use(built)

    def forget(self) -> None:
        """Let go of the graph it was made of, whose nodes hold the buffers of that very call."""
        self.fused = None
        for body in self.bodies:
            body.forget()

    def text(self) -> str:
        """The steps, one a line."""
        results = ["".join([f"b{s}", *(f".{kind}" for kind, _ in v)]) for s, v in self.results]
        return "\n".join([*map(str, self.steps), f"return {', '.join(results)}"])


def needed(program: Program) -> list[Any]:
    """The steps without those that only make what nobody reads: kernels may have written it themselves."""
    wanted = {slot for slot, _ in program.results}
    kept = []
    for step in reversed(program.steps):
        if isinstance(step, Launch):
            written = zip(step.slots, step.stage.kernel.buffers, strict=False)
            makes = any(slot in wanted for slot, buffer in written if buffer.written)
        else:
            makes = not isinstance(step, Allocation) or step.slot in wanted
        if makes:
            wanted.update(step.uses)
            kept.append(step)
    return kept[::-1]


def last_uses(program: Program, count: int) -> dict[int, list[int]]:
    """After which step each buffer that is not a result can go; `count` is how many are given."""
    kept = {slot for slot, _ in program.results}
    last = {slot: number for number, step in enumerate(program.steps) for slot in step.uses}
    found: dict[int, list[int]] = {}
    for slot, number in last.items():
        if slot not in kept:
            found.setdefault(number, []).append(slot)
    return found
