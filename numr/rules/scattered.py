"""Sums of what was scattered: an index that is summed over need not be looked at.

They meet where the derivative of picked elements goes on into a sum, as in the cross-entropy of labels.
"""

from __future__ import annotations

from numr.dtypes import bool_
from numr.ir.node import Node
from numr.ir.rewrite.engine import Rule
from numr.primitives.elementwise import add, cast, is_one, is_zero, like, mul
from numr.primitives.indexing import SCATTER
from numr.primitives.reduction import reduce_or, reduce_sum
from numr.primitives.shape import BROADCAST, RESHAPE
from numr.primitives.source import IOTA, const
from numr.rules.vocabulary import function_rule, same_length


def _line(x: Node) -> Node:
    """Three values from one variable."""
    return mul(BROADCAST(x, shape=(3,), axes=()), add(cast(_count(3), x.dtype), like(x, 1)))


def _count(n: int) -> Node:
    return IOTA(shape=(n,), axis=0)


def _nothing(x: Node, *shape: int) -> Node:
    return BROADCAST(const(0, x.dtype), shape=shape, axes=())


def _kept_indices(node: Node) -> tuple[list[int], list[int], list[int]]:
    """Of a reduction of a scatter: the indexed axes that stay, those of the scatter's other axes that go
    (as axes of its updates), and the axes over which the updates were indexed."""
    x = node.inputs[0]
    _, updates, *indices = x.inputs
    gone = node.params["axes"]
    lead, batch = len(indices), indices[0].rank
    kept = [k for k in range(lead) if k not in gone]
    beside = [a - lead + batch for a in gone if a >= lead]
    assert updates.rank == x.rank - lead + batch
    return kept, beside, list(range(batch))


@function_rule(
    "sum-of-scattered",
    ["reduce_sum"],
    lambda x: reduce_sum(
        SCATTER(_nothing(x, 3, 2), _line(x), _count(3), mul(_count(3), _count(3)), mode="add"),
        axes=(1,),
    ),
    numerics="ulp",
)
def _sum_of_scattered(node: Node) -> Node | None:
    """The sum over axes of what was added at indices: added at the other indices, or summed."""
    (x,) = node.inputs
    if x.prim is not SCATTER or x.params["mode"] != "add" or not is_zero(x.inputs[0]):
        return None
    _, updates, *indices = x.inputs
    kept, beside, batch = _kept_indices(node)
    if not kept:
        return reduce_sum(updates, axes=tuple(batch + beside))
    updates = reduce_sum(updates, axes=tuple(beside))
    base = BROADCAST(const(0, x.dtype), shape=node.shape, axes=())
    return SCATTER(base, updates, *[indices[k] for k in kept], mode="add")


@function_rule(
    "any-of-scattered",
    ["reduce_or"],
    lambda m: reduce_or(
        SCATTER(
            BROADCAST(const(False, bool_), shape=(3, 2), axes=()),
            BROADCAST(const(True, bool_), shape=(3,), axes=()),
            _count(3), mul(_count(3), _count(3)), mode="set",
        ),
        axes=(1,),
    ),
)  # fmt: skip
def _any_of_scattered(node: Node) -> Node | None:
    """Whether a mark was set anywhere along indexed axes: a mark set at the other indices."""
    (x,) = node.inputs
    if x.prim is not SCATTER or x.params["mode"] != "set":
        return None
    marks, updates, *indices = x.inputs
    kept, beside, _ = _kept_indices(node)
    if beside or not kept or not is_zero(marks) or not is_one(updates):
        return None
    base = BROADCAST(const(False, bool_), shape=node.shape, axes=())
    return SCATTER(base, updates, *[indices[k] for k in kept], mode="set")


@function_rule(
    "scatter-to-each",
    ["scatter"],
    lambda x: SCATTER(_nothing(x, 3), _line(x), _count(3), mode="add"),
    numerics="ulp",
)
def _scatter_to_each(node: Node) -> Node | None:
    """What is put at the places 0, 1, .. of an axis, one after the other, is the updates themselves."""
    base, updates, *indices = node.inputs
    index, mode = indices[0], node.params["mode"]
    if len(indices) > 1 or index.prim is not IOTA or index.params["axis"] != 0:
        return None
    if not same_length(index.shape[0], node.shape[0]) or any(n != 1 for n in index.shape[1:]):
        return None
    if not (mode == "set" or (mode == "add" and is_zero(base))):
        return None
    return RESHAPE(updates, shape=node.shape)


RULES: tuple[Rule, ...] = (_sum_of_scattered, _any_of_scattered, _scatter_to_each)
