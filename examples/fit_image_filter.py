"""A filter that sharpens a blurred, noisy photograph, fitted by gradient descent on the best device.

The photograph is blurred and made noisy; a filter of 9 x 9 numbers is fitted so that it takes the result
back as near to the original as such a filter can. The loss is written down as one sum over shifted
pixels; `numr.grad` differentiates it, `numr.jvp` of the gradient gives the curvature that sets the step,
and every kernel runs on the fastest device there is. The exact minimum, by NumPy's least squares, is the
check.

    python examples/fit_image_filter.py [--quick] [--device NAME] [--output DIR]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

import numr as nr

RADIUS = 4
WIDTH = 2 * RADIUS + 1
BLUR, NOISE = 1.2, 0.03  # pixels; of the range from black to white
EXCESS = 1e-3  # how far above the least possible error the fit may end, of that error


def photograph(quick: bool) -> np.ndarray:
    """A landscape that scikit-learn ships, its brightness from 0 to 1."""
    from sklearn.datasets import load_sample_image

    brightness = load_sample_image("china.jpg").astype(np.float32) @ [0.299, 0.587, 0.114] / 255
    return brightness[120:248, 200:360] if quick else brightness


def spoiled(sharp: np.ndarray) -> np.ndarray:
    """The photograph out of focus, with noise."""
    noise = np.random.default_rng(0).normal(scale=NOISE, size=sharp.shape)
    return gaussian_filter(sharp, BLUR, mode="reflect") + noise


def filtered(padded: Any, weights: Any) -> Any:
    """Every pixel as the weighted sum of those around it; `padded` has RADIUS pixels more on each side."""
    height, width = (n - 2 * RADIUS for n in padded.shape)
    row, column = nr.arange(height)[:, None, None, None], nr.arange(width)[:, None, None]
    shift = nr.arange(WIDTH)
    around = padded[row + shift[:, None], column + shift]
    return nr.sum(around * weights, axis=(2, 3))


def loss(weights: Any, padded: Any, sharp: Any) -> Any:
    """The mean squared error of the filtered image."""
    return nr.mean((filtered(padded, weights) - sharp) ** 2)


slope = nr.grad(loss)


@nr.jit
def curvature(direction: Any, padded: Any, sharp: Any) -> Any:
    """The Hessian's product with a direction, scaled to length 1, and its length before."""
    weights = nr.zeros_like(direction)
    _, bent = nr.jvp(lambda w: slope(w, padded, sharp), (weights,), (direction,))
    length = nr.sqrt(nr.sum(bent**2))
    return bent / length, length


@nr.jit
def descend(weights: Any, ahead: Any, momentum: Any, step: Any, padded: Any, sharp: Any) -> Any:
    """One step of Nesterov's accelerated gradient descent."""
    moved = ahead - step * slope(ahead, padded, sharp)
    return moved, moved + momentum * (moved - weights)


def fit(padded: Any, sharp: Any, steps: int, device: str) -> Any:
    """The fitted weights."""

    def sent(values: np.ndarray) -> Any:
        return nr.asarray(values.astype(np.float32), device=device)

    direction = sent(np.random.default_rng(1).normal(size=(WIDTH, WIDTH)))
    for _ in range(20):
        direction, length = curvature(direction, padded, sharp)
    step = sent(0.9 / length.numpy())
    weights = ahead = sent(np.pad([[1.0]], RADIUS))
    for k in range(steps):
        weights, ahead = descend(weights, ahead, sent(np.array(k / (k + 3))), step, padded, sharp)
        if sys.stderr.isatty() and k % 20 == 19:
            weights.block_until_ready()
            print(f"step {k + 1} of {steps}", end="\r", file=sys.stderr)
    return weights


def exact(padded: np.ndarray, sharp: np.ndarray) -> np.ndarray:
    """The best weights, by least squares in float64: the independent result."""
    windows = np.lib.stride_tricks.sliding_window_view(padded.astype(float), (WIDTH, WIDTH))
    columns = windows.reshape(sharp.size, WIDTH**2)
    return np.linalg.lstsq(columns, sharp.astype(float).ravel())[0].reshape(WIDTH, WIDTH)


def decibels(error: float) -> float:
    """The peak signal to noise ratio of a mean squared error."""
    return -10 * np.log10(error)


def picture(path: Path, images: dict[str, np.ndarray], weights: np.ndarray) -> None:
    """The images side by side, and the filter."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 3.2), layout="constrained")
    panels = figure.subplots(1, len(images) + 1)
    for axes, (name, image) in zip(panels, images.items(), strict=False):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1)
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    largest = np.abs(weights).max()
    shown = panels[-1].imshow(weights, cmap="RdBu", vmin=-largest, vmax=largest)
    panels[-1].set_title("the filter", fontsize=9)
    figure.colorbar(shown, ax=panels[-1])
    figure.savefig(path, dpi=130)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a part of the photograph")
    parser.add_argument("--device", help="a device's name instead of the fastest there is")
    parser.add_argument("--output", default="examples/output", help="folder of the picture")
    options = parser.parse_args(argv)

    device = options.device or nr.available_devices()[0]
    sharp = photograph(options.quick)
    blurred = spoiled(sharp)
    level = blurred.mean()
    # Brightness counts from its mean: that is most of what the filter would otherwise have to learn.
    padded = np.pad(blurred - level, RADIUS, mode="reflect").astype(np.float32)
    target = (sharp - level).astype(np.float32)
    on_device = [nr.asarray(values, device=device) for values in (padded, target)]

    start = time.perf_counter()
    steps = 600
    weights = fit(*on_device, steps=steps, device=device)
    result = filtered(on_device[0], weights).numpy() + level
    seconds = time.perf_counter() - start

    best = exact(padded, target)
    windows = np.lib.stride_tricks.sliding_window_view(padded.astype(float), (WIDTH, WIDTH))
    errors = {
        "blurred": np.mean((blurred - sharp) ** 2),
        "fitted": np.mean((np.einsum("ijkl,kl", windows, weights.numpy()) - target) ** 2),
        "best": np.mean((np.einsum("ijkl,kl", windows, best) - target) ** 2),
    }
    print(f"{sharp.shape[0]} x {sharp.shape[1]} pixels, {WIDTH} x {WIDTH} weights, on {device!r}")
    print(f"{steps} steps in {seconds:.2f} s, compiling and the image's transfer included")
    for name, error in errors.items():
        print(f"  {name:8s} {decibels(error):.2f} dB")
    excess = errors["fitted"] / errors["best"] - 1
    same = np.max(np.abs(result - level - np.einsum("ijkl,kl", windows, weights.numpy())))
    ok = excess <= EXCESS and same <= 1e-4
    print(
        f"check: {excess:.1e} above the least error (at most {EXCESS:.0e}), image within {same:.1e} "
        f"of NumPy's: {'ok' if ok else 'FAILED'}"
    )
    output = Path(options.output)
    output.mkdir(parents=True, exist_ok=True)
    path = output / "fit_image_filter.png"
    images = {
        f"blurred and noisy, {decibels(errors['blurred']):.1f} dB": blurred,
        f"filtered, {decibels(errors['fitted']):.1f} dB": result,
        "the photograph": sharp,
    }
    picture(path, images, weights.numpy())
    print(f"picture: {path}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
