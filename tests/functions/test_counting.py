"""bincount, histogram, unique and nonzero, with and without a size, kron and polyval against NumPy."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr import errors
from tests.functions.orders import check_derivatives
from tests.functions.support import agree, value

RNG = np.random.default_rng(11)
X = RNG.normal(size=50)
I = RNG.integers(0, 7, 40)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_bincount(dtype: str) -> None:
    x = I.astype(dtype)
    w = RNG.normal(size=40)
    agree(nr.bincount(x), np.bincount(x))
    agree(nr.bincount(x, minlength=12), np.bincount(x, minlength=12))
    agree(nr.bincount(x, w), np.bincount(x, w), 1e-13, 1e-14)
    f = nr.jit(lambda v, w: (nr.bincount(v, length=4), nr.bincount(v, w, length=9)))
    for got, want in zip(f(x, w), (np.bincount(x)[:4], np.bincount(x, w, 9)), strict=True):
        np.testing.assert_allclose(np.asarray(got), want, rtol=1e-13, atol=1e-14)


def test_lengths_are_numbers_of_any_kind() -> None:
    agree(tuple(nr.histogram(X, np.int64(4))), np.histogram(X, 4), 1e-13, 1e-15)
    agree(nr.topk(X, np.int32(3)).values, np.sort(X)[:-4:-1])
    agree(nr.bincount(I, length=nr.asarray(7)), np.bincount(I, minlength=7))
    static = nr.jit(lambda x, k: nr.topk(x, k).values, static_argnums=1)
    np.testing.assert_array_equal(static(X, 2), np.sort(X)[:-3:-1])


def test_bincount_awkward() -> None:
    agree(nr.bincount(np.array([], int)), np.array([], int))
    agree(nr.bincount(np.array([], int), minlength=2), np.zeros(2, int))
    agree(nr.bincount(np.array([3])), np.bincount([3]))
    agree(nr.jit(lambda v: nr.bincount(v, length=3))(np.array([-1, 5, 2])), np.array([0, 0, 1]))
    assert value(nr.bincount(I, length=0)).shape == (0,)
    rows = I.reshape(4, 10)
    want = np.stack([np.bincount(r, minlength=7) for r in rows])
    agree(nr.vmap(lambda r: nr.bincount(r, length=7))(rows), want)
    check_derivatives(lambda w: nr.bincount(I[:9], w, length=5) ** 2, RNG.normal(size=9))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"bins": 1},
        {"bins": 7, "range": (-1.0, 1.5)},
        {"bins": [-1.0, 0.0, 0.1, 2.0]},
        {"bins": 33},
    ],
)
@pytest.mark.parametrize("density", [False, True])
def test_histogram(arguments: dict[str, Any], density: bool) -> None:
    bins = arguments.get("bins", 10)
    bounds = arguments.get("range")
    edges = np.array(bins) if isinstance(bins, list) else bins
    w = RNG.uniform(0, 1, 50)
    for x in (X, X.reshape(5, 10).T, np.round(X, 1), X.astype("f4")):
        want = np.histogram(x, bins, bounds, density=density)
        f = lambda v, b=bounds: nr.histogram(v, edges, b, density=density)
        for run in (f, nr.jit(f)):
            got = [np.asarray(v) for v in run(x)]
            np.testing.assert_allclose(got[0], want[0], rtol=1e-5 if x.dtype == "f4" else 1e-12)
            np.testing.assert_allclose(got[1], want[1], rtol=1e-6, atol=1e-6)
            assert density or got[0].dtype == np.int64
    got, _ = nr.histogram(X, edges, bounds, weights=w, density=density)
    agree(got, np.histogram(X, bins, bounds, weights=w, density=density)[0], 1e-12)


def test_histogram_awkward() -> None:
    for x in (np.array([2.0]), np.array([1, 1, 1]), np.arange(6), np.linspace(0, 1, 11)):
        want = np.histogram(x, 5)
        agree(tuple(nr.histogram(x, 5)), (want[0], want[1].astype(float)), 1e-13, 1e-15)
    agree(tuple(nr.histogram(np.array([]), 3)), np.histogram(np.array([]), 3), 1e-13)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got, _ = nr.histogram(np.array([np.nan, 0.5, np.inf, 1.0, 0.0]), 2, (0, 1))
    agree(got, np.array([1, 2]))
    rows = X.reshape(5, 10)
    got, _ = nr.vmap(lambda r: nr.histogram(r, 4, (-2.0, 2.0)))(rows)
    agree(got, np.stack([np.histogram(r, 4, (-2.0, 2.0))[0] for r in rows]))
    check_derivatives(lambda w: nr.histogram(X[:9], 3, weights=w)[0] ** 2, RNG.normal(size=9))


VALUES: dict[str, Any] = {
    "ints": I,
    "floats": np.round(X, 1),
    "nan": np.array([np.nan, 1.0, np.nan, -0.0, 0.0, np.inf]),
    "matrix": I.reshape(5, 8)[:, ::-2],
    "bools": I > 3,
    "one": np.array([4]),
    "none": np.array([], float),
    "same": np.full(9, 2),
}
ALL = {"return_index": True, "return_inverse": True, "return_counts": True}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("equal_nan", [True, False])
def test_unique(name: str, equal_nan: bool) -> None:
    x = VALUES[name]
    want = list(np.unique(x, True, True, True, equal_nan=equal_nan))
    want[2] = want[2].reshape(x.shape)
    agree(nr.unique(x, **ALL, equal_nan=equal_nan), tuple(want))
    agree(nr.unique(x, equal_nan=equal_nan), want[0])
    n = len(want[0])
    for size in (n, n + 3):
        f = lambda v, size=size: nr.unique(v, **ALL, size=size, equal_nan=equal_nan)
        values, index, inverse, counts = (np.asarray(v) for v in nr.jit(f)(x))
        np.testing.assert_array_equal(values[:n], want[0])
        np.testing.assert_array_equal(index[:n], want[1])
        np.testing.assert_array_equal(inverse, want[2])
        np.testing.assert_array_equal(counts[:n], want[3])
        assert len(values) == len(counts) == size and (counts[n:] == 0).all()
        if n:
            np.testing.assert_array_equal(values[n:], np.full(size - n, want[0][0]))


def test_unique_cut_filled_batched_and_differentiated() -> None:
    agree(nr.unique(I, size=2), np.unique(I)[:2])
    agree(nr.unique(np.array([5, 5]), size=3, fill_value=-1), np.array([5, -1, -1]))
    assert value(nr.unique(I, size=0)).shape == (0,)
    rows = np.array([[3, 1, 3], [2, 2, 2]])
    got = nr.vmap(lambda r: nr.unique(r, size=3, fill_value=0))(rows)
    agree(got, np.array([[1, 3, 0], [2, 0, 0]]))
    check_derivatives(lambda v: nr.unique(v, size=6) ** 2, X[:6])


@pytest.mark.parametrize("x", [I % 3, (I % 3).reshape(4, 10), I.reshape(2, 4, 5) > 5, X * 0])
def test_nonzero(x: Any) -> None:
    want = np.nonzero(x)
    agree(nr.nonzero(x), want)
    n = len(want[0])
    for size in (n, n + 4, n // 2):
        got = nr.jit(lambda v, size=size: nr.nonzero(v, size=size, fill_value=-7))(x)
        for g, w in zip(got, want, strict=True):
            np.testing.assert_array_equal(np.asarray(g)[:n], w[:size])
            np.testing.assert_array_equal(np.asarray(g)[n:], np.full(max(size - n, 0), -7))
    fills = tuple(range(x.ndim))
    got = nr.nonzero(x, size=n + 1, fill_value=fills)
    assert tuple(int(value(g)[-1]) for g in got) == fills


def test_nonzero_empty_and_batched() -> None:
    agree(nr.nonzero(np.zeros((0, 3)), size=2), (np.zeros(2, int), np.zeros(2, int)))
    rows = np.array([[0, 1, 1], [0, 0, 2]])
    got = nr.vmap(lambda r: nr.nonzero(r, size=2, fill_value=9)[0])(rows)
    agree(got, np.array([[1, 2], [2, 9]]))


@pytest.mark.parametrize(
    "shapes", [((2, 3), (3, 2)), ((3,), (2, 2)), ((2, 1, 2), (3,)), ((), (4,)), ((0, 2), (2, 2))]
)
def test_kron(shapes: Any) -> None:
    a, b = (RNG.normal(size=s) for s in shapes)
    agree(nr.kron(a, b), np.kron(a, b), 1e-14)
    np.testing.assert_allclose(np.asarray(nr.jit(nr.kron)(a, b)), np.kron(a, b), rtol=1e-14)
    agree(nr.kron(a + 1j, b.astype("f4")), np.kron(a + 1j, b.astype("f4")), 1e-6)
    if a.size:
        check_derivatives(nr.kron, a, b)
        batch = nr.vmap(nr.kron, in_axes=(0, None))(np.stack([a, 2 * a]), b)
        agree(batch, np.stack([np.kron(a, b), np.kron(2 * a, b)]), 1e-14)
    agree(nr.kron(I[:4].reshape(2, 2), I[:2]), np.kron(I[:4].reshape(2, 2), I[:2]))


@pytest.mark.parametrize("n", [0, 1, 2, 6, 40])
def test_polyval(n: int) -> None:
    p, x = RNG.normal(size=n), RNG.uniform(-1, 1, (3, 4))
    agree(nr.polyval(p, x), np.polyval(p, x), 1e-12, 1e-13)
    np.testing.assert_allclose(np.asarray(nr.jit(nr.polyval)(p, x)), np.polyval(p, x), rtol=1e-11)
    agree(nr.vmap(nr.polyval, in_axes=(None, 0))(p, x), np.polyval(p, x), 1e-12, 1e-13)
    if n:
        check_derivatives(nr.polyval, p, x, compiled=n < 9, rtol=1e-7 if n < 9 else 1e-5)
        agree(nr.polyval(p + 1j, x), np.polyval(p + 1j, x), 1e-12, 1e-13)
        agree(nr.polyval(p, 0.5), np.polyval(p, 0.5), 1e-12, 1e-13)
        agree(nr.polyval(I[:n] * 0 + 1, np.array(1)), np.polyval(I[:n] * 0 + 1, np.array(1)))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: nr.bincount(X), errors.DTypeError, ("bincount", "float64")),
        (lambda: nr.bincount(I.reshape(4, 10)), errors.ShapeError, ("(4, 10)",)),
        (lambda: nr.bincount(np.array([1, -2])), errors.ShapeError, ("-2",)),
        (lambda: nr.bincount(I, X), errors.ShapeError, ("(40,)", "(50,)")),
        (lambda: nr.bincount(I, length=-1), errors.ShapeError, ("-1",)),
        (lambda: nr.jit(nr.bincount)(I), errors.TracedValueError, ("bincount", "length=", "(40,)")),
        (lambda: nr.jit(nr.unique)(I), errors.TracedValueError, ("unique", "size=", "(40,)")),
        (lambda: nr.jit(nr.nonzero)(I), errors.TracedValueError, ("nonzero", "size=", "int64")),
        *(
            (
                lambda name=name: nr.jit(getattr(nr, name))(I),
                errors.TracedValueError,
                (name, "of shape (40,) and dtype int64", fix),
            )
            for name, fix in (
                ("unique_values", "use numr.unique with size=..."),
                ("unique_counts", "use numr.unique with size=..."),
                ("unique_inverse", "use numr.unique with size=..."),
                ("unique_all", "use numr.unique with size=..."),
                ("argwhere", "use numr.nonzero with size=..."),
            )
        ),
        (
            lambda: nr.jit(lambda x, k: nr.topk(x, k))(X, 2),
            errors.TracedValueError,
            ("topk: k decides a shape, and is a traced value", "static_argnums"),
        ),
        (
            lambda: nr.jit(lambda x, n: nr.histogram(x, n))(X, 2),
            errors.TracedValueError,
            ("histogram: bins decides a shape",),
        ),
        (
            lambda: nr.jit(lambda x, i, n: nr.segment_sum(x, i, n))(X[:40], I, 7),
            errors.TracedValueError,
            ("segment_sum: num_segments decides a shape",),
        ),
        (
            lambda: nr.jit(lambda x, r: nr.repeat(x, r))(I, I),
            errors.TracedValueError,
            ("repeat: repeats decides a shape",),
        ),
        (lambda: nr.nonzero(I, size=2, fill_value=(1, 2)), errors.ShapeError, ("(1, 2)", "(40,)")),
        (lambda: nr.nonzero(I, size=1.5), errors.ShapeError, ("1.5",)),
        (lambda: nr.nonzero(np.array(1)), errors.ShapeError, ("atleast_1d",)),
        (lambda: nr.histogram(X, 0), errors.ShapeError, ("bins", "0")),
        (lambda: nr.histogram(X, np.ones(1)), errors.ShapeError, ("(1,)",)),
        (lambda: nr.histogram(X, 3, (2.0, 1.0)), errors.UnsupportedError, ("(2.0, 1.0)",)),
        (lambda: nr.histogram(X, 3, weights=I), errors.ShapeError, ("(50,)", "(40,)")),
        (lambda: nr.unique(X + 0j), errors.DTypeError, ("unique",)),
        (lambda: nr.polyval(np.ones((2, 2)), X), errors.ShapeError, ("(2, 2)",)),
        (lambda: nr.kron(X > 0, X > 0), errors.DTypeError, ("kron",)),
    ],
)
def test_errors(call: Callable[[], Any], error: type[Exception], words: tuple[str, ...]) -> None:
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert re.search(re.escape(word), str(caught.value))


DEVICE: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "bincount": (lambda v: nr.bincount(v, length=6), (I.astype("i4"),)),
    "bincount weights": (
        lambda v, w: nr.bincount(v, w, length=6),
        (I.astype("i4"), X[:40].astype("f4")),
    ),
    "histogram": (lambda v: nr.histogram(v, 5), (X.astype("f4"),)),
    "unique": (lambda v: nr.unique(v, size=9, **ALL), (I.astype("i4"),)),
    "nonzero": (lambda v: nr.nonzero(v, size=9), (I.astype("i4").reshape(4, 10),)),
    "kron": (nr.kron, (X[:3].astype("f4"), X[:4].astype("f4"))),
    "polyval": (nr.polyval, (X[:3].astype("f4"), X.astype("f4"))),
}


@pytest.mark.parametrize("name", DEVICE)
def test_webgpu(name: str) -> None:
    pytest.importorskip("wgpu")
    if not any(str(d).startswith("webgpu") for d in nr.available_devices()):
        pytest.skip("no adapter")
    f, args = DEVICE[name]
    there = nr.jit(f)(*(nr.asarray(v, device="webgpu") for v in args))
    here = nr.jit(f)(*args)
    for got, want in zip(nr.tree.leaves(there), nr.tree.leaves(here), strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-5, atol=1e-6)
