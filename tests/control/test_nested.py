"""Loops that end by a condition within loops of every kind: each begins anew, and may not go round at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr

TIMES = np.arange(4.0)


def until(t: Any, end: Any) -> Any:
    return nr.while_loop(lambda s: s < end, lambda s: s + 0.5, t)


@pytest.mark.parametrize("jitted", [False, True])
def test_a_while_loop_within_a_scan(jitted: bool) -> None:
    f = lambda times: nr.scan(lambda t, end: (until(t, end),) * 2, 0.0, times)[1]
    run = nr.jit(f) if jitted else f
    np.testing.assert_array_equal(run(TIMES).numpy(), TIMES)
    np.testing.assert_array_equal(nr.vmap(run)(np.stack([TIMES, 2 * TIMES]))[1].numpy(), 2 * TIMES)


@pytest.mark.parametrize("jitted", [False, True])
def test_a_while_loop_within_a_while_loop(jitted: bool) -> None:
    step = lambda c: (until(c[0], nr.sqrt(c[1])), c[1] + 3.0)
    f = lambda t: nr.while_loop(lambda c: c[1] < 17.0, step, (t, 1.0))[0]
    assert (nr.jit(f) if jitted else f)(2.5).item() == 4.0
    assert (nr.jit(f) if jitted else f)(7.5).item() == 7.5
