"""What each way of computing a Region must hold to, where a whole-function test would not show it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import strategies
from numr.codegen.kernel import InvalidKernel


def columns_twice(x: nr.Array) -> tuple[nr.Array, nr.Array, nr.Array]:
    total = nr.sum(x, axis=0)
    return total, nr.sum(x[None], axis=(0, 1)), 2 * total


@pytest.mark.parametrize("shape", [(300, 200), (1000, 7), (8, 33, 40)])
def test_one_reduction_that_is_several_results_is_stored_in_each(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape)
    for result, factor in zip(nr.jit(columns_twice)(x), (1, 1, 2), strict=True):
        axes = 0 if result.ndim == len(shape) - 1 else (0, 1)
        expected = factor * (x.sum(0) if axes == 0 else x[None].sum((0, 1)))
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 5, 7), (2, 6, 64), (2, 2, 5, 7), (4, 1, 33)])
def test_column_sums_beside_short_axes_go_to_their_own_places(shape: tuple[int, ...]) -> None:
    """The short axes of a result are written out, so that one buffer takes several reductions."""
    x = np.random.default_rng(0).normal(size=shape)
    total, most, more = nr.jit(
        lambda x: (nr.sum(x, axis=-2), nr.max(x, axis=-2), 1 + nr.sum(x * x, axis=-2))
    )(x)
    np.testing.assert_allclose(total, x.sum(-2), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(most, x.max(-2))
    np.testing.assert_allclose(more, 1 + (x * x).sum(-2), rtol=1e-12)
    np.testing.assert_allclose(nr.jit(lambda x: nr.sum(x, axis=-2))(x), x.sum(-2), atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 3, 2), (4, 6, 7), (2, 3, 4, 5), (33, 9, 2)])
def test_axes_of_a_slice_merge_within_their_own_buffer(shape: tuple[int, ...]) -> None:
    """A slice of the middle axis walks runs of memory, but not from one run to the next."""
    x = np.random.default_rng(0).normal(size=shape)
    for key in (np.s_[:, :-1], np.s_[:, :2], np.s_[:2, :2], np.s_[:, 1:]):
        np.testing.assert_array_equal(nr.jit(lambda x, key=key: x[key])(x), x[key])
        np.testing.assert_array_equal(nr.jit(lambda x, key=key: x[key] + x[key])(x), 2 * x[key])


@pytest.mark.parametrize("shape", [(2, 2), (5, 3), (3, 5, 2)])
def test_axes_do_not_merge_in_an_operand_that_is_also_read_elsewhere(
    shape: tuple[int, ...],
) -> None:
    """A computed index into a concatenation reads the operand under a guard."""

    def f(xp: Any, x: Any) -> Any:
        wide = xp.concat([x, x], axis=0)
        return wide[xp.trunc(x).astype("int64") % wide.shape[0]]

    x = np.random.default_rng(0).integers(-24, 25, size=shape) / 8
    np.testing.assert_array_equal(nr.jit(lambda x: f(nr, x))(x), f(np, x))


@pytest.mark.parametrize("shape", [(5, 2, 5), (7, 3, 9), (33, 4, 8)])
def test_what_is_kept_in_a_results_row_is_read_before_the_row_is_written(
    shape: tuple[int, ...],
) -> None:
    """With a short axis written out there are several results of one row, each with values to keep."""
    x = np.random.default_rng(0).normal(size=shape)
    e = np.exp(np.tanh(x))
    got = nr.jit(lambda x: nr.softmax(nr.tanh(x), axis=2))(x)
    np.testing.assert_allclose(got, e / e.sum(2, keepdims=True), rtol=1e-13)


def test_a_short_sum_inside_a_scatter() -> None:
    """The scatter's loops run over axes of the same length as the sum's."""

    def f(x: nr.Array) -> nr.Array:
        return nr.sum(nr.sin(nr.sum(x[:, [0, -1, 0]], axis=1)))

    for rows in (2, 3, 5):
        x = np.random.default_rng(0).normal(size=(rows, 2))
        slope = np.cos(2 * x[:, :1] + x[:, 1:])
        got = nr.jit(nr.grad(f))(x)
        np.testing.assert_allclose(got, np.hstack([2 * slope, slope]), rtol=1e-13)


def test_a_column_sum_used_along_another_axis() -> None:
    """out[j, k] = (sum of column j) * x[k, j]: the sum is the same for every k."""
    f = nr.jit(lambda x: nr.einsum("ij,kj->jk", x, x))
    for shape in [(5, 5), (7, 9), (1, 6), (40, 33)]:
        x = np.random.default_rng(0).normal(size=shape)
        np.testing.assert_allclose(f(x), x.sum(0)[:, None] * x.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 0, 5), (0, 5, 5), (5, 5, 0), (0, 2, 9), (1, 0, 1)])
def test_reductions_beside_an_axis_of_length_0(shape: tuple[int, ...]) -> None:
    """A result without elements needs no kernel, whatever way its reductions would be computed."""
    x = np.ones(shape)
    f = nr.jit(lambda x: (nr.softmax(x, axis=2), x - nr.sum(x, axis=0), nr.sum(x, axis=1)))
    for found, axis in zip(f(x), (None, None, 1), strict=True):
        assert found.shape == (shape if axis is None else x.sum(axis).shape)
    slopes = nr.jit(nr.grad(lambda x: nr.sum(nr.softmax(nr.tanh(x), axis=0) ** 2)))(x)
    assert slopes.shape == shape


def test_a_strategy_that_forgets_a_result_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(builder, region, schedule):  # type: ignore[no-untyped-def]
        lowered = strategies.points(builder, region, schedule)
        for stage in lowered.stages:
            stage.kernel.body.clear()
        return lowered

    monkeypatch.setitem(strategies.STRATEGIES, "points", forgetful)
    with pytest.raises(InvalidKernel, match="stored by none of its kernels"):
        nr.jit(lambda x: nr.sin(x) * 0.123456789)(np.arange(3.0))


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 129, 1000])
def test_coordinates_that_every_row_reads_are_packed(count: int) -> None:
    """Two operands in short runs, one of them also read along the rows; sizes on both sides of packing."""

    def nearest(x: nr.Array, y: nr.Array) -> tuple[nr.Array, nr.Array]:
        d = x[:, None, :] - y[None, :, :]
        squared = nr.sum(d * d, axis=-1)
        return nr.min(squared, axis=1), nr.sum(d / (1 + squared[..., None]), axis=1)

    random = np.random.default_rng(count)
    x, y = random.normal(size=(count, 3)), random.normal(size=(count + 3, 3))
    d = x[:, None] - y[None]
    squared = (d * d).sum(-1)
    found = nr.jit(nearest)(x, y)
    np.testing.assert_allclose(found[0], squared.min(1), rtol=1e-13)
    np.testing.assert_allclose(found[1], (d / (1 + squared[..., None])).sum(1), rtol=1e-11)


def test_packing_is_chosen_for_many_rows_alone() -> None:
    def potential(x: nr.Array) -> nr.Array:
        d = x[:, None, :] - x[None, :, :]
        return nr.sum(1 / nr.sqrt(nr.sum(d * d, axis=-1) + 0.01))

    force = nr.jit(nr.grad(potential))
    assert len(force.lower(np.ones((200, 3))).kernels) == 2
    assert len(force.lower(np.ones((100, 3))).kernels) == 1
