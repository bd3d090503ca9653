"""Indexing by integer arrays: gather, and its adjoint scatter. Everything else reduces to these two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType, int64
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.elementwise import add, cast, mul, over, select, sub, times, zero_like_scalar
from numr.primitives.mathematics import eq, maximum, minimum, ne
from numr.primitives.shape import batched_first, broadcast_to, full_like, insert_axes, zeros_like
from numr.primitives.source import IOTA, const, size_of


def clamped(index: Any, length: int) -> Any:
    return np.clip(index, 0, max(length - 1, 0))


def batch_places(size: int, shape: Shape) -> Node:
    """The position along a new leading batch axis, at every point of an index array."""
    line = IOTA(shape=(size,), axis=0)
    return broadcast_to(insert_axes(line, tuple(range(1, 1 + len(shape)))), (size, *shape))


def places_of(indices: Sequence[Node], shape: Shape) -> Node:
    """The number of each place along the first axes of a shape, in row-major order; indices clamp."""
    total: Node | None = None
    for index, n in zip(indices, shape, strict=False):
        index = cast(index, int64)
        last = sub(size_of(n, int64), const(1, int64))
        index = maximum(minimum(index, broadcast_to(last, index.shape)), full_like(index, 0))
        if total is not None:
            index = add(mul(total, broadcast_to(size_of(n, int64), index.shape)), index)
        total = index
    assert total is not None
    return total


class _Gather(Primitive):
    """`out[b.., r..] = x[i0[b..], .., ik[b..], r..]`: index arrays of one shape pick along the leading axes.

    An index outside its axis is moved to the nearest end: no memory outside the array is ever read.
    """

    lowering = "element"

    def infer(self, x: Node, *indices: Node) -> tuple[Shape, DType]:
        return (*indices[0].shape, *x.shape[len(indices) :]), x.dtype

    def reference(self, x: Any, *indices: Any) -> Any:
        if x.size == 0 and indices[0].size == 0:
            return np.zeros((*indices[0].shape, *x.shape[len(indices) :]), x.dtype)
        return x[tuple(clamped(i, n) for i, n in zip(indices, x.shape, strict=False))]

    def jvp(self, out: Node, operands: Any, tangents: Any) -> Node | None:
        return None if tangents[0] is None else self(tangents[0], *operands[1:])

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        x, *indices = node.inputs
        return [SCATTER(zeros_like(x), ct, *indices, mode="add"), *(None for _ in indices)]

    def batch(self, size: int, operands: Any, axes: Any, /) -> tuple[Node, int]:
        x, *indices = operands
        if axes[0] is None:
            return self(
                x, *(batched_first(i, a, size) for i, a in zip(indices, axes[1:], strict=True))
            ), 0
        x = batched_first(x, axes[0], size)
        indices = [batched_first(i, a, size) for i, a in zip(indices, axes[1:], strict=True)]
        return self(x, batch_places(size, indices[0].shape[1:]), *indices), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        x, *indices = node.inputs
        rank = indices[0].rank
        picked = (
            ctx.clamp(ctx.element(i, index[:rank]), x.shape[k]) for k, i in enumerate(indices)
        )
        return ctx.element(x, (*picked, *index[rank:]))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=5), np.array([0, 4, 2, 2]))
        yield Sample(rng.normal(size=(4, 3)), np.array([[0, 3], [1, 1]]))
        yield Sample(rng.normal(size=(4, 3)), np.array([0, 3, 3]), np.array([2, 0, 0]))
        yield Sample(rng.normal(size=5), np.array([9, -7]), smooth=False)
        yield Sample(rng.normal(size=5), np.array([], np.int64))
        yield Sample(np.arange(5), np.array([1, 1]), smooth=False)


_UFUNC = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


class _Scatter(Primitive):
    """x with `updates[b.., r..]` combined into `x[i0[b..], .., r..]`, in row-major order of b.

    `mode` is "add", "mul", "max", "min" or "set" (the last update wins). Indices clamp as in gather.
    """

    lowering = "scatter"
    no_transpose = "only modes add and set are linear"

    def infer(self, x: Node, updates: Node, *indices: Node, mode: str) -> tuple[Shape, DType]:
        return x.shape, x.dtype

    def reference(self, x: Any, updates: Any, *indices: Any, mode: str) -> Any:
        out = np.array(x)
        if updates.size:
            where = tuple(clamped(i, n) for i, n in zip(indices, x.shape, strict=False))
            if mode == "set":
                # Assignment with repeated indices has no order in NumPy; write one by one.
                for b in np.ndindex(indices[0].shape):
                    out[tuple(w[b] for w in where)] = updates[b]
            else:
                _UFUNC[mode].at(out, where, updates)
        return out

    def jvp(self, out: Node, operands: Any, tangents: Any, *, mode: str) -> Node | None:
        x, updates, *indices = operands
        tx, tu = tangents[:2]
        if mode == "add":
            tx = zeros_like(x) if tx is None else tx
            return tx if tu is None else self(tx, tu, *indices, mode="add")
        if mode == "set":
            tx = zeros_like(x) if tx is None else tx
            tu = zeros_like(updates) if tu is None else tu
            return self(tx, tu, *indices, mode="set")
        if mode == "mul":
            return self._product_tangent(x, updates, indices, tx, tu)
        # max, min: whoever equals the result shares its tangent equally.
        hit = eq(updates, GATHER(out, *indices))
        kept = eq(x, out)
        zero = zero_like_scalar(x)
        count = SCATTER(
            select(kept, full_like(x, 1), zero),
            select(hit, full_like(updates, 1), zero),
            *indices,
            mode="add",
        )
        total = select(kept, zeros_like(x) if tx is None else tx, zero)
        if tu is not None:
            total = self(total, select(hit, tu, zero), *indices, mode="add")
        return over(total, count)

    def _product_tangent(
        self, x: Node, updates: Node, indices: list[Node], tx: Any, tu: Any
    ) -> Node | None:
        """Each factor's tangent times the product of the other factors of its place.

        In the order of their places, the others of an update are those before it and those after it, whose
        products are recurrences that start anew with each place: nothing is divided by, so zeros are no
        trouble, to any order.
        """
        from numr.primitives.cumulative import linear_recurrence
        from numr.primitives.elementwise import accumulate
        from numr.primitives.reduction import shifted
        from numr.primitives.shape import reshape
        from numr.primitives.sorting import argsort

        total = None
        if tx is not None:
            total = times(tx, self(full_like(x, 1), updates, *indices, mode="mul"))
        if tu is None or 0 in updates.shape or 0 in x.shape:
            return total
        count = math.prod(indices[0].shape)
        lines = [reshape(i, (count,)) for i in indices]
        place = places_of(lines, x.shape)
        order = argsort(place, axis=0)
        place, *lines = (GATHER(i, order) for i in (place, *lines))
        rest = updates.shape[indices[0].rank :]
        factors, moved = (GATHER(reshape(v, (count, *rest)), order) for v in (updates, tu))
        one, zero = full_like(factors, 1), zeros_like(factors)

        def product(by: int) -> Node:
            """Of the factors before each one (1), or after it (-1), of its place."""
            first = broadcast_to(
                insert_axes(ne(place, shifted(place, 0, by, -1)), tuple(range(1, factors.rank))),
                factors.shape,
            )
            steps = select(first, zero, shifted(factors, 0, by, 1))
            starts = select(first, one, zero)
            return linear_recurrence(steps, starts, axis=0, reverse=by < 0)

        others = mul(mul(product(1), product(-1)), GATHER(x, *lines))
        change = SCATTER(zeros_like(x), times(moved, others), *lines, mode="add")
        return accumulate(total, change)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        x, updates, *indices = node.inputs
        mode = node.params["mode"]
        none = [None for _ in indices]
        if mode == "add":
            return [ct, GATHER(ct, *indices) if wanted[1] else None, *none]
        if mode != "set":
            return list(super().transpose(ct, node, wanted))
        zero = zeros_like(updates)
        to_x = SCATTER(ct, zero, *indices, mode="set") if wanted[0] else None
        to_updates = None
        if wanted[1]:
            # Only the update that was written last was kept: mark writers by their serial number.
            to_updates = select(
                last_writer(x, updates, indices), GATHER(ct, *indices), zero_like_scalar(ct)
            )
        return [to_x, to_updates, *none]

    def batch(self, size: int, operands: Any, axes: Any, /, *, mode: str) -> tuple[Node, int]:
        x, updates, *indices = (
            batched_first(v, a, size) for v, a in zip(operands, axes, strict=True)
        )
        return self(x, updates, batch_places(size, indices[0].shape[1:]), *indices, mode=mode), 0

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        i = np.array([0, 4, 2, 2])
        for mode in ("add", "set"):
            yield Sample(rng.normal(size=5), rng.normal(size=4), i, mode=mode)
            yield Sample(rng.normal(size=(5, 2)), rng.normal(size=(4, 2)), i, mode=mode)
            yield Sample(
                rng.normal(size=(4, 3)),
                rng.normal(size=3),
                np.array([0, 3, 3]),
                np.array([2, 0, 0]),
                mode=mode,
            )
        for mode in ("mul", "max", "min"):
            yield Sample(rng.normal(size=5), rng.normal(size=3), np.array([0, 4, 2]), mode=mode)
        yield Sample(np.arange(5), np.array([5, 6, 7, 8]), i, mode="max", smooth=False)
        yield Sample(rng.normal(size=5), np.zeros(0), np.array([], np.int64), mode="add")


def last_writer(x: Node, updates: Node, indices: list[Node]) -> Node:
    """Which updates are the last of those to their place, as a mask of the updates' shape."""
    from numr.primitives.shape import BROADCAST, reshape

    lead = indices[0].shape
    count = 1
    for n in lead:
        count *= n
    serial = reshape(IOTA(shape=(count,), axis=0), lead)
    spread = BROADCAST(serial, shape=updates.shape, axes=tuple(range(len(lead))))
    from numr.primitives.source import const

    board = SCATTER(broadcast_to(const(-1, int64), x.shape), spread, *indices, mode="max")
    return eq(GATHER(board, *indices), spread)


GATHER = _Gather("gather")
SCATTER = _Scatter("scatter")
