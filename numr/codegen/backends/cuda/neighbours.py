"""Neighbouring points of one thread side by side: all their loads, then each step of all, then their stores.

So one instruction moves what several points load or store next to each other, whatever branches are in
between, and the device has several independent computations at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Declare,
    For,
    Kernel,
    Let,
    Literal,
    Statement,
    Store,
    Value,
    Var,
    stores,
)

# A thread loads and stores up to so many bytes at once.
WIDE = 16
MOST_POINTS = 8
# So many statements of all points together, at most: each holds a register for a while.
MOST_STATEMENTS = 512


def points_of_thread(kernel: Kernel) -> int:
    """How many neighbouring points one thread runs: several where they are neighbours in memory."""
    if kernel.lanes > 1 or len(kernel.body) != 1:
        return 1
    (grid,) = kernel.body
    if not isinstance(grid, For) or not all(isinstance(s, _PLAIN) for s in grid.body):
        return 1
    written = set(stores(grid.body))
    places = {s.index for s in grid.body if isinstance(s, Store)}
    if places != {grid.var}:
        return 1
    largest = max(b.dtype.itemsize for b in kernel.buffers if b.name in written)
    count = max(1, min(WIDE // largest, MOST_POINTS))
    while count > 1 and count * len(grid.body) > MOST_STATEMENTS:
        count //= 2
    return count


_PLAIN = (Let, Declare, Accumulate, Assign, Store)


def side_by_side(grid: For, count: int) -> Iterator[Statement]:
    """The statements of so many points from the grid's `lo` on."""
    names = {s.var.name for s in grid.body if isinstance(s, (Let, Declare))} | {grid.var.name}

    def of_point(k: int, x: Value) -> Value:
        return replace(x, name=f"{x.name}_{k}") if isinstance(x, Var) and x.name in names else x

    def renamed(k: int, s: Statement) -> Statement:
        if isinstance(s, Let):
            args = tuple(of_point(k, a) for a in s.args)
            return replace(s, var=_var(of_point(k, s.var)), args=args)
        if isinstance(s, Store):
            return replace(s, index=of_point(k, s.index), value=of_point(k, s.value))
        assert isinstance(s, (Declare, Accumulate, Assign))
        return replace(s, var=_var(of_point(k, s.var)), value=of_point(k, s.value))

    index = grid.var.dtype
    for k in range(count):
        args: Sequence[Value] = grid.lo, Literal(k, index)
        yield Let(_var(of_point(k, grid.var)), "add", tuple(args))
    for statement in grid.body:
        for k in range(count):
            yield renamed(k, statement)


def _var(x: Value) -> Var:
    assert isinstance(x, Var)
    return x
