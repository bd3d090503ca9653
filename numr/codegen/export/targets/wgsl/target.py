"""The target "wgsl": kernels as WGSL, and a JavaScript module that runs them on any WebGPU device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.webgpu import print
from numr.codegen.backends.webgpu.backend import LANES, NATIVE, dtypes_with
from numr.codegen.export import manifest
from numr.codegen.export.record import Memory, Recording
from numr.codegen.export.target import Files
from numr.codegen.export.targets.wgsl import module
from numr.codegen.kernel import Kernel
from numr.codegen.target import Capabilities
from numr.dtypes import int32
from numr.ir.formulas import Formula

# What every WebGPU device lets a kernel have.
MAX_BUFFERS = 8
# Rounds of a loop that ends by a condition in one launch: browsers take a device away that is silent for long.
ROUNDS = 4096
CONSTANTS = "constants.bin"
_FEATURES = ("shader-f64", "shader-int64")
_OPTION = f"features= names what devices must have besides: {' or '.join(map(repr, _FEATURES))}"


@dataclass(frozen=True, slots=True)
class Wgsl:
    """See `numr.export`; `features` are what devices must have beyond what all have."""

    features: tuple[str, ...] = ()
    name: str = "wgsl"
    rounds: int = ROUNDS

    @property
    def capabilities(self) -> Capabilities:
        """What every device has, and those of the features asked for."""
        return Capabilities(
            dtypes=dtypes_with(self.features),
            max_buffers=MAX_BUFFERS,
            lanes=LANES,
            index=int32,
            native=NATIVE,
            fast=frozenset(f"{name}:f32" for name in print.FAST),
            interrupted=False,
        )

    def options(self, **options: Any) -> Wgsl:
        """The target for devices with further features."""
        given = options.pop("features", ())
        for name in options:
            raise messages.cannot_export(f'target "{self.name}" has no option {name!r}', _OPTION)
        features = (given,) if isinstance(given, str) else tuple(given)
        for feature in features:
            if feature not in _FEATURES:
                raise messages.cannot_export(f"there is no feature {feature!r}", _OPTION)
        if features:
            # The functions of float64 work on its bits.
            features = _FEATURES if "shader-f64" in features else features
        return type(self)(features)

    def files(self, bundle: str, recordings: Sequence[Recording], fast_math: bool) -> Files:
        """Each kernel, the constants, and a module with types."""
        kernels, constants = _Kernels(fast_math), _Constants()
        programs = {}
        for recording in recordings:
            if recording.name == "then":
                raise messages.cannot_export(
                    "a function called then would make JavaScript take the module for a promise",
                    "name it otherwise",
                )
            names = [kernels.name(k) for k in recording.kernels]
            program = manifest.program(recording, names.__getitem__, device_bytes)
            for one, array in zip(program["constants"], recording.constants, strict=True):
                one["offset"] = constants.place(array)
            programs[recording.name] = program
        contents: dict[str, str | bytes] = {
            kernels.described[name]["file"]: text for name, text in kernels.texts.items()
        }
        if constants.data:
            contents[CONSTANTS] = bytes(constants.data)
        described = {
            "features": list(self.features),
            "kernels": kernels.described,
            "programs": programs,
        }
        contents[f"{bundle}.js"] = module.script(bundle, recordings, described, kernels.texts)
        contents[f"{bundle}.d.ts"] = module.types(bundle, recordings)
        contents["package.json"] = module.package(bundle)
        return Files(contents, described)

    def load(self, folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """The functions of a bundle, run through wgpu."""
        from numr.codegen.export.targets.wgsl.load import load

        return load(folder, manifest)


class _Kernels:
    """Kernels by name, each text once, and what launching them takes."""

    def __init__(self, fast_math: bool) -> None:
        self.texts: dict[str, str] = {}
        self.described: dict[str, dict[str, Any]] = {}
        self._names: dict[str, str] = {}
        self._printer = print.WgslPrinter(fast_math, spare=True)

    def name(self, kernel: Kernel) -> str:
        """The name of a kernel."""
        if len(kernel.buffers) > MAX_BUFFERS:
            raise messages.cannot_export(
                f"a kernel takes {len(kernel.buffers)} arrays, and all WebGPU devices take only {MAX_BUFFERS}",
                "compute parts of the result in functions of their own",
            )
        text = self._printer.print(kernel)
        name = self._names.setdefault(text, f"k{len(self._names)}")
        self.texts[name] = text
        self.described[name] = {
            "file": f"kernels/{name}.wgsl",
            "written": [b.written for b in kernel.buffers],
            "points": 1 if kernel.lanes > 1 else print.POINTS_PER_GROUP,
            "sizes": len(kernel.sizes),
        }
        return name


class _Constants:
    """The arrays that functions hold, one after another, each once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._places: dict[tuple[str, bytes], int] = {}

    def place(self, array: np.ndarray[Any, Any]) -> int:
        """Where an array begins, a multiple of 8."""
        key = str(array.dtype), array.tobytes()
        found = self._places.get(key)
        if found is None:
            self.data += bytes(-len(self.data) % 8)
            found = self._places[key] = len(self.data)
            self.data += key[1]
        return found


def device_bytes(memory: Memory) -> Formula:
    """The size of a buffer on a device: a boolean is a word, a buffer a number of words."""
    word = Formula.of(4)
    if memory.dtype.kind == "b":
        return memory.length * word
    if memory.dtype.itemsize % 4 == 0:
        return memory.bytes
    return (memory.bytes + Formula.of(3)) // word * word


TARGET = Wgsl()
