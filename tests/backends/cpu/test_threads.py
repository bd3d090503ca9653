"""parallel_for covers a range once, raises what a piece raises, and never waits for itself."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest

from numr import config
from numr.runtime import threads


@pytest.fixture(autouse=True)
def three_threads() -> Any:
    before = config.get().num_threads
    config.update(num_threads=3)
    yield
    config.update(num_threads=before)


@pytest.mark.parametrize("length", [0, 1, 2, 3, 10, 1000])
@pytest.mark.parametrize("grain", [0, 1, 4, 10_000])
def test_every_index_once(length: int, grain: int) -> None:
    seen: list[int] = []
    threads.parallel_for(lambda lo, hi: seen.extend(range(lo, hi)), 5, 5 + length, grain)
    assert sorted(seen) == list(range(5, 5 + length))


def test_pieces_are_fixed_and_even() -> None:
    assert threads.pieces(0, 10, 1, 3) == [(0, 3), (3, 6), (6, 10)]
    assert threads.pieces(0, 10, 6, 3) == [(0, 10)]
    assert threads.pieces(0, 10, 5, 3) == [(0, 5), (5, 10)]
    assert threads.pieces(0, 10, 0, 3) == [(0, 10)]


def test_nested_and_concurrent() -> None:
    total = [0] * 100
    guard = threading.Lock()

    def inner(lo: int, hi: int) -> None:
        with guard:
            for i in range(lo, hi):
                total[i] += 1

    def outer(lo: int, hi: int) -> None:
        for _ in range(lo, hi):
            threads.parallel_for(inner, 0, 100, 1)

    workers = [
        threading.Thread(target=threads.parallel_for, args=(outer, 0, 9, 1)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert total == [36] * 100


@pytest.mark.parametrize("bad", [0, 5, 9])
def test_an_error_of_a_piece_is_raised(bad: int) -> None:
    def call(lo: int, hi: int) -> None:
        if lo <= bad < hi:
            raise RuntimeError("piece")

    with pytest.raises(RuntimeError, match="piece"):
        threads.parallel_for(call, 0, 10, 1)
    threads.parallel_for(lambda lo, hi: None, 0, 10, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_fork() -> None:
    threads.parallel_for(lambda lo, hi: None, 0, 10, 1)
    child = os.fork()
    if child == 0:
        seen: list[int] = []
        threads.parallel_for(lambda lo, hi: seen.extend(range(lo, hi)), 0, 10, 1)
        os._exit(0 if sorted(seen) == list(range(10)) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
