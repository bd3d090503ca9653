"""Stable sorting along an axis: sorted runs merge in pairs, each element finding its own place.

In the merge of two runs an element comes to where it is in its own run plus how many of the other run
go before it, which a binary search counts. A processor of one lane merges the runs of a line one after another
instead, in one kernel whatever the length. NaN goes last.
"""

from __future__ import annotations

from collections.abc import Sequence

from numr.codegen.expansions.plan import (
    Expansion,
    Launch,
    NotExpanded,
    Operands,
    Place,
    Plan,
    lines,
)
from numr.codegen.expansions.write import Term, Writer
from numr.codegen.kernel import Kernel
from numr.dtypes import DType, uint8


def expand(call: Operands, positions: bool) -> Expansion:
    """The elements of each line in order, or (`positions`) where they are."""
    key = call.dtypes[0]
    if key.kind == "c":
        raise NotExpanded("there are no kernels that sort complex numbers")
    if call.lanes == 1 and not call.device.trips:
        return _serial(call, key, positions)
    kernels = [_copied(call)]
    if positions:
        kernels += [_merge(call, key, True, first, last) for first, last in _ENDS]
    else:
        kernels += [_merge(call, key, False, False, False)]

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        made = Plan()
        shape = shapes[0]
        outer, n, inner = lines(shape, call.params["axis"])
        points = outer * n * inner
        if not points:
            return made
        passes = max((n - 1).bit_length(), 1)
        keys: list[Place] = [("in", 0)]
        keys += [made.temporary(shape, key) for _ in range(min(2, passes))]
        places: list[Place] = []
        if positions:
            places = [made.temporary(shape, call.index) for _ in range(min(2, passes))]
        source = 0
        for number in range(passes):
            first, last = number == 0, number == passes - 1
            target = 1 + number % 2
            sizes = (n, inner, 1 << number, number + 2)
            buffers = [keys[source]]
            if positions:
                # The first pass makes positions up, the last one stores them as the result has them.
                buffers += [] if first else [places[1 - number % 2]]
                buffers += [] if last else [keys[target]]
                buffers += [("out", 0) if last else places[number % 2]]
                kernel = 1 + _ENDS.index((first, last))
            else:
                buffers += [("out", 0) if last else keys[target]]
                kernel = 1
            made.launches.append(Launch(kernel, tuple(buffers), sizes, points))
            source = target
        return made

    return Expansion(kernels, plan)


_ENDS = [(True, True), (True, False), (False, False), (False, True)]


def _copied(call: Operands) -> Kernel:
    w = Writer(call.index)
    x, out = w.buffer(call.dtypes[0]), w.buffer(call.dtypes[0], written=True)
    with w.grid() as i:
        w.store(out, i, w.load(x, i))
    return w.kernel()


def _merge(call: Operands, key: DType, positions: bool, first: bool, last: bool) -> Kernel:
    """One pass over runs of a width; with positions they move along with the keys."""
    w = Writer(call.index)
    source = w.buffer(key)
    at_before = w.buffer(call.index) if positions and not first else None
    target = w.buffer(key, written=True) if not (positions and last) else None
    at_after = w.buffer(call.result if last else call.index, written=True) if positions else None
    n, inner, width, steps = w.size(), w.size(), w.size(), w.size()

    with w.grid() as point:
        q, rest = point % inner, point // inner
        i, line = rest % n, rest // n
        start = line * n
        run = i // width
        odd = (run % 2).same(1)
        base = (run // 2) * (width * 2)
        lo = w.select(odd, base, w.op("minimum", base + width, n))
        hi = w.select(odd, w.op("minimum", base + width, n), w.op("minimum", base + width * 2, n))
        other = lo
        value = w.load(source, point)
        a, b = w.variable(lo), w.variable(hi)
        with w.loop(0, steps):
            open_ = a < b
            middle = (a + b) // 2
            at = (start + w.op("minimum", middle, n - 1)) * inner + q
            found = w.load(source, at)
            # Equal elements of the left run go before those of the right one.
            before = w.select(odd, ~_less(w, value, found), _less(w, found, value))
            w.assign(b, w.select(open_ & ~before, middle, b))
            w.assign(a, w.select(open_ & before, middle + 1, a))
        own = i - run * width
        place = (start + (base + (own + (a - other)))) * inner + q
        if target is not None:
            w.store(target, place, value)
        if at_after is not None:
            here = w.load(at_before, point) if at_before is not None else i
            w.store(at_after, place, w.cast(here, at_after.dtype))
    return w.kernel()


def _less(w: Writer, x: Term, y: Term) -> Term:
    """Whether x goes before y."""
    if x.dtype.kind == "b":
        return w.cast(x, uint8) < w.cast(y, uint8)
    found = x < y
    if x.dtype.kind != "f":
        return found
    return found | (w.op("isnan", y) & ~w.op("isnan", x))


# More passes than any length takes.
_PASSES = 62


def _serial(call: Operands, key: DType, positions: bool) -> Expansion:
    """A line to each point. Elements go from one half of its part of a buffer to the other and back."""
    w = Writer(call.index)
    source, out = w.buffer(key), w.buffer(call.result if positions else key, written=True)
    keys = w.buffer(key, written=True)
    places = w.buffer(call.index, written=True) if positions else None
    n, inner = w.size(), w.size()
    with w.grid() as line:
        first = (line // inner) * n * inner + line % inner
        here = line * n * 2
        with w.loop(0, n) as i:
            w.store(keys, here + i, w.load(source, first + i * inner))
            if places is not None:
                w.store(places, here + i, i)
        width, side = w.variable(w.position(1)), w.variable(w.position(0))
        with w.loop(0, _PASSES), w.when(width < n):
            start, target = here + side * n, here + (1 - side) * n
            with w.loop(0, (n + (width * 2 - 1)) // (width * 2)) as run:
                lo = run * (width * 2)
                middle = w.op("minimum", lo + width, n)
                end = w.op("minimum", lo + width * 2, n)
                a, b = w.variable(lo), w.variable(middle)
                with w.loop(lo, end) as to:
                    left = w.load(keys, start + w.op("minimum", a, n - 1))
                    right = w.load(keys, start + w.op("minimum", b, n - 1))
                    # Equal elements of the left run go before those of the right one.
                    is_left = (a < middle) & ((b >= end) | ~_less(w, right, left))
                    w.store(keys, target + to, w.select(is_left, left, right))
                    if places is not None:
                        at = w.load(places, start + w.select(is_left, a, b))
                        w.store(places, target + to, at)
                    w.assign(b, w.select(is_left, b, b + 1))
                    w.assign(a, w.select(is_left, a + 1, a))
            w.assign(width, width * 2)
            w.assign(side, 1 - side)
        done = here + side * n
        with w.loop(0, n) as i:
            found = w.load(keys if places is None else places, done + i)
            w.store(out, first + i * inner, w.cast(found, out.dtype))

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        made = Plan()
        outer, n, inner = lines(shapes[0], call.params["axis"])
        buffers = [("in", 0), ("out", 0), made.temporary((outer, inner, 2, n), key)]
        if positions:
            buffers.append(made.temporary((outer, inner, 2, n), call.index))
        made.launches.append(Launch(0, tuple(buffers), (n, inner), outer * inner))
        return made

    return Expansion([w.kernel()], plan)
