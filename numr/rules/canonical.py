"""Canonical form of scalar arithmetic: signs outermost, identities gone. Every rule keeps every bit."""

from __future__ import annotations

from numr.dtypes import DType, bool_, float16, float32, float64, int32
from numr.ir.node import Node
from numr.ir.rewrite.engine import Rule
from numr.primitives.elementwise import (
    CAST,
    add,
    cast,
    div,
    expand_like,
    like,
    mul,
    neg,
    select,
    sub,
)
from numr.primitives.mathematics import (
    abs_,
    bit_and,
    bit_or,
    eq,
    ge,
    gt,
    imag,
    invert,
    le,
    lt,
    make_complex,
    maximum,
    minimum,
    ne,
    pow_,
    real,
    sign,
    sqrt,
)
from numr.primitives.shape import BROADCAST
from numr.primitives.source import CONST, const
from numr.rules.facts import positive
from numr.rules.vocabulary import constant, function_rule, power_of_two, rule


def _covers(whole: Node, *dropped: Node) -> bool:
    """Whether dropping operands leaves the result its shape."""
    return bool(whole.shape) or not any(x.shape for x in dropped)


def _full(value: float, x: Node) -> Node:
    return expand_like(like(x, value), x)


SIGNS: tuple[Rule, ...] = (
    rule("neg-neg", lambda x: neg(neg(x)), lambda x: x, kinds="iufc"),
    rule("neg-times-neg", lambda x, y: mul(neg(x), neg(y)), lambda x, y: mul(x, y), kinds="iufc"),
    rule(
        "neg-into-constant", lambda x, c: mul(neg(x), c), lambda x, c: mul(neg(c), x), kinds="iuf"
    ),
    rule("neg-out-of-product", lambda x, y: mul(neg(x), y), lambda x, y: neg(mul(x, y)), kinds="iuf"),
    rule("neg-of-scaled", lambda x, c: neg(mul(c, x)), lambda x, c: mul(neg(c), x), kinds="iuf"),
    rule("neg-over-constant", lambda x, c: div(neg(x), c), lambda x, c: div(x, neg(c))),
    # Reciprocals keep their sign outside: 1 / x is what several nodes may share.
    rule("minus-one-over", lambda x: div(like(x, -1), x), lambda x: neg(div(like(x, 1), x))),
    rule("constant-over-neg", lambda c, x: div(c, neg(x)), lambda c, x: div(neg(c), x),
         lambda c, x: constant(c) != 1),
    rule("neg-of-constant-over", lambda c, x: neg(div(c, x)), lambda c, x: div(neg(c), x),
         lambda c, x: constant(c) != 1),
    rule("neg-out-of-quotient", lambda x, y: div(neg(x), y), lambda x, y: neg(div(x, y))),
    rule("neg-out-of-divisor", lambda x, y: div(x, neg(y)), lambda x, y: neg(div(x, y))),
    rule("plus-neg", lambda x, y: add(x, neg(y)), lambda x, y: sub(x, y), kinds="iufc"),
    rule("minus-neg", lambda x, y: sub(x, neg(y)), lambda x, y: add(x, y), kinds="iufc"),
    rule("minus-twice", lambda x: sub(neg(x), x), lambda x: mul(like(x, -2), x)),
    rule("zero-minus", lambda x: sub(like(x, -0.0), x), lambda x: neg(x)),
    rule("abs-of-neg", lambda x: abs_(neg(x)), lambda x: abs_(x), kinds="if"),
    rule("abs-of-abs", lambda x: abs_(abs_(x)), lambda x: abs_(x), kinds="if"),
)  # fmt: skip

IDENTITIES: tuple[Rule, ...] = (
    rule("times-one", lambda x: mul(x, like(x, 1)), lambda x: x, kinds="iuf"),
    rule("over-one", lambda x: div(x, like(x, 1)), lambda x: x),
    rule("times-minus-one", lambda x: mul(x, like(x, -1)), lambda x: neg(x), kinds="if"),
    rule("over-minus-one", lambda x: div(x, like(x, -1)), lambda x: neg(x)),
    rule("minus-zero", lambda x: sub(x, like(x, 0.0)), lambda x: x, kinds="iuf"),
    rule("plus-minus-zero", lambda x: add(x, like(x, -0.0)), lambda x: x),
    rule("plus-zero", lambda x: add(x, like(x, 0)), lambda x: x, kinds="iu"),
    rule("to-the-one", lambda x: pow_(x, like(x, 1)), lambda x: x, kinds="iuf"),
    rule("to-the-zero", lambda x: pow_(x, like(x, 0)), lambda x: _full(1, x), kinds="iuf"),
    rule(
        "over-power-of-two",
        lambda x, c: div(x, c),
        lambda x, c: mul(div(like(c, 1), c), x),
        # The reciprocal must be a normal number too.
        lambda x, c: power_of_two(c) and 2.0**-100 < abs(constant(c)) < 2.0**100,
    ),
    rule("plus-itself", lambda x: add(x, x), lambda x: mul(like(x, 2), x)),
    rule("max-of-same", lambda x: maximum(x, x), lambda x: x, kinds="iuf"),
    rule("min-of-same", lambda x: minimum(x, x), lambda x: x, kinds="iuf"),
    rule("real-of-complex", lambda x, y: real(make_complex(x, y)), lambda x, y: expand_like(x, y)),
    rule("imag-of-complex", lambda x, y: imag(make_complex(x, y)), lambda x, y: expand_like(y, x)),
    rule("complex-of-parts", lambda x: make_complex(real(x), imag(x)), lambda x: x, kinds="c"),
)

SELECTIONS: tuple[Rule, ...] = (
    rule("not-not", lambda m: invert(invert(m)), lambda m: m),
    rule("not-equal", lambda x, y: invert(eq(x, y)), lambda x, y: ne(x, y), kinds="iufc"),
    rule("not-unequal", lambda x, y: invert(ne(x, y)), lambda x, y: eq(x, y), kinds="iufc"),
    rule("and-same", lambda m: bit_and(m, m), lambda m: m),
    rule("or-same", lambda m: bit_or(m, m), lambda m: m),
    rule("and-true", lambda m: bit_and(m, const(True, bool_)), lambda m: m),
    rule("and-false", lambda m: bit_and(m, const(False, bool_)), lambda m: expand_like(const(False, bool_), m)),
    rule("or-true", lambda m: bit_or(m, const(True, bool_)), lambda m: expand_like(const(True, bool_), m)),
    rule("or-false", lambda m: bit_or(m, const(False, bool_)), lambda m: m),
    rule("select-same", lambda m, x: select(m, x, x), lambda m, x: expand_like(x, m), kinds="iufc"),
    rule(
        "select-not",
        lambda m, x, y: select(invert(m), x, y),
        lambda m, x, y: select(m, y, x),
        kinds="iufc",
    ),
    rule(
        "select-nested-yes",
        lambda m, x, y, z: select(m, select(m, x, y), z),
        lambda m, x, y, z: select(m, x, z),
        lambda m, x, y, z: any(v.shape for v in (m, x, z)) or not y.shape,
        kinds="iufc",
    ),
    rule(
        "select-nested-no",
        lambda m, x, y, z: select(m, x, select(m, y, z)),
        lambda m, x, y, z: select(m, x, z),
        lambda m, x, y, z: any(v.shape for v in (m, x, z)) or not y.shape,
        kinds="iufc",
    ),
    rule(
        "select-both",
        lambda m, n, x, y: select(m, select(n, x, y), y),
        lambda m, n, x, y: select(bit_and(m, n), x, y),
        lambda m, n, x, y: bool(m.shape) == bool(n.shape),
        kinds="iufc",
    ),
    rule(
        "select-either",
        lambda m, n, x, y: select(m, x, select(n, x, y)),
        lambda m, n, x, y: select(bit_or(m, n), x, y),
        lambda m, n, x, y: bool(m.shape) == bool(n.shape),
        kinds="iufc",
    ),
)  # fmt: skip


@function_rule(
    "select-known",
    ["select"],
    lambda x, y: select(const(True, bool_), x, y),
    kinds="iufc",
)
def _select_known(node: Node) -> Node | None:
    mask, yes, no = node.inputs
    if mask.prim is not CONST:
        return None
    taken, other = (no, yes) if mask.params["value"] == "0" else (yes, no)
    return expand_like(taken, other)


def _spread(x: Node) -> Node:
    return BROADCAST(x, shape=(3,), axes=())


@function_rule(
    "plus-spread-neg",
    ["add", "sub"],
    lambda x, y: add(_spread(x), mul(_spread(neg(y)), _spread(x))),
)
def _plus_spread_neg(node: Node) -> Node | None:
    """A sign before a spread array, alone or as a factor, that the sum it goes into can take."""
    x, y = node.inputs
    other = sub if node.prim is add else add
    for term, rest in ((y, x), (x, y))[: 2 if node.prim is add else 1]:
        factors = term.inputs if term.prim is mul else (term,)
        for k, factor in enumerate(factors):
            if factor.prim is BROADCAST and factor.inputs[0].prim is neg:
                bare = BROADCAST(factor.inputs[0].inputs[0], **factor.params)
                found = [bare if k == i else f for i, f in enumerate(factors)]
                return other(rest, mul(*found) if len(found) == 2 else bare)
    return None


@function_rule(
    "select-to-clip",
    ["select"],
    lambda x: select(le(abs_(x), like(x, 2.0)), x, mul(like(x, 2.0), sign(x))),
)
def _select_to_clip(node: Node) -> Node | None:
    """x where |x| is at most c, and c with the sign of x elsewhere: x between -c and c."""
    mask, x, beyond = node.inputs
    if mask.prim in (gt, ge):
        x, beyond = beyond, x
    elif mask.prim not in (le, lt):
        return None
    size, bound = mask.inputs
    c = constant(bound)
    if size.prim is not abs_ or size.inputs[0] is not x or not isinstance(c, float) or not c > 0:
        return None
    if c != 1:
        if beyond.prim is not mul or bound not in beyond.inputs:
            return None
        beyond = beyond.inputs[beyond.inputs[0] is bound]
    if beyond.prim is not sign or beyond.inputs[0] is not x:
        return None
    return minimum(maximum(x, neg(bound)), bound)


@function_rule(
    "never-zero",
    ["eq"],
    lambda x: eq(sqrt(add(mul(x, x), like(x, 0.01))), like(x, 0)),
)
def _never_zero(node: Node) -> Node | None:
    """A guard against a zero that cannot occur, as in derivatives of sqrt(x * x + 0.01)."""
    x, zero = node.inputs
    if constant(zero) not in ((0.0, 1.0), (0.0, -1.0)) or not positive(x):
        return None
    return expand_like(const(False, bool_), node)


def lossless(source: DType, target: DType) -> bool:
    """Whether every value of one dtype is a value of the other."""
    if source is bool_:
        return True
    if target is bool_ or (target.kind, source.kind) in (("u", "i"), ("i", "f"), ("u", "f")):
        return False
    if source.kind == "c" or target.kind == "c":
        return (
            source.kind in "fc"
            and target.kind == "c"
            and (target.bits >= source.bits * (1 if source.kind == "c" else 2))
        )
    digits = {float32: 24, float64: 53}
    if target.kind == "f":
        if source.is_half or target.is_half:
            return source is target or not target.is_half
        return digits[target] >= digits.get(source, source.bits)
    return target.bits > source.bits if target.kind != source.kind else target.bits >= source.bits


@function_rule("cast-of-cast", ["cast"], lambda x: cast(cast(x, float64), int32), kinds="i")
def _cast_cast(node: Node) -> Node | None:
    """A detour through a dtype that holds every value is no detour."""
    (x,) = node.inputs
    if x.prim is not node.prim:
        return None
    (origin,) = x.inputs
    return cast(origin, node.dtype) if lossless(origin.dtype, x.dtype) else None


_CALLS = (
    "matmul", "sort", "argsort", "cumsum", "cumprod", "cummax", "cummin", "linear_recurrence",
    "cholesky", "triangular_solve", "solve", "inv", "det", "logabsdet", "signdet", "scatter",
    "eigh", "svd", "qr",
)  # fmt: skip


def _sorted_halves(x: Node) -> Node:
    from numr.primitives.shape import BROADCAST
    from numr.primitives.sorting import sort

    rows = BROADCAST(cast(x, float16), shape=(2, *x.shape), axes=tuple(range(1, x.rank + 1)))
    return sort(rows, axis=0)


@function_rule("calls-on-halves", _CALLS, lambda x: _sorted_halves(x))
def _calls_on_halves(node: Node) -> Node | None:
    """Libraries have no float16, and what they sum is better summed in float32."""
    if not any(x.dtype.is_half for x in node.inputs):
        return None
    wide = [cast(x, float32) if x.dtype.is_half else x for x in node.inputs]
    return cast(node.prim(*wide, **node.params), node.dtype)


@function_rule("cast-of-constant", ["cast"], lambda c: CAST(c, dtype=int32), kinds="bi")
def _cast_constant(node: Node) -> Node | None:
    after = cast(node.inputs[0], node.dtype)
    return after if after.prim is CONST else None


RULES: tuple[Rule, ...] = (
    *SIGNS,
    *IDENTITIES,
    *SELECTIONS,
    _select_known,
    _plus_spread_neg,
    _select_to_clip,
    _never_zero,
    _cast_cast,
    _calls_on_halves,
    _cast_constant,
)
