"""Stable sorting along an axis: sorted runs merge in pairs, each element finding its own place.

In the merge of two runs an element comes to where it is in its own run plus how many of the other run
go before it, which a binary search counts. NaN goes last.
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

    def ordered(x: Term) -> Term:
        return w.cast(x, uint8) if key.kind == "b" else x

    def less(x: Term, y: Term) -> Term:
        found = ordered(x) < ordered(y)
        if key.kind != "f":
            return found
        return found | (w.op("isnan", y) & ~w.op("isnan", x))

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
            before = w.select(odd, ~less(value, found), less(found, value))
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
