"""The WebGPU runtime: nothing is made anew in repeated calls, uploads wait their turn, sizes beyond limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.backends.webgpu import memory
from numr.codegen.backends.webgpu.gpu import MAX_GROUPS, gpu


def made() -> tuple[int, int, int]:
    s = gpu().statistics
    return s.pipelines, s.buffers, s.bind_groups


def test_repeated_calls_make_nothing_and_keep_nothing() -> None:
    f = nr.jit(lambda x, a: nr.sum(nr.sin(x) * a), device="webgpu")
    x = nr.asarray(np.ones(1000, np.float32), device="webgpu")
    for _ in range(600):
        f(x, 2.0)
    gpu().flush()
    before, live = made(), memory.pool.live
    for _ in range(10_000):
        f(x, 2.0)
    assert made() == before
    assert memory.pool.live == live


def test_an_upload_waits_for_what_reads_the_buffer() -> None:
    f = nr.jit(lambda x: x + 1, device="webgpu")
    results = []
    for k in range(50):  # each argument's buffer is free again while its kernel is only recorded
        results.append(f(np.full(100, float(k), np.float32)))
    for k, r in enumerate(results):
        assert (r.numpy() == k + 1).all()


@pytest.mark.parametrize("dtype", [d.name for d in nr.dtypes.ALL])
def test_round_trips(dtype: str) -> None:
    for shape in ((), (0,), (1,), (3, 5), (2, 0, 3), (1001,)):
        x = (np.arange(np.prod(shape)) % 2).astype(dtype).reshape(shape)
        there = nr.asarray(x, device="webgpu")
        assert there.device == "webgpu"
        back = there.to_device("cpu").numpy()
        assert back.dtype == x.dtype and back.shape == x.shape
        np.testing.assert_array_equal(back, x)


def test_more_groups_than_one_axis_has() -> None:
    n = 64 * MAX_GROUPS + 1000
    x = np.arange(n, dtype=np.int32)
    np.testing.assert_array_equal(nr.jit(lambda x: x + 1, device="webgpu")(x).numpy(), x + 1)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_arrays_larger_than_a_binding(dtype: Any) -> None:
    n = gpu().binding_limit // np.dtype(dtype).itemsize + 1_000_003
    x = np.arange(n).astype(dtype)
    got = nr.jit(lambda x: nr.flip(x) + 1, device="webgpu")(x).numpy()
    np.testing.assert_array_equal(got, x[::-1] + dtype(1))


def test_out_of_memory() -> None:
    most = gpu().limits["max-buffer-size"]
    with pytest.raises(nr.errors.OutOfMemoryError, match="float32"):
        nr.zeros(most // 4 + 1024, dtype="float32", device="webgpu")
    assert nr.ones(3, device="webgpu").numpy().sum() == 3
