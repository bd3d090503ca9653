"""Shared libraries: whichever linker the machine has, asked to make one of an object file."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Compilers know where their libraries are; linkers alone are asked for those that are there at run time.
_COMPILERS = ("cc", "gcc", "clang")
_LINKERS = ("ld.lld", "ld")
_AT_RUN_TIME = {"m": "-l:libm.so.6", "mvec": "-l:libmvec.so.1"}


def linker() -> str | None:
    """The first of the known compilers and linkers that is on the path."""
    return next((name for name in (*_COMPILERS, *_LINKERS) if shutil.which(name)), None)


def shared(name: str, data: bytes, libraries: Sequence[str]) -> bytes:
    """A shared library.

    Args:
        name: what it is called, `libspring.so`.
        data: the object file.
        libraries: what it needs: "m", "mvec".

    Raises:
        RuntimeError: if there is no linker, or it failed, with what it said.
    """
    found = linker()
    if found is None:
        raise RuntimeError(f"there is none of {', '.join((*_COMPILERS, *_LINKERS))} on the path")
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "code.o").write_bytes(data)
        if found in _COMPILERS:
            needed = [f"-l{library}" for library in libraries]
            command = [found, "-shared", f"-Wl,-soname,{name}", "-Wl,--build-id=none", "-s"]
        else:
            needed = [_AT_RUN_TIME[library] for library in libraries]
            command = [found, "-shared", f"-soname={name}", "-s"]
        done = subprocess.run(
            [*command, "-o", name, "code.o", *needed],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{found} failed: {done.stderr.strip()}")
        return (Path(folder) / name).read_bytes()
