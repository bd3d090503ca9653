"""Normalizations against NumPy, their derivatives to second order, batches, dtypes, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr import errors
from tests.functions.orders import check_derivatives
from tests.functions.support import agree, value

RNG = np.random.default_rng(6)


def standard(x: Any, axes: Any, eps: float = 1e-5) -> Any:
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)


def by_channel(v: Any, rank: int) -> Any:
    return v.reshape(-1, *(1 for _ in range(rank - 2)))


X2, X3, X4 = (RNG.normal(size=s) * 3 + 1 for s in ((4, 6), (2, 6, 5), (2, 6, 3, 4)))
W, B = RNG.normal(size=6), RNG.normal(size=6)
M, V = RNG.normal(size=6), RNG.uniform(0.5, 2.0, 6)


def grouped(x: Any, groups: int) -> Any:
    parts = x.reshape(x.shape[0], groups, -1)
    return standard(parts, 2).reshape(x.shape)


@pytest.mark.parametrize("x", [X2, X3, X4], ids=["2", "3", "4"])
def test_values(x: Any) -> None:
    w, b = by_channel(W, x.ndim), by_channel(B, x.ndim)
    places = tuple(range(2, x.ndim))
    rest = (0, *places)
    agree(nr.group_norm(x, 3), grouped(x, 3), 1e-12, 1e-12)
    agree(nr.group_norm(x, 2, W, B), grouped(x, 2) * w + b, 1e-12, 1e-12)
    agree(nr.batch_norm(x, W, B), standard(x, rest) * w + b, 1e-12, 1e-12)
    known = (x - by_channel(M, x.ndim)) / np.sqrt(by_channel(V, x.ndim) + 1e-5)
    agree(nr.batch_norm(x, W, B, mean=M, var=V), known * w + b, 1e-12, 1e-12)
    if places:
        agree(nr.instance_norm(x, W, B), standard(x, places) * w + b, 1e-12, 1e-12)
        agree(nr.instance_norm(x), grouped(x, 6), 1e-12, 1e-12)
    last = x.shape[-1]
    s, t = RNG.normal(size=last), RNG.normal(size=last)
    agree(nr.layer_norm(x, s, t), standard(x, -1) * s + t, 1e-12, 1e-12)
    agree(nr.layer_norm(x, axis=None), standard(x, None), 1e-12, 1e-12)
    root = np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)
    agree(nr.rms_norm(x, s), x / root * s, 1e-12, 1e-12)
    both = x.shape[-2:]
    s = RNG.normal(size=both)
    agree(nr.layer_norm(x, s, axis=(-2, -1)), standard(x, (-2, -1)) * s, 1e-12, 1e-12)


def test_values_far_from_zero_and_awkward() -> None:
    far = np.array([[1e8, 1e8 + 1, 1e8 + 2]])
    agree(nr.layer_norm(far), standard(far - 1e8, -1), 1e-12)
    agree(nr.layer_norm(np.full((2, 3), 7.0)), np.zeros((2, 3)))
    agree(nr.rms_norm(np.zeros((2, 3))), np.zeros((2, 3)))
    assert np.isnan(value(nr.layer_norm(np.array([1.0, np.nan])))).all()
    assert value(nr.layer_norm(np.ones((0, 4)))).shape == (0, 4)
    agree(nr.layer_norm(np.ones((3, 1))), np.zeros((3, 1)))
    np.testing.assert_array_equal(
        value(nr.grad(lambda x: nr.sum(nr.rms_norm(x, eps=0.01)))(nr.zeros(4))), np.full(4, 10.0)
    )


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "layer_norm": (nr.layer_norm, (X2, W, B)),
    "layer_norm axes": (lambda x: nr.layer_norm(x, axis=(0, 2)), (X3,)),
    "rms_norm": (nr.rms_norm, (X2, W)),
    "group_norm": (lambda x, w, b: nr.group_norm(x, 3, w, b), (X3, W, B)),
    "instance_norm": (nr.instance_norm, (X3, W, B)),
    "batch_norm": (nr.batch_norm, (X3, W, B)),
    "batch_norm known": (
        lambda x, w, b, m, v: nr.batch_norm(x, w, b, mean=m, var=v),
        (X2, W, B, M, V),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name: str) -> None:
    f, args = FUNCTIONS[name]
    check_derivatives(f, *args)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_batched_and_compiled(name: str) -> None:
    f, (x, *rest) = FUNCTIONS[name]
    xs = np.stack([x, 2 * x, x - 1])
    want = np.stack([value(f(v, *rest)) for v in xs])
    axes = (0, *(None for _ in rest))
    agree(nr.vmap(f, in_axes=axes)(xs, *rest), want, 1e-11, 1e-11)
    np.testing.assert_allclose(np.asarray(nr.jit(f)(x, *rest)), want[0], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int32", "bool"])
def test_dtypes(dtype: str) -> None:
    x = (X2 * 4).astype(dtype)
    want = standard(x.astype(float), -1)
    got = np.asarray(nr.jit(nr.layer_norm)(x))
    assert got.dtype == (dtype if dtype.startswith("float") else "float64")
    tolerance = {"float16": 2e-3, "float32": 1e-5}.get(dtype, 1e-12)
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


def test_it_is_one_kernel() -> None:
    lowered = nr.jit(nr.layer_norm).lower(np.ones((64, 100), "f4"), np.ones(100, "f4"))
    assert len(lowered.kernels) == 1


def test_webgpu() -> None:
    pytest.importorskip("wgpu")
    if not any(str(d).startswith("webgpu") for d in nr.available_devices()):
        pytest.skip("no adapter")
    f = nr.jit(nr.grad(lambda x, w: nr.sum(nr.group_norm(x, 2, w) ** 3), argnums=(0, 1)))
    args = (X4.astype("f4"), W.astype("f4"))
    there = f(*(nr.asarray(v, device="webgpu") for v in args))
    for got, want in zip(there, f(*args), strict=True):
        np.testing.assert_allclose(np.asarray(got), np.asarray(want), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nr.layer_norm(X2, np.ones(4)), ("weight", "(4, 6)", "(4,)")),
        (lambda: nr.layer_norm(X2, W, np.ones((1, 6))), ("bias", "(1, 6)")),
        (lambda: nr.group_norm(X2, 4), ("6 channels", "4 groups")),
        (lambda: nr.group_norm(X2[0], 2), ("group_norm", "(6,)")),
        (lambda: nr.instance_norm(X2), ("instance_norm", "(4, 6)")),
        (lambda: nr.batch_norm(X2, mean=M), ("mean is given without var",)),
        (lambda: nr.batch_norm(X2, np.ones(4)), ("weight", "(4,)")),
    ],
)
def test_errors(call: Callable[[], Any], words: tuple[str, ...]) -> None:
    with pytest.raises(errors.ShapeError) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_other_errors() -> None:
    with pytest.raises(errors.DTypeError, match="real numbers"):
        nr.layer_norm(np.ones(3, complex))
    with pytest.raises(errors.AxisError):
        nr.rms_norm(X2, axis=2)
