"""What a `for` goes over: ranges and arrays, also traced, and `enumerate`, `zip` and `reversed` of them."""

from __future__ import annotations

import builtins
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.array import Array, to_array
from numr.python_control.values import is_traced, weak


class Rows:
    """What can be gone over in the graph: so many elements, each found by its number.

    Attributes:
        length: how many, possibly traced.
        arrays: arrays whose rows the elements are made of, for a loop that is handed them.
        traced: whether Python cannot go over it.
    """

    length: Any
    arrays: tuple[Array, ...] = ()
    traced: bool

    def item(self, index: Any, rows: Sequence[Any]) -> Any:
        """The element of this number, of rows of the arrays."""
        raise NotImplementedError

    def reversed(self) -> Rows:
        raise NotImplementedError

    def first(self, count: int) -> tuple[Array, ...]:
        """The arrays as far as a loop over `count` elements needs them."""
        return tuple(x if x.shape[0] == count else x[:count] for x in self.arrays)

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError


class RangeRows(Rows):
    def __init__(self, start: Any, stop: Any, step: Any) -> None:
        self.bounds = start, stop, step
        self.traced = any(is_traced(x) for x in self.bounds)
        self.start, self.step = start, step
        if not self.traced:
            self.length = len(range(*self.bounds))
            return
        self.start, stop, self.step = (
            x if isinstance(x, int) else _integer(x) for x in (start, stop, step)
        )
        from numr.functions.all import maximum

        count: Any = -((self.start - stop) // self.step)
        self.length = maximum(count, 0)

    def item(self, index: Any, rows: Sequence[Any]) -> Any:
        found = self.start + index * self.step
        return weak(found) if isinstance(found, Array) else found

    def reversed(self) -> Rows:
        made = RangeRows.__new__(RangeRows)
        made.traced, made.length = self.traced, self.length
        made.start, made.step = self.start + (self.length - 1) * self.step, -self.step
        made.bounds = (made.start, made.start + made.length * made.step, made.step)
        return made

    def __iter__(self) -> Iterator[Any]:
        return iter(range(*self.bounds))


def _integer(x: Any) -> Array:
    """A bound of a range."""
    found = to_array(x)
    if found.dtype.kind not in "iu" or found.shape != ():
        raise TypeError(
            f"range() needs integers, not an array of shape {tuple(map(int, found.shape))} "
            f"and dtype {found.dtype}"
        )
    return found.astype("int64")  # type: ignore[no-any-return, attr-defined]


class ArrayRows(Rows):
    def __init__(self, array: Any) -> None:
        self.array = array
        self.traced = is_traced(array)
        self.length = array.shape[0]
        self.backwards = False

    @property
    def arrays(self) -> tuple[Array, ...]:  # type: ignore[override]
        array = to_array(self.array)
        return (array[::-1] if self.backwards else array,)

    def item(self, index: Any, rows: Sequence[Any]) -> Any:
        return rows[0]

    def reversed(self) -> Rows:
        made = ArrayRows(self.array)
        made.backwards = not self.backwards
        return made

    def __iter__(self) -> Iterator[Any]:
        return iter(reversed(self.array) if self.backwards else self.array)


class EnumerateRows(Rows):
    def __init__(self, rows: Rows, start: Any = 0) -> None:
        self.rows, self.start = rows, start
        self.length, self.traced = rows.length, rows.traced or is_traced(start)

    @property
    def arrays(self) -> tuple[Array, ...]:  # type: ignore[override]
        return self.rows.arrays

    def item(self, index: Any, rows: Sequence[Any]) -> Any:
        number = self.start + index
        return weak(number) if isinstance(number, Array) else number, self.rows.item(index, rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(enumerate(self.rows, self.start))


class ZipRows(Rows):
    def __init__(self, parts: Sequence[Rows], strict: bool) -> None:
        from numr.functions.all import minimum

        self.parts, self.strict = parts, strict
        self.traced = any(p.traced for p in parts)
        length = parts[0].length
        for p in parts[1:]:
            if isinstance(length, Array) or isinstance(p.length, Array):
                length = minimum(length, p.length)
            elif strict and length != p.length:
                raise ValueError("zip() was given arguments of different lengths, and strict=True")
            else:
                length = min(length, p.length)
        self.length = length

    @property
    def arrays(self) -> tuple[Array, ...]:  # type: ignore[override]
        return tuple(x for p in self.parts for x in p.arrays)

    def item(self, index: Any, rows: Sequence[Any]) -> Any:
        found, waiting = [], list(rows)
        for p in self.parts:
            count = len(p.arrays)
            found.append(p.item(index, waiting[:count]))
            del waiting[:count]
        return tuple(found)

    def __iter__(self) -> Iterator[Any]:
        return iter(zip(*self.parts, strict=self.strict))


def rows_of(x: Any) -> Rows | None:
    """What is gone over as rows, or None if only Python can."""
    if isinstance(x, Rows):
        return x
    if isinstance(x, range):
        return RangeRows(x.start, x.stop, x.step)
    if isinstance(x, Array) or (isinstance(x, np.ndarray) and x.dtype.kind in "biufc"):
        return ArrayRows(x) if x.ndim else None
    return None


def iterated(function: Any, *arguments: Any, **options: Any) -> Any:
    """`range(...)`, `enumerate(...)`, `zip(...)` or `reversed(...)` of what may be traced."""
    if function is builtins.range and any(is_traced(x) for x in arguments):
        start, stop, step = (0, *arguments, 1) if len(arguments) == 1 else (*arguments, 1)[:3]
        return RangeRows(start, stop, step)
    if function in (builtins.enumerate, builtins.zip, builtins.reversed) and arguments:
        if function is builtins.enumerate:
            arguments, start = arguments[:1], (*arguments[1:], options.get("start", 0))[0]
        parts = [rows_of(x) for x in arguments]
        if all(p is not None for p in parts):
            rows = [p for p in parts if p is not None]
            if function is builtins.enumerate:
                return EnumerateRows(rows[0], start)
            if function is builtins.zip:
                return ZipRows(rows, options.get("strict", False))
            if isinstance(rows[0], (RangeRows, ArrayRows)):
                return rows[0].reversed()
        if function is builtins.enumerate:
            return enumerate(arguments[0], start)
    return function(*arguments, **options)
