"""Functions of matrices that are no functions of their elements: the exponential."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr.array import Array, from_node
from numr.functions import arithmetic as A
from numr.functions.linalg import _square, solve
from numr.functions.logic import isfinite, where
from numr.functions.mathematics import exp2, log2
from numr.functions.products import matmul
from numr.functions.reductions import max, sum
from numr.primitives.elementwise import cast
from numr.primitives.mathematics import eq
from numr.primitives.source import IOTA, STOP_GRADIENT

# The [13/13] Pade approximant of exp, and the 1-norm up to which it is exact to double rounding.
_PADE = (
    64764752532480000.0,
    32382376266240000.0,
    7771770303897600.0,
    1187353796428800.0,
    129060195264000.0,
    10559470521600.0,
    670442572800.0,
    33522128640.0,
    1323241920.0,
    40840800.0,
    960960.0,
    16380.0,
    182.0,
    1.0,
)
_THETA = 5.371920351148152
_SQUARINGS = 32


def expm(x: Any, /) -> Array:
    """The exponential of square matrices: the sum of x^k / k!.

    By scaling and squaring with a Pade approximant of order 13; matrices of one call are scaled alike.

    Args:
        x: array of shape (..., n, n), of any real or complex dtype.

    Returns:
        Array of x's shape. Derivatives, of any order and for any x, defective ones included, are those
        of the approximant, which is one of them too.

    Raises:
        ShapeError: if the last two axes differ in length.

    Notes:
        Repeated eigenvalues and matrices that have too few eigenvectors are as good as any. What is too
        large overflows to inf, with gradients of NaN; of a matrix with NaN or inf, all is NaN.

    References:
        Higham, The scaling and squaring method for the matrix exponential revisited (2005).

    Examples:
        >>> import numr as nr
        >>> nr.linalg.expm(nr.asarray([[0.0, 1.0], [0.0, 0.0]]))
        numr.Array([[1., 1.],
               [0., 1.]])
    """
    from numr.branching import cond
    from numr.control import fori_loop

    node = _square("expm", x)
    if 0 in node.shape:
        return from_node(node)
    a = from_node(node)
    size = max(sum(A.abs(from_node(STOP_GRADIENT(node))), axis=-2))
    needed = A.ceil(log2(size / _THETA))
    squarings = where(isfinite(needed) & (needed > 0.0), A.minimum(needed, _SQUARINGS), 0.0)
    a = a * exp2(-squarings)
    rows, columns = (IOTA(shape=node.shape, axis=node.rank - k) for k in (2, 1))
    one = from_node(cast(eq(rows, columns), node.dtype))
    b = [np.float64(c / _PADE[0]).item() for c in _PADE]
    a2 = matmul(a, a)
    a4 = matmul(a2, a2)
    a6 = matmul(a2, a4)
    odd = matmul(a6, b[13] * a6 + b[11] * a4 + b[9] * a2)
    odd = matmul(a, odd + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * one)
    even = matmul(a6, b[12] * a6 + b[10] * a4 + b[8] * a2)
    even = even + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * one
    start = solve(even - odd, even + odd)

    def square(k: Any, r: Any) -> Any:
        return cond(k < squarings, lambda r: matmul(r, r), lambda r: r, r)

    found: Array = fori_loop(0, _SQUARINGS, square, start)
    return found


__all__ = ["expm"]
