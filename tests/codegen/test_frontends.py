"""The direct front end says what is wrong with a kernel, and the choice of front end is checked."""

from __future__ import annotations

import subprocess
import sys

import pytest

from numr.codegen.language import direct, frontend

PARAMS = ("i64", "i64", "p:f64")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("x = a[lo] + i64(1)", r"line 2: the kernel language has no add of \(f64, i64\)"),
        ("x = i64(1)\n    x = f64(1.0)", "line 3: x is i64 and cannot become f64"),
        ("x = y", "y is not defined"),
        ("x = print(lo)", "print is not a function"),
        ("x = [lo]", "has no List"),
        ("x = lo[0]", "only pointer parameters"),
        ("x = a[f64(1.0)]", "is f64, not an integer"),
        ("if lo:\n        pass", "a condition is i64, not bool"),
        ("for i in a:\n        pass", "runs over a range"),
        ("with a:\n        pass", "has no With"),
        ("x = lo ** hi", "no Pow of"),
        ("x = lo < hi < lo", "has no Compare"),
    ],
)
def test_errors(body: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        direct.lower(f"def k(lo, hi, a):\n    {body}\n", "k", PARAMS)


def test_parameters_must_fit() -> None:
    with pytest.raises(TypeError, match="2 types for 3 parameters"):
        direct.lower("def k(lo, hi, a):\n    pass\n", "k", PARAMS[:2])
    with pytest.raises(TypeError, match="the definition of other"):
        direct.lower("def k(lo, hi, a):\n    pass\n", "other", PARAMS)


def test_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMR_FRONTEND", "gcc")
    with pytest.raises(ValueError, match="not 'gcc'"):
        frontend.chosen()


def test_it_needs_no_numba() -> None:
    script = """
import os, sys
os.environ["NUMR_FRONTEND"] = "direct"
from numr.codegen.backends.cpu import compile
compile.compile_kernel("def k(lo, hi, a):\\n    a[lo] = digamma(a[lo])\\n", "k", ("i64", "i64", "p:f64"), False)
assert "numba" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
