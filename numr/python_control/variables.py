"""The variables that a branch or loop assigns: read and written through the cells of its functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from numr import messages, tree
from numr.array import Array, to_array
from numr.python_control import regions
from numr.python_control.jumps import RESULT
from numr.python_control.regions import Region
from numr.python_control.values import fresh, is_number

Function = Callable[..., Any]
Values = dict[str, Any]


class _Missing:
    """What stands for the value of a variable that has none."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = _Missing()


class _Variable:
    """A variable, by its cell."""

    def __init__(self, cell: Any) -> None:
        self.cell = cell

    def get(self) -> Any:
        try:
            return self.cell.cell_contents
        except ValueError:
            return MISSING

    def put(self, value: Any) -> None:
        if value is not MISSING:
            self.cell.cell_contents = value
        elif self.get() is not MISSING:
            del self.cell.cell_contents


class _Contents:
    """What is in an array, a list or a dict that changes in place, for all who hold it."""

    def __init__(self, name: str, holder: Any) -> None:
        self.name, self.holder = name, holder

    def refuse(self) -> None:
        """Raise for what cannot be carried."""
        if isinstance(self.holder, np.ndarray):
            raise messages.changes_numpy(self.name)
        if not isinstance(self.holder, (Array, list, dict)):
            raise messages.changes_unknown(self.name, type(self.holder).__name__)
        regions.check_change(self.holder, f"{self.name}[...]", False)

    def get(self) -> Any:
        if isinstance(self.holder, Array):
            return self.holder.__copy__()
        copied = isinstance(self.holder, (list, dict, np.ndarray))
        return self.holder.copy() if copied else MISSING

    def put(self, value: Any) -> None:
        if value is MISSING:
            return
        if isinstance(self.holder, np.ndarray):
            self.holder[...] = value
        elif isinstance(self.holder, list):
            self.holder[:] = value
        elif isinstance(self.holder, dict):
            self.holder.clear()
            self.holder.update(value)
        else:
            self.holder.become(to_array(value))


class Site:
    """A branch or loop of the user's: its functions, and what its source says of its variables.

    Args:
        functions: the functions it was cut into.
        variables: those it assigns that are read later.
        scratch: those it assigns that are not.
        changed: the names of what it changes in place.
        flags: the flags of jumps among what it assigns.
        stops: of a loop: the flags that end it.
        certain: of a loop: the variables that one round surely gives a value.
        within: "try" or "with", if it stands in one.
        word: "if", "while" or "for".
        lost: where it is noted why a variable has no value.
    """

    def __init__(
        self,
        functions: Sequence[Function],
        *,
        variables: Sequence[str],
        scratch: Sequence[str],
        changed: Sequence[str],
        flags: Sequence[str],
        stops: Sequence[str],
        certain: Sequence[str],
        within: str | None,
        word: str,
        lost: dict[str, str],
    ) -> None:
        self.functions = functions
        self.names = (*variables, *flags)
        self.scratch = scratch
        self.changed = changed
        self.flags = flags
        self.stops = stops
        self.certain = frozenset(certain)
        self.within = within
        self.word = word
        self.lost = lost
        self._cells = {
            name: cell
            for f in functions
            for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
        }
        self._slots: dict[str, _Variable | _Contents] = {}

    def begin(self) -> None:
        """Find the variables, and what changes in place."""
        self._slots = {n: _Variable(self._cells[n]) for n in (*self.names, *self.scratch)}
        seen: set[int] = set()
        for name in self.changed:
            holder = self._named(name)
            if holder is not MISSING and id(holder) not in seen:
                seen.add(id(holder))
                self._slots[f"{name}[...]"] = _Contents(name, holder)

    def _named(self, name: str) -> Any:
        if name in self._cells:
            return _Variable(self._cells[name]).get()
        return self.functions[0].__globals__.get(name, MISSING)

    def refuse(self) -> None:
        """Before a primitive is made: raise for what cannot be part of it."""
        if self.within is not None:
            raise messages.traced_within(self.word, self.within)
        for slot in self._slots.values():
            if isinstance(slot, _Contents):
                slot.refuse()

    def everything(self) -> Values:
        """All variables that are assigned, and what changes in place."""
        return {n: s.get() for n, s in self._slots.items()}

    def get(self) -> Values:
        """Of these, what is part of the result."""
        return {n: s.get() for n, s in self._slots.items() if n not in self.scratch}

    def put(self, values: Values) -> None:
        for name, slot in self._slots.items():
            if name in values:
                slot.put(values[name])

    def stop_flags(self) -> list[Any]:
        return [self._slots[name].get() for name in self.stops]

    def lower_flags(self) -> None:
        for name in self.stops:
            self._slots[name].put(False)

    @contextmanager
    def traced(self, before: Values) -> Iterator[None]:
        """While functions run on placeholders; afterwards variables have the values they had."""
        everything = {**self.everything(), **before}
        outside = [_Variable(c).get() for c in self._cells.values()]
        held = [s.holder for s in self._slots.values() if isinstance(s, _Contents)]
        try:
            cells = [s.cell for s in self._slots.values() if isinstance(s, _Variable)]
            with regions.entered(Region(self.word, outside, held, cells)):
                yield
        finally:
            self.put(everything)

    def enter(self, values: Values) -> None:
        """Before a function runs: variables with values of their own, which may be changed in place."""
        self.put({n: fresh(v) for n, v in values.items()})

    def saved(self) -> Values:
        return {n: fresh(v) for n, v in self.get().items()}

    def lose(self, name: str, why: str) -> None:
        """A variable has no value from here on."""
        self.lost[name] = why

    def explained(self, name: str) -> str:
        """How messages call a variable."""
        if name == RESULT:
            return "the value it returns"
        return f"`{name.removesuffix('[...]')}`"


class Flat:
    """A value taken apart: its leaves, and what is around them."""

    __slots__ = ("leaves", "structure")

    def __init__(self, value: Any) -> None:
        self.leaves, self.structure = tree.flatten(value)

    def numbers(self) -> list[Any]:
        return [x for x in self.leaves if is_number(x)]

    def rebuilt(self, numbers: Iterator[Any]) -> Any:
        """The value with other arrays in place of its arrays and numbers."""
        return self.structure.unflatten([next(numbers) if is_number(x) else x for x in self.leaves])
