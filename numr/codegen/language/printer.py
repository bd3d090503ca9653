"""Print Kernel IR in Python syntax, the form that Numba's compilers read.

There is one lane here: a loop dealt out to lanes is a loop. A backend's printer subclasses
`PythonPrinter` where its spelling differs; policy has no place here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Barrier,
    Break,
    Buffer,
    Combine,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Literal,
    Shared,
    Statement,
    Store,
    Value,
)
from numr.dtypes import DType

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floor_divide": "//", "remainder": "%",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "and": "&", "or": "|", "xor": "^", "shift_left": "<<", "shift_right": ">>",
}  # fmt: skip
RENAMED = {"abs": "fabs", "minimum": "fmin_nan", "maximum": "fmax_nan"}
REASSOCIATING = {
    "add": "add_reassoc",
    "mul": "mul_reassoc",
    "max": "max_reassoc",
    "min": "min_reassoc",
}
STEP = {"add": "+", "mul": "*", "and": "&", "or": "|"}
# Names of conversions, which a variable must not hide.
_TAKEN = frozenset(("i8", "i16", "i32", "i64"))


class PythonPrinter:
    """Python text of kernels: `def entry(lo, hi, buffers..., sizes...)`."""

    def print(self, kernel: Kernel) -> str:
        """The whole function."""
        self.kernel = kernel
        memory: list[Buffer | Shared] = [*kernel.buffers, *kernel.shared]
        self.dtypes = {m.name: m.dtype for m in memory}
        body = list(self.block(kernel.body, 1)) or ["    pass"]
        names = [name for name, _ in self.parameters(kernel)]
        return "\n".join([f"def {kernel.entry}({', '.join(names)}):", *body, ""])

    def parameters(self, kernel: Kernel) -> list[tuple[str, str]]:
        """Names of parameters and their type codes."""
        buffers = [(b.name, f"p:{b.dtype.short}") for b in kernel.buffers]
        index = kernel.index.short
        return [("lo", index), ("hi", index), *buffers, *((n, index) for n in kernel.sizes)]

    def bounds(self, loop: For) -> str:
        """The range of a loop."""
        return f"{self.value(loop.lo)}, {self.value(loop.hi)}"

    def together(self, statement: Barrier | Combine) -> Iterator[str]:
        """What the lanes of a point do together: nothing, where there is one."""
        return iter(())

    def block(self, body: list[Statement], depth: int) -> Iterator[str]:
        pad = "    " * depth
        for statement in body:
            if isinstance(statement, For):
                name = self.value(statement.var)
                yield f"{pad}for {name} in range({self.bounds(statement)}):"
                yield from list(self.block(statement.body, depth + 1)) or [pad + "    pass"]
            elif isinstance(statement, If):
                yield f"{pad}if {self.value(statement.condition)}:"
                yield from self.block(statement.body, depth + 1)
            elif isinstance(statement, Break):
                yield f"{pad}break"
            elif isinstance(statement, (Barrier, Combine)):
                yield from (pad + line for line in self.together(statement))
            elif isinstance(statement, Let) and statement.op == "guarded_load":
                condition, index = statement.args
                name = self.value(statement.var)
                yield f"{pad}{name} = {self.literal(Literal(0, statement.var.dtype))}"
                yield f"{pad}if {self.value(condition)}:"
                yield f"{pad}    {name} = {self.load(statement.buffer, index)}"
            else:
                yield pad + self.statement(statement)

    def statement(self, s: Statement) -> str:
        if isinstance(s, Let):
            return f"{self.value(s.var)} = {self.expression(s)}"
        if isinstance(s, (Declare, Assign)):
            return f"{self.value(s.var)} = {self.value(s.value)}"
        if isinstance(s, Accumulate):
            name = self.value(s.var)
            return (
                f"{name} = {self.combine(s.monoid, name, self.value(s.value), s.var.dtype, s.free)}"
            )
        assert isinstance(s, Store)
        place = f"{s.buffer}[{self.value(s.index)}]"
        dtype = self.dtypes[s.buffer]
        if s.mode == "set":
            return f"{place} = {self.stored(self.value(s.value), dtype)}"
        if s.atomic:
            index = f"i64({self.value(s.index)})"
            return f"unused = atomic_{s.mode}({s.buffer}, {index}, {self.value(s.value)})"
        old = self.load(s.buffer, s.index)
        return f"{place} = {self.stored(self.combine(s.mode, old, self.value(s.value), dtype, False), dtype)}"

    def combine(self, monoid: str, old: str, new: str, dtype: DType, free: bool) -> str:
        """One step of a reduction."""
        if free:
            return f"{REASSOCIATING[monoid]}({old}, {new})"
        if monoid in ("max", "min"):
            return f"f{monoid}_nan({old}, {new})"
        return f"{old} {STEP[monoid]} {new}"

    def expression(self, s: Let) -> str:
        args = [self.value(a) for a in s.args]
        if s.op == "load":
            return self.load(s.buffer, s.args[0])
        if s.op == "cast":
            return self.cast(s.args[0], s.var.dtype)
        if s.op == "bitcast":
            return f"bitcast_{s.var.dtype.short}({args[0]})"
        if s.op in INFIX:
            return f"{args[0]} {INFIX[s.op]} {args[1]}"
        if s.op == "neg":
            return f"-{args[0]}"
        if s.op == "invert":
            return f"not {args[0]}" if s.var.dtype.kind == "b" else f"~{args[0]}"
        return f"{RENAMED.get(s.op, s.op)}({', '.join(args)})"

    def cast(self, x: Value, dtype: DType) -> str:
        if dtype.kind == "b":
            return f"{self.value(x)} != {self.literal(Literal(0, x.dtype))}"
        return f"{dtype.short}({self.value(x)})"

    def load(self, buffer: str, index: Value) -> str:
        text = f"{buffer}[{self.value(index)}]"
        return f"({text} != u8(0))" if self.dtypes[buffer].kind == "b" else text

    def stored(self, value: str, dtype: DType) -> str:
        return f"u8({value})" if dtype.kind == "b" else value

    def value(self, x: Value) -> str:
        if isinstance(x, Literal):
            return self.literal(x)
        return x.name + "_" if x.name in _TAKEN else x.name

    def literal(self, x: Literal) -> str:
        kind = x.dtype.kind
        if kind == "b":
            return f"boolean({int(bool(x.value))})"
        if kind != "f":
            return f"{x.dtype.short}({int(x.value)})"
        value = float(x.value)
        if math.isfinite(value):
            return f"{x.dtype.short}({value!r})"
        return f"{x.dtype.short}({'nan' if math.isnan(value) else 'inf' if value > 0 else '-inf'})"
