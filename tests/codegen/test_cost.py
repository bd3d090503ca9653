"""What `lower().cost` counts."""

from __future__ import annotations

import numpy as np

import numr as nr


def test_cost_of_library_calls_between_kernels() -> None:
    """Nodes that the compiler made itself are counted too."""
    x, y = np.ones((20, 30)), np.ones((30, 10))
    cost = (
        nr.jit(lambda x, y: nr.sum(nr.softmax(x @ y, axis=-1) ** 2) + nr.sum(nr.sort(x)))
        .lower(x, y)
        .cost
    )
    assert cost.library_calls == 2
    assert cost.flops > 2 * 20 * 30 * 10
    assert cost.peak >= 8 * (20 * 10 + 20 * 30)
