"""Indexing and updates against NumPy: chosen expressions, and random ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import numr as nr
from tests.functions.support import agree, computed, lazy, value

X = np.arange(2 * 3 * 4 * 5, dtype=float).reshape(2, 3, 4, 5)
I = np.array([[0, 2], [1, -1]])
S = np.s_

EXPRESSIONS: list[Any] = [
    S[0],
    S[-1],
    S[1, 2, 3, 4],
    S[...],
    S[:],
    S[None],
    S[..., None],
    S[1, ..., 2],
    S[:, None, 1],
    S[1:],
    S[:, ::-1],
    S[:, ::2, 1:3],
    S[::-1, ::-2, 3:0:-1],
    S[:, 5:],
    S[:, 2:1],
    S[:, :, -100:100, ::-3],
    S[0, ..., None, 1:2],
    S[[0, 1]],
    S[[1, 0, 0], [2, 1, 0]],
    S[:, [2, 0]],
    S[:, [2, 0], [1, 3]],
    S[[1, 0], :, [1, 3]],
    S[0, :, [1, 3]],
    S[0, [1, 2]],
    S[:, 0, [1, 2]],
    S[[0, 1], ..., 0],
    S[..., [0, 4]],
    S[:, [0, 1], None, [2, 3]],
    S[None, [0, 1], 1],
    S[:, I % 3],
    S[I % 2, I, :, 1],
    S[:, I, ::-1, [0, 1]],
    S[1, :, I, 2:],
    S[np.array(1)],
    S[:, np.array(-1)],
    S[np.int64(1), np.uint8(2)],
    S[[]],
    S[:, [], [0]],
    S[[[0], [1]], [0, 1, 2]],
    S[X > 60],
    S[X[..., 0] > 60],
    S[[True, False]],
    S[:, [True, False, True]],
    S[..., np.array([True, False, True, False, True])],
    S[:, np.array([False] * 3)],
    S[[0, 1], :, :, [True, False, False, True, False]],
    # an Ellipsis of no axes separates index arrays all the same, and so does a new axis
    S[:, [0, 1], ..., 1, 2],
    S[:1, [0], ..., 0, 0],
    S[:, :, [0, 1], ..., X[0, 0, 0] > 2],
    S[:, [0, 1], None, 1],
    S[:, 0, ..., [0, 1], 1],
    S[:, np.array(1), ..., [0, 2], 1],
    S[..., :, [0, 1], 1],
    # single booleans are masks of no axes
    S[True],
    S[False],
    S[np.True_, ...],
    S[:, True, [0, 1]],
    S[:, [0, 1], True, 1],
    S[:, [0, 1], :, True],
    S[..., False, 0],
    S[np.array(True), None, X[..., 0] > 60],
    S[True, False],
]


@pytest.mark.parametrize("key", EXPRESSIONS, ids=str)
def test_getitem(key: Any) -> None:
    agree(lazy(X)[key], X[key])
    # indices that are still to be computed go another way
    unknown = _unknown(key if isinstance(key, tuple) else (key,))
    agree(lazy(X)[unknown], X[key])


def _unknown(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """A key with its index arrays still to be computed."""
    parts = [np.asarray(p) if isinstance(p, list) else p for p in key]
    return tuple(
        computed(p) if isinstance(p, np.ndarray) and p.dtype.kind in "iu" else p for p in parts
    )


@pytest.mark.parametrize("key", EXPRESSIONS, ids=str)
@pytest.mark.parametrize("mode", ["set", "add", "mul", "min", "max"])
def test_updates(key: Any, mode: str) -> None:
    new = 50 + 7 * np.arange(X[key].size, dtype=float).reshape(X[key].shape)
    for v in (new, 55.5):
        want = X.copy()
        ufuncs = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}
        if mode == "set":
            want[key] = v
        else:
            ufuncs[mode].at(want, key, v)
        agree(getattr(lazy(X).at[key], mode)(v), want)


def test_repeated_places() -> None:
    agree(nr.zeros(3).at[[0, 0, 2]].set(nr.asarray([1.0, 2.0, 3.0])), np.array([2.0, 0, 3]))
    agree(nr.zeros(3).at[[0, 0, 2]].add(1.0), np.array([2.0, 0, 1]))
    agree(nr.ones(3).at[[0, 0, 2]].mul(3.0), np.array([9.0, 1, 3]))


def test_assignment_rebinds_the_handle() -> None:
    x = nr.asarray(X)
    y = x.copy()
    x[0, 1:] = 7.0
    x[1, 2, 3] += 100.0
    want = X.copy()
    want[0, 1:] = 7.0
    want[1, 2, 3] += 100.0
    agree(x, want)
    agree(y, X)


def test_values_take_the_arrays_dtype() -> None:
    x = np.array([1, 2, 3])
    want = x.copy()
    want[1] = 5.9
    agree(lazy(x).at[1].set(5.9), want)
    agree(lazy(x).at[lazy([False, True, False])].set(5.9), want)
    with pytest.raises(nr.errors.DTypeError, match="complex values"):
        lazy(x).at[0].set(1j)


def test_masks_inside_jit() -> None:
    @nr.jit
    def f(x: nr.Array) -> nr.Array:
        x[x < 0] = 0.0
        return x.at[x > 2].mul(10.0)

    x = np.array([-1.0, 1.0, 3.0])
    np.testing.assert_allclose(np.asarray(f(x)), [0.0, 1.0, 30.0])
    with pytest.raises(nr.errors.TracedValueError, match=r"use nr\.where"):
        nr.jit(lambda x: x[x > 0])(x)


def test_mask_of_leading_axes_and_listed_values() -> None:
    mask = np.array([True, False])
    want = X.copy()
    want[mask] = np.arange(5.0)
    agree(lazy(X).at[lazy(mask)].set(np.arange(5.0)), want)
    want = X.copy()
    want[X > 110] = np.arange((X > 110).sum())
    agree(lazy(X).at[X > 110].set(np.arange((X > 110).sum(), dtype=float)), want)


def test_a_single_traced_boolean() -> None:
    x = np.array([1.0, 2.0])
    f = nr.jit(lambda x, flag: x.at[flag].set(9.0))
    agree(f(x, True), np.array([9.0, 9.0]))
    agree(f(x, False), x)
    with pytest.raises(nr.errors.TracedValueError, match=r"use nr\.where"):
        nr.jit(lambda x, flag: x[flag])(x, True)


def test_computed_indices_clamp() -> None:
    agree(lazy([1.0, 2.0, 3.0])[computed([5, -7, -1])], np.array([3.0, 1.0, 3.0]))
    agree(lazy([1.0, 2.0, 3.0])[computed(9)], np.array(3.0))


def test_take_and_its_kin() -> None:
    agree(nr.take(lazy(X), lazy(I), axis=2), np.take(X, I, axis=2))
    agree(nr.take(lazy(X), [100, 3]), np.take(X, [100, 3]))
    agree(nr.take(lazy(X), 1, axis=-1), np.take(X, 1, axis=-1))
    order = np.argsort(np.sin(X), axis=2)
    agree(nr.take_along_axis(lazy(X), lazy(order), axis=2), np.take_along_axis(X, order, axis=2))
    first = order[:1, :, :1]
    agree(nr.take_along_axis(lazy(X), lazy(first), axis=2), np.take_along_axis(X, first, axis=2))
    agree(nr.gather(lazy(X), lazy([[0, 2], [1, -1]])), X[[0, 1], [2, -1]])
    want = np.zeros((4, 2))
    np.add.at(want, [1, 3, 1], 1.5)
    agree(nr.scatter_add(nr.zeros((4, 2)), lazy([1, 3, 1]), nr.full((3, 2), 1.5)), want)


def test_segments() -> None:
    data, ids = np.arange(12.0).reshape(6, 2), np.array([0, 2, 0, -1, 3, 9])
    want = np.array([data[0] + data[2], [0, 0], data[1], data[4]])
    agree(nr.segment_sum(lazy(data), lazy(ids), 4), want)
    low = np.full(2, -np.inf)
    agree(nr.segment_max(lazy(data), lazy(ids), 4), np.array([data[2], low, data[1], data[4]]))
    agree(nr.segment_min(lazy(data), lazy(ids), 4), np.array([data[0], -low, data[1], data[4]]))
    agree(nr.segment_sum(nr.asarray([1, 2, 3]), nr.asarray([0, 1, 1])), np.array([1, 5]))


@pytest.mark.parametrize(
    ("mistake", "error", "said"),
    [
        (lambda x: x[9], IndexError, "index 9 is out of range for axis 0"),
        (lambda x: x[0, -4], IndexError, "index -4 is out of range for axis 1"),
        (lambda x: x[..., 5], IndexError, "index 5 is out of range for axis 3"),
        (lambda x: x[..., [0, 7]], IndexError, "index 7 is out of range for axis 3"),
        (lambda x: x[0, 0, 0, 0, 0], IndexError, "5 indices for an array with 4 axes"),
        (lambda x: x[..., ...], IndexError, "one '...'"),
        (lambda x: x[1.0], TypeError, "an index is an integer"),
        (lambda x: x["a"], TypeError, "an index is an integer"),
        (lambda x: x[[True]], ValueError, "the mask has shape (1,)"),
        (lambda x: x[nr.ones(2)], TypeError, "integers or booleans, not float64"),
        (lambda x: x[nr.asarray([True] * 5)], ValueError, "the mask has shape (5,)"),
        (lambda x: x[[0, 1], [0, 1, 2]], ValueError, "do not fit together"),
        (lambda x: x.at[0].set(nr.ones(3)), ValueError, "the value has shape (3,)"),
        (lambda x: nr.take(x, [True]), TypeError, "not booleans"),
        (lambda x: nr.take_along_axis(x, [0]), ValueError, "as many axes"),
    ],
)
def test_mistakes(mistake: Callable[[Any], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        mistake(nr.asarray(X))
    assert said in str(caught.value)
    assert "test_indexing.py:" in str(caught.value), "the user's line is missing"


def test_a_traced_bound_of_a_slice() -> None:
    with pytest.raises(nr.errors.TracedValueError, match="bounds of a slice"):
        nr.jit(lambda x, n: x[:n])(np.arange(3.0), 2)


# -- random expressions ---------------------------------------------------------------------------


@st.composite
def keys(draw: Any) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """A shape, and an index expression that NumPy takes for it."""
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=4)))
    lead = draw(st.sampled_from([(), (1,), (3,), (2, 3), (2, 1)]))
    parts: list[Any] = []
    used = draw(st.integers(0, len(shape)))
    dots = draw(st.integers(0, used)) if draw(st.booleans()) else None
    axes = (
        list(range(used))
        if dots is None
        else [*range(dots), *range(len(shape) - used + dots, len(shape))]
    )
    for k, axis in enumerate(axes):
        if k == dots:
            parts.append(Ellipsis)
        n = shape[axis]
        kind = draw(st.sampled_from(["int", "slice", "slice", "array", "mask", "new"]))
        if kind == "new":
            parts.append(None)
        if kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "array":
            narrowed = tuple(1 if draw(st.booleans()) else m for m in lead)
            size = int(np.prod(narrowed))
            flat = draw(st.lists(st.integers(-n, n - 1), min_size=size, max_size=size))
            parts.append(np.array(flat, np.int64).reshape(narrowed))
        elif kind == "mask" and not lead:
            parts.append(np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n))))
        else:
            bound = st.none() | st.integers(-n - 2, n + 2)
            step = draw(st.sampled_from([None, 1, 2, 3, -1, -2]))
            parts.append(slice(draw(bound), draw(bound), step))
    if dots == used:
        parts.append(Ellipsis)
    return shape, tuple(parts)


@settings(max_examples=400, deadline=None)
@given(keys())
def test_random_getitem(drawn: Any) -> None:
    shape, key = drawn
    x = np.arange(np.prod(shape), dtype=float).reshape(shape)
    try:
        want = x[key]
    except IndexError:  # masks of different counts
        return
    agree(lazy(x)[key], want)
    agree(lazy(x)[_unknown(key)], want)


@settings(max_examples=300, deadline=None)
@given(keys(), st.sampled_from(["set", "add"]), st.booleans())
def test_random_updates(drawn: Any, mode: str, one: bool) -> None:
    shape, key = drawn
    x = np.arange(np.prod(shape), dtype=float).reshape(shape)
    try:
        part = x[key]
    except IndexError:
        return
    new = np.float64(77.0) if one else 100.0 + np.arange(part.size).reshape(part.shape)
    want = x.copy()
    if mode == "set":
        places = np.arange(x.size).reshape(shape)[key].ravel()
        want.reshape(-1)[places] = np.broadcast_to(new, part.shape).ravel()  # the last one wins
    else:
        np.add.at(want, key, new)
    agree(getattr(lazy(x).at[_unknown(key)], mode)(new), want)
    y = nr.asarray(x)
    if mode == "set":
        y[key] = new
    else:
        y = y.at[key].add(new)
    assert np.array_equal(value(y), want)
