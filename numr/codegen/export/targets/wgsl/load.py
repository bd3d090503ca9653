"""Running a bundle of WGSL through wgpu: from its texts and its manifest, with buffers of the webgpu backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.webgpu import memory
from numr.codegen.backends.webgpu.backend import parameters
from numr.codegen.backends.webgpu.gpu import Pipeline, gpu, launcher
from numr.codegen.export.manifest import value
from numr.codegen.export.steps import run
from numr.dtypes import as_dtype
from numr.errors import DeviceError

# Launchers that a function keeps: one for each kernel with its sizes.
_KEPT = 4096
Array = np.ndarray[Any, Any]


def load(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Callable[..., list[Array]]]:
    """The functions of a bundle by name.

    Raises:
        ExportError: if the device here lacks a feature that the bundle needs.
        DeviceError: if there is no device.
    """
    missing = sorted(set(manifest["features"]) - gpu().features)
    if missing:
        raise messages.bad_bundle(
            folder,
            f"it needs the WebGPU feature {', '.join(missing)}, which the device here does not have",
            "export it without features=, with arrays of float32 and int32",
        )
    texts = {
        name: (folder / kernel["file"]).read_text() for name, kernel in manifest["kernels"].items()
    }
    held = folder / "constants.bin"
    data = held.read_bytes() if held.is_file() else b""
    return {
        described["name"]: _Program(described, manifest, texts, data)
        for described in manifest["functions"]
    }


class _Program:
    """One function of a bundle, called with arrays, the values of its sizes, and what its results are."""

    def __init__(
        self,
        described: Mapping[str, Any],
        manifest: Mapping[str, Any],
        texts: Mapping[str, str],
        data: bytes,
    ) -> None:
        self.name = described["name"]
        self.symbols = described["sizes"]
        self.kernels = manifest["kernels"]
        self.program = manifest["programs"][self.name]
        self.texts = texts
        self.constants = list(_constants(self.program["constants"], data))
        self._launcher = lru_cache(_KEPT)(self._launcher_of)

    def __call__(
        self,
        arrays: Sequence[Array],
        sizes: Sequence[int],
        outputs: Sequence[tuple[np.dtype[Any], tuple[int, ...]]],
    ) -> list[Array]:
        known = dict(zip(self.symbols, sizes, strict=True))
        blocks = [
            memory.empty((value(b, known) // 4,), np.dtype(np.uint32))
            for b in self.program["blocks"]
        ]
        given = {
            "in": [memory.upload(a) for a in arrays],
            "out": [memory.empty(shape, dtype) for dtype, shape in outputs],
            "const": [memory.upload(c) for c in self.constants],
            "temp": [blocks[b] for b in self.program["temporaries"]],
        }
        run(self.program["steps"], known, given, self)
        return [memory.download(out) for out in given["out"]]

    def launch(
        self, kernel: str, buffers: Sequence[Any], sizes: tuple[int, ...], points: int
    ) -> None:
        """Record a launch."""
        self._launcher(kernel, sizes, points)(*buffers)

    def clear(self, flag: Any) -> None:
        """Make a buffer's int32 zero."""
        block = flag.storage.block
        device = block.pool.device
        with device.lock, device.watched():
            block.last_use = device.batch
            device.encoder().clear_buffer(block.buffer, 0, 4)

    def number(self, buffer: Any, dtype: str) -> int:
        """The number in a buffer."""
        kind = as_dtype(dtype).dtype
        return int(memory.download(memory.WebGpuArray(buffer.storage, (1,), kind))[0])

    def _launcher_of(
        self, kernel: str, values: tuple[int, ...], points: int
    ) -> Callable[..., None]:
        described = self.kernels[kernel]
        text, written = self.texts[kernel], tuple(described["written"])
        if max(*values, points, 0) >= 2**31:
            raise self._too_large()

        def pipeline(counts: Sequence[int], _: bool) -> Pipeline:
            if any(count > 1 for count in counts):
                raise self._too_large()
            return gpu().pipeline(text, written)

        return launcher(pipeline, parameters(values, points), -(-points // described["points"]))

    def _too_large(self) -> DeviceError:
        return messages.device_failed(
            "webgpu",
            f"an array of {self.name} is larger than the {gpu().binding_limit} bytes that an exported kernel reads",
            "call it with smaller arrays, or use the function itself with nr.jit",
        )


def _constants(described: Sequence[Mapping[str, Any]], data: bytes) -> Iterator[Array]:
    for one in described:
        shape = tuple(one["shape"])
        dtype = as_dtype(one["dtype"]).dtype
        yield np.frombuffer(data, dtype, prod(shape), one["offset"]).reshape(shape)
