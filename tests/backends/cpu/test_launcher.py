"""Launchers and guards: native and plain forms do the same, and refuse what they should."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr import config
from numr.codegen.backends.cpu import launcher, native, pool

ADD = "for i in range(lo, hi):\n    o[i] = a[i] + b[i] * f64(1.0)"


@pytest.fixture(params=["native", "plain"])
def form(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "plain":
        monkeypatch.setattr(launcher, "layout_known", lambda: False)
    elif not launcher.layout_known():
        pytest.skip("this interpreter's layout is unknown")
    return str(request.param)


def test_this_interpreter_is_known() -> None:
    if sys.implementation.name == "cpython" and sys.maxsize > 2**32:
        assert launcher.layout_known() or not getattr(sys, "_is_gil_enabled", lambda: True)()


@pytest.mark.parametrize("release", [False, True])
def test_launch(form: str, release: bool, kernel: Any) -> None:
    made = kernel("a b o", ADD, ("f8",) * 3)
    a, b, o = np.arange(9.0), np.ones(9), np.zeros(9)
    launch = launcher.make_launcher(made.packed, 3, (), lo=2, hi=8, release_gil=release)
    assert launch(a, b, o) is None
    np.testing.assert_array_equal(o, [0, 0, 3, 4, 5, 6, 7, 8, 0])
    for wrong in ((a, b), (a, b, o, o), (a, b, [1.0]), (a, b, 1.0)):
        with pytest.raises(TypeError, match="exactly its number of NumPy arrays"):
            launch(*wrong)


def test_sizes_and_scalars(form: str) -> None:
    from numr.codegen.backends.cpu import compile as cpu_compile
    from numr.codegen.backends.cpu import objects

    text = (
        "def test_scalars(lo, hi, o, n, s, t, flag, m):\n"
        "    for i in range(lo, hi):\n"
        "        o[i] = select(flag, s * f64(t), f64(n)) + f64(m)\n"
    )
    params = ("i64", "i64", "p:f64", "i64", "f64", "f32", "bool", "i8")
    code = cpu_compile.compile_kernel(text, "test_scalars", params, False)
    address = objects.load(code, cpu_compile.packed_name("test_scalars"))
    for flag, expected in ((True, 2.5 * 0.5 - 3), (False, -7 - 3)):
        pairs = zip(params[3:], (-7, 2.5, 0.5, flag, -3), strict=True)
        words = [launcher.pack_word(code, value) for code, value in pairs]
        o = np.zeros(3)
        launcher.make_launcher(address, 1, words, hi=3)(o)
        np.testing.assert_array_equal(o, expected)


def test_references_balance(kernel: Any) -> None:
    made = kernel("a b o", ADD, ("f8",) * 3)
    arrays = [np.ones(3) for _ in range(3)]
    launch = launcher.make_launcher(made.packed, 3, (), hi=3)
    guard = launcher.make_guard([(np.dtype("f8"), (3,))] * 3)
    before = [sys.getrefcount(x) for x in (*arrays, None, True, np.dtype("f8"))]
    for _ in range(1000):
        launch(*arrays)
        guard(*arrays)
    after = [sys.getrefcount(x) for x in (*arrays, None, True, np.dtype("f8"))]
    assert all(abs(p - q) < 50 for p, q in zip(before, after, strict=True))


def test_many_arguments(kernel: Any) -> None:
    made = kernel("a o", "for i in range(lo, hi):\n    o[i] = a[i]", ("f8", "f8"))
    a, o = np.ones(3), np.zeros(3)
    launch = launcher.make_launcher(made.packed, 2, (0,) * native.MAX_WORDS, hi=3)
    launch(a, o)
    np.testing.assert_array_equal(o, 1)


def test_guard(form: str) -> None:
    f8, i4 = np.dtype("f8"), np.dtype("i4")
    a, b = np.zeros((3, 4)), np.zeros((), "i4")
    guard = launcher.make_guard([(f8, (3, 4)), (i4, ())])
    assert guard(a, b) is True
    wide = np.zeros((3, 8))[:, ::2]
    unaligned = np.zeros(97, "u1")[1:].view("f8").reshape(3, 4)
    swapped = a.astype(">f8")
    subclass = np.ma.array(a)
    for other in (
        a.T,
        wide,
        unaligned,
        swapped,
        subclass,
        a[:2],
        a.astype("f4"),
        a.ravel(),
        1.0,
        None,
    ):
        assert guard(other, b) is False
    assert guard(a) is False
    assert guard(a, b, b) is False
    assert guard() is False
    read_only = a.copy()
    read_only.flags.writeable = False
    assert guard(read_only, b) is True
    assert launcher.make_guard([(f8, (3, 4))], writeable=True)(read_only) is False
    assert launcher.make_guard([])() is True
    empty = launcher.make_guard([(f8, (0, 4))])
    assert empty(np.zeros((0, 4))) is True


needs_pool = pytest.mark.skipif(not native.has_pool(), reason="no native pool on this platform")


@needs_pool
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100, 10_001])
def test_pool_covers_the_range_once(kernel: Any, size: int) -> None:
    made = kernel("o", "for i in range(lo, hi):\n    o[i] = o[i] + f64(1.0)", ("f8",))
    o = np.zeros(size + 2)
    for count in (4, 1, 3, 2):
        launch = launcher.make_launcher(
            made.packed, 1, (), hi=size, grain=1, pool=pool.address(count), threads=count
        )
        for _ in range(50):
            launch(o)
    np.testing.assert_array_equal(o, [*[200.0] * size, 0, 0])


@needs_pool
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_pieces_that_threads_take(form: str, count: int) -> None:
    """Some for each thread, none of less than the grain; one launch without threads."""
    seen: list[tuple[int, int]] = []
    record = launcher._PACKED(lambda lo, hi, words: seen.append((lo, hi)))
    address = ctypes.cast(record, ctypes.c_void_p).value
    assert address is not None
    pool.address(5)
    launch = launcher.make_launcher(
        address, 0, (), hi=100, grain=2, pool=pool.address(count), threads=count
    )
    launch()
    pieces = native.PIECES * count if count > 1 else 1
    assert sorted(seen) == [(100 * k // pieces, 100 * (k + 1) // pieces) for k in range(pieces)]


@needs_pool
def test_the_setting_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, bool]] = []
    make = launcher.make_launcher

    def spy(*args: Any, **options: Any) -> Any:
        asked.append((options.get("threads", 1), options.get("pool", 0) != 0))
        return make(*args, **options)

    monkeypatch.setattr(launcher, "make_launcher", spy)
    nr.cache.clear()
    f = nr.jit(lambda x: nr.exp(x) * 2.0)
    x = np.ones(1_000_000)
    outside = config.get().num_threads
    other = outside + 1
    f(x)
    with config.override(num_threads=other):
        f(x)
        f(x)  # by the fast way
        with config.override(num_threads=1):
            f(x)
        f(x)
    f(x)
    # Each number of threads is bound once; afterwards what was bound is found again.
    assert asked == [(outside, outside > 1), (other, True), (1, False)]
    np.testing.assert_allclose(f(x).numpy(), np.exp(x) * 2.0, rtol=1e-15)


@needs_pool
def test_the_setting_of_another_thread_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    make = launcher.make_launcher

    def spy(*args: Any, **options: Any) -> Any:
        asked.append(options.get("threads", 1))
        return make(*args, **options)

    monkeypatch.setattr(launcher, "make_launcher", spy)
    nr.cache.clear()
    f = nr.jit(lambda x: nr.sin(x) * 3.0)
    with config.override(num_threads=3):
        worker = threading.Thread(target=f, args=(np.ones(1_000_000),))
        worker.start()
        worker.join()
    assert asked == [config.get().num_threads]


@needs_pool
def test_pool_used_from_many_threads(kernel: Any) -> None:
    made = kernel("o", "for i in range(lo, hi):\n    o[i] = o[i] + f64(1.0)", ("f8",))
    launch = launcher.make_launcher(
        made.packed, 1, (), hi=500, grain=10, pool=pool.address(4), threads=4
    )
    arrays = [np.zeros(500) for _ in range(6)]

    def work(o: Any) -> None:
        for _ in range(200):
            launch(o)

    workers = [threading.Thread(target=work, args=(o,)) for o in arrays]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for o in arrays:
        np.testing.assert_array_equal(o, 200.0)


@needs_pool
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pool_after_fork(kernel: Any) -> None:
    made = kernel("o", "for i in range(lo, hi):\n    o[i] = o[i] + f64(1.0)", ("f8",))
    launch = launcher.make_launcher(
        made.packed, 1, (), hi=100, grain=1, pool=pool.address(4), threads=4
    )
    o = np.zeros(100)
    launch(o)
    child = os.fork()
    if child == 0:
        try:
            launch(o)
            os._exit(0 if bool((o == 2.0).all()) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    launch(o)
    np.testing.assert_array_equal(o, 2.0)
