"""The CUDA backend: kernels through NVVM, buffers in the memory of a device."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from numr.codegen import kernels as kernel_store
from numr.codegen import store
from numr.codegen.backends.cuda import adoption, functions, graphs, library, memory
from numr.codegen.backends.cuda.device import Device, name_of, open_device, simulated
from numr.codegen.backends.cuda.neighbours import points_of_thread
from numr.codegen.backends.cuda.print import CudaPrinter
from numr.codegen.kernel import Kernel
from numr.codegen.language import frontend
from numr.codegen.movement import copy_kernel, fill_kernel, read_row, write_row
from numr.codegen.target import Backend, Capabilities
from numr.codegen.widths import positions
from numr.dtypes import DType, as_dtype, float32, float64, int32, int64, uint32, uint64
from numr.errors import DeviceError
from numr.runtime.device_array import guard

# Kernels are shown as for this compute capability where there is no device.
SHOWN = (8, 0)
# Threads of a block that run one point together, at most.
LANES = 256
CAPABILITIES = Capabilities(
    lanes=LANES,
    narrow_index=int32,
    native=functions.NATIVE,
    fast=frozenset({"erfc:f32", "pow:f32"}),
    atomics=frozenset((int32, int64, uint32, uint64, float32, float64)),
    rank=3,
)


class Cuda:
    """One device; "cuda" is the first."""

    # The simulator takes a Python thread for each lane: two warps show what several do.
    capabilities = replace(CAPABILITIES, lanes=64) if simulated() else CAPABILITIES

    def __init__(self, ordinal: int = 0) -> None:
        self.ordinal = ordinal
        self.name = name_of(ordinal)

    def numbered(self, ordinal: int) -> Cuda:
        """The backend of another device."""
        return self if ordinal == self.ordinal else Cuda(ordinal)

    @property
    def library(self) -> Mapping[str, Callable[..., Any]]:
        return library.library()

    @property
    def device(self) -> Device:
        return open_device(self.ordinal)

    def ready(self) -> None:
        self.device.ready()

    def build(self, kernels: Sequence[Kernel], fast_math: bool) -> list[Any]:
        """Kernels as (kernel, what the device loaded)."""
        device = self.device

        def compile_one(k: int) -> bytes:
            return device.compile(kernels[k], fast_math)

        def load(k: int, artifact: bytes) -> tuple[Kernel, Any]:
            return kernels[k], device.load(kernels[k], artifact)

        texts = [k.text() for k in kernels]
        own = f"{frontend.chosen()}={store.digest(__file__, frontend.__file__)}"
        key = f"{device.name} {device.fingerprint} {own} fast_math={fast_math}"
        return kernel_store.build_all("cuda", key, texts, compile_one, load)

    def launcher(
        self, built: Any, n_buffers: int, sizes: Sequence[int], points: int, work: int
    ) -> Callable[..., object]:
        kernel, loaded = built
        device = self.device
        threads = kernel.lanes
        blocks = points
        if kernel.lanes == 1:
            threads = device.threads
            blocks = -(-points // (threads * points_of_thread(kernel)))
        return device.launcher(loaded, min(blocks, device.blocks), threads, points, sizes)

    def allocator(self, shape: tuple[int, ...], dtype: DType) -> Callable[[], Any]:
        device = self.device
        return lambda: memory.empty(device, shape, dtype.dtype)

    def filled(self, shape: tuple[int, ...], dtype: DType, value: Any) -> Callable[[], Any]:
        points = math.prod(shape)
        allocate = self.allocator(shape, dtype)
        if not points:
            return allocate
        kernel = fill_kernel(dtype, value, positions(2 * points, CAPABILITIES))
        (built,) = self.build([kernel], False)
        run = self.launcher(built, 1, (), points, points)

        def make() -> Any:
            buffer = allocate()
            run(buffer)
            return buffer

        return make

    def copy(self, buffer: Any) -> Any:
        return self._copy(buffer, 0)

    def _copy(self, buffer: Any, start: int) -> Any:
        """A row-major copy of an array whose first element is so many after the first of its memory."""
        result = memory.empty(self.device, buffer.shape, buffer.dtype)
        if buffer.size:
            kernel, sizes, points = copy_kernel(
                as_dtype(buffer.dtype),
                buffer.shape,
                buffer.element_strides(),
                positions(buffer.storage.nbytes, CAPABILITIES),
                start,
            )
            (built,) = self.build([kernel], False)
            self.launcher(built, 2, sizes, points, points)(buffer, result)
        return result

    def broadcast(self, buffer: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
        return buffer.spread(shape, axes)

    def repeated(self, run: graphs.Run, kernels: int) -> graphs.Run:
        """A program that is bound to sizes, made quicker to call again."""
        return run if kernels < graphs.FEWEST else self.device.repeated(run)

    def row(self, buffer: Any, number: int) -> Any:
        return read_row(self, buffer, number)

    def put(self, buffer: Any, number: int, row: Any) -> None:
        write_row(self, buffer, number, row)

    def guard(self, specs: Sequence[tuple[DType, tuple[int, ...]]]) -> Callable[..., bool] | None:
        wanted = [(d.dtype, tuple(map(int, shape))) for d, shape in specs]
        return guard(memory.CudaArray, wanted, self.device)

    def upload(self, array: np.ndarray[Any, Any]) -> Any:
        return memory.upload(self.device, array)

    def download(self, buffer: Any) -> np.ndarray[Any, Any]:
        return memory.download(buffer if buffer.is_contiguous else self.copy(buffer))

    def adopt(self, x: Any) -> Any:
        """Another library's array as a buffer: over its memory, or a copy where that is not row-major."""
        found = adoption.adopt(x)
        if found is None:
            return None
        buffer, start = found
        if buffer.strides is None:
            return buffer
        return self.numbered(buffer.storage.device.ordinal)._copy(buffer, start)

    def wait(self) -> None:
        self.device.wait()

    def describe(self) -> Mapping[str, str]:
        return self.device.describe()

    def source(self, kernel: Kernel, fast_math: bool) -> str:
        return CudaPrinter().launched(kernel)

    def assembly(self, kernel: Kernel, fast_math: bool) -> str:
        from numr.codegen.backends.cuda import assembly

        return assembly.text(kernel, self._capability(), fast_math)

    def _capability(self) -> tuple[int, int]:
        """That of the device; where there is none, of the generation of 2020."""
        try:
            return self.device.capability
        except DeviceError:
            return SHOWN


BACKEND: Backend = Cuda()
