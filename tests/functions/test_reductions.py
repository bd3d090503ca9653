"""Reductions, statistics, sorting and searching against NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special as sp

import numr as nr
from tests.functions.support import agree, lazy, numbers, value

SHAPES: list[tuple[tuple[int, ...], Any]] = [
    ((), None),
    ((7,), None),
    ((7,), 0),
    ((3, 4), None),
    ((3, 4), 0),
    ((3, 4), -1),
    ((2, 3, 4), (0, 2)),
    ((2, 3, 4), (-1, 0)),
    ((2, 3, 4), ()),
]
REDUCTIONS: dict[str, tuple[Any, str]] = {
    "all": (np.all, "biufc"),
    "any": (np.any, "biufc"),
    "count_nonzero": (np.count_nonzero, "biufc"),
    "logsumexp": (sp.logsumexp, "f"),
    "max": (np.max, "biuf"),
    "mean": (np.mean, "bifc"),
    "min": (np.min, "biuf"),
    "prod": (np.prod, "biufc"),
    "std": (np.std, "bifc"),
    "sum": (np.sum, "biufc"),
    "var": (np.var, "bifc"),
}
KINDS = {
    "b": ["bool"],
    "i": ["int8", "int64"],
    "u": ["uint8", "uint64"],
    "f": ["float32", "float64"],
    "c": ["complex128"],
}


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(n, d) for n, (_, kinds) in REDUCTIONS.items() for k in kinds for d in KINDS[k]],
)
def test_reductions(name: str, dtype: str) -> None:
    rng = np.random.default_rng(5)
    f, meaning = getattr(nr, name), REDUCTIONS[name][0]
    for shape, axis in SHAPES:
        x = numbers(rng, dtype, shape, -1.5, 1.5)
        for keepdims in (False, True):
            if name == "logsumexp" and (axis == () or shape == ()):
                continue  # SciPy has ways of its own
            want = np.asarray(meaning(x, axis=axis, keepdims=keepdims))
            if name == "count_nonzero":
                want = want.astype(np.int64)
            agree(
                f(lazy(x), axis=axis, keepdims=keepdims),
                want,
                rtol=1e-12 if "64" in dtype or "128" in dtype else 1e-5,
                atol=1e-7 if dtype == "float32" else 1e-15,
            )


def test_of_nothing() -> None:
    x = lazy(np.zeros((2, 0)))
    agree(nr.sum(x, axis=1), np.zeros(2))
    agree(nr.prod(x, axis=1), np.ones(2))
    agree(nr.all(x, axis=1), np.array([True, True]))
    agree(nr.any(x), np.array(False))
    agree(nr.mean(x, axis=1), np.full(2, np.nan))
    agree(nr.logsumexp(x, axis=1), np.full(2, -np.inf))
    agree(nr.max(x, axis=0), np.zeros(0))


def test_dtypes_of_sums() -> None:
    x = lazy(np.array([200, 100], np.uint8))
    agree(nr.sum(x), np.array(300, np.uint64))
    agree(nr.sum(x, dtype="uint8"), np.array(44, np.uint8))
    agree(nr.prod(lazy(np.array([True, True]))), np.array(1, np.int64))
    agree(nr.cumulative_sum(x), np.array([200, 300], np.uint64))
    agree(nr.sum(lazy(np.array([1.5], np.float32)), dtype=nr.float64), np.array(1.5))


def test_nan_and_ties() -> None:
    x = np.array([[1.0, np.nan, 0.0], [2.0, 2.0, -np.inf]])
    for name in ("max", "min", "argmax", "argmin", "sum", "mean"):
        agree(getattr(nr, name)(lazy(x), axis=1), getattr(np, name)(x, axis=1))
    agree(nr.argmax(lazy(x)), np.argmax(x))
    agree(nr.argmax(lazy(x), axis=0, keepdims=True), np.argmax(x, axis=0, keepdims=True))
    agree(nr.argmin(lazy(x[1:]), keepdims=True), np.argmin(x[1:], keepdims=True))
    agree(nr.argmax(lazy([False, True])), np.array(1))


@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_cumulative(name: str) -> None:
    rng = np.random.default_rng(1)
    full = {"cumsum": "cumulative_sum", "cumprod": "cumulative_prod"}[name]
    for shape, axis in (((5,), None), ((3, 4), 0), ((3, 4), -1), ((3, 4), None), ((2, 0), 1)):
        x = rng.normal(size=shape)
        agree(getattr(nr, name)(lazy(x), axis=axis), getattr(np, name)(x, axis=axis), 1e-12)
        if axis is not None:
            f = getattr(np, full)
            for initial in (False, True):
                got = getattr(nr, full)(lazy(x), axis=axis, include_initial=initial)
                agree(got, f(x, axis=axis, include_initial=initial), 1e-12)
    agree(
        getattr(nr, name)(lazy(np.array([3, 4], np.int8))),
        getattr(np, name)(np.array([3, 4], np.int8)),
    )


def test_corrections() -> None:
    x = np.random.default_rng(0).normal(size=(4, 5))
    agree(nr.var(lazy(x), axis=0, correction=1), np.var(x, axis=0, ddof=1), 1e-12)
    agree(nr.std(lazy(x), ddof=2), np.std(x, ddof=2), 1e-12)


def test_exponential_sums() -> None:
    x = np.array([[0.0, 1000.0, -1000.0], [-np.inf, 0.0, 1.0], [3.0, 3.0, 3.0]])
    agree(nr.logsumexp(lazy(x), axis=1), sp.logsumexp(x, axis=1))
    agree(nr.softmax(lazy(x)), sp.softmax(x, axis=1))
    agree(nr.softmax(lazy(x), axis=0), sp.softmax(x, axis=0))
    agree(nr.log_softmax(lazy(x)), sp.log_softmax(x, axis=1))
    agree(nr.softmax(lazy(x[2:]), axis=None), sp.softmax(x[2:]))
    agree(nr.logsumexp(lazy([-np.inf, -np.inf])), np.array(-np.inf))
    agree(nr.logsumexp(lazy([np.inf, 0.0])), np.array(np.inf))
    assert np.isnan(value(nr.logsumexp(lazy([np.nan, 0.0]))))
    agree(nr.softmax(lazy([1, 1])), np.array([0.5, 0.5]))


def test_norms() -> None:
    rng = np.random.default_rng(2)
    for x in (rng.normal(size=(3, 4)), rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))):
        agree(nr.norm(lazy(x)), np.linalg.norm(x), 1e-12)
        for ord in (None, 0, 1, 2, 3, 0.5, np.inf, -np.inf):
            agree(nr.norm(lazy(x), ord, axis=1), np.linalg.norm(x, ord, axis=1), 1e-12)
            if ord is not None:
                got = nr.linalg.vector_norm(lazy(x), axis=0, ord=ord, keepdims=True)
                agree(got, np.linalg.vector_norm(x, axis=0, ord=ord, keepdims=True), 1e-12)
        for ord in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
            agree(nr.norm(lazy(x), ord), np.linalg.norm(x, ord), 1e-12)
            got = nr.linalg.matrix_norm(lazy(x), ord=ord, keepdims=True)
            agree(got, np.linalg.matrix_norm(x, ord=ord, keepdims=True), 1e-12)
    agree(nr.linalg.vector_norm(lazy([3, 4])), np.array(5.0))
    tall = rng.normal(size=(3, 4, 2))
    for keep in (False, True):
        got = nr.norm(lazy(tall), 2, axis=(2, 0), keepdims=keep)
        agree(got, np.linalg.norm(tall, 2, axis=(2, 0), keepdims=keep), 1e-12)
    with pytest.raises(nr.errors.UnsupportedError, match="ord=3 is not there; it has 'fro', 'nuc'"):
        nr.norm(nr.ones((2, 2)), 3)


def test_sorting() -> None:
    rng = np.random.default_rng(7)
    for x in (rng.integers(0, 5, (4, 6)), rng.normal(size=(4, 6)), rng.normal(size=7) > 0):
        for axis in range(-1, x.ndim):
            agree(nr.sort(lazy(x), axis=axis), np.sort(x, axis=axis))
            agree(nr.argsort(lazy(x), axis=axis), np.argsort(x, axis=axis, kind="stable"))
            down = np.flip(np.sort(x, axis=axis), axis)
            agree(nr.sort(lazy(x), axis=axis, descending=True), down)
            order = nr.argsort(lazy(x), axis=axis, descending=True)
            agree(nr.take_along_axis(lazy(x), order, axis=axis), down)
    stable = nr.argsort(lazy([2, 1, 2, 1]), descending=True)
    agree(stable, np.array([0, 2, 1, 3]))


def test_searching() -> None:
    line = np.array([1.0, 2.0, 2.0, 5.0])
    x = np.array([[0.0, 2.0, 9.0], [1.0, 5.0, 3.0]])
    for side in ("left", "right"):
        agree(nr.searchsorted(lazy(line), lazy(x), side=side), np.searchsorted(line, x, side=side))
    shuffled = line[[3, 1, 0, 2]]
    got = nr.searchsorted(lazy(shuffled), lazy(x), sorter=[2, 1, 3, 0])
    agree(got, np.searchsorted(line, x))
    y = np.array([[0, 3], [5, 0]])
    agree(nr.nonzero(lazy(y)), np.nonzero(y))
    agree(nr.argwhere(lazy(y)), np.argwhere(y))
    agree(nr.unique_values(lazy(y)), np.unique(y))
    agree(tuple(nr.unique_all(lazy(y))), tuple(np.unique_all(y)))
    agree(tuple(nr.unique_counts(lazy(y))), tuple(np.unique_counts(y)))
    agree(tuple(nr.unique_inverse(lazy(y))), tuple(np.unique_inverse(y)))


@pytest.mark.parametrize(
    ("mistake", "error", "said"),
    [
        (lambda x: nr.sum(x, axis=2), nr.errors.AxisError, "sum: axis is 2"),
        (lambda x: nr.sum(x, axis=(0, -2)), nr.errors.AxisError, "names an axis twice"),
        (lambda x: nr.max(nr.zeros((2, 0)), axis=1), nr.errors.ShapeError, "has no elements"),
        (lambda x: nr.argmax(nr.zeros((2, 0))), nr.errors.ShapeError, "has no elements"),
        (lambda x: nr.max(x * 1j), nr.errors.DTypeError, "x is complex128"),
        (lambda x: nr.sort(x * 1j), nr.errors.DTypeError, "x is complex128"),
        (lambda x: nr.cumulative_sum(x), nr.errors.ShapeError, "needs axis="),
        (lambda x: nr.searchsorted(x, x), nr.errors.ShapeError, "x1 is a vector"),
        (lambda x: nr.jit(nr.nonzero)(x), nr.errors.TracedValueError, "nonzero"),
        (lambda x: nr.jit(nr.unique_values)(x), nr.errors.TracedValueError, "unique_values"),
    ],
)
def test_mistakes(mistake: Callable[[Any], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        mistake(nr.ones((2, 3)))
    assert said in str(caught.value)
