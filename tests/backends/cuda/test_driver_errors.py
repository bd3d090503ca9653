"""What goes wrong with a CUDA device, as users are told; and the CPU works on after each of it."""

from __future__ import annotations

import ctypes
import functools
import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import target
from numr.codegen.backends.cuda import compile as compiler
from numr.codegen.backends.cuda.device import open_device
from numr.errors import DeviceError, DeviceLostError, OutOfMemoryError
from tests.backends.cuda.conftest import FakeCupy
from tests.backends.cuda.fake_driver import FakeDriver

Install = Callable[[FakeDriver], FakeDriver]
TOOLCHAIN = compiler.toolchain


@pytest.fixture(autouse=True)
def the_cpu_goes_on() -> Iterator[None]:
    yield
    x = np.arange(3.0)
    assert nr.jit(lambda x: nr.sin(x) + 1)(x).numpy().tolist() == (np.sin(x) + 1).tolist()


def refused(device: str = "cuda") -> list[str]:
    """The lines of the error that every way to use a device ends in, and `available_devices` leaves it out."""
    x = np.arange(3.0)
    texts = set()
    ways: tuple[Callable[[], Any], ...] = (
        lambda: nr.jit(lambda x: x + 1, device=device)(x),
        lambda: nr.asarray(x, device=device),
        lambda: nr.asarray(x).to_device(device),
        lambda: nr.zeros(3, device=device),
        lambda: nr.set_default_device(device),
    )
    for way in ways:
        with pytest.raises(DeviceError) as error:
            way()
        assert not isinstance(error.value, DeviceLostError)
        texts.add(error.value.args[0])
    (text,) = texts
    return [line.strip() for line in text.splitlines()]


@pytest.fixture
def few_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look for all devices does not take seconds."""
    modules = {k: v for k, v in target._MODULES.items() if k in ("cpu", "cuda")}
    monkeypatch.setattr(target, "_MODULES", modules)


# -- devices that cannot be used -----------------------------------------------------------------------


def test_no_driver(no_cuda: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    no_cuda.setattr(ctypes, "CDLL", missing)
    no_cuda.setattr(sys, "platform", "linux")
    assert refused() == [
        'device "cuda" cannot be used: no CUDA driver was found (libcuda.so.1); '
        "install NVIDIA's driver, version 580 or later",
        "devices found: cpu",
    ]


def test_a_driver_of_before_memory_pools(install: Install) -> None:
    class Old(FakeDriver):
        def __getattr__(self, name: str) -> Any:
            if name == "cuMemAllocAsync":
                raise AttributeError(name)
            return super().__getattr__(name)

    install(Old())
    assert refused()[0] == (
        'device "cuda" cannot be used: the CUDA driver is too old (it has no cuMemAllocAsync); '
        "install version 580 or later"
    )


@pytest.mark.parametrize(
    "function, code, error",
    [
        ("cuInit", 999, "CUDA_ERROR_UNKNOWN (unknown error)"),
        ("cuInit", 12345, "12345 ()"),
        ("cuDevicePrimaryCtxRetain", 2, "CUDA_ERROR_OUT_OF_MEMORY (out of memory)"),
        (
            "cuDevicePrimaryCtxRetain",
            46,
            "CUDA_ERROR_DEVICE_UNAVAILABLE (CUDA-capable device(s) is/are busy or unavailable)",
        ),
    ],
)
def test_a_driver_that_does_not_start(
    function: str, code: int, error: str, install: Install, few_devices: None
) -> None:
    fake = install(FakeDriver())
    fake.failing[function] = code
    assert refused() == [
        f'device "cuda" cannot be used: the CUDA driver does not start: {function}: {error}',
        "devices found: cpu",
    ]
    assert nr.available_devices() == ("cpu",)
    # And where that was for a time, it works after it.
    fake.failing.clear()
    assert nr.available_devices() == ("cuda", "cpu")
    assert nr.zeros(3, device="cuda").numpy().tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "count, device, reason, found",
    [
        (0, "cuda", "there is no CUDA device", "cpu"),
        (1, "cuda:1", "there is one CUDA device", "cuda, cpu"),
        (2, "cuda:7", "there are 2 CUDA devices", "cuda, cuda:1, cpu"),
    ],
)
def test_no_device_of_that_number(
    count: int, device: str, reason: str, found: str, install: Install
) -> None:
    install(FakeDriver(count))
    assert refused(device) == [
        f'device "{device}" cannot be used: {reason}',
        f"devices found: {found}",
    ]


def test_no_number(fake_cuda: FakeDriver) -> None:
    assert refused("cuda:x")[0] == 'device "cuda:x" cannot be used: "cuda" has no devices by number'


@pytest.mark.parametrize("capability, pools", [((7, 0), True), ((8, 0), False)])
def test_a_device_that_is_too_old(
    capability: tuple[int, int], pools: bool, fake_cuda: FakeDriver, few_devices: None
) -> None:
    fake_cuda.devices[0].capability, fake_cuda.devices[0].pools = capability, pools
    dotted = ".".join(map(str, capability))
    assert refused() == [
        f'device "cuda" cannot be used: compute capability {dotted} is too old; numr needs 7.5 or '
        "later, with memory pools",
        "devices found: cpu",
    ]
    assert nr.available_devices() == ("cpu",)
    assert float(nr.asarray(1.0, device="cuda:1") + 1) == 2


def test_no_compilers(fake_cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "toolchain", functools.cache(TOOLCHAIN.__wrapped__))
    monkeypatch.setitem(sys.modules, "cuda", None)
    first, last = refused()
    assert first.startswith(
        'device "cuda" cannot be used: the CUDA compiler libraries are not there: '
        'pip install "numr[cuda]" ('
    )
    assert last == "devices found: cpu"


# -- memory that runs out --------------------------------------------------------------------------------


def test_out_of_memory(fake_cuda: FakeDriver) -> None:
    fake_cuda.devices[0].memory = 2**30 // 64
    x = nr.asarray(np.ones(1000, np.float32), device="cuda")
    big = np.ones((3000, 3000), np.float32)
    outer = nr.jit(lambda x: nr.sin(x)[:, None] + nr.cos(x)[None, :])
    large = nr.asarray(np.ones(3000, np.float32), device="cuda")
    ways: tuple[Callable[[], Any], ...] = (
        lambda: nr.asarray(big, device="cuda"),
        lambda: nr.asarray(big).to_device("cuda"),
        lambda: outer(large),
        lambda: nr.jit(lambda x: x + 1, device="cuda")(big),
        lambda: (x[:, None, None] * large[:, None] * x[:9]).numpy(),
    )
    for way in ways:
        live = fake_cuda.devices[0].live
        with pytest.raises(OutOfMemoryError) as error:
            way()
        found = re.match(
            r"no memory for an array of shape \((.*)\) and dtype float32: (.*) GiB, "
            r"and (.*) GiB are free\n",
            error.value.args[0],
        )
        assert found is not None
        size = np.prod([int(n) for n in found[1].split(", ")]) * 4
        assert float(found[2]) == pytest.approx(size / 2**30, rel=0.01)
        assert float(found[3]) == pytest.approx(1 / 64, rel=0.01)
        del error, found
        gc.collect()
        assert fake_cuda.devices[0].live <= live + 2  # what a lazy array keeps: its operands
        np.testing.assert_array_equal((x * 2).numpy(), np.full(1000, 2))
    assert isinstance(OutOfMemoryError("x"), MemoryError)


def test_memory_that_arrays_gave_back_is_free(fake_cuda: FakeDriver) -> None:
    fake_cuda.devices[0].memory = 2**20
    x = nr.asarray(np.ones(2**16, np.float32), device="cuda")
    del x
    assert fake_cuda.devices[0].kept == 2**18
    assert open_device(0).free_memory() == 2**20


def test_what_cupy_keeps_is_taken_before_memory_has_run_out(
    fake_cuda: FakeDriver, fake_cupy: FakeCupy
) -> None:
    class Pool:
        def free_all_blocks(self) -> None:
            fake_cuda.devices[0].memory = 2**20

    fake_cupy.get_default_memory_pool = Pool  # type: ignore[attr-defined]
    fake_cuda.devices[0].memory = 2**10
    x = np.ones(5000, np.float32)
    np.testing.assert_array_equal(nr.asarray(x, device="cuda").numpy(), x)
    with pytest.raises(OutOfMemoryError):
        nr.asarray(np.ones(2**20, np.float32), device="cuda")


# -- what fails while a device is used ---------------------------------------------------------------------

LOST = [
    'device "cuda" was lost: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered); '
    "arrays on it are gone",
    'it runs nothing more in this process: start Python again, or go on with device="cpu"',
    "a kernel that was started before has failed, numr's or another library's",
]


def lost(way: Callable[[], Any]) -> None:
    with pytest.raises(DeviceLostError) as error:
        way()
    lines = [line.strip() for line in error.value.args[0].splitlines()]
    assert lines[: len(LOST)] == LOST


def use(x: Any) -> None:
    """Nothing of a lost device works any more, and every error says so."""
    lost(lambda: x.numpy())
    lost(lambda: (x + 1).numpy())
    lost(lambda: x.block_until_ready())
    lost(lambda: x.to_device("cpu"))
    lost(lambda: nr.asarray(np.ones(3), device="cuda"))
    lost(lambda: nr.jit(lambda x: x - 1, device="cuda")(np.ones(3)))
    lost(lambda: nr.jit(lambda x: x - 1)(x))
    lost(lambda: nr.set_default_device("cuda"))
    assert nr.available_devices() == ("cpu",)


def test_a_kernel_that_fails(fake_cuda: FakeDriver, few_devices: None) -> None:
    x = nr.asarray(np.ones(3), device="cuda")
    f = nr.jit(lambda x: x + 1)
    other = nr.asarray(np.ones(3), device="cuda:1")
    f(other)
    fake_cuda.devices[0].fault()
    y = f(x)  # it is only started
    lost(y.numpy)
    lost(functools.partial(f, x))
    use(x)
    fake_cuda.log.clear()
    float(nr.sum(nr.ones(3)))  # lazy arrays that failed are forgotten with the next that does not
    del x, y, f
    gc.collect()
    assert open_device(0).allocated == 0
    assert not fake_cuda.count("cuMemFreeAsync")  # of memory that the device has taken already


@pytest.mark.parametrize("way", ["launch", "allocation", "load", "read", "wait", "upload"])
def test_a_fault_that_any_call_meets(
    way: str, fake_cuda: FakeDriver, fake_cupy: FakeCupy, few_devices: None
) -> None:
    x = nr.asarray(np.ones(3), device="cuda")
    f = nr.jit(lambda x: x + 1)
    y = f(x)
    functions = {
        "launch": "cuLaunchKernel",
        "allocation": "cuMemAllocAsync",
        "load": "cuModuleLoadData",
        "read": "cuStreamSynchronize",
        "wait": "cuCtxSynchronize",
        "upload": "cuMemcpyHtoDAsync_v2",
    }
    fake_cuda.failing[functions[way]] = 700
    ways: dict[str, Callable[[], Any]] = {
        "launch": lambda: f(x),
        "allocation": lambda: f(x),
        "load": lambda: nr.jit(lambda x: x * 3)(x),
        "read": lambda: y.numpy(),
        "wait": lambda: y.block_until_ready(),
        "upload": lambda: nr.asarray(np.ones(3), device="cuda"),
    }
    lost(ways[way])
    use(x)


def test_the_other_devices_go_on(fake_cuda: FakeDriver) -> None:
    other = nr.asarray(np.ones(3), device="cuda:1")
    x = nr.asarray(np.ones(3), device="cuda") + 1
    fake_cuda.devices[0].fault()
    lost(lambda: x.numpy())
    assert (other + 1).numpy().tolist() == [2, 2, 2]
    fake_cuda.devices[1].fault(719)
    with pytest.raises(DeviceLostError, match=r'"cuda:1" was lost: CUDA_ERROR_LAUNCH_FAILED'):
        (other + 2).numpy()


def test_a_call_that_fails_for_itself(fake_cuda: FakeDriver) -> None:
    """No other call fails because of it, and nothing is lost."""
    x = nr.asarray(np.ones(3), device="cuda")
    f = nr.jit(lambda x: x + 1)
    f(x)
    live = fake_cuda.devices[0].live
    fake_cuda.failing["cuLaunchKernel"] = [701]
    with pytest.raises(DeviceError) as error:
        f(x)
    assert not isinstance(error.value, DeviceLostError)
    head, fix, *_ = error.value.args[0].splitlines()
    assert head == (
        'device "cuda" does not do what numr asks for: cuLaunchKernel: '
        "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES (too many resources requested for launch)"
    )
    assert fix.strip() == "please report this, with what `python -m numr.info` prints"
    del error
    gc.collect()
    assert fake_cuda.devices[0].live == live
    assert f(x).numpy().tolist() == [2, 2, 2]


def test_no_memory_for_a_kernel(fake_cuda: FakeDriver) -> None:
    fake_cuda.failing["cuModuleLoadData"] = [2, 2]
    with pytest.raises(DeviceError, match="cuModuleLoadData: CUDA_ERROR_OUT_OF_MEMORY") as error:
        nr.jit(lambda x: x + 1, device="cuda")(np.ones(3))
    assert "let go of arrays that are on it" in str(error.value)


def test_a_process_that_was_forked(fake_cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    x = nr.asarray(np.ones(3), device="cuda")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    fake_cuda.initialized = False
    for way in (x.numpy, lambda: nr.asarray(np.ones(3), device="cuda")):
        with pytest.raises(DeviceError, match="NOT_INITIALIZED") as error:
            way()
        assert "(initialization error): this process was forked from one" in str(error.value)
        assert 'multiprocessing.set_start_method("spawn")' in str(error.value)
