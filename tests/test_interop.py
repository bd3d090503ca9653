"""Arrays among others: NumPy's functions and operators, DLPack, the array API namespace, and how they print."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr

N = np.array([2.0, 3.0])


def both(f: Callable[..., Any]) -> tuple[Any, Any]:
    """f with a numr array, and with the same values in NumPy."""
    values = np.array([1.0, 4.0])
    return f(nr.asarray(values)), f(values)


@pytest.mark.parametrize(
    "f",
    [np.exp, np.absolute, np.isnan, np.logical_not]
    + [lambda x, f=f: f(N, x) for f in (np.add, np.arctan2, np.maximum, np.power, np.greater)]
    + [lambda x, f=f: f(N, x) for f in (operator.add, operator.pow, operator.lt, operator.matmul)]
    + [lambda x: np.float64(2) * x, lambda x: np.float32(2) ** x, lambda x: np.sum(np.sin(x))],
)
def test_numpys_functions_are_numrs(f: Callable[..., Any]) -> None:
    got, want = both(f)
    assert type(got) is nr.Array
    np.testing.assert_allclose(got, want, rtol=1e-15)
    assert np.asarray(got).dtype == np.asarray(want).dtype
    np.testing.assert_allclose(nr.jit(f)(np.array([1.0, 4.0])), want, rtol=1e-15)


def test_numpys_functions_have_derivatives() -> None:
    slope = nr.grad(lambda x: np.sum(np.sin(x)))(N)
    np.testing.assert_allclose(slope, np.cos(N), rtol=1e-15)


@pytest.mark.parametrize(
    "f", [np.spacing, lambda x: np.modf(x)[1], np.add.reduce, lambda x: np.multiply.outer(N, x)]
)
def test_what_numr_lacks_numpy_computes(f: Callable[..., Any]) -> None:
    got, want = both(f)
    assert type(got) is not nr.Array
    np.testing.assert_array_equal(got, want)


def test_into_numpys_arrays() -> None:
    def into(x: Any) -> Any:
        target = N.copy()
        target += x
        assert type(target) is np.ndarray
        return np.multiply(target, x, out=target)

    np.testing.assert_array_equal(*both(into))
    with pytest.raises(TypeError, match="out="):
        np.exp(N, out=nr.ones(2))


def test_a_traced_value_is_not_numpys() -> None:
    with pytest.raises(nr.errors.TracedValueError):
        nr.jit(lambda x: np.spacing(x))(N)


@pytest.mark.parametrize("value", [7.5, -7.5, 6.0])
def test_numbers(value: float) -> None:
    x = nr.asarray(value)
    assert [float(v) for v in divmod(x, 2)] == list(divmod(value, 2))
    assert [float(v) for v in divmod(20.0, x)] == list(divmod(20.0, value))
    assert (math.floor(x), math.ceil(x), math.trunc(x)) == (
        math.floor(value),
        math.ceil(value),
        math.trunc(value),
    )
    assert type(math.floor(x)) is int


def test_dlpack_does_not_hand_out_memory_to_write_to() -> None:
    x = nr.asarray(N)
    view = np.from_dlpack(x)
    np.testing.assert_array_equal(view, N)
    assert not view.flags.writeable
    copy = np.from_dlpack(x, copy=True)
    copy[0] = 99.0
    np.testing.assert_array_equal(x, N)

    class Old:
        """A consumer from before DLPack 1.0."""

        __dlpack_device__ = x.__dlpack_device__
        __dlpack__ = staticmethod(lambda **_: x.__dlpack__())

    old = np.from_dlpack(Old())
    assert not np.shares_memory(old, np.asarray(x))
    with pytest.raises(BufferError, match="read-only"):
        x.__dlpack__(copy=False)


def test_namespace_versions() -> None:
    for version in (None, "2022.12", "2023.12", "2024.12"):
        assert nr.ones(2).__array_namespace__(api_version=version) is nr
    with pytest.raises(ValueError, match="2030"):
        nr.ones(2).__array_namespace__(api_version="2030.12")


def test_an_empty_array_shows_its_shape() -> None:
    assert repr(nr.zeros((0,))) == "numr.Array([])"
    assert repr(nr.zeros((0, 3))) == "numr.Array([], shape=(0, 3))"
    assert repr(nr.zeros((2, 0), dtype=nr.int8)) == "numr.Array([], shape=(2, 0), dtype=int8)"


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint64", "int64"])
@pytest.mark.parametrize("number", [-1, 300, 2**64, -(2**63) - 1])
@pytest.mark.parametrize("compare", [operator.lt, operator.ge, operator.eq, operator.ne])
def test_comparing_with_numbers_out_of_range(dtype: str, number: int, compare: Any) -> None:
    """As in NumPy, and as in mathematics: they are compared, not converted."""
    x = np.array([0, 1, 100], dtype)
    want = [compare(int(v), number) for v in x]
    assert compare(nr.asarray(x), number).tolist() == want
    assert compare(number, nr.asarray(x)).tolist() == [compare(number, int(v)) for v in x]
    assert nr.jit(lambda x: compare(x, number))(x).tolist() == want
