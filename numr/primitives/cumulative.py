"""Running sums, products, extrema and first-order linear recurrences along one axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.elementwise import (
    accumulate,
    common_shape,
    like,
    select,
    times,
    zero_like_scalar,
)
from numr.primitives.mathematics import bit_or, eq, isnan
from numr.primitives.reduction import shifted
from numr.primitives.shape import batched_first


class _Scan(Primitive):
    """A first-order scan along `axis`, from the far end where `reverse`."""

    lowering = "scan"

    def infer(self, *operands: Node, axis: int, reverse: bool) -> tuple[Shape, DType]:
        return common_shape(self, operands), operands[0].dtype

    def batch(
        self, size: int, operands: Any, axes: Any, /, *, axis: int, reverse: bool
    ) -> tuple[Node, int]:
        parts = (batched_first(x, a, size) for x, a in zip(operands, axes, strict=True))
        return self(*parts, axis=axis + 1, reverse=reverse), 0

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        count = 2 if self.name == "linear_recurrence" else 1
        for shape, axis in (
            ((7,), 0),
            ((33,), 0),
            ((3, 5), 0),
            ((3, 5), 1),
            ((1,), 0),
            ((2, 3, 4), 1),
            ((2, 333), 1),
        ):
            for reverse in (False, True):
                yield Sample(
                    *(rng.uniform(0.7, 1.2, shape) for _ in range(count)),
                    axis=axis,
                    reverse=reverse,
                )
        yield Sample(
            *(np.array([1.5, 0.0, 2.0, 0.0, 3.0]) for _ in range(count)), axis=0, reverse=False
        )
        yield Sample(*(np.zeros((0, 3)) for _ in range(count)), axis=0, reverse=False, smooth=False)
        for reverse in (False, True):
            operands = (
                rng.normal(size=(2, 70)) + 1j * rng.normal(size=(2, 70)) for _ in range(count)
            )
            yield Sample(
                *(x / np.abs(x) for x in operands),
                axis=1,
                reverse=reverse,
                smooth=False,
                name=f"complex-{reverse}",
            )
        if count == 1:
            yield Sample(rng.integers(-3, 4, 9), axis=0, reverse=False, smooth=False)


def _directed(function: Any, x: Any, axis: int, reverse: bool) -> Any:
    if not reverse:
        return function(x, axis)
    return np.flip(function(np.flip(x, axis), axis), axis)


class _CumSum(_Scan):
    """out_k = x_0 + ... + x_k"""

    def reference(self, x: Any, *, axis: int, reverse: bool) -> Any:
        return _directed(lambda v, a: np.cumsum(v, axis=a, dtype=v.dtype), x, axis, reverse)

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        return self(tangents[0], **params)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        return [self(ct, axis=node.params["axis"], reverse=not node.params["reverse"])]


class _CumProd(_Scan):
    """out_k = x_0 * ... * x_k; its derivative divides by nothing, so zeros are no trouble."""

    no_transpose = "it is not linear"

    def reference(self, x: Any, *, axis: int, reverse: bool) -> Any:
        return _directed(lambda v, a: np.cumprod(v, axis=a, dtype=v.dtype), x, axis, reverse)

    def jvp(
        self, out: Node, operands: Any, tangents: Any, *, axis: int, reverse: bool
    ) -> Node | None:
        before = shifted(out, axis, -1 if reverse else 1, 1)
        return linear_recurrence(
            operands[0], times(tangents[0], before), axis=axis, reverse=reverse
        )


class _LinearRecurrence(_Scan):
    """out_k = a_k * out_(k-1) + b_k, starting from 0. Operands (a, b)."""

    def flops(self, node: Node) -> int:
        return 2 * super().flops(node)

    def reference(self, a: Any, b: Any, *, axis: int, reverse: bool) -> Any:
        a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
        out = np.empty_like(b)
        state = np.zeros(b.shape[1:], b.dtype)
        places = range(len(b))
        for k in reversed(places) if reverse else places:
            state = a[k] * state + b[k]
            out[k] = state
        return np.moveaxis(out, 0, axis)

    def jvp(
        self, out: Node, operands: Any, tangents: Any, *, axis: int, reverse: bool
    ) -> Node | None:
        ta, tb = tangents
        before = shifted(out, axis, -1 if reverse else 1, 0)
        drive = accumulate(None if ta is None else times(ta, before), tb)
        return None if drive is None else self(operands[0], drive, axis=axis, reverse=reverse)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        if wanted[0]:
            raise TypeError("linear_recurrence is linear in its second operand only")
        axis, reverse = node.params["axis"], node.params["reverse"]
        following = shifted(node.inputs[0], axis, 1 if reverse else -1, 0)
        return [None, self(following, ct, axis=axis, reverse=not reverse)]


class _CumExtremum(_Scan):
    """The greatest (cummax) or least (cummin) of the elements so far; NaN from the first NaN on.

    Its tangent is that of the latest element that is as great.
    """

    no_transpose = "it is not linear"

    def infer(self, x: Node, *, axis: int, reverse: bool) -> tuple[Shape, DType]:
        if x.dtype.kind not in "iuf":
            from numr.errors import DTypeError

            raise DTypeError(f"{self.name} does not take dtype {x.dtype}")
        return x.shape, x.dtype

    def reference(self, x: Any, *, axis: int, reverse: bool) -> Any:
        function = np.maximum if self.name == "cummax" else np.minimum
        return _directed(lambda v, a: function.accumulate(v, axis=a), x, axis, reverse)

    def jvp(
        self, out: Node, operands: Any, tangents: Any, *, axis: int, reverse: bool
    ) -> Node | None:
        (x,), (t,) = operands, tangents
        hit = bit_or(eq(x, out), isnan(x))
        zero, one = zero_like_scalar(x), like(x, 1)
        keep, new = select(hit, zero, one), select(hit, t, zero)
        return linear_recurrence(keep, new, axis=axis, reverse=reverse)

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        for shape, axis in (((33,), 0), ((3, 5), 0), ((3, 5), 1), ((1,), 0), ((2, 3, 4), 1)):
            for reverse in (False, True):
                yield Sample(rng.normal(size=shape), axis=axis, reverse=reverse)
        yield Sample(rng.normal(size=(2, 150)), axis=1, reverse=False)
        awkward = np.array([2.0, -np.inf, 2.0, np.inf, 0.0, np.nan, 3.0])
        yield Sample(awkward, axis=0, reverse=False, smooth=False)
        yield Sample(awkward, axis=0, reverse=True, smooth=False)
        yield Sample(np.full(3, -np.inf), axis=0, reverse=False, smooth=False)
        yield Sample(np.zeros((0, 3)), axis=0, reverse=False, smooth=False)
        yield Sample(rng.integers(-9, 4, 99), axis=0, reverse=True, smooth=False)
        yield Sample(rng.integers(0, 9, 9).astype(np.uint8), axis=0, reverse=False, smooth=False)


cumsum = _CumSum("cumsum")
cumprod = _CumProd("cumprod")
linear_recurrence = _LinearRecurrence("linear_recurrence")
cummax = _CumExtremum("cummax", "The greatest of the elements so far; NaN from the first NaN on.")
cummin = _CumExtremum("cummin", "The least of the elements so far; NaN from the first NaN on.")
