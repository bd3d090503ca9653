"""Elementwise functions, generated from one table: name, primitive, dtype kinds, formula, example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numr.array import Array, from_node
from numr.dtypes import DType, as_dtype, bool_, float32, float64
from numr.functions.operands import aligned, operand, promoted
from numr.ir.node import Node
from numr.primitives import composites as C
from numr.primitives import elementwise as E
from numr.primitives import mathematics as M

Function = Callable[..., Array]
TABLE: dict[str, Function] = {}

NUMBERS, REALS, INEXACT, FLOATS, BITS, INTEGERS = "iufc", "iuf", "fc", "f", "biu", "iu"


def default_float() -> DType:
    """The dtype integers take where a function needs a floating one."""
    from numr import config

    return float64 if config.get().default_float == "float64" else float32


_DOC = """{summary}

    Args:
{args}

    Returns:
        {returns}

    Raises:
        DTypeError: for dtypes other than {kinds}.{raises}

    Examples:
        >>> import numr as nr
        >>> {example}
        {result}
    """
_KIND_NAMES = {"b": "boolean", "i": "integer", "u": "unsigned", "f": "floating", "c": "complex"}


def _describe(
    f: Function, name: str, summary: str, kinds: str, arity: int, floats: bool, example: str
) -> Function:
    code, _, result = example.partition(" -> ")
    args = ["x: array of any shape, or a Python number."] if arity == 1 else [
        "x1: array, or a Python number.",
        "x2: array that broadcasts with x1, or a Python number.",
    ]  # fmt: skip
    f.__name__ = f.__qualname__ = name
    f.__doc__ = _DOC.format(
        summary=summary,
        args="\n".join("        " + a for a in args),
        returns="array of the broadcast shape"
        + (
            ", boolean."
            if floats is None
            else ", floating (integers are converted)."
            if floats
            else ", of the promoted dtype."
        ),
        kinds=", ".join(_KIND_NAMES[k] for k in (kinds + ("iub" if floats else ""))),
        raises="\n        ShapeError: for shapes that do not broadcast." if arity == 2 else "",
        example=code,
        result=result,
    )
    TABLE[name] = f
    return f


def unary(
    name: str, prim: Any, kinds: str, summary: str, example: str, floats: bool = True
) -> Function:
    """A function of one operand. With `floats`, integers are converted to the default float."""

    def function(x: Any, /) -> Array:
        (node,), weak = promoted(name, (x,), kinds, default_float() if floats else None)
        return from_node(prim(node), weak)

    return _describe(function, name, summary, kinds, 1, floats, example)


def binary(
    name: str, prim: Any, kinds: str, summary: str, example: str, floats: bool | None = False
) -> Function:
    """A function of two operands, promoted and broadcast together."""
    least = bool(floats)

    def function(x1: Any, x2: Any, /) -> Array:
        nodes, weak = promoted(name, (x1, x2), kinds, default_float() if least else None)
        a, b = aligned(name, nodes)
        return from_node(prim(a, b), weak and floats is not None)

    return _describe(function, name, summary, kinds, 2, floats, example)  # type: ignore[arg-type]


add = binary(
    "add", E.add, "biufc", "x1 + x2.", "nr.add(1.0, nr.asarray([1.0, 2.0])).tolist() -> [2.0, 3.0]"
)
subtract = binary(
    "subtract", E.sub, NUMBERS, "x1 - x2.", "nr.subtract(nr.asarray(3), 1).item() -> 2"
)
multiply = binary(
    "multiply", E.mul, "biufc", "x1 * x2.", "nr.multiply(nr.asarray(3), 2).item() -> 6"
)
divide = binary(
    "divide",
    E.div,
    INEXACT,
    "x1 / x2; integers give floats.",
    "nr.divide(nr.asarray(3), 2).item() -> 1.5",
    True,
)
floor_divide = binary(
    "floor_divide",
    M.floor_divide,
    REALS,
    "floor(x1 / x2); 0 for an integer by 0.",
    "nr.floor_divide(nr.asarray(-7), 2).item() -> -4",
)
remainder = binary(
    "remainder",
    M.remainder,
    REALS,
    "x1 - floor(x1 / x2) x2: the sign of x2.",
    "nr.remainder(nr.asarray(-7), 3).item() -> 2",
)
fmod = binary(
    "fmod",
    M.fmod,
    REALS,
    "x1 - trunc(x1 / x2) x2: the sign of x1.",
    "nr.fmod(nr.asarray(-7.0), 3.0).item() -> -1.0",
)
maximum = binary(
    "maximum",
    M.maximum,
    REALS,
    "The greater element; NaN if either is. Ties share the derivative.",
    "nr.maximum(nr.asarray([1.0, 4.0]), 2.0).tolist() -> [2.0, 4.0]",
)
minimum = binary(
    "minimum",
    M.minimum,
    REALS,
    "The lesser element; NaN if either is. Ties share the derivative.",
    "nr.minimum(nr.asarray([1.0, 4.0]), 2.0).tolist() -> [1.0, 2.0]",
)
atan2 = binary(
    "atan2",
    M.atan2,
    FLOATS,
    "The angle of the point (x2, x1) in radians, in [-pi, pi].",
    "nr.atan2(0.0, 1.0).item() -> 0.0",
    True,
)
hypot = binary(
    "hypot",
    M.hypot,
    FLOATS,
    "sqrt(x1**2 + x2**2) without overflow; derivative 0 at the origin.",
    "nr.hypot(3.0, 4.0).item() -> 5.0",
    True,
)
copysign = binary(
    "copysign",
    M.copysign,
    FLOATS,
    "The magnitude of x1 with the sign of x2.",
    "nr.copysign(2.0, -0.0).item() -> -2.0",
    True,
)
nextafter = binary(
    "nextafter",
    M.nextafter,
    FLOATS,
    "The floating number next to x1 towards x2.",
    "nr.nextafter(1.0, 2.0).item() > 1.0 -> True",
    True,
)
logaddexp = binary(
    "logaddexp",
    C.logaddexp,
    FLOATS,
    "log(exp(x1) + exp(x2)) without overflow.",
    "round(nr.logaddexp(0.0, 0.0).item(), 6) -> 0.693147",
    True,
)

equal = binary(
    "equal",
    M.eq,
    "biufc",
    "x1 == x2.",
    "nr.equal(nr.asarray([1, 2]), 1).tolist() -> [True, False]",
    None,
)
not_equal = binary(
    "not_equal",
    M.ne,
    "biufc",
    "x1 != x2.",
    "nr.not_equal(nr.asarray([1, 2]), 1).tolist() -> [False, True]",
    None,
)
less = binary(
    "less",
    M.lt,
    "biuf",
    "x1 < x2.",
    "nr.less(nr.asarray([1, 2]), 2).tolist() -> [True, False]",
    None,
)
less_equal = binary(
    "less_equal",
    M.le,
    "biuf",
    "x1 <= x2.",
    "nr.less_equal(nr.asarray([1, 2]), 1).tolist() -> [True, False]",
    None,
)
greater = binary(
    "greater",
    M.gt,
    "biuf",
    "x1 > x2.",
    "nr.greater(nr.asarray([1, 2]), 1).tolist() -> [False, True]",
    None,
)
greater_equal = binary(
    "greater_equal",
    M.ge,
    "biuf",
    "x1 >= x2.",
    "nr.greater_equal(nr.asarray([1, 2]), 2).tolist() -> [False, True]",
    None,
)

bitwise_and = binary(
    "bitwise_and",
    M.bit_and,
    BITS,
    "x1 & x2, bit by bit.",
    "nr.bitwise_and(nr.asarray(6), 3).item() -> 2",
)
bitwise_or = binary(
    "bitwise_or",
    M.bit_or,
    BITS,
    "x1 | x2, bit by bit.",
    "nr.bitwise_or(nr.asarray(6), 3).item() -> 7",
)
bitwise_xor = binary(
    "bitwise_xor",
    M.bit_xor,
    BITS,
    "x1 ^ x2, bit by bit.",
    "nr.bitwise_xor(nr.asarray(6), 3).item() -> 5",
)
bitwise_left_shift = binary(
    "bitwise_left_shift",
    M.shift_left,
    INTEGERS,
    "x1 << x2.",
    "nr.bitwise_left_shift(nr.asarray(3), 2).item() -> 12",
)
bitwise_right_shift = binary(
    "bitwise_right_shift",
    M.shift_right,
    INTEGERS,
    "x1 >> x2; the sign stays.",
    "nr.bitwise_right_shift(nr.asarray(-8), 1).item() -> -4",
)
bitwise_invert = unary(
    "bitwise_invert",
    M.invert,
    BITS,
    "~x, bit by bit.",
    "nr.bitwise_invert(nr.asarray(0)).item() -> -1",
    False,
)

exp = unary("exp", M.exp, INEXACT, "e**x.", "nr.exp(0.0).item() -> 1.0")
exp2 = unary("exp2", M.exp2, FLOATS, "2**x.", "nr.exp2(3.0).item() -> 8.0")
expm1 = unary(
    "expm1", M.expm1, INEXACT, "e**x - 1, exact for small x.", "nr.expm1(0.0).item() -> 0.0"
)
log = unary("log", M.log, INEXACT, "The natural logarithm.", "nr.log(1.0).item() -> 0.0")
log2 = unary("log2", M.log2, FLOATS, "The logarithm to base 2.", "nr.log2(8.0).item() -> 3.0")
log10 = unary(
    "log10", M.log10, FLOATS, "The logarithm to base 10.", "nr.log10(1000.0).item() -> 3.0"
)
log1p = unary(
    "log1p", M.log1p, INEXACT, "log(1 + x), exact for small x.", "nr.log1p(0.0).item() -> 0.0"
)
sqrt = unary(
    "sqrt",
    M.sqrt,
    INEXACT,
    "The square root; its derivative at 0 is taken as 0.",
    "nr.sqrt(9.0).item() -> 3.0",
)
cbrt = unary(
    "cbrt",
    M.cbrt,
    FLOATS,
    "The cube root; its derivative at 0 is taken as 0.",
    "nr.cbrt(8.0).item() -> 2.0",
)
sin = unary("sin", M.sin, INEXACT, "The sine of x in radians.", "nr.sin(0.0).item() -> 0.0")
cos = unary("cos", M.cos, INEXACT, "The cosine of x in radians.", "nr.cos(0.0).item() -> 1.0")
tan = unary("tan", M.tan, INEXACT, "The tangent of x in radians.", "nr.tan(0.0).item() -> 0.0")
asin = unary("asin", M.asin, INEXACT, "The inverse sine, in radians.", "nr.asin(0.0).item() -> 0.0")
acos = unary(
    "acos", M.acos, INEXACT, "The inverse cosine, in radians.", "nr.acos(1.0).item() -> 0.0"
)
atan = unary(
    "atan", M.atan, INEXACT, "The inverse tangent, in radians.", "nr.atan(0.0).item() -> 0.0"
)
sinh = unary("sinh", M.sinh, INEXACT, "The hyperbolic sine.", "nr.sinh(0.0).item() -> 0.0")
cosh = unary("cosh", M.cosh, INEXACT, "The hyperbolic cosine.", "nr.cosh(0.0).item() -> 1.0")
tanh = unary("tanh", M.tanh, INEXACT, "The hyperbolic tangent.", "nr.tanh(0.0).item() -> 0.0")
asinh = unary(
    "asinh", M.asinh, INEXACT, "The inverse hyperbolic sine.", "nr.asinh(0.0).item() -> 0.0"
)
acosh = unary(
    "acosh", M.acosh, INEXACT, "The inverse hyperbolic cosine.", "nr.acosh(1.0).item() -> 0.0"
)
atanh = unary(
    "atanh", M.atanh, INEXACT, "The inverse hyperbolic tangent.", "nr.atanh(0.0).item() -> 0.0"
)
erf = unary(
    "erf",
    M.erf,
    FLOATS,
    "The error function, 2 / sqrt(pi) * integral of exp(-t**2) from 0 to x.",
    "nr.erf(0.0).item() -> 0.0",
)
erfc = unary(
    "erfc", M.erfc, FLOATS, "1 - erf(x), without cancellation.", "nr.erfc(0.0).item() -> 1.0"
)
lgamma = unary("lgamma", M.lgamma, FLOATS, "log |gamma(x)|.", "nr.lgamma(1.0).item() -> 0.0")
digamma = unary(
    "digamma",
    M.digamma,
    FLOATS,
    "The derivative of lgamma.",
    "round(nr.digamma(1.0).item(), 6) -> -0.577216",
)
sigmoid = unary("sigmoid", C.sigmoid, FLOATS, "1 / (1 + exp(-x)).", "nr.sigmoid(0.0).item() -> 0.5")
softplus = unary(
    "softplus",
    C.softplus,
    FLOATS,
    "log(1 + exp(x)) without overflow.",
    "round(nr.softplus(0.0).item(), 6) -> 0.693147",
)
relu = unary(
    "relu",
    C.relu,
    REALS,
    "max(x, 0); derivative 0 at 0.",
    "nr.relu(nr.asarray([-1.0, 2.0])).tolist() -> [0.0, 2.0]",
    False,
)
silu = unary("silu", C.silu, FLOATS, "x * sigmoid(x).", "nr.silu(0.0).item() -> 0.0")

negative = unary("negative", E.neg, NUMBERS, "-x.", "nr.negative(2.0).item() -> -2.0", False)
square = unary(
    "square", lambda x: E.mul(x, x), NUMBERS, "x * x.", "nr.square(3.0).item() -> 9.0", False
)
reciprocal = unary(
    "reciprocal",
    lambda x: E.div(E.like(x, 1), x),
    INEXACT,
    "1 / x.",
    "nr.reciprocal(4.0).item() -> 0.25",
)
isnan = unary(
    "isnan",
    lambda x: _classify(M.isnan, x, False),
    "biufc",
    "Whether x is NaN.",
    "nr.isnan(nr.nan).item() -> True",
    False,
)
isinf = unary(
    "isinf",
    lambda x: _classify(M.isinf, x, False),
    "biufc",
    "Whether x is infinite.",
    "nr.isinf(nr.inf).item() -> True",
    False,
)
isfinite = unary(
    "isfinite",
    lambda x: _classify(M.isfinite, x, True),
    "biufc",
    "Whether x is neither infinite nor NaN.",
    "nr.isfinite(nr.inf).item() -> False",
    False,
)
signbit = unary(
    "signbit",
    M.signbit,
    FLOATS,
    "Whether the sign bit is set; it is for -0.0.",
    "nr.signbit(-0.0).item() -> True",
)
logical_not = unary(
    "logical_not",
    lambda x: M.invert(truth(x)),
    "biufc",
    "Whether x is zero or False.",
    "nr.logical_not(True).item() -> False",
    False,
)


def truth(x: Node) -> Node:
    return E.cast(x, bool_)


def _classify(prim: Any, x: Node, integers: bool) -> Node:
    if x.dtype.kind == "f":
        return prim(x)  # type: ignore[no-any-return]
    if x.dtype.kind == "c":
        join = M.bit_and if integers else M.bit_or
        return join(prim(M.real(x)), prim(M.imag(x)))
    from numr.primitives.source import const

    answer = const(integers, bool_)
    return E.expand_like(answer, x)


def _logical(name: str, prim: Any, summary: str, example: str) -> Function:
    return binary(name, lambda a, b: prim(truth(a), truth(b)), "biufc", summary, example, None)


logical_and = _logical(
    "logical_and", M.bit_and, "Whether both hold.", "nr.logical_and(True, False).item() -> False"
)
logical_or = _logical(
    "logical_or", M.bit_or, "Whether either holds.", "nr.logical_or(True, False).item() -> True"
)
logical_xor = _logical(
    "logical_xor",
    M.bit_xor,
    "Whether exactly one holds.",
    "nr.logical_xor(True, True).item() -> False",
)


def _rounding(name: str, prim: Any, summary: str, example: str) -> Function:
    return unary(
        name, lambda x: prim(x) if x.dtype.kind == "f" else x, REALS, summary, example, False
    )


floor = _rounding(
    "floor", M.floor, "The greatest whole number not above x.", "nr.floor(-1.5).item() -> -2.0"
)
ceil = _rounding(
    "ceil", M.ceil, "The least whole number not below x.", "nr.ceil(-1.5).item() -> -1.0"
)
trunc = _rounding("trunc", M.trunc, "x without its fraction.", "nr.trunc(-1.5).item() -> -1.0")


def _round(x: Node) -> Node:
    if x.dtype.kind == "c":
        return M.make_complex(M.rint(M.real(x)), M.rint(M.imag(x)))
    return M.rint(x) if x.dtype.kind == "f" else x


round = unary(
    "round",
    _round,
    NUMBERS,
    "The nearest whole number, halves to even.",
    "nr.round(2.5).item() -> 2.0",
    False,
)


def _abs(x: Node) -> Node:
    if x.dtype.kind == "c":
        return M.hypot(M.real(x), M.imag(x))
    return M.abs_(x)


abs = absolute = unary(
    "abs", _abs, NUMBERS, "|x|; derivative 0 at 0.", "nr.abs(-2.0).item() -> 2.0", False
)


def _sign(x: Node) -> Node:
    if x.dtype.kind != "c":
        return M.sign(x)
    size = _abs(x)
    zero = M.eq(size, E.like(size, 0))
    safe = E.select(zero, E.like(size, 1), size)
    return E.select(
        zero, E.like(x, 0), M.make_complex(E.div(M.real(x), safe), E.div(M.imag(x), safe))
    )


sign = unary(
    "sign",
    _sign,
    NUMBERS,
    "-1, 0 or 1; NaN of NaN; x / |x| for complex x.",
    "nr.sign(-3.0).item() -> -1.0",
    False,
)
real = unary(
    "real",
    lambda x: M.real(x) if x.dtype.kind == "c" else x,
    NUMBERS,
    "The real part.",
    "nr.real(1 + 2j).item() -> 1.0",
    False,
)
imag = unary(
    "imag",
    lambda x: M.imag(x) if x.dtype.kind == "c" else E.expand_like(E.like(x, 0), x),
    NUMBERS,
    "The imaginary part.",
    "nr.imag(1 + 2j).item() -> 2.0",
    False,
)


def _conj(x: Node) -> Node:
    return M.make_complex(M.real(x), E.neg(M.imag(x))) if x.dtype.kind == "c" else x


conj = unary(
    "conj", _conj, NUMBERS, "The complex conjugate.", "nr.conj(1 + 2j).item() -> (1-2j)", False
)
angle = unary(
    "angle",
    lambda x: M.atan2(M.imag(x), M.real(x)) if x.dtype.kind == "c" else M.atan2(E.like(x, 0), x),
    INEXACT,
    "The angle of a complex number in radians.",
    "nr.angle(1.0).item() -> 0.0",
)
positive = unary(
    "positive", lambda x: x, NUMBERS, "x itself.", "nr.positive(2.0).item() -> 2.0", False
)


def pow(x1: Any, x2: Any, /) -> Array:
    """x1 ** x2. Whole constant exponents up to 8 become products. Derivatives at base 0 are finite.

    Args:
        x1: array, or a Python number.
        x2: array that broadcasts with x1, or a Python number.

    Returns:
        array of the broadcast shape and promoted dtype.

    Raises:
        DTypeError: for booleans, and for integers to a negative constant power.

    Examples:
        >>> import numr as nr
        >>> nr.pow(nr.asarray([2.0, 3.0]), 2).tolist()
        [4.0, 9.0]
    """
    if type(x2) in (int, float) and x2 == int(x2) and builtin_abs(x2) <= 8:
        node, dtype, weak = operand(x1)
        if dtype.kind in "fc" or (dtype.kind in "iu" and x2 >= 0 and type(x2) is int):
            if not isinstance(node, Node):
                node = node.node(dtype)
            return from_node(whole_power(node, int(x2)), weak)
    if type(x2) is int and x2 < 0 and operand(x1)[1].kind in "iu":
        from numr.errors import DTypeError

        raise DTypeError(
            f"pow: integers to the negative power {x2} are not integers; convert to float first"
        )
    nodes, weak = promoted("pow", (x1, x2), NUMBERS)
    return from_node(M.pow_(*aligned("pow", nodes)), weak)


builtin_abs = __builtins__["abs"] if isinstance(__builtins__, dict) else __builtins__.abs


def whole_power(x: Node, n: int) -> Node:
    """x**n by repeated squaring."""
    if n < 0:
        return E.div(E.like(x, 1), whole_power(x, -n))
    if n == 0:
        return E.expand_like(E.like(x, 1), x)
    result: Node | None = None
    while n:
        if n & 1:
            result = x if result is None else E.mul(result, x)
        n >>= 1
        if n:
            x = E.mul(x, x)
    assert result is not None
    return result


def gelu(x: Any, /, *, approximate: bool = False) -> Array:
    """x Phi(x), Phi being the normal distribution function; or its tanh approximation.

    Args:
        x: floating array.
        approximate: use 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3))).

    Returns:
        array of x's shape and dtype.

    Examples:
        >>> import numr as nr
        >>> nr.gelu(0.0).item()
        0.0
    """
    (node,), weak = promoted("gelu", (x,), FLOATS, default_float())
    if approximate:
        cube = E.mul(E.like(node, 0.044715), whole_power(node, 3))
        inner = E.mul(E.like(node, 0.7978845608028654), E.add(node, cube))
        phi = E.mul(E.like(node, 0.5), E.add(E.like(node, 1), M.tanh(inner)))
    else:
        phi = E.mul(E.like(node, 0.5), M.erfc(E.mul(node, E.like(node, -0.7071067811865476))))
    return from_node(E.mul(node, phi), weak)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Array:
    """x limited to [min, max].

    Args:
        x: real array.
        min, max: bounds that broadcast with x; None for no bound. Where they cross, max wins.

    Returns:
        array of the broadcast shape, of x's dtype.

    Examples:
        >>> import numr as nr
        >>> nr.clip(nr.asarray([-1.0, 0.5, 2.0]), 0.0, 1.0).tolist()
        [0.0, 0.5, 1.0]
    """
    if min is not None:
        x = maximum(x, min)
    if max is not None:
        x = minimum(x, max)
    return positive(x)


def where(condition: Any, x1: Any, x2: Any, /) -> Array:
    """x1 where the condition holds, else x2.

    The derivative of the side that is not chosen is exactly zero, even where it would be infinite or
    NaN: `where(x > 0, sqrt(x), 0)` needs no second `where`.

    Args:
        condition: boolean array (numbers count as true unless zero).
        x1, x2: arrays or Python numbers; all three broadcast together.

    Returns:
        array of the broadcast shape and the promoted dtype of x1 and x2.

    Examples:
        >>> import numr as nr
        >>> nr.where(nr.asarray([True, False]), 1.0, nr.asarray([5.0, 6.0])).tolist()
        [1.0, 6.0]
    """
    (mask,), _ = promoted("where", (condition,))
    nodes, weak = promoted("where", (x1, x2))
    return from_node(E.select(*aligned("where", [truth(mask), *nodes])), weak)


def astype(x: Any, dtype: Any, /, *, copy: bool = True) -> Array:
    """x in another dtype. Float to integer truncates; complex to real drops the imaginary part.

    Examples:
        >>> import numr as nr
        >>> nr.astype(nr.asarray([1.7, -1.7]), nr.int32).tolist()
        [1, -1]
    """
    found, own, _ = operand(x)
    node = found if isinstance(found, Node) else found.node(own)
    return from_node(E.cast(node, as_dtype(dtype)))


def polygamma(n: Any, x: Any, /) -> Array:
    """The n-th derivative of digamma.

    Args:
        n: whole number, or an array of them.
        x: floating array.

    Examples:
        >>> import numr as nr
        >>> round(nr.polygamma(1, 1.0).item(), 6)
        1.644934
    """
    nodes, weak = promoted("polygamma", (n, x), FLOATS, default_float())
    return from_node(M.polygamma(*aligned("polygamma", nodes)), weak)


for _f in (pow, gelu, clip, where, astype, polygamma):
    TABLE[_f.__name__] = _f

# NumPy's names for the same functions.
ALIASES = {
    "power": "pow", "true_divide": "divide", "mod": "remainder", "arctan2": "atan2", "arcsin": "asin",
    "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
    "absolute": "abs", "invert": "bitwise_invert", "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift", "rint": "round", "conjugate": "conj", "gammaln": "lgamma",
    "fabs": "abs",
}  # fmt: skip
TABLE.update({alias: TABLE[name] for alias, name in ALIASES.items()})
__all__ = list(TABLE)
