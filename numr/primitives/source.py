"""Where values come from: parameters, leaves (computed buffers), constants, aliases, iota, sizes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from numr.devices import device_of
from numr.dtypes import DType, as_dtype, bool_, int64
from numr.ir.dims import Shape, fresh_shape
from numr.ir.node import Node, Trace, scope
from numr.ir.primitive import Primitive, Sample
from numr.ir.symbolic import Symbolic

_serial = itertools.count()


class _Source(Primitive):
    """A node without operands whose type is given when it is made."""

    abstract = True
    lowering = "element"
    no_jvp = no_transpose = "it has no operands"


class _Alias(Primitive):
    """The value itself under a new identity: what a derivative is taken with respect to."""

    abstract = True
    lowering = "element"

    def infer(self, x: Node, **params: Any) -> tuple[Shape, DType]:
        return x.shape, x.dtype

    def reference(self, x: Any, **params: Any) -> Any:
        return x

    def jvp(self, out: Any, operands: Any, tangents: Any, **params: Any) -> Node | None:
        result: Node | None = tangents[0]
        return result

    def transpose(self, ct: Node, node: Node, wanted: Any) -> list[Node | None]:
        return [ct]

    def batch(self, size: int, operands: Any, axes: Any, /, **params: Any) -> tuple[Node, int]:
        return operands[0], axes[0]

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        return ctx.element(node.inputs[0], index)


class _Stop(_Alias):
    """The value itself, with a derivative of zero."""

    abstract = False

    def jvp(self, out: Any, operands: Any, tangents: Any, **params: Any) -> Node | None:
        return None

    def batch(self, size: int, operands: Any, axes: Any, /, **params: Any) -> tuple[Node, int]:
        return self(operands[0]), axes[0]

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=3), smooth=False)


PARAM = _Source("param", "A placeholder of a traced function.")
LEAF = _Source("leaf", "An array that has been computed or given.")
ALIAS = _Alias("alias")
STOP_GRADIENT = _Stop("stop_gradient")


class _Const(_Source):
    """A scalar known when the graph is built."""

    def infer(self, *, value: str, dtype: DType) -> tuple[Shape, DType]:
        return (), dtype

    def reference(self, *, value: str, dtype: DType) -> Any:
        return np.asarray(constant_value(value, dtype), dtype.dtype)

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        dtype = node.dtype
        return ctx.builder.const(constant_value(node.params["value"], dtype), dtype)


class _Iota(_Source):
    """The position along one axis: `out[i0, ..] = i_axis`, as int64."""

    def infer(self, *, shape: Shape, axis: int) -> tuple[Shape, DType]:
        return shape, int64

    def reference(self, *, shape: Shape, axis: int) -> Any:
        line = np.arange(shape[axis], dtype=np.int64)
        return np.broadcast_to(
            line.reshape([-1 if i == axis else 1 for i in range(len(shape))]), shape
        )

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        return ctx.builder.cast(index[node.params["axis"]], int64)

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        for shape, axis in (((5,), 0), ((2, 3), 1), ((2, 3), 0), ((0,), 0)):
            yield Sample(shape=shape, axis=axis)


class _SizeOf(_Source):
    """The length of an axis as an int64 scalar, so that a kernel need not contain the number."""

    def infer(self, *, length: int) -> tuple[Shape, DType]:
        return (), int64

    def reference(self, *, length: int) -> Any:
        return np.asarray(int(length), np.int64)

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        return ctx.builder.cast(ctx.builder.size(ctx.extent(node.params["length"])), int64)

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(length=12)


CONST = _Const("const")
IOTA = _Iota("iota")
SIZE_OF = _SizeOf("size_of")


def fresh_serial() -> int:
    """A number that no other node has, to tell nodes apart that are not to be one."""
    return next(_serial)


def param(shape: Shape, dtype: DType, trace: Trace | None, device: str | None = None) -> Node:
    """A fresh placeholder; every axis gets a Size of its own."""
    serial = {"serial": next(_serial)}
    return Node(PARAM, (), serial, fresh_shape(shape), dtype, trace, device=device)


def param_like(x: Node, trace: Trace | None = None) -> Node:
    """A placeholder for values of x's type, with x's own Sizes: its lengths are known to be equal."""
    serial = {"serial": next(_serial)}
    return Node(PARAM, (), serial, x.shape, x.dtype, trace, device=x.device)


def leaf(value: Any, dtype: DType | None = None) -> Node:
    """A node for a buffer that exists already."""
    return Node(
        LEAF,
        (),
        {"serial": next(_serial)},
        fresh_shape(value.shape),
        dtype or as_dtype(value.dtype),
        None,
        value,
        device_of(value),
    )


def alias(x: Node) -> Node:
    """x under a fresh identity belonging to the running trace."""
    node = ALIAS(x, serial=next(_serial))
    assert scope.trace is not None
    node.trace = scope.trace.over(x.trace)
    return node


def constant_value(text: str, dtype: DType) -> Any:
    """The Python value of a constant's canonical text."""
    if dtype.kind == "f":
        return float.fromhex(text)
    if dtype.kind == "c":
        re, im = text.split(",")
        return complex(float.fromhex(re), float.fromhex(im))
    return bool(int(text)) if dtype is bool_ else int(text)


def const(value: Any, dtype: DType) -> Node:
    """A scalar constant of the given dtype. Hexadecimal text keeps every bit and tells -0.0 from 0.0.

    A length that is a formula is no constant, and computed when the sizes are known.
    """
    if isinstance(value, Symbolic):
        return size_of(value, dtype)
    kind = dtype.kind
    if kind == "f":
        text = float(dtype.dtype.type(value)).hex()
    elif kind == "c":
        z = complex(dtype.dtype.type(value))
        text = f"{z.real.hex()},{z.imag.hex()}"
    else:
        text = str(int(value))
    return CONST(value=text, dtype=dtype)


def is_const(node: Node, value: float | None = None) -> bool:
    """Whether a node is a constant (equal to `value`, where given; the sign of zero ignored)."""
    if node.prim is not CONST:
        return False
    return value is None or constant_value(node.params["value"], node.dtype) == value


def size_of(length: int, dtype: DType) -> Node:
    """The number `length` as a scalar node; a Size stays symbolic so that kernels do not depend on it."""
    from numr.primitives.elementwise import cast

    if type(length) is int and length <= 8:
        return const(length, dtype)
    return cast(SIZE_OF(length=length), dtype)


def lowest(dtype: DType) -> Any:
    """The identity of max."""
    if dtype.kind == "f":
        return -math.inf
    return False if dtype is bool_ else int(np.iinfo(dtype.dtype).min)


def highest(dtype: DType) -> Any:
    """The identity of min."""
    if dtype.kind == "f":
        return math.inf
    return True if dtype is bool_ else int(np.iinfo(dtype.dtype).max)
