"""Which stored results one kernel computes together.

Results over the same axes share a kernel: independent ones, and, where there are no reductions, also
one that is built on another element by element, which it then need not load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numr.ir.dims import Extent
from numr.ir.node import Node

# How many of the latest units of its kind a result may join, and how many results one kernel has.
WINDOW = 16
MAX_RESULTS = 16
# Results and operands together: more arrays at a time than this are no longer streamed well.
MAX_ARRAYS = 40


@dataclass(slots=True, eq=False)
class Unit:
    """Stored nodes that one step writes, the units it reads and those that read it."""

    members: list[Node]
    operands: set[Node]
    reads: list[Unit] = field(default_factory=list)
    users: list[Unit] = field(default_factory=list)
    level: int = 0  # above that of every unit it reads

    def read(self, other: Unit) -> None:
        """Note that this unit reads another one."""
        if other in self.reads:
            return
        self.reads.append(other)
        other.users.append(self)
        raised = [other]
        while raised:
            unit = raised.pop()
            for user in unit.users:
                if user.level <= unit.level:
                    user.level = unit.level + 1
                    raised.append(user)

    def depends_on(self, other: Unit) -> bool:
        """Whether this unit reads the other's results, directly or by way of others."""
        stack, seen = [self], {self}
        while stack:
            unit = stack.pop()
            if unit is other:
                return True
            for read in unit.reads:
                if read.level >= other.level and read not in seen:
                    seen.add(read)
                    stack.append(read)
        return False


class Grouping:
    """Puts stored nodes, in topological order, into units without a cycle among these."""

    def __init__(
        self,
        stored: Callable[[Node], bool],
        base: Callable[[Node], Node],
        extent: Callable[[int], Extent],
    ) -> None:
        self.stored = stored
        self.base = base
        self.extent = extent
        self.units: dict[Node, Unit] = {}
        self._latest: dict[Any, list[Unit]] = {}

    def add_single(self, node: Node) -> None:
        """A node that is a step of its own."""
        self._open(node, self._reads(node)[0])

    def add(self, root: Node) -> None:
        """A result that may share a kernel."""
        reads, space = self._reads(root)
        key = self._key(root, space)
        latest = self._latest.setdefault(key, [])
        for unit in latest[: -WINDOW - 1 : -1]:
            if self._has_room(unit, reads) and self._may_join(unit, reads, space):
                unit.members.append(root)
                unit.operands.update(reads)
                self.units[root] = unit
                self._connect(unit, reads)
                return
        latest.append(self._open(root, reads))

    def groups(self) -> list[list[Node]]:
        """The members of every unit, in order of first result."""
        return [unit.members for unit in dict.fromkeys(self.units.values())]

    def _open(self, node: Node, reads: dict[Node, bool]) -> Unit:
        unit = self.units[node] = Unit([node], set(reads))
        self._connect(unit, reads)
        return unit

    def _connect(self, unit: Unit, reads: dict[Node, bool]) -> None:
        for node in reads:
            read = self.units.get(node)
            if read is not None and read is not unit:
                unit.read(read)

    def _has_room(self, unit: Unit, reads: dict[Node, bool]) -> bool:
        more = sum(node not in unit.operands for node in reads)
        arrays = len(unit.members) + 1 + len(unit.operands) + more
        return len(unit.members) < MAX_RESULTS and arrays <= MAX_ARRAYS

    def _may_join(self, unit: Unit, reads: dict[Node, bool], space: Any) -> bool:
        for node, aligned in reads.items():
            read = self.units.get(node)
            if read is unit:
                if not aligned or space is not None:
                    return False
            elif read is not None and read.depends_on(unit):
                return False
        return True

    def _key(self, root: Node, space: Any) -> Any:
        shape = tuple(self.extent(n) for n in root.shape if n != 1)
        if space is not None and shape:
            return ("rows", shape[0], space)
        return ("points", shape, space)

    def _reads(self, root: Node) -> tuple[dict[Node, bool], Any]:
        """The stored nodes a result loads, each with whether only at its own index; and the space of
        the reductions inlined in it, if any."""
        reads: dict[Node, bool] = {}
        space: Any = None
        stack = [(root, True)]
        seen = set(stack)
        while stack:
            node, aligned = stack.pop()
            if space is None and hasattr(node.prim, "monoid"):
                space = tuple(self.extent(n) for n in node.inputs[0].shape if n != 1)
            pointwise = aligned and hasattr(node.prim, "op")
            for x in node.inputs:
                here = pointwise and x.rank == node.rank
                below = self.base(x)
                if self.stored(below):
                    reads[below] = reads.get(below, True) and here and x is below
                elif (x, here) not in seen:
                    seen.add((x, here))
                    stack.append((x, here))
        return reads, space
