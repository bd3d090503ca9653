"""The Lotka-Volterra equations fitted to the Hudson Bay Company's pelts of lynx and hare, 1900 to 1920.

The equations are integrated by the adaptive method of `dormand_prince.py`; `numr.jacfwd` differentiates through
its loop, and Levenberg and Marquardt's method fits the four rates and where the animals began to the logarithms
of the counts. SciPy's integrator and least squares, which know nothing of numr, are the check.

    python examples/fit_lynx_hare.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from dormand_prince import integrate
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import numr as nr

# Thousands of pelts (Elton and Nicholson 1942, as Howard 2009 has them), by year.
YEARS = np.arange(1900, 1921)
HARES = np.array(
    [30, 47.2, 70.2, 77.4, 36.3, 20.6, 18.1, 21.4, 22, 25.4, 27.1, 40.3, 57, 76.6, 52.3]
    + [19.5, 11.2, 7.6, 14.6, 16.2, 24.7]
)
LYNXES = np.array(
    [4, 6.1, 9.8, 35.2, 59.4, 41.7, 19, 13, 8.3, 9.1, 7.4, 8, 12.3, 19.5, 45.7]
    + [51.1, 29.7, 15.8, 9.7, 10.1, 8.6]
)
NAMES = ("births of hares", "hares caught", "deaths of lynxes", "births of lynxes")
START = np.log([0.5, 0.02, 0.8, 0.02, HARES[0], LYNXES[0]])
TOLERANCE = 1e-3  # of the fitted numbers, beside SciPy's


def change(rates: Any, animals: Any) -> Any:
    """How fast hares and lynxes become more."""
    hares, lynxes = animals
    births, caught, deaths, growth = rates
    return births * hares - caught * hares * lynxes, growth * hares * lynxes - deaths * lynxes


def counts(logs: Any, tolerance: float) -> tuple[Any, Any]:
    """Hares and lynxes in every year; `logs` are the logarithms of the rates and of the first counts."""
    numbers = nr.exp(logs)
    rates = tuple(numbers[k] for k in range(4))
    slope = lambda time, animals: nr.stack(change(rates, (animals[0], animals[1])))
    animals, _ = integrate(slope, numbers[4:], YEARS - 1900.0, tolerance, tolerance)
    return animals[:, 0], animals[:, 1]


def fit(tolerance: float) -> tuple[np.ndarray, float]:
    """The logarithms of the fitted numbers, and half the sum of squares there."""

    def residuals(logs: Any) -> Any:
        hares, lynxes = counts(logs, tolerance)
        return nr.concat([nr.log(hares) - np.log(HARES), nr.log(lynxes) - np.log(LYNXES)])

    def value_and_jacobian(logs: Any) -> Any:
        return residuals(logs), nr.jacfwd(residuals)(logs)

    both = nr.jit(value_and_jacobian)
    logs, damping = START, 1e-2
    error, jacobian = (x.numpy() for x in both(logs))
    for _ in range(60):
        normal = jacobian.T @ jacobian
        move = np.linalg.solve(normal + damping * np.diag(normal.diagonal()), -jacobian.T @ error)
        tried, slope = (x.numpy() for x in both(logs + move))
        if np.isfinite(tried).all() and tried @ tried < error @ error:
            logs, error, jacobian, damping = logs + move, tried, slope, damping / 5
            if np.abs(move).max() < 1e-10:
                break
        else:
            damping *= 4
    return logs, float(error @ error / 2)


def scipys_fit() -> tuple[np.ndarray, float]:
    """The same by SciPy: an adaptive integrator, and differences for derivatives."""

    def residuals(logs: np.ndarray) -> np.ndarray:
        numbers = np.exp(logs)
        found = solve_ivp(
            lambda t, y: change(numbers[:4], y),
            (0, len(YEARS) - 1),
            numbers[4:],
            t_eval=np.arange(len(YEARS)),
            rtol=1e-10,
            atol=1e-10,
        )
        return np.concatenate([np.log(found.y[0] / HARES), np.log(found.y[1] / LYNXES)])

    found = least_squares(residuals, START, x_scale="jac", xtol=1e-10, ftol=1e-10, gtol=1e-10)
    return found.x, float(found.cost)


def picture(path: Path, logs: np.ndarray) -> None:
    """The counts, and the fitted curves."""
    from matplotlib.figure import Figure

    numbers = np.exp(logs)
    times = np.linspace(0, len(YEARS) - 1, 400)
    curve = solve_ivp(
        lambda t, y: change(numbers[:4], y), (0, times[-1]), numbers[4:], t_eval=times, rtol=1e-8
    ).y
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, measured, fitted, color in (
        ("hares", HARES, curve[0], "tab:blue"),
        ("lynxes", LYNXES, curve[1], "tab:red"),
    ):
        axes.plot(YEARS, measured, "o", color=color, label=name)
        axes.plot(YEARS[0] + times, fitted, color=color)
    axes.set(xlabel="year", ylabel="pelts (thousands)", xticks=YEARS[::5])
    axes.legend()
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="a coarser tolerance of the integrator"
    )
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)

    logs, cost = fit(1e-6 if options.quick else 1e-9)
    theirs, their_cost = scipys_fit()
    for name, rate in zip(NAMES, np.exp(logs[:4]), strict=True):
        print(f"{name:18} {rate:.4f} a year")
    print(
        f"at first           {np.exp(logs[4]):.1f} hares, {np.exp(logs[5]):.1f} lynxes (thousands)"
    )
    print(f"half the squares   {cost:.6f}, by SciPy {their_cost:.6f}")
    off = np.abs(np.exp(logs - theirs) - 1).max()
    good = off < TOLERANCE and abs(cost - their_cost) < TOLERANCE * their_cost
    print(
        f"check: {'ok' if good else 'FAILED'}, {off:.1e} from SciPy's numbers ({TOLERANCE:.0e} allowed)"
    )

    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    picture(folder / "fit_lynx_hare.png", logs)
    print(f"saved {folder / 'fit_lynx_hare.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
