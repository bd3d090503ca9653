"""Five functions in terms of a library's operations: numr and CasADi are given the same text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LINKS = (0.4, 0.35, 0.3, 0.25, 0.15, 0.1)
# The axes that the joints turn about, and those that the links beyond them lie along.
JOINTS, ALONG = (2, 1, 1, 0, 1, 0), (2, 0, 2, 0, 2, 1)
STEP, GRAVITY = 0.01, 9.81


def rosenbrock(xp: Any, x: Any) -> Any:
    """Rosenbrock's function of many numbers."""
    return xp.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def arm(xp: Any, q: Any) -> Any:
    """Where the hand of an arm of six joints is: from the last link back, each joint turns what is beyond it."""
    c, s = xp.cos(q), xp.sin(q)
    place: list[Any] = [0.0, 0.0, 0.0]
    for k in reversed(range(len(LINKS))):
        place[ALONG[k]] = place[ALONG[k]] + LINKS[k]
        a, b = (JOINTS[k] + 1) % 3, (JOINTS[k] + 2) % 3
        place[a], place[b] = c[k] * place[a] - s[k] * place[b], s[k] * place[a] + c[k] * place[b]
    return xp.stack(place)


def pendulum(xp: Any, y: Any, torque: Any) -> Any:
    """A step of Runge and Kutta of a double pendulum that is driven at its first joint."""

    def slope(y: Any) -> Any:
        first, second, v, w = y[0], y[1], y[2], y[3]
        s, c = xp.sin(first - second), xp.cos(first - second)
        s1, s2 = GRAVITY * xp.sin(first), GRAVITY * xp.sin(second)
        below = 2.0 - c * c
        a = (torque[0] - 2.0 * s1 + s2 * c - s * (w * w + v * v * c)) / below
        b = (2.0 * (s1 * c - s2) - torque[0] * c + s * (2.0 * v * v + w * w * c)) / below
        return xp.stack([v, w, a, b])

    k1 = slope(y)
    k2 = slope(y + (STEP / 2) * k1)
    k3 = slope(y + (STEP / 2) * k2)
    k4 = slope(y + STEP * k3)
    return y + (STEP / 6) * (k1 + 2.0 * k2 + 2.0 * k3 + k4)


def network(xp: Any, w1: Any, b1: Any, w2: Any, b2: Any, w3: Any, x: Any, target: Any) -> Any:
    """The squared error of a network of two hidden layers of 16."""
    hidden = xp.tanh(w2 @ xp.tanh(w1 @ x + b1) + b2)
    return xp.sum((w3 @ hidden - target) ** 2)


def lorenz96(xp: Any, y: Any) -> Any:
    """Lorenz's model of the weather of 1996: each of 20 places has three neighbours."""
    return (xp.roll(y, -1) - xp.roll(y, 2)) * xp.roll(y, 1) - y + 8.0


@dataclass(frozen=True)
class Model:
    """A function, the shapes of its arguments, and its derivative.

    `derivative` is "gradient" by the first `count` arguments, "jacobian" by the first, beside the value if
    `beside`, or "adjoint": the gradient of the results' sum with weights, which are one argument more.
    `low` is the least number that it is given.
    """

    title: str
    function: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]
    derivative: str
    count: int = 1
    beside: bool = False
    low: float = 0.1


MODELS = {
    "rosenbrock": Model("Rosenbrock, 100 numbers", rosenbrock, ((100,),), "gradient"),
    "arm": Model("robot arm, 6 joints", arm, ((6,),), "jacobian", beside=True),
    "pendulum": Model("double pendulum, a step", pendulum, ((4,), (1,)), "jacobian"),
    "network": Model(
        "network 4-16-16-1",
        network,
        ((16, 4), (16,), (16, 16), (16,), (1, 16), (4,), (1,)),
        "gradient",
        count=5,
        low=-0.5,
    ),
    "lorenz96": Model("Lorenz 96, 20 states", lorenz96, ((20,),), "adjoint"),
}
