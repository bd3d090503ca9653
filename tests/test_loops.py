"""Python loops over lazy arrays: what they compile, what they keep in memory, and what they compute."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import program
from numr.codegen.recent import Recent
from numr.ir.node import Node


def nodes_alive() -> int:
    gc.collect()
    return sum(type(thing) is Node for thing in gc.get_objects())


def test_a_loop_whose_numbers_change_compiles_in_its_first_passes_only() -> None:
    x, want = nr.ones(50), np.ones(50)
    for step in range(12):
        t = 0.1 * step + 0.003
        x = x + 0.01 * nr.sin(3.0 * x + t) * (t + 1)
        want = want + 0.01 * np.sin(3.0 * want + t) * (t + 1)
        np.testing.assert_allclose(x, want, rtol=1e-13)
        if step == 2:
            before = nr.cache.info()
    after = nr.cache.info()
    assert after.compilations == before.compilations
    assert after.programs.misses == before.programs.misses


def test_a_loop_that_writes_elements_compiles_few_kernels() -> None:
    x = nr.zeros(400)
    for step in range(100, 200):
        x[step] = 1.5 * step
        assert float(x[step]) == 1.5 * step
        if step == 110:
            before = nr.cache.info().compilations
    assert nr.cache.info().compilations == before
    np.testing.assert_array_equal(x[100:200], 1.5 * np.arange(100, 200))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "int32", "uint8"])
def test_numbers_that_change_keep_the_dtype(dtype: str) -> None:
    for number in (2, 3, 5, 7):
        x = nr.asarray(np.array([1, 2, 3], dtype)) * number + 1
        want = np.array([1, 2, 3], dtype) * number + np.array(1, dtype)
        assert np.asarray(x).dtype == want.dtype
        np.testing.assert_array_equal(x, want)


def test_numbers_that_start_or_stop_being_special() -> None:
    """0, 1 and -1 are rewritten away where they are constants; where they vary they must not be."""
    given = np.array([np.nan, np.inf, -0.0, 2.0])
    for number in (3.0, 0.0, 1.0, -1.0, -0.0, 5.0, 1.0):
        got = np.asarray((nr.asarray(given) * number + number) / (number + 7))
        with np.errstate(invalid="ignore"):
            want = (given * number + number) / (number + 7)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got[2:]), np.signbit(want[2:]))


def test_powers_that_change() -> None:
    given = np.array([0.5, 2.0, 3.0])
    for power in (2, 3, 2.5, -1, 0.5, 1.5):
        np.testing.assert_allclose(nr.asarray(given) ** power, given**power, rtol=1e-14)


def test_a_gradient_of_what_changed() -> None:
    for number in (2.0, 3.0, 4.0):
        slope = nr.grad(lambda x, a=number: nr.sum(nr.exp(a * x)))(np.array([0.0, 0.5]))
        np.testing.assert_allclose(slope, number * np.exp(number * np.array([0.0, 0.5])))


@pytest.mark.parametrize("changing", [False, True])
def test_memory_does_not_grow(changing: bool) -> None:
    def run(passes: int) -> int:
        x = nr.ones(10)
        for step in range(passes):
            x = nr.sin(x) + (0.1 * step if changing else 0.1)
        with nr.config.override(node_limit=200):
            x.realize()
        del x
        return nodes_alive()

    with nr.config.override(node_limit=200):
        few = run(400)
        assert run(4000) <= few + 50


def test_programs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    small: Recent[Any, Any] = Recent(2000)
    monkeypatch.setattr(program, "PROGRAMS", small)
    x = nr.ones(5)
    for number in range(1, 40):
        np.testing.assert_array_equal(sum([x] * number, nr.zeros(5)), np.full(5, float(number)))
    assert 1 <= len(small) < 39


def test_the_least_recently_used_goes() -> None:
    cache: Recent[str, int] = Recent(10)
    cache.put("a", 1, 4)
    cache.put("b", 2, 4)
    assert cache.get("a") == 1
    cache.put("c", 3, 4)
    assert list(cache.values()) == [1, 3]
    cache.put("d", 4, 100)  # more than fits alone stays until the next
    assert list(cache.values()) == [4]
    cache.put("d", 5, 1)
    cache.put("e", 6, 9)
    assert list(cache.values()) == [5, 6]
