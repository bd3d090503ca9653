"""First and second derivatives of one function in every order of modes, for the tables of operations.

Everything is computed node by node in NumPy, as one graph: what is compiled is tested elsewhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np

import numr as nr

DIGITS = 60
# Differences of eighth order, where there is no exact function.
FIRST = np.array([1 / 280, -4 / 105, 1 / 5, -4 / 5, 0, 4 / 5, -1 / 5, 4 / 105, -1 / 280])
SECOND = np.array([-1 / 560, 8 / 315, -1 / 5, 8 / 5, -205 / 72, 8 / 5, -1 / 5, 8 / 315, -1 / 560])
STEP = 0.02

# What of a function are compared: its gradient, its tangent, and the second derivative along a direction
# twice and along two, by each composition of modes.
MODES = ("reverse over reverse", "forward over reverse", "reverse over forward")


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


def in_numr(f: Callable[..., Any], kind: str) -> Callable[..., Any]:
    return lambda *args: scalar(f, kind, nr.sin, nr.sum, nr.asarray, args)


def directions(args: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    rng = np.random.default_rng(7)
    return tuple([np.round(64 * rng.normal(size=np.shape(x))) / 64 for x in args] for _ in "uv")  # type: ignore[return-value]


def dot(xs: Any, ys: Any) -> Any:
    return functools.reduce(
        lambda a, b: a + b, (nr.sum(x * y) for x, y in zip(xs, ys, strict=True))
    )


def mpf(x: Any) -> Any:
    return np.frompyfunc(mpmath.mpf, 1, 1)(np.asarray(x, object))


def reference(
    f: Callable[..., Any], exact: Callable[..., Any] | None, args: Sequence[Any], kind: str
) -> tuple[float, float, float]:
    """The derivative along v, the second along v, and that along u and v."""
    u, v = directions(args)
    plus, minus = ([x + s * y for x, y in zip(u, v, strict=True)] for s in (1, -1))
    if exact is not None:
        with mpmath.workdps(DIGITS):
            sin = np.frompyfunc(mpmath.sin, 1, 1)
            total = lambda x: np.sum(np.asarray(x, object))
            step = mpmath.mpf(10) ** (-DIGITS // 3)

            def at(t: Any, d: Any) -> Any:
                moved = [mpf(x) + t * mpf(y) for x, y in zip(args, d, strict=True)]
                return scalar(exact, kind, sin, total, mpf, moved)

            here = at(0, v)
            second = lambda d: (at(step, d) - 2 * here + at(-step, d)) / step**2
            mixed = (second(plus) - second(minus)) / 4
            return float((at(step, v) - at(-step, v)) / (2 * step)), float(second(v)), float(mixed)
    places = STEP * np.arange(-4, 5)

    def near(d: Any) -> Any:
        moved = (np.stack([x + t * y for t in places]) for x, y in zip(args, d, strict=True))
        return nr.jit(nr.vmap(in_numr(f, kind)), device="reference")(*moved).numpy()

    along, two = near(v), (near(plus) - near(minus)) / 4
    return (
        float(FIRST @ along) / STEP,
        float(SECOND @ along) / STEP**2,
        float(SECOND @ two) / STEP**2,
    )


def derivatives(f: Callable[..., Any], args: Sequence[Any], kind: str) -> dict[str, float]:
    """The same by numr, in every order of modes."""
    u, v = directions(args)
    whole, every = in_numr(f, kind), tuple(range(len(args)))
    gradient = nr.grad(whole, every)
    tangent = lambda *xs: nr.jvp(whole, xs, tuple(v))[1]

    def numbers(*xs: Any) -> dict[str, Any]:
        products = (
            nr.grad(lambda *xs: dot(gradient(*xs), v), every)(*xs),
            nr.jvp(gradient, xs, tuple(v))[1],
            nr.grad(tangent, every)(*xs),
        )
        found = {"reverse": dot(gradient(*xs), v), "forward": tangent(*xs)}
        for mode, product in zip(MODES, products, strict=True):
            found[mode], found[f"{mode}, mixed"] = dot(product, v), dot(product, u)
        found["forward over forward, mixed"] = nr.jvp(tangent, xs, tuple(u))[1]
        return found

    values = nr.jit(numbers, device="reference")(*map(nr.asarray, args))
    return {name: value.item() for name, value in values.items()}


def check(
    f: Callable[..., Any],
    exact: Callable[..., Any] | None,
    args: Sequence[Any],
    kind: str,
    rtol: float | None = None,
) -> tuple[float, float, float]:
    """Compare them all; the reference's numbers."""
    slope, own, mixed = reference(f, exact, args, kind)
    if rtol is None:
        rtol = 1e-7 if exact is None else 1e-9
    for name, got in derivatives(f, args, kind).items():
        want = mixed if name.endswith("mixed") else own if " over " in name else slope
        np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol, err_msg=name)
    return slope, own, mixed
