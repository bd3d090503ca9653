"""A CUDA driver for tests on machines without one: libcuda's functions over the host's memory.

Usage: a test that takes the fixture `fake_cuda` (conftest.py) has devices "cuda" and "cuda:1" whose kernels
really run, and everything they left is gone after it:

    def test_something(fake_cuda: FakeDriver) -> None:
        assert nr.jit(lambda x: x + 1, device="cuda")(np.arange(3.0)).numpy().tolist() == [1, 2, 3]
        assert fake_cuda.count("cuStreamSynchronize") == 1
        assert fake_cuda.devices[0].live == 0

It is strict where the driver is merciless: a bare Python integer for a parameter of 64 bits (ctypes passes
32 of them), a handle of another context or of a destroyed stream, memory given back twice, memory used
before it was allocated or after it was freed *in the order of streams*. A mistake of the caller's that a
real driver would not survive is an AssertionError, and in `misuse`, which the fixture looks at in the end.

Nothing a stream was given is done before it has to be, which is when something waits for it: then that
stream's queue runs with what it was ordered after, and nothing else. So the order in which a test calls
`wait_for(stream)` shows whether two streams were ordered: what was not is a fault.

What a test may set, at any time:

- `failing[function] = code`: the function fails; a list of codes is for its next calls (0 is success).
- `devices[k].capability`, `.pools`, `.memory` (bytes in all); `devices.clear()` for none.
- `devices[k].fault()`: the next kernel that runs there is broken off, and every call in its context fails
  from then on; `devices[k].error = 700`: so they do at once.
- `pinned.append(array)`: memory of the host's that copies read and write when they run, not when called.
- `computes = False`: launches do nothing.

`devices[k].new_stream()` makes a handle to stand for CuPy's stream, `devices[k].lend(array)` an address of
somebody else's memory. `log` has all calls as (function, *parameters), `faults` why kernels were broken off.
"""

from __future__ import annotations

import ctypes
import inspect
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.backends.cuda.fake_abi import (
    CONVERSIONS,
    ILLEGAL_ADDRESS,
    INVALID_CONTEXT,
    INVALID_DEVICE,
    NOT_INITIALIZED,
    SUCCESS,
    TEXTS,
    CudaError,
)
from tests.backends.cuda.fake_device import FakeDevice, Operation, Stream, run
from tests.backends.cuda.fake_functions import Functions
from tests.backends.cuda.fake_graphs import Executable, Node
from tests.backends.cuda.fake_kernels import Fault, Loaded, Module

_ALWAYS = ("cuInit", "cuGetErrorName", "cuGetErrorString", "cuDriverGetVersion")


class _Function:
    """One of the driver's functions, as ctypes has them."""

    def __init__(self, driver: FakeDriver, name: str, method: Callable[..., None]) -> None:
        self.driver, self.name, self.method = driver, name, method
        self.kinds = [p.annotation for p in inspect.signature(method).parameters.values()]
        self.convert = [CONVERSIONS[kind] for kind in self.kinds]
        self.types: Any = None
        self.restype: Any = ctypes.c_int

    @property
    def argtypes(self) -> Any:
        """With these, ctypes passes an integer as wide as they say."""
        return self.types

    @argtypes.setter
    def argtypes(self, types: Any) -> None:
        wanted = [4 if kind == "Int" else 8 for kind in self.kinds]
        assert [ctypes.sizeof(t) for t in types] == wanted, f"the parameters of {self.name}"
        self.types = types

    def __call__(self, *args: Any) -> int:
        driver = self.driver
        with driver.lock:
            try:
                assert len(args) == len(self.kinds), f"{len(args)} parameters"
                typed = self.types is not None
                for kind, a in zip(self.types or (), args, strict=typed):
                    kind.from_param(a)  # or a TypeError, as ctypes has it
                values = [
                    a if typed and type(a) is int and 0 <= a < 2**63 else convert(a)
                    for a, convert in zip(args, self.convert, strict=True)
                ]
                driver.log.append((self.name, *values))
                code = driver.forced(self.name)
                if code != SUCCESS:
                    return code
                if not driver.initialized and self.name not in _ALWAYS:
                    return NOT_INITIALIZED
                self.method(*values)
            except CudaError as error:
                return error.code
            except AssertionError as error:
                driver.misuse.append(f"{self.name}: {error}")
                raise AssertionError(driver.misuse[-1]) from None
        return SUCCESS


class FakeDriver:
    """What `ctypes.CDLL("libcuda.so.1")` would be."""

    def __init__(self, count: int = 2) -> None:
        self.devices = [FakeDevice(k) for k in range(count)]
        self.failing: dict[str, int | list[int]] = {}
        self.pinned: list[np.ndarray[Any, Any]] = []
        self.computes = True
        self.initialized = False
        self.log: list[tuple[Any, ...]] = []
        self.misuse: list[str] = []
        self.faults: list[str] = []
        self.lock = threading.RLock()
        self.functions: dict[int, tuple[FakeDevice, Loaded]] = {}
        self.modules: dict[int, tuple[FakeDevice, Module]] = {}
        self.held: dict[int, dict[str, int]] = {}
        self.graphs: dict[int, dict[int, Node]] = {}
        self.executables: dict[int, Executable] = {}
        self.events: dict[int, tuple[FakeDevice, Operation | None]] = {}
        self.queued = 0
        self._thread = threading.local()
        self.texts = {
            code: [ctypes.create_string_buffer(t) for t in texts] for code, texts in TEXTS.items()
        }

    def __getattr__(self, name: str) -> Any:
        method = getattr(Functions, name, None) if name.startswith("cu") else None
        if method is None:
            raise AttributeError(f"undefined symbol: {name}")
        function = _Function(self, name, method.__get__(Functions(self)))
        setattr(self, name, function)
        return function

    # -- for tests -------------------------------------------------------------------------------

    def count(self, *names: str) -> int:
        """How many calls of functions are in the log."""
        return sum(call[0] in names for call in self.log)

    def calls(self, *names: str) -> list[tuple[Any, ...]]:
        """The calls of functions in the log, or all."""
        return [call for call in self.log if not names or call[0] in names]

    def wait_for(self, stream: int, device: int = 0) -> None:
        """Do what a stream was given."""
        run(self.devices[device].streams[stream].give(None))

    # -- for functions ---------------------------------------------------------------------------

    def forced(self, name: str) -> int:
        failing = self.failing.get(name, SUCCESS)
        if isinstance(failing, list):
            return failing.pop(0) if failing else SUCCESS
        return failing

    @property
    def stack(self) -> list[FakeDevice]:
        """The contexts of this thread, the current one last."""
        if not hasattr(self._thread, "stack"):
            self._thread.stack = []
        return self._thread.stack  # type: ignore[no-any-return]

    @property
    def current(self) -> FakeDevice:
        """The device whose context is this thread's."""
        if not self.stack:
            raise CudaError(INVALID_CONTEXT)
        if self.stack[-1].error:
            raise CudaError(self.stack[-1].error)
        return self.stack[-1]

    def numbered(self, ordinal: int) -> FakeDevice:
        if not 0 <= ordinal < len(self.devices):
            raise CudaError(INVALID_DEVICE)
        return self.devices[ordinal]

    def of_context(self, context: int) -> FakeDevice:
        for device in self.devices:
            if device.context == context and device.retained:
                return device
        raise CudaError(INVALID_CONTEXT)

    def stream(self, handle: int) -> Stream:
        """A stream of the current context."""
        device = self.current
        if handle == 2 and handle not in device.streams:
            device.streams[handle] = Stream(device)
        found = device.streams.get(handle)
        assert found is not None, f"no stream of this context: {handle:#x}"
        return found

    def finish(self, device: FakeDevice, last: Operation | None) -> None:
        """Wait for an operation."""
        run(last)
        device.trim()
        if device.error:
            raise CudaError(device.error)

    def work(self, device: FakeDevice, action: Callable[[], None]) -> Callable[[], None]:
        """An action that a device breaks off when it goes wrong, and does not begin once one has."""

        def begin() -> None:
            if device.error:
                return
            try:
                action()
            except Fault as error:
                self.faults.append(str(error))
                device.error = ILLEGAL_ADDRESS

        return begin

    def is_pinned(self, address: int) -> bool:
        return any(a.ctypes.data <= address < a.ctypes.data + a.nbytes for a in self.pinned)
