"""Shape primitives: the same elements at other positions. All are linear and all lower to index maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape, unify
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.ir.symbolic import is_nothing, typical
from numr.primitives.elementwise import zero_like_scalar
from numr.primitives.source import const


class _Linear(Primitive):
    """A primitive that is linear in all its operands together."""

    lowering = "element"

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        return self(
            *(zeros_like(x) if t is None else t for x, t in zip(operands, tangents, strict=True)),
            **params,
        )


def zeros_like(x: Node) -> Node:
    """Zeros of x's shape and dtype."""
    return full_like(x, 0)


def full_like(x: Node, value: Any) -> Node:
    return broadcast_to(const(value, x.dtype), x.shape)


class _Broadcast(_Linear):
    """Operand axis i becomes axis `axes[i]` of the result; axes of length 1 are stretched."""

    def infer(self, x: Node, *, shape: Shape, axes: tuple[int, ...]) -> tuple[Shape, DType]:
        return tuple(
            x.shape[axes.index(i)] if i in axes and x.shape[axes.index(i)] != 1 else n
            for i, n in enumerate(shape)
        ), x.dtype

    def reference(self, x: Any, *, shape: Shape, axes: tuple[int, ...]) -> Any:
        full = [1] * len(shape)
        for i, axis in enumerate(axes):
            full[axis] = x.shape[i]
        return np.broadcast_to(np.reshape(x, full), tuple(map(int, shape)))

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        from numr.primitives.reduction import reduce_sum

        (x,) = node.inputs
        axes = node.params["axes"]
        stretched = [i for i, n in enumerate(x.shape) if n == 1 and node.shape[axes[i]] != 1]
        kept = {a for i, a in enumerate(axes) if i not in stretched}
        ct = reduce_sum(ct, axes=tuple(i for i in range(node.rank) if i not in kept))
        return [insert_axes(ct, tuple(stretched))]

    def batch(
        self, size: int, operands: Any, axes: Any, /, *, shape: Shape, **params: Any
    ) -> tuple[Node, int]:
        (x,), (axis,) = operands, axes
        x = move_axis(x, axis, 0)
        out_axes = (0, *(a + 1 for a in params["axes"]))
        return self(x, shape=(x.shape[0], *shape), axes=out_axes), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        (x,) = node.inputs
        zero = ctx.builder.size(0)
        picked = (
            zero if n == 1 else index[a] for n, a in zip(x.shape, node.params["axes"], strict=True)
        )
        return ctx.element(x, tuple(picked))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=3), shape=(2, 3), axes=(1,))
        yield Sample(rng.normal(size=(3, 1)), shape=(3, 4), axes=(0, 1))
        yield Sample(rng.normal(size=()), shape=(2, 0), axes=())
        yield Sample(rng.normal(size=(1, 2)), shape=(5, 3, 2), axes=(1, 2))


class _Permute(_Linear):
    """Result axis i is operand axis `order[i]`."""

    def infer(self, x: Node, *, order: tuple[int, ...]) -> tuple[Shape, DType]:
        return tuple(x.shape[i] for i in order), x.dtype

    def reference(self, x: Any, *, order: tuple[int, ...]) -> Any:
        return np.transpose(x, order)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        return [permute(ct, inverse_order(node.params["order"]))]

    def batch(
        self, size: int, operands: Any, axes: Any, /, *, order: tuple[int, ...]
    ) -> tuple[Node, int]:
        x = move_axis(operands[0], axes[0], 0)
        return permute(x, (0, *(i + 1 for i in order))), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        back = inverse_order(node.params["order"])
        return ctx.element(node.inputs[0], tuple(index[i] for i in back))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=(2, 3)), order=(1, 0))
        yield Sample(rng.normal(size=(2, 3, 4)), order=(2, 0, 1))
        yield Sample(rng.normal(size=(0, 3)), order=(1, 0))


class _Reshape(_Linear):
    """The elements in row-major order under another shape of as many elements."""

    def infer(self, x: Node, *, shape: Shape) -> tuple[Shape, DType]:
        if not any(map(is_nothing, shape)):
            for left, right in reshape_groups(x.shape, shape):
                if len(left) == len(right) == 1:
                    unify(x.shape[left[0]], shape[right[0]])
        return shape, x.dtype

    def reference(self, x: Any, *, shape: Shape) -> Any:
        return np.reshape(x, tuple(map(int, shape)))

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        return [reshape(ct, node.inputs[0].shape)]

    def batch(self, size: int, operands: Any, axes: Any, /, *, shape: Shape) -> tuple[Node, int]:
        x = move_axis(operands[0], axes[0], 0)
        return reshape(x, (x.shape[0], *shape)), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        (x,) = node.inputs
        return ctx.element(x, reshaped_index(ctx, x.shape, node.shape, index))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=(2, 6)), shape=(3, 4))
        yield Sample(rng.normal(size=(2, 3)), shape=(2, 1, 3))
        yield Sample(rng.normal(size=(4,)), shape=(2, 2))
        yield Sample(rng.normal(size=(0, 4)), shape=(2, 0))
        yield Sample(rng.normal(size=(2, 3, 4)), shape=(6, 4))


def reshape_groups(old: Shape, new: Shape) -> list[tuple[range, range]]:
    """Matching runs of axes of equal element count, as short as possible: (2, 6) -> (3, 4) is one
    group, (2, 3, 4) -> (6, 4) is two. Axes of length 1 are left out of every group."""
    groups = []
    i = j = 0
    while True:
        while i < len(old) and old[i] == 1:
            i += 1
        while j < len(new) and new[j] == 1:
            j += 1
        if i == len(old) or j == len(new):
            break
        start = (i, j)
        left, right = old[i], new[j]
        i, j = i + 1, j + 1
        while left != right:
            # Of formulas, the smaller one need not be known: any run that ends in equal counts will do.
            if typical(left) < typical(right) and i < len(old):
                left, i = left * old[i], i + 1
            elif j < len(new):
                right, j = right * new[j], j + 1
            else:
                break
        groups.append((range(start[0], i), range(start[1], j)))
    return groups


def reshaped_index(ctx: Any, old: Shape, new: Shape, index: Any) -> tuple[Any, ...]:
    """The operand index of a reshape's element: unchanged where axes correspond, else ravel, unravel."""
    zero = ctx.builder.size(0)
    result = [zero] * len(old)
    groups = [] if 0 in old else reshape_groups(old, new)
    for left, right in groups:
        sources = [i for i in left if old[i] != 1]
        targets = [j for j in right if new[j] != 1]
        if len(sources) == len(targets) == 1:
            result[sources[0]] = index[targets[0]]
            continue
        flat = zero
        for j in targets:
            flat = ctx.plus(ctx.times(flat, ctx.length(new[j])), index[j])
        for i in reversed(sources[1:]):
            result[i] = ctx.modulo(flat, ctx.length(old[i]))
            flat = ctx.divide(flat, ctx.length(old[i]))
        result[sources[0]] = flat
    return tuple(result)


class _Slice(_Linear):
    """`sizes[i]` elements of each axis from `starts[i]` in steps of `steps[i]` (positive)."""

    def infer(self, x: Node, *, starts: Shape, sizes: Shape, steps: Shape) -> tuple[Shape, DType]:
        return sizes, x.dtype

    def reference(self, x: Any, *, starts: Shape, sizes: Shape, steps: Shape) -> Any:
        return x[
            tuple(slice(a, a + n * s, s) for a, n, s in zip(starts, sizes, steps, strict=True))
        ]

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        p = node.params
        return [
            PAD(
                ct,
                zero_like_scalar(ct),
                starts=p["starts"],
                shape=node.inputs[0].shape,
                steps=p["steps"],
            )
        ]

    def batch(
        self, size: int, operands: Any, axes: Any, /, *, starts: Shape, sizes: Shape, steps: Shape
    ) -> tuple[Node, int]:
        x = move_axis(operands[0], axes[0], 0)
        return self(x, starts=(0, *starts), sizes=(x.shape[0], *sizes), steps=(1, *steps)), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        p = node.params
        moved = (
            ctx.plus(ctx.times(i, ctx.length(s)), ctx.length(a))
            for i, a, s in zip(index, p["starts"], p["steps"], strict=True)
        )
        return ctx.element(node.inputs[0], tuple(moved))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=9), starts=(1,), sizes=(7,), steps=(1,))
        yield Sample(rng.normal(size=9), starts=(1,), sizes=(4,), steps=(2,))
        yield Sample(rng.normal(size=(4, 6)), starts=(0, 3), sizes=(4, 1), steps=(1, 1))
        yield Sample(rng.normal(size=(4, 6)), starts=(2, 0), sizes=(0, 2), steps=(1, 3))


class _Pad(_Linear):
    """The operand placed in an array of a scalar: element i of an axis goes to `start + i * step`."""

    def infer(
        self, x: Node, value: Node, *, starts: Shape, shape: Shape, steps: Shape
    ) -> tuple[Shape, DType]:
        return shape, x.dtype

    def reference(self, x: Any, value: Any, *, starts: Shape, shape: Shape, steps: Shape) -> Any:
        out = np.full(tuple(map(int, shape)), value, x.dtype)
        out[
            tuple(slice(a, a + n * s, s) for a, n, s in zip(starts, x.shape, steps, strict=True))
        ] = x
        return out

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        from numr.primitives.elementwise import sub
        from numr.primitives.reduction import reduce_sum

        x, _ = node.inputs
        p = node.params
        inner = SLICE(ct, starts=p["starts"], sizes=x.shape, steps=p["steps"])
        outer = None
        if wanted[1]:
            outer = sub(
                reduce_sum(ct, axes=tuple(range(ct.rank))),
                reduce_sum(inner, axes=tuple(range(ct.rank))),
            )
        return [inner if wanted[0] else None, outer]

    def batch(
        self, size: int, operands: Any, axes: Any, /, *, starts: Shape, shape: Shape, steps: Shape
    ) -> tuple[Node, int]:
        from numr.dtypes import bool_
        from numr.primitives.elementwise import select
        from numr.primitives.source import const as constant

        x, value = operands
        if axes[1] is None:
            x = move_axis(x, axes[0], 0)
            return self(
                x, value, starts=(0, *starts), shape=(x.shape[0], *shape), steps=(1, *steps)
            ), 0
        # A padding value per batch element: pad a mask along with the operand and choose by it.
        x = batched_first(x, axes[0], size)
        full = (x.shape[0], *shape)
        params = {"starts": (0, *starts), "shape": full, "steps": (1, *steps)}
        inside = broadcast_to(constant(True, bool_), x.shape)
        mask = self(inside, constant(False, bool_), **params)
        spread = BROADCAST(value, shape=full, axes=(0,))
        return select(mask, self(x, constant(0, x.dtype), **params), spread), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        x, value = node.inputs
        p = node.params
        inside, source = ctx.true, []
        for i, start, step, n, full in zip(
            index, p["starts"], p["steps"], x.shape, node.shape, strict=True
        ):
            if start == 0 and step == 1 and n == full:
                source.append(i)
                continue
            offset = ctx.minus(i, ctx.length(start))
            position = ctx.divide(offset, ctx.length(step)) if step != 1 else offset
            inside = ctx.both(inside, ctx.within(offset, position, step, ctx.length(n)))
            source.append(position)
        if inside is ctx.true:
            return ctx.element(x, tuple(source))
        return ctx.choose(
            inside, lambda: ctx.element(x, tuple(source)), lambda: ctx.element(value, ())
        )

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        zero = np.array(0.5)
        yield Sample(rng.normal(size=5), zero, starts=(2,), shape=(9,), steps=(1,))
        yield Sample(rng.normal(size=4), zero, starts=(1,), shape=(9,), steps=(2,))
        yield Sample(rng.normal(size=(2, 3)), zero, starts=(0, 1), shape=(2, 5), steps=(1, 1))
        yield Sample(rng.normal(size=(0,)), zero, starts=(0,), shape=(3,), steps=(1,))


class _Concat(_Linear):
    """Operands joined along an axis."""

    def infer(self, *operands: Node, axis: int) -> tuple[Shape, DType]:
        shape = list(operands[0].shape)
        shape[axis] = sum(x.shape[axis] for x in operands) if len(operands) > 1 else shape[axis]
        return tuple(shape), operands[0].dtype

    def reference(self, *arrays: Any, axis: int) -> Any:
        return np.concatenate(arrays, axis=axis)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        axis, start = node.params["axis"], 0
        result: list[Node | None] = []
        for x, want in zip(node.inputs, wanted, strict=True):
            starts = tuple(start if i == axis else 0 for i in range(x.rank))
            result.append(
                SLICE(ct, starts=starts, sizes=x.shape, steps=(1,) * x.rank) if want else None
            )
            start += x.shape[axis]
        return result

    def batch(self, size: int, operands: Any, axes: Any, /, *, axis: int) -> tuple[Node, int]:
        return self(
            *(batched_first(x, a, size) for x, a in zip(operands, axes, strict=True)), axis=axis + 1
        ), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        axis = node.params["axis"]
        offsets = [ctx.builder.size(0)]
        for x in node.inputs[:-1]:
            offsets.append(ctx.plus(offsets[-1], ctx.length(x.shape[axis])))

        def part(k: int) -> Any:
            x = node.inputs[k]
            i = ctx.minus(index[axis], offsets[k])
            here = lambda: ctx.element(x, (*index[:axis], i, *index[axis + 1 :]))
            if k == len(node.inputs) - 1:
                return here()
            return ctx.choose(ctx.less(index[axis], offsets[k + 1]), here, lambda: part(k + 1))

        return part(0)

    def parts(self, node: Node) -> tuple[int, tuple[Node, ...]]:
        """What the result consists of, part after part: along which axis, and the parts."""
        return node.params["axis"], node.inputs

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=3), rng.normal(size=5), axis=0)
        yield Sample(
            rng.normal(size=(2, 3)), rng.normal(size=(2, 0)), rng.normal(size=(2, 1)), axis=1
        )
        yield Sample(rng.normal(size=(1, 3)), rng.normal(size=(2, 3)), axis=0)


class _Flip(_Linear):
    """Axes reversed."""

    def infer(self, x: Node, *, axes: tuple[int, ...]) -> tuple[Shape, DType]:
        return x.shape, x.dtype

    def reference(self, x: Any, *, axes: tuple[int, ...]) -> Any:
        return np.flip(x, axes)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        return [self(ct, axes=node.params["axes"])]

    def batch(self, size: int, operands: Any, axes: Any, /, **params: Any) -> tuple[Node, int]:
        return self(
            move_axis(operands[0], axes[0], 0), axes=tuple(a + 1 for a in params["axes"])
        ), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        one = ctx.builder.size(1)
        picked = (
            ctx.minus(ctx.minus(ctx.length(n), one), i) if k in node.params["axes"] else i
            for k, (i, n) in enumerate(zip(index, node.shape, strict=True))
        )
        return ctx.element(node.inputs[0], tuple(picked))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=5), axes=(0,))
        yield Sample(rng.normal(size=(2, 3)), axes=(0, 1))
        yield Sample(rng.normal(size=(2, 0)), axes=(1,))


BROADCAST = _Broadcast("broadcast")
PERMUTE = _Permute("permute")
RESHAPE = _Reshape("reshape")
SLICE = _Slice("slice")
PAD = _Pad("pad")
CONCAT = _Concat("concat")
FLIP = _Flip("flip")


def inverse_order(order: Sequence[int]) -> tuple[int, ...]:
    back = [0] * len(order)
    for i, j in enumerate(order):
        back[j] = i
    return tuple(back)


def broadcast_to(x: Node, shape: Shape) -> Node:
    """x stretched to a shape, right aligned."""
    if x.shape == shape:
        return x
    lead = len(shape) - x.rank
    return BROADCAST(x, shape=shape, axes=tuple(range(lead, len(shape))))


def permute(x: Node, order: Sequence[int]) -> Node:
    order = tuple(order)
    return x if order == tuple(range(x.rank)) else PERMUTE(x, order=order)


def move_axis(x: Node, source: int, target: int) -> Node:
    order = [i for i in range(x.rank) if i != source]
    order.insert(target, source)
    return permute(x, order)


def reshape(x: Node, shape: Shape) -> Node:
    return x if x.shape == shape else RESHAPE(x, shape=shape)


def insert_axes(x: Node, positions: tuple[int, ...]) -> Node:
    """New axes of length 1 at the given positions of the result."""
    rest = iter(x.shape)
    rank = x.rank + len(positions)
    return reshape(x, tuple(1 if i in positions else next(rest) for i in range(rank)))


def batched_first(x: Node, axis: int | None, size: int) -> Node:
    """x with its batch axis first, made by repetition where it has none."""
    if axis is not None:
        return move_axis(x, axis, 0)
    return BROADCAST(x, shape=(size, *x.shape), axes=tuple(range(1, x.rank + 1)))
