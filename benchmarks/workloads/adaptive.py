"""Ten thousand pendulums by Dormand and Prince's method, each with steps of its own, under vmap.

A pendulum's pull says how fast it swings, so that some take twenty times as many steps as others.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks import peers
from benchmarks.workload import Case, Target, Workload, size

COUNT = size(10_000, 50)
END = 10.0
TOLERANCE = 1e-6
FIRST = 1e-3  # step
NAMES = ("angle", "pull")
NODES = (  # each stage's weights of the stages before; the last are those of the result of order 5
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def inputs() -> dict[str, Any]:
    random = np.random.default_rng(7)
    return {
        "angle": random.uniform(0.5, 2.5, COUNT),
        "pull": np.exp(random.uniform(np.log(1.0), np.log(300.0), COUNT)),
    }


def weighted(weights: Any, slopes: Any) -> Any:
    """A sum of what has a weight."""
    terms = [w * s for w, s in zip(weights, slopes, strict=True) if w != 0.0]
    return sum(terms[1:], terms[0])


def attempt(xp: Any, pull: Any):
    """One step tried: taken where its error is small enough, and the next one's length after it."""

    def change(angle, speed):
        return speed, -pull * xp.sin(angle)

    def step(state):
        time, h, angle, speed, by_angle, by_speed = state
        h = xp.minimum(h, END - time)
        first, second = [by_angle], [by_speed]
        for weights in NODES:
            new = angle + h * weighted(weights, first), speed + h * weighted(weights, second)
            slopes = change(*new)
            first.append(slopes[0])
            second.append(slopes[1])
        scale = TOLERANCE * (1 + xp.maximum(xp.abs(angle), xp.abs(new[0])))
        off = h * weighted(ERROR, first) / scale
        scale = TOLERANCE * (1 + xp.maximum(xp.abs(speed), xp.abs(new[1])))
        error = xp.maximum(xp.abs(off), xp.abs(h * weighted(ERROR, second) / scale))
        taken = error <= 1.0
        factor = xp.clip(0.9 * xp.maximum(error, 1e-10) ** -0.2, 0.2, 5.0)
        return (
            xp.where(taken, time + h, time),
            h * factor,
            xp.where(taken, new[0], angle),
            xp.where(taken, new[1], speed),
            xp.where(taken, slopes[0], by_angle),
            xp.where(taken, slopes[1], by_speed),
        )

    return step


def integral(xp: Any, while_loop: Any):
    """Where a pendulum that starts at rest is at the end."""

    def integrate(angle, pull):
        start = (0.0, FIRST, angle, 0.0, 0.0, -pull * xp.sin(angle))
        last = while_loop(lambda s: s[0] < END, attempt(xp, pull), start)
        return last[2], last[3]

    return integrate


def masked(angle: np.ndarray, pull: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whole-array NumPy: those that are not done go on. Angles, speeds and counts of steps."""
    zero = np.zeros_like(angle)
    state = np.array([zero, zero + FIRST, angle, zero, zero, -pull * np.sin(angle)])
    counts = np.zeros(len(angle), int)
    left = np.arange(len(angle))
    while len(left):
        state[:, left] = attempt(np, pull[left])(state[:, left])
        counts[left] += 1
        left = left[state[0, left] < END]
    return state[2], state[3], counts


def oracle(inputs: Any) -> dict[str, Any]:
    return {"value": masked(*(inputs[name] for name in NAMES))[:2]}


def with_numpy(inputs: Any, threads: int):
    angle, pull = (inputs[name] for name in NAMES)
    return {"value": lambda: masked(angle, pull)[:2]}


def with_numba(inputs: Any, threads: int):
    """One pendulum after another, each to its end, in the calling thread's registers."""
    import math

    from numba import njit, prange

    sin = math.sin
    (a,), (b, c), (d, e, f), (g, h_, i, j), (k, m, n, o, p), (q, _, r, s, t, u) = NODES
    e1, _, e3, e4, e5, e6, e7 = ERROR

    @njit(error_model="numpy")
    def attempt(pull, h, x, v, ax, av):
        bx, bv = v + h * (a * av), -pull * sin(x + h * (a * ax))
        cx, cv = v + h * (b * av + c * bv), -pull * sin(x + h * (b * ax + c * bx))
        dx = v + h * (d * av + e * bv + f * cv)
        dv = -pull * sin(x + h * (d * ax + e * bx + f * cx))
        ex = v + h * (g * av + h_ * bv + i * cv + j * dv)
        ev = -pull * sin(x + h * (g * ax + h_ * bx + i * cx + j * dx))
        fx = v + h * (k * av + m * bv + n * cv + o * dv + p * ev)
        fv = -pull * sin(x + h * (k * ax + m * bx + n * cx + o * dx + p * ex))
        new_x = x + h * (q * ax + r * cx + s * dx + t * ex + u * fx)
        new_v = v + h * (q * av + r * cv + s * dv + t * ev + u * fv)
        gx, gv = new_v, -pull * sin(new_x)
        off_x = h * (e1 * ax + e3 * cx + e4 * dx + e5 * ex + e6 * fx + e7 * gx)
        off_v = h * (e1 * av + e3 * cv + e4 * dv + e5 * ev + e6 * fv + e7 * gv)
        off_x /= TOLERANCE * (1 + max(abs(x), abs(new_x)))
        off_v /= TOLERANCE * (1 + max(abs(v), abs(new_v)))
        return new_x, new_v, gx, gv, max(abs(off_x), abs(off_v))

    @peers.numba_jit(threads)
    def integrate(angle, pull):
        angles, speeds = np.empty_like(angle), np.empty_like(angle)
        for one in prange(angle.size):
            time, h, x, v = 0.0, FIRST, angle[one], 0.0
            ax, av = 0.0, -pull[one] * sin(x)
            while time < END:
                h = min(h, END - time)
                new_x, new_v, gx, gv, error = attempt(pull[one], h, x, v, ax, av)
                if error <= 1.0:
                    time, x, v, ax, av = time + h, new_x, new_v, gx, gv
                h *= min(max(0.9 * max(error, 1e-10) ** -0.2, 0.2), 5.0)
            angles[one], speeds[one] = x, v
        return angles, speeds

    return {"value": partial(integrate, *(inputs[name] for name in NAMES))}


def with_jax(inputs: Any, threads: int):
    jax = peers.jax_setup()
    integrate = jax.jit(jax.vmap(integral(jax.numpy, jax.lax.while_loop)))
    return {"value": peers.jax_call(integrate, *peers.own_arrays(jax.numpy.asarray, inputs, NAMES))}


def with_numr(inputs: Any, threads: int):
    import numr as nr

    integrate = nr.jit(nr.vmap(integral(nr, nr.while_loop)))
    return {"value": partial(integrate, *peers.own_arrays(nr.asarray, inputs, NAMES))}


WORKLOAD = Workload(
    name="adaptive",
    title=f"{COUNT} pendulums, Dormand-Prince 5(4), vmap of while_loop",
    cases=(Case("value", Target(against=("jax",), factor=1 / 5)),),
    inputs=inputs,
    oracle=oracle,
    peers={"numpy": with_numpy, "numba": with_numba, "jax": with_jax, "numr": with_numr},
    tolerance=1e-7,
)
