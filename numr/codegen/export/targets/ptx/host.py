"""The host of a bundle in C: a context with a device's memory, and each function with its launches on CUDA's driver.

On the outside it is as `codegen/export/abi.py` says, with a context where other targets have a workspace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from numr import messages
from numr.codegen.export import abi
from numr.codegen.export import header as c_header
from numr.codegen.export.layout import Layout, layout, rounded
from numr.codegen.export.record import (
    Library,
    Memory,
    Recording,
    Repeat,
    Switch,
    buffers_in,
)
from numr.codegen.export.targets.c.driver import Driver, joined
from numr.codegen.export.targets.c.prelude import Prelude
from numr.codegen.export.targets.c.printer import wrapped
from numr.codegen.export.targets.c.source import metadata
from numr.codegen.export.targets.c.spelling import Use
from numr.codegen.export.targets.ptx import code
from numr.codegen.export.targets.ptx.runtime import HELPERS, runtime
from numr.ir.formulas import Formula

# The status of a call that CUDA's driver did not do.
DEVICE = 3
_OWN = "numr_"
_CONTEXT = ("context", "context_open", "context_close", "context_error")


def check_names(called: str, recordings: Sequence[Recording]) -> None:
    """That no function is called what the header calls something else.

    Raises:
        ExportError: if one is.
    """
    taken = {f"{called}_{name}" for name in _CONTEXT} | {abi.metadata_name(called)}
    for recording in recordings:
        if abi.function_name(called, recording.name) in taken:
            raise messages.cannot_export(
                f"{called}.h has something else that is called {called}_{recording.name}",
                "name the function otherwise",
            )


def header(called: str, recordings: Sequence[Recording]) -> str:
    """The text of `<called>.h`."""
    return c_header.header(called, recordings, build(called), _convention(called))


def build(called: str) -> str:
    """The command that builds a program with the host."""
    return f"cc program.c {called}_host.c -I$CUDA_HOME/include -lcuda"


def _last(called: str) -> str:
    return f"{called}_context *context"


def _convention(called: str) -> c_header.Convention:
    return c_header.Convention(
        "Arrays are the host's, row-major, and do not overlap. A function copies its inputs to the device, runs "
        "there, and copies its outputs back. On the device it takes as many bytes as its _workspace tells for "
        "the same sizes, -1 for sizes that it does not take. They are the context's, which allocates when a call "
        "needs more than all before it, and keeps them. Threads may call functions at once, each with a context "
        "of its own. NUMR_SIZE and NUMR_NULL have written nothing. After NUMR_DEVICE outputs may be anything.",
        (
            "#ifndef NUMR_DEVICE",
            f"#define NUMR_DEVICE {DEVICE} /* CUDA's driver failed: {called}_context_error tells how */",
            "#endif",
            "",
            "/* A device with the functions' kernels and memory. */",
            f"typedef struct {called}_context {called}_context;",
            "",
            "/*",
            f" * Open the device of a number. The image is the text of {called}.ptx, up to a byte that is 0, or, where",
            f" * there is one, what {called}.cubin holds. *context is to be closed whatever is returned; it is NULL if",
            " * the host has no memory for it.",
            " */",
            f"int {called}_context_open({called}_context **context, int device, const void *image);",
            f"void {called}_context_close({called}_context *context);",
            "",
            "/* What failed last. */",
            f"const char *{called}_context_error(const {called}_context *context);",
            "",
        ),
        _last(called),
    )


def source(called: str, recordings: Sequence[Recording]) -> str:
    """The text of `<called>_host.c`."""
    kernels = code.launched(recordings)
    constants = list(dict.fromkeys(code.constant_name(c) for r in recordings for c in r.constants))
    prelude = Prelude()
    used = dict.fromkeys(("numr_reserve",))

    def use(name: str) -> str:
        if name in HELPERS:
            used[name] = None
            return name
        return prelude.use(name)

    numbers = {name: k for k, name in enumerate(kernels)}
    held = {name: k for k, name in enumerate(constants)}
    functions = [
        Host(called, r, numbers, [held[code.constant_name(c)] for c in r.constants], use).text()
        for r in recordings
    ]
    return "\n".join(
        [
            f"/* {called}: made by numr.export. See {called}.h for what it does.",
            " *",
            f" *     {build(called)}",
            " */",
            f'#include "{called}.h"',
            "",
            "#include <cuda.h>",
            "#include <stdio.h>",
            "#include <stdlib.h>",
            "#include <string.h>",
            "",
            *prelude.texts(),
            *runtime(called, kernels, constants, [h for h in HELPERS if h in used]),
            *functions,
            *metadata(called, recordings),
        ]
    )


class Host(Driver):
    """One function: the query of its memory, its work with a context, and what callers see.

    Args:
        called: the bundle's name.
        recording: what it does.
        numbers: the place of each kernel in the context, by name.
        constants: the places of its constants there.
        use: notes that a function is called.
    """

    def __init__(
        self,
        called: str,
        recording: Recording,
        numbers: Mapping[str, int],
        constants: Sequence[int],
        use: Use,
    ) -> None:
        super().__init__(
            abi.function_name(called, recording.name),
            recording,
            [str(numbers.get(k.entry, -1)) for k in recording.kernels],
            [f"context->constants[{k}]" for k in constants],
            use,
        )
        self.last = _last(called)
        self.places: dict[tuple[str, int], str] = {}
        self.blocks: list[tuple[str, Formula]] = []
        self._arrange(layout(recording))

    def _arrange(self, temporaries: Layout) -> None:
        """Where everything is in the context's memory: used inputs, outputs, blocks of temporaries."""
        recording = self.recording
        self.used = {m.number for m in buffers_in(recording.steps) if m.kind == "in"}
        for kind, arguments in (("in", recording.inputs), ("out", recording.outputs)):
            for k, a in enumerate(arguments):
                if kind == "out" or k in self.used:
                    self.places[kind, k] = f"{_OWN}{kind}_{k}"
                    self.blocks.append((self.places[kind, k], rounded(a.bytes)))
        for number, block in temporaries.places.items():
            self.places["temp", number] = f"{_OWN}block_{block}"
        self.blocks += [(f"{_OWN}block_{k}", size) for k, size in enumerate(temporaries.blocks)]
        self.layout = Layout([size for _, size in self.blocks])

    # -- what callers see --------------------------------------------------------------------------

    def _query(self) -> Iterator[str]:
        yield f"int64_t {self.name}_workspace({c_header.sizes(self.recording)})"
        yield "{"
        yield from (f"    {line}" for line in self._refused())
        yield f"    return {self.formula(self.layout.bytes)};"
        yield "}"
        yield ""

    def _function(self) -> Iterator[str]:
        called = self.called
        parameters = c_header.parameters(self.recording, self.last)
        inner = f"{_OWN}run_{self.recording.name}"
        yield from wrapped(f"static int {inner}(", [*parameters, f"int64_t {_OWN}bytes"])
        yield "{"
        body = list(self._body())
        mentioned = set(re.findall(r"\w+", " ".join(body)))
        yield from (f"    (void){n};" for n in called.sizes if n not in mentioned)
        yield from body
        yield "}"
        yield ""
        yield from wrapped(f"int {self.name}(", parameters)
        yield "{"
        yield f"    const int64_t {_OWN}bytes = {self.name}_workspace({', '.join(called.sizes)});"
        yield f"    if ({_OWN}bytes < 0) {{"
        yield "        return NUMR_SIZE;"
        yield "    }"
        nulls = [f"!{n}" for n in (*called.inputs, *called.outputs, "context")]
        yield from joined("    if (", nulls, " || ", ") {")
        yield "        return NUMR_NULL;"
        yield "    }"
        yield "    NUMR_TRY(cuCtxPushCurrent(context->context));"
        given = [*called.inputs, *called.outputs, *called.sizes, "context", f"{_OWN}bytes"]
        yield from joined(f"    return numr_pop(context, {inner}(", given, ", ", "));")
        yield "}"
        yield ""

    # -- what is done ------------------------------------------------------------------------------

    def _body(self) -> Iterator[str]:
        recording, called = self.recording, self.called
        yield f"    NUMR_DO(numr_reserve(context, {_OWN}bytes));"
        at = "context->memory"
        for name, size in self.blocks:
            yield f"    const CUdeviceptr {name} = {at};"
            at = f"{name} + {self.formula(size)}"
        for k, (a, name) in enumerate(zip(recording.inputs, called.inputs, strict=True)):
            if k in self.used:
                bytes = self.formula(a.bytes)
                yield f"    NUMR_DO({self.use('numr_put')}(context, {_OWN}in_{k}, {name}, {bytes}));"
            else:
                yield f"    (void){name};"
        yield from self.steps(recording.steps, 1)
        for k, (a, name) in enumerate(zip(recording.outputs, called.outputs, strict=True)):
            bytes = self.formula(a.bytes)
            yield f"    NUMR_DO({self.use('numr_get')}(context, {name}, {_OWN}out_{k}, {bytes}));"
        yield "    return NUMR_OK;"

    def memory(self, memory: Memory) -> str:
        if memory.kind == "const":
            return self.constants[memory.number]
        return self.places[memory.kind, memory.number]

    def leave(self, flag: Memory, pad: str) -> Iterator[str]:
        yield from self._read(flag, "going", pad)
        yield f"{pad}if (!numr_going) {{"
        yield f"{pad}    break;"
        yield f"{pad}}}"

    def switch(self, s: Switch, depth: int) -> Iterator[str]:
        pad = "    " * depth
        yield f"{pad}{{"
        yield from self._read(s.selector, "case", pad + "    ")
        yield from self.chosen("numr_case", s, depth + 1)
        yield f"{pad}}}"

    def library(self, s: Library, pad: str) -> Iterator[str]:
        raise NotImplementedError(f"the ptx target has no library: {s}")

    def launch(
        self,
        kernel: int,
        buffers: Sequence[Memory],
        given: Sequence[Formula],
        points: Formula,
        pad: str,
    ) -> Iterator[str]:
        """Everything a kernel is given is a word of 8 bytes: its points, its buffers, its sizes."""
        words = [self.formula(points), *map(self.memory, buffers), *map(self.formula, given)]
        head = f"{pad}NUMR_DO({self.use('numr_launch')}(context, {self.kernels[kernel]}, {len(words)}, "
        yield from joined(f"{head}(uint64_t[]){{", words, ", ", "}));")

    def _read(self, memory: Memory, name: str, pad: str) -> Iterator[str]:
        """A variable with what is in a buffer."""
        kind = c_header.stored(memory.dtype)
        yield f"{pad}{kind} numr_{name} = 0;"
        yield (
            f"{pad}NUMR_DO({self.use('numr_get')}(context, &numr_{name}, {self.memory(memory)}, "
            f"sizeof numr_{name}));"
        )

    def repeat(self, s: Repeat, pad: str) -> Iterator[str]:
        flag = self.memory(s.buffers[-1])
        inner = pad + "    "
        yield f"{pad}for (int32_t numr_going = 1, numr_first = 1; numr_going; numr_first = 0) {{"
        yield f"{inner}NUMR_DO({self.use('numr_clear')}(context, {flag}));"
        yield f"{inner}if (numr_first) {{"
        yield from self.launch(s.kernel, s.buffers, s.first, s.points, inner + "    ")
        yield f"{inner}}} else {{"
        yield from self.launch(s.kernel, s.buffers, s.again, s.points, inner + "    ")
        yield f"{inner}}}"
        yield f"{inner}NUMR_DO({self.use('numr_get')}(context, &numr_going, {flag}, sizeof numr_going));"
        yield f"{pad}}}"
