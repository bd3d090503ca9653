"""Which integers of a kernel are positions: they find elements, and cannot overflow.

C's signed arithmetic must not overflow, which lets compilers make vector code of loops over positions.
What a user computes wraps around instead. A position comes from loop variables, sizes and literals only, reaches
an index or the bound of a loop, and is of first degree in loop variables, so that it is not larger
than the arrays are, but for a factor that is small.
"""

from __future__ import annotations

from collections.abc import Iterator

from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Literal,
    Statement,
    Store,
    Value,
    Var,
)
from numr.dtypes import DType

# Bits that literal factors may add to a position, which is below 2^40 for any memory there is.
_FACTOR_BITS = 20
_SUMS = frozenset(("add", "sub", "minimum", "maximum"))
_QUOTIENTS = frozenset(("udiv", "floor_divide"))
_REMAINDERS = frozenset(("urem", "remainder"))
# Degree in loop variables, and bits of literal factors.
_Origin = tuple[int, int]


def positions(kernel: Kernel) -> set[str]:
    """The names of values of a kernel that are positions."""
    statements = list(_all(kernel.body))
    return _origins(kernel, statements) & _reaching(statements)


def _all(body: list[Statement]) -> Iterator[Statement]:
    for s in body:
        yield s
        if isinstance(s, (For, If)):
            yield from _all(s.body)


def _origins(kernel: Kernel, statements: list[Statement]) -> set[str]:
    index = kernel.index
    changing = {s.var.name for s in statements if isinstance(s, Declare) and s.var.dtype is index}
    changing -= {s.var.name for s in statements if isinstance(s, Accumulate)}
    while True:
        known: dict[str, _Origin] = dict.fromkeys(kernel.sizes, (0, 0)) | {
            "lo": (1, 0),
            "hi": (1, 0),
        }
        known |= dict.fromkeys(changing, (1, 0))
        wrong: set[str] = set()
        for s in statements:
            if isinstance(s, For):
                known[s.var.name] = (1, 0)
            elif isinstance(s, Let):
                found = _origin(s, known, index)
                if found is not None:
                    known[s.var.name] = found
            elif isinstance(s, (Declare, Assign)) and _of(s.value, known) is None:
                wrong.add(s.var.name)
        wrong &= changing
        if not wrong:
            return set(known)
        changing -= wrong


def _of(value: Value, known: dict[str, _Origin]) -> _Origin | None:
    if isinstance(value, Literal):
        return (0, 0) if value.dtype.kind in "iu" else None
    return known.get(value.name)


def _origin(s: Let, known: dict[str, _Origin], index: DType) -> _Origin | None:
    """What a value is as a position; None if it is none."""
    if s.var.dtype is not index:
        return None
    values = s.args[1:] if s.op == "select" else s.args
    parts = [_of(a, known) for a in values]
    given = [p for p in parts if p is not None]
    if len(given) < len(parts) or not given:
        return None
    degree, bits = max(d for d, _ in given), max(b for _, b in given)
    if s.op in _SUMS or s.op in ("select", "neg"):
        return degree, bits
    if s.op in _QUOTIENTS:
        return given[0]
    if s.op in _REMAINDERS:
        return given[1] if given[1][0] == 0 else given[0]
    if s.op != "mul":
        return None
    degree = sum(d for d, _ in given)
    bits = sum(b for _, b in given)
    bits += sum(
        abs(int(a.value)).bit_length() - 1 for a in values if isinstance(a, Literal) and a.value
    )
    return (degree, bits) if degree <= 1 and bits <= _FACTOR_BITS else None


def _reaching(statements: list[Statement]) -> set[str]:
    """The names of what an index or a bound is made of."""
    makers: dict[str, list[Value]] = {}
    wanted: list[Value] = []
    for s in statements:
        if isinstance(s, Let):
            if s.op in ("load", "guarded_load"):
                wanted.append(s.args[-1])
            else:
                makers[s.var.name] = list(s.args)
        elif isinstance(s, Store):
            wanted.append(s.index)
        elif isinstance(s, For):
            wanted += [s.lo, s.hi]
        elif isinstance(s, (Declare, Assign)):
            makers.setdefault(s.var.name, []).append(s.value)
    found: set[str] = set()
    while wanted:
        value = wanted.pop()
        if isinstance(value, Var) and value.name not in found:
            found.add(value.name)
            wanted += makers.get(value.name, [])
    return found
