"""Products with second derivatives and Jacobians: against the matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import GradientError

rng = np.random.default_rng(3)
X, V = rng.normal(size=3), rng.normal(size=3)
A = nr.asarray(rng.normal(size=(5, 3)))


def residuals(x: Any, s: Any = 1.0) -> Any:
    return nr.sin(A @ x) * s - x[0] ** 2


def loss(y: Any) -> Any:
    return nr.logsumexp(y) + nr.sum(y**4)


def total(x: Any, s: Any = 1.0) -> Any:
    return loss(residuals(x, s))


@pytest.mark.parametrize("product", [nr.hvp, nr.vhp])
def test_hessian_products(product: Any) -> None:
    want = nr.hessian(total)(nr.asarray(X)).numpy() @ V
    f = product(total)
    for run in (f, nr.jit(f), nr.jit(f, device="reference")):
        np.testing.assert_allclose(run(nr.asarray(X), nr.asarray(V)), want, rtol=1e-10)
    rows = nr.vmap(f, in_axes=(None, 0))(nr.asarray(X), np.eye(3))
    np.testing.assert_allclose(rows, nr.hessian(total)(nr.asarray(X)), rtol=1e-9)
    # Third order: the product differentiated again.
    third = nr.grad(lambda x: nr.sum(f(x, nr.asarray(V))))(nr.asarray(X))
    want = nr.grad(lambda x: nr.sum(nr.hessian(total)(x) @ nr.asarray(V)))(nr.asarray(X))
    np.testing.assert_allclose(third, want, rtol=1e-9)


@pytest.mark.parametrize("product", [nr.hvp, nr.vhp])
def test_structures_and_aux(product: Any) -> None:
    def f(p: Any, y: Any) -> Any:
        return p["a"] ** 2 * y, p["a"] + 1.0

    (found, aux) = product(f, (0, 1), has_aux=True)({"a": 3.0}, 2.0, ({"a": 1.0}, 0.0))
    assert found[0]["a"].item() == 4.0
    assert found[1].item() == 6.0
    assert aux.item() == 4.0


@pytest.mark.parametrize("which", ["squares", "loss"])
def test_gauss_newton(which: str) -> None:
    chosen = None if which == "squares" else loss
    j = nr.jacfwd(residuals)(nr.asarray(X)).numpy()
    h = np.eye(5) if chosen is None else nr.hessian(loss)(residuals(nr.asarray(X))).numpy()
    f = nr.gnvp(residuals, chosen)
    for run in (f, nr.jit(f), nr.jit(f, device="reference")):
        np.testing.assert_allclose(run(nr.asarray(X), nr.asarray(V)), j.T @ h @ j @ V, rtol=1e-10)
    rows = nr.vmap(f, in_axes=(None, 0))(nr.asarray(X), np.eye(3))
    np.testing.assert_allclose(rows, j.T @ h @ j, rtol=1e-9)
    # Of linear residuals it is the Hessian itself.
    linear = nr.gnvp(lambda x: A @ x, loss)(nr.asarray(X), nr.asarray(V))
    want = nr.hvp(lambda x: loss(A @ x))(nr.asarray(X), nr.asarray(V))
    np.testing.assert_allclose(linear, want, rtol=1e-10)


@pytest.mark.parametrize("name", ["hvp", "vhp", "gnvp"])
def test_a_missing_direction(name: str) -> None:
    with pytest.raises(GradientError, match=rf"numr.{name}: total was called with 1 positional"):
        getattr(nr, name)(total)(nr.asarray(X))


def test_a_jacobian_chooses_by_shape() -> None:
    wide, tall = (lambda x: A.mT @ x), (lambda x: nr.sin(A @ x))
    for f, x, mode in ((wide, rng.normal(size=5), "reverse"), (tall, X, "forward")):
        got = nr.jacobian(f)(nr.asarray(x))
        np.testing.assert_allclose(got, nr.jacfwd(f)(nr.asarray(x)), rtol=1e-12)
        # Forward mode through a while_loop works, and reverse mode does not: so it tells which was chosen.
        looped = lambda x, f=f: nr.while_loop(
            lambda s: s[0] < 1, lambda s: (s[0] + 1, s[1]), (0, f(x))
        )[1]
        if mode == "forward":
            nr.jacobian(looped)(nr.asarray(x)).numpy()
        else:
            with pytest.raises(TypeError, match="while"):
                nr.jacobian(looped)(nr.asarray(x)).numpy()


def test_jacobians_of_structures_with_aux() -> None:
    f = lambda p: ({"y": p["a"] * p["b"]}, "kept")
    found, aux = nr.jacobian(f, has_aux=True)({"a": nr.asarray(X), "b": 2.0})
    assert aux == "kept"
    np.testing.assert_allclose(found["y"]["a"], 2.0 * np.eye(3))
    np.testing.assert_allclose(found["y"]["b"], X)
    with pytest.raises(GradientError, match=r"numr\.jacobian"):
        nr.jacobian(lambda x: x)(nr.arange(3))
