"""What the Rust crate numr never differentiates, in numr: operations that have no `var_*` and no `dual_*`.

A row is one line: the crate's names, numr's spelling as a function of the arguments it is differentiated by,
these arguments, and the same function in 60-digit numbers; without one, differences of eighth order are the
reference. `FLAT` are those whose derivative is zero wherever there is one. `ABSENT` says what numr has no
operation for, by the crate's name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np

import numr as nr
from tests.autodiff.crate_parity import (
    A,
    B,
    C,
    S,
    T,
    X,
    Y,
    each,
    exp,
    gelu,
    log,
    matrices,
    softmax,
    spread,
    sqrt,
)

m = mpmath
INSIDE = np.array([0.4, -0.7, 0.2])
OVER = np.array([1.3, 2.1, 4.5])
L = np.tril(S) + np.eye(3)
ROWS = np.array([1, 0, 1])
MASK = np.array([[True, False, True], [False, True, True]])
RE, IM = np.array([0.7, -0.4]), np.array([1.1, 0.6])
P = np.array([[0.3, 1.2], [-0.7, 0.4], [0.9, -0.5]])
Q = np.array([[1.5, -0.2], [0.1, 0.8]])


class Row(NamedTuple):
    """One operation of the crate; see the module."""

    names: str
    f: Callable[..., Any]
    args: Sequence[Any]
    exact: Callable[..., Any] | None = None


def pair(z: Any) -> Any:
    """A complex array as its two parts."""
    return nr.stack([nr.real(z), nr.imag(z)])


def pick(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of complex numbers on real and imaginary parts."""
    return lambda *parts: pair(
        f(*(a + 1j * b for a, b in zip(parts[::2], parts[1::2], strict=True)))
    )


def moment(x: Any, k: int) -> Any:
    d = x - nr.mean(x)
    return nr.mean(d**k) / nr.mean(d**2) ** (k / 2)


def moment_of(x: Any, k: int, less: int = 0) -> Any:
    d = x - x.mean()
    return np.array((d**k).mean() / (d**2).mean() ** m.mpf(k / 2) - less, object)


def semiring(x: Any, y: Any) -> Any:
    return nr.max(x[:, :, None] + y[None], axis=1)


def sums_by_row(x: Any, y: Any) -> Any:
    out = x.copy()
    np.add.at(out, ROWS, y)
    return out


def distances(metric: str, **options: Any) -> Callable[..., Any]:
    return lambda x, y: nr.cdist(x, y, metric, **options)


def each_pair(f: Callable[..., Any]) -> Callable[..., Any]:
    """The distances of all pairs, in 60 digits."""
    return lambda x, y: np.array([[f(a, b) for b in y] for a in x], object)


def root(x: Any) -> Any:
    return m.sqrt(x)


def cosine(a: Any, b: Any) -> Any:
    return 1 - (a @ b) / root((a @ a) * (b @ b))


# fmt: off
TABLE = (
    # elementwise
    Row("rsqrt", lambda x: 1 / nr.sqrt(x), [X], lambda x: 1 / sqrt(x)),
    Row("cbrt", nr.cbrt, [X], each(m.cbrt)),
    Row("exp2", nr.exp2, [Y], each(lambda x: 2**x)),
    Row("expm1", nr.expm1, [Y], each(m.expm1)),
    Row("log2", nr.log2, [X], each(lambda x: m.log(x) / m.log(2))),
    Row("log10", nr.log10, [X], each(m.log10)),
    Row("log1p", nr.log1p, [INSIDE], each(m.log1p)),
    Row("asin", nr.asin, [INSIDE / 2], each(m.asin)),
    Row("acos", nr.acos, [INSIDE / 2], each(m.acos)),
    Row("atan", nr.atan, [Y], each(m.atan)),
    Row("sinh", nr.sinh, [Y], each(m.sinh)),
    Row("cosh", nr.cosh, [Y], each(m.cosh)),
    Row("asinh", nr.asinh, [Y], each(m.asinh)),
    Row("acosh", nr.acosh, [OVER], each(m.acosh)),
    Row("atanh", nr.atanh, [INSIDE / 2], each(m.atanh)),
    Row("maximum", nr.maximum, [A, Y], np.maximum),
    Row("minimum", nr.minimum, [A, Y], np.minimum),
    Row("atan2", nr.atan2, [X, Y], np.frompyfunc(m.atan2, 2, 1)),
    Row("fused_mul_add", lambda a, b, c: a * b + c, [X, Y, A], lambda a, b, c: a * b + c),
    Row("fused_add_mul", lambda a, b, c: (a + b) * c, [X, Y, A], lambda a, b, c: (a + b) * c),
    Row("add_into", lambda out, a, b: out.at[:].set(a + b), [A, A, Y], lambda out, a, b: a + b + 0 * out),
    Row("rsub_scalar", lambda x: 2.5 - x, [Y], lambda x: m.mpf("2.5") - x),
    Row("fused_mul_add_scalar", lambda x: x * 1.5 + 0.25, [Y], lambda x: x * m.mpf("1.5") + m.mpf("0.25")),
    Row("where_cond", lambda x, y: nr.where(y > 0, x**2, y**3), [X, Y], lambda x, y: np.where(y > 0, x**2, y**3)),
    # activations and products
    Row("gelu", nr.gelu, [Y], gelu),
    Row("gelu", lambda x: nr.gelu(x, approximate=True), [Y],
        each(lambda x: x * (1 + m.tanh(m.sqrt(2 / m.pi) * (x + m.mpf("0.044715") * x**3))) / 2)),
    Row("leaky_relu", lambda x: nr.leaky_relu(x, negative_slope=0.25), [Y], each(lambda x: x if x > 0 else x / 4)),
    Row("elu", lambda x: nr.where(x > 0, x, 0.5 * nr.expm1(x)), [Y], each(lambda x: x if x > 0 else m.expm1(x) / 2)),
    Row("softmax_with_bias", lambda x, b: nr.softmax(x + b), [A, Y], lambda x, b: softmax(x + b)),
    Row("matmul_bias", lambda a, b, c: a @ b + c, [A, B, C], lambda a, b, c: a @ b + c),
    Row("matmul_bias_residual", lambda a, b, c, r: a @ b + c + r, [A, B, C, Q], lambda a, b, c, r: a @ b + c + r),
    Row("semiring_matmul", semiring, [A, B], lambda x, y: (x[:, :, None] + y[None]).max(1)),
    # reductions and statistics
    Row("prod", lambda x: nr.prod(x, axis=1), [A], lambda x: x.prod(1)),
    Row("prod", nr.prod, [np.array([0.7, 0.0, 1.2])], lambda x: np.array(x.prod(), object)),
    Row("logsumexp", lambda x: nr.logsumexp(x, axis=1), [A], lambda x: log(exp(x).sum(1))),
    Row("sum_with_precision", lambda x: nr.sum(x, axis=0, dtype="float64"), [A], lambda x: x.sum(0)),
    Row("quantile", lambda x: nr.quantile(x, 0.25, axis=1), [A],
        lambda x: (np.sort(x, 1)[:, 0] + np.sort(x, 1)[:, 1]) / 2),
    Row("percentile", lambda x: nr.quantile(x, 0.75), [X], lambda x: np.array((x[1] + x[2]) / 2, object)),
    Row("median", lambda x: nr.median(x, axis=1), [A], lambda x: np.sort(x, 1)[:, 1]),
    Row("histogram", lambda w: nr.histogram(Y, 3, weights=w)[0], [X], lambda w: w[[1, 2, 0]]),
    Row("cov", nr.cov, [A], lambda x: (x - x.mean(1, keepdims=True)) @ (x - x.mean(1, keepdims=True)).T / 2),
    Row("corrcoef", lambda x: nr.corrcoef(x)[0], [A],
        lambda x: ((x - x.mean(1, keepdims=True)) @ (x[0] - x[0].mean())) / 2 / sqrt(spread(x) * spread(x)[0])),
    Row("skew", lambda x: moment(x, 3), [Y], lambda x: moment_of(x, 3)),
    Row("kurtosis", lambda x: moment(x, 4) - 3, [np.append(Y, 1.9)], lambda x: moment_of(x, 4, 3)),
    # shapes
    Row("stack", lambda x, y: nr.stack([x, y], axis=1), [X, Y], lambda x, y: np.stack([x, y], 1)),
    Row("split chunk", lambda x: nr.split(x, 3, axis=1)[1], [A], lambda x: x[:, 1:2]),
    Row("repeat", lambda x: nr.tile(x, (2, 1)), [A], lambda x: np.tile(x, (2, 1))),
    Row("pad", lambda x: nr.pad(x, ((0, 1), (2, 0)), constant_values=0.5), [A],
        lambda x: np.pad(x, ((0, 1), (2, 0)), constant_values=m.mpf("0.5"))),
    Row("roll", lambda x: nr.roll(x, 1, axis=1), [A], lambda x: np.roll(x, 1, 1)),
    Row("unfold", lambda x: nr.unfold(x, 1, 2, 1), [A], lambda x: np.stack([x[:, :2], x[:, 1:]], 1)),
    Row("repeat_interleave", lambda x: nr.repeat(x, 2, axis=1), [A], lambda x: np.repeat(x, 2, 1)),
    Row("flip", lambda x: nr.flip(x, axis=1), [A], lambda x: x[:, ::-1]),
    Row("meshgrid", lambda x, y: nr.stack(nr.meshgrid(x, y)), [X, Y[:2]], lambda x, y: np.stack(np.meshgrid(x, y))),
    Row("squeeze unsqueeze", lambda x: nr.squeeze(nr.expand_dims(x, axis=1), axis=1), [A], lambda x: x),
    # indices
    Row("scatter", lambda x, y: x.at[:, nr.asarray([2, 0])].set(y), [A, Q],
        lambda x, y: np.stack([y[:, 1], x[:, 1], y[:, 0]], 1)),
    Row("scatter_reduce", lambda x, y: x.at[ROWS].add(y), [A, S], sums_by_row),
    Row("scatter_reduce", lambda x, y: x.at[ROWS].mul(y), [A, S], lambda x, y: x * np.stack([y[1], y[0] * y[2]])),
    Row("scatter_reduce", lambda x, y: x.at[ROWS].max(y), [A, S + 0.05],
        lambda x, y: np.maximum(x, np.stack([y[1], np.maximum(y[0], y[2])]))),
    Row("scatter_reduce", lambda x, y: x.at[ROWS].min(y), [A, S + 0.05],
        lambda x, y: np.minimum(x, np.stack([y[1], np.minimum(y[0], y[2])]))),
    Row("index_select", lambda x: nr.take(x, ROWS, axis=0), [A], lambda x: x[ROWS]),
    Row("index_put", lambda x, y: x.at[ROWS[:2]].set(y), [A, A[::-1] ** 2], lambda x, y: y[[1, 0]]+ 0 * x),
    Row("take", lambda x: nr.take(x.ravel(), nr.asarray([4, 0, 4])), [A], lambda x: x.ravel()[[4, 0, 4]]),
    Row("put", lambda x, y: x.ravel().at[nr.asarray([5, 1, 0])].set(y), [A, Y],
        lambda x, y: np.concatenate([y[[2, 1]], x.ravel()[2:5], y[:1]])),
    Row("masked_select", lambda x: x[MASK], [A], lambda x: x[MASK]),
    Row("masked_fill", lambda x: nr.where(MASK, 0.5, x), [A], lambda x: np.where(MASK, m.mpf("0.5"), x)),
    Row("gather_nd gather_2d", lambda x: x[ROWS, [2, 0, 2]], [A], lambda x: x[ROWS, [2, 0, 2]]),
    Row("slice_assign", lambda x, y: x.at[:, 1:].set(y), [A, Q], lambda x, y: np.concatenate([x[:, :1], y], 1)),
    Row("bincount", lambda w: nr.bincount(ROWS, w, length=3), [Y], lambda w: np.array([w[1], w[0] + w[2], 0 * w[0]])),
    Row("sort sort_with_indices", lambda x: nr.sort(x, axis=1), [A], lambda x: np.sort(x, 1)),
    Row("topk", lambda x: nr.topk(x, 2).values, [A], lambda x: np.sort(x, 1)[:, :0:-1]),
    Row("unique", lambda x: nr.unique(x, size=4), [X[[1, 0, 2]]], lambda x: np.append(np.sort(x), x.min())),
    # convolutions, einsum, complex numbers, distances
    Row("depthwise_conv2d", lambda x, w: nr.depthwise_conv2d(x, w, padding=1, stride=2),
        [T[None], np.cos(np.arange(8.0)).reshape(2, 1, 2, 2)]),
    Row("conv_transpose1d", lambda x, w: nr.conv_transpose1d(x, w, stride=2, padding=1, dilation=2),
        [T[:, :2], S[:2, :2, None] + np.array([0.1, -0.2])]),
    Row("einsum", lambda x, y: nr.einsum("ij,jk,ik->i", x, y, x[:, :2]), [A, B],
        lambda x, y: ((x @ y) * x[:, :2]).sum(1)),
    Row("conj", pick(nr.conj), [RE, IM], lambda a, b: np.stack([a, -b])),
    Row("real imag make_complex", lambda a, b: nr.real(a + 1j * b) * nr.imag(b + 1j * a), [RE, IM], lambda a, b: a * a),
    Row("angle", lambda a, b: nr.angle(a + 1j * b), [RE, IM], lambda a, b: np.frompyfunc(m.atan2, 2, 1)(b, a)),
    Row("complex_mul_real real_mul_complex", lambda a, b, x: pair((a + 1j * b) * x), [RE, IM, RE + 1],
        lambda a, b, x: np.stack([a * x, b * x])),
    Row("complex_div_real", lambda a, b, x: pair((a + 1j * b) / x), [RE, IM, RE + 1],
        lambda a, b, x: np.stack([a / x, b / x])),
    Row("cdist", distances("euclidean"), [P, Q], each_pair(lambda a, b: root(((a - b) ** 2).sum()))),
    Row("cdist", distances("sqeuclidean"), [P, Q], each_pair(lambda a, b: ((a - b) ** 2).sum())),
    Row("cdist", distances("cityblock"), [P, Q], each_pair(lambda a, b: abs(a - b).sum())),
    Row("cdist", distances("chebyshev"), [P, Q], each_pair(lambda a, b: abs(a - b).max())),
    Row("cdist", distances("minkowski", p=3), [P, Q], each_pair(lambda a, b: m.cbrt((abs(a - b) ** 3).sum()))),
    Row("cdist", distances("cosine"), [P, Q], each_pair(cosine)),
    Row("cdist", distances("correlation"), [S, A], each_pair(lambda a, b: cosine(a - a.mean(), b - b.mean()))),
    Row("pdist", lambda x: nr.cdist(x, x)[np.triu_indices(3, 1)], [P],
        lambda x: np.array([root(((x[i] - x[j]) ** 2).sum()) for i, j in ((0, 1), (0, 2), (1, 2))], object)),
    Row("squareform squareform_inverse", lambda v: nr.zeros((3, 3)).at[np.triu_indices(3, 1)].set(v), [Y],
        lambda v: np.array([[0, v[0], v[1]], [0, 0, v[2]], [0, 0, 0]]) + 0 * v[0]),
    # special functions and polynomials
    Row("erf", nr.erf, [Y], each(m.erf)),
    Row("erfc", nr.erfc, [Y], each(m.erfc)),
    Row("lgamma", nr.lgamma, [X], each(m.loggamma)),
    Row("digamma", nr.digamma, [X], each(m.digamma)),
    Row("gamma", lambda x: nr.exp(nr.lgamma(x)), [X], each(m.gamma)),
    Row("beta", lambda a, b: nr.exp(nr.lgamma(a) + nr.lgamma(b) - nr.lgamma(a + b)), [X, X[::-1]],
        np.frompyfunc(m.beta, 2, 1)),
    Row("polyval", nr.polyval, [Y, X], lambda p, x: (p[0] * x + p[1]) * x + p[2]),
    Row("randn", lambda mean, scale: mean + scale * nr.random.normal(nr.random.key(3), (3,)), [X, Y]),
    # linear algebra
    Row("matrix_norm", nr.linalg.matrix_norm, [A], lambda x: np.array(root((x * x).sum()), object)),
    Row("diag diagflat", nr.diag, [Y], lambda x: np.diag(x)),
    Row("triu", lambda x: nr.triu(x, k=1), [S], lambda x: np.where(np.triu(np.ones((3, 3)), 1) > 0, x, 0 * x)),
    Row("tril", nr.tril, [S], lambda x: np.where(np.tril(np.ones((3, 3))) > 0, x, 0 * x)),
    Row("kron", nr.kron, [Q, C], lambda a, b: np.kron(a, b)),
    Row("khatri_rao", lambda a, b: nr.einsum("ik,jk->ijk", a, b).reshape(-1, 2), [Q, B],
        lambda a, b: (a[:, None] * b[None]).reshape(-1, 2)),
    Row("slogdet", lambda x: nr.linalg.slogdet(x).logabsdet, [S],
        lambda x: np.array(m.log(abs(m.det(m.matrix(x.tolist())))), object)),
    Row("solve_triangular_lower", nr.linalg.solve_triangular, [L, B],
        lambda a, b: matrices(lambda a, b: m.inverse(a) * b)(np.tril(np.ones((3, 3))).astype(int) * a, b)),
    Row("solve_triangular_upper", lambda a, b: nr.linalg.solve_triangular(a, b, lower=False), [L.T, B],
        lambda a, b: matrices(lambda a, b: m.inverse(a) * b)(np.triu(np.ones((3, 3))).astype(int) * a, b)),
    Row("expm", nr.linalg.expm, [S / 4], matrices(m.expm)),
)

FLAT = (
    Row("sign", nr.sign, [Y]),
    Row("floor", nr.floor, [Y]),
    Row("ceil", nr.ceil, [Y]),
    Row("round", nr.round, [Y - 0.3]),
    Row("trunc", nr.trunc, [Y]),
    Row("isnan isinf", lambda x: nr.isnan(x) | nr.isinf(x) | nr.isfinite(x), [Y]),
    Row("eq ne lt le gt ge", lambda x, y: (x < y) ^ (x <= y) ^ (x > y) ^ (x >= y) ^ (x == y) ^ (x != y), [X, Y]),
    Row("logical_and logical_or logical_xor logical_not",
        lambda x, y: nr.logical_or(nr.logical_and(x, y), nr.logical_xor(x, nr.logical_not(y))), [X, Y]),
    Row("any all", lambda x: nr.any(x > 0) & nr.all(x < 9), [Y]),
    Row("cdist", distances("hamming"), [P, Q]),
    Row("cdist", distances("jaccard"), [P, Q]),
)
# fmt: on

# What numr has no operation for yet, each with all its kinds.
ABSENT = (
    "fp8_matmul mode solve_banded lu eig schur rsf2csf qz polar condition_number fft erfinv betainc gammainc gammaincc "
    "gammaincinv betaincinv bessel elliptic hypergeometric airy legendre fresnel polyroots polyfromroots "
    "polymul logm sqrtm signm fractional_matrix_power funm tensor_decompositions sparse_matrices iterative_solvers"
)
# Decompositions and least squares have their own tests, in tests/derivatives.
