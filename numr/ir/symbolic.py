"""Lengths that are formulas: what export traces with, where `jit` traces with plain numbers.

A `Symbolic` is a Size with a typical value, which shape rules compute with as ever, and the formula that it
stands for. What is decided about one either follows from the formula, or is noted as a condition on the
sizes at run time if numr asks, or is an error at the user's line if the user's function does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, SupportsIndex

from numr import messages
from numr.ir.dims import Size
from numr.ir.formulas import Formula


@dataclass(frozen=True, slots=True)
class Condition:
    """What sizes must fulfil: that a formula is at least 0 (">="), is 0 ("=="), or is not 0 ("!=")."""

    relation: str
    formula: Formula

    def __str__(self) -> str:
        return f"{self.formula} {self.relation} 0"


class Scope:
    """One export: the typical values of its size symbols, and the conditions found on the way.

    Heuristics choose by `chosen` where that is given: another trace, which has to come to the same. Formulas
    are taken to be equal if they are for the `other` values, too.
    """

    def __init__(
        self,
        typical: dict[str, int],
        other: dict[str, int] | None = None,
        chosen: dict[str, int] | None = None,
    ) -> None:
        self.typical = dict(typical)
        self.other = dict(other or {})
        self.chosen = dict(chosen or {})
        self.conditions: dict[str, Condition] = {}
        self.bounds: dict[str, int] = {}  # what symbols are known to be at least, by conditions
        self._known: dict[str, Symbolic] = {}

    def size(self, formula: Formula) -> int:
        """A formula as a length: a plain int where it has no symbols. Equal formulas are one object."""
        if formula.number is not None:
            return formula.number
        found = self._known.get(formula.text)
        if found is None:
            found = Symbolic.made(formula.value(self.typical), formula, self)
            self._known[formula.text] = found
        return found

    def divides(self, divisor: Formula) -> None:
        """See to it that a divisor is not 0, and that its sign is known."""
        if divisor.at_least(self.bounds) <= 0 and (-divisor).at_least(self.bounds) <= 0:
            above = divisor.value(self.typical) > 0
            self.require(">=", (divisor if above else -divisor) - Formula.of(1))

    def require(self, relation: str, formula: Formula) -> None:
        """Note a condition."""
        found = Condition(relation, formula)
        self.conditions.setdefault(str(found), found)
        (monomial, factor), *rest = formula.terms
        single = factor == 1 and len(monomial) == 1 and not monomial[0].args
        if relation == ">=" and single and all(not m for m, _ in rest):
            symbol, number = monomial[0].name, -sum(c for _, c in rest)
            self.bounds[symbol] = max(number, self.bounds.get(symbol, 1))


def formula(x: int) -> Formula:
    """The formula of a length."""
    return x.formula if isinstance(x, Symbolic) else Formula.of(int(x))


# What `int(n)` would give is asked for in this way here: `int(n)` itself is an error in a user's function.
_plain = int.__int__


def _arithmetic(name: str, swapped: bool = False) -> Any:
    rule: Callable[[Formula, Formula], Formula] = getattr(Formula, name)
    plain = getattr(int, f"__r{name[2:]}" if swapped else name)

    def method(self: Symbolic, other: Any) -> Any:
        if isinstance(other, (float, complex)):
            return getattr(self.number(), f"__r{name[2:]}" if swapped else name)(other)
        if not isinstance(other, int):
            return NotImplemented
        if plain(_plain(self), _plain(other)) is NotImplemented:
            return NotImplemented
        a, b = (formula(other), formula(self)) if swapped else (formula(self), formula(other))
        if name in ("__floordiv__", "__mod__"):
            self.scope.divides(b)
        return self.scope.size(rule(a, b))

    return method


def _number(name: str) -> Any:
    """Arithmetic whose result is no length, such as 1 / n: an array of no axes that is computed at run time."""

    def method(self: Symbolic, other: Any) -> Any:
        if not isinstance(other, (int, float, complex)):
            return NotImplemented
        return getattr(self.number(), name)(
            other.number() if isinstance(other, Symbolic) else other
        )

    return method


def _unseen(name: str) -> Any:
    """What gives a plain number: an error where the user's function asks, since no formula follows from it."""
    plain = getattr(int, name)

    def method(self: Symbolic, *args: Any) -> Any:
        if _asked_by_user():
            raise messages.size_decided(f"{name.strip('_')}({self.formula})")
        return plain(self, *args)

    return method


def _ordering(name: str) -> Any:
    def method(self: Symbolic, other: Any) -> Any:
        if not isinstance(other, int):
            return getattr(int, name)(self, other)
        # a < b is b - a - 1 >= 0
        a, b = formula(self), formula(other)
        gap = b - a if name in ("__lt__", "__le__") else a - b
        if name in ("__lt__", "__gt__"):
            gap = gap - Formula.of(1)
        return self.decide(f"{a} {_SIGNS[name]} {b}", gap)

    return method


_SIGNS = {
    "__lt__": "<",
    "__le__": "<=",
    "__gt__": ">",
    "__ge__": ">=",
    "__eq__": "==",
    "__ne__": "!=",
}


class Symbolic(Size):
    """A length with a formula; its value as an int is a typical one, for heuristics."""

    formula: Formula
    scope: Scope
    # The array of no axes that a length is as a number: set by who knows arrays.
    as_array: ClassVar[Callable[[Symbolic], Any]]

    @classmethod
    def made(cls, value: int, formula: Formula, scope: Scope) -> Symbolic:
        self = cls(value)
        self.formula = formula
        self.scope = scope
        return self

    def number(self) -> Any:
        """The length as an array of no axes, whose value is known at run time."""
        return type(self).as_array(self)

    def need_bits(self) -> None:
        """See to it that a product of many sizes, which need be no array's length, is a number of 64 bits."""
        degree = max(len(monomial) for monomial, _ in self.formula.terms)
        if degree > 2:
            for symbol in sorted(self.formula.symbols()):
                most = Formula.of(int(2 ** (60 / degree)))
                self.scope.require(">=", most - Formula.of(symbol))

    def root(self) -> Size:
        return self

    __add__ = __radd__ = _arithmetic("__add__")
    __mul__ = __rmul__ = _arithmetic("__mul__")
    __sub__ = _arithmetic("__sub__")
    __rsub__ = _arithmetic("__sub__", swapped=True)
    __floordiv__ = _arithmetic("__floordiv__")
    __rfloordiv__ = _arithmetic("__floordiv__", swapped=True)
    __mod__ = _arithmetic("__mod__")
    __rmod__ = _arithmetic("__mod__", swapped=True)
    __truediv__ = _number("__truediv__")
    __rtruediv__ = _number("__rtruediv__")
    __lt__ = _ordering("__lt__")
    __le__ = _ordering("__le__")
    __gt__ = _ordering("__gt__")
    __ge__ = _ordering("__ge__")

    def __neg__(self) -> int:
        return self.scope.size(-self.formula)

    def __pos__(self) -> int:
        return self

    __trunc__ = __floor__ = __ceil__ = conjugate = __pos__

    def __round__(self, digits: SupportsIndex = 0) -> int:
        return self if digits.__index__() >= 0 else int(_unseen("__round__")(self, digits))

    def __lshift__(self, other: int) -> Any:
        return self * 2**other

    def __rshift__(self, other: int) -> Any:
        return self // 2**other

    __and__ = __rand__ = _unseen("__and__")
    __or__ = __ror__ = _unseen("__or__")
    __xor__ = __rxor__ = _unseen("__xor__")
    __rlshift__ = _unseen("__rlshift__")
    __rrshift__ = _unseen("__rrshift__")
    __invert__ = _unseen("__invert__")
    __int__ = _unseen("__int__")
    bit_length = _unseen("bit_length")
    bit_count = _unseen("bit_count")

    def __repr__(self) -> str:
        return self.formula.text

    __str__ = __repr__

    def __format__(self, how: str) -> str:
        return format(self.formula.text, how)

    def __abs__(self) -> int:
        return self if self >= 0 else -self

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        if type(other) is int and 0 <= other <= 8:
            product = Formula.of(1)
            for _ in range(other):
                product = product * self.formula
            return self.scope.size(product)
        if type(other) is int and other > 0:
            self.scope.require(">=", Formula.of(int(2 ** (60 / other))) - self.formula)
        return self.number() ** other

    def __rpow__(self, other: Any, modulus: Any = None) -> Any:
        if isinstance(other, int):
            if self.formula.at_least(self.scope.bounds) < 0:
                other = float(other)
            elif abs(other) > 1:
                # The power is a number of 64 bits at run time, as no number of Python's is.
                most = next(k for k in count() if abs(other) ** (k + 1) >= 2**63)
                self.scope.require(">=", Formula.of(most) - self.formula)
        return self.number().__rpow__(other)

    def __float__(self) -> float:
        if _asked_by_user():
            raise messages.size_decided(f"float({self.formula})")
        return float(_plain(self))

    def __bool__(self) -> bool:
        return bool(self != 0)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __hash__(self) -> int:
        return int.__hash__(self)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, int):
            return NotImplemented
        gap = formula(self) - formula(other)
        if gap.number is not None:
            return gap.number == 0
        bounds = self.scope.bounds
        if gap.at_least(bounds) > 0 or (-gap).at_least(bounds) > 0:
            return False
        question = f"{self.formula} == {formula(other)}"
        if _asked_by_user():
            raise messages.size_decided(question)
        # Not known to be equal, which is right whatever it is at run time: where lengths have to be
        # equal it was an error, and an axis that happens to be of length 1 is an axis like any other.
        if _plain(self) != _plain(other) or _plain(other) == 1:
            if not isinstance(other, Symbolic) and other == 0:
                # Whether there is nothing: what has no elements is another case, not a shorter one.
                some = gap.at_least(bounds) >= 0
                self.scope.require(*((">=", gap - Formula.of(1)) if some else ("!=", gap)))
            return False
        if gap.value(self.scope.typical | self.scope.other):
            if not isinstance(other, Symbolic):
                raise messages.size_decided(question)  # a number that came from a size unseen
            return False
        self.scope.require("==", gap)
        return True

    def __ne__(self, other: object) -> Any:
        same = self.__eq__(other)
        return same if same is NotImplemented else not same

    def decide(self, question: str, gap: Formula) -> bool:
        """Whether a formula is at least 0."""
        bounds = self.scope.bounds
        if gap.at_least(bounds) >= 0:
            return True
        if (-gap).at_least(bounds) > 0:
            return False
        if _asked_by_user():
            raise messages.size_decided(question)
        holds = gap.value(self.scope.typical) >= 0
        self.scope.require(">=", gap if holds else -gap - Formula.of(1))
        return holds

    def __reduce__(self) -> tuple[type[int], tuple[int]]:
        return (int, (_plain(self),))


def typical(length: int) -> int:
    """A length as the plain number that heuristics choose by, where any choice is right."""
    if isinstance(length, Symbolic) and length.scope.chosen:
        return length.formula.value({**length.scope.typical, **length.scope.chosen})
    return int.__index__(length)


def is_nothing(length: int) -> bool:
    """Whether a length is known to be 0, asked where what is right for others is right for 0, too."""
    return not isinstance(length, Symbolic) and length == 0


def digits(length: int) -> int:
    """How many binary digits a length may have."""
    return 63 if isinstance(length, Symbolic) else length.bit_length()


def smallest(lengths: Iterable[int]) -> int:
    """`min` of lengths, also of formulas."""
    return _extreme(lengths, min, Formula.minimum)


def largest(lengths: Iterable[int]) -> int:
    """`max` of lengths, also of formulas."""
    return _extreme(lengths, max, Formula.maximum)


def _extreme(
    lengths: Iterable[int],
    plain: Callable[[Iterable[int]], int],
    rule: Callable[[Formula, Formula, dict[str, int]], Formula],
) -> int:
    given = list(lengths)
    scope = next((n.scope for n in given if isinstance(n, Symbolic)), None)
    if scope is None:
        return plain(given)
    found = formula(given[0])
    for n in given[1:]:
        found = rule(found, formula(n), scope.bounds)
    return scope.size(found)


def _asked_by_user() -> bool:
    """Whether the user's own code asked, not numr's."""
    frame = sys._getframe(1)
    here = frame.f_code.co_filename
    while frame.f_back is not None and frame.f_code.co_filename == here:
        frame = frame.f_back
    name = frame.f_globals.get("__name__", "")
    return not (name == "numr" or name.startswith("numr.")) or frame.f_code.co_filename.startswith(
        "<doctest"
    )
