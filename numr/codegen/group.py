"""Which stored results one kernel computes together.

Results over the same axes share a kernel: independent ones, and also one that is built on another
element by element, or row by row, which it then need not load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numr.ir.dims import Dim, Extent
from numr.ir.node import Node

# How many of the latest units of its kind a result may join, and how many results one kernel has.
WINDOW = 16
MAX_RESULTS = 16


# Where a node is read: for each axis longer than 1, which axis of its extent the index there is (the
# first, the second..), or None for an index that is no axis of the result that reads.
Place = tuple[tuple[Extent, int] | None, ...]


@dataclass(slots=True, eq=False)
class Unit:
    """Stored nodes that one step writes, the units it reads and those that read it."""

    members: list[Node]
    row: Extent | None  # the extent of the grid's axis, where the kernel runs over rows
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
        loaded: Callable[[Node], bool],
        base: Callable[[Node], Node],
        extent: Callable[[int], Extent],
        most: int,
        stages: Mapping[Node, int],
    ) -> None:
        self.loaded = loaded
        self.most = most  # arrays of one kernel
        self.base = base
        self.extent = extent
        # What is computed anew for derivatives is not computed along with what was before.
        self.stages = stages
        self.units: dict[Node, Unit] = {}
        self._latest: dict[Any, list[Unit]] = {}
        self._siblings: dict[Any, Unit] = {}

    def add_single(self, node: Node) -> None:
        """A node that is a step of its own."""
        self._open(node, self._reads(node)[0], None)

    def add_siblings(self, node: Node, key: Any) -> None:
        """One of the results of an operation, which are a step together."""
        unit = self._siblings.get(key)
        if unit is None:
            self._siblings[key] = self._open(node, self._reads(node)[0], None)
        else:
            unit.members.append(node)
            self.units[node] = unit

    def add(self, root: Node) -> None:
        """A result that may share a kernel."""
        reads, space = self._reads(root)
        shape = self._shape(root)
        # Rows of literal number are written out one by one: no kernel has a loop over them.
        rows = space is not None and shape and isinstance(shape[0], Dim)
        row = shape[0] if rows else None
        latest = self._latest.setdefault((row, space) if row else (shape, space), [])
        # With kernels over rows it reads from, too, if it has the same rows.
        above = [self.units[n] for n, aligned in reads.items() if aligned and n in self.units]
        above = [u for u in above if u.row is not None and shape and u.row == shape[0]]
        for unit in [*latest[: -WINDOW - 1 : -1], *above]:
            # Sums of whole arrays that follow one on another are better split over blocks each.
            whole = space is not None and row is None
            if self.stages.get(unit.members[0], 0) != self.stages.get(root, 0):
                continue
            if self._has_room(unit, root, reads) and self._may_join(unit, reads, whole):
                unit.members.append(root)
                unit.operands.update(reads)
                self.units[root] = unit
                self._connect(unit, reads)
                return
        latest.append(self._open(root, reads, row))

    def groups(self) -> list[list[Node]]:
        """The members of every unit, in order of first result."""
        return [unit.members for unit in dict.fromkeys(self.units.values())]

    def _open(self, node: Node, reads: dict[Node, bool], row: Extent | None) -> Unit:
        unit = self.units[node] = Unit([node], row, set(reads))
        self._connect(unit, reads)
        return unit

    def _connect(self, unit: Unit, reads: dict[Node, bool]) -> None:
        for node in reads:
            read = self.units.get(node)
            if read is not None and read is not unit:
                unit.read(read)

    def _has_room(self, unit: Unit, root: Node, reads: dict[Node, bool]) -> bool:
        arrays = {root, *unit.members, *unit.operands, *reads}
        return len(unit.members) < MAX_RESULTS and len(arrays) <= self.most

    def _may_join(self, unit: Unit, reads: dict[Node, bool], apart: bool) -> bool:
        for node, aligned in reads.items():
            read = self.units.get(node)
            if read is unit:
                if apart or not aligned:
                    return False
            elif read is not None and read.depends_on(unit):
                return False
        return True

    def _shape(self, node: Node) -> tuple[Extent, ...]:
        return tuple(self.extent(n) for n in node.shape if n != 1)

    def _own_place(self, node: Node) -> Place:
        """Where a kernel that computes a node has it."""
        shape = self._shape(node)
        return tuple((e, shape[:k].count(e)) for k, e in enumerate(shape))

    def _reads(self, root: Node) -> tuple[dict[Node, bool], Any]:
        """The arrays a result loads, each with whether that is only where a kernel that computes
        both has it anyway; and the space of the reductions inlined in the result, if any."""
        reads: dict[Node, bool] = {}
        space: Any = None
        stack: list[tuple[Node, Place | None]] = [(root, self._own_place(root))]
        seen = set(stack)
        while stack:
            node, place = stack.pop()
            if space is None and hasattr(node.prim, "monoid"):
                space = tuple(e for e in self._shape(node.inputs[0]) if isinstance(e, Dim))
            for x in node.inputs:
                here = None if place is None else self._below(node, x, place)
                below = self.base(x)
                if self.loaded(below):
                    aligned = here == self._own_place(below) and self._shape(x) == self._shape(
                        below
                    )
                    reads[below] = reads.get(below, True) and aligned
                elif (x, here) not in seen:
                    seen.add((x, here))
                    stack.append((x, here))
        return reads, space

    def _below(self, node: Node, x: Node, place: Place) -> Place | None:
        """Where an operand is read, given where its user is; None if that is no matter of whole axes."""
        if hasattr(node.prim, "op"):
            return place if x.rank == node.rank else ()
        kind = node.prim.name
        if kind == "reshape":
            return place if self._shape(x) == self._shape(node) else None
        rest = iter(place)
        full = [next(rest) if n != 1 else None for n in node.shape]
        if kind == "broadcast":
            return tuple(
                full[a] for a, n in zip(node.params["axes"], x.shape, strict=True) if n != 1
            )
        if hasattr(node.prim, "monoid"):
            kept = iter(full)
            axes = [None if i in node.params["axes"] else next(kept) for i in range(x.rank)]
            return tuple(a for a, n in zip(axes, x.shape, strict=True) if n != 1)
        return None
