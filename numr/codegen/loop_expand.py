"""The body of a loop as scalar expressions of what is carried, number by number, loops inside it included."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numr.codegen.emit import evaluated, identity
from numr.codegen.expand import AxisPool, Expander, Index
from numr.codegen.prepare import COMBINE
from numr.codegen.region import INDEX, Axis, Expr, ExprBuilder, Operand
from numr.dtypes import DType
from numr.ir import scalar as S
from numr.ir.body import Body
from numr.ir.dims import Extent
from numr.ir.node import Node, toposort
from numr.ir.primitive import siblings_key
from numr.ir.transforms.substitute import rebuild, substitute
from numr.primitives.branches import SWITCH
from numr.primitives.control import split
from numr.primitives.loops import SCAN
from numr.primitives.source import CONST, param_like
from numr.rules import rewrite

# Most numbers that one point carries and gives in a round, most terms of a sum that is written out, and
# most expressions of a round: each becomes code.
MOST_NUMBERS = 64
MOST_TERMS = 64
MOST_EXPRESSIONS = 4000
# Loops inside of so many rounds are written out.
UNROLL = 4
# Extents up to this are literal inside, unless they are of lanes.
SHORT = 16


class NotInKernel(Exception):
    """Why a loop is none that runs inside a kernel."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a parameter of a body stands for: an operand of the loop ("const"), a row of one ("row"), what
    is carried, by number ("carry"), or what a loop inside carries ("inner")."""

    kind: str
    operand: Node
    number: int = 0
    loop: Any = None  # of a row, or of what is carried, of a loop inside


class FoldingBuilder(ExprBuilder):
    """An ExprBuilder that works out what is known."""

    def op(self, op: S.ScalarOp, *args: Expr) -> Expr:
        if op is S.select and args[0].kind == "const":
            return args[1] if args[0].data else args[2]
        if all(a.kind == "const" and a.dtype.kind in "biu" for a in args):
            dtype = op.result_dtype(args[1].dtype if op is S.select else args[0].dtype)
            return self.const(evaluated(op, [(a.data, a.dtype) for a in args], dtype), dtype)
        return ExprBuilder.op(self, op, *args)

    def cast(self, x: Expr, dtype: DType) -> Expr:
        if x.kind == "cast" and x.args[0].dtype is dtype is INDEX:
            return x.args[0]  # a position as a number, as a position
        if x.kind == "const" and x.dtype.kind in "iu" and dtype is INDEX:
            return self.const(int(x.data), INDEX)
        return ExprBuilder.cast(self, x, dtype)


class Rounds(Expander):
    """Expands a body: its parameters are loads of operands and of what is carried, and what has few elements
    is written out."""

    def __init__(
        self,
        extent: Callable[[int], Extent],
        given: Mapping[Node, Given],
        stored: Callable[[Node], bool],
        rounds: Axis,
        reverse: bool,
        lanes: Sequence[Extent],
        laned: Sequence[bool],
        table: Callable[[int], Extent],
        fast_math: bool,
    ) -> None:
        super().__init__(FoldingBuilder(), AxisPool(), extent, lambda n: not stored(n), lambda n: n)
        self.given = dict(given)
        self.round = self.builder.axis(rounds)
        self.position = row_of(self.builder, rounds, reverse)  # of the row at hand
        self.shape, self.laned = list(lanes), laned
        self.table, self.fast_math = table, fast_math
        axes = [None if n == 1 else Axis(f"lane{k}", n) for k, n in enumerate(lanes)]
        self.lanes = tuple(a for a in axes if a is not None)
        self.here = tuple(self._zero if a is None else self.builder.axis(a) for a in axes)
        self.carried: dict[int, int] = {}  # operand by number of what is carried
        self.inner: dict[Any, _Inner] = {}
        self.order = self.lanes

    # -- what primitives call --------------------------------------------------------------------

    def element(self, node: Node, index: Index) -> Expr:
        given = self.given.get(node)
        if given is None:
            return super().element(node, index)
        if given.kind == "const":
            return self.element(given.operand, index)
        if given.kind == "row":
            inner = given.loop
            at = self.position if inner is None else inner.position
            return self.element(given.operand, (at, *index))
        return self._carry(given, node, index)

    def _written(self, node: Node, index: Index) -> Expr:
        if len(self.builder.table) > MOST_EXPRESSIONS:
            raise NotInKernel(f"a round has more than {MOST_EXPRESSIONS} operations")
        if node.prim.name == "matmul":
            return self._product(node, index)
        if node.prim is SCAN:
            return self._ended(node, index)
        if node.prim.lowering != "element":
            raise NotInKernel(f"{node.prim.name} is no arithmetic of elements")
        return super()._written(node, index)

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
        for point in self.points([x.shape[a] for a in axes], node.prim.name):
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
            for (k,) in self.points([x.shape[-1]], "matmul")
        ]
        return self._combined(S.add, terms, 0, node.dtype)

    def _combined(self, op: S.ScalarOp, terms: Sequence[Expr], empty: Any, dtype: DType) -> Expr:
        if not terms:
            return self.builder.const(empty, dtype)
        total = terms[0]
        for term in terms[1:]:
            total = self.builder.op(op, total, term)
        return total

    def points(self, lengths: Sequence[int], what: str) -> list[tuple[Expr, ...]]:
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
        return [
            tuple([self.builder.const(n, INDEX) for n in p]) for p in itertools.product(*ranges)
        ]

    # -- what is carried -------------------------------------------------------------------------

    def place(self, number: int) -> tuple[Expr, ...]:
        """The first indices of what is carried."""
        return self.here if self.laned[number] else ()

    def _carry(self, given: Given, node: Node, index: Index) -> Expr:
        inner: _Inner | None = given.loop
        if inner is not None:

            def value(at: Index) -> Expr:
                return self.builder.carried(inner.axis, inner.numbers[given.number, at], node.dtype)

            return self._numbered(node, index, inner.places[given.number], value)
        operand = self.carried.get(given.number)
        if operand is None:
            operand = self.carried[given.number] = len(self.operands)
            shape = (self.round.data.extent, *map(self.extent, node.shape))
            self.operands.append(Operand(node.dtype, shape))
            self.sources.append(node)

        def load(at: Index) -> Expr:
            return self.builder.load(operand, (self.round, *at), node.dtype)

        return self._numbered(node, index, self.place(given.number), load)

    def _numbered(
        self, node: Node, index: Index, place: Index, element: Callable[[Index], Expr]
    ) -> Expr:
        """An element of what is written out number by number after the lanes' place.

        Raises:
            NotInKernel: for an element of another lane.
        """
        if index[: len(place)] != place:
            raise NotInKernel("a step needs what its neighbours carry")
        for axis in range(len(place), node.rank):
            if index[axis].kind != "const":
                return self._chosen(
                    node, index, axis, lambda at: self._numbered(node, at, place, element)
                )
        return element(index)

    def _chosen(
        self, node: Node, index: Index, axis: int, element: Callable[[Index], Expr]
    ) -> Expr:
        """An element by an index that is known only when the kernel runs."""
        found: Expr | None = None
        for (k,) in reversed(self.points([node.shape[axis]], "an index")):
            one = element((*index[:axis], k, *index[axis + 1 :]))
            if found is None:
                found = one
            else:
                here = self.builder.op(S.eq, index[axis], k)
                found = self.builder.op(S.select, here, one, found)
        assert found is not None
        return found

    # -- loops inside ----------------------------------------------------------------------------

    def _ended(self, node: Node, index: Index) -> Expr:
        """An element of what a loop inside ends with."""
        number = node.params["index"]
        if number >= node.params["carries"]:
            raise NotInKernel("the rows of a loop inside need memory")
        key = siblings_key(node)
        inner = self.inner.get(key)
        if inner is None:
            inner = self.inner[key] = self._inner(node)

        def value(at: Index) -> Expr:
            return self.builder.result(inner.rounds, inner.numbers[number, at])

        return self._numbered(node, index, inner.places[number], value)

    def _inner(self, node: Node) -> _Inner:
        params = node.params
        body: Body = params["body"]
        fixed, first, xs = split(node.inputs, params["consts"], params["carries"])
        if any(x.dtype.kind == "c" or x.dtype.is_half for x in first):
            raise NotInKernel(f"a loop inside carries {first[0].dtype}")
        own = [param_like(p) for p in body.params]
        outputs = substitute(body.outputs[: len(first)], dict(zip(body.params, own, strict=True)))
        outputs = rewrite(own, flattened(outputs), self.fast_math)
        axis = Axis("round", self.extent(params["length"]))
        inner = _Inner(axis, row_of(self.builder, axis, params["reverse"]), [], {})
        seen, carry, rows = split(own, len(fixed), len(first))
        self.given |= {p: Given("const", x) for p, x in zip(seen, fixed, strict=True)}
        self.given |= {p: Given("row", x, loop=inner) for p, x in zip(rows, xs, strict=True)}
        for k, (p, x) in enumerate(zip(carry, first, strict=True)):
            self.given[p] = Given("inner", x, k, inner)
            inner.places.append(self.here if self.begins(x) else ())
        places = []
        for k, x in enumerate(first):
            for point in self.points(x.shape[len(inner.places[k]) :], "what is carried"):
                places.append((k, (*inner.places[k], *point)))
        if len(places) > MOST_NUMBERS:
            raise NotInKernel(f"a loop inside carries more than {MOST_NUMBERS} numbers")
        inner.numbers.update({p: n for n, p in enumerate(places)})
        self.ahead(toposort(outputs, own))
        starts = [self.element(first[k], index) for k, index in places]
        nexts = [self.element(outputs[k], index) for k, index in places]
        inner.rounds = self.builder.rounds(axis, starts, nexts)
        return inner

    def begins(self, x: Node) -> bool:
        """Whether the axes of the lanes are the first ones of a node."""
        rank = len(self.shape)
        return x.rank >= rank and [self.table(n) for n in x.shape[:rank]] == self.shape

    def ahead(self, nodes: Sequence[Node]) -> None:
        """Expand in order what has few elements, so that no expansion is as deep as a body is long."""
        for node in nodes:
            if node.prim.lowering != "element" and node.prim.name not in ("matmul", "scan"):
                continue
            place = self.here if self.begins(node) else ()
            try:
                points = self.points(node.shape[len(place) :], "an array")
            except NotInKernel:
                continue  # those of its elements that are needed are found when they are
            for point in points:
                self.element(node, (*place, *point))


@dataclass(slots=True)
class _Inner:
    """A loop inside: its rounds, the row at hand, where each thing it carries begins, and the number of
    each element."""

    axis: Axis
    position: Expr
    places: list[Index]
    numbers: dict[tuple[int, Index], int]
    rounds: Any = None


def row_of(builder: ExprBuilder, axis: Axis, reverse: bool) -> Expr:
    """The row at hand in a round of a loop."""
    here = builder.axis(axis)
    if not reverse:
        return here
    last = builder.op(S.sub, builder.size(axis.extent), builder.const(1, INDEX))
    return builder.op(S.sub, last, here)


def flattened(outputs: Sequence[Node]) -> list[Node]:
    """The outputs with every branch as a choice among the results of all, and every loop of a few known
    rounds written out."""

    def make(node: Node, operands: tuple[Node, ...]) -> Node:
        new = node.prim(*operands, **node.params)
        if new.prim is SWITCH:
            return flattened([SWITCH.chosen(new)])[0]
        if (
            new.prim is SCAN
            and type(new.params["length"]) is int
            and new.params["length"] <= UNROLL
        ):
            return flattened([SCAN.written_out(new)])[0]
        return new

    return rebuild(outputs, [n for n in toposort(outputs) if n.inputs], make)


def is_constant(node: Node) -> bool:
    return node.prim is CONST or (node.prim.name == "broadcast" and node.inputs[0].prim is CONST)
