"""Where kernels read: never outside an array, also where what they read is not wanted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr

X = np.linspace(0.5, 2.0, 4)
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "a part of one element": lambda x: nr.sum(
        nr.pad(nr.exp(x[1:2]), (3, 0))[:, None] * nr.sin(x)[None, :], axis=0
    ),
    "a row": lambda x: nr.sum(nr.pad(nr.reshape(x, (1, 4)), ((2, 1), (0, 0))) ** 2, axis=1),
    "joined": lambda x: nr.sum(nr.concat([x[3:], nr.sin(x[:3])]) * x),
    "gradient": nr.grad(lambda x: nr.sum(nr.log(x[:2]) * x[3]) + nr.exp(x[2])),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_place_before_an_array(name: str) -> None:
    f = nr.jit(FUNCTIONS[name])
    for kernel in f.lower(X).kernels:
        assert not re.search(r"= a\d+\[i64:-", str(kernel.ir)), kernel.ir
    want = nr.jit(FUNCTIONS[name], device="reference")(X)
    np.testing.assert_allclose(f(X).numpy(), want.numpy(), rtol=1e-14)
