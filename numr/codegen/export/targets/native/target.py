"""The target "native": machine code in files that C programs link, and that numr.load calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numr import messages
from numr.codegen.export.record import Recording
from numr.codegen.export.target import Files
from numr.codegen.export.targets.native.archive import archive
from numr.codegen.target import Capabilities

# As the jit's on the CPU, but that nobody is at a keyboard.
_CAPABILITIES = Capabilities(interrupted=False)
_OPTIONS = {
    "cpu": 'cpu="host" or a processor\'s name such as "x86-64-v3"',
    "shared": "shared=True or False: whether to write a shared library, for which there has to be a linker",
}


@dataclass(frozen=True, slots=True)
class Native:
    """See `numr.export`; `cpu` is the processor, and `shared` whether there has to be a shared library."""

    name: str = "native"
    capabilities: Capabilities = _CAPABILITIES
    rounds: int = 1 << 40
    cpu: str = "host"
    shared: bool | None = None

    def options(self, **options: Any) -> Native:
        """The target for another processor, or with or without a shared library."""
        for name, value in options.items():
            if name not in _OPTIONS:
                raise messages.cannot_export(
                    f'target "native" has no option {name!r}', *_OPTIONS.values()
                )
            if type(value) is not {"cpu": str, "shared": bool}[name]:
                raise messages.cannot_export(f"{name} is a {type(value).__name__}", _OPTIONS[name])
        made = replace(self, **options)
        made._machine()
        return made

    def files(self, bundle: str, recordings: Sequence[Recording], fast_math: bool) -> Files:
        """Object file, static library, header and, where there is a linker, shared library."""
        from numr.codegen.backends.cpu import processors
        from numr.codegen.export.header import header
        from numr.codegen.export.targets.native.code import compiled

        on = self._machine()
        code = compiled(bundle, recordings, fast_math, on)
        flags = " ".join(f"-l{library}" for library in code.libraries)
        contents: dict[str, str | bytes] = {
            f"{bundle}.h": header(bundle, recordings, f"cc program.c lib{bundle}.a {flags}"),
            f"{bundle}.o": code.data,
            f"lib{bundle}.a": archive(f"{bundle}.o", code.data, code.defined),
        }
        library = self._shared(f"lib{bundle}.so", code.data, code.libraries)
        if library is not None:
            contents[f"lib{bundle}.so"] = library
        return Files(
            contents,
            {
                "machine": {"triple": on.triple, "cpu": on.cpu, "features": processors.needed(on)},
                "libraries": list(code.libraries),
                "needed": list(code.needed),
            },
        )

    def load(self, folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        """The functions of a bundle for this machine."""
        from numr.codegen.export.targets.native.load import load

        return load(folder, manifest)

    def _machine(self) -> Any:
        from numr.codegen.backends.cpu import machine, processors

        if self.cpu == "host":
            return machine.host()
        try:
            return processors.named(self.cpu)
        except ValueError:
            raise messages.cannot_export(
                f"cpu={self.cpu!r} is no processor that numr makes code for on {machine.host().triple}",
                'use cpu="host"'
                + (", or one of " + ", ".join(processors.X86)) * processors.is_x86(machine.host()),
            ) from None

    def _shared(self, name: str, data: bytes, libraries: Sequence[str]) -> bytes | None:
        from numr.codegen.export.targets.native import link

        if self.shared is False or (self.shared is None and link.linker() is None):
            return None
        try:
            return link.shared(name, data, libraries)
        except RuntimeError as error:
            raise messages.cannot_export(
                f"{name} cannot be made: {error}",
                "install a C compiler, or say shared=False: the object file and the static library need none",
            ) from None


TARGET = Native()
