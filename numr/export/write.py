"""Exporting: each function is traced, recorded and printed, then the bundle is written at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numr import messages
from numr.codegen import support
from numr.codegen.export import bundle, manifest, target
from numr.codegen.export.assemble import constants, record
from numr.codegen.export.record import Recording
from numr.export import Bundle
from numr.export.specs import is_name
from numr.export.trace import traced


def write(
    fun: Any,
    specs: Any,
    target_name: str,
    path: Path,
    typical: Mapping[str, int],
    fast_math: bool,
    options: Mapping[str, Any],
) -> Bundle:
    """See `numr.export`."""
    import numr

    found = target.get(target_name)
    if options:
        found = found.options(**options)
    recordings = [
        _recorded(name, one, given, found, typical, fast_math)
        for name, one, given in _functions(fun, specs)
    ]
    called = re.sub(r"\W", "_", path.name, flags=re.ASCII)
    if not is_name(called):
        called = f"numr_{called}"
    files = found.files(called, recordings, fast_math)
    whole = {
        "numr": numr.__version__,
        "target": target_name,
        "name": called,
        "functions": [manifest.function(r) for r in recordings],
        **files.manifest,
    }
    bundle.write(path, whole, files.contents)
    return Bundle(
        path,
        target_name,
        tuple(r.name for r in recordings),
        tuple(sorted(files.contents)),
        {r.name: r.text() for r in recordings},
    )


def _functions(fun: Any, specs: Any) -> list[tuple[str, Any, tuple[Any, ...]]]:
    """Each function's name, itself and its specs."""
    named = fun if isinstance(fun, Mapping) else {_name(fun): fun}
    found = []
    for name, entry in named.items():
        if not isinstance(name, str) or not is_name(name):
            raise messages.cannot_export(
                f"{name!r} can be no function's name in C and JavaScript",
                'name it: export({"energy": f}, ...)',
            )
        if isinstance(entry, tuple) and len(entry) != 2:
            raise messages.cannot_export(
                f"{name} is a tuple of {len(entry)}", "write (function, specs), specs a tuple, too"
            )
        one, given = entry if isinstance(entry, tuple) else (entry, specs)
        if not callable(one):
            raise messages.cannot_export(f"{name} is a {type(one).__name__}, not a function")
        if given is None:
            raise messages.cannot_export(
                f"there are no specs for {name}",
                'say what its arguments will be, as in numr.spec("n", 3)',
            )
        found.append((name, one, given if isinstance(given, tuple) else (given,)))
    if not found:
        raise messages.cannot_export("there is no function to export")
    return found


def _name(fun: Any) -> str:
    name = str(getattr(fun, "__name__", "f"))
    return name if is_name(name) else "f"


def _recorded(
    name: str,
    fun: Any,
    specs: tuple[Any, ...],
    found: target.Target,
    typical: Mapping[str, int],
    fast_math: bool,
) -> Recording:
    trace = traced(name, fun, specs, typical)
    for a in trace.inputs:
        if not support.has(found.capabilities, a.dtype):
            raise messages.target_lacks_dtype(
                found.name, name, a, support.NARROWER.get(a.dtype.name)
            )
    known = Recording(
        name,
        trace.doc,
        trace.inputs,
        [],
        trace.in_tree,
        trace.out_tree,
        trace.symbols,
        constants=constants([n.value for n in trace.captured]),
    )
    return record(known, trace.sized, trace.other, trace.result_names, found, fast_math)
