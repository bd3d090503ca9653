"""The exported functions as LLVM text: checks, places in the workspace, launches and loops.

The calling convention is that of abi.py. Kernels are declared only; code.py joins them with these functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from numr.codegen.export import abi
from numr.codegen.export.layout import ALIGNMENT, Layout, layout
from numr.codegen.export.record import (
    Launch,
    Loop,
    Memory,
    Recording,
    Repeat,
    Step,
    Switch,
    While,
    launches_in,
    walk,
)
from numr.codegen.export.targets.native.formulas import DECLARED, Body
from numr.codegen.kernel import Kernel
from numr.ir.formulas import Formula, symbols_of

# Temporaries of known sizes of at most so many bytes together are on the stack.
_ON_STACK = 8192


def module(functions: Sequence[tuple[str, Recording]], metadata: tuple[str, str]) -> str:
    """The LLVM text of a bundle but for its kernels.

    Args:
        functions: each function's name in C, and what it does.
        metadata: the name of the function that returns a text about the bundle, and that text.
    """
    constants = Constants()
    parts = [_function(name, r, constants) for name, r in functions]
    kernels = {
        k.entry: k
        for _, r in functions
        for s in launches_in(r.steps)
        for k in (r.kernels[s.kernel],)
    }
    name, text = metadata
    held = constants.name(text.encode() + b"\0")
    return "\n".join(
        [
            *DECLARED,
            *map(_declared, kernels.values()),
            *parts,
            f"define ptr @{name}() nounwind {{\n  ret ptr {held}\n}}",
            *constants.lines,
            "",
        ]
    )


def _declared(kernel: Kernel) -> str:
    index = f"i{8 * kernel.index.dtype.itemsize}"
    types = [index, index, *["ptr"] * len(kernel.buffers), *[index] * len(kernel.sizes)]
    return f"declare void @{kernel.entry}({', '.join(types)}) nounwind"


class Constants:
    """Bytes that the object holds; equal ones are one."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._names: dict[bytes, str] = {}

    def name(self, data: bytes) -> str:
        """The address of some bytes."""
        found = self._names.get(data)
        if found is None:
            found = self._names[data] = f"@data{len(self._names)}"
            value = f'c"{_escaped(data)}"' if any(data) else "zeroinitializer"
            self.lines.append(
                f"{found} = private unnamed_addr constant [{len(data)} x i8] {value}, align {ALIGNMENT}"
            )
        return found


_ESCAPES = np.array([f"\\{b:02X}".encode() for b in range(256)], "S3")


def _escaped(data: bytes) -> str:
    return _ESCAPES[np.frombuffer(data, np.uint8)].tobytes().decode("ascii")


def _function(name: str, recording: Recording, constants: Constants) -> str:
    """The function and the query of its workspace."""
    return "\n".join([_query(name, recording), _Driver(name, recording, constants).text()])


def _places(recording: Recording) -> Layout:
    """Where temporaries are in the workspace; nowhere if they are few enough for the stack."""
    lengths = [m.bytes.number for m in recording.memories]
    known = [n for n in lengths if n is not None]
    return Layout() if len(known) == len(lengths) and sum(known) <= _ON_STACK else layout(recording)


def _query(name: str, recording: Recording) -> str:
    body = Body(recording.symbols)
    size = _workspace(body, recording, _places(recording))
    _refuse(body, recording)
    bad = _any(body)
    parameters = ", ".join(f"i64 %size.{s}" for s in recording.symbols)
    return "\n".join(
        [
            f"define i64 @{name}_workspace({parameters}) nounwind memory(none) {{",
            *body.lines,
            f"  %answer = select i1 {bad}, i64 -1, i64 {size}",
            "  ret i64 %answer",
            "}",
        ]
    )


def _workspace(body: Body, recording: Recording, places: Layout) -> str:
    """The bytes of the workspace; it may begin anywhere, so it is longer by what that may cost."""
    for memory in recording.memories:
        _refuse_length(body, memory.length)
    size = body.settle(places.bytes)
    body.refuse("sgt", size, abi.MOST_BYTES)
    if places.bytes.number == 0:
        return "0"
    more = body.new(f"add i64 {size}, {ALIGNMENT - 1}")
    some = body.new(f"icmp sgt i64 {size}, 0")
    return body.new(f"select i1 {some}, i64 {more}, i64 0")


def _refuse(body: Body, recording: Recording) -> None:
    """Refuse sizes below 1, those that break a condition, and arrays that no memory holds."""
    for symbol in recording.symbols:
        body.refuse("slt", body.values[symbol], 1)
    for condition in recording.conditions:
        relation = {">=": "slt", "==": "ne", "!=": "eq"}[condition.relation]
        body.refuse(relation, body.settle(condition.formula))
    for argument in (*recording.inputs, *recording.outputs):
        for length in argument.shape:
            _refuse_length(body, length)
        body.refuse("sgt", body.settle(argument.bytes), abi.MOST_BYTES)


def _refuse_length(body: Body, length: Formula) -> None:
    value = body.settle(length)
    if length.least < 0:
        body.refuse("slt", value)


def _any(body: Body) -> str:
    """Whether sizes are refused."""
    found = "false"
    for bit in body.refused:
        found = body.new(f"or i1 {found}, {bit}")
    return found


class _Driver:
    """One function's body."""

    def __init__(self, name: str, recording: Recording, constants: Constants) -> None:
        self.name = name
        self.recording = recording
        self.constants = constants
        self.body = Body(recording.symbols)
        self.places = _places(recording)
        self.temporaries: list[str] = []

    def text(self) -> str:
        recording, body = self.recording, self.body
        arrays = [f"%in{k}" for k in range(len(recording.inputs))]
        arrays += [f"%out{k}" for k in range(len(recording.outputs))]
        # Arguments do not overlap, so what a kernel wrote is known to the next one.
        parameters = [f"ptr noalias {a}" for a in arrays]
        parameters += [*(f"i64 %size.{s}" for s in recording.symbols), "ptr noalias %workspace"]
        size = _workspace(body, recording, self.places)
        _refuse(body, recording)
        for formula in _settled(recording, self.places):
            body.settle(formula)
        taken, sized, started = body.label(), body.label(), body.label()
        body.branch(_any(body), f"{taken}.bad", taken)
        self._leave(f"{taken}.bad", abi.SIZE)
        body.begin(taken)
        missing = "false"
        for array in arrays:
            null = body.new(f"icmp eq ptr {array}, null")
            missing = body.new(f"or i1 {missing}, {null}")
        wanted = body.new(f"icmp sgt i64 {size}, 0")
        null = body.new("icmp eq ptr %workspace, null")
        null = body.new(f"and i1 {wanted}, {null}")
        missing = body.new(f"or i1 {missing}, {null}")
        body.branch(missing, sized, started)
        self._leave(sized, abi.NULL)
        body.begin(started)
        self._place()
        self._steps(recording.steps)
        body.lines.append(f"  ret i32 {abi.OK}")
        return "\n".join(
            [
                f"define i32 @{self.name}({', '.join(parameters)}) nounwind {{",
                *body.lines,
                "}",
            ]
        )

    def _leave(self, label: str, status: int) -> None:
        self.body.begin(label)
        self.body.lines.append(f"  ret i32 {status}")

    def _place(self) -> None:
        """The addresses of temporaries: on the stack, where a compiler sees what becomes of each, or in the
        workspace's blocks."""
        body, memories = self.body, self.recording.memories
        if not self.places.blocks:
            for memory in memories:
                kind = f"[{memory.bytes.number} x i8]"
                self.temporaries.append(body.new(f"alloca {kind}, align {ALIGNMENT}"))
            return
        address = body.new("ptrtoint ptr %workspace to i64")
        short = body.new(f"sub i64 0, {address}")
        short = body.new(f"and i64 {short}, {ALIGNMENT - 1}")
        at = body.new(f"getelementptr i8, ptr %workspace, i64 {short}")
        blocks = []
        for block in self.places.blocks:
            blocks.append(at)
            at = body.new(f"getelementptr i8, ptr {at}, i64 {body.value(block)}")
        self.temporaries = [blocks[self.places.places.get(m.number, 0)] for m in memories]

    def _address(self, memory: Memory) -> str:
        if memory.kind == "const":
            return self.constants.name(self.recording.constants[memory.number].tobytes())
        if memory.kind == "temp":
            return self.temporaries[memory.number]
        return f"%{memory.kind}{memory.number}"

    def _steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            if isinstance(step, Launch):
                self._launch(step.kernel, step.buffers, step.sizes, step.points)
            elif isinstance(step, Repeat):
                self._repeat(step)
            elif isinstance(step, Loop):
                self._loop(step)
            elif isinstance(step, While):
                self._while(step)
            elif isinstance(step, Switch):
                self._switch(step)
            else:
                # Of libraries this target names none, so no step calls one.
                raise AssertionError(step)

    def _launch(
        self, number: int, buffers: Sequence[Memory], sizes: Sequence[Formula], points: Formula
    ) -> None:
        kernel = self.recording.kernels[number]
        args = [
            f"i64 {0}",
            f"i64 {self.body.value(points)}",
            *(f"ptr {self._address(m)}" for m in buffers),
            *(f"i64 {self.body.value(n)}" for n in sizes),
        ]
        self.body.lines.append(f"  call void @{kernel.entry}({', '.join(args)})")

    def _again(self, test: Callable[[], str], steps: Callable[[], None]) -> None:
        """`while test: steps`."""
        body = self.body
        head, inner, after = body.label(), body.label(), body.label()
        body.jump(head)
        body.begin(head)
        body.branch(test(), inner, after)
        body.begin(inner)
        steps()
        body.jump(head)
        body.begin(after)

    def _repeat(self, step: Repeat) -> None:
        flag = self._address(step.buffers[-1])

        def launch(sizes: Sequence[Formula]) -> None:
            self.body.lines.append(f"  store i32 0, ptr {flag}")
            self._launch(step.kernel, step.buffers, sizes, step.points)

        launch(step.first)
        self._again(lambda: self._is_set(flag, "i32"), lambda: launch(step.again))

    def _is_set(self, address: str, kind: str) -> str:
        found = self.body.new(f"load {kind}, ptr {address}")
        return self.body.new(f"icmp ne {kind} {found}, 0")

    def _loop(self, step: Loop) -> None:
        body = self.body
        head, inner, last, after = (body.label() for _ in range(4))
        before = body.label()
        body.jump(before)
        body.begin(before)
        count = body.value(step.count)
        body.jump(head)
        body.begin(head)
        number, following = f"%{head}.number", f"%{head}.following"
        body.lines.append(f"  {number} = phi i64 [ 1, %{before} ], [ {following}, %{last} ]")
        body.branch(body.new(f"icmp sle i64 {number}, {count}"), inner, after)
        body.begin(inner)
        body.values[step.symbol] = number
        self._steps(step.steps)
        body.jump(last)
        body.begin(last)
        body.lines.append(f"  {following} = add i64 {number}, 1")
        body.jump(head)
        body.begin(after)

    def _while(self, step: While) -> None:
        def test() -> str:
            self._steps(step.test)
            return self._is_set(self._address(step.flag), "i8")

        self._again(test, lambda: self._steps(step.steps))

    def _switch(self, step: Switch) -> None:
        body = self.body
        kind = f"i{8 * step.selector.dtype.dtype.itemsize}"
        found = body.new(f"load {kind}, ptr {self._address(step.selector)}")
        labels = [body.label() for _ in step.cases]
        after = body.label()
        places = " ".join(f"{kind} {k}, label %{name}" for k, name in enumerate(labels))
        # The number is within range; a compiler may know no other.
        body.lines.append(f"  switch {kind} {found}, label %{labels[-1]} [ {places} ]")
        for label, case in zip(labels, step.cases, strict=True):
            body.begin(label)
            self._steps(case)
            body.jump(after)
        body.begin(after)


def _settled(recording: Recording, places: Layout) -> list[Formula]:
    """Every formula of the function's sizes alone that its steps use."""
    found = [*places.blocks]
    for step in walk(recording.steps):
        if isinstance(step, Launch):
            found.extend((*step.sizes, step.points))
        elif isinstance(step, Repeat):
            found.extend((*step.first, *step.again, step.points))
        elif isinstance(step, Loop):
            found.append(step.count)
    known = set(recording.symbols)
    return [f for f in found if set(symbols_of([f])) <= known]
