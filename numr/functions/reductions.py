"""Reductions and statistics: sums, products, extrema, means, norms, and cumulative ones."""

from __future__ import annotations

from builtins import any as _some
from typing import Any

from numr.array import Array, from_node
from numr.dtypes import DType, as_dtype, bool_, int64, real_part_dtype, uint64
from numr.functions.elementwise import default_float, truth
from numr.functions.operands import node_of, normalized_axes, normalized_axis
from numr.ir.node import Node
from numr.primitives import cumulative as Cu
from numr.primitives import reduction as R
from numr.primitives.elementwise import add, cast, div, like, mul, select, sub
from numr.primitives.mathematics import bit_or, eq, exp, imag, isfinite, log, ne, real, sqrt
from numr.primitives.shape import reshape
from numr.primitives.source import IOTA, STOP_GRADIENT, const, size_of

Axes = Any


def kept(reduced: Node, x: Node, axes: tuple[int, ...], keepdims: bool) -> Node:
    """A reduced node, with its axes put back as length 1 where asked."""
    if not keepdims or not axes:
        return reduced
    return reshape(reduced, tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


def count_of(x: Node, axes: tuple[int, ...], dtype: DType) -> Node:
    """How many elements a reduction folds together, as a scalar that kernels need not contain."""
    total: Node | None = None
    for a in axes:
        n = size_of(x.shape[a], dtype)
        total = n if total is None else mul(total, n)
    return const(1, dtype) if total is None else total


def _widened(x: Node, dtype: Any) -> Node:
    """Sums of small integers are taken in 64 bits, as the standard and NumPy have it."""
    if dtype is not None:
        return cast(x, as_dtype(dtype))
    kind = x.dtype.kind
    return cast(x, uint64 if kind == "u" else int64) if kind in "biu" else x


def _floating(x: Node) -> Node:
    return x if x.dtype.is_inexact else cast(x, default_float())


def sum(x: Any, /, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """The sum over axes. Small integers add up in 64 bits.

    Args:
        x: numeric array.
        axis: axis or axes; None for all.
        dtype: dtype to sum in and return.
        keepdims: keep the reduced axes with length 1.

    Returns:
        array without the reduced axes.

    Raises:
        ShapeError: for an axis that is not there.

    Examples:
        >>> import numr as nr
        >>> nr.sum(nr.asarray([[1.0, 2.0], [3.0, 4.0]]), axis=0).tolist()
        [4.0, 6.0]
    """
    node = _widened(node_of(x), dtype)
    axes = normalized_axes("sum", axis, node.rank)
    return from_node(kept(R.reduce_sum(node, axes=axes), node, axes, keepdims))


def prod(x: Any, /, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False) -> Array:
    """The product over axes; its derivative is right with zeros among the factors.

    Examples:
        >>> import numr as nr
        >>> nr.prod(nr.asarray([2.0, 3.0])).item()
        6.0
    """
    node = _widened(node_of(x), dtype)
    axes = normalized_axes("prod", axis, node.rank)
    if node.dtype.kind == "c":
        return _complex_product(node, axes, keepdims)
    return from_node(kept(R.reduce_prod(node, axes=axes), node, axes, keepdims))


def _complex_product(node: Node, axes: tuple[int, ...], keepdims: bool) -> Array:
    """The last running product, axis by axis: kernels multiply real numbers only."""
    from numr.primitives.shape import CONCAT, SLICE, broadcast_to

    out = node
    for a in axes:
        one = broadcast_to(like(out, 1), tuple(1 if i == a else n for i, n in enumerate(out.shape)))
        running = Cu.cumprod(CONCAT(one, out, axis=a), axis=a, reverse=False)
        starts = tuple(running.shape[a] - 1 if i == a else 0 for i in range(out.rank))
        out = SLICE(running, starts=starts, sizes=one.shape, steps=(1,) * out.rank)
    shape = out.shape if keepdims else tuple(n for i, n in enumerate(out.shape) if i not in axes)
    return from_node(reshape(out, shape))


def _extremum(name: str, prim: Any, x: Any, axis: Axes, keepdims: bool) -> Array:
    node = node_of(x)
    axes = normalized_axes(name, axis, node.rank)
    if _some(node.shape[a] == 0 for a in axes):
        raise ValueError(
            f"{name} of an axis of length 0 has no value (shape {tuple(map(int, node.shape))})"
        )
    if node.dtype is bool_:
        logical = R.reduce_or if name == "max" else R.reduce_and
        return from_node(kept(logical(node, axes=axes), node, axes, keepdims))
    return from_node(kept(prim(node, axes=axes), node, axes, keepdims))


def max(x: Any, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """The greatest element over axes; NaN if any is. Elements that tie share the derivative.

    Examples:
        >>> import numr as nr
        >>> nr.max(nr.asarray([1.0, 3.0, 2.0])).item()
        3.0
    """
    return _extremum("max", R.reduce_max, x, axis, keepdims)


def min(x: Any, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """The least element over axes; NaN if any is. Elements that tie share the derivative.

    Examples:
        >>> import numr as nr
        >>> nr.min(nr.asarray([1.0, 3.0, 2.0])).item()
        1.0
    """
    return _extremum("min", R.reduce_min, x, axis, keepdims)


def any(x: Any, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """Whether any element is nonzero.

    Examples:
        >>> import numr as nr
        >>> nr.any(nr.asarray([0, 1])).item()
        True
    """
    node = truth(node_of(x))
    axes = normalized_axes("any", axis, node.rank)
    return from_node(kept(R.reduce_or(node, axes=axes), node, axes, keepdims))


def all(x: Any, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """Whether all elements are nonzero.

    Examples:
        >>> import numr as nr
        >>> nr.all(nr.asarray([0, 1])).item()
        False
    """
    node = truth(node_of(x))
    axes = normalized_axes("all", axis, node.rank)
    return from_node(kept(R.reduce_and(node, axes=axes), node, axes, keepdims))


def mean(x: Any, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """The arithmetic mean over axes; integers give floats.

    Examples:
        >>> import numr as nr
        >>> nr.mean(nr.asarray([1, 2, 6])).item()
        3.0
    """
    node = _floating(node_of(x))
    axes = normalized_axes("mean", axis, node.rank)
    return from_node(kept(_mean(node, axes), node, axes, keepdims))


def _mean(node: Node, axes: tuple[int, ...]) -> Node:
    return div(R.reduce_sum(node, axes=axes), count_of(node, axes, node.dtype)) if axes else node


def _variance(node: Node, axes: tuple[int, ...], correction: float) -> Node:
    center = R.restore(_mean(node, axes), node, axes)
    apart = sub(node, center)
    if apart.dtype.kind == "c":
        re, im = real(apart), imag(apart)
        squares = add(mul(re, re), mul(im, im))
    else:
        squares = mul(apart, apart)
    count = count_of(node, axes, squares.dtype)
    if correction:
        count = sub(count, const(correction, count.dtype))
    return div(R.reduce_sum(squares, axes=axes), count)


def var(x: Any, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The variance over axes: sum of |x - mean|**2 / (n - correction), in two passes.

    Examples:
        >>> import numr as nr
        >>> nr.var(nr.asarray([1.0, 3.0])).item()
        1.0
    """
    node = _floating(node_of(x))
    axes = normalized_axes("var", axis, node.rank)
    return from_node(kept(_variance(node, axes, correction), node, axes, keepdims))


def std(x: Any, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Array:
    """The standard deviation over axes; its derivative where all elements are equal is 0.

    Examples:
        >>> import numr as nr
        >>> nr.std(nr.asarray([1.0, 3.0])).item()
        1.0
    """
    node = _floating(node_of(x))
    axes = normalized_axes("std", axis, node.rank)
    return from_node(kept(sqrt(_variance(node, axes, correction)), node, axes, keepdims))


def _first_position(name: str, x: Any, axis: int | None, keepdims: bool, prim: Any) -> Array:
    node = node_of(x)
    if node.dtype is bool_:
        from numr.dtypes import uint8

        node = cast(node, uint8)
    shape = node.shape
    if axis is None:
        count = 1
        for n in shape:
            count *= n
        node = node if node.rank == 1 else reshape(node, (count,))
        place = 0
    else:
        place = normalized_axis(name, axis, node.rank)
    if node.shape[place] == 0:
        raise ValueError(
            f"{name} of an axis of length 0 has no value (shape {tuple(map(int, shape))})"
        )
    best = R.restore(prim(node, axes=(place,)), node, (place,))
    hit = eq(node, best)
    if node.dtype.kind == "f":
        # The extremum is NaN exactly when an element is, and then only those do not equal themselves.
        hit = bit_or(hit, ne(node, node))
    position = IOTA(shape=node.shape, axis=place)
    last = const(2**62, int64)
    found = R.reduce_min(select(hit, position, last), axes=(place,))
    if keepdims:
        found = reshape(
            found, tuple(1 if axis is None or i == place else n for i, n in enumerate(shape))
        )
    return from_node(found)


def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The position of the first greatest element (of the first NaN, if there is one).

    Examples:
        >>> import numr as nr
        >>> nr.argmax(nr.asarray([1.0, 3.0, 3.0])).item()
        1
    """
    return _first_position("argmax", x, axis, keepdims, R.reduce_max)


def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """The position of the first least element (of the first NaN, if there is one).

    Examples:
        >>> import numr as nr
        >>> nr.argmin(nr.asarray([2.0, 1.0, 1.0])).item()
        1
    """
    return _first_position("argmin", x, axis, keepdims, R.reduce_min)


def count_nonzero(x: Any, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """How many elements are not zero.

    Examples:
        >>> import numr as nr
        >>> nr.count_nonzero(nr.asarray([0, 2, 3])).item()
        2
    """
    return sum(from_node(truth(node_of(x))), axis=axis, keepdims=keepdims)


def logsumexp(x: Any, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) without overflow; -inf for an axis of -inf or of length 0.

    Examples:
        >>> import numr as nr
        >>> round(nr.logsumexp(nr.asarray([1000.0, 1000.0])).item(), 6)
        1000.693147
    """
    node = _floating(node_of(x))
    axes = normalized_axes("logsumexp", axis, node.rank)
    top = _safe_top(node, axes)
    total = R.reduce_sum(exp(sub(node, R.restore(top, node, axes))), axes=axes)
    return from_node(kept(add(log(total), top), node, axes, keepdims))


def _safe_top(node: Node, axes: tuple[int, ...]) -> Node:
    """The greatest element as a constant shift; 0 in place of infinities, whose difference is NaN."""
    top = STOP_GRADIENT(R.reduce_max(node, axes=axes))
    return select(isfinite(top), top, like(top, 0))


def softmax(x: Any, /, *, axis: Axes = -1) -> Array:
    """exp(x) / sum(exp(x)) over an axis.

    Examples:
        >>> import numr as nr
        >>> nr.softmax(nr.asarray([0.0, 0.0])).tolist()
        [0.5, 0.5]
    """
    node = _floating(node_of(x))
    axes = normalized_axes("softmax", axis, node.rank)
    powers = exp(sub(node, R.restore(_safe_top(node, axes), node, axes)))
    return from_node(div(powers, R.restore(R.reduce_sum(powers, axes=axes), node, axes)))


def log_softmax(x: Any, /, *, axis: Axes = -1) -> Array:
    """log(softmax(x)) over an axis, without overflow.

    Examples:
        >>> import numr as nr
        >>> [round(v, 6) for v in nr.log_softmax(nr.asarray([0.0, 0.0])).tolist()]
        [-0.693147, -0.693147]
    """
    node = _floating(node_of(x))
    axes = normalized_axes("log_softmax", axis, node.rank)
    shifted = sub(node, R.restore(_safe_top(node, axes), node, axes))
    total = log(R.reduce_sum(exp(shifted), axes=axes))
    return from_node(sub(shifted, R.restore(total, node, axes)))


def _cumulative(name: str, prim: Any, x: Any, axis: int | None, dtype: Any, initial: bool) -> Array:
    node = _widened(node_of(x), dtype)
    if axis is None:
        if node.rank != 1:
            raise ValueError(f"{name}: give an axis for an array with {node.rank} axes")
        axis = 0
    place = normalized_axis(name, axis, node.rank)
    out = prim(node, axis=place, reverse=False)
    if initial:
        from numr.primitives.shape import CONCAT, broadcast_to

        first = tuple(1 if i == place else n for i, n in enumerate(node.shape))
        out = CONCAT(
            broadcast_to(like(out, 1 if prim is Cu.cumprod else 0), first), out, axis=place
        )
    return from_node(out)


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Running sums along an axis.

    Examples:
        >>> import numr as nr
        >>> nr.cumulative_sum(nr.asarray([1.0, 2.0, 3.0])).tolist()
        [1.0, 3.0, 6.0]
    """
    return _cumulative("cumulative_sum", Cu.cumsum, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Running products along an axis; the derivative is right with zeros among them.

    Examples:
        >>> import numr as nr
        >>> nr.cumulative_prod(nr.asarray([1.0, 2.0, 3.0])).tolist()
        [1.0, 2.0, 6.0]
    """
    return _cumulative("cumulative_prod", Cu.cumprod, x, axis, dtype, include_initial)


def _numpy_cumulative(name: str, prim: Any, x: Any, axis: int | None, dtype: Any) -> Array:
    node = node_of(x)
    if axis is None and node.rank != 1:
        from numr.functions.manipulation import ravel

        return _cumulative(name, prim, ravel(x), 0, dtype, False)
    return _cumulative(name, prim, x, axis, dtype, False)


def cumsum(x: Any, /, axis: int | None = None, dtype: Any = None) -> Array:
    """Running sums along an axis, of the flattened array without one (NumPy's name and habit).

    Examples:
        >>> import numr as nr
        >>> nr.cumsum(nr.asarray([1, 2])).tolist()
        [1, 3]
    """
    return _numpy_cumulative("cumsum", Cu.cumsum, x, axis, dtype)


def cumprod(x: Any, /, axis: int | None = None, dtype: Any = None) -> Array:
    """Running products along an axis, of the flattened array without one (NumPy's name and habit).

    Examples:
        >>> import numr as nr
        >>> nr.cumprod(nr.asarray([2, 3])).tolist()
        [2, 6]
    """
    return _numpy_cumulative("cumprod", Cu.cumprod, x, axis, dtype)


def norm(x: Any, /, *, axis: Axes = None, keepdims: bool = False, ord: Any = None) -> Array:
    """A vector norm over axes (2-norm by default; of all elements without an axis).

    Args:
        x: array.
        axis: axis or axes; None for all.
        keepdims: keep the reduced axes with length 1.
        ord: 1, 2, inf, -inf, 0 or any power p.

    Returns:
        array without the reduced axes. The derivative of the 2-norm at 0 is 0.

    Examples:
        >>> import numr as nr
        >>> nr.norm(nr.asarray([3.0, 4.0])).item()
        5.0
    """
    from numr.functions import elementwise as F

    node = _floating(node_of(x))
    axes = normalized_axes("norm", axis, node.rank)
    size = F.abs(from_node(node))
    if ord is None or ord == 2:
        if node.dtype.kind == "c":
            re, im = real(node), imag(node)
            squares = add(mul(re, re), mul(im, im))
        else:
            squares = mul(node, node)
        return from_node(kept(sqrt(R.reduce_sum(squares, axes=axes)), node, axes, keepdims))
    if ord in (float("inf"), float("-inf")):
        return (max if ord > 0 else min)(size, axis=axes, keepdims=keepdims)
    if ord == 0:
        return F.astype(
            count_nonzero(from_node(node), axis=axes, keepdims=keepdims),
            real_part_dtype(node.dtype),
        )
    if ord == 1:
        return sum(size, axis=axes, keepdims=keepdims)
    return F.pow(sum(F.pow(size, ord), axis=axes, keepdims=keepdims), 1.0 / ord)


__all__ = [
    "all", "any", "argmax", "argmin", "count_nonzero", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum",
    "log_softmax", "logsumexp", "max", "mean", "min", "norm", "prod", "softmax", "std", "sum", "var",
]  # fmt: skip
