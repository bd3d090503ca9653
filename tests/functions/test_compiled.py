"""Functions as compiled, against NumPy: layouts, empty axes and complex updates that kernels must get right.

Most tests of functions take the interpreter's values; these read arrays, so the compiled backend runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr


def agree(got: Any, want: Any) -> None:
    got = np.asarray(got)
    assert got.dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-13)


def test_a_product_of_permuted_arrays_feeds_a_kernel() -> None:
    """NumPy lays such a product out as its operands are; the next kernel reads it as rows."""
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))

    def gram(m: Any) -> Any:
        return m @ nr.matrix_transpose(m)

    want = np.stack([m @ np.swapaxes(m, 1, 2) for m in np.moveaxis(x, -1, 0)], -1)
    for f in (nr.vmap(gram, in_axes=-1, out_axes=-1), nr.jit(nr.vmap(gram, -1, -1))):
        agree(f(x), want)
    agree(nr.vmap(gram, in_axes=-1)(x) + 1.0, np.moveaxis(want, -1, 0) + 1.0)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 20), (20, 0), (2, 0, 3)])
@pytest.mark.parametrize("axis", [0, 1, -1, (0, 1), None])
@pytest.mark.parametrize("name", ["sum", "prod", "any", "all", "mean", "var"])
def test_reductions_of_empty_arrays(name: str, axis: Any, shape: tuple[int, ...]) -> None:
    x = np.ones(shape)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # NumPy warns of a mean of nothing
        want = getattr(np, name)(x, axis=axis)
    agree(getattr(nr, name)(x, axis=axis), want)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_extremes_of_empty_arrays(name: str, axis: int, shape: tuple[int, int]) -> None:
    """Over an axis that is there the result is empty; over an empty one there is none."""
    if shape[axis] == 0:
        with pytest.raises(ValueError, match="empty"):
            getattr(nr, name)(np.ones(shape), axis=axis).numpy()
    else:
        agree(getattr(nr, name)(np.ones(shape), axis=axis), getattr(np, name)(np.ones(shape), axis))


@pytest.mark.parametrize(("shapes", "axis"), [(((0, 0), (0, 3)), 1), (((0,), (0,)), 0)])
def test_nothing_joined_to_nothing(shapes: Any, axis: int) -> None:
    parts = [nr.asarray(np.ones(s)) for s in shapes]
    agree(nr.concat(parts, axis=axis), np.concatenate([np.ones(s) for s in shapes], axis=axis))


COMPLEX = np.array([1 + 2j, 3 - 1j, 2j, -1.5])


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("jit", [False, True])
def test_complex_updates(jit: bool, dtype: str) -> None:
    z, i = COMPLEX.astype(dtype), np.array([0, 2, 2])
    v = np.array([1j, 2 - 1j, 3], dtype)

    def of(f: Callable[..., Any]) -> Any:
        return (nr.jit(f) if jit else f)(nr.asarray(z), nr.asarray(v))

    added, placed = z.copy(), z.copy()
    np.add.at(added, i, v)
    placed[[0, 2]] = v[1:]
    agree(of(lambda z, v: z.at[i].add(v)), added)
    agree(of(lambda z, v: z.at[nr.asarray([0, 2])].set(v[1:])), placed)
    agree(of(lambda z, v: nr.segment_sum(v, i, 4)), np.array([1j, 0, 5 - 1j, 0], dtype))


def test_gradient_of_gathered_complex_values() -> None:
    gradient = nr.grad(lambda z: nr.sum(nr.abs(z[nr.asarray([0, 0])]) ** 2))(COMPLEX)
    agree(gradient, np.array([4 * np.conj(COMPLEX[0]), 0, 0, 0]))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda z: z.at[[0, 1]].max(1j),
        lambda z: z.at[0].min(1j),
        lambda z: z.at[[0, 0]].mul(1j),
        lambda z: nr.segment_max(z, np.array([0, 0, 1, 1]), 2),
    ],
)
def test_updates_that_complex_numbers_do_not_have(mistake: Callable[[Any], Any]) -> None:
    with pytest.raises(nr.errors.DTypeError, match="complex128"):
        mistake(nr.asarray(COMPLEX))
