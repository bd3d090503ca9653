"""Stability: formulas that lose digits or overflow on the way, put as the functions made for them.

They run before composites are expanded, on the formula as the user wrote it.
"""

from __future__ import annotations

from numr.ir.node import Node
from numr.ir.rewrite.engine import Rule
from numr.primitives.composites import sigmoid, softplus
from numr.primitives.elementwise import add, div, like, mul, neg, sub
from numr.primitives.mathematics import (
    abs_,
    erf,
    erfc,
    exp,
    expm1,
    log,
    log1p,
    pow_,
    sqrt,
)
from numr.primitives.reduction import reduce_max, reduce_sum
from numr.primitives.shape import BROADCAST
from numr.rules.facts import shifted_over
from numr.rules.vocabulary import function_rule, rule


def one_plus_exp(x: Node) -> Node:
    return add(like(x, 1), exp(x))


@function_rule(
    "log-of-softmax",
    ["log"],
    lambda x, y: log(_softmax(BROADCAST(x, shape=(2, 3), axes=()), y)),
    numerics="ulp",
)
def _log_of_softmax(node: Node) -> Node | None:
    """log(exp(x) / sum) is x - log(sum), which does not underflow; x is at most 0 where it is shifted
    by its maximum, so nothing cancels."""
    (quotient,) = node.inputs
    if quotient.prim is not div:
        return None
    above, below = quotient.inputs
    if (
        above.prim is not exp
        or below.prim is not BROADCAST
        or shifted_over(above.inputs[0]) is None
    ):
        return None
    spread = BROADCAST(log(below.inputs[0]), **below.params)
    return sub(above.inputs[0], spread)


def _softmax(x: Node, y: Node) -> Node:
    x = add(x, BROADCAST(y, shape=x.shape, axes=()))
    top = BROADCAST(reduce_max(x, axes=(1,)), shape=x.shape, axes=(0,))
    e = exp(sub(x, top))
    return div(e, BROADCAST(reduce_sum(e, axes=(1,)), shape=x.shape, axes=(0,)))


RULES: tuple[Rule, ...] = (
    rule("log-of-one-plus", lambda x: log(add(like(x, 1), x)), lambda x: log1p(x), None, "ulp"),
    rule("log-of-one-minus", lambda x: log(sub(like(x, 1), x)), lambda x: log1p(neg(x)), None, "ulp"),
    rule("exp-minus-one", lambda x: sub(exp(x), like(x, 1)), lambda x: expm1(x), None, "ulp"),
    rule("exp-plus-minus-one", lambda x: add(exp(x), like(x, -1)), lambda x: expm1(x), None, "ulp"),
    rule("one-minus-exp", lambda x: sub(like(x, 1), exp(x)), lambda x: neg(expm1(x)), None, "ulp"),
    rule("one-minus-erf", lambda x: sub(like(x, 1), erf(x)), lambda x: erfc(x), None, "ulp"),
    rule("one-minus-erfc", lambda x: sub(like(x, 1), erfc(x)), lambda x: erf(x), None, "ulp"),
    rule("root-of-square", lambda x: sqrt(mul(x, x)), lambda x: abs_(x), None, "ulp"),
    rule("log-of-root", lambda x: log(sqrt(x)), lambda x: mul(like(x, 0.5), log(x)), None, "ulp"),
    rule("square", lambda x: pow_(x, like(x, 2)), lambda x: mul(x, x), None, "ulp", "iuf"),
    rule("cube", lambda x: pow_(x, like(x, 3)), lambda x: mul(x, mul(x, x)), None, "ulp", "iuf"),
    rule("to-the-minus-one", lambda x: pow_(x, like(x, -1)), lambda x: div(like(x, 1), x), None, "ulp"),
    rule(
        "softplus",
        lambda x: log1p(exp(x)),
        lambda x: softplus(x),
        lambda x: not (x.prim is neg and x.inputs[0].prim is abs_),  # that cannot overflow
        "ulp",
    ),
    rule(
        "sigmoid-of-exp",
        lambda x: div(exp(x), one_plus_exp(x)),
        lambda x: sigmoid(x),
        None,
        "ulp",
    ),
    rule(
        "sigmoid-as-product",
        lambda x: mul(exp(x), div(like(x, 1), one_plus_exp(x))),
        lambda x: sigmoid(x),
        None,
        "ulp",
    ),
    rule(
        "sigmoid-in-product",
        lambda x, y: mul(exp(x), mul(y, div(like(x, 1), one_plus_exp(x)))),
        lambda x, y: mul(y, sigmoid(x)),
        None,
        "ulp",
    ),
    rule("one-minus-sigmoid", lambda x: sub(like(x, 1), sigmoid(x)), lambda x: sigmoid(neg(x)), None, "ulp"),
    rule("log-of-sigmoid", lambda x: log(sigmoid(x)), lambda x: neg(softplus(neg(x))), None, "ulp"),
    _log_of_softmax,
)  # fmt: skip
