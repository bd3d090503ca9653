"""The benchmarks for a CUDA device: a short round of them runs, and what they print is what they found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cuda
from benchmarks.workload import Case, Target

ROOT = Path(__file__).parents[2]
NUMR_ALONE = ("jax", "torch", "cupy")  # what need not be where the tests run


def run(*options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.cuda", *options],
        env=dict(os.environ) | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def short_round(folder: Path, **variables: str) -> None:
    options = ["--small", "--rounds", "1", "--seconds", "0.01", "--results", str(folder)]
    done = run(*options, **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((folder / "cuda-part.json").read_text())
    assert len(result["cases"]) == sum(len(w.cases) for w in cuda.workloads([*cuda.cuda.NAMES]))
    for name, row in result["cases"].items():
        assert f"| {name} |" in done.stdout
        for peer, cell in row.items():
            assert "median" in cell or (peer in NUMR_ALONE and "No module" in cell["failed"]), cell
        assert "median" in row["numr"]
    assert result["gpu"]["device"] in done.stdout


@pytest.mark.gpu
def test_a_short_round(tmp_path: Path) -> None:
    short_round(tmp_path)


def test_a_short_round_in_the_simulator(tmp_path: Path) -> None:
    short_round(tmp_path, NUMBA_ENABLE_CUDASIM="1")


def test_without_a_device_it_fails_and_says_so() -> None:
    done = run("--small", CUDA_VISIBLE_DEVICES="", NUMBA_ENABLE_CUDASIM="0")
    assert done.returncode == 1
    assert 'device "cuda" cannot be used' in done.stderr


def test_only_a_whole_run_on_a_gpu_goes_into_a_document() -> None:
    page = str(ROOT / "docs" / "performance.md")
    for options in (["--small"], ["--only", "rows"], ["--peer-device", "cpu"]):
        done = run(*options, "--into", page, NUMBA_ENABLE_CUDASIM="0")
        assert done.returncode == 2 and "a whole run on a GPU" in done.stderr
    assert run("--into", page, NUMBA_ENABLE_CUDASIM="1").returncode == 2
    assert "there are bandwidth, rows" in run("--only", "columns").stderr


def test_the_document_has_every_target() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    _, _, rest = page.partition("<!-- cuda: begin -->")
    part, end, _ = rest.partition("<!-- cuda: end -->")
    lines = [line.split(" | ") for line in part.splitlines()]
    assert end
    for thing in cuda.workloads([*cuda.cuda.NAMES]):
        for case in thing.cases:
            (line,) = (line for line in lines if line[0] == f"| {case.name}")
            assert line[4] == cuda.aim(case)


def test_kernels_written_by_hand_become_what_one_expects() -> None:
    from numba import cuda, float32, float64, void

    from benchmarks import cuda_kernels

    def ptx(name: str, *types: Any) -> str:
        function = getattr(cuda_kernels, name).py_func
        fast = name == "forces"
        text: str = cuda.compile_ptx(function, void(*types), cc=(9, 0), fastmath=fast)[0]
        return text

    vector, matrix, doubles = float32[::1], float32[:, ::1], float64[::1]
    assert "ld.global.f64" in ptx("copy", doubles, doubles)
    forces = ptx("forces", matrix, vector, matrix)
    assert "rsqrt.approx.ftz.f32" in forces and "ld.shared.v4.f32" in forces
    for text in (forces, ptx("add_one", vector, vector), ptx("matvec", matrix, vector, vector)):
        assert ".f64" not in text


COPIED = Case("moved", Target(against=("memcpy", "copy"), factor=1 / 0.85), nbytes=10**9)
HAND = Case("by hand", Target(against=("hand",), factor=1.2))
BEST = Case("best", Target(against=("jax", "torch")))
CALL = Case("call", Target(plus=15e-6))


def cells(**seconds: float | None) -> dict[str, dict[str, float | str]]:
    """Measured peers; None is one that failed."""
    return {
        peer: {"failed": "no"} if s is None else {"median": s, "min": s}
        for peer, s in seconds.items()
    }


@pytest.mark.parametrize(
    ("case", "row", "ratio", "verdict"),
    [
        (COPIED, cells(memcpy=9e-4, copy=1e-3, numr=1e-3), "90%", "met"),
        (COPIED, cells(memcpy=8e-4, copy=1e-3, numr=1e-3), "80%", "MISSED"),
        (COPIED, cells(memcpy=None, copy=None, numr=1e-3), "", ""),
        (HAND, cells(hand=1e-3, numr=1.2e-3), "1.20", "met"),
        (HAND, cells(hand=1e-3, numr=1.21e-3), "1.21", "MISSED"),
        (BEST, cells(jax=2e-3, torch=1e-3, numr=1.1e-3), "1.10", "MISSED"),
        (BEST, cells(jax=2e-3, torch=None, numr=1.1e-3), "0.55", "met"),
        (CALL, cells(jax=3e-5, numr=1.2e-5), "0.80", "met"),
        (CALL, cells(jax=3e-5, numr=2e-5), "1.33", "MISSED"),
        (Case("none"), cells(hand=1e-3, numr=1e-3), "", ""),
    ],
)
def test_lines(
    case: Case, row: dict[str, dict[str, float | str]], ratio: str, verdict: str
) -> None:
    line = cuda.line(case, row)
    assert (line[0], line[3], line[5], line[6]) == (case.name, ratio, verdict, ratio)


def test_a_line_has_times_and_bandwidths() -> None:
    line = cuda.line(COPIED, cells(memcpy=5e-4, copy=None, numr=1e-3))
    assert line[1:3] == ["1.00 ms, 1000 GB/s", "memcpy 500 µs, 2000 GB/s, copy failed"]
    assert cuda.line(HAND, {})[1:4] == ["not measured", "", ""]
