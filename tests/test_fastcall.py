"""Repeated calls on containers: the generated check takes what it was made for, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.jit import trace_statistics


def total(state: Any) -> Any:
    leaves = nr.tree.leaves(state)
    return {"sum": sum(nr.sum(x * (k + 1)) for k, x in enumerate(leaves)), "again": (state, [None])}


X, Y = np.arange(3.0), np.array(2.0)
STATES: list[Any] = [
    (X, Y),
    (Y, X),
    [X, Y],
    [X, Y, 2.0],
    {"b": X, "a": Y},
    {"b": X, "c": Y},
    {"a": X, "b": Y},
    {"a": (X, [Y, {"z": X}]), "b": ()},
    {"a": (X, [Y, {"y": X}]), "b": ()},
    {"a": (X, [Y, {"z": X}]), "b": []},
    {},
    (),
    (X, (Y,)),
    ((X, Y),),
    (X, Y.astype(np.float32)),
    (X[::2], Y),
    {1: X, 2: Y},
    (X, None),
]


def told(result: Any) -> Any:
    return nr.tree.map(lambda x: np.asarray(x).tolist(), result)


def test_any_sequence_of_structures() -> None:
    f = nr.jit(total)
    want = [told(total(s)) for s in STATES]
    order = [k for k in range(len(STATES)) for _ in range(3)]
    order += list(np.random.default_rng(0).integers(0, len(STATES), 200))
    for k in order:
        got = f(STATES[k])
        assert told(got) == want[k]
        assert nr.tree.structure(got) == nr.tree.structure(total(STATES[k]))
    before = trace_statistics.misses
    for state in STATES:
        f(state)
    assert trace_statistics.misses == before


def test_repeated_calls_are_made_by_the_generated_function(monkeypatch: pytest.MonkeyPatch) -> None:
    f = nr.jit(lambda s: (s["x"] + s["y"][0], s["y"][1]))
    state = {"x": X, "y": (X, Y)}
    f(state)
    monkeypatch.setattr(type(f), "_call", lambda *a: pytest.fail("the long way"))
    for k in range(3):
        first, second = f({"y": (X + k, Y), "x": X})
        np.testing.assert_array_equal(first.numpy(), 2 * X + k)
        assert second.item() == 2.0


def test_what_is_returned_is_new_each_time() -> None:
    f = nr.jit(lambda s: [s, {"k": s[0]}])
    a, b = f((X, Y)), f((X, Y))
    assert a is not b and a[1] is not b[1] and a[0] is not b[0]
