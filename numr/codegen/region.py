"""Regions: one fused iteration space as scalar index expressions (the algorithm, without a schedule).

A Region says what every output element is, as a pure expression of the output's axes: loads from
operands at index expressions, scalar operations, and reductions over further axes. It says nothing
of loops, threads or storage; `schedule.py` and `lower.py` decide those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from numr.dtypes import DType, bool_
from numr.ir.dims import Extent
from numr.ir.scalar import ScalarOp

Monoid = Literal["add", "mul", "max", "min", "and", "or"]

# Positions and lengths: int64 or int32 in a kernel, as its device has it. No user's number has this
# dtype: it is cast to it where it indexes, and from it where a position is a value.
INDEX = DType("int64", "i", "index")


@dataclass(frozen=True, slots=True)
class Sum:
    """A length that is the sum of others: where a part of a joined array begins."""

    terms: tuple[Extent, ...]


class Axis:
    """One iteration variable. Identity is equality; `extent` is a Dim or a literal int."""

    __slots__ = ("extent", "name")

    def __init__(self, name: str, extent: Extent) -> None:
        self.name = name
        self.extent = extent

    def __repr__(self) -> str:
        return f"{self.name}<{self.extent}>"


class Expr:
    """One interned scalar expression. Build through `ExprBuilder`, never directly.

    kind    data                      args                      dtype
    const   Python value              ()                        any
    axis    Axis                      ()                        INDEX
    size    Dim or Sum                ()                        INDEX: its value
    load    operand number            one index Expr per dim    the operand's
    guarded operand number            the same, and a condition  the operand's; 0 where it fails, unread
    op      ScalarOp                  operands                  per the scalar table
    bitcast None                      (x,)                      the target, of equal width
    cast    None                      (x,)                      the target
    reduce  (Monoid, (Axis, ...))     (body,)                   the body's (its accumulator's too)
    rounds  Axis                      starts, then nexts        of a loop inside: what it carries, by number
    carried (Axis, number)            ()                        what its rounds begin with
    result  number                    (rounds,)                 what it ends with
    """

    __slots__ = ("args", "data", "dtype", "free", "kind", "number")

    def __init__(
        self,
        kind: str,
        data: Any,
        args: tuple[Expr, ...],
        dtype: DType,
        free: frozenset[Axis],
        number: int,
    ) -> None:
        self.kind = kind
        self.data = data
        self.args = args
        self.dtype = dtype
        self.free = free  # axes the value depends on (a reduce binds its own)
        self.number = number  # creation order: arguments always come before their users

    @property
    def cost(self) -> int:
        """Its own work in additions."""
        return int(self.data.cost) if self.kind == "op" else 1

    def __repr__(self) -> str:
        # Arguments by number: written out, shared ones would repeat, exponentially in the depth.
        head = self.kind if self.data is None else f"{self.kind}[{self.data}]"
        args = ", ".join([f"#{a.number}" for a in self.args])
        return f"#{self.number} = {head}({args})"


@dataclass(slots=True)
class ExprBuilder:
    """Creates Exprs, each distinct one once, so common subexpressions are shared by identity."""

    table: dict[tuple[Any, ...], Expr] = field(default_factory=dict)

    def _make(
        self,
        kind: str,
        data: Any,
        args: tuple[Expr, ...],
        dtype: DType,
        bound: tuple[Axis, ...] = (),
    ) -> Expr:
        # repr keeps -0.0 apart from 0.0 and 1 apart from True; NaNs of one dtype are one constant.
        key = (kind, repr(data) if kind == "const" else data, args, dtype)
        found = self.table.get(key)
        if found is None:
            free: frozenset[Axis] = frozenset()
            if kind in ("axis", "carried"):
                free = frozenset((data,) if kind == "axis" else data[:1])
            if args:
                free = free.union(*(a.free for a in args)).difference(bound)
            found = Expr(kind, data, args, dtype, free, len(self.table))
            self.table[key] = found
        return found

    def const(self, value: Any, dtype: DType) -> Expr:
        return self._make("const", value, (), dtype)

    def axis(self, axis: Axis) -> Expr:
        return self._make("axis", axis, (), INDEX)

    def size(self, dim: Extent | Sum) -> Expr:
        if isinstance(dim, int):
            return self.const(dim, INDEX)
        if isinstance(dim, Sum) and all(isinstance(n, int) for n in dim.terms):
            return self.const(sum(dim.terms), INDEX)
        return self._make("size", dim, (), INDEX)

    def load(
        self, operand: int, index: tuple[Expr, ...], dtype: DType, guard: Expr | None = None
    ) -> Expr:
        if guard is not None:
            return self._make("guarded", operand, (*index, guard), dtype)
        return self._make("load", operand, index, dtype)

    def op(self, op: ScalarOp, *args: Expr) -> Expr:
        if op.symmetric and args[0].number > args[1].number:
            args = args[::-1]  # a * b and b * a are one expression
        operand = args[1].dtype if op.name == "select" else args[0].dtype
        return self._make("op", op, args, op.result_dtype(operand))

    def cast(self, x: Expr, dtype: DType) -> Expr:
        return x if x.dtype is dtype else self._make("cast", None, (x,), dtype)

    def bitcast(self, x: Expr, dtype: DType) -> Expr:
        return self._make("bitcast", None, (x,), dtype)

    def rounds(self, axis: Axis, starts: Sequence[Expr], nexts: Sequence[Expr]) -> Expr:
        return self._make("rounds", axis, (*starts, *nexts), bool_, bound=(axis,))

    def carried(self, axis: Axis, number: int, dtype: DType) -> Expr:
        return self._make("carried", (axis, number), (), dtype)

    def result(self, rounds: Expr, number: int) -> Expr:
        return self._make("result", number, (rounds,), rounds.args[number].dtype)

    def reduce(self, monoid: Monoid, axes: tuple[Axis, ...], body: Expr) -> Expr:
        return self._make("reduce", (monoid, axes), (body,), body.dtype, bound=axes)


@dataclass(frozen=True, slots=True)
class Operand:
    """One input buffer: C-contiguous, row-major. Its dims are Dims or literal ints."""

    dtype: DType
    shape: tuple[Extent, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """One result: for every point of `axes`, `expr` is stored at `index` of a buffer of `shape`.

    mode "set": every element of the buffer is written exactly once. mode "add": the buffer is given
    with its initial contents and the expression is added at `index`, which may repeat (a scatter);
    also "mul", "max", "min" and "replace" (the last write in index order wins). See Loop for other modes.
    `slot` is the buffer's number among the region's results (several outputs may share one).
    `axes` are the output axes this output iterates (a reduction output has fewer than its siblings).
    """

    expr: Expr
    index: tuple[Expr, ...]
    axes: tuple[Axis, ...]
    shape: tuple[Extent, ...]
    dtype: DType
    slot: int
    mode: str = "set"


@dataclass(frozen=True, slots=True)
class Loop:
    """That a region is gone through round after round, at each of its points by itself.

    Its outputs are then what is carried into the first round (of mode "start"), into the next one
    ("next", in order of slots), whether there is to be a round ("go"), and results of every round ("set").

    Attributes:
        axis: the rounds. Its extent is how many there are; with a "go", at most.
        lanes: the axes of the points.
        carried: which operand stands for what is carried in which slot. It is no buffer; its loads have the
            round as their first index, and are where the slot's outputs are.
    """

    axis: Axis
    lanes: tuple[Axis, ...]
    carried: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Region:
    """Outputs that are computed together by one kernel (or one short sequence of kernels)."""

    operands: tuple[Operand, ...]
    outputs: tuple[Output, ...]
    loop: Loop | None = None
