"""Sparse Jacobians and Hessians: against the dense ones; patterns; how many derivatives are taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr import colouring, sparse
from numr.autodiff import _Linearized
from numr.errors import GradientError, ShapeError
from numr.ir.transforms import sparsity
from numr.sparse import _found

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
    "nothing moves": (lambda x: nr.stop_gradient(x) + nr.floor(x), 0),
    "lines": (lambda x: nr.cumsum(nr.reshape(x[:6], (2, 3)), axis=1).ravel(), 12),
    "backwards": (lambda x: nr.cumprod(x[::-1])[::-1], 28),
    "windows": (lambda x: nr.conv1d(x[None], nr.ones((1, 1, 3)))[0], 15),
    "adjoint of windows": (nr.grad(lambda x: nr.sum(nr.unfold(x, 0, 3, 2).sum(1) ** 2)), 25),
    "updates": (lambda x: (x**2).at[np.asarray([1, 4, 4])].set(x[:3] ** 3), 7),
    "complex": (lambda x: nr.real(nr.exp(1j * x)), 7),
    "matrices": (lambda x: nr.linalg.det(nr.reshape(x[np.arange(8) % 7], (2, 2, 2))), 8),
    "straight through": (lambda x: straight_through(x), 7),
}


@nr.custom_vjp
def straight_through(x: Any) -> Any:
    """The pattern is that of the rule, which the function itself has not."""
    return nr.floor(x)


straight_through.defvjp(lambda x: (nr.floor(x), None), lambda _, ct: (ct,))

# Through loops and branches: what is carried, rows, counters that are indices, both of a choice.
LOOPS: dict[str, tuple[Any, int]] = {
    "scan of elements": (lambda x: nr.scan(lambda c, _: (nr.sin(c) * c, None), x, length=4)[0], 7),
    "fori_loop with its counter": (lambda x: nr.fori_loop(0, 4, lambda i, c: c * i + x, x), 7),
    "a counter as an index": (
        lambda x: nr.fori_loop(0, 3, lambda i, c: c.at[i].set(x[i + 1] * c[i] + x[0]), x),
        12,
    ),
    "rows": (lambda x: nr.scan(lambda c, r: (r, c * r), 0.5, x)[1], 13),
    "rows backwards": (lambda x: nr.scan(lambda c, r: (r, c * r), 0.5, x, reverse=True)[1], 13),
    "sums": (lambda x: nr.scan(lambda c, r: (c + r, c + r), 0.0, x)[1], 28),
    "two steps of heat": (
        lambda x: nr.fori_loop(0, 2, lambda i, c: c + nr.diff(nr.pad(c, 1), n=2) / 8, x),
        29,
    ),
    "no step": (lambda x: nr.fori_loop(0, 0, lambda i, c: c[::-1], x), 7),
    "while_loop": (
        lambda x: nr.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, nr.sin(c[1])), (0, x))[1],
        7,
    ),
    "while_loop with max_steps": (
        lambda x: nr.while_loop(lambda c: c[0] < 0.9, nr.sqrt, x, max_steps=3),
        7,
    ),
    "cond": (lambda x: nr.cond(x[0] > 9.0, nr.sin, lambda x: x**2, x), 7),
    "gradient of a loop": (
        nr.grad(lambda x: nr.sum(nr.scan(lambda c, _: (nr.sin(c) * x, None), x, length=3)[0])),
        7,
    ),
    "a loop in a loop": (
        lambda x: nr.fori_loop(
            0, 2, lambda i, c: nr.scan(lambda d, r: (d, d + r * c[i]), 0.0, c)[1], x
        ),
        19,
    ),
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


@pytest.mark.parametrize("name", LOOPS)
def test_through_loops_and_branches(name: str) -> None:
    f, count = LOOPS[name]
    got = nr.jit(lambda x: nr.sparse_jacobian(f)(x))(X)
    assert len(got.rows) == count
    np.testing.assert_allclose(got.todense(), nr.jacfwd(f)(nr.asarray(X)), rtol=1e-12, atol=1e-14)


def test_a_pattern_is_that_of_any_point() -> None:
    """What is carried where depends on values: known or not, they do not narrow the pattern."""
    f = lambda x: nr.where(x > 1.0, x[nr.argsort(x)], 0.0)
    assert len(nr.sparse_jacobian(f)(nr.asarray(X)).rows) == 49
    branches = lambda x: nr.cond(x[0] > 0.0, lambda x: x[::-1], nr.sin, x)
    assert len(nr.sparse_jacobian(branches)(nr.asarray(X)).rows) == 13
    # One that does not depend on the argument does.
    assert len(nr.sparse_jacobian(lambda x: x[nr.argsort(nr.asarray(X))])(nr.asarray(X)).rows) == 7


def test_a_long_loop_of_elements_is_settled_after_one_step() -> None:
    steps = lambda x: nr.fori_loop(0, 10**6, lambda i, c: nr.sin(c) * (i + 1), x)
    walked: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        inner = sparsity._of_body
        patch.setattr(sparsity, "_of_body", lambda *args: (walked.append(1), inner(*args))[1])
        run = _Linearized("sparse_jacobian", steps, 0, (nr.asarray(X),), {}, False)
        rows, columns = _found(run)
    np.testing.assert_array_equal(rows, columns)
    assert len(rows) == 7
    assert len(walked) <= 3


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


def test_a_hessian_pattern_of_one_triangle() -> None:
    f = lambda x: nr.sum(x**4) + x[0] * x[3] ** 2
    got = nr.sparse_hessian(f, (np.r_[np.arange(7), 3], np.r_[np.arange(7), 0]))(nr.asarray(X))
    assert len(got.rows) == 9
    np.testing.assert_allclose(got.todense(), nr.hessian(f)(nr.asarray(X)), rtol=1e-12)


def derivatives_taken(run: Any) -> tuple[int, bool]:
    """How many derivatives a sparse Jacobian takes, and whether in forward mode."""
    with pytest.MonkeyPatch.context() as patch:
        taken: list[tuple[int, bool]] = []
        sums = sparse._sums

        def counted(run: Any, colours: Any, forward: bool) -> Any:
            taken.append((int(colours.max()) + 1, forward))
            found = sums(run, colours, forward)
            assert found is None or found.shape[0] == taken[-1][0]
            return found

        patch.setattr(sparse, "_sums", counted)
        run(nr.asarray(np.linspace(0.5, 1.5, 30)))
    (found,) = taken
    return found


def coupled(width: int) -> Any:
    """An energy in which each variable meets `width` on each side of it."""
    return lambda x: sum(nr.sum(nr.sin(x[k:] * x[: len(x) - k])) for k in range(1, width + 1))


HESSIANS: dict[str, tuple[Any, int]] = {
    # Coleman and More: a symmetric band of 2 b + 1 diagonals takes 2 b + 1 products that are read directly.
    "diagonal": (lambda x: nr.sum(x**3), 1),
    "tridiagonal": (coupled(1), 3),
    "five diagonals": (coupled(2), 5),
    "seven diagonals": (coupled(3), 7),
    # A star has a star colouring of 2, with any number of rays.
    "arrow": (lambda x: nr.sum(x[0] * x**2), 2),
    "arrow, last": (lambda x: nr.sum(x[-1] * nr.exp(x)), 2),
    # Each variable that meets all others takes one more.
    "bordered": (lambda x: coupled(1)(x[:-2]) + nr.sum(x[-1] * x[-2] * x**2), 5),
    "dense": (lambda x: nr.sum(x) ** 3, 30),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_a_hessian_takes_as_many_products_as_theory_says(name: str) -> None:
    f, count = HESSIANS[name]
    assert derivatives_taken(nr.sparse_hessian(f)) == (count, True)
    x = nr.asarray(np.linspace(0.5, 1.5, 30))
    np.testing.assert_allclose(
        nr.sparse_hessian(f)(x).todense(), nr.hessian(f)(x), rtol=1e-9, atol=1e-11
    )


def test_a_jacobian_takes_the_mode_of_fewer_colours() -> None:
    """A full row needs all columns apart, a full column all rows."""
    row = lambda x: nr.concat([x**2, nr.sum(x)[None]])
    column = lambda x: x[0] * x**2
    assert derivatives_taken(nr.sparse_jacobian(row)) == (2, False)
    assert derivatives_taken(nr.sparse_jacobian(column)) == (2, True)
    assert derivatives_taken(nr.sparse_jacobian(laplace)) == (3, True)
    assert derivatives_taken(nr.sparse_jacobian(lambda x: x[:1] * x[1:])) == (2, True)
    for f in (row, column):
        got = nr.sparse_jacobian(f)(nr.asarray(X))
        np.testing.assert_allclose(got.todense(), nr.jacrev(f)(nr.asarray(X)))


def test_a_tridiagonal_matrix_takes_three_derivatives() -> None:
    """However large: one of 20,000 unknowns has no dense Jacobian that fits beside it."""
    n = 20_000
    x = nr.asarray(np.linspace(0.0, 1.0, n))
    got = nr.sparse_jacobian(laplace)(x)
    assert len(got.rows) == 3 * n - 2
    inside = got.rows == 500
    s = np.sin(500 / (n - 1))
    np.testing.assert_allclose(got.data.numpy()[inside][[0, 2]], [s, s], rtol=1e-12)
    assert colouring.apart(got.rows, got.columns, n).max() == 2


def symmetric(density: float, count: int) -> Any:
    found = rng.random((count, count)) < density
    return found | found.T | np.eye(count, dtype=bool)


@pytest.mark.parametrize("density", [0.03, 0.1, 0.3])
def test_colourings_hold_and_are_read_back(density: float) -> None:
    for count in (1, 2, 9, 30):
        places = symmetric(density, count)
        rows, columns = np.nonzero(places)
        matrix = np.where(places, rng.integers(1, 99, places.shape), 0)
        matrix = matrix + matrix.T
        star, apart = (f(rows, columns, count) for f in (colouring.star, colouring.apart))
        for colours in (star, apart):
            each = np.arange(colours.max() + 1)[:, None] == colours
            sums = each.astype(int) @ matrix
            found = sums[colouring.read(rows, columns, colours)]
            np.testing.assert_array_equal(found, matrix[rows, columns])
        # No path over four columns has two colours only.
        other = places & ~np.eye(count, dtype=bool)
        for v, w in zip(*np.nonzero(other), strict=True):
            assert star[v] != star[w]
            for x in np.nonzero(other[w] & (star == star[v]))[0]:
                ends = other[x] & (star == star[w])
                assert x == v or ends.sum() == 1


def test_refusals() -> None:
    with pytest.raises(ShapeError, match=r"the pattern has shape \(2, 2\), not \(7, 7\)"):
        nr.sparse_jacobian(nr.sin, np.eye(2))(nr.asarray(X))
    with pytest.raises(ShapeError, match=r"elements outside \(7, 7\)"):
        nr.sparse_jacobian(nr.sin, ([7], [0]))(nr.asarray(X))
    with pytest.raises(GradientError, match="it takes and returns one array, not 1 and 2"):
        nr.sparse_jacobian(lambda x: (x, x))(nr.asarray(X))
    with pytest.raises(ShapeError, match=r"numr\.sparse_hessian of .*shape \(2, 2\), not \(7, 7\)"):
        nr.sparse_hessian(lambda x: nr.sum(x**2), np.eye(2))(nr.asarray(X))
    with pytest.raises(GradientError, match=r"numr\.sparse_hessian of .*one array, not 2 and 2"):
        nr.sparse_hessian(lambda p: p[0] * p[1])((1.0, 2.0))
