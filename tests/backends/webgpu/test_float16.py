"""float16 where the adapter's own conversions are used, and where they are not to be trusted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import numr as nr
from numr.codegen.backends.webgpu.backend import BACKEND
from numr.codegen.backends.webgpu.gpu import gpu
from numr.codegen.backends.webgpu.probe import converts_exactly

ROOT = Path(__file__).parents[3]
# All tests of 16-bit numbers in a process whose device has none of its own.
_OVER_WORDS = """
import sys, pytest
from numr.codegen.backends.webgpu import backend
backend.converts_exactly = lambda device: False
assert "cast:f16" not in backend.BACKEND.capabilities.native
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-n0", "tests/functions/test_halves.py", "-k", "webgpu"]))
"""


def test_native_where_the_adapter_has_it() -> None:
    assert converts_exactly(gpu()) == ("cast:f16" in BACKEND.capabilities.native)
    x = nr.asarray(np.ones(3, np.float16), device="webgpu")
    source = nr.jit(lambda x: x + 1, device="webgpu").lower(x).kernels[0].source
    assert ("array<f16>" in source) == converts_exactly(gpu())
    assert ("atomic" in source) != converts_exactly(gpu())


def test_an_adapter_without_the_feature_has_no_conversions() -> None:
    class Bare:
        features: frozenset[str] = frozenset()

    assert not converts_exactly(Bare())  # type: ignore[arg-type]


def test_the_same_over_words() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _OVER_WORDS], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "passed" in done.stdout
