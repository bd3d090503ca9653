"""Signs under sums: mirrored terms are one sum, and every bit, the sign of zero included, stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr

# Small whole numbers, so that sums are exact in any order; and what has no order or no sign to lose.
SPECIAL = np.array([0.0, -0.0, 1.0, -2.0, 3.0, 3.0, np.inf, -np.inf, np.nan])
TERMS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "mirrored": lambda a, b, w: w * (b - a),
    "both ways": lambda a, b, w: w * (a - b) * (b - a),
    "negated": lambda a, b, w: -(w * (a - b)),
    "of negated": lambda a, b, w: a + -b,
    "sum of mirrored": lambda a, b, w: w * (b - a) + (a - b),
    "sum of alike": lambda a, b, w: w * (b - a) + (b - a),
    "difference of mirrored": lambda a, b, w: (b - a) - w * (a - b),
    "quotient": lambda a, b, w: (b - a) / (1.0 + w * w),
    "divisor": lambda a, b, w: w / (b - a),  # infinite on the diagonal, by the sign of zero
    "inside": lambda a, b, w: abs(b - a) * w * (a - b),
}


def same(got: Any, want: Any) -> None:
    np.testing.assert_array_equal(np.asarray(got), want)
    zero = want == 0
    np.testing.assert_array_equal(np.signbit(np.asarray(got))[zero], np.signbit(want)[zero])


@pytest.mark.parametrize("values", ["whole numbers", "special"])
def test_sums_of_pairs_are_what_they_were(values: str) -> None:
    """The sum of terms and that of mirrored ones, where both are wanted and where one is."""
    x = SPECIAL if values == "special" else np.arange(-4.0, 5.0)
    w = np.array([1.0, -1.0, 2.0, 0.0, -0.0, 4.0, 1.0, -2.0, 8.0])

    def sums(x: Any, w: Any, xp: Any = nr) -> dict[str, Any]:
        a, b, w = x[:, None], x[None, :], w[None, :]
        found = {}
        for name, term in TERMS.items():
            one, other = xp.sum(term(a, b, w), axis=1), xp.sum(term(b, a, w), axis=1)
            found[name] = one
            found[f"{name}, twice"] = one + other
        return found

    with np.errstate(all="ignore"):
        want = sums(x, w, np)
    for name, got in nr.jit(sums)(x, w).items():
        if name.startswith("quotient"):
            np.testing.assert_allclose(got, want[name], rtol=1e-14, atol=1e-14)
        else:
            same(got, want[name])


def test_forces_and_their_changes_are_three_sums() -> None:
    """Newton's third law holds for derivatives, too: one direction is computed."""
    x, m = np.random.default_rng(0).normal(size=(50, 3)), np.ones(50)

    def energy(x: Any, m: Any) -> Any:
        d = x[:, None, :] - x[None, :, :]
        return nr.sum(m[:, None] * m[None, :] / nr.sqrt(nr.sum(d * d, axis=-1) + 0.01))

    def change(x: Any, v: Any, m: Any) -> Any:
        return nr.hvp(lambda x: energy(x, m))(x, v)

    for f, args in ((nr.grad(energy), (x, m)), (change, (x, x[::-1].copy(), m))):
        lowered = nr.jit(f).lower(*args)
        text = "".join(str(k.ir) for k in lowered.kernels)
        assert text.count("add=*") == 3, text


def test_what_is_wanted_as_it_is_stays() -> None:
    """A difference that is a result, too, is not computed the other way round for a sum."""

    def both(x: Any, y: Any) -> Any:
        d = x[:, None] - y[None, :]
        return d * 2.0, nr.sum(-d, axis=1)

    x, y = np.arange(5.0), np.arange(7.0) / 2
    text = "".join(str(k.ir) for k in nr.jit(both).lower(x, y).kernels)
    d = x[:, None] - y[None, :]
    first, second = nr.jit(both)(x, y)
    same(first, 2 * d)
    same(second, (-d).sum(1))
    assert text.count("= sub(") == 2, text
