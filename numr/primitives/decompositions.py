"""Decompositions of a matrix as library calls: eigenvectors, singular vectors, QR.

The factors of one lie in one array, along an axis before the matrix's, so that a call has one result,
whose lengths are the matrix's own. They are taken out of it, and differentiated, in `factors.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.linalg import (
    Library,
    random_complex,
    square,
)

# -- in NumPy, or what has its interface ---------------------------------------------------------


def phases(xp: Any, v: Any) -> Any:
    """What makes a component of each column positive: the first that is half as large as any."""
    if not v.size:
        return xp.ones((*v.shape[:-2], 1, v.shape[-1]), v.dtype)
    size = abs(v)
    row = (size >= size.max(axis=-2, keepdims=True) / 2).argmax(axis=-2)
    chosen = xp.take_along_axis(v, row[..., None, :], axis=-2)
    return chosen.conj() / abs(chosen)


def stacked(xp: Any, *parts: Any) -> Any:
    """Matrices side by side along a new axis before their own; the smaller ones end in zeros."""
    lead = parts[0].shape[:-2]
    # The first is the largest, whose lengths are those of the result also where it is empty.
    out = xp.zeros((*lead, len(parts), *parts[0].shape[-2:]), parts[0].dtype)
    for k, p in enumerate(parts):
        out[..., k, : p.shape[-2], : p.shape[-1]] = p
    return out


# -- the library calls ---------------------------------------------------------------------------


class _Call(Library):
    """A decomposition; its factors are what is differentiated."""

    no_jvp = no_transpose = "its factors are primitives with derivatives"

    def reference(self, a: Any, **params: Any) -> Any:
        return self.compute(np, a, **params)

    def compute(self, xp: Any, a: Any, **params: Any) -> Any:
        """The factors in one array; NaN of a matrix that is not finite, which no routine takes."""
        wide = a.astype(np.float32) if a.dtype.itemsize < 4 else a
        bad = ~xp.isfinite(wide).all(axis=(-2, -1), keepdims=True)
        parts = self.factors(xp, xp.where(bad, xp.zeros((), wide.dtype), wide), **params)
        return xp.where(bad[..., None], xp.nan, stacked(xp, *parts)).astype(a.dtype, copy=False)

    def factors(self, xp: Any, a: Any, **params: Any) -> Sequence[Any]:
        """The factors of finite matrices."""
        raise NotImplementedError


class _Eigh(_Call):
    """The eigenvectors, columns, and the eigenvalues, a row in ascending order, of (A + A^H) / 2."""

    def infer(self, a: Node) -> tuple[Shape, DType]:
        *lead, n, _ = square(self, a)
        return (*lead, 2, n, n), a.dtype

    def factors(self, xp: Any, a: Any, **params: Any) -> Sequence[Any]:
        w, v = xp.linalg.eigh(a / 2 + a.conj().swapaxes(-1, -2) / 2)
        return v * phases(xp, v), w[..., None, :]

    def work(self, m: int, n: int, columns: int) -> int:
        return 9 * n**3

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from hermitian_samples(rng, "")
        yield Sample(np.diag([3.0, 1.0, 2.0]), smooth=False, name="diagonal")
        yield Sample(np.array([[-2.0]]), smooth=False)
        yield Sample(np.full((2, 2), np.nan), smooth=False, name="nan")
        yield Sample(np.zeros((0, 0)), smooth=False)


class _Svd(_Call):
    """U, V and the singular values, a row in descending order, of A = U S V^H with at least as many rows
    as columns; `full` completes U to a square matrix."""

    def infer(self, a: Node, *, full: bool) -> tuple[Shape, DType]:
        *lead, m, n = tall(self, a)
        return (*lead, 3, m, m if full else n), a.dtype

    def factors(self, xp: Any, a: Any, *, full: bool = False, **params: Any) -> Sequence[Any]:
        u, s, vh = xp.linalg.svd(a, full_matrices=full)
        phase = phases(xp, u)
        v = vh.conj().swapaxes(-1, -2) * phase[..., : a.shape[-1]]
        return u * phase, v, s[..., None, :]

    def work(self, m: int, n: int, columns: int) -> int:
        return 14 * m * n**2 + 8 * n**3

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from tall_samples(rng, "", square=True)
        yield Sample(np.array([[-2.0], [1.0]]), full=False, smooth=False)
        yield Sample(np.full((2, 2), np.nan), full=False, smooth=False, name="nan")
        yield Sample(np.zeros((3, 0)), full=False, smooth=False)


class _Qr(_Call):
    """Q and R, of A = Q R with at least as many rows as columns, by reflections of Householder;
    `full` completes Q to a square matrix. The diagonal of R is real, of either sign."""

    def infer(self, a: Node, *, full: bool) -> tuple[Shape, DType]:
        *lead, m, n = tall(self, a)
        return (*lead, 2, m, m if full else n), a.dtype

    def factors(self, xp: Any, a: Any, *, full: bool = False, **params: Any) -> Sequence[Any]:
        q, r = xp.linalg.qr(a, mode="complete" if full else "reduced")
        return q, r[..., : a.shape[-1], :]

    def work(self, m: int, n: int, columns: int) -> int:
        return 4 * m * n**2 - 4 * n**3 // 3

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield from tall_samples(rng, "", square=True)
        yield Sample(np.array([[-2.0], [1.0]]), full=False, smooth=False)
        yield Sample(np.zeros((3, 0)), full=False, smooth=False)


def tall(prim: Primitive, a: Node) -> Shape:
    """The shape of matrices with no more columns than rows."""
    if a.rank < 2 or a.shape[-1] > a.shape[-2] or not a.dtype.is_inexact:
        from numr.errors import ShapeError

        raise ShapeError(
            f"{prim.name} takes floating matrices with at least as many rows as columns, "
            f"not {a.dtype}{tuple(map(int, a.shape))}"
        )
    return a.shape


def _with_values(a: Any, values: Any) -> Any:
    """The matrix with other singular values, well apart, so that no two results are nearly alike."""
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return (u * values) @ vh


def hermitian_samples(rng: np.random.Generator, smooth: str) -> Iterator[Sample]:
    """Matrices with eigenvalues apart; `smooth` for these kinds of dtype. The derivatives of complex
    vectors leave phases as they are, so differences do not show them."""
    v = np.linalg.qr(rng.normal(size=(2, 4, 4)))[0]
    a = (v * (np.arange(4) - 1.5)) @ np.swapaxes(v, -1, -2)
    # Its mean with its transpose is what counts.
    lower = np.tril(a, -1)
    yield Sample(a + lower - np.swapaxes(lower, -1, -2), smooth="f" in smooth)
    v = np.linalg.qr(random_complex(rng, 2, 4, 4))[0]
    a = (v * (np.arange(4) - 1.5)) @ np.conj(np.swapaxes(v, -1, -2))
    yield Sample(a, smooth="c" in smooth, name="complex")


def tall_samples(rng: np.random.Generator, smooth: str, square: bool = False) -> Iterator[Sample]:
    """Matrices with singular values apart, at least as high as wide; `smooth` as in `hermitian_samples`."""
    a = _with_values(rng.normal(size=(4, 3)), (3.0, 2.0, 0.7))
    yield Sample(a, full=True, smooth="f" in smooth)
    if square:
        a = _with_values(rng.normal(size=(2, 3, 3)), (3.0, 2.0, 0.7))
        yield Sample(a, full=False, smooth="f" in smooth)
    a = _with_values(random_complex(rng, 2, 4, 3), (3.0, 2.0, 0.7))
    yield Sample(a, full=False, smooth="c" in smooth, name="complex")


eigh = _Eigh("eigh")
svd = _Svd("svd")
qr = _Qr("qr")
CALLS = (eigh, svd, qr)
