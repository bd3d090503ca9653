"""QR by reflections of Householder, as LAPACK's: one matrix of a stack to each point, columns to lanes."""

from __future__ import annotations

from collections.abc import Sequence

from numr.codegen.expansions.columns import Columns, batch_of, combining, launches, nan, share
from numr.codegen.expansions.field import Field
from numr.codegen.expansions.jacobi import prepared
from numr.codegen.expansions.plan import Expansion, Launch, Operands, Plan
from numr.codegen.expansions.write import Term, Writer
from numr.codegen.kernel import Buffer, Kernel


def qr(call: Operands) -> Expansion:
    """Q, and R."""
    kernels = [_prepare(call), _reflect(call), _form(call)]

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        (m, n), batch = shapes[0][-2:], batch_of(shapes[0])
        made = Plan()
        if not n or not batch:
            return made
        f = Field(Writer(call.index), call.dtypes[0])
        width = m if call.params["full"] else n
        work = made.temporary((batch, m, n), f.dtype)
        factors = made.temporary((batch, n), f.dtype)
        facts = made.temporary((batch, 2), f.part)
        cost = share(call)
        rounds = 2 * cost(m * n) + 2 * combining(call)
        made.launches.append(Launch(0, (("in", 0), work, facts), (m, n), batch, rounds))
        one = 1 + combining(call)
        buffers = (work, factors)

        def reflecting(k: int) -> int:
            return one + 2 * cost(m - k) + cost(n - k) * (2 * (m - k) + 1)

        def undoing(k: int) -> int:
            k = n - 1 - k  # the last one first
            return 1 + cost(width - k) * (2 * (m - k) + 1)

        made.launches += launches(call, n, reflecting, 0, buffers, m, n, batch=batch, kernel=1)
        around = cost(m * width) + cost(2 * m * width)
        forming = (work, factors, facts, ("out", 0))
        made.launches += launches(
            call, n, undoing, around, forming, m, n, width, batch=batch, kernel=2
        )
        return made

    return Expansion(kernels, plan)


def _prepare(call: Operands) -> Kernel:
    """The matrix, scaled; (scale, oddity) of it."""
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    a, work, facts = f.buffer(), f.buffer(True), w.buffer(f.part, True)
    m, n = w.size(), w.size()
    with w.grid() as point:
        matrix = point * m * n
        scale, odd = prepared(f, a, matrix, m * n)
        divisor = f.number(scale)
        with w.loop(0, m * n, dealt=True) as e:
            x = f.load(a, matrix + e) / divisor
            f.store(work, matrix + e, f.select(odd, f.number(0), x))
        with w.first_lane():
            one, zero = (w.term(x, f.part) for x in (1, 0))
            w.store(facts, point * 2, scale)
            w.store(facts, point * 2 + 1, w.select(odd, one, zero))
    return w.kernel()


def _reflect(call: Operands) -> Kernel:
    """Columns reflected onto the diagonal, one after another; what defines a reflection stays below it."""
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    work, factors = f.buffer(True), f.buffer(True)
    m, n = w.size(), w.size()
    with w.grid() as point:
        columns = Columns(w)
        matrix = point * m * n
        with w.loop(columns.begin, columns.end) as k:
            w.barrier()
            below = w.variable(w.term(0, f.part))
            with w.loop(k + 1, m, dealt=True) as i:
                for part in f.parts(f.load(work, matrix + i * n + k)):
                    w.add_to(below, part * part)
            w.combine(below, "add")
            pivot = f.load(work, matrix + k * n + k)
            # A real column that is on the diagonal already stays.
            done = below.same(0)
            done = done & pivot.im.same(0) if f.complex else done
            total = w.copy(below)
            for part in f.parts(pivot):
                w.assign(total, total + part * part)
            length = w.op("sqrt", total)
            end = f.number(w.select(f.real(pivot) >= 0, -length, length))
            one = f.number(1)
            factor = f.select(done, f.number(0), (end - pivot) / f.select(done, one, end))
            divisor = f.select(done, one, pivot - end)
            w.barrier()
            with w.loop(k + 1, m, dealt=True) as i:
                at = matrix + i * n + k
                f.store(work, at, f.load(work, at) / divisor)
            with w.first_lane():
                f.store(factors, point * n + k, factor)
                f.store(work, matrix + k * n + k, f.select(done, pivot, end))
            w.barrier()
            with w.loop(k + 1, n, dealt=True) as c:
                _reflected(f, work, work, matrix, matrix, m, n, n, k, c, f.conj(factor))
    return w.kernel()


def _reflected(
    f: Field,
    work: Buffer,
    target: Buffer,
    matrix: Term,
    start: Term,
    m: Term,
    n: Term,
    width: Term,
    k: Term,
    c: Term,
    factor: object,
) -> None:
    """Column c of a target without `factor` times its product with the k-th vector, times that."""
    w = f.w
    total = f.variable(f.load(target, start + k * width + c))
    with w.loop(k + 1, m) as i:
        v = f.load(work, matrix + i * n + k)
        f.add_to(total, f.conj(v) * f.load(target, start + i * width + c))
    share_of = total * factor
    at = start + k * width + c
    f.store(target, at, f.load(target, at) - share_of)
    with w.loop(k + 1, m) as i:
        v, at = f.load(work, matrix + i * n + k), start + i * width + c
        f.store(target, at, f.load(target, at) - v * share_of)


def _form(call: Operands) -> Kernel:
    """Q, by reflections of the identity, the last first; and R."""
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    work, factors, facts = f.buffer(), f.buffer(), w.buffer(f.part)
    out = f.buffer(True)
    m, n, width = w.size(), w.size(), w.size()
    with w.grid() as point:
        columns = Columns(w)
        matrix, part = point * m * n, m * width
        start = point * part * 2
        scale = f.number(w.load(facts, point * 2))
        with w.when(columns.first), w.loop(0, part, dealt=True) as e:
            i, c = e // width, e % width
            f.store(out, start + e, f.select(i.same(c), f.number(1), f.number(0)))
            x = f.load_if((i <= c) & (c < n), work, matrix + i * n + c)
            f.store(out, start + part + e, x * scale)
        with w.loop(columns.begin, columns.end) as step:
            k = (n - 1) - step
            w.barrier()
            factor = f.load(factors, point * n + k)
            with w.loop(k, width, dealt=True) as c:
                _reflected(f, work, out, matrix, start, m, n, width, k, c, factor)
        w.barrier()
        odd = w.load(facts, point * 2 + 1) > 0
        with w.when(odd & columns.end.same(n)), w.loop(0, part * 2, dealt=True) as e:
            f.store(out, start + e, nan(f))
    return w.kernel()
