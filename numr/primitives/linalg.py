"""Dense linear algebra on the last two axes: library calls, with derivatives as graphs of the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.contraction import matmul, swap_last
from numr.primitives.elementwise import accumulate, add, cast, like, mul, neg, select, sub, times
from numr.primitives.mathematics import eq, gt, imag, make_complex, real
from numr.primitives.reduction import reduce_sum
from numr.primitives.shape import batched_first
from numr.primitives.source import IOTA


class Batched(Primitive):
    """An operation on matrices that takes any leading batch axes."""

    def batch(self, size: int, operands: Any, axes: Any, /, **params: Any) -> tuple[Node, int]:
        return self(
            *(batched_first(x, a, size) for x, a in zip(operands, axes, strict=True)), **params
        ), 0


class Library(Batched):
    """A library call."""

    lowering = "library"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.library = name

    def flops(self, node: Node) -> int:
        *lead, m, n = map(int, node.inputs[0].shape)
        return math.prod(lead) * self.work(m, n, int(node.inputs[-1].shape[-1]))

    def work(self, m: int, n: int, columns: int) -> int:
        """Operations for one matrix of m rows and n columns, and so many right-hand sides; those of an LU
        decomposition, unless the primitive says otherwise (Golub, Van Loan, Matrix Computations)."""
        return 2 * n**3 // 3


def conj_transpose(x: Node) -> Node:
    """The Hermitian transpose of the last two axes."""
    x = swap_last(x)
    return make_complex(real(x), neg(imag(x))) if x.dtype.kind == "c" else x


def triangle_mask(x: Node, lower: bool, strict: bool) -> Node:
    """Where the last two axes are in the (strict) lower or upper triangle."""
    row, column = (IOTA(shape=x.shape, axis=x.rank - k) for k in (2, 1))
    outside = gt(column, row) if lower else gt(row, column)
    from numr.primitives.mathematics import bit_or, invert

    return invert(bit_or(outside, eq(row, column)) if strict else outside)


def triangle(x: Node, lower: bool, strict: bool = False) -> Node:
    return select(triangle_mask(x, lower, strict), x, like(x, 0))


def diagonal_sum(x: Node) -> Node:
    """The trace over the last two axes."""
    row, column = (IOTA(shape=x.shape, axis=x.rank - k) for k in (2, 1))
    return reduce_sum(select(eq(row, column), x, like(x, 0)), axes=(x.rank - 2, x.rank - 1))


def random_complex(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def _spd(rng: np.random.Generator, *shape: int) -> Any:
    a = rng.normal(size=(*shape, shape[-1]))
    return a @ np.swapaxes(a, -1, -2) + 2 * shape[-1] * np.eye(shape[-1])


class _Cholesky(Library):
    """The lower factor L of a symmetric positive definite matrix, L L^H = (A + A^H) / 2; NaN if it is not.

    Its derivative is Murray's: dL = L phi(L^-1 dA L^-H), phi taking the lower triangle and half
    the diagonal (Murray, Differentiation of the Cholesky decomposition, 2016).
    """

    no_transpose = "it is not linear; its tangent is"

    def infer(self, a: Node) -> tuple[Shape, DType]:
        return square(self, a), a.dtype

    def reference(self, a: Any) -> Any:
        a = (a + np.conj(np.swapaxes(a, -1, -2))) / 2
        out = np.full(a.shape, np.nan, a.dtype)
        for b in np.ndindex(a.shape[:-2]):
            try:
                out[b] = np.linalg.cholesky(a[b])
            except np.linalg.LinAlgError:
                out[b] = np.tril(out[b])
        return out

    def jvp(self, out: Node, operands: Any, tangents: Any) -> Node | None:
        t = tangents[0]
        t = mul(add(t, conj_transpose(t)), like(t, 0.5))
        inner = triangular_solve(out, t, lower=True, adjoint=False, unit=False)
        inner = conj_transpose(
            triangular_solve(out, conj_transpose(inner), lower=True, adjoint=False, unit=False)
        )
        row, column = (IOTA(shape=inner.shape, axis=inner.rank - k) for k in (2, 1))
        weight = select(
            eq(row, column),
            like(inner, 0.5),
            select(gt(row, column), like(inner, 1), like(inner, 0)),
        )
        return matmul(out, times(inner, weight))

    def work(self, m: int, n: int, columns: int) -> int:
        return n**3 // 3

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(_spd(rng, 3))
        yield Sample(_spd(rng, 2, 4))
        yield Sample(_spd(rng, 1).astype(np.float32))
        yield Sample(_spd(rng, 9))
        a = random_complex(rng, 2, 5, 5)
        yield Sample(a @ np.conj(np.swapaxes(a, -1, -2)) + 3 * np.eye(5), name="complex")
        yield Sample(_spd(rng, 3).astype(np.complex64), name="complex64")
        yield Sample(np.zeros((0, 0)), smooth=False)


class _TriangularSolve(Library):
    """X with op(A) X = B for a triangular A; `adjoint` solves with A^H, `unit` takes the diagonal as 1.

    Only the named triangle of A is read.
    """

    def infer(
        self, a: Node, b: Node, *, lower: bool, adjoint: bool, unit: bool
    ) -> tuple[Shape, DType]:
        check_solve(self, a, b)
        return b.shape, b.dtype

    def reference(self, a: Any, b: Any, *, lower: bool, adjoint: bool, unit: bool) -> Any:
        a = np.tril(a) if lower else np.triu(a)
        if unit:
            a = a - a * np.eye(a.shape[-1]) + np.eye(a.shape[-1])
        if a.shape[-1] == 0 or b.size == 0:
            return np.zeros(b.shape, b.dtype)
        return np.linalg.solve(np.conj(np.swapaxes(a, -1, -2)) if adjoint else a, b)

    def jvp(
        self, out: Node, operands: Any, tangents: Any, *, lower: bool, **params: Any
    ) -> Node | None:
        a, _b = operands
        ta, tb = tangents
        if ta is not None:
            ta = triangle(ta, lower, strict=params["unit"])
            change = neg(matmul(conj_transpose(ta) if params["adjoint"] else ta, out))
            tb = accumulate(tb, change)
        return self(a, tb, lower=lower, **params)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        # The adjoint of B -> A^-1 B under Re(ct * t) is ct -> A^-T ct: conj around the A^H solve.
        p = dict(node.params)
        p["adjoint"] = not p["adjoint"]
        a = node.inputs[0]
        if a.dtype.kind == "c":
            return [None, conj(self(a, conj(ct), **p))]
        return [None, self(a, ct, **p)]

    def work(self, m: int, n: int, columns: int) -> int:
        return n**2 * columns

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        a, b = _spd(rng, 4), rng.normal(size=(4, 2))
        for lower in (False, True):
            for adjoint in (False, True):
                yield Sample(a, b, lower=lower, adjoint=adjoint, unit=False)
        yield Sample(a / 10, b, lower=True, adjoint=False, unit=True)
        yield Sample(
            _spd(rng, 2, 3), rng.normal(size=(2, 3, 1)), lower=True, adjoint=False, unit=False
        )
        a, b = random_complex(rng, 4, 4) + 3 * np.eye(4), random_complex(rng, 4, 3)
        for adjoint in (False, True):
            yield Sample(a, b, lower=True, adjoint=adjoint, unit=False, name=f"complex-{adjoint}")


class _Solve(Library):
    """X with A X = B, by LU with partial pivoting; NaN or inf where A is singular."""

    def infer(self, a: Node, b: Node, *, transposed: bool) -> tuple[Shape, DType]:
        check_solve(self, a, b)
        return b.shape, b.dtype

    def reference(self, a: Any, b: Any, *, transposed: bool) -> Any:
        if a.shape[-1] == 0 or b.size == 0:
            return np.zeros(b.shape, b.dtype)
        return np.linalg.solve(np.swapaxes(a, -1, -2) if transposed else a, b)

    def jvp(self, out: Node, operands: Any, tangents: Any, *, transposed: bool) -> Node | None:
        a, _b = operands
        ta, tb = tangents
        if ta is not None:
            tb = accumulate(tb, neg(matmul(swap_last(ta) if transposed else ta, out)))
        return self(a, tb, transposed=transposed)

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        return [None, self(node.inputs[0], ct, transposed=not node.params["transposed"])]

    def work(self, m: int, n: int, columns: int) -> int:
        return 2 * n**3 // 3 + 2 * n**2 * columns

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        for transposed in (False, True):
            yield Sample(
                rng.normal(size=(4, 4)) + 4 * np.eye(4),
                rng.normal(size=(4, 2)),
                transposed=transposed,
            )
        yield Sample(
            rng.normal(size=(2, 3, 3)) + 4 * np.eye(3), rng.normal(size=(2, 3, 1)), transposed=False
        )
        for transposed in (False, True):
            a, b = random_complex(rng, 5, 5), random_complex(rng, 5, 2)
            yield Sample(a, b, transposed=transposed, name=f"complex-{transposed}")


class _Inverse(Library):
    """The inverse matrix."""

    no_transpose = "it is not linear; its tangent is"

    def infer(self, a: Node) -> tuple[Shape, DType]:
        return square(self, a), a.dtype

    def reference(self, a: Any) -> Any:
        return np.linalg.inv(a)

    def jvp(self, out: Node, operands: Any, tangents: Any) -> Node | None:
        return neg(matmul(matmul(out, tangents[0]), out))

    def work(self, m: int, n: int, columns: int) -> int:
        return 2 * n**3

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=(3, 3)) + 4 * np.eye(3))
        yield Sample(rng.normal(size=(2, 4, 4)) + 5 * np.eye(4))
        yield Sample(random_complex(rng, 5, 5), name="complex")


class _Determinant(Library):
    """The determinant. Its derivative det(A) tr(A^-1 dA) needs A invertible."""

    no_transpose = "it is not linear; its tangent is"

    def infer(self, a: Node) -> tuple[Shape, DType]:
        return square(self, a)[:-2], a.dtype

    def reference(self, a: Any) -> Any:
        return np.linalg.det(a)

    def jvp(self, out: Node, operands: Any, tangents: Any) -> Node | None:
        return times(diagonal_sum(solve(operands[0], tangents[0], transposed=False)), out)

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=(3, 3)) + 2 * np.eye(3))
        yield Sample(rng.normal(size=(2, 4, 4)) + 3 * np.eye(4))
        yield Sample(rng.normal(size=(1, 1)) + 2)
        yield Sample(random_complex(rng, 2, 5, 5), name="complex")


class _LogAbsDet(_Determinant):
    """log |det A|, which does not overflow."""

    def infer(self, a: Node) -> tuple[Shape, DType]:
        from numr.dtypes import real_part_dtype

        return square(self, a)[:-2], real_part_dtype(a.dtype)

    def reference(self, a: Any) -> Any:
        return np.linalg.slogdet(a)[1]

    def jvp(self, out: Node, operands: Any, tangents: Any) -> Node | None:
        trace = diagonal_sum(solve(operands[0], tangents[0], transposed=False))
        return cast(trace, out.dtype)


class _SignDet(_Determinant):
    """The sign (or unit complex phase) of the determinant."""

    no_jvp = "it is piecewise constant for real matrices"

    def reference(self, a: Any) -> Any:
        return np.linalg.slogdet(a)[0]

    def jvp(self, out: Node, operands: Any, tangents: Any) -> Node | None:
        if out.dtype.kind != "c":
            return None
        trace = diagonal_sum(solve(operands[0], tangents[0], transposed=False))
        return mul(out, sub(trace, cast(real(trace), trace.dtype)))


def conj(x: Node) -> Node:
    return make_complex(real(x), neg(imag(x))) if x.dtype.kind == "c" else x


def square(prim: Primitive, a: Node) -> Shape:
    if a.rank < 2 or a.shape[-1] != a.shape[-2] or not a.dtype.is_inexact:
        from numr.errors import ShapeError

        raise ShapeError(
            f"{prim.name} takes square floating matrices, not {a.dtype}{tuple(map(int, a.shape))}"
        )
    return a.shape


def check_solve(prim: Primitive, a: Node, b: Node) -> None:
    square(prim, a)
    if b.rank != a.rank or b.shape[:-1] != a.shape[:-1] or a.dtype is not b.dtype:
        from numr.errors import ShapeError

        shapes = f"{a.dtype}{tuple(map(int, a.shape))} and {b.dtype}{tuple(map(int, b.shape))}"
        raise ShapeError(f"{prim.name}: matrix and right-hand side {shapes} do not fit together")


cholesky = _Cholesky("cholesky")
triangular_solve = _TriangularSolve("triangular_solve")
solve = _Solve("solve")
inv = _Inverse("inv")
det = _Determinant("det")
logabsdet = _LogAbsDet("logabsdet")
signdet = _SignDet("signdet")
