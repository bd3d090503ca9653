"""Kernels that only move data: fill an array with a number, make a view row-major."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from numr.codegen.kernel import Buffer, For, Kernel, Let, Literal, Statement, Store, Value, Var
from numr.codegen.target import Backend
from numr.codegen.widths import positions
from numr.dtypes import DType, as_dtype, real_part_dtype, uint16
from numr.ir.symbolic import is_nothing, largest


def _grid(at: Var, body: list[Statement]) -> For:
    return For(at, Var("lo", at.dtype), Var("hi", at.dtype), body)


def fill_kernel(dtype: DType, value: Any, index: DType) -> Kernel:
    """A kernel that stores one value at every point; positions are of dtype `index`."""
    at = Var("i1", index)
    if dtype.is_half:
        dtype, value = uint16, int(np.asarray(value, dtype.dtype).view(np.uint16))
    part = real_part_dtype(dtype)
    body: list[Statement] = [Store("a0", at, Literal(value, part))]
    if dtype.kind == "c":
        number = complex(value)
        first, second = Var("v2", index), Var("v3", index)
        body = [
            Let(first, "mul", (at, Literal(2, index))),
            Store("a0", first, Literal(number.real, part)),
            Let(second, "add", (first, Literal(1, index))),
            Store("a0", second, Literal(number.imag, part)),
        ]
    return Kernel((Buffer("a0", part, True),), (), [_grid(at, body)])


def shift_kernel(dtype: DType, index: DType, out: bool) -> Kernel:
    """A kernel that copies elements one by one from or (`out`) to the place that its size says."""
    at, start, moved = Var("i1", index), Var("s0", index), Var("v2", index)
    part = uint16 if dtype.is_half else real_part_dtype(dtype)
    value = Var("v3", part)
    body: list[Statement] = [
        Let(moved, "add", (at, start)),
        Let(value, "load", (at if out else moved,), "a0"),
        Store("a1", moved if out else at, value),
    ]
    buffers = (Buffer("a0", part, False), Buffer("a1", part, True))
    return Kernel(buffers, ("s0",), [_grid(at, body)])


def read_row(backend: Backend, buffer: Any, number: int) -> Any:
    """A fresh copy of a row of a row-major buffer on a device, by a kernel."""
    row = backend.allocator(buffer.shape[1:], as_dtype(buffer.dtype))()
    _shift(backend, buffer, row, number * row.size, row)
    return row


def write_row(backend: Backend, buffer: Any, number: int, row: Any) -> None:
    """Copy a row into a row-major buffer on a device, by a kernel."""
    _shift(backend, row, buffer, number * row.size, row)


def _shift(backend: Backend, source: Any, target: Any, start: int, row: Any) -> None:
    """Copy a row's elements from or to the place it has in the larger of two buffers."""
    parts = 2 if row.dtype.kind == "c" else 1
    points = row.size * parts
    if not is_nothing(points):
        longest = largest([source.size * parts, target.size * parts])
        index = positions(longest, backend.capabilities)
        kernel = shift_kernel(as_dtype(row.dtype), index, target is not row)
        (built,) = backend.build([kernel], False)
        backend.launcher(built, 2, (start * parts,), points, points)(source, target)


def copy_kernel(
    dtype: DType, shape: Sequence[int], strides: Sequence[int], index: DType, start: int = 0
) -> tuple[Kernel, tuple[int, ...], int]:
    """A kernel that copies a strided view in row-major order, its sizes and its number of points.

    The view's first element is the one numbered `start`: strides may be negative.
    """
    if dtype.kind == "c":
        # Its parts are a last axis.
        shape, strides, start = (*shape, 2), (*(2 * s for s in strides), 1), 2 * start
    part = uint16 if dtype.is_half else real_part_dtype(dtype)
    rank = len(shape)
    sizes = [f"s{k}" for k in range(2 * rank + bool(start))]
    body: list[Statement] = []

    def let(op: str, *args: Value) -> Var:
        var = Var(f"v{len(body) + 2}", index)
        body.append(Let(var, op, args))
        return var

    at = Var("i1", index)
    rest, place = at, Var(sizes[-1], index) if start else None
    for k in reversed(range(rank)):
        length = Var(sizes[k], index)
        digit = let("urem", rest, length) if k else rest
        if k:
            rest = let("udiv", rest, length)
        term = let("mul", digit, Var(sizes[rank + k], index))
        place = term if place is None else let("add", place, term)
    value = Var(f"v{len(body) + 2}", part)
    body.append(Let(value, "load", (place or Literal(0, index),), "a0"))
    body.append(Store("a1", at, value))
    buffers = (Buffer("a0", part, False), Buffer("a1", part, True))
    kernel = Kernel(buffers, tuple(sizes), [_grid(at, body)])
    return kernel, (*shape, *strides, *([start] if start else [])), math.prod(shape)
