"""Object code to callable addresses, through llvmlite alone (no Numba in a warm process)."""

from __future__ import annotations

import threading
from typing import Any

import llvmlite.binding as llvm

from numr.codegen.backends.cpu import machine

_lock = threading.RLock()
_shared: Any = None
_engines: dict[bytes, Any] = {}  # the engine that holds each object file
_addresses: dict[tuple[str, bytes], int] = {}
_files: list[Any] = []  # must outlive the code that was loaded from them


def _new_engine() -> Any:
    """An execution engine. It owns its target machine, so it does not get the compiler's."""
    host = machine.host()
    empty = llvm.parse_assembly("")
    empty.triple = host.triple
    target = llvm.Target.from_triple(host.triple).create_target_machine(
        cpu=host.cpu, features=host.features, opt=2, reloc="pic", codemodel="jitdefault", jit=True
    )
    return llvm.create_mcjit_compiler(empty, target)


def _engine_for(objects: bytes, entry: str) -> Any:
    """The shared engine (0.05 ms an object; a new engine takes 1), unless it knows the name.

    A known name with other code: the same kernel compiled under other options.
    """
    global _shared
    if _shared is None:
        _shared = _new_engine()
    engine = _new_engine() if _shared.get_function_address(entry) else _shared
    file = llvm.ObjectFileRef.from_data(objects)
    engine.add_object_file(file)
    engine.finalize_object()
    _files.append(file)
    _engines[objects] = engine
    return engine


def load(objects: bytes, entry: str) -> int:
    """The address of function ``entry`` of an object file; loading it again is a look-up."""
    known = _addresses.get((entry, objects))
    if known is not None:
        return known
    with _lock:
        engine = _engines.get(objects) or _engine_for(objects, entry)
        address = int(engine.get_function_address(entry))
        if not address:
            raise LookupError(f"object code does not define {entry}")
        _addresses[entry, objects] = address
        return address
