"""The real device, through a driver that is not there: launches, memory, streams, contexts, several devices."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.backends.cuda import driver
from numr.codegen.backends.cuda.device import open_device
from numr.codegen.backends.cuda.print import THREADS
from numr.errors import DeviceError
from tests.backends.cuda.conftest import FakeCupy
from tests.backends.cuda.fake_driver import FakeDriver

ROOT = Path(__file__).parents[3]
WAITS = ("cuStreamSynchronize", "cuCtxSynchronize", "cuMemcpyDtoHAsync_v2")


def pointer(array: Any) -> int:
    return array._value.storage.pointer  # type: ignore[no-any-return]


def there(values: Any, dtype: Any = np.float32, device: str = "cuda") -> Any:
    return nr.asarray(np.asarray(values, dtype), device=device)


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run work(0), work(1), ... at once, and raise what one of them raises."""
    failed: list[BaseException] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        try:
            start.wait()
            work(number)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


# -- launches ----------------------------------------------------------------------------------------


def test_the_words_of_a_launch(fake_cuda: FakeDriver) -> None:
    x = there(np.arange(12).reshape(3, 4))
    f = nr.jit(lambda x, y: nr.flip(x, axis=1) + y, device="cuda")
    y = f(x, x[::-1] * 2)
    _, _, *grid, stream, params, _, words = fake_cuda.calls("cuLaunchKernel")[-1]
    entry, points, pointers, sizes = words
    (kernel,) = f.lower(x, x).kernels
    assert f"def {entry}(" in kernel.source
    assert points == 12 and 4 in sizes
    assert pointers[0] == pointer(x) and pointers[-1] == pointer(y)
    assert grid == [1, 1, 1, THREADS, 1, 1, 0] and stream == params == 0
    np.testing.assert_array_equal(y.numpy(), x.numpy()[:, ::-1] + 2 * x.numpy()[::-1])


def test_grids(fake_cuda: FakeDriver) -> None:
    fake_cuda.computes = False
    device = open_device(0)
    assert device.blocks == driver.BLOCKS_EACH * fake_cuda.devices[0].multiprocessors
    for n, blocks in (
        (1, 1),
        (4 * THREADS, 1),
        (4 * THREADS + 1, 2),
        (4 * THREADS * 1000, device.blocks),
    ):
        nr.jit(lambda x: x + 1, device="cuda")(np.zeros(n, np.float32))
        assert fake_cuda.calls("cuLaunchKernel")[-1][2:9] == (blocks, 1, 1, THREADS, 1, 1, 0)


X = np.random.default_rng(0).standard_normal((5, 7))
AT = np.array([3, 0, 3, 1, 4])
FUNCTIONS: dict[str, tuple[Callable[[Any, Any], Any], tuple[Any, ...]]] = {
    "elements": (lambda m, x: m.sin(x) * 2 + x, (X,)),
    "booleans": (lambda m, x: (x > 0) & ~(x > 1), (X,)),
    "complex": (lambda m, x: (x + 2j * x) * x, (X,)),
    "integers": (lambda m, i: i // 2 + i % 3, (AT,)),
    "strides": (lambda m, x: x.T[::-1, 1:] + x[0, 0], (X,)),
    "broadcasts": (lambda m, x, r: x * r, (X, X[0].copy())),
    "rows": (lambda m, x: m.sum(x, axis=1), (np.repeat(X, 10, axis=1),)),
    "columns": (lambda m, x: m.max(x, axis=0), (X,)),
    "everything": (lambda m, x: m.sum(x * x), (X,)),
    "products": (lambda m, x: x @ x.T, (X,)),
    "gathers": (lambda m, x, i: x[i], (X, AT)),
    "sorts": (lambda m, x: m.sort(x, axis=1), (X[:2],)),
    "nothing": (lambda m, x: x + 1, (X[:0],)),
    "products of nothing": (lambda m, x, y: x @ y, (X[:0], X.T)),
    "nothing added": (lambda m, x: m.sum(x, axis=0), (X[:0],)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_are_numpys(name: str, fake_cuda: FakeDriver) -> None:
    f, args = FUNCTIONS[name]
    want = f(np, *args)
    for got in (
        nr.jit(lambda *a: f(nr, *a), device="cuda")(*args),  # NumPy's arrays are sent
        nr.jit(lambda *a: f(nr, *a))(*[nr.asarray(a, device="cuda") for a in args]),
        f(nr, *[nr.asarray(a).to_device("cuda") for a in args]),  # lazily
    ):
        assert got.device == "cuda" and got.dtype == want.dtype
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-12)


@pytest.mark.parametrize("dtype", [d.name for d in nr.dtypes.ALL])
def test_round_trips(dtype: str, fake_cuda: FakeDriver) -> None:
    for shape in ((), (0,), (1,), (3, 5), (2, 0, 3)):
        x = (np.arange(np.prod(shape)) % 2).astype(dtype).reshape(shape)
        back = nr.asarray(x, device="cuda").to_device("cpu")
        assert back.device == "cpu" and back.numpy().dtype == x.dtype
        np.testing.assert_array_equal(back.numpy(), x)


def test_a_repeated_call_allocates_and_launches_and_that_is_all(fake_cuda: FakeDriver) -> None:
    f = nr.jit(lambda x, y, z: nr.sin(x) * y + z, device="cuda")
    args = [there(np.ones(5)) for _ in range(3)]
    f(*args), f(*args)
    fake_cuda.log.clear()
    f(*args)
    got = [call[0] for call in fake_cuda.log if call[0] != "cuCtxGetCurrent"]
    assert got == ["cuMemAllocAsync", "cuLaunchKernel", "cuMemFreeAsync"]


def test_nothing_waits_until_a_value_is_read(fake_cuda: FakeDriver) -> None:
    f = nr.jit(lambda x: x * 2 + 1, device="cuda")
    x = y = there(np.arange(5))
    for _ in range(20):
        y = f(y)
    z = y + x  # lazy, too
    lines = nr.grad(lambda x: nr.sum(x * x))(z)
    assert not fake_cuda.count(*WAITS)
    want = np.arange(5.0)
    for _ in range(20):
        want = want * 2 + 1
    np.testing.assert_array_equal(y.numpy(), want.astype(np.float32))
    assert [call[0] for call in fake_cuda.calls(*WAITS)] == [WAITS[2], WAITS[0]]
    np.testing.assert_array_equal(lines.numpy(), 2 * (want + np.arange(5)).astype(np.float32))


def test_waiting_is_for_all_streams(fake_cuda: FakeDriver, fake_cupy: FakeCupy) -> None:
    fake_cupy.current = fake_cupy.stream(blocking=False)
    y = nr.jit(lambda x: x + 1, device="cuda")(np.zeros(3, np.float32))
    fake_cupy.current, stream = None, fake_cupy.current
    y.block_until_ready()
    operation = fake_cuda.devices[0].streams[stream.ptr].last
    assert operation is not None and operation.done


def test_a_call_within_a_call_has_words_of_its_own(
    fake_cuda: FakeDriver, fake_cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A finalizer may run anywhere, and compute the same thing."""
    f = nr.jit(lambda x: x + 1, device="cuda")
    x, other = there([1, 2, 3]), there([7, 8, 9])
    f(x), f(x)
    inner: list[Any] = []

    def within(device_id: int) -> Any:
        if not inner and sys._getframe(4).f_code.co_name == "run":
            inner.append(None)
            inner.append(f(other))
        return fake_cupy.default

    monkeypatch.setattr(fake_cupy.cuda, "get_current_stream", within)
    outer = f(x)
    assert len(inner) == 2
    np.testing.assert_array_equal(outer.numpy(), [2, 3, 4])
    np.testing.assert_array_equal(inner[1].numpy(), [8, 9, 10])


def test_several_threads(fake_cuda: FakeDriver) -> None:
    """They open the device once, and their calls do not mix up their words."""
    f = nr.jit(lambda x: x * 2, device="cuda")

    def work(number: int) -> None:
        for k in range(30):
            x = np.full(3, 100 * number + k, np.float32)
            np.testing.assert_array_equal(f(x).numpy(), 2 * x)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        in_threads(4, work)
    finally:
        sys.setswitchinterval(interval)
    gc.collect()
    assert fake_cuda.devices[0].retained == 1
    assert fake_cuda.devices[0].live == open_device(0).allocated == 0


# -- memory ------------------------------------------------------------------------------------------


def test_memory_returns(fake_cuda: FakeDriver) -> None:
    f = nr.jit(lambda x, y: (nr.sum(x @ y), nr.sort(x[0])), device="cuda")
    x = there(np.ones((5, 5)))
    live, held = fake_cuda.devices[0].live, open_device(0).allocated
    assert (live, held) == (1, 100)
    first, second = f(x, x.T)
    lazy = first + second
    lazy.numpy()
    cycle: list[Any] = [lazy]
    cycle.append(cycle)
    assert fake_cuda.devices[0].live > live
    del first, second, lazy, cycle
    gc.collect()
    assert (fake_cuda.devices[0].live, open_device(0).allocated) == (live, held)
    del x
    assert (fake_cuda.devices[0].live, open_device(0).allocated) == (0, 0)


def test_ten_thousand_calls_keep_nothing(fake_cuda: FakeDriver) -> None:
    f = nr.jit(lambda x: nr.sin(x) * 2, device="cuda")
    x = y = there(np.ones(5))
    fake_cuda.computes = False
    for _ in range(10_000):
        y = f(x)
    assert (fake_cuda.devices[0].live, open_device(0).allocated) == (2, 40)
    assert y.shape == (5,)


def test_the_pool_keeps_so_much(fake_cuda: FakeDriver) -> None:
    fake_cuda.devices[1].threshold = 2**64 - 1  # whoever else uses the pool wants more
    there(1.0), there(1.0, device="cuda:1")
    assert [d.threshold for d in fake_cuda.devices] == [driver.KEPT, 2**64 - 1]


def test_an_upload_that_fails_keeps_nothing(fake_cuda: FakeDriver) -> None:
    fake_cuda.failing["cuMemcpyHtoDAsync_v2"] = [1]
    with pytest.raises(DeviceError, match="cuMemcpyHtoDAsync_v2: CUDA_ERROR_INVALID_VALUE"):
        there([1, 2, 3])
    assert fake_cuda.devices[0].live == open_device(0).allocated == 0
    np.testing.assert_array_equal(there([1, 2, 3]).numpy(), [1, 2, 3])


@pytest.mark.parametrize("pinned", [False, True])
def test_a_host_array_may_change_after_it_was_sent(pinned: bool, fake_cuda: FakeDriver) -> None:
    """Pinned memory is read later than the copy is asked for."""
    x = np.ones(5, np.float32)
    if pinned:
        fake_cuda.pinned.append(x)
    y = nr.jit(lambda x: x + 1, device="cuda")(x)
    assert bool(fake_cuda.count("cuStreamSynchronize")) == pinned
    x[:] = 7
    np.testing.assert_array_equal(y.numpy(), np.full(5, 2))


def test_what_ends_on_another_thread(fake_cuda: FakeDriver) -> None:
    kept = [there([k]) for k in range(4)]
    del kept[0]
    in_threads(1, lambda _: kept.clear())
    assert fake_cuda.devices[0].live == 0


def test_what_ends_with_the_interpreter() -> None:
    """Arrays of modules and in cycles, after the driver's library may have ended."""
    script = """
import sys
import numpy as np, numr as nr
from numr.codegen.backends.cuda import compile as compiler, driver
from tests.backends.cuda.fake_driver import FakeDriver
class Ending(FakeDriver):
    def forced(self, name, ending=sys.is_finalizing):
        assert not ending(), "the driver has ended"
        return super().forced(name)
fake = Ending()
driver._library = lambda: fake
compiler.toolchain = lambda: compiler.Toolchain(None, None, b"", "none")
x = nr.asarray(np.ones(3), device="cuda")
cycle = [nr.asarray(np.ones(3), device="cuda")]
cycle.append(cycle)
sys.modules["keeps"] = nr.asarray(np.ones(3), device="cuda:1")
print(fake.devices[0].live)
"""
    done = python(script)
    assert (done.stdout, done.stderr, done.returncode) == ("2\n", "", 0)


def python(script: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_ENABLE_CUDASIM")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT,
        env=env | {"NUMR_CACHE": "off"},
        capture_output=True,
        text=True,
    )


def test_who_does_not_ask_for_cuda_imports_nothing_of_it() -> None:
    done = python("""
import sys
import numr as nr
assert float(nr.jit(lambda x: nr.sum(nr.sin(x)))(nr.ones(3, dtype="float32"))) > 2
assert float(nr.grad(lambda x: x * x)(3.0)) == 6
names = ("cuda", "cupy", "numba.cuda", "numba_cuda", "torch", "numr.codegen.backends.cuda")
print([m for m in sys.modules if m.startswith(tuple(f"{n}." for n in names)) or m in names])
""")
    assert (done.stdout, done.stderr) == ("[]\n", "")


# -- streams -----------------------------------------------------------------------------------------


def streams(fake: FakeDriver) -> set[int]:
    """The streams that calls in the log are about."""
    last = ("cuMemAllocAsync", "cuMemFreeAsync", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2")
    found = {call[-1] for call in fake.calls(*last, "cuStreamSynchronize")}
    return found | {call[9] for call in fake.calls("cuLaunchKernel")}


def test_work_goes_to_cupys_current_stream(fake_cuda: FakeDriver, fake_cupy: FakeCupy) -> None:
    f = nr.jit(lambda x: x + 1, device="cuda")
    x = np.arange(3, dtype=np.float32)
    np.testing.assert_array_equal(f(x).numpy(), x + 1)
    assert streams(fake_cuda) == {0}
    for _ in range(2):
        fake_cupy.current = fake_cupy.stream()
        fake_cuda.log.clear()
        np.testing.assert_array_equal(f(x).numpy(), x + 1)
        assert streams(fake_cuda) == {fake_cupy.current.ptr}


def test_each_device_has_its_current_stream(fake_cuda: FakeDriver, fake_cupy: FakeCupy) -> None:
    fake_cupy.current = fake_cupy.stream(device=1)
    for device in ("cuda", "cuda:1"):
        fake_cuda.log.clear()
        assert float(there(1.0, device=device) + 1) == 2
        assert streams(fake_cuda) == {0 if device == "cuda" else fake_cupy.current.ptr}


def test_a_cupy_that_is_only_half_imported(
    fake_cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", type(sys)("cupy"))
    assert float(there(1.0) + 1) == 2


@pytest.mark.parametrize("blocking", [True, False])
def test_what_was_made_on_another_stream_is_read(
    blocking: bool, fake_cuda: FakeDriver, fake_cupy: FakeCupy
) -> None:
    f = nr.jit(lambda x: x + 1, device="cuda")
    fake_cupy.current = fake_cupy.stream(blocking=blocking)
    y = f(np.zeros(3, np.float32))
    fake_cupy.current = None
    np.testing.assert_array_equal(y.numpy(), np.ones(3))
    z = f(np.zeros(3, np.float32))
    fake_cupy.current = fake_cupy.stream(blocking=blocking)
    np.testing.assert_array_equal(z.numpy(), np.ones(3))


def test_memory_is_not_another_streams_before_the_work_on_it_is_done(
    fake_cuda: FakeDriver, fake_cupy: FakeCupy
) -> None:
    """Whatever stream is the current one where the last reference goes."""
    f = nr.jit(lambda x: x + 1, device="cuda")
    first, second = (fake_cupy.stream(blocking=False) for _ in range(2))
    fake_cupy.current = first
    x = there([1, 2, 3])
    y = f(x)
    fake_cupy.current = second
    freed = pointer(y)
    del y  # its kernel waits in the first stream
    assert fake_cuda.calls("cuMemFreeAsync")[-1][1:] == (freed, first.ptr)
    fake_cuda.wait_for(second.ptr)
    fake_cuda.wait_for(first.ptr)
    z = f(x)
    del x  # which a kernel in the second stream will read
    fake_cuda.wait_for(first.ptr)
    np.testing.assert_array_equal(z.numpy(), [2, 3, 4])
    assert not fake_cuda.faults


def test_a_stream_lives_as_long_as_its_memory(fake_cuda: FakeDriver, fake_cupy: FakeCupy) -> None:
    fake_cupy.current = fake_cupy.stream()
    x = there([1, 2, 3])
    handle = fake_cupy.current.ptr
    fake_cupy.current = None
    np.testing.assert_array_equal(x.numpy(), [1, 2, 3])
    del x
    gc.collect()
    assert fake_cuda.calls("cuMemFreeAsync")[-1][2] == handle
    assert handle not in fake_cuda.devices[0].streams


# -- contexts and several devices --------------------------------------------------------------------


def test_the_first_device_is_cuda_too(fake_cuda: FakeDriver) -> None:
    x = there([1, 2], device="cuda:0")
    assert x.device == "cuda" and (x + there([1, 2])).numpy().tolist() == [2, 4]
    assert nr.jit(lambda x: x + 1, device="cuda:0")(x).device == "cuda"


def test_arrays_of_the_second_device(fake_cuda: FakeDriver) -> None:
    x = there([1, 2, 3], device="cuda:1")
    y = nr.jit(lambda x: x * 2)(x)
    assert x.device == y.device == (x + y).device == "cuda:1"
    back = y.to_device("cuda")
    assert back.device == "cuda" and (back + 1).numpy().tolist() == [3, 5, 7]
    assert y.to_device("cuda:1").numpy().tolist() == [2, 4, 6]
    assert fake_cuda.devices[0].live and fake_cuda.devices[1].live
    with nr.config.override(default_device="cuda:1"):
        assert nr.arange(3).device == "cuda:1" and float(nr.sum(nr.arange(3))) == 3


def test_devices_do_not_mix(fake_cuda: FakeDriver) -> None:
    x, y = there([1, 2]), there([1, 2], device="cuda:1")
    with pytest.raises(DeviceError, match=r"float32 on cuda, .* float32 on cuda:1\n"):
        x + y
    with pytest.raises(DeviceError, match=r"float32 on cuda:1\n"):
        nr.jit(lambda x: x + 1, device="cuda")(y)
    with pytest.raises(DeviceError, match=r"on cuda, .* on cuda:1"):
        nr.jit(lambda x, y: x + y)(x, y)


def test_others_current_context_stays(fake_cuda: FakeDriver, fake_cupy: FakeCupy) -> None:
    """A program that works on the second device, and lets numr work on the first; and the reverse."""
    f = nr.jit(lambda x: x + 1)
    first, second = there([1.0]), there([1.0], device="cuda:1")
    f(first), f(second)
    for device in fake_cuda.devices:
        fake_cuda.stack[:] = [device]
        for x in (first, second):
            assert float(f(x)) == float(x + 1) == 2
            x.block_until_ready()
            assert fake_cuda.stack == [device]
    fake_cuda.stack.clear()
    assert float(f(second)) == 2 and not fake_cuda.stack


def test_an_array_of_another_device_that_ends_at_any_time(
    fake_cuda: FakeDriver, fake_cupy: FakeCupy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory returns between the choice of a context and the call that needs it."""
    f = nr.jit(lambda x: x + 1)
    x = there([1, 2, 3])
    f(x), f(x)
    ending: list[Any] = []

    def within(device_id: int) -> Any:
        ending.clear()
        return fake_cupy.default

    monkeypatch.setattr(fake_cupy.cuda, "get_current_stream", within)
    for work in (lambda: f(x), lambda: there([2, 3, 4]), lambda: x + 1):
        ending.append(there([1.0], device="cuda:1"))
        np.testing.assert_array_equal(work().numpy(), [2, 3, 4])
        assert not ending
