"""Linear algebra: products, einsum, and dense factorisations on the last two axes."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from numr.array import Array, from_node
from numr.errors import ShapeError
from numr.functions.elementwise import default_float
from numr.functions.operands import broadcast_shapes, node_of, normalized_axis, promoted
from numr.ir.node import Node
from numr.primitives import linalg as L
from numr.primitives import shape as P
from numr.primitives.contraction import matmul as matmul_prim
from numr.primitives.elementwise import cast, mul
from numr.primitives.mathematics import imag, make_complex, real
from numr.primitives.reduction import reduce_sum

SlogdetResult = namedtuple("SlogdetResult", ["sign", "logabsdet"])


def _shape(x: Node) -> tuple[int, ...]:
    return tuple(map(int, x.shape))


def matmul(x1: Any, x2: Any, /) -> Array:
    """The matrix product over the last two axes; leading axes broadcast, vectors are rows or columns.

    Raises:
        ShapeError: if the inner lengths differ, or for a scalar.

    Examples:
        >>> import numr as nr
        >>> nr.matmul(nr.asarray([[1.0, 2.0]]), nr.asarray([3.0, 4.0])).tolist()
        [11.0]
    """
    (a, b), _ = promoted("matmul", (x1, x2), "iufc")
    if a.rank == 0 or b.rank == 0:
        raise ShapeError(f"matmul takes no scalars: shapes {_shape(a)} and {_shape(b)}; use *")
    inner = (a.shape[-1], b.shape[-2] if b.rank > 1 else b.shape[0])
    if inner[0] != inner[1]:
        raise ShapeError(
            f"matmul: the last axis of shape {_shape(a)} and the {'second to last' if b.rank > 1 else 'only'} axis of "
            f"shape {_shape(b)} differ: {int(inner[0])} and {int(inner[1])}"
        )
    vector_a, vector_b = a.rank == 1, b.rank == 1
    if vector_a:
        a = P.insert_axes(a, (0,))
    if vector_b:
        b = P.insert_axes(b, (1,))
    out = _batched(a, b)
    drop = [out.rank - 2] * vector_a + [out.rank - 1] * vector_b
    return from_node(P.reshape(out, tuple(n for i, n in enumerate(out.shape) if i not in drop)))


def _batched(a: Node, b: Node) -> Node:
    if b.rank == 2 and a.rank > 2:
        # One right operand: fold the leading axes into the rows of one large product.
        rows = 1
        for n in a.shape[:-1]:
            rows *= n
        out = matmul_prim(P.reshape(a, (rows, a.shape[-1])), b)
        return P.reshape(out, (*a.shape[:-1], b.shape[-1]))
    lead = broadcast_shapes("matmul", [a.shape[:-2], b.shape[:-2]])
    a = P.broadcast_to(a, (*lead, *a.shape[-2:]))
    b = P.broadcast_to(b, (*lead, *b.shape[-2:]))
    return matmul_prim(a, b)


def dot(x1: Any, x2: Any, /) -> Array:
    """The matrix product, with scalars allowed (NumPy's name).

    Examples:
        >>> import numr as nr
        >>> nr.dot(nr.asarray([1.0, 2.0]), nr.asarray([3.0, 4.0])).item()
        11.0
    """
    a, b = node_of(x1), node_of(x2)
    if a.rank == 0 or b.rank == 0:
        return from_node(a) * from_node(b)  # type: ignore[operator]
    return matmul(x1, x2)


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """The sum of conj(x1) * x2 over an axis.

    Examples:
        >>> import numr as nr
        >>> nr.vecdot(nr.asarray([1.0, 2.0]), nr.asarray([3.0, 4.0])).item()
        11.0
    """
    (a, b), _ = promoted("vecdot", (x1, x2), "iufc")
    if a.shape[axis] != b.shape[axis]:
        raise ShapeError(
            f"vecdot: axis {axis} has lengths {int(a.shape[axis])} and {int(b.shape[axis])}"
        )
    from numr.functions.manipulation import broadcast_arrays

    a, b = (x.node for x in broadcast_arrays(from_node(a), from_node(b)))
    return from_node(reduce_sum(mul(_conj(a), b), axes=(axis % a.rank,)))


def _conj(x: Node) -> Node:
    from numr.primitives.elementwise import neg

    return make_complex(real(x), neg(imag(x))) if x.dtype.kind == "c" else x


def outer(x1: Any, x2: Any, /) -> Array:
    """All products of an element of one vector with one of another.

    Examples:
        >>> import numr as nr
        >>> nr.outer(nr.asarray([1, 2]), nr.asarray([3, 4])).tolist()
        [[3, 4], [6, 8]]
    """
    from numr.functions.manipulation import ravel

    (a, b), _ = promoted("outer", (ravel(x1), ravel(x2)), "iufc")
    shape = (a.shape[0], b.shape[0])
    return from_node(
        mul(P.BROADCAST(a, shape=shape, axes=(0,)), P.BROADCAST(b, shape=shape, axes=(1,)))
    )


def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Array:
    """The sum of products over pairs of axes: the last of x1 with the first of x2, or those given.

    Examples:
        >>> import numr as nr
        >>> nr.tensordot(nr.ones((2, 3)), nr.ones((3, 4)), axes=1).tolist()
        [[3.0, 3.0, 3.0, 3.0], [3.0, 3.0, 3.0, 3.0]]
    """
    (a, b), _ = promoted("tensordot", (x1, x2), "iufc")
    if isinstance(axes, int):
        left, right = list(range(a.rank - axes, a.rank)), list(range(axes))
    else:
        left, right = ([k] if isinstance(k, int) else list(k) for k in axes)
        left = [normalized_axis("tensordot", k, a.rank) for k in left]
        right = [normalized_axis("tensordot", k, b.rank) for k in right]
    if [int(a.shape[i]) for i in left] != [int(b.shape[j]) for j in right]:
        raise ShapeError(
            f"tensordot: axes {axes} of shapes {_shape(a)} and {_shape(b)} differ in length"
        )
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    first = [next(letters) for _ in range(a.rank)]
    second = [first[left[right.index(j)]] if j in right else next(letters) for j in range(b.rank)]
    kept = [c for i, c in enumerate(first) if i not in left] + [
        c for j, c in enumerate(second) if j not in right
    ]
    return from_node(_pair(a, "".join(first), b, "".join(second), "".join(kept)))


def einsum(subscripts: str, /, *operands: Any) -> Array:
    """Sums of products by Einstein's convention, e.g. `einsum("ij,jk->ik", a, b)`; `...` broadcasts.

    Products are taken two at a time in the order NumPy's path optimiser finds cheapest.

    Raises:
        ValueError: for subscripts that do not fit the operands.

    Examples:
        >>> import numr as nr
        >>> nr.einsum("ij,j->i", nr.ones((2, 3)), nr.ones(3)).tolist()
        [3.0, 3.0]
    """
    nodes, _ = promoted("einsum", operands, "iufc")
    terms, result = _parse(subscripts, nodes)
    terms_nodes = [_diagonalised(n, t) for n, t in zip(nodes, terms, strict=True)]
    parts = [(n, t) for n, t in terms_nodes]
    for n, t in parts:
        for c, length in zip(t, n.shape, strict=True):
            for m, u in parts:
                if c in u and m.shape[u.index(c)] not in (length, 1) and length != 1:
                    raise ShapeError(
                        f"einsum: index {c!r} has lengths {int(length)} and {int(m.shape[u.index(c)])}"
                    )
    if len(parts) > 2:
        shapes = [np.broadcast_to(np.empty((), np.int8), _shape(n)) for n, _ in parts]
        spec = ",".join(t for _, t in parts) + "->" + result
        path = np.einsum_path(spec, *shapes, optimize="greedy")[0][1:]
    else:
        path = [tuple(range(len(parts)))]
    for step in path:
        chosen = [parts[i] for i in sorted(step)]
        parts = [p for i, p in enumerate(parts) if i not in step]
        while len(chosen) > 1:
            (a, ta), (b, tb) = chosen.pop(0), chosen.pop(0)
            others = "".join(t for _, t in parts + chosen) + result
            out = "".join(dict.fromkeys(c for c in ta + tb if c in others))
            chosen.insert(0, (_pair(a, ta, b, tb, out), out))
        parts.append(chosen[0])
    ((node, term),) = parts
    gone = tuple(i for i, c in enumerate(term) if c not in result)
    node, term = reduce_sum(node, axes=gone), "".join(c for c in term if c in result)
    return from_node(P.permute(node, [term.index(c) for c in result]))


def _parse(subscripts: str, nodes: list[Node]) -> tuple[list[str], str]:
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(nodes):
        raise ValueError(
            f"einsum: {subscripts!r} names {len(terms)} operands, but {len(nodes)} were given"
        )
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in text]
    widest = 0
    for t, n in zip(terms, nodes, strict=True):
        named = len(t.replace("...", ""))
        if "..." in t:
            widest = max(widest, n.rank - named)
        if (n.rank < named) if "..." in t else (n.rank != named):
            raise ValueError(f"einsum: {t!r} does not fit an operand of shape {_shape(n)}")
    dots = "".join(spare[:widest])
    filled = []
    for t, n in zip(terms, nodes, strict=True):
        width = n.rank - len(t.replace("...", ""))
        filled.append(t.replace("...", dots[len(dots) - width :]) if "..." in t else t)
    if arrow:
        result = right.replace("...", dots)
    else:
        joined = "".join(filled)
        result = dots + "".join(
            sorted(c for c in set(joined) if joined.count(c) == 1 and c not in dots)
        )
    for c in result:
        if not any(c in t for t in filled):
            raise ValueError(f"einsum: output index {c!r} appears in no operand of {subscripts!r}")
    return filled, result


def _diagonalised(node: Node, term: str) -> tuple[Node, str]:
    """Repeated indices of one operand become its diagonal."""
    from numr.functions.manipulation import diagonal

    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i = term.index(c)
            j = term.index(c, i + 1)
            node = diagonal(from_node(node), axis1=i, axis2=j).node
            term = "".join(t for k, t in enumerate(term) if k not in (i, j)) + c
    return node, term


def _pair(a: Node, ta: str, b: Node, tb: str, out: str) -> Node:
    """One product of two operands: batch axes, then rows, columns and the summed axes of a matmul."""
    a, ta = _summed(a, ta, tb + out)
    b, tb = _summed(b, tb, ta + out)
    batch = [c for c in ta if c in tb and c in out]
    inner = [c for c in ta if c in tb and c not in out]
    rows = [c for c in ta if c not in tb]
    columns = [c for c in tb if c not in ta]
    lengths = {c: n for t, x in ((tb, b), (ta, a)) for c, n in zip(t, x.shape, strict=True)}
    for c in batch + inner:
        lengths[c] = broadcast_shapes("einsum", [(a.shape[ta.index(c)],), (b.shape[tb.index(c)],)])[
            0
        ]
    if not inner:
        order = [*batch, *rows, *columns]
        shape = tuple(lengths[c] for c in order)

        def spread(x: Node, t: str) -> Node:
            return (
                P.BROADCAST(x, shape=shape, axes=tuple(order.index(c) for c in t))
                if x.shape != shape or list(t) != order
                else x
            )

        product = mul(spread(a, ta), spread(b, tb))
    else:

        def folded(x: Node, t: str, *groups: list[str]) -> Node:
            names = [c for g in groups for c in g]
            x = P.permute(x, [t.index(c) for c in names])
            full = tuple(lengths[c] for c in names)
            x = P.broadcast_to(x, full) if x.shape != full else x
            shape = [lengths[c] for c in groups[0]]
            for g in groups[1:]:
                n: int = lengths[g[0]] if len(g) == 1 else 1
                if len(g) != 1:
                    for c in g:
                        n *= lengths[c]
                shape.append(n)
            return P.reshape(x, tuple(shape))

        left, right = folded(a, ta, batch, rows, inner), folded(b, tb, batch, inner, columns)
        order = [*batch, *rows, *columns]
        product = P.reshape(matmul_prim(left, right), tuple(lengths[c] for c in order))
    return P.permute(product, [order.index(c) for c in out])


def _summed(x: Node, term: str, others: str) -> tuple[Node, str]:
    """Sum out what only this operand has."""
    gone = tuple(i for i, c in enumerate(term) if c not in others)
    return reduce_sum(x, axes=gone), "".join(c for i, c in enumerate(term) if i not in gone)


def _floating(*xs: Any) -> list[Node]:
    return promoted("linalg", xs, "fc", default_float())[0]


def cholesky(x: Any, /, *, upper: bool = False) -> Array:
    """The triangular factor L with L L^H = x of symmetric (Hermitian) positive definite matrices.

    Returns:
        array of x's shape; NaN where x is not positive definite.

    Examples:
        >>> import numr as nr
        >>> nr.cholesky(nr.asarray([[4.0, 0.0], [0.0, 9.0]])).tolist()
        [[2.0, 0.0], [0.0, 3.0]]
    """
    (a,) = _floating(x)
    out = L.cholesky(a)
    return from_node(L.conj_transpose(out) if upper else out)


def _right_hand_side(a: Node, b: Node) -> tuple[Node, Node, bool]:
    """Matrix and right-hand side with equal leading axes, and whether b was a vector."""
    vector = b.rank == 1
    if vector:
        b = P.insert_axes(b, (1,))
    if a.rank < 2 or b.rank < 2 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"a matrix of shape {_shape(a)} and a right-hand side of shape {_shape(b)} do not fit together"
        )
    lead = broadcast_shapes("solve", [a.shape[:-2], b.shape[:-2]])
    return (
        P.broadcast_to(a, (*lead, *a.shape[-2:])),
        P.broadcast_to(b, (*lead, *b.shape[-2:])),
        vector,
    )


def solve(x1: Any, x2: Any, /) -> Array:
    """X with x1 X = x2, by LU with partial pivoting. NaN where x1 is singular.

    Args:
        x1: square matrices (..., n, n).
        x2: a vector (n,) or matrices (..., n, k).

    Examples:
        >>> import numr as nr
        >>> nr.solve(nr.asarray([[2.0, 0.0], [0.0, 4.0]]), nr.asarray([2.0, 4.0])).tolist()
        [1.0, 1.0]
    """
    a, b, vector = _right_hand_side(*_floating(x1, x2))
    out = L.solve(a, b, transposed=False)
    return from_node(P.reshape(out, out.shape[:-1]) if vector else out)


def solve_triangular(
    x1: Any, x2: Any, /, *, lower: bool = True, adjoint: bool = False, unit_diagonal: bool = False
) -> Array:
    """X with op(x1) X = x2 for triangular x1; only the named triangle is read.

    Examples:
        >>> import numr as nr
        >>> nr.solve_triangular(nr.asarray([[2.0, 0.0], [1.0, 1.0]]), nr.asarray([2.0, 3.0])).tolist()
        [1.0, 2.0]
    """
    a, b, vector = _right_hand_side(*_floating(x1, x2))
    out = L.triangular_solve(a, b, lower=lower, adjoint=adjoint, unit=unit_diagonal)
    return from_node(P.reshape(out, out.shape[:-1]) if vector else out)


def inv(x: Any, /) -> Array:
    """The inverse of square matrices; NaN where singular. To solve equations, use `solve`.

    Examples:
        >>> import numr as nr
        >>> nr.inv(nr.asarray([[2.0, 0.0], [0.0, 4.0]])).tolist()
        [[0.5, 0.0], [0.0, 0.25]]
    """
    return from_node(L.inv(*_floating(x)))


def det(x: Any, /) -> Array:
    """The determinant of square matrices.

    Examples:
        >>> import numr as nr
        >>> nr.det(nr.asarray([[2.0, 0.0], [0.0, 4.0]])).item()
        8.0
    """
    return from_node(L.det(*_floating(x)))


def slogdet(x: Any, /) -> Any:
    """The sign (or phase) and the logarithm of the absolute value of the determinant.

    Returns:
        a named tuple (sign, logabsdet).

    Examples:
        >>> import numr as nr
        >>> nr.slogdet(nr.eye(2)).logabsdet.item()
        0.0
    """
    (a,) = _floating(x)
    return SlogdetResult(from_node(L.signdet(a)), from_node(L.logabsdet(a)))


def trace(x: Any, /, *, offset: int = 0) -> Array:
    """The sum of the diagonal of the last two axes.

    Examples:
        >>> import numr as nr
        >>> nr.trace(nr.eye(3)).item()
        3.0
    """
    from numr.functions.manipulation import diagonal
    from numr.functions.reductions import sum

    return sum(diagonal(x, offset=offset), axis=-1)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """A vector norm, see `numr.norm`.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.vector_norm(nr.asarray([3.0, 4.0])).item()
        5.0
    """
    from numr.functions.reductions import norm

    return norm(x, axis=axis, keepdims=keepdims, ord=ord)


def matrix_norm(x: Any, /, *, keepdims: bool = False) -> Array:
    """The Frobenius norm over the last two axes.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.matrix_norm(nr.ones((2, 2))).item()
        2.0
    """
    return vector_norm(x, axis=(-2, -1), keepdims=keepdims)


def matrix_power(x: Any, n: int, /) -> Array:
    """A square matrix multiplied n times by itself.

    Examples:
        >>> import numr as nr
        >>> nr.linalg.matrix_power(nr.asarray([[1, 1], [0, 1]]), 3).tolist()
        [[1, 3], [0, 1]]
    """
    if n < 0:
        return matrix_power(inv(x), -n)
    from numr.functions.creation import eye

    node = node_of(x)
    out = from_node(P.broadcast_to(cast(eye(node.shape[-1]).node, node.dtype), node.shape))
    base = from_node(node)
    while n:
        if n & 1:
            out = matmul(out, base)
        n >>= 1
        if n:
            base = matmul(base, base)
    return out


__all__ = [
    "cholesky", "det", "dot", "einsum", "inv", "matmul", "matrix_norm", "matrix_power", "outer", "slogdet", "solve",
    "solve_triangular", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip
