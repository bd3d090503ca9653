"""cond and switch: values, derivatives, batches; only the branch that is chosen runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr

X = np.array([0.5, -1.0, 2.0])
W = np.array([1.5, 0.2, -0.3])


def branches(w: Any) -> list[Any]:
    return [
        lambda x: {"a": nr.sum(x * w), "b": x},
        lambda x: {"a": nr.sum(nr.sin(x) ** 2), "b": x * w},
        lambda x: {"a": 1.0, "b": nr.exp(x)},
    ]


def value(result: Any) -> Any:
    return result["a"] ** 2 + nr.sum(nr.cos(result["b"]))


@pytest.mark.parametrize("k", [-2, 0, 1, 2, 7])
def test_switch(k: int) -> None:
    chosen = min(max(k, 0), 2)
    f = lambda x, w, k: value(nr.switch(k, branches(w), x))
    g = lambda x, w: value(branches(w)[chosen](x))
    for transform in (lambda f: f, nr.grad, lambda f: nr.grad(f, 1), nr.hessian):
        got = nr.jit(transform(f))(X, W, np.int64(k))
        np.testing.assert_allclose(got.numpy(), transform(g)(X, nr.asarray(W)).numpy(), rtol=1e-12)
    got = nr.jvp(lambda x, w: f(x, w, k), (X, W), (W, X))
    want = nr.jvp(g, (X, W), (W, X))
    np.testing.assert_allclose([x.item() for x in got], [x.item() for x in want])


def test_batches() -> None:
    f = lambda k, x: value(nr.switch(k, branches(nr.asarray(W)), x))
    ks, xs = np.array([2, 0, 1, 0]), np.stack([X, X + 1, -X, 2 * X])
    for g in (f, nr.grad(f, 1)):
        both = nr.jit(nr.vmap(g))(ks, xs)
        rows = [g(k, nr.asarray(x)).numpy() for k, x in zip(ks, xs, strict=True)]
        np.testing.assert_allclose(both.numpy(), rows, rtol=1e-12)
        one = nr.jit(nr.vmap(g, (None, 0)))(1, xs)
        np.testing.assert_allclose(
            one.numpy(), [g(1, nr.asarray(x)).numpy() for x in xs], rtol=1e-12
        )
        number = nr.vmap(g, (0, None))(ks, X)
        np.testing.assert_allclose(
            number.numpy(), [g(k, nr.asarray(X)).numpy() for k in ks], rtol=1e-12
        )


def test_cond_in_loops_and_loops_in_cond() -> None:
    def walk(x: Any) -> Any:
        step = lambda c, u: (nr.cond(c > 1, lambda c: c / 3, lambda c: c * u + 1, c), c)
        return nr.sum(nr.scan(step, x, nr.asarray(X))[1] ** 2)

    def python(x: Any) -> Any:
        rows = []
        for u in X:
            rows.append(x)
            x = x / 3 if float(x) > 1 else x * u + 1
        return nr.sum(nr.stack(rows) ** 2)

    assert nr.jit(walk)(0.8).item() == pytest.approx(python(nr.asarray(0.8)).item())
    h = 1e-6
    slope = (python(nr.asarray(0.8 + h)) - python(nr.asarray(0.8 - h))).item() / (2 * h)
    assert nr.grad(walk)(0.8).item() == pytest.approx(slope, rel=1e-7)
    f = nr.jit(lambda p, x: nr.cond(p, walk, lambda x: x, x))
    assert f(True, 0.8).item() == pytest.approx(walk(0.8).item()) and f(False, 0.8).item() == 0.8


def test_a_branch_that_is_not_chosen_does_not_run() -> None:
    """It would go on for ever."""
    forever = lambda x: nr.while_loop(lambda x: x == x, lambda x: x, x)
    f = nr.jit(lambda p, x: nr.cond(p, forever, lambda x: -x, x))
    assert f(False, 3.0).item() == -3.0


def test_derivatives_meet_no_infinity_of_the_other_branch() -> None:
    f = lambda x: nr.cond(x > 0, nr.sqrt, lambda x: 0 * x, x)
    assert nr.grad(f)(0.0).item() == 0.0 and nr.grad(f)(4.0).item() == 0.25


@pytest.mark.parametrize("k", range(3))
def test_numbers_take_the_dtype_of_other_branches(k: int) -> None:
    out = nr.switch(k, [lambda x: x, lambda x: 0, lambda x: 1.0], np.float32(2))
    assert out.dtype == "float32" and out.item() == (2.0, 0.0, 1.0)[k]


def test_branches_cheaper_than_asking_are_choices() -> None:
    f = nr.jit(lambda x: nr.cond(nr.sum(x) > 0, nr.sin, lambda x: nr.cos(x) * 2.0, x))
    small, large = np.linspace(-1.0, 2.0, 9), np.linspace(-2.0, 1.0, 100_000)
    assert "switch" not in str(f.lower(small).program)
    assert "switch" in str(f.lower(large).program)
    for x in (small, -small, large, -large):
        want = np.sin(x) if x.sum() > 0 else np.cos(x) * 2.0
        np.testing.assert_allclose(f(x).numpy(), want, rtol=1e-14)
    # What a side that is not taken comes to does not matter, nor does its derivative.
    root = nr.jit(nr.value_and_grad(lambda x: nr.cond(x > 0, nr.sqrt, lambda x: 0 * x, x)))
    assert "switch" not in str(root.lower(4.0).program)
    assert [r.item() for r in root(4.0)] == [2.0, 0.25]
    assert [r.item() for r in root(-1.0)] == [0.0, 0.0]
    solved = nr.jit(lambda a, b: nr.cond(a[0, 0] > 0, nr.linalg.solve, lambda a, b: b, a, b))
    assert "switch" in str(solved.lower(np.eye(2), np.ones(2)).program)
