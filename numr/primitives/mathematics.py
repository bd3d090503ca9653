"""The elementwise mathematics: every function of the scalar table with its partial derivatives."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numr.dtypes import DType
from numr.ir import scalar as S
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.primitives.elementwise import (
    Elementwise,
    add,
    common_shape,
    div,
    like,
    mul,
    neg,
    select,
    sub,
)

EVERYWHERE = ((-3.0, 3.0),)
POSITIVE = ((0.2, 4.0),)
UNIT = ((-0.9, 0.9),)

_flat: dict[str, Any] = {"no_derivative": "it is piecewise constant"}


def _zero_where(mask: Node, x: Node) -> Node:
    """x, with 0 where the mask holds: the documented derivative at points that have none."""
    return select(mask, like(x, 0), x)


def _tie(reaches: Elementwise) -> tuple[Any, Any]:
    """Partials of maximum and minimum: the chosen operand takes all, ties share equally."""

    def partial(x: Node, y: Node) -> Node:
        share = select(eq(x, y), like(x, 0.5), like(x, 1))
        return select(reaches(x, y), share, like(x, 0))

    return (lambda out, x, y: partial(x, y)), (lambda out, x, y: partial(y, x))


def _zero_at_origin(y: Node, x: Node, slope: Node) -> Node:
    origin = bit_and(eq(x, like(x, 0)), eq(y, like(y, 0)))
    return _zero_where(origin, slope)


eq = Elementwise(S.eq, doc="x == y")
ne = Elementwise(S.ne, doc="x != y")
lt = Elementwise(S.lt, doc="x < y")
le = Elementwise(S.le, doc="x <= y")
gt = Elementwise(S.gt, doc="x > y")
ge = Elementwise(S.ge, doc="x >= y")
isnan = Elementwise(S.isnan)
isinf = Elementwise(S.isinf)
isfinite = Elementwise(S.isfinite)
signbit = Elementwise(S.signbit)
bit_and = Elementwise(S.and_, doc="Bitwise and; logical and of booleans.")
bit_or = Elementwise(S.or_, doc="Bitwise or; logical or of booleans.")
bit_xor = Elementwise(S.xor, doc="Bitwise exclusive or; of booleans too.")
invert = Elementwise(S.invert, doc="Bitwise not; logical not of booleans.")
shift_left = Elementwise(S.shift_left, domain=((0, 7),))
shift_right = Elementwise(S.shift_right, domain=((0, 7),))

abs_ = Elementwise(
    S.abs_, (lambda out, x: sign(x),), doc="|x|; derivative 0 at 0.", domain=((0.2, 3.0),)
)
sign: Elementwise = Elementwise(S.sign, **_flat, doc="-1, 0 or 1; NaN of NaN.")
floor = Elementwise(S.floor, **_flat)
ceil = Elementwise(S.ceil, **_flat)
rint = Elementwise(S.rint, **_flat, doc="Nearest integer, halves to even.")
trunc = Elementwise(S.trunc, **_flat)
maximum = Elementwise(
    S.maximum, _tie(ge), doc="The greater; NaN if either is; ties share the derivative."
)
minimum = Elementwise(
    S.minimum, _tie(le), doc="The lesser; NaN if either is; ties share the derivative."
)


def _pow_dx(out: Node, x: Node, y: Node) -> Node:
    # y x**(y-1); 0 instead of an infinity at base 0 under a fractional or zero exponent.
    at_zero = bit_and(eq(x, like(x, 0)), lt_any(y, 1))
    return _zero_where(at_zero, mul(y, pow_(x, sub(y, like(y, 1)))))


def _pow_dy(out: Node, x: Node, y: Node) -> Node:
    zero = eq(x, like(x, 0))
    return _zero_where(zero, mul(out, log(select(zero, like(x, 1), x))))


def lt_any(x: Node, value: float) -> Node:
    """x < value, by the real part where x is complex."""
    part = real(x) if x.dtype.kind == "c" else x
    return lt(part, like(part, value))


pow_ = Elementwise(
    S.pow_,
    (_pow_dx, _pow_dy),
    doc="x ** y; derivatives at base 0 are finite.",
    domain=((0.2, 3.0), (-2.0, 3.0)),
)
remainder = Elementwise(
    S.remainder,
    (lambda out, x, y: like(x, 1), lambda out, x, y: neg(floor(div(x, y)))),
    doc="x - floor(x / y) * y: the sign of y.",
    domain=((5.1, 5.9), (1.1, 1.2)),
)
fmod = Elementwise(
    S.fmod,
    (lambda out, x, y: like(x, 1), lambda out, x, y: neg(trunc(div(x, y)))),
    doc="x - trunc(x / y) * y: the sign of x.",
    domain=((5.1, 5.9), (1.1, 1.2)),
)
floor_divide = Elementwise(
    S.floor_divide, **_flat, doc="floor(x / y); 0 for an integer divided by 0."
)
copysign: Elementwise = Elementwise(
    S.copysign,
    (lambda out, x, y: copysign(like(x, 1), mul(sign(x), copysign(like(y, 1), y))), None),
)
nextafter = Elementwise(S.nextafter, **_flat)
hypot = Elementwise(
    S.hypot,
    (
        lambda out, x, y: _zero_where(eq(out, like(out, 0)), div(x, out)),
        lambda out, x, y: _zero_where(eq(out, like(out, 0)), div(y, out)),
    ),
    doc="sqrt(x**2 + y**2) without overflow; derivative 0 at the origin.",
)
atan2 = Elementwise(
    S.atan2,
    (
        lambda out, y, x: _zero_at_origin(y, x, div(x, add(mul(x, x), mul(y, y)))),
        lambda out, y, x: _zero_at_origin(y, x, neg(div(y, add(mul(x, x), mul(y, y))))),
    ),
    doc="The angle of the point (x, y); operands are (y, x); derivative 0 at the origin.",
    domain=((0.3, 3.0),),
)

sqrt = Elementwise(
    S.sqrt,
    (lambda out, x: _zero_where(eq(out, like(out, 0)), div(like(out, 0.5), out)),),
    doc="Square root; derivative 0 at 0.",
    domain=POSITIVE,
)
cbrt = Elementwise(
    S.cbrt,
    (lambda out, x: _zero_where(eq(x, like(x, 0)), div(out, mul(like(x, 3), x))),),
    doc="Cube root; derivative 0 at 0.",
    domain=POSITIVE,
)
exp = Elementwise(S.exp, (lambda out, x: out,))
exp2 = Elementwise(S.exp2, (lambda out, x: mul(out, like(x, math.log(2.0))),))
expm1 = Elementwise(S.expm1, (lambda out, x: add(out, like(x, 1)),))
log = Elementwise(S.log, (lambda out, x: div(like(x, 1), x),), domain=POSITIVE)
log2 = Elementwise(S.log2, (lambda out, x: div(like(x, 1 / math.log(2.0)), x),), domain=POSITIVE)
log10 = Elementwise(S.log10, (lambda out, x: div(like(x, 1 / math.log(10.0)), x),), domain=POSITIVE)
log1p = Elementwise(
    S.log1p, (lambda out, x: div(like(x, 1), add(like(x, 1), x)),), domain=((-0.7, 3.0),)
)
sin = Elementwise(S.sin, (lambda out, x: cos(x),))
cos: Elementwise = Elementwise(S.cos, (lambda out, x: neg(sin(x)),))
tan = Elementwise(S.tan, (lambda out, x: add(like(x, 1), mul(out, out)),), domain=((-1.2, 1.2),))


def _one_minus_square(x: Node) -> Node:
    # (1 - x)(1 + x) keeps its digits near |x| = 1, where 1 - x * x cancels.
    return mul(sub(like(x, 1), x), add(like(x, 1), x))


asin = Elementwise(
    S.asin, (lambda out, x: div(like(x, 1), sqrt(_one_minus_square(x))),), domain=UNIT
)
acos = Elementwise(
    S.acos, (lambda out, x: neg(div(like(x, 1), sqrt(_one_minus_square(x)))),), domain=UNIT
)
atan = Elementwise(S.atan, (lambda out, x: div(like(x, 1), add(like(x, 1), mul(x, x))),))
sinh = Elementwise(S.sinh, (lambda out, x: cosh(x),))
cosh: Elementwise = Elementwise(S.cosh, (lambda out, x: sinh(x),))
tanh = Elementwise(S.tanh, (lambda out, x: _one_minus_square(out),))
asinh = Elementwise(S.asinh, (lambda out, x: div(like(x, 1), sqrt(add(mul(x, x), like(x, 1)))),))
acosh = Elementwise(
    S.acosh,
    (lambda out, x: div(like(x, 1), mul(sqrt(sub(x, like(x, 1))), sqrt(add(x, like(x, 1))))),),
    domain=((1.2, 4.0),),
)
atanh = Elementwise(S.atanh, (lambda out, x: div(like(x, 1), _one_minus_square(x)),), domain=UNIT)


def _gaussian(x: Node) -> Node:
    return mul(like(x, 2 / math.sqrt(math.pi)), exp(neg(mul(x, x))))


erf = Elementwise(S.erf, (lambda out, x: _gaussian(x),))
erfc = Elementwise(S.erfc, (lambda out, x: neg(_gaussian(x)),))
lgamma = Elementwise(S.lgamma, (lambda out, x: digamma(x),), doc="log |gamma(x)|", domain=POSITIVE)
digamma: Elementwise = Elementwise(
    S.digamma, (lambda out, x: polygamma(like(x, 1), x),), domain=POSITIVE
)
polygamma: Elementwise = Elementwise(
    S.polygamma,
    (None, lambda out, n, x: polygamma(add(n, like(n, 1)), x)),
    doc="The n-th derivative of digamma; the order n is a whole number in x's dtype.",
    domain=((1.0, 1.0), (0.3, 4.0)),
)


class _Complex(Elementwise):
    """A map between complex numbers and their parts: linear over the reals.

    Cotangents pair with tangents as Re(ct * t), so the adjoint of `imag` carries a minus sign.
    """

    def __init__(self, op: S.ScalarOp, adjoint: Callable[[Node], Sequence[Node]], doc: str) -> None:
        super().__init__(op, (None,) * op.arity, linear=True, doc=doc)
        self.adjoint = adjoint

    def infer(self, *operands: Node) -> tuple[Shape, DType]:
        _shape, dtype = super().infer(*operands)
        return common_shape(self, operands), dtype

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        return self(
            *(like(x, 0) if t is None else t for x, t in zip(operands, tangents, strict=True))
        )

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        from numr.primitives.elementwise import sum_to

        pairs = zip(self.adjoint(ct), wanted, node.inputs, strict=True)
        return [sum_to(part, x.shape) if want else None for part, want, x in pairs]


real = _Complex(S.real, lambda ct: (make_complex(ct, like(ct, 0)),), "The real part.")
imag = _Complex(S.imag, lambda ct: (make_complex(like(ct, 0), neg(ct)),), "The imaginary part.")
make_complex: _Complex = _Complex(S.make_complex, lambda ct: (real(ct), neg(imag(ct))), "re + i im")
