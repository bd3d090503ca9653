"""Every row of the table of parity with the crate: first and second derivatives, in every order of modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.autograd import Var, backward, backward_with_graph
from tests.autodiff.crate_parity import CUT, DUAL, ERROR, LEAF, LOST, OK, TABLE, VAR, Row
from tests.autodiff.every_order import check, directions, dot, in_numr

DIAGONAL = np.diag([2.0, 4.0])


def test_the_table_is_complete() -> None:
    rows = {name for row in TABLE for name in row.names.split()}
    assert rows == {f"var_{n}" for n in VAR} | {f"dual_{n}" for n in DUAL}
    assert (len(VAR), len(DUAL)) == (65, 32)
    assert {row.crate for row in TABLE} == {OK, LEAF, LOST, CUT, ERROR}


def close(got: Any, want: Any, rtol: float) -> None:
    np.testing.assert_allclose(float(got), float(want), rtol=rtol, atol=rtol)


@pytest.mark.parametrize("kind", ["leaf", "composite"])
@pytest.mark.parametrize("row", [pytest.param(r, id=f"{k}-{r.names}") for k, r in enumerate(TABLE)])
def test_derivatives(row: Row, kind: str) -> None:
    u, v = directions(row.args)
    rtol = 1e-9 if row.exact is not None else 1e-7
    slope, own, mixed = check(row.f, row.exact, row.args, kind)

    # The imperative front: the first derivative, and the second by backward over backward.
    nr.set_default_device("cpu" if kind == "composite" else "reference")
    variables = [Var(x) for x in row.args]
    store = backward_with_graph(in_numr(row.f, kind)(*variables))
    close(dot([store.get(x) for x in variables], v), slope, rtol)
    backwards = backward(dot([store.get_var(x) for x in variables], v))
    zero = [np.zeros(np.shape(x)) for x in row.args]
    product = [backwards.get(x, z) for x, z in zip(variables, zero, strict=True)]
    close(dot(product, v), own, rtol)
    close(dot(product, u), mixed, rtol)


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
