"""The kernels and constants of a bundle as one module of PTX."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numr.codegen.backends.cuda import compile as compiler
from numr.codegen.backends.cuda.neighbours import points_of_thread
from numr.codegen.backends.cuda.print import THREADS
from numr.codegen.export.record import Recording, launches_in
from numr.codegen.kernel import Kernel

Array = np.ndarray[Any, Any]
# Compilers name the newest version of PTX that they know, whatever they wrote, and drivers read none that is
# newer than they are. This is the version that drivers since 520 read, and that all of these devices are in;
# drivers since 580 read the other one.
_OLD = frozenset(((7, 5), (8, 0), (8, 6), (8, 7), (8, 9), (9, 0)))
_OLD_VERSION, _VERSION = "7.8", "9.0"
_WORDS_PER_LINE = 5


@dataclass(frozen=True, slots=True)
class Grid:
    """How a kernel is launched: in blocks of so many threads, each of which runs so many points at a time."""

    threads: int
    points: int


def grid(kernel: Kernel) -> Grid:
    """As the jit launches it: several lanes are a block, and a thread of one lane has neighbouring points."""
    if kernel.lanes > 1:
        return Grid(kernel.lanes, 1)
    return Grid(THREADS, THREADS * points_of_thread(kernel))


def launched(recordings: Iterable[Recording]) -> dict[str, Kernel]:
    """The kernels that functions launch, by name; equal ones are one."""
    found = {}
    for recording in recordings:
        for step in launches_in(recording.steps):
            kernel = recording.kernels[step.kernel]
            found[kernel.entry] = kernel
    return found


def constant_name(array: Array) -> str:
    """What the module calls an array: equal bytes have one name."""
    return "numr_c_" + hashlib.sha256(array.tobytes()).hexdigest()[:20]


def module(recordings: Sequence[Recording], capability: tuple[int, int], fast_math: bool) -> str:
    """The PTX of a bundle.

    Raises:
        RuntimeError: with the compiler's message, for a compute capability that it does not know.
        DeviceError: if there is no compiler.
    """
    compiler.toolchain()
    texts = [compiler.llvm_text(k, fast_math) for k in launched(recordings).values()]
    # A bundle may have no kernel: that of a function without results.
    ptx = compiler.to_ptx(texts, capability, fast_math) if texts else _head(capability)
    version = _OLD_VERSION if capability in _OLD else _VERSION
    ptx = re.sub(r"^\.version .*$", f".version {version}", ptx, count=1, flags=re.M)
    constants = {constant_name(c): c for r in recordings for c in r.constants}
    return "\n".join([ptx.rstrip(), "", *(_constant(n, c) for n, c in constants.items())])


def _head(capability: tuple[int, int]) -> str:
    return f".version {_VERSION}\n.target sm_{capability[0]}{capability[1]}\n.address_size 64\n"


def _constant(name: str, array: Array) -> str:
    """An array's definition, in words of 8 bytes."""
    data = array.tobytes()
    words = np.frombuffer(data + bytes(-len(data) % 8), "<u8").tolist() or [0]
    return "\n".join(
        [f".visible .global .align 64 .u64 {name}[{len(words)}] = {{", *_lines(words), "};", ""]
    )


def _lines(words: Sequence[int]) -> Iterator[str]:
    for k in range(0, len(words), _WORDS_PER_LINE):
        line = ", ".join(f"0x{w:016x}" for w in words[k : k + _WORDS_PER_LINE])
        yield f"    {line}{',' * (k + _WORDS_PER_LINE < len(words))}"
