"""Library calls on the CPU: BLAS through NumPy, LAPACK through SciPy, sorting and scans through NumPy.

Every function takes arrays (any strides) and the primitive's parameters and returns a new contiguous
array. None raises or warns on bad numbers: what cannot be factored or solved is NaN, as the
primitives say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from numr.primitives import decompositions

Array = Any


def matmul(x: Array, y: Array) -> Array:
    # Left to itself NumPy lays the result out as the operands are, and steps index it as C.
    return np.matmul(x, y, order="C")


def sort(x: Array, *, axis: int) -> Array:
    return np.ascontiguousarray(np.sort(x, axis=axis, kind="stable"))


def argsort(x: Array, *, axis: int) -> Array:
    return np.ascontiguousarray(np.argsort(x, axis=axis, kind="stable"))


def _directed(function: Any, x: Array, axis: int, reverse: bool) -> Array:
    turned = np.flip(x, axis) if reverse else x
    out = function(turned, axis=axis, dtype=x.dtype)
    return np.ascontiguousarray(np.flip(out, axis) if reverse else out)


def cumsum(x: Array, *, axis: int, reverse: bool) -> Array:
    return _directed(np.cumsum, x, axis, reverse)


def cumprod(x: Array, *, axis: int, reverse: bool) -> Array:
    return _directed(np.cumprod, x, axis, reverse)


def cummax(x: Array, *, axis: int, reverse: bool) -> Array:
    return _directed(np.maximum.accumulate, x, axis, reverse)


def cummin(x: Array, *, axis: int, reverse: bool) -> Array:
    return _directed(np.minimum.accumulate, x, axis, reverse)


# Narrow lines are cut into pieces of this length, which are gone through side by side.
_PIECE = 64


def _recurrence(a: Array, b: Array, state: Any) -> Array:
    """out[k] = a[k] * out[k - 1] + b[k] along the first axis, from a state."""
    out = np.empty(b.shape, b.dtype)
    n, pieces = len(b), len(b) // _PIECE
    done = 0
    if pieces > 4 and b[0].size < _PIECE:
        done = pieces * _PIECE
        columns = [v[:done].reshape(pieces, _PIECE, *v.shape[1:]) for v in (a, b)]
        columns = [np.ascontiguousarray(np.swapaxes(v, 0, 1)) for v in columns]
        product, total = (v[0] for v in columns)
        for factor, term in zip(columns[0][1:], columns[1][1:], strict=True):
            product, total = factor * product, factor * total + term
        ends = _recurrence(product, total, state)
        now: Any = np.concatenate([np.broadcast_to(state, ends[:1].shape), ends[:-1]])
        inside = out[:done].reshape(pieces, _PIECE, *b.shape[1:])
        for k, (factor, term) in enumerate(zip(*columns, strict=True)):
            now = factor * now + term
            inside[:, k] = now
        state = ends[-1]
    for k in range(done, n):
        state = a[k] * state + b[k]
        out[k] = state
    return out


def linear_recurrence(a: Array, b: Array, *, axis: int, reverse: bool) -> Array:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    if reverse:
        a, b = a[::-1], b[::-1]
    out = _recurrence(a, b, np.zeros(b.shape[1:], b.dtype))
    return np.ascontiguousarray(np.moveaxis(out[::-1] if reverse else out, 0, axis))


def _lapack(names: tuple[str, ...], dtype: Any) -> Any:
    """LAPACK routines of a dtype; SciPy is imported only here, on first use."""
    from scipy.linalg import get_lapack_funcs

    return get_lapack_funcs(names, dtype=dtype)


def _each(
    function: Callable[..., Any], shape: tuple[int, ...], dtype: Any, *stacks: Array
) -> Array:
    """A function of single matrices over leading batch axes."""
    lead = stacks[0].shape[:-2]
    out = np.empty((*lead, *shape), dtype)
    for b in np.ndindex(lead):
        out[b] = function(*(s[b] for s in stacks))
    return out


def cholesky(a: Array) -> Array:
    (potrf,) = _lapack(("potrf",), a.dtype)

    def factor(m: Array) -> Array:
        if m.size == 0:
            return m
        lower, info = potrf((m + m.conj().T) / 2, lower=True, clean=True)
        return lower if info == 0 else np.tril(np.full_like(m, np.nan))

    return _each(factor, a.shape[-2:], a.dtype, a)


def triangular_solve(a: Array, b: Array, *, lower: bool, adjoint: bool, unit: bool) -> Array:
    (trtrs,) = _lapack(("trtrs",), a.dtype)

    def solve_one(m: Array, rhs: Array) -> Array:
        if rhs.size == 0:
            return rhs
        x, info = trtrs(m, rhs, lower=lower, trans=2 if adjoint else 0, unitdiag=unit)
        return x if info == 0 else np.full_like(rhs, np.nan)

    return _each(solve_one, b.shape[-2:], b.dtype, a, b)


def solve(a: Array, b: Array, *, transposed: bool) -> Array:
    getrf, getrs = _lapack(("getrf", "getrs"), a.dtype)

    def solve_one(m: Array, rhs: Array) -> Array:
        if rhs.size == 0:
            return rhs
        lu, pivots, info = getrf(m)
        if info != 0:
            return np.full_like(rhs, np.nan)
        return getrs(lu, pivots, rhs, trans=1 if transposed else 0)[0]

    return _each(solve_one, b.shape[-2:], b.dtype, a, b)


def inv(a: Array) -> Array:
    getrf, getri = _lapack(("getrf", "getri"), a.dtype)

    def invert(m: Array) -> Array:
        if m.size == 0:
            return m
        lu, pivots, info = getrf(m)
        return getri(lu, pivots)[0] if info == 0 else np.full_like(m, np.nan)

    return _each(invert, a.shape[-2:], a.dtype, a)


def _log_determinant(m: Array) -> tuple[Any, Any]:
    """(sign or phase, log of the absolute value) from one LU factorisation."""
    if m.size == 0:
        return 1.0, 0.0
    (getrf,) = _lapack(("getrf",), m.dtype)
    lu, pivots, _ = getrf(m)
    diagonal = np.diagonal(lu)
    swaps = np.count_nonzero(pivots != np.arange(len(pivots)))
    size = np.abs(diagonal)
    phases = np.where(size > 0, diagonal / size, 0) if np.iscomplexobj(m) else np.sign(diagonal)
    return (-1.0) ** swaps * np.prod(phases), np.sum(np.log(size))


def det(a: Array) -> Array:
    def one(m: Array) -> Any:
        if m.size == 0:
            return 1.0
        (getrf,) = _lapack(("getrf",), m.dtype)
        lu, pivots, _ = getrf(m)
        swaps = np.count_nonzero(pivots != np.arange(len(pivots)))
        return (-1.0) ** swaps * np.prod(np.diagonal(lu))

    return _each(one, (), a.dtype, a)


def logabsdet(a: Array) -> Array:
    return _each(lambda m: _log_determinant(m)[1], (), a.real.dtype, a)


def signdet(a: Array) -> Array:
    return _each(lambda m: _log_determinant(m)[0], (), a.dtype, a)


# NumPy would warn of an infinity met; kernels do not, and programs are made of both.
LIBRARY: dict[str, Callable[..., Any]] = {
    f.__name__: np.errstate(all="ignore")(f)
    for f in (
        matmul, sort, argsort, cumsum, cumprod, cummax, cummin, linear_recurrence, cholesky, triangular_solve,
        solve, inv, det, logabsdet, signdet,
    )
}  # fmt: skip
# These mean what NumPy computes, which goes through stacks of matrices by itself.
LIBRARY |= {p.name: np.errstate(all="ignore")(p.reference) for p in decompositions.CALLS}
