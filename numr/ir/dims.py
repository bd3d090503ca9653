"""Sizes: `Size`, an int that remembers which axis it came from, and `Dim`, a size symbol of a program.

A trace runs on real integers, but kernels and programs are written for any size. `Size` is how the
two meet: `x.shape` gives Sizes, the shape rules pass them through and unify the ones an operation
requires to be equal, and after the trace each class of equal Sizes becomes one `Dim`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any


class Size(int):
    """The length of one axis during a trace: an int with an identity (a union-find cell).

    Arithmetic gives plain ints: only sizes that are passed on unchanged keep their identity.
    """

    _parent: Size | None

    def __new__(cls, value: int) -> Size:
        self = super().__new__(cls, value)
        self._parent = None
        return self

    def root(self) -> Size:
        """The representative of this size's class."""
        node = self
        while node._parent is not None:
            node = node._parent
        while self._parent is not None:
            self._parent, self = node, self._parent
            if self is node:
                break
        return node

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return (int, (int(self),))


Shape = tuple[int, ...]


def unify(a: int, b: int) -> int:
    """Record that two lengths, already known to be equal, are equal by construction."""
    if type(a) is Size:
        if type(b) is Size and a is not b:
            ra, rb = a.root(), b.root()
            if ra is not rb:
                rb._parent = ra
        return a
    return b


def unify_shapes(a: Shape, b: Shape) -> Shape:
    """Unify two equal shapes axis by axis."""
    if a is b:
        return a
    return tuple(map(unify, a, b))


def fresh_shape(shape: Iterable[int]) -> Shape:
    """A shape of new Sizes. Axes of length 1 stay plain: being 1 is structure (it broadcasts)."""
    return tuple(_fresh(n) for n in shape)


def _fresh(n: int) -> int:
    if isinstance(n, Size) and type(n) is not Size:
        return n  # it stands for a formula, and so do equal ones
    return int(n) if n == 1 else Size(int(n))


def as_length(n: Any) -> int:
    """A whole number as a length: a Size stays one."""
    return n if isinstance(n, Size) else operator.index(n)


class Dim:
    """A size symbol: stands for the same length everywhere in one program or kernel."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __repr__(self) -> str:
        return f"d{self.index}"


Extent = Dim | int
