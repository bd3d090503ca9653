"""Running a bundle of PTX on a device: from its text and its manifest, with the cuda backend's memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.cuda import memory
from numr.codegen.backends.cuda.device import open_device
from numr.codegen.backends.cuda.driver import DriverDevice, Module
from numr.codegen.export import steps
from numr.codegen.export.manifest import value
from numr.dtypes import as_dtype

# Launchers that a function keeps: one for each kernel with its sizes.
_KEPT = 4096
Array = np.ndarray[Any, Any]


def load(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Callable[..., list[Array]]]:
    """The functions of a bundle by name.

    Raises:
        ExportError: if the device is older than those that the bundle is for.
        DeviceError: if there is no device.
    """
    device = open_device(0)
    if not isinstance(device, DriverDevice):
        raise messages.bad_bundle(
            folder,
            "it is for CUDA devices, and numba-cuda's simulator is none",
            "set NUMBA_ENABLE_CUDASIM=0 where there is a device",
        )
    wanted = tuple(manifest["capability"])
    if device.capability < wanted:
        here = ".".join(map(str, device.capability))
        raise messages.bad_bundle(
            folder,
            f"it is for compute capability {'.'.join(map(str, wanted))} and later, and the device here has {here}",
            f"export it with cc={device.capability}",
        )
    ptx, cubin = (f"{manifest['name']}.{kind}" for kind in ("ptx", "cubin"))
    exact = cubin in manifest["files"] and device.capability == wanted
    # The driver takes text up to a byte that is 0.
    image = (folder / (cubin if exact else ptx)).read_bytes() + b"\0"
    module = device.module(image)
    return {f["name"]: _Program(f, manifest, device, module) for f in manifest["functions"]}


class _Program:
    """One function of a bundle, called with arrays, the values of its sizes, and what its results are."""

    def __init__(
        self,
        described: Mapping[str, Any],
        manifest: Mapping[str, Any],
        device: DriverDevice,
        module: Module,
    ) -> None:
        self.symbols = described["sizes"]
        self.program = manifest["programs"][described["name"]]
        self.kernels = manifest["kernels"]
        self.device = device
        self.module = module
        self.constants = [self._constant(c) for c in self.program["constants"]]
        self._launcher = lru_cache(_KEPT)(self._launcher_of)

    def __call__(
        self,
        arrays: Sequence[Array],
        sizes: Sequence[int],
        outputs: Sequence[tuple[np.dtype[Any], tuple[int, ...]]],
    ) -> list[Array]:
        device = self.device
        known = dict(zip(self.symbols, sizes, strict=True))
        blocks = [
            memory.empty(device, (value(b, known),), np.dtype(np.uint8))
            for b in self.program["blocks"]
        ]
        given = {
            "in": [memory.upload(device, a) for a in arrays],
            "out": [memory.empty(device, shape, dtype) for dtype, shape in outputs],
            "const": self.constants,
            "temp": [blocks[b] for b in self.program["temporaries"]],
        }
        steps.run(self.program["steps"], known, given, self)
        return [memory.download(out) for out in given["out"]]

    # -- what steps ask for ------------------------------------------------------------------------

    def launch(
        self, kernel: str, buffers: Sequence[Any], sizes: tuple[int, ...], points: int
    ) -> None:
        self._launcher(kernel, sizes, points)(*buffers)

    def clear(self, flag: Any) -> None:
        self.device.write(flag.storage.pointer, np.zeros(1, np.int32))

    def number(self, buffer: Any, dtype: str) -> int:
        kind = as_dtype(dtype).dtype
        return int(memory.download(memory.CudaArray(buffer.storage, (1,), kind))[0])

    # ----------------------------------------------------------------------------------------------

    def _launcher_of(self, kernel: str, sizes: tuple[int, ...], points: int) -> Callable[..., None]:
        described = self.kernels[kernel]
        loaded = self.module.kernel(kernel, tuple(described["written"]))
        blocks = min(-(-points // described["points"]), self.device.blocks)
        return self.device.launcher(loaded, blocks, described["threads"], points, sizes)

    def _constant(self, described: Mapping[str, Any]) -> Any:
        dtype = as_dtype(described["dtype"]).dtype
        shape = tuple(described["shape"])
        pointer = self.module.address(described["name"])
        nbytes = prod(shape) * dtype.itemsize
        return memory.borrowed(self.device, pointer, nbytes, shape, dtype, self.module)
