"""Statistics over axes: means, variances, and the exponential sums of probabilities."""

from __future__ import annotations

from typing import Any

from numr.array import Array, from_node
from numr.dtypes import DType
from numr.functions.operands import floating, normalized_axes
from numr.functions.reductions import Axes, kept
from numr.ir.node import Node
from numr.primitives.elementwise import add, div, like, mul, select, sub
from numr.primitives.mathematics import eq, exp, imag, isfinite, log, real, sqrt
from numr.primitives.reduction import reduce_max, reduce_sum, restore
from numr.primitives.source import STOP_GRADIENT, const, size_of


def count_of(x: Node, axes: tuple[int, ...], dtype: DType) -> Node:
    """How many elements a reduction folds together, as a scalar that kernels need not contain."""
    total: Node | None = None
    for a in axes:
        n = size_of(x.shape[a], dtype)
        total = n if total is None else mul(total, n)
    return const(1, dtype) if total is None else total


def square_of(x: Node) -> Node:
    """|x|**2, real for complex x."""
    if x.dtype.kind != "c":
        return mul(x, x)
    re, im = real(x), imag(x)
    return add(mul(re, re), mul(im, im))


def mean_over(node: Node, axes: tuple[int, ...]) -> Node:
    return div(reduce_sum(node, axes=axes), count_of(node, axes, node.dtype)) if axes else node


def mean(x: Any, /, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The arithmetic mean over axes, sum(x) / n; of no elements, NaN.

    Args:
        x: array of any dtype.
        axis: axis or axes to average over; None for all.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array without the reduced axes, of a floating dtype (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.mean(nr.asarray([[1, 2], [3, 6]]), axis=0)
        numr.Array([2., 4.])
    """
    node = floating(x)
    axes = normalized_axes("mean", axis, node.rank)
    return from_node(kept(mean_over(node, axes), node, axes, keepdims))


def variance_over(node: Node, axes: tuple[int, ...], correction: float) -> Node:
    squares = square_of(sub(node, restore(mean_over(node, axes), node, axes)))
    count = count_of(node, axes, squares.dtype)
    if correction:
        count = sub(count, const(correction, count.dtype))
    return div(reduce_sum(squares, axes=axes), count)


def var(
    x: Any,
    /,
    axis: Axes = None,
    *,
    correction: float = 0.0,
    keepdims: bool = False,
    ddof: float | None = None,
) -> Array:
    """The variance over axes: sum(|x - mean(x)|**2) / (n - correction), in two passes.

    Args:
        x: array of any dtype.
        axis: axis or axes to reduce; None for all.
        correction: 0 for the variance of a population, 1 for the estimate from a sample.
        keepdims: keep the reduced axes, with length 1.
        ddof: NumPy's name for `correction`.

    Returns:
        Array without the reduced axes, of a real floating dtype (integers are converted to
        float64).

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.var(nr.asarray([1.0, 3.0])), nr.var(nr.asarray([1.0, 3.0]), correction=1)
        (numr.Array(1.), numr.Array(2.))
    """
    node = floating(x)
    axes = normalized_axes("var", axis, node.rank)
    spread = variance_over(node, axes, correction if ddof is None else ddof)
    return from_node(kept(spread, node, axes, keepdims))


def std(
    x: Any,
    /,
    axis: Axes = None,
    *,
    correction: float = 0.0,
    keepdims: bool = False,
    ddof: float | None = None,
) -> Array:
    """The standard deviation over axes, the square root of `var`.

    Its derivative where all elements are equal is taken as 0.

    Args:
        x: array of any dtype.
        axis: axis or axes to reduce; None for all.
        correction: 0 for that of a population, 1 for the estimate from a sample.
        keepdims: keep the reduced axes, with length 1.
        ddof: NumPy's name for `correction`.

    Returns:
        Array without the reduced axes, of a real floating dtype (integers are converted to
        float64).

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.std(nr.asarray([[1.0, 3.0], [2.0, 8.0]]), axis=1)
        numr.Array([1., 3.])
    """
    node = floating(x)
    axes = normalized_axes("std", axis, node.rank)
    spread = variance_over(node, axes, correction if ddof is None else ddof)
    return from_node(kept(sqrt(spread), node, axes, keepdims))


def _shift(node: Node, axes: tuple[int, ...]) -> Node:
    """The greatest element, to subtract before exp; 0 for infinities, whose difference is NaN.

    What the shift is does not change the result, so derivatives need not know of it.
    """
    top = STOP_GRADIENT(reduce_max(node, axes=axes))
    return select(isfinite(top), top, like(top, 0))


def logsumexp(x: Any, /, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) over axes, without overflow.

    Where all elements are -inf, or there are none, it is -inf, and its derivative is taken as 0.

    Args:
        x: array of real numbers.
        axis: axis or axes to reduce; None for all.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array without the reduced axes, of a floating dtype (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.logsumexp(nr.asarray([[0.0, 0.0], [1000.0, -nr.inf]]), axis=1)
        numr.Array([6.93147181e-01, 1.00000000e+03])
    """
    node = floating(x)
    axes = normalized_axes("logsumexp", axis, node.rank)
    top = _shift(node, axes)
    total = reduce_sum(exp(sub(node, restore(top, node, axes))), axes=axes)
    # The logarithm of nothing is chosen, not computed, so that its derivative is not 0 * inf.
    nothing = eq(total, like(total, 0))
    size = add(log(select(nothing, like(total, 1), total)), top)
    size = select(nothing, like(total, float("-inf")), size)
    return from_node(kept(size, node, axes, keepdims))


def softmax(x: Any, /, axis: Axes = -1) -> Array:
    """exp(x) / sum(exp(x)) over axes: positive numbers that sum to 1, without overflow.

    Args:
        x: array of real numbers.
        axis: axis or axes that sum to 1; None for all.

    Returns:
        Array of x's shape, of a floating dtype (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.softmax(nr.asarray([[0.0, 0.0], [0.0, -nr.inf]]))
        numr.Array([[0.5, 0.5],
               [1. , 0. ]])
    """
    node = floating(x)
    axes = normalized_axes("softmax", axis, node.rank)
    powers = exp(sub(node, restore(_shift(node, axes), node, axes)))
    return from_node(div(powers, restore(reduce_sum(powers, axes=axes), node, axes)))


def log_softmax(x: Any, /, axis: Axes = -1) -> Array:
    """log(softmax(x)) = x - logsumexp(x) over axes, without overflow or loss of digits.

    Args:
        x: array of real numbers.
        axis: axis or axes whose softmax sums to 1; None for all.

    Returns:
        Array of x's shape, of a floating dtype (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.log_softmax(nr.asarray([0.0, 0.0]))
        numr.Array([-0.69314718, -0.69314718])
    """
    node = floating(x)
    axes = normalized_axes("log_softmax", axis, node.rank)
    shifted = sub(node, restore(_shift(node, axes), node, axes))
    total = log(reduce_sum(exp(shifted), axes=axes))
    return from_node(sub(shifted, restore(total, node, axes)))


__all__ = ["log_softmax", "logsumexp", "mean", "softmax", "std", "var"]
