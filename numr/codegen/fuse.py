"""Fusion: decide which nodes are stored, and group the rest into Regions and library calls.

Everything that can be written as a scalar expression of its index is inlined into its users, down to
stored nodes. A node is stored because it is a result, because it feeds a library call, or because
inlining it would repeat work; the reason is kept, for `explain`. Results over the same axes are
computed by one Region.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numr.codegen.expand import AxisPool, Expander, Index, MustStore
from numr.codegen.region import Axis, Expr, ExprBuilder, Output, Region
from numr.ir.dims import Dim, Extent
from numr.ir.node import Node
from numr.ir.text import Canonical
from numr.primitives.source import CONST, IOTA, SIZE_OF

# Work worth keeping rather than repeating, in additions (see the scalar table's costs).
EXPENSIVE = 12
# Longest chain of operations in one kernel: bounds compile time, and recursion while expanding.
MAX_DEPTH = 60
MAX_WEIGHT = 3000
# The largest length that is written into kernels as a literal (in graphs with reductions).
UNROLL = 4

# How many of the latest groups of its kind a result may join.
GROUP_WINDOW = 16

VIEWS = ("permute", "reshape", "broadcast")


@dataclass(slots=True)
class RegionStep:
    """A Region, the stored nodes it reads (per operand) and writes (per output)."""

    region: Region
    sources: list[Node]
    targets: list[Node]
    # A scatter starts from a copy of this node.
    initial: Node | None = None


@dataclass(slots=True)
class LibraryStep:
    """A library call: each operand is a stored node under a chain of views."""

    key: str
    node: Node
    operands: list[tuple[Node, list[Node]]]


Step = RegionStep | LibraryStep


@dataclass(slots=True)
class Fused:
    """Steps in order, and why each node is stored."""

    steps: list[Step]
    reasons: dict[Node, str]
    # Graph outputs as (stored node, views on top).
    results: list[tuple[Node, list[Node]]]


def is_element(node: Node) -> bool:
    return node.prim.lowering == "element"


@dataclass(slots=True)
class _Group:
    """Results computed together, as bit sets of stored nodes: themselves, and what they depend on."""

    members: list[Node]
    bits: int
    depends: int


class _Fuser:
    def __init__(self, graph: Canonical, hints: Sequence[int]) -> None:
        self.graph = graph
        self.order = graph.order
        self.inputs = set(graph.inputs)
        self.hints = hints
        self.reasons: dict[Node, str] = {}
        self.weights: dict[Node, int] = {}
        self.separate = False
        self.has_reduction = any(
            hasattr(n.prim, "monoid") and n.inputs[0].rank > 1 for n in self.order
        )

    # -- sizes -----------------------------------------------------------------------------------

    def extent(self, n: int) -> Extent:
        found = self.graph.table.extent(n)
        if self.has_reduction and isinstance(found, Dim) and self.hints[found.index] <= UNROLL:
            return self.hints[found.index]
        return found

    # -- what is stored --------------------------------------------------------------------------

    def store(self, node: Node, reason: str) -> None:
        self.reasons.setdefault(node, reason)

    def base(self, node: Node) -> Node:
        """The stored node whose memory a reshape of it shares."""
        while self._inlined(node) and node.prim.name == "reshape":
            node = node.inputs[0]
        return node

    def inside(self, node: Node) -> bool:
        # A reshape of something stored is only another shape for its memory: its base decides.
        return self._inlined(node) and self._inlined(self.base(node))

    def _inlined(self, node: Node) -> bool:
        return node not in self.inputs and node not in self.reasons

    def viewed(self, node: Node) -> tuple[Node, list[Node]]:
        """A library operand as a stored node under views, which cost nothing."""
        chain: list[Node] = []
        while self._inlined(node) and node.prim.name in VIEWS:
            chain.append(node)
            node = node.inputs[0]
        if self._inlined(node):
            if chain and node.prim in (CONST, IOTA, SIZE_OF):
                node, chain = chain[0], []
            self.store(node, "an operand of a library call")
        return node, chain[::-1]

    def mark(self) -> None:
        """Stored nodes that follow from the graph alone."""
        for node in self.order:
            if node in self.inputs:
                continue
            if not is_element(node):
                self.store(node, f"the result of {node.prim.name}")
                if node.prim.lowering == "scatter":
                    x, _updates, *_indices = node.inputs
                    if x.prim is not CONST and x not in self.inputs and not self._filled(x):
                        self.store(x, "what a scatter starts from")
                else:
                    for x in node.inputs:
                        self.viewed(x)
        for out in self.graph.outputs:
            self.store(self.base(out), "a result")
        self._bound_depth()

    def _filled(self, node: Node) -> bool:
        return node.prim.name == "broadcast" and node.inputs[0].prim is CONST

    def _bound_depth(self) -> None:
        depth: dict[Node, int] = {}
        for node in self.order:
            if node in self.inputs or not is_element(node):
                continue
            below = max((depth.get(x, 0) for x in node.inputs), default=0) + 1
            weight = own_cost(node) + sum(self.weights.get(x, 0) for x in node.inputs)
            if node in self.reasons:
                below = weight = 0
            elif below > MAX_DEPTH or weight > MAX_WEIGHT:
                self.store(node, "the expression is as long as a kernel may be")
                below = weight = 0
            depth[node], self.weights[node] = below, weight

    def expensive(self, node: Node) -> bool:
        return bool(node.shape) and self.weights.get(node, 0) >= EXPENSIVE

    # -- building --------------------------------------------------------------------------------

    def run(self) -> Fused:
        self.mark()
        while True:
            before = len(self.reasons)
            try:
                built = self._build_all()
            except MustStore as stop:
                self.store(stop.node, str(stop))
                self.weights.clear()
                self._bound_depth()
                continue
            if len(self.reasons) == before:
                break
            self.weights.clear()
            self._bound_depth()
        results = [self.viewed(out) for out in self.graph.outputs]
        return Fused(built, dict(self.reasons), results)

    def _build_all(self) -> list[Step]:
        roots = [n for n in self.order if n in self.reasons and n not in self.inputs]
        groups = self._group([n for n in roots if is_element(n)])
        visited: dict[Node, set[int]] = {}
        steps: list[Step] = []
        for number, group in enumerate(groups):
            step, expander = self._region(group)
            steps.append(step)
            for node, indices in expander.visits.items():
                if self.inside(node):
                    visited.setdefault(node, set()).add(number)
                    self._check_repeats(node, indices, step)
        for node, users in visited.items():
            if len(users) > 1 and self.expensive(node):
                self.store(node, f"{len(users)} kernels use it, at cost {self.weights[node]}")
        steps.extend(self._other_step(n) for n in roots if not is_element(n))
        ordered = _ordered(steps)
        if ordered is None:
            # Two groups need each other's results: compute every result by itself.
            self.separate = True
            return self._build_all()
        return ordered

    def _check_repeats(self, node: Node, indices: set[Index], step: RegionStep) -> None:
        """Store what one kernel would compute several times over, unless it is larger than the result."""
        if len(indices) < 2 or not self.expensive(node):
            return
        outer = {a for o in step.region.outputs for a in o.axes}
        free = frozenset().union(*(e.free for index in indices for e in index))
        if free <= outer:
            self.store(
                node, f"used at {len(indices)} places of its kernel, at cost {self.weights[node]}"
            )

    # -- grouping --------------------------------------------------------------------------------

    def _group(self, roots: Sequence[Node]) -> list[list[Node]]:
        """Results that one kernel computes together: over the same axes, none built on another by way
        of a third."""
        if self.separate:
            return [[root] for root in roots]
        depends, bits = self._stored_dependencies()
        groups: list[_Group] = []
        by_key: dict[Any, list[_Group]] = {}
        for root in roots:
            found = by_key.setdefault(self._group_key(root), [])
            # The latest groups only: in a long chain no earlier one can take the root anyway.
            for group in found[:-GROUP_WINDOW:-1]:
                # Neither may depend on the other through anything outside the group.
                if not (group.bits & depends[root] or bits[root] & group.depends):
                    break
            else:
                group = _Group([], 0, 0)
                groups.append(group)
                found.append(group)
            group.members.append(root)
            group.bits |= bits[root]
            group.depends |= depends[root]
        return [group.members for group in groups]

    def _group_key(self, root: Node) -> Any:
        shape = tuple(self.extent(n) for n in root.shape if n != 1)
        space = self._reduced_space(root)
        if space is not None and shape:
            return ("rows", shape[0], space)
        return ("points", shape, space)

    def _reduced_space(self, root: Node) -> Any:
        """The space of the reductions inlined in a result, or None."""
        stack, seen = [root], {root}
        while stack:
            node = stack.pop()
            if hasattr(node.prim, "monoid"):
                return tuple(self.extent(n) for n in node.inputs[0].shape if n != 1)
            for x in node.inputs:
                if x not in seen and self.inside(x):
                    seen.add(x)
                    stack.append(x)
        return None

    def _stored_dependencies(self) -> tuple[dict[Node, int], dict[Node, int]]:
        """For every node, the stored nodes it depends on as a bit set, and each stored node's bit."""
        bits: dict[Node, int] = {}
        found: dict[Node, int] = {}
        for node in self.order:
            mine = 0
            for x in node.inputs:
                mine |= found[x] | bits.get(x, 0)
            found[node] = mine
            if node in self.reasons:
                bits[node] = 1 << len(bits)
        return found, bits

    # -- steps -----------------------------------------------------------------------------------

    def _expander(self) -> Expander:
        return Expander(ExprBuilder(), AxisPool(), self.extent, self.inside, self.base)

    def _region(self, group: Sequence[Node]) -> tuple[RegionStep, Expander]:
        expander = self._expander()
        outputs: list[tuple[Node, Output]] = []
        # The widest result first, so that its axes are the canonical ones.
        for root in sorted(group, key=lambda n: (-n.rank, n.number)):
            axes = expander.output_axes(root)
            expr = expander.root(root, axes)
            outputs.append((root, self._output(expander, root, expr, axes, len(outputs))))
        region = Region(tuple(expander.operands), tuple(o for _, o in outputs))
        return RegionStep(region, expander.sources, [r for r, _ in outputs]), expander

    def _output(
        self, expander: Expander, root: Node, expr: Expr, axes: tuple[Axis, ...], slot: int
    ) -> Output:
        shape = tuple(self.extent(n) for n in root.shape)
        return Output(expr, expander.output_index(root, axes), axes, shape, root.dtype, slot)

    def _other_step(self, node: Node) -> Step:
        if node.prim.lowering == "scatter":
            return self._scatter(node)
        key = getattr(node.prim, "library", node.prim.name)
        return LibraryStep(key, node, [self.viewed(x) for x in node.inputs])

    def _scatter(self, node: Node) -> RegionStep:
        x, updates, *indices = node.inputs
        expander = self._expander()
        axes = expander.output_axes(updates)
        place = expander.output_index(updates, axes)
        expander.order = axes
        lead = indices[0].rank
        at = [
            expander.clamp(expander.element(i, place[:lead]), n)
            for i, n in zip(indices, x.shape, strict=False)
        ]
        expr = expander.element(updates, place)
        shape = tuple(self.extent(n) for n in node.shape)
        mode = node.params["mode"]
        output = Output(
            expr,
            (*at, *place[lead:]),
            axes,
            shape,
            node.dtype,
            0,
            "replace" if mode == "set" else mode,
        )
        region = Region(tuple(expander.operands), (output,))
        return RegionStep(region, expander.sources, [node], initial=x)


def own_cost(node: Node) -> int:
    """What one element of a node costs beyond its operands."""
    op = getattr(node.prim, "op", None)
    if op is not None:
        return int(op.cost)
    if hasattr(node.prim, "monoid"):
        return 4 * EXPENSIVE
    return {"gather": 4, "cast": 1, "concat": 2, "pad": 2}.get(node.prim.name, 0)


def reads(step: Step) -> list[Node]:
    """The stored nodes a step reads."""
    if isinstance(step, LibraryStep):
        return [base for base, _ in step.operands]
    return step.sources + ([step.initial] if step.initial is not None else [])


def writes(step: Step) -> list[Node]:
    return [step.node] if isinstance(step, LibraryStep) else step.targets


def _ordered(steps: Sequence[Step]) -> list[Step] | None:
    """Steps so that every node is written before it is read, otherwise in order of first result; None
    if there is no such order."""
    writer = {node: step for step in steps for node in writes(step)}
    pending = {
        id(s): {id(writer[n]) for n in reads(s) if n in writer and writer[n] is not s}
        for s in steps
    }
    rest = sorted(steps, key=lambda s: min(n.number for n in writes(s)))
    done: set[int] = set()
    ordered: list[Step] = []
    while rest:
        ready = next((s for s in rest if pending[id(s)] <= done), None)
        if ready is None:
            return None
        rest.remove(ready)
        done.add(id(ready))
        ordered.append(ready)
    return ordered


def fuse(graph: Canonical, hints: Sequence[int]) -> Fused:
    """Partition a graph. `hints[d]` is a representative size of symbol d (exact up to UNROLL)."""
    return _Fuser(graph, hints).run()
