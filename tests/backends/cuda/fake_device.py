"""A device of the fake driver's: memory of the host's, and streams that do nothing before they have to."""

from __future__ import annotations

import bisect
import collections
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tests.backends.cuda.fake_kernels import Fault

# Freed memory that is kept to find its use: so many allocations.
QUARANTINE = 64
# No handle fits into 32 bits.
handles = itertools.count(0x7F10_0000_0000, 0x100)
_order = itertools.count()


class Operation:
    """Something a stream was given, and what has to be done before."""

    __slots__ = ("after", "number", "work")

    def __init__(self, work: Callable[[], None] | None, after: Iterable[Operation | None]) -> None:
        self.number = next(_order)
        self.work = work
        self.after: Sequence[Operation] | None = [o for o in after if o and not o.done]

    @property
    def done(self) -> bool:
        return self.after is None


def run(last: Operation | None) -> None:
    """Do an operation after everything it waits for, in the order it was given, and nothing else."""
    if last is None or last.done:
        return
    needed: dict[int, Operation] = {}
    stack = [last]
    while stack:
        operation = stack.pop()
        if operation.number not in needed and not operation.done:
            needed[operation.number] = operation
            stack += operation.after or ()
    for number in sorted(needed):
        operation = needed[number]
        work, operation.work, operation.after = operation.work, None, None
        if work is not None:
            work()


class Stream:
    """A queue of operations; a blocking one waits for the legacy stream, and that for it."""

    def __init__(self, device: FakeDevice, blocking: bool = True) -> None:
        self.device = device
        self.blocking = blocking
        self.last: Operation | None = None

    def give(
        self, work: Callable[[], None] | None, after: Iterable[Operation | None] = ()
    ) -> Operation:
        """Put an operation at the end."""
        legacy = self.device.streams[0]
        if self is legacy:
            others = {id(s): s for s in self.device.streams.values() if s.blocking}
            before = [s.last for s in others.values()]
        else:
            before = [self.last, legacy.last if self.blocking else None]
        self.last = Operation(work, [*before, *after])
        return self.last


class Allocation:
    """Memory of a device: there from when its stream comes to that, until its stream frees it."""

    def __init__(self, nbytes: int, foreign: np.ndarray[Any, Any] | None = None) -> None:
        self.nbytes = nbytes
        self.state = "not allocated yet" if foreign is None else "live"
        self.given_back = False
        self.foreign = foreign is not None
        if foreign is None:
            space = np.full(nbytes + 256, 0x5A, np.uint8)
            foreign = space[-space.ctypes.data % 256 :][:nbytes]
        self.memory = foreign
        self.address: int = foreign.ctypes.data


class FakeDevice:
    """A device with its primary context and its default pool.

    Attributes:
        capability, multiprocessors, pools, memory: what its attributes say; `memory` is bytes in all.
        error: what every call in its context returns, unless it is 0.
        live: how many allocations were not given back.
        used, kept: bytes in use, and bytes the pool keeps.
        threshold: the pool's release threshold.
    """

    def __init__(self, ordinal: int) -> None:
        self.ordinal = ordinal
        self.capability = (8, 0)
        self.multiprocessors = 2
        self.pools = True
        self.memory = 1 << 32
        self.context, self.pool = next(handles), next(handles)
        self.retained = 0
        self.error = 0
        self.live = self.used = self.kept = self.threshold = 0
        self.allocations: dict[int, Allocation] = {}
        self._addresses: list[int] = []  # in order
        self.streams: dict[int, Stream] = {0: Stream(self)}
        self.streams[1] = self.streams[0]
        self.fault_code = 0
        self._freed: collections.deque[Allocation] = collections.deque()

    def fault(self, code: int = 700) -> None:
        """Break off the next kernel that runs here."""
        self.fault_code = code

    def new_stream(self, blocking: bool = True) -> int:
        """A stream's handle."""
        handle = next(handles)
        self.streams[handle] = Stream(self, blocking)
        return handle

    def destroy_stream(self, handle: int) -> None:
        """End a stream, whose work is done first."""
        run(self.streams.pop(handle).last)

    def lend(self, array: np.ndarray[Any, Any]) -> int:
        """The address of memory here that somebody else owns: that of a row-major array of the host's."""
        return self._add(Allocation(array.nbytes, array.reshape(-1).view(np.uint8)))

    def allocate(self, nbytes: int, stream: Stream) -> int | None:
        """Memory from the pool, in the order of a stream; None if there is not enough."""
        if nbytes > self.memory - self.used:
            return None
        self.kept = max(min(self.kept - nbytes, self.memory - self.used - nbytes), 0)
        self.used += nbytes
        self.live += 1
        made = Allocation(nbytes)
        self._add(made)

        def begin() -> None:
            made.state = "live"

        stream.give(begin)
        return made.address

    def give_back(self, address: int) -> Callable[[], None] | None:
        """Memory back to the pool: what its stream has to do; None if there is none to be given back."""
        found = self.allocations.get(address)
        if found is None or found.given_back or found.foreign:
            return None
        found.given_back = True
        self.live -= 1
        self.used -= found.nbytes
        self.kept += found.nbytes

        def end() -> None:
            if found.state != "live":
                raise Fault(f"memory is freed that is {found.state}")
            found.state = "freed"
            found.memory[:] = 0xA5
            self._freed.append(found)
            if len(self._freed) > QUARANTINE:
                oldest = self._freed.popleft().address
                del self.allocations[oldest]
                self._addresses.remove(oldest)

        return end

    def trim(self) -> None:
        """What a synchronisation does: the pool keeps no more than its threshold."""
        self.kept = min(self.kept, max(self.threshold - self.used, 0))

    def owner(self, address: int) -> Allocation | None:
        """The allocation that an address is in."""
        before = bisect.bisect_right(self._addresses, address) - 1
        if before < 0:
            return None
        found = self.allocations[self._addresses[before]]
        return found if address < found.address + max(found.nbytes, 1) else None

    def _add(self, allocation: Allocation) -> int:
        address = allocation.address
        self.allocations[address] = allocation
        bisect.insort(self._addresses, address)
        return address

    def bytes_at(self, address: int, nbytes: int | None = None) -> np.ndarray[Any, Any]:
        """Memory from an address to the end of its allocation, or so much of it.

        Raises:
            Fault: where there is none now.
        """
        found = self.owner(address)
        if found is None:
            raise Fault("an address that no allocation has")
        if found.state != "live":
            raise Fault(f"memory is used that is {found.state}")
        rest: np.ndarray[Any, Any] = found.memory[address - found.address :]
        if nbytes is not None and nbytes > len(rest):
            raise Fault("memory is used beyond its end")
        return rest[:nbytes]
