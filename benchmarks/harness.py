"""One fresh process per peer and thread count, timed in turn so that all share the noise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.workload import Workload

ROOT = Path(__file__).resolve().parent.parent
PREPARE_LIMIT = 300.0  # seconds that building and checking may take

Progress = Callable[[str], None]


def environment(threads: int, scratch: Path) -> dict[str, str]:
    """The environment of a measured process: thread counts for every library, caches of its own."""
    count = str(threads)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMR_", "NUMBA_", "JAX_"))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody imports without its bytecode
    for name in ("OMP", "OPENBLAS", "MKL", "BLIS", "VECLIB_MAXIMUM", "NUMEXPR", "NUMBA", "NUMR"):
        env[f"{name}_NUM_THREADS"] = count
    one = "--xla_cpu_multi_thread_eigen=false" if threads == 1 else ""
    return env | {
        "NPROC": count,  # the size of XLA's pool of threads
        "XLA_FLAGS": one,
        "JAX_PLATFORMS": "cpu",
        "NUMR_CACHE_DIR": str(scratch / "numr"),
        "TORCHINDUCTOR_CACHE_DIR": str(scratch / "torch"),
        "PYTENSOR_FLAGS": f"base_compiledir={scratch / 'pytensor'}",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), env.get("PYTHONPATH")))),
    }


class Worker:
    """A measured process, alive for all repetitions of one workload."""

    def __init__(
        self,
        workload: str,
        peer: str,
        threads: int,
        python: str,
        scratch: Path,
        settings: Mapping[str, str],
    ) -> None:
        self.peer = peer
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        self.process = subprocess.Popen(
            [python, "-m", "benchmarks.worker"]
            + ["--workload", workload, "--peer", peer, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=ROOT,
            env=environment(threads, scratch) | settings,
        )
        watchdog = threading.Timer(PREPARE_LIMIT, self.process.kill)
        watchdog.start()
        self.ready = self._read()
        watchdog.cancel()
        self.cases: dict[str, dict] = self.ready.get("cases", {})

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        self.process.wait()
        self.errors.seek(0)
        last = (self.errors.read().strip().splitlines() or ["no message"])[-1]
        return {"failed": f"ended with {self.process.returncode}: {last}"[:200]}

    def time(self, case: str, seconds: float) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps({"case": case, "seconds": seconds}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self._read()

    def close(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
            self.process.wait(timeout=10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        self.errors.close()


def busy_cores(seconds: float = 0.25) -> float | None:
    """How many cores other work keeps busy while this program sleeps; None where it cannot tell."""
    try:
        before = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        time.sleep(seconds)
        after = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    ticks = [int(b) - int(a) for a, b in zip(before, after, strict=True)]
    idle = ticks[3] + ticks[4]
    return (os.cpu_count() or 1) * (1 - idle / max(1, sum(ticks)))


def summary(samples: Sequence[float], **more: Any) -> dict[str, Any]:
    """What is recorded of one cell of the table."""
    values = {"median": median(samples), "min": min(samples), "samples": len(samples)}
    return values | {key: value for key, value in more.items() if value is not None}


def measure(
    workload: Workload,
    peers: Sequence[str],
    threads: int,
    python_of: Callable[[str], str],
    rounds: int,
    seconds: float,
    progress: Progress,
    settings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Times every case of a workload: {"cases": {case: {peer: cell}}, "versions": {peer: version}}.

    "busy" is how many cores other work took, at its most, just before a case was timed.

    The peers take turns, `rounds` times, each for `seconds`, in alternating order; `settings` are
    added to their environment.
    """
    cells: dict[str, dict[str, dict]] = {case.name: {} for case in workload.cases}
    versions: dict[str, str] = {}
    workers: list[Worker] = []
    busy: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for peer in peers:
                progress(f"{workload.name}, {threads} threads: preparing {peer}")
                worker = Worker(
                    workload.name, peer, threads, python_of(peer), Path(folder), settings or {}
                )
                workers.append(worker)
                if "failed" in worker.ready:
                    for row in cells.values():
                        row[peer] = {"failed": worker.ready["failed"]}
                    continue
                versions[peer] = worker.ready["version"]
            for case in workload.cases:
                progress(f"{workload.name}, {threads} threads: timing {case.name}")
                others = busy_cores()
                if others is not None:
                    busy.append(others)
                _time_case(case.name, workers, rounds, seconds, cells[case.name])
        finally:
            for worker in workers:
                worker.close()
    return {"cases": cells, "versions": versions, "busy": round(max(busy), 2) if busy else None}


def _time_case(
    case: str, workers: list[Worker], rounds: int, seconds: float, row: dict[str, dict]
) -> None:
    samples: dict[str, list[float]] = {}
    cores: dict[str, list[float]] = {}
    for turn in range(rounds):
        for worker in workers if turn % 2 == 0 else reversed(workers):
            built = worker.cases.get(case)
            if built is None or worker.peer in row:
                continue
            answer = built if "failed" in built else worker.time(case, seconds)
            if "failed" in answer:
                row[worker.peer] = {"failed": answer["failed"]}
                continue
            samples.setdefault(worker.peer, []).extend(answer["samples"])
            cores.setdefault(worker.peer, []).append(answer["cores"])
    for worker in workers:
        if worker.peer in samples and worker.peer not in row:
            built = worker.cases[case]
            row[worker.peer] = summary(
                samples[worker.peer],
                cores=median(cores[worker.peer]),
                error=built["error"],
                first=built["first"],
            )


def run_child(
    module: str, arguments: Sequence[str], python: str, env: dict[str, str]
) -> dict[str, Any]:
    """Runs `python -m module arguments` to its end and reads the JSON on its last line."""
    done = subprocess.run(
        [python, "-m", module, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=env,
        timeout=PREPARE_LIMIT,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        answer: dict[str, Any] = json.loads(lines[-1])
        return answer
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    return {"failed": f"ended with {done.returncode}: {last}"[:200]}


def terminal_progress() -> Progress:
    """One line that is written over on a terminal; silence elsewhere."""
    if not sys.stderr.isatty():
        return lambda text: None

    def show(text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()

    return show
