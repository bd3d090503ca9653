"""Roots in a loop: Newton's method and bisection of Kepler's equation, for many orbits at once.

A planet's place on its ellipse follows from E - e sin E = M, which has no closed form. Both methods are a
`numr.while_loop`, and under `numr.vmap` each orbit's goes on until it is done. The derivatives through the
loop, forwards, and backwards where there is a limit of steps, are those of the implicit function theorem.

    python examples/root_finding.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import bisect

import numr as nr

LIMIT = 1e-12


def newton(
    f: Callable[[Any], Any], start: Any, tolerance: float = 1e-14, max_steps: int | None = None
) -> tuple[Any, Any]:
    """A root of f by Newton's method, and how many steps it took; `f` is of one number."""

    def step(state: Any) -> Any:
        x, _, count = state
        value, slope = nr.value_and_grad(f)(x)
        return x - value / slope, nr.abs(value / slope), count + 1

    def far(state: Any) -> Any:
        x, change, _ = state
        return change > tolerance * (1 + nr.abs(x))

    # The change before the first step is as large as can be.
    root, _, count = nr.while_loop(far, step, (start, nr.inf, 0), max_steps=max_steps)
    return root, count


def bisection(f: Callable[[Any], Any], low: Any, high: Any, width: float = 1e-14) -> Any:
    """A root of f between two numbers where it has different signs, as close as `width`."""

    def halve(state: Any) -> Any:
        low, high, sign = state
        middle = (low + high) / 2
        left = nr.sign(f(middle)) == sign  # the root is to the right of the middle
        return nr.where(left, middle, low), nr.where(left, high, middle), sign

    def wide(state: Any) -> Any:
        return state[1] - state[0] > width * (1 + nr.abs(state[0]))

    low, high, _ = nr.while_loop(wide, halve, (low, high, nr.sign(f(low))))
    return (low + high) / 2


def kepler(mean: Any, eccentricity: Any) -> Callable[[Any], Any]:
    return lambda x: x - eccentricity * nr.sin(x) - mean


def by_newton(mean: Any, eccentricity: Any, max_steps: int | None = None) -> tuple[Any, Any]:
    return newton(kepler(mean, eccentricity), mean + eccentricity, max_steps=max_steps)


def by_bisection(mean: Any, eccentricity: Any) -> Any:
    return bisection(kepler(mean, eccentricity), mean - 1.0, mean + 1.0)


def picture(path: Path, means: np.ndarray, eccentricities: np.ndarray, counts: np.ndarray) -> None:
    """How many steps Newton's method takes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    colours = axes.pcolormesh(means, eccentricities, counts)
    figure.colorbar(colours, label="steps of Newton's method")
    axes.set(xlabel="mean anomaly", ylabel="eccentricity")
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer orbits")
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)

    n = 20 if options.quick else 200
    means, eccentricities = np.linspace(0.01, np.pi, n), np.linspace(0.0, 0.97, n)
    orbits = [x.ravel() for x in np.meshgrid(means, eccentricities)]

    roots, counts = (x.numpy() for x in nr.jit(nr.vmap(by_newton))(*orbits))
    halved = nr.jit(nr.vmap(by_bisection))(*orbits).numpy()
    theirs = [
        bisect(lambda x, m, e: x - e * np.sin(x) - m, m - 1, m + 1, (m, e), xtol=1e-14)
        for m, e in zip(*orbits, strict=True)
    ]
    print(f"{len(roots)} orbits, {counts.min()} to {counts.max()} steps of Newton's method")
    off = {
        "Newton": np.abs(roots - theirs).max(),
        "bisection": np.abs(halved - theirs).max(),
    }

    # dE/dM = 1 / (1 - e cos E)
    right = 1 / (1 - orbits[1] * np.cos(roots))
    slope = nr.vmap(lambda m, e: nr.jvp(lambda m: by_newton(m, e)[0], (m,), (1.0,))[1])
    back = nr.vmap(nr.grad(lambda m, e: by_newton(m, e, max_steps=int(counts.max()))[0]))
    off["slope forwards"] = np.abs(nr.jit(slope)(*orbits).numpy() / right - 1).max()
    off["slope backwards"] = np.abs(nr.jit(back)(*orbits).numpy() / right - 1).max()

    good = True
    for what, error in off.items():
        fine = error < LIMIT
        good = good and fine
        print(f"check: {what:16} off by {error:.1e}, {'ok' if fine else 'FAILED'}")

    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    picture(folder / "root_finding.png", means, eccentricities, counts.reshape(n, n))
    print(f"saved {folder / 'root_finding.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
