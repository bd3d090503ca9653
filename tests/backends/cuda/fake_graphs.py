"""Graphs of the fake driver: kernels that a stream is given at once, in any order that their edges allow."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tests.backends.cuda.fake_abi import INVALID_VALUE, CudaError, Int, Out8, Word, put
from tests.backends.cuda.fake_device import Operation, handles

if TYPE_CHECKING:
    from tests.backends.cuda.fake_driver import FakeDriver


class Params(ctypes.Structure):
    """CUDA_KERNEL_NODE_PARAMS_v2, field by field as cuda.h has it."""

    _fields_ = [
        ("func", ctypes.c_void_p),
        ("gridDimX", ctypes.c_uint),
        ("gridDimY", ctypes.c_uint),
        ("gridDimZ", ctypes.c_uint),
        ("blockDimX", ctypes.c_uint),
        ("blockDimY", ctypes.c_uint),
        ("blockDimZ", ctypes.c_uint),
        ("sharedMemBytes", ctypes.c_uint),
        ("kernelParams", ctypes.c_void_p),
        ("extra", ctypes.c_void_p),
        ("kern", ctypes.c_void_p),
        ("ctx", ctypes.c_void_p),
    ]


class Node:
    """A kernel with its words, and the nodes it comes after."""

    def __init__(self, after: Sequence[int], function: int, work: Callable[[], None]) -> None:
        self.after, self.function, self.work = after, function, work


class Executable:
    """A graph that can be launched; the last operation of its latest launch."""

    def __init__(self, nodes: dict[int, Node]) -> None:
        self.nodes = nodes
        self.last: Operation | None = None


class GraphFunctions:
    """The driver's functions of graphs."""

    driver: FakeDriver
    prepared: Callable[..., Any]

    def cuGraphCreate(self, graph: Out8, flags: Int) -> None:
        assert flags == 0
        handle = next(handles)
        self.driver.graphs[handle] = {}
        put(ctypes.c_void_p, graph, handle)

    def cuGraphAddKernelNode_v2(
        self, node: Out8, graph: Word, after: Word, count: Word, params: Word
    ) -> None:
        nodes = self.driver.graphs[graph]
        before = list((ctypes.c_uint64 * count).from_address(after)) if count else []
        assert set(before) <= set(nodes), "a node of another graph"
        assert len(set(before)) == len(before), "an edge twice"
        handle = next(handles)
        nodes[handle] = Node(before, *self._work(params))
        put(ctypes.c_void_p, node, handle)

    def _work(self, params: int) -> tuple[int, Callable[[], None]]:
        given = Params.from_address(params)
        ones = given.gridDimY, given.gridDimZ, given.blockDimY, given.blockDimZ
        assert ones == (1, 1, 1, 1) and not (given.sharedMemBytes or given.kernelParams)
        assert not given.kern and not given.ctx
        work = self.prepared(given.func, given.gridDimX, given.blockDimX, given.extra)
        return given.func, work

    def cuGraphInstantiateWithFlags(self, executable: Out8, graph: Word, flags: Word) -> None:
        assert flags == 0
        nodes = self.driver.graphs[graph]
        copies = {h: Node(n.after, n.function, n.work) for h, n in nodes.items()}
        handle = next(handles)
        self.driver.executables[handle] = Executable(copies)
        put(ctypes.c_void_p, executable, handle)

    def cuGraphExecKernelNodeSetParams_v2(self, executable: Word, node: Word, params: Word) -> None:
        found = self.driver.executables[executable].nodes[node]
        function, work = self._work(params)
        if function != found.function:
            raise CudaError(INVALID_VALUE)
        found.work = work

    def cuGraphLaunch(self, executable: Word, stream: Word) -> None:
        queue = self.driver.stream(stream)
        graph = self.driver.executables[executable]
        begin = queue.give(None, [graph.last])
        done: dict[int, Operation] = {}
        # Nodes that no edge orders run in another order than they were added in.
        waiting = dict(reversed(graph.nodes.items()))
        while waiting:
            handle = next(h for h, n in waiting.items() if not set(n.after) & set(waiting))
            node = waiting.pop(handle)
            done[handle] = Operation(node.work, [begin, *(done[a] for a in node.after)])
        graph.last = queue.give(None, done.values())

    def cuGraphDestroy(self, graph: Word) -> None:
        del self.driver.graphs[graph]

    def cuGraphExecDestroy(self, executable: Word) -> None:
        del self.driver.executables[executable]
