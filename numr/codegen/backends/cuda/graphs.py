"""Programs of several kernels as CUDA graphs: what is repeated is given to the driver in one call.

The second call of a program runs as the first, and what it launches is recorded; the third and later ones
launch a graph of the same kernels. Results are in fresh memory each time, so the graph's kernels are told
where arguments and results are whenever that changes; what is only used within is the graph's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import sys
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from numr.codegen.backends.cuda import memory
from numr.errors import DeviceError

if TYPE_CHECKING:
    from numr.codegen.backends.cuda.driver import DriverDevice

# Programs of fewer kernels are launched one by one: telling a graph where arrays are costs as much.
FEWEST = 3
# Memory that the graphs of a device may keep for what they use within; programs that want more have none.
KEPT = 256 << 20
# After so many calls that could not be recorded a program stays as it is.
TRIES = 8

Run = Callable[..., tuple[Any, ...]]

_BYTES = np.dtype(np.uint8)
_address, _word, _unsigned = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint


class KernelNode(ctypes.Structure):
    """CUDA_KERNEL_NODE_PARAMS_v2 of cuda.h."""

    _fields_ = [
        ("function", _address),
        ("blocks", _unsigned * 3),
        ("threads", _unsigned * 3),
        ("shared", _unsigned),
        ("params", _address),
        ("extra", _address),
        ("kernel", _address),
        ("context", _address),
    ]


class Recording:
    """What one thread launches while a program runs."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.steps: list[tuple[Any, int, int, list[int], list[Any]]] = []
        self.sound = True

    def launched(
        self, loaded: Any, blocks: int, threads: int, words: Sequence[int], arrays: Sequence[Any]
    ) -> None:
        if threading.get_ident() == self.thread:
            # The arrays' memory is held, so that no two have the same.
            storages = [a.storage for a in arrays]
            self.steps.append((loaded, blocks, threads, list(words), storages))

    def within(self, others: Container[int]) -> list[Any]:
        """The memory that is used and is none of `others`."""
        found = {id(s): s for *_, storages in self.steps for s in storages if id(s) not in others}
        return list(found.values())

    def broken(self) -> None:
        """Something happens that is no launch."""
        if threading.get_ident() == self.thread:
            self.sound = False


class Step:
    """A kernel of a graph: its words, and which of them are whose place."""

    def __init__(self, words: Sequence[int], places: list[tuple[int, int]]) -> None:
        self.words = (_word * len(words))(*words)
        self.size = ctypes.c_size_t(ctypes.sizeof(self.words))
        pointers = ctypes.addressof(self.words), ctypes.addressof(self.size)
        self.extra = (_address * 5)(1, pointers[0], 2, pointers[1], 0)
        self.places = places
        self.node = _address()
        self.params = KernelNode()

    def moved(self, storages: Sequence[Any]) -> bool:
        """Whether arguments or results are elsewhere now than they were; they are noted."""
        words, changed = self.words, False
        for place, k in self.places:
            pointer = storages[k].pointer
            if words[place] != pointer:
                words[place] = pointer
                changed = True
        return changed


class Graph:
    """A recorded program, to be launched on arrays of the same shapes.

    Raises:
        DriverError: where the driver does not take it.
    """

    def __init__(
        self,
        device: DriverDevice,
        recording: Recording,
        values: Sequence[memory.CudaArray],
        results: Sequence[memory.CudaArray],
    ) -> None:
        self.device = device
        self.lock = threading.Lock()
        self.executable = _word()
        # Where an argument or a result is among the storages of a call; the rest is the graph's own.
        numbers = {id(v.storage): k for k, v in enumerate(values)}
        self.fresh: list[tuple[tuple[int, ...], np.dtype[Any]]] = []
        for r in results:
            if id(r.storage) not in numbers:
                numbers[id(r.storage)] = len(values) + len(self.fresh)
                whole = r.nbytes == r.storage.nbytes
                self.fresh.append((r.shape, r.dtype) if whole else ((r.storage.nbytes,), _BYTES))
        self.own = recording.within(numbers)
        self.results: list[tuple[int, Any, Any, Any]] = [
            (numbers[id(r.storage)], r.shape, r.dtype, r.strides) for r in results
        ]
        self.steps: list[Step] = []
        graph = _address()
        call = device.call
        call("cuGraphCreate", ctypes.byref(graph), 0)
        try:
            self._add(graph, recording, numbers)
            call("cuGraphInstantiateWithFlags", ctypes.byref(self.executable), graph, 0)
        finally:
            call.library.cuGraphDestroy(graph)
        self.moving = [step for step in self.steps if step.places]

    def _add(self, graph: Any, recording: Recording, numbers: dict[int, int]) -> None:
        """One node for each kernel, after those whose results it reads or whose memory it overwrites."""
        writer: dict[int, Step] = {}
        readers: dict[int, list[Step]] = {}
        for loaded, blocks, threads, words, storages in recording.steps:
            # Before the arrays' places comes the number of points.
            named = [(1 + k, numbers[id(s)]) for k, s in enumerate(storages) if id(s) in numbers]
            step = Step(words, named)
            before: dict[int, Step] = {}
            for s, written in zip(storages, loaded.written, strict=True):
                others = [writer.get(id(s)), *(readers.get(id(s), []) if written else [])]
                before |= {id(o): o for o in others if o is not None and o is not step}
            for s, written in zip(storages, loaded.written, strict=True):
                if written:
                    writer[id(s)], readers[id(s)] = step, []
                else:
                    readers.setdefault(id(s), []).append(step)
            step.params = KernelNode(
                loaded.function,
                (blocks, 1, 1),
                (threads, 1, 1),
                0,
                None,
                ctypes.addressof(step.extra),
            )
            nodes = (_address * len(before))(*[o.node for o in before.values()])
            self.device.call(
                "cuGraphAddKernelNode_v2",
                ctypes.byref(step.node),
                graph,
                nodes if before else None,
                len(before),
                ctypes.byref(step.params),
            )
            self.steps.append(step)

    @property
    def nbytes(self) -> int:
        """What it keeps of the device's memory."""
        return sum(s.nbytes for s in self.own)

    def accepts(self, values: Sequence[Any]) -> bool:
        """Whether these can be its arguments: it knows their shapes, and that they are row-major."""
        device = self.device
        return all(v.strides is None and v.storage.device is device for v in values)

    def launch(self, values: Sequence[Any]) -> tuple[Any, ...]:
        device = self.device
        storages = [v.storage for v in values]
        storages += [memory.empty(device, *made).storage for made in self.fresh]
        with self.lock, device.within():
            for step in self.moving:
                if step.moved(storages):
                    device.call(
                        "cuGraphExecKernelNodeSetParams_v2",
                        self.executable.value,
                        step.node,
                        ctypes.byref(step.params),
                    )
            stream = device.current_stream()
            handle = stream.ptr if stream is not None else 0
            device.call("cuGraphLaunch", self.executable.value, handle)
            device.graphs.streams[self.executable.value] = stream
        return tuple([memory.CudaArray(storages[k], *described) for k, *described in self.results])

    def __del__(self) -> None:
        if self.executable:
            self.device.graphs.forget(self)


class Graphs:
    """The graphs of a device, and what is being recorded to become one.

    Attributes:
        recording: what one thread launches now, or None.
        nbytes: what graphs keep of the device's memory.
    """

    def __init__(self, device: DriverDevice) -> None:
        self.device = device
        self.recording: Recording | None = None
        self.nbytes = 0
        # The stream that each was launched on last, which lives as long: a graph and what it refers to
        # may end in any order.
        self.streams: dict[int, Any] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def recorded(self) -> Iterator[Recording | None]:
        """Note what this thread launches in a `with`; nothing while another thread's is noted."""
        if not self._lock.acquire(blocking=False):
            yield None
            return
        try:
            self.recording = Recording()
            yield self.recording
        finally:
            self.recording = None
            self._lock.release()

    def interrupt(self) -> None:
        """What is no launch happens: no graph can be made of what is being noted."""
        if self.recording is not None:
            self.recording.broken()

    def capture(
        self,
        recording: Recording,
        values: Sequence[memory.CudaArray],
        results: Sequence[memory.CudaArray],
    ) -> Graph | None:
        """The graph of what was recorded; None where there can be none, or it would keep too much."""
        theirs = {id(v.storage) for v in values}
        own = recording.within(theirs)
        fresh = [r.storage for r in results if id(r.storage) not in theirs]
        if not recording.sound or len(recording.steps) < FEWEST:
            return None
        if any(
            isinstance(s, memory.Borrowed) for s in own + fresh
        ):  # a library's, which was called
            return None
        if self.nbytes + sum(s.nbytes for s in own) > KEPT:
            return None
        try:
            with self.device.within():
                graph = Graph(self.device, recording, values, results)
        except DeviceError:
            return None  # whatever is wrong is told by what is run without
        self.nbytes += graph.nbytes
        return graph

    def forget(self, graph: Graph) -> None:
        """Let go of a graph, after which its memory goes: not before it has been run."""
        self.nbytes -= graph.nbytes
        device, stream = self.device, self.streams.pop(graph.executable.value, None)
        if not sys.is_finalizing():
            with contextlib.suppress(DeviceError), device.within():
                device.order(stream.ptr if stream is not None else 0, device.stream())
                device.call("cuGraphExecDestroy", graph.executable.value)


class Repeated:
    """A program that becomes a graph on its second call, if it can."""

    def __init__(self, device: DriverDevice, run: Run) -> None:
        self.device = device
        self.run = run
        self.calls = 0
        self.graph: Graph | None = None

    def __call__(self, *values: Any) -> tuple[Any, ...]:
        graph = self.graph
        if graph is not None:
            return graph.launch(values) if graph.accepts(values) else self.run(*values)
        self.calls += 1
        # Of an argument given twice it could not be told which one a place is of: another call will do.
        alike = len({id(v.storage) for v in values}) < len(values)
        if self.calls == 1 or self.calls > TRIES or alike or any(v.strides for v in values):
            return self.run(*values)
        with self.device.graphs.recorded() as recording:
            results = self.run(*values)
        if recording is not None:
            self.calls = TRIES
            self.graph = self.device.graphs.capture(recording, values, results)
        return results
