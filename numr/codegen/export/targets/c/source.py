"""A bundle's functions as one C source: prelude, constants, kernels, and the exported functions."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.codegen.export import abi
from numr.codegen.export.record import Launch, Memory, Recording, Repeat, buffers_in, launches_in
from numr.codegen.export.targets.c import blas
from numr.codegen.export.targets.c.driver import Driver
from numr.codegen.export.targets.c.prelude import Prelude
from numr.codegen.export.targets.c.printer import CPrinter
from numr.codegen.export.targets.c.spelling import literal, stored
from numr.codegen.kernel import Kernel
from numr.dtypes import as_dtype, real_part_dtype

_WIDTH = 96


def source(
    called: str, recordings: Sequence[Recording], build: str, openmp: bool, fast_math: bool
) -> str:
    """The text of `<called>.c`.

    Args:
        called: the bundle's name.
        recordings: its functions.
        build: the command that compiles it.
        openmp: whether loops are to be divided among threads.
        fast_math: whether NaN need not be looked for.
    """
    made = _Source(called, openmp, fast_math)
    functions = [made.function(r) for r in recordings]
    return "\n".join(
        [
            f"/* {called}: made by numr.export. See {called}.h for what it does.",
            " *",
            f" *     {build}",
            " *",
            " * Floating-point numbers are IEEE 754's: no -ffast-math. Without -std=c11 say -ffp-contract=off, too.",
            " */",
            f'#include "{called}.h"',
            "",
            *([f"#include <{blas.HEADER}>"] if any("cblas_" in f for f in functions) else []),
            "#include <math.h>",
            "#include <stdbool.h>",
            "#include <string.h>",
            "",
            "#ifdef __clang__",
            "#pragma STDC FP_CONTRACT OFF",
            "#endif",
            "",
            *made.prelude.texts(),
            *made.constants.values(),
            *made.kernels.values(),
            *functions,
            *metadata(called, recordings),
        ]
    )


class _Source:
    """What has been printed; functions share kernels and constants that are equal."""

    def __init__(self, called: str, openmp: bool, fast_math: bool) -> None:
        self.called = called
        self.openmp = openmp
        self.prelude = Prelude(fast_math)
        self.kernels: dict[tuple[str, bool], str] = {}
        self.constants: dict[bytes, str] = {}
        self._kernel_names: dict[tuple[str, bool], str] = {}
        self._constant_names: dict[bytes, str] = {}

    def function(self, recording: Recording) -> str:
        """An exported function, whose kernels and constants are printed if they are not yet."""
        kernels: dict[int, list[Launch | Repeat]] = {}
        for step in launches_in(recording.steps):
            kernels.setdefault(step.kernel, []).append(step)
        names = [
            self.kernel(k, recording, kernels[number]) if number in kernels else ""
            for number, k in enumerate(recording.kernels)
        ]
        used = {m.number for m in buffers_in(recording.steps) if m.kind == "const"}
        constants = [
            self.constant(c) if k in used else "" for k, c in enumerate(recording.constants)
        ]
        name = abi.function_name(self.called, recording.name)
        return Driver(name, recording, names, constants, self.prelude.use).text()

    def kernel(self, kernel: Kernel, recording: Recording, steps: Sequence[Launch | Repeat]) -> str:
        """The name of a kernel's function."""
        distinct = all(len(set(s.buffers)) == len(s.buffers) for s in steps)
        key = kernel.text(), distinct
        name = self._kernel_names.get(key)
        if name is None:
            name = self._kernel_names[key] = f"kernel_{len(self._kernel_names)}"
            printed = CPrinter(self.prelude, self.openmp).print(kernel, name, distinct)
            self.kernels[key] = _about(recording, kernel, steps[0]) + printed
        return name

    def constant(self, array: np.ndarray[Any, Any]) -> str:
        """The name of a constant array."""
        dtype = as_dtype(array.dtype)
        part = real_part_dtype(dtype) if dtype.kind == "c" else dtype
        key = str(dtype).encode() + array.tobytes()
        name = self._constant_names.get(key)
        if name is None:
            name = self._constant_names[key] = f"constant_{len(self._constant_names)}"
            flat = np.ascontiguousarray(array).reshape(-1)
            values = flat.view(np.uint16) if dtype.is_half else flat.view(part.dtype)
            kind = as_dtype(values.dtype)
            texts = [literal(v, kind) if kind.kind != "b" else str(int(v)) for v in values.tolist()]
            body = textwrap.fill(
                ", ".join(texts) or "0", _WIDTH, initial_indent="    ", subsequent_indent="    "
            )
            self.constants[key] = (
                f"static const {stored(part)} {name}[{max(len(texts), 1)}] = {{\n{body}\n}};\n"
            )
        return name


def _about(recording: Recording, kernel: Kernel, step: Launch | Repeat) -> str:
    """A comment: which arrays a kernel was first used on."""

    def called(memory: Memory) -> str:
        if memory.kind in ("in", "out"):
            return (recording.inputs if memory.kind == "in" else recording.outputs)[
                memory.number
            ].name
        return f"{ {'const': 'constant', 'temp': 'temporary'}[memory.kind] } {memory.number}"

    names = [f"{b.name} is {called(m)}" for b, m in zip(kernel.buffers, step.buffers, strict=True)]
    text = f"In {recording.name}: {', '.join(names)}."
    return "\n".join(textwrap.wrap(f"/* {text} */", _WIDTH, subsequent_indent="   ")) + "\n"


# The longest text that every compiler has to take.
_LONGEST = 4095


def metadata(called: str, recordings: Sequence[Recording]) -> Iterator[str]:
    """The function that returns what the bundle says of itself."""
    text = abi.metadata(recordings)
    yield f"const char *{abi.metadata_name(called)}(void)"
    yield "{"
    if len(text) > _LONGEST:
        yield "    /* A text longer than C promises to take, so its characters by number. */"
        yield "    static const char text[] = {"
        numbers = ", ".join(map(str, (*text.encode(), 0)))
        yield textwrap.fill(numbers, _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)
        yield "    };"
        yield "    return text;"
    else:
        yield "    return"
        # A question mark may begin a trigraph.
        pieces = [text[k : k + 72] for k in range(0, len(text), 72)]
        for k, piece in enumerate(pieces):
            escaped = piece.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?")
            yield f'        "{escaped}"' + (";" if k == len(pieces) - 1 else "")
    yield "}"
    yield ""
