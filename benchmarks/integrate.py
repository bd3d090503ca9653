"""A Runge-Kutta step, as a user writes it: what loops of benchmarks go round."""

from __future__ import annotations

from typing import Any


def runge_kutta(change: Any, s: Any, h: float) -> Any:
    """A step of a tuple of numbers or arrays."""

    def plus(slope, time):
        return tuple(a + time * b for a, b in zip(s, slope, strict=True))

    one = change(*s)
    two = change(*plus(one, h / 2))
    three = change(*plus(two, h / 2))
    four = change(*plus(three, h))
    slope = [a + 2 * b + 2 * c + d for a, b, c, d in zip(one, two, three, four, strict=True)]
    return plus(slope, h / 6)
