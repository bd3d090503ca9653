"""The real device, through a driver that is not: launches, memory, streams, and what goes wrong."""

from __future__ import annotations

import numpy as np

import numr as nr
from tests.backends.cuda.fake_driver import FakeDriver


def test_kernels_run(fake_cuda: FakeDriver) -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    y = nr.jit(lambda x: nr.sin(x) * 3 + 1, device="cuda")(x)
    assert y.device == "cuda"
    np.testing.assert_allclose(y.numpy(), np.sin(x) * 3 + 1)
