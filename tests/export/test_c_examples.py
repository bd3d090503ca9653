"""The programs in C and C++ under examples/export/newton: built by one command, and right by SciPy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import weibull_min

from tests.export.c_programs import ran

FOLDER = Path(__file__).parents[2] / "examples/export/newton"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("newton")
    command = ["make", "-C", str(FOLDER), f"OUT={out}", f"PYTHON={sys.executable}"]
    # Without -march=native, whose instructions valgrind may not know.
    command += [
        "CFLAGS=-std=c11 -O2 -Wall -Wextra -Werror",
        "CXXFLAGS=-std=c++17 -O2 -Wall -Wextra -Werror",
    ]
    environment = dict(os.environ, PYTHONPATH=str(FOLDER.parents[2]))
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def numbers(text: str) -> list[float]:
    return [float(x) for x in re.findall(r"-?\d+\.?\d*", text)]


@pytest.mark.parametrize("n", [1, 4, 19])
def test_the_chain_hangs_where_its_energy_is_least(built: Path, n: int) -> None:
    def energy(flat: np.ndarray) -> float:
        places = np.concatenate([[[0.0, 0.0]], flat.reshape(n, 2), [[1.0, 0.0]]])
        lengths = np.hypot(*np.diff(places, axis=0).T)
        springs = 0.5 * 2.0 * (n + 1) * np.sum((lengths - 0.5 / (n + 1)) ** 2)
        return float(springs + np.mean(places[1:-1, 1]))

    start = np.stack([np.arange(1, n + 1) / (n + 1), np.zeros(n)], axis=1).ravel()
    best = minimize(energy, start, tol=1e-12)
    masses, steps, value, lowest = numbers(ran([str(built / "chain-hangs"), str(n)]))
    assert masses == n and steps < 12
    assert abs(value - best.fun) < 1e-8
    assert abs(lowest - best.x[1::2].min()) < 1e-4


def test_the_fit_is_scipys(built: Path) -> None:
    text = ran([str(built / "weibull-fit")])
    times = [float(x) for x in re.findall(r"\d+\.\d+", _failures())]
    count, steps, shape, scale, misfit = numbers(text)
    assert count == len(times) == 23 and steps < 12
    c, _, s = weibull_min.fit(times, floc=0)
    np.testing.assert_allclose([shape, scale], [c, s], rtol=1e-5)
    np.testing.assert_allclose(
        misfit, -weibull_min.logpdf(times, shape, 0, scale).sum(), rtol=1e-11
    )


def _failures() -> str:
    source = (FOLDER / "weibull.cpp").read_text()
    return source.partition("failures = {")[2].partition("}")[0]


def test_neither_program_leaks(built: Path) -> None:
    for command in (["chain-hangs", "5"], ["weibull-fit"]):
        checked = ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full")
        ran([*checked, str(built / command[0]), *command[1:]])


def test_what_the_programs_refuse(built: Path) -> None:
    done = subprocess.run([str(built / "chain-hangs"), "0"], capture_output=True, text=True)
    assert done.returncode == 1 and "the chain needs a mass at least" in done.stderr
