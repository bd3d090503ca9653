"""The benchmark of exported functions: a short round of it runs, and derivatives are what they are called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.export import derivative
from benchmarks.exported.models import MODELS

ROOT = Path(__file__).parents[2]


def test_a_short_round() -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.export",
        "--only",
        "call,lorenz96",
        "--rounds",
        "2",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    titles = ["Lorenz 96, 20 states", "Lorenz 96, 20 states: adjoint", "a call: one addition"]
    assert [r[0] for r in rows[1:4]] == [f"| {title}" for title in titles]
    for row in rows[1:4]:
        assert all(row[k].endswith((" ns", " µs", " ms")) for k in (1, 2, 4))


@pytest.mark.parametrize("name", MODELS)
def test_derivatives(name: str) -> None:
    """Against differences of the model in NumPy."""
    model = MODELS[name]
    random = np.random.default_rng(0)
    given = [model.low + random.random(shape) for shape in model.shapes]
    value = lambda *args: np.asarray(model.function(np, *args))

    def differences(k: int) -> np.ndarray:
        columns = []
        for place in range(given[k].size):
            step = np.zeros(given[k].size)
            step[place] = 1e-6
            moved = step.reshape(given[k].shape)
            both = [value(*given[:k], given[k] + s * moved, *given[k + 1 :]) for s in (1, -1)]
            columns.append((both[0] - both[1]) / 2e-6)
        return np.stack(columns, axis=-1)

    if model.derivative == "gradient":
        got = derivative(model)(*given)
        for k, g in enumerate(got if model.count > 1 else [got]):
            want = differences(k).reshape(g.shape)
            np.testing.assert_allclose(g, want, rtol=1e-6, atol=1e-6 * np.abs(want).max())
    elif model.derivative == "jacobian":
        got = derivative(model)(*given)
        if model.beside:
            np.testing.assert_allclose(got[0], value(*given), rtol=1e-13)
            got = got[1]
        np.testing.assert_allclose(got, differences(0), rtol=1e-6, atol=1e-7)
    else:
        weights = random.random(value(*given).shape)
        got = derivative(model)(*given, weights)
        np.testing.assert_allclose(got, weights @ differences(0), rtol=1e-6, atol=1e-7)
