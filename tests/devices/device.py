"""A device made of Python: memory that NumPy cannot see into, kernels interpreted lane by lane."""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from numr.codegen import target
from numr.codegen.kernel import Kernel
from numr.dtypes import DType
from tests.devices import interpreter

Array = np.ndarray[Any, Any]


class Held:
    """An array on the device."""

    __array__ = None

    def __init__(self, values: Array, device: str) -> None:
        self.values = values
        self.device = device

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return self.values.ndim

    @property
    def size(self) -> int:
        return self.values.size

    @property
    def nbytes(self) -> int:
        return self.values.nbytes

    @property
    def is_contiguous(self) -> bool:
        return self.values.flags.c_contiguous

    def reshape(self, shape: tuple[int, ...]) -> Held:
        assert self.is_contiguous
        return Held(self.values.reshape(shape), self.device)

    def transpose(self, order: Sequence[int]) -> Held:
        return Held(self.values.transpose(order), self.device)


class Device:
    """A backend whose capabilities a test chooses, and which remembers what it launched."""

    library: Mapping[str, Callable[..., Any]] = {}

    def __init__(self, name: str, capabilities: target.Capabilities) -> None:
        self.name = name
        self.capabilities = capabilities
        self.launched: list[Kernel] = []
        self.downloads = 0

    def build(self, kernels: Sequence[Kernel], fast_math: bool) -> list[Any]:
        return list(kernels)

    def launcher(
        self, built: Kernel, n_buffers: int, sizes: Sequence[int], points: int, work: int
    ) -> Callable[..., object]:
        def launch(*buffers: Held) -> None:
            self.launched.append(built)
            assert all(b.is_contiguous for b in buffers)
            interpreter.run(built, [_parts(b.values) for b in buffers], sizes, points)

        return launch

    def allocator(self, shape: tuple[int, ...], dtype: DType) -> Callable[[], Any]:
        return lambda: Held(np.full(shape, 77).astype(dtype.dtype), self.name)

    def filled(self, shape: tuple[int, ...], dtype: DType, value: Any) -> Callable[[], Any]:
        return lambda: Held(np.full(shape, value, dtype.dtype), self.name)

    def upload(self, array: Any) -> Held:
        return Held(np.array(array, order="C"), self.name)

    def download(self, buffer: Held) -> Array:
        self.downloads += 1
        return buffer.values.copy()

    def copy(self, buffer: Held) -> Held:
        return Held(np.array(buffer.values, order="C"), self.name)

    def broadcast(self, buffer: Held, shape: tuple[int, ...], axes: tuple[int, ...]) -> Held:
        lengths = [1] * len(shape)
        for length, axis in zip(buffer.shape, axes, strict=True):
            lengths[axis] = length
        return Held(np.broadcast_to(buffer.values.reshape(lengths), shape), self.name)

    def row(self, buffer: Held, number: int) -> Held:
        return Held(np.array(buffer.values[number, ...], order="C"), self.name)

    def put(self, buffer: Held, number: int, row: Held) -> None:
        buffer.values[number] = row.values

    def guard(self, specs: Sequence[Any]) -> None:
        return None

    def ready(self) -> None:
        pass

    def wait(self) -> None:
        pass

    def describe(self) -> Mapping[str, str]:
        return {"about": "an interpreter of kernels"}

    def source(self, kernel: Kernel, fast_math: bool) -> str:
        return kernel.text()

    def assembly(self, kernel: Kernel, fast_math: bool) -> str:
        return "none"


def _parts(values: Array) -> Array:
    """An array as kernels see it: flat, complex numbers as two."""
    flat = values.reshape(-1)
    return flat.view(flat.real.dtype) if flat.dtype.kind == "c" else flat


_NUMBERS = itertools.count()


@contextmanager
def registered(**capabilities: Any) -> Iterator[Device]:
    """A device of these capabilities and a name of its own, while the block runs."""
    name = f"toy{next(_NUMBERS)}"
    device = Device(name, target.Capabilities(**capabilities))
    module = types.ModuleType(f"{name}_backend")
    module.BACKEND = device  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    target.register(name, module.__name__)
    try:
        yield device
    finally:
        target._MODULES.pop(name)
        target._LOADED.pop(name, None)
        sys.modules.pop(module.__name__)
