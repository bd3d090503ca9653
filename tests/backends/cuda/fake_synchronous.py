"""Those functions of libcuda that a program in C uses besides: what waits, and what ends things."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import numpy as np

from tests.backends.cuda.fake_abi import (
    INVALID_VALUE,
    OUT_OF_MEMORY,
    CudaError,
    Int,
    Out,
    Out8,
    Word,
    put,
)
from tests.backends.cuda.fake_device import run

if TYPE_CHECKING:
    from tests.backends.cuda.fake_driver import FakeDriver


class SynchronousFunctions:
    """The functions; all are in the order of the legacy stream."""

    driver: FakeDriver

    def cuMemAlloc_v2(self, pointer: Out8, nbytes: Word) -> None:
        queue = self.driver.stream(0)
        if not nbytes:
            raise CudaError(INVALID_VALUE)
        found = queue.device.allocate(nbytes, queue)
        if found is None:
            raise CudaError(OUT_OF_MEMORY)
        run(queue.last)
        put(ctypes.c_uint64, pointer, found)

    def cuMemFree_v2(self, pointer: Word) -> None:
        queue = self.driver.stream(0)
        end = queue.device.give_back(pointer)
        assert end is not None, "memory that is not there to be given back"
        self.driver.finish(queue.device, queue.give(self.driver.work(queue.device, end)))

    def cuMemcpyHtoD_v2(self, pointer: Word, source: Word, nbytes: Word) -> None:
        queue = self.driver.stream(0)

        def copy() -> None:
            raw = ctypes.string_at(source, nbytes)
            queue.device.bytes_at(pointer, nbytes)[:] = np.frombuffer(raw, np.uint8)

        self.driver.finish(queue.device, queue.give(self.driver.work(queue.device, copy)))

    def cuMemcpyDtoH_v2(self, target: Out, pointer: Word, nbytes: Word) -> None:
        queue = self.driver.stream(0)

        def copy() -> None:
            ctypes.memmove(target, queue.device.bytes_at(pointer, nbytes).ctypes.data, nbytes)

        self.driver.finish(queue.device, queue.give(self.driver.work(queue.device, copy)))

    def cuMemsetD32_v2(self, pointer: Word, number: Int, count: Word) -> None:
        queue = self.driver.stream(0)

        def fill() -> None:
            queue.device.bytes_at(pointer, 4 * count).view(np.uint32)[:] = number

        queue.give(self.driver.work(queue.device, fill))

    def cuModuleUnload(self, module: Word) -> None:
        device, _ = self.driver.modules.pop(module)
        assert device is self.driver.current, "a module of another context"
        for address in self.driver.held.pop(module).values():
            device.allocations[address].state = "unloaded"

    def cuDevicePrimaryCtxRelease_v2(self, device: Int) -> None:
        there = self.driver.numbered(device)
        assert there.retained, "a context that nobody has"
        there.retained -= 1
