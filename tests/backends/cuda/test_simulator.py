"""Kernels for CUDA devices in numba-cuda's simulator, which wants a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Factorizations take a Python thread for each of 64 lanes a minute and more; a few samples of them do.
SLOW = "[det- or [inv- or [solve- or slogdet- or [eigh or [svd or [qr or [lstsq or -complex-cuda]"
SHORT = "det-1 or solve-1 or inv-1 or qr-3"
SUITES = {
    "tests/backends/cuda/kernels": (20, ""),
    "tests/backends/test_conformance.py": (1000, f"not ({SLOW}) or {SHORT}"),
    "tests/backends/test_derivatives.py": (
        140,
        "not (det or inv or solve or cholesky or eigh or svd or qr or lstsq)",
    ),
    "tests/backends/test_transforms.py": (40, "elementwise or softmax or update or looping"),
    "tests/backends/test_loops.py": (
        5,
        "(one or counts or states or complex) and (pieces or states)",
    ),
    "tests/backends/test_programs.py": (40, "neighbours"),
}


@pytest.mark.parametrize("suite", SUITES)
def test_suite(suite: str) -> None:
    at_least, chosen = SUITES[suite]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-m",
            "gpu",
            "-k",
            chosen,
            "-p",
            "no:cacheprovider",
            suite,
        ],
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        | {"NUMBA_ENABLE_CUDASIM": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    passed = re.search(r"(\d+) passed", done.stdout)
    assert done.returncode == 0 and passed, done.stdout[-5000:] + done.stderr[-2000:]
    assert int(passed[1]) >= at_least and "skipped" not in done.stdout
