"""Kernels of several lanes, interpreted: the results of NumPy, and no race between lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import numr as nr
from numr.codegen.kernel import Barrier, Buffer, Kernel, Let, Literal, Shared, Store, Var
from numr.dtypes import float32, float64, int32
from tests.devices import interpreter
from tests.devices.device import registered

RNG = np.random.default_rng(0)


def softmax(x: Any) -> Any:
    e = nr.exp(x - nr.max(x, axis=-1, keepdims=True))
    return e / nr.sum(e, axis=-1, keepdims=True)


def softmax_by_hand(x: Any) -> Any:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def pairs(x: Any) -> Any:
    away = x[:, None] - x[None, :]
    return nr.sum(away / (away * away + 1), axis=1)


def pairs_by_hand(x: Any) -> Any:
    away = x[:, None] - x[None, :]
    return (away / (away * away + 1)).sum(1)


CASES: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[Any]]] = {
    "one long row": (nr.sum, np.sum, [RNG.normal(size=300)]),
    "two stages": (nr.sum, np.sum, [RNG.normal(size=20_000)]),
    "two stages of rows": (
        lambda x: nr.sum(x.T * 2), lambda x: np.sum(x * 2), [RNG.normal(size=(130, 129))],
    ),
    "rows": (lambda x: nr.sum(x, axis=1), lambda x: x.sum(1), [RNG.normal(size=(3, 500))]),
    "two axes, the inner one short": (
        lambda x, y: nr.sum(x * y, axis=(1, 2)), lambda x, y: (x * y).sum((1, 2)),
        [RNG.normal(size=(3, 70, 9)), RNG.normal(size=(70, 9))],
    ),
    "three axes that do not collapse": (
        lambda x, y: nr.sum(x[:, ::2, :, None] * y, axis=(1, 2, 3)),
        lambda x, y: (x[:, ::2, :, None] * y).sum((1, 2, 3)),
        [RNG.normal(size=(3, 14, 11)), RNG.normal(size=(11, 6))],
    ),
    "long columns": (
        lambda x: nr.sum(x * x, axis=0) / nr.max(x, axis=0),
        lambda x: (x * x).sum(0) / x.max(0), [RNG.normal(size=(1100, 7))],
    ),
    "long columns of several axes": (
        lambda x: nr.sum(x + 1, axis=(1, 2)), lambda x: (x + 1).sum((1, 2)),
        [RNG.normal(size=(2, 1030, 2, 5))],
    ),
    "softmax": (softmax, softmax_by_hand, [RNG.normal(size=(3, 200))]),
    "results that are rows": (
        lambda x: x / nr.sum(x, axis=(1, 2), keepdims=True) + 1,
        lambda x: x / x.sum((1, 2), keepdims=True) + 1,
        [RNG.uniform(1, 2, size=(2, 40, 7))],
    ),
    "all pairs": (pairs, pairs_by_hand, [RNG.normal(size=40)]),
    "max of integers": (
        lambda x: nr.max(x, axis=1), lambda x: x.max(1), [RNG.integers(-9, 9, size=(4, 150))],
    ),
    "matmul": (
        lambda x, y: x @ y, np.matmul, [RNG.normal(size=(70, 40)), RNG.normal(size=(40, 67))],
    ),
    "sort": (lambda x: nr.sort(x, axis=-1), np.sort, [RNG.normal(size=(2, 90))]),
    "cumsum": (
        lambda x: nr.cumsum(x, axis=-1), lambda x: x.cumsum(-1), [RNG.normal(size=(2, 150))],
    ),
    "cholesky": (nr.linalg.cholesky, np.linalg.cholesky, [np.cov(RNG.normal(size=(12, 40)))]),
    "solve": (
        nr.linalg.solve, scipy.linalg.solve, [RNG.normal(size=(11, 11)), RNG.normal(size=(11, 3))],
    ),
    "complex cumprod": (
        lambda x: nr.cumulative_prod(x), lambda x: x.cumprod(),
        [np.exp(1j * RNG.normal(size=150))],
    ),
    "complex cholesky": (
        nr.linalg.cholesky, np.linalg.cholesky,
        [np.cov(RNG.normal(size=(7, 40)) + 1j * RNG.normal(size=(7, 40)))],
    ),
    "complex solve": (
        nr.linalg.solve, scipy.linalg.solve,
        [RNG.normal(size=(7, 7)) + 1j * RNG.normal(size=(7, 7)), RNG.normal(size=(7, 3)) + 2j],
    ),
    "complex slogdet": (
        lambda x: nr.linalg.slogdet(x)[0] * nr.linalg.slogdet(x)[1], lambda x: np.prod(np.linalg.slogdet(x)),
        [RNG.normal(size=(7, 7)) + 1j * RNG.normal(size=(7, 7))],
    ),
    "det": (nr.linalg.det, np.linalg.det, [RNG.normal(size=(9, 9))]),
}  # fmt: skip


# These are made of many points with a lane each, or of tiles that need many lanes.
APART = ("sort", "cumsum", "complex cumprod", "long columns", "long columns of several axes")
TILED = (
    "matmul",
    "cholesky",
    "solve",
    "det",
    "complex cholesky",
    "complex solve",
    "complex slogdet",
)


@pytest.mark.parametrize("lanes", [1, 4, 32, 256])
@pytest.mark.parametrize("name", CASES)
def test_kernels_of_lanes(name: str, lanes: int) -> None:
    f, by_hand, arrays = CASES[name]
    with registered(lanes=lanes, index=int32) as device:
        got = nr.jit(f, device=device.name)(*arrays).numpy()
        most = max(k.lanes for k in device.launched)
    assert most <= lanes
    dealt = lanes > 1 and name not in APART and (lanes == 256 or name not in TILED)
    assert most > 1 or not dealt, "nothing was dealt out"
    np.testing.assert_allclose(got, by_hand(*arrays), rtol=1e-11, atol=1e-11)


def test_very_many_results_of_the_same_elements_take_a_lane_each() -> None:
    x = RNG.normal(size=1100)
    with registered(lanes=32, index=int32) as device:
        lowered = nr.jit(pairs, device=device.name).lower(x)
        assert "lanes" not in str(lowered.kernels[0].ir)
        lowered = nr.jit(pairs, device=device.name).lower(x[:100])
        assert "lanes 32" in str(lowered.kernels[0].ir)


def test_races_are_found() -> None:
    """What the tests above rely on: a kernel whose lanes meet at an element, with and without a barrier."""
    lane, other = Var("lane", int32), Var("v1", int32)
    value = Var("v2", float64)
    read = [
        Let(other, "sub", (Literal(3, int32), lane)),
        Let(value, "load", (other,), "part"),
        Store("a0", lane, value),
    ]

    def kernel(*between: Any) -> Kernel:
        store = Store("part", lane, Literal(2.0, float64))
        buffer = Buffer("a0", float64, True)
        return Kernel((buffer,), (), [store, *between, *read], 4, (Shared("part", float64, 4),))

    result = np.zeros(4)
    interpreter.run(kernel(Barrier()), [result], (), 1)
    assert np.array_equal(result, np.full(4, 2.0))
    with pytest.raises(interpreter.RaceError, match=r"loads part\["):
        interpreter.run(kernel(), [result], (), 1)
    same = Kernel(
        (Buffer("a0", float32, True),),
        (),
        [Store("a0", Literal(0, int32), Literal(1.0, float32))],
        4,
    )
    with pytest.raises(interpreter.RaceError, match="stores to a0"):
        interpreter.run(same, [np.zeros(1, np.float32)], (), 1)
