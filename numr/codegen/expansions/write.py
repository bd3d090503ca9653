"""Kernel IR written by hand: values with operators, loops and conditions as `with` blocks.

w = Writer(int32, lanes=4)
x, out = w.buffer(float32), w.buffer(float32, written=True)
n = w.size()
with w.grid() as i:
    w.store(out, i, w.load(x, i) * 2)
kernel = w.kernel()
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Barrier,
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
    Var,
    verify,
)
from numr.codegen.mathematics import decomposed
from numr.codegen.prepare import reachable
from numr.codegen.region import Expr, ExprBuilder
from numr.dtypes import DType, bool_
from numr.ir.scalar import TABLE

_COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))


class Term:
    """A value in a kernel being written; arithmetic with it writes statements."""

    __slots__ = ("value", "writer")

    def __init__(self, writer: Writer, value: Value) -> None:
        self.writer = writer
        self.value = value

    @property
    def dtype(self) -> DType:
        return self.value.dtype

    def _with(self, op: str, other: Any, swapped: bool = False) -> Term:
        y = self.writer.term(other, self.dtype)
        return self.writer.op(op, y, self) if swapped else self.writer.op(op, self, y)

    def __add__(self, other: Any) -> Term:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Term:
        return self._with("add", other, swapped=True)

    def __sub__(self, other: Any) -> Term:
        return self._with("sub", other)

    def __rsub__(self, other: Any) -> Term:
        return self._with("sub", other, swapped=True)

    def __mul__(self, other: Any) -> Term:
        return self._with("mul", other)

    def __truediv__(self, other: Any) -> Term:
        return self._with("div", other)

    def __floordiv__(self, other: Any) -> Term:
        """Of positions: neither is negative."""
        return self._with("udiv", other)

    def __mod__(self, other: Any) -> Term:
        return self._with("urem", other)

    def __lt__(self, other: Any) -> Term:
        return self._with("lt", other)

    def __le__(self, other: Any) -> Term:
        return self._with("le", other)

    def __gt__(self, other: Any) -> Term:
        return self._with("gt", other)

    def __ge__(self, other: Any) -> Term:
        return self._with("ge", other)

    def __and__(self, other: Any) -> Term:
        return self._with("and", other)

    def __or__(self, other: Any) -> Term:
        return self._with("or", other)

    def __invert__(self) -> Term:
        return self.writer.op("invert", self)

    def __neg__(self) -> Term:
        return self.writer.op("neg", self)

    def same(self, other: Any) -> Term:
        return self._with("eq", other)

    def differs(self, other: Any) -> Term:
        return self._with("ne", other)


class Writer:
    """A kernel being written."""

    def __init__(self, index: DType, lanes: int = 1, native: Collection[str] | None = None) -> None:
        """`native` names the mathematical functions that the device has; None if it has all."""
        self.index = index
        self.lanes = lanes
        self.native = native
        self.lane = Term(self, Var("lane", index))
        self._body: list[Statement] = []
        self._buffers: list[Buffer] = []
        self._sizes: list[str] = []
        self._shared: list[Shared] = []
        self._count = 0

    def kernel(self) -> Kernel:
        """What has been written."""
        made = Kernel(
            tuple(self._buffers), tuple(self._sizes), self._body, self.lanes, tuple(self._shared)
        )
        verify(made)
        return made

    # -- parameters ------------------------------------------------------------------------------

    def buffer(self, dtype: DType, written: bool = False) -> Buffer:
        made = Buffer(f"a{len(self._buffers)}", dtype, written)
        self._buffers.append(made)
        return made

    def size(self) -> Term:
        self._sizes.append(f"s{len(self._sizes)}")
        return Term(self, Var(self._sizes[-1], self.index))

    def shared(self, dtype: DType, length: int) -> Shared:
        made = Shared(f"m{len(self._shared)}", dtype, length)
        self._shared.append(made)
        return made

    # -- values ----------------------------------------------------------------------------------

    def term(self, x: Any, dtype: DType) -> Term:
        return x if isinstance(x, Term) else Term(self, Literal(x, dtype))

    def position(self, x: int) -> Term:
        return Term(self, Literal(x, self.index))

    def _fresh(self, dtype: DType, prefix: str = "v") -> Var:
        self._count += 1
        return Var(f"{prefix}{self._count}", dtype)

    def op(self, name: str, *args: Term) -> Term:
        """A scalar operation by its name in the scalar table."""
        dtype = args[1].dtype if name == "select" else args[0].dtype
        if name in _COMPARISONS or name.startswith("is"):
            dtype = bool_
        var = self._fresh(dtype)
        self._body.append(Let(var, name, tuple(a.value for a in args)))
        return Term(self, var)

    def select(self, condition: Term, yes: Any, no: Any) -> Term:
        dtype = yes.dtype if isinstance(yes, Term) else no.dtype
        return self.op("select", condition, self.term(yes, dtype), self.term(no, dtype))

    def cast(self, x: Term, dtype: DType) -> Term:
        if x.dtype is dtype:
            return x
        var = self._fresh(dtype)
        self._body.append(Let(var, "cast", (x.value,)))
        return Term(self, var)

    def load(self, memory: Buffer | Shared, at: Any) -> Term:
        var = self._fresh(memory.dtype)
        place = self.term(at, self.index)
        self._body.append(Let(var, "load", (place.value,), memory.name))
        return Term(self, var)

    def load_if(self, condition: Term, memory: Buffer, at: Term) -> Term:
        """An element, or 0 where the condition fails and nothing is read."""
        var = self._fresh(memory.dtype)
        self._body.append(Let(var, "guarded_load", (condition.value, at.value), memory.name))
        return Term(self, var)

    def store(self, memory: Buffer | Shared, at: Any, value: Any) -> None:
        place = self.term(at, self.index)
        stored = self.term(value, memory.dtype)
        self._body.append(Store(memory.name, place.value, stored.value))

    def variable(self, value: Term) -> Term:
        """A variable that `assign` changes."""
        var = self._fresh(value.dtype, "u")
        self._body.append(Declare(var, value.value))
        return Term(self, var)

    def copy(self, variable: Term) -> Term:
        """What a variable holds now."""
        return self.variable(variable)

    def function(self, name: str, x: Term) -> Term:
        """A mathematical function, which a device may lack: see `numr.codegen.mathematics`."""
        b = ExprBuilder()
        leaf = b.load(0, (), x.dtype)
        expr = b.op(TABLE[name], leaf)
        if self.native is not None:
            (expr,) = decomposed(b, [expr], self.native)
        return self.expression(expr, {leaf: x})

    def expression(self, expr: Expr, known: dict[Expr, Term]) -> Term:
        """The statements of a scalar expression, given those of its leaves."""
        for e in reachable([expr]):
            if e in known:
                continue
            if e.kind == "const":
                known[e] = self.term(e.data, e.dtype)
            else:
                name = e.data.name if e.kind == "op" else e.kind
                var = self._fresh(e.dtype)
                self._body.append(Let(var, name, tuple(known[a].value for a in e.args)))
                known[e] = Term(self, var)
        return known[expr]

    def assign(self, variable: Term, value: Term) -> None:
        assert isinstance(variable.value, Var)
        self._body.append(Assign(variable.value, value.value))

    def add_to(self, total: Term, value: Term) -> None:
        """A step of a sum whose terms may be added in any order, and round once with a product in them."""
        assert isinstance(total.value, Var)
        self._body.append(Accumulate(total.value, "add", value.value, total.dtype.kind == "f"))

    # -- control ---------------------------------------------------------------------------------

    @contextmanager
    def _inside(self, statement: For | If) -> Iterator[None]:
        outer, self._body = self._body, statement.body
        yield
        self._body = outer
        outer.append(statement)

    @contextmanager
    def grid(self) -> Iterator[Term]:
        """The points of the kernel's range."""
        var = self._fresh(self.index, "i")
        with self._inside(For(var, Var("lo", self.index), Var("hi", self.index))):
            yield Term(self, var)

    @contextmanager
    def loop(self, lo: Any, hi: Any, dealt: bool = False) -> Iterator[Term]:
        """A loop over [lo, hi), dealt out to the lanes or run by each of them."""
        var = self._fresh(self.index, "i")
        first, end = (self.term(x, self.index).value for x in (lo, hi))
        with self._inside(For(var, first, end, dealt=dealt and self.lanes > 1)):
            yield Term(self, var)

    @contextmanager
    def when(self, condition: Term) -> Iterator[None]:
        with self._inside(If(condition.value)):
            yield

    @contextmanager
    def first_lane(self) -> Iterator[None]:
        """What one lane does for all."""
        if self.lanes == 1:
            yield
            return
        with self.when(self.lane.same(0)):
            yield

    def barrier(self) -> None:
        if self.lanes > 1:
            self._body.append(Barrier())

    def combine(self, variable: Term, monoid: str) -> None:
        """The variables of all lanes become one."""
        assert isinstance(variable.value, Var)
        if self.lanes > 1:
            self._body.append(Combine(variable.value, monoid))
