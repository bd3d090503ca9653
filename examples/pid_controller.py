"""An oven's PID controller, written in Python's own control flow, and its gains tuned by the gradient.

The controller is what one writes for a microcontroller: `if` the power is more than the heater gives it is
cut off, and the integral waits as long as it is; `while` the oven is not calm, time goes on; `break` when that
takes too long. `numr.control_flow` makes loops and branches of the graph of it, so that the cost of a whole run
has a gradient, and L-BFGS finds the gains. The checks know nothing of that: the same functions run by Python on
floats, differences of them for gradients, and Nelder and Mead's method, which goes on from the gains that were
found and must find none that are better.

    python examples/pid_controller.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

import numr as nr

STEP = 0.5  # seconds
AMBIENT, HEAT, FUSE = (
    20.0,
    300.0,
    250.0,
)  # what full power adds in the end, in kelvin; what is too much
SLOW, LAG = 120.0, 8.0  # time constants of the oven and of its heater, in seconds
BAND, CALM = 1.0, 30.0  # calm is 30 seconds within one kelvin
START = np.log([0.01, 1e-4, 0.02])
NAMES = ("proportional", "integral", "derivative")
TOLERANCE = 1e-3  # of the cost: how much better others may be


@nr.control_flow
def control(gains: Any, error: Any, last: Any, integral: Any) -> Any:
    """The heater's power from 0 to 1, and the integral of the error."""
    power = gains[0] * error + gains[1] * integral + gains[2] * (error - last) / STEP
    if power > 1.0:
        power = 1.0
    elif power < 0.0:
        power = 0.0
    else:
        integral = integral + STEP * error  # not while the heater cannot follow
    return power, integral


def oven(temperature: Any, heater: Any, power: Any) -> Any:
    """The oven after a step."""
    flow = HEAT * heater - (temperature - AMBIENT)
    return temperature + STEP * flow / SLOW, heater + STEP * (power - heater) / LAG


@nr.control_flow
def cost(gains: Any, targets: Any) -> Any:
    """The mean square of the error over a run, more of it the longer the target stands, and a little for
    changes of the power; and much if the fuse blows."""
    temperature, heater, integral, last, before = AMBIENT, 0.0, 0.0, 0.0, 0.0
    total, weight, old = 0.0, 0.0, 0.0
    for target in targets:
        weight = weight + 4.0 / len(targets) if target == old else 0.0
        error = target - temperature
        power, integral = control(gains, error, last, integral)
        temperature, heater = oven(temperature, heater, power)
        total = total + weight * error * error + 50.0 * (power - before) * (power - before)
        last, before, old = error, power, target
        if temperature > FUSE:
            return 1e6 + total
    return total / len(targets)


@nr.jit(control_flow=True)
def settling_time(gains: Any, target: Any, limit: Any) -> Any:
    """The seconds until the oven is calm at the target."""
    temperature, heater, integral, last = AMBIENT, 0.0, 0.0, 0.0
    seconds = calm = 0.0
    while calm < CALM:
        error = target - temperature
        power, integral = control(gains, error, last, integral)
        temperature, heater = oven(temperature, heater, power)
        last = error
        calm = calm + STEP if abs(error) < BAND else 0.0
        seconds += STEP
        if seconds >= limit:
            break
    return seconds


def tuned(targets: np.ndarray) -> Any:
    """The logarithms of the gains with the least cost, by its gradient."""
    both = nr.jit(nr.value_and_grad(lambda logs: cost(nr.exp(logs), targets)))

    def value_and_slope(logs: np.ndarray) -> Any:
        value, slope = both(logs)
        return float(value), slope.numpy()

    return minimize(value_and_slope, START, jac=True, method="L-BFGS-B", options={"maxiter": 100})


def recorded(gains: np.ndarray, targets: np.ndarray) -> list[float]:
    """The temperatures of a run, in Python, for the picture."""
    temperature, heater, integral, last = AMBIENT, 0.0, 0.0, 0.0
    found = []
    for target in targets.tolist():
        error = target - temperature
        power, integral = control.__wrapped__(gains, error, last, integral)
        temperature, heater = oven(temperature, heater, power)
        last = error
        found.append(temperature)
    return found


def picture(path: Path, targets: np.ndarray, runs: dict[str, np.ndarray]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    times = STEP * np.arange(len(targets))
    axes.plot(times, targets, "k:", label="target")
    for name, gains in runs.items():
        axes.plot(times, recorded(gains, targets), label=name)
    axes.set(xlabel="time (s)", ylabel="temperature (°C)")
    axes.legend()
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a shorter run of the oven")
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)

    steps = 600 if options.quick else 1200
    targets = np.where(np.arange(2 * steps) < steps, 180.0, 120.0)
    began = time.perf_counter()
    found = tuned(targets)
    took = time.perf_counter() - began
    first, gains = np.exp(START), np.exp(found.x)
    for name, before, after in zip(NAMES, first, gains, strict=True):
        print(f"{name:13} {before:.5f} -> {after:.5f}")
    python = cost.__wrapped__
    numbers = targets.tolist()
    print(f"mean cost     {python(first, numbers):.3f} -> {found.fun:.3f}")
    limit = 3600.0
    waits = [float(settling_time(g, 180.0, limit)) for g in (first, gains)]
    print(f"settled after {waits[0]:.1f} -> {waits[1]:.1f} seconds")
    print(f"tuned in {took:.2f} s: {found.nit} steps, {found.nfev} gradients of {2 * steps} rounds")

    search = minimize(
        lambda logs: python(np.exp(logs), numbers),
        found.x,
        method="Nelder-Mead",
        options={"maxfev": 200},
    )
    h = 1e-5
    differences = [
        (python(np.exp(START + h * e), numbers) - python(np.exp(START - h * e), numbers)) / (2 * h)
        for e in np.eye(3)
    ]
    slope = nr.grad(lambda logs: cost(nr.exp(logs), targets))(START).numpy()
    errors = {
        "the cost by Python": abs(found.fun / python(gains, numbers) - 1) < 1e-9,
        "differences": np.abs(slope / differences - 1).max() < 1e-4,
        "settling": waits[1] == settling_time.__wrapped__.__wrapped__(gains, 180.0, limit),
        "a search without derivatives": found.fun <= search.fun * (1 + TOLERANCE),
    }
    failed = [name for name, good in errors.items() if not good]
    print(
        f"check: {'FAILED ' + ', '.join(failed) if failed else 'ok'}, the search finds {search.fun:.3f}"
    )

    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    picture(folder / "pid_controller.png", targets, {"before": first, "tuned": gains})
    print(f"saved {folder / 'pid_controller.png'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
