"""Windows that slide along an axis, and their adjoint: what convolutions and pools are made of.

Both take an array with an axis of places and an axis of taps (the places within a window), and each is
the transpose of the other, so that every derivative of a convolution is made of the same two. All places
that windows reach lie within the array: whoever wants others pads it first, or cuts it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import BROADCAST, SLICE, move_axis, permute, reshape


class _Sliding(Primitive):
    """What moves places by taps: linear, and one element of the result is one of the operand or 0."""

    lowering = "element"

    def infer(self, x: Node, *, axis: int, length: int, **params: Any) -> tuple[Shape, DType]:
        return (*x.shape[:axis], length, *x.shape[axis + 1 :]), x.dtype

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        return self(tangents[0], **params)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        params = dict(node.params)
        params["length"] = node.inputs[0].shape[params["axis"]]
        other = UNSLIDE if self is SLIDE else SLIDE
        return [other(ct, **params)]

    def batch(
        self, size: int, operands: Any, axes: Any, /, *, axis: int, taps: int, **params: Any
    ) -> tuple[Node, int]:
        return self(move_axis(operands[0], axes[0], 0), axis=axis + 1, taps=taps + 1, **params), 0


class _Slide(_Sliding):
    """out[i, j] = x[i * stride + j * dilation, j] for places i along `axis` and taps j along `taps`."""

    def reference(
        self, x: Any, *, axis: int, taps: int, stride: int, dilation: int, length: int
    ) -> Any:
        x = np.moveaxis(x, (axis, taps), (0, 1))
        out = np.zeros((int(length), *x.shape[1:]), x.dtype)
        for j in range(x.shape[1] if length else 0):
            out[:, j] = x[j * dilation :: stride, j][: int(length)]
        return np.moveaxis(out, (0, 1), (axis, taps))

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        p = node.params
        i, j = index[p["axis"]], index[p["taps"]]
        place = ctx.plus(
            ctx.times(i, ctx.length(p["stride"])), ctx.times(j, ctx.length(p["dilation"]))
        )
        moved = (*index[: p["axis"]], place, *index[p["axis"] + 1 :])
        return ctx.element(node.inputs[0], moved)

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=(9, 3)), axis=0, taps=1, stride=1, dilation=1, length=7)
        yield Sample(rng.normal(size=(3, 9)), axis=1, taps=0, stride=2, dilation=1, length=3)
        yield Sample(rng.normal(size=(2, 9, 3)), axis=1, taps=2, stride=3, dilation=2, length=2)
        yield Sample(rng.normal(size=(9, 2, 12)), axis=0, taps=2, stride=12, dilation=0, length=1)
        yield Sample(rng.normal(size=(4, 1)), axis=0, taps=1, stride=1, dilation=1, length=4)
        yield Sample(rng.normal(size=(2, 3)), axis=0, taps=1, stride=1, dilation=1, length=0)
        yield Sample(
            rng.integers(0, 9, (40, 20)),
            axis=0,
            taps=1,
            stride=1,
            dilation=1,
            length=21,
            smooth=False,
        )


class _Unslide(_Sliding):
    """out[n, j] = x[i, j] where n = i * stride + j * dilation for a place i, and 0 elsewhere."""

    def reference(
        self, x: Any, *, axis: int, taps: int, stride: int, dilation: int, length: int
    ) -> Any:
        x = np.moveaxis(x, (axis, taps), (0, 1))
        out = np.zeros((int(length), *x.shape[1:]), x.dtype)
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                out[i * stride + j * dilation, j] = x[i, j]
        return np.moveaxis(out, (0, 1), (axis, taps))

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        (x,) = node.inputs
        p = node.params
        axis, stride = p["axis"], p["stride"]
        moved = ctx.times(index[p["taps"]], ctx.length(p["dilation"]))
        offset = ctx.minus(index[axis], moved)
        place = ctx.divide(offset, ctx.length(stride)) if stride != 1 else offset
        inside = ctx.within(offset, place, stride, ctx.length(x.shape[axis]))
        source = (*index[:axis], place, *index[axis + 1 :])
        return ctx.choose(
            inside,
            lambda: ctx.element(x, source),
            lambda: ctx.builder.const(0, node.dtype),
        )

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=(7, 3)), axis=0, taps=1, stride=1, dilation=1, length=9)
        yield Sample(rng.normal(size=(3, 3)), axis=1, taps=0, stride=2, dilation=1, length=9)
        yield Sample(rng.normal(size=(2, 2, 3)), axis=1, taps=2, stride=3, dilation=2, length=10)
        yield Sample(rng.normal(size=(5, 3)), axis=0, taps=1, stride=1, dilation=2, length=11)
        yield Sample(rng.normal(size=(0, 3)), axis=0, taps=1, stride=1, dilation=1, length=2)
        yield Sample(
            rng.integers(0, 9, (21, 20)),
            axis=0,
            taps=1,
            stride=1,
            dilation=1,
            length=40,
            smooth=False,
        )


SLIDE = _Slide("slide")
UNSLIDE = _Unslide("unslide")


def windows(
    x: Node,
    axes: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    lengths: Sequence[int],
    taps: int | None = None,
) -> Node:
    """Windows along axes, `lengths` of them; the elements of each along new axes, of `sizes`.

    The new axes are the last, or come before axis number `taps` of x: the order of the result's axes
    is that of its memory.
    """
    first = x.rank if taps is None else taps
    count = len(sizes)
    if all(s == k > 1 and d == 1 for s, k, d in zip(strides, sizes, dilations, strict=True)):
        return _side_by_side(x, tuple(axes), sizes, lengths, first)
    places = [i if i < first else i + count for i in range(x.rank)]
    shape = (*x.shape[:first], *sizes, *x.shape[first:])
    out = BROADCAST(x, shape=shape, axes=tuple(places))
    for k, axis in enumerate(axes):
        if strides[k] == 1 and lengths[k] == x.shape[axis]:
            continue  # windows of one element each
        out = SLIDE(
            out,
            axis=places[axis],
            taps=first + k,
            stride=strides[k],
            dilation=dilations[k],
            length=lengths[k],
        )
    return out


def _side_by_side(
    x: Node, axes: tuple[int, ...], sizes: Sequence[int], lengths: Sequence[int], first: int
) -> Node:
    """Windows that neither overlap nor leave gaps, which are x under another shape."""
    covered = list(x.shape)
    split: list[int] = []
    places: list[int] = []  # of the axes of x
    inner: list[int] = []  # of those of the windows' elements
    for i, n in enumerate(x.shape):
        places.append(len(split))
        if i not in axes:
            split.append(n)
            continue
        k, m = sizes[axes.index(i)], lengths[axes.index(i)]
        if k * m != n:
            covered[i] = k * m
        inner.append(len(split) + 1)
        split += [m, k]
    if tuple(covered) != x.shape:
        x = SLICE(x, starts=(0,) * x.rank, sizes=tuple(covered), steps=(1,) * x.rank)
    order = (*places[:first], *inner, *places[first:])
    return permute(reshape(x, tuple(split)), order)


def overlapped(
    x: Node,
    axes: Sequence[int],
    taps: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    lengths: Sequence[int],
) -> Node:
    """The adjoint of `windows`: their elements, along the axes `taps`, added up where they overlap."""
    for k, axis in enumerate(axes):
        x = UNSLIDE(
            x,
            axis=axis,
            taps=taps[k],
            stride=strides[k],
            dilation=dilations[k],
            length=lengths[k],
        )
    return reduce_sum(x, axes=tuple(taps))
