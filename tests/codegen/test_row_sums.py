"""A sum of everything beside sums of rows is taken in the kernel that goes through the rows anyway."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr

rng = np.random.default_rng(3)


def potential(x: Any, m: Any) -> Any:
    d = x[:, None, :] - x[None, :, :]
    return nr.sum(m[:, None] * m[None, :] / nr.sqrt(nr.sum(d * d, axis=-1) + 0.01))


def normalized(x: Any, c: Any) -> Any:
    d = x - nr.mean(x, axis=-1, keepdims=True)
    return nr.sum(c * d / nr.sqrt(nr.mean(d * d, axis=-1, keepdims=True) + 1e-5))


def weighed(x: Any, c: Any) -> Any:
    return nr.sum(c * nr.logsumexp(x, axis=-1))


CASES: dict[str, tuple[Any, Any, Any]] = {
    "potential": (potential, lambda n: rng.normal(size=(n, 3)), lambda n: rng.uniform(1, 2, n)),
    "normalized": (normalized, *(lambda n: rng.normal(size=(n, 40)) for _ in range(2))),
    "weighed": (weighed, lambda n: rng.normal(size=(n, 40)), lambda n: rng.normal(size=n)),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_share_their_work(name: str) -> None:
    f, *makers = CASES[name]
    args = [make(60) for make in makers]
    both, alone = nr.jit(nr.value_and_grad(f)).lower(*args), nr.jit(nr.grad(f)).lower(*args)
    assert both.cost.kernels == alone.cost.kernels + 1
    assert both.cost.flops < 1.1 * alone.cost.flops
    # Nothing of the size of the rows together but the arguments and the gradient.
    assert both.cost.peak <= alone.cost.peak + 3 * 60 * 8
    value, gradient = nr.jit(nr.value_and_grad(f))(*args)
    np.testing.assert_allclose(value, f(*map(nr.asarray, args)).numpy(), rtol=1e-12)
    np.testing.assert_allclose(gradient, nr.jit(nr.grad(f))(*args), rtol=1e-12, atol=1e-12)


REDUCTIONS = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "any": np.any}


@pytest.mark.parametrize("shape", [(9, 7), (1, 7), (9, 1), (3, 4, 5), (0, 7), (9, 0), (40, 200)])
def test_every_reduction_of_everything(shape: tuple[int, ...]) -> None:
    x = np.asarray(rng.integers(-3, 4, shape), float)
    x[x == 0] = 0.5
    some = REDUCTIONS if x.size else {"sum": np.sum, "prod": np.prod, "any": np.any}

    def rows_and_all(x: Any, xp: Any = nr) -> list[Any]:
        y = xp.sin(x) * x
        rest = tuple(range(1, len(shape)))
        found = [xp.sum(y * x, axis=rest)]
        return found + [getattr(xp, name)(xp.sign(y)) for name in some]

    got = nr.jit(rows_and_all)(x)
    np.testing.assert_allclose(got[0], rows_and_all(x, np)[0], rtol=1e-12, atol=1e-13)
    for name, mine, numpy in zip(some, got[1:], rows_and_all(x, np)[1:], strict=True):
        np.testing.assert_array_equal(mine, numpy, err_msg=name)


def test_a_value_by_itself_is_summed_at_once() -> None:
    for f, x, c in ((f, x(60), c(60)) for f, x, c in CASES.values()):
        assert nr.jit(f).lower(x, c).cost.kernels == 1
