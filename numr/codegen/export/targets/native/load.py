"""A native bundle's functions as callables of NumPy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.cpu import machine, objects, processors
from numr.codegen.export import abi

Run = Callable[..., list[Any]]


def load(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Run]:
    """The functions, after all that may forbid to run them here has been looked at.

    Raises:
        ExportError: if the bundle is for another machine, or what it calls is not there.
    """
    _check(folder, manifest)
    called = manifest["name"]
    data = (folder / f"{called}.o").read_bytes()
    return {f["name"]: _function(called, f, data) for f in manifest["functions"]}


def _check(folder: Path, manifest: Mapping[str, Any]) -> None:
    """That this machine can run the code; nothing is loaded before."""
    here, made = machine.host(), manifest["machine"]
    if made["triple"] != here.triple:
        raise messages.bad_bundle(
            folder,
            f"it is for {made['triple']}, and this machine is {here.triple}",
            "export it on a machine of this kind",
        )
    missing = sorted(set(made["features"]) - set(processors.needed(here)))
    if missing:
        raise messages.bad_bundle(
            folder,
            f"it is for processors such as {made['cpu']}, and this one, {here.cpu}, has no "
            + ", ".join(missing),
            'export it for a lesser one, as with cpu="x86-64-v2"',
        )
    absent = [name for name in manifest["needed"] if not machine.has_symbol(name)]
    if absent:
        raise messages.bad_bundle(
            folder,
            f"it calls {', '.join(absent)}, which this machine's C library does not have",
            "export it on this machine",
        )


def _function(called: str, described: Mapping[str, Any], data: bytes) -> Run:
    name = abi.function_name(called, described["name"])
    sizes = len(described["sizes"])
    pointers = len(described["inputs"]) + len(described["outputs"])
    at, query_at = objects.load(data, name), objects.load(data, f"{name}_workspace")
    word = ctypes.c_int64
    pointer_types = [ctypes.c_void_p] * pointers
    function = ctypes.CFUNCTYPE(ctypes.c_int, *pointer_types, *[word] * sizes, ctypes.c_void_p)(at)
    query = ctypes.CFUNCTYPE(word, *[word] * sizes)(query_at)

    def run(
        arrays: Sequence[np.ndarray[Any, Any]],
        sizes: Sequence[int],
        outputs: Sequence[tuple[np.dtype[Any], tuple[int, ...]]],
        # What holds the code is held by its address.
        code: objects.Address = at,
    ) -> list[Any]:
        wanted = query(*sizes)
        # Each call has a workspace of its own, so that threads may call at once.
        workspace = np.empty(max(wanted, 0), np.uint8)
        results = [np.empty(shape, dtype) for dtype, shape in outputs]
        pointers = [x.ctypes.data for x in (*arrays, *results)]
        status = abi.SIZE if wanted < 0 else function(*pointers, *sizes, workspace.ctypes.data)
        if status != abi.OK:
            raise messages.bad_bundle(called, f"{name} does not take sizes {tuple(sizes)}")
        return results

    return run
