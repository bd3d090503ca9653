"""The programs under examples/ run, pass their own checks, save their plots, and notice errors."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
NAMES = [
    "dormand_prince",
    "fit_image_filter",
    "fit_lynx_hare",
    "hidden_markov",
    "kalman_filter",
    "lbfgs",
    "logistic_newton",
    "mandelbrot",
    "option_greeks",
    "pid_controller",
    "root_finding",
    "solar_system",
    "tridiagonal",
]
CHOOSE = ["fit_image_filter"]  # these take the fastest device there is, unless told
# Loops within loops, of many small kernels: on a software driver of WebGPU each takes half a minute.
LONG = ["dormand_prince", "fit_lynx_hare", "hidden_markov", "kalman_filter", "lbfgs"]
RUNS = [
    *((name, "cpu") for name in NAMES),
    *((name, "webgpu") for name in NAMES if name not in (*CHOOSE, *LONG)),
    *(pytest.param(name, "cuda", marks=pytest.mark.gpu) for name in NAMES),
]


def run(name: str, output: Path, device: str) -> subprocess.CompletedProcess[str]:
    """The program with a device as the default, and a cache of its own in the output's folder."""
    command = [sys.executable, "-W", "error", str(FOLDER / f"{name}.py"), "--quick"]
    command += ["--output", str(output)]
    if device != "cpu" and name in CHOOSE:
        command += ["--device", device]
    environment = dict(
        os.environ,
        PYTHONPATH=str(FOLDER.parent),
        NUMR_DEFAULT_DEVICE=device,
        NUMR_CACHE_DIR=str(output / "cache"),
    )
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)


def compiled_for(output: Path) -> set[str]:
    """The backends that a program had kernels compiled by."""
    return {path.name for path in (output / "cache").glob("*/*")}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("name", "device"), RUNS)
def test_example(name: str, device: str, tmp_path: Path) -> None:
    done = run(name, tmp_path, device)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "check: " in done.stdout
    assert "FAILED" not in done.stdout
    assert (tmp_path / f"{name}.png").stat().st_size > 10_000
    if device != "cpu":
        assert compiled_for(tmp_path) == {device}


def test_every_example_is_here() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == sorted(NAMES)


def test_a_wrong_result_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = load("option_greeks")
    right = module.closed_forms
    module.closed_forms = lambda *market: (
        right(*market) | {"gamma": 1.0001 * right(*market)["gamma"]}
    )
    assert module.main(["--quick", "--output", str(tmp_path)]) == 1
    assert "FAILED" in capsys.readouterr().out
