"""Logistic regression on real data by Newton's method, with the Hessian that numr derives.

The breast-cancer data of scikit-learn (569 tumours, 30 measurements each) is fitted with an L2
penalty. Only the loss is written down: `numr.value_and_grad` and `numr.hessian` give Newton's
method its derivatives. The coefficients are compared with scikit-learn's, the time with the same
method in plain NumPy with derivatives worked out by hand, and a second process shows what the cache
did.

    python examples/logistic_newton.py [--quick] [--output DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import numr as nr

PENALTY = 1.0
TOLERANCE = 1e-6  # on the coefficients, which are of order 1
Fit = tuple[np.ndarray, list[tuple[float, float]]]


def loss(weights: Any, features: Any, labels: Any, penalty: float) -> Any:
    """Minus the log-likelihood, plus a penalty on all weights but the last, the intercept."""
    scores = features @ weights[:-1] + weights[-1]
    misfit = nr.sum(nr.softplus(scores) - labels * scores)
    return misfit + 0.5 * penalty * nr.sum(weights[:-1] ** 2)


@nr.jit
def newton_step(weights: Any, features: Any, labels: Any, penalty: float) -> Any:
    """One step: the new weights, and the loss and the squared Newton decrement before it."""
    value, gradient = nr.value_and_grad(loss)(weights, features, labels, penalty)
    curvature = nr.hessian(loss)(weights, features, labels, penalty)
    step = nr.linalg.solve(curvature, gradient)
    return weights - step, value, nr.sum(gradient * step)


def numpy_step(
    weights: np.ndarray, features: np.ndarray, labels: np.ndarray, penalty: float
) -> Any:
    """The same step with derivatives by hand."""
    design = np.hstack([features, np.ones((len(features), 1))])
    penalties = np.append(np.full(features.shape[1], penalty), 0.0)
    scores = design @ weights
    chance = 0.5 * (1.0 + np.tanh(0.5 * scores))
    value = np.sum(np.logaddexp(0.0, scores) - labels * scores)
    value += 0.5 * np.sum(penalties * weights**2)
    gradient = design.T @ (chance - labels) + penalties * weights
    curvature = (design.T * (chance * (1.0 - chance))) @ design + np.diag(penalties)
    step = np.linalg.solve(curvature, gradient)
    return weights - step, value, gradient @ step


def fit(step: Callable[..., Any], features: np.ndarray, labels: np.ndarray) -> Fit:
    """Newton's method from zero until the decrement is rounding noise."""
    weights: Any = np.zeros(features.shape[1] + 1)
    history = []
    for _ in range(50):
        weights, value, decrement = step(weights, features, labels, PENALTY)
        history.append((float(value), float(decrement)))
        if abs(history[-1][1]) < 1e-16:
            break
    return np.asarray(weights), history


def load_data() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The measurements, each with mean 0 and variance 1; 1 for benign; their names."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    features = (data.data - data.data.mean(axis=0)) / data.data.std(axis=0)
    return features, data.target.astype(np.float64), [str(name) for name in data.feature_names]


def sklearn_fit(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The independent result."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1.0 / PENALTY, solver="newton-cholesky", tol=1e-12, max_iter=100)
    model.fit(features, labels)
    return np.append(model.coef_[0], model.intercept_)


def median_seconds(run: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def run_as_child(data: str) -> int:
    """What a fresh process does: fit once, say how long it took and what the cache did."""
    arrays = np.load(data)
    start = time.perf_counter()
    fit(newton_step, arrays["features"], arrays["labels"])
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "cache": cache_counts()}))
    return 0


def cache_counts() -> dict[str, int]:
    """What this process had to do itself, and what it found."""
    info = nr.cache.info()
    return {
        "functions traced": info.traces.misses,
        "graphs planned": info.programs.misses,
        "kernels compiled": info.compilations,
        "entries read from disk": info.disk.hits,
    }


def two_processes(features: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """The fit in two processes, one after the other, that share a cache folder, empty at first."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data.npz")
        np.savez(data, features=features, labels=labels)
        environment = dict(os.environ, NUMR_CACHE_DIR=os.path.join(folder, "cache"))
        for _ in range(2):
            command = [sys.executable, os.path.abspath(__file__), "--child", data]
            start = time.perf_counter()
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            elapsed = time.perf_counter() - start
            if done.returncode:
                raise RuntimeError(f"the fit in a process of its own failed:\n{done.stderr}")
            results.append(json.loads(done.stdout.splitlines()[-1]) | {"process": elapsed})
    return results


def plot(path: Path, history: list[Any], names: list[str], ours: Any, theirs: Any) -> None:
    """How Newton's method converged, and the coefficients with their standard errors."""
    from matplotlib.figure import Figure

    weights, errors = ours
    figure = Figure(figsize=(11, 6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 3))
    left.semilogy([max(abs(d), 1e-32) for _, d in history], "o-")
    left.set(xlabel="step", ylabel="Newton decrement", title="convergence is quadratic at the end")
    order = np.argsort(weights[:-1])
    rows = np.arange(len(order))
    right.errorbar(weights[order], rows, xerr=errors[order], fmt="o", label="numr, 1 std. error")
    right.plot(theirs[order], rows, "x", color="black", label="scikit-learn")
    right.set_yticks(rows, [names[k] for k in order], fontsize=7)
    right.axvline(0.0, color="grey", lw=0.5)
    right.set(xlabel="coefficient (positive: benign)", title="breast cancer, standardised features")
    right.legend()
    figure.savefig(path, dpi=120)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few timings, for the tests")
    parser.add_argument("--output", default="examples/output", help="folder of the plot")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        return run_as_child(options.child)

    features, labels, names = load_data()
    weights, history = fit(newton_step, features, labels)
    print(f"{features.shape[0]} tumours, {features.shape[1]} measurements, L2 penalty {PENALTY}")
    print("\nstep            loss   decrement")
    for k, (value, decrement) in enumerate(history):
        print(f"{k:4d}  {value:14.9f}   {decrement:9.2e}")
    right = np.mean((features @ weights[:-1] + weights[-1] > 0) == (labels > 0.5))
    print(f"classified correctly: {right:.1%}")

    curvature = nr.hessian(loss)(nr.asarray(weights), features, labels, PENALTY)
    errors = np.sqrt(np.diag(np.linalg.inv(np.asarray(curvature))))
    print("\nthe five largest coefficients and their standard errors")
    for k in np.argsort(-np.abs(weights[:-1]))[:5]:
        print(f"  {names[k]:22s} {weights[k]:+.4f} ± {errors[k]:.4f}")

    theirs = sklearn_fit(features, labels)
    difference = float(np.max(np.abs(weights - theirs)))
    by_hand, _ = fit(numpy_step, features, labels)
    agrees = difference < TOLERANCE and np.allclose(weights, by_hand, rtol=0, atol=TOLERANCE)
    print(f"\ncheck: largest difference to scikit-learn's coefficients {difference:.1e}", end="")
    print(f" (at most {TOLERANCE:.0e}): {'ok' if agrees else 'FAILED'}")

    repeats = 3 if options.quick else 51
    for name, step in (("numr", newton_step), ("NumPy by hand", numpy_step)):
        seconds = median_seconds(lambda step=step: fit(step, features, labels), repeats)
        each = 1e6 * seconds / len(history)
        print(f"time of the fit, {name + ':':15s}{1e3 * seconds:8.2f} ms ({each:.0f} us a step)")

    first, second = two_processes(features, labels)
    print("\nthe same fit in two fresh processes that share a cache folder, empty at first")
    print(f"{'':30s}{'first':>12s}{'second':>12s}")
    for label, key in (("whole process, s", "process"), ("the fit with compiling, s", "seconds")):
        print(f"  {label:28s}{first[key]:12.2f}{second[key]:12.2f}")
    for what, count in first["cache"].items():
        print(f"  {what:28s}{count:12d}{second['cache'][what]:12d}")

    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    plot(output / "logistic_newton.png", history, names, (weights, errors), theirs)
    print(f"\nplot: {output / 'logistic_newton.png'}")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
