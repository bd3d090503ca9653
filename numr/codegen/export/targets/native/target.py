"""The target "native": machine code in files that C programs link, and that numr.load calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numr import messages
from numr.codegen.export.record import Recording
from numr.codegen.export.target import Files
from numr.codegen.export.targets.native import elf, link
from numr.codegen.export.targets.native.archive import archive
from numr.codegen.target import Capabilities

if TYPE_CHECKING:
    from numr.codegen.export.targets.native.code import Code

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
                raise messages.cannot_export(
                    f"{name} is of type {type(value).__name__}", _OPTIONS[name]
                )
        made = replace(self, **options)
        made._machine()
        return made

    def files(self, bundle: str, recordings: Sequence[Recording], fast_math: bool) -> Files:
        """Object file, static library, header and, where there is a linker, shared library."""
        from numr.codegen.backends.cpu import processors
        from numr.codegen.export.header import check_names, header
        from numr.codegen.export.targets.native.code import compiled

        check_names(bundle, recordings)
        on = self._machine()
        code = compiled(bundle, recordings, fast_math, on)
        # Elsewhere archives and shared libraries have other forms, and programs link the object file.
        is_elf = elf.undefined(code.data) is not None
        linked = f"lib{bundle}.a" if is_elf else f"{bundle}.o"
        flags = " ".join(f"-l{library}" for library in code.libraries)
        contents: dict[str, str | bytes] = {
            f"{bundle}.h": header(bundle, recordings, f"cc program.c {linked} {flags}"),
            f"{bundle}.o": code.data,
        }
        if is_elf:
            contents[f"lib{bundle}.a"] = archive(f"{bundle}.o", code.data, code.defined)
        if self._is_shared(is_elf):
            contents[f"lib{bundle}.so"] = self._linked(f"lib{bundle}.so", code)
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

    def _is_shared(self, possible: bool) -> bool:
        """Whether to write a shared library: where one can be made, or as the user says."""
        if self.shared and not possible:
            raise messages.cannot_export(
                f"shared libraries are made for systems with ELF files, and this is {self._machine().triple}",
                "say shared=False, and make one of the object file",
            )
        return possible and (link.linker() is not None if self.shared is None else self.shared)

    def _linked(self, name: str, code: Code) -> bytes:
        try:
            return link.shared(name, code.data, code.libraries)
        except RuntimeError as error:
            raise messages.cannot_export(
                f"{name} cannot be made: {error}",
                "install a C compiler, or say shared=False: the object file and the static library need none",
            ) from None


TARGET = Native()
