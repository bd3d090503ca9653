"""Formulas of lengths: polynomials in size symbols, with quotients, remainders, minima and maxima as atoms.

Every symbol is at least 1. Equal formulas have equal texts, as far as expanding products finds out.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import cached_property
from typing import Any

# A formula for printers, and for files: a number, a symbol, or an operation and its operands.
Tree = int | str | tuple[Any, ...]
Monomial = tuple["Atom", ...]

_FUNCTIONS: dict[str, Callable[[int, int], int]] = {
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "min": min,
    "max": max,
}


_NO_BOUNDS: Mapping[str, int] = {}


class Atom:
    """A factor of a product: a symbol, or a function of two formulas that is no polynomial."""

    __slots__ = ("args", "name", "text")

    def __init__(self, name: str, args: tuple[Formula, ...] = ()) -> None:
        self.name = name
        self.args = args
        inner = ", ".join(map(str, args))
        self.text = (
            name if not args else f"{name}({inner})" if name.isalpha() else _infix(name, args)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Atom) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def value(self, sizes: Mapping[str, int]) -> int:
        if not self.args:
            return sizes[self.name]
        a, b = (f.value(sizes) for f in self.args)
        return _FUNCTIONS[self.name](a, b)

    def tree(self) -> Tree:
        return (self.name, *(f.tree() for f in self.args)) if self.args else self.name


def _infix(name: str, args: tuple[Formula, ...]) -> str:
    a, b = (str(f) if f.is_plain else f"({f})" for f in args)
    return f"({a} {name} {b})"


class Formula:
    """A sum of products of atoms with integer factors, in a fixed order."""

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        found = [(m, c) for m, c in terms.items() if c]
        # By degree, the constant last, as one writes it.
        found.sort(key=lambda t: (-len(t[0]), [a.text for a in t[0]]))
        self.terms = tuple(found)
        self._least: dict[tuple[tuple[str, int], ...], float] = {}

    # -- making ----------------------------------------------------------------------------------

    @classmethod
    def of(cls, value: int | str | Formula) -> Formula:
        """A number or a symbol as a formula."""
        if isinstance(value, Formula):
            return value
        if isinstance(value, str):
            return cls({(Atom(value),): 1})
        return cls({(): int(value)})

    def __add__(self, other: Formula) -> Formula:
        terms = dict(self.terms)
        for monomial, factor in other.terms:
            terms[monomial] = terms.get(monomial, 0) + factor
        return Formula(terms)

    def __neg__(self) -> Formula:
        return Formula({m: -c for m, c in self.terms})

    def __sub__(self, other: Formula) -> Formula:
        return self + -other

    def __mul__(self, other: Formula) -> Formula:
        terms: dict[Monomial, int] = {}
        for m, c in self.terms:
            for n, d in other.terms:
                both = tuple(sorted((*m, *n), key=lambda a: a.text))
                terms[both] = terms.get(both, 0) + c * d
        return Formula(terms)

    def __floordiv__(self, other: Formula) -> Formula:
        exact = self._exactly(other)
        if exact is not None:
            return exact
        if (-other).least > 0:
            # Divisors are made positive: printers need not know how languages round.
            return -self // -other
        if self.terms and other.least > 0 and (-self).least >= 0:
            # Rounded down is away from zero here; numerators that are not negative need no care.
            return -((-self + other - Formula.of(1)) // other)
        return self._function("//", other)

    def __mod__(self, other: Formula) -> Formula:
        if self._exactly(other) is not None:
            return Formula.of(0)
        return -(-self % -other) if (-other).least > 0 else self._function("%", other)

    def minimum(self, other: Formula, bounds: Mapping[str, int] = _NO_BOUNDS) -> Formula:
        """The smaller of two: one of them, where that is known."""
        if (other - self).at_least(bounds) >= 0:
            return self
        known = (self - other).at_least(bounds) >= 0
        return other if known else self._function("min", other)

    def maximum(self, other: Formula, bounds: Mapping[str, int] = _NO_BOUNDS) -> Formula:
        """The greater of two: one of them, where that is known."""
        if (self - other).at_least(bounds) >= 0:
            return self
        known = (other - self).at_least(bounds) >= 0
        return other if known else self._function("max", other)

    def _function(self, name: str, other: Formula) -> Formula:
        if self.number is not None and other.number is not None:
            return Formula.of(_FUNCTIONS[name](self.number, other.number))
        return Formula({(Atom(name, (self, other)),): 1})

    def _exactly(self, other: Formula) -> Formula | None:
        """The quotient, where the divisor is one product that divides every term."""
        if len(other.terms) != 1:
            return Formula.of(1) if other.terms and self.text == other.text else None
        divisor, factor = other.terms[0]
        terms = {}
        for monomial, c in self.terms:
            left = list(monomial)
            for atom in divisor:
                if atom not in left:
                    return None
                left.remove(atom)
            if c % factor:
                return None
            terms[tuple(left)] = c // factor
        return Formula(terms)

    # -- asking ----------------------------------------------------------------------------------

    @cached_property
    def number(self) -> int | None:
        """The value of a formula without symbols."""
        if not self.terms:
            return 0
        (monomial, factor), *rest = self.terms
        return factor if not monomial and not rest else None

    @cached_property
    def least(self) -> float:
        """A number that no value is below (minus infinity where none was found)."""
        return self.at_least({})

    def at_least(self, bounds: Mapping[str, int]) -> float:
        """The same where symbols are known to be at least some number; 1 is the least for others."""
        key = tuple(sorted(bounds.items()))
        found = self._least.get(key)
        if found is None:
            found = _below(self.terms, bounds)
            if found == -float("inf"):
                # What is taken away is at most so much: a quotient its exact value, a remainder the divisor.
                found = _below(_bounded(self).terms, bounds)
            self._least[key] = found
        return found

    @property
    def is_plain(self) -> bool:
        """Whether its text is one number or name."""
        return self.text.isidentifier() or self.text.isdigit()

    def symbols(self) -> set[str]:
        """The symbols in it."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                found |= (
                    set().union(*(f.symbols() for f in atom.args)) if atom.args else {atom.name}
                )
        return found

    def value(self, sizes: Mapping[str, int]) -> int:
        """Its value for values of its symbols."""
        total = 0
        for monomial, factor in self.terms:
            for atom in monomial:
                factor *= atom.value(sizes)
            total += factor
        return total

    def tree(self) -> Tree:
        """The formula as nested operations, for printers."""
        terms: list[Tree] = []
        for monomial, factor in self.terms:
            factors: list[Tree] = [a.tree() for a in monomial]
            if factor != 1 or not factors:
                factors.insert(0, factor)
            terms.append(factors[0] if len(factors) == 1 else ("*", *factors))
        return 0 if not terms else terms[0] if len(terms) == 1 else ("+", *terms)

    @cached_property
    def text(self) -> str:
        """The formula as one writes it, `2*n - 1`."""
        text = ""
        for monomial, factor in self.terms:
            factors = [a.text for a in monomial]
            if abs(factor) != 1 or not factors:
                factors.insert(0, str(abs(factor)))
            sign = ("-" if factor < 0 else "") if not text else (" - " if factor < 0 else " + ")
            text += sign + "*".join(factors)
        return text or "0"

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Formula({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def _below(terms: Iterable[tuple[Monomial, Any]], bounds: Mapping[str, int]) -> float:
    """A lower bound of a sum: in terms of what each symbol is above its bound, no factor is negative."""
    shifted = Formula.of(0)
    for monomial, factor in terms:
        product = Formula({(): factor})
        for atom in monomial:
            low = _least(atom, bounds) if atom.args else bounds.get(atom.name, 1)
            if low == -float("inf"):
                return low
            product = product * (Formula({(atom,): 1}) + Formula.of(int(low)))
        shifted = shifted + product
    if all(c >= 0 for m, c in shifted.terms if m):
        return math.ceil(next((c for m, c in shifted.terms if not m), 0))
    return -float("inf")


def _bounded(formula: Formula) -> Formula:
    """A formula that is nowhere greater, without the quotients and remainders that are subtracted."""
    found = Formula.of(0)
    for monomial, factor in formula.terms:
        product = Formula({(): factor})
        for atom in monomial:
            divisor = atom.args[1].number if atom.name in ("//", "%") else None
            if factor < 0 and divisor and atom.args[0].least >= 0:
                most = Formula.of(divisor - 1)
                if atom.name == "//":
                    most = atom.args[0] * Formula({(): Fraction(1, divisor)})  # type: ignore[dict-item]
                product = product * most
            else:
                product = product * Formula({(atom,): 1})
        found = found + product
    return found


def _least(atom: Atom, bounds: Mapping[str, int]) -> float:
    a, b = (f.at_least(bounds) for f in atom.args)
    if atom.name == "min":
        return min(a, b)
    if atom.name == "max":
        return max(a, b)
    if a < 0 or b <= 0:
        return -float("inf")
    divisor = atom.args[1].number
    return a // divisor if atom.name == "//" and divisor else 0


def parse(text: str) -> Formula:
    """The formula that a text such as "2*n - 1" stands for.

    Raises:
        ValueError: for anything but whole numbers, names, + - * // %, min, max and parentheses.
    """
    try:
        return _parsed(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        raise ValueError(
            f"{text!r} is no length: write whole numbers, names, + - * // %, min(), max() and parentheses"
        ) from None


_OPERATORS: dict[type, Callable[[Formula, Formula], Formula]] = {
    ast.Add: Formula.__add__,
    ast.Sub: Formula.__sub__,
    ast.Mult: Formula.__mul__,
    ast.FloorDiv: Formula.__floordiv__,
    ast.Mod: Formula.__mod__,
}


def _parsed(tree: ast.expr) -> Formula:
    if isinstance(tree, ast.Constant) and type(tree.value) is int:
        return Formula.of(tree.value)
    if isinstance(tree, ast.Name):
        return Formula.of(tree.id)
    if isinstance(tree, ast.BinOp) and type(tree.op) in _OPERATORS:
        right = _parsed(tree.right)
        if isinstance(tree.op, (ast.FloorDiv, ast.Mod)) and right.least <= 0:
            raise ValueError("a divisor that may be 0")
        return _OPERATORS[type(tree.op)](_parsed(tree.left), right)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_parsed(tree.operand)
    if (
        isinstance(tree, ast.Call)
        and isinstance(tree.func, ast.Name)
        and tree.func.id in ("min", "max")
        and len(tree.args) > 1
        and not tree.keywords
    ):
        first, *rest = map(_parsed, tree.args)
        for other in rest:
            first = first.minimum(other) if tree.func.id == "min" else first.maximum(other)
        return first
    raise ValueError("no part of a length")


def symbols_of(formulas: Iterable[Formula]) -> list[str]:
    """The symbols of formulas, in order of first mention."""
    found: dict[str, None] = {}
    for formula in formulas:
        for name in sorted(formula.symbols()):
            found.setdefault(name)
    return list(found)
