"""The benchmarks of loops: a short round of them runs, results are right, and targets are what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import report, workload
from benchmarks.workload import Target
from benchmarks.workloads import adaptive, mandelbrot

ROOT = Path(__file__).parents[2]


def test_a_short_round(tmp_path: Path) -> None:
    options = ["--small", "--rounds", "1", "--seconds", "0.01", "--threads", "1", "--peers", "numr"]
    options += ["--only", ",".join(workload.LOOPS), "--results", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "benchmarks/run.py", *options], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in workload.LOOPS:
        entry = json.loads((tmp_path / f"{name}-1.json").read_text())
        assert entry["cases"]
        for row in entry["cases"].values():
            assert "median" in row["numr"], row


def test_a_bound_by_another_case() -> None:
    rows = {"value": {"numr": {"median": 2.0}}, "gradient": {"numr": {"median": 8.0}}}
    target = Target(against=("numr",), factor=5, case="value")
    assert report.judge(target, rows["gradient"], rows=rows) == (10.0, 0.8)


@pytest.mark.parametrize(("numba", "jax", "bound"), [(1.0, 2.0, 1.2), (2.0, 1.0, 1.0)])
def test_the_lower_of_two_bounds(numba: float, jax: float, bound: float) -> None:
    target = Target(against=("numba",), factor=1.2, also=Target(against=("jax",)))
    assert target.bound({"numba": numba, "jax": jax}) == bound
    assert target.bound({"jax": jax}) == jax
    assert target.bound({}) is None


def test_adaptive_integrations_differ_twentyfold() -> None:
    inputs = adaptive.inputs()
    order = np.argsort(inputs["pull"])
    ends = np.concatenate([order[:200], order[-200:]])
    _, _, counts = adaptive.masked(inputs["angle"][ends], inputs["pull"][ends])
    assert counts.max() > 20 * counts.min()


def test_a_share_of_points_may_differ() -> None:
    expected = np.zeros((10, 10), int)
    assert mandelbrot.differing(expected, expected) == 0
    assert mandelbrot.differing(expected + np.eye(10, dtype=int), expected) == 0.1
