"""Mistakes a user makes, and what numr says of them: exception, facts, and the user's own line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr import errors

HERE = "test_user_errors.py:"


def said(mistake: Callable[[], Any], error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        mistake()
    return str(caught.value)


# -- shapes, dtypes, axes, indices ----------------------------------------------------------------

SHAPES: list[tuple[Callable[[], Any], tuple[str, ...]]] = [
    (lambda: nr.ones((3, 4)) + nr.ones(3), ("(3, 4)", "(3,)")),
    (lambda: nr.maximum(nr.ones((2, 1, 3)), nr.ones((4, 4))), ("(2, 1, 3)", "(4, 4)")),
    (lambda: nr.where(nr.ones(2) > 0, nr.ones(2), nr.ones(3)), ("(2,)", "(3,)")),
    (lambda: nr.ones((2, 3)) @ nr.ones((4, 5)), ("(2, 3)", "(4, 5)")),
    (lambda: nr.reshape(nr.ones((2, 3)), (4, 2)), ("(2, 3)", "(4, 2)")),
    (lambda: nr.concat([nr.ones((2, 3)), nr.ones((2, 4))], axis=0), ("(2, 3)", "(2, 4)")),
    (lambda: nr.stack([nr.ones(2), nr.ones(3)]), ("(2,)", "(3,)")),
    (lambda: nr.broadcast_to(nr.ones(3), (2, 4)), ("(3,)", "(2, 4)")),
    (lambda: nr.linalg.solve(nr.ones((2, 3)), nr.ones(2)), ("(2, 3)",)),
    (lambda: nr.jvp(nr.sin, (nr.ones(2),), (nr.ones(3),)), ("(2,)", "(3,)")),
]


@pytest.mark.parametrize(("mistake", "facts"), SHAPES)
def test_shapes(mistake: Callable[[], Any], facts: tuple[str, ...]) -> None:
    for text in (
        said(mistake, errors.ShapeError),
        said(lambda: nr.jit(mistake)(), errors.ShapeError),
    ):
        for fact in facts:
            assert fact in text
        assert HERE in text, "the user's line is missing"


@pytest.mark.parametrize(
    ("mistake", "facts"),
    [
        (lambda: nr.asarray([1.0]) & nr.asarray([2.0]), ("float64",)),
        (lambda: nr.asarray([1j]) < nr.asarray([2j]), ("complex128",)),
        (lambda: nr.ones(2) << 1, ("float64",)),
        (lambda: nr.floor(nr.asarray([1j])), ("complex128",)),
    ],
)
def test_dtypes(mistake: Callable[[], Any], facts: tuple[str, ...]) -> None:
    text = said(mistake, errors.DTypeError)
    for fact in facts:
        assert fact in text
    assert HERE in text, "the user's line is missing"


def test_dtypes_numr_lacks() -> None:
    for value in (["a", "b"], np.array(["2000-01-01"], dtype="datetime64[D]"), [object()]):
        assert "numr has no dtype" in said(lambda value=value: nr.asarray(value), TypeError)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: nr.sum(nr.ones((2, 3)), axis=2),
        lambda: nr.flip(nr.ones((2, 3)), axis=-3),
        lambda: nr.concat([nr.ones((2, 3))], axis=2),
        lambda: nr.sum(nr.ones((2, 3)), axis=(0, 0)),
        lambda: nr.permute_dims(nr.ones((2, 3)), (0, 0)),
        lambda: nr.squeeze(nr.ones((2, 3)), axis=0),
    ],
)
def test_axes(mistake: Callable[[], Any]) -> None:
    assert "ax" in said(mistake, errors.ShapeError)


@pytest.mark.parametrize(
    ("mistake", "facts"),
    [
        (lambda: nr.ones(3)[5], ("5", "(3,)")),
        (lambda: nr.ones((3, 4))[0, -5], ("-5", "axis 1", "(3, 4)")),
        (lambda: nr.ones(3).at[3].set(1.0), ("3", "(3,)")),
        (lambda: nr.ones(3)[[0, 7]], ("7", "(3,)")),
    ],
)
def test_indices(mistake: Callable[[], Any], facts: tuple[str, ...]) -> None:
    for text in (
        said(mistake, errors.IndexOutOfRangeError),
        said(lambda: nr.jit(mistake)(), errors.IndexOutOfRangeError),
    ):
        for fact in facts:
            assert fact in text
        assert HERE in text, "the user's line is missing"


def test_too_many_indices() -> None:
    assert "(3,)" in said(lambda: nr.ones(3)[0, 0], IndexError)


def test_assignment_out_of_range() -> None:
    def assign() -> None:
        x = nr.ones(3)
        x[4] = 1.0

    assert "(3,)" in said(assign, errors.IndexOutOfRangeError)


# -- traced values --------------------------------------------------------------------------------


def python_if(x: Any) -> Any:
    return x if x > 0 else -x


TRACED: list[tuple[Callable[[Any], Any], str, str]] = [
    (python_if, "bool()", "numr.where"),
    (lambda x: x and 1.0, "bool()", "numr.where"),
    (lambda x: max(x, 0.0), "bool()", "numr.where"),
    (lambda x: int(x), "int()", "static_argnums"),
    (lambda x: float(x), "float()", "numr functions"),
    (lambda x: math.sin(x), "float()", "numr functions"),
    (lambda x: complex(x), "complex()", ".astype"),
    (lambda x: [10, 20][nr.astype(x, nr.int64)], "index", "numr array"),
    (lambda x: list(range(nr.astype(x, nr.int64))), "range()", "numr.vmap"),
    (lambda x: np.asarray(x), "numpy.asarray()", "numr function"),
    (lambda x: np.linalg.norm(x), "numpy.asarray()", "numr function"),
    (lambda x: x.numpy(), "numpy()", "numr function"),
    (lambda x: x.item(), "item()", "what the traced function returns"),
]


@pytest.mark.parametrize(("function", "operation", "advice"), TRACED)
def test_traced_values(function: Callable[[Any], Any], operation: str, advice: str) -> None:
    text = said(lambda: nr.jit(lambda y: function(y * 2.0))(1.0), errors.TracedValueError)
    assert operation in text
    assert "of a traced value, of shape ()" in text
    assert "inside numr.jit" in text
    assert advice in text
    assert HERE in text, "the user's line is missing"


def test_traced_value_inside_vmap() -> None:
    text = said(lambda: nr.vmap(python_if)(nr.ones(3)), errors.TracedValueError)
    assert "inside numr.vmap" in text


def test_traced_value_inside_grad() -> None:
    text = said(lambda: nr.grad(python_if)(-3.0), errors.TracedValueError)
    assert "inside numr.grad" in text


def test_shapes_of_traced_values_are_known() -> None:
    def add_up(x: Any) -> Any:
        total = 0.0
        for i in range(x.shape[0]):
            total = total + x[i]
        return total if len(x) > 2 else -total

    assert float(nr.jit(add_up)(nr.ones(3))) == 3.0


@pytest.mark.parametrize("transform", ["jit", "vmap"])
def test_leaked_values(transform: str) -> None:
    kept = []

    def careless(x: Any) -> Any:
        kept.append(x * 2.0)
        return x

    getattr(nr, transform)(careless)(nr.ones(3))
    for use in (lambda: kept[0] + 1.0, lambda: kept[0].numpy(), lambda: float(kept[0][0])):
        text = said(use, errors.LeakedValueError)
        assert transform in text
        assert "careless" in text
        assert "return" in text


# -- derivatives ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mistake", "facts"),
    [
        (lambda: nr.grad(lambda x: 2.0 * x)(nr.ones(3)), ("scalar", "(3,)", "jacrev")),
        (lambda: nr.grad(lambda x: (x, x))(1.0), ("2",)),
        (lambda: nr.grad(lambda n: 2.0 * n)(3), ("int64", "float")),
        (lambda: nr.grad(lambda p: p["n"] * 1.0)({"n": 3}), ("['n']", "int64")),
        (lambda: nr.grad(lambda x: nr.argmax(x))(nr.ones(3)), ("int64",)),
        (lambda: nr.grad(lambda x: x, argnums=1)(1.0), ("argnums", "1 positional")),
        (lambda: nr.grad(lambda x, y: x, argnums=(0, 2))(1.0, 2.0), ("argnums", "(0, 2)")),
        (lambda: nr.value_and_grad(lambda x: x, argnums=-2)(1.0), ("argnums",)),
        (lambda: nr.hvp(lambda x: x * x)(3.0), ("direction", "1 positional")),
        (lambda: nr.hvp(lambda x: x * x, argnums=1)(3.0, 1.0), ("direction", "argument 1")),
        (lambda: nr.hvp(lambda x: x * x, argnums=(0,))(3.0, 1.0), ("direction", "(0,)")),
    ],
)
def test_gradients(mistake: Callable[[], Any], facts: tuple[str, ...]) -> None:
    text = said(mistake, errors.GradientError)
    for fact in facts:
        assert fact in text


def test_structures() -> None:
    def mistake() -> Any:
        return nr.jvp(lambda p: p["w"], ({"w": 1.0},), ({"b": 1.0},))

    text = said(mistake, errors.TreeMismatchError)
    assert "'w'" in text
    assert "'b'" in text
    _, pull = nr.vjp(lambda x: (x, x), 1.0)
    assert "tuple" in said(lambda: pull((1.0, 1.0, 1.0)), errors.TreeMismatchError)


# -- vmap, static arguments, devices, memory ------------------------------------------------------


@pytest.mark.parametrize(
    ("mistake", "facts"),
    [
        (lambda: nr.vmap(nr.add)(nr.ones(3), nr.ones(4)), ("3", "4")),
        (lambda: nr.vmap(nr.add, in_axes=(0, 1))(nr.ones(3), nr.ones(3)), ("axis 1", "(3,)")),
        (lambda: nr.vmap(nr.sin, in_axes=0)(1.0), ("axis 0", "()")),
        (lambda: nr.vmap(nr.add, in_axes=None)(nr.ones(3), nr.ones(3)), ("in_axes",)),
        (lambda: nr.vmap(nr.add, in_axes=(0,))(nr.ones(3), nr.ones(3)), ("in_axes", "2")),
        (lambda: nr.vmap(nr.add, in_axes=(0, "x"))(nr.ones(3), nr.ones(3)), ("in_axes", "'x'")),
        (lambda: nr.vmap(nr.sin, out_axes=2)(nr.ones(3)), ("out_axes", "2")),
    ],
)
def test_map_axes(mistake: Callable[[], Any], facts: tuple[str, ...]) -> None:
    text = said(mistake, errors.AxisError)
    for fact in facts:
        assert fact in text


def test_map_axes_of_another_structure() -> None:
    def mistake() -> Any:
        return nr.vmap(lambda p: p["w"], in_axes=({"b": 0},))({"w": nr.ones(3)})

    assert "in_axes" in said(mistake, errors.TreeMismatchError)


def test_static_arguments() -> None:
    def f(x: Any, sizes: Any) -> Any:
        return x * len(sizes)

    for mistake in (
        lambda: nr.jit(f, static_argnums=1)(1.0, [1, 2]),
        lambda: nr.jit(f, static_argnames="sizes")(1.0, sizes=[1, 2]),
    ):
        text = said(mistake, errors.StaticArgumentError)
        assert "list" in text
        assert "tuple" in text
    assert "nothing" in said(lambda: nr.jit(f, static_argnames="nothing"), ValueError)


def test_arguments_that_are_no_arrays() -> None:
    text = said(lambda: nr.jit(lambda x: x)("text"), TypeError)
    assert "str" in text
    assert "static" in text


@pytest.mark.parametrize("device", ["cuda", "abacus"])
def test_devices(device: str) -> None:
    text = said(lambda: nr.jit(nr.sin, device=device)(1.0), errors.DeviceError)
    assert device in text
    assert "cpu" in text


def test_memory() -> None:
    for mistake in (
        lambda: nr.ones((1 << 24, 1 << 24)).numpy(),
        lambda: nr.jit(lambda x: nr.zeros((1 << 24, 1 << 24)) + x)(1.0),
    ):
        text = said(mistake, errors.OutOfMemoryError)
        assert "(16777216, 16777216)" in text
        assert "float64" in text
        assert "GiB" in text


def test_computed_indices_are_safe() -> None:
    x = nr.asarray([1.0, 2.0, 3.0])
    index = nr.asarray([0, 2]) + nr.asarray([0, 1000])
    assert nr.jit(lambda x, i: x[i])(x, index).tolist() == [1.0, 3.0]
    assert nr.jit(lambda x, i: x.at[i].set(9.0))(x, index).tolist() == [9.0, 2.0, 9.0]
