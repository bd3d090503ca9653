"""Products of matrices: in tiles that the lanes of a point share, and small ones element by element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.codegen.expansions.plan import Expansion, Launch, Operands, Plan, row_major
from numr.codegen.expansions.write import Term, Writer
from numr.codegen.kernel import Kernel
from numr.dtypes import bool_, real_part_dtype

# A point makes TILE x TILE results from tiles DEPTH deep; each of its lanes SIDE x SIDE of them.
SIDE = 4
DEPTH = 16
# Products of fewer results are made one result a point.
TILED_FROM = 32 * 32


def expand(call: Operands) -> Expansion:
    """out[.., i, j] = sum_k x[.., i, k] y[.., k, j]; operands may be strided."""
    across = 1
    while (2 * across) ** 2 <= call.lanes:
        across *= 2
    kernels = [_by_element(call)]
    tiled = across > 1 and call.dtypes[0].kind != "c"
    if tiled:
        kernels.append(_by_tile(call, across))
    tile = SIDE * across

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        (*lead, m, k), n = shapes[0], shapes[1][-1]
        batch = 1
        for length in lead:
            batch *= length
        sizes = [m, n, k]
        for shape, stride in zip(shapes, strides, strict=True):
            sizes += [_batch_stride(shape, stride), stride[-2], stride[-1]]
        buffers = (("in", 0), ("in", 1), ("out", 0))
        if tiled and m * n >= TILED_FROM:
            points = batch * -(-m // tile) * -(-n // tile)
            return Plan(launches=[Launch(1, buffers, tuple(sizes), points)])
        return Plan(launches=[Launch(0, buffers, tuple(sizes), batch * m * n)])

    return Expansion(kernels, plan, strided=True)


def _batch_stride(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """One stride for all leading axes, which must be one run of memory."""
    lead, steps = shape[:-2], strides[:-2]
    return steps[-1] if lead else 0


def takes(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether an operand's leading axes are one axis, so that it need not be copied."""
    lead, steps = shape[:-2], strides[:-2]
    return all(steps[i] == steps[i + 1] * lead[i + 1] or lead[i] == 1 for i in range(len(lead) - 1))


class _Sum:
    """The sum of products of one result; of booleans whether any product holds."""

    def __init__(self, w: Writer, call: Operands) -> None:
        self.w = w
        self.complex = call.dtypes[0].kind == "c"
        self.boolean = call.dtypes[0] is bool_
        part = real_part_dtype(call.dtypes[0])
        zero = w.term(False if self.boolean else 0, part)
        self.parts = [w.variable(zero) for _ in range(2 if self.complex else 1)]

    def step(self, x: Any, y: Any) -> None:
        w = self.w
        if self.complex:
            (a, b), (c, d) = x, y
            terms = [a * c - b * d, a * d + b * c]
        else:
            terms = [x & y if self.boolean else x * y]
        for total, term in zip(self.parts, terms, strict=True):
            w.assign(total, total | term if self.boolean else total + term)


def _by_element(call: Operands) -> Kernel:
    w = Writer(call.index)
    part = real_part_dtype(call.dtypes[0])
    x, y, out = w.buffer(part), w.buffer(part), w.buffer(part, written=True)
    m, n, k = w.size(), w.size(), w.size()
    (xb, xi, xk), (yb, yk, yj) = [[w.size() for _ in range(3)] for _ in range(2)]
    complex_ = call.dtypes[0].kind == "c"

    def load(memory: Any, at: Term) -> Any:
        if not complex_:
            return w.load(memory, at)
        return w.load(memory, at * 2), w.load(memory, at * 2 + 1)

    with w.grid() as point:
        j, rest = point % n, point // n
        i, b = rest % m, rest // m
        row, column = b * xb + i * xi, b * yb + j * yj
        total = _Sum(w, call)
        with w.loop(0, k) as s:
            total.step(load(x, row + s * xk), load(y, column + s * yk))
        for number, value in enumerate(total.parts):
            w.store(out, point * 2 + number if complex_ else point, value)
    return w.kernel()


def _by_tile(call: Operands, across: int) -> Kernel:
    w = Writer(call.index, lanes=across * across)
    dtype = call.dtypes[0]
    tile = SIDE * across
    x, y, out = w.buffer(dtype), w.buffer(dtype), w.buffer(dtype, written=True)
    m, n, k = w.size(), w.size(), w.size()
    (xb, xi, xk), (yb, yk, yj) = [[w.size() for _ in range(3)] for _ in range(2)]
    left, right = w.shared(dtype, tile * DEPTH), w.shared(dtype, DEPTH * tile)
    with w.grid() as point:
        columns = (n + (tile - 1)) // tile
        rows = (m + (tile - 1)) // tile
        j0, rest = (point % columns) * tile, point // columns
        i0, b = (rest % rows) * tile, rest // rows
        ty, tx = w.lane // across, w.lane % across
        totals = [[_Sum(w, call) for _ in range(SIDE)] for _ in range(SIDE)]
        with w.loop(0, (k + (DEPTH - 1)) // DEPTH) as step:
            k0 = step * DEPTH
            with w.loop(0, tile * DEPTH, dealt=True) as e:
                i, s = i0 + e // DEPTH, k0 + e % DEPTH
                at = b * xb + i * xi + s * xk
                w.store(left, e, w.load_if((i < m) & (s < k), x, at))
            with w.loop(0, tile * DEPTH, dealt=True) as e:
                s, j = k0 + e // tile, j0 + e % tile
                at = b * yb + s * yk + j * yj
                w.store(right, e, w.load_if((s < k) & (j < n), y, at))
            w.barrier()
            with w.loop(0, DEPTH) as s:
                xs = [w.load(left, (ty * SIDE + q) * DEPTH + s) for q in range(SIDE)]
                # Neighbouring lanes make neighbouring results: what they store is one run.
                ys = [w.load(right, s * tile + tx + q * across) for q in range(SIDE)]
                for row, xv in zip(totals, xs, strict=True):
                    for total, yv in zip(row, ys, strict=True):
                        total.step(xv, yv)
            w.barrier()
        for p, row in enumerate(totals):
            for q, total in enumerate(row):
                i, j = i0 + ty * SIDE + p, j0 + tx + q * across
                with w.when((i < m) & (j < n)):
                    w.store(out, (b * m + i) * n + j, total.parts[0])
    return w.kernel()


__all__ = ["expand", "row_major", "takes"]
