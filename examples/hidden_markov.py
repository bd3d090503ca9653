"""A hidden Markov model: large earthquakes of each year, 1900 to 2006, as of a calm and of a restless time.

The forward algorithm is a `numr.scan` over the years, in logarithms. Its gradient by the rates and the chances
of change fits the model; its gradient by each year's likelihoods is the chance of each state in each year, which
otherwise takes the backward algorithm. The likelihood that Zucchini and MacDonald give for this model (Hidden
Markov Models for Time Series, 2009), and forward and backward loops in NumPy, are the check.

    python examples/hidden_markov.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln

import numr as nr

# Earthquakes of magnitude 7 and more, by year.
COUNTS = np.array(
    [13, 14, 8, 10, 16, 26, 32, 27, 18, 32, 36, 24, 22, 23, 22, 18, 25, 21, 21, 14, 8, 11, 14, 23]
    + [18, 17, 19, 20, 22, 19, 13, 26, 13, 14, 22, 24, 21, 22, 26, 21, 23, 24, 27, 41, 31, 27, 35]
    + [26, 28, 36, 39, 21, 17, 22, 17, 19, 15, 34, 10, 15, 22, 18, 15, 20, 15, 22, 19, 16, 30, 27]
    + [29, 23, 20, 16, 21, 21, 25, 16, 18, 15, 18, 14, 10, 15, 8, 15, 6, 11, 8, 7, 18, 16, 13, 12]
    + [13, 20, 15, 16, 12, 18, 15, 16, 13, 15, 16, 11, 11],
    float,
)
YEARS = np.arange(1900, 2007)
PUBLISHED = 342.3183  # minus the logarithm of the likelihood
START = np.array([np.log(15), np.log(25), -2, -2])


def forward(log_first: Any, log_change: Any, log_seen: Any) -> Any:
    """The logarithm of the likelihood of what was seen.

    `log_first` is of each state at first, `log_change` of each state (rows) to each (columns), `log_seen` of
    what was seen at each time (rows) in each state.
    """

    def step(log_state: Any, seen: Any) -> Any:
        return nr.logsumexp(log_state[:, None] + log_change, axis=0) + seen, None

    last, _ = nr.scan(step, log_first + log_seen[0], log_seen[1:])
    return nr.logsumexp(last)


def model(parameters: Any) -> tuple[Any, Any, Any]:
    """What `forward` takes, by the logarithms of both rates and the logits of the chances to leave a state."""
    log_rates, logits = nr.reshape(parameters, (2, 2))
    leave = nr.sigmoid(logits)
    change = nr.where(np.eye(2, dtype=bool), 1 - leave[:, None], leave[:, None])
    first = leave[::-1] / nr.sum(leave)  # as it is after a long time
    seen = COUNTS[:, None] * log_rates - nr.exp(log_rates) - gammaln(COUNTS + 1)[:, None]
    return nr.log(first), nr.log(change), seen


def loss(parameters: Any) -> Any:
    return -forward(*model(parameters))


def by_numpy(first: Any, change: Any, seen: Any) -> tuple[float, np.ndarray]:
    """The logarithm of the likelihood, and the chances of the states: forward and backward loops."""
    first, change, seen = (np.exp(x.numpy()) for x in (first, change, seen))
    ahead, total = [first * seen[0]], 0.0
    for now in seen[1:]:
        total += np.log(ahead[-1].sum())
        ahead[-1] = ahead[-1] / ahead[-1].sum()
        ahead.append(ahead[-1] @ change * now)
    back = [np.ones(2)]
    for now in seen[:0:-1]:
        back.append(change @ (now * back[-1]))
        back[-1] /= back[-1].sum()
    chances = np.array(ahead) * np.array(back[::-1])
    return total + np.log(ahead[-1].sum()), chances / chances.sum(1, keepdims=True)


def picture(path: Path, rates: np.ndarray, restless: np.ndarray) -> None:
    """The counts, and the chance of a restless time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.bar(YEARS, COUNTS, color="lightgray")
    for rate in rates:
        above.axhline(rate, color="tab:red", linewidth=0.8)
    above.set(ylabel="earthquakes")
    below.plot(YEARS, restless)
    below.set(xlabel="year", ylabel="restless")
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="as without: it takes a second")
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)

    both = nr.jit(nr.value_and_grad(loss))
    found = minimize(lambda p: tuple(np.asarray(x) for x in both(p)), START, jac=True, tol=1e-9)
    rates, leave = np.exp(found.x[:2]), 1 / (1 + np.exp(-found.x[2:]))
    for name, rate, chance in zip(("calm", "restless"), rates, leave, strict=True):
        print(f"{name:8}  {rate:.2f} earthquakes a year, ends after {1 / chance:.0f} years")

    parts = model(found.x)
    chances = nr.jit(nr.grad(forward, argnums=2))(*parts).numpy()
    total, their_chances = by_numpy(*parts)
    off = {
        "the published likelihood": (abs(found.fun - PUBLISHED), 1e-3),
        "NumPy's likelihood": (abs(found.fun + total), 1e-9),
        "NumPy's chances": (np.abs(chances - their_chances).max(), 1e-9),
    }
    good = True
    for what, (error, limit) in off.items():
        good = good and error < limit
        print(f"check: {error:.1e} from {what}, {'ok' if error < limit else 'FAILED'}")

    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    picture(folder / "hidden_markov.png", rates, chances[:, 1])
    print(f"saved {folder / 'hidden_markov.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
