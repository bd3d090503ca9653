"""Target "c": the source and the header, from recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numr import messages
from numr.codegen.export.header import check_names, header
from numr.codegen.export.record import Recording
from numr.codegen.export.target import Files
from numr.codegen.export.targets.c import blas
from numr.codegen.export.targets.c.source import source
from numr.codegen.target import Capabilities

_OPTIONS = {
    "openmp": "openmp=True divides loops among threads where the compiler is told -fopenmp",
    "blas": "blas=True multiplies matrices by CBLAS, which programs then need",
}


@dataclass(frozen=True, slots=True)
class C:
    """C11, for any host."""

    openmp: bool = False
    blas: bool = False
    name: str = "c"
    rounds: int = 1 << 40

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(interrupted=False)

    @property
    def library(self) -> frozenset[str]:
        """What CBLAS does instead of kernels."""
        return blas.KEYS if self.blas else frozenset()

    def options(self, **options: Any) -> C:
        for name, value in options.items():
            if name not in _OPTIONS:
                raise messages.cannot_export(
                    f'target "c" has no option {name!r}', *_OPTIONS.values()
                )
            if not isinstance(value, bool):
                raise messages.cannot_export(
                    f"{name} is {value!r}, and True or False is needed",
                    _OPTIONS[name],
                )
        return replace(self, **options)

    def build(self, bundle: str) -> str:
        """The command that compiles the source."""
        flags = "-fopenmp " if self.openmp else ""
        return f"cc -std=c11 -O3 -march=native {flags}-c {bundle}.c"

    def files(self, bundle: str, recordings: Sequence[Recording], fast_math: bool) -> Files:
        check_names(bundle, recordings)
        build = self.build(bundle)
        link = " ".join(["-fopenmp"] * self.openmp + ["-lm"] + ["-lblas"] * self.blas)
        return Files(
            {
                f"{bundle}.c": source(bundle, recordings, build, self.openmp, fast_math),
                f"{bundle}.h": header(
                    bundle, recordings, f"{build} && cc program.c {bundle}.o {link}"
                ),
            },
            {"build": build, "openmp": self.openmp, "blas": self.blas},
        )

    def load(self, folder: Path, manifest: Mapping[str, Any]) -> Mapping[str, Any]:
        raise messages.bad_bundle(
            folder,
            "it is C source, which numr does not build",
            f"build it with  {manifest.get('build', 'a C compiler')}  and call it from C",
            'or export the function to target="native", which can be loaded',
        )


TARGET = C()
