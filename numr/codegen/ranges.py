"""Integers that are positions: comparisons that always come out the same go, and what fits a device's
positions is computed as one.

`x[i + nr.arange(3)]` asks of every index whether it is negative, and computes it in 64 bits, which
many devices lack. Ranges follow from the lengths of axes: a position along one is at least 0 and less
than the most its length can be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from numr.codegen.prepare import remake, roots_of, transform, with_roots
from numr.codegen.region import INDEX, Expr, ExprBuilder, Region
from numr.dtypes import DType, bool_, int32, int64
from numr.ir import scalar as S
from numr.ir.dims import Dim

INT32 = 1 << 31
# Devices with 32-bit positions have no longer axes; others have no memory for them.
LONGEST = {int32: 1 << 30, int64: 1 << 48}


class Range(NamedTuple):
    """The least and the largest value of an integer expression."""

    low: int
    high: int

    def fits(self, dtype: DType) -> bool:
        half = 1 << (dtype.bits - 1)
        if dtype.kind == "u":
            return self.low >= 0 and self.high < 2 * half
        return self.low >= -half and self.high < half


def _products(a: Range, b: Range) -> Range:
    corners = [x * y for x in a for y in b]
    return Range(min(corners), max(corners))


def _quotients(a: Range, b: Range) -> Range | None:
    if b.low <= 0:
        return None
    corners = [x // y for x in a for y in b]
    return Range(min(corners), max(corners))


_ARITHMETIC: dict[str, Callable[[Range, Range], Range | None]] = {
    "add": lambda a, b: Range(a.low + b.low, a.high + b.high),
    "sub": lambda a, b: Range(a.low - b.high, a.high - b.low),
    "mul": _products,
    "minimum": lambda a, b: Range(min(a.low, b.low), min(a.high, b.high)),
    "maximum": lambda a, b: Range(max(a.low, b.low), max(a.high, b.high)),
    "floor_divide": _quotients,
    "remainder": lambda a, b: Range(0, b.high - 1) if b.low > 0 else None,
}
# Whether a comparison holds for all values (True), for none (False) or for some (None).
_COMPARISONS: dict[str, Callable[[Range, Range], bool | None]] = {
    "lt": lambda a, b: True if a.high < b.low else False if a.low >= b.high else None,
    "le": lambda a, b: True if a.high <= b.low else False if a.low > b.high else None,
    "gt": lambda a, b: True if a.low > b.high else False if a.high <= b.low else None,
    "ge": lambda a, b: True if a.low >= b.high else False if a.high < b.low else None,
}


class _Narrower:
    def __init__(self, builder: ExprBuilder, limits: Mapping[Dim, int], index: DType) -> None:
        self.builder = builder
        self.limits = limits
        self.index = index
        self.known: dict[Expr, Range] = {}

    def _longest(self, extent: object) -> int:
        if isinstance(extent, int):
            return extent
        return self.limits.get(extent, LONGEST[self.index])  # type: ignore[call-overload, no-any-return]

    def range(self, x: Expr) -> Range | None:
        if x not in self.known:
            if x.kind == "const" and x.dtype.kind in "iu":
                self.known[x] = Range(int(x.data), int(x.data))
            elif x.kind == "axis":
                self.known[x] = Range(0, max(self._longest(x.data.extent) - 1, 0))
            elif x.kind == "size" and (isinstance(x.data, Dim | int)):
                self.known[x] = Range(0, self._longest(x.data))
            elif x.dtype.kind in "iu" and x.dtype.bits <= 32:
                half = 1 << (x.dtype.bits - 1)
                signed = x.dtype.kind == "i"
                self.known[x] = Range(-half, half - 1) if signed else Range(0, 2 * half - 1)
        return self.known.get(x)

    def _result(self, expr: Expr, args: tuple[Expr, ...]) -> Range | None:
        """The range of an operation."""
        if expr.kind == "cast":
            origin = args[0].dtype
            found = Range(0, 1) if origin is bool_ else self.range(args[0])
        elif expr.data is S.select:
            a, b = self.range(args[1]), self.range(args[2])
            found = a and b and Range(min(a.low, b.low), max(a.high, b.high))
        else:
            ranges = [self.range(a) for a in args]
            rule = _ARITHMETIC.get(expr.data.name)
            if expr.data.name == "neg" and ranges[0] is not None:
                found = Range(-ranges[0].high, -ranges[0].low)
            elif rule is not None and ranges[0] is not None and ranges[1] is not None:
                found = rule(ranges[0], ranges[1])
            else:
                found = None
        return found if found is not None and found.fits(expr.dtype) else None

    def _index(self, x: Expr) -> Expr:
        """An expression of a range that fits, as a position."""
        if x.kind == "const":
            return self.builder.const(int(x.data), INDEX)
        return self.builder.cast(x, INDEX)

    def __call__(self, expr: Expr, args: tuple[Expr, ...]) -> Expr:
        # What has become a position has another dtype than its user expects.
        back = tuple(self.builder.cast(a, o.dtype) for a, o in zip(args, expr.args, strict=True))
        if expr.kind == "cast":
            new = self.builder.cast(args[0], expr.dtype)
        elif expr.kind == "reduce" and expr.data[0] in ("max", "min"):
            return self._extreme(expr, args[0], back[0])
        elif expr.kind == "op":
            if expr.data is S.select:
                args = (args[0], self._from_the_end(*args), args[2])
            folded = self._folded(expr, args)
            if folded is not None:
                return folded
            new = self._compared(expr, args) or remake(self.builder, expr, back)
        else:
            return remake(self.builder, expr, back)
        if expr.dtype.kind not in "iu":
            return new
        found = self._result(expr, args)
        if found is None:
            return new
        if self.index is int32 and expr.dtype is int64 and found.fits(int32):
            new = self._narrow(expr, args)
        self.known.setdefault(new, found)
        return new

    def _from_the_end(self, condition: Expr, value: Expr, _: Expr) -> Expr:
        """`i + n` where it is taken only for negative i: then it is a position, also if i is any int32."""
        if not (_is(condition, "lt") and _is(value, "add") and value.dtype is int64):
            return value
        index, zero = map(self._unwidened, condition.args)
        parts = [self._unwidened(a) for a in value.args]
        if index not in parts or not (zero.kind == "const" and zero.data == 0):
            return value
        parts.remove(index)
        (length,) = parts
        i, n = self.range(index), self.range(length)
        if i is None or n is None:
            return value
        found = Range(min(i.low, -1) + n.low, n.high - 1)
        if self.index is not int32 or not found.fits(int32):
            return value
        new = self.builder.op(S.add, self._index(index), self._index(length))
        self.known.setdefault(new, found)
        return new

    def _unwidened(self, x: Expr) -> Expr:
        """What is cast, if that has the same value."""
        while x.kind == "cast" and x.args[0].dtype.kind in "iu":
            found = self.range(x.args[0])
            if found is None or not found.fits(x.dtype):
                break
            x = x.args[0]
        return x

    def _narrow(self, expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if expr.kind == "cast":
            return self._index(args[0])
        values = args[1:] if expr.data is S.select else args
        rest = args[: len(args) - len(values)]
        return self.builder.op(expr.data, *rest, *map(self._index, values))

    def _compared(self, expr: Expr, args: tuple[Expr, ...]) -> Expr | None:
        """A comparison of positions, as one."""
        ranges = [self.range(a) for a in args]
        changed = any(a.dtype is not o.dtype for a, o in zip(args, expr.args, strict=True))
        fit = all(r is not None and r.fits(int32) for r in ranges)
        if not (changed and fit and expr.dtype is bool_):
            return None
        return self.builder.op(expr.data, *map(self._index, args))

    def _extreme(self, expr: Expr, body: Expr, back: Expr) -> Expr:
        """The largest or least of positions is a position."""
        found = self.range(body)
        if found is None or body.dtype is back.dtype or not found.fits(int32):
            return remake(self.builder, expr, (back,))
        new = remake(self.builder, expr, (self.builder.cast(body, int32),))
        self.known.setdefault(new, found)
        return new

    def _folded(self, expr: Expr, args: tuple[Expr, ...]) -> Expr | None:
        """What an operation always is."""
        name = expr.data.name
        if name == "select" and args[0].kind == "const":
            return args[1] if args[0].data else args[2]
        if len(args) != 2 or args[0].dtype.kind not in "iu":
            return None
        a, b = self.range(args[0]), self.range(args[1])
        if a is None or b is None:
            return None
        if name in _COMPARISONS:
            always = _COMPARISONS[name](a, b)
            return None if always is None else self.builder.const(always, bool_)
        if name == "maximum" and (a.low >= b.high or b.low >= a.high):
            return args[0] if a.low >= b.high else args[1]
        if name == "minimum" and (a.high <= b.low or b.high <= a.low):
            return args[0] if a.high <= b.low else args[1]
        return None


def _is(x: Expr, name: str) -> bool:
    return x.kind == "op" and str(x.data.name) == name


def narrow(builder: ExprBuilder, region: Region, limits: Mapping[Dim, int], index: DType) -> Region:
    """The region without comparisons whose outcome lengths decide, positions in the device's dtype.

    Args:
        builder: what the region's expressions were built with.
        region: any region.
        limits: the most each Dim can be; those that are not there are bounded by `LONGEST`.
        index: the dtype of the device's positions.
    """
    roots = roots_of(region)
    new = transform(roots, _Narrower(builder, limits, index))
    return with_roots(region, [builder.cast(n, o.dtype) for n, o in zip(new, roots, strict=True)])
