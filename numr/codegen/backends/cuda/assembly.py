"""Kernels to read: PTX, and the machine code, where NVIDIA's cuobjdump is there to print it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from numr.codegen.backends.cuda import compile as compiler
from numr.codegen.kernel import Kernel


def text(kernel: Kernel, capability: tuple[int, int], fast_math: bool) -> str:
    """The PTX of a kernel, and after it what the device runs (SASS)."""
    ptx = compiler.compile_kernel(kernel, capability, fast_math)
    tool = disassembler()
    if tool is None:
        return ptx
    machine = f"sm_{capability[0]}{capability[1]}"
    return (
        f"{ptx}\n// machine code, {machine}\n{_printed(tool, compiler.to_cubin(ptx, capability))}"
    )


def disassembler() -> str | None:
    """Where cuobjdump is: beside the compilers, in a CUDA toolkit, or where the shell finds it."""
    compiler.toolchain()
    from cuda.pathfinder import find_nvidia_binary_utility

    return find_nvidia_binary_utility("cuobjdump") or shutil.which("cuobjdump")


def _printed(tool: str, cubin: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        # It looks for nvdisasm, which is installed beside it, on the path.
        path = os.pathsep.join([os.path.dirname(tool), os.environ.get("PATH", "")])
        done = subprocess.run(
            [tool, "-sass", str(file)],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": path},
        )
    return done.stdout if done.returncode == 0 else f"// {done.stderr.strip()}\n"
