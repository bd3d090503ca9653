"""Programs: a fused graph as steps over numbered buffers, for any sizes.

A Program is made once per canonical graph text, and bound to the sizes of each trace (binding.py).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from numr import config
from numr.codegen import target
from numr.codegen.binding import bind
from numr.codegen.check import Check, check
from numr.codegen.choices import with_choices
from numr.codegen.controlled import controlled
from numr.codegen.expanded import expand
from numr.codegen.fuse import UNROLL, ControlStep, Fused, LibraryStep, RegionStep, Step, fuse
from numr.codegen.heuristics import choose
from numr.codegen.loop_region import SHORT, NotInKernel, loop_region
from numr.codegen.lower import lower
from numr.codegen.recent import Recent
from numr.codegen.row_sums import by_rows
from numr.codegen.stages import fused_text, show
from numr.codegen.steps import (
    Allocation,
    Call,
    Expanded,
    Launch,
    Program,
    Repeat,
    Run,
    View,
    needed,
)
from numr.codegen.support import require, require_kernel
from numr.codegen.varying import lifted
from numr.codegen.widths import longest, positions
from numr.devices import memory_of, to_device
from numr.dtypes import DType
from numr.ir.body import bodies
from numr.ir.dims import Extent
from numr.ir.node import Node
from numr.ir.symbolic import Symbolic, typical
from numr.ir.text import Canonical
from numr.primitives.loops import WHILE
from numr.primitives.source import CONST, constant_value
from numr.rules import rewrite
from numr.rules.loops import tidied


@dataclass(slots=True)
class Statistics:
    """Counts of one cache level."""

    hits: int = 0
    misses: int = 0


# Bounded by the characters of their graphs, and each program by the sizes it is bound to: a program
# that made room for another is built again when it is needed, from kernels that are kept.
PROGRAMS: Recent[tuple[Any, ...], Program] = Recent(2**24)
# What a program weighs beside the text of its graph, in characters.
PROGRAM = 2048
program_statistics = Statistics()
bound_statistics = Statistics()
_lock = threading.RLock()


# Sizes that heuristics cannot tell apart. Few, so that new sizes seldom meet a new schedule.
BUCKETS = (16, 128, 1024, 16384)


def bucket(size: int, exact: int = UNROLL) -> int:
    """A representative of a size: itself where kernels may unroll it, else its bucket's upper end."""
    if size <= exact:
        return size
    return next((b for b in BUCKETS if size <= b), 1 << 20)


def representatives(graph: Canonical) -> tuple[int, ...]:
    """A representative of each of a graph's sizes."""
    # A loop's state is written out number by number, if it is short.
    exact = SHORT if any(bodies(n) for n in graph.order) else UNROLL
    # Where a length is a formula it may be any: nothing is written out that many times.
    return tuple(
        max(bucket(typical(n), 0), BUCKETS[1]) if isinstance(n, Symbolic) else bucket(n, exact)
        for n in graph.sizes
    )


def compile_graph(
    inputs: Sequence[Node],
    outputs: Sequence[Node],
    fast_math: bool | None = None,
    device: str | None = None,
) -> Run:
    """A function from the inputs' buffers to the outputs', as a tuple."""
    found = target.get(device or "cpu")
    if getattr(found, "interprets", False):
        return found.bind(inputs, outputs)  # type: ignore[no-any-return]
    graph = Canonical(inputs, outputs)
    return _compiled(graph, _key(graph, found, fast_math), found)


def run_graph(
    inputs: Sequence[Node], outputs: Sequence[Node], values: Sequence[Any], device: str
) -> tuple[Any, ...]:
    """Compile (or find) a lazy graph and run it once, on a device."""
    found = target.get(device)
    values = [to_device(v, device) for v in values]
    if getattr(found, "interprets", False):
        return found.bind(inputs, outputs)(*values)  # type: ignore[no-any-return]
    backend: target.Backend = found
    graph = Canonical(inputs, outputs)
    key = _key(graph, backend)
    if key not in PROGRAMS:
        varied, values = lifted(graph, values, memory_of(device))
        if varied is not graph:
            graph, key = varied, _key(varied, backend)
            values = [to_device(v, device) for v in values]
    return _compiled(graph, key, backend)(*values)


class _Key(NamedTuple):
    """All that a program depends on; `exact` is empty unless steps are checked against NumPy."""

    text: str
    hints: tuple[int, ...]
    positions: str
    backend: str
    fast_math: bool
    settings: str
    exact: tuple[Any, ...]


def _key(graph: Canonical, backend: target.Backend, fast_math: bool | None = None) -> _Key:
    settings = config.get()
    fast = settings.fast_math if fast_math is None else fast_math
    hints = representatives(graph)
    # NumPy computes these very sizes, and an error names this very graph's lines.
    exact = (*graph.sizes, *[n.location for n in graph.order]) if settings.check else ()
    places = _positions(graph, backend).short
    program = settings.fingerprint("program")
    return _Key(graph.text, hints, places, backend.name, fast, program, exact)


def _positions(graph: Canonical, backend: target.Backend) -> DType:
    device = backend.capabilities
    return device.index if device.narrow_index is None else positions(longest(graph.order), device)


def _compiled(graph: Canonical, key: _Key, backend: target.Backend) -> Run:
    program = PROGRAMS.get(key)
    if program is None:
        with _lock:
            program = PROGRAMS.get(key)
            if program is None:
                program_statistics.misses += 1
                show("cache", lambda: "new program")
                program = build_program(graph, key.hints, backend, key.fast_math)
                program.forget()
                PROGRAMS.put(key, program, len(graph.text) + PROGRAM)
    else:
        program_statistics.hits += 1
    sizes = graph.sizes
    run = program.bound.get(sizes)
    if run is None:
        bound_statistics.misses += 1
        run = program.bound[sizes] = bind(program, sizes, len(graph.inputs), backend)
        show("cache", lambda: f"program bound to new sizes {sizes}")
    else:
        bound_statistics.hits += 1
    return run


# -- building --------------------------------------------------------------------------------------


def build_program(
    graph: Canonical, hints: Sequence[int], backend: target.Backend, fast_math: bool
) -> Program:
    """Rewrite, fuse, schedule, lower and compile a graph."""
    show("graph", lambda: graph.text)
    device = replace(backend.capabilities, index=_positions(graph, backend))
    program = _assembled(graph, hints, backend, device, fast_math, [])
    program.keep(program.launched())
    for kernel in program.kernels:
        show("kernel", kernel.text)
        show("source", functools.partial(backend.source, kernel, fast_math))
    program.use(backend.build(program.kernels, fast_math))
    return program


def _assembled(
    graph: Canonical,
    hints: Sequence[int],
    backend: target.Backend,
    device: target.Capabilities,
    fast_math: bool,
    kernels: list[Any],
) -> Program:
    """A graph as steps; its kernels are added to those there are."""
    extent = graph.table.extent

    def size(n: int) -> int:
        found = extent(n)
        return found if isinstance(found, int) else hints[found.index]

    outputs = with_choices(graph.outputs, size)
    outputs = rewrite(graph.inputs, outputs, fast_math)
    outputs, rows = by_rows(tidied(outputs, extent), extent)
    # The same size table: rewriting makes no new lengths, so symbols keep their numbers.
    rewritten = Canonical(graph.inputs, outputs, graph.table)
    require(rewritten.order, backend.name, device)
    show("rewrite", lambda: rewritten.text)
    fused = fuse(rewritten, hints, device.max_buffers, rows)
    show("fuse", lambda: fused_text(fused))
    checked = functools.partial(check, fast_math=fast_math) if config.get().check else None
    assembler = _Assembler(rewritten, fused, hints, backend, device, checked, fast_math)
    assembler.program.kernels = kernels
    return assembler.run()


class _Assembler:
    """Turns fused steps into program steps over numbered slots."""

    def __init__(
        self,
        graph: Canonical,
        fused: Fused,
        hints: Sequence[int],
        backend: target.Backend,
        device: target.Capabilities,
        check: Callable[[str, Step, dict[Node, int]], Check] | None,
        fast_math: bool,
    ) -> None:
        self.graph = graph
        self.fused = fused
        self.hints = hints
        self.backend = backend
        self.program = Program(fused=fused)
        self.slots: dict[Node, int] = {}
        self.count = 0
        self.check = check
        self.device = device
        self.fast_math = fast_math
        self.native = device.native
        if fast_math and device.native is not None:
            self.native = device.native | device.fast

    def fresh(self) -> int:
        self.count += 1
        return self.count - 1

    def run(self) -> Program:
        for node in self.graph.inputs:
            self.slots[node] = self.fresh()
        for number, step in enumerate(self.fused.steps):
            if isinstance(step, LibraryStep):
                self._call(step)
                name = f"step {number} (library call {step.key})"
            elif isinstance(step, ControlStep):
                self._control(step)
                name = f"step {number} ({step.targets[0].prim.name})"
            else:
                first = len(self.program.kernels)
                self._region(step)
                kernels = ", ".join(map(str, range(first, len(self.program.kernels))))
                name = f"step {number} (kernel {kernels})"
            if self.check is not None:
                self.program.steps.append(self.check(name, step, self.slots))
        self.program.results = [
            (self.slots[base], self._views(views)) for base, views in self.fused.results
        ]
        self.program.steps = needed(self.program)
        return self.program

    def _extents(self, shape: tuple[int, ...]) -> tuple[Extent, ...]:
        return tuple(self.graph.table.extent(n) for n in shape)

    def _views(self, chain: Sequence[Node]) -> tuple[View, ...]:
        views: list[View] = []
        for node in chain:
            if node.prim.name == "permute":
                views.append(("transpose", tuple(node.params["order"])))
            elif node.prim.name == "reshape":
                views.append(("reshape", self._extents(node.shape)))
            else:
                views.append(("broadcast", (self._extents(node.shape), node.params["axes"])))
        return tuple(views)

    def _call(self, step: LibraryStep) -> None:
        operands = tuple((self.slots[base], self._views(chain)) for base, chain in step.operands)
        slot = self.slots[step.node] = self.fresh()
        params = {k: v for k, v in step.node.params.items() if k != "serial"}
        library = self.backend.library
        for key in (step.key, f"{step.key}:{step.operands[0][0].dtype.short}"):
            if key in library:
                self.program.steps.append(Call(key, slot, operands, params))
                return
        made = expand(step.key, step.node, self.backend.name, self.device)
        shapes = tuple(self._extents(base.shape) for base, _ in step.operands)
        result = self._extents(step.node.shape), step.node.dtype
        first = len(self.program.kernels)
        self.program.steps.append(
            Expanded(step.key, slot, operands, params, made, shapes, result, first)
        )
        self.program.kernels += made.kernels

    def _control(self, step: ControlStep) -> None:
        operands = tuple((self.slots[base], self._views(chain)) for base, chain in step.operands)
        node = step.targets[0]
        try:
            self._loop_kernel(step)
            step.how = "inside one kernel"
            return
        except NotInKernel as reason:
            step.how = f"by programs, not inside one kernel: {reason}"
        if node.prim is WHILE:
            inputs, params = WHILE.together(node)
            operands = operands[: params["tests"]] * (len(inputs) > len(operands)) + operands
            node = WHILE(*inputs, **params)
        programs = []
        for body in bodies(node):
            inner = Canonical(body.params, body.outputs, self.graph.table)
            programs.append(
                _assembled(
                    inner,
                    self.hints,
                    self.backend,
                    self.device,
                    self.fast_math,
                    self.program.kernels,
                )
            )
        self.program.bodies += programs
        slots = {}
        for target_ in step.targets:
            slots[target_.params["index"]] = self.slots[target_] = self.fresh()
        self.program.steps.append(controlled(node, operands, slots, tuple(programs), self._extents))

    def _loop_kernel(self, step: ControlStep) -> None:
        """A loop as one kernel, where it can be one."""
        wanted = {t.params["index"]: t for t in step.targets}
        found = loop_region(
            step.targets[0],
            step.operands,
            list(wanted),
            self.graph.table.extent,
            self.hints,
            self.fast_math,
        )
        outputs: dict[tuple[str, int], int] = {}
        for k, index in enumerate(found.results):
            slot = outputs["out", k] = self.fresh()
            if index in wanted:
                self.slots[wanted[index]] = slot
            shape, dtype = step.targets[0].prim.infer(
                *step.targets[0].inputs, **{**step.targets[0].params, "index": index}
            )
            self.program.steps.append(Allocation(slot, self._extents(shape), dtype))
        self._launches(RegionStep(found.region, found.sources, []), outputs)

    def _region(self, step: RegionStep) -> None:
        outputs: dict[tuple[str, int], int] = {}
        for k, node in enumerate(step.targets):
            slot = outputs["out", k] = self.slots[node] = self.fresh()
            allocation = Allocation(slot, self._extents(node.shape), node.dtype)
            if step.initial is not None:
                self._start(allocation, step.initial)
            self.program.steps.append(allocation)
        for part in step.parts:
            self._launches(part, outputs)

    def _launches(self, step: RegionStep, outputs: dict[tuple[str, int], int]) -> None:
        hints = dict(zip(self.graph.table.dims, self.hints, strict=False))
        schedule = choose(step.region, hints, self.device, config.get().deterministic)
        sizes = zip(self.graph.table.dims, self.graph.sizes, strict=False)
        formulas = {dim for dim, n in sizes if isinstance(n, Symbolic)}
        limits = {d: n for d, n in hints.items() if n <= BUCKETS[-1] and d not in formulas}
        lowered = lower(step.region, schedule, self.native, self.fast_math, limits)
        places = dict(outputs)
        for k, source in enumerate(step.sources):
            if step.region.loop is None or k not in step.region.loop.carried:
                places["in", k] = self.slots[source]
        for k, temporary in enumerate(lowered.temporaries):
            slot = places["temp", k] = self.fresh()
            self.program.steps.append(Allocation(slot, tuple(temporary.shape), temporary.dtype))
        for stage in lowered.stages:
            require_kernel(stage.kernel, self.graph.order, self.backend.name, self.device)
            slots = tuple(places[b] for b in stage.buffers if b[0] != "flag")
            kind = Repeat if stage.repeats else Launch
            self.program.steps.append(kind(len(self.program.kernels), slots, stage))
            self.program.kernels.append(stage.kernel)

    def _start(self, allocation: Allocation, initial: Node) -> None:
        inner = initial.inputs[0] if initial.prim.name == "broadcast" else initial
        if initial not in self.slots and inner.prim is CONST:
            allocation.fill = constant_value(inner.params["value"], inner.dtype)
        else:
            allocation.copy = self.slots[initial]
