"""How dtypes, numbers and formulas of lengths are spelled in C."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from numr.dtypes import DType, float32
from numr.ir.formulas import Atom, Formula

# Notes that a function of the prelude is called, and returns its name.
Use = Callable[[str], str]


def stored(dtype: DType) -> str:
    """The type of a buffer's elements: a byte for a boolean, the bits of a float of 16 bits."""
    if dtype.kind == "b":
        return "uint8_t"
    return "uint16_t" if dtype.is_half else local(dtype)


def local(dtype: DType) -> str:
    """The type of a value."""
    if dtype.kind == "b":
        return "bool"
    if dtype.kind == "f":
        return "float" if dtype is float32 else "double"
    return f"{'u' if dtype.kind == 'u' else ''}int{dtype.bits}_t"


def unsigned(dtype: DType) -> str:
    """The type in which an integer's arithmetic wraps; nothing narrower than C computes in."""
    return f"uint{max(dtype.bits, 32)}_t"


def literal(value: Any, dtype: DType) -> str:
    """A number as C reads it back, to the last bit."""
    kind = dtype.kind
    if kind == "b":
        return "true" if value else "false"
    if kind == "f":
        return _floating(value, dtype is float32)
    number = int(value)
    if kind == "u":
        return f"UINT64_C({number})" if number >= 1 << 32 else f"{number}u"
    if number == -(1 << (dtype.bits - 1)):
        return f"INT{dtype.bits}_MIN"
    if abs(number) >= 1 << 31:
        return f"INT64_C({number})" if number >= 0 else f"(-INT64_C({-number}))"
    return str(number) if number >= 0 else f"({number})"


def _floating(value: Any, single: bool) -> str:
    number = float(value)
    if not math.isfinite(number):
        name = "NAN" if math.isnan(number) else "INFINITY"
        name = name if single else f"(double){name}"
        return f"(-{name})" if number < 0 else name
    text = str(np.float32(number)) if single else repr(number)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    text += "f" if single else ""
    return f"({text})" if text.startswith("-") else text


def position(formula: Formula, use: Use, symbols: Mapping[str, str]) -> str:
    """A formula as an expression of int64_t; `symbols` has what its symbols are called."""
    text = ""
    for monomial, factor in formula.terms:
        factors = [_atom(a, use, symbols) for a in monomial]
        size = abs(factor)
        if size != 1 or not factors:
            factors.insert(0, f"INT64_C({size})" if size >= 1 << 31 else str(size))
        sign = ("-" if factor < 0 else "") if not text else (" - " if factor < 0 else " + ")
        text += sign + " * ".join(factors)
    return text or "0"


def _atom(atom: Atom, use: Use, symbols: Mapping[str, str]) -> str:
    if not atom.args:
        return symbols[atom.name]
    a, b = atom.args
    left, right = position(a, use, symbols), position(b, use, symbols)
    if atom.name in ("min", "max"):
        return f"{use(f'numr_{atom.name}_i64')}({left}, {right})"
    if a.least >= 0 and b.least > 0:
        # Neither is negative: C's quotient is then rounded down, too.
        left, right = (t if f.is_plain else f"({t})" for t, f in ((left, a), (right, b)))
        return f"({left} {'/' if atom.name == '//' else '%'} {right})"
    name = "floor_divide" if atom.name == "//" else "remainder"
    return f"{use(f'numr_{name}_i64')}({left}, {right})"


def bound(formula: Formula, counts: Mapping[str, Formula]) -> list[tuple[int, tuple[str, ...]]]:
    """Products of sizes whose sum no part of a formula exceeds, as (factor, sizes).

    `counts` has the most that symbols of loops can be.
    """
    found: list[tuple[int, tuple[str, ...]]] = []
    for monomial, factor in formula.terms:
        products: list[tuple[int, tuple[str, ...]]] = [(abs(factor), ())]
        for atom in monomial:
            inner = atom.args or ((counts[atom.name],) if atom.name in counts else ())
            parts = [p for f in inner for p in bound(f, counts)] if inner else [(1, (atom.name,))]
            products = [(c * d, tuple(sorted((*m, *n)))) for c, m in products for d, n in parts]
        found += products
    return found
