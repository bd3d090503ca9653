"""Times numr on WebGPU beside hand-written WGSL on the same adapter, by turns in one process.

python -m benchmarks.webgpu [--rounds 40] [--into docs/performance.md]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import numr as nr
from benchmarks import report, wgsl
from benchmarks.workloads import black_scholes, nbody
from numr.codegen.backends.webgpu.gpu import gpu

BEGIN, END = "<!-- webgpu: begin -->", "<!-- webgpu: end -->"
RESULTS = Path(__file__).resolve().parent / "results" / "webgpu.json"
MANY = 200  # calls in a row, where calls are timed without waiting for each


@dataclass
class Entry:
    """One workload in two hands: what they call, how often a sample calls it, what they launch."""

    name: str
    calls: dict[str, Callable[[], Any]]
    repeat: int
    dispatches: dict[str, int]
    moved: dict[str, int]


def sent(x: np.ndarray) -> Any:
    return nr.asarray(np.ascontiguousarray(x, np.float32), device="webgpu")


def own(f: Callable[..., Any], *args: Any) -> tuple[Any, Any]:
    """A jitted function in strict and in fast arithmetic."""
    strict, fast = nr.jit(f, device="webgpu"), nr.jit(f, device="webgpu", fast_math=True)
    return strict, fast


def agree(got: Any, want: Any, tolerance: float) -> None:
    got, want = np.asarray(got), np.asarray(want)
    error = np.max(np.abs(got - want)) / max(np.max(np.abs(want)), 1e-30)
    if not error <= tolerance:
        raise SystemExit(f"results differ by {error:.1e} of the largest, more than {tolerance:.0e}")


def done(result: Any) -> None:
    (result[0] if isinstance(result, tuple) else result).block_until_ready()


def work(
    device: wgsl.Device,
    name: str,
    f: Callable[..., Any],
    inputs: dict[str, np.ndarray],
    text: str,
    outputs: list[int],
    groups: tuple[int, int],
    tolerance: float,
) -> Entry:
    """A workload of one dispatch by hand."""
    buffers = [device.array(np.asarray(v, np.float32)) for v in inputs.values()]
    results = [device.empty(n) for n in outputs]
    put = device.dispatch(text, [*buffers, *results], groups)
    args = [sent(v) for v in inputs.values()]
    strict, fast = own(f)
    read = [device.reader(r)([put]) for r in results]
    for g in (strict, fast):
        got = g(*args)
        for a, b in zip(got if isinstance(got, tuple) else (got,), read, strict=True):
            agree(np.ravel(np.asarray(a)), b, tolerance)

    def by_hand() -> None:
        device.submit([put], last=True)

    cost = {"strict": strict.lower(*args).cost, "fast": fast.lower(*args).cost}
    moved = sum(b.size for b in [*buffers, *results])
    return Entry(
        name,
        {"hand": by_hand, "strict": lambda: done(strict(*args)), "fast": lambda: done(fast(*args))},
        1,
        {"hand": 1, **{k: c.kernels for k, c in cost.items()}},
        {"hand": moved, **{k: c.bytes for k, c in cost.items()}},
    )


def calls(device: wgsl.Device) -> list[Entry]:
    """What a call costs: one kernel and ten, recorded only, and with the result read."""
    x = np.arange(1000, dtype=np.float32)
    a = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32) / 8
    source, target = device.array(x), device.empty(1000)
    one = [device.dispatch(wgsl.ADD_ONE, [source, target], (16, 1))]
    steps = [device.array(a), *(device.empty(64 * 64) for _ in range(10))]
    factor = device.array(a)
    ten = [
        device.dispatch(wgsl.MATMUL, [steps[k], factor, steps[k + 1]], (4, 4)) for k in range(10)
    ]
    read_one, read_ten = device.reader(target), device.reader(steps[-1])

    def power(x: Any, w: Any) -> Any:
        for _ in range(10):
            x = x @ w
        return x

    add, chain = nr.jit(lambda x: x + 1, device="webgpu"), nr.jit(power, device="webgpu")
    mine, factors = sent(x), sent(a)
    agree(add(mine), read_one(one), 0)
    agree(np.ravel(np.asarray(chain(factors, factors))), read_ten(ten), 1e-5)

    def by_hand(dispatches: list[Any]) -> None:
        for k in range(MANY):
            device.submit(dispatches, last=k == MANY - 1)

    def by_numr(call: Callable[[], Any]) -> None:
        for _ in range(MANY - 1):
            call()
        call().block_until_ready()

    entries = []
    for name, count, dispatches, read, call in (
        ("one kernel", 1, one, read_one, lambda: add(mine)),
        ("ten kernels", 10, ten, read_ten, lambda: chain(factors, factors)),
    ):
        launched = {"hand": count, "strict": ours_launched(call)}
        entries.append(
            Entry(
                f"{name}: call, {MANY} in a row",
                {
                    "hand": partial(by_hand, dispatches),
                    "strict": partial(by_numr, call),
                },
                MANY,
                launched,
                {},
            )
        )
        entries.append(
            Entry(
                f"{name}: call and read",
                {
                    "hand": lambda d=dispatches, r=read: r(d),
                    "strict": lambda c=call: c().numpy(),
                },
                1,
                launched,
                {},
            )
        )
    return entries


def ours_launched(call: Callable[[], Any]) -> int:
    before = gpu().statistics.dispatches
    call()
    return gpu().statistics.dispatches - before


def workloads(device: wgsl.Device) -> list[Entry]:
    random = np.random.default_rng(0)
    rows = {"x": random.normal(size=(4096, 512))}

    def softmax(x: Any) -> Any:
        e = nr.exp(x - nr.max(x, axis=-1, keepdims=True))
        return e / nr.sum(e, axis=-1, keepdims=True)

    formula = black_scholes.formula(nr, nr.special.erf)

    def price_and_gradient(*args: Any) -> Any:
        gradient = nr.grad(lambda *a: nr.sum(formula(*a, 0.03)), argnums=(0, 1, 2, 3))
        return formula(*args, 0.03), *gradient(*args)

    options = black_scholes.inputs()
    n = black_scholes.N
    bodies = nbody.inputs(2048)
    forces = nr.grad(lambda x, m: -nbody.potential(nr)(x, m))
    return [
        work(device, "softmax of 4096 x 512 rows", softmax, rows, wgsl.SOFTMAX, [4096 * 512],
             (4096, 1), 1e-5),
        work(device, "Black-Scholes, price and 4 derivatives of 1e6", price_and_gradient,
             {k: options[k] for k in black_scholes.NAMES[:4]}, wgsl.BLACK_SCHOLES, [n] * 5,
             (-(-n // 64), 1), 3e-5),
        work(device, "N-body forces, 2048 bodies", forces, bodies, wgsl.NBODY, [2048 * 3],
             (32, 1), 1e-4),
    ]  # fmt: skip


def timed(entry: Entry, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of a call, by turns."""
    samples: dict[str, list[float]] = {who: [] for who in entry.calls}
    for call in entry.calls.values():
        call()
    for _ in range(rounds):
        for who, call in entry.calls.items():
            start = time.perf_counter()
            call()
            samples[who].append((time.perf_counter() - start) / entry.repeat)
    return {who: {"median": median(s), "min": min(s)} for who, s in samples.items()}


def measure(rounds: int) -> dict[str, Any]:
    device = wgsl.Device()
    rows = []
    for entry in [*calls(device), *workloads(device)]:
        if sys.stderr.isatty():
            print(entry.name, end="\r", file=sys.stderr)
        times = timed(entry, rounds)
        rows.append(
            {
                "name": entry.name,
                "times": times,
                "dispatches": entry.dispatches,
                "moved": entry.moved,
            }
        )
    result = report.record("webgpu", "WebGPU", 0, {"rows": rows})
    return result | {"device": gpu().describe()}


def table(result: dict[str, Any]) -> str:
    """The measurements as Markdown."""
    device = result["device"]
    lines = [
        f"{result['date'][:10]}; {device['adapter']}, {device['driver']}, wgpu {device['wgpu']}; "
        f"{result['machine']['processor']}, {result['machine']['cores']} cores",
        "",
        "| | by hand | numr | numr / hand | by minima | fast_math / hand | by minima | dispatches | MB moved |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        t = row["times"]
        cells = [
            row["name"],
            report.quantity(t["hand"]["median"]),
            report.quantity(t["strict"]["median"]),
        ]
        for who in ("strict", "fast"):
            for statistic in ("median", "min"):
                ratio = t[who][statistic] / t["hand"][statistic] if who in t else None
                cells.append(f"{ratio:.2f}" if ratio else "")
        cells.append(" : ".join(str(row["dispatches"][k]) for k in ("strict", "hand")))
        moved = row["moved"]
        cells.append(
            " : ".join(f"{moved[k] / 1e6:.1f}" for k in ("strict", "hand")) if moved else ""
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="samples of each")
    parser.add_argument("--into", type=Path, help="the page whose table is replaced")
    options = parser.parse_args()
    result = measure(options.rounds)
    text = table(result)
    print(text)
    if options.into:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        page = options.into.read_text()
        head, _, rest = page.partition(BEGIN)
        options.into.write_text(head + f"{BEGIN}\n{text}\n" + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
