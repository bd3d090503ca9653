"""From what a user passes to nodes: conversion, promotion, broadcasting, and checks of axes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from numr import dtypes, messages
from numr.array import Array, from_node, to_array
from numr.dtypes import DType, float32, float64, result_type
from numr.errors import AxisError, DTypeError, ShapeError, TracedValueError
from numr.ir.dims import Size, unify
from numr.ir.node import Node
from numr.ir.symbolic import Symbolic
from numr.primitives.elementwise import cast, in_range
from numr.primitives.shape import broadcast_to
from numr.primitives.source import const, size_of

SCALARS = (bool, int, float, complex)
NUMERIC = "iufc"

_KIND_NAMES = {
    "b": "boolean",
    "i": "integer",
    "u": "unsigned integer",
    "f": "floating",
    "c": "complex",
}


def is_traced(node: Node) -> bool:
    """Whether a node's values are not known while a function is traced."""
    return node.trace is not None and node.trace.blocker() is not None


def length_of(name: str, argument: str, value: Any) -> int:
    """A number from 0 on that decides a shape, as the user gave it.

    Raises:
        TracedValueError: for a value that is not known while a function is traced.
        ShapeError: for what is no such number.
    """
    if isinstance(value, Array) and is_traced(value.node):
        raise TracedValueError(
            f"{name}: {argument} decides a shape, and is a traced value\n"
            f"  give a number of Python's; static_argnums makes it one where it is an argument"
        )
    if not isinstance(value, int):
        try:
            value = operator.index(value)
        except TypeError:
            value = value.item() if isinstance(value, Array) and value.shape == () else value
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ShapeError(f"{name}: {argument} is a length, an integer from 0 on, not {value!r}")
    return value


class Weak:
    """A Python scalar waiting for the dtype of what it meets."""

    __slots__ = ("dtype", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.dtype = dtypes.DEFAULT_BY_PYTHON[_python_kind(value)]

    def node(self, dtype: DType) -> Node:
        value = self.value
        if isinstance(value, Symbolic):
            value.need_bits()
        if isinstance(value, Size):
            return size_of(value, dtype)
        if dtype.kind in "iu" and not in_range(value, dtype):
            raise DTypeError(
                f"the Python integer {value} does not fit in {dtype}\n"
                "  convert the array to a wider dtype with .astype(...)"
            )
        return const(value, dtype)


def _python_kind(value: Any) -> type:
    for kind in SCALARS:
        if isinstance(value, kind):
            return kind
    raise TypeError(type(value))


def operand(x: Any) -> tuple[Node | Weak, DType, bool]:
    """(node or Python scalar, dtype, weak) of any operand."""
    if type(x) is Array:
        node = x.node
        return node, node.dtype, x.weak
    if isinstance(x, SCALARS) and not isinstance(x, np.generic):
        weak = Weak(x)
        return weak, weak.dtype, True
    x = to_array(x)
    return x.node, x.node.dtype, x.weak


def node_of(x: Any) -> Node:
    """The node of any operand; Python scalars take their default dtype."""
    found, dtype, _ = operand(x)
    return found.node(dtype) if isinstance(found, Weak) else found


def default_float() -> DType:
    """The dtype integers take where a function needs a floating one."""
    from numr import config

    return float64 if config.get().default_float == "float64" else float32


def floating(x: Any) -> Node:
    """The node of an operand, converted to the default floating dtype unless it is inexact."""
    node = node_of(x)
    return node if node.dtype.is_inexact else cast(node, default_float())


def operand_names(count: int) -> list[str]:
    """What messages call the operands of a function: x alone, else x1, x2, ..."""
    return ["x"] if count == 1 else [f"x{i}" for i in range(1, count + 1)]


def kind_names(kinds: str) -> str:
    """Dtype kinds in words."""
    return ", ".join(name for kind, name in _KIND_NAMES.items() if kind in kinds)


def promoted(
    name: str, xs: Sequence[Any], kinds: str = "biufc", least: DType | None = None
) -> tuple[list[Node], bool]:
    """The operands as nodes of their common dtype, and whether that dtype is weak.

    `kinds` are the dtype kinds the function takes. With `least` (a floating dtype), booleans and
    integers are converted to it, as NumPy does for functions that need floating values.
    """
    found = [operand(x) for x in xs]
    dtype, weak = result_type(*((d, w) for _, d, w in found))
    if least is not None and dtype.kind not in "fc":
        dtype = least
    if dtype.kind not in kinds:
        given = [str(d) for _, d, _ in found]
        hint = f"it takes {kind_names(kinds)} dtypes; .astype(...) converts"
        raise messages.dtype_mismatch(name, operand_names(len(found)), given, hint=hint)
    return [x.node(dtype) if isinstance(x, Weak) else cast(x, dtype) for x, _, _ in found], weak


def broadcast_shapes(
    name: str, shapes: Sequence[tuple[int, ...]], names: Sequence[str] | None = None
) -> tuple[int, ...]:
    """The common shape by NumPy's rule, keeping the identity of sizes.

    Raises:
        ShapeError: naming the operands and their shapes.
    """
    rank = max(map(len, shapes), default=0)
    out: list[int] = [1] * rank
    for shape in shapes:
        for i, n in enumerate(shape, rank - len(shape)):
            if n == 1 and not isinstance(n, Size):
                continue
            if out[i] == 1:
                out[i] = n
            elif n != out[i] and n != 1:
                given = [plain(s) for s in shapes]
                raise messages.shape_mismatch(name, names or operand_names(len(shapes)), given)
            elif n != 1:
                unify(out[i], n)
    return tuple(out)


def aligned(name: str, nodes: Sequence[Node], names: Sequence[str] | None = None) -> list[Node]:
    """Operands of an elementwise primitive: one shape, scalars left as scalars."""
    first = next((n.shape for n in nodes if n.shape), ())
    if all(not n.shape or n.shape == first for n in nodes):
        return list(nodes)
    shape = broadcast_shapes(name, [n.shape for n in nodes], names)
    return [n if not n.shape or n.shape == shape else broadcast_to(n, shape) for n in nodes]


def plain(shape: Sequence[int]) -> tuple[int, ...]:
    """A shape for messages: plain ints, and formulas."""
    return tuple(n if isinstance(n, Symbolic) else int(n) for n in shape)


def normalized_axis(name: str, axis: Any, rank: int) -> int:
    """A non-negative axis.

    Raises:
        AxisError: naming the axis and the rank.
    """
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise AxisError(f"{name}: an axis is an integer, not {axis!r}")
    if not -rank <= axis < rank:
        raise messages.axis_out_of_range(name, int(axis), rank)
    return int(axis) % rank


def normalized_axes(name: str, axis: Any, rank: int) -> tuple[int, ...]:
    """Axes as a sorted tuple of non-negative numbers; None means all."""
    if axis is None:
        return tuple(range(rank))
    listed = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(normalized_axis(name, a, rank) for a in listed)
    if len(set(axes)) != len(axes):
        raise AxisError(f"{name}: axis {axis} names an axis twice")
    return tuple(sorted(axes))


__all__ = [
    "NUMERIC",
    "Array",
    "Weak",
    "aligned",
    "broadcast_shapes",
    "default_float",
    "floating",
    "from_node",
    "kind_names",
    "node_of",
    "normalized_axes",
    "normalized_axis",
    "operand",
    "operand_names",
    "plain",
    "promoted",
]
