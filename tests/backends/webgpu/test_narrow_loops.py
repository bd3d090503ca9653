"""Loops and branches on a device without 64-bit numbers: what cannot run is told by the user's line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import numr as nr
from numr.codegen import program, target
from numr.codegen.recent import Recent
from numr.dtypes import float64, int64, uint64

pytestmark = pytest.mark.usefixtures("narrow")


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = target.get("webgpu")
    dtypes = frozenset(backend.capabilities.dtypes) - {int64, uint64, float64}
    monkeypatch.setattr(backend, "capabilities", replace(backend.capabilities, dtypes=dtypes))
    monkeypatch.setattr(program, "PROGRAMS", Recent(2**24))


@pytest.mark.parametrize("loops", [1, 2])
def test_a_wide_number_in_a_loop_inside_a_kernel(loops: int) -> None:
    def step(c, _):
        wide = c.astype("float64") * 1.1
        return wide.astype("float32"), None

    f = lambda x: nr.scan(step, x, length=9)[0]
    g = f if loops == 1 else lambda x: nr.scan(lambda c, _: (f(c) + 1, None), x, length=9)[0]
    with pytest.raises(nr.errors.DTypeError, match=r"no float64[\s\S]*wide = c.ast"):
        nr.jit(g, device="webgpu")(np.ones(3, np.float32))


def test_branches_need_no_wide_numbers() -> None:
    x = np.array([3.0, 1.0, 2.0], np.float32)
    f = lambda x: nr.cond(nr.sum(x) > 0, nr.sort, lambda x: x, x)
    assert nr.jit(f, device="webgpu")(x).tolist() == [1.0, 2.0, 3.0]
    g = lambda k, x: nr.switch(k, [nr.sort, lambda x: x, lambda x: 2 * x], x)
    for k in (-1, 1, 7):
        want = {-1: np.sort(x), 1: x, 7: 2 * x}[k]
        assert nr.jit(g, device="webgpu")(np.int32(k), x).tolist() == want.tolist()
