"""A Kalman filter in a loop, and its noise by maximum likelihood: the Nile's flow at Aswan, 1871 to 1970.

The flow is a level that wanders, measured with noise. The filter is a `numr.scan` over the years; Newton's
method on the logarithms of both variances takes `numr.grad` and `numr.hessian` of its likelihood. The variances
that Durbin and Koopman give for this record (Time Series Analysis by State Space Methods, 2001), and the
likelihood as that of one normal distribution of all years, are the check.

    python examples/kalman_filter.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import multivariate_normal

import numr as nr

# 10^8 m³ a year (Cobb 1978; the data set "Nile" of R).
FLOW = np.array(
    [1120, 1160, 963, 1210, 1160, 1160, 813, 1230, 1370, 1140, 995, 935, 1110, 994, 1020, 960, 1180]
    + [799, 958, 1140, 1100, 1210, 1150, 1250, 1260, 1220, 1030, 1100, 774, 840, 874, 694, 940, 833]
    + [701, 916, 692, 1020, 1050, 969, 831, 726, 456, 824, 702, 1120, 1100, 832, 764, 821, 768, 845]
    + [864, 862, 698, 845, 744, 796, 1040, 759, 781, 865, 845, 944, 984, 897, 822, 1010, 771, 676]
    + [649, 846, 812, 742, 801, 1040, 860, 874, 848, 890, 744, 749, 838, 1050, 918, 986, 797, 923]
    + [975, 815, 1020, 906, 901, 1170, 912, 746, 919, 718, 714, 740],
    float,
)
YEARS = np.arange(1871, 1971)
PUBLISHED = (15099.0, 1469.1)  # the variances of the noise and of the level's changes
PRIOR = 1e7  # the first level's variance: nothing is known of it


def kalman(model: Any, mean: Any, cov: Any, measured: Any) -> tuple[Any, tuple[Any, Any]]:
    """The logarithm of the likelihood of what was measured, and each step's mean and covariance after it.

    `model` is (transition, its noise, what is seen of a state, the noise of that), all of them matrices; `mean`
    and `cov` are of the first state, before the first measurement.
    """
    transition, changes, seen, noise = model
    one = nr.eye(cov.shape[0], dtype=cov.dtype)

    def step(carry: Any, y: Any) -> Any:
        mean, cov, total = carry
        off = y - seen @ mean
        spread = seen @ cov @ seen.T + noise
        gain = nr.linalg.solve(spread, seen @ cov).T
        size = nr.linalg.slogdet(spread)[1] + off @ nr.linalg.solve(spread, off)
        total = total - (size + off.shape[0] * math.log(2 * math.pi)) / 2
        mean = mean + gain @ off
        cov = (one - gain @ seen) @ cov
        return (transition @ mean, transition @ cov @ transition.T + changes, total), (mean, cov)

    (_, _, total), filtered = nr.scan(step, (mean, cov, 0.0), measured)
    return total, filtered


def level(logs: Any) -> tuple[Any, tuple[Any, Any]]:
    """The filter of a wandering level, by the logarithms of both variances."""
    noise, changes = nr.exp(logs)[:, None, None]
    model = (np.eye(1), changes, np.eye(1), noise)
    return kalman(model, nr.zeros(1), PRIOR * nr.eye(1), FLOW[:, None])


def as_one_distribution(variances: np.ndarray) -> float:
    """The same logarithm of the likelihood, by the covariance of all years."""
    n = np.arange(len(FLOW))
    cov = variances[1] * np.minimum.outer(n, n) + variances[0] * np.eye(len(n)) + PRIOR
    return float(multivariate_normal.logpdf(FLOW, np.zeros(len(FLOW)), cov))


def fit() -> np.ndarray:
    """The variances under which the record is most likely."""
    loss = lambda logs: -level(logs)[0]
    both = nr.jit(lambda logs: (nr.grad(loss)(logs), nr.hessian(loss)(logs)))
    logs = np.log(np.array([1e4, 1e3]))
    for _ in range(20):
        gradient, hessian = (x.numpy() for x in both(logs))
        move = np.linalg.solve(hessian, gradient)
        logs = logs - move
        if np.abs(move).max() < 1e-10:
            break
    return np.exp(logs)


def picture(path: Path, mean: np.ndarray, deviation: np.ndarray) -> None:
    """The record, and the level."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.plot(YEARS, FLOW, ".", color="gray", label="measured")
    axes.plot(YEARS, mean, color="tab:blue", label="level")
    low, high = mean - 2 * deviation, mean + 2 * deviation
    axes.fill_between(YEARS, low, high, alpha=0.2, label="2 standard deviations")
    axes.set(xlabel="year", ylabel="flow (10⁸ m³)", ylim=(400, 1450))
    axes.legend()
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="as without: it takes a second")
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)

    variances = fit()
    total, (means, covs) = nr.jit(level)(np.log(variances))
    off = np.abs(variances / PUBLISHED - 1).max()
    print(f"variance of the noise {variances[0]:.1f}, of the level's changes {variances[1]:.1f}")
    print(f"logarithm of the likelihood {total.item():.6f}")
    apart = abs(total.item() - as_one_distribution(variances))
    good = off < 1e-3 and apart < 1e-6
    print(
        f"check: {'ok' if good else 'FAILED'}, variances within {off:.1e} of the published ones (1e-03 allowed), "
        f"likelihood within {apart:.1e} (1e-06 allowed)"
    )
    folder = Path(options.output)
    folder.mkdir(parents=True, exist_ok=True)
    picture(folder / "kalman_filter.png", means.numpy()[:, 0], np.sqrt(covs.numpy()[:, 0, 0]))
    print(f"saved {folder / 'kalman_filter.png'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
