"""Random index expressions, basic and advanced: reading and updating, against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import numr as nr

SETTINGS = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@st.composite
def shapes(draw: Any) -> tuple[int, ...]:
    return tuple(draw(st.lists(st.integers(0, 5), min_size=0, max_size=4)))


@st.composite
def slices(draw: Any, n: int) -> slice:
    ends = st.none() | st.integers(-n - 2, n + 2)
    step = draw(st.sampled_from([None, 1, 2, 3, -1, -2]))
    return slice(draw(ends), draw(ends), step)


@st.composite
def index_arrays(draw: Any, n: int, shape: tuple[int, ...]) -> Any:
    size = int(np.prod(shape, dtype=int))
    values = draw(st.lists(st.integers(-n, n - 1), min_size=size, max_size=size))
    return np.array(values, draw(st.sampled_from(["int64", "int32"]))).reshape(shape)


@st.composite
def indexed(draw: Any) -> tuple[tuple[int, ...], Any]:
    """A shape and an index expression that NumPy takes for it."""
    shape = draw(shapes())
    advanced = draw(st.sampled_from([(), (2,), (3,), (2, 3), (1,), (2, 1)]))
    parts: list[Any] = []
    axis = 0
    ellipsis_at = draw(st.integers(0, 2 * len(shape) + 1))
    while axis < len(shape) and draw(st.integers(0, 5)):
        n = shape[axis]
        kinds = ["slice", "none"]
        kinds += ["int", "array", "array"] if n else []
        kinds += ["mask"] if axis + 1 <= len(shape) else []
        kind = draw(st.sampled_from(kinds))
        if kind == "none":
            parts.append(None)
            continue
        if kind == "slice":
            parts.append(draw(slices(n)))
        elif kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "array":
            parts.append(draw(index_arrays(n, advanced)))
        else:
            width = draw(st.integers(1, min(2, len(shape) - axis)))
            wide = shape[axis : axis + width]
            size = int(np.prod(wide, dtype=int))
            bits = draw(st.lists(st.booleans(), min_size=size, max_size=size))
            parts.append(np.array(bits, bool).reshape(wide))
            axis += width - 1
        axis += 1
    if ellipsis_at <= len(parts):
        taken = sum(
            p.ndim if isinstance(p, np.ndarray) and p.dtype == bool else p is not None
            for p in parts[ellipsis_at:]
        )
        before = sum(
            p.ndim if isinstance(p, np.ndarray) and p.dtype == bool else p is not None
            for p in parts[:ellipsis_at]
        )
        if taken == 0 or before + taken == len(shape):
            parts.insert(ellipsis_at, Ellipsis)
    key: Any = tuple(parts)
    if len(key) == 1 and draw(st.booleans()):
        (key,) = key
    return shape, key


def numpy_takes(x: Any, key: Any) -> bool:
    try:
        x[key]
    except IndexError:
        return False
    return True


def masked(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(p, np.ndarray) and p.dtype == bool for p in parts)


@SETTINGS
@given(indexed())
def test_reading(case: tuple[tuple[int, ...], Any]) -> None:
    shape, key = case
    x = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    if not numpy_takes(x, key):
        return
    want = x[key]
    got = np.asarray(nr.asarray(x)[key])
    assert got.shape == want.shape
    np.testing.assert_array_equal(got, want)


@SETTINGS
@given(indexed(), st.sampled_from(["set", "add"]), st.booleans())
def test_updating(case: tuple[tuple[int, ...], Any], mode: str, scalar: bool) -> None:
    shape, key = case
    x = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    if not numpy_takes(x, key):
        return
    picked = x[key]
    value: Any = 7.5 if scalar else -1.0 - np.arange(float(picked.size)).reshape(picked.shape)
    places = np.arange(x.size).reshape(shape)[key]
    want = x.copy()
    if mode == "add":
        np.add.at(want, key, value)
    elif np.unique(places).size < places.size:
        # NumPy does not say which of repeated assignments wins; here the last one does.
        for place, v in zip(
            places.ravel(), np.broadcast_to(value, picked.shape).ravel(), strict=True
        ):
            want.ravel()[place] = v
    else:
        want[key] = value
    got = np.asarray(getattr(nr.asarray(x).at[key], mode)(value))
    np.testing.assert_array_equal(got, want)
    if mode == "set":
        y = nr.asarray(x)
        y[key] = value
        np.testing.assert_array_equal(np.asarray(y), want)


@settings(SETTINGS, max_examples=50)
@given(indexed())
def test_gradients(case: tuple[tuple[int, ...], Any]) -> None:
    """The gradient of reading adds into what was read; of adding, it reads."""
    shape, key = case
    x = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    if not numpy_takes(x, key):
        return
    weights = 1.0 + np.arange(float(x[key].size)).reshape(x[key].shape)
    want = np.zeros(shape)
    np.add.at(want, key, weights)
    got = nr.grad(lambda x: nr.sum(x[key] * weights))(nr.asarray(x))
    np.testing.assert_array_equal(np.asarray(got), want)
    outer = 1.0 + np.arange(float(x.size)).reshape(shape)
    for mode in ("add", "set"):
        got = nr.grad(lambda v, mode=mode: nr.sum(getattr(nr.asarray(x).at[key], mode)(v) * outer))(
            nr.asarray(weights)
        )
        places = np.arange(x.size).reshape(shape)[key]
        last = np.ones(places.shape)
        if mode == "set" and places.size:
            flat = places.ravel()
            winners = {p: k for k, p in enumerate(flat)}
            last = np.array([winners[p] == k for k, p in enumerate(flat)], float).reshape(
                places.shape
            )
        np.testing.assert_array_equal(np.asarray(got), outer[key] * last)


@settings(SETTINGS, max_examples=40)
@given(indexed())
def test_through_jit(case: tuple[tuple[int, ...], Any]) -> None:
    shape, key = case
    x = np.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    if not numpy_takes(x, key) or masked(key):
        return
    parts = key if isinstance(key, tuple) else (key,)
    arrays = [p for p in parts if isinstance(p, np.ndarray)]

    def f(x: Any, *indices: Any) -> Any:
        queue = iter(indices)
        traced = tuple(next(queue) if isinstance(p, np.ndarray) else p for p in parts)
        return x[traced], x.at[traced].add(1.0)

    read, added = nr.jit(f)(x, *arrays)
    want = x.copy()
    np.add.at(want, key, 1.0)
    np.testing.assert_array_equal(np.asarray(read), x[key])
    np.testing.assert_array_equal(np.asarray(added), want)
