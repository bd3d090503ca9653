"""The values of scalar expressions, by NumPy: what the rules of mathematics are checked with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from numr.codegen.mathematics import mathematics
from numr.codegen.prepare import reachable
from numr.codegen.region import Axis, Expr, ExprBuilder, Operand, Output, Region
from numr.dtypes import DType
from numr.ir.scalar import ScalarOp

LENGTH = 8


def written_out(op: ScalarOp, dtype: DType, native: tuple[str, ...] = ()) -> Expr:
    """An operation on loads of as many operands, without what is not native."""
    builder, axis = ExprBuilder(), Axis("i", LENGTH)
    at = (builder.axis(axis),)
    expr = builder.op(op, *(builder.load(k, at, dtype) for k in range(op.arity)))
    operands = tuple(Operand(dtype, (LENGTH,)) for _ in range(op.arity))
    output = Output(expr, at, (axis,), (LENGTH,), expr.dtype, 0)
    return mathematics(builder, Region(operands, (output,)), native).outputs[0].expr


def values(root: Expr, operands: Mapping[int, Any]) -> Any:
    """The expression over whole arrays in place of its loads."""
    known: dict[Expr, Any] = {}
    with np.errstate(all="ignore"):
        for expr in reachable([root]):
            if expr.kind == "axis":
                continue
            args = [known[a] for a in expr.args] if expr.kind != "load" else []
            if expr.kind == "load":
                known[expr] = operands[expr.data]
            elif expr.kind == "const":
                known[expr] = np.asarray(expr.data, expr.dtype.dtype)
                assert np.isnan(expr.data) or known[expr] == expr.data, "a constant that is rounded"
            elif expr.kind == "cast":
                known[expr] = args[0].astype(expr.dtype.dtype)
            elif expr.kind == "bitcast":
                known[expr] = args[0].view(expr.dtype.dtype)
            else:
                known[expr] = expr.data.numpy(*args)
            assert known[expr].dtype == expr.dtype.dtype, expr
    return known[root]
