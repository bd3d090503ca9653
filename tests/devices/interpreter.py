"""Runs Kernel IR as it is defined, all lanes of a point in step, and finds races between lanes.

A value is an array with an element a lane, under a mask of the lanes that are at work. Between two
barriers no lane may touch an element that another one stores to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numr.codegen import kernel as K
from numr.dtypes import DType
from numr.ir.scalar import TABLE

Array = np.ndarray[Any, Any]
STEPS = {
    "add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum,
    "and": np.bitwise_and, "or": np.bitwise_or,
}  # fmt: skip


class RaceError(Exception):
    """Two lanes at one element without a barrier between them."""


class _Memory:
    """A buffer or shared memory, and who touched what since the last barrier."""

    def __init__(self, name: str, values: Array) -> None:
        self.name, self.values = name, values
        self.forget()

    def forget(self) -> None:
        self.stored: dict[int, int] = {}
        self.loaded: dict[int, set[int]] = {}

    def load(self, lane: int, place: int) -> None:
        if self.stored.get(place, lane) != lane:
            raise RaceError(f"lane {lane} loads {self.name}[{place}], another lane stores to it")
        self.loaded.setdefault(place, set()).add(lane)

    def store(self, lane: int, place: int) -> None:
        others = self.loaded.get(place, set()) - {lane}
        if others or self.stored.get(place, lane) != lane:
            raise RaceError(f"lane {lane} stores to {self.name}[{place}], another lane is there")
        self.stored[place] = lane


class _Point:
    """One point of the grid."""

    def __init__(self, kernel: K.Kernel, memory: dict[str, _Memory], names: dict[str, int]) -> None:
        self.lanes = kernel.lanes
        self.memory = memory
        self.values: dict[str, Array] = {k: np.full(self.lanes, v) for k, v in names.items()}
        self.values["lane"] = np.arange(self.lanes)

    def value(self, x: K.Value) -> Array:
        if isinstance(x, K.Var):
            return self.values[x.name].astype(_numpy(x.dtype), copy=False)
        return np.full(self.lanes, x.value, _numpy(x.dtype))

    def set(self, var: K.Var, value: Array, mask: Array) -> None:
        old = self.values.get(var.name, np.zeros(self.lanes, _numpy(var.dtype)))
        self.values[var.name] = np.where(mask, value.astype(_numpy(var.dtype)), old)

    def run(self, body: Sequence[K.Statement], mask: Array) -> None:
        for s in body:
            if isinstance(s, K.Let):
                self.set(s.var, self.computed(s, mask), mask)
            elif isinstance(s, K.Declare | K.Assign):
                self.set(s.var, self.value(s.value), mask)
            elif isinstance(s, K.Accumulate):
                self.set(s.var, STEPS[s.monoid](self.value(s.var), self.value(s.value)), mask)
            elif isinstance(s, K.Store):
                self.store(s, mask)
            elif isinstance(s, K.Combine):
                assert mask.all(), "not all lanes come to where they combine"
                total = STEPS[s.monoid].reduce(self.value(s.var))
                self.set(s.var, np.full(self.lanes, total), mask)
                self.barrier()
            elif isinstance(s, K.Barrier):
                assert mask.all(), "not all lanes come to a barrier"
                self.barrier()
            elif isinstance(s, K.If):
                self.run(s.body, mask & self.value(s.condition).astype(bool))
            else:
                self.loop(s, mask)

    def barrier(self) -> None:
        for memory in self.memory.values():
            memory.forget()

    def loop(self, s: K.For, mask: Array) -> None:
        place, end = self.value(s.lo).astype(np.int64), self.value(s.hi)
        if s.dealt:
            place = place + self.values["lane"]
        while (mask & (place < end)).any():
            at_work = mask & (place < end)
            self.set(s.var, place, at_work)
            self.run(s.body, at_work)
            place = place + (self.lanes if s.dealt else 1)

    def computed(self, s: K.Let, mask: Array) -> Array:
        args = [self.value(a) for a in s.args]
        if s.op in ("load", "guarded_load"):
            inside = mask & args[0].astype(bool) if s.op == "guarded_load" else mask
            memory = self.memory[s.buffer]
            out = np.zeros(self.lanes, memory.values.dtype)
            for lane in np.flatnonzero(inside):
                place = int(args[-1][lane])
                assert 0 <= place < memory.values.size, f"{s.buffer}[{place}] does not exist"
                memory.load(int(lane), place)
                out[lane] = memory.values[place]
            return out
        if s.op == "cast":
            return args[0].astype(_numpy(s.var.dtype))
        if s.op == "bitcast":
            return args[0].view(_numpy(s.var.dtype))
        if s.op in ("udiv", "urem"):
            safe = np.where(mask, args[1], 1)
            return args[0] // safe if s.op == "udiv" else args[0] % safe
        return np.asarray(TABLE[s.op].numpy(*args))

    def store(self, s: K.Store, mask: Array) -> None:
        memory, places, values = self.memory[s.buffer], self.value(s.index), self.value(s.value)
        for lane in np.flatnonzero(mask):
            place = int(places[lane])
            assert 0 <= place < memory.values.size, f"{s.buffer}[{place}] does not exist"
            memory.store(int(lane), place)
            value = values[lane]
            if s.mode != "set":
                value = STEPS[s.mode](memory.values[place], value)
            memory.values[place] = value


def _numpy(dtype: DType) -> np.dtype[Any]:
    return np.dtype(dtype.dtype)


def run(kernel: K.Kernel, buffers: Sequence[Array], sizes: Sequence[int], points: int) -> None:
    """A kernel over its whole grid, in flat arrays.

    Raises:
        RaceError: if two lanes are at one element, one of them to store, with no barrier between.
    """
    K.verify(kernel)
    memory = {b.name: _Memory(b.name, v) for b, v in zip(kernel.buffers, buffers, strict=True)}
    names = dict(zip(kernel.sizes, map(int, sizes), strict=True))
    with np.errstate(all="ignore"):
        for k in range(points):
            for m in kernel.shared:
                memory[m.name] = _Memory(m.name, np.zeros(m.length, _numpy(m.dtype)))
            for m in memory.values():
                m.forget()
            point = _Point(kernel, memory, {**names, "lo": k, "hi": k + 1})
            point.run(kernel.body, np.ones(kernel.lanes, bool))
