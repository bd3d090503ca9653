"""Random programs in Python's control flow: what they compute rewritten, against Python itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.ir.interpret import interpret

_SPEC = importlib.util.spec_from_file_location("programs", Path(__file__).with_name("programs.py"))
assert _SPEC is not None and _SPEC.loader is not None
programs = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(programs)

XS = np.array([0.4, -0.9, 1.2])
ARGUMENTS = [(0.3, 0.7, 3), (-1.1, 0.2, 0), (1.4, -0.6, 5)]


def evaluated(f: Any, *args: Any) -> float:
    """The result of a jitted function's graph, by the evaluator in NumPy, which compiles nothing."""
    traced = f.trace(*args)
    values = dict(zip(traced.params, map(np.asarray, args), strict=True))
    return interpret(traced.outputs, values)[0].item()  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", range(40))
def test_all_values_traced(seed: int) -> None:
    f = programs.compiled(programs.Program(seed).write(), f"program {seed}")
    g = nr.jit(f, control_flow=True)
    for a, b, n in ARGUMENTS:
        got = evaluated(g, a, b, n, XS)
        assert got == pytest.approx(f(a, b, n, XS), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("seed", range(400, 408))
def test_compiled(seed: int) -> None:
    f = programs.compiled(programs.Program(seed, arrays=True).write(), f"program {seed}")
    g = nr.jit(f, control_flow=True)
    for a, b, n in ARGUMENTS:
        assert g(a, b, n, XS).item() == pytest.approx(f(a, b, n, XS), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("seed", range(300, 325))
def test_arrays_changed_in_place(seed: int) -> None:
    source = programs.Program(seed, arrays=True).write()
    f = programs.compiled(source, f"program {seed}")
    g = nr.jit(f, control_flow=True)
    for a, b, n in ARGUMENTS:
        got = evaluated(g, a, b, n, XS)
        assert got == pytest.approx(f(a, b, n, XS), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("seed", range(100, 115))
def test_some_values_known(seed: int) -> None:
    f = programs.compiled(programs.Program(seed).write(), f"program {seed}")
    h = nr.control_flow(f)
    for a, b, n in ARGUMENTS:
        want = f(a, b, n, XS)
        assert h(a, b, n, XS) == want  # in Python altogether
        for known in (
            lambda a, h=h, b=b, n=n: h(a, b, n, XS),
            lambda b, h=h, a=a, n=n: h(a, b, n, XS),
        ):
            given = a if known.__code__.co_varnames[0] == "a" else b
            got = evaluated(nr.jit(known), given)
            assert got == pytest.approx(want, rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("seed", range(200, 215))
def test_derivatives(seed: int) -> None:
    """Loops of known length only: these have derivatives in reverse."""
    source = programs.Program(seed, traced_ranges=False, whiles=False).write()
    f = programs.compiled(source, f"program {seed}")
    g = nr.jit(nr.grad(nr.control_flow(f), argnums=1))
    h = 1e-6
    for a, b, n in ARGUMENTS:
        slope = (f(a, b + h, n, XS) - f(a, b - h, n, XS)) / (2 * h)
        if abs(slope) < 1e3:  # no jump of the program's within h
            assert evaluated(g, a, b, n, XS) == pytest.approx(slope, rel=1e-6, abs=1e-7)
