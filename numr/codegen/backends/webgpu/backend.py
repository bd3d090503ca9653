"""The WebGPU backend: kernels printed as WGSL, buffers in the memory of a device."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from numr.codegen import kernels as kernel_store
from numr.codegen.backends.webgpu import memory, print
from numr.codegen.backends.webgpu.gpu import Pipeline, gpu, launcher
from numr.codegen.backends.webgpu.probe import converts_exactly
from numr.codegen.kernel import Kernel
from numr.codegen.movement import copy_kernel, fill_kernel, read_row, write_row
from numr.codegen.target import Backend, Capabilities
from numr.dtypes import ALL, DType, as_dtype, int32
from numr.runtime.device_array import guard

# Invocations of a workgroup: what every device has.
LANES = 256
# Drivers round float64 their own way: halves to wherever, and -0.25 to 0.
NATIVE = frozenset(
    ("sqrt", "floor", "ceil", "trunc:f32", "rint:f32", "rsqrt", "abs", "maximum", "minimum")
    + ("copysign", "isnan", "isinf", "isfinite", "signbit")
)


def dtypes_with(features: Collection[str]) -> frozenset[DType]:
    """What kernels take on a device of such features."""
    integers = "shader-int64" in features
    wide = integers and "shader-f64" in features
    return frozenset(
        d
        for d in ALL
        if d.bits < 64
        or d.name == "complex64"
        or (integers and d.kind in "iu")
        or (wide and d.kind in "fc")
    )


def parameters(sizes: Sequence[int], points: int) -> bytes:
    """The contents of binding 0, as the printer has it in struct Parameters: points, none, inf, nan, sizes."""
    return struct.pack(f"<iIII{len(sizes)}i", points, 0, 0x7F800000, 0x7FC00000, *sizes)


@dataclass(frozen=True, slots=True)
class _Built:
    """A kernel that the device has taken."""

    kernel: Kernel
    fast_math: bool
    text: str

    def pipeline(self, counts: tuple[int, ...], spare: bool) -> Pipeline:
        """The pipeline for buffers that take so many bindings each, and maybe workgroups to spare."""
        device = gpu()
        spare = spare and self.kernel.lanes > 1
        if all(count == 1 for count in counts) and not spare:
            return device.pipeline(self.text, tuple(b.written for b in self.kernel.buffers))
        spread = [
            (count, device.binding_limit // print.bytes_of(b.dtype))
            for b, count in zip(self.kernel.buffers, counts, strict=True)
        ]
        printed = print.WgslPrinter(self.fast_math, spread, spare).print(self.kernel)
        bindings = zip(self.kernel.buffers, counts, strict=True)
        written = tuple(w for b, count in bindings for w in (b.written,) * count)
        return device.pipeline(printed, written)


# A driver that runs shaders on the host's processors is slower than kernels compiled for them.
_RANKS = {"DiscreteGPU": 2, "IntegratedGPU": 1, "CPU": -1}


class WebGpu:
    name = "webgpu"
    library: Mapping[str, Callable[..., Any]] = {}

    @cached_property
    def capabilities(self) -> Capabilities:
        device = gpu()
        return Capabilities(
            dtypes=dtypes_with(device.features),
            max_buffers=min(32, device.limits["max-storage-buffers-per-shader-stage"]),
            lanes=LANES,
            index=int32,
            # Mesa's driver for processors counts the rounds of all loops of an invocation.
            trips=65535 if device.adapter_info.get("adapter_type") == "CPU" else None,
            native=NATIVE | ({"cast:f16"} if converts_exactly(device) else set()),
            rank=_RANKS.get(device.adapter_info.get("adapter_type", ""), 1),
            fast=frozenset(f"{name}:f32" for name in print.FAST),
        )

    def build(self, kernels: Sequence[Kernel], fast_math: bool) -> list[Any]:
        """Kernels as pipelines."""
        printer = print.WgslPrinter(fast_math)
        texts = [printer.print(k) for k in kernels]

        def compile_one(k: int) -> bytes:
            return b""  # drivers keep what they compile themselves

        def load(k: int, artifact: bytes) -> _Built:
            built = _Built(kernels[k], fast_math, texts[k])
            built.pipeline((1,) * len(kernels[k].buffers), False)
            return built

        return kernel_store.build_all(self.name, gpu().fingerprint, texts, compile_one, load)

    def launcher(
        self, built: _Built, n_buffers: int, sizes: Sequence[int], points: int, work: int
    ) -> Callable[..., object]:
        per_group = 1 if built.kernel.lanes > 1 else print.POINTS_PER_GROUP
        return launcher(built.pipeline, parameters(sizes, points), -(-points // per_group))

    def allocator(self, shape: tuple[int, ...], dtype: DType) -> Callable[[], Any]:
        return lambda: memory.empty(shape, dtype.dtype)

    def filled(self, shape: tuple[int, ...], dtype: DType, value: Any) -> Callable[[], Any]:
        points = math.prod(shape)
        if not points:
            return self.allocator(shape, dtype)
        (built,) = self.build([fill_kernel(dtype, value, int32)], False)
        run = self.launcher(built, 1, (), points, points)

        def make() -> Any:
            buffer = memory.empty(shape, dtype.dtype)
            run(buffer)
            return buffer

        return make

    def copy(self, buffer: Any) -> Any:
        result = memory.empty(buffer.shape, buffer.dtype)
        points = math.prod(buffer.shape)
        if points:
            kernel, sizes, points = copy_kernel(
                as_dtype(buffer.dtype), buffer.shape, buffer.element_strides(), int32
            )
            (built,) = self.build([kernel], False)
            self.launcher(built, 2, sizes, points, points)(buffer, result)
        return result

    def broadcast(self, buffer: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
        return buffer.spread(shape, axes)

    def row(self, buffer: Any, number: int) -> Any:
        return read_row(self, buffer, number)

    def put(self, buffer: Any, number: int, row: Any) -> None:
        write_row(self, buffer, number, row)

    def guard(self, specs: Sequence[tuple[DType, tuple[int, ...]]]) -> Callable[..., bool] | None:
        return guard(
            memory.WebGpuArray, [(dtype.dtype, tuple(map(int, shape))) for dtype, shape in specs]
        )

    def upload(self, array: np.ndarray[Any, Any]) -> Any:
        return memory.upload(array)

    def download(self, buffer: Any) -> np.ndarray[Any, Any]:
        return memory.download(buffer if buffer.is_contiguous else self.copy(buffer))

    def ready(self) -> None:
        gpu()

    def wait(self) -> None:
        gpu().wait()

    def describe(self) -> Mapping[str, str]:
        return gpu().describe()

    def source(self, kernel: Kernel, fast_math: bool) -> str:
        return print.WgslPrinter(fast_math).print(kernel)

    def assembly(self, kernel: Kernel, fast_math: bool) -> str:
        return "none: the device's driver compiles the WGSL, and does not show what it makes of it"


BACKEND: Backend = WebGpu()
