"""Less work: constants merge and leave sums and products, divisions move to smaller arrays.

These rules may round differently; they keep NaN, and infinities but for overflow on the way.
"""

from __future__ import annotations

from numr.ir.node import Node
from numr.ir.rewrite.engine import Rule
from numr.primitives.composites import sigmoid
from numr.primitives.elementwise import add, div, like, mul, neg, sub
from numr.primitives.mathematics import abs_, exp, log, sqrt
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import BROADCAST, PERMUTE
from numr.primitives.source import CONST, size_of
from numr.rules.facts import is_size, is_tame, never_subnormal
from numr.rules.structure import long_axes
from numr.rules.vocabulary import constant, function_rule, moderate, rule


def _kept(node: Node) -> tuple[int, ...]:
    axes = node.params["axes"]
    return tuple(i for i in range(node.inputs[0].rank) if i not in axes)


def _grows(node: Node) -> bool:
    """Whether a broadcast has more elements than its operand."""
    return len(long_axes(node.inputs[0])) < len(long_axes(node))


@function_rule(
    "divide-before-broadcast",
    ["div"],
    lambda x, y: div(_wide(x), BROADCAST(sqrt(_line(y)), shape=(2, 3), axes=(1,))),
    numerics="ulp",
)
def _divide_before_broadcast(node: Node) -> Node | None:
    """A division by a spread array or a scalar is one of fewer elements and a product."""
    x, y = node.inputs
    few = not y.shape or (y.prim is BROADCAST and _grows(y))
    # The mean of equal numbers should be that number: dividing by a length stays exact.
    if not x.shape or not few or y.prim is CONST or is_size(y) or not never_subnormal(y):
        return None
    if not y.shape:
        return mul(x, div(like(y, 1), y))
    (small,) = y.inputs
    return mul(x, BROADCAST(div(like(small, 1), small), **y.params))


@function_rule(
    "scale-before-broadcast",
    ["mul"],
    lambda c, x, y: mul(c, mul(_wide(x), BROADCAST(_line(y), shape=(2, 3), axes=(1,)))),
    numerics="ulp",
)
def _scale_before_broadcast(node: Node) -> Node | None:
    """A constant factor goes to the factor with the fewest elements."""
    for c, product in (node.inputs, node.inputs[::-1]):
        if moderate(c) and product.prim is mul and product.shape:
            for x, y in (product.inputs, product.inputs[::-1]):
                if y.prim is BROADCAST and _grows(y) and x.shape:
                    return mul(x, BROADCAST(mul(c, y.inputs[0]), **y.params))
    return None


@function_rule(
    "factor-out-of-sum",
    ["reduce_sum"],
    lambda c, x: reduce_sum(mul(c, _line(x)), axes=(0,)),
    numerics="ulp",
)
def _factor_out_of_sum(node: Node) -> Node | None:
    """The sum of c x is c times the sum of x, for constants and lengths c, wherever c stands in it."""
    (x,) = node.inputs
    minus = x.prim is neg
    if minus:
        (x,) = x.inputs
    if x.prim not in (mul, div):
        return None
    first, second = x.inputs
    if not minus and not second.shape and is_tame(second):
        return x.prim(reduce_sum(first, **node.params), second)
    if x.prim is div:
        return None
    for c, rest in (x.inputs, x.inputs[::-1]):
        if c.prim is BROADCAST and c.inputs[0].prim is mul:
            scale, small = c.inputs[0].inputs
            if small.shape:
                c, rest = scale, mul(BROADCAST(small, **c.params), rest)
        if not c.shape and is_tame(c):
            return mul(neg(c) if minus else c, reduce_sum(rest, **node.params))
    return None


@function_rule(
    "neg-out-of-sum",
    ["reduce_sum"],
    lambda x: reduce_sum(neg(_line(x)), axes=(0,)),
    numerics="ulp",
)
def _neg_out_of_sum(node: Node) -> Node | None:
    (x,) = node.inputs
    return neg(reduce_sum(x.inputs[0], **node.params)) if x.prim is neg else None


@function_rule(
    "sum-of-spread-constant",
    ["reduce_sum"],
    lambda c: reduce_sum(BROADCAST(c, shape=(2, 300), axes=()), axes=(1,)),
    numerics="ulp",
)
def _sum_of_constant(node: Node) -> Node | None:
    (x,) = node.inputs
    if x.prim is not BROADCAST or x.inputs[0].shape or not is_tame(x.inputs[0]):
        return None
    total = x.inputs[0]
    for axis in node.params["axes"]:
        total = mul(total, size_of(x.shape[axis], x.dtype))
    return BROADCAST(total, shape=node.shape, axes=()) if node.shape else total


@function_rule(
    "sum-of-permuted",
    ["reduce_sum", "reduce_max", "reduce_min"],
    lambda x: reduce_sum(PERMUTE(_wide(x), order=(1, 0)), axes=(0, 1)),
    numerics="ulp",
)
def _sum_of_permuted(node: Node) -> Node | None:
    """Axes that are all summed, or stay in order, need no permuting first."""
    (x,) = node.inputs
    if x.prim is not PERMUTE:
        return None
    order = x.params["order"]
    kept = [order[i] for i in _kept(node)]
    if kept != sorted(kept):
        return None
    axes = tuple(sorted(order[a] for a in node.params["axes"]))
    return node.prim(x.inputs[0], axes=axes)


def _line(x: Node) -> Node:
    """Three values from one variable."""
    return mul(BROADCAST(x, shape=(3,), axes=()), _counted(x))


def _wide(x: Node) -> Node:
    return mul(BROADCAST(x, shape=(2, 3), axes=()), BROADCAST(_counted(x), shape=(2, 3), axes=(1,)))


def _counted(x: Node) -> Node:
    from numr.primitives.elementwise import cast
    from numr.primitives.source import IOTA

    return cast(IOTA(shape=(3,), axis=0), x.dtype)


def _expressible(value: Node) -> bool:
    """Whether a merged constant is an ordinary number."""
    number = constant(value)
    return isinstance(number, float) and 2.0**-100 < abs(number) < 2.0**100


def _same_reach(x: Node, y: Node, z: Node) -> bool:
    """Whether putting y and z together first makes no work on larger arrays."""
    return bool(x.shape) or not (y.shape or z.shape)


MERGED: tuple[Rule, ...] = (
    rule(
        "merge-constant-factors",
        lambda c, d, x: mul(c, mul(d, x)),
        lambda c, d, x: mul(mul(c, d), x),
        lambda c, d, x: _expressible(mul(c, d)),
        "ulp",
    ),
    rule(
        "merge-factor-and-numerator",
        lambda c, d, x: mul(c, div(d, x)),
        lambda c, d, x: div(mul(c, d), x),
        lambda c, d, x: moderate(c, d),
        "ulp",
    ),
    rule(
        "constant-out-of-product",
        lambda c, x, y: mul(mul(c, x), y),
        lambda c, x, y: mul(c, mul(x, y)),
        lambda c, x, y: moderate(c) and bool(x.shape or not y.shape) and constant(y) is None,
        "ulp",
    ),
    rule(
        "constant-out-of-quotient",
        lambda c, x, y: div(mul(c, x), y),
        lambda c, x, y: mul(c, div(x, y)),
        lambda c, x, y: moderate(c) and bool(x.shape or not y.shape) and constant(y) is None,
        "ulp",
    ),
    rule(
        "constant-out-of-numerator",
        lambda c, x, y: mul(x, div(c, y)),
        lambda c, x, y: mul(c, div(x, y)),
        lambda c, x, y: (
            moderate(c)
            and abs(constant(c)) != 1
            and bool(x.shape) == bool(y.shape)
            and constant(x) is None
        ),
        "ulp",
    ),
    rule(
        "common-constant-of-sum",
        lambda c, x, y: add(mul(c, x), mul(c, y)),
        lambda c, x, y: mul(c, add(x, y)),
        lambda c, x, y: moderate(c),
        "ulp",
    ),
    rule(
        "common-constant-of-difference",
        lambda c, x, y: sub(mul(c, x), mul(c, y)),
        lambda c, x, y: mul(c, sub(x, y)),
        lambda c, x, y: moderate(c),
        "ulp",
    ),
    rule(
        "opposite-constants-of-sum",
        lambda c, d, x, y: add(mul(c, x), mul(d, y)),
        lambda c, d, x, y: mul(c, sub(x, y)),
        lambda c, d, x, y: moderate(c, d) and constant(c) == -constant(d),
        "ulp",
    ),
    rule(
        "opposite-constants-of-difference",
        lambda c, d, x, y: sub(mul(c, x), mul(d, y)),
        lambda c, d, x, y: mul(c, add(x, y)),
        lambda c, d, x, y: moderate(c, d) and constant(c) == -constant(d),
        "ulp",
    ),
    rule(
        "one-over-quotient",
        lambda x, y: div(like(x, 1), div(x, y)),
        lambda x, y: div(y, x),
        None,
        "ulp",
    ),
    rule(
        "sigmoid-times-its-mirror",
        lambda x: mul(sigmoid(x), sigmoid(neg(x))),
        lambda x: _sigmoid_slope(x),
        None,
        "ulp",
    ),
)


def _sigmoid_slope(x: Node) -> Node:
    """The derivative of sigmoid: e / (1 + e)**2 for e = exp(-|x|), which never overflows."""
    e = exp(neg(abs_(x)))
    below = add(like(x, 1), e)
    return div(e, mul(below, below))


FAST: tuple[Rule, ...] = (
    rule("log-of-exp", lambda x: log(exp(x)), lambda x: x, None, "fast"),
    rule("exp-of-log", lambda x: exp(log(x)), lambda x: x, None, "fast"),
    rule("exp-times-exp", lambda x, y: mul(exp(x), exp(y)), lambda x, y: exp(add(x, y)), None, "fast"),
    rule("root-squared", lambda x: mul(sqrt(x), sqrt(x)), lambda x: x, None, "fast"),
    rule("minus-itself", lambda x: sub(x, x), lambda x: mul(like(x, 0), x), None, "fast"),
    rule("over-itself-times", lambda x, y: mul(x, div(y, x)), lambda x, y: y,
         lambda x, y: bool(y.shape) or not x.shape, "fast"),
    rule("reciprocal-times-quotient", lambda x, y: mul(div(like(x, 1), x), div(x, y)),
         lambda x, y: div(like(y, 1), y), lambda x, y: bool(y.shape) or not x.shape, "fast"),
    rule("quotient-of-quotient", lambda x, y, z: div(div(x, y), z), lambda x, y, z: div(x, mul(y, z)),
         lambda x, y, z: y is not z and (bool(y.shape) or not z.shape), "fast"),
    rule("over-constant", lambda x, c: div(x, c), lambda x, c: mul(div(like(c, 1), c), x),
         lambda x, c: moderate(c), "fast"),
    rule("common-factor-of-sum", lambda x, y, z: add(mul(x, z), mul(y, z)), lambda x, y, z: mul(add(x, y), z),
         lambda x, y, z: bool(x.shape) == bool(y.shape), "fast"),
    rule("common-factor-of-difference", lambda x, y, z: sub(mul(x, z), mul(y, z)),
         lambda x, y, z: mul(sub(x, y), z), lambda x, y, z: bool(x.shape) == bool(y.shape), "fast"),
)  # fmt: skip


@function_rule(
    "scalar-out-of-sum",
    ["reduce_sum"],
    lambda x, y: reduce_sum(mul(x, _line(y)), axes=(0,)),
    numerics="fast",
)
def _scalar_out_of_sum(node: Node) -> Node | None:
    """The sum of s x is s times the sum of x, where s is spread over the axes summed."""
    (product,) = node.inputs
    if product.prim is not mul:
        return None
    for s, x in (product.inputs, product.inputs[::-1]):
        if not s.shape:
            return mul(s, reduce_sum(x, **node.params))
        if s.prim is BROADCAST and x.shape and s.params["axes"] == _kept(node):
            small = s.inputs[0]
            if long_axes(small) == long_axes(node):
                return mul(small, reduce_sum(x, **node.params))
    return None


RULES: tuple[Rule, ...] = (
    _divide_before_broadcast,
    _scale_before_broadcast,
    *MERGED,
    _factor_out_of_sum,
    _neg_out_of_sum,
    _sum_of_constant,
    _sum_of_permuted,
    *FAST,
    _scalar_out_of_sum,
)
