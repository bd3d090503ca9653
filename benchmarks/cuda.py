"""Times numr on an NVIDIA GPU beside copies, hand-written kernels, CuPy, JAX and PyTorch, by turns.

python -m benchmarks.cuda [--only rows,nbody] [--peer-python PATH] [--into docs/performance.md]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numr as nr
from benchmarks import harness, report, workload
from benchmarks.workload import GPU_PEERS, Case, Workload
from benchmarks.workloads import cuda
from numr.codegen.backends.cuda.device import open_device, simulated
from numr.devices import require

RESULTS = Path(__file__).resolve().parent / "results"
HEAD = ("", "numr", "beside it", "ratio", "target", "", "by minima")
Cells = Mapping[str, Mapping[str, Any]]  # what was measured of a case, by peer


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.cuda", description=__doc__.splitlines()[0])
    parser.add_argument("--only", help=f"comma-separated: {', '.join(cuda.NAMES)}")
    parser.add_argument("--rounds", type=int, default=9, help="turns that each peer gets")
    parser.add_argument("--seconds", type=float, default=0.2, help="length of a turn")
    parser.add_argument("--small", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--peer-python", default=sys.executable, help="runs the peers")
    parser.add_argument("--peer-device", choices=("cuda", "cpu"), default="cuda",
                        help="that of JAX and PyTorch; cpu tries out their code")  # fmt: skip
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON")
    parser.add_argument("--into", type=Path, help="the page whose table is replaced")
    asked = parser.parse_args()
    asked.only = asked.only.split(",") if asked.only else list(cuda.NAMES)
    unknown = [name for name in asked.only if name not in cuda.NAMES]
    if unknown:
        parser.error(f"--only: no {', '.join(unknown)}; there are {', '.join(cuda.NAMES)}")
    trial = asked.small or asked.peer_device != "cuda" or simulated()
    asked.whole = not trial and set(asked.only) == set(cuda.NAMES)
    if asked.into and not asked.whole:
        parser.error("--into takes a whole run on a GPU")
    return asked


def settings(asked: argparse.Namespace) -> dict[str, str]:
    """What the measured processes find in their environment."""
    found = {
        "JAX_PLATFORMS": asked.peer_device,
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the others need memory too
        cuda.PEER_DEVICE: asked.peer_device,
        cuda.SMALL: "1" if asked.small else "",
    }
    if simulated():
        found["NUMBA_ENABLE_CUDASIM"] = "1"
    return found


def workloads(names: list[str]) -> list[Workload]:
    return [workload.load(f"cuda.{name}") for name in names]


def gpu() -> dict[str, str]:
    """The device and its driver."""
    facts = dict(open_device(0).describe())
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=True)
        facts["driver"] = f"driver {asked.stdout.split()[0]}, {facts['driver']}"
    except (OSError, subprocess.CalledProcessError, IndexError, KeyError):
        pass
    return facts


def measure(asked: argparse.Namespace, environment: dict[str, str]) -> dict[str, Any]:
    progress = harness.terminal_progress()
    cases: dict[str, Any] = {}
    versions: dict[str, str] = {}
    for thing in workloads(asked.only):
        measured = harness.measure(
            thing,
            [peer for peer in GPU_PEERS if peer in thing.peers],
            os.cpu_count() or 1,
            lambda peer: sys.executable if peer == "numr" else asked.peer_python,
            asked.rounds,
            asked.seconds,
            progress,
            environment,
        )
        cases |= measured["cases"]
        versions |= {workload.MODULES[peer]: v for peer, v in measured["versions"].items()}
    progress("")
    found = {"gpu": gpu(), "versions": versions, "cases": cases, "peers on": asked.peer_device}
    return report.record("cuda", "CUDA", os.cpu_count() or 1, found)


def heading(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    facts = [
        *result["gpu"].values(),
        f"{machine['processor']}, {machine['cores']} cores",
        *(f"{name} {version}" for name, version in result["versions"].items()),
        *(["JAX and PyTorch on the CPU"] if result["peers on"] == "cpu" else []),
    ]
    return "; ".join([result["date"][:10], *facts])


def amount(case: Case, seconds: float) -> str:
    """A time, with the bandwidth that it means where that is what counts."""
    text = report.quantity(seconds)
    return f"{text}, {case.nbytes / seconds / 1e9:.0f} GB/s" if case.nbytes else text


def aim(case: Case) -> str:
    """A target as the table puts it."""
    target = case.target
    if target is None:
        return ""
    if not target.against:
        return f"at most {report.quantity(target.plus)}"
    if case.nbytes:
        return f"at least {1 / target.factor:.0%} of the bandwidth"
    return f"at most {target.factor:.2f}"


def comparison(case: Case, row: Cells, statistic: str) -> tuple[str, str]:
    """numr against the best beside it, or a fixed target, and whether the target is met."""
    _, over = report.judge(case.target, row, statistic)
    if case.target is None or over is None:
        return "", ""
    ratio = over * case.target.factor
    return f"{1 / ratio:.0%}" if case.nbytes else f"{ratio:.2f}", "met" if over <= 1 else "MISSED"


def line(case: Case, row: Cells) -> list[str]:
    cells = {
        peer: amount(case, row[peer]["median"]) if "median" in row[peer] else "failed"
        for peer in GPU_PEERS
        if peer in row
    }
    numr = cells.pop("numr", "not measured")
    beside = ", ".join(f"{peer} {text}" for peer, text in cells.items())
    ratio, verdict = comparison(case, row, "median")
    return [case.name, numr, beside, ratio, aim(case), verdict, comparison(case, row, "min")[0]]


def table(things: list[Workload], cases: Mapping[str, Cells]) -> str:
    """The cases as Markdown; those that were not measured say so."""
    lines = [line(case, cases.get(case.name, {})) for thing in things for case in thing.cases]
    text = [HEAD, ("---", *["---:"] * (len(HEAD) - 1)), *lines]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in text)


def failures(cases: Mapping[str, Cells]) -> Iterator[tuple[str, str]]:
    """Peers and what went wrong with them, each once."""
    told = {(peer, cell["failed"]): None for row in cases.values() for peer, cell in row.items()
            if "failed" in cell}  # fmt: skip
    yield from told


def main() -> int:
    asked = arguments()
    environment = settings(asked)
    os.environ.update(environment)  # the cases here are those of the measured processes
    try:
        require(cuda.DEVICE)
    except nr.errors.DeviceError as error:
        print(error, file=sys.stderr)
        return 1
    result = measure(asked, environment)
    failed = list(failures(result["cases"]))
    parts = [heading(result), table(workloads(asked.only), result["cases"])]
    parts += ["\n".join(f"* {peer}: {problem}" for peer, problem in failed)] if failed else []
    print("\n\n".join(parts))
    asked.results.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    (asked.results / ("cuda.json" if asked.whole else "cuda-part.json")).write_text(text)
    if asked.into:
        report.insert(asked.into, "\n\n".join(parts), "cuda")
    wrong = [peer for peer, problem in failed if peer == "numr" or problem.startswith("wrong")]
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
