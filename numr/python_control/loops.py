"""`while` and `for`: Python's as long as Python knows what decides, and primitives from there on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Any

import numr.control
from numr import messages
from numr.array import Array, to_array
from numr.control import Leaf, Traced
from numr.python_control.branches import _form, _text, branch, type_text, zeros
from numr.python_control.iterables import Rows, rows_of
from numr.python_control.jumps import RESULT
from numr.python_control.values import (
    is_number,
    is_python_number,
    is_traced,
    same_constant,
    truth,
    weak,
)
from numr.python_control.variables import MISSING, Flat, Function, Site, Values


def any_of(flags: Iterable[Any]) -> Any:
    """Whether one of some flags is up: True or False where that is known, or else a traced boolean."""
    up = [flag for flag in flags if flag is not False]
    if any(flag is True for flag in up):
        return True
    return functools.reduce(lambda a, b: a | b, up) if up else False


def while_python(test: Function, body: Function, site: Site) -> None:
    """A `while`. Rounds go on in Python until a test, or a jump out, is traced."""
    site.begin()
    while True:
        before = site.saved() if site.stops else {}
        go = test()
        if is_traced(go):
            return while_traced(test, body, site)
        if not go:
            return None
        body()
        stopped = any_of(site.stop_flags())
        if is_traced(stopped):
            site.put(before)
            return while_traced(test, body, site, certain=True)
        if stopped:
            return None


def for_python(iterable: Any, body: Function, site: Site) -> None:
    """A `for`. Rounds go on in Python until a jump out is traced."""
    rows = rows_of(iterable)
    if rows is not None and rows.traced:
        site.begin()
        return for_traced(rows, 0, body, site)
    if not site.stops:
        for item in iterable:
            body(item)
        return None
    site.begin()
    waiting = iter(iterable)
    for index, item in enumerate(waiting):
        before = site.saved() if rows is not None else {}
        body(item)
        stopped = any_of(site.stop_flags())
        if is_traced(stopped):
            if rows is not None:
                site.put(before)
                return for_traced(rows, index, body, site)
            return _unrolled(waiting, iterable, body, site)
        if stopped:
            return None
    return None


def _unrolled(waiting: Iterable[Any], iterable: Any, body: Function, site: Site) -> None:
    """What is left of a loop over a list or the like, each round a branch."""
    if not isinstance(iterable, Sized):
        raise messages.endless_iterator(type(iterable).__name__)
    site.refuse()
    for item in waiting:
        _unless_stopped(lambda item=item: body(item), site)


def _unless_stopped(round_: Function, site: Site) -> None:
    """One round, unless a jump has left the loop."""
    stopped = any_of(site.stop_flags())
    if stopped is True:
        return
    if stopped is False:
        round_()
        return

    def go_on() -> None:
        site.lower_flags()
        round_()

    branch(~stopped, go_on, lambda: None, site)


class Carry:
    """What a loop carries: the variables that it assigns, as arrays in one order.

    Args:
        site: the loop.
        round_: one round, given the variables' values, which leaves new ones in the variables.
        before: the variables' values at the start.
    """

    def __init__(self, site: Site, round_: Callable[[], Any], before: Values) -> None:
        self.site = site
        # A jump that has not happened lowers its flag; a flag that is up is of a loop that has ended.
        self.start = {n: False if n in site.stops else v for n, v in before.items()}
        missing = [n for n, v in self.start.items() if v is MISSING]
        self.unsettled = missing
        if missing:
            self._complete(round_, missing)
        self.flats = {n: Flat(v) for n, v in self.start.items() if v is not MISSING}
        # A body is traced more than once; the others hold what they held, not what the last time left.
        self.rest = {n: v for n, v in site.everything().items() if n not in self.flats}
        self.weak = [
            is_python_number(x) or (isinstance(x, Array) and x.weak)
            for f in self.flats.values()
            for x in f.numbers()
        ]

    def _complete(self, round_: Callable[[], Any], missing: list[str]) -> None:
        """Values for variables that have none before the first round: zeros of the type that a round
        gives them, which nobody reads, as it is an error if a round does."""
        site = self.site
        kept: dict[str, Flat] = {}
        everything = site.everything()
        for name in missing:
            why = f"the traced `{site.word}` above reads it in its first round, and nothing assigned it before"
            site.lose(name, why)
        # What is carried must not seem known: placeholders stand for it.
        flats = {
            n: Flat(v) for n, v in self.start.items() if v is not MISSING and n not in site.stops
        }

        def call(arrays: Sequence[Array]) -> list[Any]:
            site.enter(self.start)
            given = iter(arrays)
            site.put({n: f.rebuilt(given) for n, f in flats.items()})
            round_()
            after = site.get()
            kept.update({n: Flat(after[n]) for n in missing if after[n] is not MISSING})
            return [x for flat in kept.values() for x in flat.numbers()]

        leaves = [_leaf_of(x) for f in flats.values() for x in f.numbers()]
        kind = "while_loop" if site.word == "while" else "scan"
        traced = Traced(kind, round_, leaves, call)
        site.put(everything)
        types = iter(traced.results)
        for name, flat in kept.items():
            if all(is_number(x) for x in flat.leaves):
                self.start[name] = flat.structure.unflatten(
                    [zeros(next(types)) for _ in flat.leaves]
                )
            elif not flat.numbers():
                self.start[name] = flat.structure.unflatten(flat.leaves)
            else:
                raise messages.loop_changes(site.word, site.explained(name), "nothing", _form(flat))

    def arrays(self) -> list[Any]:
        return [x for f in self.flats.values() for x in f.numbers()]

    def enter(self, arrays: Sequence[Array]) -> None:
        """Put what is carried into the variables."""
        given = iter(arrays)
        self.site.put(self.rest | {n: f.rebuilt(given) for n, f in self.flats.items()})

    def leave(self, entered: Sequence[Array]) -> list[Any]:
        """What a round left in the variables, checked to be as it was."""
        after = self.site.get()
        found: list[Any] = []
        types = iter(entered)
        for name, flat in self.flats.items():
            value = after[name]
            new = None if value is MISSING else Flat(value)
            if new is None or new.structure != flat.structure:
                self._changed(name, _form(flat), "nothing" if new is None else _form(new))
                continue
            for a, b in zip(flat.leaves, new.leaves, strict=True):
                if is_number(a) and is_number(b):
                    self._check(name, next(types), b)
                    found.append(b)
                elif is_number(a) or is_number(b) or not same_constant(a, b):
                    self._changed(name, _text(a), _text(b))
        self.weak = [
            was and (is_python_number(x) or (isinstance(x, Array) and x.weak))
            for was, x in zip(self.weak, found, strict=True)
        ]
        return found

    def _changed(self, name: str, before: str, after: str) -> None:
        raise messages.loop_changes(self.site.word, self.site.explained(name), before, after)

    def _check(self, name: str, before: Array, value: Any) -> None:
        after = to_array(value)
        yields = before.weak or after.weak or is_python_number(value)
        same = after.dtype is before.dtype or yields
        if after.shape != before.shape or not same:
            types = (_leaf_of(before), _leaf_of(value))
            self._changed(name, *(type_text(x) for x in types))

    def finish(self, arrays: Sequence[Array], certain: bool) -> None:
        """The variables' values behind the loop."""
        given = iter(
            [weak(x) if is_weak else x for x, is_weak in zip(arrays, self.weak, strict=True)]
        )
        values = {n: f.rebuilt(given) for n, f in self.flats.items()}
        for name in self.unsettled:
            if name not in values or not (
                (certain and name in self.site.certain) or name == RESULT
            ):
                values[name] = MISSING
                why = "and not in every round" if certain else "which may go round not once"
                self.site.lose(name, f"only the traced `{self.site.word}` above assigns it, {why}")
        self.site.put(values)


def _leaf_of(x: Any) -> Leaf:
    array = to_array(x)
    return Leaf(array.node, array.weak or is_python_number(x))


def while_traced(test: Function, body: Function, site: Site, certain: bool = False) -> None:
    """A `while` as numr.while_loop. `certain` if the first round is sure to run."""
    site.refuse()
    before = site.get()
    always = False
    with site.traced(before):
        carry = Carry(site, body, before)
        names = list(carry.flats)

        def go(arrays: list[Array]) -> Any:
            nonlocal always
            carry.enter(arrays)
            stopped = any_of(site.stop_flags())
            verdict = test()
            always = not isinstance(verdict, Array) and bool(verdict)
            on = (
                truth(verdict, "`while`") if isinstance(verdict, Array) else to_array(bool(verdict))
            )
            return on & ~stopped if isinstance(stopped, Array) else on

        def on(arrays: list[Array]) -> list[Any]:
            carry.enter(arrays)
            site.lower_flags()
            body()
            return carry.leave(arrays)

        go.__name__ = on.__name__ = body.__name__
        final = numr.control.while_loop(go, on, carry.arrays())
    carry.finish(final, certain)
    if always and len(site.stops) == 1 and site.stops[0] in names:
        site.put({site.stops[0]: True})  # the one way out


def for_traced(rows: Rows, first: int, body: Function, site: Site) -> None:
    """A `for` as numr.scan, or as numr.while_loop where its length is traced; from element `first` on."""
    site.refuse()
    known = not isinstance(rows.length, Array)
    if known and rows.length <= first:
        return
    before = site.get()
    with site.traced(before):
        if known:
            carry, final = _scanned(rows, first, body, site, before)
        else:
            carry, final = _counted(rows, body, site, before)
    carry.finish(final, certain=known)


def _scanned(
    rows: Rows, first: int, body: Function, site: Site, before: Values
) -> tuple[Carry, list[Array]]:
    xs = [x[first:] if first else x for x in rows.first(rows.length)]
    carry = Carry(site, lambda: body(rows.item(weak(to_array(first)), [x[0] for x in xs])), before)

    def step(state: Any, row: Any) -> Any:
        index, arrays = state
        carry.enter(arrays)
        _unless_stopped(lambda: body(rows.item(index, row)), site)
        return (index + 1, carry.leave(arrays)), None

    step.__name__ = body.__name__
    start = (first, carry.arrays())
    (_, final), _ = numr.control.scan(step, start, xs, length=rows.length - first)
    return carry, final


def _counted(rows: Rows, body: Function, site: Site, before: Values) -> tuple[Carry, list[Array]]:
    def item(index: Any) -> Any:
        return rows.item(index, [x[index] for x in rows.arrays])

    carry = Carry(site, lambda: body(item(to_array(0))), before)

    def go(state: Any) -> Any:
        index, arrays = state
        carry.enter(arrays)
        stopped = any_of(site.stop_flags())
        on = index < rows.length
        return on & ~stopped if isinstance(stopped, Array) else on

    def on(state: Any) -> Any:
        index, arrays = state
        carry.enter(arrays)
        site.lower_flags()
        body(item(index))
        return index + 1, carry.leave(arrays)

    go.__name__ = on.__name__ = body.__name__
    return carry, numr.control.while_loop(go, on, (0, carry.arrays()))[1]
