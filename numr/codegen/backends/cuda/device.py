"""What the backend asks of a device, and which device there is: a real one, or numba-cuda's simulator."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from numr.codegen.kernel import Kernel


class Device(Protocol):
    """A device with memory of its own.

    Attributes:
        name: what users pass as `device`.
        ordinal: its number.
        capability: its compute capability.
        fingerprint: what of it changes compiled code.
        threads: how many threads of a block run points of one lane.
        blocks: how many blocks keep it busy; more points than their threads have are run in turn.
        allocated: how many bytes arrays have at present.
    """

    name: str
    ordinal: int
    capability: tuple[int, int]
    fingerprint: str
    threads: int
    blocks: int
    allocated: int

    def within(self) -> contextlib.AbstractContextManager[None]:
        """In a `with`, it is the one that the libraries of this thread work on; afterwards it is the one
        that was."""
        ...

    def ready(self) -> None:
        """Check that it takes work.

        Raises:
            DeviceLostError: if it does no more.
        """
        ...

    def compile(self, kernel: Kernel, fast_math: bool) -> bytes:
        """A kernel in the form that `load` takes, to keep on disk."""
        ...

    def load(self, kernel: Kernel, artifact: bytes) -> Any:
        """A compiled kernel, ready for `launcher`."""
        ...

    def launcher(
        self, loaded: Any, blocks: int, threads: int, points: int, sizes: Sequence[int]
    ) -> Callable[..., None]:
        """A function of arrays that starts a kernel of so many blocks and threads."""
        ...

    def repeated(self, run: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
        """A program of several kernels, made quicker to call again."""
        ...

    def allocate(self, nbytes: int) -> Any:
        """Memory of so many bytes, aligned to 256.

        Raises:
            MemoryError: if there is not enough.
        """
        ...

    def free(self, pointer: Any, nbytes: int) -> None:
        """Take memory back, for work that is started from now on."""
        ...

    def free_memory(self) -> int:
        """How many bytes are free."""
        ...

    def write(self, pointer: Any, array: np.ndarray[Any, Any]) -> None:
        """Copy a row-major array of the host's to the device."""
        ...

    def read(self, pointer: Any, array: np.ndarray[Any, Any]) -> None:
        """Fill a row-major array of the host's from the device, after all work that was started."""
        ...

    def copy(self, pointer: Any, source: Any, nbytes: int) -> None:
        """Copy bytes from one place of the device's memory to another."""
        ...

    def stream(self) -> int:
        """The stream that work goes to: CuPy's current one, else the one all others wait for, 0."""
        ...

    def order(self, before: int, after: int) -> None:
        """Let what a stream is given from now on wait for what another was given."""
        ...

    def place_of(self, pointer: Any) -> int:
        """The number of the device whose memory an address is in."""
        ...

    def wait(self) -> None:
        """Return when all work that was started is done."""
        ...

    def describe(self) -> Mapping[str, str]:
        """Name, memory, versions."""
        ...


def simulated() -> bool:
    """Whether numba-cuda's simulator stands for the device."""
    return os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")


_opening = threading.RLock()


def open_device(ordinal: int) -> Device:
    """A device by its number, opened on first use.

    Raises:
        DeviceError: if there is no driver, no such device, or it is too old, saying which.
    """
    with _opening:  # several threads get the same one
        return _opened(ordinal)


@functools.cache
def _opened(ordinal: int) -> Device:
    if simulated():
        from numr.codegen.backends.cuda.simulator import Simulator

        return Simulator(ordinal)
    from numr.codegen.backends.cuda.driver import DriverDevice

    return DriverDevice(ordinal)


def name_of(ordinal: int) -> str:
    """What users call a device by."""
    return "cuda" if ordinal == 0 else f"cuda:{ordinal}"
