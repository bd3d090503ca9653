"""Distances between all pairs of points, by nine metrics."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numr import messages
from numr.array import Array, from_node
from numr.errors import UnsupportedError
from numr.functions.arithmetic import abs as absolute
from numr.functions.arithmetic import pow as power
from numr.functions.operands import broadcast_shapes, default_float, plain, promoted
from numr.functions.statistics import mean_over
from numr.ir.node import Node
from numr.primitives.contraction import matmul, swap_last
from numr.primitives.elementwise import cast, div, like, mul, select, sub
from numr.primitives.mathematics import bit_and, bit_or, eq, ne, sqrt
from numr.primitives.reduction import reduce_max, reduce_sum, restore
from numr.primitives.shape import BROADCAST, broadcast_to


def _magnitude(x: Node) -> Node:
    return absolute(from_node(x)).node


def _square(a: Node, b: Node) -> Node:
    d = sub(a, b)
    return reduce_sum(mul(d, d), axes=(d.rank - 1,))


def _euclidean(a: Node, b: Node) -> Node:
    return sqrt(_square(a, b))


def _manhattan(a: Node, b: Node) -> Node:
    return reduce_sum(_magnitude(sub(a, b)), axes=(a.rank - 1,))


def _chebyshev(a: Node, b: Node) -> Node:
    if a.shape[-1] == 0:
        return _square(a, b)  # no coordinates, no distance
    return reduce_max(_magnitude(sub(a, b)), axes=(a.rank - 1,))


def _minkowski(a: Node, b: Node, p: float) -> Node:
    parts = power(absolute(from_node(sub(a, b))), p).node
    return power(from_node(reduce_sum(parts, axes=(a.rank - 1,))), 1 / p).node


def _hamming(a: Node, b: Node) -> Node:
    return mean_over(cast(ne(a, b), a.dtype), (a.rank - 1,))


def _jaccard(a: Node, b: Node) -> Node:
    zero = like(a, 0)
    either = bit_or(ne(a, zero), ne(b, zero))
    last = (a.rank - 1,)
    apart = reduce_sum(cast(bit_and(ne(a, b), either), a.dtype), axes=last)
    there = reduce_sum(cast(either, a.dtype), axes=last)
    none = eq(there, like(there, 0))
    return select(none, like(there, 0), div(apart, select(none, like(there, 1), there)))


def _directions(x: Node) -> Node:
    last = (x.rank - 1,)
    return div(x, restore(sqrt(reduce_sum(mul(x, x), axes=last)), x, last))


def _cosine(a: Node, b: Node) -> Node:
    product = matmul(_directions(a), swap_last(_directions(b)))
    return sub(like(product, 1), product)


def _correlation(a: Node, b: Node) -> Node:
    last = (a.rank - 1,)
    return _cosine(*(sub(x, restore(mean_over(x, last), x, last)) for x in (a, b)))


# Functions of two arrays (.., M, N, K) of all pairs, and of two arrays of points.
PAIRS: dict[str, Callable[[Node, Node], Node]] = {
    "euclidean": _euclidean,
    "sqeuclidean": _square,
    "cityblock": _manhattan,
    "chebyshev": _chebyshev,
    "hamming": _hamming,
    "jaccard": _jaccard,
}
POINTS: dict[str, Callable[[Node, Node], Node]] = {"cosine": _cosine, "correlation": _correlation}
ALIASES = {"manhattan": "cityblock", "squared_euclidean": "sqeuclidean"}
METRICS = (*PAIRS, *POINTS, "minkowski")


def cdist(x1: Any, x2: Any, /, metric: str = "euclidean", *, p: float = 2.0) -> Array:
    """The distance of every point of x1 to every point of x2.

    With d = x1[.., i, :] - x2[.., j, :], and sums over its K coordinates:

    - "euclidean": sqrt(sum(d**2)), and "sqeuclidean" without the root;
    - "cityblock" (or "manhattan"): sum(|d|);
    - "chebyshev": max(|d|);
    - "minkowski": sum(|d|**p)**(1 / p);
    - "cosine": 1 - x1 . x2 / (|x1| |x2|);
    - "correlation": the same, after the mean of each point's coordinates is taken away;
    - "hamming": how many coordinates differ, as a share of K;
    - "jaccard": the same among those coordinates that are not 0 in both; 0 if there are none.

    Differences are never stored: all but "cosine" and "correlation", which are products of matrices,
    are one kernel over pairs. Where two points are equal, the derivative of a distance is taken as 0;
    "hamming" and "jaccard" have derivative 0 everywhere.

    Args:
        x1: array of real numbers, of shape (..., M, K).
        x2: array of real numbers, of shape (..., N, K); leading axes broadcast.
        metric: the name of one of the nine, as in SciPy.
        p: the exponent of "minkowski", at least 1; may be infinite.

    Returns:
        Array of shape (..., M, N), of a floating dtype (integers are converted to float64).

    Raises:
        DTypeError: for complex numbers.
        ShapeError: if the numbers of coordinates differ, or leading axes do not broadcast.
        UnsupportedError: for another metric, or p below 1.

    Examples:
        >>> import numr as nr
        >>> nr.cdist(nr.asarray([[0.0, 0.0], [3.0, 0.0]]), nr.asarray([[3.0, 4.0]]))
        numr.Array([[5.],
               [4.]])
        >>> nr.cdist(nr.asarray([[0.0, 0.0]]), nr.asarray([[3.0, 4.0]]), "cityblock")
        numr.Array([[7.]])
    """
    (a, b), _ = promoted("cdist", (x1, x2), "f", default_float())
    if a.rank < 2 or b.rank < 2 or a.shape[-1] != b.shape[-1]:
        raise messages.shape_mismatch(
            "cdist",
            ("x1", "x2"),
            (plain(a.shape), plain(b.shape)),
            hint="they hold points of the same number of coordinates, (.., M, K) and (.., N, K)",
        )
    metric = ALIASES.get(metric, metric)
    if metric not in METRICS:
        names = ", ".join(repr(m) for m in METRICS)
        raise UnsupportedError(f"cdist: metric {metric!r} is not one of {names}")
    lead = broadcast_shapes("cdist", [a.shape[:-2], b.shape[:-2]], ("x1", "x2"))
    if metric in POINTS:
        a, b = (broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b))
        return from_node(POINTS[metric](a, b))
    shape = (*lead, a.shape[-2], b.shape[-2], a.shape[-1])
    rank = len(shape)

    def spread(x: Node, place: int) -> Node:
        first = rank - 3 - (x.rank - 2)
        return BROADCAST(x, shape=shape, axes=(*range(first, rank - 3), rank - place, rank - 1))

    a, b = spread(a, 3), spread(b, 2)
    if metric != "minkowski":
        return from_node(PAIRS[metric](a, b))
    if not p >= 1:
        raise UnsupportedError(f"cdist: p is at least 1, not {p!r}")
    special = {1.0: _manhattan, 2.0: _euclidean, math.inf: _chebyshev}.get(float(p))
    return from_node(special(a, b) if special else _minkowski(a, b, float(p)))


__all__ = ["cdist"]
