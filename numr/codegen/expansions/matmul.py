"""Products of matrices: in tiles that the lanes of a point share, and small ones element by element; on processors
of one lane a few rows at a time.

Where there are few results and each is a long sum, the sums are made in pieces, each a point's or a
tile's own, and added up by one kernel more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.codegen.expansions.field import Field
from numr.codegen.expansions.plan import Expansion, Launch, Operands, Plan, row_major
from numr.codegen.expansions.write import Writer
from numr.codegen.kernel import Kernel
from numr.dtypes import real_part_dtype
from numr.ir.symbolic import largest, typical

# A point makes TILE x TILE results from tiles DEPTH deep; each of its lanes SIDE x SIDE of them.
SIDE = 4
DEPTH = 16
# Products of fewer results are made one result a point.
TILED_FROM = 32 * 32
# So many points of one lane, or tiles, keep a device busy; shorter pieces are not worth adding up.
BUSY_POINTS, BUSY_TILES = 4096, 64
SHORTEST = 256
# A processor makes so many rows at once, of so many terms of each sum, so that what it loads serves often.
ROWS = 4


def expand(call: Operands) -> Expansion:
    """out[.., i, j] = sum_k x[.., i, k] y[.., k, j]; operands may be strided."""
    across = 1
    while (2 * across) ** 2 <= call.lanes:
        across *= 2
    kernels = [_by_element(call), _added_up(call)]
    if call.lanes == 1:
        kernels.append(_by_rows(call))
    tiled = across > 1 and call.dtypes[0].kind != "c"
    if tiled:
        kernels.append(_by_tile(call, across))
    tile = SIDE * across
    # Of a step of DEPTH elements: it, its products, and each lane's share of two tiles to load.
    rounds_of_step = 1 + DEPTH + 2 * -(-tile * DEPTH // across**2)

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        (*lead, m, k), n = shapes[0], shapes[1][-1]
        batch = 1
        for length in lead:
            batch *= length
        # Rows of the result are made from rows of y, which have to be runs of memory.
        if call.lanes == 1 and not call.device.trips and n != 1 and strides[1][-1] == 1:
            return _rows_plan(batch, m, n, k, shapes, strides)
        by_tile = tiled and typical(m * n) >= TILED_FROM
        points = batch * -(-m // tile) * -(-n // tile) if by_tile else batch * m * n
        # How many elements deep a piece may be for this device, and how many pieces keep it busy.
        # Any number of them is right, so where lengths are formulas it is chosen for typical ones.
        long, many = typical(k), typical(points)
        most = call.device.trips or long
        deepest = most // rounds_of_step * DEPTH if by_tile else most
        busy = min((BUSY_TILES if by_tile else BUSY_POINTS) // max(many, 1), long // SHORTEST)
        pieces = max(busy if call.lanes > 1 else 1, -(-long // max(deepest, DEPTH)), 1)
        unit = DEPTH if by_tile else 1
        depth = -(-k // (pieces * unit)) * unit
        if pieces > 1:
            pieces = largest([-(-k // largest([depth, 1])), 1])
        rounds = -(-depth // DEPTH) * rounds_of_step if by_tile else depth
        sizes = [m, n, k, pieces, depth]
        for shape, stride in zip(shapes, strides, strict=True):
            sizes += [_batch_stride(shape, stride), stride[-2], stride[-1]]
        made = Plan()
        out = ("out", 0)
        cut = typical(pieces) > 1
        if cut:
            out = made.temporary((batch, pieces, m, n), call.result)
        buffers = (("in", 0), ("in", 1), out)
        kernel = 2 if by_tile else 0
        made.launches.append(Launch(kernel, buffers, tuple(sizes), points * pieces, rounds))
        if cut:
            parts = 2 if call.dtypes[0].kind == "c" else 1
            count = m * n * parts
            last = Launch(1, (out, ("out", 0)), (count, pieces), batch * count, pieces)
            made.launches.append(last)
        return made

    return Expansion(kernels, plan, strided=True)


def _rows_plan(
    batch: int,
    m: int,
    n: int,
    k: int,
    shapes: Sequence[tuple[int, ...]],
    strides: Sequence[tuple[int, ...]],
) -> Plan:
    (xb, yb) = (_batch_stride(*pair) for pair in zip(shapes, strides, strict=True))
    sizes = (m, n, k, xb, strides[0][-2], strides[0][-1], yb, strides[1][-2])
    made = Plan()
    points = batch * -(-m // ROWS)
    made.launches.append(Launch(2, (("in", 0), ("in", 1), ("out", 0)), sizes, points))
    return made


def _batch_stride(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """One stride for all leading axes, which must be one run of memory."""
    lead, steps = shape[:-2], strides[:-2]
    return steps[-1] if lead else 0


def takes(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether an operand's leading axes are one axis, so that it need not be copied."""
    lead, steps = shape[:-2], strides[:-2]
    return all(steps[i] == steps[i + 1] * lead[i + 1] or lead[i] == 1 for i in range(len(lead) - 1))


def _by_element(call: Operands) -> Kernel:
    w = Writer(call.index)
    f = Field(w, call.dtypes[0])
    x, y, out = f.buffer(), f.buffer(), f.buffer(written=True)
    m, n, k, pieces, depth = (w.size() for _ in range(5))
    (xb, xi, xk), (yb, yk, yj) = [[w.size() for _ in range(3)] for _ in range(2)]
    with w.grid() as point:
        j, rest = point % n, point // n
        i, rest = rest % m, rest // m
        start, b = (rest % pieces) * depth, rest // pieces
        row, column = b * xb + i * xi, b * yb + j * yj
        total = f.variable(f.number(0))
        with w.loop(start, w.op("minimum", start + depth, k)) as s:
            f.add_to(total, f.load(x, row + s * xk) * f.load(y, column + s * yk))
        f.store(out, point, total)
    return w.kernel()


def _added_up(call: Operands) -> Kernel:
    """The pieces of each sum together."""
    w = Writer(call.index)
    part = real_part_dtype(call.dtypes[0])
    pieces_of, out = w.buffer(part), w.buffer(part, written=True)
    count, pieces = w.size(), w.size()
    with w.grid() as point:
        start = (point // count) * pieces * count + point % count
        total = w.variable(w.term(0, part))
        with w.loop(0, pieces) as p:
            w.add_to(total, w.load(pieces_of, start + p * count))
        w.store(out, point, total)
    return w.kernel()


def _by_rows(call: Operands) -> Kernel:
    """A point makes ROWS rows, adding up multiples of y's rows, along which the innermost loop runs."""
    w = Writer(call.index)
    f = Field(w, call.dtypes[0])
    x, y, out = f.buffer(), f.buffer(), f.buffer(written=True)
    m, n, k, xb, xi, xk, yb, yk = (w.size() for _ in range(8))

    def add(rows: Sequence[tuple[Any, Any]], b: Any, first: Any, depth: int) -> None:
        factors = [
            [f.load(x, source + (first + d) * xk) for d in range(depth)] for source, _ in rows
        ]
        lines = [b * yb + (first + d) * yk for d in range(depth)]
        with w.loop(0, n) as j:
            values = [f.load(y, line + j) for line in lines]
            for (_, target), given in zip(rows, factors, strict=True):
                total = f.variable(f.load(out, target + j))
                for factor, value in zip(given, values, strict=True):
                    f.add_to(total, factor * value)
                f.store(out, target + j, total)

    def make(b: Any, first: Any, count: int) -> None:
        rows = [(b * xb + (first + q) * xi, (b * m + first + q) * n) for q in range(count)]
        with w.loop(0, n) as j:
            for _, target in rows:
                f.store(out, target + j, f.number(0))
        whole = (k // ROWS) * ROWS
        with w.loop(0, k // ROWS) as step:
            add(rows, b, step * ROWS, ROWS)
        with w.loop(whole, k) as s:
            add(rows, b, s, 1)

    with w.grid() as point:
        blocks = (m + (ROWS - 1)) // ROWS
        first, b = (point % blocks) * ROWS, point // blocks
        whole = first + ROWS <= m
        with w.when(whole):
            make(b, first, ROWS)
        with w.when(~whole), w.loop(first, m) as i:
            make(b, i, 1)
    return w.kernel()


def _by_tile(call: Operands, across: int) -> Kernel:
    w = Writer(call.index, lanes=across * across)
    dtype = call.dtypes[0]
    tile = SIDE * across
    x, y, out = w.buffer(dtype), w.buffer(dtype), w.buffer(dtype, written=True)
    m, n, k, pieces, depth = (w.size() for _ in range(5))
    (xb, xi, xk), (yb, yk, yj) = [[w.size() for _ in range(3)] for _ in range(2)]
    left, right = w.shared(dtype, tile * DEPTH), w.shared(dtype, DEPTH * tile)
    with w.grid() as point:
        columns = (n + (tile - 1)) // tile
        rows = (m + (tile - 1)) // tile
        j0, rest = (point % columns) * tile, point // columns
        i0, part = (rest % rows) * tile, rest // rows
        start, b = (part % pieces) * depth, part // pieces
        here = w.op("minimum", start + depth, k) - start
        ty, tx = w.lane // across, w.lane % across
        zero = w.term(0, dtype)
        totals = [[w.variable(zero) for _ in range(SIDE)] for _ in range(SIDE)]
        with w.loop(0, (here + (DEPTH - 1)) // DEPTH) as step:
            k0 = start + step * DEPTH
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
                        w.add_to(total, xv * yv)
            w.barrier()
        for p, row in enumerate(totals):
            for q, total in enumerate(row):
                i, j = i0 + ty * SIDE + p, j0 + tx + q * across
                with w.when((i < m) & (j < n)):
                    w.store(out, (part * m + i) * n + j, total)
    return w.kernel()


__all__ = ["expand", "row_major", "takes"]
