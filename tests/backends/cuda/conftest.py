"""A machine with CUDA devices that are not there: the fake driver in the real one's place, for one test."""

from __future__ import annotations

import functools
import gc
import itertools
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from numr.codegen import kernels, program, target
from numr.codegen.backends.cuda import compile as compiler
from numr.codegen.backends.cuda import device, driver, library
from numr.codegen.recent import Recent
from tests.backends.cuda.fake_driver import FakeDriver
from tests.backends.cuda.fake_kernels import artifact

_number = itertools.count()


@pytest.fixture
def no_cuda(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing about CUDA is known: no device was opened, no program was made, no kernel is on disk, and
    what this machine has of CuPy is not there. All of it is back after the test."""
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM", raising=False)
    monkeypatch.setenv("NUMR_CACHE_DIR", str(tmp_path))
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(device, "_opened", functools.cache(device._opened.__wrapped__))
    others = {name: b for name, b in target._LOADED.items() if not name.startswith("cuda")}
    monkeypatch.setattr(target, "_LOADED", others)
    monkeypatch.setattr(program, "PROGRAMS", Recent(2**24))
    monkeypatch.setattr(kernels, "BUILT", Recent(8192))
    monkeypatch.setattr(compiler, "toolchain", functools.cache(compiler.toolchain.__wrapped__))
    monkeypatch.setattr(library, "library", dict)
    return monkeypatch


@pytest.fixture
def install(no_cuda: pytest.MonkeyPatch) -> Iterator[Callable[[FakeDriver], FakeDriver]]:
    """Puts a driver in the real one's place."""
    installed = []

    def put(fake: FakeDriver) -> FakeDriver:
        installed.append(fake)
        # Its kernels are no machine code: no fingerprint of a real compiler's may name them.
        made = compiler.Toolchain(None, None, b"", f"fake {next(_number)}")
        no_cuda.setattr(compiler, "toolchain", lambda: made)
        no_cuda.setattr(driver, "_library", lambda: fake)
        no_cuda.setattr(driver.DriverDevice, "compile", lambda self, kernel, fast: artifact(kernel))
        return fake

    yield put
    if any(fake.executables for fake in installed):
        # Graphs end before their device does, which ends in no process but this.
        no_cuda.setattr(program, "PROGRAMS", Recent(2**24))
        gc.collect()
    for fake in installed:
        assert not fake.misuse


@pytest.fixture
def fake_cuda(install: Callable[[FakeDriver], FakeDriver]) -> FakeDriver:
    """Two devices, "cuda" and "cuda:1"."""
    return install(FakeDriver())


class FakeStream:
    """A stream as CuPy has it: it ends with its last reference."""

    def __init__(self, fake: FakeDriver, device: int, blocking: bool) -> None:
        self.device = fake.devices[device]
        self.ptr = self.device.new_stream(blocking)

    def __del__(self) -> None:
        self.device.destroy_stream(self.ptr)


class FakeCupy(types.ModuleType):
    """CuPy as far as numr asks it for streams.

    Attributes:
        current: the current stream, None for the default one.
    """

    def __init__(self, fake: FakeDriver) -> None:
        super().__init__("cupy")
        self.fake = fake
        self.current: FakeStream | None = None
        self.default = types.SimpleNamespace(ptr=0)
        self.cuda = types.SimpleNamespace(get_current_stream=self._stream)

    def _stream(self, device_id: int = -1) -> Any:
        here = self.current is not None and self.current.device is self.fake.devices[device_id]
        return self.current if here else self.default

    def stream(self, device: int = 0, blocking: bool = True) -> Any:
        """A new stream."""
        return FakeStream(self.fake, device, blocking)


@pytest.fixture
def fake_cupy(fake_cuda: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> FakeCupy:
    """An imported CuPy."""
    module = FakeCupy(fake_cuda)
    monkeypatch.setitem(sys.modules, "cupy", module)
    only_for(fake_cuda, monkeypatch)
    return module


def only_for(fake: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices of other tests, which end at any time, see nothing of this one's CuPy."""
    real = driver.DriverDevice.current_stream

    def current_stream(self: driver.DriverDevice) -> Any:
        return real(self) if self.call.library is fake else None

    monkeypatch.setattr(driver.DriverDevice, "current_stream", current_stream)
