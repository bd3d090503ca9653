"""Diagonals and triangles of the last two axes, and identity matrices."""

from __future__ import annotations

from typing import Any

from numr.array import Array, from_node
from numr.dtypes import as_dtype, int64
from numr.errors import ShapeError
from numr.functions.creation import as_shape, placed
from numr.functions.operands import default_float, node_of, normalized_axis, plain
from numr.ir.node import Node
from numr.primitives import shape as P
from numr.primitives.elementwise import add, cast, like, select
from numr.primitives.indexing import GATHER
from numr.primitives.mathematics import eq, ge, le
from numr.primitives.source import IOTA, const


def _rows_and_columns(shape: tuple[int, ...], k: int) -> tuple[Node, Node]:
    """Row number plus k, and column number, over the last two axes."""
    rows, columns = (IOTA(shape=shape, axis=len(shape) - i) for i in (2, 1))
    return (add(rows, const(k, int64)) if k else rows), columns


def eye(
    n_rows: int, n_cols: int | None = None, /, *, k: int = 0, dtype: Any = None, device: Any = None
) -> Array:
    """A matrix with ones on a diagonal and zeros elsewhere.

    Args:
        n_rows: how many rows.
        n_cols: how many columns, by default as many.
        k: which diagonal; 0 for the main one, positive above it.
        dtype: element type, by default float64.
        device: where the array shall be.

    Returns:
        Matrix (n_rows, n_cols).

    Raises:
        DeviceError: for a device that is not there.
        ShapeError: for a length that is negative or no integer.

    Examples:
        >>> import numr as nr
        >>> nr.eye(2)
        numr.Array([[1., 0.],
               [0., 1.]])
    """
    shape = as_shape((n_rows, n_rows if n_cols is None else n_cols))
    kind = default_float() if dtype is None else as_dtype(dtype)
    return placed(from_node(cast(eq(*_rows_and_columns(shape, k)), kind)), device)


def _triangle(name: str, x: Any, k: int, inside: Any) -> Array:
    node = node_of(x)
    if node.rank < 2:
        raise ShapeError(f"{name} needs two axes, and the shape is {plain(node.shape)}")
    rows, columns = _rows_and_columns(node.shape, k)
    return from_node(select(inside(columns, rows), node, like(node, 0)))


def tril(x: Any, /, *, k: int = 0) -> Array:
    """The lower triangle of the last two axes, zeros above.

    Args:
        x: array of shape (..., m, n).
        k: the last diagonal that is kept; 0 for the main one, positive above it.

    Returns:
        Array of x's shape and dtype.

    Raises:
        ShapeError: for fewer than two axes.

    Examples:
        >>> import numr as nr
        >>> nr.tril(nr.ones((2, 2)))
        numr.Array([[1., 0.],
               [1., 1.]])
    """
    return _triangle("tril", x, k, le)


def triu(x: Any, /, *, k: int = 0) -> Array:
    """The upper triangle of the last two axes, zeros below.

    Args:
        x: array of shape (..., m, n).
        k: the first diagonal that is kept; 0 for the main one, positive above it.

    Returns:
        Array of x's shape and dtype.

    Raises:
        ShapeError: for fewer than two axes.

    Examples:
        >>> import numr as nr
        >>> nr.triu(nr.ones((2, 2)))
        numr.Array([[1., 1.],
               [0., 1.]])
    """
    return _triangle("triu", x, k, ge)


def diagonal(x: Any, /, *, offset: int = 0, axis1: int = -2, axis2: int = -1) -> Array:
    """The diagonal of two axes, as a new last axis.

    Args:
        x: array with at least two axes.
        offset: which diagonal; 0 for the main one, positive above it.
        axis1: the axis of rows.
        axis2: the axis of columns.

    Returns:
        Array with one axis less.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.diagonal(nr.asarray([[1, 2], [3, 4]]))
        numr.Array([1, 4])
    """
    node = node_of(x)
    a, b = (normalized_axis("diagonal", k, node.rank) for k in (axis1, axis2))
    node = P.permute(node, (a, b, *(i for i in range(node.rank) if i not in (a, b))))
    rows, columns = node.shape[:2]
    length = rows
    if offset or rows != columns:
        length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    line = IOTA(shape=(length,), axis=0)
    row = add(line, const(-offset, int64)) if offset < 0 else line
    column = add(line, const(offset, int64)) if offset > 0 else line
    out = GATHER(node, row, column)
    return from_node(P.move_axis(out, 0, out.rank - 1))


def diag(x: Any, /, k: int = 0) -> Array:
    """The k-th diagonal of a matrix; or a matrix with a vector on its k-th diagonal.

    Args:
        x: matrix (m, n) or vector (n,).
        k: which diagonal; 0 for the main one, positive above it.

    Returns:
        Vector, or matrix (n + |k|, n + |k|).

    Raises:
        ShapeError: for other than one or two axes.

    Examples:
        >>> import numr as nr
        >>> nr.diag(nr.asarray([1.0, 2.0]))
        numr.Array([[1., 0.],
               [0., 2.]])
    """
    node = node_of(x)
    if node.rank == 2:
        return diagonal(x, offset=k)
    if node.rank != 1:
        raise ShapeError(f"diag takes one or two axes, and the shape is {plain(node.shape)}")
    n = node.shape[0] if k == 0 else node.shape[0] + abs(k)
    if k:
        node = P.PAD(node, like(node, 0), starts=(max(k, 0),), shape=(n,), steps=(1,))
    rows, columns = _rows_and_columns((n, n), k)
    spread = P.BROADCAST(node, shape=(n, n), axes=(1,))
    return from_node(select(eq(rows, columns), spread, like(node, 0)))


# NumPy's name for the same function.
identity = eye

__all__ = ["diag", "diagonal", "eye", "identity", "tril", "triu"]
