"""Binding a Program to sizes: a short Python function that allocates, launches and calls.

Everything that can be known already is worked out: shapes, size parameters, launchers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from numr import config
from numr.codegen import target
from numr.codegen.check import Check
from numr.codegen.controlled import Controlled
from numr.codegen.controlled import bind as bind_controlled
from numr.codegen.expanded import bind as bind_expanded
from numr.codegen.lowered import product
from numr.codegen.repeat import repeat
from numr.codegen.rounds import rounds
from numr.codegen.stages import announcement
from numr.codegen.steps import Allocation, Expanded, Launch, Program, Repeat, Run, View, last_uses
from numr.codegen.support import require_rounds
from numr.ir.dims import Extent
from numr.ir.symbolic import is_nothing
from numr.runtime.generated import define


def bind(program: Program, sizes: Sequence[int], count: int, backend: target.Backend) -> Run:
    """The program as a Python function of the input buffers, for one set of sizes."""

    def lengths(extents: Sequence[Extent]) -> tuple[int, ...]:
        return tuple(product((e,), sizes) for e in extents)

    # Launchers know where kernels' code is, which is there as long as the kernels are.
    space: dict[str, Any] = {"kernels": program.built}
    lines = [f"def run({', '.join(f'b{k}' for k in range(count))}):"]
    last_use = last_uses(program, count)

    def name(prefix: str, value: Any) -> str:
        key = f"{prefix}{len(space)}"
        space[key] = value
        return key

    def viewed(slot: int, views: tuple[View, ...]) -> str:
        text = f"b{slot}"
        for kind, payload in views:
            if kind == "transpose":
                text = f"{text}.transpose({tuple(payload)})"
            elif kind == "reshape":
                text = f"{text}.reshape({name('shape', lengths(payload))})"
            else:
                shape, axes = payload
                spread = name("spread", backend.broadcast)
                text = f"{spread}({text}, {name('shape', lengths(shape))}, {axes})"
        return text

    announced = "launch" in config.get().debug

    def announce(step: Any) -> None:
        if announced:
            where = "".join(f" d{k}={n}" for k, n in enumerate(sizes))
            lines.append(f"    {name('say', announcement(f'{step} with{where}'))}()")

    pieces = getattr(backend, "pieces", None)
    for number, step in enumerate(program.steps):
        if isinstance(step, Allocation):
            shape = lengths(step.shape)
            if step.copy is not None:
                lines.append(f"    b{step.slot} = {name('copy', backend.copy)}(b{step.copy})")
            elif step.fill is not None:
                make = backend.filled(shape, step.dtype, step.fill)
                lines.append(f"    b{step.slot} = {name('full', make)}()")
            else:
                lines.append(
                    f"    b{step.slot} = {name('new', backend.allocator(shape, step.dtype))}()"
                )
        elif isinstance(step, Repeat):
            make = getattr(backend, "repeat", None) or partial(repeat, backend=backend)
            again = make(step.stage, len(step.slots), program.built[step.kernel], sizes)
            announce(step)
            lines.append(f"    {name('repeat', again)}({', '.join(f'b{s}' for s in step.slots)})")
        elif isinstance(step, Launch) and step.stage.pieces and pieces is not None:
            run = pieces(step.stage, program.built[step.kernel], sizes)
            announce(step)
            lines.append(f"    {name('kernel', run)}({', '.join(f'b{s}' for s in step.slots)})")
        elif isinstance(step, Launch):
            points = step.stage.points(sizes)
            launches = step.stage.launches(sizes, backend.capabilities.interrupted)
            work = step.stage.work(sizes) // max(len(launches), 1)
            for values in () if is_nothing(points) else launches:
                if backend.capabilities.trips is not None:
                    require_rounds(
                        rounds(step.stage.kernel, values), backend.name, backend.capabilities
                    )
                built = program.built[step.kernel]
                run = backend.launcher(built, len(step.slots), values, points, work)
                announce(step)
                lines.append(f"    {name('kernel', run)}({', '.join(f'b{s}' for s in step.slots)})")
        elif isinstance(step, Expanded):
            announce(step)
            operands = [
                (lengths(shape), [_sized(v, lengths) for v in views])
                for shape, (_, views) in zip(step.shapes, step.operands, strict=True)
            ]
            built = program.built[step.first : step.first + len(step.expansion.kernels)]
            result = lengths(step.result[0]), step.result[1]
            call = bind_expanded(step.expansion, built, operands, result, backend)
            given = ", ".join(f"b{s}" for s, _ in step.operands)
            lines.append(f"    b{step.slot} = {name('expanded', call)}({given})")
        elif isinstance(step, Controlled):
            announce(step)
            call = bind_controlled(
                step, sizes, backend, lambda body, n: bind(body, sizes, n, backend)
            )
            viewed_operands = ", ".join(viewed(s, v) for s, v in step.operands)
            found = "".join(f"b{s}, " for s in step.results)
            lines.append(f"    {found}= {name('loop', call)}({viewed_operands})")
        elif isinstance(step, Check):
            lines.append(f"    {name('check', step)}({', '.join(f'b{s}' for s in step.slots)})")
        else:
            announce(step)
            call = backend.library[step.key]
            viewed_operands = ", ".join(viewed(s, v) for s, v in step.operands)
            extra = f", **{name('params', step.params)}" if step.params else ""
            lines.append(f"    b{step.slot} = {name('library', call)}({viewed_operands}{extra})")
        dead = [slot for slot in last_use.get(number, ()) if slot >= count]
        if dead:
            lines.append("    del " + ", ".join(f"b{s}" for s in dead))
    results = "".join(viewed(s, v) + ", " for s, v in program.results)
    lines.append(f"    return ({results})")
    made: Run = define("run", lines, space)
    repeated = getattr(backend, "repeated", None)
    return made if repeated is None else repeated(made, len(program.kernels))


def _sized(view: View, lengths: Callable[[Sequence[Extent]], tuple[int, ...]]) -> Any:
    """A view as (kind, new shape, payload)."""
    kind, payload = view
    if kind == "transpose":
        return kind, (), payload
    if kind == "reshape":
        return kind, lengths(payload), None
    return kind, lengths(payload[0]), payload[1]
