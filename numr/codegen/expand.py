"""Expand graph nodes into scalar expressions of an index: how fused nodes become one Region."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numr.codegen.region import Axis, Expr, ExprBuilder, Operand
from numr.dtypes import bool_
from numr.ir import scalar as S
from numr.ir.dims import Dim, Extent
from numr.ir.node import Node

Index = tuple[Expr, ...]

# A reduction over at most this many elements of literal extent costs about as much as arithmetic.
SMALL_REDUCTION = 8


class MustStore(Exception):
    """Raised while expanding: this node cannot be computed inside the kernel being built."""

    def __init__(self, node: Node, reason: str) -> None:
        super().__init__(reason)
        self.node = node
        self.reason = reason


class AxisPool:
    """Canonical iteration axes, by extent: equal positions in different expressions get equal axes,
    so that expressions meant for the same loop are the same expression."""

    def __init__(self) -> None:
        self._axes: dict[Any, list[Axis]] = {}

    def pick(self, extent: Extent, taken: Callable[[Axis], bool]) -> Axis:
        """The first axis of this extent that is not taken (a new one if all are)."""
        axes = self._axes.setdefault(extent, [])
        for axis in axes:
            if not taken(axis):
                return axis
        axis = Axis(f"i{sum(map(len, self._axes.values()))}", extent)
        axes.append(axis)
        return axis


class Expander:
    """The context in which primitives write themselves as scalar expressions.

    `inside(node)` says whether a node is to be inlined; every other node is loaded from its buffer.
    """

    def __init__(
        self,
        builder: ExprBuilder,
        pool: AxisPool,
        extent: Callable[[int], Extent],
        inside: Callable[[Node], bool],
        base: Callable[[Node], Node],
    ) -> None:
        self.builder = builder
        self.pool = pool
        self.extent = extent
        self.inside = inside
        self.base = base
        self.operands: list[Operand] = []
        self.sources: list[Node] = []  # the stored node behind each operand
        self.order: tuple[
            Axis, ...
        ] = ()  # loop order so far: output axes, then enclosing reductions
        self.visits: dict[Node, set[Index]] = {}
        self._slots: dict[tuple[Any, ...], int] = {}
        self._memo: dict[tuple[Any, ...], Expr] = {}
        self.true = builder.const(True, bool_)
        self.guard: Expr | None = None  # under what condition the current element is wanted at all
        self._zero = builder.const(0, builder.size(0).dtype)

    # -- roots -----------------------------------------------------------------------------------

    def output_axes(self, node: Node) -> tuple[Axis, ...]:
        """One axis for each axis of a result; axes of length 1 get none."""
        axes: list[Axis] = []
        for n in node.shape:
            if n != 1:
                axes.append(self.pool.pick(self.extent(n), axes.__contains__))
        return tuple(axes)

    def output_index(self, node: Node, axes: tuple[Axis, ...]) -> Index:
        rest = iter(axes)
        return tuple(self._zero if n == 1 else self.builder.axis(next(rest)) for n in node.shape)

    def root(self, node: Node, axes: tuple[Axis, ...]) -> Expr:
        """The expression of a result at its own axes."""
        self.order = axes
        index = self.output_index(node, axes)
        return self._expand(node, index)

    # -- what primitives call --------------------------------------------------------------------

    def element(self, node: Node, index: Index) -> Expr:
        """One element of a node: its expression if it is inlined, else a load."""
        if 1 in node.shape:
            # The only place there is, also where the element is not wanted: then it is read all the same.
            index = tuple(
                self._zero if n == 1 else e for e, n in zip(index, node.shape, strict=True)
            )
        return self._expand(node, index) if self.inside(node) else self._load(node, index)

    def _expand(self, node: Node, index: Index) -> Expr:
        # The loop order matters to nested reductions only through their legality, not their value.
        outer = self.guard
        if outer is not None and self._within_bounds(node, index):
            self.guard = None
        key = (node, index, self.guard)
        found = self._memo.get(key)
        if found is None:
            self.visits.setdefault(node, set()).add(index)
            found = self._memo[key] = self._written(node, index)
        self.guard = outer
        return found

    def _written(self, node: Node, index: Index) -> Expr:
        return node.prim.element(self, node, index)  # type: ignore[attr-defined, no-any-return]

    def _load(self, node: Node, index: Index) -> Expr:
        # A reshape of a stored array is the same memory under another shape, and axes of length 1 do
        # not matter: loads that differ in no more are one operand.
        guard = None if self.guard is None or self._within_bounds(node, index) else self.guard
        index = tuple(e for e, n in zip(index, node.shape, strict=True) if n != 1)
        key = (self.base(node), tuple(self.extent(n) for n in node.shape if n != 1))
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = len(self.operands)
            self.operands.append(Operand(node.dtype, key[1]))
            self.sources.append(key[0])
        return self.builder.load(slot, index, node.dtype, guard)

    def _within_bounds(self, node: Node, index: Index) -> bool:
        """Whether an index is in range by construction, so that no guard is needed."""
        return all(
            n == 1 or (e.kind == "axis" and e.data.extent == self.extent(n))
            for e, n in zip(index, node.shape, strict=True)
        )

    def length(self, n: int) -> Expr:
        return self.builder.size(self.extent(n))

    def reduce(self, monoid: Any, node: Node, axes: tuple[int, ...], index: Index) -> Expr:
        """The reduction `node` of its operand over axes, at an index of the axes that stay."""
        (x,) = node.inputs
        free = frozenset().union(*(e.free for e in index)) if index else frozenset()
        extents = [self.extent(x.shape[a]) for a in axes]
        self._check_placement(node, index, free, extents)
        # The axes of a guard are in use too: a reduction must not bind them anew.
        taken = free if self.guard is None else free | self.guard.free
        picked: list[Axis] = []
        operand_index: list[Expr] = []
        rest = iter(index)
        for i, n in enumerate(x.shape):
            if i not in axes:
                operand_index.append(next(rest))
            elif n == 1:
                operand_index.append(self._zero)
            else:
                axis = self.pool.pick(self.extent(n), lambda a: a in taken or a in picked)
                picked.append(axis)
                operand_index.append(self.builder.axis(axis))
        if not picked:
            return self.element(x, tuple(operand_index))
        outer = self.order
        self.order = (*(a for a in outer if a in free), *picked)
        body = self.element(x, tuple(operand_index))
        self.order = outer
        return self.builder.reduce(monoid, tuple(picked), body)

    def _check_placement(
        self, node: Node, index: Index, free: frozenset[Axis], extents: list[Extent]
    ) -> None:
        """A reduction may sit inside a loop nest only where it is computed once per outer iteration."""
        if all(isinstance(e, int) for e in extents):
            count = 1
            for e in extents:
                count *= int(e)  # type: ignore[arg-type]
            if count <= SMALL_REDUCTION:
                return
        # Literal axes get unrolled, so they have no place in the nest.
        order = [a for a in self.order if isinstance(a.extent, Dim)]
        wanted = {a for a in free if isinstance(a.extent, Dim)}
        if order and not wanted:
            raise MustStore(node, "a full reduction used at every element")
        if set(order[: len(wanted)]) != wanted or any(
            e.kind not in ("axis", "const") for e in index
        ):
            raise MustStore(node, "a reduction its user would repeat in an inner loop")

    # -- integer and boolean helpers for index maps ----------------------------------------------

    def plus(self, x: Expr, y: Expr) -> Expr:
        if x is self._zero or y is self._zero:
            return y if x is self._zero else x
        return self.builder.op(S.add, x, y)

    def minus(self, x: Expr, y: Expr) -> Expr:
        return x if y is self._zero else self.builder.op(S.sub, x, y)

    def times(self, x: Expr, y: Expr) -> Expr:
        if x is self._zero or y is self._zero:
            return self._zero
        for one, other in ((x, y), (y, x)):
            if one.kind == "const" and one.data == 1:
                return other
        return self.builder.op(S.mul, x, y)

    def divide(self, x: Expr, y: Expr) -> Expr:
        return self.builder.op(S.floor_divide, x, y)

    def modulo(self, x: Expr, y: Expr) -> Expr:
        return self.builder.op(S.remainder, x, y)

    def less(self, x: Expr, y: Expr) -> Expr:
        return self.builder.op(S.lt, x, y)

    def both(self, x: Expr, y: Expr) -> Expr:
        if x is self.true or y is self.true:
            return y if x is self.true else x
        return self.builder.op(S.and_, x, y)

    def within(self, offset: Expr, position: Expr, step: int, length: Expr) -> Expr:
        """Whether an offset (position * step) falls on an element of an axis."""
        inside = self.both(self.builder.op(S.ge, offset, self._zero), self.less(position, length))
        if step == 1:
            return inside
        remainder = self.modulo(offset, self.length(step))
        return self.both(inside, self.builder.op(S.eq, remainder, self._zero))

    def choose(self, condition: Expr, yes: Callable[[], Expr], no: Callable[[], Expr]) -> Expr:
        """A choice in which the side not taken may lie outside its array: its loads are guarded."""
        outer = self.guard
        self.guard = condition if outer is None else self.both(outer, condition)
        first = yes()
        otherwise = self.builder.op(S.invert, condition)
        self.guard = otherwise if outer is None else self.both(outer, otherwise)
        second = no()
        self.guard = outer
        return self.builder.op(S.select, condition, first, second)

    def clamp(self, index: Expr, length: int) -> Expr:
        """An index of any integer dtype moved into its axis."""
        index = self.builder.cast(index, self._zero.dtype)
        last = self.minus(self.length(length), self.builder.const(1, self._zero.dtype))
        return self.builder.op(S.maximum, self.builder.op(S.minimum, index, last), self._zero)
