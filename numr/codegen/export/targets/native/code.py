"""Object code of a bundle: the kernels as the jit compiles them, joined with the driver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numr.codegen.backends.cpu import machine
from numr.codegen.backends.cpu.compile import kernel_text
from numr.codegen.backends.cpu.machine import Machine
from numr.codegen.backends.cpu.print import parameters, source
from numr.codegen.export import abi
from numr.codegen.export.record import Launch, Recording, Repeat, launches_in
from numr.codegen.export.targets.native import driver, elf
from numr.ir.formulas import Formula

# Functions of the C library that LLVM calls for copies and fills.
_BASE = frozenset(("memcpy", "memmove", "memset"))
# Kernels whose sizes are numbers are put in line up to so many instructions in all their places together.
_IN_LINE = 8000


@dataclass(frozen=True, slots=True)
class Code:
    """An object file.

    Attributes:
        data: what is in it.
        defined: the functions it has for others.
        needed: those of other libraries that it calls.
        libraries: which these are: "m", "mvec".
    """

    data: bytes
    defined: tuple[str, ...]
    needed: tuple[str, ...]
    libraries: tuple[str, ...]


def compiled(called: str, recordings: Sequence[Recording], fast_math: bool, on: Machine) -> Code:
    """The object code of a bundle of that name for a machine.

    Each kernel is optimised alone, as the jit does it, so that it computes the same. What is then done to the
    whole puts small kernels in line, where sizes that are numbers spare most of their loops.
    """
    functions = [(abi.function_name(called, r.name), r) for r in recordings]
    metadata = abi.metadata_name(called)
    kernels = {
        k.entry: k for r in recordings for s in launches_in(r.steps) for k in (r.kernels[s.kernel],)
    }
    launches = Counter(r.kernels[s.kernel].entry for r in recordings for s in launches_in(r.steps))
    sized = {
        r.kernels[s.kernel].entry
        for r in recordings
        for s in launches_in(r.steps)
        if any(f.number is None for f in _formulas(s))
    }
    modules = [machine.optimise(driver.module(functions, (metadata, abi.metadata(recordings))), on)]
    in_line = []
    for k in kernels.values():
        text = kernel_text(source(k), k.entry, parameters(k), fast_math, on)
        modules.append(machine.optimise(text, on))
        if launches[k.entry] * _length(modules[-1], k.entry) <= _IN_LINE and k.entry not in sized:
            in_line.append(k.entry)
    defined = (*(n for name, _ in functions for n in (name, f"{name}_workspace")), metadata)
    whole = machine.joined(modules, defined, in_line, on)
    data = machine.emit(whole, on)
    names = elf.undefined(data)
    if names is None:
        names = sorted(f.name for f in whole.functions if f.is_declaration)
    needed = tuple(n for n in names if n not in _BASE and not n.startswith("llvm."))
    vectors = any(n.startswith("_ZGV") for n in needed)
    return Code(data, defined, needed, ("mvec", "m") if vectors else ("m",))


def _formulas(step: Launch | Repeat) -> tuple[Formula, ...]:
    sizes = step.sizes if isinstance(step, Launch) else (*step.first, *step.again)
    return (*sizes, step.points)


def _length(module: Any, name: str) -> int:
    """How many instructions a function has."""
    return sum(1 for block in module.get_function(name).blocks for _ in block.instructions)
