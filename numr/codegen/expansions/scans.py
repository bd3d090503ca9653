"""Cumulative sums, products, extrema and linear recurrences: chunks apart, then what they carry over.

Each chunk of a line is one point's. The totals of the chunks are scanned in the same way, until they
are one chunk themselves; then every chunk is gone through again from what those before it came to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.codegen.expansions.field import Field
from numr.codegen.expansions.plan import Expansion, Launch, Operands, Place, Plan, lines
from numr.codegen.expansions.write import Writer
from numr.codegen.kernel import Kernel
from numr.dtypes import real_part_dtype
from numr.ir.symbolic import typical
from numr.primitives.source import highest, lowest

CHUNK = 64
KINDS = ("cumsum", "cumprod", "cummax", "cummin", "linear_recurrence")
_EXTREMA = {"cummax": ("maximum", lowest), "cummin": ("minimum", highest)}


class _Scan:
    """One kind of scan: its operands (x, or a and b), where it starts, and a step of it."""

    def __init__(self, key: str, call: Operands) -> None:
        self.key, self.call = key, call
        self.dtype = call.result
        self.pair = key == "linear_recurrence"
        self.count = 2 if self.pair else 1

    def step(self, f: Field, state: Any, x: list[Any]) -> Any:
        if self.pair:
            return x[0] * state + x[1]
        x0 = f.cast(x[0])
        if self.key in _EXTREMA:
            return f.w.op(_EXTREMA[self.key][0], state, x0)
        return state * x0 if self.key == "cumprod" else state + x0

    @property
    def start(self) -> Any:
        """What comes before the first element."""
        if self.key in _EXTREMA:
            return _EXTREMA[self.key][1](self.dtype)
        return 1 if self.key == "cumprod" else 0

    def kernel(self, totals: bool, carried: bool, reverse: bool) -> Kernel:
        """Go through each chunk, to its total or to every element of it."""
        w = Writer(self.call.index)
        f = Field(w, self.dtype)
        given = self.call.dtypes if self.raw else (self.dtype,) * self.count
        xs = [w.buffer(real_part_dtype(d)) for d in given]
        before = f.buffer() if carried else None
        outs = [f.buffer(written=True) for _ in range(self.count if totals else 1)]
        n, inner, chunks, chunk = (w.size() for _ in range(4))
        with w.grid() as point:
            q, rest = point % inner, point // inner
            c, line = rest % chunks, rest // chunks
            state = f.variable(f.number(self.start))
            if before is not None:
                after = c > 0
                found = f.load_if(after, before, ((line * chunks + c) - 1) * inner + q)
                f.assign(state, f.select(after, found, state))
            product = f.variable(f.number(1)) if totals and self.pair else None
            lo = c * chunk
            hi = w.op("minimum", lo + chunk, n)
            with w.loop(lo, hi) as i:
                k = (n - 1) - i if reverse else i
                at = (line * n + k) * inner + q
                x = [f.load(b, at) for b in xs]
                f.assign(state, self.step(f, state, x))
                if product is not None:
                    f.assign(product, product * x[0])
                if not totals:
                    f.store(outs[0], at, state)
            if totals:
                values = [state] if product is None else [product, state]
                for out, value in zip(outs, values, strict=True):
                    f.store(out, point, value)
        return w.kernel()

    raw = True


def expand(key: str, call: Operands, chunk: int = CHUNK) -> Expansion:
    """A scan along one axis, in either direction."""
    scan = _Scan(key, call)
    reverse = bool(call.params["reverse"])
    whole, kernels = [(False, False), (True, False), (False, True)], []
    for raw in (True, False):
        # Totals are in the result's dtype, and in order already.
        scan.raw = raw
        kernels += [scan.kernel(t, c, reverse and raw) for t, c in whole]

    def plan(shapes: Sequence[tuple[int, ...]], strides: Sequence[tuple[int, ...]]) -> Plan:
        made = Plan()
        outer, n, inner = lines(shapes[0], call.params["axis"])

        def scanned(xs: list[Place], out: Place, n: int, first: int) -> None:
            chunks = -(-n // chunk)
            if typical(chunks) <= 1 or call.lanes == 1:
                # However long it is: where lengths are formulas, it may be longer than typical.
                sizes = (n, inner, 1, n)
                made.launches.append(Launch(first, (*xs, out), sizes, outer * inner))
                return
            points = outer * chunks * inner
            sizes = (n, inner, chunks, chunk)
            shape = (outer, chunks, inner)
            totals = [made.temporary(shape, call.result) for _ in range(scan.count)]
            carried = made.temporary(shape, call.result)
            made.launches.append(Launch(first + 1, (*xs, *totals), sizes, points))
            scanned(totals, carried, chunks, 3)
            made.launches.append(Launch(first + 2, (*xs, carried, out), sizes, points))

        if outer * n * inner:
            scanned([("in", k) for k in range(scan.count)], ("out", 0), n, 0)
        return made

    return Expansion(kernels, plan)
