"""The target "ptx": kernels as PTX, with a host in C that any program with CUDA's driver can use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numr import messages
from numr.codegen.backends.cuda.backend import CAPABILITIES
from numr.codegen.backends.cuda.driver import OLDEST
from numr.codegen.export import manifest
from numr.codegen.export.record import Recording
from numr.codegen.export.target import Files
from numr.codegen.target import Capabilities
from numr.errors import DeviceError

# Sizes are not known, so positions have 64 bits, and nobody is at a keyboard.
_CAPABILITIES = replace(CAPABILITIES, narrow_index=None, interrupted=False)
# Rounds of a loop that ends by a condition in one launch: a device that shows a screen breaks off long ones.
_ROUNDS = 1 << 16
_OPTIONS = {
    "cc": "cc=(8, 0) is the oldest compute capability it is for, (7, 5) if nothing is said",
    "cubin": "cubin=True adds machine code for exactly that compute capability",
}


@dataclass(frozen=True, slots=True)
class Ptx:
    """See `numr.export`; `cc` is the oldest compute capability, `cubin` whether there is to be machine code."""

    cc: tuple[int, int] = OLDEST
    cubin: bool = False
    name: str = "ptx"
    rounds: int = _ROUNDS
    capabilities: Capabilities = _CAPABILITIES

    def options(self, **options: Any) -> Ptx:
        """The target for devices of a compute capability, or with machine code."""
        for name, value in options.items():
            if name not in _OPTIONS:
                raise messages.cannot_export(
                    f'target "ptx" has no option {name!r}', *_OPTIONS.values()
                )
            if name == "cc":
                options[name] = _capability(value)
            elif not isinstance(value, bool):
                raise messages.cannot_export(f"{name} is a {type(value).__name__}", _OPTIONS[name])
        return replace(self, **options)

    def files(self, bundle: str, recordings: Sequence[Recording], fast_math: bool) -> Files:
        """PTX, the host and its header, a program that runs every function once, perhaps machine code."""
        from numr.codegen.backends.cuda import compile as compiler
        from numr.codegen.export.targets.ptx import code, host, program

        host.check_names(bundle, recordings)
        try:
            ptx = code.module(recordings, self.cc, fast_math)
        except DeviceError:
            raise messages.cannot_export(
                'target "ptx" needs the CUDA compiler libraries, which need no device',
                'pip install "numr[cuda]"',
            ) from None
        except RuntimeError as error:
            if "-arch" not in str(error):
                raise
            raise messages.cannot_export(
                f"cc={self.cc}: the compiler {compiler.toolchain().fingerprint} makes no code for that "
                "compute capability",
                _OPTIONS["cc"],
            ) from None
        contents: dict[str, str | bytes] = {
            f"{bundle}.ptx": ptx,
            f"{bundle}.h": host.header(bundle, recordings),
            f"{bundle}_host.c": host.source(bundle, recordings),
            f"{bundle}_main.c": program.source(bundle, recordings),
        }
        if self.cubin:
            contents[f"{bundle}.cubin"] = compiler.to_cubin(ptx, self.cc)
        return Files(contents, self._described(recordings))

    def _described(self, recordings: Sequence[Recording]) -> dict[str, Any]:
        """What the manifest says besides: the kernels and the functions' steps."""
        from numr.codegen.export.targets.ptx import code

        kernels = {
            entry: {
                "threads": code.grid(kernel).threads,
                "points": code.grid(kernel).points,
                "written": [b.written for b in kernel.buffers],
                "sizes": len(kernel.sizes),
            }
            for entry, kernel in code.launched(recordings).items()
        }
        programs = {}
        for recording in recordings:
            names = [k.entry for k in recording.kernels]
            described = manifest.program(recording, names.__getitem__)
            for one, array in zip(described["constants"], recording.constants, strict=True):
                one["name"] = code.constant_name(array)
            programs[recording.name] = described
        return {"capability": list(self.cc), "kernels": kernels, "programs": programs}

    def load(self, folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """The functions of a bundle, on the first CUDA device."""
        from numr.codegen.export.targets.ptx.load import load

        return load(folder, manifest)


def _capability(value: Any) -> tuple[int, int]:
    """(8, 0) of that, or of "8.0"."""
    parts = value.split(".") if isinstance(value, str) else value
    if isinstance(value, str) and len(parts) == 2 and all(p.isdigit() for p in parts):
        parts = [int(p) for p in parts]
    if (
        not isinstance(parts, (tuple, list))
        or len(parts) != 2
        or any(type(p) is not int for p in parts)
    ):
        raise messages.cannot_export(f"cc={value!r} is no compute capability", _OPTIONS["cc"])
    found = int(parts[0]), int(parts[1])
    if found < OLDEST:
        raise messages.cannot_export(
            f"cc={found}: kernels are compiled for {OLDEST} and later", _OPTIONS["cc"]
        )
    return found


TARGET = Ptx()
