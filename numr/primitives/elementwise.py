"""Elementwise primitives: one declaration each, on top of a row of the scalar table.

Operands are either all of one shape, or scalars (shape ()) that are used at every element. A partial
derivative is a function `(out, *operands) -> factor`; `None` marks an operand without derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType, bool_
from numr.ir import scalar as S
from numr.ir.dims import Shape, unify_shapes
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.ir.scalar import ScalarOp
from numr.primitives.source import CONST, const, constant_value

Partial = Callable[..., Node] | None


def common_shape(prim: Primitive, operands: Sequence[Node]) -> Shape:
    """The one non-scalar shape of the operands."""
    shape: Shape = ()
    for operand in operands:
        other = operand.shape
        if other and other is not shape:
            if not shape:
                shape = other
            elif shape != other:
                from numr.errors import ShapeError

                shapes = " and ".join(str(tuple(map(int, o.shape))) for o in operands)
                raise ShapeError(f"{prim.name}: operands of shapes {shapes} are not of one shape")
            else:
                shape = unify_shapes(shape, other)
    return shape


class Elementwise(Primitive):
    """An operation applied element by element."""

    lowering = "element"

    def __init__(
        self,
        op: ScalarOp,
        partials: Sequence[Partial] | None = None,
        *,
        name: str = "",
        doc: str = "",
        domain: Sequence[tuple[float, float]] = ((-3.0, 3.0),),
        linear: bool = False,
        no_derivative: str = "",
    ) -> None:
        super().__init__(name or op.name, doc)
        self.op = op
        self.partials = tuple(partials or ())
        self.linear = linear  # in all operands together: out = f(x, y) with tangent f(tx, ty)
        self.domain = tuple(domain)
        self.no_jvp = self.no_transpose = no_derivative

    def __call__(self, *operands: Node, **params: Any) -> Node:
        for operand in operands:
            if operand.prim is not CONST:
                return super().__call__(*operands, **params)
        return self.fold(operands)

    def fold(self, operands: tuple[Node, ...]) -> Node:
        """The constant that the operation gives on constants."""
        _, dtype = self.infer(*operands)
        with np.errstate(all="ignore"):
            value = self.reference(*(x.prim.reference(**x.params) for x in operands))
        return const(value[()] if isinstance(value, np.ndarray) else value, dtype)

    def infer(self, *operands: Node) -> tuple[Shape, DType]:
        dtype = operands[0].dtype
        for operand in operands:
            if operand.dtype is not dtype or dtype.kind not in self.op.kinds:
                from numr.errors import DTypeError

                given = ", ".join(str(o.dtype) for o in operands)
                raise DTypeError(f"{self.name} does not take operands of dtypes {given}")
        return common_shape(self, operands), self.op.result_dtype(dtype)

    def reference(self, *arrays: Any) -> Any:
        return self.op.numpy(*arrays)

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        total: Node | None = None
        for k, tangent in enumerate(tangents):
            partial = self.partials[k] if self.partials else None
            if tangent is None or partial is None:
                continue
            factor = partial(out, *operands)
            total = accumulate(total, expand_like(times(tangent, factor), out))
        return total

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        raise_if_nonlinear(self, node, wanted)
        result: list[Node | None] = []
        for k, want in enumerate(wanted):
            partial = self.partials[k]
            if not want or partial is None:
                result.append(None)
            else:
                factor = partial(node, *node.inputs)
                result.append(sum_to(times(ct, factor), node.inputs[k].shape))
        return result

    def batch(self, size: int, operands: Any, axes: Any, /, **params: Any) -> tuple[Node, int]:
        return self(*align_batch(operands, axes), **params), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        return ctx.builder.op(
            self.op, *(ctx.element(x, index if x.shape else ()) for x in node.inputs)
        )

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        from numr.primitives.elementwise_samples import samples_of

        yield from samples_of(self, rng)


def raise_if_nonlinear(prim: Elementwise, node: Node, wanted: Sequence[bool]) -> None:
    """Transposition may only meet an operation that is linear in exactly the wanted operands."""
    if prim.linear:
        return
    allowed = LINEAR_OPERANDS.get(prim.name, ())
    if [k for k, w in enumerate(wanted) if w] not in [list(a) for a in allowed]:
        raise TypeError(
            f"{prim.name} is not linear in operands {[k for k, w in enumerate(wanted) if w]}"
        )


# Operand sets in which an elementwise operation that is not linear as a whole is linear.
LINEAR_OPERANDS: dict[str, tuple[tuple[int, ...], ...]] = {
    "mul": ((0,), (1,)),
    "div": ((0,),),
    "xdivy": ((0,),),
}


def align_batch(operands: Sequence[Node], axes: Sequence[int | None]) -> list[Node]:
    """Operands with their batch axis first; scalars become as long as the batch where needed."""
    from numr.primitives.shape import insert_axes, move_axis

    rank = max(x.rank - (a is not None) for x, a in zip(operands, axes, strict=True))
    aligned = []
    for x, axis in zip(operands, axes, strict=True):
        if axis is not None:
            x = move_axis(x, axis, 0)
            aligned.append(insert_axes(x, tuple(range(1, 1 + rank - (x.rank - 1)))))
        else:
            aligned.append(x)
    return broadcast_together(aligned, rank + 1)


def broadcast_together(operands: Sequence[Node], rank: int) -> list[Node]:
    """Broadcast operands, right aligned, to one shape of the given rank; scalars stay scalars."""
    from numr.primitives.shape import broadcast_to

    target: list[int] = [1] * rank
    for x in operands:
        for i, n in enumerate(x.shape, rank - x.rank):
            if n != 1:
                target[i] = n
    shape = tuple(target)
    return [x if not x.shape or x.shape == shape else broadcast_to(x, shape) for x in operands]


def expand_like(x: Node, like: Node) -> Node:
    """A scalar tangent of an output that is not a scalar, made full."""
    if x.shape or not like.shape:
        return x
    from numr.primitives.shape import broadcast_to

    return broadcast_to(x, like.shape)


def sum_to(x: Node, shape: Shape) -> Node:
    """The adjoint of using a scalar operand at every element."""
    if shape or not x.shape:
        return x
    from numr.primitives.reduction import reduce_sum

    return reduce_sum(x, axes=tuple(range(x.rank)))


def accumulate(total: Node | None, term: Node | None) -> Node | None:
    """total + term, where None is zero."""
    if total is None or term is None:
        return term if total is None else total
    return add(total, term)


def times(x: Node, factor: Node) -> Node:
    """x * factor for a tangent or cotangent x.

    A selection stays outermost, `select(m, c, 0) * f` becoming `select(m, c * f, 0)`: where the
    factor is infinite and the element was not selected, 0 * inf would otherwise put NaN there.
    """
    if factor.prim is CONST and constant_value(factor.params["value"], factor.dtype) == 1:
        return x
    if factor.prim is CONST and constant_value(factor.params["value"], factor.dtype) == -1:
        return neg(x)
    if factor.prim is SELECT:
        # A share in a maximum: what was not chosen is left out, as by a selection.
        mask, yes, no = factor.inputs
        if is_zero(no):
            return select(mask, times(x, yes), zero_like_scalar(x))
    from numr.primitives.guards import guard, leaves_out_places, may_be_infinite

    places = leaves_out_places(x) and may_be_infinite(factor)
    found = guard(x, sums=True, places=places)
    if found is None:
        return mul(x, factor)
    return found.around((mul if found.last else times)(found.value, factor))


def is_zero(node: Node) -> bool:
    """Whether a node is the constant zero, broadcast or not."""
    while node.prim.name == "broadcast":
        node = node.inputs[0]
    return node.prim is CONST and constant_value(node.params["value"], node.dtype) == 0


def is_one(node: Node) -> bool:
    """Whether a node is the constant one, broadcast or not."""
    while node.prim.name == "broadcast":
        node = node.inputs[0]
    return node.prim is CONST and constant_value(node.params["value"], node.dtype) == 1


def zero_like_scalar(x: Node) -> Node:
    return const(0, x.dtype)


class Select(Primitive):
    """`mask ? yes : no`, element by element; scalars are used at every element."""

    lowering = "element"
    op = S.select

    def infer(self, mask: Node, yes: Node, no: Node) -> tuple[Shape, DType]:
        if mask.dtype is not bool_ or yes.dtype is not no.dtype:
            from numr.errors import DTypeError

            raise DTypeError(
                f"select takes (bool, a, a), not ({mask.dtype}, {yes.dtype}, {no.dtype})"
            )
        return common_shape(self, (mask, yes, no)), yes.dtype

    def reference(self, mask: Any, yes: Any, no: Any) -> Any:
        return np.where(mask, yes, no)

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        _, yes, no = tangents
        if yes is None and no is None:
            return None
        zero = zero_like_scalar(out)
        return expand_like(
            select(operands[0], zero if yes is None else yes, zero if no is None else no), out
        )

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        mask, yes, no = node.inputs
        zero = zero_like_scalar(node)
        return [
            None,
            sum_to(select(mask, ct, zero), yes.shape) if wanted[1] else None,
            sum_to(select(mask, zero, ct), no.shape) if wanted[2] else None,
        ]

    def batch(self, size: int, operands: Any, axes: Any, /, **params: Any) -> tuple[Node, int]:
        return self(*align_batch(operands, axes)), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        return ctx.builder.op(
            S.select, *(ctx.element(x, index if x.shape else ()) for x in node.inputs)
        )

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        for n in (0, 1, 7, 33):
            mask = rng.integers(0, 2, n).astype(bool)
            yield Sample(mask, rng.normal(size=n), rng.normal(size=n))
        yield Sample(np.array(True), rng.normal(size=5), np.array(2.0))
        yield Sample(np.array([True, False]), np.array([1, 2]), np.array([3, 4]), smooth=False)


class Cast(Primitive):
    """The same values in another dtype (float to integer truncates; complex to real drops the imaginary part)."""

    lowering = "element"

    def infer(self, x: Node, *, dtype: DType) -> tuple[Shape, DType]:
        return x.shape, dtype

    def reference(self, x: Any, *, dtype: DType) -> Any:
        if dtype.kind != "c" and np.iscomplexobj(x):
            x = x != 0 if dtype is bool_ else x.real
        with np.errstate(invalid="ignore"):
            return np.asarray(x).astype(dtype.dtype)

    def jvp(self, out: Node, operands: Any, tangents: Any, *, dtype: DType) -> Node | None:
        return cast(tangents[0], dtype) if dtype.is_inexact else None

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        return [cast(ct, node.inputs[0].dtype)]

    def batch(self, size: int, operands: Any, axes: Any, /, *, dtype: DType) -> tuple[Node, int]:
        return cast(operands[0], dtype), axes[0]

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        return ctx.builder.cast(ctx.element(node.inputs[0], index), node.dtype)

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        from numr import dtypes as D

        x = rng.uniform(-90, 90, 9)
        for target in D.ALL:
            yield Sample(np.abs(x), dtype=target, smooth=target.is_inexact and target.bits > 16)
        yield Sample(x.astype(np.float32), dtype=D.float64)
        yield Sample(np.arange(5), dtype=D.float32, smooth=False)
        yield Sample(x + 1j * x, dtype=D.float64)


SELECT = Select("select")
CAST = Cast("cast")
select = SELECT


def cast(x: Node, dtype: DType) -> Node:
    """x as another dtype; constants are converted at once."""
    if x.dtype is dtype:
        return x
    if x.prim is CONST:
        value = constant_value(x.params["value"], x.dtype)
        # A float outside an integer's range has no meaning to keep; leave that to the kernel.
        real_enough = not isinstance(value, complex) or dtype.kind == "c"
        if real_enough and (
            dtype.kind in "fcb" or (math.isfinite(value) and in_range(value, dtype))
        ):
            return const(bool(value) if dtype is bool_ else value, dtype)
    return CAST(x, dtype=dtype)


def in_range(value: float, dtype: DType) -> bool:
    info = np.iinfo(dtype.dtype)
    return bool(info.min <= int(value) <= info.max)


def like(x: Node, value: float) -> Node:
    """A scalar constant of x's dtype."""
    return const(value, x.dtype)


def over(x: Node, y: Node) -> Node:
    """x / y for a tangent or cotangent x; a selection stays outermost, as in `times`."""
    from numr.primitives.guards import guard

    found = guard(x, sums=True, places=y.prim is not CONST)
    if found is None:
        return div(x, y)
    return found.around((div if found.last else over)(found.value, y))


class _Division(Elementwise):
    """x / y: linear in x by a division, not by a product with 1 / y, which would round twice."""

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        _, y = operands
        tx, ty = tangents
        first = None if tx is None else expand_like(over(tx, y), out)
        if ty is None:
            return first
        if tx is None:
            slope = mul(out, out) if is_one(operands[0]) else div(out, y)
            return expand_like(times(ty, neg(slope)), out)
        # Transposed, both begin with the cotangent over y, which they then share.
        return accumulate(first, expand_like(over(times(ty, neg(out)), y), out))

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        raise_if_nonlinear(self, node, wanted)
        return [sum_to(over(ct, node.inputs[1]), node.inputs[0].shape), None]


def _one(out: Node, *operands: Node) -> Node:
    return like(operands[0], 1)


def _minus_one(out: Node, *operands: Node) -> Node:
    return like(operands[0], -1)


add = Elementwise(S.add, (_one, _one), linear=True, doc="x + y")
sub = Elementwise(S.sub, (_one, _minus_one), linear=True, doc="x - y")
neg = Elementwise(S.neg, (_minus_one,), linear=True, doc="-x")
mul = Elementwise(S.mul, (lambda out, x, y: y, lambda out, x, y: x), doc="x * y")
div = _Division(S.div, (None, None), doc="x / y", domain=((-3.0, 3.0), (0.5, 3.0)))
