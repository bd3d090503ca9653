"""A native bundle's functions as callables of NumPy arrays."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.backends.cpu import machine, native, objects, processors
from numr.codegen.backends.cpu.launcher import make_launcher
from numr.codegen.export import abi
from numr.codegen.recent import Recent

Run = Callable[..., list[Any]]


def load(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Run]:
    """The functions, after all that may forbid to run them here has been looked at.

    Raises:
        ExportError: if the bundle is for another machine, or what it calls is not there.
    """
    _check(folder, manifest)
    called = manifest["name"]
    data = (folder / f"{called}.o").read_bytes()
    names = [abi.function_name(called, f["name"]) for f in manifest["functions"]]
    codes = iter(objects.load_alone(data, [n + end for n in names for end in ("", "_workspace")]))
    return {
        f["name"]: _function(folder, f, code, query)
        for f, code, query in zip(manifest["functions"], codes, codes, strict=True)
    }


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


def _function(
    folder: Path, described: Mapping[str, Any], code: objects.Address, query_code: objects.Address
) -> Run:
    count = len(described["sizes"])
    pointers = len(described["inputs"]) + len(described["outputs"])
    query = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * count)(query_code)
    caller = _caller(pointers, count)
    # By sizes: the bytes of the workspace, and what calls the function with them.
    plans: Recent[tuple[int, ...], tuple[int, Callable[..., object]]] = Recent(64)

    def plan(sizes: tuple[int, ...]) -> tuple[int, Callable[..., object]]:
        wanted = query(*sizes)
        if wanted < 0:
            what = f"{described['name']} does not take sizes {sizes}"
            raise messages.bad_bundle(folder, what)
        launcher = make_launcher(
            caller, pointers + 1, sizes, lo=code, hi=code + 1, release_gil=True
        )
        return wanted, launcher

    def run(
        arrays: Sequence[np.ndarray[Any, Any]],
        sizes: Sequence[int],
        outputs: Sequence[tuple[np.dtype[Any], tuple[int, ...]]],
        # What holds the code is held by its address.
        held: tuple[objects.Address, ...] = (code, query_code, caller),
    ) -> list[Any]:
        key = tuple(sizes)
        found = plans.get(key)
        if found is None:
            found = plans[key] = plan(key)
        wanted, call = found
        results = [np.empty(shape, dtype) for dtype, shape in outputs]
        # Each call has a workspace of its own, so that threads may call at once.
        call(*arrays, *results, np.empty(wanted, np.uint8))
        return results

    return run


@functools.cache
def _caller(pointers: int, sizes: int) -> objects.Address:
    """Machine code that launcher.py takes for a kernel: its first number is the function to call.

    The words are pointers to arrays, that to the workspace, and sizes. The status, which is of these two alone,
    is known to be OK.
    """
    words = pointers + 1 + sizes
    loads = [
        line
        for k in range(words)
        for line in (
            f"  %a{k} = getelementptr i64, ptr %words, i64 {k}",
            f"  %w{k} = load i64, ptr %a{k}",
        )
    ]
    order = [*range(pointers), *range(pointers + 1, words), pointers]
    text = "\n".join(
        [
            "define void @numr_call(i64 %function, i64 %more, ptr %words) {",
            *loads,
            "  %f = inttoptr i64 %function to ptr",
            f"  %status = call i32 %f({', '.join(f'i64 %w{k}' for k in order)})",
            "  ret void",
            "}",
            "",
        ]
    )
    return objects.load(native.machine_code(text), "numr_call")
