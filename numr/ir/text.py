"""Canonical text of a graph: the same for every graph that may share a program, whatever its sizes.

Nodes are numbered in order, operands are numbers, and every length is a symbol d0, d1, .. numbered by
first use, except 1 and the small literals, which are structure. Two graphs of equal text differ in
nothing but the values of their symbols, which `Canonical.sizes` lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.dtypes import DType
from numr.ir.body import Body
from numr.ir.dims import Dim, Extent, Size
from numr.ir.node import Node, toposort
from numr.ir.symbolic import Symbolic

# Plain ints up to this stay literal: they are most often written by the user (windows, orders, d = 3).
LITERAL = 8


class SizeTable:
    """Which symbol each length of a graph is: one per class of equal Sizes, one per plain number."""

    __slots__ = ("_classes", "_dims", "dims", "sizes")

    def __init__(self) -> None:
        self._dims: dict[Any, Dim] = {}
        self._classes: list[tuple[Size, Dim]] = []
        self.dims: list[Dim] = []
        self.sizes: list[int] = []

    def extent(self, n: int) -> Extent:
        """The symbol of a length (a new one where it has none yet), or the literal itself."""
        key: Any
        if isinstance(n, Symbolic):
            key = ("formula", n.formula)
        elif type(n) is Size:
            root = n.root()
            key = id(root)
            if key not in self._dims:
                self._adopt(root)
        elif -LITERAL <= n <= LITERAL:
            return n
        else:
            key = ("int", n)
        dim = self._dims.get(key)
        if dim is None:
            dim = self._dims[key] = Dim(len(self.sizes))
            self.dims.append(dim)
            self.sizes.append(n if isinstance(n, Symbolic) else int(n))
            if type(n) is Size:
                self._classes.append((root, dim))
        return dim

    def _adopt(self, root: Size) -> None:
        """A class of lengths may have been joined with another since it got its symbol."""
        for member, dim in self._classes:
            if member.root() is root:
                self._dims[id(root)] = dim
                self._classes.append((root, dim))
                return


class Canonical:
    """A graph's canonical text, the values of its size symbols, and its nodes in order."""

    __slots__ = ("_bodies", "inputs", "order", "outputs", "table", "text")

    def __init__(
        self, inputs: Sequence[Node], outputs: Sequence[Node], table: SizeTable | None = None
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.table = SizeTable() if table is None else table
        self.order = toposort(self.outputs)
        self._bodies: dict[Body, int] = {}
        self.text = self._render()

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(self.table.sizes)

    def _render(self) -> str:
        extent = self.table.extent
        numbers: dict[Node, int] = {}
        lines = []
        for k, node in enumerate(self.inputs):
            numbers[node] = k
            lines.append(f"%{k} = input {node.dtype.short}{[extent(n) for n in node.shape]}")
        for node in self.order:
            if node in numbers:
                continue
            operands = " ".join([f"%{numbers[x]}" for x in node.inputs])
            numbers[node] = number = len(numbers)
            params = " ".join(
                [
                    f"{key}={self._param(value)}"
                    for key, value in node.params.items()
                    if key != "serial"
                ]
            )
            shape = [extent(n) for n in node.shape]
            lines.append(
                f"%{number} = {node.prim.name} {operands} {params} -> {node.dtype.short}{shape}"
            )
        lines.append("return " + " ".join([f"%{numbers[x]}" for x in self.outputs]))
        return "\n".join(lines)

    def _param(self, value: Any) -> str:
        if type(value) is str:
            return value
        if type(value) is DType:
            return value.short
        if type(value) is bool or value is None:
            return str(value)
        if isinstance(value, int):
            return str(self.table.extent(value))
        if type(value) is Body:
            # The results of one loop are nodes of their own with one body: it is written once.
            known = self._bodies.get(value)
            if known is not None:
                return f"{{#{known}}}"
            self._bodies[value] = len(self._bodies)
            return "{" + Canonical(value.params, value.outputs, self.table).text + "}"
        if isinstance(value, tuple):
            return "(" + ",".join([self._param(v) for v in value]) + ")"
        return repr(value)
