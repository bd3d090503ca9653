"""Test cases of elementwise primitives, drawn from each one's domain and dtypes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from numr.ir.primitive import Sample

if TYPE_CHECKING:
    from numr.primitives.elementwise import Elementwise


def samples_of(prim: Elementwise, rng: np.random.Generator) -> Iterator[Sample]:
    """Cases from a primitive's domain: smooth points in every dtype it takes, sizes across vector
    boundaries, and the special values where no derivative is compared."""
    kinds, arity = prim.op.kinds, prim.op.arity
    domain = prim.domain * arity if len(prim.domain) == 1 else prim.domain

    def draw(n: Any, dtype: str) -> list[Any]:
        if dtype[0] == "b":
            return [rng.integers(0, 2, n).astype(bool) for _ in range(arity)]
        if dtype[0] in "iu":
            low = -20 if dtype[0] == "i" else 1
            if prim.name in ("pow", "shift_left", "shift_right"):
                low = 0
            high = 5 if prim.name in ("pow", "shift_left", "shift_right") else 20
            return [rng.integers(low, high, n).astype(dtype) for _ in range(arity)]
        parts = [rng.uniform(lo, hi, n) for lo, hi in domain]
        if dtype[0] == "c":
            return [(p + 1j * rng.uniform(0.1, 0.9, n)).astype(dtype) for p in parts]
        return [p.astype(dtype) for p in parts]

    if "f" in kinds:
        for n in (0, 1, 7, 8, 9, 31, 33, (3, 5)):
            yield Sample(*draw(n, "f8"), name=f"f64-{n}")
        yield Sample(*draw(9, "f4"), name="f32")
        if arity == 2:
            x, y = draw(6, "f8")
            yield Sample(x[0], y, name="scalar-left")
            yield Sample(x, y[0], name="scalar-right")
        special = np.array(
            [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-310, 0.5, 2.0, -0.3, 1.5, -2.5]
        )
        if arity == 1:
            yield Sample(special, smooth=False, name="special")
            yield Sample(special.astype("f4"), smooth=False, name="special-f32")
        elif prim.name != "polygamma":
            a, b = (g.ravel().copy() for g in np.meshgrid(special, special))
            yield Sample(a, b, smooth=False, name="special")
    if "c" in kinds:
        yield Sample(*draw(5, "c16"), name="c128")
        yield Sample(*draw(5, "c8"), name="c64")
    for kind, dtypes in (("b", ("bool",)), ("i", ("i1", "i4", "i8")), ("u", ("u1", "u4", "u8"))):
        if kind in kinds:
            for dtype in dtypes:
                yield Sample(*draw(9, dtype), smooth=False, name=dtype)
