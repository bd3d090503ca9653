"""A real device, through the CUDA driver: memory, modules, launches, all in the order of one stream.

The driver's library is called directly: a launch is one call with a block of 8-byte words, the pointers
and sizes of a kernel, and nothing is done for each array but to read its pointer.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.cuda import compile as compiler
from numr.codegen.backends.cuda import graphs
from numr.codegen.backends.cuda.device import name_of
from numr.codegen.backends.cuda.print import THREADS
from numr.codegen.kernel import Kernel
from numr.errors import DeviceError

# The oldest generation that kernels are compiled for.
OLDEST = (7, 5)
# Blocks of a grid for each multiprocessor: more points are run in turn.
BLOCKS_EACH = 32
# The driver's pool returns to the device what arrays gave back when it has more bytes than this in all.
KEPT = 1 << 30

_SUCCESS, _OUT_OF_MEMORY, _NO_DEVICE = 0, 2, 100
# After these a context runs nothing more: memory that cannot be corrected, and what breaks off a kernel.
_FATAL = {214, 220, 226, 700, 702, 709, 710, *range(714, 720)}
# The numbers of attributes in cuda.h: of devices, pools, addresses.
_MULTIPROCESSORS, _MAJOR, _MINOR, _POOLS = 16, 75, 76, 115
_RELEASE_THRESHOLD, _RESERVED, _USED = 4, 5, 7
_KIND, _ORDINAL = 2, 9
_POINTER, _SIZE, _END = 1, 2, 0
_NO_TIMING = 2
# The streams that every context has: what all others wait for, by two names, and each thread's own.
_LEGACY, _OF_THREAD = 1, 2

_int, _unsigned, _size = ctypes.c_int, ctypes.c_uint, ctypes.c_size_t
# Memory of the device, in a word of 64 bits; and addresses, handles and what is written to.
_word, _address = ctypes.c_uint64, ctypes.c_void_p
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuInit": (_unsigned,),
    "cuDriverGetVersion": (_address,),
    "cuGetErrorName": (_int, _address),
    "cuGetErrorString": (_int, _address),
    "cuDeviceGet": (_address, _int),
    "cuDeviceGetCount": (_address,),
    "cuDeviceGetAttribute": (_address, _int, _int),
    "cuDeviceGetName": (_address, _int, _int),
    "cuDeviceTotalMem_v2": (_address, _int),
    "cuDeviceGetDefaultMemPool": (_address, _int),
    "cuDevicePrimaryCtxRetain": (_address, _int),
    "cuCtxGetCurrent": (_address,),
    "cuCtxSetCurrent": (_address,),
    "cuCtxPushCurrent_v2": (_address,),
    "cuCtxPopCurrent_v2": (_address,),
    "cuCtxSynchronize": (),
    "cuModuleLoadData": (_address, _address),
    "cuModuleGetFunction": (_address, _address, _address),
    "cuModuleGetGlobal_v2": (_address, _address, _address, _address),
    "cuLaunchKernel": (_address, *[_unsigned] * 7, _address, _address, _address),
    "cuMemPoolGetAttribute": (_address, _int, _address),
    "cuMemPoolSetAttribute": (_address, _int, _address),
    "cuMemGetInfo_v2": (_address, _address),
    "cuMemAllocAsync": (_address, _size, _address),
    "cuMemFreeAsync": (_word, _address),
    "cuMemcpyHtoDAsync_v2": (_word, _address, _size, _address),
    "cuMemcpyDtoHAsync_v2": (_address, _word, _size, _address),
    "cuMemcpyDtoDAsync_v2": (_word, _word, _size, _address),
    "cuPointerGetAttribute": (_address, _int, _word),
    "cuGraphCreate": (_address, _unsigned),
    "cuGraphAddKernelNode_v2": (_address, _address, _address, _size, _address),
    "cuGraphInstantiateWithFlags": (_address, _address, _word),
    "cuGraphExecKernelNodeSetParams_v2": (_address, _address, _address),
    "cuGraphLaunch": (_address, _address),
    "cuGraphDestroy": (_address,),
    "cuGraphExecDestroy": (_address,),
    "cuStreamSynchronize": (_address,),
    "cuStreamWaitEvent": (_address, _address, _unsigned),
    "cuEventCreate": (_address, _unsigned),
    "cuEventRecord": (_address, _address),
    "cuEventDestroy_v2": (_address,),
}


class DriverError(RuntimeError):
    """An error of the driver's."""

    def __init__(self, function: str, code: int, text: str) -> None:
        super().__init__(f"{function}: {text}")
        self.code, self.text = code, text


def _library() -> Any:
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError:
        raise messages.no_device(
            "cuda",
            f"no CUDA driver was found ({name}); install NVIDIA's driver, version 580 or later",
            ["cpu"],
        ) from None


class _Calls:
    """The driver's functions, each checked."""

    def __init__(self) -> None:
        self.library = _library()
        for name, kinds in _FUNCTIONS.items():
            try:
                getattr(self.library, name).argtypes = kinds
            except AttributeError:
                raise messages.no_device(
                    "cuda",
                    f"the CUDA driver is too old (it has no {name}); install version 580 or later",
                    ["cpu"],
                ) from None

    def __call__(self, function: str, *args: Any) -> None:
        code = getattr(self.library, function)(*args)
        if code != _SUCCESS:
            raise self.error(function, code)

    def error(self, function: str, code: int) -> DriverError:
        """The error of a code that a function returned."""
        name, text = ctypes.c_char_p(), ctypes.c_char_p()
        self.library.cuGetErrorName(code, ctypes.byref(name))
        self.library.cuGetErrorString(code, ctypes.byref(text))
        words = [(t.value or b"").decode() for t in (name, text)]
        return DriverError(function, code, f"{words[0] or code} ({words[1]})")


class _Within:
    """The context is this thread's in a `with`, and then again the one that was: others' current device is
    left as it is. The driver's errors within become numr's."""

    __slots__ = ("device", "pushed")

    def __init__(self, device: DriverDevice) -> None:
        self.device = device

    def __enter__(self) -> None:
        self.device.ready()
        self.pushed = self.device.push()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if self.pushed:
            self.device.pop()
        if isinstance(error, DriverError):
            raise self.device.failure(error) from None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A kernel in the device's memory, and which of its buffers it writes."""

    function: Any
    written: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """Machine code in the device's memory."""

    device: DriverDevice
    handle: Any

    def kernel(self, entry: str, written: tuple[bool, ...]) -> Loaded:
        """A kernel by its name; `written` says which of its buffers it writes."""
        function = _address()
        with self.device.within():
            self.device.call(
                "cuModuleGetFunction", ctypes.byref(function), self.handle, entry.encode()
            )
        return Loaded(function, written)

    def address(self, name: str) -> int:
        """Where an array is that the module holds."""
        pointer, size = _word(), _size()
        with self.device.within():
            self.device.call(
                "cuModuleGetGlobal_v2",
                ctypes.byref(pointer),
                ctypes.byref(size),
                self.handle,
                name.encode(),
            )
        return pointer.value


class DriverDevice:
    """A device and its primary context, which CuPy and PyTorch use too."""

    def __init__(self, ordinal: int) -> None:
        self.name = name_of(ordinal)
        self.ordinal = ordinal
        self.call = _Calls()
        self._get_context = self.call.library.cuCtxGetCurrent
        self.lost = ""  # or the error after which it runs nothing more
        self.allocated = 0
        self.graphs = graphs.Graphs(self)
        self.process = os.getpid()
        # The streams that memory was made on, but for the default one: they live as long as it does.
        self._streams: dict[int, Any] = {}
        try:
            self._open(ordinal)
        except DriverError as error:
            raise messages.no_device(
                self.name, f"the CUDA driver does not start: {error}", ["cpu"]
            ) from None

    def _open(self, ordinal: int) -> None:
        count, self.handle = ctypes.c_int(), ctypes.c_int()
        try:
            self.call("cuInit", 0)
            self.call("cuDeviceGetCount", ctypes.byref(count))
        except DriverError as error:
            if error.code != _NO_DEVICE:
                raise
        if ordinal >= count.value:
            there = [name_of(k) for k in range(count.value)]
            number = {0: "is no CUDA device", 1: "is one CUDA device"}
            reason = f"there {number.get(count.value, f'are {count.value} CUDA devices')}"
            raise messages.no_device(self.name, reason, [*there, "cpu"])
        self.call("cuDeviceGet", ctypes.byref(self.handle), ordinal)
        self.capability = self._attribute(_MAJOR), self._attribute(_MINOR)
        if self.capability < OLDEST or not self._attribute(_POOLS):
            reason = (
                f"compute capability {self._dotted(self.capability)} is too old; "
                f"numr needs {self._dotted(OLDEST)} or later, with memory pools"
            )
            raise messages.no_device(self.name, reason, ["cpu"])
        target = self._dotted(self.capability)
        self.fingerprint = f"sm_{target} {compiler.toolchain().fingerprint}"
        self.threads = THREADS
        self.blocks = BLOCKS_EACH * self._attribute(_MULTIPROCESSORS)
        context, self.pool = _address(), _address()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self.handle)
        self._context = context.value
        self.call("cuDeviceGetDefaultMemPool", ctypes.byref(self.pool), self.handle)
        if self._of_pool(_RELEASE_THRESHOLD) < KEPT:  # others may use this pool, and want it larger
            kept = _word(KEPT)
            self.call("cuMemPoolSetAttribute", self.pool, _RELEASE_THRESHOLD, ctypes.byref(kept))

    @staticmethod
    def _dotted(version: tuple[int, int]) -> str:
        return f"{version[0]}.{version[1]}"

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(value), number, self.handle)
        return value.value

    def _of_pool(self, number: int) -> int:
        value = _word()
        self.call("cuMemPoolGetAttribute", self.pool, number, ctypes.byref(value))
        return value.value

    # -- contexts, streams, errors ---------------------------------------------------------------

    def push(self) -> bool:
        """Make the context this thread's; whether `pop` has to undo that."""
        current = _address()
        if self._get_context(ctypes.byref(current)) == _SUCCESS and current.value == self._context:
            return False
        # On the first device is what all libraries would make this thread's anyway.
        stays = current.value is None and self.ordinal == 0
        try:
            self.call("cuCtxSetCurrent" if stays else "cuCtxPushCurrent_v2", self._context)
        except DriverError as error:
            raise self.failure(error) from None
        return not stays

    def pop(self) -> None:
        """What was this thread's context before `push` is it again."""
        self.call.library.cuCtxPopCurrent_v2(ctypes.byref(_address()))

    def within(self) -> _Within:
        return _Within(self)

    def ready(self) -> None:
        if self.lost:
            raise messages.device_fault(self.name, self.lost)

    def failure(self, error: DriverError) -> Exception:
        """What users are told of an error of the driver's."""
        if os.getpid() != self.process:
            reason = "this process was forked from one that uses it, and CUDA wants that one only"
            fix = 'start processes anew: multiprocessing.set_start_method("spawn")'
            return messages.device_failed(self.name, f"{error}: {reason}", fix)
        if error.code in _FATAL:
            self.lost = error.text
            return messages.device_fault(self.name, error.text)
        if error.code == _OUT_OF_MEMORY:
            return messages.device_failed(self.name, str(error), "let go of arrays that are on it")
        return messages.device_failed(self.name, str(error))

    def current_stream(self) -> Any:
        """CuPy's current stream, if CuPy has been imported; None is the default stream."""
        cuda = getattr(sys.modules.get("cupy"), "cuda", None)  # it may be half imported
        return None if cuda is None else cuda.get_current_stream(self.ordinal)

    def stream(self) -> int:
        stream = self.current_stream()
        return stream.ptr if stream is not None else 0

    def order(self, before: int, after: int) -> None:
        if (before or _LEGACY) == (after or _LEGACY):
            return
        event = _address()
        with self.within():
            self.call("cuEventCreate", ctypes.byref(event), _NO_TIMING)
            try:
                self.call("cuEventRecord", event, before)
                self.call("cuStreamWaitEvent", after, event, 0)
            finally:
                self.call.library.cuEventDestroy_v2(event)

    def wait(self) -> None:
        # For every stream: what is waited for need not have been started on the current one.
        with self.within():
            self.call("cuCtxSynchronize")

    # -- kernels ---------------------------------------------------------------------------------

    def compile(self, kernel: Kernel, fast_math: bool) -> bytes:
        ptx = compiler.compile_kernel(kernel, self.capability, fast_math)
        return compiler.to_cubin(ptx, self.capability)

    def load(self, kernel: Kernel, artifact: bytes) -> Loaded:
        written = tuple(b.written for b in kernel.buffers)
        return self.module(artifact).kernel(kernel.entry, written)

    def module(self, artifact: bytes) -> Module:
        """Machine code of several kernels, in the device's memory."""
        handle = _address()
        with self.within():
            self.call("cuModuleLoadData", ctypes.byref(handle), artifact)
        return Module(self, handle)

    def launcher(
        self, loaded: Any, blocks: int, threads: int, points: int, sizes: Sequence[int]
    ) -> Callable[..., None]:
        launch, function = self.call.library.cuLaunchKernel, loaded.function
        made = self.graphs
        one, none = _unsigned(1), _unsigned(0)
        grid = _unsigned(blocks), one, one, _unsigned(threads), one, one, none
        # Blocks of words that no call uses now: calls of several threads have each its own, and so has
        # one that begins in another, in a finalizer.
        idle: list[tuple[Any, Any, Any]] = []

        def prepare(count: int) -> tuple[Any, Any, Any]:
            words = (_word * (1 + count + len(sizes)))(points, *[0] * count, *sizes)
            size = _size(ctypes.sizeof(words))
            extra = (_address * 5)(
                _POINTER, ctypes.addressof(words), _SIZE, ctypes.addressof(size), _END
            )
            return words, _address(ctypes.addressof(extra)), (extra, size)

        def run(*arrays: Any) -> None:
            try:
                block = idle.pop()
            except IndexError:
                block = prepare(len(arrays))
            words = block[0]
            k = 1
            for a in arrays:
                words[k] = a.storage.pointer
                k += 1
            pushed = self.push()
            try:
                code = launch(function, *grid, self.stream(), None, block[1])
            finally:
                if pushed:
                    self.pop()
            if code != _SUCCESS:
                raise self.failure(self.call.error("cuLaunchKernel", code))
            if made.recording is not None:
                made.recording.launched(loaded, blocks, threads, words, arrays)
            idle.append(block)

        return run

    def repeated(self, run: graphs.Run) -> graphs.Run:
        return graphs.Repeated(self, run)

    # -- memory ----------------------------------------------------------------------------------

    def allocate(self, nbytes: int) -> int:
        pointer = _word()
        with self.within():
            stream = self.current_stream()
            handle = stream.ptr if stream is not None else 0
            for attempt in range(2):
                try:
                    self.call("cuMemAllocAsync", ctypes.byref(pointer), max(nbytes, 16), handle)
                    break
                except DriverError as error:
                    if error.code != _OUT_OF_MEMORY:
                        raise
                    if attempt or not self._reclaim():
                        raise MemoryError from None
        if handle > _OF_THREAD:
            self._streams[pointer.value] = stream
        self.allocated += nbytes
        return pointer.value

    def _reclaim(self) -> bool:
        """Have CuPy return the memory it keeps for later; whether there is a CuPy."""
        pool = getattr(sys.modules.get("cupy"), "get_default_memory_pool", None)
        if pool is None:
            return False
        pool().free_all_blocks()
        return True

    def free(
        self, pointer: int, nbytes: int, ending: Callable[[], bool] = sys.is_finalizing
    ) -> None:
        self.allocated -= nbytes
        if self.lost or ending():
            return  # the driver has ended, perhaps
        made_on = self._streams.pop(pointer, None)
        home = made_on.ptr if made_on is not None else 0
        # What is wrong is told by the next call that can raise.
        with contextlib.suppress(DeviceError):
            pushed = self.push()
            try:
                # It returns to the stream it is of, after what that of the moment was given to do with it.
                self.order(self.stream(), home)
                self.call.library.cuMemFreeAsync(pointer, home)
            finally:
                if pushed:
                    self.pop()

    def free_memory(self) -> int:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        with self.within():
            self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        # The pool has memory that arrays gave back.
        return free.value + self._of_pool(_RESERVED) - self._of_pool(_USED)

    def write(self, pointer: int, array: np.ndarray[Any, Any]) -> None:
        self.graphs.interrupt()
        source, kind = array.ctypes.data, _int()
        with self.within():
            stream = self.stream()
            self.call("cuMemcpyHtoDAsync_v2", pointer, source, array.nbytes, stream)
            # Memory that is nothing to CUDA has been read by now, but pinned memory has not.
            find = self.call.library.cuPointerGetAttribute
            if find(ctypes.byref(kind), _KIND, source) == _SUCCESS:
                self.call("cuStreamSynchronize", stream)

    def read(self, pointer: int, array: np.ndarray[Any, Any]) -> None:
        self.graphs.interrupt()
        with self.within():
            stream, made_on = self.stream(), self._streams.get(pointer)
            self.order(made_on.ptr if made_on is not None else 0, stream)
            target = array.ctypes.data
            self.call("cuMemcpyDtoHAsync_v2", target, pointer, array.nbytes, stream)
            self.call("cuStreamSynchronize", stream)

    def copy(self, pointer: int, source: int, nbytes: int) -> None:
        self.graphs.interrupt()
        with self.within():
            self.call("cuMemcpyDtoDAsync_v2", pointer, source, nbytes, self.stream())

    def place_of(self, pointer: int) -> int:
        ordinal = _int()
        with self.within():
            self.call("cuPointerGetAttribute", ctypes.byref(ordinal), _ORDINAL, pointer)
        return ordinal.value

    def describe(self) -> Mapping[str, str]:
        name, version, total = ctypes.create_string_buffer(256), ctypes.c_int(), ctypes.c_size_t()
        self.call("cuDeviceGetName", name, len(name), self.handle)
        self.call("cuDriverGetVersion", ctypes.byref(version))
        self.call("cuDeviceTotalMem_v2", ctypes.byref(total), self.handle)
        number = version.value
        return {
            "device": name.value.decode(),
            "compute capability": self._dotted(self.capability),
            "memory": f"{total.value / 2**30:.1f} GiB",
            "multiprocessors": str(self._attribute(_MULTIPROCESSORS)),
            "driver": f"CUDA {number // 1000}.{number % 1000 // 10}",
            "compiler": compiler.toolchain().fingerprint,
        }
