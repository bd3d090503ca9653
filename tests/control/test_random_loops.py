"""Random nests of loops and branches, transformed, cut up and at several sizes, against what NumPy does."""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import heuristics, lowered, program, repeat
from numr.codegen.recent import Recent


def helper(name: str) -> Any:
    """A module beside this one."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


compiled, LoopProgram = helper("programs").compiled, helper("loop_programs").LoopProgram
WAYS = ("plain", "vmap", "vmap of vmap", "grad", "vmap of grad", "jvp", "hvp")


def number(out: Any) -> Any:
    total = nr.asarray(0.0)
    for leaf in nr.tree.leaves(out):
        if leaf.dtype.kind == "f":
            total = total + nr.sum(0.5 * leaf * leaf + leaf)
        elif leaf.dtype.kind == "c":
            total = total + nr.sum(0.7 * nr.real(leaf) - nr.imag(leaf))
    return total


def transformed(f: Callable[..., Any], way: str, axes: Any, others: Any) -> Callable[..., Any]:
    """One way to use a program, by derivatives in its first argument."""
    slope = nr.grad(lambda *a: number(f(*a)))
    return {
        "plain": f,
        "vmap": nr.vmap(f, axes),
        "vmap of vmap": nr.vmap(nr.vmap(f, axes), others),
        "grad": slope,
        "vmap of grad": nr.vmap(slope, axes),
        "jvp": lambda x, *rest: nr.jvp(lambda y: f(y, *rest), (x,), (nr.ones_like(x),)),
        "hvp": nr.grad(lambda *a: nr.sin(slope(*a))),
    }[way]


@pytest.mark.parametrize("seed", range(14))
def test_a_random_loop(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pick = random.Random(seed)
    way, cut = WAYS[seed % len(WAYS)], pick.choice(("whole", "in pieces", "lane by lane"))
    monkeypatch.setattr(program, "PROGRAMS", Recent(2**24))
    if cut == "in pieces":
        monkeypatch.setattr(lowered, "STRETCH", 1)
        monkeypatch.setattr(repeat, "FEWEST_ROUNDS", 2)
        monkeypatch.setattr(repeat, "GROWTH", 1)
    if cut == "lane by lane":
        monkeypatch.setattr(heuristics, "LANES_TOGETHER", 1 << 40)
    whiles = way in ("plain", "vmap", "vmap of vmap", "jvp")
    made = LoopProgram(seed, kinds="ffffibc", whiles=whiles, loops=2, most=12)
    f = compiled("import numr as nr\n" + made.source, f"loops {seed}")
    axes = tuple(pick.choice((None, 0, len(s))) for _, s in made.arguments[1:])
    axes, others = (0, *axes), (0, *(pick.choice((None, 0)) for _ in axes))
    rng = np.random.default_rng(seed)
    # Sizes that schedules and kernels tell apart, and some that they do not.
    for n, lanes in ((2, 3), (1, 17), (18, 20)):
        batch = [(lanes, *axes)] if way.startswith("vmap") else []
        batch += [(2, *others)] if way == "vmap of vmap" else []
        args = made.values(rng, n, made.length, batch)
        g = transformed(lambda *a, n=n: f(*a, n), way, axes, others)
        with np.errstate(all="ignore"):
            want = nr.jit(g, device="reference")(*args)
        got = nr.jit(g)(*args)
        for a, b in zip(nr.tree.leaves(got), nr.tree.leaves(want), strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-9)
