"""Times derivatives beside the functions they are of, by turns in one process, and counts what they compute;
and the memory of a chain of layers with and without checkpoints.

python -m benchmarks.derivatives [--threads 1,2] [--into docs/performance.md]
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import harness, picture, report

RESULTS = Path(__file__).resolve().parent / "results"
SHORTEST = 1e-3  # a turn repeats a call until it lasts this long
BOUNDS = {"gradient": ("value", 3.0), "both": ("value", 3.0), "product": ("gradient", 3.0)}
FLOPS = {"gradient": 4.0, "both": 4.0, "product": 3.0}
DEPTHS, ROWS, WIDTH = (4, 16, 64, 256), 1000, 256


def repeats(call: Callable[[], Any]) -> int:
    """How many calls make a turn."""
    call()
    begin = time.perf_counter()
    call()
    return max(1, round(SHORTEST / max(time.perf_counter() - begin, 1e-7)))


def timed(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Seconds a call of each, the calls taking turns, so that what else the machine does falls on all."""
    counts = {name: repeats(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            for _ in range(counts[name]):
                call()
            samples[name].append((time.perf_counter() - begin) / counts[name])
    gc.enable()
    return {name: {"median": median(s), "min": min(s)} for name, s in samples.items()}


def functions(rounds: int, small: bool) -> list[dict[str, Any]]:
    """Of each function and size: operations and times of its value and derivatives."""
    import numr as nr
    from benchmarks.workloads import derivatives

    rows = []
    for function in derivatives.FUNCTIONS:
        made = derivatives.derivatives(function.call)
        for large in (False,) if small else (False, True):
            plain = nr.tree.map(nr.asarray, function.at(large))
            moved = nr.tree.map(nr.asarray, derivatives.with_direction(function.at(large)))
            args = {name: moved if name == "product" else plain for name in made}
            calls = {name: lambda f=f, a=args[name]: f(*a) for name, f in made.items()}
            flops = {name: f.lower(*args[name]).cost.flops for name, f in made.items()}
            times = timed(calls, rounds)
            rows.append({"title": function.title(large), "flops": flops, "times": times})
    return rows


def in_use(call: Callable[[], Any]) -> tuple[int, float]:
    """The most bytes that a call has in use at once, and the time it takes."""
    from numr.runtime.allocator import pool

    call()
    gc.collect()
    pool.trim()
    kept, pool.limit = pool.limit, 0  # memory nobody uses is not kept, so that it is not counted
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    begin = time.perf_counter()
    call()
    seconds = time.perf_counter() - begin
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    pool.limit = kept
    return peak, seconds


def memory(small: bool) -> list[dict[str, Any]]:
    """Of chains of several depths: bytes planned and measured for the gradient by the inputs, whole and in segments,
    and its time."""
    import numr as nr
    from benchmarks.workloads import derivatives

    rows = []
    for depth in DEPTHS[:2] if small else DEPTHS:
        row: dict[str, Any] = {"depth": depth}
        for name, f in (("whole", derivatives.whole), ("segments", derivatives.in_segments)):
            slope = nr.jit(
                nr.grad(f, 1)
            )  # not by the weights: their gradients grow with depth themselves
            weights, x = derivatives.chain(depth, ROWS // 10 if small else ROWS, WIDTH)
            own = [nr.asarray(w + 0.0) for w in weights], nr.asarray(x)
            planned = slope.lower(*own).cost.peak
            peak, seconds = in_use(lambda f=slope, own=own: f(*own))
            row[name] = {"planned": planned, "measured": peak, "time": seconds}
        rows.append(row)
    return rows


def child(rounds: int, small: bool, chains: bool) -> dict[str, Any]:
    import numr as nr

    busy = harness.busy_cores()
    found = {"functions": functions(rounds, small), "busy": busy, "version": nr.__version__}
    return found | {"memory": memory(small) if chains else []}


# -- what is shown ---------------------------------------------------------------------------------


def ratio(row: dict[str, Any], name: str, what: str, statistic: str = "") -> float:
    """A derivative's operations or time over those of what it is held against."""
    values = row[what]
    base = BOUNDS[name][0]
    if statistic:
        return float(values[name][statistic] / values[base][statistic])
    return float(values[name] / values[base])


def met(row: dict[str, Any], name: str) -> bool:
    # The shortest times: what else the machine does makes ratios of medians larger and smaller.
    return (
        ratio(row, name, "flops") <= FLOPS[name]
        and ratio(row, name, "times", "min") <= BOUNDS[name][1]
    )


def lines(entry: dict[str, Any]) -> list[str]:
    """The table of functions and that of chains, as Markdown."""
    noun = "thread" if entry["threads"] == 1 else "threads"
    busy = entry.get("busy") or 0
    noted = (
        f" (not a quiet machine: other work on up to {busy:.1f} cores)"
        if busy > report.QUIET
        else ""
    )
    out = [
        f"**derivatives: {entry['threads']} {noun}{noted}**",
        "",
        "| | value | gradient: operations | time | value and gradient: operations | time "
        "| Hessian-vector product: operations | time | |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for row in entry["functions"]:
        cells = [row["title"], report.quantity(row["times"]["value"]["min"])]
        for name in BOUNDS:
            cells.append(f"{ratio(row, name, 'flops'):.2f}")
            cells.append(
                f"{ratio(row, name, 'times', 'min'):.2f} ({ratio(row, name, 'times', 'median'):.2f})"
            )
        cells.append("met" if all(met(row, name) for name in BOUNDS) else "MISSED")
        out.append(f"| {' | '.join(cells)} |")
    if not entry["memory"]:
        return [*out, ""]
    out += [
        "",
        "| layers | planned: whole | in segments | measured: whole | in segments | time: whole | in segments |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in entry["memory"]:
        both = row["whole"], row["segments"]
        cells = [f"{side['planned'] / 2**20:.1f} MiB" for side in both]
        cells += [f"{side['measured'] / 2**20:.1f} MiB" for side in both]
        cells += [report.quantity(side["time"]) for side in both]
        out.append(f"| {row['depth']} | {' | '.join(cells)} |")
    return [*out, ""]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", default="1,2", help="comma-separated (default 1,2)")
    parser.add_argument("--rounds", type=int, default=25, help="turns of each call")
    parser.add_argument(
        "--small", action="store_true", help="small sizes, to see that all of it runs"
    )
    parser.add_argument("--into", type=Path, help="a document whose table to replace")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of JSON and picture")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--chains", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(child(asked.rounds, asked.small, asked.chains)))
        return 0
    entries = []
    for threads in map(int, asked.threads.split(",")):
        options = ["--child", "--rounds", str(asked.rounds), *(["--small"] if asked.small else [])]
        if not entries:
            options.append("--chains")  # memory is the same for any number of threads
        with tempfile.TemporaryDirectory() as folder:
            env = harness.environment(threads, Path(folder))
            found = harness.run_child("benchmarks.derivatives", options, sys.executable, env)
        if "failed" in found:
            print(f"{threads} threads: {found['failed']}", file=sys.stderr)
            return 1
        found["versions"] = {"numr": found.pop("version")}
        entry = report.record("derivatives", "derivatives", threads, found)
        report.save(asked.results, entry)
        entries.append(entry)
    text = "\n".join([report.heading(entries), "", *(line for e in entries for line in lines(e))])
    print(text)
    picture.chain(asked.results / "chain.png", entries[0]["memory"])
    if asked.into:
        report.insert(asked.into, text, "derivatives")
    return 0


if __name__ == "__main__":
    sys.exit(main())
