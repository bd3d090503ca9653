"""The kernel of a region that is gone through round after round: a loop inside each point.

What is carried is kept in variables; or, where a processor computes several lanes at once, in memory, and
all lanes of a block go through a round before any goes on to the next. Between launches it is where the
results will be, so that a device can be given a long loop piece by piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numr.codegen.deferred import branches, round_axes, while_it_changes
from numr.codegen.emit import Emitter
from numr.codegen.finish import bounds_of, finished
from numr.codegen.kernel import (
    Assign,
    Declare,
    If,
    InvalidKernel,
    Let,
    Literal,
    Statement,
    Store,
    Value,
    Var,
)
from numr.codegen.lowered import BEGIN, END, Lowered, Temporary
from numr.codegen.prepare import collapse, factors, reachable, roots_of
from numr.codegen.region import Axis, Expr, ExprBuilder, Loop, Output, Region
from numr.codegen.schedule import Schedule
from numr.dtypes import bool_, int32

# Rounds a loop of unknown length is reckoned to have.
RECKONED = 64


@dataclass(slots=True, eq=False)
class _Carried:
    """One number that a point carries: how it begins, what it is next, where it is between launches, and
    its variable, if it has one. It is itself only."""

    start: Output
    following: Output
    buffer: str
    index: tuple[Expr, ...]
    shape: tuple[Any, ...]
    shared: bool  # whether it is the same for all lanes
    var: Var | None = None


def loop(builder: ExprBuilder, region: Region, schedule: Schedule) -> Lowered:
    """The region's rounds, at each point by itself."""
    assert region.loop is not None
    rounds = region.loop
    region, lanes = collapse(builder, region, rounds.lanes)
    region = replace(region, loop=replace(rounds, lanes=lanes))
    if len(lanes) != 1:
        schedule = replace(schedule, block=1)
    return _LoopKernel(builder, region, schedule).lowered()


class _LoopKernel:
    def __init__(self, builder: ExprBuilder, region: Region, schedule: Schedule) -> None:
        assert region.loop is not None
        self.loop: Loop = region.loop
        self.builder, self.region, self.schedule = builder, region, schedule
        self.emitter = Emitter(builder, region, schedule)
        self.rows = [o for o in region.outputs if o.mode == "set"]
        self.go = next((o for o in region.outputs if o.mode == "go"), None)
        # What has no elements has no slot.
        self.slots = {o.slot: o.dtype for o in region.outputs if o.slot >= 0}
        self.places = {slot: k for k, slot in enumerate(sorted(self.slots))}
        self.temporaries: list[Temporary] = []
        self.blocked = schedule.block > 1
        self.block = Axis("block", 1)
        if not self.blocked:
            for branch in branches(region):
                self.emitter.branches.update(dict.fromkeys(branch.choices, branch))
        self.carried = self._carried()
        self.loads = self._loads()

    def _buffer(self, slot: int) -> str:
        return self._extra(self.places[slot])

    def _extra(self, number: int) -> str:
        """A buffer after the operands: of results, then temporaries, then the flag."""
        return f"a{len(self.region.operands) + number}"

    def _carried(self) -> list[_Carried]:
        starts = {(o.slot, o.index): o for o in self.region.outputs if o.mode == "start"}
        lanes = self.loop.lanes
        found = []
        for o in self.region.outputs:
            if o.mode != "next":
                continue
            shared = bool(lanes) and not o.axes
            place = self._buffer(o.slot), o.index, o.shape
            if shared:
                # Each lane or block has its own: none that is done must move what another begins with.
                own = (self.block,) if self.blocked else lanes
                shape = tuple(a.extent for a in lanes)
                place = (
                    self._extra(len(self.slots) + len(self.temporaries)),
                    tuple(map(self.builder.axis, own)),
                    shape,
                )
                self.temporaries.append(Temporary(sum(map(factors, shape), ()), o.dtype))
            found.append(_Carried(starts[o.slot, o.index], o, *place, shared))
        return found

    def _loads(self) -> dict[Expr, _Carried]:
        """Where the rounds read what is carried."""
        by_place = {(c.following.slot, c.following.index): c for c in self.carried}
        found = {}
        for e in reachable(roots_of(self.region)):
            if e.kind == "load" and e.data in self.loop.carried:
                place = self.loop.carried[e.data], e.args[1:]
                if place not in by_place:
                    raise InvalidKernel(f"{e} is nothing that is carried")
                found[e] = by_place[place]
        return found

    def lowered(self) -> Lowered:
        emitter, lanes = self.emitter, self.loop.lanes
        begin, end = emitter.size(BEGIN), emitter.size(END)
        self.resumed = emitter.let("ne", (begin, emitter.zero), bool_)
        if self.blocked:
            self._blocks(begin, end)
        else:
            grid = lanes or (Axis("only", 1),)
            emitter.open_grid(grid)
            self._point(begin, end)
            emitter.close_range(grid)
        outputs: list[tuple[str, int, Any]] = [
            ("out", slot, dtype) for slot, dtype in sorted(self.slots.items())
        ]
        outputs += [("temp", k, t.dtype) for k, t in enumerate(self.temporaries)]
        if self.go is not None:
            outputs.append(("flag", 0, int32))
        grid_sizes = tuple(f for a in lanes for f in factors(a.extent)) or (1,)
        rounds = (RECKONED,) if self.go is not None else factors(self.loop.axis.extent)
        inside = round_axes([o.expr for o in self.region.outputs], self.loop.axis)
        work = [f for a in inside if a is not self.loop.axis for f in factors(a.extent)]
        volume = (*grid_sizes, *rounds, *work)
        stage = finished(emitter, self.region, outputs, grid_sizes, self.schedule.block, volume)
        repeats = self.go is not None
        stage = replace(
            stage,
            pieces=() if repeats else rounds,
            piece=self.schedule.piece,
            repeats=repeats,
        )
        return Lowered([stage], self.temporaries)

    # -- one point after another, in variables ---------------------------------------------------

    def _point(self, begin: Value, end: Value) -> None:
        emitter = self.emitter
        for c in self.carried:
            self._declare(c)
        more = None
        if self.go is not None:
            more = emitter.fresh(bool_)
            emitter.statement(Declare(more, Literal(True, bool_)))
        self._open_rounds(begin, end)
        nexts = [c.following.expr for c in self.carried]
        if self.go is not None and more is not None:
            emitter.stop_unless(self.go.expr, Assign(more, Literal(False, bool_)))
        elif not self.rows:
            loads = {c: e for e, c in self.loads.items()}
            before = [loads.get(c, c.following.expr) for c in self.carried]
            stop = while_it_changes(nexts, before, self.loop.axis)
            if stop is not None:
                emitter.stop_unless(stop[0])
                nexts = stop[1]
        self._round(self.carried, nexts, self.rows)
        emitter.close(self.loop.axis)
        for c in self.carried:
            self._keep(c)
        if more is not None:
            flag = self._extra(len(self.slots) + len(self.temporaries))
            emitter.statement(If(more, [Store(flag, emitter.zero, Literal(1, int32))]))

    def _open_rounds(self, begin: Value, end: Value) -> None:
        self.emitter.open(self.loop.axis, begin, end)
        known = self.emitter.scopes[-1].known
        known.update({e: c.var for e, c in self.loads.items() if c.var is not None})

    def _declare(self, c: _Carried) -> None:
        """A variable with what is carried into the first round of this launch."""
        emitter = self.emitter
        c.var = emitter.fresh(c.start.dtype)
        emitter.statement(Declare(c.var, emitter.value(c.start.expr)))
        place = emitter.linear(c.index, c.shape)
        before = emitter.fresh(c.start.dtype)
        load = Let(before, "load", (place,), c.buffer)
        emitter.statement(If(self.resumed, [load, Assign(c.var, before)]))

    def _round(
        self, carried: Sequence[_Carried], nexts: Sequence[Expr], rows: Sequence[Output]
    ) -> None:
        """Compute everything, then store and assign: nothing is overwritten that is still read."""
        emitter = self.emitter
        new = emitter.values([*nexts, *(o.expr for o in rows)])[: len(nexts)]
        stores = [self._store(o) for o in rows]
        for store in stores:
            emitter.statement(store)
        kept = [(c, value) for c, value in zip(carried, new, strict=True) if c.var is None]
        for c, value in kept:
            emitter.statement(Store(c.buffer, emitter.linear(c.index, c.shape), value))
        variables = [c.var for c in carried if c.var is not None]
        if variables:
            emitter.carry_on(variables, new)

    def _store(self, o: Output) -> Statement:
        value = self.emitter.value(o.expr)
        return Store(self._buffer(o.slot), self.emitter.linear(o.index, o.shape), value)

    def _keep(self, c: _Carried) -> None:
        emitter = self.emitter
        assert c.var is not None
        emitter.statement(Store(c.buffer, emitter.linear(c.index, c.shape), c.var))
        if c.shared:
            o = c.following
            emitter.statement(Store(self._buffer(o.slot), emitter.linear(o.index, o.shape), c.var))

    # -- a block of lanes at a time, in memory ---------------------------------------------------

    def _blocks(self, begin: Value, end: Value) -> None:
        """Rounds outside, lanes inside: what lanes carry is in the results' own memory."""
        emitter = self.emitter
        (lane,) = self.loop.lanes
        emitter.open_grid((self.block,))
        lo, hi = bounds_of(emitter, self.block, lane, self.schedule.block)
        shared = [c for c in self.carried if c.shared]
        own = [c for c in self.carried if not c.shared]
        for c in shared:
            self._declare(c)
        fresh = emitter.let("invert", (self.resumed,), bool_)
        with emitter.under(fresh):
            emitter.open(lane, lo, hi)
            for c in own:
                value = emitter.value(c.start.expr)
                emitter.statement(Store(c.buffer, emitter.linear(c.index, c.shape), value))
            emitter.close(lane)
        self._open_rounds(begin, end)
        emitter.open(lane, lo, hi)
        known = emitter.scopes[-1].known
        for e, c in self.loads.items():
            if c.var is None:
                place = emitter.linear(c.index, c.shape)
                known[e] = emitter.let("load", (place,), c.start.dtype, c.buffer)
        self._round(own, [c.following.expr for c in own], [o for o in self.rows if lane in o.axes])
        emitter.close(lane)
        self._round(
            shared, [c.following.expr for c in shared], [o for o in self.rows if lane not in o.axes]
        )
        emitter.close(self.loop.axis)
        for c in shared:
            self._keep(c)
        emitter.close_range((self.block,))
