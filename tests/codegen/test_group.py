"""Which results share a kernel: few kernels for long programs, and never a cycle among them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.fuse import MAX_ARRAYS
from numr.codegen.group import MAX_RESULTS


def chain(xp: Any, x: Any, length: int) -> Any:
    for k in range(length):
        x = xp.sin(x) if k % 3 == 0 else (x * 1.01 if k % 3 == 1 else x + 0.1)
    return x


def test_a_long_chain_and_its_gradient_are_few_kernels() -> None:
    x = np.linspace(0, 1, 100)
    gradient = nr.grad(lambda x: nr.sum(chain(nr, x, 300)))
    kernels = nr.jit(gradient).lower(x).kernels
    assert len(kernels) <= 12
    for kernel in kernels:
        head = kernel.ir.splitlines()[0]
        assert head.count("out ") <= MAX_RESULTS
        assert head.count(":") <= MAX_ARRAYS
    step = 1e-6
    difference = (chain(np, x + step, 300) - chain(np, x - step, 300)) / (2 * step)
    np.testing.assert_allclose(nr.jit(gradient)(x), difference, rtol=1e-6, atol=1e-12)


def test_a_result_built_on_another_element_by_element_shares_its_kernel() -> None:
    def both(x: nr.Array) -> tuple[nr.Array, nr.Array]:
        y = nr.exp(x)
        return y, nr.sin(y) + x

    x = np.linspace(0, 1, 50)
    assert len(nr.jit(both).lower(x).kernels) == 1
    for found, expected in zip(nr.jit(both)(x), (np.exp(x), np.sin(np.exp(x)) + x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_a_result_that_reads_another_elsewhere_does_not() -> None:
    def both(x: nr.Array) -> tuple[nr.Array, nr.Array]:
        y = nr.exp(x)
        return y, y[::-1] + x

    x = np.linspace(0, 1, 50)
    assert len(nr.jit(both).lower(x).kernels) == 2
    np.testing.assert_allclose(nr.jit(both)(x)[1], np.exp(x)[::-1] + x, rtol=1e-14)


@pytest.mark.parametrize("seed", range(20))
def test_random_programs(seed: int) -> None:
    """Many results, read in place, turned round, summed and gathered by later ones."""

    def program(xp: Any, x: Any, y: Any) -> list[Any]:
        random = np.random.default_rng(seed)
        values, results = [x, y], []
        for _ in range(30):
            a, b = (values[i] for i in random.integers(max(0, len(values) - 8), len(values), 2))
            kind = random.integers(7)
            if kind == 0:
                new = xp.sin(a) * xp.tanh(b)
            elif kind == 1:
                new = xp.exp(-a * a) + b
            elif kind == 2:
                new = xp.tanh(a[::-1]) - 0.5 * b
            elif kind == 3:
                new = a - xp.mean(b)
            elif kind == 4:
                new = xp.where(a > b, xp.tanh(a), b)
            elif kind == 5:
                new = xp.cumulative_sum(a) / a.shape[0] + b
            else:
                new = xp.cos(a) + xp.sqrt(xp.abs(b) + 1.0)
            values.append(new)
            if random.random() < 0.4:
                results.append(new)
        return [*results, values[-1]]

    random = np.random.default_rng(100 + seed)
    function = nr.jit(lambda x, y: program(nr, x, y))
    for size in (40, 7, 1000):
        x, y = random.normal(size=(2, size))
        for found, expected in zip(function(x, y), program(np, x, y), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(0, 5), (2, 500), (3, 500), (4, 7), (5, 7), (30, 40)])
def test_few_long_rows(shape: tuple[int, int]) -> None:
    """A number of rows that is written into kernels leaves no loop for a row's sums to be in."""
    x = np.random.default_rng(0).normal(size=shape)
    f = nr.grad(lambda x: nr.sum(nr.softmax(x, axis=-1) ** 2 + nr.mean(x, axis=0)))
    s = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    want = 2 * s * (s - (s * s).sum(axis=1, keepdims=True)) + 1
    np.testing.assert_allclose(nr.jit(f)(x).numpy(), want, rtol=1e-13)
