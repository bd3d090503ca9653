"""Calls of a library as steps, for targets that were asked for one: operands as the library takes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from numr.codegen.expansions.matmul import takes
from numr.dtypes import as_dtype

if TYPE_CHECKING:
    from numr.codegen.export.recorder import RecordedArray, Recorder


def matmul(recorder: Recorder, key: str, x: RecordedArray, y: RecordedArray) -> RecordedArray:
    """A stack of products of matrices, of which each operand has rows or columns that are runs of memory.

    The step's shapes are (stack, rows, columns) of both operands, and so are its strides.
    """
    operands = [_fit(recorder, a) for a in (x, y)]
    shape = (*x.shape[:-1], y.shape[-1])
    out = recorder.allocator(shape, as_dtype(x.dtype))()
    shapes, strides = [], []
    for a in operands:
        steps = a.element_strides()
        shapes.append((math.prod(a.shape[:-2]), *a.shape[-2:]))
        strides.append((steps[-3] if a.ndim > 2 else 0, *steps[-2:]))
    recorder.call(key, [*operands, out], shapes, strides)
    return out


def _fit(recorder: Recorder, a: RecordedArray) -> RecordedArray:
    strides = a.element_strides()
    row, column = strides[-2:]
    # A stride of 0 repeats what is there, which a library does not know.
    runs = (column == 1 and row != 0) or (row == 1 and column != 0)
    return a if runs and takes(a.shape, strides) else recorder.copy(a)


LIBRARY: dict[str, Any] = {"matmul": matmul}
