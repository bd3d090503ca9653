"""What a backend is: the protocol, its capabilities as data, and the registry of names."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numr.dtypes import ALL, DType


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a device can do; heuristics and fusion read this and never a backend's name.

    Attributes:
        dtypes: element types its kernels take.
        max_buffers: most buffers one kernel may be given.
        gaps: primitives it cannot run, with the reason.
    """

    dtypes: frozenset[DType] = frozenset(ALL)
    max_buffers: int = 64
    gaps: Mapping[str, str] = None  # type: ignore[assignment]


class Backend(Protocol):
    """Everything the compiler and the runtime ask of a target.

    `build` makes kernels callable: it prints, looks them up in the disk store, and compiles those
    that are new. `launcher` binds one built kernel to sizes. `library` holds the calls that are not
    kernels, by key. `guard` makes a fast check that arguments are buffers of given types.
    """

    name: str
    capabilities: Capabilities
    library: Mapping[str, Callable[..., Any]]

    def build(self, kernels: Sequence[Any], fast_math: bool) -> list[Any]: ...

    def launcher(
        self, built: Any, n_buffers: int, sizes: Sequence[int], points: int, work: int
    ) -> Any: ...

    def empty(self, shape: tuple[int, ...], dtype: DType) -> Any: ...

    def allocator(self, shape: tuple[int, ...], dtype: DType) -> Callable[[], Any]: ...

    def as_buffer(self, value: Any) -> Any: ...

    def guard(
        self, specs: Sequence[tuple[DType, tuple[int, ...]]]
    ) -> Callable[..., bool] | None: ...

    def source(self, kernel: Any) -> str: ...

    def assembly(self, kernel: Any, fast_math: bool) -> str: ...

    def fingerprint(self) -> str: ...


# Name -> module with a `BACKEND` object; a new backend is one folder and one line here, or a call of
# `register` from outside.
_MODULES: dict[str, str] = {
    "reference": "numr.codegen.backends.reference",
    "cpu": "numr.codegen.backends.cpu.backend",
}
_LOADED: dict[str, Any] = {}


def register(name: str, module: str) -> None:
    """Add a backend: `module` is imported when the name is first used, and has `BACKEND`."""
    _MODULES[name] = module
    _LOADED.pop(name, None)


def names() -> list[str]:
    """The names of all backends known."""
    return list(_MODULES)


def get(name: str) -> Any:
    """The backend of a device name.

    Raises:
        DeviceError: for a name nobody registered.
    """
    backend = _LOADED.get(name)
    if backend is None:
        module = _MODULES.get(name)
        if module is None:
            from numr.errors import DeviceError

            raise DeviceError(
                f"there is no device {name!r}; available: {', '.join(map(repr, _MODULES))}"
            )
        backend = _LOADED[name] = importlib.import_module(module).BACKEND
    return backend
