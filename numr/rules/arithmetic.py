"""Rules on scalar arithmetic. Exact ones keep every bit, signs of zero and NaN included."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numr.dtypes import bool_, float64
from numr.ir.node import Node
from numr.ir.rewrite.engine import Numerics, Rule
from numr.ir.rewrite.pattern import pattern_rule
from numr.primitives.elementwise import add, div, expand_like, like, mul, neg, select, sub
from numr.primitives.mathematics import (
    bit_and,
    erf,
    erfc,
    exp,
    expm1,
    invert,
    log,
    log1p,
    maximum,
    minimum,
    sqrt,
)
from numr.primitives.source import CONST, constant_value, param


def constant(node: Node) -> Any:
    """The value of a constant, with the sign of zero visible; None of other nodes."""
    if node.prim is not CONST:
        return None
    value = constant_value(node.params["value"], node.dtype)
    if isinstance(value, float) and value == 0:
        return (0.0, math.copysign(1, value))
    return value


def variables(names: Sequence[str]) -> Sequence[Node]:
    """Pattern variables: m and n stand for masks, the others for numbers."""
    return [param((), bool_ if name in "mn" else float64, None) for name in names]


def rule(
    name: str,
    left: Callable[..., Node],
    right: Callable[..., Node],
    when: Callable[..., bool] | None = None,
    numerics: Numerics = "exact",
) -> Rule:
    return pattern_rule(
        name, left, right, variables=variables, constant=constant, when=when, numerics=numerics
    )


def _is_number(*nodes: Node) -> bool:
    return all(n.prim is CONST and n.dtype.kind == "f" for n in nodes)


def power_of_two(node: Node) -> bool:
    """Whether a node is a constant by which scaling is exact."""
    value = constant(node)
    return isinstance(value, float) and math.isfinite(value) and math.frexp(abs(value))[0] == 0.5


def _real(*nodes: Node) -> bool:
    return all(n.dtype.kind == "f" for n in nodes)


def _like_shape(x: Node, *others: Node) -> bool:
    """Whether x alone gives the result's shape (dropping the others must not shrink it)."""
    return all(not o.shape for o in others)


def same_shape(a: Node, b: Node) -> bool:
    return not b.shape or a.shape == b.shape


RULES: tuple[Rule, ...] = (
    rule("neg-neg", lambda x: neg(neg(x)), lambda x: x),
    rule("neg-times-neg", lambda x, y: mul(neg(x), neg(y)), lambda x, y: mul(x, y)),
    rule(
        "neg-out-of-product",
        lambda x, y: mul(neg(x), y),
        lambda x, y: neg(mul(x, y)),
        lambda x, y: _real(x),
    ),
    rule(
        "neg-out-of-quotient",
        lambda x, y: div(neg(x), y),
        lambda x, y: neg(div(x, y)),
        lambda x, y: _real(x),
    ),
    rule(
        "neg-out-of-divisor",
        lambda x, y: div(x, neg(y)),
        lambda x, y: neg(div(x, y)),
        lambda x, y: _real(x),
    ),
    rule("plus-neg", lambda x, y: add(x, neg(y)), lambda x, y: sub(x, y), lambda x, y: _real(x)),
    rule("minus-neg", lambda x, y: sub(x, neg(y)), lambda x, y: add(x, y), lambda x, y: _real(x)),
    rule("times-one", lambda x: mul(x, like(x, 1)), lambda x: x),
    rule("over-one", lambda x: div(x, like(x, 1)), lambda x: x),
    rule("times-minus-one", lambda x: mul(x, like(x, -1)), lambda x: neg(x), lambda x: _real(x)),
    rule("minus-zero", lambda x: sub(x, like(x, 0.0)), lambda x: x, lambda x: _real(x)),
    rule("plus-minus-zero", lambda x: add(x, like(x, -0.0)), lambda x: x, lambda x: _real(x)),
    rule(
        "merge-constant-factors",
        lambda a, b, x: mul(a, mul(b, x)),
        lambda a, b, x: mul(mul(a, b), x),
        lambda a, b, x: _is_number(a, b) and (power_of_two(a) or power_of_two(b)),
        "ulp",  # exact but for subnormal intermediates
    ),
    rule(
        "double-half",
        lambda a, x: add(mul(a, x), mul(a, x)),
        lambda a, x: mul(mul(like(a, 2), a), x),
        lambda a, x: power_of_two(a),
        "ulp",  # exact but for subnormal products
    ),
    rule("minus-twice", lambda x: sub(neg(x), x), lambda x: mul(like(x, -2), x), _real),
    rule("max-self", lambda x: maximum(x, x), lambda x: x),
    rule("min-self", lambda x: minimum(x, x), lambda x: x),
    rule(
        "select-same",
        lambda m, x: select(m, x, x),
        lambda m, x: expand_like(x, m),
        lambda m, x: m.dtype.kind == "b",
    ),
    rule(
        "select-not",
        lambda m, x, y: select(invert(m), x, y),
        lambda m, x, y: select(m, y, x),
        lambda m, x, y: m.dtype.kind == "b",
    ),
    rule(
        "select-nested-yes",
        lambda m, x, y, z: select(m, select(m, x, y), z),
        lambda m, x, y, z: select(m, x, z),
        lambda m, x, y, z: same_shape(m, y) or same_shape(x, y),
    ),
    rule(
        "select-nested-no",
        lambda m, x, y, z: select(m, x, select(m, y, z)),
        lambda m, x, y, z: select(m, x, z),
        lambda m, x, y, z: same_shape(m, y) or same_shape(z, y),
    ),
    rule(
        "select-both",
        lambda m, n, x, y: select(m, select(n, x, y), y),
        lambda m, n, x, y: select(bit_and(m, n), x, y),
        lambda m, n, x, y: m.shape == n.shape,
    ),
    rule(
        "log-of-one-plus",
        lambda x: log(add(like(x, 1), x)),
        lambda x: log1p(x),
        lambda x: _real(x),
        "ulp",
    ),
    rule(
        "exp-minus-one",
        lambda x: sub(exp(x), like(x, 1)),
        lambda x: expm1(x),
        lambda x: _real(x),
        "ulp",
    ),
    rule("one-minus-erf", lambda x: sub(like(x, 1), erf(x)), lambda x: erfc(x), None, "ulp"),
    rule("log-of-exp", lambda x: log(exp(x)), lambda x: x, lambda x: _real(x), "fast"),
    rule("root-squared", lambda x: mul(sqrt(x), sqrt(x)), lambda x: x, lambda x: _real(x), "fast"),
)
