"""Composites: elementwise functions with derivatives of their own, written in other primitives.

Differentiating the expansion would be right too, but not at the ends: sigmoid's would meet inf / inf.
The compiler puts the expansion in place before lowering, so no backend knows these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.scalar import FLOAT, INEXACT, ScalarOp
from numr.primitives.elementwise import (
    Elementwise,
    Partial,
    accumulate,
    add,
    common_shape,
    div,
    expand_like,
    like,
    mul,
    neg,
    raise_if_nonlinear,
    select,
    sub,
    sum_to,
    times,
)
from numr.primitives.mathematics import abs_, bit_and, eq, exp, isinf, log1p, maximum
from numr.primitives.source import CONST


class Composite(Elementwise):
    """An elementwise function given by `expand`, its partials, and its meaning in NumPy."""

    def __init__(
        self,
        name: str,
        expand: Callable[..., Node],
        partials: Sequence[Partial],
        numpy: Callable[..., Any],
        *,
        kinds: str = FLOAT,
        doc: str,
        domain: Sequence[tuple[float, float]] = ((-3.0, 3.0),),
    ) -> None:
        # Not a row of the scalar table: printers never meet it.
        op = ScalarOp(name, len(partials), kinds, numpy, cost=30)
        super().__init__(op, partials, doc=doc, domain=domain)
        self.expand = expand

    def infer(self, *operands: Node) -> tuple[Shape, DType]:
        _, dtype = super().infer(*operands)
        return common_shape(self, operands), dtype

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        raise AssertionError(f"{self.name} must be expanded before lowering")


def _np_sigmoid(x: Any) -> Any:
    return np.asarray(1 / (1 + np.exp(-x)), x.dtype)


def _sigmoid(x: Node) -> Node:
    one = like(x, 1)
    return div(one, add(one, exp(neg(x))))


sigmoid: Composite = Composite(
    "sigmoid",
    _sigmoid,
    (lambda out, x: mul(out, sigmoid(neg(x))),),
    _np_sigmoid,
    doc="1 / (1 + exp(-x))",
)


def _logaddexp(x: Node, y: Node) -> Node:
    # Equal infinities have no difference; their maximum is the answer.
    apart = neg(abs_(sub(x, y)))
    return select(
        eq(x, y),
        add(maximum(x, y), like(x, float(np.log(2.0)))),
        add(maximum(x, y), log1p(exp(apart))),
    )


logaddexp = Composite(
    "logaddexp",
    _logaddexp,
    (lambda out, x, y: sigmoid(_difference(x, y)), lambda out, x, y: sigmoid(_difference(y, x))),
    np.logaddexp,
    doc="log(exp(x) + exp(y)) without overflow.",
)


def _difference(x: Node, y: Node) -> Node:
    # Of equal infinities only: elsewhere the tangents of equal operands matter to higher orders.
    same = bit_and(eq(x, y), isinf(y if y.prim is CONST else x))  # known of a constant
    return select(same, like(x, 0), sub(x, y))


softplus = Composite(
    "softplus",
    lambda x: add(maximum(x, like(x, 0)), log1p(exp(neg(abs_(x))))),
    (lambda out, x: sigmoid(x),),
    lambda x: np.logaddexp(x, np.zeros((), x.dtype)),
    doc="log(1 + exp(x)) without overflow.",
)

silu = Composite(
    "silu",
    lambda x: mul(x, _sigmoid(x)),
    (lambda out, x: add(sigmoid(x), mul(mul(x, sigmoid(x)), sigmoid(neg(x)))),),
    lambda x: np.asarray(x * _np_sigmoid(x), x.dtype),
    doc="x * sigmoid(x)",
)


class _ZeroOver(Composite):
    """x / y that is 0 where x is, linear in x; so are its derivatives where there is nothing to divide."""

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        _, y = operands
        tx, ty = tangents
        first = None if tx is None else expand_like(self(tx, y), out)
        second = None if ty is None else expand_like(self(times(ty, neg(out)), y), out)
        return accumulate(first, second)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        raise_if_nonlinear(self, node, wanted)
        return [sum_to(self(ct, node.inputs[1]), node.inputs[0].shape), None]


xdivy = _ZeroOver(
    "xdivy",
    lambda x, y: select(eq(x, like(x, 0)), like(x, 0), div(x, y)),
    (None, None),
    lambda x, y: np.where(x == 0, np.zeros((), x.dtype), np.divide(x, y)),
    kinds=INEXACT,
    doc="x / y, and 0 where x is 0, whatever y is.",
    domain=((-3.0, 3.0), (0.5, 3.0)),
)
