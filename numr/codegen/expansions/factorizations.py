"""Cholesky, triangular solves and elimination with pivots: one matrix of a stack to each point.

The lanes of a point share the work of one column; barriers keep them in step. What cannot be factored
or solved is NaN, as the primitives say. A launch goes through some of the columns, all of them unless the
device breaks long loops off, and leaves what the next one must know in `state`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from numr.codegen.expansions.columns import Columns, batch_of, combining, launches, nan, share
from numr.codegen.expansions.field import Field
from numr.codegen.expansions.plan import Expansion, Operands, Place, Plan
from numr.codegen.expansions.write import Term, Writer
from numr.codegen.kernel import Buffer, Kernel
from numr.dtypes import bool_, real_part_dtype


def cholesky(call: Operands) -> Expansion:
    """The lower factor of a symmetric matrix, all NaN if it is not positive definite."""
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    a, out, state = f.buffer(), f.buffer(written=True), f.buffer(written=True)
    n = w.size()
    with w.grid() as point:
        columns = Columns(w, state)
        start = point * n * n
        with w.when(columns.first), w.loop(0, n * n, dealt=True) as e:
            i, j = e // n, e % n
            mean = (f.load(a, start + e) + f.conj(f.load(a, start + j * n + i))) / 2
            f.store(out, start + e, f.select(j <= i, mean, f.number(0)))
        (bad,) = columns.variables(point, w.term(False, bool_))
        with w.loop(columns.begin, columns.end) as k:
            w.barrier()
            pivot = f.real(f.load(out, start + k * n + k))
            w.assign(bad, bad | ~(pivot > 0))
            root = w.op("sqrt", pivot)
            w.barrier()
            with w.loop(k, n, dealt=True) as i:
                at = start + i * n + k
                f.store(out, at, f.select(i.same(k), f.number(root), f.load(out, at) / root))
            w.barrier()
            rest = (n - 1) - k
            with w.loop(0, rest * rest, dealt=True) as e:
                i, j = k + 1 + e // rest, k + 1 + e % rest
                with w.when(j <= i):
                    at = start + i * n + j
                    other = f.conj(f.load(out, start + j * n + k))
                    product = f.load(out, start + i * n + k) * other
                    f.store(out, at, f.load(out, at) - product)
        columns.keep(point, bad)
        last = columns.end.same(n)
        with w.when(bad & last), w.loop(0, n * n, dealt=True) as e, w.when(e % n <= e // n):
            f.store(out, start + e, nan(f))

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        n, batch = shapes[0][-1], batch_of(shapes[0])
        if not n or not batch:
            return Plan()
        made = Plan()
        buffers = (("in", 0), ("out", 0), made.temporary((batch,), f.part))
        cost_of = share(call)

        def cost(k: int) -> int:
            return 1 + cost_of(n - k) + cost_of((n - 1 - k) ** 2)

        made.launches += launches(call, n, cost, 2 * cost_of(n * n), buffers, n, batch=batch)
        return made

    return Expansion([w.kernel()], plan)


def triangular_solve(call: Operands) -> Expansion:
    """x with a x = b for a triangle of a, or of its transpose; all NaN if a has no inverse."""
    lower, adjoint, unit = (bool(call.params[k]) for k in ("lower", "adjoint", "unit"))
    downward = lower != adjoint
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    a, b, out, state = f.buffer(), f.buffer(), f.buffer(written=True), f.buffer(written=True)
    n, m = w.size(), w.size()
    with w.grid() as point:
        columns = Columns(w, state)
        matrix, start = point * n * n, point * n * m
        with w.when(columns.first):
            _copy(f, b, out, start, n * m)
        (bad,) = columns.variables(point, w.term(False, bool_))
        with w.loop(columns.begin, columns.end) as step:
            r = step if downward else (n - 1) - step
            w.barrier()
            if not unit:
                pivot = f.load(a, matrix + r * n + r)
                pivot = f.conj(pivot) if adjoint else pivot
                w.assign(bad, bad | pivot.same(0))
                with w.loop(0, m, dealt=True) as c:
                    at = start + r * m + c
                    f.store(out, at, f.load(out, at) / pivot)
                w.barrier()
            rest = (n - 1) - step
            with w.loop(0, rest * m, dealt=True) as e:
                i, c = e // m, e % m
                i = r + 1 + i if downward else i
                place = r * n + i if adjoint else i * n + r
                at = start + i * m + c
                factor = f.load(a, matrix + place)
                product = (f.conj(factor) if adjoint else factor) * f.load(out, start + r * m + c)
                f.store(out, at, f.load(out, at) - product)
        columns.keep(point, bad)
        _spoil(f, out, bad & columns.end.same(n), start, n * m)

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        made = Plan()
        if not math.prod(shapes[1]):
            return made
        (n, m), batch = shapes[1][-2:], batch_of(shapes[1])
        buffers = (("in", 0), ("in", 1), ("out", 0), made.temporary((batch,), f.part))
        cost_of = share(call)

        def cost(k: int) -> int:
            return 1 + cost_of(m) + cost_of((n - 1 - k) * m)

        made.launches += launches(call, n, cost, 2 * cost_of(n * m), buffers, n, m, batch=batch)
        return made

    return Expansion([w.kernel()], plan)


def _copy(f: Field, source: Buffer, target: Buffer, start: Term, length: Term) -> None:
    with f.w.loop(0, length, dealt=True) as e:
        f.store(target, start + e, f.load(source, start + e))


def _spoil(f: Field, out: Buffer, bad: Term, start: Term, length: Term) -> None:
    """NaN everywhere, if the matrix was bad."""
    with f.w.when(bad), f.w.loop(0, length, dealt=True) as e:
        f.store(out, start + e, nan(f))


def eliminate(key: str, call: Operands) -> Expansion:
    """solve, inv, det, logabsdet or signdet by elimination with partial pivoting."""
    solves = key in ("solve", "inv")
    kernel = _elimination(key, call)

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        made = Plan()
        n = shapes[0][-1]
        batch = batch_of(shapes[0])
        if not batch:
            return made
        work = made.temporary(shapes[0], call.dtypes[0])
        state = made.temporary((batch, 3), real_part_dtype(call.dtypes[0]))
        cost_of = share(call)
        pivot = 2 * combining(call)

        def elimination(k: int) -> int:
            return pivot + 2 * cost_of(n - k) + cost_of(n) + cost_of((n - 1 - k) ** 2)

        if not solves:
            buffers: tuple[Place, ...] = (("in", 0), work, ("out", 0), state)
            around = cost_of(n * n)
            made.launches += launches(call, n, elimination, around, buffers, n, batch=batch)
            return made
        m = shapes[1][-1] if key == "solve" else n
        if not n * m:
            return made

        def cost(k: int) -> int:
            """Of eliminating a column, or after all of those of substituting one."""
            own, k = (elimination(k), k) if k < n else (1, k - n)
            return own + cost_of(m) + cost_of((n - 1 - k) * m)

        around = cost_of(n * n) + 2 * cost_of(n * m)
        given = (("in", 1),) if key == "solve" else ()
        buffers = (("in", 0), *given, work, ("out", 0), state)
        made.launches += launches(call, 2 * n, cost, around, buffers, n, m, batch=batch)
        return made

    return Expansion([kernel], plan)


def _elimination(key: str, call: Operands) -> Kernel:
    solves = key in ("solve", "inv")
    w = Writer(call.index, call.lanes, call.device.native)
    f, result = Field(w, call.dtypes[0]), Field(w, call.result)
    a = f.buffer()
    b = f.buffer() if key == "solve" else None
    work, out, state = f.buffer(written=True), f.buffer(written=True), f.buffer(written=True)
    n = w.size()
    m = w.size() if solves else None
    with w.grid() as point:
        columns = Columns(w, state)
        matrix = point * n * n
        side = point * n * m if m is not None else matrix
        with w.when(columns.first):
            with w.loop(0, n * n, dealt=True) as e:
                place = (e % n) * n + e // n if call.params.get("transposed") else e
                f.store(work, matrix + e, f.load(a, matrix + place))
            if b is not None and m is not None:
                _copy(f, b, out, side, n * m)
            elif m is not None:
                with w.loop(0, n * m, dealt=True) as e:
                    one = (e // m).same(e % m)
                    f.store(out, side + e, f.select(one, f.number(1), f.number(0)))
        begun = result.parts(result.number(0 if key == "logabsdet" else 1))
        bad, *parts = columns.variables(point, w.term(False, bool_), *begun)
        total = result.whole(parts)
        with w.loop(columns.begin, w.op("minimum", columns.end, n)) as k:
            w.barrier()
            row = _pivot_row(f, work, matrix, n, k)
            pivot = f.load(work, matrix + row * n + k)
            w.assign(bad, bad | pivot.same(0))
            if not solves:
                result.assign(total, _grown(f, key, total, pivot, row.differs(k)))
            w.barrier()
            _swap(f, work, matrix, n, row, k)
            if m is not None:
                _swap(f, out, side, m, row, k)
            w.barrier()
            # A column of zeros stays as it is.
            divisor = f.select(pivot.same(0), f.number(1), pivot)
            with w.loop(k + 1, n, dealt=True) as i:
                at = matrix + i * n + k
                f.store(work, at, f.load(work, at) / divisor)
            w.barrier()
            rest = (n - 1) - k
            _reduce_rows(f, work, work, matrix, matrix + k + 1, n, rest, k)
            if m is not None:
                _reduce_rows(f, work, out, matrix, side, m, m, k, n)
        if m is not None:
            # Each column once more, on the way back.
            begin, end = (w.op("maximum", x, n) - n for x in (columns.begin, columns.end))
            _substitute_back(f, work, out, matrix, side, n, m, begin, end)
        columns.keep(point, bad, *parts)
        if m is not None:
            _spoil(f, out, bad & columns.end.same(n * 2), side, n * m)
        else:
            with w.first_lane():
                result.store(out, point, total)
    return w.kernel()


def _pivot_row(f: Field, work: Buffer, matrix: Term, n: Term, k: Term) -> Term:
    """The row at or below k with the largest number in column k; k itself where there are NaNs."""
    w = f.w
    most = w.variable(w.term(-1, f.part))
    where = w.variable(k)
    with w.loop(k, n, dealt=True) as i:
        size = f.size(f.load(work, matrix + i * n + k))
        more = size > most
        w.assign(where, w.select(more, i, where))
        w.assign(most, w.select(more, size, most))
    own = w.copy(most)
    w.combine(most, "max")
    w.assign(where, w.select(own.same(most) & (most >= 0), where, n))
    w.combine(where, "min")
    return w.select(where < n, where, k)


def _grown(f: Field, key: str, total: Any, pivot: Any, swapped: Term) -> Any:
    """det, its sign or its logarithm with one pivot more."""
    w = f.w
    if key == "logabsdet":
        return total + w.function("log", f.modulus(pivot))
    factor = pivot
    if key == "signdet":
        one, zero = w.term(1, f.part), w.term(0, f.part)
        if f.complex:
            size = f.modulus(pivot)
            sign = pivot / w.select(size > 0, size, one)
        else:
            sign = w.select(pivot > 0, one, w.select(pivot < 0, -one, zero))
        factor = f.select(f.isnan(pivot), pivot, sign)
    return total * f.select(swapped, -factor, factor)


def _swap(f: Field, memory: Buffer, start: Term, width: Term, row: Term, k: Term) -> None:
    with f.w.when(row.differs(k)), f.w.loop(0, width, dealt=True) as c:
        here, there = start + k * width + c, start + row * width + c
        upper, lower = f.load(memory, here), f.load(memory, there)
        f.store(memory, here, lower)
        f.store(memory, there, upper)


def _reduce_rows(
    f: Field,
    work: Buffer,
    target: Buffer,
    matrix: Term,
    start: Term,
    width: Term,
    count: Term,
    k: Term,
    rows: Term | None = None,
) -> None:
    """Take multiples of row k from those below it: in `count` columns of rows `width` wide."""
    n = rows if rows is not None else width
    with f.w.loop(0, ((n - 1) - k) * count, dealt=True) as e:
        i, c = k + 1 + e // count, e % count
        at = start + i * width + c
        factor = f.load(work, matrix + i * n + k)
        f.store(target, at, f.load(target, at) - factor * f.load(target, start + k * width + c))


def _substitute_back(
    f: Field,
    work: Buffer,
    out: Buffer,
    matrix: Term,
    side: Term,
    n: Term,
    m: Term,
    begin: Term,
    end: Term,
) -> None:
    w = f.w
    with w.loop(begin, end) as step:
        r = (n - 1) - step
        w.barrier()
        pivot = f.load(work, matrix + r * n + r)
        with w.loop(0, m, dealt=True) as c:
            at = side + r * m + c
            f.store(out, at, f.load(out, at) / pivot)
        w.barrier()
        with w.loop(0, r * m, dealt=True) as e:
            i, c = e // m, e % m
            at = side + i * m + c
            product = f.load(work, matrix + i * n + r) * f.load(out, side + r * m + c)
            f.store(out, at, f.load(out, at) - product)
