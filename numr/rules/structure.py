"""Canonical form of structure: views merge, scalars are not spread, work is done before spreading.

Lengths are compared by identity: a program serves all sizes its text allows, so nothing may depend on
two lengths having one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from numr.ir.node import Node
from numr.ir.primitive import REGISTRY
from numr.ir.rewrite.engine import Rule
from numr.primitives.elementwise import Cast, Elementwise, Select, add, cast, mul
from numr.primitives.reduction import Reduction, reduce_sum
from numr.primitives.shape import (
    BROADCAST,
    CONCAT,
    FLIP,
    PAD,
    PERMUTE,
    RESHAPE,
    SLICE,
    permute,
)
from numr.primitives.source import IOTA
from numr.rules.vocabulary import function_rule, is_literal, same_lengths

declare = partial(function_rule, kinds="biufc")

# -- what the examples are made of -----------------------------------------------------------------


def _spread(x: Node, *shape: int) -> Node:
    """Distinct values from one variable, in a shape."""
    count = 1
    for n in shape:
        count *= n
    return RESHAPE(add(x, cast(IOTA(shape=(count,), axis=0), x.dtype)), shape=shape)


def _line(x: Node) -> Node:
    return _spread(x, 3)


def _wide(x: Node) -> Node:
    return BROADCAST(_line(x), shape=(2, 3), axes=(1,))


# -- views -----------------------------------------------------------------------------------------


@declare(
    "permute-permute",
    ["permute"],
    lambda x: PERMUTE(PERMUTE(_spread(x, 2, 3, 4), order=(1, 2, 0)), order=(1, 0, 2)),
    kinds="iufc",
)
def permute_permute(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.prim is not PERMUTE:
        return None
    inner, outer = x.params["order"], node.params["order"]
    return permute(x.inputs[0], tuple(inner[i] for i in outer))


def long_axes(x: Node) -> list[int]:
    """The axes whose length is not the structural 1."""
    return [i for i, n in enumerate(x.shape) if n != 1]


def only_ones(x: Node, y: Node) -> bool:
    """Whether two shapes differ by axes of length 1 alone."""
    return same_lengths([x.shape[i] for i in long_axes(x)], [y.shape[i] for i in long_axes(y)])


@declare(
    "reshape-reshape",
    ["reshape"],
    lambda x: RESHAPE(RESHAPE(_spread(x, 6, 4), shape=(6, 1, 4)), shape=(3, 8)),
    kinds="iufc",
)
def reshape_reshape(node: Node) -> Node | None:
    """Merge with a reshape that only adds or drops axes of length 1, or that this one undoes.

    Others stay: whether lengths of the merged shape correspond would depend on their values.
    """
    (x,) = node.inputs
    if same_lengths(x.shape, node.shape):
        return x
    if x.prim is not RESHAPE:
        return None
    (base,) = x.inputs
    if same_lengths(base.shape, node.shape):
        return base
    if only_ones(base, x) or only_ones(x, node) or only_ones(base, node):
        return RESHAPE(base, shape=node.shape)
    return None


@declare(
    "permute-of-line",
    ["permute"],
    lambda x: PERMUTE(_spread(x, 3, 1), order=(1, 0)),
    kinds="iufc",
)
def permute_ones(node: Node) -> Node | None:
    """Moving axes of length 1 alone is a reshape."""
    order = [i for i in node.params["order"] if node.inputs[0].shape[i] != 1]
    return RESHAPE(node.inputs[0], shape=node.shape) if order == sorted(order) else None


@declare(
    "broadcast-broadcast",
    ["broadcast"],
    lambda x: BROADCAST(BROADCAST(_line(x), shape=(2, 3), axes=(1,)), shape=(4, 2, 3), axes=(1, 2)),
    kinds="iufc",
)
def broadcast_broadcast(node: Node) -> Node | None:
    (x,) = node.inputs
    outer = node.params["axes"]
    if outer == tuple(range(node.rank)) and long_axes(x) == long_axes(node):
        return x
    if x.prim is not BROADCAST:
        return None
    axes = tuple(outer[a] for a in x.params["axes"])
    return BROADCAST(x.inputs[0], shape=node.shape, axes=axes)


@declare(
    "broadcast-of-kept-axes",
    ["broadcast"],
    lambda x: BROADCAST(RESHAPE(_line(x), shape=(3, 1)), shape=(3, 2), axes=(0, 1)),
    kinds="iufc",
)
def broadcast_kept(node: Node) -> Node | None:
    """Axes of length 1 put in only to be stretched are not needed."""
    (x,) = node.inputs
    if x.prim is not RESHAPE or not only_ones(x, x.inputs[0]):
        return None
    (base,) = x.inputs
    if len(long_axes(base)) != base.rank:
        return None
    axes = tuple(node.params["axes"][i] for i in long_axes(x))
    return BROADCAST(base, shape=node.shape, axes=axes)


@declare(
    "broadcast-of-ones-dropped",
    ["broadcast"],
    lambda x: BROADCAST(_spread(x, 3, 1), shape=(3, 1, 1), axes=(0, 2)),
    kinds="iufc",
)
def broadcast_adds_ones(node: Node) -> Node | None:
    """A broadcast that stretches nothing is a reshape."""
    (x,) = node.inputs
    axes = node.params["axes"]
    kept = [axes[i] for i in long_axes(x)]
    return RESHAPE(x, shape=node.shape) if kept == long_axes(node) else None


@declare(
    "flip-flip",
    ["flip"],
    lambda x: FLIP(FLIP(_spread(x, 2, 3), axes=(0, 1)), axes=(1,)),
    kinds="iufc",
)
def flip_flip(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.prim is not FLIP:
        return None
    axes = tuple(sorted(set(node.params["axes"]) ^ set(x.params["axes"])))
    return FLIP(x.inputs[0], axes=axes) if axes else x.inputs[0]


@declare(
    "full-slice",
    ["slice"],
    lambda x: SLICE(_line(x), starts=(0,), sizes=(3,), steps=(1,)),
    kinds="iufc",
)
def full_slice(node: Node) -> Node | None:
    return node.inputs[0] if _covers(node.params, node.shape, node.inputs[0].shape) else None


def _covers(place: dict[str, Sequence[int]], part: Sequence[int], whole: Sequence[int]) -> bool:
    """Whether a slice or padding leaves an array as it is."""
    return (
        all(is_literal(a, 0) for a in place["starts"])
        and all(is_literal(s, 1) for s in place["steps"])
        and same_lengths(part, whole)
    )


@declare(
    "no-padding",
    ["pad"],
    lambda x: PAD(_line(x), x, starts=(0,), shape=(3,), steps=(1,)),
    kinds="iufc",
)
def no_padding(node: Node) -> Node | None:
    return node.inputs[0] if _covers(node.params, node.inputs[0].shape, node.shape) else None


@declare(
    "slice-of-pad",
    ["slice"],
    lambda x: SLICE(
        PAD(_line(x), x, starts=(2,), shape=(9,), steps=(2,)),
        starts=(2,),
        sizes=(3,),
        steps=(2,),
    ),
    kinds="iufc",
)
def slice_of_pad(node: Node) -> Node | None:
    """What was padded, taken out again."""
    (x,) = node.inputs
    if x.prim is not PAD:
        return None
    inside = x.inputs[0]
    same = same_lengths(node.shape, inside.shape) and all(
        same_lengths(node.params[k], x.params[k]) for k in ("starts", "steps")
    )
    return inside if same else None


@declare(
    "slice-of-concat",
    ["slice"],
    lambda x, y: SLICE(CONCAT(_line(x), _line(y), axis=0), starts=(0,), sizes=(3,), steps=(1,)),
    kinds="iufc",
)
def slice_of_concat(node: Node) -> Node | None:
    """The first of several joined arrays. (Where the others start is a sum, and sums are numbers.)"""
    (x,) = node.inputs
    if x.prim is not CONCAT:
        return None
    first = x.inputs[0]
    return first if _covers(node.params, node.shape, first.shape) else None


@declare("concat-of-one", ["concat"], lambda x: CONCAT(_line(x), axis=0), kinds="iufc")
def concat_of_one(node: Node) -> Node | None:
    return node.inputs[0] if len(node.inputs) == 1 else None


# -- scalars ---------------------------------------------------------------------------------------


def is_spread_scalar(node: Node) -> bool:
    return node.prim is BROADCAST and not node.inputs[0].shape


@declare(
    "view-of-scalar",
    ["reshape", "permute", "flip", "slice", "gather"],
    lambda x: RESHAPE(BROADCAST(x, shape=(2, 3), axes=()), shape=(6,)),
)
def view_of_scalar(node: Node) -> Node | None:
    """A view of a spread scalar is the scalar spread otherwise."""
    x = node.inputs[0]
    return BROADCAST(x.inputs[0], shape=node.shape, axes=()) if is_spread_scalar(x) else None


@declare(
    "pad-with-same",
    ["pad"],
    lambda x: PAD(BROADCAST(x, shape=(3,), axes=()), x, starts=(1,), shape=(9,), steps=(2,)),
)
def pad_with_same(node: Node) -> Node | None:
    """A spread scalar padded with itself."""
    x, value = node.inputs
    same = is_spread_scalar(x) and x.inputs[0] is value
    return BROADCAST(value, shape=node.shape, axes=()) if same else None


@declare(
    "scalar-operands",
    [n for n, p in REGISTRY.items() if isinstance(p, (Elementwise, Select, Cast))],
    lambda x, y: mul(BROADCAST(x, shape=(3,), axes=()), _line(y)),
    kinds="iufc",
)
def scalar_operands(node: Node) -> Node | None:
    """Elementwise operations use scalars at every element: no need to spread them first."""
    if not any(is_spread_scalar(x) for x in node.inputs):
        return None
    bare = [x.inputs[0] if is_spread_scalar(x) else x for x in node.inputs]
    value = node.prim(*bare, **node.params)
    return value if value.shape else BROADCAST(value, shape=node.shape, axes=())


# -- work before spreading -------------------------------------------------------------------------


@declare(
    "work-before-broadcast",
    [n for n, p in REGISTRY.items() if isinstance(p, (Elementwise, Select, Cast))],
    lambda x, y: mul(_wide(x), _wide(y)),
    kinds="iufc",
)
def work_before_broadcast(node: Node) -> Node | None:
    """An operation on operands spread alike is done before they are spread."""
    wide = [x for x in node.inputs if x.shape]
    if not wide or any(x.prim is not BROADCAST for x in wide):
        return None
    axes, inner = wide[0].params["axes"], wide[0].inputs[0]
    if not inner.shape or any(
        x.params["axes"] != axes or long_axes(x.inputs[0]) != long_axes(inner) for x in wide
    ):
        return None
    small = [x.inputs[0] if x.shape else x for x in node.inputs]
    return BROADCAST(node.prim(*small, **node.params), shape=node.shape, axes=axes)


@declare(
    "work-before-ones",
    [n for n, p in REGISTRY.items() if isinstance(p, (Elementwise, Select, Cast))],
    lambda x, y: mul(RESHAPE(_line(x), shape=(3, 1)), RESHAPE(_line(y), shape=(3, 1))),
    kinds="iufc",
)
def work_before_ones(node: Node) -> Node | None:
    """An operation on operands with axes of length 1 put in is done before these are put in."""
    wide = [x for x in node.inputs if x.shape]
    if not wide or any(x.prim is not RESHAPE for x in wide):
        return None
    base = wide[0].inputs[0]
    if not only_ones(base, node) or not all(
        same_lengths(x.inputs[0].shape, base.shape) for x in wide
    ):
        return None
    small = [x.inputs[0] if x.shape else x for x in node.inputs]
    return RESHAPE(node.prim(*small, **node.params), shape=node.shape)


# -- reductions ------------------------------------------------------------------------------------

REDUCTIONS = [n for n, p in REGISTRY.items() if isinstance(p, Reduction)]


@declare(
    "reduction-of-length-one",
    REDUCTIONS,
    lambda x: reduce_sum(RESHAPE(_spread(x, 3, 2), shape=(3, 1, 2)), axes=(1, 2)),
    # A sum of one element -0.0 may come out as 0.0.
    kinds="iufc",
)
def reduce_length_one(node: Node) -> Node | None:
    """An axis of length 1 needs no reduction. (Being 1 is structure: it is part of every key.)"""
    (x,) = node.inputs
    axes = node.params["axes"]
    if all(x.shape[a] != 1 for a in axes):
        return None
    gone = [a for a in axes if x.shape[a] == 1]
    rest = tuple(a - sum(g < a for g in gone) for a in axes if a not in gone)
    shape = tuple(n for i, n in enumerate(x.shape) if i not in gone)
    return node.prim(RESHAPE(x, shape=shape), axes=rest)  # type: ignore[no-any-return]


RULES: tuple[Rule, ...] = (
    permute_ones,
    permute_permute,
    reshape_reshape,
    broadcast_broadcast,
    broadcast_adds_ones,
    broadcast_kept,
    flip_flip,
    full_slice,
    no_padding,
    slice_of_pad,
    slice_of_concat,
    concat_of_one,
    view_of_scalar,
    pad_with_same,
    scalar_operands,
    work_before_broadcast,
    work_before_ones,
    reduce_length_one,
)
