"""Elementwise functions against NumPy and SciPy: values, dtypes, shapes, special values."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.special as sp

import numr as nr
from tests.functions.support import DTYPES, agree, lazy, numbers, value

Range = tuple[float, float]
WIDE, POSITIVE, UNIT = (-5.0, 5.0), (0.1, 5.0), (-0.95, 0.95)

# name: (NumPy's meaning, dtype kinds, where its arguments lie)
UNARY: dict[str, tuple[Callable[..., Any], str, Range]] = {
    "abs": (np.abs, "iufc", WIDE),
    "acos": (np.arccos, "fc", UNIT),
    "acosh": (np.arccosh, "fc", (1.1, 5.0)),
    "angle": (np.angle, "c", WIDE),
    "asin": (np.arcsin, "fc", UNIT),
    "asinh": (np.arcsinh, "fc", WIDE),
    "atan": (np.arctan, "fc", WIDE),
    "atanh": (np.arctanh, "fc", UNIT),
    "bitwise_invert": (np.invert, "biu", WIDE),
    "cbrt": (np.cbrt, "f", WIDE),
    "ceil": (np.ceil, "f", WIDE),
    "conj": (np.conj, "iufc", WIDE),
    "cos": (np.cos, "fc", WIDE),
    "cosh": (np.cosh, "fc", WIDE),
    "deg2rad": (np.deg2rad, "f", (-180.0, 180.0)),
    "digamma": (sp.digamma, "f", POSITIVE),
    "erf": (sp.erf, "f", WIDE),
    "erfc": (sp.erfc, "f", WIDE),
    "exp": (np.exp, "fc", WIDE),
    "exp2": (np.exp2, "f", WIDE),
    "expm1": (np.expm1, "fc", WIDE),
    "floor": (np.floor, "f", WIDE),
    "gelu": (lambda x: (x * sp.ndtr(x)).astype(x.dtype), "f", WIDE),
    "imag": (np.imag, "iufc", WIDE),
    "isfinite": (np.isfinite, "biufc", WIDE),
    "isinf": (np.isinf, "biufc", WIDE),
    "isnan": (np.isnan, "biufc", WIDE),
    "leaky_relu": (lambda x: np.where(x > 0, x, x * x.dtype.type(0.01)), "f", WIDE),
    "lgamma": (sp.gammaln, "f", POSITIVE),
    "log": (np.log, "fc", POSITIVE),
    "log10": (np.log10, "fc", POSITIVE),
    "log1p": (np.log1p, "fc", POSITIVE),
    "log2": (np.log2, "fc", POSITIVE),
    "log_sigmoid": (sp.log_expit, "f", WIDE),
    "logical_not": (np.logical_not, "biufc", WIDE),
    "negative": (np.negative, "iufc", WIDE),
    "positive": (np.positive, "iufc", WIDE),
    "rad2deg": (np.rad2deg, "f", WIDE),
    "real": (np.real, "iufc", WIDE),
    "reciprocal": (np.reciprocal, "fc", POSITIVE),
    "relu": (lambda x: np.maximum(x, x.dtype.type(0)), "iuf", WIDE),
    "round": (np.round, "iufc", WIDE),
    "sigmoid": (sp.expit, "f", WIDE),
    "sign": (np.sign, "iufc", WIDE),
    "signbit": (np.signbit, "f", WIDE),
    "silu": (lambda x: (x * sp.expit(x)).astype(x.dtype), "f", WIDE),
    "sin": (np.sin, "fc", WIDE),
    "sinh": (np.sinh, "fc", WIDE),
    "softplus": (lambda x: np.logaddexp(x, x.dtype.type(0)), "f", WIDE),
    "sqrt": (np.sqrt, "fc", POSITIVE),
    "square": (np.square, "iufc", WIDE),
    "tan": (np.tan, "fc", UNIT),
    "tanh": (np.tanh, "fc", WIDE),
    "trunc": (np.trunc, "f", WIDE),
}
BINARY: dict[str, tuple[Callable[..., Any], str, Range]] = {
    "add": (np.add, "biufc", WIDE),
    "atan2": (np.arctan2, "f", WIDE),
    "bitwise_and": (np.bitwise_and, "biu", WIDE),
    "bitwise_left_shift": (np.left_shift, "iu", (0.0, 5.0)),
    "bitwise_or": (np.bitwise_or, "biu", WIDE),
    "bitwise_right_shift": (np.right_shift, "iu", (0.0, 5.0)),
    "bitwise_xor": (np.bitwise_xor, "biu", WIDE),
    "copysign": (np.copysign, "f", WIDE),
    "divide": (np.divide, "fc", POSITIVE),
    "equal": (np.equal, "biufc", WIDE),
    "floor_divide": (np.floor_divide, "iuf", (1.0, 9.0)),
    "fmod": (np.fmod, "f", WIDE),
    "greater": (np.greater, "biuf", WIDE),
    "greater_equal": (np.greater_equal, "biuf", WIDE),
    "hypot": (np.hypot, "f", WIDE),
    "less": (np.less, "biuf", WIDE),
    "less_equal": (np.less_equal, "biuf", WIDE),
    "logaddexp": (np.logaddexp, "f", WIDE),
    "logical_and": (np.logical_and, "biufc", WIDE),
    "logical_or": (np.logical_or, "biufc", WIDE),
    "logical_xor": (np.logical_xor, "biuf", WIDE),
    "maximum": (np.maximum, "biuf", WIDE),
    "minimum": (np.minimum, "biuf", WIDE),
    "multiply": (np.multiply, "biufc", WIDE),
    "nextafter": (np.nextafter, "f", WIDE),
    "not_equal": (np.not_equal, "biufc", WIDE),
    "pow": (np.power, "fc", POSITIVE),
    "remainder": (np.remainder, "iuf", (1.0, 9.0)),
    "subtract": (np.subtract, "iufc", WIDE),
}
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 1e308, 5e-324, 710.0, -746.0]
)


def cases(table: dict[str, Any]) -> Iterator[Any]:
    for name, (meaning, kinds, limits) in table.items():
        for kind in kinds:
            for dtype in DTYPES[kind]:
                yield pytest.param(name, meaning, dtype, limits, id=f"{name}-{dtype}")


@pytest.mark.parametrize(("name", "meaning", "dtype", "limits"), list(cases(UNARY)))
def test_unary(name: str, meaning: Any, dtype: str, limits: Range) -> None:
    rng = np.random.default_rng(3)
    for shape in ((), (7,), (2, 0), (2, 3)):
        x = numbers(rng, dtype, shape, *limits)
        agree(getattr(nr, name)(lazy(x)), meaning(x), rtol=None if dtype[-2:] == "64" else 4e-6)


@pytest.mark.parametrize(("name", "meaning", "dtype", "limits"), list(cases(BINARY)))
def test_binary(name: str, meaning: Any, dtype: str, limits: Range) -> None:
    rng = np.random.default_rng(3)
    for left, right in (
        ((), ()),
        ((7,), (7,)),
        ((2, 1), (3,)),
        ((4, 1, 3), (2, 1)),
        ((0, 2), (2,)),
    ):
        x, y = (numbers(rng, dtype, shape, *limits) for shape in (left, right))
        agree(getattr(nr, name)(lazy(x), lazy(y)), meaning(x, y))


@pytest.mark.parametrize("name", [n for n, row in UNARY.items() if "f" in row[1]])
def test_special_values(name: str) -> None:
    with np.errstate(all="ignore"):
        want = UNARY[name][0](SPECIAL)
    got = value(getattr(nr, name)(lazy(SPECIAL)))
    if name == "silu":
        want[6] = got[6]  # -inf * 0: no limit is taken
    if name == "gelu":
        want[6] = got[6]
    if name == "lgamma":
        want[9] = -np.log(SPECIAL[9])  # SciPy overflows where it need not
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-307)
    if want.dtype.kind == "f" and name not in ("gelu", "relu", "silu", "leaky_relu"):
        zero = want == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


@pytest.mark.parametrize(
    "name", [n for n, row in BINARY.items() if "f" in row[1] and n != "nextafter"]
)
def test_special_pairs(name: str) -> None:
    x, y = SPECIAL[:, None], SPECIAL[None, :]
    with np.errstate(all="ignore"):
        want = BINARY[name][0](x, y)
    np.testing.assert_allclose(value(getattr(nr, name)(lazy(x), lazy(y))), want, rtol=1e-13)


@pytest.mark.parametrize("name", sorted(set(UNARY) - {"abs", "bitwise_invert", "imag", "real"}))
def test_integers_where_floats_are_needed(name: str) -> None:
    meaning, kinds, _ = UNARY[name]
    if "i" in kinds or "f" not in kinds:
        return
    x = np.array([1, 1, 1], np.int32)
    got = getattr(nr, name)(lazy(x))
    if name in ("floor", "ceil", "trunc"):
        agree(got, x)
    elif name != "signbit":
        with np.errstate(all="ignore"):
            agree(got, meaning(x.astype(float)))


def test_whole_powers() -> None:
    x = np.array([-2.0, -0.5, 0.0, 3.0])
    with np.errstate(all="ignore"):
        for n in range(-8, 9):
            agree(lazy(x) ** n, x**n, rtol=1e-14)
            agree(lazy(x) ** float(n), x ** float(n), rtol=1e-14)
    i = np.array([-2, 3], np.int8)
    for n in range(5):
        agree(lazy(i) ** n, i**n)
        agree(lazy(i) ** float(n), i.astype(float) ** n)
    assert {n.prim.name for n in _history((lazy(x) ** 5).node)} == {"whole_power", "leaf"}
    compiled = str(nr.jit(lambda x: x**5).lower(x).rewritten)
    assert compiled.count("= mul") == 3 and "pow" not in compiled


def _history(node: Any) -> list[Any]:
    from numr.ir.node import toposort

    return toposort([node])


def test_exponents_that_are_arrays() -> None:
    agree(lazy([2, 3]) ** lazy([5, 2]), np.array([32, 9]))
    agree(2.0 ** lazy([0.5, 2.0]), 2.0 ** np.array([0.5, 2.0]))
    agree(lazy([4.0, 9.0]) ** 0.5, np.array([2.0, 3.0]))


@pytest.mark.parametrize(
    "name",
    ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "eq", "ne", "lt", "le", "gt", "ge"],
)
def test_operators(name: str) -> None:
    op = getattr(operator, name)
    x, y = np.array([[1.5, 2.0], [3.0, 0.5]]), np.array([2.0, 1.5])
    a, b = lazy(x), lazy(y)
    agree(op(a, b), op(x, y))
    agree(op(a, y), op(x, y))
    agree(op(x, b), op(x, y))
    agree(op(a, 2), op(x, 2))
    agree(op(2, a), op(2, x))
    agree(op(a, [2.0, 1.5]), op(x, y))
    assert isinstance(op(x, b), nr.Array)


@pytest.mark.parametrize("name", ["and_", "or_", "xor", "lshift", "rshift"])
def test_bit_operators(name: str) -> None:
    op = getattr(operator, name)
    x, y = np.array([5, 12, 7]), np.array([1, 2, 3])
    agree(op(lazy(x), lazy(y)), op(x, y))
    agree(op(6, lazy(y)), op(6, y))


def test_operators_leave_strangers_alone() -> None:
    class Stranger:
        def __radd__(self, other: Any) -> str:
            return "theirs"

    assert nr.ones(2) + Stranger() == "theirs"
    assert (nr.ones(2) == "text") is False
    with pytest.raises(TypeError):
        nr.ones(2) + "text"  # type: ignore[operator]


def test_in_place_operators_rebind() -> None:
    x = nr.asarray([1.0, 2.0])
    kept = x
    x += 1
    agree(x, np.array([2.0, 3.0]))
    agree(kept, np.array([1.0, 2.0]))


def test_unary_operators_and_methods() -> None:
    x = np.array([[-1.5, 2.25], [0.0, 3.0]])
    a = lazy(x)
    agree(-a, -x)
    agree(+a, x)
    agree(abs(a), abs(x))
    agree(~lazy([1, 2]), ~np.array([1, 2]))
    agree(round(a), np.round(x))
    agree(round(a, 1), np.round(x, 1))
    agree(a.sum(0), x.sum(0))
    agree(a.mean(axis=1, keepdims=True), x.mean(axis=1, keepdims=True))
    agree(a.std(ddof=1), x.std(ddof=1))
    agree(a.reshape(4), x.reshape(4))
    agree(a.reshape(1, 4), x.reshape(1, 4))
    agree(a.reshape((4, 1)), x.reshape((4, 1)))
    agree(a.transpose(), x.T)
    agree(a.transpose(1, 0), x.T)
    agree(a.transpose((0, 1)), x)
    agree(a.T, x.T)
    agree(a.mT, x.T)
    agree(a.ravel(), x.ravel())
    agree(a.flatten(), x.ravel())
    agree(a.astype("float32"), x.astype("float32"))
    agree(a.sort(axis=0), np.sort(x, axis=0))
    agree(a.argmax(), np.argmax(x))
    agree(a.cumsum(axis=0), np.cumsum(x, axis=0))
    agree(a.clip(0, 1), x.clip(0, 1))
    agree(a.dot(a), x.dot(x))
    agree(a.copy(), x)
    agree(lazy([1 + 2j]).real, np.array([1.0]))
    agree(lazy([1 + 2j]).imag, np.array([2.0]))
    agree(lazy([1 + 2j]).conj(), np.array([1 - 2j]))


def test_where_clip_and_their_kin() -> None:
    x = np.array([[-2.0, 0.5], [np.nan, 3.0]])
    agree(nr.where(lazy(x) > 0, lazy(x), 0), np.where(x > 0, x, 0))
    agree(nr.where(True, lazy([1, 2]), 1.5), np.where(True, np.array([1, 2]), 1.5))
    agree(nr.where(lazy([[1], [0]]), 1.0, lazy([2.0, 3.0])), np.where([[1], [0]], 1.0, [2.0, 3.0]))
    agree(nr.clip(lazy(x), 0, 1), np.clip(x, 0, 1))
    agree(nr.clip(lazy(x), None, 1), np.clip(x, None, 1))
    agree(nr.clip(lazy(x), lazy([0.0, 1.0]), 2.0), np.clip(x, [0.0, 1.0], 2.0))
    agree(nr.clip(lazy([1, 5, 9]), 2, 6), np.clip([1, 5, 9], 2, 6))
    agree(nr.nan_to_num(lazy([np.nan, np.inf, -np.inf])), np.nan_to_num([np.nan, np.inf, -np.inf]))
    agree(nr.isclose(lazy(x), x + 1e-9, equal_nan=True), np.isclose(x, x + 1e-9, equal_nan=True))
    infinite = [np.inf, -np.inf, np.inf]
    agree(nr.isclose(lazy(infinite), [np.inf, np.inf, 1.0]), np.array([True, False, False]))
    agree(nr.allclose(lazy([1.0]), [1.0 + 1e-12]), np.array(True))
    agree(nr.array_equal(lazy([1, 2]), [1, 3]), np.array(False))
    agree(nr.array_equal(lazy([1, 2]), [1, 2, 3]), np.array(False))
    agree(nr.polygamma(2, lazy([1.0, 2.5])), sp.polygamma(2, np.array([1.0, 2.5])))
    agree(nr.round(lazy([12.345, 155.0]), -1), np.round([12.345, 155.0], -1))
    near = nr.gelu(lazy(np.linspace(-9, 9, 50)), approximate=True)
    agree(near, value(nr.gelu(lazy(np.linspace(-9, 9, 50)))), atol=5e-4)


def test_mistakes() -> None:
    with pytest.raises(nr.errors.DTypeError, match="does not fit in uint8"):
        nr.asarray([1], dtype="uint8") + 300
    with pytest.raises(nr.errors.DTypeError, match="negative power"):
        nr.asarray([1, 2]) ** -1
    with pytest.raises(nr.errors.DTypeError, match="x1 is float64 and x2 is int64"):
        nr.bitwise_and(nr.ones(2), 1)
    with pytest.raises(nr.errors.ShapeError, match=r"condition has shape \(2,\)"):
        nr.where(nr.ones(2) > 0, nr.ones(3), 0)
    with pytest.raises(nr.errors.ShapeError, match="axis -1 is 3 in x1 and 4 in x2"):
        nr.add(nr.ones((2, 3)), nr.ones(4))
