"""The Mandelbrot set: a `numr.while_loop` of one point, and `numr.vmap` of it over the plane.

A loop in NumPy over the points that are still inside is the check.

    python examples/mandelbrot.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np

import numr as nr

MOST = 500  # iterations
DIFFERENT = 1e-3  # the share of points, by the set's rim, where rounding may decide


def escape(x: Any, y: Any) -> Any:
    """How many iterations of z² + c stay within a circle of radius 2, from c = x + iy."""

    def inside(state: Any) -> Any:
        a, b, count = state
        return (a * a + b * b <= 4.0) & (count < MOST)

    def iterate(state: Any) -> Any:
        a, b, count = state
        return a * a - b * b + x, 2 * a * b + y, count + 1

    return nr.while_loop(inside, iterate, (0.0, 0.0, 0))[2]


plane = nr.jit(nr.vmap(nr.vmap(escape, (0, None)), (None, 0)))


def by_numpy(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    c = (x + 1j * y[:, None]).ravel()
    z, counts, left = np.zeros_like(c), np.full(c.size, MOST), np.arange(c.size)
    for count in range(MOST):
        stay = z.real**2 + z.imag**2 <= 4.0
        counts[left[~stay]] = count
        z, c, left = z[stay], c[stay], left[stay]
        z = z * z + c
    return counts.reshape(len(y), len(x))


def picture(path: Path, counts: np.ndarray, extent: tuple[float, ...]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.subplots()
    shades = np.where(counts < MOST, np.log(counts), np.nan)  # the set itself stays white
    axes.imshow(shades, cmap="twilight_shifted", origin="lower", extent=extent)
    axes.set(xlabel="real part", ylabel="imaginary part")
    figure.savefig(path, dpi=160)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer points")
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)

    n = 120 if options.quick else 1000
    x, y = np.linspace(-2.0, 0.6, n), np.linspace(-1.3, 1.3, n)
    plane(x[:2], y[:2])  # compiles
    begin = time.perf_counter()
    counts = plane(x, y).numpy()
    print(f"{n} x {n} points: {1e3 * (time.perf_counter() - begin):.0f} ms")
    print(f"area {(counts == MOST).mean() * 2.6**2:.3f} (of the set itself 1.507)")

    different = (counts != by_numpy(x, y)).mean()
    good = different < DIFFERENT
    print(
        f"check: {'ok' if good else 'FAILED'}, {different:.1e} of the points are not as by NumPy "
        f"({DIFFERENT:.0e} allowed)"
    )
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    picture(folder / "mandelbrot.png", counts, (x[0], x[-1], y[0], y[-1]))
    print(f"saved {folder / 'mandelbrot.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
