"""What control flow says of bad input: what changed, where, and whose line it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import NotDifferentiableError, ShapeError, TracedValueError, TreeMismatchError

X = np.ones(3)
ROOT = Path(__file__).parents[2]


def test_a_carry_that_changes() -> None:
    with pytest.raises(TypeError) as caught:
        nr.scan(lambda c, x: ({"a": c["a"], "b": c["b"][:2]}, x), {"a": 1.0, "b": X}, X)
    text = str(caught.value)
    assert "numr.scan of <lambda>: what it carries changes at ['b']" in text
    assert "shape (3,) float64 before a step, shape (2,) float64 after" in text
    with pytest.raises(
        TypeError, match="shape \\(\\) int64 before a step, shape \\(\\) float64 after"
    ):
        nr.while_loop(lambda n: n < 5, lambda n: n / 2, nr.asarray(4))
    with pytest.raises(TreeMismatchError, match=r"what <lambda> carries on"):
        nr.fori_loop(0, 3, lambda i, c: [c[0]], (1.0,))
    assert (
        nr.fori_loop(0, 3, lambda i, c: c / 2, 8).item() == 1.0
    )  # a number takes the body's dtype


def test_branches_that_differ() -> None:
    with pytest.raises(
        TypeError, match=r"the branches differ in result.*shape \(\) float64.*shape \(3,\) float64"
    ):
        nr.cond(True, lambda x: x, lambda x: nr.sum(x), X)
    with pytest.raises(
        TypeError, match=r"the branches differ in result\['a'\]: .* int64, .* float64"
    ):
        nr.switch(0, [lambda x: {"a": nr.asarray(1)}, lambda x: {"a": nr.asarray(1.0)}], X)
    with pytest.raises(TreeMismatchError, match=r"what <lambda> returns"):
        nr.cond(True, lambda x: (x, x), lambda x: x, X)
    with pytest.raises(ValueError, match="at least one branch"):
        nr.switch(0, [])


def test_conditions_and_bounds() -> None:
    with pytest.raises(
        TypeError,
        match=r"pred is to be one boolean, not an array of shape \(3,\) and dtype float64",
    ):
        nr.cond(X, nr.sin, nr.cos, 1.0)
    with pytest.raises(TypeError, match=r"index is to be one integer, not an array of shape"):
        nr.switch(1.5, [nr.sin, nr.cos], 1.0)
    with pytest.raises(TypeError, match=r"must return one boolean, not shape \(3,\) bool"):
        nr.while_loop(lambda x: x < 3, lambda x: x + 1, X)
    with pytest.raises(
        TypeError, match=r"upper is to be an integer, not an array of shape .* float64"
    ):
        nr.fori_loop(0, 2.5, lambda i, x: x, X)


def test_rows() -> None:
    step = lambda c, x: (c, x)
    with pytest.raises(ShapeError, match=r"of different lengths: xs\[0\] 3, xs\[1\] 2"):
        nr.scan(step, 0.0, (X, X[:2]))
    with pytest.raises(ShapeError, match=r"of different lengths: length 5, xs 3"):
        nr.scan(step, 0.0, X, length=5)
    with pytest.raises(ShapeError, match=r"no arrays to go along: say length"):
        nr.scan(step, 0.0)
    with pytest.raises(ShapeError, match=r"xs has no axis to go along"):
        nr.scan(step, 0.0, 1.0)
    with pytest.raises(TypeError, match=r"must return \(carry, y\), not float|not Array"):
        nr.scan(lambda c, x: c, 0.0, X)
    with pytest.raises(TypeError, match=r"numr.scan takes a function, not int"):
        nr.scan(3, 0.0, X)  # type: ignore[arg-type]


def test_decisions_in_python() -> None:
    with pytest.raises(TracedValueError, match=r"inside numr.scan"):
        nr.scan(lambda c, x: (c if x > 0 else -c, x), 1.0, X)


def test_reverse_through_a_while_loop() -> None:
    f = lambda x: nr.while_loop(lambda x: x < 100, lambda x: x * x, x)
    with pytest.raises(
        NotDifferentiableError, match=r"while_loop.*max_steps.*numr\.fori_loop or numr\.scan"
    ):
        nr.grad(f)(2.0)
    assert nr.jvp(f, (2.0,), (1.0,))[1].item() > 0


ENDLESS = """
import os, signal, threading
import numpy as np
import numr as nr

signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored in what starts this
f = nr.jit(lambda x: nr.while_loop(lambda x: nr.sum(x) < 9, lambda x: {step}, x))
f(np.full(({n}, {n}), 9.0))
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    f(np.eye({n}) * 2 / {n})
except KeyboardInterrupt:
    print("stopped,", nr.fori_loop(0, 3, lambda i, x: x + 1, 0).item())
"""


@pytest.mark.parametrize(
    ("step", "n", "way"),
    [
        ("x * 1.0", 2, "inside one kernel"),
        ("nr.roll(x, 1, 0)", 20, "by programs"),
        ("nr.linalg.inv(x)", 2, "by programs"),
    ],
    ids=["in a kernel", "natively", "in Python"],
)
def test_an_endless_loop_is_stopped_from_the_keyboard(step: str, n: int, way: str) -> None:
    program = ENDLESS.replace("{step}", step).replace("{n}", str(n))
    program = program.replace(
        "threading.Timer",
        f"assert {way!r} in nr.explain(f, np.full(({n}, {n}), 9.0))\nthreading.Timer",
        1,
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.stdout == "stopped, 3\n", done.stderr


def test_a_leaked_value() -> None:
    kept: list[Any] = []
    nr.scan(lambda c, x: (kept.append(c) or c, x), 1.0, X)  # type: ignore[func-returns-value]
    with pytest.raises(nr.errors.LeakedValueError, match=r"is used after numr.scan of"):
        kept[0] + 1
