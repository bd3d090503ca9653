"""The rounds of a kernel's loops, which some drivers count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.rounds import rounds
from numr.dtypes import int32
from numr.errors import DeviceError
from tests.devices.device import registered


def counted(f: Any, *args: Any, **capabilities: Any) -> list[int]:
    """The rounds of each launch."""
    with registered(index=int32, **capabilities) as device:
        kept = device.launcher
        found = []

        def launcher(built: Any, n: int, sizes: Any, points: int, work: int) -> Any:
            found.append(rounds(built, sizes))
            return kept(built, n, sizes, points, work)

        device.launcher = launcher  # type: ignore[method-assign]
        nr.jit(f, device=device.name)(*args)
        return found


def softmax(x: Any) -> Any:
    e = nr.exp(x - nr.max(x, axis=-1, keepdims=True))
    return e / nr.sum(e, axis=-1, keepdims=True)


def test_of_simple_kernels() -> None:
    x = np.ones((7, 130))
    assert counted(lambda x: x + 1, x, lanes=4) == [0]
    assert counted(lambda x: nr.sum(x, axis=1), x) == [130]
    # Three loops of 130 elements by 4 lanes, and two reductions across those.
    assert counted(softmax, x, lanes=4) == [3 * 33 + 2 * 4]
    assert counted(lambda x: nr.sum(x[:, None, :] * x[:, :, None], axis=(1, 2)), x[:, :50]) == [
        50 * 51
    ]


def test_all_loops_of_a_lane_count() -> None:
    """Each of the row's loops alone would pass."""
    x = np.ones((7, 90))
    with registered(trips=100, index=int32, lanes=2) as device:
        with pytest.raises(DeviceError, match=r"cannot run a loop of \d+ rounds"):
            nr.jit(softmax, device=device.name)(x)
        assert not device.launched


RNG = np.random.default_rng(0)
A = RNG.normal(size=(9, 9)) + 9 * np.eye(9)
B = RNG.normal(size=(9, 5))
SINGULAR = np.ones((9, 9))
# What is computed, and how few rounds it can be taken apart into.
LONG: dict[str, tuple[Any, list[Any], int]] = {
    "matmul": (nr.matmul, [RNG.normal(size=(3, 500)), RNG.normal(size=(500, 5))], 60),
    "matmul in tiles": (nr.matmul, [RNG.normal(size=(40, 300)), RNG.normal(size=(300, 33))], 300),
    "matmul of a stack": (nr.matmul, [RNG.normal(size=(2, 3, 50)), RNG.normal(size=(2, 50, 1))], 20),
    "complex": (nr.matmul, [RNG.normal(size=(3, 99)) * 1j, RNG.normal(size=(99, 5))], 20),
    "cholesky": (nr.linalg.cholesky, [A @ A.T], 70),
    "not positive": (nr.linalg.cholesky, [-A @ A.T], 70),
    "triangular": (nr.linalg.solve_triangular, [np.tril(A), B], 50),
    "solve": (nr.linalg.solve, [A, B], 140),
    "singular": (nr.linalg.solve, [SINGULAR, B], 140),
    "inv": (nr.linalg.inv, [A], 160),
    "det": (nr.linalg.det, [np.stack([A, -A, SINGULAR])], 90),
    "slogdet": (nr.linalg.slogdet, [-A], 90),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_long_products_and_factorizations_come_in_pieces(name: str) -> None:
    f, args, trips = LONG[name]
    launches = []
    for most in (None, trips):
        with registered(trips=most, index=int32, lanes=16 if "tiles" in name else 4) as device:
            got = nr.jit(f, device=device.name)(*args)
            launches.append(len(device.launched))
            want = nr.jit(f)(*args)
            pairs = zip(*(v if isinstance(v, tuple) else (v,) for v in (got, want)), strict=True)
            for g, w in pairs:
                np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-10, atol=1e-12)
    assert launches[1] > launches[0] or name.startswith("matmul"), launches
