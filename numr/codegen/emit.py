"""The statements of one kernel: every expression in the outermost loop that binds its axes.

Each distinct expression is computed once per iteration of that loop, so hoisting and common
subexpressions need no pass of their own. Reductions at one place over the same axes that do not
depend on each other share a loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numr.codegen.deferred import Branch, while_it_changes
from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Break,
    Combine,
    Declare,
    For,
    If,
    Let,
    Literal,
    Statement,
    Store,
    Value,
    Var,
)
from numr.codegen.lowered import Factors, product
from numr.codegen.prepare import (
    factors,
    reachable,
)
from numr.codegen.region import INDEX, Axis, Expr, ExprBuilder, Output, Region
from numr.codegen.schedule import Schedule
from numr.dtypes import DType, bool_
from numr.ir import scalar as S
from numr.primitives.source import highest, lowest


def identity(monoid: str, dtype: DType) -> Literal:
    """What a reduction starts from."""
    if monoid in ("and", "or"):
        return Literal(monoid == "and", dtype)
    if monoid in ("add", "mul"):
        return Literal(1 if monoid == "mul" else 0, dtype)
    return Literal(lowest(dtype) if monoid == "max" else highest(dtype), dtype)


def evaluated(op: S.ScalarOp, numbers: Sequence[tuple[Any, DType]], dtype: DType) -> Any:
    """What an operation of known numbers comes to, in a dtype."""
    with np.errstate(all="ignore"):
        found = op.numpy(*[np.asarray(n, d.dtype) for n, d in numbers])
    return np.asarray(found).astype(dtype.dtype).item()


def fits(number: Literal) -> bool:
    """Whether a device without wider integers has it; what has not is refused by name later on."""
    if number.dtype.kind == "b":
        return True
    limits = np.iinfo(number.dtype.dtype)
    return bool(limits.min <= number.value <= limits.max)


@dataclass(slots=True)
class _Scope:
    """An open loop (or the kernel's body): the axes bound so far and the values computed in it."""

    bound: frozenset[Axis]
    body: list[Statement]
    known: dict[Expr, Value] = field(default_factory=dict)
    loop: For | None = None
    binds: frozenset[Axis] = frozenset()  # by this loop, maybe anew
    own: frozenset[Expr] = frozenset()  # what only this side of a branch needs
    finished: dict[Expr, list[Var]] = field(default_factory=dict)  # what loops inside ended with


class Emitter:
    """Writes the statements of one kernel."""

    def __init__(self, builder: ExprBuilder, region: Region, schedule: Schedule) -> None:
        self.builder = builder
        self.region = region
        self.index = schedule.index
        self.lanes = schedule.lanes
        self.joined = schedule.joined
        self.zero = Literal(0, self.index)
        self.range = Var("lo", self.index), Var("hi", self.index)
        self.lane = Var("lane", self.index)
        self.sizes: dict[Factors, Var] = {}
        self.count = 0
        self.scopes = [_Scope(frozenset(), [])]
        self.variables: dict[Axis, list[Value]] = {}
        self.buffers = {k: f"a{k}" for k in range(len(region.operands))}
        self.cached: dict[Expr, tuple[str, tuple[Expr, ...], tuple[Any, ...]]] = {}
        self.groups: dict[Expr, list[Expr]] = {}
        self.branches: dict[Expr, Branch] = {}
        self.keep: dict[Expr, tuple[str, tuple[Expr, ...], tuple[Any, ...]]] = {}

    # -- names -----------------------------------------------------------------------------------

    def concrete(self, dtype: DType) -> DType:
        """A dtype as the device has it."""
        return self.index if dtype is INDEX else dtype

    def fresh(self, dtype: DType) -> Var:
        self.count += 1
        return Var(f"v{self.count}", self.concrete(dtype))

    def size(self, extent: Any) -> Value:
        """A product of lengths as a value: a literal, or a size parameter."""
        terms = list(factors(extent))
        if all(isinstance(t, int) for t in terms):
            return Literal(product(tuple(terms), ()), self.index)
        key = tuple(t for t in terms if t != 1)
        if key not in self.sizes:
            self.sizes[key] = Var(f"s{len(self.sizes)}", self.index)
        return self.sizes[key]

    # -- loops -----------------------------------------------------------------------------------

    def open(self, axis: Axis, lo: Value, hi: Value, dealt: bool = False) -> None:
        """Open a loop; one that is to be dealt out to the lanes is, unless it is inside another."""
        outer = self.scopes[-1]
        self.count += 1
        loop = For(Var(f"i{self.count}", self.index), lo, hi, dealt=dealt and self.alike)
        self.variables.setdefault(axis, []).append(loop.var)
        own = frozenset((axis,))
        self.scopes.append(_Scope(outer.bound | own, loop.body, {}, loop, own))

    def open_nest(self, axes: Sequence[Axis]) -> None:
        """Loops over whole axes; the innermost, which memory runs along, is dealt out, or all as one."""
        if self.joined and len(axes) > 1 and self.alike:
            self._open_joined(axes, self.zero, None)
            return
        for k, axis in enumerate(axes):
            self.open(axis, self.zero, self.size(axis.extent), dealt=k == len(axes) - 1)

    def close_nest(self, axes: Sequence[Axis]) -> None:
        if len(axes) > 1 and self._opened() >= set(axes):
            self._close_joined(axes)
            return
        for axis in reversed(axes):
            self.close(axis)

    @property
    def alike(self) -> bool:
        """Whether several lanes do the same at this place."""
        return self.lanes > 1 and not any(s.loop is not None and s.loop.dealt for s in self.scopes)

    def open_grid(self, axes: Sequence[Axis]) -> None:
        """The loop over the kernel's range, of one axis, or of the product of several."""
        self.open_range(axes, *self.range)

    def open_range(self, axes: Sequence[Axis], lo: Value, hi: Value) -> None:
        """A loop over a part of one axis, or of the product of several in row-major order."""
        if len(axes) == 1:
            self.open(axes[0], lo, hi)
        else:
            self._open_joined(axes, lo, hi)

    def _open_joined(self, axes: Sequence[Axis], lo: Value, hi: Value | None) -> None:
        """One loop over the product of axes, in row-major order; without bounds, dealt out."""
        flat = Axis("flat", tuple(f for a in axes for f in factors(a.extent)))  # type: ignore[arg-type]
        self.open(flat, lo, self.size(flat.extent) if hi is None else hi, dealt=hi is None)
        scope = self.scopes[-1]
        rest: Value = self.variables[flat][-1]
        for axis in reversed(axes[1:]):
            width = self.size(axis.extent)
            self.variables.setdefault(axis, []).append(self.let("urem", (rest, width), INDEX))
            rest = self.let("udiv", (rest, width), INDEX)
        self.variables.setdefault(axes[0], []).append(rest)
        scope.bound |= set(axes)
        scope.binds |= set(axes)

    def close_range(self, axes: Sequence[Axis]) -> None:
        if len(axes) > 1:
            self._close_joined(axes)
        else:
            self.close(axes[0])

    def _close_joined(self, axes: Sequence[Axis]) -> None:
        for axis in axes:
            self.variables[axis].pop()
        self.close(next(a for a in self._opened() if a.name == "flat"))

    def _opened(self) -> frozenset[Axis]:
        """The axes that the innermost loop binds."""
        return self.scopes[-1].binds

    def close(self, axis: Axis) -> None:
        scope = self.scopes.pop()
        self.variables[axis].pop()
        assert scope.loop is not None
        self.scopes[-1].body.append(scope.loop)

    def statement(self, statement: Statement) -> None:
        self.scopes[-1].body.append(statement)

    # -- expressions -----------------------------------------------------------------------------

    def _home(self, expr: Expr) -> int:
        """The outermost open scope where the expression can be computed: inside the innermost loop over
        each of its axes, for a reduction may go over an axis that a loop around it has too."""
        if not expr.free <= self.scopes[-1].bound:
            raise AssertionError(f"{expr} uses axes that no open loop binds")
        for k in range(len(self.scopes) - 1, 0, -1):
            if not expr.free.isdisjoint(self.scopes[k].binds) or expr in self.scopes[k].own:
                return k
        return 0

    def value(self, expr: Expr) -> Value:
        if expr.kind == "const":
            return Literal(expr.data, self.concrete(expr.dtype))
        if expr.kind == "axis":
            return self.variables[expr.data][-1]
        if expr.kind == "size":
            return self.size(expr.data)
        home = self._home(expr)
        found = self.scopes[home].known.get(expr)
        if found is not None:
            return found
        inner, self.scopes = self.scopes[home + 1 :], self.scopes[: home + 1]
        result = self._emit(expr)
        if expr in self.keep:
            buffer, index, shape = self.cached[expr] = self.keep.pop(expr)
            self.statement(Store(buffer, self.linear(index, shape), result))
        self.scopes[home].known[expr] = result
        self.scopes = self.scopes + inner
        return result

    def values(self, exprs: Sequence[Expr]) -> list[Value]:
        """Several, and what they are made of in order, so that no recursion is as deep as a step is long."""
        stack = [*reversed(exprs)]
        seen: set[Expr] = set()
        while stack:
            e = stack[-1]
            parts = [a for a in self._parts(e) if a.args and a not in seen] if e not in seen else []
            seen.add(e)
            if parts:
                stack += reversed(parts)
            else:
                self.value(stack.pop())
        return [self.value(e) for e in exprs]

    def _parts(self, expr: Expr) -> Sequence[Expr]:
        """What is computed for an expression whatever happens, where it is itself."""
        if any(expr in scope.known for scope in self.scopes):
            return ()
        if expr in self.branches:
            return (self.branches[expr].condition,)
        if expr.kind == "guarded":
            return expr.args[-1:]
        return expr.args if expr.kind in ("op", "cast", "bitcast", "load") else ()

    def _emit(self, expr: Expr) -> Value:
        if expr in self.cached:
            buffer, place, extents = self.cached[expr]
            return self.let("load", (self.linear(place, extents),), expr.dtype, buffer)
        if expr.kind == "reduce":
            self._reduce(self.groups.get(expr, [expr]))
            return self.scopes[-1].known[expr]
        if expr.kind == "result":
            (rounds,) = expr.args
            if rounds not in self.scopes[-1].finished:
                self.scopes[-1].finished[rounds] = self._rounds(rounds)
            ended = self.scopes[-1].finished[rounds]
            return ended[expr.data]  # type: ignore[no-any-return]
        if expr in self.branches:
            self._branch(self.branches[expr])
            return self.scopes[-1].known[expr]
        if expr.kind == "load":
            shape = self.region.operands[expr.data].shape
            return self.let(
                "load", (self.linear(expr.args, shape),), expr.dtype, self.buffers[expr.data]
            )
        if expr.kind == "guarded":
            shape = self.region.operands[expr.data].shape
            condition = self.value(expr.args[-1])
            if isinstance(condition, Literal) and not condition.value:
                return Literal(0, self.concrete(expr.dtype))  # such a place may not even be written
            index = self.linear(expr.args[:-1], shape)
            return self.let("guarded_load", (condition, index), expr.dtype, self.buffers[expr.data])
        args: tuple[Value, ...] = tuple(self.value(a) for a in expr.args)
        if expr.kind == "cast" and args[0].dtype is self.concrete(expr.dtype):
            return args[0]
        literals = [a for a in args if isinstance(a, Literal) and a.dtype.kind in "bi" and fits(a)]
        if expr.kind == "cast" and literals and expr.dtype.kind == "i":
            to = self.concrete(expr.dtype)
            number = np.asarray(literals[0].value, literals[0].dtype.dtype)
            return Literal(number.astype(to.dtype).item(), to)  # not every compiler has such a cast
        if expr.kind in ("cast", "bitcast"):
            return self.let(expr.kind, args, expr.dtype)
        if len(literals) == len(args):
            return self._folded(expr, literals)
        return self.let(expr.data.name, args, expr.dtype)

    def _folded(self, expr: Expr, args: Sequence[Literal]) -> Literal:
        """What positions in loops that were written out come to."""
        dtype = self.concrete(expr.dtype)
        return Literal(evaluated(expr.data, [(a.value, a.dtype) for a in args], dtype), dtype)

    def let(self, op: str, args: tuple[Value, ...], dtype: DType, buffer: str = "") -> Var:
        var = self.fresh(dtype)
        self.statement(Let(var, op, args, buffer))
        return var

    def linear(self, index: Sequence[Expr], shape: Sequence[Any]) -> Value:
        """The flat position of an index, written so that outer terms are computed in outer loops."""
        b = self.builder
        total: Expr | None = None
        for k, e in enumerate(index):
            if e.kind == "const" and e.data == 0:
                continue
            stride: list[Any] = [f for extent in shape[k + 1 :] for f in factors(extent)]
            term = e
            if any(f != 1 for f in stride):
                literal = all(isinstance(f, int) for f in stride)
                step = (
                    b.const(product(tuple(stride), ()), INDEX)
                    if literal
                    else b._make("size", tuple(f for f in stride if f != 1), (), INDEX)
                )
                term = b.op(S.mul, e, step)
            total = term if total is None else b.op(S.add, total, term)
        return self.value(total) if total is not None else self.zero

    # -- loops inside ----------------------------------------------------------------------------

    def _rounds(self, rounds: Expr) -> list[Var]:
        """A loop that ends with these values."""
        axis, half = rounds.data, len(rounds.args) // 2
        starts, nexts = rounds.args[:half], list(rounds.args[half:])
        variables = []
        for start, value in zip(starts, self.values(starts), strict=True):
            variables.append(self.fresh(start.dtype))
            self.statement(Declare(variables[-1], value))
        carried = [self.builder.carried(axis, k, s.dtype) for k, s in enumerate(starts)]
        self.open(axis, self.zero, self.size(axis.extent))
        self.scopes[-1].known.update(zip(carried, variables, strict=True))
        stop = while_it_changes(nexts, carried, axis)
        if stop is not None:
            self.stop_unless(stop[0])
            nexts = stop[1]
        self.carry_on(variables, self.values(nexts))
        self.close(axis)
        return variables

    def stop_unless(self, condition: Expr, *before: Statement) -> None:
        """End the innermost loop where a condition fails."""
        ended = self.let("invert", (*self.values([condition]),), bool_)
        self.statement(If(ended, [*before, Break()]))

    def carry_on(self, variables: Sequence[Var], values: Sequence[Value]) -> None:
        """Give variables new values, which may be those of one another."""
        moved = list(values)
        for k, (var, value) in enumerate(zip(variables, values, strict=True)):
            if value is not var and value in variables:
                copy = self.fresh(value.dtype)
                self.statement(Declare(copy, value))
                moved[k] = copy
        for var, value in zip(variables, moved, strict=True):
            if value is not var:
                self.statement(Assign(var, value))

    # -- branches --------------------------------------------------------------------------------

    @contextmanager
    def under(self, condition: Value, own: frozenset[Expr] = frozenset()) -> Iterator[None]:
        """Statements under a condition; `own` is what is computed nowhere else."""
        here = If(condition)
        self.scopes.append(_Scope(self.scopes[-1].bound, here.body, own=own))
        yield
        self.scopes.pop()
        self.statement(here)

    def _branch(self, branch: Branch) -> None:
        """Choices by one condition, each side's own work where it is taken."""
        condition = self.value(branch.condition)
        yes, no = branch.sides
        results = []
        for e in branch.choices:
            # A side that needs no work is what the result is to begin with.
            ready = next(
                (a for a, own in zip(e.args[1:], (yes, no), strict=True) if a not in own), None
            )
            start = Literal(0, self.concrete(e.dtype)) if ready is None else self.value(ready)
            var = self.fresh(e.dtype)
            self.statement(Declare(var, start))
            results.append((var, ready))
        for side, own in ((1, yes), (2, no)):
            todo = [
                (var, e.args[side])
                for e, (var, ready) in zip(branch.choices, results, strict=True)
                if e.args[side] is not ready
            ]
            if not todo:
                continue
            if side == 2:
                condition = self.let("invert", (condition,), bool_)
            with self.under(condition, own):
                values = self.values([e for _, e in todo])
                for (var, _), value in zip(todo, values, strict=True):
                    self.statement(Assign(var, value))
        for e, (var, _) in zip(branch.choices, results, strict=True):
            self.scopes[-1].known[e] = var

    # -- reductions ------------------------------------------------------------------------------

    def _reduce(self, group: Sequence[Expr]) -> None:
        """Reductions over the same axes in one loop nest."""
        axes: tuple[Axis, ...] = group[0].data[1]
        accumulators = []
        for r in group:
            var = self.fresh(r.dtype)
            self.statement(Declare(var, identity(r.data[0], r.dtype)))
            accumulators.append(var)
        apart = self.alike
        self.open_nest(axes)
        self.accumulate(group, accumulators)
        self.close_nest(axes)
        if apart:
            self.combine(group, accumulators)
        for r, var in zip(group, accumulators, strict=True):
            self.scopes[-1].known[r] = var

    def accumulate(self, group: Sequence[Expr], accumulators: Sequence[Var]) -> None:
        for r, var in zip(group, accumulators, strict=True):
            self.statement(Accumulate(var, r.data[0], self.value(r.args[0]), r.dtype.kind == "f"))

    def combine(self, group: Sequence[Expr], accumulators: Sequence[Var]) -> None:
        """What the lanes accumulated becomes one."""
        for r, var in zip(group, accumulators, strict=True):
            self.statement(Combine(var, r.data[0]))

    def plan_reductions(self, roots: Sequence[Expr]) -> None:
        """Which reductions share a loop: same axes, same place, none built on another."""
        levels: dict[Expr, int] = {}
        table: dict[Any, list[Expr]] = {}
        for expr in reachable(roots):
            below = max((levels[a] for a in expr.args), default=0)
            levels[expr] = below
            if expr.kind == "reduce":
                levels[expr] = below + 1
                table.setdefault((expr.data[1], expr.free, below), []).append(expr)
        for members in table.values():
            for member in members:
                self.groups[member] = members

    # -- results ---------------------------------------------------------------------------------

    def store(
        self, output: Output, buffer: str, condition: Value | None = None, atomic: bool = False
    ) -> None:
        """Store a result, under a condition if there is one."""
        value = self.value(output.expr)
        store = Store(buffer, self.linear(output.index, output.shape), value, output.mode, atomic)
        if condition is None:
            self.write(store)
        else:
            self.statement(If(condition, [store]))

    def write(self, store: Store) -> None:
        """A store; of lanes that would all do it, the first one does."""
        if not self.alike:
            self.statement(store)
            return
        first = self.let("eq", (self.lane, self.zero), bool_)
        self.statement(If(first, [store]))
