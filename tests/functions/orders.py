"""First and second derivatives of a function at a point, in every order of modes, for other tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import numr as nr
from tests.functions.support import value


def directional(f: Callable[..., Any], at: list[Any], k: int, d: Any, step: float) -> float:
    """The derivative of a scalar function along d in argument k, by differences of fourth order."""

    def moved(t: float) -> float:
        args = [v + t * step * d if i == k else v for i, v in enumerate(at)]
        return float(value(f(*map(nr.asarray, args))))

    near, far = moved(1) - moved(-1), moved(2) - moved(-2)
    return (8 * near - far) / 12 / step


def check_derivatives(
    f: Callable[..., Any], *at: Any, step: float = 1e-3, rtol: float = 1e-7, compiled: bool = True
) -> None:
    """Compare derivatives to second order with differences, and the modes with each other.

    Reverse over reverse, forward over reverse and reverse over forward, with respect to each
    argument as it is and under a function of it.
    """
    points = [np.asarray(v, float) for v in at]
    every = tuple(range(len(points)))
    for inner in (lambda v: v, lambda v: v + 0.1 * nr.sin(v)):

        def scalar(*args: Any, inner: Any = inner) -> Any:
            out = f(*map(inner, args))
            shape = tuple(map(int, out.shape))
            weight = np.cos(1.0 + np.arange(np.prod(shape, dtype=float))).reshape(shape)
            return nr.sum(out * weight) + 0.3 * nr.sum((out * weight) ** 2)

        args = tuple(map(nr.asarray, points))
        gradient = nr.grad(scalar, argnums=every)
        wave = [
            np.sin(1.3 * np.arange(v.size) + 1.0 + k).reshape(v.shape) for k, v in enumerate(points)
        ]
        directions = tuple(map(nr.asarray, wave))

        def along(*args: Any, gradient: Any = gradient, directions: Any = directions) -> Any:
            parts = zip(gradient(*args), directions, strict=True)
            return sum(nr.sum(g * d) for g, d in parts)

        def tangent(*args: Any, scalar: Any = scalar, directions: Any = directions) -> Any:
            return nr.jvp(scalar, args, directions)[1]

        first = [value(g) for g in gradient(*args)]
        second = [value(g) for g in nr.grad(along, argnums=every)(*args)]
        forward = nr.jvp(gradient, args, directions)[1]
        mixed = nr.grad(tangent, argnums=every)(*args)
        total = sum(np.sum(g * d) for g, d in zip(first, wave, strict=True))
        np.testing.assert_allclose(value(tangent(*args)), total, rtol=1e-9, atol=1e-9)
        for k in every:
            scale = 1e-10 * (1 + float(np.abs(second[k]).max(initial=0.0)))
            np.testing.assert_allclose(value(forward[k]), second[k], rtol=1e-8, atol=scale)
            np.testing.assert_allclose(value(mixed[k]), second[k], rtol=1e-8, atol=scale)
            for found, g in ((first, scalar), (second, along)):
                want = directional(g, points, k, wave[k], step)
                got = float(np.sum(found[k] * wave[k]))
                size = 1 + float(np.abs(found[k] * wave[k]).sum())
                assert abs(got - want) <= rtol * size, (k, got, want)
        if compiled:
            got = nr.jit(nr.grad(along, argnums=every))(*args)
            for k in every:
                scale = 1e-9 * (1 + float(np.abs(second[k]).max(initial=0.0)))
                np.testing.assert_allclose(np.asarray(got[k]), second[k], rtol=1e-8, atol=scale)
            compiled = False
