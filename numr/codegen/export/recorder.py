"""The backend that runs nothing and writes down what it is asked: bound Programs become Recordings.

Programs are bound (`codegen/binding.py`) as for any device, only to sizes that are formulas, and run once on
arrays that stand for memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Self

import numpy as np

from numr.codegen.controlled import Controlled
from numr.codegen.export.library import LIBRARY
from numr.codegen.export.record import (
    Launch,
    Library,
    Loop,
    Memory,
    Repeat,
    Step,
    Switch,
    While,
)
from numr.codegen.kernel import Kernel
from numr.codegen.lowered import Stage, product
from numr.codegen.movement import copy_kernel, fill_kernel, read_row, write_row
from numr.codegen.target import Capabilities
from numr.dtypes import DType, as_dtype, bool_, int32
from numr.ir.formulas import Formula
from numr.ir.symbolic import Scope, Symbolic, formula, largest, smallest
from numr.runtime.device_array import DeviceArray

Given = list[Any]
# Rounds of a loop that a launch may run on a device that does not mind.
UNLIMITED = 1 << 40


class RecordedArray(DeviceArray):
    """An array that stands for memory there will be; its storage is a `Memory`."""

    __slots__ = ("recorder",)

    device = "export"

    def __init__(self, *args: Any, recorder: Recorder) -> None:
        super().__init__(*args)
        self.recorder = recorder

    def _view(self, shape: tuple[int, ...], strides: tuple[int, ...] | None) -> Self:
        return type(self)(self.storage, shape, self.dtype, strides, recorder=self.recorder)

    def reshape(self, shape: tuple[int, ...]) -> Any:
        if not self.is_contiguous:
            return self.recorder.copy(self).reshape(shape)
        return self._view(shape, None)


class Recorder:
    """Takes the place of a backend while a program is bound and run once.

    Args:
        name: the target's, for messages.
        capabilities: what the target's devices can do.
        rounds: how many rounds of a loop kernel one launch may run.
        scope: the sizes of the graph.
        library: keys of the calls that a library of the target's makes, such as "matmul:f64".
    """

    def __init__(
        self,
        name: str,
        capabilities: Capabilities,
        rounds: int,
        scope: Scope,
        library: Collection[str] = (),
    ) -> None:
        self.library: Mapping[str, Callable[..., Any]] = {
            key: partial(LIBRARY[key.partition(":")[0]], self, key) for key in library
        }
        self.name = name
        self.capabilities = capabilities
        self.rounds = rounds
        self.kernels: list[Kernel] = []
        self._numbers: dict[str, int] = {}
        self.memories: list[Memory] = []
        self.steps: list[Step] = []
        self.scope = scope
        self.loops = 0

    # -- what the compiler asks of a backend ------------------------------------------------------

    def build(self, kernels: Sequence[Kernel], fast_math: bool) -> list[int]:
        """Kernels as numbers; equal ones have one."""
        found = []
        for kernel in kernels:
            number = self._numbers.setdefault(kernel.text(), len(self.kernels))
            if number == len(self.kernels):
                self.kernels.append(kernel)
            found.append(number)
        return found

    def source(self, kernel: Kernel, fast_math: bool) -> str:
        return kernel.text()

    def launcher(
        self, built: int, n_buffers: int, sizes: Sequence[int], points: int, work: int
    ) -> Callable[..., None]:
        def launch(*arrays: RecordedArray) -> None:
            buffers = tuple(a.storage for a in arrays)
            self.steps.append(Launch(built, buffers, formulas(sizes), formula(points)))

        return launch

    def call(
        self,
        key: str,
        arrays: Sequence[RecordedArray],
        shapes: Sequence[Sequence[int]],
        strides: Sequence[Sequence[int]],
    ) -> None:
        """A library's function."""
        buffers = tuple(a.storage for a in arrays)
        layouts = (tuple(map(formulas, group)) for group in (shapes, strides))
        self.steps.append(Library(key, buffers, *layouts))

    def repeat(
        self, stage: Stage, n_buffers: int, built: int, sizes: Sequence[int]
    ) -> Callable[..., None]:
        points = formula(stage.points(sizes))
        first = formulas(stage.launch(sizes, 0, self.rounds))
        again = formulas(stage.launch(sizes, 1, 1 + self.rounds))

        def call(*arrays: RecordedArray) -> None:
            flag = self.memory((1,), int32)
            buffers = (*(a.storage for a in arrays), flag)
            self.steps.append(Repeat(built, buffers, first, again, points))

        return call

    def pieces(self, stage: Stage, built: int, sizes: Sequence[int]) -> Callable[..., None]:
        """A kernel with a loop, launched for so many of its rounds at a time as one launch may run."""
        points, total = formula(stage.points(sizes)), product(stage.pieces, sizes)
        if self.rounds >= UNLIMITED or (not isinstance(total, Symbolic) and total <= self.rounds):
            return self.launcher(built, 0, stage.launch(sizes, 0, total), stage.points(sizes), 0)
        symbol, number = self._round()
        # A loop of no rounds, too, has results.
        count = largest([-(-total // self.rounds), 1])
        end = smallest([number * self.rounds, total])
        values = formulas(stage.launch(sizes, (number - 1) * self.rounds, end))

        def launch(*arrays: RecordedArray) -> None:
            buffers = tuple(a.storage for a in arrays)
            steps: list[Step] = [Launch(built, buffers, values, points)]
            self.steps.append(Loop(symbol, formula(count), steps))

        return launch

    def _round(self) -> tuple[str, int]:
        """A new loop's symbol, and that as a length."""
        self.loops += 1
        symbol = f"round{self.loops}"
        self.scope.typical[symbol] = 1
        return symbol, self.scope.size(Formula.of(symbol))

    def allocator(self, shape: tuple[int, ...], dtype: DType) -> Callable[[], RecordedArray]:
        return lambda: self.array(self.memory(shape, dtype), shape, dtype)

    def filled(self, shape: tuple[int, ...], dtype: DType, value: Any) -> Callable[[], Any]:
        def make() -> RecordedArray:
            out = self.allocator(shape, dtype)()
            (kernel,) = self.build([fill_kernel(dtype, value, self.capabilities.index)], False)
            points = math.prod(shape)
            self.launcher(kernel, 1, (), points, points)(out)
            return out

        return make

    def copy(self, array: RecordedArray) -> RecordedArray:
        out = self.allocator(array.shape, as_dtype(array.dtype))()
        self.copy_into(array, out)
        return out

    def copy_into(self, array: RecordedArray, out: RecordedArray) -> None:
        """Write a view into an array of its own, in row-major order."""
        dtype = as_dtype(array.dtype)
        shape, strides = array.shape, array.element_strides()
        if array.is_contiguous:
            shape, strides = (math.prod(array.shape),), (1,)
        made, sizes, points = copy_kernel(dtype, shape, strides, self.capabilities.index)
        (kernel,) = self.build([made], False)
        self.launcher(kernel, 2, sizes, points, points)(array, out)

    def broadcast(
        self, array: RecordedArray, shape: tuple[int, ...], axes: tuple[int, ...]
    ) -> RecordedArray:
        return array.spread(shape, axes)

    def row(self, array: RecordedArray, number: int) -> Any:
        return read_row(self, array, number)  # type: ignore[arg-type]

    def put(self, array: RecordedArray, number: int, row: Any) -> None:
        write_row(self, array, number, row)  # type: ignore[arg-type]

    # -- memory ----------------------------------------------------------------------------------

    def memory(self, shape: tuple[int, ...], dtype: DType) -> Memory:
        """A new temporary."""
        made = Memory("temp", len(self.memories), dtype, formula(math.prod(shape)))
        self.memories.append(made)
        return made

    def array(self, memory: Memory, shape: tuple[int, ...], dtype: DType) -> RecordedArray:
        return RecordedArray(memory, shape, dtype.dtype, recorder=self)

    # -- loops and branches ----------------------------------------------------------------------

    def controlled(
        self, step: Controlled, sizes: Sequence[int], make: Callable[[Any, int], Any]
    ) -> Callable[[Given], Sequence[Any]]:
        """A loop or branch as a step with steps inside."""
        bodies = [make(b, n) for b, n in zip(step.bodies, step.inputs, strict=True)]
        record = {"scan": self._scan, "while": self._while, "switch": self._switch}[step.kind]
        return lambda given: record(step, sizes, bodies, given)

    def _inside(self, run: Callable[[], Any]) -> tuple[list[Step], Any]:
        """The steps that a function records, and its result."""
        outer, self.steps = self.steps, []
        try:
            result = run()
            return self.steps, result
        finally:
            self.steps = outer

    def _own(self, arrays: Sequence[RecordedArray]) -> list[RecordedArray]:
        """Copies that steps may write over."""
        return [self.copy(a) for a in arrays]

    def _move(self, found: Sequence[RecordedArray], into: Sequence[RecordedArray]) -> None:
        """Write arrays into others, as if all at once."""
        targets = {a.storage for a in into}
        moved = [
            f if f.storage is a.storage or f.storage not in targets else self.copy(f)
            for f, a in zip(found, into, strict=True)
        ]
        for f, a in zip(moved, into, strict=True):
            if f.storage is not a.storage or not f.is_contiguous:
                self.copy_into(f, a)

    def _scan(
        self, step: Controlled, sizes: Sequence[int], bodies: Sequence[Any], given: Given
    ) -> Sequence[Any]:
        consts, carries = step.counts
        length = product((step.params["length"],), sizes)
        fixed, xs = given[:consts], given[consts + carries :]
        carry = self._own(given[consts : consts + carries])
        rows = [
            self.allocator((length, *_shape(shape, sizes)), dtype)()
            for shape, dtype in step.params["rows"]
        ]
        symbol, at = self._round()
        number = length - at if step.params["reverse"] else at - 1

        def body() -> None:
            found = bodies[0](*fixed, *carry, *[self.row(x, number) for x in xs])
            for out, made in zip(rows, found[carries:], strict=True):
                self.put(out, number, made if made.is_contiguous else self.copy(made))
            self._move(found[:carries], carry)

        steps, _ = self._inside(body)
        self.steps.append(Loop(symbol, formula(length), steps))
        return [*carry, *rows]

    def _while(
        self, step: Controlled, sizes: Sequence[int], bodies: Sequence[Any], given: Given
    ) -> Sequence[Any]:
        tests, consts = step.counts
        seen, fixed = given[:tests], given[tests : tests + consts]
        carry = self._own(given[tests + consts :])
        flag = self.array(self.memory((), bool_), (), bool_)
        test, _ = self._inside(lambda: self._move(bodies[0](*seen, *carry), [flag]))
        steps, _ = self._inside(lambda: self._move(bodies[1](*fixed, *carry), carry))
        self.steps.append(While(flag.storage, test, steps))
        return carry

    def _switch(
        self, step: Controlled, sizes: Sequence[int], bodies: Sequence[Any], given: Given
    ) -> Sequence[Any]:
        selector = self._integer(given[0])
        made: list[RecordedArray] | None = None
        cases = []
        for body in bodies:
            outer = made

            def case(body: Any = body, outer: Any = outer) -> list[RecordedArray]:
                found = body(*given[1:])
                into = outer or [self.allocator(f.shape, as_dtype(f.dtype))() for f in found]
                for f, a in zip(found, into, strict=True):
                    self.copy_into(f, a)
                return into

            steps, made = self._inside(case)
            cases.append(steps)
        self.steps.append(Switch(selector, cases))
        return made or []

    def _integer(self, array: RecordedArray) -> Memory:
        assert array.dtype in (np.int64, np.int32, np.bool_), array.dtype
        storage: Memory = array.storage
        return storage


def formulas(sizes: Sequence[int]) -> tuple[Formula, ...]:
    return tuple(formula(n) for n in sizes)


def _shape(extents: Sequence[Any], sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(product((e,), sizes) for e in extents)
