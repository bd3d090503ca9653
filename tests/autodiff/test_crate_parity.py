"""Every row of the table of parity with the crate: first and second derivatives, in every order of modes."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np
import pytest

import numr as nr
from numr.autograd import Var, backward, backward_with_graph
from tests.autodiff.crate_parity import CUT, DUAL, ERROR, LEAF, LOST, OK, TABLE, VAR, Row

DIGITS = 60
DIAGONAL = np.diag([2.0, 4.0])
# Differences of eighth order, where there is no exact function.
EIGHTH = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
EIGHTH_SECOND = {0: -205 / 72, 1: 8 / 5, 2: -1 / 5, 3: 8 / 315, 4: -1 / 560}


def test_the_table_is_complete() -> None:
    rows = {name for row in TABLE for name in row.names.split()}
    assert rows == {f"var_{n}" for n in VAR} | {f"dual_{n}" for n in DUAL}
    assert (len(VAR), len(DUAL)) == (65, 32)
    assert {row.crate for row in TABLE} == {OK, LEAF, LOST, CUT, ERROR}


def inner(kind: str, x: Any, sin: Any) -> Any:
    """A leaf, or a function of one."""
    return x if kind == "leaf" else x + sin(x + x) / 5


def weight(shape: tuple[int, ...]) -> Any:
    """Weights of a result; multiples of 1/64, so that they are exact in every arithmetic."""
    count = int(np.prod(shape))
    return (np.round(64 * np.cos(1.0 + np.arange(count))) / 64).reshape(shape)


def scalar(f: Any, kind: str, sin: Any, total: Any, convert: Any, args: Any) -> Any:
    """A number in which the function's curvature and that of what follows both have their part."""
    out = f(*(inner(kind, x, sin) for x in args))
    weighted = out * convert(weight(tuple(map(int, out.shape))))
    return total(weighted) + total(weighted * weighted) / 4


def in_numr(row: Row, kind: str) -> Any:
    return lambda *args: scalar(row.f, kind, nr.sin, nr.sum, nr.asarray, args)


def exact(x: Any) -> Any:
    return np.frompyfunc(mpmath.mpf, 1, 1)(np.asarray(x, object))


def reference(row: Row, kind: str) -> Any:
    """(first, second): the derivatives of the number along directions, as functions of these."""
    if row.exact is not None:
        sin = np.frompyfunc(mpmath.sin, 1, 1)
        total = lambda x: np.sum(np.asarray(x, object))
        whole = lambda args: scalar(row.exact, kind, sin, total, exact, args)
        step = mpmath.mpf(10) ** (-DIGITS // 3)

        def at(t: Any, directions: Any) -> Any:
            moved = [exact(x) + t * exact(d) for x, d in zip(row.args, directions, strict=True)]
            return whole(moved)

        def first(d: Any) -> float:
            return float((at(step, d) - at(-step, d)) / (2 * step))

        def second(d: Any) -> float:
            return float((at(step, d) - 2 * at(mpmath.mpf(0), d) + at(-step, d)) / step**2)

        return first, second
    h = 0.02
    whole = in_numr(row, kind)

    def near(t: float, d: Any) -> float:
        return float(whole(*(nr.asarray(x + t * v) for x, v in zip(row.args, d, strict=True))))

    def first_difference(d: Any) -> float:
        return sum(c * (near(k * h, d) - near(-k * h, d)) for k, c in EIGHTH.items()) / h

    def second_difference(d: Any) -> float:
        parts = (c * (near(k * h, d) + near(-k * h, d)) for k, c in EIGHTH_SECOND.items() if k)
        return (sum(parts) + EIGHTH_SECOND[0] * near(0.0, d)) / h**2

    return first_difference, second_difference


def close(got: Any, want: Any, rtol: float) -> None:
    np.testing.assert_allclose(float(got), float(want), rtol=rtol, atol=rtol)


def dot(xs: Any, ys: Any) -> Any:
    return functools.reduce(
        lambda a, b: a + b, (nr.sum(x * y) for x, y in zip(xs, ys, strict=True))
    )


@pytest.fixture(autouse=True)
def default_device() -> Iterator[None]:
    yield
    nr.set_default_device("cpu")


@pytest.mark.parametrize("kind", ["leaf", "composite"])
@pytest.mark.parametrize("row", [pytest.param(r, id=f"{k}-{r.names}") for k, r in enumerate(TABLE)])
def test_derivatives(row: Row, kind: str) -> None:
    rng = np.random.default_rng(7)
    u, v = ([np.round(64 * rng.normal(size=np.shape(x))) / 64 for x in row.args] for _ in "uv")
    f, every = in_numr(row, kind), tuple(range(len(row.args)))
    rtol = 1e-9 if row.exact is not None else 1e-7
    args = tuple(map(nr.asarray, row.args))
    with mpmath.workdps(DIGITS):
        first, second = reference(row, kind)
        plus, minus = ([x + s * y for x, y in zip(u, v, strict=True)] for s in (1, -1))
        slope, own = first(v), second(v)
        mixed = (second(plus) - second(minus)) / 4

    # The imperative front: the first derivative, and the second by backward over backward.
    nr.set_default_device("cpu" if kind == "composite" else "reference")
    variables = [Var(x) for x in row.args]
    store = backward_with_graph(f(*variables))
    close(dot([store.get(x) for x in variables], v), slope, rtol)

    backwards = backward(dot([store.get_var(x) for x in variables], v))
    zero = [np.zeros(np.shape(x)) for x in row.args]
    product = [backwards.get(x, z) for x, z in zip(variables, zero, strict=True)]
    close(dot(product, v), own, rtol)
    close(dot(product, u), mixed, rtol)

    # The functional one: reverse and forward, and each over each. Their graphs are computed node by node in
    # NumPy; what is compiled of them is tested elsewhere, and above.
    gradient = nr.grad(f, every)
    tangent = lambda *xs: nr.jvp(f, xs, tuple(v))[1]
    nr.set_default_device("reference")
    close(dot(gradient(*args), v), slope, rtol)
    close(tangent(*args), slope, rtol)
    for product in (
        nr.grad(lambda *xs: dot(gradient(*xs), v), every)(*args),
        nr.jvp(gradient, args, tuple(v))[1],
        nr.grad(tangent, every)(*args),
    ):
        close(dot(product, v), own, rtol)
        close(dot(product, u), mixed, rtol)
    close(nr.jvp(tangent, args, tuple(u))[1], mixed, rtol)


# -- where the crate's first derivatives are wrong ------------------------------------------------


@pytest.mark.parametrize(
    ("f", "at", "want"),
    [
        pytest.param(nr.abs, [0.0], [0.0], id="var_abs at 0"),
        pytest.param(lambda x: x**2, [0.0], [0.0], id="var_pow at 0"),
        pytest.param(lambda x: nr.pow(x, nr.asarray([2.0])), [0.0], [0.0], id="var_pow of a tensor at 0"),
        pytest.param(nr.cumprod, [2.0, 0.0, 3.0], [1.0, 8.0, 0.0], id="var_cumprod with a zero"),
        pytest.param(lambda x: x[nr.asarray([1, 1, 1])], [1.0, 2.0, 3.0], [0.0, 3.0, 0.0], id="var_gather, repeated"),
        pytest.param(lambda x: nr.astype(x * x, "float64"), [3.0], [6.0], id="var_cast to the same dtype"),
        pytest.param(nr.mean, [1.0, 2.0, 4.0], [1 / 3, 1 / 3, 1 / 3], id="var_mean over all axes"),
        pytest.param(lambda x: nr.var(x, correction=1), [1.0, 2.0, 6.0], [-2.0, -1.0, 3.0], id="var_var over all axes"),
        pytest.param(lambda x: nr.relu(x @ nr.ones((1, 1))), [0.0], [0.0], id="matmul, relu at 0"),
        pytest.param(lambda b: nr.linalg.solve(DIAGONAL, b), [1.0, 1.0], [0.5, 0.25], id="var_solve of a vector"),
    ],
)  # fmt: skip
def test_first_derivatives_the_crate_lacks(f: Any, at: Any, want: Any) -> None:
    np.testing.assert_allclose(
        nr.grad(lambda x: nr.sum(f(x)))(nr.asarray(at)).numpy(), want, rtol=1e-14
    )
    x = Var(at)
    np.testing.assert_allclose(backward(nr.sum(f(x)))[x].numpy(), want, rtol=1e-14)
