"""Sums of what was scattered, clips and lone reciprocals: the programs before and after agree where they apply,
and those that only look alike stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.ir.interpret import interpret
from numr.ir.node import Node, toposort
from numr.primitives.indexing import SCATTER
from numr.primitives.reduction import reduce_or, reduce_sum
from numr.primitives.shape import full_like
from numr.primitives.source import IOTA, leaf
from numr.rules import rewrite

R = np.random.default_rng(8)


def names(nodes: list[Node]) -> list[str]:
    return [n.prim.name for n in toposort(nodes)]


def rewritten(node: Node) -> list[str]:
    """What a node is made of after rewriting; its value is as before, up to rounding."""
    after = rewrite([], [node], False)
    (want,), (got,) = interpret([node], {}), interpret(after, {})
    np.testing.assert_allclose(got, want, rtol=1e-14)
    return names(after)


# -- sums of what was scattered --------------------------------------------------------------------

INDEX = np.array([[0, 2, 2], [-9, 1, 99]])  # twice to one place, and beyond both ends


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.complex64])
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
def test_sums_over_indexed_axes_and_others(axes: tuple[int, ...], dtype: Any) -> None:
    i, j = leaf(INDEX), leaf(INDEX[::-1].copy())
    updates = leaf((9 * R.normal(size=(2, 3, 5))).astype(dtype))
    base = full_like(leaf(np.zeros((3, 4, 5), dtype)), 0)
    total = reduce_sum(SCATTER(base, updates, i, j, mode="add"), axes=axes)
    found = rewritten_loosely(total)
    assert ("scatter" in found) == (not {0, 1} <= set(axes))


def rewritten_loosely(node: Node) -> list[str]:
    """As `rewritten`, where sums of float32 may be made in another order."""
    after = rewrite([], [node], False)
    (want,), (got,) = interpret([node], {}), interpret(after, {})
    np.testing.assert_allclose(got, want, rtol=1e-4 if want.dtype == np.complex64 else 1e-13)
    return names(after)


def test_scatters_that_stay() -> None:
    x, u = leaf(R.normal(size=(3, 4))), leaf(R.normal(size=6))
    i, j = leaf(INDEX.ravel()), leaf(INDEX.ravel()[::-1].copy())
    zeros = full_like(x, 0)
    for mode, base in (("add", x), ("set", zeros), ("max", zeros)):
        assert "scatter" in rewritten(reduce_sum(SCATTER(base, u, i, j, mode=mode), axes=(0, 1)))


def test_updates_one_after_the_other() -> None:
    # Of a length that no other test has: nodes of equal lengths are one, whichever axis these are of.
    x, u = leaf(R.normal(size=173)), leaf(R.normal(size=173))
    each, some = IOTA(shape=x.shape, axis=0), leaf(np.arange(173))
    zeros = full_like(x, 0)
    assert "scatter" not in rewritten(SCATTER(x, u, each, mode="set"))
    assert "scatter" not in rewritten(SCATTER(zeros, u, each, mode="add"))
    assert "scatter" in rewritten(SCATTER(x, u, each, mode="add"))
    assert "scatter" in rewritten(SCATTER(zeros, u, some, mode="add"))
    longer = full_like(leaf(np.zeros(177)), 0)
    assert "scatter" in rewritten(SCATTER(longer, u, each, mode="add"))


def test_marks() -> None:
    i, j = leaf(INDEX.ravel()), leaf(INDEX.ravel()[::-1].copy())
    no, yes = full_like(leaf(np.zeros((3, 4), bool)), 0), full_like(leaf(np.zeros(6, bool)), 1)
    for axes in ((0,), (1,), (0, 1)):
        marked = reduce_or(SCATTER(no, yes, i, j, mode="set"), axes=axes)
        assert ("reduce_or" in rewritten(marked)) == (axes == (0, 1))


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_cross_entropy_of_labels(rows: int) -> None:
    """The gradient against softmax minus the labels' rows of an identity."""
    z, k = R.normal(size=(rows, 5)), R.integers(-5, 5, rows)
    loss = lambda z: -nr.sum(nr.take_along_axis(nr.log_softmax(z, axis=1), k[:, None], axis=1))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(nr.jit(nr.grad(loss))(z), p - np.eye(5)[k], rtol=1e-12, atol=1e-15)


# -- clips -----------------------------------------------------------------------------------------

X = np.array([-np.inf, -3.0, -2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, np.inf, np.nan])


def operations(f: Any, *args: Any) -> str:
    return str(nr.jit(f).lower(*args).rewritten)


@pytest.mark.parametrize("c", [1.0, 2.0])
def test_a_choice_by_size_is_a_clip(c: float) -> None:
    """Every bit of it, at the ends, zeros and NaN."""
    for f in (
        lambda x: nr.where(nr.abs(x) <= c, x, c * nr.sign(x)),
        lambda x: nr.where(nr.abs(x) < c, x, nr.sign(x) * c),
        lambda x: nr.where(nr.abs(x) > c, c * nr.sign(x), x),
        lambda x: nr.where(nr.abs(x) >= c, c * nr.sign(x), x),
    ):
        assert "select" not in operations(f, X)
        got, want = np.asarray(nr.jit(f)(X)), np.clip(X, -c, c)
        np.testing.assert_array_equal(got, want)
        np.testing.assert_array_equal(np.signbit(got[:-1]), np.signbit(want[:-1]))


def test_what_only_looks_like_a_clip() -> None:
    for f in (
        lambda x: nr.where(nr.abs(x) <= -1.0, x, -1.0 * nr.sign(x)),
        lambda x: nr.where(nr.abs(x) <= 1.0, x, 2.0 * nr.sign(x)),
        lambda x: nr.where(nr.abs(x) <= 2.0, 2.0 * nr.sign(x), x),
        lambda x: nr.where(nr.abs(x) <= 1.0, x, nr.sign(x + 1.0)),
        lambda x: nr.where(nr.abs(x + 1.0) <= 1.0, x, nr.sign(x)),
    ):
        assert "select" in operations(f, X)


# -- reciprocals -----------------------------------------------------------------------------------


def test_a_lone_reciprocal_is_a_division() -> None:
    x, y = R.normal(size=9), R.normal(size=9)
    text = operations(lambda x, y: x * (1.0 / y), x, y)
    assert "mul" not in text and text.count("= div") == 1
    np.testing.assert_array_equal(nr.jit(lambda x, y: x * (1.0 / y))(x, y), x / y)


def test_reciprocals_that_stay() -> None:
    x, y, s = R.normal(size=9), R.normal(size=9), 3.0
    for f in (
        lambda x, y, s: x * (1.0 / y) + 1.0 / y,
        lambda x, y, s: (x * (1.0 / y), 1.0 / y),
        lambda x, y, s: x * (1.0 / s),  # one division, not one for each element
    ):
        text = operations(f, x, y, s)
        assert text.count("= div") == 1 and "= mul" in text


def test_a_sign_leaves_a_sum() -> None:
    assert operations(lambda x: nr.sum(-nr.exp(x)), X).splitlines()[-2].split()[2] == "neg"
    y = np.ones((4, 3))
    for f in (
        lambda x, y: y + (-x)[:, None],
        lambda x, y: y - (-x)[:, None] * y,
        lambda x, y: (-x)[:, None] * y + y,
    ):
        x = R.normal(size=4)
        assert "neg" not in operations(f, x, y)
        np.testing.assert_array_equal(nr.jit(f)(x, y), f(nr.asarray(x), nr.asarray(y)))
