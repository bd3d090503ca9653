"""What a backend is: the protocol, its capabilities as data, and the registry of names."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numr import messages
from numr.codegen.kernel import Kernel
from numr.dtypes import ALL, DType, int64
from numr.errors import DeviceError
from numr.ir.node import Node


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a device can do; heuristics and fusion read this and never a backend's name.

    Attributes:
        dtypes: element types its kernels take.
        max_buffers: most buffers one kernel may be given.
        gaps: primitives it cannot run, with the reason.
        lanes: how many run one point of a kernel's grid at once, at most; 1 where a point is one
            thread's and threads are few.
        index: the dtype of positions and lengths in kernels.
        narrow_index: the same in kernels of graphs whose arrays are all short enough for it; None if
            it makes no difference.
        trips: how many times the loops of one point may go round; None if as often as they will.
        native: scalar functions its kernels have to full precision, in any dtype ("sqrt") or in one
            ("exp:f32"); None if they have all.
        fast: functions it has with few digits, which fast math may use.
        atomics: dtypes in which several points may add to one element at a time.
        rank: how fast the device is, to choose among devices: 0 for the host's processors, more for
            what is faster.
        interrupted: whether long loops are cut in pieces, between which the keyboard is heard.
    """

    dtypes: frozenset[DType] = frozenset(ALL)
    max_buffers: int = 64
    gaps: Mapping[str, str] = field(default_factory=dict)
    lanes: int = 1
    index: DType = int64
    narrow_index: DType | None = None
    trips: int | None = None
    native: frozenset[str] | None = None
    fast: frozenset[str] = frozenset()
    atomics: frozenset[DType] = frozenset()
    rank: int = 0
    interrupted: bool = True


class Backend(Protocol):
    """Everything the compiler and the runtime ask of a target that runs kernels.

    A buffer is whatever its allocators return: an array with `shape`, `dtype`, `transpose(order)` and
    `reshape(shape)`, as NumPy's. One that is not a NumPy array has its device's name in `device`.

    Attributes:
        name: what users pass as `device`.
        capabilities: what the device can do.
        library: the calls that are not kernels, by key, in any dtype ("matmul") or in one of the first
            operand ("matmul:f32"): functions of buffers and keyword parameters that return a fresh buffer.
    """

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """What the device can do."""
        ...

    @property
    def library(self) -> Mapping[str, Callable[..., Any]]:
        """The calls that are not kernels."""
        ...

    def build(self, kernels: Sequence[Kernel], fast_math: bool) -> list[Any]:
        """Each kernel in a form `launcher` takes: printed, looked up in the store, else compiled.

        Args:
            kernels: what to build, in order; equal texts are equal kernels.
            fast_math: whether generated code may ignore NaN, infinities and the sign of zero.
        """
        ...

    def launcher(
        self, built: Any, n_buffers: int, sizes: Sequence[int], points: int, work: int
    ) -> Callable[..., object]:
        """A function of `n_buffers` buffers that runs one built kernel over its whole grid.

        Args:
            built: what `build` made of the kernel.
            n_buffers: how many buffers it takes.
            sizes: the values of its size parameters.
            points: the grid: the kernel runs over [0, points), points > 0.
            work: an estimate of all its work in additions, to decide about threads.
        """
        ...

    def allocator(self, shape: tuple[int, ...], dtype: DType) -> Callable[[], Any]:
        """A function that returns a fresh buffer, whose contents may be anything."""
        ...

    def filled(self, shape: tuple[int, ...], dtype: DType, value: Any) -> Callable[[], Any]:
        """A function that returns a fresh buffer of one value."""
        ...

    def upload(self, array: Any) -> Any:
        """A buffer with the contents of a NumPy array; it may share its memory."""
        ...

    def download(self, buffer: Any) -> Any:
        """The contents of a buffer as a NumPy array; it may share its memory."""
        ...

    def copy(self, buffer: Any) -> Any:
        """A fresh row-major buffer with the contents of another."""
        ...

    def broadcast(self, buffer: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
        """A view of a buffer in a larger shape: its axis i is axis `axes[i]`, the others repeat it."""
        ...

    def row(self, buffer: Any, number: int) -> Any:
        """A row of a row-major buffer, along its first axis: a view or a fresh buffer."""
        ...

    def put(self, buffer: Any, number: int, row: Any) -> None:
        """Write a row of a buffer that this program made, and nobody else has yet."""
        ...

    def guard(self, specs: Sequence[tuple[DType, tuple[int, ...]]]) -> Callable[..., bool] | None:
        """A fast check that arguments are row-major buffers of these dtypes and shapes; None if the
        backend has none, and every call then takes the slower way."""
        ...

    def ready(self) -> None:
        """Open the device.

        Raises:
            DeviceError: if it cannot be used, saying why and what to do.
        """
        ...

    def wait(self) -> None:
        """Return when all work that the device was given is done."""
        ...

    def describe(self) -> Mapping[str, str]:
        """What `python -m numr.info` shows of the device: its name, features, limits, versions."""
        ...

    def source(self, kernel: Kernel, fast_math: bool) -> str:
        """The printed kernel, to read."""
        ...

    def assembly(self, kernel: Kernel, fast_math: bool) -> str:
        """The machine code of a kernel, to read."""
        ...


class Interpreter(Protocol):
    """A backend that runs whole graphs instead of kernels, which `interprets` says.

    Attributes:
        name: what users pass as `device`.
        capabilities: what it can do.
        interprets: True.
    """

    name: str
    capabilities: Capabilities
    interprets: bool

    def bind(
        self, inputs: Sequence[Node], outputs: Sequence[Node]
    ) -> Callable[..., tuple[Any, ...]]:
        """A function from the inputs' buffers to the outputs'."""
        ...

    def guard(self, specs: Sequence[tuple[DType, tuple[int, ...]]]) -> Callable[..., bool] | None:
        """As `Backend.guard`."""
        ...


# Name -> module with a `BACKEND` object; a new backend is one folder and one line here, or a call of
# `register` from outside.
_MODULES: dict[str, str] = {
    "reference": "numr.codegen.backends.reference",
    "cpu": "numr.codegen.backends.cpu.backend",
    "webgpu": "numr.codegen.backends.webgpu.backend",
    "cuda": "numr.codegen.backends.cuda.backend",
}
_LOADED: dict[str, Any] = {}


def register(name: str, module: str) -> None:
    """Add a backend: `module` is imported when the name is first used, and has `BACKEND`."""
    _MODULES[name] = module
    _LOADED.pop(name, None)


def names() -> list[str]:
    """The names of all backends known."""
    return list(_MODULES)


def usable() -> list[str]:
    """The names of the devices that arrays can be on here, the fastest first."""
    found = {}
    for name in _MODULES:
        try:
            backend = get(name)
            if not getattr(backend, "interprets", False):
                backend.ready()
                found[name] = backend.capabilities.rank
        except DeviceError:
            continue
    return sorted(found, key=lambda name: -found[name])


def get(name: str) -> Any:
    """The backend of a device name: "name", or "name:1" of one that has several devices.

    Raises:
        DeviceError: for a name nobody registered, or a number of a device that has none.
    """
    backend = _LOADED.get(name)
    if backend is None:
        family, _, number = name.partition(":")
        module = _MODULES.get(family)
        if module is None:
            raise messages.no_device(name, "numr knows no such device", list(_MODULES))
        backend = importlib.import_module(module).BACKEND
        if number:
            numbered = getattr(backend, "numbered", None)
            if numbered is None or not number.isdecimal():
                raise messages.no_device(name, f'"{family}" has no devices by number', [family])
            backend = numbered(int(number))
        _LOADED[name] = backend
    return backend
