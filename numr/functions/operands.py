"""From what a user passes to nodes: conversion, promotion, broadcasting, and back to an Array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numr import dtypes
from numr.array import Array, from_node, to_array
from numr.dtypes import DType, result_type
from numr.errors import DTypeError, ShapeError
from numr.ir.dims import Size, unify
from numr.ir.node import Node
from numr.primitives.elementwise import cast
from numr.primitives.shape import broadcast_to
from numr.primitives.source import const, size_of

SCALARS = (bool, int, float, complex)


class Weak:
    """A Python scalar waiting for the dtype of what it meets."""

    __slots__ = ("dtype", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self.dtype = dtypes.DEFAULT_BY_PYTHON[bool if isinstance(value, bool) else _python_kind(value)]

    def node(self, dtype: DType) -> Node:
        if isinstance(self.value, Size):
            return size_of(self.value, dtype)
        return const(self.value, dtype)


def _python_kind(value: Any) -> type:
    for kind in (int, float, complex):
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
    return found.node(dtype) if type(found) is Weak else found  # type: ignore[return-value]


def promoted(name: str, xs: Sequence[Any], kinds: str = "biufc", least: DType | None = None) -> tuple[list[Node], bool]:
    """The operands as nodes of their common dtype, and whether that dtype is weak.

    `kinds` are the dtype kinds the function takes. With `least` (a floating dtype), booleans and
    integers are converted to it, as NumPy does for functions that need floating values.
    """
    found = [operand(x) for x in xs]
    dtype, weak = result_type(*((d, w) for _, d, w in found))
    if least is not None and dtype.kind not in "fc":
        dtype = least
    if dtype.kind not in kinds:
        given = ", ".join(str(d) for _, d, _ in found)
        raise DTypeError(f"{name} does not take operands of dtypes {given}")
    return [x.node(dtype) if type(x) is Weak else cast(x, dtype) for x, _, _ in found], weak  # type: ignore[arg-type]


def broadcast_shapes(name: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape by NumPy's rule, keeping the identity of sizes."""
    rank = max(map(len, shapes), default=0)
    out: list[int] = [1] * rank
    for shape in shapes:
        for i, n in enumerate(shape, rank - len(shape)):
            if n == 1 and type(n) is not Size:
                continue
            if out[i] == 1:
                out[i] = n
            elif n != out[i] and n != 1:
                given = " and ".join(str(tuple(map(int, s))) for s in shapes)
                raise ShapeError(f"{name}: operands of shapes {given} cannot be broadcast together")
            elif n != 1:
                unify(out[i], n)
    return tuple(out)


def aligned(name: str, nodes: Sequence[Node]) -> list[Node]:
    """Operands of an elementwise primitive: one shape, scalars left as scalars."""
    first = nodes[0].shape
    if all(not n.shape or n.shape is first for n in nodes):
        return list(nodes)
    shapes = [n.shape for n in nodes if n.shape]
    shape = broadcast_shapes(name, shapes)
    return [n if not n.shape or n.shape == shape else broadcast_to(n, shape) for n in nodes]


def normalized_axis(name: str, axis: int, rank: int) -> int:
    """A non-negative axis, or an error naming the rank."""
    if not isinstance(axis, (int, np.integer)) or isinstance(axis, bool):
        raise TypeError(f"{name}: axis must be an integer, not {axis!r}")
    if not -rank <= axis < rank:
        raise ShapeError(f"{name}: axis {axis} is out of range for an array with {rank} axes")
    return int(axis) % rank


def normalized_axes(name: str, axis: Any, rank: int) -> tuple[int, ...]:
    """Axes as a sorted tuple of non-negative numbers; None means all."""
    if axis is None:
        return tuple(range(rank))
    listed = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(normalized_axis(name, a, rank) for a in listed)
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: axis {axis} names an axis twice")
    return tuple(sorted(axes))


__all__ = [
    "Array", "Weak", "aligned", "broadcast_shapes", "from_node", "node_of", "normalized_axes", "normalized_axis",
    "operand", "promoted",
]  # fmt: skip
