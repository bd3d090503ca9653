"""Decompositions of matrices over the last two axes, and what is made of them: ranks, least squares."""

from __future__ import annotations

from typing import Any, NamedTuple

from numr import messages
from numr.array import Array, from_node
from numr.dtypes import int64, real_part_dtype
from numr.errors import ShapeError
from numr.functions import arithmetic as A
from numr.functions.declare import INEXACT
from numr.functions.linalg import _square
from numr.functions.operands import broadcast_shapes, default_float, plain, promoted
from numr.functions.products import matmul
from numr.functions.reductions import sum
from numr.ir.node import Node
from numr.lazy import compute_together
from numr.primitives import factors as F
from numr.primitives import shape as P
from numr.primitives.contraction import matmul as contract
from numr.primitives.elementwise import cast
from numr.primitives.least_squares import lstsq as lstsq_of
from numr.primitives.least_squares import smallest
from numr.primitives.linalg import conj_transpose
from numr.primitives.mathematics import eq, gt
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import CONCAT, PAD, SLICE
from numr.primitives.source import IOTA, const


class QRResult(NamedTuple):
    """What `qr` returns."""

    Q: Array
    R: Array


class EighResult(NamedTuple):
    """What `eigh` returns."""

    eigenvalues: Array
    eigenvectors: Array


class SVDResult(NamedTuple):
    """What `svd` returns."""

    U: Array
    S: Array
    Vh: Array


class LstsqResult(NamedTuple):
    """What `lstsq` returns."""

    solution: Array
    residuals: Array
    rank: Array
    singular_values: Array


def _matrices(name: str, x: Any) -> Node:
    """A floating array of matrices."""
    (node,), _ = promoted(name, (x,), INEXACT, default_float())
    if node.rank < 2:
        raise ShapeError(
            f"{name}: x has shape {plain(node.shape)}: this is no matrix\n"
            "  give it two axes or more; x[None, :] makes a row of a vector"
        )
    return node


def _identity(shape: tuple[int, ...], like: Node) -> Node:
    rows, columns = (IOTA(shape=shape, axis=len(shape) - k) for k in (2, 1))
    return cast(eq(rows, columns), like.dtype)


def _as_one(*parts: Node) -> list[Array]:
    """Arrays of which each, when it is read, has the others computed with it."""
    arrays = [from_node(p) for p in parts]
    compute_together(arrays)
    return arrays


def eigh(x: Any, /) -> EighResult:
    """Eigenvalues and eigenvectors of symmetric matrices: x = V diag(w) V^H.

    Args:
        x: array of shape (..., n, n), symmetric (Hermitian if complex). The mean of x and its
            conjugate transpose is what is decomposed, so both triangles are read.

    Returns:
        (eigenvalues, eigenvectors): w of shape (..., n), real and ascending, and V of x's shape, whose
        columns are orthonormal. NaN in place of matrices that are not finite.

    Raises:
        ShapeError: if the last two axes differ in length.
        DTypeError: for dtypes that are no numbers.

    Notes:
        A column of V is free but for a factor of size 1: here the first of its components that is half
        as large as its largest is positive. Its derivative leaves the factor alone,
        V^H dV = (V^H dx V)_ij / (w_j - w_i) with zeros on the diagonal, which is the derivative of
        any function that does not depend on the factors.

        The gradient is a symmetric matrix. Where eigenvalues repeat (are nearer than n times the
        spacing of floating-point numbers at the largest), V has no derivative: NaN, but for elements
        of V^H dx V, or of its cotangent, that are exactly 0. The eigenvalues' derivative,
        diag(V^H dx V), reads no gap: that of a symmetric function of them, such as their sum, is
        exact. That of one of several equal ones is along the V that was found. Second derivatives of
        the eigenvalues use dV, and so are NaN there.

    References:
        Giles, An extended collection of matrix derivative results (2008).

    Examples:
        >>> import numr as nr
        >>> w, v = nr.linalg.eigh(nr.asarray([[2.0, 1.0], [1.0, 2.0]]))
        >>> w
        numr.Array([1., 3.])
        >>> nr.linalg.matrix_norm(v @ nr.asarray([[1.0, 0.0], [0.0, 3.0]]) @ v.mT)
        numr.Array(3.16227766)
    """
    a = _square("eigh", x)
    return EighResult(*_as_one(F.eigh_values(a), F.eigh_vectors(a)))


def eigvalsh(x: Any, /) -> Array:
    """The eigenvalues of symmetric matrices, see `linalg.eigh`.

    Args:
        x: array of shape (..., n, n), symmetric (Hermitian if complex); the mean of x and its
            conjugate transpose counts.

    Returns:
        Array of shape (..., n), real and ascending.

    Raises:
        ShapeError: if the last two axes differ in length.
        DTypeError: for dtypes that are no numbers.

    Notes:
        Derivatives, also where eigenvalues repeat, are as in `linalg.eigh`.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.eigvalsh(nr.asarray([[2.0, 1.0], [1.0, 2.0]]))
        numr.Array([1., 3.])
        >>> nr.grad(lambda a: nr.sum(nr.linalg.eigvalsh(a)))(nr.eye(2))
        numr.Array([[1., 0.],
               [0., 1.]])
    """
    return from_node(F.eigh_values(_square("eigvalsh", x)))


def svd(x: Any, /, *, full_matrices: bool = True) -> SVDResult:
    """The singular value decomposition: x = U diag(S) Vh.

    Args:
        x: array of shape (..., m, n). With k = min(m, n):
        full_matrices: complete U and Vh to square matrices; else they have k columns and rows.

    Returns:
        (U, S, Vh): U of shape (..., m, m) or (..., m, k), S of shape (..., k), real and descending, and
        Vh of shape (..., n, n) or (..., k, n). U's columns and Vh's rows are orthonormal. NaN in place
        of matrices that are not finite.

    Raises:
        ShapeError: for fewer than two axes.
        DTypeError: for dtypes that are no numbers.

    Notes:
        A column of U and its row of Vh are free but for a common factor of size 1: here the first
        component of the column (of the row, where m < n) that is half as large as its largest is
        positive. What completes U or Vh is free but for a unitary factor. Derivatives leave these
        factors alone, and are those of any function that does not depend on them.

        Where singular values repeat, or are 0 (to max(m, n) times the spacing of floating-point
        numbers at the largest), U and Vh have no derivative: NaN, but for elements of the cotangent
        that are exactly 0. (A single 0 of a real square matrix does no harm.) That of S,
        Re diag(U^H dx V), reads no gap: of a symmetric function of S, such as the sum, it is exact
        while no value is 0. At 0, where the singular value is no smooth function, it is one of the
        subgradients. Second derivatives of S use dU and dV, and so are NaN there.

    References:
        Giles, An extended collection of matrix derivative results (2008).
        Wan and Zhang, Automatic differentiation for complex valued SVD (2019).

    Examples:
        >>> import numr as nr
        >>> u, s, vh = nr.linalg.svd(nr.asarray([[3.0, 0.0], [0.0, -4.0], [0.0, 0.0]]))
        >>> s
        numr.Array([4., 3.])
        >>> u.shape, vh.shape
        ((3, 3), (2, 2))
    """
    a = _matrices("svd", x)
    m, n = a.shape[-2:]
    high = a if m >= n else conj_transpose(a)
    if 0 in (m, n):
        # Without columns there is nothing to decompose: what completes them is any.
        sides = [_identity((*a.shape[:-2], k, k if full_matrices else 0), a) for k in (m, n)]
        s = cast(P.reshape(high, (*a.shape[:-2], 0)), real_part_dtype(a.dtype))
        return SVDResult(*_as_one(sides[0], s, conj_transpose(sides[1])))
    u, s, v = (f(high, full=full_matrices) for f in (F.svd_left, F.svd_values, F.svd_right))
    return SVDResult(
        *_as_one(*((u, s, conj_transpose(v)) if m >= n else (v, s, conj_transpose(u))))
    )


def svdvals(x: Any, /) -> Array:
    """The singular values of matrices, see `linalg.svd`.

    Args:
        x: array of shape (..., m, n).

    Returns:
        Array of shape (..., min(m, n)), real and descending.

    Raises:
        ShapeError: for fewer than two axes.
        DTypeError: for dtypes that are no numbers.

    Notes:
        Derivatives, also where singular values repeat or are 0, are as in `linalg.svd`.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.svdvals(nr.asarray([[3.0, 0.0], [0.0, -4.0]]))
        numr.Array([4., 3.])
    """
    return svd(x, full_matrices=False).S


def qr(x: Any, /, *, mode: str = "reduced") -> QRResult:
    """The QR decomposition: x = Q R with orthonormal columns of Q and an upper triangle R.

    Args:
        x: array of shape (..., m, n). With k = min(m, n):
        mode: "reduced" for k columns of Q and rows of R, "complete" for m.

    Returns:
        (Q, R): Q of shape (..., m, k) and R of shape (..., k, n), or (..., m, m) and (..., m, n). The
        diagonal of R is real, of either sign, as reflections of Householder leave it.

    Raises:
        ShapeError: for fewer than two axes.
        ValueError: for a mode that is not there.
        DTypeError: for dtypes that are no numbers.

    Notes:
        The derivative keeps R's diagonal real. It is that of any function of x = Q R that does not
        depend on the signs, and needs the first k columns of x to be independent: where one depends on
        those before it (R's diagonal is 0 to m times the spacing of floating-point numbers at its
        largest element), the gradient with respect to it and to those is NaN. What completes Q is
        free but for a unitary factor, which the derivative leaves alone.

    References:
        Seeger, Hetzel, Dai, Meissner and Lawrence, Auto-differentiating linear algebra (2017).

    Examples:
        >>> import numr as nr
        >>> q, r = nr.linalg.qr(nr.asarray([[3.0, 1.0], [4.0, 2.0]]))
        >>> q @ r
        numr.Array([[3., 1.],
               [4., 2.]])
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode={mode!r} is not there; it has 'reduced' and 'complete'")
    a = _matrices("qr", x)
    m, n = a.shape[-2:]
    full = mode == "complete"
    if m < n:
        # The first columns decide on Q; R's others are the rest of x in its terms.
        lead, rows = (0,) * (a.rank - 2), a.shape[:-1]
        first = SLICE(a, starts=(*lead, 0, 0), sizes=(*rows, m), steps=(1,) * a.rank)
        rest = SLICE(a, starts=(*lead, 0, m), sizes=(*rows, n - m), steps=(1,) * a.rank)
        q, r = F.qr_left(first, full=False), F.qr_right(first, full=False)
        r = CONCAT(r, contract(conj_transpose(q), rest), axis=a.rank - 1)
        return QRResult(*_as_one(q, r))
    q, r = F.qr_left(a, full=full), F.qr_right(a, full=full)
    if full and n == 0:
        return QRResult(*_as_one(_identity((*a.shape[:-1], m), a), a))
    if full:
        r = PAD(r, const(0, r.dtype), starts=(0,) * r.rank, shape=a.shape, steps=(1,) * r.rank)
    return QRResult(*_as_one(q, r))


def _solved(a: Node, b: Node, rcond: float | None, adjoint: bool = False) -> Node:
    """The pseudoinverse of a times b, whichever side of a is longer."""
    if a.shape[-2] < a.shape[-1]:
        return lstsq_of(conj_transpose(a), b, rcond=rcond, adjoint=True)
    return lstsq_of(a, b, rcond=rcond, adjoint=False)


def _rank(s: Node, shape: tuple[int, ...], rcond: float | None) -> Node:
    if 0 in shape[-2:]:
        s = P.broadcast_to(const(0, s.dtype), (*shape[:-2], 1))
    counted = gt(s, smallest(s, max(shape[-2:]), rcond))
    return reduce_sum(cast(counted, int64), axes=(s.rank - 1,))


def lstsq(x1: Any, x2: Any, /, *, rcond: float | None = None) -> LstsqResult:
    """The X with the least sum of |x1 @ X - x2|^2, and the least sum of |X|^2 among several.

    By the singular value decomposition of x1: X = V diag(1 / s) U^H x2 over the singular values s
    that count.

    Args:
        x1: array of shape (..., m, n).
        x2: array of shape (..., m, k), or a vector (m,). Leading axes broadcast.
        rcond: singular values up to rcond times the largest count as 0; None for max(m, n) times the
            spacing of floating-point numbers at 1.

    Returns:
        (solution, residuals, rank, singular_values): X of shape (..., n, k), or (..., n) for a vector;
        the sums of |x1 @ X - x2|^2, of shape (..., k) or (...), for any rank (NumPy leaves them out
        for some); how many singular values count, int64 of shape (...); and all of them, of shape
        (..., min(m, n)). NaN where x1 is not finite.

    Raises:
        ShapeError: for shapes that do not fit.
        DTypeError: for dtypes that are no numbers.

    Notes:
        The derivative, of every order, is that of the pseudoinverse among matrices of one rank, and so
        exists for any x1; repeated singular values do not matter. Where x1 is rank-deficient, X
        itself jumps in directions that raise the rank: these count as if they did not.

    References:
        Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems
        whose variables separate (1973).

    Examples:
        >>> import numr as nr
        >>> a = nr.asarray([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
        >>> nr.linalg.lstsq(a, nr.asarray([1.0, 3.0, 5.0])).solution
        numr.Array([1., 2.])
    """
    (a, b), _ = promoted("lstsq", (x1, x2), INEXACT, default_float())
    shapes = (plain(a.shape), plain(b.shape))
    vector = b.rank == 1
    if a.rank < 2 or b.rank < 1 or b.shape[-1 - (not vector)] != a.shape[-2]:
        hint = "x1 is (..., m, n), and x2 has its m rows, (m,) or (..., m, k)"
        raise messages.shape_mismatch("lstsq", ("x1", "x2"), shapes, hint=hint)
    if vector:
        b = P.insert_axes(b, (1,))
    lead = broadcast_shapes("lstsq", [a.shape[:-2], b.shape[:-2]])
    a = P.broadcast_to(a, (*lead, *a.shape[-2:]))
    b = P.broadcast_to(b, (*lead, *b.shape[-2:]))
    solution = _solved(a, b, rcond)
    left = from_node(b) - matmul(from_node(a), from_node(solution))
    left = sum(A.real(left) ** 2 + A.imag(left) ** 2 if b.dtype.kind == "c" else left**2, axis=-2)
    s = svdvals(from_node(a)).node
    rank = _rank(s, a.shape, rcond)
    residuals = left.node
    if vector:
        solution = P.reshape(solution, solution.shape[:-1])
        residuals = P.reshape(residuals, residuals.shape[:-1])
    return LstsqResult(*_as_one(solution, residuals, rank, s))


def pinv(x: Any, /, *, rtol: float | None = None) -> Array:
    """The pseudoinverse of matrices, of Moore and Penrose: V diag(1 / s) U^H of x = U diag(s) V^H.

    Args:
        x: array of shape (..., m, n).
        rtol: singular values up to rtol times the largest count as 0; None for max(m, n) times the
            spacing of floating-point numbers at 1.

    Returns:
        Array of shape (..., n, m); NaN where x is not finite.

    Raises:
        ShapeError: for fewer than two axes.
        DTypeError: for dtypes that are no numbers.

    Notes:
        The derivative is that among matrices of one rank, as in `linalg.lstsq`.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.pinv(nr.asarray([[2.0, 0.0], [0.0, 0.0]]))
        numr.Array([[0.5, 0. ],
               [0. , 0. ]])
    """
    a = _matrices("pinv", x)
    one = _identity((*a.shape[:-1], a.shape[-2]), a)
    return from_node(_solved(a, one, rtol))


def matrix_rank(x: Any, /, *, rtol: float | None = None) -> Array:
    """How many singular values of matrices count.

    Args:
        x: array of shape (..., m, n).
        rtol: singular values up to rtol times the largest count as 0; None for max(m, n) times the
            spacing of floating-point numbers at 1.

    Returns:
        Array of shape (...), int64; 0 where x is not finite.

    Raises:
        ShapeError: for fewer than two axes.
        DTypeError: for dtypes that are no numbers.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.matrix_rank(nr.asarray([[1.0, 2.0], [2.0, 4.0]]))
        numr.Array(1)
    """
    a = _matrices("matrix_rank", x)
    return from_node(_rank(svdvals(x).node, a.shape, rtol))


__all__ = [
    "eigh",
    "eigvalsh",
    "lstsq",
    "matrix_rank",
    "pinv",
    "qr",
    "svd",
    "svdvals",
]
