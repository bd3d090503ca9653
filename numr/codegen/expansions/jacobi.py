"""Eigenvectors and singular vectors by rotations of Jacobi's, one matrix of a stack to each point.

Columns are turned against each other, in pairs, until all are orthogonal: A V = W, where W's columns have
the singular values for lengths (Hestenes, 1958). A round turns pairs without common columns, one pair to
a lane. A Hermitian matrix is made positive definite by a multiple of the identity first: its V are the
eigenvectors then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numr.codegen.expansions.columns import Columns, batch_of, combining, launches, nan, share
from numr.codegen.expansions.field import Field
from numr.codegen.expansions.plan import Expansion, Launch, Operands, Plan
from numr.codegen.expansions.write import Term, Writer
from numr.codegen.kernel import Buffer, Kernel
from numr.ir.symbolic import digits

# Sweeps over all pairs, and one more each time their number doubles. A handful is enough; a launch goes
# on without work when a sweep has turned nothing.
SWEEPS = 12


def eigh(call: Operands) -> Expansion:
    """Eigenvectors, and the eigenvalues as a row."""
    kernels = [_prepare(call, True), _rotate(call), _arrange(call, True), _turn_phases(call, True)]

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        n, batch = shapes[0][-1], batch_of(shapes[0])
        made = Plan()
        if n and batch:
            _plan(call, made, n, n, n, batch)
            rounds = share(call)(n) * (3 * n + 1) + share(call)(2 * n * n)
            made.launches.append(Launch(3, (("out", 0), _FACTS), (n, 0, n), batch, rounds))
        return made

    return Expansion(kernels, plan)


def svd(call: Operands) -> Expansion:
    """U, V, and the singular values as a row."""
    kernels = [
        _prepare(call, False),
        _rotate(call),
        _arrange(call, False),
        _turn_phases(call, False),
        _complete(call),
    ]

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        (m, n), batch = shapes[0][-2:], batch_of(shapes[0])
        made = Plan()
        if n and batch:
            width = m if call.params["full"] else n
            _plan(call, made, m, n, width, batch)
            cost = share(call)
            coefficients = made.temporary((batch, width), call.dtypes[0])
            one = 1 + 4 * combining(call)
            buffers = (("out", 0), coefficients)

            def completing(j: int) -> int:
                return one + 3 * cost(m) * (j + 2) + 2 * cost(j) * (m + 1)

            made.launches += launches(
                call, width, completing, 0, buffers, m, width, batch=batch, kernel=4
            )
            rounds = cost(width) * (3 * m + n + 1) + cost(3 * m * width)
            made.launches.append(Launch(3, (("out", 0), _FACTS), (m, n, width), batch, rounds))
        return made

    return Expansion(kernels, plan)


# The temporaries that `_plan` makes first.
_WORK, _TURNS, _FACTS, _STATE, _LENGTHS = (("temp", k) for k in range(5))


def _plan(call: Operands, made: Plan, m: int, n: int, width: int, batch: int) -> None:
    """From the matrix to sorted vectors."""
    f = Field(Writer(call.index), call.dtypes[0])
    cost = share(call)
    shapes = [((batch, m, n), f.dtype), ((batch, n, n), f.dtype), ((batch, 3), f.part)]
    for shape, dtype in [*shapes, ((batch, 1), f.part), ((batch, n), f.part)]:
        made.temporary(shape, dtype)
    pairs = (n + 1) // 2
    begun = 2 * cost(m * n) + cost(n * n) + cost(n) * (n + 2) + 3 * combining(call)
    buffers = (("in", 0), _WORK, _TURNS, _FACTS)
    made.launches.append(Launch(0, buffers, (m, n), batch, begun))
    steps = (SWEEPS + digits(n)) * (2 * pairs - 1)
    turning = 1 + cost(pairs) * (2 * m + n + 1) + combining(call)
    made.launches += launches(
        call, steps, lambda k: turning, 0, (_WORK, _TURNS, _STATE), m, n, batch=batch, kernel=1
    )
    rounds = cost(n) * (2 * m + 2 * n + 2) + cost(2 * m * width)
    sorting = (_WORK, _TURNS, _FACTS, _LENGTHS, ("out", 0))
    made.launches.append(Launch(2, sorting, (m, n, width), batch, rounds))


def prepared(f: Field, a: Buffer, start: Term, count: Term) -> tuple[Term, Term]:
    """What to divide a matrix by so that squares are in range, and whether it is finite."""
    w = f.w
    most, odd = (w.variable(w.term(0, f.part)) for _ in range(2))
    with w.loop(0, count, dealt=True) as e:
        size = f.size(f.load(a, start + e))
        w.assign(odd, w.select(w.op("isnan", size) | w.op("isinf", size), 1, odd))
        w.assign(most, w.select(size > most, size, most))
    w.combine(most, "max")
    w.combine(odd, "max")
    scale = w.select((most > 0) & ~(odd > 0), most, w.term(1, f.part))
    return scale, odd > 0


def _prepare(call: Operands, hermitian: bool) -> Kernel:
    """The matrix, scaled, zeros if it is not finite, and the identity; (scale, oddity, shift) of it."""
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    a, work, turns, facts = f.buffer(), f.buffer(True), f.buffer(True), w.buffer(f.part, True)
    m, n = w.size(), w.size()
    with w.grid() as point:
        matrix, square = point * m * n, point * n * n
        scale, odd = prepared(f, a, matrix, m * n)
        divisor = f.number(scale)
        with w.loop(0, m * n, dealt=True) as e:
            x = f.load(a, matrix + e)
            if hermitian:
                other = f.load(a, matrix + (e % n) * n + e // n)
                x = x / divisor / 2 + f.conj(other) / divisor / 2
            else:
                x = x / divisor
            f.store(work, matrix + e, f.select(odd, f.number(0), x))
        with w.loop(0, n * n, dealt=True) as e:
            one = (e // n).same(e % n)
            f.store(turns, square + e, f.select(one, f.number(1), f.number(0)))
        shift = w.variable(w.term(0, f.part))
        if hermitian:
            # Twice a bound of the eigenvalues' sizes.
            w.barrier()
            with w.loop(0, n, dealt=True) as i:
                row = w.variable(w.term(0, f.part))
                with w.loop(0, n) as j:
                    w.assign(row, row + f.size(f.load(work, matrix + i * n + j)))
                w.assign(shift, w.op("maximum", shift, row * 2))
            w.combine(shift, "max")
            w.assign(shift, w.select(shift > 0, shift, w.term(1, f.part)))
            with w.loop(0, n, dealt=True) as i:
                at = matrix + i * n + i
                f.store(work, at, f.load(work, at) + f.number(shift))
        with w.first_lane():
            one, zero = (w.term(x, f.part) for x in (1, 0))
            for k, x in enumerate((scale, w.select(odd, one, zero), shift)):
                w.store(facts, point * 3 + k, x)
    return w.kernel()


def _square(f: Field, x: Any) -> Term:
    return sum((p * p for p in f.parts(x)[1:]), start=f.parts(x)[0] * f.parts(x)[0])


def _rotate(call: Operands) -> Kernel:
    """Some of the rounds of pairs of columns, as long as they turn anything."""
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    work, turns, state = f.buffer(True), f.buffer(True), w.buffer(f.part, True)
    m, n = w.size(), w.size()
    with w.grid() as point:
        columns = Columns(w, state)
        half = (n + 1) // 2
        rounds = half * 2 - 1
        matrix, square = point * m * n, point * n * n
        quiet = columns.variables(point, w.term(0, f.part))[0]
        epsilon = w.term(float(np.finfo(f.part.dtype).eps), f.part)
        limit = w.op("sqrt", w.cast(m, f.part)) * epsilon
        with w.loop(columns.begin, columns.end) as step:
            w.barrier()
            r = step % rounds
            moved = w.variable(w.term(0, f.part))
            going = quiet < w.cast(rounds, f.part)
            with w.loop(0, w.select(going, half, w.position(0)), dealt=True) as i:
                # Each plays each once in as many rounds; the last one, of an even number, stays in place.
                p = w.select(i.same(0), rounds, (r + i) % rounds)
                q = w.select(i.same(0), r, (r + rounds - i) % rounds)
                with w.when((p < n) & (q < n)):
                    _rotate_pair(f, work, turns, (matrix, square), m, n, p, q, limit, moved)
            w.combine(moved, "max")
            w.assign(quiet, w.select(moved > 0, w.term(0, f.part), quiet + 1))
        columns.keep(point, quiet)
    return w.kernel()


def _rotate_pair(
    f: Field,
    work: Buffer,
    turns: Buffer,
    starts: tuple[Term, Term],
    m: Term,
    n: Term,
    p: Term,
    q: Term,
    limit: Term,
    moved: Term,
) -> None:
    w = f.w
    first, second = (w.variable(w.term(0, f.part)) for _ in range(2))
    product = f.variable(f.number(0))
    with w.loop(0, m) as k:
        row = starts[0] + k * n
        x, y = f.load(work, row + p), f.load(work, row + q)
        w.add_to(first, _square(f, x))
        w.add_to(second, _square(f, y))
        f.add_to(product, f.conj(x) * y)
    size = f.modulus(product)
    with w.when(size > limit * w.op("sqrt", first) * w.op("sqrt", second)):
        w.assign(moved, w.term(1, f.part))
        unit = f.conj(product / f.number(size))
        zeta = (second - first) / (size * 2)
        height = w.op("abs", zeta)
        # Of large numbers the square may be out of range, and its root is the number.
        flat = height > 1e8
        safe = w.select(flat, w.term(1, f.part), height)
        root = w.select(flat, height, w.op("sqrt", safe * safe + 1))
        tangent = w.term(1, f.part) / (height + root)
        tangent = w.select(zeta < 0, -tangent, tangent)
        cosine = w.term(1, f.part) / w.op("sqrt", tangent * tangent + 1)
        c, s = f.number(cosine), f.number(cosine * tangent)
        for memory, start, rows in ((work, starts[0], m), (turns, starts[1], n)):
            with w.loop(0, rows) as k:
                row = start + k * n
                x, y = f.load(memory, row + p), f.load(memory, row + q) * unit
                f.store(memory, row + p, x * c - y * s)
                f.store(memory, row + q, x * s + y * c)


def _arrange(call: Operands, hermitian: bool) -> Kernel:
    """The values in order, and the vectors with them."""
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    work, turns = f.buffer(), f.buffer()
    facts, lengths, out = w.buffer(f.part), w.buffer(f.part, True), f.buffer(True)
    m, n, width = w.size(), w.size(), w.size()
    with w.grid() as point:
        matrix, square = point * m * n, point * n * n
        part, line = m * width, point * n
        start = point * part * (2 if hermitian else 3)
        vectors = start if hermitian else start + part
        values = vectors + part
        scale, shift = w.load(facts, point * 3), w.load(facts, point * 3 + 2)
        with w.loop(0, n, dealt=True) as j:
            total = w.variable(w.term(0, f.part))
            with w.loop(0, m) as k:
                x = f.load(work, matrix + k * n + j)
                if hermitian:
                    v = f.load(turns, square + k * n + j)
                    w.add_to(total, f.real(f.conj(v) * (x - v * f.number(shift))))
                else:
                    w.add_to(total, _square(f, x))
            w.store(lengths, line + j, total if hermitian else w.op("sqrt", total))
        with w.loop(0, part if hermitian else part * 2, dealt=True) as e:
            f.store(out, (values if hermitian else vectors) + e, f.number(0))
        w.barrier()
        with w.loop(0, n, dealt=True) as j:
            own = w.load(lengths, line + j)
            place = w.variable(w.position(0))
            with w.loop(0, n) as k:
                other = w.load(lengths, line + k)
                before = other < own if hermitian else other > own
                before = before | (other.same(own) & (k < j))
                w.assign(place, place + w.select(before, w.position(1), w.position(0)))
            f.store(out, values + place, f.number(own * scale))
            if not hermitian:
                divisor = f.number(w.select(own > 0, own, w.term(1, f.part)))
                with w.loop(0, m) as k:
                    x = f.load(work, matrix + k * n + j)
                    f.store(out, start + k * width + place, x / divisor)
            with w.loop(0, n) as k:
                v = f.load(turns, square + k * n + j)
                f.store(out, vectors + k * width + place, v)
    return w.kernel()


def _complete(call: Operands) -> Kernel:
    """Columns of U that a zero left open, and those beyond n: orthogonal to those before.

    Each begins as the unit vector that is farthest from the space of the columns before it.
    """
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    out, coefficients = f.buffer(True), f.buffer(True)
    m, width = w.size(), w.size()
    with w.grid() as point:
        columns = Columns(w)
        start, line = point * m * width * 3, point * width
        values = start + m * width * 2
        epsilon = w.term(float(np.finfo(f.part.dtype).eps), f.part)
        limit = f.real(f.load(out, values)) * w.cast(m, f.part) * epsilon
        with w.loop(columns.begin, columns.end) as j:
            w.barrier()
            open_ = ~(f.real(f.load(out, values + j)) > limit)
            rows = w.select(open_, m, w.position(0))
            before = w.select(open_, j, w.position(0))
            where = _farthest(f, out, start, m, width, j, rows)
            with w.loop(0, rows, dealt=True) as i:
                one = f.select(i.same(where), f.number(1), f.number(0))
                f.store(out, start + i * width + j, one)
            for _ in range(2):
                _orthogonalize(f, out, coefficients, start, line, m, width, j, rows, before)
    return w.kernel()


def _farthest(
    f: Field, out: Buffer, start: Term, m: Term, width: Term, j: Term, rows: Term
) -> Term:
    """The row of the first j columns with the least sum of squares."""
    w = f.w
    # No sum is as much as this.
    least, where = w.variable(w.term(4, f.part)), w.variable(m)
    with w.loop(0, rows, dealt=True) as i:
        total = w.variable(w.term(0, f.part))
        with w.loop(0, j) as k:
            w.add_to(total, _square(f, f.load(out, start + i * width + k)))
        less = total < least
        w.assign(where, w.select(less, i, where))
        w.assign(least, w.select(less, total, least))
    own = w.copy(least)
    w.combine(least, "min")
    w.assign(where, w.select(own.same(least), where, m))
    w.combine(where, "min")
    return where


def _orthogonalize(
    f: Field,
    out: Buffer,
    coefficients: Buffer,
    start: Term,
    line: Term,
    m: Term,
    width: Term,
    j: Term,
    rows: Term,
    before: Term,
) -> None:
    """Column j without what it shares with those before, of length 1."""
    w = f.w
    w.barrier()
    with w.loop(0, before, dealt=True) as k:
        total = f.variable(f.number(0))
        with w.loop(0, m) as i:
            row = start + i * width
            f.add_to(total, f.conj(f.load(out, row + k)) * f.load(out, row + j))
        f.store(coefficients, line + k, total)
    w.barrier()
    length = w.variable(w.term(0, f.part))
    with w.loop(0, rows, dealt=True) as i:
        row = start + i * width
        rest = f.variable(f.load(out, row + j))
        with w.loop(0, before) as k:
            f.assign(rest, rest - f.load(out, row + k) * f.load(coefficients, line + k))
        f.store(out, row + j, rest)
        w.add_to(length, _square(f, rest))
    w.combine(length, "add")
    root = f.number(w.op("sqrt", length))
    with w.loop(0, rows, dealt=True) as i:
        at = start + i * width + j
        f.store(out, at, f.load(out, at) / root)


def _turn_phases(call: Operands, hermitian: bool) -> Kernel:
    """In each vector the first element that is half as large as any made positive, and the n vectors on
    the right turned with those on the left; NaN throughout for a matrix that was not finite."""
    w = Writer(call.index, call.lanes)
    f = Field(w, call.dtypes[0])
    out, facts = f.buffer(True), w.buffer(f.part)
    m, n, width = w.size(), w.size(), w.size()
    with w.grid() as point:
        part = m * width
        whole = part * (2 if hermitian else 3)
        start = point * whole
        with w.loop(0, width, dealt=True) as j:
            most = w.variable(w.term(0, f.part))
            with w.loop(0, m) as i:
                size = f.modulus(f.load(out, start + i * width + j))
                w.assign(most, w.op("maximum", most, size))
            chosen = f.variable(f.number(1))
            with w.loop(0, m) as k:
                x = f.load(out, start + ((m - 1) - k) * width + j)
                f.assign(chosen, f.select(f.modulus(x) * 2 >= most, x, chosen))
            phase = f.conj(chosen / f.number(f.modulus(chosen)))
            right = w.select(j < n, n, w.position(0))
            for first, rows in ((start, m), (start + part, right)):
                with w.loop(0, rows) as i:
                    at = first + i * width + j
                    f.store(out, at, f.load(out, at) * phase)
        odd = w.load(facts, point * 3 + 1) > 0
        w.barrier()
        with w.when(odd), w.loop(0, whole, dealt=True) as e:
            f.store(out, start + e, nan(f))
    return w.kernel()
