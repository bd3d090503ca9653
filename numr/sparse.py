"""Sparse Jacobians and Hessians: the pattern from the graph, and few derivatives by colouring it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numr.array import Array, from_node, to_array
from numr.autodiff import _check_transform, _Linearized, grad
from numr.errors import GradientError, ShapeError
from numr.ir.node import Node
from numr.ir.transforms.batch import batch
from numr.ir.transforms.sparsity import dependencies
from numr.jacobians import _count
from numr.messages import shape_text
from numr.primitives.elementwise import cast
from numr.primitives.mathematics import eq
from numr.primitives.shape import BROADCAST, batched_first, reshape, zeros_like
from numr.primitives.source import IOTA, param_like

__all__ = ["SparseMatrix", "sparse_hessian", "sparse_jacobian"]


@dataclass
class SparseMatrix:
    """A matrix by its elements that may differ from zero, in row-major order.

    Attributes:
        data: the elements, shape (nnz,).
        rows: their rows, as a NumPy array.
        columns: their columns, as a NumPy array.
        shape: numbers of rows and columns.

    Examples:
        >>> import numr as nr
        >>> j = nr.sparse_jacobian(lambda x: x**2)(nr.asarray([1.0, 3.0]))
        >>> j.data.tolist(), j.rows.tolist(), j.todense().tolist()
        ([2.0, 6.0], [0, 1], [[2.0, 0.0], [0.0, 6.0]])
    """

    data: Array
    rows: Any
    columns: Any
    shape: tuple[int, int] = field(metadata={"static": True})

    def todense(self) -> Array:
        """The whole matrix; `scipy.sparse.coo_array((m.data, (m.rows, m.columns)), m.shape)` is SciPy's."""
        from numr.functions.all import zeros

        empty = zeros(self.shape, dtype=self.data.dtype)
        return empty.at[self.rows, self.columns].set(self.data)


def sparse_jacobian(
    fun: Callable[..., Any], pattern: Any = None, argnums: int = 0
) -> Callable[..., SparseMatrix]:
    """The Jacobian of a function of which each result depends on few elements of its argument.

    Columns that share no row are found by one forward derivative, rows that share no column by one in
    reverse; a greedy colouring puts them together, and the mode that needs fewer is taken: a tridiagonal
    matrix of any size takes 3.

    Args:
        fun: a function with one floating array as its result.
        pattern: which elements may differ from zero: a boolean matrix, (rows, columns) of them, or a
            sparse matrix of SciPy's. None finds it from the graph of `fun`, for any values of the
            argument; what it has no rule for counts as dense.
        argnums: position of the argument, one floating array.

    Returns:
        A function of `fun`'s arguments that returns a `SparseMatrix`; its rows are the result's elements,
        its columns the argument's, in row-major order.

    Raises:
        GradientError: for an argument or a result that is not one floating array.
        ShapeError: for a pattern of another shape.

    References:
        Curtis, Powell, Reid, On the estimation of sparse Jacobian matrices (1974). Gebremedhin, Manne,
        Pothen, What color is your Jacobian? (2005).

    Examples:
        >>> import numr as nr
        >>> nr.sparse_jacobian(lambda x: x[1:] * x[:-1])(nr.asarray([1.0, 2.0, 3.0])).todense().tolist()
        [[2.0, 1.0, 0.0], [0.0, 3.0, 2.0]]
    """
    _check_transform("sparse_jacobian", fun)

    def jacobian(*args: Any, **kwargs: Any) -> SparseMatrix:
        run = _Linearized("sparse_jacobian", fun, argnums, args, kwargs, False)
        if len(run.in_nodes) != 1 or len(run.out_nodes) != 1:
            raise GradientError(
                f"numr.sparse_jacobian of {run.name}: it takes and returns one array, not "
                f"{len(run.in_nodes)} and {len(run.out_nodes)}"
            )
        (x,), (y,) = run.in_nodes, run.out_nodes
        shape = (int(_count(y)), int(_count(x)))
        if pattern is None:
            rows, columns = _found(run)
        else:
            rows, columns = _given(run.name, pattern, shape)
        by_column, by_row = _coloured(rows, columns, shape[1]), _coloured(columns, rows, shape[0])
        forward = run.forward(bool(by_column.max(initial=-1) <= by_row.max(initial=-1)))
        run.check_real(inputs=forward)
        colours = by_column if forward else by_row
        compressed = _compressed(run, colours, forward)
        if compressed is None or not rows.size:
            data = zeros_like(param_like(y))
            return SparseMatrix(from_node(data).reshape((-1,))[:0], rows, columns, shape)
        along, across = (columns, rows) if forward else (rows, columns)
        return SparseMatrix(from_node(compressed)[colours[along], across], rows, columns, shape)

    return jacobian


def sparse_hessian(
    fun: Callable[..., Any], pattern: Any = None, argnums: int = 0
) -> Callable[..., SparseMatrix]:
    """The Hessian of a scalar function of which few pairs of elements meet: the sparse Jacobian of its
    gradient.

    Args:
        fun: a function with a real scalar result.
        pattern: as that of `sparse_jacobian`.
        argnums: position of the argument, one floating array.

    Returns:
        A function of `fun`'s arguments that returns a `SparseMatrix`.

    Raises:
        GradientError: as `grad` and `sparse_jacobian`.
        ShapeError: for a pattern of another shape.

    Examples:
        >>> import numr as nr
        >>> h = nr.sparse_hessian(lambda x: nr.sum(x**3) + x[0] * x[2])(nr.asarray([1.0, 2.0, 3.0]))
        >>> h.todense().tolist()
        [[6.0, 0.0, 1.0], [0.0, 12.0, 0.0], [1.0, 0.0, 18.0]]
    """
    return sparse_jacobian(grad(fun, argnums), pattern, argnums)


def _found(run: _Linearized) -> tuple[Any, Any]:
    """The pattern, from the graph."""
    from numr.ir.rewrite.engine import own_arena
    from numr.rules import reintern

    with own_arena():
        (elements,) = dependencies(reintern(run.aliases, run.out_nodes), run.aliases)
    rows = [i for i, e in enumerate(elements) for _ in e]
    columns = [j for e in elements for j in sorted(e)]
    return np.asarray(rows, np.int64), np.asarray(columns, np.int64)


def _given(name: str, pattern: Any, shape: tuple[int, int]) -> tuple[Any, Any]:
    """The pattern that a user gave, in row-major order."""
    if isinstance(pattern, tuple):
        rows, columns = (np.asarray(p, np.int64) for p in pattern)
        fits = bool(np.all((rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])))
        told = "elements outside"
    else:
        matrix = pattern if hasattr(pattern, "nonzero") else np.asarray(pattern)
        fits, told = tuple(matrix.shape) == shape, f"shape {shape_text(matrix.shape)}, not"
        rows, columns = matrix.nonzero() if fits else (np.zeros(0, np.int64),) * 2
    if not fits:
        raise ShapeError(
            f"numr.sparse_jacobian of {name}: the pattern has {told} {shape_text(shape)}, the result's "
            f"elements by the argument's"
        )
    order = np.lexsort((columns, rows))
    return rows[order], columns[order]


def _coloured(rows: Any, columns: Any, count: int) -> Any:
    """A colour for each column, such that no row has two elements in columns of one colour."""
    in_row: dict[int, list[int]] = {}
    in_column: list[list[int]] = [[] for _ in range(count)]
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        in_row.setdefault(i, []).append(j)
        in_column[j].append(i)
    colours = np.full(count, -1, np.int64)
    # Those with most neighbours first.
    for j in sorted(range(count), key=lambda j: -sum(len(in_row[i]) for i in in_column[j])):
        taken = {int(colours[other]) for i in in_column[j] for other in in_row[i]}
        colours[j] = next(c for c in range(len(taken) + 1) if c not in taken)
    return colours


def _compressed(run: _Linearized, colours: Any, forward: bool) -> Node | None:
    """Sums of the columns (or rows) of each colour, shape (colours, elements); None if all are zero."""
    (x,), (y,) = run.in_nodes, run.out_nodes
    seed = param_like(x if forward else y)
    if forward:
        (result,) = run.tangents([seed])
    else:
        seeds = run.seeds()
        (result,) = run.pull(seeds, run.tangents(seeds), [seed])
    if result is None:
        return None
    count = int(colours.max(initial=0)) + 1
    size = _count(seed)
    mine = BROADCAST(to_array(colours).node, shape=(count, size), axes=(1,))
    chosen = cast(eq(mine, IOTA(shape=(count, size), axis=0)), seed.dtype)
    directions = reshape(chosen, (count, *seed.shape))
    ((moved, axis),) = batch([result], {seed: (directions, 0)}, count)
    return reshape(batched_first(moved, axis, count), (count, _count(y if forward else x)))
