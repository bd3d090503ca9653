"""Expressions with operators, so that a rule reads as the formula it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numr.codegen.region import Expr, ExprBuilder
from numr.dtypes import DType, float32, float64, int32, int64, uint32, uint64
from numr.ir import scalar as S
from numr.ir.scalar import ScalarOp

Rule = Callable[[ExprBuilder, Expr, tuple[Expr, ...]], Expr]


@dataclass(frozen=True, slots=True)
class Layout:
    """The bits of a floating dtype.

    Attributes:
        word: the unsigned integer of its width.
        signed: the signed one.
        mantissa: stored bits of the fraction.
        bias: what its exponent is offset by.
        halves: bits of the fraction that `high` clears: the product of two results is exact.
    """

    word: DType
    signed: DType
    mantissa: int
    bias: int
    halves: int

    @property
    def infinity(self) -> int:
        return (2 * self.bias + 1) << self.mantissa

    @property
    def sign(self) -> int:
        return 1 << (self.word.bits - 1)


LAYOUTS = {
    float32: Layout(uint32, int32, 23, 127, 12),
    float64: Layout(uint64, int64, 52, 1023, 27),
}


class Term:
    """An expression and the builder that it came from; Python numbers become constants of its dtype."""

    __slots__ = ("builder", "expr")

    def __init__(self, builder: ExprBuilder, expr: Expr) -> None:
        self.builder = builder
        self.expr = expr

    @property
    def dtype(self) -> DType:
        return self.expr.dtype

    @property
    def layout(self) -> Layout:
        return LAYOUTS[self.dtype]

    @property
    def single(self) -> bool:
        """Whether this is float32."""
        return self.dtype is float32

    def constant(self, value: Any) -> Term:
        if self.single:
            value = float(np.float32(value))
        return Term(self.builder, self.builder.const(value, self.dtype))

    def op(self, op: ScalarOp, *others: Any) -> Term:
        terms = [o if isinstance(o, Term) else self.constant(o) for o in others]
        return Term(self.builder, self.builder.op(op, self.expr, *(t.expr for t in terms)))

    def __add__(self, other: Any) -> Term:
        return self.op(S.add, other)

    def __radd__(self, other: Any) -> Term:
        return self.constant(other).op(S.add, self)

    def __sub__(self, other: Any) -> Term:
        return self.op(S.sub, other)

    def __rsub__(self, other: Any) -> Term:
        return self.constant(other).op(S.sub, self)

    def __mul__(self, other: Any) -> Term:
        return self.op(S.mul, other)

    def __rmul__(self, other: Any) -> Term:
        return self.constant(other).op(S.mul, self)

    def __truediv__(self, other: Any) -> Term:
        return self.op(S.div, other)

    def __rtruediv__(self, other: Any) -> Term:
        return self.constant(other).op(S.div, self)

    def __neg__(self) -> Term:
        return self.op(S.neg)

    def __abs__(self) -> Term:
        return self.op(S.abs_)

    def __lt__(self, other: Any) -> Term:
        return self.op(S.lt, other)

    def __le__(self, other: Any) -> Term:
        return self.op(S.le, other)

    def __gt__(self, other: Any) -> Term:
        return self.op(S.gt, other)

    def __ge__(self, other: Any) -> Term:
        return self.op(S.ge, other)

    def __and__(self, other: Any) -> Term:
        return self.op(S.and_, other)

    def __or__(self, other: Any) -> Term:
        return self.op(S.or_, other)

    def __xor__(self, other: Any) -> Term:
        return self.op(S.xor, other)

    def __invert__(self) -> Term:
        return self.op(S.invert)

    def __lshift__(self, other: Any) -> Term:
        return self.op(S.shift_left, other)

    def __rshift__(self, other: Any) -> Term:
        return self.op(S.shift_right, other)

    def equals(self, other: Any) -> Term:
        return self.op(S.eq, other)

    def differs(self, other: Any) -> Term:
        return self.op(S.ne, other)

    def floor(self) -> Term:
        return self.op(S.floor)

    def sqrt(self) -> Term:
        return self.op(S.sqrt)

    def isnan(self) -> Term:
        return self.op(S.isnan)

    def copysign(self, other: Any) -> Term:
        return self.op(S.copysign, other)

    def cast(self, dtype: DType) -> Term:
        return Term(self.builder, self.builder.cast(self.expr, dtype))

    def bitcast(self, dtype: DType) -> Term:
        return Term(self.builder, self.builder.bitcast(self.expr, dtype))

    def bits(self) -> Term:
        """The bits of a floating number as an unsigned integer."""
        return self.bitcast(self.layout.word)


def select(condition: Term, yes: Any, no: Any) -> Term:
    """yes where the condition holds, else no; one of the two is a Term."""
    some = yes if isinstance(yes, Term) else no
    yes, no = (v if isinstance(v, Term) else some.constant(v) for v in (yes, no))
    return condition.op(S.select, yes, no)


def first(*cases: tuple[Term, Any], otherwise: Term) -> Term:
    """The value of the first case whose condition holds."""
    result = otherwise
    for condition, value in reversed(cases):
        result = select(condition, value, result)
    return result


def polynomial(x: Term, coefficients: Sequence[float], square: Term | None = None) -> Term:
    """From the constant term up; with `square`, even and odd powers apart: half the chain."""
    if square is None or len(coefficients) < 4:
        total: Any = coefficients[-1]
        for c in coefficients[-2::-1]:
            total = total * x + c
        return total  # type: ignore[no-any-return]
    return polynomial(square, coefficients[1::2]) * x + polynomial(square, coefficients[0::2])


class Coefficients:
    """Numbers for each of the two dtypes, from hexadecimal text."""

    def __init__(self, single: str, double: str) -> None:
        self.single = tuple(map(float.fromhex, single.split()))
        self.double = tuple(map(float.fromhex, double.split()))

    def of(self, x: Term) -> tuple[float, ...]:
        return self.single if x.single else self.double


Formula = Callable[..., Term]


def rule(formula: Formula) -> Rule:
    """A rule of the table from a formula over Terms."""

    def apply(builder: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
        return formula(*(Term(builder, a) for a in args)).expr

    apply.__name__ = formula.__name__
    apply.__doc__ = formula.__doc__
    return apply
