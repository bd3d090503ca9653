"""Turns measured cells into a table of times, ratios and targets, JSON files and a picture."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.workload import PEERS, Case, Target

QUIET = 0.15  # cores that other work may take without a remark
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))


def quantity(value: float, unit: str = "s") -> str:
    """A value with three digits and a fitting unit."""
    if unit != "s":
        return f"{value:.0f} {unit}"
    size, name = next((pair for pair in UNITS if abs(value) >= pair[0]), UNITS[-1])
    scaled = value / size
    digits = 0 if scaled == 0 else max(0, 2 - math.floor(math.log10(abs(scaled))))
    return f"{scaled:.{digits}f} {name}"


def machine() -> dict[str, Any]:
    """What a reader needs to judge the figures: processor, cores, memory, system."""
    facts = {"system": f"{platform.system()} {platform.release().split('-')[0]}"}
    processor, cores = platform.processor() or platform.machine(), 0
    features: set[str] = set()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            cores += key.strip() == "processor"
            if key.strip() == "model name":
                processor = value.strip()
            if key.strip() == "flags":
                features = set(value.split())
        kib = Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0]
        facts["memory"] = f"{int(kib) / 2**20:.0f} GiB"
    except (OSError, IndexError):
        pass
    vector = next((f for f in ("avx512f", "avx2", "avx") if f in features), None)
    facts["processor"] = processor + (f" ({vector})" if vector else "")
    libc = " ".join(platform.libc_ver()).strip()
    return facts | {"cores": cores or None, "libc": libc or None}


def record(name: str, title: str, threads: int, result: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of one workload at one thread count."""
    return {
        "name": name,
        "title": title,
        "threads": threads,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        **result,
    }


def save(folder: Path, entry: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{entry['name']}-{entry['threads']}.json"
    path.write_text(json.dumps(entry, indent=1, ensure_ascii=False) + "\n")


def stored(folder: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The saved entries, workloads in the given order, thread counts rising."""
    entries = [json.loads(path.read_text()) for path in folder.glob("*-*.json")]
    known = [entry for entry in entries if entry["name"] in names]
    return sorted(known, key=lambda e: (names.index(e["name"]), e["threads"]))


def judge(
    target: Target | None,
    row: Mapping[str, Mapping[str, Any]],
    statistic: str = "median",
    rows: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> tuple[float | None, float | None]:
    """The bound on numr, and numr's value over it; None where there is none.

    `rows` are those of all cases, for a target that is held against another case.
    """
    if target is None:
        return None, None

    def values(row: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
        return {peer: cell[statistic] for peer, cell in row.items() if statistic in cell}

    bound = target.bound(values((rows or {}).get(target.case, row)))
    numr = values(row).get("numr")
    return bound, numr / bound if numr is not None and bound else None


def rows(
    entry: Mapping[str, Any], cases: Mapping[str, Case], peers: Sequence[str]
) -> Iterable[list[str]]:
    """The table's lines of one entry: case, one cell a peer, bound, numr against it."""
    for name, row in entry["cases"].items():
        case = cases.get(name, Case(name))
        cells = []
        for peer in peers:
            cell = row.get(peer)
            if cell is None:
                cells.append("")
            elif "median" in cell:
                cells.append(quantity(cell["median"], case.unit))
            else:
                cells.append("failed")
        bound, ratio = judge(case.target, row, rows=entry["cases"])
        best = judge(case.target, row, "min", entry["cases"])[1]
        verdict = "" if ratio is None else f"{ratio:.2f} {'met' if ratio <= 1 else 'MISSED'}"
        limit = "" if bound is None else quantity(bound, case.unit)
        yield [name, *cells, limit, verdict, "" if best is None else f"{best:.2f}"]


def table(
    entries: Sequence[Mapping[str, Any]], cases_of: Mapping[str, Mapping[str, Case]], markdown: bool
) -> str:
    """All entries as text: aligned columns for a terminal, or Markdown."""
    parts = []
    for entry in entries:
        present = {peer for row in entry["cases"].values() for peer in row}
        peers = [peer for peer in PEERS if peer in present]
        head = ["", *peers, "numr may take", "numr / bound", "by minima"]
        body = [head, *rows(entry, cases_of[entry["name"]], peers)]
        noun = "thread" if entry["threads"] == 1 else "threads"
        title = f"{entry['title']}: {entry['threads']} {noun}"
        if (entry.get("busy") or 0) > QUIET:
            title += f" (not a quiet machine: other work on up to {entry['busy']:.1f} cores)"
        parts.append(_markdown(title, body) if markdown else _aligned(title, body))
        parts.extend(_notes(entry, markdown))
    return "\n".join(parts)


def _aligned(title: str, body: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in body) for i in range(len(body[0]))]
    lines = [
        "  ".join(
            [
                line[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True)),
            ]
        )
        for line in body
    ]
    return "\n".join((f"\n{title}", *(line.rstrip() for line in lines)))


def _markdown(title: str, body: list[list[str]]) -> str:
    lines = ["| " + " | ".join(line) + " |" for line in body]
    rule = "|" + "---|" + "---:|" * (len(body[0]) - 1)
    return "\n".join((f"\n**{title}**\n", lines[0], rule, *lines[1:], ""))


def _notes(entry: Mapping[str, Any], markdown: bool) -> list[str]:
    """What failed, and what a probe said beside its figure."""
    found: dict[str, list[str]] = {}
    for name, row in entry["cases"].items():
        for peer, cell in row.items():
            for text in (cell.get("failed"), cell.get("note")):
                if text:
                    found.setdefault(f"{peer}: {text}", []).append(name)
    lead = "* " if markdown else "    "
    return [f"{lead}{text} ({', '.join(names)})" for text, names in found.items()]


def versions(entries: Sequence[Mapping[str, Any]]) -> str:
    known: dict[str, str] = {}
    for entry in entries:
        known |= entry.get("versions", {})
    return ", ".join(f"{peer} {known[peer]}" for peer in PEERS if peer in known)


def heading(entries: Sequence[Mapping[str, Any]]) -> str:
    """Machine, versions and dates of the entries."""
    dates = sorted({entry["date"][:10] for entry in entries})
    facts = entries[-1]["machine"]
    shown = ", ".join(
        text
        for text in (
            facts["processor"],
            f"{facts['cores']} cores" if facts.get("cores") else "",
            facts.get("memory", ""),
            facts["system"],
            facts.get("libc") or "",
        )
        if text
    )
    span = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f"{span}; {shown}; {versions(entries)}"


def insert(document: Path, text: str, name: str = "measured") -> None:
    """Puts `text` between a document's two marks of a name, in place of what stands there."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = document.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise SystemExit(f"{document} has no {begin} ... {end}")
    document.write_text(f"{before}{begin}\n{text.strip()}\n{end}{after}")


def wrong_results(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every cell whose check against the oracle failed."""
    return [
        f"{entry['name']}, {name}, {peer}: {cell['failed']}"
        for entry in entries
        for name, row in entry["cases"].items()
        for peer, cell in row.items()
        if str(cell.get("failed", "")).startswith("wrong")
    ]
