"""Jacobians, Hessians and products with them: forward and reverse mode batched over unit directions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from numr import messages
from numr.autodiff import _arrays, _check_transform, _Linearized, grad, jvp
from numr.ir.node import Node
from numr.ir.transforms.batch import batch
from numr.primitives.elementwise import cast
from numr.primitives.mathematics import eq
from numr.primitives.shape import move_axis, reshape, zeros_like
from numr.primitives.source import IOTA, param_like

__all__ = ["hessian", "hvp", "jacfwd", "jacrev"]


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
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The Jacobian, one forward pass per input element (all in one batch).

    Returns:
        A function of `fun`'s arguments; each output leaf becomes a structure like the argument whose
        leaves have shape (output shape + input shape). With `has_aux`, (jacobian, aux).

    Examples:
        >>> import numr as nr
        >>> nr.jacfwd(lambda x: x**2)(nr.asarray([1.0, 2.0])).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
    """
    _check_transform("jacfwd", fun)

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        run = _Linearized("jacfwd", fun, argnums, args, kwargs, has_aux)
        columns: list[list[Node]] = []
        for k, x in enumerate(run.in_nodes):
            seed = param_like(x)
            tangents = run.tangents([seed if i == k else None for i in range(len(run.in_nodes))])
            full = [
                zeros_like(y) if t is None else t
                for y, t in zip(run.out_nodes, tangents, strict=True)
            ]
            basis = _basis(x)
            pushed = batch(full, {seed: (basis, 0)}, basis.shape[0])
            columns.append(
                [
                    _columns_last(p, axis, y, x)
                    for (p, axis), y in zip(pushed, run.out_nodes, strict=True)
                ]
            )
        rows = [[column[j] for column in columns] for j in range(len(run.out_nodes))]
        result = run.out_tree.unflatten([_arrays(run.in_tree, row) for row in rows])
        return (result, run.aux) if has_aux else result

    return jacobian


def _columns_last(p: Node, axis: int | None, y: Node, x: Node) -> Node:
    """Tangents along a batch axis as a Jacobian block of shape (output + input)."""
    if axis is None:
        from numr.primitives.shape import BROADCAST

        return BROADCAST(p, shape=(*y.shape, *x.shape), axes=tuple(range(y.rank)))
    return reshape(move_axis(p, axis, p.rank - 1), (*y.shape, *x.shape))


def jacrev(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The Jacobian, one reverse pass per output element (all in one batch).

    Returns:
        As `jacfwd`.

    Examples:
        >>> import numr as nr
        >>> nr.jacrev(lambda x: nr.sum(x**2))(nr.asarray([1.0, 2.0])).tolist()
        [2.0, 4.0]
    """
    _check_transform("jacrev", fun)

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        run = _Linearized("jacrev", fun, argnums, args, kwargs, has_aux)
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
            row = [
                _rows_first(p, axis, y, x)
                for (p, axis), x in zip(pulled, run.in_nodes, strict=True)
            ]
            rows.append(_arrays(run.in_tree, row))
        result = run.out_tree.unflatten(rows)
        return (result, run.aux) if has_aux else result

    return jacobian


def _rows_first(p: Node, axis: int | None, y: Node, x: Node) -> Node:
    if axis is None:
        from numr.primitives.shape import BROADCAST

        lead = y.rank
        return BROADCAST(p, shape=(*y.shape, *x.shape), axes=tuple(range(lead, lead + x.rank)))
    return reshape(move_axis(p, axis, 0), (*y.shape, *x.shape))


def hessian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The Hessian of a scalar function: forward mode over its gradient.

    Returns:
        A function of `fun`'s arguments: a structure of structures whose leaves have shape
        (input shape + input shape).

    Examples:
        >>> import numr as nr
        >>> nr.hessian(lambda x: x[0] ** 2 * x[1])(nr.asarray([3.0, 2.0])).tolist()
        [[4.0, 6.0], [6.0, 0.0]]
    """
    return jacfwd(jacrev(fun, argnums, has_aux), argnums, has_aux)


def hvp(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Hessian-vector products without the Hessian: forward mode over the gradient.

    Args:
        fun: a function with a real scalar result, or (scalar, aux) with `has_aux`.
        argnums: position, or positions, of the arguments to differentiate (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.

    Returns:
        A function (x, v, *rest) -> H v, where x is `fun`'s argument number `argnums`, v a direction of
        its structure given right after it, and the others are `fun`'s other arguments. For several
        argnums v is a tuple, given right after the last of them, and so is H v. With `has_aux`,
        (H v, aux).

    Raises:
        GradientError: for a result that is not a real scalar, integer inputs, wrong argnums, or a
            direction that is not there.

    Examples:
        >>> import numr as nr
        >>> x, v = nr.asarray([3.0, 2.0]), nr.asarray([1.0, 0.0])
        >>> nr.hvp(lambda x: x[0] ** 2 * x[1])(x, v).tolist()
        [4.0, 6.0]
        >>> [h.item() for h in nr.hvp(lambda x, y: x**2 * y, (0, 1))(3.0, 2.0, (1.0, 0.0))]
        [4.0, 6.0]
    """
    _check_transform("hvp", fun)
    name = getattr(fun, "__name__", repr(fun))
    listed = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def product(*args: Any, **kwargs: Any) -> Any:
        # Counted from the end, an argument is counted without the direction.
        places = [i if i >= 0 else i + len(args) - 1 for i in listed]
        after = max(places, default=-1) + 1
        if not 0 < after < len(args) or min(places) < 0:
            raise messages.no_direction(name, argnums, len(args))
        plain, direction = [*args[:after], *args[after + 1 :]], args[after]
        single = isinstance(argnums, int)

        def slope(*chosen: Any) -> Any:
            for place, x in zip(places, chosen, strict=True):
                plain[place] = x
            found = grad(fun, argnums, has_aux)(*plain, **kwargs)
            return found if has_aux else (found, None)

        primals = tuple(plain[i] for i in places)
        if not single and not isinstance(direction, (tuple, list)):
            raise messages.no_direction(name, argnums, len(args))
        tangents = (direction,) if single else tuple(direction)
        _, moved, aux = jvp(slope, primals, tangents, has_aux=True)
        return (moved, aux) if has_aux else moved

    return product
