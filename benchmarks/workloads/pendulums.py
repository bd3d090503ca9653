"""A thousand pendulums by a thousand Runge-Kutta steps: where they are then, and the gradient of that.

Written for one pendulum and batched by `vmap`, and written for arrays of all of them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.integrate import runge_kutta
from benchmarks.workload import Case, Target, Workload, size

COUNT = size(1000, 20)
STEPS = size(1000, 20)
H = 0.01
BLOCK = 32  # pendulums whose states of all steps fit into a cache
NAMES = ("angle", "speed", "pull")
VALUE_OF_ONE, VALUE_OF_ALL = "value, vmap of one", "value, arrays"
GRADIENT_OF_ONE, GRADIENT_OF_ALL = "gradient, vmap of one", "gradient, arrays"


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(6)
    return {
        "angle": random.uniform(-2, 2, COUNT),
        "speed": random.uniform(-1, 1, COUNT),
        "pull": random.uniform(5, 15, COUNT),  # gravity by length
    }


def pendulum(xp: Any, scan: Any, steps: int = STEPS):
    """Angle and speed at the end; of one pendulum, or of arrays of them."""

    def swing(angle, speed, pull):
        def step(state, _):
            return runge_kutta(lambda angle, speed: (speed, -pull * xp.sin(angle)), state, H), None

        return scan(step, (angle, speed), length=steps)[0]

    return swing


def oracle(inputs: Any) -> dict[str, Any]:
    """The pendulums and their tangents in both directions at once, by whole-array NumPy."""
    angle, speed, pull = (inputs[name] for name in NAMES)

    def change(angle, speed, *tangents):
        pulled = -pull * np.cos(angle)
        return (
            *(speed, -pull * np.sin(angle)),
            *(tangents[1], pulled * tangents[0], tangents[3], pulled * tangents[2]),
        )

    state = (angle, speed, np.ones(COUNT), np.zeros(COUNT), np.zeros(COUNT), np.ones(COUNT))
    for _ in range(STEPS):
        state = runge_kutta(change, state, H)
    value, gradient = state[:2], (state[2], state[4])  # of the sum of all last angles
    return {
        VALUE_OF_ONE: value,
        VALUE_OF_ALL: value,
        GRADIENT_OF_ONE: gradient,
        GRADIENT_OF_ALL: gradient,
    }


def with_numba(inputs: Any, threads: int):
    """Loops over blocks of pendulums, vectorised; the adjoint keeps a block's states and goes back."""
    from numba import njit, prange

    from benchmarks.libmvec import cos, sin

    jit = peers.numba_jit(threads)
    inline = njit(error_model="numpy")

    @inline
    def stages(angle, speed, pull):
        a = -pull * sin(angle)
        b_speed = speed + H / 2 * a
        b_angle = angle + H / 2 * speed
        b = -pull * sin(b_angle)
        c_speed = speed + H / 2 * b
        c_angle = angle + H / 2 * b_speed
        c = -pull * sin(c_angle)
        return a, b, c, b_angle, c_angle, b_speed, c_speed, angle + H * c_speed, speed + H * c

    @inline
    def step(angle, speed, pull):
        a, b, c, _, _, b_speed, c_speed, d_angle, d_speed = stages(angle, speed, pull)
        d = -pull * sin(d_angle)
        return (
            angle + H / 6 * (speed + 2 * b_speed + 2 * c_speed + d_speed),
            speed + H / 6 * (a + 2 * b + 2 * c + d),
        )

    @inline
    def step_back(angle, speed, pull, p, q):
        """The derivatives by a step's start, given those by its end."""
        _, _, _, b_angle, c_angle, _, _, d_angle, _ = stages(angle, speed, pull)
        h, i = H / 6 * p, H / 6 * q
        dp, dq = -pull * cos(d_angle) * i, h
        g, f = 2 * h + H * dp, 2 * i + H * dq
        cp, cq = -pull * cos(c_angle) * f, g
        g, f = 2 * h + H / 2 * cp, 2 * i + H / 2 * cq
        bp, bq = -pull * cos(b_angle) * f, g
        g, f = h + H / 2 * bp, i + H / 2 * bq
        return p - pull * cos(angle) * f + bp + cp + dp, q + g + bq + cq + dq

    @jit
    def swing(angle, speed, pull):
        angles, speeds = angle.copy(), speed.copy()
        for block in prange((angle.size + BLOCK - 1) // BLOCK):
            part = slice(block * BLOCK, (block + 1) * BLOCK)
            a, s, g = angles[part], speeds[part], pull[part]
            for _ in range(STEPS):
                for k in range(a.size):
                    a[k], s[k] = step(a[k], s[k], g[k])
        return angles, speeds

    @inline
    def ahead(angle, speed, pull, next_angle, next_speed):
        for k in range(pull.size):
            next_angle[k], next_speed[k] = step(angle[k], speed[k], pull[k])

    @inline
    def back(angle, speed, pull, p, q):
        for k in range(pull.size):
            p[k], q[k] = step_back(angle[k], speed[k], pull[k], p[k], q[k])

    @jit
    def gradient(angle, speed, pull):
        by_angle, by_speed = np.ones(angle.size), np.zeros(angle.size)
        for block in prange((angle.size + BLOCK - 1) // BLOCK):
            part = slice(block * BLOCK, (block + 1) * BLOCK)
            p, q, g = by_angle[part], by_speed[part], pull[part]
            angles, speeds = np.empty((STEPS, BLOCK)), np.empty((STEPS, BLOCK))
            angles[0, : g.size], speeds[0, : g.size] = angle[part], speed[part]
            for t in range(STEPS - 1):
                ahead(angles[t], speeds[t], g, angles[t + 1], speeds[t + 1])
            for t in range(STEPS - 1, -1, -1):
                back(angles[t], speeds[t], g, p, q)
        return by_angle, by_speed

    arguments = [inputs[name] for name in NAMES]
    value, slope = partial(swing, *arguments), partial(gradient, *arguments)
    return {
        VALUE_OF_ONE: value,
        VALUE_OF_ALL: value,
        GRADIENT_OF_ONE: slope,
        GRADIENT_OF_ALL: slope,
    }


def functions(xp: Any, scan: Any, vmap: Any, grad: Any) -> dict[str, Any]:
    swing = pendulum(xp, scan)

    def total(angle, speed, pull):
        return xp.sum(swing(angle, speed, pull)[0])

    return {
        VALUE_OF_ONE: vmap(swing),
        VALUE_OF_ALL: swing,
        GRADIENT_OF_ONE: vmap(grad(lambda *numbers: swing(*numbers)[0], argnums=(0, 1))),
        GRADIENT_OF_ALL: grad(total, argnums=(0, 1)),
    }


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    made = functions(jax.numpy, jax.lax.scan, jax.vmap, jax.grad)
    values = peers.own_arrays(jax.numpy.asarray, inputs, NAMES)
    return {name: peers.jax_call(jax.jit(f), *values) for name, f in made.items()}


def with_numr(inputs: Any, threads: int):
    import numr as nr

    made = functions(nr, nr.scan, nr.vmap, nr.grad)
    values = peers.own_arrays(nr.asarray, inputs, NAMES)
    return {name: partial(nr.jit(f), *values) for name, f in made.items()}


VALUE = Target(against=("numba",), factor=1.2)

WORKLOAD = Workload(
    name="pendulums",
    title=f"{COUNT} pendulums, {STEPS} Runge-Kutta steps",
    cases=(
        Case(VALUE_OF_ONE, VALUE),
        Case(VALUE_OF_ALL, VALUE),
        Case(GRADIENT_OF_ONE, Target(against=("numr",), factor=5, case=VALUE_OF_ONE)),
        Case(GRADIENT_OF_ALL, Target(against=("numr",), factor=5, case=VALUE_OF_ALL)),
    ),
    inputs=inputs,
    oracle=oracle,
    peers={"numba": with_numba, "jax": with_jax, "numr": with_numr},
)
