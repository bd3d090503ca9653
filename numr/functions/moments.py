"""Covariances and correlations of variables."""

from __future__ import annotations

from typing import Any

from numr import messages
from numr.array import Array, from_node
from numr.errors import ShapeError
from numr.functions.operands import default_float, plain, promoted
from numr.functions.statistics import count_of, mean_over
from numr.ir.node import Node
from numr.primitives.contraction import matmul, swap_last
from numr.primitives.elementwise import div, like, select, sub
from numr.primitives.linalg import conj
from numr.primitives.mathematics import gt, real, sqrt
from numr.primitives.reduction import restore
from numr.primitives.shape import BROADCAST, CONCAT, permute, reshape
from numr.primitives.source import const


def _variables(name: str, x: Any, y: Any, rowvar: bool) -> tuple[Node, bool]:
    """The variables as rows, and whether it was one vector."""
    nodes, _ = promoted(name, (x,) if y is None else (x, y), "fc", default_float())
    rows = []
    for what, node in zip(("x", "y"), nodes, strict=False):
        if node.rank > 2:
            raise ShapeError(
                f"{name}: {what} has at most two axes, not the shape {plain(node.shape)}"
            )
        if node.rank < 2:
            node = reshape(node, (1, node.shape[0] if node.rank else 1))
        elif not rowvar:
            node = permute(node, (1, 0))
        rows.append(node)
    if len(rows) == 1:
        return rows[0], nodes[0].rank < 2
    if rows[0].shape[1] != rows[1].shape[1]:
        hint = "both have as many observations, the last axis unless rowvar=False"
        shapes = (plain(nodes[0].shape), plain(nodes[1].shape))
        raise messages.shape_mismatch(name, ("x", "y"), shapes, hint=hint)
    return CONCAT(*rows, axis=0), False


def _covariance(rows: Node, ddof: float) -> Node:
    centred = sub(rows, restore(mean_over(rows, (1,)), rows, (1,)))
    other = conj(centred) if rows.dtype.kind == "c" else centred
    free = sub(count_of(rows, (1,), rows.dtype), const(ddof, rows.dtype))
    if rows.dtype.kind != "c":
        free = select(gt(free, like(free, 0)), free, like(free, 0))
    return div(matmul(centred, swap_last(other)), free)


def cov(
    x: Any, y: Any = None, /, *, rowvar: bool = True, bias: bool = False, ddof: float | None = None
) -> Array:
    """The covariances of variables: out[i, j] = sum((x[i] - mean) * conj(x[j] - mean)) / (n - ddof).

    Args:
        x: matrix with a variable in each row and an observation in each column, or a vector of one
            variable.
        y: more variables, likewise; or None.
        rowvar: False if variables are columns.
        bias: divide by n instead of n - 1.
        ddof: divide by n - ddof instead.

    Returns:
        Matrix of covariances, or one number for one vector, of a floating dtype (integers are
        converted to float64).

    Raises:
        ShapeError: for more than two axes, or another number of observations.

    Examples:
        >>> import numr as nr
        >>> nr.cov(nr.asarray([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
        numr.Array([[ 1., -1.],
               [-1.,  1.]])
    """
    rows, single = _variables("cov", x, y, rowvar)
    free = (0.0 if bias else 1.0) if ddof is None else ddof
    out = _covariance(rows, free)
    return from_node(reshape(out, ()) if single else out)


def corrcoef(x: Any, y: Any = None, /, *, rowvar: bool = True) -> Array:
    """The correlations of variables: their covariances over the product of their deviations.

    Rounding may leave the ends of -1 to 1 by a last digit. It is NaN for a constant.

    Args:
        x: matrix with a variable in each row and an observation in each column, or a vector of one
            variable.
        y: more variables, likewise; or None.
        rowvar: False if variables are columns.

    Returns:
        Matrix of correlations, or one number for one vector, of a floating dtype (integers are
        converted to float64).

    Raises:
        ShapeError: for more than two axes, or another number of observations.

    Examples:
        >>> import numr as nr
        >>> nr.corrcoef(nr.asarray([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
        numr.Array([[ 1., -1.],
               [-1.,  1.]])
    """
    from numr.functions.diagonals import diagonal
    from numr.primitives.elementwise import cast

    rows, single = _variables("corrcoef", x, y, rowvar)
    c = _covariance(rows, 1.0)
    own = diagonal(from_node(c)).node
    deviation = sqrt(real(own) if c.dtype.kind == "c" else own)
    deviation = cast(deviation, c.dtype)
    out = div(
        div(c, BROADCAST(deviation, shape=c.shape, axes=(0,))),
        BROADCAST(deviation, shape=c.shape, axes=(1,)),
    )
    return from_node(reshape(out, ()) if single else out)


__all__ = ["corrcoef", "cov"]
