"""What may be changed while a branch or a round of a loop is traced: nothing from outside but variables.

A branch is traced whether or not it will run, and a round once for all rounds. Variables are carried from
what is before to what is behind; a list that grows, an attribute or a global that is set would be changed
once, and whatever the test says.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from numr import messages
from numr.array import Array
from numr.ir.node import scope

_CONTAINERS = (list, dict, set, deque, bytearray, np.ndarray)


class Region:
    """A branch or loop that is being traced.

    Attributes:
        word: "if", "while" or "for".
        outside: what the variables it sees held before.
        owned: the arrays and containers that are carried as variables are, by their ids.
        cells: the cells of the variables that are carried.
    """

    def __init__(
        self, word: str, outside: Iterable[Any], owned: Iterable[Any], cells: Iterable[Any]
    ) -> None:
        self.word = word
        self.outside = list(outside)
        self.owned = {id(x): x for x in owned}
        self.cells = list(cells)

    def carries(self, cell: Any) -> bool:
        return any(cell is c for c in self.cells)

    def may_change(self, x: Any) -> bool:
        return id(x) in self.owned or not _reaches(self.outside, x)


class _Stack(threading.local):
    def __init__(self) -> None:
        self.regions: list[Region] = []


_stack = _Stack()


@contextmanager
def entered(region: Region) -> Iterator[None]:
    outer, scope.changing = scope.changing, _changing_array
    _stack.regions.append(region)
    try:
        yield
    finally:
        _stack.regions.pop()
        scope.changing = outer


def _reaches(values: Iterable[Any], wanted: Any) -> bool:
    """Whether an object is among values, or in what they hold."""
    waiting, seen = list(values), set()
    while waiting:
        x = waiting.pop()
        if x is wanted:
            return True
        if id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, dict):
            waiting += x.values()
        elif isinstance(x, (list, tuple, set, frozenset, deque)):
            waiting += x
        elif not isinstance(x, (Array, type, ModuleType)) and not callable(x):
            attributes = getattr(x, "__dict__", None)
            waiting += attributes.values() if isinstance(attributes, dict) else ()
    return False


def innermost() -> Region | None:
    return _stack.regions[-1] if _stack.regions else None


def _changing_array(x: Array) -> None:
    region = innermost()
    if region is not None and not region.may_change(x):
        raise messages.changes_outside(region.word, "an array")


def check_change(x: Any, text: str, everywhere: bool) -> None:
    """Before `x` changes in place, by the code `text`; `everywhere` if it is no variable of the function.

    Raises:
        ControlFlowError: if a branch or loop is traced which x is not a part of.
    """
    region = innermost()
    if region is None or (text.endswith("()") and not _grows(x, text)):
        return
    if (everywhere and id(x) not in region.owned) or not region.may_change(x):
        raise messages.changes_outside(region.word, text)


def _grows(x: Any, text: str) -> bool:
    """Whether a method that is called changes x: not where it is one of a module or of an array."""
    direct = text.count(".") == 1
    return isinstance(x, _CONTAINERS) if direct else not callable(x) and hasattr(x, "__dict__")
