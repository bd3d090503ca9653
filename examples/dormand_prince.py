"""An adaptive integrator: Dormand and Prince's pair of orders 5 and 4, each trajectory with its own steps.

The integrator is a `numr.while_loop` from one time to the next, in a `numr.scan` over the times. Under
`numr.vmap` each trajectory chooses its own steps. Here it is Van der Pol's oscillator, which the more damping
it has, the more suddenly it turns: SciPy's integrator of order 8 is the check, and derivatives by the damping,
forwards and backwards through the loop, are checked by the equation that they obey.

    python examples/dormand_prince.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

import numr as nr

# A row for each stage after the first: the weights of the slopes before it. At the last one is the result.
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
TIMES = (1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)

START = np.array([2.0, 0.0])
END = 20.0
LIMIT = 1e-5  # on the difference to SciPy's results, at a tolerance of 1e-8


def weighted(weights: Any, slopes: Any) -> Any:
    return sum(w * s for w, s in zip(weights, slopes, strict=True) if w)


def step(change: Callable[..., Any], t: Any, y: Any, slope: Any, h: Any) -> tuple[Any, Any, Any]:
    """The state after a step of length h, the slope there, and the estimate of the step's error."""
    slopes = [slope]
    for weights, time in zip(STAGES, TIMES, strict=True):
        new = y + h * weighted(weights, slopes)
        slopes.append(change(t + time * h, new))
    return new, slopes[-1], h * weighted(ERROR, slopes)


def integrate(
    change: Callable[..., Any],
    start: Any,
    times: Any,
    rtol: float = 1e-6,
    atol: float = 1e-6,
    max_steps: int | None = None,
) -> tuple[Any, Any]:
    """The solution of y' = change(t, y) at each of the times, and how many steps were tried on the way there.

    `start` is an array, y at the first time. With `max_steps`, the most there may be from one time to the
    next, the result has derivatives in reverse mode, too. It is NaN from where no step is short enough.
    """

    def go(carry: Any, end: Any) -> Any:
        t, h, y, slope = carry

        def attempt(state: Any) -> Any:
            t, h, y, slope, count = state
            used = nr.minimum(h, end - t)
            new, new_slope, error = step(change, t, y, slope, used)
            scale = atol + rtol * nr.maximum(nr.abs(y), nr.abs(new))
            # How long steps are is no part of the derivative. A square of zero has none as a root.
            error = nr.sqrt(nr.mean(nr.stop_gradient(error / scale) ** 2))
            factor = nr.clip(0.9 * nr.maximum(error, 1e-10) ** -0.2, 0.2, 5.0)
            good = error <= 1.0
            # The time to stop at is hit exactly, and the step that it cut short says nothing about the next.
            ends = used < h
            return (
                nr.where(good, nr.where(ends, end, t + used), t),
                nr.where(ends & good, h, used * factor),
                nr.where(good, new, y),
                nr.where(good, new_slope, slope),
                count + 1,
            )

        def unfinished(state: Any) -> Any:
            t, h, *_ = state
            return (t < end) & (t + h > t)

        state = (t, h, y, slope, 0)
        t, h, y, slope, count = nr.while_loop(unfinished, attempt, state, max_steps=max_steps)
        y = nr.where(t < end, nr.nan, y)
        return (t, h, y, slope), (y, count)

    start, times = nr.asarray(start), nr.asarray(times)
    slope = change(times[0], start)
    size = atol + rtol * nr.max(nr.abs(start))
    first = nr.stop_gradient((size / (size + nr.max(nr.abs(slope)))) ** 0.2)
    _, (found, counts) = nr.scan(go, (times[0], 0.1 * first, start, slope), times)
    return found, counts


def van_der_pol(damping: Any) -> Callable[[Any, Any], Any]:
    return lambda t, y: nr.stack([y[1], damping * (1 - y[0] ** 2) * y[1] - y[0]])


def by_scipy(damping: float, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The states at the times, and the derivatives of them by the damping."""

    def change(_: float, y: np.ndarray) -> list[float]:
        x, v, dx, dv = y
        by_damping = (1 - x**2) * v + damping * ((1 - x**2) * dv - 2 * x * dx * v) - dx
        return [v, damping * (1 - x**2) * v - x, dv, by_damping]

    start = [*START, 0.0, 0.0]
    found = solve_ivp(change, times[[0, -1]], start, "DOP853", times, rtol=1e-12, atol=1e-12).y.T
    return found[:, :2], found[:, 2:]


def picture(path: Path, times: np.ndarray, dampings: np.ndarray, states: Any, counts: Any) -> None:
    """Trajectories, and how many steps they took."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    for k in range(0, len(dampings), max(1, len(dampings) // 4)):
        left.plot(times, states[k, :, 0], label=f"damping {dampings[k]:.1f}")
    left.set(xlabel="time", ylabel="position")
    left.legend(loc="upper right", fontsize=7)
    right.plot(dampings, counts, ".-")
    right.set(xlabel="damping", ylabel="steps")
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer trajectories")
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)

    dampings = np.linspace(0.0, 20.0, 5 if options.quick else 21)
    times, few = np.linspace(0.0, END, 201), np.array([0.0, END])

    def states(damping: Any, times: Any = times, max_steps: int | None = None) -> Any:
        return integrate(van_der_pol(damping), START, times, 1e-8, 1e-8, max_steps)

    found = nr.jit(nr.vmap(states))(dampings)[0].numpy()
    counts = nr.jit(nr.vmap(lambda damping: states(damping, few)[1][-1]))(dampings).numpy()
    print(f"{len(dampings)} trajectories, of {counts.min()} to {counts.max()} steps")
    off = max(np.abs(by_scipy(d, times)[0] - s).max() for d, s in zip(dampings, found, strict=True))

    last = lambda damping: states(damping, few)[0][-1, 0]
    limited = lambda damping: states(damping, few, 500)[0][-1, 0]
    forward = nr.jit(lambda d: nr.jvp(last, (d,), (1.0,))[1])(1.5).item()
    reverse = nr.jit(nr.grad(limited))(1.5).item()
    right = by_scipy(1.5, few)[1][-1, 0]
    print(f"derivative by the damping: forwards {forward:.8f}, backwards {reverse:.8f}")
    wrong = max(abs(forward - right), abs(reverse - right))

    good = off < LIMIT and wrong < LIMIT
    print(
        f"check: {'ok' if good else 'FAILED'}, states within {off:.1e} of SciPy's, derivatives {wrong:.1e} "
        f"({LIMIT:.0e} allowed)"
    )
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    picture(folder / "dormand_prince.png", times, dampings, found, counts)
    print(f"saved {folder / 'dormand_prince.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
