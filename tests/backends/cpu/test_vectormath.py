"""Each mathematical function within 4 ulp of mpmath, and NumPy's or SciPy's value where it is special."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import special

from benchmarks import accuracy
from numr.codegen.backends.cpu import compile as cpu_compile
from numr.codegen.backends.cpu import machine
from numr.codegen.language import operations

BOUND = 4.0
FUNCTIONS: dict[str, Any] = {
    **{
        n: getattr(np, n) for n in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt")
    },
    **{n: getattr(np, n) for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{f"a{n}": getattr(np, f"arc{n}") for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "erf": special.erf,
    "erfc": special.erfc,
    "lgamma": special.gammaln,
    "digamma": special.digamma,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "pow": np.power,
    "atan2": np.arctan2,
    "hypot": np.hypot,
    "fmod": np.fmod,
    "polygamma": special.polygamma,
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, np.inf, -np.inf, np.nan]
EDGES = {
    "f64": [5e-324, -5e-324, 1e-310, -1e-310, 1e300, -1e300, 1.7e308, 710.0, -746.0, 1e-17, 1e22],
    "f32": [1e-45, -1e-45, 1e-40, -1e-40, 1e30, -1e30, 3.4e38, 89.0, -104.0, 1e-9, 1e12],
}


def _labels() -> list[str]:
    return list(accuracy.forms())


@pytest.mark.parametrize("code", ["f64", "f32"])
@pytest.mark.parametrize("item", accuracy.CASES, ids=lambda c: f"{c.name} {c.where}")
def test_within_the_bound(item: accuracy.Case, code: str) -> None:
    row = accuracy.measure(item, code, 150)
    assert max(row.errors.values()) <= BOUND, f"{row.errors} at {row.at}"


def test_every_function_is_measured() -> None:
    assert (
        {c.name for c in accuracy.CASES}
        == {*operations.MATH_1, *operations.MATH_2}
        == set(FUNCTIONS)
    )


@pytest.mark.parametrize("code", ["f64", "f32"])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_special_values(name: str, code: str) -> None:
    kind = accuracy.DTYPES[code]
    values = np.array(SPECIAL + EDGES[code], kind)
    if name == "polygamma":
        order, x = np.meshgrid(np.arange(4.0, dtype=kind), values[np.abs(values) < 1e10])
        arrays = [order.ravel(), x.ravel()]
    elif name in operations.MATH_2:
        arrays = [g.ravel() for g in np.meshgrid(values, values)]
    else:
        arrays = [values]
    if name == "lgamma":  # SciPy's overflows for subnormal numbers
        arrays = [
            values[(np.abs(values) >= np.finfo(kind).tiny) | (values == 0) | np.isnan(values)]
        ]
    with np.errstate(all="ignore"):
        expected = FUNCTIONS[name](*arrays)
        if name in ("lgamma", "digamma", "polygamma"):  # SciPy's float32 forms are no reference
            expected = FUNCTIONS[name](*(a.astype("f8") for a in arrays))
        expected = np.asarray(expected).astype(kind)
    for label, width in accuracy.forms().items():
        with accuracy.lanes(width):
            run = accuracy.compiled(name, code, "special" + label.replace("-", ""))
        # Every length of loop: whole vectors and each remainder give the same values.
        for size in (arrays[0].size, 5):
            got = run(*(np.ascontiguousarray(a[:size]) for a in arrays))
            _compare(got, expected[:size], arrays, name, code)


def _compare(got: Any, expected: Any, arrays: list[Any], name: str, code: str) -> None:
    for k, (value, true) in enumerate(zip(got, expected, strict=True)):
        where = f"{name}({', '.join(repr(a[k]) for a in arrays)}) is {value}, not {true}"
        if np.isnan(true) or np.isinf(true):
            np.testing.assert_array_equal(value, true, where)
        elif true == 0:
            assert abs(value) <= np.finfo(accuracy.DTYPES[code]).smallest_subnormal, where
            if value == 0 and name != "polygamma":
                assert np.signbit(value) == np.signbit(true), where
        else:
            # NumPy's own float32 functions are within 4 ulp, too.
            assert abs(float(value) - float(true)) <= 8 * float(np.spacing(abs(true))), where


@pytest.mark.skipif(not machine.host().libmvec, reason="needs glibc's libmvec")
def test_elsewhere_functions_are_scalar() -> None:
    text = "def test_plain(lo, hi, a, o):\n    for i in range(lo, hi):\n        o[i] = exp(a[i])\n"
    params = ("i64", "i64", "p:f64", "p:f64")
    with accuracy.lanes(1):
        plain = cpu_compile.optimised_llvm(text, "test_plain", params, False)
    assert "_ZGV" not in plain
    assert "_ZGV" in cpu_compile.optimised_llvm(text, "test_plain", params, False)


def test_polygamma_far_below_zero() -> None:
    """The sum there would have as many terms as the argument is large."""
    run = accuracy.compiled("polygamma", "f64", "far")
    for order in (1.0, 2.0, 3.0):
        x = np.array([-1e15 + 0.5, -1000.25, -20.75, -19.75, -1e300, -np.inf])
        got = run(np.full_like(x, order), x)
        with accuracy.mpmath.workprec(200):
            exact = [float(accuracy.mpmath.polygamma(int(order), v)) for v in x[1:4]]
        np.testing.assert_allclose(got[1:4], exact, rtol=1e-13)
        assert np.isfinite(got[0])
        np.testing.assert_array_equal(got[4:], np.inf if order % 2 else -np.inf)
