"""Seeing a compilation happen: NUMR_DEBUG prints its stages; what is fused, as text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from numr import config
from numr.codegen.fuse import ControlStep, Fused, LibraryStep, RegionStep
from numr.codegen.prepare import reachable, roots_of
from numr.codegen.region import Axis, Expr


def show(stage: str, text: Callable[[], str]) -> None:
    """Print what a stage made to stderr, if the setting `debug` names the stage."""
    if stage in config.get().debug:
        said = text()
        print(f"numr {stage}:", said, sep="\n" if "\n" in said else " ", file=sys.stderr)


def announcement(text: str) -> Callable[[], None]:
    """A function that says what is about to be launched; part of programs bound under `debug`."""
    return lambda: print(f"numr launch: {text}", file=sys.stderr)


def fused_text(fused: Fused) -> str:
    """The steps of a fused graph, and why each result is stored."""
    lines: list[str] = []
    for number, step in enumerate(fused.steps):
        if isinstance(step, LibraryStep):
            lines += [f"step {number}: library call {step.key}", f"  {step.node!r}"]
        elif isinstance(step, ControlStep):
            lines.append(f"step {number}: {step.targets[0].prim.name} {step.how}".rstrip())
            lines += [f"  {node!r}" for node in step.targets]
        else:
            lines.append(f"step {number}: region")
            for part in step.parts:
                lines += [f"  {line}" for line in _region_lines(part, fused)]
    return "\n".join(lines)


def _region_lines(step: RegionStep, fused: Fused) -> list[str]:
    names: dict[Expr, str] = {}
    assignments: list[str] = []
    for expr in reachable(roots_of(step.region)):
        if expr.kind in ("const", "axis", "size"):
            names[expr] = expr.data.name if expr.kind == "axis" else str(expr.data)
            continue
        text = _spelled(expr, [names[a] for a in expr.args])
        names[expr] = f"t{len(assignments) + 1}"
        assignments.append(f"{names[expr]} = {text}")
    lines = [f"x{k}: {source!r}" for k, source in enumerate(step.sources)] + assignments
    for output in step.region.outputs:
        node = step.targets[output.slot]
        lines += [f"{node!r}", f"  stored because it is {fused.reasons.get(node, 'needed')}"]
        if step.initial is not None:
            lines.append(f"  starts as {step.initial!r}")
        sign = "=" if output.mode == "set" else f"{output.mode}="
        place = ", ".join(names[e] for e in output.index)
        lines.append(f"  [{place}] {sign} {names[output.expr]}{_over(output.axes)}")
    return lines


def _spelled(expr: Expr, args: Sequence[str]) -> str:
    """One expression, given the names of its arguments."""
    if expr.kind == "load":
        return f"x{expr.data}[{', '.join(args)}]"
    if expr.kind == "guarded":
        return f"x{expr.data}[{', '.join(args[:-1])}] if {args[-1]} else 0"
    if expr.kind == "op":
        return f"{expr.data}({', '.join(args)})"
    if expr.kind == "reduce":
        monoid, axes = expr.data
        return f"{monoid} {args[0]}{_over(axes)}"
    return f"{expr.kind}({args[0]}, {expr.dtype.short})"


def _over(axes: Sequence[Axis]) -> str:
    return " over " + ", ".join(f"{a.name} < {a.extent}" for a in axes) if axes else ""
