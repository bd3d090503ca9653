"""Normalizations of neural networks: mean 0 and variance 1 over some axes, then a scale and a shift."""

from __future__ import annotations

from typing import Any

from numr import messages
from numr.array import Array, from_node
from numr.dtypes import result_type
from numr.errors import ShapeError
from numr.functions.operands import (
    default_float,
    normalized_axes,
    operand,
    plain,
    promoted,
)
from numr.functions.reductions import Axes
from numr.functions.statistics import mean_over, variance_over
from numr.ir.node import Node
from numr.primitives.elementwise import add, div, like, mul, sub
from numr.primitives.mathematics import sqrt
from numr.primitives.reduction import restore
from numr.primitives.shape import BROADCAST

NAMES = ("x", "weight", "bias", "mean", "var")


def _nodes(name: str, *given: Any) -> list[Node | None]:
    """Operands of one floating dtype; None stays None."""
    there = [v for v in given if v is not None]
    dtype, _ = result_type(*((d, w) for _, d, w in map(operand, there)))
    if dtype.kind == "c":
        names = [n for n, v in zip(NAMES, given, strict=False) if v is not None]
        found = [str(operand(v)[1]) for v in there]
        raise messages.dtype_mismatch(name, names, found, hint="it takes real numbers")
    found_nodes, _ = promoted(name, there, "f", default_float())
    nodes = iter(found_nodes)
    return [None if v is None else next(nodes) for v in given]


def _spread(name: str, what: str, v: Node, x: Node, axes: tuple[int, ...]) -> Node:
    """What has one number for each place along some axes of x, at every element."""
    wanted = tuple(x.shape[a] for a in axes)
    if v.shape != wanted:
        raise messages.shape_mismatch(
            name,
            ("x", what),
            (plain(x.shape), plain(v.shape)),
            hint=f"{what} has the shape {plain(wanted)}, that of axes {axes} of x",
        )
    return BROADCAST(v, shape=x.shape, axes=axes)


def _scaled(
    name: str, out: Node, weight: Node | None, bias: Node | None, axes: tuple[int, ...]
) -> Array:
    if weight is not None:
        out = mul(out, _spread(name, "weight", weight, out, axes))
    if bias is not None:
        out = add(out, _spread(name, "bias", bias, out, axes))
    return from_node(out)


def _divided(x: Node, square: Node, eps: float, axes: tuple[int, ...]) -> Node:
    """x over the square root of what was reduced over axes: one root and one division for each."""
    factor = div(like(square, 1), sqrt(add(square, like(square, eps))))
    return mul(x, restore(factor, x, axes))


def _standard(x: Node, axes: tuple[int, ...], eps: float) -> Node:
    """x with mean 0 and variance 1 over axes."""
    centred = sub(x, restore(mean_over(x, axes), x, axes))
    return _divided(centred, variance_over(x, axes, 0.0), eps, axes)


def layer_norm(
    x: Any, /, weight: Any = None, bias: Any = None, *, axis: Axes = -1, eps: float = 1e-5
) -> Array:
    """(x - mean) / sqrt(var + eps) * weight + bias, with the mean and variance over axes.

    The variance is that of a population, sum((x - mean)**2) / n.

    Args:
        x: array of real numbers.
        weight: array of the shape of the axes that are normalized; or None for 1.
        bias: likewise; or None for 0.
        axis: axis or axes to normalize over; None for all.
        eps: added to the variance, so that constant rows become 0.

    Returns:
        Array of x's shape, of a floating dtype (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for a weight or bias of another shape.

    Examples:
        >>> import numr as nr
        >>> nr.layer_norm(nr.asarray([[1.0, 3.0], [4.0, 4.0]]), eps=0.0625)
        numr.Array([[-0.9701425,  0.9701425],
               [ 0.       ,  0.       ]])
    """
    a, w, b = _nodes("layer_norm", x, weight, bias)
    assert a is not None
    axes = normalized_axes("layer_norm", axis, a.rank)
    return _scaled("layer_norm", _standard(a, axes, eps), w, b, axes)


def rms_norm(x: Any, /, weight: Any = None, *, axis: Axes = -1, eps: float = 1e-5) -> Array:
    """x / sqrt(mean(x**2) + eps) * weight, with the mean over axes.

    Args:
        x: array of real numbers.
        weight: array of the shape of the axes that are normalized; or None for 1.
        axis: axis or axes to normalize over; None for all.
        eps: added to the mean of squares, so that rows of zeros stay 0.

    Returns:
        Array of x's shape, of a floating dtype (integers are converted to float64).

    Raises:
        AxisError: for an axis that x does not have.
        DTypeError: for complex numbers.
        ShapeError: for a weight of another shape.

    Examples:
        >>> import numr as nr
        >>> nr.rms_norm(nr.asarray([1.0, 7.0]), eps=0.0)
        numr.Array([0.2, 1.4])
    """
    a, w = _nodes("rms_norm", x, weight)
    assert a is not None
    axes = normalized_axes("rms_norm", axis, a.rank)
    return _scaled("rms_norm", _divided(a, mean_over(mul(a, a), axes), eps, axes), w, None, axes)


def _channels(name: str, x: Node, least: int = 2) -> None:
    if x.rank < least:
        raise ShapeError(
            f"{name}: x has the shape (N, C{', L, ..' if least > 2 else ', ..'}), not {plain(x.shape)}"
        )


def group_norm(
    x: Any, num_groups: int, /, weight: Any = None, bias: Any = None, *, eps: float = 1e-5
) -> Array:
    """`layer_norm` over groups of channels and all places, then a scale and a shift by channel.

    Args:
        x: array of real numbers, of shape (N, C, ..).
        num_groups: how many groups the channels are in; C is a multiple of it.
        weight: vector of length C; or None for 1.
        bias: vector of length C; or None for 0.
        eps: added to the variance.

    Returns:
        Array of x's shape, of a floating dtype (integers are converted to float64).

    Raises:
        DTypeError: for complex numbers.
        ShapeError: for channels that cannot be grouped so, or a weight or bias of another length.

    Examples:
        >>> import numr as nr
        >>> nr.group_norm(nr.asarray([[1.0, 3.0, 0.0, 8.0]]), 2, eps=0.0)
        numr.Array([[-1.,  1., -1.,  1.]])
    """
    from numr.primitives.shape import reshape

    a, w, b = _nodes("group_norm", x, weight, bias)
    assert a is not None
    _channels("group_norm", a)
    n, channels, *places = a.shape
    if not isinstance(num_groups, int) or num_groups < 1 or channels % num_groups:
        raise ShapeError(
            f"group_norm: {int(channels)} channels of x of shape {plain(a.shape)} are not "
            f"{num_groups!r} groups of equal size"
        )
    grouped = reshape(a, (n, num_groups, channels // num_groups, *places))
    out = _standard(grouped, tuple(range(2, grouped.rank)), eps)
    return _scaled("group_norm", reshape(out, a.shape), w, b, (1,))


def instance_norm(x: Any, /, weight: Any = None, bias: Any = None, *, eps: float = 1e-5) -> Array:
    """(x - mean) / sqrt(var + eps) * weight + bias, over all places of each channel of each sample.

    Args:
        x: array of real numbers, of shape (N, C, L, ..).
        weight: vector of length C; or None for 1.
        bias: vector of length C; or None for 0.
        eps: added to the variance.

    Returns:
        Array of x's shape, of a floating dtype (integers are converted to float64).

    Raises:
        DTypeError: for complex numbers.
        ShapeError: for fewer than three axes, or a weight or bias of another length.

    Examples:
        >>> import numr as nr
        >>> nr.instance_norm(nr.asarray([[[1.0, 3.0], [0.0, 8.0]]]), eps=0.0)
        numr.Array([[[-1.,  1.],
                [-1.,  1.]]])
    """
    a, w, b = _nodes("instance_norm", x, weight, bias)
    assert a is not None
    _channels("instance_norm", a, 3)
    out = _standard(a, tuple(range(2, a.rank)), eps)
    return _scaled("instance_norm", out, w, b, (1,))


def batch_norm(
    x: Any,
    /,
    weight: Any = None,
    bias: Any = None,
    *,
    mean: Any = None,
    var: Any = None,
    eps: float = 1e-5,
) -> Array:
    """(x - mean) / sqrt(var + eps) * weight + bias for each channel.

    With `mean` and `var`, as kept from training, those are used. Without them they are x's own, over
    the batch and all places, and derivatives go through them. There is no state: what training keeps
    is the user's, `nr.mean(x, axis=(0, 2, 3))` and `nr.var(..)`, which in a compiled function are
    computed once for both uses.

    Args:
        x: array of real numbers, of shape (N, C, ..).
        weight: vector of length C; or None for 1.
        bias: vector of length C; or None for 0.
        mean: vector of length C; or None for the batch's own. It goes with `var`.
        var: vector of length C; or None for the batch's own (that of a population).
        eps: added to the variance.

    Returns:
        Array of x's shape, of a floating dtype (integers are converted to float64).

    Raises:
        DTypeError: for complex numbers.
        ShapeError: for a vector of another length, or one of `mean` and `var` without the other.

    Examples:
        >>> import numr as nr
        >>> x = nr.asarray([[1.0, 0.0], [3.0, 8.0]])
        >>> nr.batch_norm(x, eps=0.0)
        numr.Array([[-1., -1.],
               [ 1.,  1.]])
        >>> nr.batch_norm(x, mean=nr.zeros(2), var=4 * nr.ones(2), eps=0.0)
        numr.Array([[0.5, 0. ],
               [1.5, 4. ]])
    """
    a, w, b, m, v = _nodes("batch_norm", x, weight, bias, mean, var)
    assert a is not None
    _channels("batch_norm", a)
    axes = (0, *range(2, a.rank))
    if (m is None) != (v is None):
        given, missing = ("mean", "var") if v is None else ("var", "mean")
        raise ShapeError(f"batch_norm: {given} is given without {missing}; give both or neither")
    if m is None or v is None:
        return _scaled("batch_norm", _standard(a, axes, eps), w, b, (1,))
    centred = sub(a, _spread("batch_norm", "mean", m, a, (1,)))
    factor = div(like(v, 1), sqrt(add(v, like(v, eps))))
    out = mul(centred, _spread("batch_norm", "var", factor, a, (1,)))
    return _scaled("batch_norm", out, w, b, (1,))


__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "rms_norm"]
