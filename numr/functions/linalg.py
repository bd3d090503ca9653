"""Dense linear algebra on the last two axes: factorisations, equations, determinants, norms."""

from __future__ import annotations

from typing import Any, NamedTuple

from numr import messages
from numr.array import Array, from_node
from numr.dtypes import real_part_dtype
from numr.errors import ShapeError, UnsupportedError
from numr.functions import arithmetic as A
from numr.functions.declare import INEXACT, NUMBERS
from numr.functions.diagonals import diagonal
from numr.functions.joining import stack
from numr.functions.operands import (
    broadcast_shapes,
    default_float,
    floating,
    node_of,
    normalized_axes,
    normalized_axis,
    plain,
    promoted,
)
from numr.functions.products import matmul
from numr.functions.reductions import Axes, count_nonzero, kept, max, min, sum
from numr.functions.statistics import square_of
from numr.ir.node import Node
from numr.primitives import linalg as L
from numr.primitives import shape as P
from numr.primitives.elementwise import cast
from numr.primitives.mathematics import eq, sqrt
from numr.primitives.reduction import reduce_sum
from numr.primitives.source import IOTA


class SlogdetResult(NamedTuple):
    """What `slogdet` returns."""

    sign: Array
    logabsdet: Array


def _square(name: str, x: Any) -> Node:
    """A floating array of square matrices."""
    (node,), _ = promoted(name, (x,), INEXACT, default_float())
    if node.rank < 2 or node.shape[-1] != node.shape[-2]:
        raise ShapeError(
            f"{name}: x has shape {plain(node.shape)}: this is no square matrix\n"
            "  the last two axes must be equally long"
        )
    return node


def cholesky(x: Any, /, *, upper: bool = False) -> Array:
    """The triangular factor of positive definite matrices: L with L @ conj(L.mT) = x.

    Args:
        x: array of shape (..., n, n), symmetric (Hermitian if complex). The mean of x and its
            conjugate transpose is what is factorised.
        upper: return conj(L.mT) instead.

    Returns:
        Array of x's shape; NaN in place of matrices that are not positive definite.

    Raises:
        ShapeError: if the last two axes differ in length.

    Notes:
        dL = L phi(L^-1 dx L^-H), where phi takes the lower triangle and half the diagonal, and dx is the
        mean of the change and its conjugate transpose: the gradient is a symmetric (Hermitian) matrix. Of a
        matrix that is not positive definite (a singular one is not), value and gradient are NaN, and the
        other triangle of the value is 0; other matrices of a stack are not concerned.

        References:
            Murray, Differentiation of the Cholesky decomposition (2016).

    Examples:
        >>> import numr as nr
        >>> nr.cholesky(nr.asarray([[4.0, 2.0], [2.0, 10.0]]))
        numr.Array([[2., 0.],
               [1., 3.]])
    """
    out = L.cholesky(_square("cholesky", x))
    return from_node(L.conj_transpose(out) if upper else out)


def _equations(name: str, x1: Any, x2: Any) -> tuple[Node, Node, bool]:
    """Matrix and right-hand side with equal leading axes, and whether the latter was a vector."""
    (a, b), _ = promoted(name, (x1, x2), INEXACT, default_float())
    shapes = (plain(a.shape), plain(b.shape))
    vector = b.rank == 1
    if (
        a.rank < 2
        or a.shape[-1] != a.shape[-2]
        or b.rank < 1
        or b.shape[-1 - (not vector)] != a.shape[-1]
    ):
        hint = "x1 is square, (..., n, n), and x2 has its length, (n,) or (..., n, k)"
        raise messages.shape_mismatch(name, ("x1", "x2"), shapes, hint=hint)
    if vector:
        b = P.insert_axes(b, (1,))
    lead = broadcast_shapes(name, [a.shape[:-2], b.shape[:-2]])
    a = P.broadcast_to(a, (*lead, *a.shape[-2:]))
    return a, P.broadcast_to(b, (*lead, *b.shape[-2:])), vector


def _solution(out: Node, vector: bool) -> Array:
    return from_node(P.reshape(out, out.shape[:-1]) if vector else out)


def solve(x1: Any, x2: Any, /) -> Array:
    """The solution X of x1 @ X = x2, by LU factorisation with partial pivoting.

    Args:
        x1: array of shape (..., n, n).
        x2: array of shape (..., n, k), or a vector (n,). Leading axes broadcast.

    Returns:
        Array of shape (..., n, k), or (..., n) for a vector; NaN or inf where x1 is singular.

    Raises:
        ShapeError: for shapes that do not fit.

    Notes:
        dX = x1^-1 (dx2 - dx1 X). Where elimination meets a pivot that is 0, value and gradients, with
        respect to x2 too, are NaN. A matrix that is singular but for rounding gives large numbers.

    Examples:
        >>> import numr as nr
        >>> nr.solve(nr.asarray([[2.0, 0.0], [0.0, 4.0]]), nr.asarray([2.0, 4.0]))
        numr.Array([1., 1.])
    """
    a, b, vector = _equations("solve", x1, x2)
    return _solution(L.solve(a, b, transposed=False), vector)


def solve_triangular(
    x1: Any, x2: Any, /, *, lower: bool = True, adjoint: bool = False, unit_diagonal: bool = False
) -> Array:
    """The solution X of x1 @ X = x2 for triangular x1. Only the named triangle of x1 is read.

    Args:
        x1: array of shape (..., n, n).
        x2: array of shape (..., n, k), or a vector (n,). Leading axes broadcast.
        lower: x1 is a lower triangle; else an upper one.
        adjoint: solve conj(x1.mT) @ X = x2.
        unit_diagonal: take x1's diagonal as ones.

    Returns:
        Array of shape (..., n, k), or (..., n) for a vector.

    Raises:
        ShapeError: for shapes that do not fit.

    Notes:
        Derivatives are those of `solve`; that of what is not read (the other triangle, or a diagonal that
        is taken as ones) is 0. With a zero on the diagonal, value and gradients are NaN.

    Examples:
        >>> import numr as nr
        >>> nr.solve_triangular(nr.asarray([[2.0, 0.0], [1.0, 1.0]]), nr.asarray([2.0, 3.0]))
        numr.Array([1., 2.])
    """
    a, b, vector = _equations("solve_triangular", x1, x2)
    out = L.triangular_solve(a, b, lower=lower, adjoint=adjoint, unit=unit_diagonal)
    return _solution(out, vector)


def inv(x: Any, /) -> Array:
    """The inverse of square matrices. To solve equations, `solve` is faster and more precise.

    Args:
        x: array of shape (..., n, n).

    Returns:
        Array of x's shape; NaN or inf where x is singular.

    Raises:
        ShapeError: if the last two axes differ in length.

    Notes:
        dY = -Y dx Y of the inverse Y. Where elimination meets a pivot that is 0, value and gradient are NaN.

    Examples:
        >>> import numr as nr
        >>> nr.inv(nr.asarray([[1.0, 2.0], [3.0, 4.0]]))
        numr.Array([[-2. ,  1. ],
               [ 1.5, -0.5]])
    """
    return from_node(L.inv(_square("inv", x)))


def det(x: Any, /) -> Array:
    """The determinant of square matrices.

    Args:
        x: array of shape (..., n, n).

    Returns:
        Array of shape (...). Its derivative, det(x) inv(x).mT, needs x to be invertible.

    Raises:
        ShapeError: if the last two axes differ in length.

    Notes:
        d det(x) = det(x) tr(x^-1 dx). Of a singular matrix the value is 0 and the gradient NaN: the formula
        needs the inverse, though the determinant has a derivative there.

    Examples:
        >>> import numr as nr
        >>> nr.det(nr.asarray([[2.0, 0.0], [0.0, 4.0]]))
        numr.Array(8.)
    """
    return from_node(L.det(_square("det", x)))


def slogdet(x: Any, /) -> SlogdetResult:
    """The sign and the logarithm of the determinant, which does not overflow as `det` may.

    Args:
        x: array of shape (..., n, n).

    Returns:
        (sign, logabsdet), each of shape (...): the sign (the phase, for complex x) of the
        determinant, and log |det(x)|.

    Raises:
        ShapeError: if the last two axes differ in length.

    Notes:
        d logabsdet = Re tr(x^-1 dx). Of a singular matrix sign is 0 and logabsdet -inf, with gradient NaN.
        The gradient of a real sign is 0 everywhere.

    Examples:
        >>> import numr as nr
        >>> nr.slogdet(nr.asarray([[-2.0, 0.0], [0.0, 1.0]]))
        SlogdetResult(sign=numr.Array(-1.), logabsdet=numr.Array(0.69314718))
    """
    a = _square("slogdet", x)
    return SlogdetResult(from_node(L.signdet(a)), from_node(L.logabsdet(a)))


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """The sum of a diagonal of the last two axes.

    Args:
        x: array of shape (..., m, n).
        offset: which diagonal; 0 for the main one, positive above it.
        dtype: dtype to sum in and return, see `sum`.

    Returns:
        Array of shape (...).

    Raises:
        AxisError: for fewer than two axes.

    Examples:
        >>> import numr as nr
        >>> nr.trace(nr.asarray([[1.0, 2.0], [3.0, 4.0]]))
        numr.Array(5.)
    """
    return sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def vector_norm(x: Any, /, *, axis: Axes = None, keepdims: bool = False, ord: float = 2) -> Array:
    """A norm of vectors: sum(|x|**ord) ** (1 / ord).

    Args:
        x: array of numbers.
        axis: axis or axes of the vectors; None for all elements.
        keepdims: keep the reduced axes, with length 1.
        ord: the power; inf for the greatest |x|, -inf for the least, 0 for how many are not 0.

    Returns:
        Array of a real floating dtype. Where the norm is 0, its derivative is taken as 0.

    Raises:
        AxisError: for an axis that x does not have.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.vector_norm(nr.asarray([3.0, -4.0])), nr.linalg.vector_norm([3, -4], ord=1)
        (numr.Array(5.), numr.Array(7.))
    """
    node = floating(x)
    axes = normalized_axes("vector_norm", axis, node.rank)
    if ord == 2:
        total = reduce_sum(square_of(node), axes=axes)
        return from_node(kept(sqrt(total), node, axes, keepdims))
    size = A.abs(from_node(node))
    if ord in (float("inf"), float("-inf")):
        return (max if ord > 0 else min)(size, axis=axes, keepdims=keepdims)
    if ord == 0:
        counted = count_nonzero(size, axis=axes, keepdims=keepdims)
        return from_node(cast(counted.node, real_part_dtype(node.dtype)))
    if ord == 1:
        return sum(size, axis=axes, keepdims=keepdims)
    return A.pow(sum(A.pow(size, ord), axis=axes, keepdims=keepdims), 1.0 / ord)


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: float | str = "fro") -> Array:
    """A norm of matrices, over the last two axes.

    Args:
        x: array of shape (..., m, n).
        keepdims: keep the reduced axes, with length 1.
        ord: "fro" for the root of the sum of squares; 1 for the greatest sum of |x| down a column,
            inf along a row, and -1 and -inf for the least; 2 for the greatest singular value, -2 for the
            least, and "nuc" for their sum.

    Returns:
        Array of a real floating dtype.

    Raises:
        AxisError: for fewer than two axes.
        UnsupportedError: for norms that are not there.

    Notes:
        Where the norm is 0, the derivative of "fro" is taken as 0. For 2, -2 and "nuc" it is that of
        `linalg.svdvals`: of equal values that are the greatest, an equal share of each.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.matrix_norm(nr.asarray([[1.0, 2.0], [2.0, 4.0]]))
        numr.Array(5.)
    """
    return _matrix_norm(x, (-2, -1), keepdims, ord)


_OF_SINGULAR_VALUES: dict[float | str, Any] = {2: max, -2: min, "nuc": sum}


def _matrix_norm(x: Any, axes: tuple[int, int], keepdims: bool, ord: float | str) -> Array:
    if ord == "fro":
        return vector_norm(x, axis=axes, keepdims=keepdims)
    if ord not in (*_OF_SINGULAR_VALUES, 1, -1, float("inf"), float("-inf")):
        known = "'fro', 'nuc', 1, -1, 2, -2, inf and -inf"
        raise UnsupportedError(f"matrix_norm: ord={ord!r} is not there; it has {known}")
    node = floating(x)
    rows, columns = (normalized_axis("matrix_norm", a, node.rank) for a in axes)
    if ord in _OF_SINGULAR_VALUES:
        from numr.functions.decompositions import svdvals

        others = [k for k in range(node.rank) if k not in (rows, columns)]
        values = svdvals(from_node(P.permute(node, (*others, rows, columns))))
        found = _OF_SINGULAR_VALUES[ord](values, axis=-1).node
        return from_node(
            P.insert_axes(found, tuple(sorted((rows, columns)))) if keepdims else found
        )
    along, across = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = sum(A.abs(from_node(node)), axis=along, keepdims=True)
    best = (max if float(ord) > 0 else min)(sums, axis=across, keepdims=True).node
    if keepdims:
        return from_node(best)
    shape = tuple(n for i, n in enumerate(node.shape) if i not in (rows, columns))
    return from_node(P.reshape(best, shape))


def norm(
    x: Any, /, ord: float | str | None = None, axis: Axes = None, *, keepdims: bool = False
) -> Array:
    """The norm of vectors or matrices, as in `numpy.linalg.norm`.

    Args:
        x: array of numbers.
        ord: which norm, see `linalg.vector_norm` and `linalg.matrix_norm`. None for the root of the
            sum of squares, of any number of axes.
        axis: one axis for vectors, two for matrices; None for all.
        keepdims: keep the reduced axes, with length 1.

    Returns:
        Array of a real floating dtype. Where the norm is 0, its derivative is taken as 0.

    Raises:
        AxisError: for an axis that x does not have.
        UnsupportedError: for norms that are not there.

    Examples:
        >>> import numr as nr
        >>> nr.norm(nr.asarray([[3.0, 4.0], [6.0, 8.0]]), axis=1)
        numr.Array([ 5., 10.])
    """
    if ord is None:
        return vector_norm(x, axis=axis, keepdims=keepdims)
    node = node_of(x)
    axes = tuple(range(node.rank)) if axis is None else axis
    if isinstance(axes, (tuple, list)) and len(axes) == 2:
        return _matrix_norm(x, (axes[0], axes[1]), keepdims, ord)
    if isinstance(ord, str):
        raise UnsupportedError(f"norm: ord={ord!r} is for matrices; give two axes")
    return vector_norm(x, axis=axes, keepdims=keepdims, ord=ord)


def matrix_power(x: Any, n: int, /) -> Array:
    """Square matrices multiplied n times by themselves; their inverse, for negative n.

    Args:
        x: array of shape (..., n, n).
        n: a whole number, known in Python.

    Returns:
        Array of x's shape.

    Raises:
        ShapeError: if the last two axes differ in length.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.matrix_power(nr.asarray([[1, 1], [0, 1]]), 3)
        numr.Array([[1, 3],
               [0, 1]])
    """
    (node,), _ = promoted("matrix_power", (x,), NUMBERS)
    if n < 0:
        return matrix_power(inv(x), -n)
    _square("matrix_power", from_node(node))
    rows, columns = (IOTA(shape=node.shape, axis=node.rank - k) for k in (2, 1))
    out: Array | None = None
    base = from_node(node)
    while n:
        if n & 1:
            out = base if out is None else matmul(out, base)
        n >>= 1
        if n:
            base = matmul(base, base)
    return from_node(cast(eq(rows, columns), node.dtype)) if out is None else out


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """The vector product of vectors with three elements.

    Args:
        x1: array of numbers.
        x2: array of numbers; the other axes broadcast.
        axis: the axis of the vectors, of length 3 in both.

    Returns:
        Array of the broadcast shape and the promoted dtype.

    Raises:
        AxisError: for an axis that an operand does not have.
        ShapeError: if the axis has another length.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.cross(nr.asarray([1.0, 0.0, 0.0]), nr.asarray([0.0, 1.0, 0.0]))
        numr.Array([0., 0., 1.])
    """
    (a, b), _ = promoted("cross", (x1, x2), NUMBERS)
    places = [normalized_axis("cross", axis, x.rank) for x in (a, b)]
    if any(x.shape[k] != 3 for x, k in zip((a, b), places, strict=True)):
        shapes = (plain(a.shape), plain(b.shape))
        hint = f"axis {axis} must have length 3 in both"
        raise messages.shape_mismatch("cross", ("x1", "x2"), shapes, hint=hint)
    a, b = (P.move_axis(x, k, x.rank - 1) for x, k in zip((a, b), places, strict=True))
    u, v = ([from_node(x)[..., i] for i in range(3)] for x in (a, b))
    out = stack([u[i - 2] * v[i - 1] - u[i - 1] * v[i - 2] for i in range(3)], axis=-1)
    return from_node(P.move_axis(out.node, out.ndim - 1, axis % out.ndim))


__all__ = [
    "cholesky",
    "cross",
    "det",
    "inv",
    "matrix_norm",
    "matrix_power",
    "norm",
    "slogdet",
    "solve",
    "solve_triangular",
    "trace",
    "vector_norm",
]
