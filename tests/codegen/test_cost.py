"""What `lower().cost` counts."""

from __future__ import annotations

from typing import Any

import numpy as np

import numr as nr
from numr.ir import scalar as S


def test_cost_of_library_calls_between_kernels() -> None:
    """Nodes that the compiler made itself are counted too."""
    x, y = np.ones((20, 30)), np.ones((30, 10))
    cost = (
        nr.jit(lambda x, y: nr.sum(nr.softmax(x @ y, axis=-1) ** 2) + nr.sum(nr.sort(x)))
        .lower(x, y)
        .cost
    )
    assert cost.library_calls == 2
    assert cost.flops > 2 * 20 * 30 * 10
    assert cost.peak >= 8 * (20 * 10 + 20 * 30)


def flops(f: Any, *args: Any) -> int:
    return nr.jit(f).lower(*args).cost.flops


def test_operations_of_kernels_are_counted_as_often_as_they_run() -> None:
    n = 100_000  # 12 blocks of 8192 elements and a rest, whose sums are then added up
    x, square = np.ones(n), np.ones((30, 20))
    assert flops(lambda x: x * x + 1.0, x) == 2 * n
    assert flops(lambda x: nr.sum(x * x), x) == 2 * n + 13
    assert flops(lambda x: nr.sin(x), x) == S.sin.cost * n
    assert flops(lambda x: nr.sum(x, axis=0) * 2.0, square) == 30 * 20 + 20
    # What a row has once is computed once a row; what two loops over a row need, in both.
    assert flops(lambda x: x * nr.sum(x, axis=1, keepdims=True), square) == 2 * 30 * 20
    assert flops(lambda x: nr.sum(x * x, axis=1)[:, None] + x * x, square) == 4 * 30 * 20
    # The inside of a stencil and its ends are loops of their own; an end is computed, and then not chosen.
    assert flops(lambda x: nr.pad(x[1:] - x[:-1], 1), x) == n + 1
    # Choices and integers are no floating-point operations.
    assert flops(lambda x: nr.where(x > 0.0, x, -x), square) == 2 * 30 * 20
    assert flops(lambda k: nr.sum(k * k + 1), np.arange(9)) == 0
    assert flops(lambda x: x + 1.0, np.ones((0, 3))) == 0


def test_operations_of_library_calls() -> None:
    n, m = 12, 5
    a, b = 4 * np.eye(n) + np.ones((n, n)), np.ones((n, m))
    assert flops(lambda a, b: a @ b, np.ones((7, n, n)), np.ones((7, n, m))) == 7 * 2 * n * n * m
    assert flops(nr.linalg.cholesky, a) == n**3 // 3
    assert flops(nr.linalg.inv, a) == 2 * n**3
    assert flops(nr.linalg.solve, a, b) == 2 * n**3 // 3 + 2 * n**2 * m
    assert flops(nr.linalg.det, a) >= 2 * n**3 // 3
    assert flops(lambda a: nr.linalg.qr(a)[1], a[:, :m]) >= 4 * n * m**2 - 4 * m**3 // 3
    assert flops(nr.sort, np.ones(1000)) == 1000 * 10
    assert flops(nr.cumsum, np.ones(1000)) == 1000


def test_operations_of_loops() -> None:
    x, w = np.ones(40), np.ones((40, 40)) / 40

    def steps(f: Any) -> Any:
        return lambda x: nr.scan(lambda c, _: (f(c), None), x, length=7)[0]

    assert flops(steps(lambda c: c * c + 1.0), x) == 7 * 2 * 40  # inside one kernel
    assert flops(steps(lambda c: w @ c), x) == 7 * 2 * 40 * 40  # a program each round
    # Of a loop whose length nobody knows one round counts, of branches the dearest.
    unknown = flops(
        lambda x: nr.while_loop(lambda c: nr.sum(c @ w) < 9.0, lambda c: w @ c + 1.0, x), x
    )
    assert 2 * 2 * 40 * 40 <= unknown < 3 * 2 * 40 * 40
    dear = flops(lambda x, p: nr.cond(p, lambda: w @ (w @ x), lambda: x), x, np.array(True))
    assert dear == 2 * 2 * 40 * 40
