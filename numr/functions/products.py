"""Products of arrays that sum over shared axes: matmul, einsum and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from numr import messages
from numr.array import Array, from_node
from numr.errors import ShapeError
from numr.functions.declare import NUMBERS
from numr.functions.diagonals import diagonal
from numr.functions.manipulation import ravel
from numr.functions.operands import broadcast_shapes, normalized_axis, plain, promoted
from numr.ir.node import Node
from numr.primitives import shape as P
from numr.primitives.contraction import matmul as matmul_prim
from numr.primitives.elementwise import mul
from numr.primitives.linalg import conj
from numr.primitives.reduction import reduce_sum

# Each operand of a product with one letter for each of its axes.
Term = tuple[Node, str]


def matmul(x1: Any, x2: Any, /) -> Array:
    """The matrix product, out[.., i, j] = sum over k of x1[.., i, k] * x2[.., k, j].

    Args:
        x1: array of numbers, of shape (..., m, k); or a vector (k,), taken as a row.
        x2: array of numbers, of shape (..., k, n); or a vector (k,), taken as a column. Leading
            axes broadcast.

    Returns:
        Array of shape (..., m, n), without m or n where the operand was a vector, and of the
        promoted dtype.

    Raises:
        DTypeError: for booleans.
        ShapeError: if the inner lengths differ, the leading axes do not broadcast, or an operand
            has no axis.

    Examples:
        >>> import numr as nr
        >>> nr.matmul(nr.asarray([[1.0, 2.0], [3.0, 4.0]]), nr.asarray([1.0, 10.0]))
        numr.Array([21., 43.])
    """
    (a, b), _ = promoted("matmul", (x1, x2), NUMBERS)
    if a.rank == 0 or b.rank == 0:
        shapes = (plain(a.shape), plain(b.shape))
        hint = "both need an axis; * multiplies by a scalar"
        raise messages.shape_mismatch("matmul", ("x1", "x2"), shapes, hint=hint)
    rows = a.shape[-1]
    columns = b.shape[-2] if b.rank > 1 else b.shape[0]
    if rows != columns:
        shapes = (plain(a.shape), plain(b.shape))
        hint = (
            f"the last axis of x1 is {int(rows)} and the {'second to last' if b.rank > 1 else 'only'} "
            f"axis of x2 is {int(columns)}; they must be equal"
        )
        raise messages.shape_mismatch("matmul", ("x1", "x2"), shapes, hint=hint)
    if a.rank == b.rank == 1:
        return from_node(reduce_sum(mul(a, b), axes=(0,)))
    drop = set()
    if a.rank == 1:
        a = P.insert_axes(a, (0,))
        drop.add(-2)
    if b.rank == 1:
        b = P.insert_axes(b, (1,))
        drop.add(-1)
    out = _batched(a, b)
    kept = (n for i, n in enumerate(out.shape, -out.rank) if i not in drop)
    return from_node(P.reshape(out, tuple(kept)))


def _batched(a: Node, b: Node) -> Node:
    if b.rank == 2 and a.rank > 2:
        # One right operand: fold the leading axes into the rows of one large product.
        rows = 1
        for n in a.shape[:-1]:
            rows *= n
        out = matmul_prim(P.reshape(a, (rows, a.shape[-1])), b)
        return P.reshape(out, (*a.shape[:-1], b.shape[-1]))
    lead = broadcast_shapes(
        "matmul", [a.shape[:-2], b.shape[:-2]], ("x1[..., 0, 0]", "x2[..., 0, 0]")
    )
    a = P.broadcast_to(a, (*lead, *a.shape[-2:]))
    b = P.broadcast_to(b, (*lead, *b.shape[-2:]))
    return matmul_prim(a, b)


def dot(x1: Any, x2: Any, /) -> Array:
    """The matrix product, or the product with a scalar.

    For more than two axes it is `matmul`, not NumPy's product over all pairs of matrices, which is
    `tensordot(x1, x2, axes=((-1,), (-2,)))`.

    Args:
        x1: array of numbers, or a Python number.
        x2: array of numbers, or a Python number.

    Returns:
        Array of the promoted dtype.

    Raises:
        ShapeError: if the inner lengths differ.

    Examples:
        >>> import numr as nr
        >>> nr.dot(nr.asarray([1.0, 2.0]), nr.asarray([3.0, 4.0]))
        numr.Array(11.)
    """
    (a, b), _ = promoted("dot", (x1, x2), NUMBERS)
    if a.rank == 0 or b.rank == 0:
        return from_node(mul(a, b))
    return matmul(from_node(a), from_node(b))


def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """The sum of conj(x1) * x2 along an axis.

    Args:
        x1: array of numbers.
        x2: array of numbers; the other axes broadcast.
        axis: the axis of the vectors, which is equally long in both.

    Returns:
        Array of the broadcast shape without the axis, and of the promoted dtype.

    Raises:
        AxisError: for an axis that an operand does not have.
        ShapeError: if the lengths differ, or the shapes do not broadcast.

    Examples:
        >>> import numr as nr
        >>> nr.vecdot(nr.asarray([[1.0, 2.0], [3.0, 4.0]]), nr.asarray([1.0, 10.0]))
        numr.Array([21., 43.])
    """
    (a, b), _ = promoted("vecdot", (x1, x2), NUMBERS)
    places = [normalized_axis("vecdot", axis, x.rank) for x in (a, b)]
    if a.shape[places[0]] != b.shape[places[1]]:
        shapes = (plain(a.shape), plain(b.shape))
        hint = f"axis {axis} must be equally long in both"
        raise messages.shape_mismatch("vecdot", ("x1", "x2"), shapes, hint=hint)
    a, b = (P.move_axis(x, k, x.rank - 1) for x, k in zip((a, b), places, strict=True))
    shape = broadcast_shapes("vecdot", [a.shape, b.shape])
    product = mul(P.broadcast_to(conj(a), shape), P.broadcast_to(b, shape))
    return from_node(reduce_sum(product, axes=(len(shape) - 1,)))


def outer(x1: Any, x2: Any, /) -> Array:
    """All products of an element of one vector with one of another: out[i, j] = x1[i] * x2[j].

    Args:
        x1: vector (m,); more axes are flattened.
        x2: vector (n,); more axes are flattened.

    Returns:
        Matrix (m, n) of the promoted dtype.

    Examples:
        >>> import numr as nr
        >>> nr.outer(nr.asarray([1, 2]), nr.asarray([3, 4]))
        numr.Array([[3, 4],
               [6, 8]])
    """
    (a, b), _ = promoted("outer", (ravel(x1), ravel(x2)), NUMBERS)
    shape = (a.shape[0], b.shape[0])
    return from_node(
        mul(P.BROADCAST(a, shape=shape, axes=(0,)), P.BROADCAST(b, shape=shape, axes=(1,)))
    )


def tensordot(x1: Any, x2: Any, /, axes: int | tuple[Any, Any] = 2) -> Array:
    """The sum of products over pairs of axes.

    Args:
        x1: array of numbers.
        x2: array of numbers.
        axes: how many of x1's last axes are paired with as many of x2's first, in order; or a pair
            of sequences, x1's axes and x2's.

    Returns:
        Array of x1's other axes followed by x2's, of the promoted dtype.

    Raises:
        AxisError: for an axis that an operand does not have.
        ShapeError: if paired axes differ in length.

    Examples:
        >>> import numr as nr
        >>> nr.tensordot(nr.ones((2, 3)), nr.ones((3, 4)), axes=1).shape
        (2, 4)
    """
    (a, b), _ = promoted("tensordot", (x1, x2), NUMBERS)
    if isinstance(axes, int):
        left, right = list(range(-axes, 0)), list(range(axes))
    else:
        left, right = ([k] if isinstance(k, int) else list(k) for k in axes)
    left = [normalized_axis("tensordot", k, a.rank) for k in left]
    right = [normalized_axis("tensordot", k, b.rank) for k in right]
    if [int(a.shape[i]) for i in left] != [int(b.shape[j]) for j in right]:
        shapes = (plain(a.shape), plain(b.shape))
        hint = f"the axes that axes={axes} pairs must be equally long"
        raise messages.shape_mismatch("tensordot", ("x1", "x2"), shapes, hint=hint)
    letters = iter("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    first = [next(letters) for _ in range(a.rank)]
    second = [first[left[right.index(j)]] if j in right else next(letters) for j in range(b.rank)]
    kept = [c for i, c in enumerate(first) if i not in left]
    kept += [c for j, c in enumerate(second) if j not in right]
    return from_node(_pair((a, "".join(first)), (b, "".join(second)), "".join(kept)))


def einsum(subscripts: str, /, *operands: Any) -> Array:
    """Sums of products by Einstein's convention.

    Each operand has a letter for each axis. Axes with one letter run together, and letters that the
    result lacks are summed over: "ij,jk->ik" is the matrix product, "ii" a trace, "...ij->...ji" a
    transpose. Without "->", the result has the letters that occur once, in alphabetical order.
    Products are taken two at a time, in the order that NumPy's path optimiser finds cheapest.

    Args:
        subscripts: the letters of the operands, and of the result.
        *operands: arrays of numbers. Axes under one letter, and those under "...", broadcast.

    Returns:
        Array of the promoted dtype.

    Raises:
        DTypeError: for booleans.
        ShapeError: for subscripts that do not fit the operands.

    Examples:
        >>> import numr as nr
        >>> nr.einsum("ij,j->i", nr.asarray([[1.0, 2.0], [3.0, 4.0]]), nr.asarray([1.0, 10.0]))
        numr.Array([21., 43.])
    """
    nodes, _ = promoted("einsum", operands, NUMBERS)
    names, result = _parsed(subscripts, nodes)
    terms = [_diagonalised(n, t) for n, t in zip(nodes, names, strict=True)]
    lengths: dict[str, int] = {}
    for node, letters in terms:
        for letter, n in zip(letters, node.shape, strict=True):
            known = lengths.setdefault(letter, n)
            if n != known and 1 not in (n, known):
                raise ShapeError(
                    f"einsum: in {subscripts!r}, index {letter} has lengths {int(known)} and {int(n)}"
                )
            lengths[letter] = n if known == 1 else known
    for step in _path(terms, result):
        chosen = [terms[i] for i in sorted(step)]
        terms = [term for i, term in enumerate(terms) if i not in step]
        while len(chosen) > 1:
            a, b, *chosen = chosen
            others = "".join(t for _, t in terms + chosen) + result
            out = "".join(dict.fromkeys(c for c in a[1] + b[1] if c in others))
            chosen.insert(0, (_pair(a, b, out), out))
        terms.append(chosen[0])
    node, letters = _summed(terms[0], result)
    return from_node(P.permute(node, [letters.index(c) for c in result]))


def _path(terms: Sequence[Term], result: str) -> list[tuple[int, ...]]:
    """Which operands to multiply at each step; the product goes to the end."""
    if len(terms) <= 2:
        return [tuple(range(len(terms)))]
    # The optimiser looks at shapes only.
    shapes = [np.broadcast_to(np.empty((), np.int8), plain(n.shape)) for n, _ in terms]
    subscripts = ",".join(t for _, t in terms) + "->" + result
    path: list[tuple[int, ...]] = np.einsum_path(subscripts, *shapes, optimize="greedy")[0][1:]
    return path


def _parsed(subscripts: str, nodes: list[Node]) -> tuple[list[str], str]:
    """One letter for each axis of each operand, those under `...` included, and the result's."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(nodes):
        raise ShapeError(
            f"einsum: {subscripts!r} names {len(terms)} operands, and {len(nodes)} were given"
        )
    spare = [c for c in "ZYXWVUTSRQPONMLKJIHGFEDCBAzyxwvutsrqponmlkjihgfedcba" if c not in text]
    widths = []
    for term, node in zip(terms, nodes, strict=True):
        named = term.replace("...", "", 1)
        width = node.rank - len(named)
        if width < 0 or (width and "..." not in term) or not (named == "" or named.isalpha()):
            raise ShapeError(
                f"einsum: {term!r} in {subscripts!r} does not fit an operand of shape "
                f"{plain(node.shape)}"
            )
        widths.append(width)
    dots = "".join(spare[: max(widths, default=0)])
    filled = [t.replace("...", dots[len(dots) - w :]) for t, w in zip(terms, widths, strict=True)]
    if arrow:
        result = right.replace("...", dots, 1)
    else:
        joined = "".join(filled)
        result = dots + "".join(sorted(c for c in joined if joined.count(c) == 1 and c not in dots))
    for c in result:
        if result.count(c) > 1 or not any(c in t for t in filled):
            raise ShapeError(
                f"einsum: index {c} of the result of {subscripts!r} must occur once in the result, "
                "and in an operand"
            )
    return filled, result


def _diagonalised(node: Node, letters: str) -> Term:
    """Repeated indices of one operand become its diagonal."""
    for c in dict.fromkeys(letters):
        while letters.count(c) > 1:
            i = letters.index(c)
            j = letters.index(c, i + 1)
            if node.shape[i] != node.shape[j]:
                raise ShapeError(
                    f"einsum: index {c} stands for axes of lengths {int(node.shape[i])} and "
                    f"{int(node.shape[j])} of one operand"
                )
            node = diagonal(from_node(node), axis1=i, axis2=j).node
            letters = "".join(t for k, t in enumerate(letters) if k not in (i, j)) + c
    return node, letters


def _summed(term: Term, others: str) -> Term:
    """Sum over the axes that nothing else has."""
    node, letters = term
    gone = tuple(i for i, c in enumerate(letters) if c not in others)
    kept = "".join(c for c in letters if c in others)
    return reduce_sum(node, axes=gone), kept


def _pair(first: Term, second: Term, out: str) -> Node:
    """The product of two operands, summed over what `out` lacks."""
    a, ta = _summed(first, second[1] + out)
    b, tb = _summed(second, ta + out)
    batch = [c for c in ta if c in tb and c in out]
    inner = [c for c in ta if c in tb and c not in out]
    rows = [c for c in ta if c not in tb]
    columns = [c for c in tb if c not in ta]
    lengths: dict[str, int] = {}
    for node, letters in ((a, ta), (b, tb)):
        for c, n in zip(letters, node.shape, strict=True):
            lengths[c] = broadcast_shapes("einsum", [(lengths.get(c, 1),), (n,)])[0]
    if (inner and rows and columns) or (inner and not batch and (rows or columns)):
        product = _by_matmul(a, ta, b, tb, (batch, rows, columns, inner), lengths)
        order = [*batch, *rows, *columns]
    else:
        # Nothing that a matrix product would save: multiply and sum in one kernel.
        order = [*batch, *rows, *columns, *inner]
        shape = tuple(lengths[c] for c in order)
        product = mul(_spread(a, ta, order, shape), _spread(b, tb, order, shape))
        product, letters = _summed((product, "".join(order)), out)
        order = list(letters)
    return P.permute(product, [order.index(c) for c in out])


def _spread(x: Node, letters: str, order: list[str], shape: tuple[int, ...]) -> Node:
    """x with its axes at the places that `order` gives their letters."""
    if list(letters) == order and x.shape == shape:
        return x
    ordered = sorted(range(x.rank), key=lambda i: order.index(letters[i]))
    x = P.permute(x, ordered)
    return P.BROADCAST(x, shape=shape, axes=tuple(order.index(letters[i]) for i in ordered))


def _by_matmul(
    a: Node,
    ta: str,
    b: Node,
    tb: str,
    groups: tuple[list[str], list[str], list[str], list[str]],
    lengths: dict[str, int],
) -> Node:
    """One matrix product: each group of axes becomes one axis, batch axes stay."""
    batch, rows, columns, inner = groups

    def folded(x: Node, letters: str, *folds: list[str]) -> Node:
        names = [c for fold in (batch, *folds) for c in fold]
        x = P.permute(x, [letters.index(c) for c in names])
        x = P.broadcast_to(x, tuple(lengths[c] for c in names))
        shape = [lengths[c] for c in batch]
        for fold in folds:
            n = lengths[fold[0]] if fold else 1
            for c in fold[1:]:
                n *= lengths[c]
            shape.append(n)
        return P.reshape(x, tuple(shape))

    out = matmul_prim(folded(a, ta, rows, inner), folded(b, tb, inner, columns))
    return P.reshape(out, tuple(lengths[c] for c in [*batch, *rows, *columns]))


__all__ = ["dot", "einsum", "matmul", "outer", "tensordot", "vecdot"]
