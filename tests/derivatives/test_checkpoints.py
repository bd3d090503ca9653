"""checkpoint: the same derivatives in every direction, computed anew by each policy, in less memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import GradientError

rng = np.random.default_rng(1)
W = rng.normal(size=(4, 4)) / 2
X = rng.normal(size=4)
POLICIES = {
    "default": None,
    "nothing": nr.checkpoint_policies.nothing_saveable,
    "everything": nr.checkpoint_policies.everything_saveable,
    "contractions": nr.checkpoint_policies.dots_saveable,
    "names": nr.checkpoint_policies.save_only_these_names("z"),
    "a function": lambda operation, name: operation == "sin",
}


def layer(w: Any, x: Any) -> Any:
    z = nr.checkpoint_name(w @ nr.sin(x), "z")
    return nr.tanh(z) * nr.exp(-z) + x, nr.sum(z)


def loss(f: Any) -> Any:
    def total(x: Any) -> Any:
        penalty = 0.0
        for k in range(3):
            x, p = f(W * (k + 1), x)
            penalty = penalty + p
        return nr.sum(x**2) + penalty

    return total


TRANSFORMS = {
    "grad": nr.grad,
    "jacfwd": nr.jacfwd,
    "forward over reverse": lambda f: nr.jacfwd(nr.grad(f)),
    "reverse over reverse": lambda f: nr.jacrev(nr.grad(f)),
    "reverse over forward": lambda f: nr.jacrev(nr.jacfwd(f)),
    "vmap of grad": lambda f: lambda x: nr.vmap(nr.grad(f))(nr.stack([x, 2.0 * x])),
    "grad of vmap": lambda f: nr.grad(lambda x: nr.sum(nr.vmap(f)(nr.stack([x, 2.0 * x])))),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_derivatives_are_the_same(transform: str, policy: str) -> None:
    mine = TRANSFORMS[transform](loss(nr.checkpoint(layer, policy=POLICIES[policy])))
    plain = TRANSFORMS[transform](loss(layer))
    want = plain(nr.asarray(X)).numpy()
    np.testing.assert_allclose(mine(nr.asarray(X)), want, rtol=1e-10, atol=1e-10)
    if policy in ("default", "names"):
        np.testing.assert_allclose(nr.jit(mine)(X), want, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(nr.jit(mine, device="reference")(X), want, rtol=1e-9, atol=1e-9)


def deep(f: Any, layers: int) -> Any:
    def total(ws: Any, x: Any) -> Any:
        for k in range(layers):
            x = f(ws[k], x)
        return nr.sum(x)

    return nr.jit(nr.grad(total))


def three(w: Any, x: Any) -> Any:
    for _ in range(3):
        x = nr.tanh(nr.checkpoint_name(x @ w, "z"))
    return x


def test_less_memory_for_more_work() -> None:
    """Of 3 products a layer none is kept, or all; what is not kept is computed anew in reverse."""
    n, layers = 32, 8
    ws = list(rng.normal(size=(layers, n, n)) / 6)
    x = rng.normal(size=(n, n))
    nothing, products = (
        nr.checkpoint(three, policy=p) for p in (None, nr.checkpoint_policies.dots_saveable)
    )
    plain, less, dots = (deep(f, layers).lower(ws, x) for f in (three, nothing, products))
    count = {name: str(g.program).count("matmul") for name, g in (("plain", plain), ("less", less))}
    assert less.cost.peak < 0.55 * plain.cost.peak
    # A layer's last product need not be computed anew where only its tanh is wanted and is there.
    assert count["plain"] + 2 * layers <= count["less"] <= count["plain"] + 3 * layers
    assert str(dots.program).count("matmul") == count["plain"]
    want = deep(three, layers)(ws, x)
    for got, expected in zip(deep(nothing, layers)(ws, x), want, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_named_values_are_kept() -> None:
    calls = nr.checkpoint_policies.save_only_these_names("z")
    n = 16
    ws, x = list(rng.normal(size=(3, n, n)) / 4), rng.normal(size=(n, n))
    kept = deep(nr.checkpoint(three, policy=calls), 3).lower(ws, x)
    plain = deep(three, 3).lower(ws, x)
    assert str(kept.program).count("matmul") == str(plain.program).count("matmul")


def test_structures_static_arguments_and_what_is_taken_from_outside() -> None:
    scale = nr.asarray(3.0)

    @nr.checkpoint(static_argnums=1)
    def f(p: Any, n: int, *, shift: Any) -> Any:
        return {"y": scale * p["x"] ** n + shift}

    grad = nr.grad(lambda x, s: f({"x": x}, 3, shift=s)["y"], (0, 1))
    assert [g.item() for g in grad(2.0, 1.0)] == [36.0, 1.0]
    # What is taken from outside has derivatives, too.
    assert nr.grad(lambda a: nr.checkpoint(lambda x: a * x)(2.0))(1.0).item() == 2.0


def test_inside_a_loop() -> None:
    def run(f: Any) -> Any:
        return lambda x: nr.sum(nr.scan(lambda c, _: (f(W, c)[0], None), x, length=4)[0])

    for transform in (nr.grad, lambda f: nr.jacfwd(nr.grad(f))):
        got = nr.jit(transform(run(nr.checkpoint(layer))))(X)
        np.testing.assert_allclose(got, transform(run(layer))(nr.asarray(X)), rtol=1e-9, atol=1e-9)


def test_errors() -> None:
    with pytest.raises(TypeError, match=r"policy is to be one of numr\.checkpoint_policies"):
        nr.checkpoint(nr.sin, policy="dots")
    with pytest.raises(TypeError, match="checkpoint takes a function, not int"):
        nr.checkpoint(3)
    with pytest.raises(GradientError, match="the name is to be a text, not 3"):
        nr.checkpoint_name(1.0, 3)  # type: ignore[arg-type]
