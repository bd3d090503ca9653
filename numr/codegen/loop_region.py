"""A loop of the graph as one Region that each point goes through round after round, where it can be.

It can where what is carried is the same elements of arrays at every step (the axes of its lanes), each by
itself, and few numbers beside: a state of three numbers, or of three for each of a thousand trajectories.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numr.codegen.expand import AxisPool, Expander, Index
from numr.codegen.lower import identity
from numr.codegen.prepare import COMBINE
from numr.codegen.region import INDEX, Axis, Expr, ExprBuilder, Loop, Operand, Output, Region
from numr.dtypes import DType, bool_
from numr.ir import scalar as S
from numr.ir.body import Body
from numr.ir.dims import Dim, Extent
from numr.ir.node import Node, toposort
from numr.ir.transforms.substitute import rebuild
from numr.primitives.branches import SWITCH
from numr.primitives.source import CONST
from numr.rules import rewrite

# Most numbers that one point carries and gives in a round, most terms of a sum that is written out, and
# most expressions of a round: each becomes code.
MOST_NUMBERS = 64
MOST_TERMS = 64
MOST_EXPRESSIONS = 8000
# Extents up to this are literal inside, unless they are of lanes.
SHORT = 16


class NotInKernel(Exception):
    """Why a loop is none that runs inside a kernel."""


@dataclass(frozen=True, slots=True)
class LoopRegion:
    """A loop as a region: the stored node behind each operand that is a buffer, and the result of the loop
    that each slot is (what is carried first; it may be no result that anybody wants)."""

    region: Region
    sources: list[Node]
    results: list[int]


@dataclass(frozen=True, slots=True)
class _Given:
    """What a parameter of a body stands for: an operand of the loop ("const"), a row of one ("row"), or
    what is carried, by number ("carry")."""

    kind: str
    operand: Node
    number: int = 0


class FoldingBuilder(ExprBuilder):
    """An ExprBuilder that works out what is known."""

    def op(self, op: S.ScalarOp, *args: Expr) -> Expr:
        if op is S.select and args[0].kind == "const":
            return args[1] if args[0].data else args[2]
        if all(a.kind == "const" and a.dtype.kind in "biu" for a in args):
            dtype = op.result_dtype(args[1].dtype if op is S.select else args[0].dtype)
            numbers = [np.asarray(a.data, a.dtype.dtype) for a in args]
            with np.errstate(all="ignore"):
                return self.const(np.asarray(op.numpy(*numbers)).astype(dtype.dtype).item(), dtype)
        return ExprBuilder.op(self, op, *args)

    def cast(self, x: Expr, dtype: DType) -> Expr:
        if x.kind == "cast" and x.args[0].dtype is dtype is INDEX:
            return x.args[0]  # a position as a number, as a position
        if x.kind == "const" and x.dtype.kind in "iu" and dtype is INDEX:
            return self.const(int(x.data), INDEX)
        return ExprBuilder.cast(self, x, dtype)


class _Rounds(Expander):
    """Expands a body: its parameters are loads of operands and of what is carried, and what has few elements
    is written out."""

    def __init__(
        self,
        extent: Callable[[int], Extent],
        given: Mapping[Node, _Given],
        stored: Callable[[Node], bool],
        rounds: Axis,
        position: Callable[[ExprBuilder, Expr], Expr],
        lanes: Sequence[Extent],
        laned: Sequence[bool],
    ) -> None:
        super().__init__(FoldingBuilder(), AxisPool(), extent, lambda n: not stored(n), lambda n: n)
        self.given = given
        self.round = self.builder.axis(rounds)
        self.position = position(self.builder, self.round)  # of the row at hand
        self.laned = laned
        self.zero = self._zero
        axes = [None if n == 1 else Axis(f"lane{k}", n) for k, n in enumerate(lanes)]
        self.lanes = tuple(a for a in axes if a is not None)
        self.here = tuple(self.zero if a is None else self.builder.axis(a) for a in axes)
        self.carried: dict[int, int] = {}  # operand by number of what is carried
        self.order = self.lanes

    # -- what primitives call --------------------------------------------------------------------

    def element(self, node: Node, index: Index) -> Expr:
        given = self.given.get(node)
        if given is None:
            return super().element(node, index)
        if given.kind == "carry":
            return self._carry(given, node, index)
        return super().element(
            given.operand, (self.position, *index) if given.kind == "row" else index
        )

    def _expand(self, node: Node, index: Index) -> Expr:
        if node.prim.name == "matmul":
            return self._product(node, index)
        if node.prim.lowering != "element":
            raise NotInKernel(f"{node.prim.name} is no arithmetic of elements")
        if len(self.builder.table) > MOST_EXPRESSIONS:
            raise NotInKernel(f"a round has more than {MOST_EXPRESSIONS} operations")
        return super()._expand(node, index)

    def _within_bounds(self, node: Node, index: Index) -> bool:
        return all(
            n == 1
            or (e.kind == "axis" and e.data.extent == self.extent(n))
            or (e.kind == "const" and 0 <= e.data < n and isinstance(self.extent(n), int))
            for e, n in zip(index, node.shape, strict=True)
        )

    def choose(self, condition: Expr, yes: Callable[[], Expr], no: Callable[[], Expr]) -> Expr:
        if condition.kind == "const":
            return yes() if condition.data else no()
        return super().choose(condition, yes, no)

    def clamp(self, index: Expr, length: int) -> Expr:
        index = self.builder.cast(index, INDEX)
        if index.kind == "axis" and index.data.extent == self.extent(length):
            return index
        return super().clamp(index, length)

    def reduce(self, monoid: Any, node: Node, axes: tuple[int, ...], index: Index) -> Expr:
        (x,) = node.inputs
        terms = []
        for point in self._points([x.shape[a] for a in axes], node.prim.name):
            kept, reduced = iter(index), iter(point)
            at = tuple(next(reduced) if i in axes else next(kept) for i in range(x.rank))
            terms.append(self.element(x, at))
        empty = identity(monoid, node.dtype).value
        return self._combined(COMBINE[monoid], terms, empty, node.dtype)

    def _product(self, node: Node, index: Index) -> Expr:
        x, y = node.inputs
        if node.dtype.is_half:
            raise NotInKernel("a product of 16-bit floats is a library's")
        *lead, i, j = index
        terms = [
            self.builder.op(S.mul, self.element(x, (*lead, i, k)), self.element(y, (*lead, k, j)))
            for (k,) in self._points([x.shape[-1]], "matmul")
        ]
        return self._combined(S.add, terms, 0, node.dtype)

    def _combined(self, op: S.ScalarOp, terms: Sequence[Expr], empty: Any, dtype: DType) -> Expr:
        if not terms:
            return self.builder.const(empty, dtype)
        total = terms[0]
        for term in terms[1:]:
            total = self.builder.op(op, total, term)
        return total

    def _points(self, lengths: Sequence[int], what: str) -> list[tuple[Expr, ...]]:
        """All places along axes that are written out."""
        extents = [self.extent(n) for n in lengths]
        count = 1
        for e in extents:
            if not isinstance(e, int):
                raise NotInKernel(f"{what} goes over more than the numbers of one point")
            count *= e
        if count > MOST_TERMS:
            raise NotInKernel(f"{what} goes over more than {MOST_TERMS} numbers")
        ranges = [range(int(e)) for e in extents]  # type: ignore[arg-type]
        return [tuple(map(self.number, p)) for p in itertools.product(*ranges)]

    def number(self, n: int) -> Expr:
        return self.builder.const(n, INDEX)

    # -- what is carried -------------------------------------------------------------------------

    def place(self, number: int) -> tuple[Expr, ...]:
        """The first indices of what is carried."""
        return self.here if self.laned[number] else ()

    def _carry(self, given: _Given, node: Node, index: Index) -> Expr:
        place = self.place(given.number)
        if index[: len(place)] != place:
            raise NotInKernel("a step needs what its neighbours carry")
        rest = index[len(place) :]
        for k, (e, n) in enumerate(zip(rest, node.shape[len(place) :], strict=True)):
            if n != 1 and e.kind != "const":
                return self._picked(given, node, index, len(place) + k)
        operand = self.carried.get(given.number)
        if operand is None:
            operand = self.carried[given.number] = len(self.operands)
            shape = (self.round.data.extent, *map(self.extent, node.shape))
            self.operands.append(Operand(node.dtype, shape))
            self.sources.append(node)
        return self.builder.load(operand, (self.round, *index), node.dtype)

    def _picked(self, given: _Given, node: Node, index: Index, axis: int) -> Expr:
        """An element by an index that is known only when the kernel runs."""
        found: Expr | None = None
        for (k,) in reversed(self._points([node.shape[axis]], "an index")):
            one = self._carry(given, node, (*index[:axis], k, *index[axis + 1 :]))
            if found is None:
                found = one
            else:
                here = self.builder.op(S.eq, index[axis], k)
                found = self.builder.op(S.select, here, one, found)
        assert found is not None
        return found


def loop_region(
    node: Node,
    operands: Sequence[tuple[Node, list[Node]]],
    wanted: Sequence[int],
    table: Callable[[int], Extent],
    hints: Sequence[int],
    fast_math: bool,
) -> LoopRegion:
    """A loop's node as a region.

    Args:
        node: one of the loop's results.
        operands: each as a stored node under views.
        wanted: the indices of the results that are wanted.
        table: the extent of a length.
        hints: a representative size of each symbol, exact for short ones.
        fast_math: whether rewriting may ignore NaN and the sign of zero.

    Raises:
        NotInKernel: if it is none that one kernel can go through, saying why.
    """
    if node.prim.name not in ("scan", "while"):
        raise NotInKernel("it is no loop")
    parts = _Parts(node, operands, fast_math)
    shapes = [[table(n) for n in x.shape] for x in parts.first]
    reason = None
    for lanes in _lanes(shapes, hints):
        try:
            return _Written(parts, wanted, table, hints, lanes).region()
        except NotInKernel as e:
            reason = e
    raise reason or NotInKernel("what it carries is more than the numbers of one point")


def _lanes(shapes: Sequence[Sequence[Extent]], hints: Sequence[int]) -> Iterator[list[Extent]]:
    """The shapes that the lanes may have, the largest first."""

    def long(e: Extent) -> bool:
        return isinstance(e, Dim) and hints[e.index] > SHORT

    decisive = [s for s in shapes if any(map(long, s))] or [s for s in shapes if s]
    common: list[Extent] = []
    for extents in zip(*decisive, strict=False) if decisive else ():
        if any(e != extents[0] for e in extents):
            break
        common.append(extents[0])
    for rank in range(len(common), -1, -1):
        if not any(long(e) for s in decisive for e in s[rank:]):
            yield common[:rank]


class _Parts:
    """A loop's node taken apart: what its bodies' parameters stand for, and its rewritten results."""

    def __init__(
        self, node: Node, operands: Sequence[tuple[Node, list[Node]]], fast_math: bool
    ) -> None:
        params = node.params
        self.scan = node.prim.name == "scan"
        self.length = params.get("length", 0)
        self.reverse = bool(params.get("reverse"))
        # Constants are written where they are used.
        self.stored = {base for base, _ in operands if not _is_constant(base)}
        tops = [chain[-1] if chain else base for base, chain in operands]
        body: Body = params["body"]
        consts, tests = params["consts"], params.get("tests", 0)
        carries = params.get("carries", len(body.outputs))
        self.given: dict[Node, _Given] = {}
        self.carries = carries
        first = tests + consts
        kinds = ["const"] * consts + ["carry"] * carries
        numbers = [0] * consts + list(range(carries))
        rest = len(body.params) - len(kinds)
        for k, p in enumerate(body.params):
            kind = kinds[k] if k < len(kinds) else "row"
            self.given[p] = _Given(kind, tops[tests + k], numbers[k] if kind == "carry" else 0)
        assert rest == 0 or self.scan
        self.first = tops[first : first + carries]
        self.params = [*body.params]
        outputs = list(body.outputs)
        if not self.scan:
            condition: Body = params["condition"]
            for k, p in enumerate(condition.params):
                number = k - tests
                self.given[p] = (
                    _Given("const", tops[k])
                    if k < tests
                    else _Given("carry", self.first[number], number)
                )
            self.params += condition.params
            outputs += condition.outputs
        outputs = _without_branches(outputs)
        outputs = rewrite(self.params, outputs, fast_math)
        self.nexts = outputs[:carries]
        self.rows = outputs[carries:] if self.scan else []
        self.go = None if self.scan else outputs[carries]
        self.inner = toposort(outputs, self.params)


def _without_branches(outputs: Sequence[Node]) -> list[Node]:
    """The outputs with every branch as a choice among the results of all."""

    def make(node: Node, operands: tuple[Node, ...]) -> Node:
        new = node.prim(*operands, **node.params)
        if new.prim is not SWITCH:
            return new
        (chosen,) = _without_branches([SWITCH.chosen(new)])
        return chosen

    return rebuild(outputs, [n for n in toposort(outputs) if n.inputs], make)


def _is_constant(node: Node) -> bool:
    return node.prim is CONST or (node.prim.name == "broadcast" and node.inputs[0].prim is CONST)


class _Written:
    """A loop over lanes of one shape, written as a region."""

    def __init__(
        self,
        parts: _Parts,
        wanted: Sequence[int],
        table: Callable[[int], Extent],
        hints: Sequence[int],
        lanes: Sequence[Extent],
    ) -> None:
        self.parts, self.wanted, self.table, self.hints = parts, wanted, table, hints
        self.shape = list(lanes)
        own = {e for e in lanes if isinstance(e, Dim)}

        def extent(n: int) -> Extent:
            found = table(n)
            if isinstance(found, Dim) and found not in own and hints[found.index] <= SHORT:
                return hints[found.index]
            return found

        self.extent = extent
        self.laned = [self._begins(x) for x in parts.first]
        length = table(parts.length) if parts.scan else 1 << 30

        def position(b: ExprBuilder, here: Expr) -> Expr:
            if not parts.reverse:
                return here
            return b.op(S.sub, b.op(S.sub, b.size(length), b.const(1, INDEX)), here)

        self.axis = Axis("round", length)
        self.rounds = _Rounds(
            extent,
            parts.given,
            parts.stored.__contains__,
            self.axis,
            position,
            self.shape,
            self.laned,
        )
        self.outputs: list[Output] = []

    def _begins(self, x: Node) -> bool:
        """Whether the axes of the lanes are the first ones of a node."""
        rank = len(self.shape)
        return x.rank >= rank and [self.table(n) for n in x.shape[:rank]] == self.shape

    def region(self) -> LoopRegion:
        parts, rounds = self.parts, self.rounds
        if self.shape and not any(self.laned):
            raise NotInKernel("nothing that is carried has the lanes")
        if any(self.hints[e.index] == 0 if isinstance(e, Dim) else e == 0 for e in self.shape):
            raise NotInKernel("there are no lanes")
        self._ahead()
        if parts.go is not None:
            self._go(parts.go)
        for k, (first, following) in enumerate(zip(parts.first, parts.nexts, strict=True)):
            self._carry(k, first, following)
        results = list(range(parts.carries))
        for k, row in enumerate(parts.rows, parts.carries):
            if k in self.wanted:
                self._row(row, len(results))
                results.append(k)
        carried = {operand: number for number, operand in rounds.carried.items()}
        loop = Loop(self.axis, rounds.lanes, carried)
        region = Region(tuple(rounds.operands), tuple(self.outputs), loop)
        return LoopRegion(region, rounds.sources, results)

    def _ahead(self) -> None:
        """Expand in order what is of the lanes, so that no expansion is as deep as the body is long."""
        rank = len(self.shape)
        for node in self.parts.inner:
            if node.prim.lowering != "element" or not self._begins(node):
                continue
            extents = [self.extent(n) for n in node.shape[rank:]]
            short = all(isinstance(e, int) for e in extents)
            if short and math.prod(map(int, extents)) <= MOST_NUMBERS:  # type: ignore[arg-type]
                for point in self._rest(node, rank):
                    self.rounds.element(node, (*self.rounds.here, *point))

    def _rest(self, node: Node, rank: int) -> list[tuple[Expr, ...]]:
        """The places of a point's numbers, along the axes after the lanes."""
        return self.rounds._points(node.shape[rank:], "what is carried")

    def _go(self, go: Node) -> None:
        place = self.rounds.here[: go.rank]
        if [self.table(n) for n in go.shape] != self.shape[: go.rank]:
            raise NotInKernel("its condition has lanes that what is carried has not")
        self.outputs.append(Output(self.rounds.element(go, place), (), (), (), bool_, -1, "go"))

    def _carry(self, k: int, first: Node, following: Node) -> None:
        rounds = self.rounds
        place = rounds.place(k)
        axes = rounds.lanes if place else ()
        shape = tuple(map(self.extent, first.shape))
        for point in self._rest(first, len(place)):
            index = (*place, *point)
            start = Expander.element(rounds, first, index)
            after = rounds.element(following, index)
            if not place and not after.free <= {self.axis}:
                raise NotInKernel("what all lanes share depends on the lane")
            self.outputs += [
                Output(start, index, axes, shape, first.dtype, k, "start"),
                Output(after, index, axes, shape, first.dtype, k, "next"),
            ]
        if len(self.outputs) > 2 * MOST_NUMBERS:
            raise NotInKernel(f"a point carries more than {MOST_NUMBERS} numbers")

    def _row(self, row: Node, slot: int) -> None:
        rounds = self.rounds
        place = rounds.here if self.shape and self._begins(row) else ()
        shape = (self.axis.extent, *map(self.extent, row.shape))
        points = self._rest(row, len(place))
        if len(points) > MOST_NUMBERS:
            raise NotInKernel(f"a point gives more than {MOST_NUMBERS} numbers in a round")
        for point in points:
            expr = rounds.element(row, (*place, *point))
            if not place and not expr.free <= {self.axis}:
                raise NotInKernel("what all lanes share depends on the lane")
            index = (rounds.position, *place, *point)
            axes = (self.axis, *(rounds.lanes if place else ()))
            self.outputs.append(Output(expr, index, axes, shape, row.dtype, slot))
