"""Kernels vectorise, keep IEEE meaning, refer to no Python, and compile in bounded time."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import kernels, program
from numr.codegen.backends.cpu import machine, vectorforms

WIDE = machine.host().lanes
VECTOR = re.compile(rf"<{WIDE} x double>")
SUM = "acc = f64(0.0)\nfor i in range(lo, hi):\n    acc = {step}\no[0] = acc"


@pytest.fixture(params=["numba", "direct"], autouse=True)
def frontend(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NUMR_FRONTEND", request.param)
    return str(request.param)


def _loop_is_vector(kernel: Any, operation: str) -> bool:
    return re.search(rf"{operation}[^\n]*<{WIDE} x double>", kernel.llvm()) is not None


def test_elementwise_with_many_pointers(kernel: Any) -> None:
    body = """
for i in range(lo, hi):
    x[i] = sqrt(a[i]) + b[i]
    y[i] = c[i] * d[i] + e[i]
    z[i] = select(a[i] > f64(0.0), g[i], f[i])
"""
    made = kernel("a b c d e f g x y z", body, ("f8",) * 10)
    assert _loop_is_vector(made, "fmul")
    assert "memcheck" not in made.llvm(), "pointers are noalias: no run-time overlap checks"


@pytest.mark.skipif(not machine.host().libmvec, reason="needs glibc's libmvec")
@pytest.mark.parametrize("name", ["exp", "log", "erf", "erfc", "tanh", "log1p", "expm1", "sin"])
def test_mathematics_vectorises(kernel: Any, name: str) -> None:
    text = kernel("a o", f"for i in range(lo, hi):\n    o[i] = {name}(a[i])", ("f8", "f8")).llvm()
    if name in vectorforms.FORMS and WIDE == vectorforms.LANES:  # put in line: no call is left
        assert re.search(rf"<{WIDE} x double> @llvm\.fma", text)
        assert not re.search(rf"call <{WIDE} x double> @[^\n(]*{name}", text)
    else:
        assert re.search(rf"call <{WIDE} x double> @_ZGV\w+v_{name}\(", text)


@pytest.mark.skipif(WIDE != vectorforms.LANES, reason="the forms put in line are AVX-512's")
def test_mathematics_put_in_line_takes_two_vectors_at_a_time(kernel: Any, frontend: str) -> None:
    text = kernel("a o", "for i in range(lo, hi):\n    o[i] = exp(a[i])", ("f8", "f8")).llvm()
    loop = re.search(r"^vector\.body:(.*?)!llvm\.loop", text, re.MULTILINE | re.DOTALL)
    copies = loop[1].count("@llvm.x86.avx512.mask.scalef") if loop else 0
    # Only numr's own front end marks such loops; LLVM decides about the other's.
    assert copies == 2 or (frontend == "numba" and copies)


@pytest.mark.parametrize("step", ["add_reassoc(acc, a[i])", "max_reassoc(acc, a[i])"])
def test_reductions_vectorise(kernel: Any, step: str) -> None:
    text = kernel("a o", SUM.format(step=step), ("f8", "f8")).llvm()
    assert re.search(r"llvm\.vector\.reduce\.(fadd|fmaximum)", text)


def test_sums_without_the_mark_keep_their_order(kernel: Any) -> None:
    assert not VECTOR.search(kernel("a o", SUM.format(step="acc + a[i]"), ("f8", "f8")).llvm())
    a, o = np.array([1e16, 1.0, -1e16, 1.0] * 9), np.empty(1)
    kernel("a o", SUM.format(step="acc + a[i]"), ("f8", "f8"))(a, o, length=a.size)
    expected = 0.0
    for value in a:
        expected += value
    assert o[0] == expected


def test_maximum_keeps_nan(kernel: Any) -> None:
    made = kernel("a o", SUM.format(step="max_reassoc(acc, a[i])"), ("f8", "f8"))
    for size in (1, 7, 8, 9, 31, 33, 1000):
        for at in {0, size // 2, size - 1}:
            a, o = np.arange(1.0, size + 1), np.empty(1)
            made(a, o, length=size)
            assert o[0] == size
            a[at] = np.nan
            made(a, o, length=size)
            assert np.isnan(o[0])


def test_strided_reduction_vectorises(kernel: Any) -> None:
    body = """
for i in range(lo, hi):
    s = f64(0.0)
    for j in range(0, n):
        d0 = x[j * 3] - x[i * 3]
        d1 = x[j * 3 + 1] - x[i * 3 + 1]
        d2 = x[j * 3 + 2] - x[i * 3 + 2]
        s = add_reassoc(s, sqrt(d0 * d0 + d1 * d1 + d2 * d2))
    o[i] = s
"""
    made = kernel("x o", body, ("f8", "f8"), ints="n")
    assert _loop_is_vector(made, "llvm.sqrt") or _loop_is_vector(made, "call")
    x, o = np.random.default_rng(0).normal(size=(33, 3)), np.empty(33)
    made(x, o, length=33, ints=(33,))
    expected = np.sqrt(((x[:, None] - x) ** 2).sum(-1)).sum(1)
    np.testing.assert_allclose(o, expected, rtol=1e-13)


def test_nothing_of_python_is_in_the_code(kernel: Any) -> None:
    made = kernel("a o", "for i in range(lo, hi):\n    o[i] = exp(a[i]) / a[i]", ("f8", "f8"))
    undefined = set(re.findall(r"^declare [^\n]*@\"?([\w.]+)", made.llvm(), re.M))
    assert not any(re.match(r"Py|_Py|NRT|numba|\.const", name) for name in undefined)
    assert b"NumbaEnv" not in made.objects
    assert b"Py" not in made.objects


def test_fast_math_is_asked_for(kernel: Any) -> None:
    body = "for i in range(lo, hi):\n    o[i] = a[i] * b[i] + a[i]"
    exact = kernel("a b o", body, ("f8",) * 3)
    loose = kernel("a b o", body, ("f8",) * 3, fast=True)
    assert "fadd reassoc nsz arcp contract afn" in loose.llvm()
    # Products may be contracted with sums that allow it too, and none here does.
    assert not re.search(r"fadd \w", exact.llvm().replace("fadd double", "").replace("fadd <", ""))
    a, b, o = np.array([np.inf, np.nan, 1.0]), np.ones(3), np.empty(3)
    loose(a, b, o, length=3)
    np.testing.assert_array_equal(o, [np.inf, np.nan, 2.0])


def test_object_code_loads_without_numba(kernel: Any, tmp_path: Path) -> None:
    made = kernel(
        "a o", "for i in range(lo, hi):\n    o[i] = exp(a[i]) + lgamma(a[i])", ("f8", "f8")
    )
    (tmp_path / "code.o").write_bytes(made.objects)
    script = f"""
import sys
import numpy as np
from numr.codegen.backends.cpu import launcher, objects
address = objects.load(open({str(tmp_path / "code.o")!r}, "rb").read(), "{made.entry}_packed")
a, o = np.linspace(0.5, 3, 37), np.empty(37)
launcher.make_launcher(address, 2, (), hi=37)(a, o)
import math
assert all(abs(p - math.exp(q) - math.lgamma(q)) < 1e-14 * p for p, q in zip(o, a))
assert "numba" not in sys.modules
assert "scipy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_one_name_with_other_code(kernel: Any) -> None:
    from numr.codegen.backends.cpu import objects
    from numr.codegen.backends.cpu.compile import compile_kernel

    text = "def test_same(lo, hi, o):\n    for i in range(lo, hi):\n        o[i] = f64({})\n"
    first, second = (
        compile_kernel(text.format(v), "test_same", ("i64", "i64", "p:f64"), False)
        for v in ("1.0", "2.0")
    )
    assert objects.load(first, "test_same") != objects.load(second, "test_same")
    assert objects.load(first, "test_same") == objects.load(first, "test_same")
    with pytest.raises(LookupError, match="does not define absent"):
        objects.load(first, "absent")


def test_code_goes_with_the_last_that_uses_it() -> None:
    """Linux gives a process 65,530 pieces of memory, and each kernel takes two."""
    from numr.codegen.backends.cpu import objects
    from numr.codegen.backends.cpu.compile import compile_kernel

    text = "def test_many{0}(lo, hi, o):\n    for i in range(lo, hi):\n        o[i] = f64({0})\n"
    made = [
        compile_kernel(text.format(k), f"test_many{k}", ("i64", "i64", "p:f64"), False)
        for k in range(4)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "SHARED", 2)
        patch.setattr(objects, "_newest", None)
        addresses = [objects.load(code, f"test_many{k}") for k, code in enumerate(made)]
        engines = [weakref.ref(a.engine) for a in addresses]
    assert engines[0] is engines[1] and engines[0] is not engines[2]
    assert objects.load(made[0], "test_many0") == addresses[0]
    del addresses[0]
    gc.collect()
    assert engines[0]() is not None
    del addresses[0]
    gc.collect()
    assert engines[0]() is None and engines[2]() is not None


def test_what_is_bound_keeps_its_kernels() -> None:
    f = nr.jit(lambda x: nr.cos(x) * 1.734)
    x = np.arange(3.0)
    want = f(x).numpy()
    kernels.BUILT.clear()
    program.PROGRAMS.clear()
    gc.collect()
    np.testing.assert_array_equal(f(x).numpy(), want)
