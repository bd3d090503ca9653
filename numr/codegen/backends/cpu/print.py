"""How kernels are spelled for the CPU compiler: the shared Python syntax, as it is."""

from __future__ import annotations

from numr.codegen.kernel import Kernel
from numr.codegen.language.printer import PythonPrinter


def source(kernel: Kernel) -> str:
    """The kernel's text in the kernel language."""
    return PythonPrinter().print(kernel)


def parameters(kernel: Kernel) -> tuple[str, ...]:
    """Type codes of the kernel's parameters."""
    return (
        "i64",
        "i64",
        *(f"p:{b.dtype.short}" for b in kernel.buffers),
        *("i64" for _ in kernel.sizes),
    )
