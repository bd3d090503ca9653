"""The closed table of scalar operations: the only arithmetic a kernel printer has to spell.

Each row says what the operation takes, what it returns, what it means in NumPy, and what it costs.
Derivatives belong to the primitives built on these rows; spellings belong to the printers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from numr.dtypes import DType, bool_, complex_dtype, real_part_dtype

# Operand kinds a row accepts, as dtype kind letters.
ANY, NUMBER, REAL, INEXACT, FLOAT = "biufc", "iufc", "iuf", "fc", "f"
BITS, INTEGER, BOOL, COMPLEX = "biu", "iu", "b", "c"


@dataclass(frozen=True, slots=True, eq=False)
class ScalarOp:
    """One scalar operation.

    Attributes:
        name: its spelling in printed IR.
        arity: number of operands.
        kinds: dtype kind letters the operands may have (all operands share one dtype).
        numpy: the meaning, as a NumPy-callable over arrays.
        result: "same" for the operand dtype, "bool", or "part" / "complex": the real dtype of a
            complex operand's parts and back.
        cost: rough price in additions; fusion uses it to choose between recompute and store.
        commutative: operands may be swapped.
        exact: correctly rounded by IEEE 754, so every backend must agree to the last bit.
    """

    name: str
    arity: int
    kinds: str
    numpy: Callable[..., Any]
    result: str = "same"
    cost: int = 1
    commutative: bool = False
    exact: bool = False

    @property
    def symmetric(self) -> bool:
        """Whether swapping the operands leaves no trace (max and min choose between 0.0 and -0.0)."""
        return self.commutative and self.name not in ("maximum", "minimum")

    def result_dtype(self, operand: DType) -> DType:
        return _RESULT_DTYPE[self.result](operand)

    def __repr__(self) -> str:
        return self.name


_RESULT_DTYPE: dict[str, Callable[[DType], DType]] = {
    "same": lambda dtype: dtype,
    "bool": lambda dtype: bool_,
    "part": real_part_dtype,
    "complex": complex_dtype,
}

TABLE: dict[str, ScalarOp] = {}


def _row(name: str, arity: int, kinds: str, numpy: Callable[..., Any], **flags: Any) -> ScalarOp:
    op = ScalarOp(name, arity, kinds, numpy, **flags)
    TABLE[name] = op
    return op


def _special(name: str) -> Callable[..., Any]:
    """A scipy.special function, imported on first use (importing numr must not load SciPy)."""

    def call(*operands: Any) -> Any:
        import scipy.special

        return getattr(scipy.special, name)(*operands)

    call.__name__ = name
    return call


def _sign(x: Any) -> Any:
    return np.sign(x)


def _integer_division(x: Any, y: Any) -> Any:
    # Division by zero has one meaning on every backend: 0 for integers, as NumPy gives.
    return np.floor_divide(x, y)


def _lgamma(x: Any) -> Any:
    import scipy.special

    # SciPy overflows for subnormal x, where log |gamma(x)| is -log |x|.
    tiny = np.abs(x) < np.finfo(x.dtype).tiny
    return np.where(tiny, -np.log(np.abs(x)), scipy.special.gammaln(x)).astype(x.dtype)


def _polygamma(order: Any, x: Any) -> Any:
    import scipy.special

    # scipy promotes to float64; order 0 is digamma, which polygamma(0, x) also is.
    return scipy.special.polygamma(order.astype(np.int64), x).astype(x.dtype)


def _shift_left(x: Any, y: Any) -> Any:
    return np.left_shift(x, y)


def _make_complex(re: Any, im: Any) -> Any:
    # re + 1j * im would turn an infinite part into NaN.
    out = np.empty(np.broadcast(re, im).shape, np.result_type(re, np.complex64))
    out.real, out.imag = re, im
    return out


E: dict[str, Any] = {"exact": True}

add = _row("add", 2, NUMBER, np.add, commutative=True, **E)
sub = _row("sub", 2, NUMBER, np.subtract, **E)
mul = _row("mul", 2, NUMBER, np.multiply, commutative=True, **E)
div = _row("div", 2, INEXACT, np.true_divide, cost=4, **E)
floor_divide = _row("floor_divide", 2, REAL, _integer_division, cost=8)
remainder = _row("remainder", 2, REAL, np.remainder, cost=8)
fmod = _row("fmod", 2, REAL, np.fmod, cost=8)
pow_ = _row("pow", 2, NUMBER, np.power, cost=30)
atan2 = _row("atan2", 2, FLOAT, np.arctan2, cost=30)
hypot = _row("hypot", 2, FLOAT, np.hypot, cost=20, commutative=True)
copysign = _row("copysign", 2, FLOAT, np.copysign, **E)
nextafter = _row("nextafter", 2, FLOAT, np.nextafter, **E)
maximum = _row("maximum", 2, REAL, np.maximum, commutative=True, **E)  # NaN if either is
minimum = _row("minimum", 2, REAL, np.minimum, commutative=True, **E)
polygamma = _row("polygamma", 2, FLOAT, _polygamma, cost=60)  # (order as float, x)

neg = _row("neg", 1, NUMBER, np.negative, **E)
abs_ = _row("abs", 1, REAL, np.abs, **E)
sign = _row("sign", 1, REAL, _sign, cost=2, **E)  # sign(NaN) is NaN, sign(-0.0) is 0.0
floor = _row("floor", 1, FLOAT, np.floor, **E)
ceil = _row("ceil", 1, FLOAT, np.ceil, **E)
rint = _row("rint", 1, FLOAT, np.rint, **E)  # half to even
trunc = _row("trunc", 1, FLOAT, np.trunc, **E)
sqrt = _row("sqrt", 1, INEXACT, np.sqrt, cost=6, exact=True)
rsqrt = _row("rsqrt", 1, FLOAT, lambda x: 1 / np.sqrt(x), cost=8)
cbrt = _row("cbrt", 1, FLOAT, np.cbrt, cost=20)
exp = _row("exp", 1, INEXACT, np.exp, cost=12)
exp2 = _row("exp2", 1, FLOAT, np.exp2, cost=12)
expm1 = _row("expm1", 1, INEXACT, np.expm1, cost=16)
log = _row("log", 1, INEXACT, np.log, cost=12)
log2 = _row("log2", 1, FLOAT, np.log2, cost=12)
log10 = _row("log10", 1, FLOAT, np.log10, cost=12)
log1p = _row("log1p", 1, INEXACT, np.log1p, cost=16)
sin = _row("sin", 1, INEXACT, np.sin, cost=14)
cos = _row("cos", 1, INEXACT, np.cos, cost=14)
tan = _row("tan", 1, INEXACT, np.tan, cost=20)
asin = _row("asin", 1, INEXACT, np.arcsin, cost=20)
acos = _row("acos", 1, INEXACT, np.arccos, cost=20)
atan = _row("atan", 1, INEXACT, np.arctan, cost=20)
sinh = _row("sinh", 1, INEXACT, np.sinh, cost=20)
cosh = _row("cosh", 1, INEXACT, np.cosh, cost=20)
tanh = _row("tanh", 1, INEXACT, np.tanh, cost=16)
asinh = _row("asinh", 1, INEXACT, np.arcsinh, cost=24)
acosh = _row("acosh", 1, INEXACT, np.arccosh, cost=24)
atanh = _row("atanh", 1, INEXACT, np.arctanh, cost=24)
erf = _row("erf", 1, FLOAT, _special("erf"), cost=16)
erfc = _row("erfc", 1, FLOAT, _special("erfc"), cost=20)
lgamma = _row("lgamma", 1, FLOAT, _lgamma, cost=40)
digamma = _row("digamma", 1, FLOAT, _special("digamma"), cost=40)

eq = _row("eq", 2, ANY, np.equal, result="bool", commutative=True, **E)
ne = _row("ne", 2, ANY, np.not_equal, result="bool", commutative=True, **E)
lt = _row("lt", 2, "biuf", np.less, result="bool", **E)
le = _row("le", 2, "biuf", np.less_equal, result="bool", **E)
gt = _row("gt", 2, "biuf", np.greater, result="bool", **E)
ge = _row("ge", 2, "biuf", np.greater_equal, result="bool", **E)
isnan = _row("isnan", 1, FLOAT, np.isnan, result="bool", **E)
isinf = _row("isinf", 1, FLOAT, np.isinf, result="bool", **E)
isfinite = _row("isfinite", 1, FLOAT, np.isfinite, result="bool", **E)
signbit = _row("signbit", 1, FLOAT, np.signbit, result="bool", **E)

# On booleans these are the logical operations; `invert` of a boolean is `logical_not`.
and_ = _row("and", 2, BITS, np.bitwise_and, commutative=True, **E)
or_ = _row("or", 2, BITS, np.bitwise_or, commutative=True, **E)
xor = _row("xor", 2, BITS, np.bitwise_xor, commutative=True, **E)
invert = _row("invert", 1, BITS, np.invert, **E)
shift_left = _row("shift_left", 2, INTEGER, _shift_left, **E)
shift_right = _row("shift_right", 2, INTEGER, np.right_shift, **E)

# Operands of select do not share one dtype; the target of cast is a parameter.
select = _row("select", 3, ANY, np.where, **E)  # (bool, a, a) -> a
cast = _row("cast", 1, ANY, lambda x: x)  # target dtype is a parameter
real = _row("real", 1, COMPLEX, np.real, result="part", **E)
imag = _row("imag", 1, COMPLEX, np.imag, result="part", **E)
make_complex = _row("complex", 2, FLOAT, _make_complex, result="complex", **E)
