"""Elements of a kernel written by hand, real or complex alike: a complex one is two in memory."""

from __future__ import annotations

from typing import Any

from numr.codegen.expansions.write import Term, Writer
from numr.codegen.kernel import Buffer
from numr.dtypes import DType, real_part_dtype


class Pair:
    """A complex value."""

    __slots__ = ("im", "re")

    def __init__(self, re: Term, im: Term) -> None:
        self.re, self.im = re, im

    def __add__(self, other: Pair) -> Pair:
        return Pair(self.re + other.re, self.im + other.im)

    def __sub__(self, other: Pair) -> Pair:
        return Pair(self.re - other.re, self.im - other.im)

    def __neg__(self) -> Pair:
        return Pair(-self.re, -self.im)

    def __mul__(self, other: Pair) -> Pair:
        (a, b), (c, d) = (self.re, self.im), (other.re, other.im)
        return Pair(a * c - b * d, a * d + b * c)

    def __truediv__(self, other: Any) -> Pair:
        """By Smith's method, which squares nothing; other may be real."""
        if isinstance(other, (int, Term)):
            return Pair(self.re / other, self.im / other)
        w = self.re.writer
        (a, b), (c, d) = (self.re, self.im), (other.re, other.im)
        flat = w.op("abs", c) >= w.op("abs", d)
        ratio = w.select(flat, d, c) / w.select(flat, c, d)
        whole = w.select(flat, c, d) + w.select(flat, d, c) * ratio
        re = w.select(flat, a + b * ratio, a * ratio + b) / whole
        im = w.select(flat, b - a * ratio, b * ratio - a) / whole
        return Pair(re, im)

    def same(self, number: int) -> Term:
        return self.re.same(number) & self.im.same(0)


class Field:
    """The elements of one dtype."""

    def __init__(self, w: Writer, dtype: DType) -> None:
        self.w = w
        self.dtype = dtype
        self.part = real_part_dtype(dtype)
        self.complex = dtype.kind == "c"

    def buffer(self, written: bool = False) -> Buffer:
        return self.w.buffer(self.part, written)

    def number(self, value: Any) -> Any:
        """A literal, or a real value as an element."""
        re = self.w.term(value, self.part)
        return Pair(re, self.w.term(0, self.part)) if self.complex else re

    def parts(self, x: Any) -> list[Term]:
        return [x.re, x.im] if isinstance(x, Pair) else [x]

    def whole(self, parts: list[Term]) -> Any:
        return Pair(*parts) if self.complex else parts[0]

    def load(self, memory: Buffer, at: Term) -> Any:
        places = (at * 2, at * 2 + 1) if self.complex else (at,)
        return self.whole([self.w.load(memory, p) for p in places])

    def load_if(self, condition: Term, memory: Buffer, at: Term) -> Any:
        places = (at * 2, at * 2 + 1) if self.complex else (at,)
        return self.whole([self.w.load_if(condition, memory, p) for p in places])

    def store(self, memory: Buffer, at: Term, x: Any) -> None:
        places = (at * 2, at * 2 + 1) if self.complex else (at,)
        for place, part in zip(places, self.parts(x), strict=True):
            self.w.store(memory, place, part)

    def variable(self, x: Any) -> Any:
        return self.whole([self.w.variable(p) for p in self.parts(x)])

    def assign(self, variable: Any, x: Any) -> None:
        # All parts first: the value may be made of the variable.
        for v, part in zip(self.parts(variable), self.parts(x), strict=True):
            self.w.assign(v, part)

    def add_to(self, total: Any, x: Any) -> None:
        for v, part in zip(self.parts(total), self.parts(x), strict=True):
            self.w.add_to(v, part)

    def select(self, condition: Term, yes: Any, no: Any) -> Any:
        pairs = zip(self.parts(yes), self.parts(no), strict=True)
        return self.whole([self.w.select(condition, a, b) for a, b in pairs])

    def cast(self, x: Term) -> Term:
        return x if self.complex else self.w.cast(x, self.dtype)

    def conj(self, x: Any) -> Any:
        return Pair(x.re, -x.im) if self.complex else x

    def real(self, x: Any) -> Term:
        return x.re if self.complex else x  # type: ignore[no-any-return]

    def size(self, x: Any) -> Term:
        """|x|, or for complex x the sum of its parts' sizes, which orders pivots as well."""
        w = self.w
        if not self.complex:
            return w.op("abs", x)
        return w.op("abs", x.re) + w.op("abs", x.im)

    def modulus(self, x: Any) -> Term:
        """|x|, without overflow."""
        w = self.w
        if not self.complex:
            return w.op("abs", x)
        a, b = w.op("abs", x.re), w.op("abs", x.im)
        most, least = w.select(a > b, a, b), w.select(a > b, b, a)
        safe = w.select(most > 0, most, w.term(1, self.part))
        ratio = least / safe
        return most * w.op("sqrt", ratio * ratio + 1)

    def isnan(self, x: Any) -> Term:
        found = self.w.op("isnan", self.real(x))
        return found | self.w.op("isnan", x.im) if self.complex else found
