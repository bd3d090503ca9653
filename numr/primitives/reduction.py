"""Reductions: a monoid folded over axes, which disappear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.elementwise import cast, like, mul, select, times
from numr.primitives.mathematics import eq
from numr.primitives.shape import BROADCAST, PAD, SLICE, move_axis, permute, reshape
from numr.primitives.source import const

Rule = Callable[[Node, Node, Node, tuple[int, ...]], Node]


class Reduction(Primitive):
    """out = monoid over `axes` of the operand; an empty axis gives the monoid's identity."""

    lowering = "element"

    def __init__(
        self, name: str, monoid: str, numpy: Any, kinds: str, tangent: Rule | None, doc: str
    ) -> None:
        super().__init__(name, doc)
        self.monoid = monoid
        self.numpy = numpy
        self.kinds = kinds
        self.tangent = tangent
        if tangent is None:
            self.no_jvp = self.no_transpose = "it works on integers and booleans"
        elif monoid != "add":
            self.no_transpose = "it is not linear"

    def __call__(self, *operands: Node, **params: Any) -> Node:
        return super().__call__(*operands, **params) if params["axes"] else operands[0]

    def infer(self, x: Node, *, axes: tuple[int, ...]) -> tuple[Shape, DType]:
        if x.dtype.kind not in self.kinds:
            from numr.errors import DTypeError

            raise DTypeError(f"{self.name} does not take dtype {x.dtype}")
        return tuple(n for i, n in enumerate(x.shape) if i not in axes), x.dtype

    def reference(self, x: Any, *, axes: tuple[int, ...]) -> Any:
        return self.numpy(x, axes)

    def jvp(self, out: Node, operands: Any, tangents: Any, *, axes: tuple[int, ...]) -> Node | None:
        if self.tangent is None:
            return None
        return self.tangent(out, operands[0], tangents[0], axes)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        if self.monoid != "add":
            return list(super().transpose(ct, node, wanted))
        return [restore(ct, node.inputs[0], node.params["axes"])]

    def batch(self, size: int, operands: Any, axes: Any, /, **params: Any) -> tuple[Node, int]:
        x = move_axis(operands[0], axes[0], 0)
        return self(x, axes=tuple(a + 1 for a in params["axes"])), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        return ctx.reduce(self.monoid, node, node.params["axes"], index)

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        shapes = (
            *(((n,), (0,)) for n in (7, 33, 1000)),
            *(((3, 5), (axis,)) for axis in (0, 1)),
            ((2, 3, 4), (0, 2)),
            ((1, 4), (0,)),
        )
        if "f" in self.kinds:
            for shape, axes in shapes:
                yield Sample(rng.uniform(0.5, 1.5, shape), axes=axes)
            yield Sample(rng.uniform(0.5, 1.5, (9, 33)).astype(np.float32), axes=(1,))
            yield Sample(np.zeros((0, 3)), axes=(0,), smooth=False)
            yield Sample(np.array([1.0, np.nan, 3.0, -np.inf]), axes=(0,), smooth=False)
            if self.monoid in ("max", "min"):
                yield Sample(np.array([[2.0, 2.0, 1.0], [0.0, -0.0, 0.0]]), axes=(1,), smooth=False)
        if "i" in self.kinds:
            yield Sample(rng.integers(-5, 6, (4, 9)), axes=(1,), smooth=False)
            yield Sample(rng.integers(0, 6, (4, 9)).astype(np.uint8), axes=(0, 1), smooth=False)
        if "c" in self.kinds:
            yield Sample(rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4)), axes=(1,))
        if "b" in self.kinds:
            yield Sample(rng.integers(0, 2, (4, 9)).astype(bool), axes=(1,), smooth=False)
            yield Sample(np.zeros((0, 3), bool), axes=(0,), smooth=False)


def restore(x: Node, like: Node, axes: tuple[int, ...]) -> Node:
    """A reduced array spread back over the axes that went."""
    kept = tuple(i for i in range(like.rank) if i not in axes)
    return x if not axes else BROADCAST(x, shape=like.shape, axes=kept)


def lowest_like(x: Node, monoid: str) -> Node:
    """The identity of a monoid in x's dtype, as a scalar."""
    from numr.primitives.source import highest, lowest

    if monoid in ("add", "mul"):
        return like(x, 1 if monoid == "mul" else 0)
    return const((lowest if monoid == "max" else highest)(x.dtype), x.dtype)


def _sum_tangent(out: Node, x: Node, t: Node, axes: tuple[int, ...]) -> Node:
    return reduce_sum(t, axes=axes)


def _extremum_tangent(out: Node, x: Node, t: Node, axes: tuple[int, ...]) -> Node:
    """Elements that tie for the extremum share its tangent equally."""
    hit = eq(x, restore(out, x, axes))
    count = reduce_sum(cast(hit, x.dtype), axes=axes)
    total = reduce_sum(select(hit, t, like(t, 0)), axes=axes)
    from numr.primitives.elementwise import over

    return over(total, count)


def _prod_tangent(out: Node, x: Node, t: Node, axes: tuple[int, ...]) -> Node:
    """sum_i t_i * (product of the others), from running products on both sides: right with zeros."""
    from numr.primitives.cumulative import cumprod

    kept = [i for i in range(x.rank) if i not in axes]
    order = (*kept, *axes)
    count = 1
    for a in axes:
        count *= x.shape[a]
    shape = (*(x.shape[i] for i in kept), x.shape[axes[0]] if len(axes) == 1 else count)
    x, t = reshape(permute(x, order), shape), reshape(permute(t, order), shape)
    last = x.rank - 1
    before = shifted(cumprod(x, axis=last, reverse=False), last, 1, 1)
    after = shifted(cumprod(x, axis=last, reverse=True), last, -1, 1)
    return reduce_sum(times(t, mul(before, after)), axes=(last,))


def shifted(x: Node, axis: int, by: int, fill: float) -> Node:
    """x moved by one along an axis (`by` is 1 or -1), the free place filled."""
    n = x.shape[axis]
    if n == 0:
        return x
    cut = tuple(n - 1 if i == axis else m for i, m in enumerate(x.shape))
    starts = tuple(1 if i == axis and by < 0 else 0 for i in range(x.rank))
    steps = (1,) * x.rank
    kept = SLICE(x, starts=starts, sizes=cut, steps=steps)
    places = tuple(1 if i == axis and by > 0 else 0 for i in range(x.rank))
    return PAD(kept, like(x, fill), starts=places, shape=x.shape, steps=steps)


def _numpy_extremum(function: Any, pick: Callable[[Any], Any]) -> Any:
    def call(x: Any, axes: tuple[int, ...]) -> Any:
        return function(x, axis=axes, initial=pick(x.dtype))

    return call


def _low(dtype: Any) -> Any:
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _high(dtype: Any) -> Any:
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


reduce_sum = Reduction(
    "reduce_sum", "add", lambda x, a: np.sum(x, axis=a, dtype=x.dtype), "iufc", _sum_tangent, "Sum."
)
reduce_prod = Reduction(
    "reduce_prod",
    "mul",
    lambda x, a: np.prod(x, axis=a, dtype=x.dtype),
    "iuf",
    _prod_tangent,
    "Product.",
)
reduce_max = Reduction(
    "reduce_max",
    "max",
    _numpy_extremum(np.max, _low),
    "iuf",
    _extremum_tangent,
    "Greatest element; NaN if any is.",
)
reduce_min = Reduction(
    "reduce_min",
    "min",
    _numpy_extremum(np.min, _high),
    "iuf",
    _extremum_tangent,
    "Least element; NaN if any is.",
)
reduce_and = Reduction(
    "reduce_and", "and", lambda x, a: np.all(x, axis=a), "b", None, "Whether all hold."
)
reduce_or = Reduction(
    "reduce_or", "or", lambda x, a: np.any(x, axis=a), "b", None, "Whether any holds."
)
