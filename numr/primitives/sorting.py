"""Sorting along an axis: NaN last, stable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType, int64
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.indexing import GATHER
from numr.primitives.shape import move_axis
from numr.primitives.source import IOTA


class _Sorting(Primitive):
    lowering = "library"

    def batch(self, size: int, operands: Any, axes: Any, /, *, axis: int) -> tuple[Node, int]:
        return self(move_axis(operands[0], axes[0], 0), axis=axis + 1), 0

    def flops(self, node: Node) -> int:
        return super().flops(node) * int(node.shape[node.params["axis"]]).bit_length()

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        for shape, axis in (((7,), 0), ((33,), 0), ((3, 5), 0), ((3, 5), 1), ((0,), 0), ((1,), 0)):
            yield Sample(
                rng.permuted(np.arange(np.prod(shape, dtype=int)).astype(float)).reshape(shape),
                axis=axis,
            )
        yield Sample(np.array([2.0, np.nan, -np.inf, 2.0, 0.0, -0.0, np.inf]), axis=0, smooth=False)
        yield Sample(rng.integers(0, 5, 20), axis=0, smooth=False)
        yield Sample(rng.integers(0, 2, 9).astype(bool), axis=0, smooth=False)


class _Sort(_Sorting):
    """The elements of each line along `axis` in ascending order."""

    library = "sort"
    no_transpose = "it is not linear; its tangent is"

    def infer(self, x: Node, *, axis: int) -> tuple[Shape, DType]:
        return x.shape, x.dtype

    def reference(self, x: Any, *, axis: int) -> Any:
        return np.sort(x, axis=axis, kind="stable")

    def jvp(self, out: Node, operands: Any, tangents: Any, *, axis: int) -> Node | None:
        return take_along(tangents[0], argsort(operands[0], axis=axis), axis)


class _Argsort(_Sorting):
    """The positions that sort each line along `axis`; equal elements keep their order."""

    library = "argsort"
    no_jvp = no_transpose = "its result is integer"

    def infer(self, x: Node, *, axis: int) -> tuple[Shape, DType]:
        return x.shape, int64

    def reference(self, x: Any, *, axis: int) -> Any:
        return np.argsort(x, axis=axis, kind="stable")

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        return None

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        return [None]


def take_along(x: Node, index: Node, axis: int) -> Node:
    """x picked by index arrays of x's rank along one axis, as NumPy's take_along_axis."""
    places = (index if k == axis else IOTA(shape=index.shape, axis=k) for k in range(x.rank))
    return GATHER(x, *places)


sort = _Sort("sort")
argsort = _Argsort("argsort")
