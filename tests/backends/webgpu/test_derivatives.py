"""Rules of users, checkpoints, series, sparse Jacobians and roots on the device: as on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr

W = (np.arange(9).reshape(3, 3) / 10).astype(np.float32)
X = np.array([0.1, 0.5, 0.9], np.float32)

soft = nr.custom_jvp(lambda x: nr.log(1 + nr.exp(x)))
soft.defjvp(lambda primals, tangents: (soft(*primals), tangents[0] * nr.sigmoid(primals[0])))
sine = nr.custom_vjp(nr.sin)
sine.defvjp(lambda x: (nr.sin(x), x), lambda x, ct: (ct * nr.cos(x),))


@nr.checkpoint
def layers(x: Any) -> Any:
    return nr.tanh(W @ nr.tanh(W @ x))


FUNCTIONS: dict[str, Any] = {
    "custom_jvp": nr.grad(lambda x: nr.sum(soft(x) ** 2)),
    "custom_vjp": nr.grad(lambda x: nr.sum(sine(x) ** 2)),
    "checkpoint": nr.grad(lambda x: nr.sum(layers(x))),
    "jet": lambda x: nr.jet(lambda x: nr.tanh(x) * nr.exp(x), (x,), ([x, 0 * x, 0 * x],))[1][2],
    "laplacian": nr.laplacian(lambda x: nr.sum(nr.sin(x) ** 3)),
    "sparse": lambda x: nr.sparse_jacobian(lambda x: x[1:] * x[:-1])(x).data,
    "fixed_point": nr.grad(
        lambda x: nr.sum(nr.fixed_point(lambda y: 0.5 * (y + x / y), nr.ones_like(x)))
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_on_the_cpu(name: str) -> None:
    f = FUNCTIONS[name]
    got, want = nr.jit(f, device="webgpu")(X), nr.jit(f, device="cpu")(X)
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-6)
