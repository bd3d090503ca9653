"""Kernels for the fake driver: their printed text runs in plain Python, one lane after another.

`artifact` stands for a compiled kernel. A lane of a block is a generator that yields where lanes meet, so
that a kernel of many lanes needs no threads. What goes outside its buffers is a `Fault`, as on a device.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import itertools
import json
import re
from collections.abc import Generator, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from numr.codegen.backends.cuda import simulator
from numr.codegen.backends.cuda.neighbours import points_of_thread
from numr.codegen.backends.cuda.print import WARP, CudaPrinter
from numr.codegen.kernel import Kernel

MAGIC = "fake kernel "
# What modules of PTX may have: artifacts by the kernels' names.
KNOWN: dict[str, bytes] = {}
_ENTRY = re.compile(r"^\.visible \.entry (\w+)\(([^)]*)\)", re.M)
_ARRAY = re.compile(r"^\.visible \.global \.align 64 \.u64 (\w+)\[(\d+)\] = \{([^}]*)\};", re.M)


class Fault(Exception):
    """A kernel that a device would break off."""


def artifact(kernel: Kernel) -> bytes:
    """What the fake driver loads as a module."""
    described = {
        "entry": kernel.entry,
        "lanes": kernel.lanes,
        "together": points_of_thread(kernel),
        "buffers": ["u1" if b.dtype.kind == "b" else b.dtype.dtype.str for b in kernel.buffers],
        "sizes": len(kernel.sizes),
        "text": CudaPrinter().launched(kernel),
    }
    return (MAGIC + json.dumps(described)).encode()


class Module:
    """What an image holds: an artifact its one kernel; PTX those of `KNOWN`, whose parameters it has to have,
    and arrays."""

    def __init__(self, image: bytes) -> None:
        text = image.decode()
        self.artifacts: dict[str, bytes] = {}
        self.arrays: dict[str, np.ndarray[Any, Any]] = {}
        self.parameters: dict[str, int] = {}
        if text.startswith(MAGIC):
            self.artifacts[json.loads(text[len(MAGIC) :])["entry"]] = image
            return
        assert text.startswith(("//", ".version")), "neither PTX nor an artifact"
        for entry, parameters in _ENTRY.findall(text):
            self.artifacts[entry] = KNOWN[entry]
            self.parameters[entry] = len(re.findall(r"\.param \.u64", parameters))
        for name, length, words in _ARRAY.findall(text):
            space = np.zeros(int(length) + 8, np.uint64)
            self.arrays[name] = space[-space.ctypes.data % 64 // 8 :][: int(length)]
            self.arrays[name][:] = [int(w, 16) for w in words.split(",")]

    def kernel(self, entry: str) -> Loaded | None:
        """A kernel by name; None if it has none of that name."""
        if entry not in self.artifacts:
            return None
        loaded = _loaded(self.artifacts[entry])
        assert self.parameters.get(entry, loaded.words) == loaded.words, "its number of parameters"
        return loaded


class Loaded:
    """A kernel of a module, which runs on NumPy arrays."""

    def __init__(self, artifact: bytes) -> None:
        text = artifact.decode()
        if not text.startswith(MAGIC):
            raise ValueError("not a kernel that fake_kernels.artifact made")
        described = json.loads(text[len(MAGIC) :])
        self.entry = described["entry"]
        self.lanes = described["lanes"]
        self.together = described["together"]
        self.dtypes = [np.dtype(d) for d in described["buffers"]]
        self.sizes = described["sizes"]
        tree = _Lanes(self.entry, self.lanes > 1).visit(ast.parse(described["text"]))
        # Its lanes meet by what _Lanes put there: numba-cuda's own simulator is not asked for.
        stand_in = SimpleNamespace(import_module=lambda name: None)
        with mock.patch.object(simulator, "importlib", stand_in):
            space = simulator.language()
        space["min"] = min
        space["atomic_add"] = _atomic_add
        exec(compile(ast.fix_missing_locations(tree), f"<{self.entry}>", "exec"), space)
        self.run_lane = space["kernel"]

    @property
    def words(self) -> int:
        """How many words of 8 bytes a launch gives: points, pointers, sizes."""
        return 1 + len(self.dtypes) + self.sizes

    def run(
        self,
        blocks: int,
        threads: int,
        points: int,
        memories: Sequence[np.ndarray[Any, Any]],
        sizes: Sequence[int],
    ) -> None:
        """Run a grid over the bytes of each buffer.

        Raises:
            Fault: where it reads or writes outside of them.
        """
        views = []
        for memory, dtype in zip(memories, self.dtypes, strict=True):
            views.append(memory[: len(memory) // dtype.itemsize * dtype.itemsize].view(dtype))
        given = [np.int64(points), *views, *map(np.int64, sizes)]
        with np.errstate(all="ignore"):
            try:
                if self.lanes == 1:
                    # Threads beyond the points have nothing to do.
                    for thread in range(min(blocks * threads, -(-points // self.together))):
                        self.run_lane(_Place(0, 0, thread, blocks, threads, []), *given)
                else:
                    assert threads == self.lanes, "a block has as many threads as a point has lanes"
                    for block in range(min(blocks, points)):
                        self._block(block, blocks, given)
            except IndexError as error:
                raise Fault(str(error)) from None

    def _block(self, block: int, blocks: int, given: Sequence[Any]) -> None:
        """Run the lanes of a block from one meeting to the next."""
        shared: list[Any] = []
        places = [_Place(block, k, 0, blocks, self.lanes, shared) for k in range(self.lanes)]
        lanes: list[Generator[Any, Any, None]] = [self.run_lane(place, *given) for place in places]
        answers: list[Any] = [None] * self.lanes
        while True:
            met = []
            for lane, answer in zip(lanes, answers, strict=True):
                with contextlib.suppress(StopIteration):
                    met.append(lane.send(answer))
            if not met:
                return
            assert len(met) == self.lanes, "some lanes are done while others wait for them"
            shuffles = [m is not None for m in met]
            assert all(shuffles) or not any(shuffles), "lanes meet in different places"
            answers = [
                None if m is None else met[(k & WARP - 1 ^ int(m[1])) + (k & ~(WARP - 1))][0]
                for k, m in enumerate(met)
            ]


_loaded = functools.lru_cache(256)(Loaded)


class _Place:
    """What `cuda` is to one thread: where it is, and the memory its block shares."""

    def __init__(
        self, block: int, lane: int, thread: int, blocks: int, threads: int, shared: list[Any]
    ) -> None:
        self.blockIdx = SimpleNamespace(x=np.int64(block))
        self.threadIdx = SimpleNamespace(x=np.int64(lane))
        self.gridDim = SimpleNamespace(x=np.int64(blocks))
        self.shared = SimpleNamespace(array=self._array)
        self._thread, self._threads = thread, blocks * threads
        self._shared, self._number = shared, itertools.count()

    def grid(self, axes: int) -> int:
        return self._thread

    def gridsize(self, axes: int) -> int:
        return self._threads

    def _array(self, length: int, dtype: Any) -> Any:
        number = next(self._number)
        if number == len(self._shared):
            raw = np.full(length * np.dtype(dtype).itemsize, 0x5A, np.uint8)
            self._shared.append(raw.view(dtype))
        return self._shared[number]


class _Lanes(ast.NodeTransformer):
    """Makes functions of a thread take `cuda`, and yield where lanes meet: nothing at a barrier, (value,
    mask) for another lane's value."""

    def __init__(self, entry: str, several: bool) -> None:
        self.entry, self.several = entry, several

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        self.generic_visit(node)
        node.decorator_list = []
        if node.name == "kernel":
            node.args.args.insert(0, ast.arg("cuda"))
        if self.several and not any(
            isinstance(n, (ast.Yield, ast.YieldFrom)) for n in ast.walk(node)
        ):
            # A generator all the same.
            node.body.insert(0, ast.parse("if False: yield").body[0])
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        name = ast.unparse(node.func)
        if name in ("barrier", "cuda.syncthreads"):
            return ast.Yield(None)
        if name == "shuffle":
            return ast.Yield(ast.Tuple(node.args, ast.Load()))
        if name == self.entry and self.several:
            return ast.YieldFrom(node)
        return node


def _atomic_add(buffer: Any, index: Any, value: Any) -> None:
    buffer[index] += value
