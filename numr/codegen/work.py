"""How many floating-point operations a kernel takes: each statement as often as the loops around it go round."""

from __future__ import annotations

from collections.abc import Sequence

from numr.codegen.kernel import (
    Accumulate,
    Combine,
    For,
    If,
    Kernel,
    Let,
    Literal,
    Statement,
    Store,
    Value,
)
from numr.codegen.rounds import KNOWN
from numr.ir.scalar import TABLE


def operations(kernel: Kernel, sizes: Sequence[int], points: int) -> int:
    """The floating-point operations of a kernel, a transcendental counted by its weight in additions.

    What is arithmetic on integers, a choice, or moves or converts a number is none. Loops are counted by their first
    round, their last, and one in the middle for all others: blocks and stencils are different at the ends. Of a
    condition that depends on numbers, what it guards counts; a loop that may end before its bound goes to it.

    Args:
        kernel: whose loops have bounds that are made of sizes and of the loops around them.
        sizes: the values of its size parameters.
        points: the points of its grid.
    """
    known: dict[str, int | bool] = dict(zip(kernel.sizes, sizes, strict=True))
    known |= {"lo": 0, "hi": points, "lane": 0}

    def value(x: Value) -> int | bool | None:
        if isinstance(x, Literal):
            return int(x.value) if x.dtype.kind in "iub" else None
        return known.get(x.name)

    def of(body: Sequence[Statement]) -> int:
        total = 0
        for s in body:
            if isinstance(s, Let):
                values = [value(x) for x in s.args]
                if s.op in KNOWN and None not in values:
                    known[s.var.name] = KNOWN[s.op](*values)
                total += _own(s)
            elif isinstance(s, Accumulate):
                total += s.value.dtype.kind in "fc"
            elif isinstance(s, Combine):
                total += (s.var.dtype.kind in "fc") * (kernel.lanes - 1)
            elif isinstance(s, Store):
                total += s.mode not in ("set", "replace") and s.value.dtype.kind in "fc"
            elif isinstance(s, If) and value(s.condition) is not False:
                total += of(s.body)
            elif isinstance(s, For):
                total += rounds(s)
        return total

    def rounds(loop: For) -> int:
        lo, hi = value(loop.lo), value(loop.hi)
        if lo is None or hi is None:  # a number of rounds that numbers decide
            lo, hi = 0, 1
        if hi <= lo:
            return 0

        def at(k: int) -> int:
            known[loop.var.name] = k
            return of(loop.body)

        if hi - lo < 3 or not any(isinstance(s, (For, If)) for s in loop.body):
            return sum(map(at, range(lo, hi))) if hi - lo < 3 else (hi - lo) * at(lo)
        return at(lo) + at(hi - 1) + (hi - lo - 2) * at((lo + hi) // 2)

    return of(kernel.body)


def _own(s: Let) -> int:
    """The work of one operation on floating-point numbers."""
    row = TABLE.get(s.op)
    if row is None or s.op == "select" or not any(x.dtype.kind in "fc" for x in s.args):
        return 0
    return row.cost
