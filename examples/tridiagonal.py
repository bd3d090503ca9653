"""Thomas's algorithm in two loops: a tridiagonal system, and with it heat along a rod.

A `numr.scan` eliminates downwards, one with `reverse=True` substitutes upwards. Euler's implicit method
solves such a system each step, in a loop over the steps, and the temperature of the start is recovered from that
of the end by gradients through all of it. SciPy's banded solver and the exact decay of a sine are the check.

    python examples/tridiagonal.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.linalg import solve_banded

import numr as nr

TIME = 0.005  # until the end; the rod is of length 1, and heat spreads at rate 1
LIMIT = 1e-10


def solve(lower: Any, diagonal: Any, upper: Any, right: Any) -> Any:
    """x of A x = right, where A has three diagonals.

    All have n numbers: `lower[k]` and `upper[k]` are in row k, and the first of `lower` and the last of `upper`
    are outside. No pivots are looked for, which is right where the diagonal is the largest of its row.
    """

    def down(carry: Any, row: Any) -> Any:
        above, solved = carry
        a, b, c, d = row
        pivot = b - a * above
        new = (c / pivot, (d - a * solved) / pivot)
        return new, new

    def up(below: Any, row: Any) -> Any:
        c, d = row
        x = d - c * below
        return x, x

    _, rows = nr.scan(down, (0.0, 0.0), (lower, diagonal, upper, right))
    return nr.scan(up, 0.0, rows, reverse=True)[1]


def heated(start: Any, steps: int) -> Any:
    """The temperatures inside a rod whose ends are kept at 0, after TIME, by implicit steps."""
    n = start.shape[0]
    r = TIME / steps * (n + 1) ** 2
    beside, middle = nr.full(n, -r), nr.full(n, 1 + 2 * r)
    return nr.fori_loop(0, steps, lambda _, u: solve(beside, middle, beside, u), start)


def recovered(end: np.ndarray, steps: int, rounds: int) -> np.ndarray:
    """A start that leads to an end, by conjugate gradients on the difference, far as they get in some rounds."""
    loss = lambda start: nr.sum((heated(start, steps) - end) ** 2) / 2
    gradient = nr.jit(nr.grad(loss))
    slope_along = nr.jit(nr.hvp(loss))
    start = np.zeros_like(end)
    residual = -gradient(start).numpy()
    along = residual
    for _ in range(rounds):
        curved = slope_along(start, along).numpy()
        length = (residual @ residual) / (along @ curved)
        start = start + length * along
        new = residual - length * curved
        along = new + (new @ new) / (residual @ residual) * along
        residual = new
    return start


def picture(path: Path, x: np.ndarray, temperatures: dict[str, np.ndarray]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.6), layout="constrained")
    axes = figure.subplots()
    for (label, u), style in zip(temperatures.items(), ("-", "-", "--"), strict=True):
        axes.plot(x, u, style, label=label)
    axes.set(xlabel="place", ylabel="temperature")
    axes.legend()
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a coarser rod")
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)
    n, steps, rounds = (31, 10, 5) if options.quick else (255, 50, 12)

    random = np.random.default_rng(0)
    lower, upper, right = random.normal(size=(3, n))
    diagonal = 4 + random.uniform(size=n)
    ours = nr.jit(solve)(lower, diagonal, upper, right).numpy()
    bands = np.array([np.roll(upper, 1), diagonal, np.roll(lower, -1)])
    off = {"SciPy's banded solver": np.abs(ours - solve_banded((1, 1), bands, right)).max()}

    # A sine keeps its shape: each step multiplies it by one number.
    x = np.arange(1, n + 1) / (n + 1)
    mode = 4 * TIME / steps * (n + 1) ** 2 * np.sin(np.pi / (2 * (n + 1))) ** 2
    sine = np.sin(np.pi * x)
    end = nr.jit(lambda u: heated(u, steps))(sine).numpy()
    off["a sine's decay"] = np.abs(end - sine / (1 + mode) ** steps).max()

    start = np.exp(-100 * (x - 0.3) ** 2) + np.exp(-200 * (x - 0.7) ** 2)
    end = nr.jit(lambda u: heated(u, steps))(start).numpy()
    guess = recovered(end, steps, rounds)
    left = np.abs(nr.jit(lambda u: heated(u, steps))(guess).numpy() - end).max()
    print(f"a start recovered by {rounds} gradients leads to the end within {left:.1e}")

    good = True
    for what, error in off.items():
        good = good and error < LIMIT
        print(f"check: {error:.1e} from {what}, {'ok' if error < LIMIT else 'FAILED'}")
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    picture(folder / "tridiagonal.png", x, {"start": start, "end": end, "recovered start": guess})
    print(f"saved {folder / 'tridiagonal.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
