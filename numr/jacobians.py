"""Jacobians and Hessians: forward and reverse mode batched over unit directions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from numr.autodiff import _arrays, _check_transform, _Linearized
from numr.ir.node import Node
from numr.ir.transforms.batch import batch
from numr.primitives.elementwise import cast
from numr.primitives.mathematics import eq
from numr.primitives.shape import move_axis, reshape, zeros_like
from numr.primitives.source import IOTA, param_like

__all__ = ["hessian", "jacfwd", "jacobian", "jacrev"]


def _count(node: Node) -> int:
    if node.rank == 1:
        return node.shape[0]
    count = 1
    for n in node.shape:
        count *= n
    return count


def _basis(node: Node) -> Node:
    """All unit tangents of a node, along a new first axis."""
    n = _count(node)
    eye = cast(eq(IOTA(shape=(n, n), axis=0), IOTA(shape=(n, n), axis=1)), node.dtype)
    return reshape(eye, (n, *node.shape))


def jacfwd(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian, one forward pass per input element (all in one batch).

    Args:
        fun: a function of arrays (any pytrees).
        argnums: position, or positions, of the arguments to differentiate (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.
        holomorphic: `fun` is a holomorphic function of complex arguments with complex results; the
            Jacobian is df/dz. Without it the arguments are real; the results may be complex.

    Returns:
        A function of `fun`'s arguments; each output leaf becomes a structure like the argument whose
        leaves have shape (output shape + input shape). With `has_aux`, (jacobian, aux).

    Raises:
        GradientError: for integer arguments, complex ones without `holomorphic`, or wrong argnums.

    Examples:
        >>> import numr as nr
        >>> nr.jacfwd(lambda x: x**2)(nr.asarray([1.0, 2.0])).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """
    _check_transform("jacfwd", fun)

    return _jacobian("jacfwd", fun, argnums, has_aux, holomorphic, lambda run: True)


def _jacobian(
    name: str,
    fun: Callable[..., Any],
    argnums: int | Sequence[int],
    has_aux: bool,
    holomorphic: bool,
    forward: Callable[[_Linearized], bool],
) -> Callable[..., Any]:
    """A function that gives a Jacobian, block by block: for each output, those by the inputs."""

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        run = _Linearized(name, fun, argnums, args, kwargs, has_aux)
        if holomorphic:
            run.check_holomorphic()
        columns = forward(run)
        if not holomorphic:
            run.check_real(inputs=columns)
        rows = (_by_columns if columns else _by_rows)(run)
        result = run.out_tree.unflatten([_arrays(run.in_tree, row) for row in rows])
        return (result, run.aux) if has_aux else result

    return jacobian


def _by_columns(run: _Linearized) -> list[list[Node]]:
    """All blocks by forward mode."""
    columns: list[list[Node]] = []
    for k, x in enumerate(run.in_nodes):
        seed = param_like(x)
        tangents = run.tangents([seed if i == k else None for i in range(len(run.in_nodes))])
        full = [
            zeros_like(y) if t is None else t for y, t in zip(run.out_nodes, tangents, strict=True)
        ]
        basis = _basis(x)
        pushed = batch(full, {seed: (basis, 0)}, basis.shape[0])
        columns.append(
            [
                _columns_last(p, axis, y, x)
                for (p, axis), y in zip(pushed, run.out_nodes, strict=True)
            ]
        )
    return [[column[j] for column in columns] for j in range(len(run.out_nodes))]


def _by_rows(run: _Linearized) -> list[list[Node]]:
    """All blocks by reverse mode."""
    seeds = run.seeds()
    tangents = run.tangents(seeds)
    rows = []
    for j, y in enumerate(run.out_nodes):
        seed = param_like(y)
        cts = run.pull(
            seeds, tangents, [seed if i == j else None for i in range(len(run.out_nodes))]
        )
        basis = _basis(y)
        pulled = batch(cts, {seed: (basis, 0)}, basis.shape[0])
        rows.append(
            [_rows_first(p, axis, y, x) for (p, axis), x in zip(pulled, run.in_nodes, strict=True)]
        )
    return rows


def _columns_last(p: Node, axis: int | None, y: Node, x: Node) -> Node:
    """Tangents along a batch axis as a Jacobian block of shape (output + input)."""
    if axis is None:
        from numr.primitives.shape import BROADCAST

        return BROADCAST(p, shape=(*y.shape, *x.shape), axes=tuple(range(y.rank)))
    return reshape(move_axis(p, axis, p.rank - 1), (*y.shape, *x.shape))


def jacrev(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian, one reverse pass per output element (all in one batch).

    Args:
        fun, argnums, has_aux, holomorphic: as those of `jacfwd`; but without `holomorphic` it is the
            results that are real. Rows by complex arguments are then gradients as those of `grad`.

    Returns:
        As `jacfwd`.

    Raises:
        GradientError: for integer arguments, complex results without `holomorphic`, or wrong argnums.

    Examples:
        >>> import numr as nr
        >>> nr.jacrev(lambda x: nr.sum(x**2))(nr.asarray([1.0, 2.0])).tolist()
        [2.0, 4.0]
    """
    _check_transform("jacrev", fun)

    return _jacobian("jacrev", fun, argnums, has_aux, holomorphic, lambda run: False)


def jacobian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Jacobian by forward or reverse mode: as there are fewer elements of the inputs, or the outputs.

    Args:
        fun, argnums, has_aux, holomorphic: as those of `jacfwd`.

    Returns:
        As `jacfwd`.

    Raises:
        GradientError: for integer inputs, wrong argnums, or complex arguments and complex results without
            `holomorphic`. Where only the ones or the others are complex, that decides the mode.

    Examples:
        >>> import numr as nr
        >>> nr.jacobian(lambda x: nr.stack([nr.sum(x), nr.prod(x)]))(nr.asarray([2.0, 3.0, 4.0])).tolist()
        [[1.0, 1.0, 1.0], [12.0, 8.0, 6.0]]
    """
    _check_transform("jacobian", fun)

    def forward(run: _Linearized) -> bool:
        columns, rows = (sum(map(_count, nodes)) for nodes in (run.in_nodes, run.out_nodes))
        return columns <= rows if holomorphic else run.forward(columns <= rows)

    return _jacobian("jacobian", fun, argnums, has_aux, holomorphic, forward)


def _rows_first(p: Node, axis: int | None, y: Node, x: Node) -> Node:
    if axis is None:
        from numr.primitives.shape import BROADCAST

        lead = y.rank
        return BROADCAST(p, shape=(*y.shape, *x.shape), axes=tuple(range(lead, lead + x.rank)))
    return reshape(move_axis(p, axis, 0), (*y.shape, *x.shape))


def hessian(
    fun: Callable[..., Any],
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    holomorphic: bool = False,
) -> Callable[..., Any]:
    """The Hessian of a scalar function: forward mode over its gradient.

    Args:
        fun, argnums, has_aux, holomorphic: as those of `jacfwd`.

    Returns:
        A function of `fun`'s arguments: a structure of structures whose leaves have shape
        (input shape + input shape).

    Examples:
        >>> import numr as nr
        >>> nr.hessian(lambda x: x[0] ** 2 * x[1])(nr.asarray([3.0, 2.0])).tolist()
        [[4.0, 6.0], [6.0, 0.0]]
    """
    return jacfwd(jacrev(fun, argnums, has_aux, holomorphic), argnums, has_aux, holomorphic)
