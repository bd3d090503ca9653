"""The WebGPU runtime: nothing is made anew in repeated calls, uploads wait their turn, sizes beyond limits."""

from __future__ import annotations

import gc
import sys
import threading
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.backends.webgpu.gpu import MAX_GROUPS, gpu
from numr.errors import DeviceLostError


def made() -> tuple[int, int, int]:
    s = gpu().statistics
    return s.pipelines, s.buffers, s.bind_groups


def test_repeated_calls_make_nothing_and_keep_nothing() -> None:
    f = nr.jit(lambda x, a: nr.sum(nr.sin(x) * a), device="webgpu")
    x = nr.asarray(np.ones(1000, np.float32), device="webgpu")
    # More free buffers than a launcher keeps bind groups for.
    free = [nr.asarray(np.ones(1, np.float32), device="webgpu") for _ in range(100)]
    free.clear()
    for _ in range(600):
        f(x, 2.0)
    gpu().flush()
    before, live = made(), gpu().pool.live
    for _ in range(10_000):
        f(x, 2.0)
    assert made() == before
    assert gpu().pool.live == live


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


@pytest.mark.parametrize("rows", [MAX_GROUPS - 1, MAX_GROUPS, MAX_GROUPS + 7, 2 * MAX_GROUPS])
def test_more_rows_of_lanes_than_one_axis_has_groups(rows: int) -> None:
    """Where rows fill no rectangle of workgroups, those left over must do nothing."""
    x = np.random.default_rng(0).integers(1, 9, (rows, 33)).astype(np.float32)
    f = nr.jit(lambda x: x / nr.sum(x, axis=1, keepdims=True), device="webgpu")
    assert "lanes" in str(f.lower(x).kernels[0].ir)
    got = f(x).numpy()
    np.testing.assert_allclose(got, x / x.sum(1, keepdims=True), rtol=1e-6)


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


def test_a_lost_device_is_an_error_and_the_next_use_opens_another() -> None:
    kept = nr.asarray(np.full(4, 3, np.float32), device="webgpu")
    shift = np.full(4, 1, np.float32)  # goes to the device with the plan
    f = nr.jit(lambda x: x * 2 + shift, device="webgpu")
    x = nr.asarray(np.arange(4, dtype=np.float32), device="webgpu")
    np.testing.assert_array_equal(f(x).numpy(), [1, 3, 5, 7])
    gpu().device.destroy()
    with pytest.raises(DeviceLostError, match=r'device "webgpu" was lost') as error:
        f(x).numpy()
    assert "x.to_device" in str(error.value) and __file__ in str(error.value)
    with pytest.raises(DeviceLostError, match="lost"):
        kept.numpy()
    with pytest.raises(DeviceLostError, match="lost"):
        f(x)
    x = nr.asarray(np.arange(4, dtype=np.float32), device="webgpu")
    np.testing.assert_array_equal(f(x).numpy(), [1, 3, 5, 7])
    np.testing.assert_array_equal((x + x).numpy(), [0, 2, 4, 6])


def test_arrays_collected_in_a_cycle_return_usable_buffers() -> None:
    for k in range(3):
        cycle: list[Any] = [nr.asarray(np.full(5, k, np.float32), device="webgpu")]
        cycle.append(cycle)
        del cycle
        gc.collect()
        x = nr.asarray(np.full(5, 7, np.float32), device="webgpu")
        np.testing.assert_array_equal((x + k).numpy(), np.full(5, 7 + k))


def test_numbers_are_sent_as_arguments_of_a_repeated_call() -> None:
    f = nr.jit(lambda x, a: x * a, device="webgpu")
    x = nr.asarray(np.arange(4, dtype=np.float32), device="webgpu")
    results = [f(x, float(k)) for k in range(40)]
    for k, result in enumerate(results):
        np.testing.assert_array_equal(result.numpy(), np.arange(4) * k)
    assert f(x, 2).numpy().tolist() == [0, 2, 4, 6]
    assert f(x[:2], 2.0).numpy().tolist() == [0, 2]


def test_a_lazy_loop_whose_numbers_change_stays_on_its_device() -> None:
    x = nr.asarray(np.full(5, 7, np.float32), device="webgpu")
    for k in range(5):
        np.testing.assert_array_equal((x + k).numpy(), np.full(5, 7 + k))
        assert (x + k).device == "webgpu"


def test_first_calls_of_several_threads_at_once() -> None:
    """Each finds all of what a launcher keeps for its device, or makes it."""
    x = nr.asarray(np.arange(4, dtype=np.float32), device="webgpu")
    failed: list[BaseException] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for k in range(20):
            f = nr.jit(lambda x, k=k: x + k, device="webgpu")
            f(x[:3])  # compiles
            start = threading.Barrier(4)

            def work(f: Any = f, k: int = k, start: threading.Barrier = start) -> None:
                try:
                    start.wait()
                    np.testing.assert_array_equal(f(x).numpy(), np.arange(4) + k)
                except BaseException as error:
                    failed.append(error)

            threads = [threading.Thread(target=work) for _ in range(4)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failed


def test_arrays_that_end_while_their_work_is_only_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """In cycles, on several threads, and with no room to keep their buffers."""
    pool = gpu().pool
    monkeypatch.setattr(pool, "give", lambda block: type(pool).give(pool, block, 0))
    f = nr.jit(lambda x: nr.sin(x) * 2, device="webgpu")
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for k in range(60):
                x = np.full(1000 * (1 + (7 * k + number) % 11), number, np.float32)
                y = f(f(x))
                cycle: list[Any] = [y]
                cycle.append(cycle)
                if k % 7 == 0:
                    gc.collect()
                if k % 5 == 0:
                    np.testing.assert_allclose(y.numpy(), 2 * np.sin(2 * np.sin(x)), rtol=1e-5)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    gc.collect()
    gc.freeze()  # what earlier tests left need not be looked through again and again
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    gc.unfreeze()
    assert not failed
    gc.collect()
    gpu().wait()  # it submits: what another thread let go at the end of a batch goes with the next
    assert not pool._dropped
