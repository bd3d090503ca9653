"""Random programs, and sizes that cross every group of points and lanes, on devices as NumPy has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import numr as nr
from tests.programs.modules import NUMR
from tests.programs.test_random_programs import (
    agree,
    examples,
    floats_of,
    programs,
    run,
    scalar_of,
    sizes,
)
from tests.programs.values import Program, arguments


@examples(60)
@given(programs(), sizes(), sizes(), st.integers(0, 999), st.booleans())
def test_values(
    device: str, program: Program, first: Any, second: Any, seed: int, awkward: bool
) -> None:
    f = program.function(NUMR)
    compiled = nr.jit(f, device=device)
    for k, chosen in enumerate((first, second)):
        arrays = arguments(program.inputs, chosen, seed + k, awkward)
        want, scale = run(program, arrays)
        results = {"compiled": compiled(*arrays)}
        if k == 0:
            results["lazy"] = f(*(nr.asarray(a, device=device) for a in arrays))
        for what, got in results.items():
            for g, w, v in zip(got, want, program.outputs, strict=True):
                agree(g, w, v, scale, f"{what} at {chosen}")


@examples(40)
@given(programs(smooth=True, most=9), sizes(1), st.integers(0, 999), st.booleans())
def test_gradients(device: str, program: Program, chosen: Any, seed: int, generic: bool) -> None:
    wrt = floats_of(program)
    if not wrt or not any(v.floating for v in program.outputs):
        return
    slope = nr.value_and_grad(scalar_of(program), argnums=wrt)
    arrays = arguments(program.inputs, chosen, seed, False, generic)
    _, (largest, coarse) = run(program, arrays)
    _, slopes = nr.jit(slope, device=device)(*arrays)
    wanted = nr.jit(slope, device="reference")(*arrays)[1]
    for got, want, i in zip(slopes, wanted, wrt, strict=True):
        limit = max(largest, float(np.nan_to_num(np.abs(want.numpy())).max(initial=0)))
        agree(got, want, program.inputs[i], (limit**2, coarse), f"gradient at {chosen}")


Check = Callable[..., None]
LINES = (1, 63, 64, 65, 255, 256, 257, 1000, 16385, 70_000)
ROWS = ((3, 31), (65, 32), (2, 33), (300, 7), (7, 127), (5, 129), (4, 300), (3, 1025), (2, 17_000))


def weights(shape: Any) -> Any:
    shape = tuple(map(int, shape))
    return np.cos(np.arange(np.prod(shape))).reshape(shape)


@pytest.fixture(scope="module")
def check(device: str) -> Check:
    """On the device, compiled, as on the reference."""

    def run(f: Callable[..., Any], *arrays: Any, tolerance: float = 1e-11) -> None:
        got, want = (nr.jit(f, device=d)(*arrays) for d in (device, "reference"))
        got, want = nr.tree.leaves(got), nr.tree.leaves(want)
        for g, w in zip(got, want, strict=True):
            g, w = g.numpy(), w.numpy()
            assert g.dtype == w.dtype
            if w.dtype.kind in "biu":
                np.testing.assert_array_equal(g, w)
            else:
                scale = float(np.abs(w[np.isfinite(w)]).max(initial=0))
                np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * scale)

    return run


@pytest.mark.parametrize("n", LINES)
def test_lines(check: Check, n: int) -> None:
    rng = np.random.default_rng(n)
    x = rng.normal(size=n)
    check(lambda x: (nr.sin(x) * x, x > 0, nr.flip(x), nr.concat([x, x[: n // 2]])), x)
    check(lambda x: (nr.sum(x), nr.max(x), nr.mean(x * x), nr.any(x > 3), nr.argmax(x)), x)
    check(lambda x: (nr.cumulative_sum(x), nr.sort(x), nr.argsort(x)), x)
    check(nr.grad(lambda x: nr.sum(nr.tanh(x) ** 2)), x)
    places = rng.integers(0, max(n // 3, 1), n)
    check(lambda x, i: x[i], x, places)
    f = lambda x, i: (nr.zeros(n).at[i].add(x), nr.zeros(n).at[i].set(x))
    check(f, x, places)


@pytest.mark.parametrize("shape", ROWS)
def test_rows_and_columns(check: Check, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(shape[1]).normal(size=shape)

    def layernorm(x: Any) -> Any:
        centred = x - nr.mean(x, axis=1, keepdims=True)
        return centred / nr.sqrt(nr.mean(centred * centred, axis=1, keepdims=True) + 1e-5)

    for f in (lambda x: nr.softmax(x, axis=1), layernorm, lambda x: nr.logsumexp(x, axis=1)):
        check(f, x)
        # Weights of both signs: what is left of a difference of near-equals says nothing.
        check(nr.grad(lambda x, f=f: nr.sum(f(x) * weights(f(x).shape))), x)
    check(lambda x: (nr.sum(x, axis=1), nr.max(x, axis=1), nr.argmin(x, axis=1)), x)
    check(lambda x: (nr.sum(x, axis=0), nr.min(x, axis=0), nr.std(x, axis=0)), x)
    check(lambda x: (nr.cumulative_sum(x, axis=1), nr.cumulative_prod(x, axis=0)), x)
    check(lambda x: (nr.sort(x, axis=0), nr.argsort(x, axis=1), x.T + 1), x)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "bool", "float16"])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 63, 64, 65, 1000])
def test_neighbours_that_share_a_word(check: Check, dtype: str, n: int) -> None:
    x = np.random.default_rng(n).integers(0, 2 if dtype == "bool" else 100, n).astype(dtype)
    check(lambda x: (nr.flip(x), nr.where(x > 1, x, x), nr.concat([x, x])), x, tolerance=1e-3)
    if dtype != "bool":
        check(lambda x: (x + x * x, -x, x.at[::2].add(3)), x, tolerance=2e-3)


@pytest.mark.parametrize(
    ("m", "k", "n"),
    [(1, 1, 1), (63, 65, 64), (64, 16, 64), (65, 17, 33), (17, 70, 129), (128, 1, 96)],
)
def test_products(check: Check, m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(m)
    x, y = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    check(nr.matmul, x, y)
    check(lambda x, y: x.T @ y, x.T.copy(), y)
    check(lambda x, y: x @ y.T, x, y.T.copy())
    check(nr.matmul, rng.integers(-9, 9, (m, k)), rng.integers(-9, 9, (k, n)))
    check(nr.matmul, x.astype(np.float32), y.astype(np.float32), tolerance=1e-5)
    check(nr.matmul, x + 1j * x[::-1], y - 2j * y)
    check(nr.vmap(nr.matmul, in_axes=(0, None)), np.stack([x, 2 * x, -x]), y)
    check(nr.grad(lambda x, y: nr.sum(nr.sin(x @ y)), argnums=(0, 1)), x, y)


def test_linear_algebra(check: Check, device: str) -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 17, 40, 130):
        a = rng.normal(size=(n, n)) + n * np.eye(n)
        b = rng.normal(size=(n, 3))
        spd = a @ a.T
        check(nr.linalg.solve, a, b)
        check(nr.linalg.inv, a)
        check(nr.linalg.cholesky, spd)
        check(lambda a: (nr.linalg.slogdet(a)[0], nr.linalg.slogdet(a)[1]), a)
        check(nr.grad(lambda a: nr.linalg.slogdet(a)[1]), a)
    stack = rng.normal(size=(5, 6, 6)) + 6 * np.eye(6)
    check(nr.linalg.det, stack)
    check(nr.vmap(nr.linalg.solve), stack, rng.normal(size=(5, 6, 2)))
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert nr.jit(nr.linalg.det, device=device)(singular).item() == 0
    assert np.isnan(nr.jit(nr.linalg.solve, device=device)(singular, np.ones((2, 1)))).all()
    assert np.isnan(nr.jit(nr.linalg.cholesky, device=device)(-np.eye(2)).numpy()[0, 0])


def rebuilt(x: Any) -> Any:
    """From its factors, whose signs are free, and what three of them share with a vector (of the largest
    eigenvalues, which are well apart)."""
    u, s, vh = nr.linalg.svd(x, full_matrices=False)
    w, v = nr.linalg.eigh(nr.conj(x.mT) @ x)
    q, r = nr.linalg.qr(x)
    line = nr.ones(x.shape[-1], dtype=x.dtype)
    size = nr.abs(nr.linalg.vecdot(line, nr.matrix_transpose(v)[..., -3:, :])) ** 2
    return (u * s[..., None, :]) @ vh, s, (v * w[..., None, :]) @ nr.conj(v.mT), w, q, r, size


def test_decompositions(check: Check, device: str) -> None:
    """Also where rounds are more than this driver lets a loop be, and of low rank, whose vectors are any."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 4))
    check(rebuilt, rng.normal(size=(70, 66)))
    check(rebuilt, x + 1j * x[::-1])
    check(lambda x: rebuilt(x)[:2], rng.normal(size=(5, 3, 3)).astype(np.float32), tolerance=1e-4)
    check(nr.grad(lambda x: sum(nr.sum(nr.sin(part)) for part in rebuilt(x)[:2])), x)
    low = np.outer([1.0, 2.0, 2.0, 0.0], [3.0, 4.0, 0.0])
    for x in (low, 0 * low, 1e-200 * low, 1e200 * low):
        u, s, vh = (p.numpy() for p in nr.jit(nr.linalg.svd, device=device)(x))
        np.testing.assert_allclose(s, np.linalg.svd(x)[1], atol=1e-14 * s.max())
        np.testing.assert_allclose((u[:, :3] * s) @ vh[:3], x, atol=1e-14 * s.max())
        for v in (u, vh):
            np.testing.assert_allclose(np.conj(v.T) @ v, np.eye(len(v)), atol=1e-14)


def test_columns_and_updates_longer_than_this_driver_lets_a_loop_be(check: Check) -> None:
    rng = np.random.default_rng(0)
    x, places = rng.normal(size=(70_001, 5)), rng.integers(0, 50, 70_001)
    check(lambda x: (nr.sum(x * x, axis=0) - 1, nr.max(x, axis=0), nr.mean(x, axis=0)), x)
    check(nr.grad(lambda w, i: nr.sum(w[i] ** 2)), rng.normal(size=(50, 2)), places)


def test_products_and_factorizations_longer_than_this_driver_lets_a_loop_be(check: Check) -> None:
    """It breaks loops off after 65,535 rounds and says nothing: results would be wrong."""
    rng = np.random.default_rng(0)
    for m, n in ((3, 2), (40, 33)):
        check(nr.matmul, rng.normal(size=(m, 70_001)), rng.normal(size=(70_001, n)))
    a = rng.normal(size=(420, 420))
    positive = a @ a.T + 420 * np.eye(420)
    check(nr.linalg.cholesky, positive)
    check(nr.linalg.solve, positive, rng.normal(size=(420, 2)))
    check(lambda a: nr.linalg.slogdet(a)[1], positive)
    check(nr.linalg.solve_triangular, np.tril(positive), rng.normal(size=(420, 300)))


def test_a_reduction_over_the_axis_of_the_grid_itself(check: Check) -> None:
    rng = np.random.default_rng(0)
    loss = lambda b, c: nr.sum(b * nr.max(c, axis=0))
    check(nr.grad(loss, argnums=(0, 1)), rng.normal(size=(2, 5)), rng.normal(size=(5, 5)))
