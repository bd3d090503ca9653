"""NUMR_CHECK: wrong results of kernels and library calls are caught and named, rounding is not."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr import config
from numr.codegen.backends.cpu.backend import Cpu
from numr.codegen.backends.cpu.library import LIBRARY
from numr.errors import CheckError

Spoil = Callable[[Any], None]


@pytest.fixture(autouse=True)
def forget_programs() -> Iterator[None]:
    """Programs with wrong kernels must not outlive their test."""
    nr.cache.clear()
    yield
    nr.cache.clear()


def break_kernels(monkeypatch: pytest.MonkeyPatch, spoil: Spoil, which: int = 0) -> None:
    """Have kernel number `which` of those bound from now on change its last buffer after it ran."""
    launcher = Cpu.launcher
    made = iter(range(1000))

    def broken(self: Cpu, *args: Any) -> Any:
        run = launcher(self, *args)
        if next(made) != which:
            return run

        def launch(*buffers: Any) -> None:
            run(*buffers)
            spoil(buffers[-1])

        return launch

    monkeypatch.setattr(Cpu, "launcher", broken)


def scaled(by: float) -> Spoil:
    def spoil(out: Any) -> None:
        out[3] *= by

    return spoil


def test_a_wrong_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    break_kernels(monkeypatch, scaled(1.5))
    f = nr.jit(lambda x: nr.exp(x) + 1.0)
    x = np.linspace(0.0, 1.0, 10)
    spoiled = f(x).numpy()[3]
    nr.cache.clear()
    break_kernels(monkeypatch, scaled(1.5))
    with config.override(check=True), pytest.raises(CheckError) as caught:
        f(x)
    text = str(caught.value)
    right = np.exp(x[3]) + 1.0
    assert spoiled == pytest.approx(1.5 * right)
    for part in (
        "step 0 (kernel 0) of the program gives another result than NumPy",
        "1 of the 10 elements of add, of shape (10,) and dtype float64",
        f"{__file__}:",
        "f = nr.jit(lambda x: nr.exp(x) + 1.0)",
        f"most at index (3,): {spoiled} where NumPy has {right}, a difference of {spoiled - right}",
        "please report it",
    ):
        assert part in text, f"{part}\nnot in\n{text}"
    assert isinstance(caught.value, AssertionError)


def test_the_first_wrong_step_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def f(a: nr.Array) -> nr.Array:
        b = nr.sin(a) @ a
        c = nr.cos(b)
        return c @ a

    a = np.random.default_rng(0).normal(size=(5, 5))
    steps = [line for line in nr.jit(f).lower(a).regions.splitlines() if line.startswith("step")]
    assert [s.partition(": ")[2].split()[0] for s in steps] == ["region", "library"] * 2
    nr.cache.clear()
    break_kernels(monkeypatch, scaled(1.001), which=1)
    with config.override(check=True), pytest.raises(CheckError, match=r"step 2 \(kernel 1\)") as e:
        nr.jit(f)(a)
    assert "of cos" in str(e.value)
    assert "c = nr.cos(b)" in str(e.value)


def test_a_wrong_library_call_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    matmul = LIBRARY["matmul"]
    monkeypatch.setitem(LIBRARY, "matmul", lambda a, b: matmul(a, b) * (1 + 1e-9))
    a = np.random.default_rng(0).normal(size=(20, 20))
    with config.override(check=True), pytest.raises(CheckError, match="library call matmul"):
        nr.jit(lambda a: nr.exp(a @ a))(a)


def put(value: Any) -> Spoil:
    def spoil(out: Any) -> None:
        out.reshape(-1)[0] = value

    return spoil


WRONG: list[tuple[Callable[[Any], Any], Any, Spoil]] = [
    (nr.exp, np.linspace(0, 1, 9), scaled(1 + 1e-12)),
    (nr.exp, np.linspace(0, 1, 9, dtype="f4"), scaled(1 + 1e-4)),
    (lambda x: x * x, np.linspace(0, 1, 9), scaled(1 + 1e-14)),
    (nr.sqrt, np.linspace(0, 1, 9), put(np.nan)),
    (lambda x: 1 / x, np.linspace(0, 1, 9), put(-np.inf)),
    (lambda x: nr.log(x), np.linspace(-1, 1, 9), put(0.0)),
    (lambda x: x + 1, np.arange(9), put(77)),
    (lambda x: x > 0, np.linspace(-1, 1, 9), put(True)),
    (lambda x: x * x, np.linspace(0, 1, 9) * (1 + 1j), scaled(1 + 1e-9)),
    (lambda x: nr.sum(x, axis=1), np.ones((9, 9)), scaled(1.01)),
    (nr.sum, np.ones((9, 9)), put(80.0)),
    (nr.grad(lambda x: nr.max(x)), np.linspace(0, 1, 9), put(0.5)),
    (lambda x: nr.asarray(x).at[np.array([0, 0, 3])].add(1.0), np.zeros(9), put(1.0)),
]


@pytest.mark.parametrize(("f", "x", "spoil"), WRONG)
def test_every_kind_of_result(
    monkeypatch: pytest.MonkeyPatch, f: Callable[[Any], Any], x: Any, spoil: Spoil
) -> None:
    with config.override(check=True):
        nr.jit(f)(x)
        nr.cache.clear()
        break_kernels(monkeypatch, spoil)
        with pytest.raises(CheckError):
            nr.jit(f)(x)


def test_lazy_arrays_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    break_kernels(monkeypatch, scaled(2.0))
    with config.override(check=True), pytest.raises(CheckError, match="of cosh"):
        nr.cosh(nr.asarray(np.ones(9))).numpy()


def test_every_call_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    spoils: list[Spoil] = [lambda out: None]
    break_kernels(monkeypatch, lambda out: spoils[-1](out))
    f = nr.jit(nr.tanh)
    with config.override(check=True):
        for _ in range(3):
            f(np.ones(9))
        spoils.append(scaled(2.0))
        with pytest.raises(CheckError):
            f(np.ones(9))


HILBERT = 1.0 / (np.arange(8)[:, None] + np.arange(8) + 1.0)
ROUNDING: list[tuple[Callable[..., Any], Any]] = [
    (lambda x: nr.sum(x - nr.mean(x)), np.random.default_rng(0).normal(size=10_000) * 1e8),
    (lambda x: nr.sin(nr.exp(x)), np.full(9, 20.0)),
    (lambda x: nr.exp(nr.log(x)) == x, np.linspace(1, 9, 1000)),
    (lambda x: nr.where(nr.exp(nr.log(x)) > x, 1.0, -1.0), np.linspace(1, 9, 1000)),
    (lambda x: nr.floor(nr.exp(nr.log(x))), np.arange(1.0, 1000.0)),
    (lambda x: 1 / (nr.exp(nr.log(x)) - x), np.linspace(1, 9, 100)),
    (lambda x: nr.sum(x, dtype="float32"), np.linspace(-1, 1, 100_000, dtype="f4")),
    (nr.linalg.inv, HILBERT),
    (lambda x: nr.sort(nr.sin(x)), np.linspace(0, 100, 1000)),
    (lambda x: nr.argmax(nr.sin(x) ** 2 + nr.cos(x) ** 2), np.linspace(0, 100, 1000)),
]


@pytest.mark.parametrize(("f", "x"), ROUNDING)
@pytest.mark.parametrize("fast_math", [False, True])
def test_rounding_is_no_error(f: Callable[..., Any], x: Any, fast_math: bool) -> None:
    with config.override(check=True):
        nr.jit(f, fast_math=fast_math)(x)


def test_other_sizes() -> None:
    f = nr.jit(nr.grad(lambda x: nr.sum(nr.softmax(x, axis=-1) ** 2 + nr.mean(x, axis=0))))
    with config.override(check=True):
        for shape in ((30, 40), (31, 40), (30, 41), (3, 2), (0, 5)):
            x = np.random.default_rng(0).normal(size=shape)
            checked = f(x).numpy()
            with config.override(check=False):
                np.testing.assert_array_equal(checked, f(x).numpy())


def test_nothing_of_it_is_there_when_off() -> None:
    def calls(**settings: Any) -> set[str]:
        f = nr.jit(functools.partial(nr.multiply, 3.0))
        with config.override(**settings):
            f(np.ones(4))
        (plan,) = f._plans.values()
        return {name.rstrip("0123456789") for name in plan.run.__code__.co_names}

    plain = calls()
    assert plain == {"new", "kernel"}
    assert calls(check=True) == plain | {"check"}
    assert calls(debug="launch") == plain | {"say"}
    assert calls() == plain


def test_the_environment_turns_it_on(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, numr as nr\n"
        "from numr.codegen.backends.cpu import library\n"
        "library.LIBRARY['matmul'] = lambda a, b: np.zeros((2, 2))\n"
        "a = nr.asarray(np.ones((2, 2)))\n"
        "print((a @ a).numpy())\n"
    )
    folder = Path(nr.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(folder), "NUMR_CHECK": "1"}
    done = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True)
    assert done.returncode != 0
    assert "CheckError: step 0 (library call matmul)" in done.stderr
    assert "script.py:5 in <module>" in done.stderr or "script.py:5" in done.stderr
    del env["NUMR_CHECK"]
    assert subprocess.run([sys.executable, script], env=env, capture_output=True).returncode == 0
