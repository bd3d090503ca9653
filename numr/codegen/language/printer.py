"""Print Kernel IR in Python syntax, the form that Numba's compilers read.

Lanes are one after another here: a loop dealt out to them is a loop. A backend's printer subclasses
`PythonPrinter` where its spelling differs; policy has no place here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Barrier,
    Combine,
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


class PythonPrinter:
    """Python text of kernels: `def entry(lo, hi, buffers..., sizes...)`."""

    def print(self, kernel: Kernel) -> str:
        """The whole function."""
        self.dtypes = {b.name: b.dtype for b in kernel.buffers}
        names = ["lo", "hi", *(b.name for b in kernel.buffers), *kernel.sizes]
        body = list(self.block(kernel.body, 1)) or ["    pass"]
        if kernel.lanes > 1:
            body.insert(0, "    lane = i64(0)")
        return "\n".join([f"def {kernel.entry}({', '.join(names)}):", *body, ""])

    def block(self, body: list[Statement], depth: int) -> Iterator[str]:
        pad = "    " * depth
        for statement in body:
            if isinstance(statement, For):
                bounds = f"{self.value(statement.lo)}, {self.value(statement.hi)}"
                yield f"{pad}for {statement.var.name} in range({bounds}):"
                yield from list(self.block(statement.body, depth + 1)) or [pad + "    pass"]
            elif isinstance(statement, If):
                yield f"{pad}if {self.value(statement.condition)}:"
                yield from self.block(statement.body, depth + 1)
            elif isinstance(statement, (Barrier, Combine)):
                continue  # there is one lane
            elif isinstance(statement, Let) and statement.op == "guarded_load":
                condition, index = statement.args
                yield f"{pad}{statement.var.name} = {self.literal(Literal(0, statement.var.dtype))}"
                yield f"{pad}if {self.value(condition)}:"
                yield f"{pad}    {statement.var.name} = {self.load(statement.buffer, index)}"
            else:
                yield pad + self.statement(statement)

    def statement(self, s: Statement) -> str:
        if isinstance(s, Let):
            return f"{s.var.name} = {self.expression(s)}"
        if isinstance(s, (Declare, Assign)):
            return f"{s.var.name} = {self.value(s.value)}"
        if isinstance(s, Accumulate):
            return f"{s.var.name} = {self.combine(s.monoid, s.var.name, self.value(s.value), s.var.dtype, s.free)}"
        assert isinstance(s, Store)
        place = f"{s.buffer}[{self.value(s.index)}]"
        dtype = self.dtypes[s.buffer]
        if s.mode == "set":
            return f"{place} = {self.stored(self.value(s.value), dtype)}"
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
        return x.name if isinstance(x, Var) else self.literal(x)

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
