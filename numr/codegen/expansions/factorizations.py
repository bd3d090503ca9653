"""Cholesky, triangular solves and elimination with pivots: one matrix of a stack to each point.

The lanes of a point share the work of one column; barriers keep them in step. What cannot be factored
or solved is NaN, as the primitives say. A launch goes through some of the columns, all of them unless the
device breaks long loops off, and leaves what the next one must know in `state`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from numr.codegen.expansions.plan import Expansion, Launch, NotExpanded, Operands, Place, Plan
from numr.codegen.expansions.write import Term, Writer
from numr.codegen.kernel import Buffer, Kernel
from numr.dtypes import DType, bool_


def _batch(shape: Sequence[int]) -> int:
    return math.prod(shape[:-2])


def _real(call: Operands, what: str) -> None:
    if call.dtypes[0].kind == "c":
        raise NotExpanded(f"there are no kernels for {what} of complex matrices")


def _nan(w: Writer, dtype: DType) -> Term:
    return w.term(math.nan, dtype)


class _Columns:
    """The columns of one launch, from `begin` to `end`, and whether they are the first and the last."""

    def __init__(self, w: Writer, dtype: DType, state: Buffer) -> None:
        self.w, self.dtype, self.state = w, dtype, state
        self.begin, self.end = w.size(), w.size()
        self.first = self.begin.same(0)

    def variables(self, point: Term, *values: Term) -> list[Term]:
        """Variables that start from these values, or where the launch before has left them."""
        w = self.w
        found = [w.variable(v) for v in values]
        with w.when(~self.first):
            for k, (v, start) in enumerate(zip(found, values, strict=True)):
                kept = w.load(self.state, point * len(values) + k)
                w.assign(v, kept > 0 if start.dtype is bool_ else kept)
        return found

    def keep(self, point: Term, *variables: Term) -> None:
        """Leave variables to the next launch."""
        w = self.w
        w.barrier()
        with w.first_lane():
            for k, v in enumerate(variables):
                one, zero = w.term(1, self.dtype), w.term(0, self.dtype)
                kept = w.select(v, one, zero) if v.dtype is bool_ else v
                w.store(self.state, point * len(variables) + k, kept)


def _launches(
    call: Operands,
    costs: Sequence[int],
    around: int,
    buffers: Sequence[Place],
    *sizes: int,
    batch: int,
) -> list[Launch]:
    """Launches over columns of so many rounds each, `around` of them before and after."""
    most = call.device.trips
    found, begin, rounds = [], 0, around
    for k, cost in enumerate(costs):
        if most is not None and rounds + cost > most and k > begin:
            found.append((begin, k, rounds))
            begin, rounds = k, around
        rounds += cost
    found.append((begin, len(costs), rounds))
    return [Launch(0, tuple(buffers), (*sizes, b, e), batch, r) for b, e, r in found]


def cholesky(call: Operands) -> Expansion:
    """The lower factor of a symmetric matrix, all NaN if it is not positive definite."""
    _real(call, "Cholesky factors")
    dtype = call.dtypes[0]
    w = Writer(call.index, call.lanes)
    a, out, state = w.buffer(dtype), w.buffer(dtype, written=True), w.buffer(dtype, written=True)
    n = w.size()
    with w.grid() as point:
        columns = _Columns(w, dtype, state)
        start = point * n * n
        with w.when(columns.first), w.loop(0, n * n, dealt=True) as e:
            i, j = e // n, e % n
            mean = (w.load(a, start + e) + w.load(a, start + j * n + i)) / 2
            w.store(out, start + e, w.select(j <= i, mean, w.term(0, dtype)))
        (bad,) = columns.variables(point, w.term(False, bool_))
        with w.loop(columns.begin, columns.end) as k:
            w.barrier()
            pivot = w.load(out, start + k * n + k)
            w.assign(bad, bad | ~(pivot > 0))
            root = w.op("sqrt", pivot)
            w.barrier()
            with w.loop(k, n, dealt=True) as i:
                at = start + i * n + k
                w.store(out, at, w.select(i.same(k), root, w.load(out, at) / root))
            w.barrier()
            rest = (n - 1) - k
            with w.loop(0, rest * rest, dealt=True) as e:
                i, j = k + 1 + e // rest, k + 1 + e % rest
                with w.when(j <= i):
                    at = start + i * n + j
                    product = w.load(out, start + i * n + k) * w.load(out, start + j * n + k)
                    w.store(out, at, w.load(out, at) - product)
        columns.keep(point, bad)
        last = columns.end.same(n)
        with w.when(bad & last), w.loop(0, n * n, dealt=True) as e, w.when(e % n <= e // n):
            w.store(out, start + e, _nan(w, dtype))

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        n, batch = shapes[0][-1], _batch(shapes[0])
        if not n or not batch:
            return Plan()
        made = Plan()
        buffers = (("in", 0), ("out", 0), made.temporary((batch,), dtype))
        share = _share(call)
        costs = [1 + share(n - k) + share((n - 1 - k) ** 2) for k in range(n)]
        made.launches += _launches(call, costs, 2 * share(n * n), buffers, n, batch=batch)
        return made

    return Expansion([w.kernel()], plan)


def triangular_solve(call: Operands) -> Expansion:
    """x with a x = b for a triangle of a, or of its transpose; all NaN if a has no inverse."""
    _real(call, "triangular solves")
    dtype = call.dtypes[0]
    lower, adjoint, unit = (bool(call.params[k]) for k in ("lower", "adjoint", "unit"))
    downward = lower != adjoint
    w = Writer(call.index, call.lanes)
    a, b, out = w.buffer(dtype), w.buffer(dtype), w.buffer(dtype, written=True)
    state = w.buffer(dtype, written=True)
    n, m = w.size(), w.size()
    with w.grid() as point:
        columns = _Columns(w, dtype, state)
        matrix, start = point * n * n, point * n * m
        with w.when(columns.first):
            _copy(w, b, out, start, n * m)
        (bad,) = columns.variables(point, w.term(False, bool_))
        with w.loop(columns.begin, columns.end) as step:
            r = step if downward else (n - 1) - step
            w.barrier()
            if not unit:
                pivot = w.load(a, matrix + r * n + r)
                w.assign(bad, bad | pivot.same(0))
                with w.loop(0, m, dealt=True) as c:
                    at = start + r * m + c
                    w.store(out, at, w.load(out, at) / pivot)
                w.barrier()
            rest = (n - 1) - step
            with w.loop(0, rest * m, dealt=True) as e:
                i, c = e // m, e % m
                i = r + 1 + i if downward else i
                place = r * n + i if adjoint else i * n + r
                at = start + i * m + c
                product = w.load(a, matrix + place) * w.load(out, start + r * m + c)
                w.store(out, at, w.load(out, at) - product)
        columns.keep(point, bad)
        _spoil(w, out, bad & columns.end.same(n), start, n * m)

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        made = Plan()
        if not math.prod(shapes[1]):
            return made
        (n, m), batch = shapes[1][-2:], _batch(shapes[1])
        buffers = (("in", 0), ("in", 1), ("out", 0), made.temporary((batch,), dtype))
        share = _share(call)
        costs = [1 + share(m) + share((n - 1 - k) * m) for k in range(n)]
        made.launches += _launches(call, costs, 2 * share(n * m), buffers, n, m, batch=batch)
        return made

    return Expansion([w.kernel()], plan)


def _share(call: Operands) -> Callable[[int], int]:
    """How often a loop that is dealt out to the lanes goes round, for its length."""
    return lambda length: -(-length // call.lanes)


def _copy(w: Writer, source: Buffer, target: Buffer, start: Term, length: Term) -> None:
    with w.loop(0, length, dealt=True) as e:
        w.store(target, start + e, w.load(source, start + e))


def _spoil(w: Writer, out: Buffer, bad: Term, start: Term, length: Term) -> None:
    """NaN everywhere, if the matrix was bad."""
    with w.when(bad), w.loop(0, length, dealt=True) as e:
        w.store(out, start + e, _nan(w, out.dtype))


def eliminate(key: str, call: Operands) -> Expansion:
    """solve, inv, det, logabsdet or signdet by elimination with partial pivoting."""
    _real(call, key)
    solves = key in ("solve", "inv")
    kernel = _elimination(key, call)

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        made = Plan()
        n = shapes[0][-1]
        batch = _batch(shapes[0])
        if not batch:
            return made
        work = made.temporary(shapes[0], call.dtypes[0])
        state = made.temporary((batch, 2), call.dtypes[0])
        share = _share(call)
        # Two reductions over the lanes to find a pivot, in steps of about the root of their number.
        pivot = 8 * math.isqrt(call.lanes) + 4
        costs = [pivot + 2 * share(n - k) + share(n) + share((n - 1 - k) ** 2) for k in range(n)]
        if not solves:
            buffers: tuple[Place, ...] = (("in", 0), work, ("out", 0), state)
            made.launches += _launches(call, costs, share(n * n), buffers, n, batch=batch)
            return made
        m = shapes[1][-1] if key == "solve" else n
        if not n * m:
            return made
        costs = [c + share(m) + share((n - 1 - k) * m) for k, c in enumerate(costs)]
        costs += [1 + share(m) + share((n - 1 - k) * m) for k in range(n)]
        around = share(n * n) + 2 * share(n * m)
        given = (("in", 1),) if key == "solve" else ()
        buffers = (("in", 0), *given, work, ("out", 0), state)
        made.launches += _launches(call, costs, around, buffers, n, m, batch=batch)
        return made

    return Expansion([kernel], plan)


def _elimination(key: str, call: Operands) -> Kernel:
    dtype = call.dtypes[0]
    solves = key in ("solve", "inv")
    w = Writer(call.index, call.lanes, call.device.native)
    a = w.buffer(dtype)
    b = w.buffer(dtype) if key == "solve" else None
    work, out, state = (w.buffer(dtype, written=True) for _ in range(3))
    n = w.size()
    m = w.size() if solves else None
    with w.grid() as point:
        columns = _Columns(w, dtype, state)
        matrix = point * n * n
        side = point * n * m if m is not None else matrix
        with w.when(columns.first):
            with w.loop(0, n * n, dealt=True) as e:
                place = (e % n) * n + e // n if call.params.get("transposed") else e
                w.store(work, matrix + e, w.load(a, matrix + place))
            if b is not None and m is not None:
                _copy(w, b, out, side, n * m)
            elif m is not None:
                with w.loop(0, n * m, dealt=True) as e:
                    one = (e // m).same(e % m)
                    w.store(out, side + e, w.select(one, w.term(1, dtype), w.term(0, dtype)))
        start = w.term(0 if key == "logabsdet" else 1, dtype)
        bad, total = columns.variables(point, w.term(False, bool_), start)
        with w.loop(columns.begin, w.op("minimum", columns.end, n)) as k:
            w.barrier()
            row = _pivot_row(w, work, matrix, n, k)
            pivot = w.load(work, matrix + row * n + k)
            w.assign(bad, bad | pivot.same(0))
            if not solves:
                w.assign(total, _grown(w, key, total, pivot, row.differs(k)))
            w.barrier()
            _swap(w, work, matrix, n, row, k)
            if m is not None:
                _swap(w, out, side, m, row, k)
            w.barrier()
            # A column of zeros stays as it is.
            divisor = w.select(pivot.same(0), w.term(1, dtype), pivot)
            with w.loop(k + 1, n, dealt=True) as i:
                at = matrix + i * n + k
                w.store(work, at, w.load(work, at) / divisor)
            w.barrier()
            rest = (n - 1) - k
            _reduce_rows(w, work, work, matrix, matrix + k + 1, n, rest, k)
            if m is not None:
                _reduce_rows(w, work, out, matrix, side, m, m, k, n)
        if m is not None:
            # Each column once more, on the way back.
            begin, end = (w.op("maximum", x, n) - n for x in (columns.begin, columns.end))
            _substitute_back(w, work, out, matrix, side, n, m, begin, end)
        columns.keep(point, bad, total)
        if m is not None:
            _spoil(w, out, bad & columns.end.same(n * 2), side, n * m)
        else:
            with w.first_lane():
                w.store(out, point, total)
    return w.kernel()


def _pivot_row(w: Writer, work: Buffer, matrix: Term, n: Term, k: Term) -> Term:
    """The row at or below k with the largest number in column k; k itself where there are NaNs."""
    most = w.variable(w.term(-1, work.dtype))
    where = w.variable(k)
    with w.loop(k, n, dealt=True) as i:
        size = w.op("abs", w.load(work, matrix + i * n + k))
        more = size > most
        w.assign(where, w.select(more, i, where))
        w.assign(most, w.select(more, size, most))
    own = w.copy(most)
    w.combine(most, "max")
    w.assign(where, w.select(own.same(most) & (most >= 0), where, n))
    w.combine(where, "min")
    return w.select(where < n, where, k)


def _grown(w: Writer, key: str, total: Term, pivot: Term, swapped: Term) -> Term:
    """det, its sign or its logarithm with one pivot more."""
    if key == "logabsdet":
        return total + w.function("log", w.op("abs", pivot))
    factor = pivot
    if key == "signdet":
        one, zero = w.term(1, pivot.dtype), w.term(0, pivot.dtype)
        sign = w.select(pivot > 0, one, w.select(pivot < 0, -one, zero))
        factor = w.select(w.op("isnan", pivot), pivot, sign)
    return total * w.select(swapped, -factor, factor)


def _swap(w: Writer, memory: Buffer, start: Term, width: Term, row: Term, k: Term) -> None:
    with w.when(row.differs(k)), w.loop(0, width, dealt=True) as c:
        here, there = start + k * width + c, start + row * width + c
        upper, lower = w.load(memory, here), w.load(memory, there)
        w.store(memory, here, lower)
        w.store(memory, there, upper)


def _reduce_rows(
    w: Writer,
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
    with w.loop(0, ((n - 1) - k) * count, dealt=True) as e:
        i, c = k + 1 + e // count, e % count
        at = start + i * width + c
        factor = w.load(work, matrix + i * n + k)
        w.store(target, at, w.load(target, at) - factor * w.load(target, start + k * width + c))


def _substitute_back(
    w: Writer,
    work: Buffer,
    out: Buffer,
    matrix: Term,
    side: Term,
    n: Term,
    m: Term,
    begin: Term,
    end: Term,
) -> None:
    with w.loop(begin, end) as step:
        r = (n - 1) - step
        w.barrier()
        pivot = w.load(work, matrix + r * n + r)
        with w.loop(0, m, dealt=True) as c:
            at = side + r * m + c
            w.store(out, at, w.load(out, at) / pivot)
        w.barrier()
        with w.loop(0, r * m, dealt=True) as e:
            i, c = e // m, e % m
            at = side + i * m + c
            product = w.load(work, matrix + i * n + r) * w.load(out, side + r * m + c)
            w.store(out, at, w.load(out, at) - product)
