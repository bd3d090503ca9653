"""Nodes of the expression graph: immutable, interned, in creation order; and the scopes that own them.

A node's `number` grows with creation and inputs are always created before their users, so sorting
reachable nodes by number is a topological order: no walker here needs recursion.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from numr.dtypes import DType
from numr.ir.dims import Shape

if TYPE_CHECKING:
    from numr.ir.primitive import Primitive

_numbers = itertools.count()


class Trace:
    """One run of a user function under a transformation; owns the placeholders made for it.

    `kind` is "jit", "vmap" or "grad". The placeholders of jit and vmap have no value, ever. Those of
    grad are aliases of real inputs: unreadable while the trace runs (reading would cut the
    derivative), ordinary values afterwards.
    """

    __slots__ = ("alive", "depth", "kind", "members", "name", "parent")

    def __init__(self, kind: str, name: str, parent: Trace | None) -> None:
        self.kind = kind
        self.name = name
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.alive = True
        self.members: list[Trace] = []

    def over(self, parent: Trace | None) -> Trace:
        """This trace as a value sees it that otherwise depends on `parent`: an alias of a value from
        outside an enclosing function does not depend on that function."""
        if parent is self.parent:
            return self
        for member in self.members:
            if member.parent is parent:
                return member
        member = Trace(self.kind, self.name, parent)
        member.depth = self.depth
        self.members.append(member)
        return member

    def close(self) -> None:
        """The function has returned."""
        self.alive = False
        for member in self.members:
            member.alive = False

    def blocker(self) -> Trace | None:
        """The innermost trace that makes a value of this one unreadable, if any."""
        trace: Trace | None = self
        while trace is not None:
            if trace.alive or trace.kind != "grad":
                return trace
            trace = trace.parent
        return None


class Node:
    """One array value of the graph: a primitive applied to nodes. Identity is equality.

    Attributes:
        prim: the primitive.
        inputs: operand nodes.
        params: static parameters by name.
        shape: lengths (ints and Sizes).
        dtype: element type.
        device: the name of the device its operands' values are on, or None if it has none of those.
        trace: the trace whose placeholders it depends on, or None.
        value: the computed buffer, for leaves only.
        origin: of a leaf that derivatives go through, where it came from: the node it was before it was
            computed, or the variable it is (`numr.autograd`); else None.
        handle: a weak reference to the user's lazy array over it, or None.
        location: the user's line that created it, or None; never part of identity.
        number: creation order.
    """

    __slots__ = (
        "__weakref__",
        "device",
        "dtype",
        "handle",
        "inputs",
        "location",
        "number",
        "origin",
        "params",
        "prim",
        "shape",
        "trace",
        "value",
    )

    def __init__(
        self,
        prim: Primitive,
        inputs: tuple[Node, ...],
        params: dict[str, Any],
        shape: Shape,
        dtype: DType,
        trace: Trace | None,
        value: Any = None,
        device: str | None = None,
    ) -> None:
        self.prim = prim
        self.inputs = inputs
        self.params = params
        self.shape = shape
        self.dtype = dtype
        self.trace = trace
        self.device = device
        self.value = value
        self.origin: Any = None
        self.handle: Any = None
        self.location = scope.location
        self.number = next(_numbers)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def made_by(self) -> Node:
        """The operation this is the result of, which a computed leaf knows if derivatives go through it."""
        origin = self.origin
        return origin if isinstance(origin, Node) else self

    def __repr__(self) -> str:
        dims = ",".join(map(str, self.shape))
        return f"%{self.number}:{self.dtype.short}[{dims}] = {self.prim.name}"


class _Scope(threading.local):
    """Per thread: the arena nodes are interned in, the running trace, the ambient location."""

    def __init__(self) -> None:
        self.arena: dict[tuple[Any, ...], Node] = {}
        self.trace: Trace | None = None
        self.location: Any = None
        # Lazy nodes made since the last read.
        self.pending = 0
        # Whether what is computed is to have no history (`numr.autograd.no_grad`).
        self.paused = False
        # Asked before an array changes in place, where that may be in a branch that will not run.
        self.changing: Any = None


scope = _Scope()


@contextmanager
def new_trace(kind: str, name: str) -> Iterator[Trace]:
    """Run a user function under a fresh trace with an arena of its own."""
    trace = Trace(kind, name, scope.trace)
    outer_trace, outer_arena = scope.trace, scope.arena
    scope.trace = trace
    if kind == "jit":
        scope.arena = {}
    try:
        yield trace
    finally:
        trace.close()
        scope.trace, scope.arena = outer_trace, outer_arena


@contextmanager
def located(location: Any) -> Iterator[None]:
    """Give nodes made inside the location of the node they derive from."""
    outer, scope.location = scope.location, location
    try:
        yield
    finally:
        scope.location = outer


@contextmanager
def without_histories() -> Iterator[None]:
    """Have what is computed inside be constants to derivatives with respect to variables."""
    outer, scope.paused = scope.paused, True
    try:
        yield
    finally:
        scope.paused = outer


def toposort(outputs: Iterable[Node], given: Collection[Node] = ()) -> list[Node]:
    """Every node the outputs depend on, inputs before users; without those `given`, and what only
    they depend on."""
    stack = list(outputs)
    seen = set(stack)
    if given:
        known = set(given)
        seen |= known
        stack = [node for node in stack if node not in known]
    while stack:
        for node in stack.pop().inputs:
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return sorted(seen - known if given else seen, key=_number)


def _number(node: Node) -> int:
    return node.number


def dependents(order: Iterable[Node], roots: Iterable[Node]) -> set[Node]:
    """The nodes of a topological order that depend on one of the roots (roots included)."""
    found = set(roots)
    for node in order:
        for operand in node.inputs:
            if operand in found:
                found.add(node)
                break
    return found


def toposort_between(outputs: Iterable[Node], roots: Iterable[Node]) -> list[Node]:
    """In order, the nodes the outputs need that depend on the roots (roots excluded).

    Walks no further down than the oldest root, so differentiating a small function of a value with
    a long history costs the function, not the history.
    """
    roots = tuple(roots)
    if not roots:
        return []
    oldest = min(r.number for r in roots)
    root_set = set(roots)
    stack = [n for n in outputs if n.number > oldest]
    seen = set(stack)
    while stack:
        node = stack.pop()
        if node in root_set:
            continue
        for operand in node.inputs:
            if operand.number > oldest and operand not in seen:
                seen.add(operand)
                stack.append(operand)
    order = sorted(seen, key=_number)
    found = dependents(order, roots)
    return [n for n in order if n in found and n not in root_set]
