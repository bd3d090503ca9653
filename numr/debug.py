"""Seeing what happens: every stage of compiling a function as text, its cost, and a picture."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from numr import config
from numr.codegen import kernels as kernel_store
from numr.codegen import program as programs
from numr.codegen import steps, target
from numr.codegen.fuse import ControlStep, LibraryStep
from numr.codegen.kernel import Kernel
from numr.codegen.stages import fused_text
from numr.cost import Cost, cost_of
from numr.ir.node import Node, toposort
from numr.ir.text import Canonical
from numr.rules import rewrite


class Text(str):
    """A string whose repr is itself, so that it reads well at a prompt."""

    def __repr__(self) -> str:
        return str(self)


class KernelView:
    """One kernel: its IR, its printed source and its machine code."""

    def __init__(self, kernel: Kernel, backend: target.Backend, fast_math: bool) -> None:
        self._kernel, self._backend, self._fast_math = kernel, backend, fast_math

    @property
    def ir(self) -> Text:
        return Text(self._kernel.text())

    @property
    def source(self) -> Text:
        return Text(self._backend.source(self._kernel, self._fast_math))

    @property
    def asm(self) -> Text:
        return Text(self._backend.assembly(self._kernel, self._fast_math))

    def __repr__(self) -> str:
        return self.ir


class Lowered:
    """A function on given arguments, at every stage of compilation; made by `f.lower(*args)`."""

    def __init__(self, traced: Any, name: str, options: dict[str, Any]) -> None:
        self.name = name
        self._device = options["device"] or "cpu"
        fast = options["fast_math"]
        self._fast_math = config.get().fast_math if fast is None else fast
        self._graph = Canonical([*traced.params, *traced.captured], traced.outputs)
        self._names = [f"argument {k}" for k in range(len(traced.params))]
        self._names += [f"captured {k}" for k in range(len(traced.captured))]

    @property
    def graph(self) -> Text:
        """The traced graph."""
        return Text(self._graph.text)

    @cached_property
    def _rewritten(self) -> Canonical:
        outputs = rewrite(self._graph.inputs, self._graph.outputs, self._fast_math)
        return Canonical(self._graph.inputs, outputs, self._graph.table)

    @property
    def rewritten(self) -> Text:
        """The graph after rewriting."""
        return Text(self._rewritten.text)

    @cached_property
    def _program(self) -> steps.Program:
        hints = programs.representatives(self._graph)
        return programs.build_program(self._graph, hints, target.get(self._device), self._fast_math)

    @property
    def regions(self) -> Text:
        """What is computed together, and why the rest is stored."""
        assert self._program.fused is not None
        return Text(fused_text(self._program.fused))

    @property
    def program(self) -> Text:
        """Steps over buffers."""
        return Text(self._program.text())

    @property
    def kernels(self) -> list[KernelView]:
        """The kernels, in launch order."""
        backend = target.get(self._device)
        return [KernelView(k, backend, self._fast_math) for k in self._program.kernels]

    @property
    def cost(self) -> Cost:
        """Operations, bytes, kernels and peak memory of one call."""
        return cost_of(self._rewritten, self._program)

    def picture(self, path: str | None = None) -> str:
        """The rewritten graph as an SVG picture.

        Args:
            path: a file to write it to, whose name ends in ".svg"; none is written without one.

        Returns:
            The SVG text.

        Raises:
            ValueError: for another ending: no other format is written.
        """
        if path is not None and not str(path).endswith(".svg"):
            raise ValueError(f"a picture is written as SVG: name the file .svg, not {path!r}")
        svg = draw(
            self._rewritten.inputs, self._rewritten.outputs, self._names, self._program.fused
        )
        if path is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(svg)
        return svg

    def __repr__(self) -> str:
        cost = self.cost
        return f"<lowered {self.name}: {cost.kernels} kernels, {cost.library_calls} library calls>"


def explain(fun: Any, *args: Any, **kwargs: Any) -> Text:
    """Call a function and say what it took: what was cached, what compiled and why, what fused.

    Args:
        fun: a jitted function, or a plain one, which is jitted first.
        args, kwargs: what to call it with.

    Returns:
        A report as text.

    Examples:
        >>> import numr as nr
        >>> report = nr.explain(nr.jit(lambda x: nr.sum(nr.exp(x))), nr.ones(3))
        >>> "1 kernel" in report
        True
    """
    from numr.jit import Jitted, jit, trace_statistics

    jitted = fun if isinstance(fun, Jitted) else jit(fun)
    before = (
        trace_statistics.misses,
        programs.program_statistics.misses,
        programs.bound_statistics.misses,
        kernel_store.statistics.compiled,
        kernel_store.statistics.misses,
    )
    known = len(jitted._plans)
    jitted(*args, **kwargs)
    traced, built, bound, compiled, missed = (
        now - then
        for now, then in zip(
            (
                trace_statistics.misses,
                programs.program_statistics.misses,
                programs.bound_statistics.misses,
                kernel_store.statistics.compiled,
                kernel_store.statistics.misses,
            ),
            before,
            strict=True,
        )
    )
    lowered = jitted.lower(*args, **kwargs)
    cost = lowered.cost
    lines = [f"{lowered.name} on {lowered._device}"]
    if not traced:
        lines.append("trace: cached for these shapes and dtypes")
    else:
        why = (
            "first call"
            if not known
            else "shapes, dtypes, structure or static arguments not seen before"
        )
        lines.append(
            f"trace: new ({why}); {len(lowered._graph.order)} nodes, {len(lowered._rewritten.order)} rewritten"
        )
    if traced:
        lines.append(
            "program: "
            + ("new structure" if built else "found: the same structure was compiled before")
        )
        lines.append("sizes: " + ("new" if bound else "seen before"))
    lines.append(
        f"compiled: {compiled} kernels"
        + (f" ({missed - compiled} found on disk)" if missed > compiled else "")
    )
    plural = "" if cost.kernels == 1 else "s"
    lines.append(
        f"runs {cost.kernels} kernel{plural} and {cost.library_calls} library calls; {cost.flops:,} operations, "
        f"{cost.bytes:,} bytes moved, {cost.peak:,} bytes at most"
    )
    fused = lowered._program.fused
    assert fused is not None
    for step in fused.steps:
        if isinstance(step, ControlStep):
            lines.append(f"gone through {step.how}: {step.targets[0]!r}")
        elif isinstance(step, LibraryStep):
            lines.append(f"not fused: {step.node!r} is a library call ({step.key})")
        else:
            for node in step.targets:
                lines.append(f"stored: {node!r}: {fused.reasons.get(node, '')}")
    return Text("\n".join(lines))


def show(fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Text:
    """The graph of a function on given arguments, as text."""
    from numr.jit import Jitted, jit

    jitted = fun if isinstance(fun, Jitted) else jit(fun)
    return Text(jitted.lower(*args, **kwargs).graph)


# -- the picture -----------------------------------------------------------------------------------

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 168, 40, 18, 34


def draw(
    inputs: Sequence[Node], outputs: Sequence[Node], names: Sequence[str], fused: Any = None
) -> str:
    """A layered drawing of a graph as SVG: inputs on top, stored nodes filled, views pale."""
    order = toposort(outputs)
    drawn = [n for n in order if n.prim.name != "const"]
    level: dict[Node, int] = {}
    for node in drawn:
        level[node] = 1 + max((level[x] for x in node.inputs if x in level), default=-1)
    rows: dict[int, list[Node]] = {}
    for node in drawn:
        rows.setdefault(level[node], []).append(node)
    place: dict[Node, tuple[float, float]] = {}
    widest = max((len(r) for r in rows.values()), default=1)
    for depth, row in rows.items():
        # Each node near the middle of what it is made of keeps edges short and uncrossed.
        row.sort(
            key=lambda n: sum(place[x][0] for x in n.inputs if x in place) / max(1, len(n.inputs))
        )
        offset = (widest - len(row)) * (_WIDTH + _GAP_X) / 2
        for k, node in enumerate(row):
            place[node] = (20 + offset + k * (_WIDTH + _GAP_X), 20 + depth * (_HEIGHT + _GAP_Y))
    stored = set(fused.reasons) if fused is not None else set(outputs)
    labels = dict(zip(inputs, names, strict=False))
    width = 40 + widest * (_WIDTH + _GAP_X)
    height = 40 + (max(rows, default=0) + 1) * (_HEIGHT + _GAP_Y)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for node in drawn:
        x, y = place[node]
        for operand in node.inputs:
            if operand in place:
                a, b = place[operand]
                parts.append(
                    f'<path d="M{a + _WIDTH / 2},{b + _HEIGHT} C{a + _WIDTH / 2},{b + _HEIGHT + 18} '
                    f'{x + _WIDTH / 2},{y - 18} {x + _WIDTH / 2},{y}" fill="none" stroke="#889"/>'
                )
    for node in drawn:
        x, y = place[node]
        fill = "#dbe9ff" if node in labels else "#ffe2b8" if node in stored else "#f4f4f4"
        title = labels.get(node, node.prim.name)
        constants = [n.prim.reference(**n.params) for n in node.inputs if n.prim.name == "const"]
        if constants and node not in labels:
            title += " " + ", ".join(
                f"{c:.6g}" if c.dtype.kind == "f" else str(c) for c in constants
            )
        detail = f"{node.dtype.short}{[int(n) for n in node.shape]}"
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" fill="{fill}" stroke="#556"/>'
        )
        parts.append(f'<text x="{x + 8}" y="{y + 16}">{html.escape(title[:24])}</text>')
        parts.append(f'<text x="{x + 8}" y="{y + 32}" fill="#556">{html.escape(detail)}</text>')
    return "\n".join([*parts, "</svg>"])
