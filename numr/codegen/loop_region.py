"""A loop of the graph as one Region that each point goes through round after round, where it can be.

It can where what is carried is the same elements of arrays at every step (the axes of its lanes), each by
itself, and few numbers beside: a state of three numbers, or of three for each of a thousand trajectories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from numr.codegen.expand import Expander
from numr.codegen.loop_expand import (
    MOST_NUMBERS,
    SHORT,
    Given,
    NotInKernel,
    Rounds,
    flattened,
    is_constant,
)
from numr.codegen.region import Axis, Expr, Loop, Output, Region
from numr.dtypes import bool_
from numr.ir.body import Body
from numr.ir.dims import Dim, Extent
from numr.ir.node import Node, toposort
from numr.primitives.loops import SCAN
from numr.rules import rewrite

__all__ = ["SHORT", "LoopRegion", "NotInKernel", "loop_region"]


@dataclass(frozen=True, slots=True)
class LoopRegion:
    """A loop as a region: the stored node behind each operand that is a buffer, and the result of the loop
    that each slot is (what is carried first; it may be no result that anybody wants)."""

    region: Region
    sources: list[Node]
    results: list[int]


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
    if node.prim is not SCAN and node.prim.name != "while":
        raise NotInKernel("of branches that are dear only the one taken runs")
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
        self.scan = node.prim is SCAN
        self.fast_math = fast_math
        self.length = params.get("length", 0)
        self.reverse = bool(params.get("reverse"))
        # Constants are written where they are used.
        self.stored = {base for base, _ in operands if not is_constant(base)}
        tops = [chain[-1] if chain else base for base, chain in operands]
        body: Body = params["body"]
        consts, tests = params["consts"], params.get("tests", 0)
        carries = params.get("carries", len(body.outputs))
        self.given: dict[Node, Given] = {}
        self.carries = carries
        first = tests + consts
        kinds = ["const"] * consts + ["carry"] * carries
        numbers = [0] * consts + list(range(carries))
        rest = len(body.params) - len(kinds)
        for k, p in enumerate(body.params):
            kind = kinds[k] if k < len(kinds) else "row"
            self.given[p] = Given(kind, tops[tests + k], numbers[k] if kind == "carry" else 0)
        assert rest == 0 or self.scan
        self.first = tops[first : first + carries]
        self.params = [*body.params]
        outputs = list(body.outputs)
        if not self.scan:
            condition: Body = params["condition"]
            for k, p in enumerate(condition.params):
                number = k - tests
                self.given[p] = (
                    Given("const", tops[k])
                    if k < tests
                    else Given("carry", self.first[number], number)
                )
            self.params += condition.params
            outputs += condition.outputs
        outputs = flattened(outputs)
        outputs = rewrite(self.params, outputs, fast_math)
        self.nexts = outputs[:carries]
        self.rows = outputs[carries:] if self.scan else []
        self.go = None if self.scan else outputs[carries]
        self.inner = toposort(outputs, self.params)


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
            if isinstance(found, Dim) and found.index >= len(hints):
                raise NotInKernel(f"{int(n)} is the length of no array")
            if isinstance(found, Dim) and found not in own and hints[found.index] <= SHORT:
                return hints[found.index]
            return found

        self.extent = extent
        rank = len(self.shape)
        self.laned = [
            x.rank >= rank and [table(n) for n in x.shape[:rank]] == self.shape for x in parts.first
        ]
        length = table(parts.length) if parts.scan else 1 << 30
        self.axis = Axis("round", length)
        self.rounds = Rounds(
            extent,
            parts.given,
            parts.stored.__contains__,
            self.axis,
            parts.reverse,
            self.shape,
            self.laned,
            table,
            parts.fast_math,
        )
        self.outputs: list[Output] = []

    def region(self) -> LoopRegion:
        parts, rounds = self.parts, self.rounds
        if self.shape and not any(self.laned):
            raise NotInKernel("nothing that is carried has the lanes")
        if any(self.hints[e.index] == 0 if isinstance(e, Dim) else e == 0 for e in self.shape):
            raise NotInKernel("there are no lanes")
        rounds.ahead(parts.inner)
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

    def _rest(self, node: Node, rank: int) -> list[tuple[Expr, ...]]:
        """The places of a point's numbers, along the axes after the lanes."""
        return self.rounds.points(node.shape[rank:], "what is carried")

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
        place = rounds.here if self.shape and self.rounds.begins(row) else ()
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
