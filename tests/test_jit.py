"""jit and lazy evaluation as a user meets them: arguments, caches, threads, interoperation."""

from __future__ import annotations

import dataclasses
import gc
import sys
import threading
import weakref
from collections import namedtuple
from typing import Any

import cloudpickle
import numpy as np
import pytest

import numr as nr
from numr.errors import LeakedValueError
from numr.ir.node import scope

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Body:
    mass: Any
    place: Any


def check(got: Any, want: Any, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=tolerance, atol=tolerance)


def counted(f: Any) -> tuple[Any, list[int]]:
    """The function, and a list that grows by one each time Python runs it."""
    runs: list[int] = []

    def g(*args: Any, **kwargs: Any) -> Any:
        runs.append(1)
        return f(*args, **kwargs)

    return g, runs


# -- arguments ------------------------------------------------------------------------------------


def test_static_arguments() -> None:
    f, runs = counted(lambda x, n, mode="up": x * n if mode == "up" else x - n)
    for options in ({"static_argnums": (1, 2)}, {"static_argnums": -1, "static_argnames": "n"}):
        del runs[:]

        def g(x: Any, n: Any, mode: Any = "up") -> Any:
            return f(x, n, mode)

        g = nr.jit(g, **options)
        check(g(2.0, 3), 6)
        check(g(5.0, 3), 15)
        assert len(runs) == 1
        check(g(2.0, 4), 8)
        check(g(2.0, n=4), 8)
        check(g(2.0, 4, mode="down"), -2)
        check(g(2.0, 4, "down"), -2)
        assert 3 <= len(runs) <= 5


def test_static_values_of_equal_hash_are_kept_apart() -> None:
    f = nr.jit(lambda x, n: (x, nr.asarray(n)), static_argnums=1)
    assert [f(1.0, n)[1].dtype for n in (1, 1.0, True)] == [nr.int64, nr.float64, nr.bool_]


def test_static_sizes() -> None:
    f = nr.jit(lambda n, x: nr.zeros(n) + x, static_argnums=0)
    assert f(3, 1.0).shape == (3,)
    assert f(5, 1.0).shape == (5,)


def test_trees_in_and_out() -> None:
    @nr.jit
    def f(d: Any, items: Any, pair: Any, body: Any, nothing: Any, *, scale: Any) -> Any:
        assert nothing is None
        return {
            "dict": {k: v * scale for k, v in d.items()},
            "list": [v + 1 for v in items],
            "tuple": (items[0], (items[1],)),
            "pair": Point(pair.y, pair.x),
            "body": Body(body.mass * 2, body.place),
            "none": None,
            "number": 3.5,
            "empty": [],
        }

    for k in range(3):
        v = np.arange(3.0) + k
        out = f({"b": v, "a": 1.0}, [v, 2], Point(v, 5.0), Body(1.5, v), None, scale=2.0)
        assert sorted(out["dict"]) == ["a", "b"]
        check(out["dict"]["b"], 2 * v)
        check(out["list"][0], v + 1)
        check(out["tuple"][1][0], 2)
        assert type(out["pair"]) is Point
        check(out["pair"].x, 5.0)
        assert type(out["body"]) is Body
        check(out["body"].mass, 3.0)
        assert out["none"] is None
        assert out["empty"] == []
        check(out["number"], 3.5)


def test_structures_dtypes_and_ranks_are_separate_traces() -> None:
    f, runs = counted(lambda x: nr.tree.map(lambda v: v + 1, x))
    g = nr.jit(f)
    x = np.ones(3)
    for value in (
        x,
        [x],
        (x,),
        {"a": x},
        {"b": x},
        x.astype(np.float32),
        x[None],
        1.0,
        1,
        True,
        1j,
    ):
        g(value)
        before = len(runs)
        g(value)
        assert len(runs) == before
    assert len(runs) == 11
    assert g(x.astype(np.float32)).dtype is nr.float32


def test_weak_arguments_stay_weak() -> None:
    f = nr.jit(lambda x, s: x * s)
    assert f(np.ones(3, np.float32), 2.0).dtype is nr.float32
    assert f(np.ones(3, np.float32), np.float64(2.0)).dtype is nr.float64


# -- closures, nesting, methods -------------------------------------------------------------------


def test_arrays_closed_over_are_inputs() -> None:
    big = np.arange(1000.0)
    held = nr.asarray(big)
    later = held * 2  # not yet computed when the function is traced
    f = nr.jit(lambda x: nr.sum(held * x) + later[1] + nr.sum(big))
    want = big.sum() * 3.0 + 2.0 + big.sum()
    check(f(3.0), want)
    check(f(3.0), want)
    sources = "".join(str(k.source) for k in f.lower(3.0).kernels)
    assert "999" not in sources


def test_nested() -> None:
    inner, runs = counted(lambda x: nr.sin(x) ** 2)
    g = nr.jit(inner)
    f = nr.jit(lambda x: nr.jit(lambda y: g(y) + 1)(x) * 2)
    check(f(0.5), 2 * np.sin(0.5) ** 2 + 2)
    check(nr.grad(nr.jit(nr.grad(f)))(0.5), 4 * np.cos(1.0))
    check(nr.jit(nr.vmap(f))(np.array([0.5, 0.6])), 2 * np.sin([0.5, 0.6]) ** 2 + 2)
    check(g(0.5), np.sin(0.5) ** 2)
    assert runs


class Model:
    rate = 2.0

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.bias = nr.asarray([1.0, 2.0])

    @nr.jit
    def step(self, x: Any) -> Any:
        return x * self.rate + self.bias


def test_methods_see_changed_attributes() -> None:
    first, second = Model(2.0), Model(3.0)
    check(first.step(np.ones(2)), [3, 4])
    check(second.step(np.ones(2)), [4, 5])
    first.rate = 10.0
    check(first.step(np.ones(2)), [11, 12])
    first.bias = nr.asarray([0.0, 0.5])
    check(first.step(np.ones(2)), [10, 10.5])
    check(nr.grad(lambda x: nr.sum(second.step(x)))(nr.ones(2)), [3, 3])
    assert "step" in repr(first.step)


# -- options --------------------------------------------------------------------------------------


def test_donated_arguments_cannot_be_read() -> None:
    f = nr.jit(lambda x, y: x + y, donate_argnums=0)
    for _ in range(3):
        x, y = nr.asarray(np.ones(4)), nr.asarray(np.ones(4))
        check(f(x, y), [2, 2, 2, 2])
        check(y, [1, 1, 1, 1])
        with pytest.raises(LeakedValueError, match="donated"):
            np.asarray(x)
    v = np.ones(4)
    check(f(v, v), 2 * v)


def test_results_do_not_share_memory_with_arguments() -> None:
    f = nr.jit(lambda x, y: (x, nr.reshape(y, (3, 1)), x + y, x * 1.0))
    for _ in range(3):
        x, y = np.ones(3), np.full(3, 2.0)
        first, second, third, fourth = f(x, y)
        x[:] = y[:] = -1.0
        check(first, [1, 1, 1])
        check(second, [[2], [2], [2]])
        check(third, [3, 3, 3])
        check(fourth, [1, 1, 1])


def test_fast_math() -> None:
    x = np.linspace(0.1, 3.0, 1001)
    f = lambda x: nr.sum(nr.exp(-x) * nr.sin(x) / (1 + x * x))
    check(nr.jit(f, fast_math=True)(x), nr.jit(f)(x), 1e-10)
    check(nr.jit(nr.grad(f), fast_math=True)(x), nr.jit(nr.grad(f))(x), 1e-10)


def test_as_a_decorator_with_options() -> None:
    @nr.jit(static_argnames="n")
    def power(x: Any, n: int) -> Any:
        """x to the n."""
        return x**n

    check(power(2.0, n=3), 8)
    assert power.__name__ == "power"
    assert power.__doc__ == "x to the n."
    assert "power" in repr(power)


# -- threads, pickles -----------------------------------------------------------------------------


def test_threads() -> None:
    f = nr.jit(lambda x, y: (nr.sum(nr.sin(x) * y, axis=0), x @ nr.matrix_transpose(y)))
    wrong: list[Any] = []
    start = threading.Barrier(8)

    def work(k: int) -> None:
        rng = np.random.default_rng(k)
        try:
            start.wait()
            for n in range(60):
                x, y = (rng.normal(size=(2 + (n + k) % 5, 3 + n % 4)) for _ in range(2))
                a, b = f(x, y)
                check(a, np.sum(np.sin(x) * y, axis=0))
                check(b, x @ y.T)
                lazy = nr.grad(lambda x, y=y: nr.sum(nr.asarray(y) * x * x))(nr.asarray(x))
                check(lazy, 2 * y * x)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(old)
    assert not wrong, wrong[0]


def test_pickles() -> None:
    shift = nr.asarray([1.0, 2.0])
    f = nr.jit(lambda x, n: nr.sin(x) * n + shift, static_argnums=1)
    want = np.asarray(f(np.ones(2), 3))
    again = cloudpickle.loads(cloudpickle.dumps(f))
    check(again(np.ones(2), 3), want)
    model = Model(4.0)
    copied = cloudpickle.loads(cloudpickle.dumps(model))
    check(copied.step(np.ones(2)), [5, 6])
    for value in (nr.asarray([1.0, 2.0]) + 1, nr.asarray(3), nr.zeros((0, 2))):
        loaded = cloudpickle.loads(cloudpickle.dumps(value))
        assert loaded.dtype is value.dtype
        check(loaded, value)


# -- caches ---------------------------------------------------------------------------------------


def test_a_new_shape_compiles_nothing() -> None:
    loss = lambda w, x: nr.sum(nr.logsumexp(nr.tanh(x @ w), axis=1)) + nr.mean(w**2)
    f = nr.jit(nr.value_and_grad(loss))
    rng = np.random.default_rng(0)

    def run(n: int, m: int, k: int) -> None:
        w, x = rng.normal(size=(m, k)), rng.normal(size=(n, m))
        value, slope = f(w, x)
        z = np.tanh(x @ w)
        check(value, np.sum(np.log(np.exp(z).sum(1))) + np.mean(w**2), 1e-10)
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True) * (1 - z**2)
        check(slope, x.T @ p + 2 * w / w.size, 1e-10)

    run(50, 20, 7)
    run(30, 10, 5)
    before = nr.cache.info().compilations
    for n, m, k in ((51, 21, 8), (64, 13, 9), (100, 33, 12), (300, 40, 30)):
        run(n, m, k)
    assert nr.cache.info().compilations == before


def test_clearing_the_cache() -> None:
    f = nr.jit(lambda x: nr.cos(x) * 1.25)
    check(f(0.5), np.cos(0.5) * 1.25)
    assert nr.cache.info().traces.entries > 0
    nr.cache.clear()
    assert nr.cache.info().programs.entries == 0
    assert nr.cache.info().traces.entries == 0
    check(f(0.5), np.cos(0.5) * 1.25)
    assert "kernels compiled" in str(nr.cache.info())


def test_jitted_and_lazy_agree() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(6, 5)), rng.normal(size=5)
    for f in (
        lambda x, y: nr.softmax(x * y, axis=1) @ y,
        lambda x, y: nr.cumulative_sum(nr.sort(x, axis=0), axis=1) - nr.max(y),
        lambda x, y: nr.concat([x[::2], nr.flip(x, 1)], axis=0).at[0].add(y),
        lambda x, y: nr.linalg.solve(nr.matrix_transpose(x) @ x, y),
        lambda x, y: nr.where(x > y, nr.exp(x), nr.std(x, axis=0)),
    ):
        check(nr.jit(f)(x, y), f(nr.asarray(x), nr.asarray(y)), 1e-11)


def test_stages_print() -> None:
    f = nr.jit(nr.grad(lambda x, y: nr.sum(nr.sin(x) * y)))
    x = np.ones((3, 4))
    stages = f.lower(x, x)
    for stage in ("graph", "rewritten", "regions", "program"):
        text = str(getattr(stages, stage))
        assert len(text.splitlines()) >= 2, stage
    assert "cos" in str(stages.rewritten)
    assert len(stages.kernels) == 1
    kernel = stages.kernels[0]
    assert "cos" in str(kernel.ir)
    assert "def " in str(kernel.source)
    assert len(str(kernel.asm)) > 100
    assert stages.cost.flops > 12
    assert stages.cost.bytes >= 3 * x.nbytes
    assert stages.cost.kernels == 1
    text = str(nr.explain(f, x, x))
    for word in ("trace:", "program:", "compiled:", "kernel"):
        assert word in text


# -- lazy evaluation ------------------------------------------------------------------------------


def test_lazy_loops_stay_small_and_hit_the_cache() -> None:
    x, v = nr.asarray(np.linspace(0, 1, 50)), nr.zeros(50)
    misses, pending = [], []
    for _ in range(30):
        v = v - 0.01 * x
        x = x + 0.01 * v
        energy = nr.sum(x * x + v * v)
        assert float(energy) > 0
        misses.append(nr.cache.info().programs.misses)
        pending.append(scope.pending)
    assert misses[-1] == misses[2]
    assert max(pending) < 20
    assert len(scope.arena) < 20


def test_lazy_loops_without_a_read_are_bounded() -> None:
    x = nr.asarray(np.ones(3))
    for _ in range(12_000):
        x = x * 0.999
    assert scope.pending <= nr.config.get().node_limit
    check(x, np.full(3, 0.999**12_000), 1e-9)


def test_dropped_results_are_freed() -> None:
    x = nr.asarray(np.ones(10))
    for _ in range(50):
        y = nr.sin(x) + 1
        float(nr.sum(y))
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(200):
        y = nr.sin(x) + 1
        float(nr.sum(y))
    del y
    gc.collect()
    assert len(gc.get_objects()) - before < 500


def test_values_are_computed_once() -> None:
    x = nr.asarray(np.ones(5))
    y = nr.exp(x) + 1
    z = y * 2
    check(z, 2 * (np.e + 1) * np.ones(5))
    assert y._value is not None or y.node.value is not None


# -- interoperation -------------------------------------------------------------------------------


def test_numpy_interoperation() -> None:
    a = np.arange(3.0)
    x = nr.asarray(a)
    a[0] = 99.0  # a copy was taken
    check(x, [0, 1, 2])
    for got in (a + x, np.float64(2) * x, a @ x, x - a, np.array([1, 2, 3]) ** x, a > x):
        assert type(got) is nr.Array
    check(np.asarray(x + 1), [1, 2, 3])
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert not np.asarray(x).flags.writeable
    copied = np.array(x)
    copied[0] = 5.0
    check(x, [0, 1, 2])
    check([x[1], float(x[2])], [1, 2])
    check(np.mean([x, x]), 1.0)


def test_dlpack_and_namespaces() -> None:
    x = nr.asarray(np.arange(6.0).reshape(2, 3)) * 2
    back = np.from_dlpack(x)
    check(back, x)
    assert x.__dlpack_device__() == (1, 0)
    check(nr.from_dlpack(np.arange(3.0)), [0, 1, 2])
    assert x.__array_namespace__() is nr
    assert x.__array_namespace__(api_version="2024.12") is nr
    with pytest.raises(ValueError, match="2020"):
        x.__array_namespace__(api_version="2020.1")


def test_representations() -> None:
    assert repr(nr.asarray([1.0, 2.0]) + 1) == "numr.Array([2., 3.])"
    assert "float32" in repr(nr.asarray([1.0], dtype=nr.float32))
    assert repr(nr.asarray(2) * 3) == "numr.Array(6)"
    assert f"{nr.asarray(1.0) / 3:.3f}" == "0.333"
    seen = []
    nr.jit(lambda x: seen.append(repr(x)) or x)(np.ones((2, 3)))
    assert "traced" in seen[0]
    assert "(2, 3)" in seen[0]
    assert str(nr.zeros((0, 3)))


def test_assignment_rebinds() -> None:
    x = nr.asarray([1.0, 2.0, 3.0])
    y = x
    z = x + 0
    x[1] = 10.0
    check(x, [1, 10, 3])
    check(z, [1, 2, 3])
    assert y is x
    x[x > 5] = 0.0
    x[::2] += 1
    check(x, [2, 0, 4])

    @nr.jit
    def f(v: Any) -> Any:
        v[0] = 7.0
        return v * 2

    a = nr.asarray([1.0, 2.0])
    check(f(a), [14, 4])
    check(a, [1, 2])
    check(nr.grad(lambda v: nr.sum(f(v) ** 2))(a), [0, 16])


def test_python_protocols() -> None:
    x = nr.asarray([3, 1, 2])
    assert [int(v) for v in x] == [3, 1, 2]
    assert len(x) == 3
    assert 3 in x
    assert [10, 20, 30, 40][x[0]] == 40
    assert list(range(x[2])) == [0, 1]
    assert bool(nr.asarray(0.0)) is False
    assert complex(nr.asarray(1j)) == 1j
    assert x.tolist() == [3, 1, 2]
    assert nr.asarray(2.5).item() == 2.5
    for use in (lambda: float(x), lambda: bool(x), lambda: hash(x), lambda: len(nr.asarray(1))):
        with pytest.raises(TypeError):
            use()


def test_a_cached_program_keeps_no_buffer() -> None:
    nr.cache.clear()
    x = nr.asarray(np.ones(1000))
    buffer = weakref.ref(x._value)
    y = nr.sin(x) * 7.5
    y.numpy()
    del x, y
    gc.collect()
    assert buffer() is None


class Scaled:
    def __init__(self, factor: float) -> None:
        self.factor = np.full(2, factor)

    @nr.jit
    def times(self, x: Any) -> Any:
        return self.factor * x

    @property
    @nr.jit
    def twice(self) -> Any:
        return 2 * self.factor


def test_a_method_called_on_its_class_or_by_a_property() -> None:
    scaled = Scaled(3.0)
    assert Scaled.times(scaled, 2.0).tolist() == scaled.times(2.0).tolist() == [6.0, 6.0]
    assert scaled.twice.tolist() == [6.0, 6.0]
    scaled.factor[:] = 1.0
    assert scaled.twice.tolist() == [2.0, 2.0]
