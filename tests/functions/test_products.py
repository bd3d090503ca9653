"""Products and linear algebra against NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg as sl
from hypothesis import given, settings
from hypothesis import strategies as st

import numr as nr
from numr.ir.node import toposort
from tests.functions.support import agree, computed, lazy, value

RNG = np.random.default_rng(11)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 4)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((6, 1, 2, 3), (5, 3, 4)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 4)),
        ((2, 0), (0, 4)),
        ((0, 3), (3, 4)),
    ],
)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "complex128"])
def test_matmul(left: Any, right: Any, dtype: str) -> None:
    x, y = (RNG.integers(-5, 6, s).astype(dtype) for s in (left, right))
    agree(nr.matmul(lazy(x), lazy(y)), x @ y)
    agree(lazy(x) @ y, x @ y)
    agree(x @ lazy(y), x @ y)


def test_products_promote() -> None:
    x, y = np.ones((2, 2), np.float32), np.ones((2, 2))
    agree(lazy(x) @ lazy(y), x @ y)
    agree(nr.dot(2, lazy(x)), x * np.float32(2))
    agree(nr.dot(lazy([1.0, 2.0]), lazy([3.0, 4.0])), np.array(11.0))


def test_vecdot_and_outer() -> None:
    x, y = (RNG.normal(size=s) + 1j * RNG.normal(size=s) for s in ((4, 3), (2, 1, 3)))
    agree(nr.vecdot(lazy(x), lazy(y)), np.vecdot(x, y), 1e-12)
    z = RNG.normal(size=(3, 4))
    agree(nr.vecdot(lazy(z), lazy(z), axis=-2), np.vecdot(z, z, axis=-2), 1e-12)
    agree(nr.outer(lazy([1, 2]), lazy([3, 4, 5])), np.outer([1, 2], [3, 4, 5]))
    a, b = RNG.normal(size=(2, 4, 3)), RNG.normal(size=(4, 3))
    agree(nr.linalg.cross(lazy(a), lazy(b)), np.cross(a, b), 1e-12)
    agree(
        nr.linalg.cross(lazy(a[..., :3, :]), lazy(b[:3]), axis=-2),
        np.cross(a[..., :3, :], b[None, :3], axis=-2),
        1e-12,
    )


@pytest.mark.parametrize("axes", [0, 1, 2, ((1, 0), (0, 1)), ((-1,), (1,)), (2, 1)])
def test_tensordot(axes: Any) -> None:
    x, y = RNG.normal(size=(3, 4, 4)), RNG.normal(size=(4, 4, 3))
    if axes == ((1, 0), (0, 1)):
        x = RNG.normal(size=(4, 4, 3))
    agree(nr.tensordot(lazy(x), lazy(y), axes), np.tensordot(x, y, axes), 1e-12)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("i->", [(4,)]),
        ("ij->ji", [(2, 3)]),
        ("ij->i", [(2, 3)]),
        ("ii", [(3, 3)]),
        ("ii->i", [(3, 3)]),
        ("iij->j", [(3, 3, 2)]),
        ("iii->i", [(2, 2, 2)]),
        ("i,i", [(4,), (4,)]),
        ("i,j", [(2,), (3,)]),
        ("i,j->ji", [(2,), (3,)]),
        ("ij,jk", [(2, 3), (3, 4)]),
        ("ij,kj->ki", [(2, 3), (4, 3)]),
        ("ij,ij->", [(2, 3), (2, 3)]),
        ("ij,ij->i", [(2, 3), (2, 3)]),
        ("bij,bjk->bik", [(5, 2, 3), (5, 3, 4)]),
        ("bij,bj->bi", [(5, 2, 3), (5, 3)]),
        ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
        ("...ij,...jk->...ik", [(5, 2, 3), (3, 4)]),
        ("...i,i...->...", [(2, 3), (3, 2)]),
        ("i...->...", [(3, 2, 4)]),
        ("...ij->...", [(5, 2, 3)]),
        ("ij,jk,kl->il", [(2, 9), (9, 3), (3, 4)]),
        ("i,j,k->ijk", [(2,), (3,), (4,)]),
        ("ij,jk,ik->", [(2, 3), (3, 4), (2, 4)]),
        ("abc,cd,dea->be", [(2, 3, 4), (4, 5), (5, 6, 2)]),
        ("ij,k->i", [(2, 3), (4,)]),
        ("ab,cd,ef->", [(2, 3), (2, 3), (2, 2)]),
        ("ij,jk->ik", [(2, 1), (3, 4)]),
        (" i j , j -> i ", [(2, 3), (3,)]),
        ("ij,jk->ik", [(2, 0), (0, 4)]),
        (",i->i", [(), (3,)]),
    ],
)
def test_einsum(subscripts: str, shapes: Any) -> None:
    xs = [RNG.normal(size=s) for s in shapes]
    agree(nr.einsum(subscripts, *map(lazy, xs)), np.einsum(subscripts, *xs), 1e-12, 1e-14)


@st.composite
def contractions(draw: Any) -> tuple[str, list[tuple[int, ...]]]:
    letters = "abcde"
    lengths = {c: draw(st.integers(1, 4)) for c in letters}
    terms = draw(st.lists(st.text(letters, min_size=0, max_size=4), min_size=1, max_size=4))
    used = sorted(set("".join(terms)))
    result = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
    return ",".join(terms) + "->" + result, [tuple(lengths[c] for c in t) for t in terms]


@settings(max_examples=200, deadline=None)
@given(contractions())
def test_random_einsum(drawn: Any) -> None:
    subscripts, shapes = drawn
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=s) for s in shapes]
    agree(nr.einsum(subscripts, *map(lazy, xs)), np.einsum(subscripts, *xs), 1e-11, 1e-12)


def test_einsum_forms_no_large_product() -> None:
    x = lazy(np.ones((30, 40)))
    out = nr.einsum("ij,jk,kl->il", x, nr.matrix_transpose(x), x)
    assert max(np.prod(n.shape) for n in toposort([out.node]) if n.shape) <= 1600


def _definite(n: int, *lead: int) -> Any:
    a = RNG.normal(size=(*lead, n, n))
    return a @ np.swapaxes(a, -1, -2) + n * np.eye(n)


def test_factorisations_and_equations() -> None:
    a, b = _definite(4, 2), RNG.normal(size=(2, 4, 3))
    agree(nr.cholesky(lazy(a)), np.linalg.cholesky(a), 1e-12)
    agree(nr.cholesky(lazy(a), upper=True), np.linalg.cholesky(a, upper=True), 1e-12)
    agree(nr.solve(lazy(a), lazy(b)), np.linalg.solve(a, b), 1e-11)
    agree(nr.solve(lazy(a), lazy(b[0])), np.linalg.solve(a, b[:1]), 1e-11)
    agree(nr.solve(lazy(a[0]), lazy(b[0, :, 0])), np.linalg.solve(a[0], b[0, :, 0]), 1e-11)
    agree(nr.inv(lazy(a)), np.linalg.inv(a), 1e-11)
    agree(nr.det(lazy(a)), np.linalg.det(a), 1e-11)
    agree(tuple(nr.slogdet(lazy(-a))), tuple(np.linalg.slogdet(-a)), 1e-11)
    for lower in (True, False):
        for adjoint in (True, False):
            for unit in (True, False):
                want = sl.solve_triangular(
                    a[0], b[0], lower=lower, trans=2 if adjoint else 0, unit_diagonal=unit
                )
                got = nr.solve_triangular(
                    lazy(a[0]), lazy(b[0]), lower=lower, adjoint=adjoint, unit_diagonal=unit
                )
                agree(got, want, 1e-10)
    agree(nr.linalg.matrix_power(lazy(a), 5), np.linalg.matrix_power(a, 5), 1e-11)
    agree(nr.linalg.matrix_power(lazy(a), -2), np.linalg.matrix_power(a, -2), 1e-10)
    agree(nr.linalg.matrix_power(lazy(a), 0), np.linalg.matrix_power(a, 0))
    agree(nr.trace(lazy(a)), np.trace(a, axis1=1, axis2=2), 1e-12)
    assert np.isnan(value(nr.cholesky(lazy(-a)))).any()


def test_integers_become_floats() -> None:
    agree(nr.det(lazy([[2, 0], [0, 3]])), np.array(6.0))
    agree(nr.solve(lazy([[2, 0], [0, 4]]), lazy([2, 4])), np.array([1.0, 1.0]))


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda: nr.ones((2, 3)) @ nr.ones((2, 3)), "the last axis of x1 is 3"),
        (lambda: nr.ones((2, 3)) @ nr.ones(2), "only axis of x2 is 2"),
        (lambda: nr.ones((2, 3)) @ 2, "* multiplies by a scalar"),
        (lambda: nr.matmul(nr.ones((2, 2, 3)), nr.ones((4, 3, 3))), "do not fit together"),
        (lambda: nr.vecdot(nr.ones(2), nr.ones(3)), "equally long"),
        (lambda: nr.tensordot(nr.ones((2, 3)), nr.ones((2, 3))[:, :2], 1), "equally long"),
        (lambda: nr.einsum("ij,jk", nr.ones((2, 3))), "names 2 operands, and 1"),
        (lambda: nr.einsum("ij", nr.ones(3)), "does not fit an operand of shape (3,)"),
        (lambda: nr.einsum("ij->k", nr.ones((2, 3))), "index k"),
        (
            lambda: nr.einsum("ij,jk", nr.ones((2, 3)), nr.ones((4, 5))),
            "index j has lengths 3 and 4",
        ),
        (lambda: nr.einsum("ii", nr.ones((2, 3))), "of one operand"),
        (lambda: nr.inv(nr.ones((2, 3))), "no square matrix"),
        (lambda: nr.solve(nr.ones((3, 3)), nr.ones(2)), "x2 has shape (2,)"),
        (lambda: nr.linalg.cross(nr.ones(2), nr.ones(2)), "length 3"),
    ],
)
def test_mistakes(mistake: Callable[[], Any], said: str) -> None:
    with pytest.raises(nr.errors.ShapeError) as caught:
        mistake()
    assert said in str(caught.value)


def test_computed_operands() -> None:
    agree(computed([[1, 2]]) @ computed([[3], [4]]), np.array([[11]]))
