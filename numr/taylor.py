"""Derivatives of high order along a curve, by power series: jet, and the Laplacian made of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

from numr.array import from_node
from numr.autodiff import _arrays, _check_transform, _Linearized, _matching, check_arguments
from numr.errors import GradientError
from numr.ir.node import Node
from numr.ir.transforms.batch import batch
from numr.ir.transforms.taylor import taylor
from numr.jacobians import _basis
from numr.primitives.elementwise import accumulate, like, mul
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import batched_first, zeros_like
from numr.primitives.source import param_like

__all__ = ["jet", "laplacian"]


def jet(fun: Callable[..., Any], primals: Sequence[Any], series: Sequence[Any]) -> tuple[Any, Any]:
    """The derivatives of `fun` along a curve, to any order (Taylor mode).

    For x(t) with x(0) = primals and derivatives x'(0), x''(0), .. = series, those of fun(x(t)) at t = 0:
    `jet(f, (x,), ([v, w],))` has the second derivative v^T H v + grad . w. Order k costs about k^2
    evaluations of `fun`, where nested `jvp` costs 2^k.

    Args:
        fun: a function of arrays (any pytrees).
        primals: tuple of arguments, floating.
        series: for each argument the list of its derivatives, first to k-th, each of its structure,
            shapes and dtypes.

    Returns:
        (fun(*primals), [first derivative, .., k-th]), each of the result's structure.

    Raises:
        TypeError: for primals or series that are no tuple or list.
        GradientError: for integer arguments, or lists of different lengths.
        ShapeError: for a derivative of another shape than its argument's.

    References:
        Griewank, Walther, Evaluating Derivatives (2008), chapter 13.

    Examples:
        >>> import numr as nr
        >>> y, terms = nr.jet(nr.exp, (0.0,), ([1.0, 0.0, 0.0],))
        >>> y.item(), [t.item() for t in terms]
        (1.0, [1.0, 1.0, 1.0])
    """
    _check_transform("jet", fun)
    check_arguments("jet", primals=primals, series=series)
    run = _Linearized("jet", fun, range(len(primals)), tuple(primals), {}, False)
    lengths = {len(terms) for terms in series}
    if len(series) != len(primals) or len(lengths) > 1:
        given = ", ".join(str(len(terms)) for terms in series)
        raise GradientError(
            f"numr.jet of {run.name}: series is to have a list of derivatives for each of {len(primals)} "
            f"arguments, all to one order, not lists of {given or 'nothing'}"
        )
    order = lengths.pop() if lengths else 0
    found: dict[Node, list[Node]] = {x: [] for x in run.aliases}
    for k in range(1, order + 1):
        value = tuple(terms[k - 1] for terms in series)
        nodes = _matching("jet", "series", run.in_tree, run.in_nodes, value)
        for x, node in zip(run.aliases, nodes, strict=True):
            found[x].append(mul(node, like(node, 1.0 / math.factorial(k))) if k > 1 else node)
    rows = taylor(run.out_nodes, found, order)
    out = []
    for k in range(order):
        factor = float(math.factorial(k + 1))
        terms_k = [
            zeros_like(y) if row[k] is None else _times(row[k], factor)
            for y, row in zip(run.out_nodes, rows, strict=True)
        ]
        out.append(_arrays(run.out_tree, terms_k))
    return run.output(), out


def _times(x: Node | None, factor: float) -> Node:
    assert x is not None
    return x if factor == 1.0 else mul(x, like(x, factor))


def laplacian(
    fun: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The Laplacian, the sum of the second derivatives by each element, by Taylor mode of order 2.

    Nothing is transposed and no Hessian is made: its trace is the sum of second derivatives along unit
    directions, all in one batch.

    Args:
        fun: a function of arrays, with results of any structure and shape, real or complex.
        argnums: position, or positions, of the arguments to differentiate (any pytrees).
        has_aux: whether `fun` also returns data that is not differentiated.

    Returns:
        A function of `fun`'s arguments: the Laplacian of each element of the result, in its structure;
        with `has_aux`, (laplacian, aux).

    Raises:
        GradientError: for integer inputs, or wrong argnums.

    Examples:
        >>> import numr as nr
        >>> nr.laplacian(lambda x: nr.sum(x**3))(nr.asarray([1.0, 2.0])).item()
        18.0
    """
    _check_transform("laplacian", fun)

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def trace(*args: Any, **kwargs: Any) -> Any:
        run = _Linearized("laplacian", fun, argnums, args, kwargs, has_aux)
        totals: list[Node | None] = [None] * len(run.out_nodes)
        for x in run.aliases:
            seed = param_like(x)
            terms = [row[1] for row in taylor(run.out_nodes, {x: [seed, None]}, 2)]
            basis = _basis(x)
            pushed = batch([t for t in terms if t is not None], {seed: (basis, 0)}, basis.shape[0])
            rest = iter(pushed)
            for k, term in enumerate(terms):
                if term is not None:
                    node = batched_first(*next(rest), basis.shape[0])
                    totals[k] = accumulate(totals[k], _times(reduce_sum(node, axes=(0,)), 2.0))
        nodes = [
            zeros_like(y) if t is None else t for y, t in zip(run.out_nodes, totals, strict=True)
        ]
        result = run.out_tree.unflatten([from_node(n) for n in nodes])
        return (result, run.aux) if has_aux else result

    return trace
