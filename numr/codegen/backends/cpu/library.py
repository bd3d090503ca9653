"""Library calls on the CPU: BLAS through NumPy, LAPACK through SciPy, sorting and scans through NumPy.

Every function takes arrays (any strides) and the primitive's parameters and returns a new contiguous
array. None raises on bad numbers: what cannot be factored or solved is NaN, as the primitives say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

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


def linear_recurrence(a: Array, b: Array, *, axis: int, reverse: bool) -> Array:
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    out = np.empty(b.shape, b.dtype)
    state: Any = np.zeros(b.shape[1:], b.dtype)
    with np.errstate(all="ignore"):
        for k in range(len(b) - 1, -1, -1) if reverse else range(len(b)):
            state = a[k] * state + b[k]
            out[k] = state
    return np.ascontiguousarray(np.moveaxis(out, 0, axis))


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
    with np.errstate(all="ignore"):
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


LIBRARY: dict[str, Callable[..., Any]] = {
    f.__name__: f
    for f in (
        matmul, sort, argsort, cumsum, cumprod, linear_recurrence, cholesky, triangular_solve, solve, inv, det,
        logabsdet, signdet,
    )
}  # fmt: skip
