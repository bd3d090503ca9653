"""Reading a lazy array: collect what it needs, run it as one program, keep every live result."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from numr import messages
from numr.devices import device_of, get_default_device
from numr.ir.node import Node, scope, toposort
from numr.primitives.source import CONST, LEAF, STOP_GRADIENT

if TYPE_CHECKING:
    from numr.array import Array

# Nodes whose handles' arrays are computed together, when the first of them is.
_together: weakref.WeakKeyDictionary[Node, list[weakref.ref[Array]]] = weakref.WeakKeyDictionary()


def compute_together(arrays: Sequence[Array]) -> None:
    """Have lazy arrays computed in one program, with what else is wanted, when one of them is needed."""
    handles = [weakref.ref(x) for x in arrays]
    for x in arrays:
        if x._node is not None and x._node.value is None:
            _together[x._node] = handles


def force(array: Array, operation: str) -> Any:
    """The value of an array, computed now.

    Raises:
        TracedValueError: if it depends on an argument of a function that is being traced.
    """
    node = array._node
    assert node is not None
    if node.trace is not None and (trace := node.trace.blocker()) is not None:
        if not trace.alive:
            raise messages.leaked_value(
                node.shape, node.dtype, trace.kind, trace.name, node.location
            )
        name = operation.removesuffix("()").removeprefix("numpy.")
        raise messages.traced_value(name, node.shape, node.dtype, node.location, trace.kind)
    realize([node])
    return node.value


def realize(nodes: Iterable[Node]) -> None:
    """Compute nodes that depend on no placeholder, and turn them into leaves in place.

    Every other node on the way whose handle a user still holds is kept as well: a loop that reads a
    loss must not compute its history again on the next read.
    """
    by_device: dict[str, list[Node]] = {}
    for node in dict.fromkeys(nodes):
        if node.value is None:
            by_device.setdefault(node.device or get_default_device(), []).append(node)
    for device, wanted in by_device.items():
        _realize(wanted, device)
    if scope.trace is None:
        # Nodes interned so far hold their operands; let go of what nobody holds.
        scope.arena.clear()
        scope.pending = 0


def _realize(wanted: list[Node], device: str) -> None:
    """Compute nodes on a device."""
    from numr.codegen.program import run_graph

    order = toposort(wanted)
    chosen = set(wanted)
    others = _others(order, chosen, device) if _together else []
    if others:
        wanted += others
        chosen.update(others)
        order = toposort(wanted)
    for node in order:
        # What is on no device yet need not be on this one.
        here = node.device is not None or device == get_default_device()
        if node.value is None and node not in chosen and here and _held(node):
            wanted.append(node)
    leaves = [n for n in order if n.value is not None]
    values = run_graph(leaves, wanted, [leaf.value for leaf in leaves], device)
    historic = _historic(order)
    for node, value in zip(wanted, values, strict=True):
        become_leaf(node, value, node in historic)
        if _together:
            _together.pop(node, None)


def _others(order: list[Node], chosen: set[Node], device: str) -> list[Node]:
    """What is to be computed together with some of these nodes."""
    found: dict[Node, None] = {}
    for node in order:
        for handle in _together.pop(node, ()):
            array = handle()
            other = None if array is None else array._node
            if other is None or other.value is not None or other in chosen:
                continue
            if (other.device or get_default_device()) == device:
                found[other] = None
    return list(found)


def _historic(order: list[Node]) -> set[Node]:
    """The nodes that derivatives with respect to a variable of `numr.autograd` go through."""
    found = {n for n in order if n.origin is not None}
    if found:
        for node in order:
            passes = node.prim is not STOP_GRADIENT and node.dtype.is_inexact
            if passes and any(x in found for x in node.inputs):
                found.add(node)
    return found


def value_on(node: Node, device: str) -> Any:
    """The value, on a device, of a node that is on none yet, and still is on none then: equal arrays are
    one node, and only one of them is moved."""
    from numr.codegen.program import run_graph

    leaves = [n for n in toposort([node]) if n.value is not None]
    (value,) = run_graph(leaves, [node], [leaf.value for leaf in leaves], device)
    return value


def _held(node: Node) -> bool:
    return node.handle is not None and node.handle() is not None and node.prim is not CONST


def become_leaf(node: Node, value: Any, historic: bool = False) -> None:
    """A node that has been computed no longer needs its history, unless derivatives go through it."""
    if historic and node.origin is None:
        origin = Node(node.prim, node.inputs, node.params, node.shape, node.dtype, None)
        origin.location = node.location
        node.origin = origin
    node.value = value
    node.device = device_of(value)
    node.prim = LEAF
    node.inputs = ()
    node.params = {"serial": node.number}
    node.trace = None
