"""Loops in segments: values and derivatives as without, and what is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr

RNG = np.random.default_rng(2)
W = RNG.normal(size=(5, 5)) / 3


def run(h: Any, xs: Any, **options: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        new = nr.tanh(W @ h + x)
        return new, (nr.sum(new), new * x)

    return nr.scan(step, h, xs, **options)


def weighted(h: Any, xs: Any, **options: Any) -> Any:
    last, (sums, rows) = run(h, xs, **options)
    return nr.sum(last**2) + nr.sum(sums * nr.cos(nr.arange(xs.shape[0]))) + nr.sum(rows**2)


@pytest.mark.parametrize("length", [0, 1, 7, 12, 23])
@pytest.mark.parametrize("checkpoint", [1, 3, 4, 100, "0.4 kB", "1 GiB"])
@pytest.mark.parametrize("reverse", [False, True])
def test_as_without(length: int, checkpoint: Any, reverse: bool) -> None:
    h, xs = RNG.normal(size=5), RNG.normal(size=(length, 5))
    options = {"reverse": reverse, "checkpoint": checkpoint}
    got, want = run(h, xs, **options), run(h, xs, reverse=reverse)
    for g, w in zip(nr.tree.leaves(got), nr.tree.leaves(want), strict=True):
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-13)
    gradients = [
        nr.grad(lambda h, xs, o=o: weighted(h, xs, **o), argnums=(0, 1))(h, xs)
        for o in (options, {"reverse": reverse})
    ]
    for g, w in zip(*gradients, strict=True):
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=1e-10, atol=1e-12)


def test_second_order_and_batches() -> None:
    h, xs, v = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 11, 5)), RNG.normal(size=5)
    for transform in (
        lambda f: nr.vmap(nr.grad(f)),
        lambda f: nr.vmap(lambda h, xs: nr.hvp(lambda h: f(h, xs))(h, nr.asarray(v))),
    ):
        got, want = (
            transform(lambda h, xs, c=c: weighted(h, xs, checkpoint=c))(h, xs) for c in (4, None)
        )
        np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [1000])
def test_memory(n: int) -> None:
    """A square root of the steps is kept, or a multiple of the logarithm, and `cost` says so."""
    state = np.ones(200)

    def peak(checkpoint: Any) -> tuple[int, Any]:
        loss = lambda x: nr.sum(
            nr.scan(
                lambda c, _: (nr.sin(c) + 0.1 * nr.roll(c, 1), None),
                x,
                length=n,
                checkpoint=checkpoint,
            )[0]
        )
        f = nr.jit(nr.grad(loss))
        return f.lower(state).cost.peak, f(state).numpy()

    (all_kept, want), (root, a), (budget, b) = peak(None), peak(32), peak("80 kB")
    assert all_kept > n * 1600
    assert root < 80 * 1600
    assert budget < 80_000 + 10 * 1600
    for g in (a, b):
        np.testing.assert_allclose(g, want, rtol=1e-12)


def test_while_loops() -> None:
    def f(x: Any, checkpoint: Any) -> Any:
        return nr.while_loop(
            lambda c: c < 100.0,
            lambda c: c * 1.5 + nr.sin(c),
            x,
            max_steps=40,
            checkpoint=checkpoint,
        )

    for x in (0.5, 3.0, 200.0):
        want = nr.grad(f)(x, None).item()
        for checkpoint in (1, 6, "100 B"):
            assert nr.grad(f)(x, checkpoint).item() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    ("checkpoint", "error", "message"),
    [
        (0, ValueError, "numr.scan of step: checkpoint is to be at least one step, not 0"),
        (1.5, TypeError, 'checkpoint is to be a number of steps, or memory as "10 MB", not 1.5'),
        (True, TypeError, "checkpoint is to be a number of steps"),
        ("lots", ValueError, "checkpoint='lots' is no amount of memory; write it as"),
        (
            "100 B",
            ValueError,
            "checkpoint=100 bytes are too few for 23 steps that carry 40 bytes: with as much computed anew "
            "as can be, 400 bytes are kept",
        ),
    ],
)
def test_errors(checkpoint: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        run(np.ones(5), np.ones((23, 5)), checkpoint=checkpoint)
    assert message in str(raised.value)


def test_checkpoint_needs_max_steps() -> None:
    with pytest.raises(ValueError, match="which need max_steps="):
        nr.while_loop(lambda c: c < 3.0, lambda c: c + 1.0, 0.0, checkpoint=3)
