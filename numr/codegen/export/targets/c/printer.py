"""Print Kernel IR as C: a static function of a range of points, buffers and sizes.

C keeps the order of a sum of floating numbers, which no vector code can. A reduction whose terms may go in any
order therefore has several partial results, LANES side by side, which compilers make vectors of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from numr.codegen.export.targets.c.expressions import (
    PRODUCT,
    SUM,
    WHOLE,
    Expressions,
    Functions,
    changing,
    uses,
)
from numr.codegen.export.targets.c.positions import positions
from numr.codegen.export.targets.c.spelling import literal, local, stored
from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Break,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Literal,
    Statement,
    Store,
    Value,
    Var,
    stores,
)

# How many partial results: a few vectors on any processor.
LANES = 8
_START = {"add": 0.0, "mul": 1.0}


class CPrinter:
    """C text of one kernel."""

    def __init__(self, functions: Functions, parallel: bool = False) -> None:
        """`parallel`: whether OpenMP may divide the points among threads."""
        self.functions = functions
        self.parallel = parallel

    def print(self, kernel: Kernel, name: str, distinct: bool = True) -> str:
        """The whole function.

        Args:
            kernel: what to print; it is of one lane.
            name: what to call it.
            distinct: whether no two of its buffers are ever the same.
        """
        self.expressions = Expressions(
            self.functions,
            {b.name: b.dtype for b in kernel.buffers},
            positions(kernel),
            changing(kernel.body),
            uses(kernel.body),
        )
        self.uses = self.expressions.uses
        # A host runs all points at once.
        self.expressions.written |= {"lo": ("0", WHOLE), "hi": ("points", WHOLE)}
        self.starts: dict[str, Value] = {}
        # Where reductions' results are meanwhile.
        self.totals: dict[str, str] = {}
        body = list(self.block(kernel.body, 1))
        restrict = "restrict " if distinct else ""
        written = set(stores(kernel.body))
        parameters = ["int64_t points"] if takes_points(kernel) else []
        for b in kernel.buffers:
            const = "" if b.name in written else "const "
            parameters.append(f"{const}{stored(b.dtype)} *{restrict}{b.name}")
        parameters += [f"int64_t {s}" for s in kernel.sizes]
        unused = [s for s in kernel.sizes if not self.uses[s]]
        head = f"static void {name}("
        return "\n".join(
            [
                *wrapped(head, parameters),
                "{",
                *(f"    (void){s};" for s in unused),
                *body,
                "}",
                "",
            ]
        )

    # -- statements ------------------------------------------------------------------------------

    def block(self, body: Sequence[Statement], depth: int) -> Iterator[str]:
        pad, here = "    " * depth, uses(body, nested=False)
        e = self.expressions
        for s in body:
            if isinstance(s, For):
                yield from self.loop(s, depth)
            elif isinstance(s, If):
                yield f"{pad}if ({e.text(s.condition)}) {{"
                yield from self.block(s.body, depth + 1)
                yield f"{pad}}}"
            elif isinstance(s, Let):
                if self.uses[s.var.name] and not e.inlined(s, here):
                    yield f"{pad}const {local(s.var.dtype)} {s.var.name} = {e.expression(s)[0]};"
            elif isinstance(s, Break):
                yield f"{pad}break;"
            else:
                yield pad + self.statement(s)

    def statement(self, s: Statement) -> str:
        e = self.expressions
        if isinstance(s, Declare):
            self.starts[s.var.name] = s.value
            return f"{local(s.var.dtype)} {s.var.name} = {e.text(s.value)};"
        if isinstance(s, Assign):
            return f"{s.var.name} = {e.text(s.value)};"
        if isinstance(s, Accumulate):
            total = self.totals.get(s.var.name, s.var.name)
            return f"{total} = {e.combine(s.monoid, total, s.value, s.var.dtype, s.free)};"
        assert isinstance(s, Store), s
        place = f"{s.buffer}[{e.text(s.index)}]"
        if s.mode == "set":
            return f"{place} = {e.text(s.value)};"
        dtype = e.buffers[s.buffer]
        return f"{place} = {e.combine(s.mode, e.load(s.buffer, s.index)[0], s.value, dtype)};"

    # -- loops -----------------------------------------------------------------------------------

    def inside(self, s: For, depth: int) -> Iterator[str]:
        """The body of a loop."""
        e = self.expressions
        e.is_vector = not any(isinstance(x, (For, If, Break)) for x in s.body)
        yield from self.block(s.body, depth)
        e.is_vector = False

    def loop(self, s: For, depth: int) -> Iterator[str]:
        if _is_partial(s):
            yield from self.partial(s, depth)
            return
        e, pad = self.expressions, "    " * depth
        i, lo, hi = s.var.name, e.text(s.lo), e.text(s.hi)
        if self.parallel and isinstance(s.lo, Var) and s.lo.name == "lo" and _alone(s.body):
            inner = any(isinstance(x, (For, If)) for x in s.body)
            yield "#ifdef _OPENMP"
            yield f"#pragma omp parallel for schedule(static) if (points > {64 if inner else 16384})"
            yield "#endif"
        yield f"{pad}for (int64_t {i} = {lo}; {i} < {hi}; ++{i}) {{"
        yield from self.inside(s, depth + 1)
        yield f"{pad}}}"

    def partial(self, s: For, depth: int) -> Iterator[str]:
        """A reduction in partial results, and what is left over at its end."""
        e, pad = self.expressions, "    " * depth
        i, hi = s.var.name, e.text(s.hi)
        totals = {a.var.name: a for a in s.body if isinstance(a, Accumulate)}
        for name, a in totals.items():
            first = self.start(a)
            zeros = "0" if first in ("0.0", "0.0f") else ", ".join([first] * LANES)
            yield f"{pad}{local(a.var.dtype)} {name}_part[{LANES}] = {{{zeros}}};"
        lo = e.text(s.lo, PRODUCT)
        length = e.text(s.hi, WHOLE) if lo == "0" else f"({e.text(s.hi, SUM)} - {lo})"
        # What is left over is taken from the end, not from where the loop before it ended: GCC warns of an
        # overflow that cannot be where it knows the length.
        yield f"{pad}const int64_t {i}_rest = {hi} - {length} % {LANES};"
        yield f"{pad}for (int64_t {i}_first = {lo}; {i}_first < {i}_rest; {i}_first += {LANES}) {{"
        yield pad + "    " + self.functions.use("NUMR_KEEP_LOOP")
        yield f"{pad}    for (int part = 0; part < {LANES}; ++part) {{"
        yield f"{pad}        const int64_t {i} = {i}_first + part;"
        self.totals = {name: f"{name}_part[part]" for name in totals}
        yield from self.inside(s, depth + 2)
        self.totals = {}
        yield f"{pad}    }}"
        yield f"{pad}}}"
        yield f"{pad}for (int64_t {i} = {i}_rest; {i} < {hi}; ++{i}) {{"
        yield from self.inside(s, depth + 1)
        yield f"{pad}}}"
        for name, a in totals.items():
            yield f"{pad}{name} = {self.whole(a, [f'{name}_part[{k}]' for k in range(LANES)])};"

    def whole(self, a: Accumulate, parts: list[str]) -> str:
        """A reduction's result and its parts as one, by halves, so that no step waits for more than two others."""
        e, dtype = self.expressions, a.var.dtype
        while len(parts) > 1:
            half = len(parts) // 2
            pairs = zip(parts[:half], parts[half:], strict=True)
            parts = [e.combine(a.monoid, x, Var(y, dtype), dtype) for x, y in pairs]
            if a.monoid in ("add", "mul"):
                parts = [f"({p})" for p in parts]
        return e.combine(a.monoid, a.var.name, Var(parts[0], dtype), dtype)

    def start(self, a: Accumulate) -> str:
        """What a partial result starts from, so that it changes nothing: of a sum -0.0 where the whole does."""
        if a.monoid in ("max", "min"):
            return a.var.name
        first = self.starts.get(a.var.name)
        if a.monoid == "add" and isinstance(first, Literal) and str(float(first.value)) == "-0.0":
            return literal(-0.0, a.var.dtype)
        return literal(_START[a.monoid], a.var.dtype)


def takes_points(kernel: Kernel) -> bool:
    """Whether a kernel asks how many points there are; one that does not has one."""
    used = uses(kernel.body)
    return bool(used["lo"] + used["hi"])


def _is_partial(s: For) -> bool:
    """Whether a loop is to have partial results: if all it does but to store is reductions in any order."""
    sums = [a for a in s.body if isinstance(a, Accumulate)]
    names = {a.var.name for a in sums}
    if not sums or len(names) < len(sums):
        return False
    for x in s.body:
        if isinstance(x, Let):
            if any(isinstance(a, Var) and a.name in names for a in x.args):
                return False
        elif isinstance(x, Accumulate):
            if not x.free or x.var.dtype.kind != "f":
                return False
        elif not isinstance(x, Store) or x.mode != "set":
            return False
    # In a short loop of fixed length it is a matter of a few additions.
    fixed = isinstance(s.lo, Literal) and isinstance(s.hi, Literal)
    return not (fixed and int(s.hi.value) - int(s.lo.value) < 2 * LANES)  # type: ignore[union-attr]


def _alone(body: Sequence[Statement]) -> bool:
    """Whether statements change no variables but their own, so that threads may divide a loop of them."""
    inside = changing(body)

    def fine(statements: Sequence[Statement]) -> bool:
        return all(
            fine(s.body) if isinstance(s, (For, If)) else s.var.name in inside
            for s in statements
            if isinstance(s, (For, If, Assign, Accumulate))
        )

    return fine(body)


def wrapped(head: str, parameters: Sequence[str]) -> list[str]:
    """A function's head, in lines that are not too long."""
    lines, line = [], head
    for k, p in enumerate(parameters):
        piece = p + (")" if k == len(parameters) - 1 else ",")
        if len(line) + len(piece) > 100:
            lines.append(line.rstrip())
            line = " " * len(head)
        line += piece + " "
    return [*lines, line.rstrip()]
