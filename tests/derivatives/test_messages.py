"""What a user of derivatives is told: arguments of the wrong kind, tangents and cotangents that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import numr as nr
from numr.errors import GradientError, ShapeError, TracedValueError, TreeMismatchError

X = nr.asarray([1.0, 2.0, 3.0])
square = lambda x: x * x
total = lambda x: nr.sum(x * x)

CASES: dict[str, tuple[Callable[[], Any], type[Exception], tuple[str, ...]]] = {
    "an integer": (
        lambda: nr.value_and_grad(square)(3),
        GradientError,
        ("its argument is int64", "2.0 for 2", "leave it out with argnums"),
    ),
    "an integer among parameters": (
        lambda: nr.grad(lambda p: p["w"] ** p["n"])({"w": 2.0, "n": 3}),
        GradientError,
        ("['n'] is int64",),
    ),
    "a boolean": (lambda: nr.grad(square)(True), GradientError, ("its argument is bool",)),
    "a text": (
        lambda: nr.grad(lambda mode, x: x)("fast", 1.0),
        GradientError,
        ("its argument is str, and only floating-point", "leave it out with argnums"),
    ),
    "a function": (lambda: nr.grad(square)(nr.sin), GradientError, ("is function",)),
    "no argument of that number": (
        lambda: nr.grad(square, 1)(2.0),
        GradientError,
        ("argnums is 1", "1 positional argument"),
    ),
    "a name for a number": (
        lambda: nr.grad(lambda x, y: x * y, argnums="y")(2.0, 3.0),  # type: ignore[arg-type]
        GradientError,
        ("argnums is 'y'", "they count from 0"),
    ),
    "an argument twice": (
        lambda: nr.grad(lambda x, y: x * y, argnums=(0, -2))(2.0, 3.0),
        GradientError,
        ("names an argument twice",),
    ),
    "no scalar": (lambda: nr.grad(square)(X), GradientError, ("shape (3,)", "numr.sum")),
    "one number in an array": (
        lambda: nr.grad(square)(nr.ones(1)),
        GradientError,
        ("shape (1,)", "numr.jacrev"),
    ),
    "two results": (lambda: nr.grad(lambda x: (x, x))(1.0), GradientError, ("2 arrays", "has_aux")),
    "no result": (lambda: nr.grad(lambda x: None)(1.0), GradientError, ("0 arrays",)),
    "an integer result": (
        lambda: nr.grad(lambda x: nr.sum(x > 1))(X),
        GradientError,
        ("returns an int64", "only floating-point"),
    ),
    "a complex result": (
        lambda: nr.grad(lambda x: nr.exp(1j * x))(1.0),
        GradientError,
        ("complex128", "numr.real"),
    ),
    "aux that is none": (
        lambda: nr.grad(total, has_aux=True)(X),
        TypeError,
        ("has_aux=True", "(output, aux)"),
    ),
    "primals that are one array": (
        lambda: nr.jvp(square, X, X),  # its rows would be taken for arguments
        TypeError,
        ("numr.jvp: primals is to be a tuple", "as (x,), not an Array"),
    ),
    "tangents that are one number": (
        lambda: nr.jvp(square, (2.0,), 1.0),
        TypeError,
        ("numr.jvp: tangents is to be a tuple", "not a float"),
    ),
    "a tangent too few": (
        lambda: nr.jvp(nr.multiply, (X, X), (X,)),
        TreeMismatchError,
        ("a tuple of 1 against a tuple of 2",),
    ),
    "a tangent of another shape": (
        lambda: nr.jvp(square, (X,), (nr.ones(2),)),
        ShapeError,
        ("tangents[0] has shape (2,), its primal (3,)",),
    ),
    "a tangent of integers": (
        lambda: nr.jvp(square, (X,), (nr.asarray([1, 0, 0]),)),
        GradientError,
        ("tangents[0] has dtype int64, its primal float64", 'astype("float64")'),
    ),
    "a cotangent of another shape": (
        lambda: nr.vjp(square, X)[1](1.0),
        ShapeError,
        ("cotangents has shape (), its primal (3,)",),
    ),
    "a cotangent of another structure": (
        lambda: nr.vjp(lambda x: {"y": x}, X)[1](X),
        TreeMismatchError,
        ("cotangents and primals differ at cotangents", "a leaf against a dict"),
    ),
    "a tangent too many": (
        lambda: nr.linearize(square, X)[1](X, X),
        TreeMismatchError,
        ("a tuple of 2 against a tuple of 1",),
    ),
    "a tangent of complex numbers": (
        lambda: nr.linearize(square, X)[1](1j * X),
        GradientError,
        ("tangents[0] has dtype complex128, its primal float64",),
    ),
    "a series that is one array": (
        lambda: nr.jet(square, (1.0,), nr.ones(3)),  # type: ignore[arg-type]
        TypeError,
        ("numr.jet: series is to be a tuple",),
    ),
    "a mask of traced values": (
        lambda: nr.grad(lambda x: nr.sum(x[x > 1.5]))(X),
        TracedValueError,
        ("x[mask]", "nr.where(mask, x, fill)"),
    ),
    "Python's float": (
        lambda: nr.grad(lambda x: float(x) * x)(2.0),
        TracedValueError,
        ("float() of a traced value", "inside numr.grad"),
    ),
    "Python's if": (
        lambda: nr.grad(lambda x: x if x > 1.0 else -x)(2.0),
        TracedValueError,
        ("bool() of a traced value", "numr.where", "numr.cond"),
    ),
    "a loop without an end": (
        lambda: nr.grad(lambda x: nr.while_loop(lambda c: c < 9.0, square, x))(2.0),
        TypeError,
        ("while_loop cannot be differentiated", "max_steps="),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_said(name: str) -> None:
    call, error, words = CASES[name]
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)
