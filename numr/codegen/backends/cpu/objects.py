"""Object code to callable addresses, through llvmlite alone (no Numba in a warm process)."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Any

import llvmlite.binding as llvm

from numr.codegen.backends.cpu import machine

_lock = threading.RLock()
# Kernels of an engine: it takes 1 ms to make, and its memory goes when none of its kernels is used.
SHARED = 64


class Address(int):
    """The address of a function, which is there as long as this number is.

    Attributes:
        engine: what holds the code.
    """

    engine: _Engine


class _Engine:
    """Code of some object files in memory."""

    def __init__(self) -> None:
        host = machine.host()
        empty = llvm.parse_assembly("")
        empty.triple = host.triple
        # It owns its target machine, so it does not get the compiler's.
        target = llvm.Target.from_triple(host.triple).create_target_machine(
            cpu=host.cpu,
            features=host.features,
            opt=2,
            reloc="pic",
            codemodel="jitdefault",
            jit=True,
        )
        self.made = llvm.create_mcjit_compiler(empty, target)
        # They must outlive the code that was loaded from them, and end after it.
        self.files: list[Any] = []

    def add(self, objects: bytes) -> None:
        file = llvm.ObjectFileRef.from_data(objects)
        self.made.add_object_file(file)
        self.made.finalize_object()
        self.files.append(file)

    def address(self, entry: str) -> int:
        """Where a function is; 0 if it has none of that name."""
        return int(self.made.get_function_address(entry))


_newest: _Engine | None = None
_engines: weakref.WeakValueDictionary[bytes, _Engine] = weakref.WeakValueDictionary()


def _engine_for(objects: bytes, entry: str) -> _Engine:
    """The newest engine (0.05 ms an object), or another where that is full or knows the name: the same
    kernel compiled under other options."""
    global _newest
    engine = _newest
    if engine is None or len(engine.files) >= SHARED or engine.address(entry):
        engine = _newest = _Engine()
    engine.add(objects)
    _engines[objects] = engine
    return engine


def load(objects: bytes, entry: str) -> Address:
    """The address of function ``entry`` of an object file; loading it again is a look-up."""
    with _lock:
        return _address(_engines.get(objects) or _engine_for(objects, entry), entry)


def load_alone(objects: bytes, entries: Sequence[str]) -> list[Address]:
    """The addresses of functions of an object file whose names other files may have, too."""
    with _lock:
        engine = _Engine()
        engine.add(objects)
        return [_address(engine, entry) for entry in entries]


def _address(engine: _Engine, entry: str) -> Address:
    address = Address(engine.address(entry))
    if not address:
        raise LookupError(f"object code does not define {entry}")
    address.engine = engine
    return address
