"""Every transform of a few functions on devices, compiled and lazy, as the CPU has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3))
V = RNG.normal(size=(4, 3))
W = RNG.normal(size=(3, 5))
COEFFICIENTS = np.cos(np.arange(60.0))
AT = np.array([2, 0, 3, 2, -1])


def weighted(y: Any) -> Any:
    """One number of all elements, each with a weight of its own."""
    count = int(np.prod(tuple(map(int, y.shape))))
    return nr.sum(nr.reshape(y, (count,)) * COEFFICIENTS[:count])


def elementwise(x: Any) -> Any:
    return nr.sin(x) * nr.exp(-x * x)


def product(x: Any) -> Any:
    return nr.tanh(x @ W)


def gram(x: Any) -> Any:
    return x.T @ (x * x)


def softmax(x: Any) -> Any:
    return nr.softmax(x, axis=-1) * x


def indexing(x: Any) -> Any:
    return x[AT] ** 2 * x[:, ::-1][0]


def update(x: Any) -> Any:
    return (x * x).at[AT].add(nr.sin(x[0]))


def sorting(x: Any) -> Any:
    return nr.sort(x * x, axis=0)


def running(x: Any) -> Any:
    return nr.cumsum(nr.sin(x), axis=0) ** 2


def looping(x: Any) -> Any:
    step = lambda c, row: (nr.tanh(c + row * W[:, 0]), c * row)
    return nr.scan(step, x[0], x)[1]


def branching(x: Any) -> Any:
    return nr.cond(nr.sum(x) > 0, nr.sin, lambda x: x * x, x) * nr.fori_loop(
        0, 2, lambda i, y: y * x[0, 0] + i, 1.0
    )


FUNCTIONS = [
    looping,
    branching,
    elementwise,
    product,
    gram,
    softmax,
    indexing,
    update,
    sorting,
    running,
]


def loss_of(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: weighted(f(x))


def through_linearize(f: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Any, v: Any) -> Any:
        value, push = nr.linearize(f, x)
        return value, push(v), push(2 * v)

    return run


def through_vjp(f: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Any) -> Any:
        value, pull = nr.vjp(f, x)
        return value, pull(nr.cos(value))

    return run


# Each is made of a function of an array of shape (4, 3), and called with X, or with X and V.
TRANSFORMS: dict[str, tuple[Callable[..., Any], int]] = {
    "value": (lambda f: f, 1),
    "grad": (lambda f: nr.grad(loss_of(f)), 1),
    "value_and_grad": (lambda f: nr.value_and_grad(loss_of(f)), 1),
    "jacfwd": (nr.jacfwd, 1),
    "jacrev": (nr.jacrev, 1),
    "hessian": (lambda f: nr.hessian(loss_of(f)), 1),
    "hvp": (lambda f: nr.hvp(loss_of(f)), 2),
    "jvp": (lambda f: lambda x, v: nr.jvp(f, (x,), (v,)), 2),
    "vjp": (through_vjp, 1),
    "linearize": (through_linearize, 2),
}


def same(got: Any, want: Any, device: str) -> None:
    got, want = nr.tree.leaves(got), nr.tree.leaves(want)
    for g, w in zip(got, want, strict=True):
        assert g.device == device
        assert g.shape == w.shape and g.dtype == w.dtype
        w = w.numpy()
        atol = 1e-12 * float(np.abs(w).max(initial=1.0))
        np.testing.assert_allclose(g.numpy(), w, rtol=1e-11, atol=atol)


def check(f: Callable[..., Any], device: str, *arrays: Any) -> None:
    want = nr.jit(f, device="cpu")(*arrays)
    same(nr.jit(f, device=device)(*arrays), want, device)
    same(f(*(nr.asarray(a, device=device) for a in arrays)), want, device)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transform(transform: str, f: Callable[..., Any], device: str) -> None:
    make, count = TRANSFORMS[transform]
    check(make(f), device, *(X, V)[:count])


# The axes of the argument and of the result along which the batch lies.
AXES = [(0, 0), (1, 0), (-1, -1), (2, 1)]


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize(("inside", "outside"), AXES)
def test_vmap(f: Callable[..., Any], inside: int, outside: int, device: str) -> None:
    batch = np.moveaxis(np.stack([X, V, X * V, X - V, V + 1]), 0, inside)
    for g in (f, nr.grad(loss_of(f)), lambda x: nr.jvp(f, (x,), (nr.cos(x),))[1]):
        check(nr.vmap(g, in_axes=inside, out_axes=outside), device, batch)


def test_vmap_of_some_arguments(device: str) -> None:
    f = lambda x, w: (nr.sin(x) @ w, nr.sum(x))
    check(nr.vmap(f, in_axes=(0, None), out_axes=(1, 0)), device, np.stack([X, V]), W)
    check(nr.vmap(f, in_axes=(None, 1)), device, X, np.stack([W, 2 * W], axis=1))
    pairs = nr.vmap(nr.vmap(lambda a, b: nr.sum(a * b), (None, 0)), (0, None))
    check(pairs, device, X, V)


def test_compositions(device: str) -> None:
    f = loss_of(softmax)
    check(nr.jacfwd(nr.grad(f)), device, X)
    check(nr.jacrev(nr.jacfwd(lambda x: f(x) ** 2)), device, X)
    check(nr.vmap(nr.hessian(lambda r: nr.sum(nr.softmax(r, axis=0) ** 2))), device, X)
    check(nr.grad(lambda x: nr.sum(nr.vmap(nr.grad(lambda r: nr.sum(r**3)))(x))), device, X)
    check(nr.grad(lambda x: nr.hvp(f)(x, nr.cos(x))[0, 1]), device, X)


def test_trees(device: str) -> None:
    def f(p: Any) -> Any:
        return weighted(nr.tanh(p["x"] @ p["w"][0]) + p["w"][1])

    p = {"x": X, "w": (W, np.ones(5))}
    for transform in (nr.grad, nr.value_and_grad):
        want = nr.jit(transform(f), device="cpu")(p)
        same(nr.jit(transform(f), device=device)(p), want, device)
