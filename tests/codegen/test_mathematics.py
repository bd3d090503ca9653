"""The table of mathematical functions, against mpmath and against NumPy's and SciPy's special values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

from numr.codegen.mathematics import FUNCTIONS, decomposed, mathematics
from numr.codegen.prepare import reachable
from numr.codegen.region import Axis, Expr, ExprBuilder, Operand, Output, Region
from numr.dtypes import DType, float32, float64
from numr.ir import scalar as S

DTYPES = (float32, float64)
ARITHMETIC = {"add", "sub", "mul", "div", "neg", "abs", "floor", "sqrt", "select"}
ARITHMETIC |= {"eq", "ne", "lt", "le", "gt", "ge", "and", "or", "xor", "invert"}
ARITHMETIC |= {"shift_left", "shift_right"}
POINTS = 250


def written_out(op: S.ScalarOp, dtype: DType, order: float | None = None) -> Expr:
    """An operation on loads, in arithmetic alone; of polygamma the order may be a constant."""
    builder, axis = ExprBuilder(), Axis("i", 8)
    at = (builder.axis(axis),)
    args = [builder.load(k, at, dtype) for k in range(op.arity)]
    if order is not None:
        args[0] = builder.const(order, dtype)
    expr = builder.op(op, *args)
    operands = tuple(Operand(dtype, (8,)) for _ in args)
    region = Region(operands, (Output(expr, at, (axis,), (8,), expr.dtype, 0),))
    return mathematics(builder, region, ()).outputs[0].expr


def values(root: Expr, operands: list[Any]) -> Any:
    """An expression over whole arrays in place of its loads, by NumPy."""
    known: dict[Expr, Any] = {}
    with np.errstate(all="ignore"):
        for expr in reachable([root]):
            args = [known.get(a) for a in expr.args]
            if expr.kind == "axis":
                continue
            if expr.kind == "load":
                value = operands[expr.data]
            elif expr.kind == "const":
                value = np.asarray(expr.data, expr.dtype.dtype)
                assert np.isnan(value) or value == expr.data, "the dtype does not hold a constant"
            elif expr.kind == "cast":
                value = args[0].astype(expr.dtype.dtype)
            elif expr.kind == "bitcast":
                value = args[0].view(expr.dtype.dtype)
            else:
                value = expr.data.numpy(*args)
            assert value.dtype == expr.dtype.dtype, expr
            known[expr] = value
    return known[root]


def near(*places: float) -> Callable[[Any, int], Any]:
    """Numbers at all distances from these, from one in the last place up."""

    def draw(rng: Any, count: int) -> Any:
        places_ = rng.choice(places, count)
        return places_ + np.exp(rng.uniform(-36, -1, count)) * rng.choice([-1.0, 1.0], count)

    return draw


def between(low: float, high: float) -> Callable[[Any, int], Any]:
    return lambda rng, count: rng.uniform(low, high, count)


def scales(low: float, high: float, signed: bool = True) -> Callable[[Any, int], Any]:
    """Every exponent alike, as powers of 2; the dtype's own range cuts it short."""

    def draw(rng: Any, count: int) -> Any:
        size = 2.0 ** rng.uniform(low, high, count)
        return size * rng.choice([-1.0, 1.0], count) if signed else size

    return draw


ANY, RIGHT = scales(-1020, 1020), scales(-1020, 1020, signed=False)


def above_one(rng: Any, count: int) -> Any:
    return 1 + 2.0 ** rng.uniform(-50, 0, count)


def log_gamma(x: Any) -> Any:
    return mpmath.log(abs(mpmath.gamma(x))) if x < 1e6 else mpmath.loggamma(x)


def remainder(x: Any, y: Any) -> Any:
    with mpmath.workprec(2400):
        part = mpmath.fmod(abs(x), abs(y))
    return part if x > 0 else -part


# What is exact, and where the function is measured: the parts of each are drawn alike.
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "exp": (mpmath.exp, (between(-87, 88), between(-700, 709), scales(-60, 6))),
    "exp2": (lambda x: mpmath.mpf(2) ** x, (between(-126, 128), between(-1000, 1023), between(-2, 2))),
    "expm1": (mpmath.expm1, (between(-40, 88), between(-2, 2), ANY)),
    "log": (mpmath.log, (RIGHT, near(1.0), between(0, 3))),
    "log2": (lambda x: mpmath.log(x) / mpmath.log(2), (RIGHT, near(1.0), between(0, 3))),
    "log10": (lambda x: mpmath.log(x) / mpmath.log(10), (RIGHT, near(1.0), between(0, 3))),
    "log1p": (mpmath.log1p, (RIGHT, between(-1, 3), scales(-300, -0.1))),
    "sin": (mpmath.sin, (ANY, between(-10, 10), near(*(np.pi / 2 * np.arange(-8, 9))))),
    "cos": (mpmath.cos, (ANY, between(-10, 10), near(*(np.pi / 2 * np.arange(-8, 9))))),
    "tan": (mpmath.tan, (ANY, between(-10, 10), near(*(np.pi / 2 * np.arange(-8, 9))))),
    "asin": (mpmath.asin, (between(-1, 1), scales(-300, -0.001))),
    "acos": (mpmath.acos, (between(-1, 1), scales(-300, -0.001))),
    "atan": (mpmath.atan, (between(-3, 3), ANY)),
    "sinh": (mpmath.sinh, (between(-88, 88), between(-2, 2), scales(-300, 9))),
    "cosh": (mpmath.cosh, (between(-88, 88), between(-2, 2), scales(-300, 9))),
    "tanh": (mpmath.tanh, (between(-20, 20), between(-1, 1), ANY)),
    "asinh": (mpmath.asinh, (between(-4, 4), ANY)),
    "acosh": (mpmath.acosh, (between(1, 4), scales(0, 1020, signed=False), above_one)),
    "atanh": (mpmath.atanh, (between(-1, 1), scales(-300, -0.001))),
    "erf": (mpmath.erf, (between(-1, 1), between(-6, 6), scales(-300, 4))),
    "erfc": (mpmath.erfc, (between(-1, 1), between(-6, 9), between(9, 26.5), scales(-300, 2))),
    "lgamma": (log_gamma, (between(0, 4), between(0, 30), near(1.0, 2.0), RIGHT)),
    "digamma": (mpmath.digamma, (between(0, 5), between(0, 30), near(1.4616321449683623), RIGHT)),
    "cbrt": (lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)), (ANY,)),
    "rsqrt": (lambda x: 1 / mpmath.sqrt(x), (RIGHT,)),
    "atan2": (mpmath.atan2, (ANY, between(-3, 3))),
    "hypot": (mpmath.hypot, (ANY, between(-3, 3))),
    "pow": (lambda x, y: x**y, (between(0, 10), RIGHT)),
    "fmod": (remainder, (ANY, between(-9, 9))),
}  # fmt: skip
SECOND: dict[str, tuple[Any, ...]] = {
    "atan2": (ANY, between(-3, 3)),
    "hypot": (ANY, between(-3, 3)),
    "pow": (between(-30, 30), scales(-4, 1)),
    "fmod": (ANY, between(-9, 9)),
}
ALIKE = {"minimum", "maximum", "copysign", "rint", "ceil", "trunc"}
TESTS = {"isnan", "isinf", "isfinite", "signbit"}


def drawn(parts: tuple[Any, ...], dtype: DType, seed: int) -> Any:
    """Arguments of the dtype, with float32's exponents within its own range, normal numbers only."""
    rng = np.random.default_rng(seed)
    x = np.concatenate([p(rng, POINTS) for p in parts])
    if dtype is float32:
        size, sign = np.log2(np.abs(x) + 1e-320), np.sign(x)
        x = np.where(np.abs(size) > 120, sign * 2.0 ** (size * 0.12), x)
    return x.astype(dtype.dtype)


def largest_error(got: Any, arrays: list[Any], exact: Callable[..., Any]) -> tuple[float, Any]:
    """In ulp of the rounded exact value; beyond the largest number it must be infinite."""
    kind = got.dtype.type
    least = float(np.finfo(kind).tiny)
    worst, place = 0.0, None
    with mpmath.workprec(200), np.errstate(over="ignore", under="ignore"):
        for value, *args in zip(got, *arrays, strict=True):
            true = exact(*(mpmath.mpf(float(a)) for a in args))
            rounded = kind(float(true))
            if kind is np.float32 and abs(rounded) < 2 * least:
                continue  # a device may flush these
            if not np.isfinite(rounded) or not np.isfinite(value):
                limit = mpmath.mpf(float(np.finfo(kind).max)) * (1 - 4 * np.finfo(kind).eps)
                error = 0.0 if np.isinf(value) and abs(true) > limit else float("inf")
            else:
                unit = mpmath.mpf(float(np.spacing(np.abs(rounded))))
                error = float(abs(mpmath.mpf(float(value)) - true) / unit)
            if error >= worst:
                worst, place = error, (args, value, true)
    return worst, place


def test_every_function_of_the_table_is_measured() -> None:
    assert set(FUNCTIONS) == {*CASES, *ALIKE, *TESTS, "polygamma"}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_accuracy(name: str, dtype: DType) -> None:
    exact, parts = CASES[name]
    arrays = [drawn(parts, dtype, 1)]
    if name in SECOND:
        arrays.append(drawn(SECOND[name], dtype, 2))
    got = values(written_out(S.TABLE[name], dtype), arrays)
    error, place = largest_error(got, arrays, exact)
    assert error <= (0.0 if name == "fmod" else 4.0), place


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("order", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("known", [True, False])
def test_accuracy_of_polygamma(order: int, known: bool, dtype: DType) -> None:
    limit = 124 / (order + 1)  # to where float32's results end
    x = drawn((between(0.01, 10), between(5, 60), scales(-limit, limit, signed=False)), dtype, 1)
    x = x[:: 1 if known else 3]
    arrays = [np.full_like(x, order), x]
    got = values(written_out(S.polygamma, dtype, float(order) if known else None), arrays)
    error, place = largest_error(got, [x], lambda v: mpmath.polygamma(order, v))
    assert error <= 4.0, place


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_orders_of_polygamma_that_mix(dtype: DType) -> None:
    order = np.resize(np.array([0, 1, 2, 3, 4, 7, -1, 15], dtype.dtype), 240)
    x = np.linspace(-7.3, 9.1, 240).astype(dtype.dtype)
    got = values(written_out(S.polygamma, dtype), [order, x])
    for n, v, y in zip(order, x, got, strict=True):
        if n < 0:
            assert np.isnan(y)
            continue
        true = float(mpmath.polygamma(int(n), mpmath.mpf(float(v))))
        # Left of 0 there are zeros: beside what is added there.
        scale = abs(true) + (
            abs(float(mpmath.polygamma(int(n), 1 - mpmath.mpf(float(v))))) if v < 0 else 0
        )
        assert abs(y - true) <= 40 * np.finfo(dtype.dtype).eps * scale, (n, v, y, true)


# Where reduction needs most digits: the numbers next to a multiple of pi / 2 in each dtype.
WORST = {
    float32: [16367173 * 2.0**72, 5.919425e20],
    float64: [6381956970095103 * 2.0**797, 2.0**1023],
}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_worst_arguments_of_the_reduction(name: str, dtype: DType) -> None:
    x = np.array(WORST[dtype], dtype.dtype)

    def exact(v: Any) -> Any:
        with mpmath.workprec(1400):
            return getattr(mpmath, name)(v)

    error, place = largest_error(values(written_out(S.TABLE[name], dtype), [x]), [x], exact)
    assert error <= 4.0, place


def special_values(dtype: DType) -> Any:
    limits = np.finfo(dtype.dtype)
    some = [
        0,
        0.1,
        0.25,
        0.5,
        1,
        1.5,
        2,
        2.5,
        3,
        4,
        7.5,
        10,
        30,
        88.9,
        104,
        150,
        710,
        746,
        1e10,
        2.0**52,
    ]
    some += [
        limits.max,
        limits.tiny,
        4 * limits.tiny,
        limits.eps,
        1e30,
        2.0**23 + 1,
        np.inf,
        np.nan,
    ]
    if dtype is float64:
        some += [limits.smallest_subnormal, limits.tiny / 8, 1e-300]
    return np.array([s * v for v in some for s in (1, -1)], dtype.dtype)


# SciPy's own values are no better left of 0.
ROUGH = {"lgamma": 1e-13, "digamma": 1e-13, "polygamma": 1e-13}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_special_values_are_those_of_numpy(name: str, dtype: DType) -> None:
    op = S.TABLE[name]
    x = special_values(dtype)
    arrays = [x] if op.arity == 1 else [a.ravel() for a in np.meshgrid(x, x)]
    if name == "polygamma":
        arrays[0] = np.resize(np.array([0, 1, 2, 3, -1], dtype.dtype), arrays[1].size)
    got = values(written_out(op, dtype), arrays)
    with np.errstate(all="ignore"):
        want = np.asarray(op.numpy(*arrays))
    if want.dtype == bool:
        assert np.array_equal(got, want)
        return
    exact = (got == want) & (np.signbit(got) == np.signbit(want)) | np.isnan(got) & np.isnan(want)
    limits = np.finfo(dtype.dtype)
    relative = max(6 * float(limits.eps), ROUGH.get(name, 0.0))
    with np.errstate(all="ignore"):
        close = np.isfinite(want) & (want != 0) & (np.abs(got - want) <= relative * np.abs(want))
        if dtype is float32:  # devices flush subnormal numbers
            close |= np.abs(want) < limits.tiny
    wrong = np.flatnonzero(~(exact | close))
    assert wrong.size == 0, [([a[k] for a in arrays], got[k], want[k]) for k in wrong[:5]]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_only_arithmetic_is_left(name: str, dtype: DType) -> None:
    """Nor is NaN told by a comparison with itself, and no number of another width is used."""
    for expr in reachable([written_out(S.TABLE[name], dtype)]):
        if expr.kind == "op":
            assert expr.data.name in ARITHMETIC, expr
            if expr.data.name in ("eq", "ne"):
                assert expr.args[0] is not expr.args[1]
        else:
            assert expr.kind in ("const", "axis", "load", "cast", "bitcast"), expr
        assert expr.dtype.kind != "f" or expr.dtype is dtype
        assert expr.kind == "axis" or expr.dtype.kind == "b" or expr.dtype.bits == dtype.bits


def test_native_operations_stay() -> None:
    builder, axis = ExprBuilder(), Axis("i", 8)
    at = (builder.axis(axis),)
    x = builder.load(0, at, float32)
    expr = builder.op(S.add, builder.op(S.tanh, x), builder.op(S.exp, x))
    region = Region((Operand(float32, (8,)),), (Output(expr, at, (axis,), (8,), float32, 0),))
    out = mathematics(builder, region, {"exp", "copysign"}).outputs[0].expr
    names = {e.data.name for e in reachable([out]) if e.kind == "op"}
    assert {"exp", "copysign"} <= names
    assert not {"tanh", "isnan"} & names


def test_fast_erf() -> None:
    """A shorter formula, within 3.2e-7 of the value and of the right sign."""
    builder, axis = ExprBuilder(), Axis("i", 8)
    x = builder.load(0, (builder.axis(axis),), float32)
    (expr,) = decomposed(builder, [builder.op(S.erf, x)], (), fast=True)
    strict = written_out(S.erf, float32)
    assert len(reachable([expr])) < 2 / 3 * len(reachable([strict]))
    points = np.concatenate([np.linspace(-5, 5, 4001), [0.0, -0.0, 1e-30, 3e38, np.inf, -np.inf]])
    points = points.astype(np.float32)
    got, want = values(expr, [points]), scipy.special.erf(points.astype(np.float64))
    assert np.all(np.abs(got - want) <= 3.2e-7 * np.abs(want))
    assert np.all(np.abs(got) <= 1) and np.array_equal(np.signbit(got), np.signbit(points))
