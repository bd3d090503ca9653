"""The Lorenz equations by a thousand Runge-Kutta steps: the last state, and its gradient by the first.

The state is written as an array of three, and as a tuple of three numbers.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.integrate import runge_kutta
from benchmarks.workload import Case, Target, Workload, size

SIGMA, RHO, BETA = 10.0, 28.0, 8 / 3
H = 0.01
STEPS = size(1000, 50)
VALUE_OF_ARRAY, VALUE_OF_TUPLE = "value, an array", "value, a tuple"
GRADIENT_OF_ARRAY, GRADIENT_OF_TUPLE = "gradient, an array", "gradient, a tuple"


def inputs() -> dict[str, Any]:
    return {"state": np.array([1.0, 1.0, 1.05])}


def array_step(xp: Any):
    """A step of an array of three."""

    def change(s):
        x, y, z = s[0], s[1], s[2]
        return xp.stack([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z])

    def step(s):
        one = change(s)
        two = change(s + H / 2 * one)
        three = change(s + H / 2 * two)
        four = change(s + H * three)
        return s + H / 6 * (one + 2 * two + 2 * three + four)

    return step


def tuple_step(s):
    """A step of a tuple of three numbers."""

    def change(x, y, z):
        return SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z

    return runge_kutta(change, s, H)


def functions(xp: Any, scan: Any):
    """The last state from a state, and the sum of the last state, for either way to write a state."""
    made = []
    for step in (array_step(xp), tuple_step):

        def last(state, step=step):
            return scan(lambda s, _: (step(s), None), state, length=STEPS)[0]

        def total(state, last=last):
            s = last(state)
            return s[0] + s[1] + s[2]

        made.append((last, total))
    return made


def with_tangents(state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last state and its derivative by the first, by the same steps of both."""

    def change(s):
        (x, y, z), tangents = s[0], s[1:]
        slope = np.array([SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z])
        jacobian = np.array([[-SIGMA, SIGMA, 0], [RHO - z, -1, -x], [y, x, -BETA]])
        return np.vstack([slope, tangents @ jacobian.T])

    s = np.vstack([state, np.eye(3)])
    for _ in range(STEPS):
        one = change(s)
        two = change(s + H / 2 * one)
        three = change(s + H / 2 * two)
        four = change(s + H * three)
        s = s + H / 6 * (one + 2 * two + 2 * three + four)
    return s[0], s[1:].sum(1)


def oracle(inputs: Any) -> dict[str, Any]:
    last, gradient = with_tangents(inputs["state"])
    return {
        VALUE_OF_ARRAY: last,
        VALUE_OF_TUPLE: list(last),
        GRADIENT_OF_ARRAY: gradient,
        GRADIENT_OF_TUPLE: list(gradient),
    }


def with_numba(inputs: Any, threads: int):
    """A loop of numbers in registers, and its adjoint, which keeps the states and goes back."""
    jit = peers.numba_jit(1)

    @jit
    def change(x, y, z):
        return SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z

    @jit
    def stages(x, y, z):
        ax, ay, az = change(x, y, z)
        bx, by, bz = change(x + H / 2 * ax, y + H / 2 * ay, z + H / 2 * az)
        cx, cy, cz = change(x + H / 2 * bx, y + H / 2 * by, z + H / 2 * bz)
        return ax, ay, az, bx, by, bz, cx, cy, cz

    @jit
    def step(x, y, z):
        ax, ay, az, bx, by, bz, cx, cy, cz = stages(x, y, z)
        dx, dy, dz = change(x + H * cx, y + H * cy, z + H * cz)
        return (
            x + H / 6 * (ax + 2 * bx + 2 * cx + dx),
            y + H / 6 * (ay + 2 * by + 2 * cy + dy),
            z + H / 6 * (az + 2 * bz + 2 * cz + dz),
        )

    @jit
    def last(x, y, z):
        for _ in range(STEPS):
            x, y, z = step(x, y, z)
        return x, y, z

    @jit
    def back(x, y, z, p, q, r):
        """What p, q, r, derivatives by the change at x, y, z, are by x, y, z."""
        return -SIGMA * p + (RHO - z) * q + y * r, SIGMA * p - q + x * r, -x * q - BETA * r

    @jit
    def gradient(x, y, z):
        kept = np.empty((STEPS, 3))
        for t in range(STEPS):
            kept[t, 0], kept[t, 1], kept[t, 2] = x, y, z
            x, y, z = step(x, y, z)
        p, q, r = 1.0, 1.0, 1.0
        for t in range(STEPS - 1, -1, -1):
            x, y, z = kept[t, 0], kept[t, 1], kept[t, 2]
            ax, ay, az, bx, by, bz, cx, cy, cz = stages(x, y, z)
            h, i, j = H / 6 * p, H / 6 * q, H / 6 * r
            dp, dq, dr = back(x + H * cx, y + H * cy, z + H * cz, h, i, j)
            cp, cq, cr = back(
                x + H / 2 * bx,
                y + H / 2 * by,
                z + H / 2 * bz,
                2 * h + H * dp,
                2 * i + H * dq,
                2 * j + H * dr,
            )
            bp, bq, br = back(
                x + H / 2 * ax,
                y + H / 2 * ay,
                z + H / 2 * az,
                2 * h + H / 2 * cp,
                2 * i + H / 2 * cq,
                2 * j + H / 2 * cr,
            )
            ap, aq, ar = back(x, y, z, h + H / 2 * bp, i + H / 2 * bq, j + H / 2 * br)
            p, q, r = p + ap + bp + cp + dp, q + aq + bq + cq + dq, r + ar + br + cr + dr
        return p, q, r

    x, y, z = (float(v) for v in inputs["state"])
    arrays = {
        VALUE_OF_ARRAY: lambda: np.array(last(x, y, z)),
        GRADIENT_OF_ARRAY: lambda: np.array(gradient(x, y, z)),
    }
    return arrays | {
        VALUE_OF_TUPLE: partial(last, x, y, z),
        GRADIENT_OF_TUPLE: partial(gradient, x, y, z),
    }


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    array, pair = functions(jax.numpy, jax.lax.scan)
    state = jax.numpy.asarray(inputs["state"])
    numbers = tuple(state)
    return {
        VALUE_OF_ARRAY: peers.jax_call(jax.jit(array[0]), state),
        VALUE_OF_TUPLE: peers.jax_call(jax.jit(pair[0]), numbers),
        GRADIENT_OF_ARRAY: peers.jax_call(jax.jit(jax.grad(array[1])), state),
        GRADIENT_OF_TUPLE: peers.jax_call(jax.jit(jax.grad(pair[1])), numbers),
    }


def with_numr(inputs: Any, threads: int):
    import numr as nr

    array, pair = functions(nr, nr.scan)
    state = nr.asarray(inputs["state"])
    numbers = tuple(nr.asarray(float(v)) for v in inputs["state"])
    return {
        VALUE_OF_ARRAY: partial(nr.jit(array[0]), state),
        VALUE_OF_TUPLE: partial(nr.jit(pair[0]), numbers),
        GRADIENT_OF_ARRAY: partial(nr.jit(nr.grad(array[1])), state),
        GRADIENT_OF_TUPLE: partial(nr.jit(nr.grad(pair[1])), numbers),
    }


VALUE = Target(against=("numba",), factor=1.2)
GRADIENT = Target(against=("numba",), factor=2.5)

WORKLOAD = Workload(
    name="lorenz",
    title=f"Lorenz equations, {STEPS} Runge-Kutta steps",
    cases=(
        Case(VALUE_OF_ARRAY, VALUE),
        Case(VALUE_OF_TUPLE, VALUE),
        Case(GRADIENT_OF_ARRAY, GRADIENT),
        Case(GRADIENT_OF_TUPLE, GRADIENT),
    ),
    inputs=inputs,
    oracle=oracle,
    peers={"numba": with_numba, "jax": with_jax, "numr": with_numr},
    tolerance=1e-8,  # errors of rounding grow a thousandfold along the way
)
