"""Elementwise functions of machine learning, each finite with all its derivatives."""

# Declared functions get their bodies from the decorator.
# mypy: disable-error-code="empty-body"

from __future__ import annotations

import math
from typing import Any

from numr.array import Array, from_node
from numr.functions.declare import FLOATS, REALS, SAME, unary
from numr.functions.operands import default_float, promoted
from numr.ir.node import Node
from numr.primitives import composites as C
from numr.primitives import elementwise as E
from numr.primitives import mathematics as M


@unary(C.sigmoid, FLOATS)
def sigmoid(x: Any, /) -> Array:
    """The logistic function, 1 / (1 + exp(-x)).

    >>> nr.sigmoid(nr.asarray([0.0, -1000.0]))
    numr.Array([0.5, 0. ])
    """


@unary(C.softplus, FLOATS)
def softplus(x: Any, /) -> Array:
    """log(1 + exp(x)), without overflow.

    >>> nr.softplus(nr.asarray([0.0, 1000.0]))
    numr.Array([6.93147181e-01, 1.00000000e+03])
    """


@unary(lambda x: E.neg(C.softplus(E.neg(x))), FLOATS)
def log_sigmoid(x: Any, /) -> Array:
    """log(sigmoid(x)) = -log(1 + exp(-x)), without overflow.

    >>> nr.log_sigmoid(nr.asarray([0.0, -1000.0]))
    numr.Array([-6.93147181e-01, -1.00000000e+03])
    """


# A selection, so that nothing of the other side enters the derivative.
@unary(lambda x: E.select(M.le(x, E.like(x, 0)), E.like(x, 0), x), REALS, SAME)
def relu(x: Any, /) -> Array:
    """max(x, 0). NaN stays; the derivative at 0 is taken as 0.

    >>> nr.relu(nr.asarray([-1.0, 0.0, 2.0]))
    numr.Array([0., 0., 2.])
    """


@unary(C.silu, FLOATS)
def silu(x: Any, /) -> Array:
    """x * sigmoid(x).

    >>> nr.silu(nr.asarray([0.0, 1.0]))
    numr.Array([0.        , 0.73105858])
    """


def _normal_distribution(x: Node) -> Node:
    return E.mul(E.like(x, 0.5), M.erfc(E.mul(x, E.like(x, -math.sqrt(0.5)))))


def _tanh_approximation(x: Node) -> Node:
    # Beyond 30 the tangent is 1 to the last bit; stopping there keeps its cube from overflowing.
    limit = E.like(x, 30.0)
    inner = M.minimum(M.maximum(x, E.neg(limit)), limit)
    cube = E.mul(E.like(x, 0.044715), E.mul(inner, E.mul(inner, inner)))
    tangent = M.tanh(E.mul(E.like(x, math.sqrt(2 / math.pi)), E.add(inner, cube)))
    return E.mul(E.like(x, 0.5), E.add(E.like(x, 1), tangent))


def gelu(x: Any, /, *, approximate: bool = False) -> Array:
    """x * Phi(x), Phi being the distribution function of the normal distribution.

    Args:
        x: array of real numbers, of any shape; or a Python number.
        approximate: take (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2 for Phi(x), which is
            off by up to 5e-4.

    Returns:
        Array of x's shape, of a floating dtype (booleans and integers are converted to float64).

    Raises:
        DTypeError: for complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.gelu(nr.asarray([-1.0, 0.0, 1.0]))
        numr.Array([-0.15865525,  0.        ,  0.84134475])
    """
    (node,), weak = promoted("gelu", (x,), FLOATS, default_float())
    share = _tanh_approximation if approximate else _normal_distribution
    return from_node(E.mul(node, share(node)), weak)


def _leaky(slope: float) -> Any:
    return lambda x: E.select(M.le(x, E.like(x, 0)), E.mul(x, E.like(x, slope)), x)


def leaky_relu(x: Any, /, *, negative_slope: float = 0.01) -> Array:
    """x where x > 0, negative_slope * x elsewhere.

    Args:
        x: array of real numbers, of any shape; or a Python number.
        negative_slope: the slope at 0 and below.

    Returns:
        Array of x's shape, of a floating dtype (booleans and integers are converted to float64).

    Raises:
        DTypeError: for complex numbers.

    Examples:
        >>> import numr as nr
        >>> nr.leaky_relu(nr.asarray([-1.0, 2.0]))
        numr.Array([-0.01,  2.  ])
    """
    (node,), weak = promoted("leaky_relu", (x,), FLOATS, default_float())
    return from_node(_leaky(negative_slope)(node), weak)


__all__ = [
    "gelu",
    "leaky_relu",
    "log_sigmoid",
    "relu",
    "sigmoid",
    "silu",
    "softplus",
]
