"""`pytest -m gpu` is all that a machine with a GPU needs: every suite is in it, and no GPU is a failure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[3]
# How many tests each has at least.
SUITES = {
    "tests/backends/test_conformance.py": 1000,
    "tests/backends/test_transforms.py": 100,
    "tests/backends/test_derivatives.py": 150,
    "tests/backends/test_programs.py": 70,
    "tests/backends/cuda/kernels/test_kernels.py": 90,
    "tests/examples/test_examples.py": 4,
    "tests/benchmarks/test_cuda.py": 1,
    "tests/docs/test_guide.py": 1,
}
# One or two of each suite, which stand for it where there is no device.
FEW = "test_value and abs or value-elementwise or test_gradient and sin- or test_lines or 17-33-15 or greeks"


def pytest_of_gpu(*options: str) -> subprocess.CompletedProcess[str]:
    """What a machine without a GPU says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment |= {"NUMBA_ENABLE_CUDASIM": "0", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, *options], env=environment, cwd=ROOT, capture_output=True, text=True
    )


def test_every_suite_is_collected() -> None:
    done = pytest_of_gpu("--collect-only", *SUITES)
    assert done.returncode == 0, done.stdout[-3000:]
    found = Counter(line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line)
    assert {suite: found[suite] >= n for suite, n in SUITES.items()} == dict.fromkeys(SUITES, True)


def test_without_a_gpu_they_fail_and_none_is_skipped() -> None:
    done = pytest_of_gpu("--tb=line", "-k", f"{FEW} or short_round or blocks_for", *SUITES)
    counts = re.findall(r"(\d+) (\w+)", done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert {what for _, what in counts} == {"failed", "deselected"}
    failed = set(re.findall(r"^FAILED ([^:]*)::", done.stdout, re.M))
    assert failed == set(SUITES)
