"""Random numbers: published vectors, statistics, the same everywhere, and what draws from them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import numr as nr
from numr import errors, random
from tests.functions.orders import check_derivatives
from tests.functions.support import agree, value

KEY = random.key(42)
# Known answers of Threefry-2x32 with 20 rounds, from the Random123 distribution: counter, key, result.
KNOWN = [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


def words(x: Any) -> Any:
    return nr.asarray(np.array(x, np.uint32))


@pytest.mark.parametrize(("counter", "key", "want"), KNOWN)
def test_known_answers(counter: Any, key: Any, want: Any) -> None:
    for f in (random.threefry2x32, nr.jit(random.threefry2x32)):
        got = f(words(key), words(counter[0]), words(counter[1]))
        assert tuple(int(np.asarray(w)) for w in got) == want


def reference(key: Any, x: Any) -> Any:
    """The generator on Python's integers."""
    mask = 0xFFFFFFFF
    ks = [*key, key[0] ^ key[1] ^ 0x1BD11BDA]
    x = [(x[0] + ks[0]) & mask, (x[1] + ks[1]) & mask]
    for r in range(20):
        by = (13, 15, 26, 6, 17, 29, 16, 24)[r % 8]
        x[0] = (x[0] + x[1]) & mask
        x[1] = (x[1] << by & mask | x[1] >> (32 - by)) ^ x[0]
        if r % 4 == 3:
            s = r // 4 + 1
            x = [(x[0] + ks[s % 3]) & mask, (x[1] + ks[(s + 1) % 3] + s) & mask]
    return x


def test_bits_are_those_of_their_counters() -> None:
    got = np.asarray(nr.jit(lambda k: random.bits(k, (3, 5)))(random.key(2**40 + 9)))
    want = [a ^ b for a, b in (reference((256, 9), (0, i)) for i in range(15))]
    np.testing.assert_array_equal(got, np.array(want, np.uint32).reshape(3, 5))
    keys = value(random.split(random.key(7), 4))
    np.testing.assert_array_equal(keys, [reference((0, 7), (0, i)) for i in range(4)])
    np.testing.assert_array_equal(
        value(random.fold_in(random.key(7), 2**33 + 1)), reference((0, 7), (2, 1))
    )


def test_keys() -> None:
    agree(random.key(2**40 + 5), np.array([256, 5], np.uint32))
    agree(random.key(-1), np.array([2**32 - 1] * 2, np.uint32))
    agree(random.key(nr.asarray(2**40 + 5)), np.array([256, 5], np.uint32))
    agree(random.key(nr.asarray(-1)), np.array([2**32 - 1] * 2, np.uint32))
    agree(nr.jit(random.key)(np.int64(9)), np.array([0, 9], np.uint32))
    agree(random.key(np.uint32(9)), np.array([0, 9], np.uint32))
    agree(nr.jit(random.fold_in)(KEY, 5), value(random.fold_in(KEY, 5)))
    first, second = random.split(KEY)
    assert value(first).tolist() != value(second).tolist() != value(KEY).tolist()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_uniform(dtype: str) -> None:
    x = np.asarray(nr.jit(lambda k: random.uniform(k, (20_000,), dtype))(KEY))
    assert x.dtype == dtype and (x >= 0).all() and (x < 1).all()
    assert stats.kstest(x.astype(float), "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(x[1:].astype(float), x[:-1].astype(float))[0, 1]) < 0.03
    if dtype == "float64":
        assert len(np.unique(x)) == len(x)
        np.testing.assert_array_equal(np.unique(np.floor(x * 2**53) % 4), [0, 1, 2, 3])


def test_uniform_between() -> None:
    x = value(random.uniform(KEY, (1000,), low=-2.0, high=3.0))
    assert -2 <= x.min() < -1.9 and 2.9 < x.max() <= 3
    f = lambda a, b: nr.sum(random.uniform(KEY, (9,), low=a, high=b) ** 2)
    check_derivatives(lambda a, b: random.uniform(KEY, (9,), low=a, high=b), 0.5, 2.0)
    assert float(value(f(nr.asarray(1.0), nr.asarray(1.0)))) == 9.0


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_normal(dtype: str) -> None:
    x = np.asarray(nr.jit(lambda k: random.normal(k, (100, 300), dtype))(KEY)).astype(float)
    assert np.isfinite(x).all()
    assert stats.kstest(x.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(x[1:].ravel(), x[:-1].ravel())[0, 1]) < 0.03
    assert abs(stats.kurtosis(x.ravel())) < 0.15


def test_bernoulli() -> None:
    for p in (0.0, 0.3, 1.0):
        x = value(random.bernoulli(KEY, p, (20_000,)))
        assert x.dtype == bool and abs(x.mean() - p) < 0.015 and (0 < p < 1 or x.std() == 0)
    p = np.array([0.1, 0.9])
    x = value(random.bernoulli(KEY, p, (10_000, 2)))
    np.testing.assert_allclose(x.mean(axis=0), p, atol=0.02)
    assert value(random.bernoulli(KEY)).shape == ()


def test_batches_and_shapes() -> None:
    keys = random.split(KEY, 5)
    got = nr.jit(nr.vmap(lambda k: random.normal(k, (3,))))(keys)
    want = np.stack([value(random.normal(keys[i], (3,))) for i in range(5)])
    np.testing.assert_allclose(np.asarray(got), want, rtol=1e-12)
    assert value(random.uniform(KEY, (0, 3))).shape == (0, 3)
    assert value(random.uniform(KEY)).shape == ()
    # more elements begin with the same numbers
    np.testing.assert_array_equal(value(random.bits(KEY, (10,)))[:7], value(random.bits(KEY, (7,))))


def test_a_random_number_costs_no_memory() -> None:
    f = lambda k, x: nr.sum(x * random.normal(k, x.shape))
    lowered = nr.jit(f).lower(KEY, np.ones((100, 100)))
    assert len(lowered.kernels) == 1


def test_in_a_loop() -> None:
    def step(carry: Any, i: Any) -> Any:
        return carry + random.uniform(random.fold_in(KEY, i)), None

    total, _ = nr.jit(lambda: nr.scan(step, nr.asarray(0.0), nr.arange(10)))()
    want = sum(float(value(random.uniform(random.fold_in(KEY, i)))) for i in range(10))
    np.testing.assert_allclose(float(np.asarray(total)), want, rtol=1e-12)


def test_webgpu() -> None:
    pytest.importorskip("wgpu")
    if not any(str(d).startswith("webgpu") for d in nr.available_devices()):
        pytest.skip("no adapter")
    key = nr.asarray(np.asarray(KEY), device="webgpu")
    f = nr.jit(lambda k: random.bits(k, (7, 9)))
    np.testing.assert_array_equal(np.asarray(f(key)), np.asarray(f(KEY)))
    g = nr.jit(lambda k: random.uniform(k, (7, 9), "float32"))
    np.testing.assert_array_equal(np.asarray(g(key)), np.asarray(g(KEY)))
    h = nr.jit(lambda k: random.normal(k, (7, 9), "float32"))
    np.testing.assert_allclose(np.asarray(h(key)), np.asarray(h(KEY)), rtol=1e-4, atol=1e-5)
    x = nr.asarray(np.ones((20, 30), "f4"), device="webgpu")
    d = nr.jit(lambda k, x: nr.dropout(x, k, 0.25))
    np.testing.assert_allclose(
        np.asarray(d(key, x)), np.asarray(d(KEY, np.ones((20, 30), "f4"))), rtol=1e-6
    )


# -- what draws from them, and looks up ------------------------------------------------------------


def test_dropout() -> None:
    x = np.linspace(1.0, 2.0, 10_000)
    y = value(nr.dropout(x, KEY, 0.3))
    left = y != 0
    assert abs(left.mean() - 0.7) < 0.02
    np.testing.assert_allclose(y[left], x[left] / 0.7, rtol=1e-14)
    np.testing.assert_array_equal(y, value(nr.dropout(x, KEY, 0.3)))
    agree(nr.dropout(x, KEY, 0.3, training=False), x)
    agree(nr.dropout(x, KEY, 0.0), x)
    agree(nr.dropout(x, KEY, 1.0), np.zeros_like(x))
    special = value(nr.dropout(np.full(100, np.nan), KEY))
    assert set(np.isnan(special)) == {True, False} and (special[~np.isnan(special)] == 0).all()
    check_derivatives(lambda v: nr.dropout(v, KEY, 0.5) ** 2, x[:12])
    slopes = value(nr.grad(lambda v: nr.sum(nr.dropout(v, KEY, 0.3)))(nr.asarray(x)))
    np.testing.assert_allclose(slopes, left / 0.7, rtol=1e-14)
    half = nr.jit(lambda v: nr.dropout(v, KEY, 0.5))(x.astype("f2"))
    assert np.asarray(half).dtype == np.float16


def test_embedding() -> None:
    table = np.random.default_rng(3).normal(size=(5, 3))
    places = np.array([[4, 0, 4], [-1, 2, 2]])
    agree(nr.embedding(places, table), table[places])
    agree(nr.jit(nr.embedding)(places, table), table[places])
    check_derivatives(lambda t: nr.embedding(places, t) ** 2, table)
    slopes = value(nr.grad(lambda t: nr.sum(nr.embedding(places, t)))(nr.asarray(table)))
    np.testing.assert_array_equal(slopes[:, 0], [1, 0, 2, 0, 3])
    got = nr.vmap(nr.embedding, in_axes=(0, None))(places, table)
    agree(got, table[places])
    agree(nr.embedding(np.zeros((0,), int), table), table[:0])
    got = nr.vmap(nr.embedding, in_axes=(None, 0))(places, np.stack([table, 2 * table]))
    agree(got, np.stack([table[places], 2 * table[places]]))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: random.bits(np.zeros(2), (3,)), errors.DTypeError, ("bits", "float64")),
        (lambda: random.bits(random.split(KEY), (3,)), errors.ShapeError, ("(2, 2)", "vmap")),
        (lambda: random.key(1.5), errors.DTypeError, ("seed",)),
        (lambda: random.key([1, 2]), errors.ShapeError, ("(2,)",)),
        (lambda: random.uniform(KEY, (2,), "int32"), errors.DTypeError, ("uniform", "int32")),
        (lambda: random.bernoulli(KEY, 1j * np.ones(2)), errors.DTypeError, ("complex128",)),
        (lambda: nr.dropout(np.ones(3), KEY, 1.5), errors.UnsupportedError, ("1.5",)),
        (lambda: nr.embedding([0.5], np.ones(3)), errors.DTypeError, ("indices", "float64")),
        (lambda: nr.embedding([3], np.ones(3)), errors.IndexOutOfRangeError, ("3",)),
        (lambda: nr.embedding([3], np.ones(())), errors.ShapeError, ("weight",)),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
