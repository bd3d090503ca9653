"""Draws the measured times as bar charts, one panel a case; needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import quantity
from benchmarks.workload import PEERS, Case

COLOURS = {
    "numpy": "#9aa3ad",
    "numba": "#4c9be8",
    "jax": "#8a63d2",
    "torch": "#e4703a",
    "pytensor": "#56a36c",
    "numr": "#c22f5a",
}
ACROSS = 4


def draw(
    path: Path,
    entries: Sequence[Mapping[str, Any]],
    cases_of: Mapping[str, Mapping[str, Case]],
) -> bool:
    """Writes a picture of all entries of one thread count; False where matplotlib is missing."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    panels = [
        (entry["title"], name, cases_of[entry["name"]].get(name, Case(name)), row)
        for entry in entries
        for name, row in entry["cases"].items()
        if any("median" in cell for cell in row.values())
    ]
    if not panels:
        return False
    down = -(-len(panels) // ACROSS)
    figure, axes = pyplot.subplots(
        down, ACROSS, figsize=(4 * ACROSS, 1.9 * down), squeeze=False, layout="constrained"
    )
    for axis, panel in zip(axes.flat, panels, strict=False):
        _panel(axis, *panel)
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True


def _panel(axis: Any, title: str, name: str, case: Case, row: Mapping[str, Any]) -> None:
    peers = [peer for peer in PEERS if "median" in row.get(peer, {})]
    values = [row[peer]["median"] for peer in peers]
    bars = axis.barh(peers, values, color=[COLOURS[peer] for peer in peers])
    axis.bar_label(bars, [quantity(v, case.unit) for v in values], padding=3, fontsize=8)
    axis.set_title(f"{title}\n{name}", fontsize=9)
    axis.set_xlim(0, 1.35 * max(*values, 1e-12))
    axis.invert_yaxis()
    axis.set_xticks([])
    axis.tick_params(labelsize=8, length=0)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)


def chain(path: Path, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Writes the memory of a gradient over the depth of a chain; False where matplotlib is missing."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    depths = [row["depth"] for row in rows]
    for name, label, colour in (
        ("whole", "without checkpoints", COLOURS["numba"]),
        ("segments", "in segments, with checkpoint", COLOURS["numr"]),
    ):
        axis.plot(depths, [row[name]["planned"] / 2**20 for row in rows], color=colour, label=label)
        measured = [row[name]["measured"] / 2**20 for row in rows]
        axis.plot(depths, measured, "o", color=colour, label="measured")
    axis.set_xscale("log", base=2)
    axis.set_yscale("log", base=2)
    axis.set_xticks(depths, list(map(str, depths)))
    axis.set_xlabel("layers")
    axis.set_ylabel("peak memory of the gradient, MiB")
    axis.legend(frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True
