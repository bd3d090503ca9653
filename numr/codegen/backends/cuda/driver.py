"""A real device, through the CUDA driver: memory, modules, launches, all in the order of one stream.

The driver's library is called directly: a launch is one call with a block of 8-byte words, the pointers
and sizes of a kernel, and nothing is done for each array but to read its pointer.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.cuda import compile as compiler
from numr.codegen.backends.cuda.device import name_of
from numr.codegen.backends.cuda.print import THREADS
from numr.codegen.kernel import Kernel

# The oldest generation that kernels are compiled for.
OLDEST = (7, 5)
# Blocks of a grid for each multiprocessor: more points are run in turn.
BLOCKS_EACH = 32
# So many bytes that arrays gave back are kept for the next ones; the driver's pool has the rest.
KEPT = 1 << 30

_OUT_OF_MEMORY = 2
# The numbers of device attributes and pool attributes in cuda.h.
_MULTIPROCESSORS, _MAJOR, _MINOR, _POOLS = 16, 75, 76, 115
_RELEASE_THRESHOLD = 4
_POINTER, _SIZE, _END = 1, 2, 0
_SUCCESS = 0
# The stream that all others wait for, by another name than 0; events only to wait for; whose memory it is.
_LEGACY, _NO_TIMING, _ORDINAL = 1, 2, 9

_word = ctypes.c_uint64
_address = ctypes.c_void_p


class DriverError(RuntimeError):
    """An error of the driver's."""


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

    def __call__(self, function: str, *args: Any) -> None:
        code = getattr(self.library, function)(*args)
        if code != _SUCCESS:
            self.fail(function, code)

    def fail(self, function: str, code: int) -> None:
        if code == _OUT_OF_MEMORY:
            raise MemoryError
        name, text = ctypes.c_char_p(), ctypes.c_char_p()
        self.library.cuGetErrorName(code, ctypes.byref(name))
        self.library.cuGetErrorString(code, ctypes.byref(text))
        words = [(t.value or b"").decode() for t in (name, text)]
        raise DriverError(f"{function}: {words[0] or code} ({words[1]})")


class DriverDevice:
    """A device and its primary context, which CuPy and PyTorch use too."""

    def __init__(self, ordinal: int) -> None:
        self.name = name_of(ordinal)
        self.ordinal = ordinal
        self.call = _Calls()
        count, self.handle = ctypes.c_int(), ctypes.c_int()
        try:
            self.call("cuInit", 0)
            self.call("cuDeviceGetCount", ctypes.byref(count))
        except DriverError as error:
            raise messages.no_device(
                self.name, f"the CUDA driver does not start: {error}", ["cpu"]
            ) from None
        if ordinal >= count.value:
            there = [name_of(k) for k in range(count.value)]
            reason = f"there are {count.value} CUDA devices"
            raise messages.no_device(self.name, reason, [*there, "cpu"])
        self.call("cuDeviceGet", ctypes.byref(self.handle), ordinal)
        self.capability = self._attribute(_MAJOR), self._attribute(_MINOR)
        if self.capability < OLDEST or not self._attribute(_POOLS):
            reason = (
                f"compute capability {self._dotted(self.capability)} is too old; "
                f"numr needs {self._dotted(OLDEST)} or later, with memory pools"
            )
            raise messages.no_device(self.name, reason, ["cpu"])
        compiler.toolchain()
        self.context = _address()
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), self.handle)
        self._current = threading.local()
        self.enter()
        pool, kept = _address(), _word(KEPT)
        self.call("cuDeviceGetDefaultMemPool", ctypes.byref(pool), self.handle)
        self.call("cuMemPoolSetAttribute", pool, _RELEASE_THRESHOLD, ctypes.byref(kept))
        target = self._dotted(self.capability)
        self.fingerprint = f"sm_{target} {compiler.toolchain().fingerprint}"
        self.threads = THREADS
        self.blocks = BLOCKS_EACH * self._attribute(_MULTIPROCESSORS)
        self.lost = False
        self.allocated = 0

    @staticmethod
    def _dotted(version: tuple[int, int]) -> str:
        return f"{version[0]}.{version[1]}"

    def _attribute(self, number: int) -> int:
        value = ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(value), number, self.handle)
        return value.value

    def enter(self) -> None:
        """Make the context this thread's."""
        self.call("cuCtxSetCurrent", self.context)

    def stream(self) -> int:
        cupy = sys.modules.get("cupy")
        return cupy.cuda.get_current_stream().ptr if cupy is not None else 0

    def order(self, before: int, after: int) -> None:
        if (before or _LEGACY) == (after or _LEGACY):
            return
        event = _address()
        with self._watched():
            self.call("cuEventCreate", ctypes.byref(event), _NO_TIMING)
            self.call("cuEventRecord", event, _address(before))
            self.call("cuStreamWaitEvent", _address(after), event, 0)
            self.call("cuEventDestroy_v2", event)

    def place_of(self, pointer: int) -> int:
        ordinal = ctypes.c_int()
        self.enter()
        self.call("cuPointerGetAttribute", ctypes.byref(ordinal), _ORDINAL, _word(pointer))
        return ordinal.value

    @contextlib.contextmanager
    def _watched(self) -> Any:
        """Errors within that end the context become the one that says so."""
        try:
            self.enter()
            yield
        except DriverError:
            self.lost = True
            raise messages.device_lost(self.name) from None

    # -- kernels ---------------------------------------------------------------------------------

    def compile(self, kernel: Kernel, fast_math: bool) -> bytes:
        ptx = compiler.compile_kernel(kernel, self.capability, fast_math)
        return compiler.to_cubin(ptx, self.capability)

    def load(self, kernel: Kernel, artifact: bytes) -> Any:
        self.enter()
        module, function = _address(), _address()
        self.call("cuModuleLoadData", ctypes.byref(module), artifact)
        self.call("cuModuleGetFunction", ctypes.byref(function), module, kernel.entry.encode())
        return function

    def launcher(
        self, loaded: Any, blocks: int, threads: int, points: int, sizes: Sequence[int]
    ) -> Callable[..., None]:
        launch = self.call.library.cuLaunchKernel
        set_context, context = self.call.library.cuCtxSetCurrent, self.context
        lock = threading.Lock()
        state: list[Any] = []

        def prepare(count: int) -> None:
            words = (_word * (1 + count + len(sizes)))(points, *[0] * count, *sizes)
            size = ctypes.c_size_t(ctypes.sizeof(words))
            extra = (_address * 5)(
                _POINTER, ctypes.addressof(words), _SIZE, ctypes.addressof(size), _END
            )
            state[:] = words, extra, size

        def run(*arrays: Any) -> None:
            with lock:
                if not state:
                    prepare(len(arrays))
                words = state[0]
                k = 1
                for a in arrays:
                    words[k] = a.storage.pointer
                    k += 1
                set_context(context)
                code = launch(
                    loaded, blocks, 1, 1, threads, 1, 1, 0, _address(self.stream()), None, state[1]
                )
            if code != _SUCCESS:
                with self._watched():
                    self.call.fail("cuLaunchKernel", code)

        return run

    # -- memory ----------------------------------------------------------------------------------

    def allocate(self, nbytes: int) -> int:
        pointer = _word()
        with self._watched():
            self.call(
                "cuMemAllocAsync",
                ctypes.byref(pointer),
                _word(max(nbytes, 16)),
                _address(self.stream()),
            )
        self.allocated += nbytes
        return pointer.value

    def free(self, pointer: int, nbytes: int) -> None:
        self.allocated -= nbytes
        if not self.lost:
            # Whatever is wrong is told by the next call that can raise.
            self.call.library.cuCtxSetCurrent(self.context)
            self.call.library.cuMemFreeAsync(_word(pointer), _address(self.stream()))

    def free_memory(self) -> int:
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        self.enter()
        self.call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
        return free.value

    def write(self, pointer: int, array: np.ndarray[Any, Any]) -> None:
        with self._watched():
            # From memory that is not pinned: it is read before this returns.
            self.call(
                "cuMemcpyHtoDAsync_v2",
                _word(pointer),
                _address(array.ctypes.data),
                ctypes.c_size_t(array.nbytes),
                _address(self.stream()),
            )

    def read(self, pointer: int, array: np.ndarray[Any, Any]) -> None:
        with self._watched():
            stream = _address(self.stream())
            self.call(
                "cuMemcpyDtoHAsync_v2",
                _address(array.ctypes.data),
                _word(pointer),
                ctypes.c_size_t(array.nbytes),
                stream,
            )
            self.call("cuStreamSynchronize", stream)

    def copy(self, pointer: int, source: int, nbytes: int) -> None:
        with self._watched():
            size, stream = ctypes.c_size_t(nbytes), _address(self.stream())
            self.call("cuMemcpyDtoDAsync_v2", _word(pointer), _word(source), size, stream)

    def wait(self) -> None:
        with self._watched():
            self.call("cuStreamSynchronize", _address(self.stream()))

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
