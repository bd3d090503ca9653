"""The table of parity with the Rust crate numr: every differentiable function of its `autograd`, in numr.

A row is one line: the crate's names (`var_*` of reverse mode, `dual_*` of forward mode), numr's spelling as
a function of the arguments it is differentiated by, these arguments, what the crate's second derivatives
were when they were measured, and the same function in 60-digit numbers, on arrays of mpmath's; without
one, differences of eighth order are the reference. `test_crate_parity.py` checks every row.

The crate's second order (0.6.1, reverse over reverse, against differences): `OK`; `LEAF`, right only where
the argument is a variable itself; `LOST`, the function's own curvature is dropped; `CUT`, the function is
linear and all before it is lost; `ERROR`, an exception. `first` says where its first derivatives are wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mpmath
import numpy as np

import numr as nr

OK, LEAF, LOST, CUT, ERROR = "ok", "right on a leaf only", "curvature lost", "cut off", "error"


class Row(NamedTuple):
    """One function of the crate; see the module."""

    names: str
    f: Callable[..., Any]
    args: Sequence[Any]
    crate: str
    exact: Callable[..., Any] | None = None
    first: str = ""


def each(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one of mpmath's numbers, on every element."""
    return np.frompyfunc(f, 1, 1)


def matrices(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of mpmath's matrices on arrays."""

    def of_arrays(*args: Any) -> Any:
        found = f(*[mpmath.matrix(a.tolist()) for a in args])
        if not isinstance(found, mpmath.matrix):
            return np.array(found, object)
        return np.array(found.tolist(), object)

    return of_arrays


m = mpmath
exp, log, tanh, sqrt = (each(f) for f in (m.exp, m.log, m.tanh, m.sqrt))
sigmoid = each(lambda x: 1 / (1 + m.exp(-x)))
silu = each(lambda x: x / (1 + m.exp(-x)))
gelu = each(lambda x: x * m.ncdf(x))
relu = each(lambda x: x if x > 0 else m.mpf(0))

X = np.array([0.4, 0.9, 1.3])
Y = np.array([1.2, -0.7, 0.5])
A = np.array([[0.4, 0.9, 1.3], [1.1, 0.3, 0.8]])
B = np.array([[0.7, -0.2], [0.5, 1.1], [-0.3, 0.6]])
S = np.array([[1.9, 0.3, -0.2], [0.4, 1.4, 0.5], [0.1, -0.6, 2.2]])
T = np.arange(1.0, 25.0).reshape(2, 3, 4) / 20
W, BIAS = np.array([0.8, 1.1, -0.6]), np.array([0.3, -0.2, 0.5])
INDEX = np.array([[2, 0, 2], [1, 1, 0]])


def softmax(x: Any) -> Any:
    e = exp(x)
    return e / e.sum(-1, keepdims=True)


def spread(x: Any, ddof: int = 1) -> Any:
    return ((x - x.mean(-1, keepdims=True)) ** 2).sum(-1) / (x.shape[-1] - ddof)


def layer(x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / sqrt(spread(x, 0)[..., None] + m.mpf("1e-5"))


def rms(x: Any) -> Any:
    return x / sqrt((x * x).mean(-1, keepdims=True) + m.mpf("1e-5"))


def group(x: Any) -> Any:
    return layer(x.reshape(1, 2, 8)).reshape(x.shape)


def epilogue(act: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, b, c: act(a @ b + c)


C = np.array([0.3, -0.4])
R = A[::-1] ** 2
W4, B4 = np.array([0.8, 1.1, -0.6, 0.8]), np.array([0.3, -0.2, 0.5, 0.3])
G = T[:1, [0, 1, 2, 0]] * np.array([1.0, 2.0, 1.0, 3.0])[:, None]
W1, W2 = S[:, :2, None] + np.array([0.1, -0.2]), np.cos(np.arange(24.0)).reshape(3, 2, 2, 2)
BY_INPUT = "wrong, or an exception, by the input"


def mean(x: Any) -> Any:
    return np.array(x.mean(), object)


# fmt: off
TABLE = (
    # elementwise
    Row("var_neg dual_neg", nr.negative, [X], OK, lambda x: -x),
    Row("var_abs dual_abs", nr.abs, [Y], OK, abs, first="NaN at 0"),
    Row("var_sqrt dual_sqrt", nr.sqrt, [X], LOST, sqrt),
    Row("var_square dual_square", nr.square, [Y], LEAF, lambda x: x * x),
    Row("var_recip dual_recip", nr.reciprocal, [X], LOST, lambda x: 1 / x),
    Row("var_exp dual_exp", nr.exp, [Y], LOST, exp),
    Row("var_log dual_log", nr.log, [X], LEAF, log),
    Row("var_sin dual_sin", nr.sin, [Y], LEAF, each(lambda x: m.sin(x))),
    Row("var_cos dual_cos", nr.cos, [Y], LEAF, each(lambda x: m.cos(x))),
    Row("var_tan dual_tan", nr.tan, [X], LEAF, each(lambda x: m.tan(x))),
    Row("var_tanh dual_tanh", nr.tanh, [Y], LOST, tanh),
    Row("var_add dual_add", nr.add, [A, X], OK, lambda x, y: x + y),
    Row("var_sub dual_sub", nr.subtract, [A, X], OK, lambda x, y: x - y),
    Row("var_mul dual_mul", nr.multiply, [A, X], OK, lambda x, y: x * y),
    Row("var_div dual_div", nr.divide, [A, X], OK, lambda x, y: x / y),
    Row("var_pow", nr.pow, [X, Y], LOST, lambda x, y: x**y, first="NaN at 0"),
    Row("var_add_scalar dual_add_scalar", lambda x: x + 2.5, [Y], OK, lambda x: x + m.mpf("2.5")),
    Row("var_sub_scalar dual_sub_scalar", lambda x: x - 2.5, [Y], OK, lambda x: x - m.mpf("2.5")),
    Row("var_mul_scalar dual_mul_scalar", lambda x: x * 2.5, [Y], OK, lambda x: x * m.mpf("2.5")),
    Row("var_div_scalar dual_div_scalar", lambda x: x / 2.5, [Y], OK, lambda x: x / m.mpf("2.5")),
    Row("var_pow_scalar dual_pow_scalar", lambda x: x**3.5, [X], LEAF, lambda x: x ** m.mpf("3.5")),
    Row("var_pow_scalar", lambda x: x**3, [Y], LEAF, lambda x: x**3),
    Row("var_clamp", lambda x: nr.clip(x, -0.5, 1.0), [Y], OK, lambda x: np.clip(x, -m.mpf("0.5"), 1)),
    Row("var_cast", lambda x: nr.astype(x, "float64"), [Y], CUT, lambda x: x, first="no gradient"),
    # activations
    Row("var_relu dual_relu", nr.relu, [Y], OK, relu),
    Row("var_sigmoid dual_sigmoid", nr.sigmoid, [Y], LOST, sigmoid),
    Row("var_silu", nr.silu, [Y], LOST, silu),
    Row("var_softplus", nr.softplus, [Y], LOST, each(lambda x: m.log(1 + m.exp(x)))),
    Row("var_softmax", lambda x: nr.softmax(x, axis=-1), [A], LOST, softmax),
    Row("var_log_softmax", lambda x: nr.log_softmax(x, axis=-1), [A], LOST, lambda x: log(softmax(x))),
    Row("var_silu_mul", lambda a, b: nr.silu(a) * b, [X, Y], LOST, lambda a, b: silu(a) * b),
    Row("var_gelu_mul", lambda a, b: nr.gelu(a) * b, [X, Y], LOST, lambda a, b: gelu(a) * b),
    Row("var_relu_mul", lambda a, b: nr.relu(a) * b, [X, Y], LOST, lambda a, b: relu(a) * b),
    Row("var_sigmoid_mul", lambda a, b: nr.sigmoid(a) * b, [X, Y], LOST, lambda a, b: sigmoid(a) * b),
    Row("var_swiglu", lambda a, b: nr.silu(a) * b, [Y, X], LOST, lambda a, b: silu(a) * b),
    # products
    Row("var_matmul dual_matmul", nr.matmul, [A, B], OK, lambda a, b: a @ b),
    Row("var_matmul_bias_activation", lambda a, b, c: a @ b + c, [A, B, C], LOST, epilogue(lambda x: x)),
    Row("var_matmul_bias_activation", lambda a, b, c: nr.relu(a @ b + c), [A, B, C], LOST, epilogue(relu),
        first="0.5 at 0"),
    Row("var_matmul_bias_activation", lambda a, b, c: nr.gelu(a @ b + c), [A, B, C], LOST, epilogue(gelu)),
    Row("var_matmul_bias_activation", lambda a, b, c: nr.silu(a @ b + c), [A, B, C], LOST, epilogue(silu)),
    Row("var_matmul_bias_activation", lambda a, b, c: nr.sigmoid(a @ b + c), [A, B, C], LOST, epilogue(sigmoid)),
    Row("var_matmul_bias_activation", lambda a, b, c: nr.tanh(a @ b + c), [A, B, C], LOST, epilogue(tanh)),
    # reductions
    Row("var_sum dual_sum", lambda x: nr.sum(x, axis=1), [A], CUT, lambda x: x.sum(1)),
    Row("var_mean dual_mean", nr.mean, [A], CUT, mean, first="not divided by the count, over all axes"),
    Row("var_max", lambda x: nr.max(x, axis=1), [A], CUT, lambda x: x.max(1)),
    Row("var_min", lambda x: nr.min(x, axis=0), [A], CUT, lambda x: x.min(0)),
    Row("var_var", lambda x: nr.var(x, axis=1, correction=1), [A], LOST, spread, first="infinite over all axes"),
    Row("var_std", lambda x: nr.std(x, axis=1, correction=1), [A], LOST, lambda x: sqrt(spread(x)),
        first="NaN of a constant"),
    Row("var_cumsum", lambda x: nr.cumsum(x, axis=1), [A], CUT, lambda x: np.cumsum(x, 1)),
    Row("var_cumprod", lambda x: nr.cumprod(x, axis=1), [A], LOST, lambda x: np.cumprod(x, 1), first="NaN with a zero"),
    Row("var_cumprod", nr.cumprod, [np.array([0.7, 0.0, 1.2, 0.4])], LOST, np.cumprod, first="NaN with a zero"),
    # shapes and indices
    Row("var_reshape dual_reshape", lambda x: nr.reshape(x, (3, 2)), [A], OK, lambda x: x.reshape(3, 2)),
    Row("var_transpose dual_transpose", nr.matrix_transpose, [T], OK, lambda x: x.swapaxes(1, 2)),

    Row("var_permute dual_permute", lambda x: nr.permute_dims(x, (1, 2, 0)), [T], ERROR,
        lambda x: x.transpose(1, 2, 0)),
    Row("var_broadcast_to", lambda x: nr.broadcast_to(x, (2, 3)), [X], OK, lambda x: np.broadcast_to(x, (2, 3))),
    Row("var_narrow dual_narrow", lambda x: x[:, 1:3], [A], CUT, lambda x: x[:, 1:3]),
    Row("dual_squeeze", lambda x: nr.squeeze(x[None], axis=0), [A], OK, lambda x: x),
    Row("dual_unsqueeze", lambda x: nr.expand_dims(x, axis=1), [A], OK, lambda x: x[:, None]),
    Row("dual_contiguous", lambda x: x.T.copy(), [A], OK, lambda x: x.T),
    Row("var_cat", lambda x, y: nr.concat([x, y], axis=0), [A, S], CUT, lambda x, y: np.concatenate([x, y])),
    Row("var_gather", lambda x: nr.take_along_axis(x, INDEX, axis=1), [A], CUT,
        lambda x: np.take_along_axis(x, INDEX, 1), first="wrong with repeated indices"),
    Row("var_embedding_lookup", lambda x: nr.embedding(INDEX, x), [S], CUT, lambda x: x[INDEX]),
    # linear algebra
    Row("var_trace", nr.trace, [S], CUT, lambda x: np.array(np.trace(x), object)),
    Row("var_det", nr.linalg.det, [S], LOST, matrices(m.det)),
    Row("var_inverse", nr.linalg.inv, [S], LOST, matrices(m.inverse)),
    Row("var_solve", nr.linalg.solve, [S, B], LOST, matrices(lambda a, b: m.inverse(a) * b)),
    Row("var_solve", nr.linalg.solve, [S, X], ERROR, lambda a, b: matrices(m.lu_solve)(a, b)[:, 0]),
    Row("var_cholesky", lambda x: nr.linalg.cholesky(x @ x.T), [S], LOST, matrices(lambda x: m.cholesky(x * x.T))),
    # networks
    Row("var_layer_norm", nr.layer_norm, [A, W, BIAS], LOST, lambda x, w, b: layer(x) * w + b),
    Row("var_rms_norm", nr.rms_norm, [A, W], LOST, lambda x, w: rms(x) * w),
    Row("var_group_norm", lambda x, w, b: nr.group_norm(x, 2, w, b), [G, W4, B4], LOST,
        lambda x, w, b: group(x) * w[:, None] + b[:, None]),
    Row("var_fused_add_rms_norm", lambda x, r, w: nr.rms_norm(x + r, w), [A, R, W], LOST,
        lambda x, r, w: rms(x + r) * w, first="one factor 1 / rms too many"),
    Row("var_fused_add_layer_norm", lambda x, r, w, b: nr.layer_norm(x + r, w, b), [A, R, W, BIAS], LOST,
        lambda x, r, w, b: layer(x + r) * w + b),
    Row("var_conv1d", nr.conv1d, [T[:, :2], W1], CUT, first=BY_INPUT),
    Row("var_conv2d", nr.conv2d, [T[None], W2], CUT, first=BY_INPUT),
    Row("var_dropout", lambda x: nr.dropout(x, nr.random.key(3), 0.4), [A], OK),
)
# fmt: on

_VAR = (
    "abs add add_scalar broadcast_to cast cat cholesky clamp conv1d conv2d cos cumprod cumsum det div "
    "div_scalar dropout embedding_lookup exp fused_add_layer_norm fused_add_rms_norm gather gelu_mul "
    "group_norm inverse layer_norm log log_softmax matmul matmul_bias_activation max mean min mul mul_scalar "
    "narrow neg permute pow pow_scalar recip relu relu_mul reshape rms_norm sigmoid sigmoid_mul silu silu_mul "
    "sin softmax softplus solve sqrt square std sub sub_scalar sum swiglu tan tanh trace transpose var"
)
_DUAL = (
    "abs add add_scalar contiguous cos div div_scalar exp log matmul mean mul mul_scalar narrow neg permute "
    "pow_scalar recip relu reshape sigmoid sin sqrt square squeeze sub sub_scalar sum tan tanh transpose "
    "unsqueeze"
)
VAR, DUAL = _VAR.split(), _DUAL.split()
