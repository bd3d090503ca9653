"""How kernels are spelled for the CPU compiler: the shared Python syntax, as it is."""

from __future__ import annotations

from numr.codegen.kernel import Kernel
from numr.codegen.language.printer import PythonPrinter


def source(kernel: Kernel) -> str:
    """The kernel's text in the kernel language."""
    return PythonPrinter().print(kernel)


def parameters(kernel: Kernel) -> tuple[str, ...]:
    """Type codes of the kernel's parameters."""
    return tuple(code for _, code in PythonPrinter().parameters(kernel))
