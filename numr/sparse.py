"""Sparse Jacobians and Hessians: the pattern from the graph, and few derivatives by colouring it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from numr import colouring
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
from numr.primitives.shape import BROADCAST, batched_first, broadcast_to, reshape
from numr.primitives.source import IOTA, const, param_like

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
    reverse; a greedy colouring puts them together, and the mode that takes fewer is used: a tridiagonal
    matrix of any size takes 3.

    Args:
        fun: a function with one floating array as its result.
        pattern: which elements may differ from zero: a boolean matrix, (rows, columns) of them, or a
            sparse matrix of SciPy's. None finds it from the graph of `fun`, for any values of the
            argument, through loops and branches, too. What it has no rule for counts as dense: sorting,
            indices that are computed, and each matrix of an operation of linear algebra.
        argnums: position of the argument, one floating array.

    Returns:
        A function of `fun`'s arguments that returns a `SparseMatrix`; its rows are the result's elements,
        its columns the argument's, in row-major order.

    Raises:
        GradientError: for an argument or a result that is not one floating array, or for both complex.
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
        run, shape = _one_array("sparse_jacobian", fun, argnums, args, kwargs)
        rows, columns = _pattern(run, pattern, shape)
        # Of complex numbers one mode alone may lose nothing.
        modes = {run.forward(True), run.forward(False)}
        forward, colours = _directions(rows, columns, shape, modes)
        run.check_real(inputs=forward)
        along, across = (columns, rows) if forward else (rows, columns)
        places = (colours[along], across)
        return SparseMatrix(_elements(run, colours, forward, places), rows, columns, shape)

    return jacobian


def sparse_hessian(
    fun: Callable[..., Any], pattern: Any = None, argnums: int = 0
) -> Callable[..., SparseMatrix]:
    """The Hessian of a scalar function of which few pairs of elements meet.

    As it is symmetric, an element may be read from its own column or from the one opposite, which a star
    colouring makes use of: with some variables that meet all others (an arrow), it takes one product with
    the Hessian for each of these, and few for the rest.

    Args:
        fun: a function with a real scalar result.
        pattern: as that of `sparse_jacobian`; an element stands for the one opposite, too.
        argnums: position of the argument, one floating array.

    Returns:
        A function of `fun`'s arguments that returns a `SparseMatrix`.

    Raises:
        GradientError: as `grad` and `sparse_jacobian`.
        ShapeError: for a pattern of another shape.

    References:
        Gebremedhin, Tarafdar, Manne, Pothen, New acyclic and star coloring algorithms with application to
        computing Hessians (2007).

    Examples:
        >>> import numr as nr
        >>> h = nr.sparse_hessian(lambda x: nr.sum(x**3) + x[0] * x[2])(nr.asarray([1.0, 2.0, 3.0]))
        >>> h.todense().tolist()
        [[6.0, 0.0, 1.0], [0.0, 12.0, 0.0], [1.0, 0.0, 18.0]]
    """
    gradient = grad(fun, argnums)

    def hessian(*args: Any, **kwargs: Any) -> SparseMatrix:
        run, shape = _one_array("sparse_hessian", gradient, argnums, args, kwargs)
        rows, columns = _pattern(run, pattern, shape)
        rows, columns = _in_order(*map(np.concatenate, ((rows, columns), (columns, rows))))
        colours = colouring.star(rows, columns, shape[1])
        places = colouring.read(rows, columns, colours)
        return SparseMatrix(_elements(run, colours, True, places), rows, columns, shape)

    return hessian


def _one_array(
    transform: str, fun: Callable[..., Any], argnums: int, args: Any, kwargs: Any
) -> tuple[_Linearized, tuple[int, int]]:
    """The function at its arguments, and the shape of its Jacobian."""
    run = _Linearized(transform, fun, argnums, args, kwargs, False)
    if len(run.in_nodes) != 1 or len(run.out_nodes) != 1:
        raise GradientError(
            f"numr.{transform} of {run.name}: it takes and returns one array, not "
            f"{len(run.in_nodes)} and {len(run.out_nodes)}"
        )
    return run, (int(_count(run.out_nodes[0])), int(_count(run.in_nodes[0])))


def _directions(
    rows: Any, columns: Any, shape: tuple[int, int], modes: set[bool]
) -> tuple[bool, Any]:
    """Whether forward mode, if it is among `modes`, takes fewer derivatives, and colours of the columns; or of
    the rows."""
    # The columns of one row differ in colour. So the mode that may take fewer is tried first, and the other
    # one only if it may take fewer still.
    least = {True: np.bincount(rows).max(initial=0), False: np.bincount(columns).max(initial=0)}
    found: dict[bool, Any] = {}
    for forward in sorted(modes, key=lambda forward: (least[forward], not forward)):
        if all(least[forward] <= colours.max(initial=0) for colours in found.values()):
            found[forward] = (
                colouring.apart(rows, columns, shape[1])
                if forward
                else colouring.apart(columns, rows, shape[0])
            )
    return min(found.items(), key=lambda item: item[1].max(initial=0))


def _pattern(run: _Linearized, pattern: Any, shape: tuple[int, int]) -> tuple[Any, Any]:
    return _found(run) if pattern is None else _given(run, pattern, shape)


def _found(run: _Linearized) -> tuple[Any, Any]:
    """The pattern, from the graph of the derivative."""
    seeds = run.seeds()
    (tangent,) = run.tangents(seeds)
    elements = [] if tangent is None else dependencies([tangent], seeds, run.aliases)[0]
    rows = [i for i, e in enumerate(elements) for _ in e]
    columns = [j for e in elements for j in sorted(e)]
    return np.asarray(rows, np.int64), np.asarray(columns, np.int64)


def _given(run: _Linearized, pattern: Any, shape: tuple[int, int]) -> tuple[Any, Any]:
    """The pattern that a user gave."""
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
            f"numr.{run.transform} of {run.name}: the pattern has {told} {shape_text(shape)}, the result's "
            f"elements by the argument's"
        )
    return _in_order(rows, columns)


def _in_order(rows: Any, columns: Any) -> tuple[Any, Any]:
    """Places in row-major order, each once."""
    found = np.unique(np.stack([rows, columns]).astype(np.int64), axis=1)
    return found[0], found[1]


def _elements(run: _Linearized, colours: Any, forward: bool, places: Any) -> Array:
    """The elements, at their places in the sums of the columns (or rows) of each colour."""
    (y,) = run.out_nodes
    sums = _sums(run, colours, forward) if places[0].size else None
    if sums is None:
        return from_node(broadcast_to(const(0, y.dtype), places[0].shape))
    return from_node(sums)[places]


def _sums(run: _Linearized, colours: Any, forward: bool) -> Node | None:
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
