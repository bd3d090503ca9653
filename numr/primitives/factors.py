"""The factors of a decomposition, each with its own derivative.

Each is a primitive that expands to its part of what the library call returns. The call is made once,
whatever is asked of it, and what a derivative needs of the factors is in the same call.

Where two singular or eigenvalues cannot be told apart, their vectors have no derivative. Its quotients
are `xdivy` by NaN there: NaN, unless nothing is to be divided.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from numr.dtypes import DType, real_part_dtype
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Sample
from numr.primitives.composites import xdivy
from numr.primitives.contraction import matmul
from numr.primitives.decompositions import eigh, hermitian_samples, qr, svd, tall, tall_samples
from numr.primitives.elementwise import add, cast, like, mul, neg, select, sub
from numr.primitives.linalg import (
    Batched,
    conj,
    conj_transpose,
    square,
    triangle,
    triangular_solve,
)
from numr.primitives.mathematics import abs_, eq, imag, le, make_complex, real
from numr.primitives.reduction import reduce_max, reduce_sum
from numr.primitives.shape import BROADCAST, CONCAT, SLICE, reshape
from numr.primitives.source import IOTA, size_of


class _Factor(Batched):
    """A part of what a decomposition returns."""

    no_transpose = "it is not linear; its tangent is"

    def expand(self, a: Node, **params: Any) -> Node:
        raise NotImplementedError


def _part(x: Node, k: int, shape: Shape) -> Node:
    """The k-th factor, of that shape, of what a decomposition returns."""
    *lead, rows, columns = shape
    starts = (*(0,) * len(lead), k, 0, 0)
    return reshape(
        SLICE(x, starts=starts, sizes=(*lead, 1, rows, columns), steps=(1,) * x.rank), shape
    )


def _columns(x: Node, start: int, count: int) -> Node:
    starts, sizes = (0,) * (x.rank - 1) + (start,), (*x.shape[:-1], count)
    return SLICE(x, starts=starts, sizes=sizes, steps=(1,) * x.rank)


def _values(x: Node, k: int, n: int) -> Node:
    """The k-th factor, a row, as real numbers."""
    lead = x.shape[:-3]
    return cast(reshape(_part(x, k, (*lead, 1, n)), (*lead, n)), real_part_dtype(x.dtype))


def _over_rows(w: Node, shape: Shape) -> Node:
    """w[.., j] as an element of every row i of matrices."""
    axes = (*range(w.rank - 1), w.rank)
    return BROADCAST(w, shape=shape, axes=axes)


def over_columns(w: Node, shape: Shape) -> Node:
    return BROADCAST(w, shape=shape, axes=tuple(range(w.rank)))


def indistinct(w: Node, length: int) -> Node:
    """What rounding does to the values of a decomposition: as much as to the largest of them."""
    spacing = float(np.spacing(np.ones((), w.dtype.dtype)))
    scale = mul(size_of(length, w.dtype), like(w, spacing))
    largest = reduce_max(abs_(w), axes=(w.rank - 1,))
    return BROADCAST(mul(largest, scale), shape=w.shape, axes=tuple(range(w.rank - 1)))


def _apart(x: Node, limit: Node) -> Node:
    """x, or NaN where it cannot be told from zero."""
    return select(le(abs_(x), limit), like(x, float("nan")), x)


def _quotient(x: Node, y: Node) -> Node:
    return xdivy(x, cast(y, x.dtype))


def _off_diagonal(x: Node) -> Node:
    row, column = (IOTA(shape=x.shape, axis=x.rank - k) for k in (2, 1))
    return select(eq(row, column), like(x, 0), x)


def _half(x: Node, y: Node) -> Node:
    return mul(add(x, y), like(x, 0.5))


def _real_columns(u: Node, x: Node) -> Node:
    """Re(diag(U^H X)): what the values of a decomposition change by."""
    return reduce_sum(real_or_same(mul(conj(u), x)), axes=(u.rank - 2,))


def real_or_same(x: Node) -> Node:
    return real(x) if x.dtype.kind == "c" else x


class _EighValues(_Factor):
    """The eigenvalues, ascending, of (A + A^H) / 2: dw = diag(V^H dA V), whatever V where they repeat."""

    def infer(self, a: Node) -> tuple[Shape, DType]:
        return square(self, a)[:-1], real_part_dtype(a.dtype)

    def reference(self, a: Any) -> Any:
        return eigh.reference(a)[..., 1, 0, :].real

    def expand(self, a: Node, **params: Any) -> Node:
        return _values(eigh(a), 1, a.shape[-1])

    def jvp(self, out: Node, operands: Any, tangents: Any) -> Node | None:
        t, v = tangents[0], eigh_vectors(operands[0])
        return _real_columns(v, matmul(_half(t, conj_transpose(t)), v))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from hermitian_samples(rng, "fc")


class _EighVectors(_Factor):
    """The eigenvectors, columns, of (A + A^H) / 2: dV = V X, X_ij = (V^H dA V)_ij / (w_j - w_i) off the
    diagonal, and 0 on it (Giles, An extended collection of matrix derivative results, 2008)."""

    def infer(self, a: Node) -> tuple[Shape, DType]:
        return square(self, a), a.dtype

    def reference(self, a: Any) -> Any:
        return eigh.reference(a)[..., 0, :, :]

    def expand(self, a: Node, **params: Any) -> Node:
        return _part(eigh(a), 0, a.shape)

    def jvp(self, out: Node, operands: Any, tangents: Any) -> Node | None:
        t, w = tangents[0], eigh_values(operands[0])
        turned = matmul(conj_transpose(out), matmul(_half(t, conj_transpose(t)), out))
        limit = _over_rows(indistinct(w, w.shape[-1]), out.shape)
        gaps = _apart(sub(_over_rows(w, out.shape), over_columns(w, out.shape)), limit)
        return matmul(out, _quotient(_off_diagonal(turned), gaps))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from hermitian_samples(rng, "f")


class _SvdValues(_Factor):
    """The singular values, descending: ds = Re diag(U^H dA V), whatever U and V where they repeat."""

    def infer(self, a: Node, *, full: bool) -> tuple[Shape, DType]:
        *lead, _, n = tall(self, a)
        return (*lead, n), real_part_dtype(a.dtype)

    def reference(self, a: Any, *, full: bool) -> Any:
        return svd.reference(a, full=full)[..., 2, 0, : a.shape[-1]].real

    def expand(self, a: Node, **params: Any) -> Node:
        return _values(svd(a, **params), 2, a.shape[-1])

    def jvp(self, out: Node, operands: Any, tangents: Any, *, full: bool) -> Node | None:
        (a,) = operands
        u = _columns(svd_left(a, full=full), 0, a.shape[-1])
        return _real_columns(u, matmul(tangents[0], svd_right(a, full=full)))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from tall_samples(rng, "fc")


def _parts(a: Node, t: Node, full: bool) -> tuple[Node, Node, Node, Node]:
    """The singular values, U's first columns, V, and dA V."""
    u, v, s = (f(a, full=full) for f in (svd_left, svd_right, svd_values))
    return s, _columns(u, 0, a.shape[-1]), v, matmul(t, v)


def _turn(s: Node, u1: Node, tv: Node, rows: int, side: int) -> Node:
    """X with dU1 = U1 X (side 1) or dV = V X (side -1) within the spaces that these span.

    With P = U^H dA V in a Hermitian and an antihermitian part H and K:
    X_ij = H_ij / (s_j - s_i) + side * K_ij / (s_j + s_i), without the first term on the diagonal,
    where K is the turn of a complex pair's phase, and 0 for real ones.
    """
    p = matmul(conj_transpose(u1), tv)
    q = conj_transpose(p)
    limit = _over_rows(indistinct(s, rows), p.shape)
    across, along = _over_rows(s, p.shape), over_columns(s, p.shape)
    hermitian = _quotient(_off_diagonal(_half(p, q)), _apart(sub(across, along), limit))
    rest = _half(p, neg(q))
    rest = rest if p.dtype.kind == "c" else _off_diagonal(rest)
    rest = _quotient(rest, _apart(add(across, along), limit))
    return add(hermitian, rest if side > 0 else neg(rest))


class _SvdLeft(_Factor):
    """The left singular vectors, columns: dU = U X + (I - U U^H) dA V S^-1, X of `_turn` (Wan and Zhang,
    Automatic differentiation for complex valued SVD, 2019); what completes U turns with the rest."""

    def infer(self, a: Node, *, full: bool) -> tuple[Shape, DType]:
        *lead, m, n = tall(self, a)
        return (*lead, m, m if full else n), a.dtype

    def reference(self, a: Any, *, full: bool) -> Any:
        return svd.reference(a, full=full)[..., 0, :, :]

    def expand(self, a: Node, **params: Any) -> Node:
        whole = svd(a, **params)
        return _part(whole, 0, (*a.shape[:-1], whole.shape[-1]))

    def jvp(self, out: Node, operands: Any, tangents: Any, *, full: bool) -> Node | None:
        (a,) = operands
        m, n = a.shape[-2:]
        s, u1, _v, tv = _parts(a, tangents[0], full)
        change = matmul(u1, _turn(s, u1, tv, m, 1))
        if m == n:
            return change
        divisor = _over_rows(_apart(s, indistinct(s, m)), tv.shape)
        outside = _quotient(_without(u1, tv), divisor)
        change = add(change, outside)
        return CONCAT(change, _completed(out, u1, outside), axis=out.rank - 1) if full else change

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from tall_samples(rng, "f", square=True)


def _without(u1: Node, x: Node) -> Node:
    """(I - U1 U1^H) X."""
    return sub(x, matmul(u1, matmul(conj_transpose(u1), x)))


def _completed(u: Node, u1: Node, outside: Node) -> Node:
    """How the columns that complete U turn, when the first ones leave their space by `outside`."""
    first = u1.shape[-1]
    rest = _columns(u, first, u.shape[-1] - first)
    return neg(matmul(u1, matmul(conj_transpose(outside), rest)))


class _SvdRight(_Factor):
    """The right singular vectors, columns: dV = V X, X of `_turn`."""

    def infer(self, a: Node, *, full: bool) -> tuple[Shape, DType]:
        *lead, _, n = tall(self, a)
        return (*lead, n, n), a.dtype

    def reference(self, a: Any, *, full: bool) -> Any:
        n = a.shape[-1]
        return svd.reference(a, full=full)[..., 1, :n, :n]

    def expand(self, a: Node, **params: Any) -> Node:
        *lead, _, n = a.shape
        return _part(svd(a, **params), 1, (*lead, n, n))

    def jvp(self, out: Node, operands: Any, tangents: Any, *, full: bool) -> Node | None:
        (a,) = operands
        s, u1, v, tv = _parts(a, tangents[0], full)
        return matmul(v, _turn(s, u1, tv, a.shape[-2], -1))

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from tall_samples(rng, "f")


def _qr_change(a: Node, t: Node, full: bool) -> tuple[Node, Node, Node, Node]:
    """Q1, dA R^-1, C = Q1^H dA R^-1 and the antihermitian X with dQ1 = Q1 X + (I - Q1 Q1^H) dA R^-1.

    X takes C's lower triangle, so that (C - X) R, the change of R, is an upper one; and of its diagonal
    what is imaginary, so that R's stays real (Seeger and others, Auto-differentiating linear algebra,
    2017). Columns that depend on those before, to rounding, have none: NaN.
    """
    r = qr_right(a, full=full)
    q1 = _columns(qr_left(a, full=full), 0, a.shape[-1])
    row, column = (IOTA(shape=r.shape, axis=r.rank - k) for k in (2, 1))
    on = eq(row, column)
    size = abs_(reduce_sum(real_or_same(select(on, r, like(r, 0))), axes=(r.rank - 2,)))
    dependent = _over_rows(le(size, indistinct(size, a.shape[-2])), r.shape)
    r = select(on, select(dependent, like(r, float("nan")), r), r)
    b = conj_transpose(
        triangular_solve(r, conj_transpose(t), lower=False, adjoint=True, unit=False)
    )
    c = matmul(conj_transpose(q1), b)
    below = triangle(c, lower=True, strict=True)
    x = sub(below, conj_transpose(below))
    if c.dtype.kind == "c":
        x = add(x, select(on, make_complex(like(imag(c), 0), imag(c)), like(c, 0)))
    return q1, b, c, x


class _QrLeft(_Factor):
    """Q of A = Q R: dQ = Q X + (I - Q Q^H) dA R^-1, X of `_qr_change`; what completes Q turns with it."""

    def infer(self, a: Node, *, full: bool) -> tuple[Shape, DType]:
        *lead, m, n = tall(self, a)
        return (*lead, m, m if full else n), a.dtype

    def reference(self, a: Any, *, full: bool) -> Any:
        return qr.reference(a, full=full)[..., 0, :, :]

    def expand(self, a: Node, **params: Any) -> Node:
        whole = qr(a, **params)
        return _part(whole, 0, (*a.shape[:-1], whole.shape[-1]))

    def jvp(self, out: Node, operands: Any, tangents: Any, *, full: bool) -> Node | None:
        (a,) = operands
        q1, b, _c, x = _qr_change(a, tangents[0], full)
        change = matmul(q1, x)
        if a.shape[-2] == a.shape[-1]:
            return change
        outside = _without(q1, b)
        change = add(change, outside)
        return CONCAT(change, _completed(out, q1, outside), axis=out.rank - 1) if full else change

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from tall_samples(rng, "fc", square=True)


class _QrRight(_Factor):
    """R of A = Q R, square: dR = (Q^H dA R^-1 - X) R, X of `_qr_change`."""

    def infer(self, a: Node, *, full: bool) -> tuple[Shape, DType]:
        *lead, _, n = tall(self, a)
        return (*lead, n, n), a.dtype

    def reference(self, a: Any, *, full: bool) -> Any:
        n = a.shape[-1]
        return qr.reference(a, full=full)[..., 1, :n, :n]

    def expand(self, a: Node, **params: Any) -> Node:
        *lead, _, n = a.shape
        return _part(qr(a, **params), 1, (*lead, n, n))

    def jvp(self, out: Node, operands: Any, tangents: Any, *, full: bool) -> Node | None:
        _q, _b, c, x = _qr_change(operands[0], tangents[0], full)
        return triangle(matmul(sub(c, x), out), lower=False)

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from tall_samples(rng, "fc")


eigh_values = _EighValues("eigh_values")
eigh_vectors = _EighVectors("eigh_vectors")
svd_left = _SvdLeft("svd_left")
svd_values = _SvdValues("svd_values")
svd_right = _SvdRight("svd_right")
qr_left = _QrLeft("qr_left")
qr_right = _QrRight("qr_right")
