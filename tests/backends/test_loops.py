"""Loops inside kernels on devices, as the CPU has them: lanes, trip counts, branches, pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import lowered, program, repeat
from numr.codegen.recent import Recent

RNG = np.random.default_rng(3)
W = np.array([[0.1, -0.4], [0.3, 0.2]], np.float32)


def numbers(*shape: int) -> np.ndarray:
    return RNG.uniform(0.2, 1.0, shape).astype(np.float32)


def recurrence(x: Any, xs: Any) -> Any:
    """What lanes carry, what they share, rows in and out, a choice with a dear side."""

    def step(carry: Any, row: Any) -> Any:
        x, t = carry
        y = nr.where(x > 0.6, nr.sin(nr.exp(-x * x)), x + row)
        return (y, t + 1), (x * y, t)

    return nr.scan(step, (x, nr.asarray(0, dtype="int32")), xs, reverse=True)


def escape(x: Any, y: Any) -> Any:
    def inside(s: Any) -> Any:
        return (s[0] * s[0] + s[1] * s[1] <= 4.0) & (s[2] < 60)

    def step(s: Any) -> Any:
        return s[0] * s[0] - s[1] * s[1] - x, 2.0 * s[0] * s[1] + y, s[2] + 1

    zero = nr.asarray(0, dtype="int32")
    return nr.while_loop(inside, step, (0.0 * x, 0.0 * y, zero))


def rotation(z: Any) -> Any:
    return nr.fori_loop(0, 5, lambda i, z: z * z * 0.5 + nr.asarray(0.1j, dtype="complex64"), z)


def states(h: Any, xs: Any) -> Any:
    return nr.scan(lambda h, x: (nr.tanh(W @ h + x), h), h, xs)


def squared(f: Callable[..., Any]) -> Callable[..., Any]:
    def value(*args: Any) -> Any:
        return sum(
            nr.sum(leaf * leaf) for leaf in nr.tree.leaves(f(*args)) if leaf.dtype.kind == "f"
        )

    return value


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "one lane": (recurrence, (numbers(), numbers(6))),
    "lanes": (recurrence, (numbers(300), numbers(6, 300))),
    "no steps": (recurrence, (numbers(5), numbers(0, 5))),
    "trip counts": (nr.vmap(nr.vmap(escape, (0, None)), (None, 0)), (numbers(17), numbers(20))),
    "complex": (nr.vmap(rotation), ((numbers(9) + 1j * numbers(9)).astype(np.complex64),)),
    "states": (nr.vmap(states), (numbers(70, 2), numbers(70, 4, 2))),
    "gradient": (nr.grad(squared(recurrence)), (numbers(40), numbers(6, 40))),
    "gradients": (nr.vmap(nr.grad(squared(states))), (numbers(40, 2), numbers(40, 4, 2))),
}


@pytest.mark.parametrize("pieces", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize("name", CASES)
def test_a_loop_inside_a_kernel(
    name: str, pieces: bool, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    f, args = CASES[name]
    want = nr.jit(f)(*args)
    if pieces:
        monkeypatch.setattr(program, "PROGRAMS", Recent(2**24))
        monkeypatch.setattr(lowered, "STRETCH", 1)
        monkeypatch.setattr(repeat, "FEWEST_ROUNDS", 7)
        monkeypatch.setattr(repeat, "GROWTH", 1)
    jitted = nr.jit(f, device=device)
    assert " of\n" not in str(jitted.lower(*args).program)
    for g, w in zip(nr.tree.leaves(jitted(*args)), nr.tree.leaves(want), strict=True):
        assert g.shape == w.shape and g.dtype == w.dtype
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=2e-4, atol=2e-5)
