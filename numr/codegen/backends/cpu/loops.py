"""Loops whose bodies are kernels, run natively: a table of launches, gone through once a step.

What is carried has two buffers by turns, so there are two tables of launches. The words of a launch that
are addresses of rows move on by a row after each step. A loop is run in stretches of some milliseconds,
between which Python looks whether it was interrupted.
"""

from __future__ import annotations

import ctypes
import functools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numr import config
from numr.codegen.backends.cpu import native, objects
from numr.codegen.flat import Flat
from numr.dtypes import DType, bool_
from numr.runtime.allocator import allocator

# Launches of more work than this have several threads, and a step that has one gains nothing here.
LARGE = 4_000_000
# Seconds of a stretch, about, and steps of the first one.
STRETCH, FIRST = 0.02, 256

# Control words: two tables of the test's launches, two of the body's (address and number each), then the
# rows' words (address, number), then the address of the test's result, 0 if there is no test.
_CONTROL = 11
_TEXT = """
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define void @numr_copy(i64 %lo, i64 %hi, ptr %words) {
entry:
  %to = load ptr, ptr %words
  %from.at = getelementptr i64, ptr %words, i64 1
  %from = load ptr, ptr %from.at
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %hi, i1 false)
  ret void
}

define internal void @numr_launches(ptr %control, i64 %at) {
entry:
  %ops.at = getelementptr i64, ptr %control, i64 %at
  %ops = load ptr, ptr %ops.at
  %count.at = getelementptr i64, ptr %ops.at, i64 1
  %count = load i64, ptr %count.at
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %body, label %done
body:
  %first = mul i64 %i, 3
  %op = getelementptr i64, ptr %ops, i64 %first
  %fn = load ptr, ptr %op
  %words.at = getelementptr i64, ptr %op, i64 1
  %words = load ptr, ptr %words.at
  %hi.at = getelementptr i64, ptr %op, i64 2
  %hi = load i64, ptr %hi.at
  call void %fn(i64 0, i64 %hi, ptr %words)
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}

define i64 @numr_steps(ptr %control, i64 %first, i64 %end) {
entry:
  %rows.at = getelementptr i64, ptr %control, i64 8
  %rows = load ptr, ptr %rows.at
  %count.at = getelementptr i64, ptr %control, i64 9
  %count = load i64, ptr %count.at
  %flag.at = getelementptr i64, ptr %control, i64 10
  %flag = load ptr, ptr %flag.at
  %always = icmp eq ptr %flag, null
  br label %head
head:
  %step = phi i64 [ %first, %entry ], [ %step.next, %again ]
  %more = icmp slt i64 %step, %end
  br i1 %more, label %turn, label %done
turn:
  %odd = and i64 %step, 1
  %test.at = shl i64 %odd, 1
  %body.at = add i64 %test.at, 4
  br i1 %always, label %body, label %test
test:
  call void @numr_launches(ptr %control, i64 %test.at)
  %holds = load i8, ptr %flag
  %ends = icmp eq i8 %holds, 0
  br i1 %ends, label %done, label %body
body:
  call void @numr_launches(ptr %control, i64 %body.at)
  br label %row
row:
  %r = phi i64 [ 0, %body ], [ %r.next, %move ]
  %r.more = icmp slt i64 %r, %count
  br i1 %r.more, label %move, label %again
move:
  %pair = shl i64 %r, 1
  %word.at = getelementptr i64, ptr %rows, i64 %pair
  %word = load ptr, ptr %word.at
  %stride.at = getelementptr i64, ptr %word.at, i64 1
  %stride = load i64, ptr %stride.at
  %old = load i64, ptr %word
  %new = add i64 %old, %stride
  store i64 %new, ptr %word
  %r.next = add i64 %r, 1
  br label %row
again:
  %step.next = add i64 %step, 1
  br label %head
done:
  ret i64 %step
}
"""


@functools.cache
def _address(name: str) -> objects.Address:
    return objects.load(native.machine_code(_TEXT), name)


@functools.cache
def _steps() -> Any:
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    return kind(_address("numr_steps"))


Kind = tuple[tuple[int, ...], DType]
# Function, places, other words, points.
Launch = tuple[int, Sequence[int], Sequence[int], int]


class _Table:
    """Launches over places, laid out as words: what is an address is noted, to be filled in."""

    def __init__(self) -> None:
        self.words: list[int] = [0] * _CONTROL
        self.places: list[tuple[int, int]] = []  # (word, the place whose address it is)
        self.inside: list[tuple[int, int]] = []  # (word, the word whose address it is)

    def launches(self, at: int, ops: Sequence[Launch]) -> None:
        """Put launches into a control word's table."""
        first = len(self.words)
        self.inside.append((at, first))
        self.words[at + 1] = len(ops)
        self.words += [0] * (3 * len(ops))
        for k, (function, places, rest, points) in enumerate(ops):
            here = first + 3 * k
            self.inside.append((here + 1, len(self.words)))
            self.words[here], self.words[here + 2] = function, points
            self.places += [(len(self.words) + i, p) for i, p in enumerate(places)]
            self.words += [*[0] * len(places), *rest]

    def moving(self, strides: dict[int, int]) -> None:
        """Let the words that are addresses of rows, which `strides` has, move on."""
        found = [(word, strides[p]) for word, p in self.places if p in strides]
        self.inside.append((8, len(self.words)))
        self.words[9] = len(found)
        for word, stride in found:
            self.inside.append((len(self.words), word))
            self.words += [0, stride]


class _Places:
    """Numbers of buffers: what is given, what is carried in either turn, rows, and what is only within."""

    def __init__(self, consts: int, carries: int) -> None:
        self.consts, self.carries = consts, carries
        self.count = consts + 2 * carries

    def new(self) -> int:
        self.count += 1
        return self.count - 1

    def carried(self, k: int, turn: int) -> int:
        return self.consts + turn * self.carries + k


def _laid_out(
    body: Flat,
    inputs: Sequence[int],
    outputs: Sequence[int],
    within: dict[int, int],
    places: _Places,
    sizes: Sequence[int],
) -> list[Launch]:
    """The launches of a body on places: its operands', and where its results go, which have so many
    bytes. `within` gets a place for each array that is only within."""
    mine: dict[int, int] = dict(enumerate(inputs))
    copied = []
    for slot, place, nbytes in zip(body.results, outputs, sizes, strict=True):
        if slot not in mine:
            mine[slot] = place
        else:  # an operand, or a second time the same
            copied.append((slot, place, nbytes))
    for slot in body.made:
        if slot not in mine:
            if slot not in within:
                within[slot] = places.new()
            mine[slot] = within[slot]
    ops: list[Launch] = [
        (op.built, [mine[s] for s in op.slots], op.sizes, op.points) for op in body.ops
    ]
    copy = _address("numr_copy")
    return ops + [(copy, [place, mine[slot]], (), nbytes) for slot, place, nbytes in copied]


def _bytes(kind: Kind) -> int:
    return math.prod(kind[0]) * kind[1].itemsize


def looped(
    test: Flat | None,
    body: Flat,
    counts: tuple[int, int],
    carried: Sequence[Kind],
    rows_in: Sequence[Kind],
    rows_out: Sequence[Kind],
    length: int,
    reverse: bool,
) -> Callable[[list[Any]], list[Any]] | None:
    """A loop as a function of its operands; None where Python does as well.

    Args:
        test: the condition, of a loop that has one; its operands are `counts[0]` of the loop's, then what
            is carried.
        body: a step: `counts[1]` operands that all steps see, what is carried, then a row of each array.
        counts: how many operands the test has, and the body, that do not change.
        carried: the types of what is carried.
        rows_in, rows_out: the types of a row of each array that is read, and written.
        length: how many steps there are, unless a test ends them.
        reverse: whether rows go from the last to the first.
    """
    if body.work > LARGE and config.get().num_threads > 1:
        return None
    tests, consts = counts
    places = _Places(tests + consts, len(carried))
    x_places = [places.new() for _ in rows_in]
    y_places = [places.new() for _ in rows_out]
    table = _Table()
    within: dict[int, int] = {}
    flag = 0
    if test is not None:
        flag = places.new()
        inner: dict[int, int] = {}
        for turn in (0, 1):
            given = [*range(tests), *(places.carried(k, turn) for k in range(len(carried)))]
            table.launches(2 * turn, _laid_out(test, given, [flag], inner, places, [1]))
        tested = [(inner[s], test.made[s]) for s in inner]
    else:
        tested = []
    for turn in (0, 1):
        given = [
            *range(tests, tests + consts),
            *(places.carried(k, turn) for k in range(len(carried))),
            *x_places,
        ]
        out = [*(places.carried(k, 1 - turn) for k in range(len(carried))), *y_places]
        nbytes = [_bytes(kind) for kind in (*carried, *rows_out)]
        table.launches(4 + 2 * turn, _laid_out(body, given, out, within, places, nbytes))
    sign = -1 if reverse else 1
    strides = {
        p: sign * _bytes(kind)
        for p, kind in zip([*x_places, *y_places], [*rows_in, *rows_out], strict=True)
    }
    table.moving(strides)
    inner_kinds = [*tested, *((within[s], body.made[s]) for s in within)]
    for k, kind in enumerate(carried):
        inner_kinds += [(places.carried(k, turn), kind) for turn in (0, 1)]
    if test is not None:
        inner_kinds.append((flag, ((1,), bool_)))
    memory = _Memory(table, places.count, inner_kinds)
    memory.kernels = [x.kernels for x in (test, body) if x is not None]
    row_makers = [allocator((length, *shape), dtype.dtype) for shape, dtype in rows_out]
    last = max(length - 1, 0) if reverse else 0
    shifts = [last * abs(strides[p]) for p in (*x_places, *y_places)]
    end = length if test is None else 2**62
    firsts = [places.carried(k, 0) for k in range(len(carried))]
    results = [[places.carried(k, turn) for k in range(len(carried))] for turn in (0, 1)]
    outer = [*range(tests + consts), *x_places, *y_places]

    def run(given: list[Any]) -> list[Any]:
        first = given[tests + consts :][: len(carried)]
        ys = [make() for make in row_makers]
        theirs = [x.ctypes.data for x in given[: tests + consts]]
        moving = [*given[tests + consts + len(carried) :], *ys]
        theirs += [a.ctypes.data + shift for a, shift in zip(moving, shifts, strict=True)]
        view, words = memory.filled(outer, theirs, flag if test is not None else None)
        for place, array in zip(firsts, first, strict=True):
            view(place)[...] = array
        done = _go(words, end)
        last_carried = [view(place) for place in results[done & 1]]
        if not memory.small:
            last_carried = [np.array(x) for x in last_carried]
        return [*last_carried, *ys]

    return run


class _Memory:
    """A table and the buffers that only a loop uses, in one piece of memory."""

    def __init__(self, table: _Table, count: int, inside: Sequence[tuple[int, Kind]]) -> None:
        self.template = np.array(table.words, np.int64)
        self.words = np.array([w for w, _ in table.places], np.int64)
        self.who = np.array([p for _, p in table.places], np.int64)
        self.at = np.array([w for w, _ in table.inside], np.int64)
        self.to = 8 * np.array([w for _, w in table.inside], np.int64)
        self.offsets = np.zeros(count, np.int64)
        self.kinds: dict[int, tuple[tuple[int, ...], Any, int]] = {}
        end = _aligned(8 * len(table.words))
        for place, (shape, dtype) in inside:
            self.offsets[place] = end
            self.kinds[place] = shape, dtype.dtype, end
            end += _aligned(_bytes((shape, dtype)))
        self.make = allocator((end + _LINE,), np.dtype(np.uint8))
        self.small = end <= _SMALL
        self.kernels: list[Any] = []  # whose code the table has addresses of

    def filled(
        self, outer: Sequence[int], theirs: Sequence[int], flag: int | None
    ) -> tuple[Callable[[int], Any], Any]:
        """Fresh memory with its table, given the addresses of the places outside: a function from a
        place to its array, and the table."""
        block = self.make()
        address = block.ctypes.data
        shift = -address % _LINE
        base = address + shift
        addresses = self.offsets + base
        addresses[outer] = theirs
        words = np.ndarray(self.template.shape, np.int64, block, shift)
        words[:] = self.template
        words[self.words] = addresses[self.who]
        words[self.at] = self.to + base
        if flag is not None:
            words[_CONTROL - 1] = addresses[flag]

        def view(place: int) -> Any:
            shape, dtype, offset = self.kinds[place]
            return np.ndarray(shape, dtype, block, shift + offset)

        return view, words


def _go(words: Any, end: int) -> int:
    """Run steps until the end or the test, in stretches; how many there were."""
    steps, table = _steps(), words.ctypes.data
    done, stretch = 0, FIRST
    while done < end:
        wanted = min(done + stretch, end)
        begun = time.perf_counter()
        done = steps(table, done, wanted)
        if done < wanted:
            break
        grown = STRETCH / (time.perf_counter() - begun + 1e-9)
        stretch = int(stretch * min(max(grown, 0.5), 16)) + 1
    return done


# Buffers begin at cache lines. A result that is part of larger memory than this is copied out of it.
_LINE, _SMALL = 64, 1 << 14


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _LINE) * _LINE
