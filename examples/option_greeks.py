"""The Greeks of a European call to third order, from the price alone, against their closed forms.

Only the Black-Scholes-Merton price of one option is written down. Each Greek is `numr.grad` applied
once, twice or three times; `numr.vmap` makes it a function of whole arrays, and one `numr.jit`
compiles all of them together.

    python examples/option_greeks.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr

import numr as nr

SPOT, STRIKE, EXPIRY, RATE, DIVIDEND, VOLATILITY = range(6)

# What each Greek differentiates by, and its sign. Time passes as the time to expiry shrinks, which
# makes theta, charm and color negative derivatives by the latter.
GREEKS: dict[str, tuple[tuple[int, ...], float]] = {
    "price": ((), 1.0),
    "delta": ((SPOT,), 1.0),
    "vega": ((VOLATILITY,), 1.0),
    "theta": ((EXPIRY,), -1.0),
    "rho": ((RATE,), 1.0),
    "gamma": ((SPOT, SPOT), 1.0),
    "vanna": ((SPOT, VOLATILITY), 1.0),
    "volga": ((VOLATILITY, VOLATILITY), 1.0),
    "charm": ((SPOT, EXPIRY), -1.0),
    "speed": ((SPOT, SPOT, SPOT), 1.0),
    "zomma": ((SPOT, SPOT, VOLATILITY), 1.0),
    "color": ((SPOT, SPOT, EXPIRY), -1.0),
    "ultima": ((VOLATILITY, VOLATILITY, VOLATILITY), 1.0),
}
TOLERANCE = 1e-9  # relative to each Greek's largest value


def normal_cdf(x: Any) -> Any:
    """The normal distribution function; erfc keeps its lower tail accurate."""
    return 0.5 * nr.erfc(-x / np.sqrt(2.0))


def price(spot: Any, strike: Any, expiry: Any, rate: Any, dividend: Any, volatility: Any) -> Any:
    """The price of one call."""
    spread = volatility * nr.sqrt(expiry)
    d1 = (nr.log(spot / strike) + (rate - dividend) * expiry) / spread + 0.5 * spread
    d2 = d1 - spread
    forward = spot * nr.exp(-dividend * expiry)
    return forward * normal_cdf(d1) - strike * nr.exp(-rate * expiry) * normal_cdf(d2)


def derivative(f: Callable[..., Any], by: tuple[int, ...]) -> Callable[..., Any]:
    """The derivative of f by its arguments of these numbers, one after the other."""
    for argument in by:
        f = nr.grad(f, argnums=argument)
    return f


@nr.jit
def greeks(*market: Any) -> dict[str, Any]:
    """Every Greek of arrays of options."""
    return {n: sign * nr.vmap(derivative(price, by))(*market) for n, (by, sign) in GREEKS.items()}


def closed_forms(s: Any, k: Any, t: Any, r: Any, q: Any, v: Any) -> dict[str, np.ndarray]:
    """The textbook formulas in NumPy: the independent result."""
    root = np.sqrt(t)
    spread = v * root
    d1 = (np.log(s / k) + (r - q + 0.5 * v * v) * t) / spread
    d2 = d1 - spread
    grown, discount = np.exp(-q * t), np.exp(-r * t)
    density = grown * np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    gamma = density / (s * spread)
    vega = s * density * root
    drift = 2.0 * (r - q) * t - d2 * spread
    decay = -s * density * v / (2.0 * root) - r * k * discount * ndtr(d2)
    return {
        "price": s * grown * ndtr(d1) - k * discount * ndtr(d2),
        "delta": grown * ndtr(d1),
        "vega": vega,
        "theta": decay + q * s * grown * ndtr(d1),
        "rho": k * t * discount * ndtr(d2),
        "gamma": gamma,
        "vanna": -density * d2 / v,
        "volga": vega * d1 * d2 / v,
        "charm": q * grown * ndtr(d1) - density * drift / (2.0 * t * spread),
        "speed": -gamma / s * (1.0 + d1 / spread),
        "zomma": gamma * (d1 * d2 - 1.0) / v,
        "color": gamma / (2.0 * t) * (2.0 * q * t + 1.0 + drift * d1 / spread),
        "ultima": -vega / v**2 * (d1 * d2 * (1.0 - d1 * d2) + d1**2 + d2**2),
    }


def random_market(n: int) -> list[np.ndarray]:
    """Options of all kinds: spot, strike, expiry, rate, dividend, volatility."""
    rng = np.random.default_rng(0)
    low = [60.0, 60.0, 0.1, -0.01, 0.0, 0.1]
    high = [140.0, 140.0, 3.0, 0.06, 0.04, 0.6]
    return [rng.uniform(a, b, n) for a, b in zip(low, high, strict=True)]


def plot(path: Path) -> None:
    """Each Greek over the spot price for three times to expiry."""
    from matplotlib.figure import Figure

    spots = np.linspace(60.0, 140.0, 161)
    figure = Figure(figsize=(14, 8), layout="constrained")
    panels = figure.subplots(3, 5).ravel()
    for expiry in (0.1, 0.5, 2.0):
        fixed = [np.full_like(spots, value) for value in (100.0, expiry, 0.03, 0.01, 0.25)]
        values = greeks(spots, *fixed)
        for axes, (name, (by, _)) in zip(panels, GREEKS.items(), strict=False):
            axes.plot(spots, np.asarray(values[name]), label=f"{expiry} years")
            axes.set_title(f"{name}, order {len(by)}", fontsize=9)
    panels[0].legend(fontsize=7, title="to expiry", title_fontsize=7)
    for unused in panels[len(GREEKS) :]:
        unused.set_axis_off()
    figure.suptitle("Greeks of a call by spot price: strike 100, volatility 25 %, rate 3 %")
    figure.savefig(path, dpi=120)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer options, for the tests")
    parser.add_argument("--output", default="examples/output", help="folder of the plot")
    options = parser.parse_args(argv)

    market = random_market(1000 if options.quick else 200_000)
    n = len(market[0])
    start = time.perf_counter()
    found = {name: np.asarray(values) for name, values in greeks(*market).items()}
    cold = time.perf_counter() - start
    start = time.perf_counter()
    found = {name: np.asarray(values) for name, values in greeks(*market).items()}
    warm = time.perf_counter() - start
    start = time.perf_counter()
    expected = closed_forms(*market)
    by_hand = time.perf_counter() - start

    print(f"{n} options; error relative to the largest value of each Greek")
    worst = 0.0
    for name, (by, _) in GREEKS.items():
        scale = np.max(np.abs(expected[name]))
        error = float(np.max(np.abs(found[name] - expected[name])) / scale)
        worst = max(worst, error) if np.isfinite(error) else np.inf
        print(f"  {name:7s} order {len(by)}   {error:.1e}")
    ok = worst <= TOLERANCE
    print(f"check: largest error {worst:.1e} (at most {TOLERANCE:.0e}): {'ok' if ok else 'FAILED'}")
    print(f"all {len(GREEKS)} together: first call {cold:.2f} s, then {1e3 * warm:.2f} ms;", end="")
    print(f" closed forms in NumPy {1e3 * by_hand:.2f} ms")

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    plot(output / "option_greeks.png")
    print(f"plot: {output / 'option_greeks.png'}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
