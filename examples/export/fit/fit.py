"""A web page that fits a curve to points drawn with the mouse: the gradient is numr's, run on WebGPU.

The curve is a small network, c + sum_j v_j tanh(w_j x + b_j). Its mean squared error and the gradient of that
are exported with target "wgsl": static files, no server, no library. The page takes the steps (Adam), and
shows the curve and the loss while they fall.

    python examples/export/fit/fit.py [--quick] [--output DIR]
    python -m http.server -d examples/output/fit 8000     # then open http://localhost:8000
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

import numpy as np

import numr as nr

HIDDEN = 24
RATE, MEAN, SQUARE = 0.02, 0.9, 0.999
GOAL = 0.003


def curve(params: dict[str, Any], x: Any) -> Any:
    """The model's values at x."""
    return params["c"] + nr.tanh(x[:, None] * params["w"] + params["b"]) @ params["v"]


def loss(params: dict[str, Any], x: Any, y: Any) -> Any:
    """The mean squared distance of points from the curve."""
    return nr.mean((curve(params, x) - y) ** 2)


def export(folder: Path) -> None:
    """The page and what it imports."""
    shutil.rmtree(folder, ignore_errors=True)
    params = {name: nr.spec(HIDDEN, dtype="f32") for name in "wbv"} | {"c": nr.spec(dtype="f32")}
    points = nr.spec("n", dtype="f32")
    nr.export(
        {
            "curve": (curve, (params, points)),
            "slope": (nr.value_and_grad(loss), (params, points, points)),
        },
        target="wgsl",
        path=folder / "model",
    )
    shutil.copy(Path(__file__).with_name("index.html"), folder / "index.html")


def converges(steps: int) -> float:
    """The loss after so many of the page's steps, taken here, on the page's example."""
    rng = np.random.default_rng(0)
    x = np.linspace(-0.9, 0.9, 80, dtype=np.float32)
    y = (0.5 * np.sin(5 * x) + 0.02 * rng.normal(size=80)).astype(np.float32)
    params = {
        "w": rng.normal(0, 3, HIDDEN).astype(np.float32),
        "b": rng.uniform(-3, 3, HIDDEN).astype(np.float32),
        "v": rng.normal(0, 0.1, HIDDEN).astype(np.float32),
        "c": np.float32(0),
    }
    slope = nr.jit(nr.value_and_grad(loss))
    first = {k: np.zeros_like(p) for k, p in params.items()}
    second = {k: np.zeros_like(p) for k, p in params.items()}
    value = np.inf
    for step in range(1, steps + 1):
        value, gradient = slope(params, x, y)
        for k, g in gradient.items():
            first[k] = MEAN * first[k] + (1 - MEAN) * np.asarray(g)
            second[k] = SQUARE * second[k] + (1 - SQUARE) * np.asarray(g) ** 2
            move = (first[k] / (1 - MEAN**step)) / (np.sqrt(second[k] / (1 - SQUARE**step)) + 1e-8)
            params[k] = (params[k] - RATE * move).astype(np.float32)
    return float(value)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps of the check")
    parser.add_argument("--output", default="examples/output/fit", help="folder for the page")
    options = parser.parse_args(argv)

    folder = Path(options.output)
    export(folder)
    print(f"saved {folder / 'index.html'}; to see it: python -m http.server -d {folder} 8000")
    found = converges(400 if options.quick else 2000)
    fine = found < GOAL
    print(f"check: loss {found:.1e} after the page's steps, {'ok' if fine else 'FAILED'}")
    return 0 if fine else 1


if __name__ == "__main__":
    raise SystemExit(main())
