"""How often the loops of a kernel go round, for devices that break them off after so many rounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from numr.codegen.kernel import Combine, For, If, Kernel, Let, Literal, Statement, Value

# What is worked out of positions, sizes and conditions on them.
KNOWN: dict[str, Callable[..., int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "udiv": lambda a, b: a // b if b else 0,
    "urem": lambda a, b: a % b if b else 0,
    "minimum": min,
    "maximum": max,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "select": lambda c, a, b: a if c else b,
}


def rounds(kernel: Kernel, sizes: Sequence[int]) -> int:
    """The rounds of all loops of one lane at the first point of the grid, which has the longest.

    Args:
        kernel: whose loops have bounds that are made of sizes.
        sizes: the values of its size parameters.
    """
    known: dict[str, int] = dict(zip(kernel.sizes, sizes, strict=True))
    known |= {"lo": 0, "hi": 1, "lane": 0}

    def value(x: Value) -> int | None:
        if isinstance(x, Literal):
            return int(x.value) if x.dtype.kind in "iu" else None
        return known.get(x.name)

    def of(body: Sequence[Statement]) -> int:
        total = 0
        for s in body:
            if isinstance(s, Let) and s.op in KNOWN:
                given = [value(x) for x in s.args]
                if None not in given:
                    known[s.var.name] = KNOWN[s.op](*given)
            elif isinstance(s, Combine):
                total += 2 * math.isqrt(kernel.lanes)
            elif isinstance(s, If):
                total += of(s.body)
            elif isinstance(s, For):
                lo, hi = value(s.lo), value(s.hi)
                assert lo is not None and hi is not None, "bounds are made of sizes"
                known[s.var.name] = lo
                count = -(-(hi - lo) // (kernel.lanes if s.dealt else 1))
                grid = not isinstance(s.lo, Literal) and s.lo.name == "lo"
                total += of(s.body) if grid else max(count, 0) * (1 + of(s.body))
        return total

    return of(kernel.body)
