"""Object code to callable addresses, through llvmlite alone (no Numba in a warm process)."""

from __future__ import annotations

import threading
from typing import Any

import llvmlite.binding as llvm

from numr.codegen.backends.cpu import machine

_lock = threading.RLock()
_engine: Any = None
_kept: list[Any] = []  # object files must outlive the code that was loaded from them
_addresses: dict[str, int] = {}


def _get_engine() -> Any:
    """One engine for all objects: adding to it costs 0.1 ms, making another 1 ms (measured)."""
    global _engine
    if _engine is None:
        machine.host()
        empty = llvm.parse_assembly("")
        empty.triple = machine.host().triple
        _engine = llvm.create_mcjit_compiler(empty, _fresh_target())
    return _engine


def _fresh_target() -> Any:
    """An engine owns its target machine, so it must not get the compiler's."""
    host = machine.host()
    target = llvm.Target.from_triple(host.triple)
    return target.create_target_machine(
        cpu=host.cpu, features=host.features, opt=2, reloc="pic", codemodel="jitdefault", jit=True
    )


def load(objects: bytes, entry: str) -> int:
    """The address of function ``entry`` of an object file. Loading an entry again is free.

    Names must identify content (numr puts the hash of a kernel in its name), since one name gives
    one address for the life of the process.
    """
    known = _addresses.get(entry)
    if known is not None:
        return known
    with _lock:
        engine = _get_engine()
        address = int(engine.get_function_address(entry))  # another entry of a loaded object
        if not address:
            file = llvm.ObjectFileRef.from_data(objects)
            engine.add_object_file(file)
            _kept.append(file)
            engine.finalize_object()
            address = int(engine.get_function_address(entry))
        if not address:
            raise LookupError(f"object code does not define {entry}")
        _addresses[entry] = address
        return address
