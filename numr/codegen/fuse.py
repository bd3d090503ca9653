"""Fusion: decide which nodes are stored, and group the rest into Regions and library calls.

Everything that can be written as a scalar expression of its index is inlined into its users, down to
stored nodes. A node is stored because it is a result, because it feeds a library call, or because
inlining it would repeat work; the reason is kept, for `explain`. Results over the same axes are
computed by one Region.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from numr.codegen.expand import AxisPool, Expander, Index, MustStore
from numr.codegen.group import Grouping
from numr.codegen.region import Axis, Expr, ExprBuilder, Output, Region, Sum
from numr.codegen.weight import EXPENSIVE, cost_of, own_cost
from numr.ir.dims import Dim, Extent
from numr.ir.node import Node
from numr.ir.primitive import siblings_key
from numr.ir.symbolic import is_nothing
from numr.ir.text import Canonical
from numr.primitives.source import CONST, IOTA, SIZE_OF

# Of an array this many times larger than all it is made of, memory costs so many times the work.
MUCH_LARGER = 8
DEARER = 2
# Longest chain of operations in one kernel: bounds compile time, and recursion while expanding.
MAX_DEPTH = 60
MAX_WEIGHT = 3000
# Results and operands of a kernel: more arrays at a time than this are no longer streamed well.
MAX_ARRAYS = 40
# The largest length that is written into kernels as a literal (in graphs with reductions).
UNROLL = 4
# Of an array joined from more parts than this, an element is not chosen among them while it is read.
CHOSEN_PARTS = 3

VIEWS = ("permute", "reshape", "broadcast")


@dataclass(slots=True)
class RegionStep:
    """A Region, the stored nodes it reads (per operand) and writes (per output)."""

    region: Region
    sources: list[Node]
    targets: list[Node]
    # A scatter starts from a copy of this node.
    initial: Node | None = None
    # What writes the other parts of the same targets.
    more: list[RegionStep] = field(default_factory=list)

    @property
    def parts(self) -> list[RegionStep]:
        """All that writes the targets, in order."""
        return [self, *self.more]


@dataclass(slots=True)
class LibraryStep:
    """A library call: each operand is a stored node under a chain of views."""

    key: str
    node: Node
    operands: list[tuple[Node, list[Node]]]


@dataclass(slots=True)
class ControlStep:
    """A loop or branch: results of one node's operation, and its operands as a library call's; and how
    it is gone through, for `explain`."""

    targets: list[Node]
    operands: list[tuple[Node, list[Node]]]
    how: str = ""


Step = RegionStep | LibraryStep | ControlStep


@dataclass(slots=True)
class Fused:
    """Steps in order, and why each node is stored."""

    steps: list[Step]
    reasons: dict[Node, str]
    # Graph outputs as (stored node, views on top).
    results: list[tuple[Node, list[Node]]]


def is_element(node: Node) -> bool:
    """Whether an element of a node can be computed wherever it is read."""
    if hasattr(node.prim, "parts") and len(node.prim.parts(node)[1]) > CHOSEN_PARTS:
        return False
    return node.prim.lowering == "element"


class _Fuser:
    def __init__(self, graph: Canonical, hints: Sequence[int], most: int) -> None:
        self.graph = graph
        self.most = most  # arrays of one kernel
        self.order = graph.order
        self.inputs = set(graph.inputs)
        self.hints = hints
        self.reasons: dict[Node, str] = {}
        # Stored nodes that the kernel they were put in cannot compute.
        self.alone: set[Node] = set()
        self.reads: dict[Node, frozenset[Node]] = {}  # stored nodes behind one that is not
        self.stages = self._stages()
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
                elif node.prim.lowering != "element":
                    for x in node.inputs:
                        self.viewed(x)
        for out in self.graph.outputs:
            self.store(self.base(out), "a result")
        self._bound_depth()

    def _filled(self, node: Node) -> bool:
        return node.prim.name == "broadcast" and node.inputs[0].prim is CONST

    def _bound_depth(self) -> None:
        """Store what would make an expression longer than a kernel may be, or read more arrays."""
        depth: dict[Node, int] = {}
        weights: dict[Node, int] = {}  # no less than what each costs
        self.reads.clear()
        for node in self.order:
            if node in self.inputs:
                continue
            if not is_element(node):
                if node.prim.lowering == "scatter":
                    self._bound_arrays(node)
                continue
            below = max((depth.get(x, 0) for x in node.inputs), default=0) + 1
            weight = own_cost(node) + sum(weights.get(x, 0) for x in node.inputs)
            if node in self.reasons:
                below = weight = 0
            elif weight > MAX_WEIGHT:
                # A sum over operands counts a term once for each of its uses.
                weight = self.cost(node, MAX_WEIGHT + 1)
            if below > MAX_DEPTH or weight > MAX_WEIGHT:
                self.store(node, "the expression is as long as a kernel may be")
                below = weight = 0
            depth[node], weights[node] = below, weight
            self._bound_arrays(node)

    def _bound_arrays(self, node: Node) -> None:
        """Store operands of a node, those that read most first, until one kernel can read all it needs."""

        widest = sorted(
            dict.fromkeys(node.inputs), key=lambda x: (-len(self._behind([x])), x.number)
        )
        while (
            len(self._behind(node.inputs)) >= self.most
            and widest
            and len(self._behind(widest[:1])) > 1
        ):
            self.store(widest.pop(0), f"a kernel takes at most {self.most} arrays")
        self.reads[node] = self._behind(node.inputs)

    def _behind(self, nodes: Sequence[Node]) -> frozenset[Node]:
        """The stored nodes that a kernel which reads these must load."""
        known = (self._inlined(x) and is_element(x) for x in nodes)
        return frozenset[Node]().union(
            *(
                self.reads.get(x, frozenset()) if inlined else (x,)
                for x, inlined in zip(nodes, known, strict=True)
            )
        )

    def dear(self, node: Node) -> bool:
        """Whether several kernels should rather read a node than each compute it."""
        sources = [self._elements(x) for x in self.reads.get(node, ())]
        grows = bool(sources) and self._elements(node) >= MUCH_LARGER * max(sources)
        limit = EXPENSIVE * DEARER if grows else EXPENSIVE
        return bool(node.shape) and self.cost(node, limit) >= limit

    def cost(self, node: Node, limit: int) -> int:
        """What an element of a node costs, counted as far as a limit."""
        return cost_of(node, lambda x: not self._inlined(x), limit)

    def _elements(self, node: Node) -> int:
        return math.prod(
            self.hints[n.index] if isinstance(n, Dim) else n for n in map(self.extent, node.shape)
        )

    # -- building --------------------------------------------------------------------------------

    def run(self) -> Fused:
        self.mark()
        while True:
            before = len(self.reasons)
            try:
                built = self._build_all()
            except MustStore as stop:
                if stop.node in self.reasons:
                    if stop.node in self.alone:
                        raise AssertionError(f"{stop.node!r} cannot be computed: {stop}") from None
                    self.alone.add(stop.node)
                self.store(stop.node, str(stop))
                self._bound_depth()
                continue
            if len(self.reasons) == before:
                break
            self._bound_depth()
        results = [self.viewed(out) for out in self.graph.outputs]
        return Fused(built, dict(self.reasons), results)

    def _build_all(self) -> list[Step]:
        users: dict[Node, int] = {}
        repeated: dict[Node, str] = {}
        steps: list[Step] = []
        for group in self._groups():
            # Of nothing but empty parts there is no kernel for a part.
            if hasattr(group[0].prim, "parts") and 0 not in group[0].shape:
                regions = self._joined(group[0])
                steps.append(regions[0][0])
                regions[0][0].more = [step for step, _ in regions[1:]]
            elif not is_element(group[0]):
                steps.append(self._other_step(group))
                continue
            else:
                regions = [self._region(group)]
                steps.append(regions[0][0])
            for step, expander in regions:
                for node, indices in expander.visits.items():
                    if self.inside(node):
                        users[node] = users.get(node, 0) + 1
                        if self._repeats(indices, step):
                            repeated[node] = f"used at {len(indices)} places of its kernel"
        for node, count in users.items():
            if count > 1:
                repeated[node] = f"{count} kernels use it"
        self._store_repeated(repeated)
        return ordered(steps, self.stages)

    def _repeats(self, indices: set[Index], step: RegionStep) -> bool:
        """Whether one kernel would compute a node several times over, and it is no larger than the
        result."""
        if len(indices) < 2:
            return False
        outer = {a for o in step.region.outputs for a in o.axes}
        return frozenset().union(*(e.free for index in indices for e in index)) <= outer

    def _store_repeated(self, repeated: Mapping[Node, str]) -> None:
        """Store what would be computed repeatedly, operands first: what is cheap given those stays.

        Results of reductions alone, if there are any: given these, one kernel may do with what they are made of.
        """
        reduced = [n for n in repeated if hasattr(n.prim, "monoid") and self.dear(n)]
        for node in sorted(reduced or repeated, key=lambda n: n.number):
            if self.dear(node):
                cost = self.cost(node, MAX_WEIGHT)
                self.store(node, f"{repeated[node]}, at cost {cost}")

    def _groups(self) -> list[list[Node]]:
        """Stored nodes by the step that computes them."""

        def stored(node: Node) -> bool:
            return node in self.reasons and node not in self.inputs

        def loaded(node: Node) -> bool:
            return not self._inlined(node)

        grouping = Grouping(loaded, self.base, self.extent, self.most, self.stages)
        for node in filter(stored, self.order):
            if node.prim.has_siblings:
                grouping.add_siblings(node, siblings_key(node))
            elif is_element(node) and node not in self.alone and not hasattr(node.prim, "parts"):
                grouping.add(node)
            else:
                grouping.add_single(node)
        return grouping.groups()

    def _stages(self) -> dict[Node, int]:
        """After which of the barriers of checkpoints each node is; those after none are left out."""
        found: dict[Node, int] = {}
        for node in self.order:
            stage = max([found.get(x, 0) for x in node.inputs], default=0)
            if node.inputs and "serial" in node.params:
                stage = max(stage, node.params["serial"])
            if stage:
                found[node] = stage
        return found

    # -- steps -----------------------------------------------------------------------------------

    def _expander(self, group: Sequence[Node] = ()) -> Expander:
        """A context in which the members of a group, too, are computed rather than loaded."""
        members = frozenset(group)

        def inside(node: Node) -> bool:
            return self.inside(node) or self.base(node) in members

        return Expander(ExprBuilder(), AxisPool(), self.extent, inside, self.base)

    def _region(self, group: Sequence[Node]) -> tuple[RegionStep, Expander]:
        expander = self._expander(group)
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

    def _joined(self, node: Node) -> list[tuple[RegionStep, Expander]]:
        """A step for the parts of each shape, which writes them where they belong."""
        axis, parts = node.prim.parts(node)  # type: ignore[attr-defined]
        alike: dict[tuple[Extent, ...], list[list[int]]] = {}
        for k, part in enumerate(parts):
            if any(map(is_nothing, part.shape)):
                continue
            sets = alike.setdefault(tuple(map(self.extent, part.shape)), [[]])
            if len(self._behind([parts[j] for j in (*sets[-1], k)])) >= self.most:
                sets.append([])
            sets[-1].append(k)
        shape = tuple(map(self.extent, node.shape))
        lengths = [self.extent(part.shape[axis]) for part in parts]
        steps = []
        for members in (m for sets in alike.values() for m in sets if m):
            expander = self._expander()
            axes = expander.output_axes(parts[members[0]])
            outputs = []
            for k in members:
                index = list(expander.output_index(parts[k], axes))
                expander.order = axes
                expr = expander.element(parts[k], tuple(index))
                start = expander.builder.size(Sum(tuple(lengths[:k])))
                index[axis] = expander.plus(index[axis], start)
                outputs.append(Output(expr, tuple(index), axes, shape, node.dtype, 0))
            region = Region(tuple(expander.operands), tuple(outputs))
            steps.append((RegionStep(region, expander.sources, [node]), expander))
        return steps

    def _other_step(self, group: list[Node]) -> Step:
        node = group[0]
        if node.prim.has_siblings:
            return ControlStep(group, [self.viewed(x) for x in node.inputs])
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


def reads(step: Step) -> list[Node]:
    """The stored nodes a step reads."""
    if isinstance(step, (LibraryStep, ControlStep)):
        return [base for base, _ in step.operands]
    sources = [node for part in step.parts for node in part.sources]
    return sources + ([step.initial] if step.initial is not None else [])


def writes(step: Step) -> list[Node]:
    return [step.node] if isinstance(step, LibraryStep) else step.targets


def ordered(steps: Sequence[Step], stages: Mapping[Node, int]) -> list[Step]:
    """Steps so that every node is written before it is read, otherwise by the stages of the derivative
    they belong to, and in order of first result."""
    steps = sorted(steps, key=lambda s: min((stages.get(n, 0), n.number) for n in writes(s)))
    writer = {node: k for k, step in enumerate(steps) for node in writes(step)}
    waiting = [{writer[n] for n in reads(s) if writer.get(n, k) != k} for k, s in enumerate(steps)]
    users: dict[int, list[int]] = {}
    for k, others in enumerate(waiting):
        for other in others:
            users.setdefault(other, []).append(k)
    ready = [k for k, others in enumerate(waiting) if not others]
    result: list[Step] = []
    while ready:
        k = heapq.heappop(ready)
        result.append(steps[k])
        for user in users.get(k, ()):
            waiting[user].discard(k)
            if not waiting[user]:
                heapq.heappush(ready, user)
    assert len(result) == len(steps), "groups are made without a cycle"
    return result


def fuse(
    graph: Canonical,
    hints: Sequence[int],
    max_buffers: int = MAX_ARRAYS,
    stored: Mapping[Node, str] | None = None,
) -> Fused:
    """Partition a graph.

    Args:
        graph: the rewritten graph.
        hints: `hints[d]` is a representative size of symbol d (exact up to UNROLL).
        max_buffers: most buffers the device gives to one kernel.
        stored: nodes that are to be stored in any case, and why.
    """
    fuser = _Fuser(graph, hints, min(MAX_ARRAYS, max_buffers))
    fuser.reasons.update(stored or {})
    return fuser.run()
