"""Ten scalar functions whose derivatives are held against them, each for a small call and for large arrays.

A derivative is by the first argument (for the MLP, by all parameters).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

import numr as nr
from benchmarks.workloads import (
    black_scholes,
    heat,
    logistic,
    mlp,
    nbody,
    pendulums,
    rosenbrock,
    rows,
)

HEAT_STEPS, SWINGS = 20, 100


@dataclass(frozen=True)
class Scalar:
    """A function to one number, and makers of its arguments of two sizes."""

    name: str
    call: Callable[..., Any]
    arguments: Callable[..., tuple[Any, ...]]
    small: tuple[int, ...]
    large: tuple[int, ...]

    def title(self, large: bool) -> str:
        return f"{self.name}, {' x '.join(map(str, self.large if large else self.small))}"

    def at(self, large: bool) -> tuple[Any, ...]:
        """The arguments, NumPy arrays."""
        return self.arguments(np.random.default_rng(0), *(self.large if large else self.small))


def _logistic(random: Any, count: int, width: int) -> tuple[Any, ...]:
    label = np.where(random.uniform(size=count) < 0.5, 1.0, -1.0)
    return random.normal(size=width) / 10, random.normal(size=(count, width)), label


def _mlp(random: Any, batch: int, width: int) -> tuple[Any, ...]:
    parameters = [
        (random.normal(size=(m, n)) / math.sqrt(m), 0.1 * random.normal(size=n))
        for m, n in pairwise((width, width, width, 10))
    ]
    return (
        parameters,
        random.normal(size=(batch, width)),
        np.eye(10)[random.integers(10, size=batch)],
    )


def _options(random: Any, n: int) -> tuple[Any, ...]:
    given = black_scholes.inputs(n)
    return tuple(given[name] for name in black_scholes.NAMES)


def _plate(random: Any, rows: int, columns: int) -> tuple[Any, ...]:
    return (random.uniform(size=(rows, columns)),)


def _price(*arguments: Any) -> Any:
    return nr.sum(black_scholes.formula(nr, nr.special.erf)(*arguments))


def _layernorm(x: Any, scale: Any, bias: Any, c: Any) -> Any:
    return nr.sum(c * rows.layernorm(nr, lambda v: 1 / nr.sqrt(v))(x, scale, bias))


def _energy(plate: Any) -> Any:
    spread = heat.step(nr)
    end = nr.fori_loop(0, HEAT_STEPS, lambda _, u: spread(u), plate)
    return 0.5 * nr.sum(end * end)


def _angles(angle: Any, speed: Any, pull: Any) -> Any:
    return nr.sum(pendulums.pendulum(nr, nr.scan, SWINGS)(angle, speed, pull)[0])


FUNCTIONS = (
    Scalar(
        "Rosenbrock",
        rosenbrock.rosenbrock(nr),
        lambda random, n: (random.normal(size=n),),
        (1000,),
        (1_000_000,),
    ),
    Scalar(
        "logistic regression", logistic.loss(nr, nr.softplus), _logistic, (100, 10), (10_000, 100)
    ),
    Scalar("MLP", mlp.loss(nr, lambda x: nr.log_softmax(x, axis=-1)), _mlp, (8, 16), (256, 256)),
    Scalar(
        "N-body",
        nbody.potential(nr),
        lambda random, n: (random.normal(size=(n, 3)), random.uniform(0.5, 1, n)),
        (20,),
        (1000,),
    ),
    Scalar("Black-Scholes", _price, _options, (100,), (1_000_000,)),
    Scalar(
        "logsumexp",
        lambda x, c: nr.sum(c * nr.logsumexp(x, axis=-1)),
        lambda random, m, n: (random.normal(size=(m, n)), random.normal(size=m)),
        (16, 16),
        (4096, 512),
    ),
    Scalar(
        "softmax",
        lambda x, c: nr.sum(c * nr.softmax(x, axis=-1)),
        lambda random, m, n: (random.normal(size=(m, n)), random.normal(size=(m, n))),
        (16, 16),
        (4096, 512),
    ),
    Scalar(
        "layernorm",
        _layernorm,
        lambda random, m, n: tuple(random.normal(size=s) for s in ((m, n), n, n, (m, n))),
        (16, 16),
        (4096, 512),
    ),
    Scalar("heat", _energy, _plate, (16, 16), (512, 512)),
    Scalar(
        "pendulums",
        _angles,
        lambda random, n: (*random.uniform(-2, 2, (2, n)), random.uniform(5, 15, n)),
        (10,),
        (4096,),
    ),
)


def derivatives(f: Callable[..., Any]) -> dict[str, Any]:
    """The function and its derivatives, jitted; the Hessian is multiplied by a second argument."""

    def product(x: Any, v: Any, *rest: Any) -> Any:
        return nr.hvp(lambda x: f(x, *rest))(x, v)

    return {
        "value": nr.jit(f),
        "gradient": nr.jit(nr.grad(f)),
        "both": nr.jit(nr.value_and_grad(f)),
        "product": nr.jit(product),
    }


def with_direction(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a Hessian-vector product."""
    random = np.random.default_rng(1)
    x, *rest = arguments
    return (x, nr.tree.map(lambda a: random.normal(size=a.shape), x), *rest)


# -- chains of layers ------------------------------------------------------------------------------


def layers(weights: Any, x: Any) -> Any:
    for w in weights:
        x = nr.tanh(x @ w)
    return x


def whole(weights: Any, x: Any) -> Any:
    """The loss of a chain of layers."""
    return nr.sum(layers(weights, x) ** 2)


def in_segments(weights: Any, x: Any) -> Any:
    """The same, cut into as many segments as there are layers in each."""
    size = max(math.isqrt(len(weights)), 1)
    for k in range(0, len(weights), size):
        x = nr.checkpoint(layers)(weights[k : k + size], x)
    return nr.sum(x**2)


def chain(depth: int, count: int, width: int) -> tuple[Any, Any]:
    """Weights, one matrix many times, and inputs of a chain."""
    random = np.random.default_rng(0)
    w = random.normal(size=(width, width)) / math.sqrt(width)
    return [w] * depth, random.normal(size=(count, width))
