"""Sparse Jacobians and Hessians: against the dense ones; patterns; how many derivatives are taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import GradientError, ShapeError

rng = np.random.default_rng(5)
X = rng.uniform(0.5, 1.5, size=7)
BAND = np.diag(np.ones(7)) + np.diag(np.ones(6), 1)


def laplace(x: Any) -> Any:
    return nr.diff(nr.diff(nr.pad(x, 1))) * nr.sin(x)


FUNCTIONS: dict[str, tuple[Any, int]] = {
    "elementwise": (lambda x: nr.exp(x) * x, 7),
    "tridiagonal": (laplace, 19),
    "shifted": (lambda x: x[1:] * x[:-1] ** 2, 12),
    "gather": (lambda x: x[np.asarray([0, 3, 3, 6])] ** 2, 4),
    "known matrix": (lambda x: nr.asarray(BAND) @ nr.tanh(x), 13),
    "sums": (lambda x: nr.sum(nr.reshape(x[:6], (3, 2)) ** 2, axis=1), 6),
    "choice": (lambda x: nr.where(x > 1.0, x[::-1], x**2), 13),
    "dense": (lambda x: nr.softmax(x), 49),
    "constant": (lambda x: nr.ones(3), 0),
    "custom rule": (lambda x: nr.checkpoint(nr.sin)(x), 7),
}


@pytest.mark.parametrize("how", ["lazy", "jit", "reference"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_the_dense_jacobian(name: str, how: str) -> None:
    f, count = FUNCTIONS[name]
    run: Any = lambda x: nr.sparse_jacobian(f)(x)
    if how != "lazy":
        run = nr.jit(run, device="reference" if how == "reference" else None)
    got = run(nr.asarray(X))
    assert len(got.rows) == count
    np.testing.assert_allclose(got.todense(), nr.jacfwd(f)(nr.asarray(X)), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "pattern",
    [BAND != 0, (np.nonzero(BAND)[0][::-1], np.nonzero(BAND)[1][::-1])],
    ids=["matrix", "places"],
)
def test_a_given_pattern(pattern: Any) -> None:
    f = lambda x: nr.asarray(BAND) @ x**2
    got = nr.sparse_jacobian(f, pattern)(nr.asarray(X))
    np.testing.assert_allclose(got.todense(), nr.jacfwd(f)(nr.asarray(X)), rtol=1e-12)


def test_hessians() -> None:
    """A chain of springs: tridiagonal; and with pairs by index."""
    pairs = np.asarray([[0, 4], [2, 6]])

    def energy(x: Any) -> Any:
        return nr.sum(nr.cos(nr.diff(x))) + nr.sum(x[pairs[:, 0]] * x[pairs[:, 1]] ** 2)

    got = nr.sparse_hessian(energy)(nr.asarray(X))
    assert len(got.rows) == 19 + 4
    np.testing.assert_allclose(
        got.todense(), nr.hessian(energy)(nr.asarray(X)), rtol=1e-12, atol=1e-14
    )


def test_a_tridiagonal_matrix_takes_three_derivatives() -> None:
    """However large: one of 20,000 unknowns has no dense Jacobian that fits beside it."""
    n = 20_000
    x = nr.asarray(np.linspace(0.0, 1.0, n))
    got = nr.sparse_jacobian(laplace)(x)
    assert len(got.rows) == 3 * n - 2
    inside = got.rows == 500
    s = np.sin(500 / (n - 1))
    np.testing.assert_allclose(got.data.numpy()[inside][[0, 2]], [s, s], rtol=1e-12)
    from numr.sparse import _coloured

    assert _coloured(got.rows, got.columns, n).max() == 2


def test_an_arrow_is_coloured_by_rows_or_columns() -> None:
    """A full row needs all columns apart: reverse mode takes 2."""
    f = lambda x: nr.concat([x**2, nr.sum(x)[None]])
    got = nr.sparse_jacobian(f)(nr.asarray(X))
    np.testing.assert_allclose(got.todense(), nr.jacrev(f)(nr.asarray(X)))


def test_refusals() -> None:
    with pytest.raises(ShapeError, match=r"the pattern has shape \(2, 2\), not \(7, 7\)"):
        nr.sparse_jacobian(nr.sin, np.eye(2))(nr.asarray(X))
    with pytest.raises(ShapeError, match=r"elements outside \(7, 7\)"):
        nr.sparse_jacobian(nr.sin, ([7], [0]))(nr.asarray(X))
    with pytest.raises(GradientError, match="it takes and returns one array, not 1 and 2"):
        nr.sparse_jacobian(lambda x: (x, x))(nr.asarray(X))
