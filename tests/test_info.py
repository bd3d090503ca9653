"""`python -m numr.info` shows every device, or why it cannot be used, and everything a report needs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from numr import info, messages
from numr.codegen import target


def test_the_command_shows_devices_versions_and_the_cache() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "numr.info"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMR_NUM_THREADS": "1"},
    )
    for word in ("device cpu", "processor", "device webgpu", "adapter", "limits", "wgpu", "MiB"):
        assert word in done.stdout, word
    assert "reference" not in done.stdout
    unusable = [line for line in done.stdout.splitlines() if "not usable" in line]
    assert all("no CUDA driver was found (libcuda.so.1)" in line for line in unusable)


def test_a_device_that_cannot_be_used_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise messages.no_device("webgpu", "wgpu is not installed", ["cpu"])

    monkeypatch.setattr(target.get("webgpu"), "describe", missing)
    facts = info.collect()
    assert facts["device webgpu"] == {
        "not usable": 'device "webgpu" cannot be used: wgpu is not installed'
    }
    assert "processor" in facts["device cpu"]
