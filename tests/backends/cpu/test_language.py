"""The kernel language means what compile.py says, for every operator and type."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

FLOATS = ("f4", "f8")
INTS = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")


@pytest.fixture(params=["numba", "direct"], autouse=True)
def frontend(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NUMR_FRONTEND", request.param)
    return str(request.param)


def _values(dtype: str, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-40, 3.5, -2.5]
        return np.concatenate([np.array(special, kind), rng.normal(size=57).astype(kind)])
    info = np.iinfo(kind)
    special = [0, 1, 2, 3, 7, info.max, info.min, info.max - 1, info.min + 1, 5]
    drawn = rng.integers(info.min, info.max, 57, dtype=kind, endpoint=True)
    return np.concatenate([np.array(special, kind), drawn])


@pytest.mark.parametrize("dtype", FLOATS + INTS)
def test_arithmetic_is_numpys(elementwise: Any, dtype: str) -> None:
    a, b = _values(dtype, 0), np.random.default_rng(2).permutation(_values(dtype, 1))
    cases = {"x + y": np.add, "x - y": np.subtract, "x * y": np.multiply, "fmod(x, y)": np.fmod}
    cases |= {"fmin_nan(x, y)": np.minimum, "fmax_nan(x, y)": np.maximum}
    if np.dtype(dtype).kind == "f":
        cases |= {"x / y": np.divide, "copysign(x, y)": np.copysign}
    else:
        cases |= {"x // y": np.floor_divide, "x % y": np.remainder}
        cases |= {"x & y": np.bitwise_and, "x | y": np.bitwise_or, "x ^ y": np.bitwise_xor}
    for text, function in cases.items():
        with np.errstate(all="ignore"):
            expected = function(a, b)
        np.testing.assert_array_equal(
            elementwise(text, (dtype, dtype), dtype)(a, b), expected, text
        )


@pytest.mark.parametrize("dtype", INTS)
def test_shifts_are_numpys(elementwise: Any, dtype: str) -> None:
    a = _values(dtype, 0)
    counts = np.resize(np.array([0, 1, 3, 7, 8, 15, 31, 63, 64, 100], dtype), a.shape)
    for text, function in (("x << y", np.left_shift), ("x >> y", np.right_shift)):
        got = elementwise(text, (dtype, dtype), dtype)(a, counts)
        np.testing.assert_array_equal(got, function(a, counts), text)


@pytest.mark.parametrize("dtype", FLOATS + INTS)
def test_comparisons(elementwise: Any, dtype: str) -> None:
    a, b = _values(dtype, 0), _values(dtype, 0)[::-1].copy()
    b[::3] = a[::3]
    for text, function in {
        "x < y": np.less,
        "x <= y": np.less_equal,
        "x > y": np.greater,
        "x >= y": np.greater_equal,
        "x == y": np.equal,
        "x != y": np.not_equal,
        "not (x < y)": lambda p, q: ~(p < q),
        "~(x < y) & (x != y) | (x == y)": lambda p, q: ~(p < q) & (p != q) | (p == q),
    }.items():
        np.testing.assert_array_equal(
            elementwise(text, (dtype, dtype), "?")(a, b), function(a, b), text
        )


@pytest.mark.parametrize("dtype", FLOATS + INTS)
def test_unary(elementwise: Any, dtype: str) -> None:
    a = _values(dtype, 0)
    cases: dict[str, Any] = {"-x": np.negative, "fabs(x)": np.abs, "+x": np.positive}
    if np.dtype(dtype).kind == "f":
        names = ("floor", "ceil", "trunc", "rint", "sqrt")
        cases |= {f"{n}(x)": getattr(np, n) for n in names}
    else:
        cases |= {"~x": np.invert}
    for text, function in cases.items():
        with np.errstate(all="ignore"):
            expected = function(a)
        got = elementwise(text, (dtype,), dtype)(a)
        np.testing.assert_array_equal(got, expected, text)
        if np.dtype(dtype).kind == "f":
            finite = ~np.isnan(a)
            np.testing.assert_array_equal(
                np.signbit(got)[finite], np.signbit(expected)[finite], text
            )


@pytest.mark.parametrize("dtype", FLOATS)
def test_classification(elementwise: Any, dtype: str) -> None:
    a = _values(dtype, 0)
    for name in ("isnan", "isinf", "isfinite", "signbit"):
        got = elementwise(f"{name}(x)", (dtype,), "?")(a)
        np.testing.assert_array_equal(got, getattr(np, name)(a), name)


@pytest.mark.parametrize("source", FLOATS + INTS + ("?",))
def test_conversions(elementwise: Any, source: str) -> None:
    a = np.array([0, 1, 0, 1], "?") if source == "?" else _values(source, 3)
    for target in FLOATS + INTS:
        code = {"f": "f", "i": "i", "u": "u"}[target[0]] + str(8 * int(target[1:]))
        values = "x != u8(0)" if source == "?" else "x"
        got = elementwise(f"{code}({values})", (source,), target)(a)
        if np.dtype(source).kind == "f" and np.dtype(target).kind != "f":
            info = np.iinfo(target)  # saturating, NaN to 0: NumPy leaves these open
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                inside = np.clip(np.nan_to_num(a.astype("f8")), float(info.min), float(info.max))
                sure = np.abs(inside) < 2.0**52
            np.testing.assert_array_equal(got[sure], inside[sure].astype(target), target)
            np.testing.assert_array_equal(got[np.isnan(a)], 0)
            np.testing.assert_array_equal(got[a == np.inf], info.max)
            np.testing.assert_array_equal(got[a == -np.inf], info.min)
        else:
            with np.errstate(all="ignore"):
                np.testing.assert_array_equal(got, a.astype(target), target)


def test_select_bitcast_and_literals(elementwise: Any) -> None:
    a = _values("f8", 0)
    got = elementwise("select(x > f64(0.0), x, f64(-1.0))", ("f8",), "f8")(a)
    np.testing.assert_array_equal(got, np.where(a > 0, a, -1.0))
    np.testing.assert_array_equal(elementwise("bitcast_i64(x)", ("f8",), "i8")(a), a.view("i8"))
    np.testing.assert_array_equal(
        elementwise("f32(0.1) * x", ("f4",), "f4")(a), np.float32(0.1) * a.astype("f4")
    )
    assert elementwise("-inf + x * f64(0.0)", ("f8",), "f8")(np.ones(1))[0] == -np.inf
    assert np.isnan(elementwise("nan", ("f8",), "f8")(np.ones(1))[0])


def test_control_flow(kernel: Any) -> None:
    body = """
for i in range(lo, hi):
    x = a[i]
    steps = f64(0.0)
    while x > f64(1.0):
        if x > f64(8.0):
            x = x / f64(4.0)
        else:
            x -= f64(1.0)
        steps += f64(1.0)
    o[i] = steps
"""
    made = kernel("a o", body, ("f8", "f8"))
    a = np.array([0.5, 1.5, 9.0, 100.0, np.nan])
    o = np.empty(5)
    made(a, o, length=5)
    np.testing.assert_array_equal(o, [0, 1, 3, 8, 0])


def test_float32_stays_float32(kernel: Any) -> None:
    body = """
acc = f32(0.0)
for i in range(lo, hi):
    acc = add_reassoc(acc, a[i] * f32(0.5))
o[0] = acc
"""
    assert "double" not in kernel("a o", body, ("f4", "f4")).llvm()


def test_bad_kernels_say_what_is_wrong(kernel: Any) -> None:
    with pytest.raises(Exception, match=r"no and_ of \(f64, f64\)"):
        kernel("a o", "for i in range(lo, hi):\n    o[i] = a[i] & a[i]", ("f8", "f8"))


def test_short_circuits_and_loops(kernel: Any) -> None:
    body = """
for i in range(lo, hi):
    total = i64(0)
    for j in range(10, 0, -3):
        if j == 4:
            continue
        total += j
        if total > 17:
            break
    for k in range(3):
        total = total + k
    if i < n and a[i] > f64(0.0) or not (i != 2):
        o[i] = f64(total)
    else:
        o[i] = f64(-1.0)
"""
    made = kernel("a o", body, ("f8", "f8"), ints="n")
    a, o = np.array([1.0, -1.0, -1.0, 2.0, 1.0]), np.empty(5)
    made(a, o, length=5, ints=(4,))
    np.testing.assert_array_equal(o, [21, -1, 21, 21, -1])


def test_bool_buffers(kernel: Any) -> None:
    body = "for i in range(lo, hi):\n    o[i] = (a[i] != u8(0)) ^ (b[i] > f32(0.0))"
    made = kernel("a b o", body, ("?", "f4", "?"))
    a, b, o = np.array([True, True, False]), np.array([1, -1, 2], "f4"), np.zeros(3, "?")
    made(a, b, o, length=3)
    np.testing.assert_array_equal(o, [False, True, True])
