"""Kernels whose loops are in parts, ends and inside: values at all sizes, and that the inside asks nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr

RNG = np.random.default_rng(11)
SHAPES = [(0,), (1,), (2,), (3,), (5,), (64,), (1000,)]
MATRICES = [(0, 3), (1, 1), (1, 7), (2, 2), (3, 3), (4, 1), (7, 33), (40, 130)]


def heat(xp: Any, u: Any) -> Any:
    inner = u[1:-1, 1:-1]
    around = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]
    return xp.pad(inner + 0.2 * (around - 4 * inner), 1)


VECTORS: dict[str, Callable[[Any, Any], Any]] = {
    "roll": lambda xp, x: xp.roll(x, 1) + xp.roll(x, -1) - 2 * x,
    "far roll": lambda xp, x: xp.roll(x, 3) * xp.roll(x, -4),
    "pad": lambda xp, x: xp.pad(xp.sin(x), (2, 3)),
    "pads": lambda xp, x: xp.pad(x, (0, 5)) - xp.pad(x, (5, 0)) + xp.pad(x, (2, 3)),
    "where": lambda xp, x: xp.where(xp.arange(x.shape[0]) < 3, x, -x),
    "where far": lambda xp, x: xp.where(xp.arange(x.shape[0]) >= x.shape[0] - 2, 0.0, x),
}
PLANES: dict[str, Callable[[Any, Any], Any]] = {
    "rolls": lambda xp, u: (
        xp.roll(u, 1, 0) + xp.roll(u, -1, 0) - xp.roll(u, 1, 1) * xp.roll(u, -1, 1)
    ),
    "pads": lambda xp, u: xp.pad(u, ((1, 0), (0, 2))) * 2.0 + xp.pad(u, ((0, 1), (1, 1))),
    "rows": lambda xp, u: xp.roll(xp.pad(u, ((2, 2), (0, 0))), 1, 1),
}


def check(f: Callable[[Any, Any], Any], x: Any) -> None:
    got = nr.jit(lambda x: f(nr, x))(x)
    with np.errstate(all="ignore"):
        want = f(np, x)
    np.testing.assert_allclose(got.numpy(), want, rtol=1e-14)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", VECTORS)
def test_vectors(name: str, shape: Any) -> None:
    check(VECTORS[name], RNG.normal(size=shape))


@pytest.mark.parametrize("shape", MATRICES, ids=str)
@pytest.mark.parametrize("name", [*PLANES, "heat"])
def test_planes(name: str, shape: Any) -> None:
    u = RNG.normal(size=shape)
    u.flat[: u.size // 3] = np.nan  # what is not wanted must not be there
    if name != "heat":
        check(PLANES[name], u)
    elif min(shape) > 2:
        check(heat, u)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_share_the_inside(threads: int) -> None:
    with nr.config.override(num_threads=threads):
        check(VECTORS["pads"], RNG.normal(size=3_000_000))
        check(heat, RNG.normal(size=(1500, 1400)))


def test_gradients() -> None:
    u, v = RNG.normal(size=(9, 14)), RNG.normal(size=(9, 14))
    f = lambda u: nr.sum(heat(nr, heat(nr, nr.sin(u))) ** 2)
    slope = nr.sum(nr.jit(nr.grad(f))(u) * v).item()
    h = 1e-6
    assert slope == pytest.approx((f(u + h * v) - f(u - h * v)).item() / (2 * h), rel=1e-7)


def test_the_inside_asks_nothing() -> None:
    kernel = str(nr.jit(lambda u: heat(nr, u)).lower(np.ones((50, 60))).kernels[0].ir)
    loops = kernel.split("\n    for ")[1:]
    assert len(loops) == 3
    assert "guarded_load" in loops[0] and "guarded_load" in loops[2]
    assert "guarded_load" not in loops[1] and "select" not in loops[1]
