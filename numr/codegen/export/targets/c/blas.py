"""Products of matrices by CBLAS, for those who asked for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from numr.codegen.export.record import Library
from numr.dtypes import real_part_dtype
from numr.ir.formulas import Formula

HEADER = "cblas.h"
KEYS = frozenset(("matmul:f32", "matmul:f64", "matmul:c64", "matmul:c128"))
_LETTERS = {"f32": "s", "f64": "d", "c64": "c", "c128": "z"}
# CBLAS counts in int.
MOST = 2**31 - 1


def counted(step: Library) -> list[Formula]:
    """The lengths and strides that have to fit into an int."""
    return [*(n for s in step.shapes for n in s[1:]), *(n for s in step.strides for n in s[1:])]


def gemm(
    step: Library, buffers: Sequence[str], text: Callable[[Formula], str], largest: str
) -> Iterator[str]:
    """The lines that multiply a stack of matrices.

    Args:
        step: the call.
        buffers: expressions of its operands' and its result's addresses.
        text: a formula as an expression.
        largest: the name of a function that gives the larger of two.
    """
    dtype = step.buffers[0].dtype
    parts = 2 if dtype.kind == "c" else 1
    (stack, m, k), (_, _, n) = step.shapes
    kind = "float" if real_part_dtype(dtype).bits == 32 else "double"
    one, zero = ("1.0", "0.0") if kind == "double" else ("1.0f", "0.0f")
    if parts == 2:
        one, zero = (f"(const {kind}[2]){{{x}, 0}}" for x in (one, zero))
    alone = stack.number == 1
    flags, operands = [], []
    for buffer, (distance, row, column) in zip(buffers[:2], step.strides, strict=True):
        turned = column != Formula.of(1)
        flags.append("CblasTrans" if turned else "CblasNoTrans")
        at = "" if alone else f" + numr_stack * ({text(distance * Formula.of(parts))})"
        operands.append(f"{buffer}{at}, (int){largest}({text(column if turned else row)}, 1)")
    at = "" if alone else f" + numr_stack * ({text(m * n * Formula.of(parts))})"
    lengths = ", ".join(f"(int)({text(x)})" for x in (m, n, k))
    lines = [
        f"cblas_{_LETTERS[dtype.short]}gemm(CblasRowMajor, {', '.join(flags)}, {lengths}, {one},",
        f"            {operands[0]},",
        f"            {operands[1]}, {zero},",
        f"            {buffers[2]}{at}, (int){largest}({text(n)}, 1));",
    ]
    if alone:
        yield from lines
    else:
        yield f"for (int64_t numr_stack = 0; numr_stack < {text(stack)}; ++numr_stack) {{"
        yield from (f"    {line}" for line in lines)
        yield "}"
