"""Floating-point numbers of 16 bits: words in memory, float32 in arithmetic.

No target need know them; one that converts them as IEEE arithmetic has it keeps them in memory as they
are. An expression is rounded to 16 bits where it is stored, and where a user casts to them, but not at
every step between.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from numr.codegen.prepare import reachable, remake, roots_of, transform
from numr.codegen.region import Expr, ExprBuilder, Region
from numr.dtypes import DType, float16, float32, uint16, uint32
from numr.ir import scalar as S


def has_halves(region: Region) -> bool:
    """Whether anything in a region is a floating-point number of 16 bits."""
    dtypes = {e.dtype for e in reachable(roots_of(region))} | {o.dtype for o in region.outputs}
    return any(d.is_half for d in dtypes)


def halves(b: ExprBuilder, region: Region, native: Collection[str]) -> Region:
    """The region with arithmetic in float32, over words of 16 bits, or over what is named in `native`:
    "cast:f16" if the target has conversions of float16."""

    def stored(dtype: DType) -> DType:
        return dtype if not dtype.is_half or f"cast:{dtype.short}" in native else uint16

    def widened(x: Expr, dtype: DType) -> Expr:
        return unpacked(b, x, dtype) if stored(dtype) is uint16 else b.cast(x, float32)

    def narrowed(x: Expr, dtype: DType) -> Expr:
        return packed(b, x, dtype) if stored(dtype) is uint16 else b.cast(x, dtype)

    def rule(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        dtype = expr.dtype
        if not dtype.is_half:
            return remake(b, expr, args)
        if expr.kind == "op" and expr.data is S.nextafter:
            return next_after(b, args[0], args[1], dtype)
        if expr.kind == "const":
            return b.const(float(np.asarray(expr.data, dtype.dtype)), float32)
        if expr.kind == "load":
            return widened(b.load(expr.data, args, stored(dtype)), dtype)
        if expr.kind == "guarded":
            return widened(b.load(expr.data, args[:-1], stored(dtype), args[-1]), dtype)
        if expr.kind == "cast":
            return widened(narrowed(b.cast(args[0], float32), dtype), dtype)
        return remake(b, expr, args)

    operands = tuple(replace(o, dtype=stored(o.dtype)) for o in region.operands)
    new = dict(zip(roots_of(region), transform(roots_of(region), rule), strict=True))
    outputs = []
    for o in region.outputs:
        expr, index = new[o.expr], tuple(new[e] for e in o.index)
        if o.dtype.is_half:
            half = narrowed(expr, o.dtype)
            outputs.append(replace(o, expr=half, index=index, dtype=half.dtype))
        else:
            outputs.append(replace(o, expr=expr, index=index))
    return replace(region, operands=operands, outputs=tuple(outputs))


def unpacked(b: ExprBuilder, word: Expr, dtype: DType) -> Expr:
    """The float32 that a word of float16 or bfloat16 stands for."""

    def c(value: int) -> Expr:
        return b.const(value, uint32)

    w = b.cast(word, uint32)
    if dtype is not float16:
        return b.bitcast(b.op(S.shift_left, w, c(16)), float32)
    rest = b.op(S.and_, w, c(0x7FFF))
    wide = b.op(S.shift_left, rest, c(13))
    # The exponent's bias differs by 112; an exponent of all ones stays one.
    normal = b.op(S.add, wide, c(112 << 23))
    special = b.op(S.or_, wide, c(0x7F800000))
    bits = b.op(S.select, b.op(S.ge, rest, c(0x7C00)), special, normal)
    small = b.op(S.mul, b.cast(rest, float32), b.const(2.0**-24, float32))
    bits = b.op(S.select, b.op(S.lt, rest, c(0x400)), b.bitcast(small, uint32), bits)
    sign = b.op(S.shift_left, b.op(S.and_, w, c(0x8000)), c(16))
    return b.bitcast(b.op(S.or_, bits, sign), float32)


def packed(b: ExprBuilder, x: Expr, dtype: DType) -> Expr:
    """A float32 rounded to float16 or bfloat16, half to even, as a word."""

    def c(value: int) -> Expr:
        return b.const(value, uint32)

    bits = b.bitcast(x, uint32)
    size = b.op(S.and_, bits, c(0x7FFFFFFF))
    if dtype is not float16:
        # The first half of a float32.
        odd = b.op(S.and_, b.op(S.shift_right, bits, c(16)), c(1))
        raised = b.op(S.add, b.op(S.add, bits, c(0x7FFF)), odd)
        quiet = b.op(S.or_, bits, c(0x400000))
        nan = b.op(S.gt, size, c(0x7F800000))
        return b.cast(b.op(S.shift_right, b.op(S.select, nan, quiet, raised), c(16)), uint16)
    odd = b.op(S.and_, b.op(S.shift_right, size, c(13)), c(1))
    raised = b.op(S.add, b.op(S.add, size, c(0xFFF)), odd)
    normal = b.op(S.shift_right, b.op(S.sub, raised, c(112 << 23)), c(13))
    # Below 2^-14 a word counts steps of 2^-24.
    steps = b.op(S.rint, b.op(S.mul, b.bitcast(size, float32), b.const(2.0**24, float32)))
    is_small = b.op(S.lt, size, c(0x38800000))
    steps = b.op(S.select, is_small, steps, b.const(0.0, float32))
    word = b.op(S.select, is_small, b.cast(steps, uint32), normal)
    word = b.op(S.select, b.op(S.ge, size, c(0x477FF000)), c(0x7C00), word)
    word = b.op(S.select, b.op(S.gt, size, c(0x7F800000)), c(0x7E00), word)
    sign = b.op(S.and_, b.op(S.shift_right, bits, c(16)), c(0x8000))
    return b.cast(b.op(S.or_, word, sign), uint16)


def next_after(b: ExprBuilder, x: Expr, y: Expr, dtype: DType) -> Expr:
    """The number of a dtype of 16 bits beside x towards y, as a float32."""

    def c(value: int) -> Expr:
        return b.const(value, uint32)

    words = [packed(b, v, dtype) for v in (x, y)]
    x, y = (unpacked(b, w, dtype) for w in words)
    w, towards = (b.cast(word, uint32) for word in words)
    # Words without their sign count the numbers from 0 on.
    size, sign = b.op(S.and_, w, c(0x7FFF)), b.op(S.and_, w, c(0x8000))
    negative = b.op(S.ne, sign, c(0))
    outwards = b.op(S.ne, b.op(S.gt, y, x), negative)
    moved = b.op(S.select, outwards, b.op(S.add, size, c(1)), b.op(S.sub, size, c(1)))
    least = b.op(S.or_, b.op(S.and_, towards, c(0x8000)), c(1))
    moved = b.op(S.select, b.op(S.eq, size, c(0)), least, b.op(S.or_, moved, sign))
    beside = unpacked(b, b.cast(moved, uint16), dtype)
    either = b.op(S.or_, b.op(S.isnan, x), b.op(S.isnan, y))
    other = b.op(S.select, either, b.const(float("nan"), float32), beside)
    return b.op(S.select, b.op(S.eq, x, y), y, other)
