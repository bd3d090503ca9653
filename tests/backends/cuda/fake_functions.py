"""The functions of libcuda that numr calls, over the fake driver's devices."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tests.backends.cuda.fake_abi import (
    INVALID_CONTEXT,
    INVALID_VALUE,
    NO_DEVICE,
    NOT_FOUND,
    OUT_OF_MEMORY,
    CudaError,
    Int,
    Out,
    Out4,
    Out8,
    Word,
    put,
)
from tests.backends.cuda.fake_device import FakeDevice, handles, run
from tests.backends.cuda.fake_graphs import GraphFunctions
from tests.backends.cuda.fake_kernels import Module
from tests.backends.cuda.fake_synchronous import SynchronousFunctions

if TYPE_CHECKING:
    from tests.backends.cuda.fake_driver import FakeDriver

# More operations than this, and the oldest are done: a real queue has an end, too.
QUEUE = 4096


class Functions(GraphFunctions, SynchronousFunctions):
    """The functions; the annotation of a parameter is how C takes it."""

    def __init__(self, driver: FakeDriver) -> None:
        self.driver = driver

    def cuInit(self, flags: Int) -> None:
        if not self.driver.devices:
            raise CudaError(NO_DEVICE)
        self.driver.initialized = True

    def cuDriverGetVersion(self, version: Out4) -> None:
        put(ctypes.c_int, version, 13000)

    def cuGetErrorName(self, code: Int, text: Out8) -> None:
        self._text(code, text, 0)

    def cuGetErrorString(self, code: Int, text: Out8) -> None:
        self._text(code, text, 1)

    def _text(self, code: int, text: int, which: int) -> None:
        found = self.driver.texts.get(code)
        if found is None:
            put(ctypes.c_void_p, text, 0)
            raise CudaError(INVALID_VALUE)
        put(ctypes.c_void_p, text, ctypes.addressof(found[which]))

    # -- devices and contexts --------------------------------------------------------------------

    def cuDeviceGetCount(self, count: Out4) -> None:
        put(ctypes.c_int, count, len(self.driver.devices))

    def cuDeviceGet(self, device: Out4, ordinal: Int) -> None:
        put(ctypes.c_int, device, self.driver.numbered(ordinal).ordinal)

    def cuDeviceGetName(self, name: Out, length: Int, device: Int) -> None:
        text = f"Fake {self.driver.numbered(device).ordinal}".encode() + b"\0"
        ctypes.memmove(name, text, min(length, len(text)))

    def cuDeviceTotalMem_v2(self, nbytes: Out8, device: Int) -> None:
        put(ctypes.c_size_t, nbytes, self.driver.numbered(device).memory)

    def cuDeviceGetAttribute(self, value: Out4, attribute: Int, device: Int) -> None:
        there = self.driver.numbered(device)
        known = {16: there.multiprocessors, 115: int(there.pools)}
        known |= {75: there.capability[0], 76: there.capability[1]}
        if attribute not in known:
            raise CudaError(INVALID_VALUE)
        put(ctypes.c_int, value, known[attribute])

    def cuDevicePrimaryCtxRetain(self, context: Out8, device: Int) -> None:
        there = self.driver.numbered(device)
        there.retained += 1
        put(ctypes.c_void_p, context, there.context)

    def cuCtxSetCurrent(self, context: Word) -> None:
        device = self.driver.of_context(context) if context else None
        if self.driver.stack:
            self.driver.stack.pop()
        if device is not None:
            self.driver.stack.append(device)

    def cuCtxGetCurrent(self, context: Out8) -> None:
        stack = self.driver.stack
        put(ctypes.c_void_p, context, stack[-1].context if stack else 0)

    def cuCtxPushCurrent_v2(self, context: Word) -> None:
        self.driver.stack.append(self.driver.of_context(context))

    def cuCtxPopCurrent_v2(self, context: Out8) -> None:
        if not self.driver.stack:
            raise CudaError(INVALID_CONTEXT)
        put(ctypes.c_void_p, context, self.driver.stack.pop().context)

    def cuCtxSynchronize(self) -> None:
        device = self.driver.current
        for stream in list(device.streams.values()):
            run(stream.last)
        self.driver.finish(device, None)

    # -- kernels ---------------------------------------------------------------------------------

    def cuModuleLoadData(self, module: Out8, image: Word) -> None:
        handle = next(handles)
        device = self.driver.current
        made = Module(ctypes.string_at(image))
        self.driver.modules[handle] = device, made
        self.driver.held[handle] = {n: device.lend(a) for n, a in made.arrays.items()}
        put(ctypes.c_void_p, module, handle)

    def cuModuleGetFunction(self, function: Out8, module: Word, name: Word) -> None:
        device, made = self._module(module)
        loaded = made.kernel(ctypes.string_at(name).decode())
        if loaded is None:
            raise CudaError(NOT_FOUND)
        handle = next(handles)
        self.driver.functions[handle] = device, loaded
        put(ctypes.c_void_p, function, handle)

    def cuModuleGetGlobal_v2(self, pointer: Out8, nbytes: Out, module: Word, name: Word) -> None:
        _, made = self._module(module)
        called = ctypes.string_at(name).decode()
        if called not in made.arrays:
            raise CudaError(NOT_FOUND)
        put(ctypes.c_uint64, pointer, self.driver.held[module][called])
        if nbytes:
            put(ctypes.c_size_t, nbytes, made.arrays[called].nbytes)

    def _module(self, module: int) -> tuple[FakeDevice, Module]:
        device, made = self.driver.modules[module]
        assert device is self.driver.current, "a module of another context"
        return device, made

    def prepared(self, function: int, blocks: int, threads: int, extra: int) -> Callable[[], None]:
        """What a kernel will do with the words it is given now."""
        driver = self.driver
        device = driver.current
        owner, loaded = driver.functions.get(function, (None, None))
        assert loaded is not None and owner is device, "no function of this context"
        if blocks < 1 or not 1 <= threads <= 1024:
            raise CudaError(INVALID_VALUE)
        begin, words_at, size, size_at, end = (ctypes.c_uint64 * 5).from_address(extra)
        assert (begin, size, end) == (1, 2, 0), "extra is (1, address, 2, address of size, 0)"
        nbytes = ctypes.c_size_t.from_address(size_at).value
        if nbytes != 8 * loaded.words:
            raise CudaError(INVALID_VALUE)
        # They are read now; the caller may put others there.
        points, *words = (ctypes.c_int64 * loaded.words).from_address(words_at)
        count = len(loaded.dtypes)
        driver.log[-1] += ((loaded.entry, points, tuple(words[:count]), tuple(words[count:])),)

        def compute() -> None:
            code, device.fault_code = device.fault_code, 0
            if code:
                driver.faults.append("as the test asked for")
                device.error = code
            elif driver.computes:
                given = [device.bytes_at(pointer) for pointer in words[:count]]
                loaded.run(blocks, threads, points, given, words[count:])

        return driver.work(device, compute)

    def cuLaunchKernel(
        self,
        function: Word,
        blocks: Int,
        blocks_y: Int,
        blocks_z: Int,
        threads: Int,
        threads_y: Int,
        threads_z: Int,
        shared: Int,
        stream: Word,
        params: Word,
        extra: Word,
    ) -> None:
        driver = self.driver
        device, queue = driver.current, driver.stream(stream)
        assert (blocks_y, blocks_z, threads_y, threads_z, params) == (1, 1, 1, 1, 0)
        queue.give(self.prepared(function, blocks, threads, extra))
        driver.queued += 1
        if driver.queued >= QUEUE:
            driver.queued = 0
            for s in list(device.streams.values()):
                run(s.last)

    # -- memory ----------------------------------------------------------------------------------

    def cuDeviceGetDefaultMemPool(self, pool: Out8, device: Int) -> None:
        put(ctypes.c_void_p, pool, self.driver.numbered(device).pool)

    def cuMemPoolSetAttribute(self, pool: Word, attribute: Int, value: Word) -> None:
        (device,) = (d for d in self.driver.devices if d.pool == pool)
        assert attribute == 4, "only the release threshold is set"
        device.threshold = ctypes.c_uint64.from_address(value).value

    def cuMemPoolGetAttribute(self, pool: Word, attribute: Int, value: Out8) -> None:
        (device,) = (d for d in self.driver.devices if d.pool == pool)
        known = {4: device.threshold, 5: device.used + device.kept, 7: device.used}
        put(ctypes.c_uint64, value, known[attribute])

    def cuMemPoolTrimTo(self, pool: Word, nbytes: Word) -> None:
        (device,) = (d for d in self.driver.devices if d.pool == pool)
        device.kept = min(device.kept, max(nbytes - device.used, 0))

    def cuMemGetInfo_v2(self, free: Out8, total: Out8) -> None:
        device = self.driver.current
        put(ctypes.c_size_t, free, device.memory - device.used - device.kept)
        put(ctypes.c_size_t, total, device.memory)

    def cuMemAllocAsync(self, pointer: Out8, nbytes: Word, stream: Word) -> None:
        queue = self.driver.stream(stream)
        if not nbytes:
            raise CudaError(INVALID_VALUE)
        found = queue.device.allocate(nbytes, queue)
        if found is None:
            raise CudaError(OUT_OF_MEMORY)
        put(ctypes.c_uint64, pointer, found)

    def cuMemFreeAsync(self, pointer: Word, stream: Word) -> None:
        queue = self.driver.stream(stream)
        end = queue.device.give_back(pointer)
        assert end is not None, "memory that is not there to be given back"
        queue.give(self.driver.work(queue.device, end))

    def cuMemcpyHtoDAsync_v2(self, pointer: Word, source: Word, nbytes: Word, stream: Word) -> None:
        queue = self.driver.stream(stream)
        late = self.driver.is_pinned(source)
        taken = b"" if late else ctypes.string_at(source, nbytes)

        def copy() -> None:
            raw = ctypes.string_at(source, nbytes) if late else taken
            queue.device.bytes_at(pointer, nbytes)[:] = np.frombuffer(raw, np.uint8)

        queue.give(self.driver.work(queue.device, copy))

    def cuMemcpyDtoHAsync_v2(self, target: Word, pointer: Word, nbytes: Word, stream: Word) -> None:
        queue = self.driver.stream(stream)

        def copy() -> None:
            found = queue.device.bytes_at(pointer, nbytes)
            ctypes.memmove(target, found.ctypes.data, nbytes)

        last = queue.give(self.driver.work(queue.device, copy))
        if not self.driver.is_pinned(target):
            self.driver.finish(queue.device, last)

    def cuMemcpyDtoDAsync_v2(self, target: Word, source: Word, nbytes: Word, stream: Word) -> None:
        queue = self.driver.stream(stream)

        def copy() -> None:
            queue.device.bytes_at(target, nbytes)[:] = queue.device.bytes_at(source, nbytes)

        queue.give(self.driver.work(queue.device, copy))

    def cuPointerGetAttribute(self, value: Out4, attribute: Int, pointer: Word) -> None:
        owner = next((d for d in self.driver.devices if d.owner(pointer)), None)
        if owner is None and not self.driver.is_pinned(pointer):
            raise CudaError(INVALID_VALUE)
        # Memory type (host 1, device 2), ordinal.
        known = {2: 1 if owner is None else 2, 9: 0 if owner is None else owner.ordinal}
        put(ctypes.c_int, value, known[attribute])

    # -- streams ---------------------------------------------------------------------------------

    def cuStreamSynchronize(self, stream: Word) -> None:
        queue = self.driver.stream(stream)
        self.driver.finish(queue.device, queue.give(None))

    def cuStreamWaitEvent(self, stream: Word, event: Word, flags: Int) -> None:
        _, last = self.driver.events[event]
        self.driver.stream(stream).give(None, [last])

    def cuEventCreate(self, event: Out8, flags: Int) -> None:
        handle = next(handles)
        self.driver.events[handle] = self.driver.current, None
        put(ctypes.c_void_p, event, handle)

    def cuEventRecord(self, event: Word, stream: Word) -> None:
        device, _ = self.driver.events[event]
        assert device is self.driver.current, "an event of another context"
        self.driver.events[event] = device, self.driver.stream(stream).give(None)

    def cuEventDestroy_v2(self, event: Word) -> None:
        del self.driver.events[event]
