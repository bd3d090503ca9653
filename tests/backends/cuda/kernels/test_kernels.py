"""Every kind of kernel on a CUDA device beside NumPy, at sizes around warps, blocks and whole grids.

`pytest -m gpu` runs this on a real device; tests/backends/cuda/test_simulator.py in numba-cuda's
simulator, where a grid is small enough for its ends to be met.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import widths
from numr.codegen.backends.cuda.device import open_device
from numr.codegen.backends.cuda.print import WARP

pytestmark = pytest.mark.gpu
CUDA = "cuda"


def around(*sizes: int) -> list[int]:
    return sorted({n + d for n in sizes for d in (-1, 0, 1)})


def grid_sizes(itemsize: int) -> list[int]:
    """One thread, one block and the whole grid of neighbouring points; and more than one round of it."""
    device = open_device(0)
    chunk = max(1, min(16 // itemsize, 8))
    block = device.threads * chunk
    return [0, 1, *around(chunk, WARP, block, block * device.blocks), 2 * block * device.blocks + 5]


def numbers(shape: Any, dtype: Any = np.float64) -> Any:
    x = np.random.default_rng(0).standard_normal(shape) * 4
    return x.astype(dtype) if np.dtype(dtype).kind != "b" else x > 0


def same(f: Any, want: Any, *args: Any, rtol: float = 1e-12) -> None:
    results = nr.jit(f, device=CUDA)(*args)
    wanted = want if isinstance(want, tuple) else (want,)
    for got, w in zip(nr.tree.leaves(results), map(np.asarray, wanted), strict=True):
        assert got.device == CUDA
        assert (got.shape, got.dtype) == (w.shape, w.dtype)
        if w.dtype.kind in "biu":
            np.testing.assert_array_equal(got.numpy(), w)
        else:
            np.testing.assert_allclose(got.numpy(), w, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(
    "dtype", [np.int8, np.float16, np.int32, np.float32, np.float64, np.complex64]
)
def test_elementwise(dtype: Any) -> None:
    for n in grid_sizes(np.dtype(dtype).itemsize):
        x = np.arange(n).astype(np.int8).astype(dtype)
        # half precision is computed in single, and rounded once
        same(lambda x: x * x + x, x * x + x, x, rtol=2e-3 if dtype is np.float16 else 1e-6)


def test_booleans_and_choices() -> None:
    for n in grid_sizes(8):
        x = numbers(n)
        same(lambda x: (x > 0) & ~(x > 1), (x > 0) & ~(x > 1), x)
        same(lambda x: nr.where(x > 0, x, -2 * x), np.where(x > 0, x, -2 * x), x)


def test_broadcasts_and_views() -> None:
    x, row = numbers((33, 65)), numbers(65)
    same(lambda x, row: x.T[::-1, 1:] * 2 + row[:, None], x.T[::-1, 1:] * 2 + row[:, None], x, row)
    same(lambda x: nr.concat([x, x[:, ::2]], axis=1), np.concatenate([x, x[:, ::2]], 1), x)
    same(lambda x: nr.pad(x, 2), np.pad(x, 2), x)
    same(lambda x: nr.roll(x, 7, axis=1), np.roll(x, 7, axis=1), x)
    there = nr.asarray(x, device=CUDA)
    np.testing.assert_array_equal((there.T + row[:, None]).numpy(), x.T + row[:, None])


LENGTHS = [1, 2, *around(WARP, 64), 257]


@pytest.mark.parametrize("n", LENGTHS)
def test_reductions_of_rows(n: int) -> None:
    x = numbers((4, n))
    whole = x.astype(np.int32)

    def f(x: Any, i: Any, m: Any) -> Any:
        parts = m.sum(x, axis=1), m.prod(x / 4, axis=1), m.max(x, axis=1), m.argmin(x, axis=1)
        return *parts, m.any(x > 6, axis=1), m.sum(i, axis=1)

    same(lambda x, i: f(x, i, nr), f(x, whole, np), x, whole, rtol=1e-10)


@pytest.mark.parametrize("n", LENGTHS)
def test_reductions_of_columns(n: int) -> None:
    x = numbers((n, 37))
    same(lambda x: nr.sum(x, axis=0), x.sum(0), x)
    same(lambda x: nr.min(x, axis=0), x.min(0), x)


@pytest.mark.parametrize("n", [1, *around(WARP, 256), 5000, 20_001])
def test_reductions_of_everything(n: int) -> None:
    x = numbers(n)
    f = lambda x, m: (m.sum(x * x), m.max(x), m.argmax(x), m.all(x < 100))
    same(lambda x: f(x, nr), f(x, np), x)
    x[n // 2] = np.nan
    same(lambda x: (nr.min(x), nr.argmin(x)), (np.nan, n // 2), x)


def test_softmax_and_normalised_rows() -> None:
    for n in (1, 33, 65):
        x = numbers((6, n))
        e = np.exp(x - x.max(1, keepdims=True))
        f = nr.jit(lambda x: nr.softmax(x, axis=1), device=CUDA)
        assert len(f.lower(x).kernels) == 1
        same(lambda x: nr.softmax(x, axis=1), e / e.sum(1, keepdims=True), x)

        def normalised(x: Any, m: Any) -> Any:
            centred = x - m.mean(x, axis=1, keepdims=True)
            return centred / m.sqrt(m.mean(centred * centred, axis=1, keepdims=True) + 1e-5)

        same(lambda x: normalised(x, nr), normalised(x, np), x, rtol=1e-10)


@pytest.mark.parametrize("n", [0, 1, 2, *around(WARP, 64, 256), 1000])
def test_scans(n: int) -> None:
    x = numbers((3, n))
    same(lambda x: nr.cumsum(x, axis=1), x.cumsum(1), x, rtol=1e-10)
    same(lambda x: nr.cumsum(x, axis=0), x.cumsum(0), x)
    same(lambda x: nr.cumprod(x, axis=0), x.cumprod(0), x)


@pytest.mark.parametrize("n", [1, *around(WARP, 128), 500])
def test_gathers(n: int) -> None:
    x = numbers((n, 3))
    at = np.random.default_rng(1).integers(-n, n, 2 * n)
    same(lambda x, at: x[at], x[at], x, at)
    same(lambda x, at: nr.take(x, at % n, axis=0), x[at % n], x, at)
    rows = np.argsort(numbers((n, 3)), axis=1)
    same(lambda x, r: nr.take_along_axis(x, r, axis=1), np.take_along_axis(x, rows, 1), x, rows)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("n", [1, WARP + 1, 130])
def test_scatters_add_up_in_one_order(n: int, dtype: Any) -> None:
    values = numbers(n, np.int8 if np.dtype(dtype).kind == "u" else dtype).astype(dtype)
    at = np.random.default_rng(2).integers(0, 7, n)
    want = np.zeros(9, dtype)
    np.add.at(want, at, values)
    f = nr.jit(lambda v, at: nr.scatter_add(nr.zeros(9, dtype=v.dtype), at, v), device=CUDA)
    got = f(values, at).numpy()
    if want.dtype.kind == "f":
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(f(values, at).numpy(), got)


@pytest.mark.parametrize("dtype", [np.int32, np.uint64, np.float32, np.float64])
def test_sums_in_any_order(dtype: Any) -> None:
    """Integers as they come, which changes nothing; other numbers where that is asked for."""
    n = 300
    values = np.arange(n).astype(dtype)
    at = np.random.default_rng(2).integers(0, 7, n)
    want = np.zeros(9, dtype)
    np.add.at(want, at, values)
    f = nr.jit(lambda v, at: nr.scatter_add(nr.zeros(9, dtype=v.dtype), at, v), device=CUDA)
    with nr.config.override(deterministic=False):
        assert "atomic" in str(f.lower(values, at).kernels[-1].ir)
        np.testing.assert_array_equal(f(values, at).numpy(), want)
    assert ("atomic" in str(f.lower(values, at).kernels[-1].ir)) == (want.dtype.kind in "iu")
    np.testing.assert_array_equal(f(values, at).numpy(), want)


def test_updates_of_parts() -> None:
    x = numbers(100)
    at = np.array([3, 99, -1, 0, 3])
    want = x.copy()
    want[at] = np.arange(5)
    same(lambda x: x.at[at].set(nr.arange(5) * 1.0), want, x)
    want = x.copy()
    np.maximum.at(want, at, np.arange(5))
    same(lambda x: x.at[at].max(nr.arange(5) * 1.0), want, x)


@pytest.mark.parametrize(
    "m, k, n", [(1, 1, 1), (3, 0, 2), (16, 16, 16), (17, 33, 15), (17, 17, 65)]
)
def test_matrix_products(m: int, k: int, n: int) -> None:
    a, b = numbers((m, k)), numbers((k, n))
    same(lambda a, b: a @ b, a @ b, a, b)
    same(lambda a, b: (b.T @ a.T).T * 2, a @ b * 2, a, b)
    same(lambda a, v: a @ v, a @ b[:, 0], a, b[:, 0].copy())
    batch = numbers((3, m, k))
    same(lambda a, b: a @ b, batch @ b, batch, b)


@pytest.mark.parametrize("n", [0, 1, 2, 3, *around(WARP, 64)])
def test_sorts(n: int) -> None:
    x = np.round(numbers((4, n)))  # with ties
    same(lambda x: nr.sort(x, axis=1), np.sort(x, 1), x)
    same(lambda x: nr.argsort(x, axis=1), np.argsort(x, 1, kind="stable"), x)
    if n > 2:
        x[1, 1] = np.nan
        same(lambda x: nr.sort(x, axis=1), np.sort(x, 1), x)


def test_factorizations_and_solves() -> None:
    a = numbers((5, 5))
    s = a @ a.T + 5 * np.eye(5)
    b = numbers((5, 2))
    same(lambda s: nr.linalg.cholesky(s), np.linalg.cholesky(s), s)
    same(lambda s, b: nr.linalg.solve(s, b), np.linalg.solve(s, b), s, b, rtol=1e-10)


def test_derivatives_and_batches() -> None:
    x = numbers(40) / 4

    def f(x: Any) -> Any:
        return nr.sum(nr.sin(x) * nr.exp(-x * x)) + nr.max(x)

    for transform in (nr.grad, nr.hessian, lambda f: nr.grad(lambda x: nr.sum(nr.grad(f)(x) ** 2))):
        want = nr.jit(transform(f))(x).numpy()
        same(transform(f), want, x)
    batch = numbers((5, 40)) / 4
    same(nr.vmap(nr.grad(f)), np.stack([nr.grad(f)(row).numpy() for row in batch]), batch)


def test_positions_of_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrays beyond the reach of 32-bit positions get: the same kernels with wider ones."""
    monkeypatch.setattr(widths, "NARROW", 0)
    x, at = numbers((3, 70)), np.array([2, 0, -1, 2])
    f = nr.jit(lambda x: nr.sin(x), device=CUDA)
    assert "positions" not in f.lower(x).kernels[0].ir
    same(lambda x: x.T[::-1] * 2 + nr.sum(x), x.T[::-1] * 2 + x.sum(), x)
    same(lambda x: nr.sum(x, axis=1), x.sum(1), x, rtol=1e-10)
    same(lambda x: nr.cumsum(x, axis=1), x.cumsum(1), x, rtol=1e-10)
    same(lambda x, at: x[at], x[at], x, at)
    same(lambda x: x @ x.T, x @ x.T, x, rtol=1e-10)
    same(lambda x: nr.sort(x, axis=1), np.sort(x, 1), x)
    want = np.zeros((4, 70), np.int64)
    np.add.at(want, at, 3)
    same(lambda at: nr.scatter_add(nr.zeros((4, 70), dtype="int64"), at, 3), want, at)
    copied = nr.asarray(x, device=CUDA).T
    np.testing.assert_array_equal(copied.to_device("cpu").numpy(), x.T)


def test_lazy_arrays_and_reads() -> None:
    x = nr.asarray(numbers(100), device=CUDA)
    y = nr.sin(x) * 2
    assert y.device == CUDA and float(nr.sum(y)) == pytest.approx(2 * np.sin(numbers(100)).sum())
    y[3] = 7
    assert y[3].item() == 7 and y.device == CUDA
    assert y.to_device("cpu").device == "cpu"
    for dtype in nr.dtypes.ALL:
        for shape in ((), (0,), (3, 5), (2, 0, 3), (130,)):
            z = (np.arange(np.prod(shape)) % 2).astype(dtype.dtype).reshape(shape)
            back = nr.asarray(z, device=CUDA).to_device("cpu").numpy()
            assert back.dtype == z.dtype
            np.testing.assert_array_equal(back, z)


def test_repeated_calls_keep_nothing() -> None:
    f = nr.jit(lambda x, a: nr.sum(nr.sin(x) * a), device=CUDA)
    x = nr.asarray(numbers(5), device=CUDA)
    for _ in range(3):
        f(x, 2.0)
    before = open_device(0).allocated
    for _ in range(10):
        f(x, 2.0)
    assert open_device(0).allocated == before
