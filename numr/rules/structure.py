"""Rules on structure: views merge, scalars are not spread, work moves to the smaller array."""

from __future__ import annotations

from numr.ir.dims import Shape, Size
from numr.ir.node import Node
from numr.ir.rewrite.engine import Rule
from numr.primitives.elementwise import Elementwise, Select, cast
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import BROADCAST, FLIP, PERMUTE, RESHAPE, permute, reshape


def _permute_permute(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.prim is not PERMUTE:
        return None
    inner, outer = x.params["order"], node.params["order"]
    return permute(x.inputs[0], tuple(inner[i] for i in outer))


def same_lengths(a: Shape, b: Shape) -> bool:
    """Whether two shapes are equal by construction: a program serves other sizes than those it was
    rewritten at, so lengths that merely happen to be equal must not decide."""

    def key(n: int) -> object:
        return n.root() if type(n) is Size else n

    def same(m: int, n: int) -> bool:
        p, q = key(m), key(n)
        return p is q or (type(p) is int and type(q) is int and p == q)

    return len(a) == len(b) and all(map(same, a, b))


def _reshape_reshape(node: Node) -> Node | None:
    (x,) = node.inputs
    if same_lengths(node.shape, x.shape):
        return x
    if x.prim is not RESHAPE:
        return None
    (inner,) = x.inputs
    return inner if same_lengths(inner.shape, node.shape) else RESHAPE(inner, shape=node.shape)


def _broadcast_broadcast(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.shape == node.shape and node.params["axes"] == tuple(range(x.rank)):
        return x
    if x.prim is not BROADCAST:
        return None
    outer = node.params["axes"]
    axes = tuple(outer[a] for a in x.params["axes"])
    return BROADCAST(x.inputs[0], shape=node.shape, axes=axes)


def _view_of_scalar(node: Node) -> Node | None:
    """A view of a spread scalar is the scalar spread otherwise."""
    x = node.inputs[0]
    if x.prim is not BROADCAST or x.inputs[0].shape:
        return None
    return BROADCAST(x.inputs[0], shape=node.shape, axes=())


def _spread_scalar(node: Node) -> Node:
    while node.prim is BROADCAST:
        node = node.inputs[0]
    return node


def _unspread_operands(node: Node) -> Node | None:
    """Elementwise operations use scalars at every element: no need to spread them first."""
    if not isinstance(node.prim, (Elementwise, Select)):
        return None
    bare = [x if not x.shape or _spread_scalar(x).shape else _spread_scalar(x) for x in node.inputs]
    if all(a is b for a, b in zip(bare, node.inputs, strict=True)):
        return None
    if any(x.shape for x in bare):
        return node.prim(*bare, **node.params)
    return BROADCAST(node.prim(*bare, **node.params), shape=node.shape, axes=())


def _common_broadcast(node: Node) -> Node | None:
    """An operation on operands spread alike is done before they are spread."""
    if not isinstance(node.prim, (Elementwise, Select)):
        return None
    wide = [x for x in node.inputs if x.shape]
    if not wide or any(x.prim is not BROADCAST for x in wide):
        return None
    first = wide[0]
    axes, inner = first.params["axes"], first.inputs[0].shape
    if not inner or any(x.params["axes"] != axes or x.inputs[0].shape != inner for x in wide):
        return None
    small = [x.inputs[0] if x.shape else x for x in node.inputs]
    return BROADCAST(node.prim(*small, **node.params), shape=node.shape, axes=axes)


def _cast_of_broadcast(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.prim is not BROADCAST:
        return None
    return BROADCAST(cast(x.inputs[0], node.dtype), **x.params)


def _flip_flip(node: Node) -> Node | None:
    (x,) = node.inputs
    same = x.prim is FLIP and x.params["axes"] == node.params["axes"]
    return x.inputs[0] if same else None


def _sum_of_length_one(node: Node) -> Node | None:
    """An axis of length 1 needs no reduction. (Being 1 is structure: it is part of every key.)"""
    (x,) = node.inputs
    axes = node.params["axes"]
    if any(x.shape[a] != 1 for a in axes):
        return None
    return reshape(x, node.shape)


def _full_slice(node: Node) -> Node | None:
    (x,) = node.inputs
    p = node.params
    whole = (
        same_lengths(node.shape, x.shape)
        and not any(p["starts"])
        and all(s == 1 for s in p["steps"])
    )
    return x if whole else None


RULES: tuple[Rule, ...] = (
    Rule("permute-permute", ("permute",), _permute_permute, "exact",
         lambda x: PERMUTE(PERMUTE(_spread(x), order=(1, 2, 0)), order=(1, 0, 2)), 1),
    Rule("reshape-reshape", ("reshape",), _reshape_reshape, "exact",
         lambda x: RESHAPE(RESHAPE(_spread(x), shape=(6, 4)), shape=(4, 6)), 1),
    Rule("broadcast-broadcast", ("broadcast",), _broadcast_broadcast, "exact",
         lambda x: BROADCAST(BROADCAST(_line(x), shape=(2, 3), axes=(1,)), shape=(4, 2, 3), axes=(1, 2)), 1),
    Rule("view-of-scalar", ("reshape", "permute", "flip", "slice"), _view_of_scalar, "exact",
         lambda x: RESHAPE(BROADCAST(x, shape=(2, 3), axes=()), shape=(6,)), 1),
    Rule("scalar-operands", ("add", "sub", "mul", "div", "select", "maximum", "minimum", "neg", "exp", "log",
                             "sqrt", "pow", "eq", "ne", "lt", "le", "gt", "ge"), _unspread_operands, "exact",
         lambda x, y: Elementwise.__call__(_prim("mul"), BROADCAST(x, shape=(3,), axes=()), _line(y)), 2),
    Rule("work-before-broadcast", ("add", "sub", "mul", "div", "neg", "exp", "log", "sqrt", "select", "eq",
                                   "maximum", "minimum", "lt", "le", "gt", "ge", "ne", "isfinite"),
         _common_broadcast, "exact",
         lambda x, y: Elementwise.__call__(_prim("mul"), _wide(x), _wide(y)), 2),
    Rule("cast-of-broadcast", ("cast",), _cast_of_broadcast, "exact",
         lambda x: cast(_wide(x), _f32()), 1),
    Rule("flip-flip", ("flip",), _flip_flip, "exact", lambda x: FLIP(FLIP(_line(x), axes=(0,)), axes=(0,)), 1),
    Rule("sum-of-length-one", ("reduce_sum", "reduce_max", "reduce_min", "reduce_prod"), _sum_of_length_one, "exact",
         lambda x: reduce_sum(RESHAPE(_line(x), shape=(3, 1)), axes=(1,)), 1),
    Rule("full-slice", ("slice",), _full_slice, "exact",
         lambda x: _prim("slice")(_line(x), starts=(0,), sizes=(3,), steps=(1,)), 1),
)  # fmt: skip


# What the tests' examples are made of: a variable spread to a few shapes.


def _prim(name: str):  # type: ignore[no-untyped-def]
    from numr.ir.primitive import REGISTRY

    return REGISTRY[name]


def _f32():  # type: ignore[no-untyped-def]
    from numr.dtypes import float32

    return float32


def _line(x: Node) -> Node:
    """Three distinct values from one variable."""
    from numr.primitives.elementwise import add, cast
    from numr.primitives.source import IOTA

    return add(x, cast(IOTA(shape=(3,), axis=0), x.dtype))


def _wide(x: Node) -> Node:
    return BROADCAST(_line(x), shape=(2, 3), axes=(1,))


def _spread(x: Node) -> Node:
    from numr.primitives.elementwise import add, cast
    from numr.primitives.source import IOTA

    return RESHAPE(add(x, cast(IOTA(shape=(24,), axis=0), x.dtype)), shape=(2, 3, 4))
