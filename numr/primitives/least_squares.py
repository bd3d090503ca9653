"""Least squares and pseudoinverses: the singular value decomposition with the derivative of its whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Sample
from numr.primitives.composites import xdivy
from numr.primitives.contraction import matmul
from numr.primitives.decompositions import tall
from numr.primitives.elementwise import accumulate, add, cast, like, mul, neg, select, sub
from numr.primitives.factors import indistinct, over_columns, svd_left, svd_right, svd_values
from numr.primitives.linalg import Batched, conj, conj_transpose, random_complex
from numr.primitives.mathematics import gt
from numr.primitives.reduction import reduce_max
from numr.primitives.shape import BROADCAST, move_axis, reshape


class _Lstsq(Batched):
    """A^+ B, or (A^+)^H B if `adjoint`: singular values up to `rcond` of the largest count as 0; None for
    the number of rows times the spacing of numbers at 1.

    Its derivative is that of the pseudoinverse among matrices of one rank: d(A^+) =
    -A^+ dA A^+ + A^+ A^+H dA^H (I - A A^+) + (I - A^+ A) dA^H A^+H A^+ (Golub and Pereyra, 1973).
    """

    def infer(self, a: Node, b: Node, *, rcond: float | None, adjoint: bool) -> tuple[Shape, DType]:
        *lead, m, n = tall(self, a)
        given, found = (n, m) if adjoint else (m, n)
        if b.shape[:-1] != (*lead, given) or a.dtype is not b.dtype:
            from numr.errors import ShapeError

            shapes = f"{a.dtype}{tuple(map(int, a.shape))} and {b.dtype}{tuple(map(int, b.shape))}"
            raise ShapeError(
                f"{self.name}: matrix and right-hand side {shapes} do not fit together"
            )
        return (*lead, found, b.shape[-1]), a.dtype

    def reference(self, a: Any, b: Any, *, rcond: float | None, adjoint: bool) -> Any:
        cut = rcond if rcond is not None else a.shape[-2] * np.finfo(a.dtype).eps
        out = np.full((*a.shape[:-2], a.shape[-2 if adjoint else -1], b.shape[-1]), np.nan, a.dtype)
        for k in np.ndindex(a.shape[:-2]):
            if np.isfinite(a[k]).all() and a.dtype.itemsize >= 4:
                inverse = np.linalg.pinv(a[k], rcond=cut)
                out[k] = (np.conj(inverse.T) if adjoint else inverse) @ b[k]
        return out

    def expand(self, a: Node, b: Node, *, rcond: float | None, adjoint: bool) -> Node:
        u, v, s = (f.expand(a, full=False) for f in (svd_left, svd_right, svd_values))
        keep = gt(s, smallest(s, a.shape[-2], rcond))
        inverse = select(keep, xdivy.expand(like(s, 1), s), like(s, 0))
        if adjoint:
            u, v = v, u
        inner = matmul(conj_transpose(u), b)
        return matmul(v, mul(inner, cast(over_columns(inverse, inner.shape), inner.dtype)))

    def jvp(
        self, out: Node, operands: Any, tangents: Any, *, rcond: float | None, adjoint: bool
    ) -> Node | None:
        a, b = operands
        ta, tb = tangents
        forth = {"rcond": rcond, "adjoint": adjoint}
        back = {"rcond": rcond, "adjoint": not adjoint}
        change = tb
        extra: Node | None = None
        if ta is not None:
            # Below, A and T stand for what is inverted: A^H and dA^H for the adjoint.
            matrix, t = (conj_transpose(x) if adjoint else x for x in (a, ta))
            change = accumulate(tb, neg(matmul(t, out)))
            th = conj_transpose(t)
            residual = sub(b, matmul(matrix, out))
            extra = self(a, self(a, matmul(th, residual), **back), **forth)
            y = matmul(th, self(a, out, **back))
            extra = add(extra, sub(y, self(a, matmul(matrix, y), **forth)))
        assert change is not None
        return accumulate(self(a, change, **forth), extra)

    def batch(self, size: int, operands: Any, axes: Any, /, **params: Any) -> tuple[Node, int]:
        if axes[0] is not None:
            return super().batch(size, operands, axes, **params)
        # One matrix for all is decomposed once: the batch goes into the columns on the right.
        a, b = operands
        b = move_axis(b, axes[1], b.rank - 2)
        out = self(a, reshape(b, (*b.shape[:-2], b.shape[-2] * b.shape[-1])), **params)
        return reshape(out, (*out.shape[:-1], *b.shape[-2:])), out.rank - 1

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        # The adjoint of B -> P B under Re(ct * t) is ct -> P^T ct.
        params = {**node.params, "adjoint": not node.params["adjoint"]}
        return [None, conj(self(node.inputs[0], conj(ct), **params))]

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=(4, 3)), rng.normal(size=(4, 2)), rcond=None, adjoint=False)
        a, b = random_complex(rng, 2, 4, 3), random_complex(rng, 2, 3, 1)
        yield Sample(a, b, rcond=None, adjoint=True, name="complex")
        low = rng.normal(size=(4, 2)) @ rng.normal(size=(2, 3))
        b = rng.normal(size=(4, 2))
        yield Sample(low, b, rcond=1e-6, adjoint=False, smooth=False, name="rank")


def smallest(s: Node, rows: int, rcond: float | None) -> Node:
    """The bound up to which singular values, descending, count as zeros: one for each of them."""
    if rcond is None:
        return indistinct(s, rows)
    largest = reduce_max(s, axes=(s.rank - 1,))
    axes = tuple(range(s.rank - 1))
    return BROADCAST(mul(largest, like(s, rcond)), shape=s.shape, axes=axes)


lstsq = _Lstsq("lstsq")
