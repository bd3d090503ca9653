"""The exported functions in C: what they refuse, where arrays are in the workspace, and the steps.

The calling convention is in `codegen/export/abi.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from numr.codegen.export.header import Names, names, parameters, sizes
from numr.codegen.export.layout import ALIGNMENT, layout
from numr.codegen.export.record import (
    Launch,
    Library,
    Loop,
    Memory,
    Recording,
    Repeat,
    Step,
    Switch,
    While,
    buffers_in,
    walk,
)
from numr.codegen.export.targets.c import blas
from numr.codegen.export.targets.c.printer import takes_points, wrapped
from numr.codegen.export.targets.c.spelling import Use, bound, position, stored
from numr.ir.formulas import Formula

# Memory's names that are no arguments': nothing that a user's name may be is like one.
_OWN = "numr_"


class Driver:
    """One exported function.

    Args:
        name: what it is called in C.
        recording: what it does.
        kernels: the C name of each of its kernels.
        constants: the C name of each of its constants.
        use: notes that a function of the prelude is called.
    """

    def __init__(
        self,
        name: str,
        recording: Recording,
        kernels: Sequence[str],
        constants: Sequence[str],
        use: Use,
    ) -> None:
        self.name = name
        self.recording = recording
        self.kernels = kernels
        self.constants = constants
        self.use = use
        self.called: Names = names(recording)
        self.layout = layout(recording)
        self.symbols = dict(zip(recording.symbols, self.called.sizes, strict=True))

    def text(self) -> str:
        """The function, the query of its workspace, and what both ask of sizes."""
        return "\n".join([*self._query(), *self._function()])

    def formula(self, formula: Formula) -> str:
        return position(formula, self.use, self.symbols)

    # -- sizes -----------------------------------------------------------------------------------

    def _query(self) -> Iterator[str]:
        """The function that says how many bytes the workspace takes: -1 for sizes that are refused."""
        yield f"int64_t {self.name}_workspace({sizes(self.recording)})"
        yield "{"
        yield from (f"    {line}" for line in self._refused())
        total = self.layout.bytes
        more = f" + {ALIGNMENT - 1}" if total.number != 0 else ""
        yield f"    return {self.formula(total)}{more};"
        yield "}"
        yield ""

    def _refused(self) -> Iterator[str]:
        recording = self.recording
        if not recording.symbols:
            return
        below = " || ".join(f"{s} < 1" for s in self.called.sizes)
        yield f"if ({below}) {{"
        yield "    return -1;"
        yield "}"
        formulas = list(_formulas(recording, self.layout.bytes))
        largest = self._largest(formulas)
        if largest:
            yield "/* What is below in floating-point numbers cannot overflow as integers. */"
            yield f"if ({largest} > 0x1p62) {{"
            yield "    return -1;"
            yield "}"
        holds = [
            f"{self.formula(c.formula)} {_OPPOSITE[c.relation]} 0" for c in recording.conditions
        ]
        lengths = {
            n.text: n
            for a in (*recording.inputs, *recording.outputs)
            for n in a.shape
            if n.least < 0
        } | {m.length.text: m.length for m in recording.memories if m.length.least < 0}
        holds += [f"{self.formula(n)} < 0" for n in lengths.values()]
        for s in walk(recording.steps):
            if not isinstance(s, Library):
                continue
            holds += [
                f"{self.formula(n)} > {blas.MOST}" for n in blas.counted(s) if n.number is None
            ]
        for test in dict.fromkeys(holds):
            yield f"if ({test}) {{"
            yield "    return -1;"
            yield "}"

    def _largest(self, formulas: Sequence[Formula]) -> str:
        """A sum of products of sizes that no formula's value, or any part of it, exceeds."""
        steps = walk(self.recording.steps)
        counts = {s.symbol: s.count for s in steps if isinstance(s, Loop)}
        products: dict[tuple[str, ...], int] = {}
        for formula in formulas:
            own: dict[tuple[str, ...], int] = {}
            for factor, symbols in bound(formula, counts):
                own[symbols] = own.get(symbols, 0) + factor
            for symbols, factor in own.items():
                products[symbols] = max(products.get(symbols, 0), factor)
        terms = []
        for symbols, factor in sorted(products.items()):
            if not symbols and factor < 1 << 53:
                continue
            terms.append(" * ".join([f"{factor}.0", *(self.symbols[s] for s in symbols)]))
        return " + ".join(terms)

    # -- the function ----------------------------------------------------------------------------

    def _function(self) -> Iterator[str]:
        recording, called = self.recording, self.called
        yield from wrapped(f"int {self.name}(", parameters(recording))
        yield "{"
        yield f"    const int64_t {_OWN}bytes = {self.name}_workspace({', '.join(called.sizes)});"
        yield f"    if ({_OWN}bytes < 0) {{"
        yield "        return NUMR_SIZE;"
        yield "    }"
        nulls = [f"!{n}" for n in (*called.inputs, *called.outputs)]
        nulls.append(f"({_OWN}bytes > 0 && !workspace)")
        yield from joined("    if (", nulls, " || ", ") {")
        yield "        return NUMR_NULL;"
        yield "    }"
        yield from self._blocks()
        used = set(buffers_in(recording.steps))
        for kind, arguments in (("in", called.inputs), ("out", called.outputs)):
            numbers = {m.number for m in used if m.kind == kind}
            yield from (f"    (void){n};" for k, n in enumerate(arguments) if k not in numbers)
        yield from self.steps(recording.steps, 1)
        yield "    return NUMR_OK;"
        yield "}"
        yield ""

    def _blocks(self) -> Iterator[str]:
        if not self.layout.blocks:
            yield "    (void)workspace;"
            return
        base = f"{_OWN}block_0"
        yield (
            f"    char *const {base} = (char *)workspace + (-(uintptr_t)workspace & {ALIGNMENT - 1});"
        )
        for k, block in enumerate(self.layout.blocks[:-1]):
            yield f"    char *const {_OWN}block_{k + 1} = {_OWN}block_{k} + {self._factor(block)};"

    def _factor(self, formula: Formula) -> str:
        text = self.formula(formula)
        return f"({text})" if len(formula.terms) > 1 else text

    def memory(self, memory: Memory) -> str:
        """A buffer as an argument of a kernel."""
        if memory.kind == "in":
            return self.called.inputs[memory.number]
        if memory.kind == "out":
            return self.called.outputs[memory.number]
        if memory.kind == "const":
            return self.constants[memory.number]
        block = self.layout.places[memory.number]
        return f"({stored(memory.part)} *){_OWN}block_{block}"

    # -- steps -----------------------------------------------------------------------------------

    def steps(self, steps: Sequence[Step], depth: int) -> Iterator[str]:
        pad = "    " * depth
        for s in steps:
            if isinstance(s, Launch):
                yield from self.launch(s.kernel, s.buffers, s.sizes, s.points, pad)
            elif isinstance(s, Repeat):
                yield from self.repeat(s, pad)
            elif isinstance(s, Loop):
                count = self.formula(s.count)
                name = self.symbols[s.symbol] = f"{_OWN}{s.symbol}"
                yield f"{pad}for (int64_t {name} = 1; {name} <= {count}; ++{name}) {{"
                yield from self.steps(s.steps, depth + 1)
                yield f"{pad}}}"
            elif isinstance(s, While):
                yield f"{pad}for (;;) {{"
                yield from self.steps(s.test, depth + 1)
                yield from self.leave(s.flag, pad + "    ")
                yield from self.steps(s.steps, depth + 1)
                yield f"{pad}}}"
            elif isinstance(s, Switch):
                yield from self.switch(s, depth)
            else:
                yield from self.library(s, pad)

    def repeat(self, s: Repeat, pad: str) -> Iterator[str]:
        """A kernel, again as long as it sets its flag."""
        flag = f"*({self.memory(s.buffers[-1])})"
        yield f"{pad}{flag} = 0;"
        yield from self.launch(s.kernel, s.buffers, s.first, s.points, pad)
        yield f"{pad}while ({flag}) {{"
        yield f"{pad}    {flag} = 0;"
        yield from self.launch(s.kernel, s.buffers, s.again, s.points, pad + "    ")
        yield f"{pad}}}"

    def leave(self, flag: Memory, pad: str) -> Iterator[str]:
        """The end of a loop where a flag is not set."""
        yield f"{pad}if (!*({self.memory(flag)})) {{"
        yield f"{pad}    break;"
        yield f"{pad}}}"

    def library(self, s: Library, pad: str) -> Iterator[str]:
        """A library's function."""
        buffers = [self.memory(m) for m in s.buffers]
        lines = blas.gemm(s, buffers, self.formula, self.use("numr_max_i64"))
        yield from (pad + line for line in lines)

    def launch(
        self,
        kernel: int,
        buffers: Sequence[Memory],
        given: Sequence[Formula],
        points: Formula,
        pad: str,
    ) -> Iterator[str]:
        arguments = [*map(self.memory, buffers), *map(self.formula, given)]
        if takes_points(self.recording.kernels[kernel]):
            arguments.insert(0, self.formula(points))
        elif points.number != 1:
            yield f"{pad}if ({self.formula(points)} > 0)"
        yield from joined(f"{pad}{self.kernels[kernel]}(", arguments, ", ", ");")

    def switch(self, s: Switch, depth: int) -> Iterator[str]:
        yield from self.chosen(f"*({self.memory(s.selector)})", s, depth)

    def chosen(self, number: str, s: Switch, depth: int) -> Iterator[str]:
        """The steps of a case by its number, which is within range."""
        pad = "    " * depth
        yield f"{pad}switch ({number}) {{"
        for k, case in enumerate(s.cases):
            yield f"{pad}case {k}:" if k < len(s.cases) - 1 else f"{pad}default:"
            yield from self.steps(case, depth + 1)
            yield f"{pad}    break;"
        yield f"{pad}}}"


_OPPOSITE = {">=": "<", "==": "!=", "!=": "=="}


def _formulas(recording: Recording, workspace: Formula) -> Iterator[Formula]:
    """Every formula that is worked out, and the bytes of every array."""
    yield workspace
    for a in (*recording.inputs, *recording.outputs):
        yield from a.shape
        yield a.bytes
    yield from (c.formula for c in recording.conditions)
    yield from (m.bytes for m in recording.memories)
    for s in walk(recording.steps):
        if isinstance(s, Launch):
            yield from (s.points, *s.sizes)
        elif isinstance(s, Repeat):
            yield from (s.points, *s.first, *s.again)
        elif isinstance(s, Loop):
            yield s.count
        elif isinstance(s, Library):
            yield from (n for group in (*s.shapes, *s.strides) for n in group)


def joined(head: str, parts: Sequence[str], between: str, tail: str) -> Iterator[str]:
    """Parts in lines that are not too long."""
    line = head
    for k, part in enumerate(parts):
        piece = part + (tail if k == len(parts) - 1 else between)
        if len(line) + len(piece.rstrip()) > 100 and line.strip():
            yield line.rstrip()
            line = " " * len(head)
        line += piece
    yield line
