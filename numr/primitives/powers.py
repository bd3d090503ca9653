"""Whole powers: products for the value, and one power for the derivative where products would have a term each.

A composite in that the compiler puts the products in place before lowering, with a parameter as others have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.elementwise import like, mul, times
from numr.primitives.source import CONST


class WholePower(Primitive):
    """x**n for a whole number n above 2, by repeated squaring; n is its parameter."""

    lowering = "element"
    no_transpose = "it is not linear"

    def __call__(self, *operands: Node, **params: Any) -> Node:
        (x,) = operands
        if x.prim is CONST or params["n"] < 3:
            return self.expand(x, **params)
        return super().__call__(x, **params)

    def infer(self, x: Node, *, n: int) -> tuple[Shape, DType]:
        return x.shape, x.dtype

    def expand(self, x: Node, *, n: int) -> Node:
        return _product(mul, x, n)  # type: ignore[no-any-return]

    def reference(self, x: Any, *, n: int) -> Any:
        return _product(np.multiply, x, n)

    def jvp(self, out: Node, operands: Any, tangents: Any, *, n: int) -> Node | None:
        (x,) = operands
        return times(tangents[0], mul(like(x, n), self(x, n=n - 1)))

    def batch(self, size: int, operands: Any, axes: Any, /, *, n: int) -> tuple[Node, int]:
        return self(*operands, n=n), axes[0]

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        for n in (3, 4, 7, 8):
            yield Sample(rng.uniform(-2.0, 2.0, 9), n=n)
        yield Sample(rng.uniform(-2.0, 2.0, (2, 3)).astype(np.float32), n=5)
        yield Sample(rng.normal(size=4) + 1j * rng.normal(size=4), n=3)
        special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e200, 1e-200])
        yield Sample(special, n=3, smooth=False)
        yield Sample(np.zeros(0), n=3)


def _product(multiply: Callable[[Any, Any], Any], x: Any, n: int) -> Any:
    """x**n for n > 0, by repeated squaring."""
    result = None
    while n:
        if n & 1:
            result = x if result is None else multiply(result, x)
        n >>= 1
        if n:
            x = multiply(x, x)
    return result


whole_power = WholePower("whole_power")
