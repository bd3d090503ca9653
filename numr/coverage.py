"""What every primitive supports: `python -m numr.coverage`, and the reference pages made from it.

A gap is either declared on the primitive with its reason, or an error.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import numr.primitives  # noqa: F401  (fills the registry)
from numr.codegen import target
from numr.codegen.expansions import EXPANSIONS
from numr.errors import DeviceError
from numr.ir.primitive import REGISTRY, Primitive

COLUMNS = ("jvp", "transpose", "batch", "reference", "samples")


def is_source(prim: Primitive) -> bool:
    """Whether a primitive only brings values in, and so has no rules of its own."""
    return type(prim).abstract or not inspect.signature(prim.infer).parameters


def slot(prim: Primitive, name: str) -> str:
    """ "yes", "-" with a declared reason, "derived" by its kind, or "MISSING"."""
    if is_source(prim):
        return "-"
    reason = {"jvp": prim.no_jvp, "transpose": prim.no_transpose}.get(name, "")
    if reason:
        return f"- ({reason})"
    if name == "samples" and prim.has_siblings:
        return "- (its bodies are the user's)"
    if name == "samples":
        return "yes" if any(True for _ in prim.samples(np.random.default_rng(0))) else "MISSING"
    if name == "transpose" and not prim.has_siblings and not _linear(prim):
        return "- (not linear; its tangent is)"
    return "yes" if prim.has(name) else "MISSING"


def _linear(prim: Primitive) -> bool:
    """Whether transposition may meet the primitive at all: elementwise ones declare it."""
    from numr.primitives.elementwise import LINEAR_OPERANDS

    linear = getattr(prim, "linear", None)
    return linear is None or linear or prim.name in LINEAR_OPERANDS


def lowering(prim: Primitive) -> str:
    """How a primitive becomes code."""
    if hasattr(prim, "expand"):
        return "expanded"
    if prim.lowering == "library":
        return f"library: {getattr(prim, 'library', prim.name)}"
    if prim.lowering == "scan":
        return f"library: {prim.name}"
    kinds = {
        "element": "fused",
        "scatter": "fused scatter",
        "control": "programs",
        "call": "its body",
        "": "-",
    }
    return kinds[prim.lowering]


def backends(prim: Primitive) -> dict[str, str]:
    """Per registered backend, "yes" or why not."""
    found = {}
    for name in target.names():
        backend = target.get(name)
        try:
            reason = backend.capabilities.gaps.get(prim.name)
        except DeviceError:
            reason = "no such device here"
        library = getattr(backend, "library", None)
        if reason is None and library is not None and prim.lowering in ("library", "scan"):
            key = getattr(prim, "library", prim.name)
            reason = None if key in library or key in EXPANSIONS else "MISSING"
        found[name] = "yes" if reason is None else reason
    return found


def table() -> list[tuple[str, ...]]:
    """A header and one row per primitive."""
    names = target.names()
    rows: list[tuple[str, ...]] = [("primitive", *COLUMNS, "lowering", *names)]
    for name, prim in sorted(REGISTRY.items()):
        per_backend = backends(prim)
        slots = (slot(prim, c).split(" (")[0] for c in COLUMNS)
        rows.append((name, *slots, lowering(prim), *(per_backend[b] for b in names)))
    return rows


def missing() -> list[str]:
    """Undeclared gaps."""
    gaps = []
    for name, prim in sorted(REGISTRY.items()):
        gaps += [f"{name}: {c}" for c in COLUMNS if slot(prim, c) == "MISSING"]
        gaps += [f"{name}: backend {b}" for b, how in backends(prim).items() if how == "MISSING"]
        if not prim.doc.strip():
            gaps.append(f"{name}: doc")
    return gaps


def as_text(rows: Sequence[Sequence[str]], markdown: bool = False) -> str:
    """The table in columns, or as Markdown."""
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def page(group: str, prims: Sequence[Primitive]) -> str:
    """The reference page of one module of primitives."""
    module = sys.modules[f"numr.primitives.{group}"]
    lines = [f"# {group}", "", (module.__doc__ or "").strip(), ""]
    for prim in prims:
        lines += [f"## {prim.name}", "", inspect.cleandoc(prim.doc) or prim.name, ""]
        parameters = [
            p.name
            for p in inspect.signature(prim.infer).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        ]
        if parameters:
            lines.append(f"- parameters: {', '.join(parameters)}")
        lines += [f"- {c}: {slot(prim, c)}" for c in COLUMNS if c != "samples"]
        lines += [f"- lowering: {lowering(prim)}", ""]
    return "\n".join(lines).rstrip() + "\n"


def home(prim: Primitive) -> str:
    """The module a primitive is declared in: its class's, but for instances of the elementwise kind."""
    from numr.primitives import elementwise

    module = type(prim).__module__.rsplit(".", 1)[-1]
    if type(prim) is not elementwise.Elementwise:
        return module
    declared = any(value is prim for value in vars(elementwise).values())
    return module if declared else "mathematics"


def pages() -> dict[str, str]:
    """Reference pages by file name, generated from the registry."""
    groups: dict[str, list[Primitive]] = {}
    for _, prim in sorted(REGISTRY.items()):
        if type(prim).__module__.startswith("numr."):
            groups.setdefault(home(prim), []).append(prim)
    made = {f"{g}.md": page(g, prims) for g, prims in sorted(groups.items())}
    own = {prim.name for prims in groups.values() for prim in prims}
    header, *rows = table()
    made["index.md"] = (
        "# Primitives\n\nGenerated by `python -m numr.coverage --pages`; do not edit.\n\n"
        + as_text([header, *(row for row in rows if row[0] in own)], markdown=True)
        + "\n"
    )
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m numr.coverage", description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument("--pages", metavar="FOLDER", help="write the reference pages there")
    options = parser.parse_args(argv)
    if options.pages:
        folder = Path(options.pages)
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages().items():
            (folder / name).write_text(text, encoding="utf-8")
    else:
        print(as_text(table(), options.markdown))
    gaps = missing()
    for gap in gaps:
        print(f"undeclared gap: {gap}", file=sys.stderr)
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
