"""Creation, shapes, joining, diagonals and dtypes against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from tests.functions.support import agree, lazy

X = np.arange(24.0).reshape(2, 3, 4)

# The same call on numr and on NumPy.
SAME: dict[str, Callable[[Any, Any], Any]] = {
    "reshape": lambda m, x: m.reshape(x, (4, 6)),
    "reshape -1": lambda m, x: m.reshape(x, (3, -1)),
    "reshape number": lambda m, x: m.reshape(x, -1),
    "reshape same": lambda m, x: m.reshape(x, (2, 3, 4)),
    "ravel": lambda m, x: m.ravel(x),
    "permute_dims": lambda m, x: m.permute_dims(x, (2, 0, -2)),
    "transpose": lambda m, x: m.transpose(x),
    "transpose axes": lambda m, x: m.transpose(x, (1, 0, 2)),
    "matrix_transpose": lambda m, x: m.matrix_transpose(x),
    "swapaxes": lambda m, x: m.swapaxes(x, 0, -1),
    "moveaxis": lambda m, x: m.moveaxis(x, 0, -1),
    "moveaxis several": lambda m, x: m.moveaxis(x, (0, 1), (-1, 0)),
    "expand_dims": lambda m, x: m.expand_dims(x, axis=1),
    "expand_dims several": lambda m, x: m.expand_dims(x, axis=(0, -1)),
    "squeeze": lambda m, x: m.squeeze(x[:1, :, :1]),
    "squeeze axis": lambda m, x: m.squeeze(x[:1, :, :1], axis=-1),
    "broadcast_to": lambda m, x: m.broadcast_to(x[:, :1], (5, 2, 3, 4)),
    "flip": lambda m, x: m.flip(x),
    "flip axis": lambda m, x: m.flip(x, axis=(0, 2)),
    "roll": lambda m, x: m.roll(x, 5),
    "roll axis": lambda m, x: m.roll(x, -1, axis=1),
    "roll axes": lambda m, x: m.roll(x, (1, 2), axis=(0, 2)),
    "roll many": lambda m, x: m.roll(x, 2, axis=(1, 2)),
    "rot90": lambda m, x: m.rot90(x, 3),
    "rot90 axes": lambda m, x: m.rot90(x, 1, axes=(2, 1)),
    "concat": lambda m, x: m.concat([x, x[:1], x]),
    "concat axis": lambda m, x: m.concat([x, x[..., :2]], axis=-1),
    "concat flat": lambda m, x: m.concat([x, x[0]], axis=None),
    "stack": lambda m, x: m.stack([x, x + 1], axis=1),
    "stack last": lambda m, x: m.stack([x, x + 1], axis=-1),
    "hstack": lambda m, x: m.hstack([x, x]),
    "hstack vectors": lambda m, x: m.hstack([x[0, 0], x[0, 1, :2]]),
    "vstack": lambda m, x: m.vstack([x[0, 0], x[0, 1]]),
    "unstack": lambda m, x: m.unstack(x, axis=1),
    "split": lambda m, x: m.split(x, 2, axis=2),
    "split at": lambda m, x: m.split(x, [1, 2], axis=1),
    "split beyond": lambda m, x: m.split(x, [1, 9], axis=1),
    "tile": lambda m, x: m.tile(x[0], 2),
    "tile more": lambda m, x: m.tile(x[0], (2, 1, 3)),
    "tile less": lambda m, x: m.tile(x, (2,)),
    "repeat": lambda m, x: m.repeat(x, 2),
    "repeat axis": lambda m, x: m.repeat(x, 3, axis=1),
    "repeat each": lambda m, x: m.repeat(x, [1, 0, 2], axis=1),
    "pad": lambda m, x: m.pad(x, 1),
    "pad pair": lambda m, x: m.pad(x, (1, 2), constant_values=7),
    "pad axes": lambda m, x: m.pad(x, [(0, 0), (1, 0), (0, 2)]),
    "pad edge": lambda m, x: m.pad(x, 2, mode="edge"),
    "pad reflect": lambda m, x: m.pad(x, [(1, 1), (2, 0), (0, 3)], mode="reflect"),
    "pad symmetric": lambda m, x: m.pad(x, [(0, 1), (2, 0), (0, 3)], mode="symmetric"),
    "pad wrap": lambda m, x: m.pad(x, [(0, 1), (2, 0), (0, 3)], mode="wrap"),
    "diff": lambda m, x: m.diff(x),
    "diff n": lambda m, x: m.diff(x * x, 2, 1),
    "diff ends": lambda m, x: m.diff(x, prepend=0, append=x[..., :1]),
    "diff bool": lambda m, x: m.diff(x > 5, axis=0),
    "tril": lambda m, x: m.tril(x),
    "tril k": lambda m, x: m.tril(x, k=-1),
    "triu": lambda m, x: m.triu(x, k=1),
    "diagonal": lambda m, x: m.linalg.diagonal(x),
    "diagonal offset": lambda m, x: m.linalg.diagonal(x, offset=2),
    "diagonal below": lambda m, x: m.linalg.diagonal(x, offset=-1),
    "diag": lambda m, x: m.diag(x[0]),
    "diag k": lambda m, x: m.diag(x[0], 1),
    "diag vector": lambda m, x: m.diag(x[0, 0]),
    "diag vector k": lambda m, x: m.diag(x[0, 0], -2),
    "trace": lambda m, x: m.linalg.trace(x, offset=1),
    "meshgrid": lambda m, x: m.meshgrid(x[0, 0], x[0, :, 0]),
    "meshgrid ij": lambda m, x: m.meshgrid(x[0, 0], x[0, :, 0], x[:, 0, 0], indexing="ij"),
    "broadcast_arrays": lambda m, x: m.broadcast_arrays(x, x[0, :1], x[0, 0]),
    "take": lambda m, x: m.take(x, m.asarray([1, 0]), axis=1),
    "astype": lambda m, x: m.astype(x, m.int32),
    "full_like": lambda m, x: m.full_like(x, 3),
    "ones_like": lambda m, x: m.ones_like(x, dtype=m.int8),
    "zeros_like": lambda m, x: m.zeros_like(x),
}
CREATION: dict[str, Callable[[Any], Any]] = {
    "arange": lambda m: m.arange(5),
    "arange two": lambda m: m.arange(2, 7),
    "arange step": lambda m: m.arange(7, 0, -2),
    "arange none": lambda m: m.arange(5, 2),
    "arange float": lambda m: m.arange(0.0, 1.0, 0.1),
    "arange mixed": lambda m: m.arange(1, 2.5),
    "arange dtype": lambda m: m.arange(4, dtype=m.float32),
    "linspace": lambda m: m.linspace(0, 1, 7),
    "linspace open": lambda m: m.linspace(0, 1, 7, endpoint=False),
    "linspace one": lambda m: m.linspace(3.0, 5.0, 1),
    "linspace none": lambda m: m.linspace(3.0, 5.0, 0),
    "linspace complex": lambda m: m.linspace(0, 1j, 3),
    "linspace int": lambda m: m.linspace(0, 10, 3, dtype=m.int64),
    "eye": lambda m: m.eye(3),
    "eye wide": lambda m: m.eye(2, 4, k=1, dtype=m.int32),
    "full": lambda m: m.full((2, 3), 7),
    "full float": lambda m: m.full(3, 1.5),
    "full bool": lambda m: m.full((), True),
    "full cut": lambda m: m.full(2, 1.5, dtype=m.int32),
    "full array": lambda m: m.full((2, 2), m.asarray([1, 2])),
    "zeros": lambda m: m.zeros((2, 0)),
    "ones": lambda m: m.ones(3, dtype=m.complex64),
    "asarray": lambda m: m.asarray([[1, 2.5], [3, 4]]),
    "asarray dtype": lambda m: m.asarray([1, 2], dtype=m.uint8),
    "asarray scalar": lambda m: m.asarray(2 + 1j),
    "asarray bool": lambda m: m.asarray([True, False]),
}


@pytest.mark.parametrize("name", SAME)
def test_as_numpy_has_it(name: str) -> None:
    call = SAME[name]
    agree(call(nr, lazy(X)), call(np, X))


@pytest.mark.parametrize("name", CREATION)
def test_creation(name: str) -> None:
    agree(CREATION[name](nr), CREATION[name](np), 1e-15)


def test_arrays_of_arrays() -> None:
    x = nr.asarray([1.0, 2.0])
    agree(nr.asarray([x, x + 1]), np.array([[1.0, 2.0], [2.0, 3.0]]))
    agree(nr.asarray([x[0], 3.0]), np.array([1.0, 3.0]))
    agree(nr.concat([x, nr.asarray([1])]), np.array([1.0, 2.0, 1.0]))
    agree(nr.one_hot(lazy([0, 2, 5]), 3), np.eye(6)[[0, 2, 5], :3])


def test_a_copy_is_taken_unless_told() -> None:
    source = np.ones(3)
    kept, shared = nr.asarray(source), nr.asarray(source, copy=False)
    source[0] = 5.0
    agree(kept, np.ones(3))
    agree(shared, source)


def test_lengths_keep_their_identity() -> None:
    @nr.jit
    def f(x: nr.Array) -> nr.Array:
        n = x.shape[0]
        same = (nr.flip(x)[:, None] * nr.ones((n, 2))).T[0], x[::-1], nr.reshape(x, (-1,)), x[:]
        assert all(y.shape[0].root() is n.root() for y in same)
        return same[0]

    f(np.ones(11))


def test_promotion_is_the_standards() -> None:
    integers = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
    floats = ["float32", "float64", "complex64", "complex128"]
    for group in (integers, floats, ["bool"]):
        for a in group:
            for b in group:
                want = np.result_type(np.dtype(a), np.dtype(b))
                assert nr.result_type(a, b) == want
                got = nr.zeros(2, dtype=a) + nr.zeros(2, dtype=b)
                assert got.dtype == want


@pytest.mark.parametrize(
    ("dtype", "number", "want"),
    [
        ("int8", 1, "int8"),
        ("uint64", 1, "uint64"),
        ("float32", 1, "float32"),
        ("float32", 1.5, "float32"),
        ("int32", 1.5, "float64"),
        ("bool", 1, "int64"),
        ("bool", 1.5, "float64"),
        ("float32", 1j, "complex64"),
        ("float64", 1j, "complex128"),
        ("int8", 1j, "complex128"),
        ("int8", True, "int8"),
    ],
)
def test_python_numbers_are_weak(dtype: str, number: Any, want: str) -> None:
    x = nr.ones(2, dtype=dtype)
    assert (x + number).dtype == want and (number * x).dtype == want
    assert nr.result_type(x, number) == want
    assert nr.where(nr.ones(2) > 0, x, number).dtype == want


def test_dtype_questions() -> None:
    assert nr.finfo(nr.float32).eps == np.finfo("f4").eps and nr.finfo("complex128").bits == 64
    assert nr.iinfo(nr.uint8).max == 255 and nr.iinfo(nr.ones(1, dtype="int8")).min == -128
    assert nr.isdtype(nr.float32, ("integral", "real floating"))
    assert nr.isdtype(nr.bool, "bool") and not nr.isdtype(nr.bool, "numeric")
    assert nr.can_cast(nr.int8, "int16") and not nr.can_cast(nr.ones(1), nr.float32)
    info = nr.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] is nr.float64
    assert set(info.dtypes(kind="bool")) == {"bool"}
    assert info.default_device() in info.devices()


@pytest.mark.parametrize(
    ("mistake", "error", "said"),
    [
        (lambda x: nr.reshape(x, (5, 5)), nr.errors.ShapeError, "it has 24 elements"),
        (lambda x: nr.reshape(x, (5, -1)), nr.errors.ShapeError, "a multiple of 5"),
        (lambda x: nr.reshape(x, (-1, -1)), nr.errors.ShapeError, "cannot take shape"),
        (lambda x: nr.permute_dims(x, (0, 1)), nr.errors.AxisError, "(2, 3, 4)"),
        (lambda x: nr.moveaxis(x, (0, 1), 0), nr.errors.AxisError, "distinct"),
        (lambda x: nr.squeeze(x, axis=0), nr.errors.ShapeError, "has length 2, not 1"),
        (lambda x: nr.broadcast_to(x, (2, 3)), nr.errors.ShapeError, "x has shape (2, 3, 4)"),
        (lambda x: nr.concat([x, x[0]]), nr.errors.ShapeError, "arrays[1] has shape (3, 4)"),
        (lambda x: nr.stack([x, x[:1]]), nr.errors.ShapeError, "stack needs equal shapes"),
        (lambda x: nr.concat([]), nr.errors.ShapeError, "at least one array"),
        (lambda x: nr.split(x, 5, axis=2), nr.errors.ShapeError, "5 equal pieces"),
        (lambda x: nr.pad(x, [(1, 1), (2, 2)]), nr.errors.ShapeError, "3 axes"),
        (lambda x: nr.pad(x, 1, mode="mean"), nr.errors.UnsupportedError, "no mode 'mean'"),
        (lambda x: nr.pad(x, -1), nr.errors.ShapeError, "not be negative"),
        (lambda x: nr.zeros((2, -1)), nr.errors.ShapeError, "not negative"),
        (lambda x: nr.zeros(2.5), nr.errors.ShapeError, "whole numbers"),
        (lambda x: nr.arange(nr.asarray(3)), nr.errors.DTypeError, "decides a shape"),
        (lambda x: nr.arange(0, 1, 0), nr.errors.ShapeError, "step must not be 0"),
        (lambda x: x.T, nr.errors.ShapeError, ".mT"),
        (lambda x: nr.diag(x), nr.errors.ShapeError, "one or two axes"),
        (lambda x: nr.linspace(x, 1, 3), nr.errors.ShapeError, "vmap"),
        (lambda x: nr.asarray(["a"]), TypeError, "numr has no dtype"),
        (lambda x: nr.ones(2, device="moon"), nr.errors.DeviceError, "moon"),
    ],
)
def test_mistakes(mistake: Callable[[Any], Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        mistake(nr.asarray(X))
    assert said in str(caught.value)
