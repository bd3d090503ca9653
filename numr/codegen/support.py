"""Whether a device can run a graph: asked before anything of it is compiled or run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from numr import messages
from numr.codegen.kernel import Kernel, dtypes
from numr.codegen.region import INDEX
from numr.codegen.target import Capabilities
from numr.dtypes import DType, bool_, float32, int64, uint16
from numr.ir.body import bodies
from numr.ir.node import Node, toposort
from numr.primitives.source import CONST, IOTA, SIZE_OF

# What to use in place of a dtype that a device lacks.
NARROWER = {
    "float64": "float32", "complex128": "complex64", "int64": "int32", "uint64": "uint32",
}  # fmt: skip


def require(order: Iterable[Node], device: str, capabilities: Capabilities) -> None:
    """Check that a device has every dtype and operation of a graph.

    Args:
        order: the graph's nodes, operands first.
        device: the device's name.
        capabilities: what it can do.

    Raises:
        DTypeError: naming the first node of a dtype that the device lacks.
        DeviceError: naming the first operation that it cannot run, and why.
    """
    for node in order:
        # Numbers and lengths become part of kernels, in what dtype they are used; so may integers, of
        # which positions take what dtype the device has for them: see `require_kernel`.
        inside = node.prim in (CONST, SIZE_OF, IOTA) or (
            node.dtype is int64 and node.inputs and node.prim.lowering == "element"
        )
        if not has(capabilities, node.dtype) and not inside:
            raise _lacks(node, device, node.dtype)
        reason = capabilities.gaps.get(node.prim.name)
        if reason is not None:
            raise messages.device_gap(device, node.prim.name, reason, node.location)


def require_kernel(
    kernel: Kernel, order: Iterable[Node], device: str, capabilities: Capabilities
) -> None:
    """Check that a device has every dtype of a kernel, its own for positions apart.

    Raises:
        DTypeError: naming the first node of a dtype that the device lacks.
    """
    missing = dtypes(kernel) - capabilities.dtypes - {INDEX, bool_}
    if missing:
        node = next((n for n in _within(order) if n.dtype in missing and n.prim is not CONST), None)
        if node is not None:
            raise _lacks(node, device, node.dtype)


def _within(order: Iterable[Node]) -> Iterator[Node]:
    """Nodes, and before each those of its bodies."""
    for node in order:
        for body in bodies(node):
            yield from _within(toposort(body.outputs))
        yield node


def require_rounds(rounds: int, device: str, capabilities: Capabilities) -> None:
    """Check that a device lets loops go round so many times.

    Raises:
        DeviceError: if it would break them off.
    """
    most = capabilities.trips
    if most is not None and rounds > most:
        reason = f"its driver breaks loops off after {most} rounds"
        raise messages.device_gap(device, f"a loop of {rounds} rounds", reason)


def has(capabilities: Capabilities, dtype: DType) -> bool:
    """Whether a device has arrays of a dtype."""
    if dtype.is_half:  # words in memory, float32 in arithmetic
        return {uint16, float32} <= capabilities.dtypes
    return dtype in capabilities.dtypes


def _lacks(node: Node, device: str, dtype: DType) -> Exception:
    narrower = NARROWER.get(dtype.name)
    return messages.device_lacks_dtype(
        device, dtype, node.prim.name, node.shape, narrower, node.location
    )
