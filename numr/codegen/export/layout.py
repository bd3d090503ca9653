"""Where temporaries are in one workspace: blocks one after another, which later steps use again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from numr.codegen.export.record import Memory, Recording, buffers_in
from numr.ir.formulas import Formula

# Every block begins at a multiple of this many bytes.
ALIGNMENT = 64


@dataclass(slots=True)
class Layout:
    """The blocks' sizes in bytes, in order, and the block of each temporary by its number."""

    blocks: list[Formula] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)

    @property
    def bytes(self) -> Formula:
        """The size of the workspace."""
        total = Formula.of(0)
        for block in self.blocks:
            total = total + block
        return total


def host_bytes(memory: Memory) -> Formula:
    """The size of a temporary as NumPy and C have it."""
    return memory.bytes


def layout(recording: Recording, bytes_of: Callable[[Memory], Formula] = host_bytes) -> Layout:
    """Give each temporary a block: one of the same size whose last user is past, or a new one.

    Whether one formula is smaller than another is not known, so blocks are shared between equal sizes only.
    `bytes_of` says how many bytes a temporary takes on the target's devices.
    """
    made = Layout()
    last: dict[Memory, int] = {}
    for number, step in enumerate(recording.steps):
        for memory in buffers_in([step]):
            last[memory] = number
    free: dict[str, list[int]] = {}
    for number, step in enumerate(recording.steps):
        here = dict.fromkeys(m for m in buffers_in([step]) if m.kind == "temp")
        for memory in here:
            if memory.number in made.places:
                continue
            size = rounded(bytes_of(memory))
            spare = free.get(size.text)
            if spare:
                made.places[memory.number] = spare.pop()
            else:
                made.places[memory.number] = len(made.blocks)
                made.blocks.append(size)
        for memory in here:
            if last[memory] == number:
                size = rounded(bytes_of(memory))
                free.setdefault(size.text, []).append(made.places[memory.number])
    return made


def rounded(size: Formula) -> Formula:
    """A size in bytes, made a multiple of the alignment."""
    unit = Formula.of(ALIGNMENT)
    return (size + Formula.of(ALIGNMENT - 1)) // unit * unit
