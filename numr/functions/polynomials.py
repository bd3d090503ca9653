"""Values of polynomials, and Kronecker's product."""

from __future__ import annotations

from typing import Any

from numr.array import Array, from_node
from numr.errors import ShapeError
from numr.functions.declare import NUMBERS
from numr.functions.operands import plain, promoted
from numr.primitives.elementwise import add, mul
from numr.primitives.shape import BROADCAST, SLICE, broadcast_to, reshape, zeros_like

# Up to this degree a polynomial is written out; beyond, it is a loop.
_WRITTEN = 32


def polyval(p: Any, x: Any, /) -> Array:
    """The value of a polynomial, p[0] * x**(n - 1) + .. + p[n - 2] * x + p[n - 1], by Horner's rule.

    Args:
        p: vector of coefficients, that of the highest power first, as in `numpy.polyval`.
        x: array of numbers, of any shape.

    Returns:
        Array of x's shape, of the promoted dtype.

    Raises:
        DTypeError: for booleans.
        ShapeError: if p is not a vector.

    Examples:
        >>> import numr as nr
        >>> nr.polyval(nr.asarray([1.0, 0.0, 2.0]), nr.asarray([0.0, 3.0]))
        numr.Array([ 2., 11.])
    """
    (line, at), _ = promoted("polyval", (p, x), NUMBERS)
    if line.rank != 1:
        raise ShapeError(f"polyval: p is a vector, and its shape is {plain(line.shape)}")
    n = int(line.shape[0])
    total = zeros_like(at)
    if n > _WRITTEN:
        from numr.control import scan

        start, point = from_node(total), from_node(at)
        out, _ = scan(lambda value, c: (value * point + c, None), start, from_node(line))
        return out  # type: ignore[no-any-return]
    for k in range(n):
        one = reshape(SLICE(line, starts=(k,), sizes=(1,), steps=(1,)), ())
        term = broadcast_to(one, at.shape)
        total = term if k == 0 else add(mul(total, at), term)
    return from_node(total)


def kron(x1: Any, x2: Any, /) -> Array:
    """Kronecker's product: every element of x1 times x2, as blocks.

    Args:
        x1: array of numbers.
        x2: array of numbers. If one has fewer axes, axes of length 1 are put before its own.

    Returns:
        Array of the promoted dtype, whose lengths are the products of those of x1 and x2.

    Raises:
        DTypeError: for booleans.

    Examples:
        >>> import numr as nr
        >>> nr.kron(nr.asarray([[1, 10]]), nr.asarray([[1, 2], [3, 4]]))
        numr.Array([[ 1,  2, 10, 20],
               [ 3,  4, 30, 40]])
    """
    (a, b), _ = promoted("kron", (x1, x2), NUMBERS)
    rank = max(a.rank, b.rank)
    a, b = (reshape(v, ((1,) * (rank - v.rank) + v.shape)) for v in (a, b))
    pairs = [n for pair in zip(a.shape, b.shape, strict=True) for n in pair]
    blocks = tuple(pairs)
    first = BROADCAST(a, shape=blocks, axes=tuple(range(0, 2 * rank, 2)))
    second = BROADCAST(b, shape=blocks, axes=tuple(range(1, 2 * rank, 2)))
    lengths = tuple(
        m if n == 1 else n if m == 1 else n * m for n, m in zip(a.shape, b.shape, strict=True)
    )
    return from_node(reshape(mul(first, second), lengths))


__all__ = ["kron", "polyval"]
