"""The CPU backend: kernels through Numba's front end and LLVM, buffers as NumPy arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numr import config
from numr.codegen import kernels as kernel_store
from numr.codegen.backends.cpu.library import LIBRARY
from numr.codegen.backends.cpu.print import parameters, source
from numr.codegen.kernel import Kernel
from numr.codegen.target import Backend, Capabilities
from numr.dtypes import DType
from numr.runtime.allocator import allocator

# Below this many additions' worth of work a second thread costs more than it saves.
_PARALLEL_WORK = 4_000_000
# Below this, not even giving up the GIL pays.
_LONG_WORK = 200_000


class Cpu:
    name = "cpu"
    capabilities = Capabilities()
    library: Mapping[str, Callable[..., Any]] = LIBRARY

    def build(self, kernels: Sequence[Kernel], fast_math: bool) -> list[Any]:
        """Kernels as addresses of their packed form."""
        from numr.codegen.backends.cpu import machine, objects
        from numr.codegen.backends.cpu.compile import compile_kernel, packed_name

        def compile_one(k: int) -> bytes:
            kernel = kernels[k]
            return compile_kernel(source(kernel), kernel.entry, parameters(kernel), fast_math)

        def load(k: int, artifact: bytes) -> int:
            return objects.load(artifact, packed_name(kernels[k].entry))

        texts = [k.text() for k in kernels]
        key = f"{machine.host().fingerprint} fast_math={fast_math}"
        return kernel_store.build_all(self.name, key, texts, compile_one, load)

    def launcher(
        self, built: int, n_buffers: int, sizes: Sequence[int], points: int, work: int
    ) -> Callable[..., object]:
        from numr.codegen.backends.cpu import pool
        from numr.codegen.backends.cpu.launcher import make_launcher

        if work < _LONG_WORK:
            return make_launcher(built, n_buffers, sizes, hi=points)
        grain = max(1, points * _PARALLEL_WORK // (2 * work)) if work else points
        threads = config.get().num_threads
        several = threads > 1 and points > 1 and work >= _PARALLEL_WORK
        shared = pool.address(threads) if several else 0
        return make_launcher(
            built,
            n_buffers,
            sizes,
            hi=points,
            grain=grain,
            pool=shared,
            threads=threads,
            release_gil=True,
        )

    def allocator(self, shape: tuple[int, ...], dtype: DType) -> Callable[[], Any]:
        return allocator(shape, dtype.dtype)

    def filled(self, shape: tuple[int, ...], dtype: DType, value: Any) -> Callable[[], Any]:
        return functools.partial(np.full, shape, value, dtype.dtype)

    def upload(self, array: Any) -> Any:
        return array

    def download(self, buffer: Any) -> Any:
        return buffer

    def copy(self, buffer: Any) -> Any:
        return np.array(buffer, order="C")

    def broadcast(self, buffer: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
        full = [1] * len(shape)
        for i, axis in enumerate(axes):
            full[axis] = buffer.shape[i]
        return np.broadcast_to(buffer.reshape(full), shape)

    def looped(self, *args: Any) -> Callable[[list[Any]], list[Any]] | None:
        """A loop over kernels, run without Python; None where Python does as well."""
        from numr.codegen.backends.cpu import loops

        return loops.looped(*args)

    def row(self, buffer: Any, number: int) -> Any:
        return buffer[number, ...]

    def put(self, buffer: Any, number: int, row: Any) -> None:
        buffer[number] = row

    def guard(self, specs: Sequence[tuple[DType, tuple[int, ...]]]) -> Callable[..., bool] | None:
        from numr.codegen.backends.cpu.launcher import make_guard

        return make_guard([(dtype.dtype, tuple(map(int, shape))) for dtype, shape in specs])

    def ready(self) -> None: ...

    def wait(self) -> None: ...

    def describe(self) -> Mapping[str, str]:
        import llvmlite.binding as llvm

        from numr.codegen.backends.cpu import machine
        from numr.codegen.language import frontend

        host = machine.host()
        words = host.features.split(",")
        has = [
            f
            for f in ("sse4.2", "avx", "avx2", "fma", "avx512f", "neon", "sve")
            if f"+{f}" in words
        ]
        return {
            "processor": f"{host.cpu} ({', '.join(has)})",
            "vectors": f"{host.lanes} float64",
            "threads": str(config.get().num_threads),
            "llvm": ".".join(map(str, llvm.llvm_version_info)),
            "front end": frontend.chosen(),
            "vector mathematics": "glibc's libmvec and numr's" if host.libmvec else "numr's",
        }

    def source(self, kernel: Kernel, fast_math: bool) -> str:
        return source(kernel)

    def assembly(self, kernel: Kernel, fast_math: bool) -> str:
        from numr.codegen.backends.cpu.compile import assembly

        return assembly(source(kernel), kernel.entry, parameters(kernel), fast_math)


BACKEND: Backend = Cpu()
