"""The measured process: builds one peer's calls for a workload, checks and times them.

It speaks JSON lines: a first one on its own with what it built, then one answer for each line that
it reads. What libraries print goes to standard error.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from benchmarks.peers import flatten
from benchmarks.workload import MODULES, Workload, load

SHORTEST = 2e-3  # a sample repeats its call until it lasts this long
MOST_SAMPLES = 200


def error_of(result: Any, expected: Any) -> float:
    """The largest difference between two results, relative to the largest expected value."""
    arrays, wanted = flatten(result), flatten(expected)
    if len(arrays) != len(wanted):
        raise ValueError(f"{len(arrays)} arrays where {len(wanted)} were expected")
    worst = 0.0
    for array, want in zip(arrays, wanted, strict=True):
        if array.shape != want.shape:
            raise ValueError(f"shape {array.shape} where {want.shape} was expected")
        difference = np.abs(array.astype(np.float64) - want).max(initial=0.0)
        worst = max(worst, float(difference / max(np.abs(want).max(initial=0.0), 1e-300)))
        if math.isnan(difference):
            return math.nan
    return worst


def build(workload: Workload, peer: str, threads: int) -> tuple[dict[str, Callable], dict]:
    """The calls of a peer, and for each case its first call's time and its error."""
    inputs = workload.inputs()
    wait = wait_of(workload, peer)
    expected = workload.oracle(inputs)
    calls = workload.peers[peer](inputs, threads)
    cases: dict[str, dict] = {}
    for case in workload.cases:
        if case.name not in calls:
            continue
        try:
            start = time.perf_counter()
            result = calls[case.name]()
            wait(result)
            first = time.perf_counter() - start
            measured = workload.error or error_of
            error = 0.0 if peer in workload.roofs else measured(result, expected[case.name])
            cases[case.name] = {"first": first, "error": error}
            if not error <= workload.tolerance:
                cases[case.name]["failed"] = f"wrong by {error:.1e}"
        except Exception as problem:
            text = str(problem).strip().split("\n")[0]
            cases[case.name] = {"failed": f"{type(problem).__name__}: {text}"[:200]}
    return calls, cases


def wait_of(workload: Workload, peer: str) -> Callable[[Any], None]:
    """What waits for a result of a peer: nothing, where its calls return when it is there."""
    return workload.waits.get(peer, lambda result: None)


def sample(
    call: Callable[[], Any], wait: Callable[[Any], None], seconds: float
) -> tuple[list[float], float]:
    """Seconds a call, one number a sample, for about `seconds`; and the cores kept busy.

    A sample is of as many calls as make it long enough; the last is waited for.
    """
    clock = time.perf_counter

    def timed(repeat: int) -> float:
        start = clock()
        for _ in range(repeat - 1):
            call()
        wait(call())
        return clock() - start

    timed(1)
    repeat = 1
    while (elapsed := timed(repeat)) < SHORTEST / 2:
        repeat *= 2
    repeat = max(1, round(repeat * SHORTEST / elapsed))
    samples: list[float] = []
    gc.collect()
    gc.disable()
    processor, begin = time.process_time(), clock()
    while len(samples) < 3 or (clock() - begin < seconds and len(samples) < MOST_SAMPLES):
        samples.append(timed(repeat) / repeat)
    wall, processor = clock() - begin, time.process_time() - processor
    gc.enable()
    return samples, processor / wall


def serve(workload: Workload, peer: str, threads: int, channel: TextIO) -> None:
    def say(answer: dict) -> None:
        channel.write(json.dumps(answer) + "\n")
        channel.flush()

    try:
        calls, cases = build(workload, peer, threads)
        version = getattr(importlib.import_module(MODULES[peer]), "__version__", "?")
    except Exception as problem:
        text = str(problem).strip().split("\n")[0]
        say({"failed": f"{type(problem).__name__}: {text}"[:200]})
        return
    say({"version": version, "python": sys.version.split()[0], "cases": cases})
    for line in sys.stdin:
        asked = json.loads(line)
        wait = wait_of(workload, peer)
        samples, cores = sample(calls[asked["case"]], wait, asked["seconds"])
        say({"samples": samples, "cores": cores})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--threads", type=int, required=True)
    asked = parser.parse_args()
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(load(asked.workload), asked.peer, asked.threads, channel)


if __name__ == "__main__":
    main()
