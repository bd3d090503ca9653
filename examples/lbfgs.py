"""L-BFGS in one loop: a minimiser of any function that numr differentiates, compiled as a whole.

The last steps and the changes of the gradient with them are rows of two arrays that the `numr.while_loop`
carries; the line search is a loop within it. Here it minimises Rosenbrock's function of a hundred variables,
and, under `numr.vmap`, from many starting points at once. SciPy's L-BFGS-B is the check.

    python examples/lbfgs.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

import numr as nr

MEMORY = 10
LIMIT = 1e-6


def direction(gradient: Any, steps: Any, changes: Any) -> Any:
    """Minus the gradient times an estimate of the inverse Hessian, from the last steps, the newest last.

    A row of zeros is no step, and changes nothing.
    """
    products = nr.sum(steps * changes, axis=1)
    weights = nr.where(products > 0, 1 / nr.where(products > 0, products, 1.0), 0.0)

    def later_first(q: Any, row: Any) -> Any:
        step, change, weight = row
        share = weight * (step @ q)
        return q - share * change, share

    def earlier_first(r: Any, row: Any) -> Any:
        step, change, weight, share = row
        return r + (share - weight * (change @ r)) * step, None

    rows = (steps, changes, weights)
    q, shares = nr.scan(later_first, gradient, rows, reverse=True)
    newest = nr.sum(changes[-1] ** 2)
    scale = nr.where(products[-1] > 0, products[-1] / nr.where(newest > 0, newest, 1.0), 1.0)
    r, _ = nr.scan(earlier_first, scale * q, (*rows, shares))
    return -r


def minimise(
    f: Callable[[Any], Any], start: Any, tolerance: float = 1e-8, most: int = 1000
) -> tuple[Any, Any]:
    """Where f is least, near `start` (an array of one axis), and how many steps it took to get there.

    It ends where no component of the gradient is larger than `tolerance`.
    """
    value_and_gradient = nr.value_and_grad(f)
    start = nr.asarray(start)

    def unfinished(state: Any) -> Any:
        _, _, gradient, _, _, count = state
        return (nr.max(nr.abs(gradient)) > tolerance) & (count < most)

    def step(state: Any) -> Any:
        x, value, gradient, steps, changes, count = state
        along = direction(gradient, steps, changes)
        slope = along @ gradient
        # The first direction is the gradient itself, of no known scale.
        first = nr.where(count > 0, 1.0, nr.minimum(1.0, 1 / nr.sqrt(gradient @ gradient)))

        def too_long(length: Any) -> Any:
            """Whether the function falls by less than a small part of what its slope promises."""
            enough = f(x + length * along) <= value + 1e-4 * length * slope
            return ~enough & (length > 1e-12)

        length = nr.while_loop(too_long, lambda length: length / 2, first)
        moved = length * along
        new = x + moved
        new_value, new_gradient = value_and_gradient(new)
        change = new_gradient - gradient
        curved = moved @ change > 1e-10 * nr.sum(change**2)  # a step that has something to tell

        def append(rows: Any, row: Any) -> Any:
            return nr.where(curved, nr.concat([rows[1:], row[None]]), rows)

        told = append(steps, moved), append(changes, change)
        return new, new_value, new_gradient, *told, count + 1

    nothing = nr.zeros((MEMORY, start.shape[0]), start.dtype)
    state = (start, *value_and_gradient(start), nothing, nothing, 0)
    last = nr.while_loop(unfinished, step, state)
    return last[0], last[-1]


def rosenbrock(x: Any) -> Any:
    return nr.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def picture(path: Path, starts: np.ndarray, counts: np.ndarray, side: int) -> None:
    """How many steps it takes from each point of the plane."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    x, y = (starts[:, k].reshape(side, side) for k in range(2))
    figure.colorbar(axes.pcolormesh(x, y, counts.reshape(side, side)), label="steps")
    axes.plot(1, 1, "r*")
    axes.set(title="Rosenbrock's function by L-BFGS, from", xlabel="x", ylabel="y")
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer starting points")
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)

    start = np.full(100, -0.5)
    found, count = nr.jit(lambda x: minimise(rosenbrock, x))(start)
    f = nr.jit(nr.value_and_grad(rosenbrock))
    theirs = minimize(
        lambda x: tuple(np.asarray(part) for part in f(x)),
        *(start, (), "L-BFGS-B", True),
        options={"gtol": 1e-8, "ftol": 0, "maxfun": 10_000, "maxiter": 10_000},
    )
    print(f"100 variables: {count.item()} steps, SciPy {theirs.nit}")
    off = np.abs(found.numpy() - theirs.x).max()

    side = 8 if options.quick else 60
    x, y = np.meshgrid(np.linspace(-2, 2, side), np.linspace(-1, 3, side))
    starts = np.stack([x.ravel(), y.ravel()], axis=1)
    many, counts = (a.numpy() for a in nr.jit(nr.vmap(lambda x: minimise(rosenbrock, x)))(starts))
    print(f"2 variables, {len(starts)} starting points: {counts.min()} to {counts.max()} steps")
    worst = np.abs(many - 1).max()

    good = max(off, worst) < LIMIT
    print(
        f"check: {'ok' if good else 'FAILED'}, {off:.1e} from SciPy's result, {worst:.1e} from the least "
        f"({LIMIT:.0e} allowed)"
    )
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    picture(folder / "lbfgs.png", starts, counts, side)
    print(f"saved {folder / 'lbfgs.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
