"""Every public function against NumPy or SciPy, over dtypes and shapes, lazily and through jit."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special

import numr as nr

FLOATS = ("float32", "float64")
INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
COMPLEX = ("complex64", "complex128")
SHAPES = ((), (1,), (7,), (0,), (3, 5), (2, 1, 4))
TOLERANCE = {"float32": 1e-5, "complex64": 3e-5, "float64": 1e-12, "complex128": 1e-12}


def agree(got: Any, want: Any, what: str = "", dtype: bool = True) -> None:
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, NumPy's {want.shape}"
    if dtype:
        assert got.dtype == want.dtype, f"{what}: dtype {got.dtype}, NumPy's {want.dtype}"
    if want.dtype.kind in "fc":
        tolerance = TOLERANCE[got.dtype.name]
        finite = want[np.isfinite(want)]
        scale = float(np.abs(finite).max()) if finite.size else 1.0
        np.testing.assert_allclose(
            got, want, rtol=tolerance, atol=tolerance * min(scale, 1.0), err_msg=what
        )
    else:
        np.testing.assert_array_equal(got, want, err_msg=what)


def draw(rng: np.random.Generator, shape: Any, dtype: str, low: float, high: float) -> Any:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if kind in "iu":
        return np.asarray(
            rng.integers(max(int(low), 0 if kind == "u" else -9), max(int(high), 2), shape)
        ).astype(dtype)
    x = np.asarray(rng.uniform(low, high, shape))
    if kind == "c":
        x = x + 1j * np.asarray(rng.uniform(low, high, shape))
    return x.astype(dtype)


# name: (NumPy's function, dtypes, domain). Dtypes: f floating, c complex, i integers, b booleans.
R, POS, UNIT = (-3.0, 3.0), (0.1, 4.0), (-0.9, 0.9)
UNARY: dict[str, tuple[Callable[..., Any], str, tuple[float, float]]] = {
    "abs": (np.abs, "fci", R),
    "negative": (np.negative, "fci", R),
    "positive": (np.positive, "fci", R),
    "square": (np.square, "fci", R),
    "sign": (np.sign, "fi", R),
    "reciprocal": (np.reciprocal, "fc", POS),
    "ceil": (np.ceil, "f", R),
    "floor": (np.floor, "f", R),
    "trunc": (np.trunc, "f", R),
    "round": (np.round, "fci", R),
    "real": (np.real, "fc", R),
    "imag": (np.imag, "fc", R),
    "conj": (np.conj, "fci", R),
    "angle": (np.angle, "fc", R),
    "nan_to_num": (np.nan_to_num, "f", R),
    "sqrt": (np.sqrt, "fc", POS),
    "cbrt": (np.cbrt, "f", R),
    "exp": (np.exp, "fc", R),
    "exp2": (np.exp2, "f", R),
    "expm1": (np.expm1, "fc", R),
    "log": (np.log, "fc", POS),
    "log2": (np.log2, "f", POS),
    "log10": (np.log10, "f", POS),
    "log1p": (np.log1p, "fc", POS),
    "sin": (np.sin, "fc", R),
    "cos": (np.cos, "fc", R),
    "tan": (np.tan, "fc", UNIT),
    "asin": (np.arcsin, "fc", UNIT),
    "acos": (np.arccos, "fc", UNIT),
    "atan": (np.arctan, "fc", R),
    "sinh": (np.sinh, "fc", R),
    "cosh": (np.cosh, "fc", R),
    "tanh": (np.tanh, "fc", R),
    "asinh": (np.arcsinh, "fc", R),
    "acosh": (np.arccosh, "f", (1.1, 4.0)),
    "atanh": (np.arctanh, "fc", UNIT),
    "degrees": (np.degrees, "f", R),
    "radians": (np.radians, "f", R),
    "erf": (scipy.special.erf, "f", R),
    "erfc": (scipy.special.erfc, "f", R),
    "lgamma": (scipy.special.gammaln, "f", POS),
    "digamma": (scipy.special.digamma, "f", POS),
    "sigmoid": (scipy.special.expit, "f", R),
    "log_sigmoid": (scipy.special.log_expit, "f", R),
    "softplus": (lambda x: np.logaddexp(x, x.dtype.type(0)), "f", R),
    "relu": (lambda x: np.maximum(x, x.dtype.type(0)), "fi", R),
    "leaky_relu": (lambda x: np.where(x > 0, x, x * x.dtype.type(0.01)), "f", R),
    "silu": (lambda x: x * scipy.special.expit(x), "f", R),
    "gelu": (lambda x: x * scipy.special.ndtr(x), "f", R),
    "isnan": (np.isnan, "f", R),
    "isinf": (np.isinf, "f", R),
    "isfinite": (np.isfinite, "f", R),
    "signbit": (np.signbit, "f", R),
    "invert": (np.invert, "ib", R),
    "logical_not": (np.logical_not, "b", R),
}
BINARY: dict[str, tuple[Callable[..., Any], str, tuple[float, float]]] = {
    "add": (np.add, "fcib", R),
    "subtract": (np.subtract, "fci", R),
    "multiply": (np.multiply, "fcib", R),
    "divide": (np.true_divide, "fc", POS),
    "floor_divide": (np.floor_divide, "fi", POS),
    "remainder": (np.remainder, "fi", POS),
    "fmod": (np.fmod, "fi", POS),
    "pow": (np.power, "fc", POS),
    "maximum": (np.maximum, "fi", R),
    "minimum": (np.minimum, "fi", R),
    "hypot": (np.hypot, "f", R),
    "copysign": (np.copysign, "f", R),
    "nextafter": (np.nextafter, "f", R),
    "atan2": (np.arctan2, "f", R),
    "logaddexp": (np.logaddexp, "f", R),
    "equal": (np.equal, "fcib", R),
    "not_equal": (np.not_equal, "fcib", R),
    "less": (np.less, "fib", R),
    "less_equal": (np.less_equal, "fib", R),
    "greater": (np.greater, "fib", R),
    "greater_equal": (np.greater_equal, "fib", R),
    "bitwise_and": (np.bitwise_and, "ib", R),
    "bitwise_or": (np.bitwise_or, "ib", R),
    "bitwise_xor": (np.bitwise_xor, "ib", R),
    "left_shift": (np.left_shift, "i", (0, 6)),
    "right_shift": (np.right_shift, "i", (0, 6)),
    "logical_and": (np.logical_and, "b", R),
    "logical_or": (np.logical_or, "b", R),
    "logical_xor": (np.logical_xor, "b", R),
    "isclose": (np.isclose, "f", R),
}
KINDS = {"f": FLOATS, "c": COMPLEX, "i": INTS, "b": ("bool",)}


def dtypes(kinds: str) -> Iterator[str]:
    for kind in kinds:
        yield from KINDS[kind]


def both(f: Callable[..., Any], *args: Any) -> list[Any]:
    """The function's results lazily and through jit."""
    return [f(*args), nr.jit(f)(*args)]


@pytest.mark.parametrize("name", sorted(UNARY))
def test_unary(name: str) -> None:
    want, kinds, domain = UNARY[name]
    f = getattr(nr, name)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for dtype in dtypes(kinds):
        for shape in SHAPES:
            x = draw(rng, shape, dtype, *domain)
            with np.errstate(all="ignore"):
                expected = want(x)
            for got in both(f, x):
                agree(got, expected, f"{name} of {dtype}{shape}")
        if dtype in FLOATS:
            x = draw(rng, (6, 4), dtype, *domain)
            for view in (x.T, x[::-2], x[:, ::-1]):
                agree(nr.jit(f)(view), want(view), f"{name} of a strided {dtype}")


@pytest.mark.parametrize("name", sorted(BINARY))
def test_binary(name: str) -> None:
    want, kinds, domain = BINARY[name]
    f = getattr(nr, name)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    shapes = [(s, s) for s in SHAPES] + [
        ((3, 1), (4,)),
        ((), (5,)),
        ((2, 3), ()),
        ((2, 1, 3), (4, 1)),
        ((0, 3), (1, 3)),
    ]
    for dtype in dtypes(kinds):
        for left, right in shapes:
            x, y = draw(rng, left, dtype, *domain), draw(rng, right, dtype, *domain)
            if name in ("equal", "not_equal", "isclose", "maximum") and left == right:
                y = np.where(draw(rng, right, "bool", 0, 1), x, y)
            with np.errstate(all="ignore"):
                expected = want(x, y)
            for got in both(f, x, y):
                agree(got, expected, f"{name} of {dtype}{left}{right}")


def test_other_names() -> None:
    same = {
        "absolute": "abs", "fabs": "abs", "conjugate": "conj", "mod": "remainder", "power": "pow", "rint": "round",
        "true_divide": "divide", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
        "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "deg2rad": "radians", "rad2deg": "degrees",
        "gammaln": "lgamma", "bitwise_invert": "invert", "bitwise_left_shift": "left_shift",
        "bitwise_right_shift": "right_shift", "amax": "max", "amin": "min", "concatenate": "concat",
        "array": "asarray", "identity": "eye",
    }  # fmt: skip
    for name, other in same.items():
        assert getattr(nr, name) is getattr(nr, other), name


# -- reductions -----------------------------------------------------------------------------------

REDUCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "sum": (np.sum, "fci"),
    "prod": (np.prod, "fi"),
    "max": (np.max, "fi"),
    "min": (np.min, "fi"),
    "mean": (np.mean, "fc"),
    "var": (np.var, "f"),
    "std": (np.std, "f"),
    "all": (np.all, "fib"),
    "any": (np.any, "fib"),
    "count_nonzero": (np.count_nonzero, "fib"),
    "logsumexp": (scipy.special.logsumexp, "f"),
    "linalg.vector_norm": (lambda x, axis, keepdims: np.linalg.vector_norm(x, axis=axis, keepdims=keepdims), "fc"),
    "linalg.norm": (np.linalg.norm, "fc"),
}  # fmt: skip


def function(name: str) -> Any:
    found: Any = nr
    for part in name.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("name", sorted(REDUCTIONS))
def test_reductions(name: str) -> None:
    want, kinds = REDUCTIONS[name]
    f = function(name)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for dtype in dtypes(kinds):
        for shape, axis in (
            ((7,), None),
            ((3, 5), 0),
            ((3, 5), -1),
            ((2, 3, 4), (0, 2)),
            ((1, 4), 0),
        ):
            if name == "linalg.norm" and isinstance(axis, tuple):
                continue
            for keepdims in (False, True):
                x = draw(rng, shape, dtype, 0, 2)
                got = f(x, axis=axis, keepdims=keepdims)
                agree(
                    got,
                    want(x, axis=axis, keepdims=keepdims),
                    f"{name} of {dtype}{shape} over {axis}",
                )


@pytest.mark.parametrize(
    "name", ["argmax", "argmin", "cumulative_sum", "cumulative_prod", "sort", "argsort"]
)
def test_lines(name: str) -> None:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    want: Any = {
        "cumulative_sum": np.cumsum,
        "cumulative_prod": np.cumprod,
        "sort": lambda x, axis: np.sort(x, axis=axis, kind="stable"),
        "argsort": lambda x, axis: np.argsort(x, axis=axis, kind="stable"),
    }.get(name) or getattr(np, name)
    for dtype in dtypes("fi"):
        for shape, axis in (((9,), 0), ((3, 5), 0), ((3, 5), 1), ((2, 3, 4), -2)):
            x = draw(rng, shape, dtype, 0, 4)
            for got in both(lambda x, axis=axis: function(name)(x, axis=axis), x):
                agree(got, want(x, axis=axis), f"{name} of {dtype}{shape} along {axis}")
    x = np.array([2.0, np.nan, -np.inf, 3.0, np.nan])
    agree(function(name)(x, axis=0), want(x, axis=0), f"{name} with NaN")


def test_lines_of_other_forms() -> None:
    x = np.array([[3.0, 1.0, 2.0], [1.0, 1.0, 5.0]])
    agree(nr.sort(x, descending=True), -np.sort(-x))
    agree(nr.argsort(x, descending=True), np.argsort(-x, kind="stable"))
    agree(nr.argmax(x), np.argmax(x))
    agree(nr.argmin(x, axis=1, keepdims=True), np.argmin(x, axis=1, keepdims=True))
    agree(
        nr.cumulative_sum(x, axis=1, include_initial=True),
        np.cumulative_sum(x, axis=1, include_initial=True),
    )
    agree(nr.cumsum(x), np.cumsum(x))
    agree(nr.cumprod(x), np.cumprod(x))
    agree(nr.sum(x, dtype=nr.float32), np.sum(x, dtype=np.float32))
    agree(nr.sum(x > 1), np.sum(x > 1))
    agree(nr.mean(np.array([1, 2])), 1.5)
    agree(nr.var(x, correction=1, axis=0), np.var(x, ddof=1, axis=0))
    agree(nr.std(x, ddof=1), np.std(x, ddof=1))
    agree(nr.sum(np.zeros((0, 3)), axis=0), np.zeros(3))
    agree(nr.prod(np.zeros((0, 3)), axis=0), np.ones(3))
    agree(nr.softmax(x, axis=1), scipy.special.softmax(x, axis=1))
    agree(nr.log_softmax(x, axis=0), scipy.special.log_softmax(x, axis=0))
    for value in nr.unique_values(x), nr.unique_counts(x).values:
        agree(value, np.unique(x))
    agree(nr.unique_counts(x).counts, np.unique_counts(x).counts)
    for field in ("values", "indices", "inverse_indices", "counts"):
        agree(getattr(nr.unique_all(x), field), getattr(np.unique_all(x), field), field)
    agree(nr.unique_inverse(x).inverse_indices, np.unique_inverse(x).inverse_indices)
    line = np.array([1.0, 2.0, 2.0, 5.0])
    for side in ("left", "right"):
        agree(nr.searchsorted(line, x, side=side), np.searchsorted(line, x, side=side))
    agree(nr.nonzero(x > 1)[1], np.nonzero(x > 1)[1])
    agree(nr.argwhere(x > 1), np.argwhere(x > 1))


# -- where elements go ----------------------------------------------------------------------------

A = np.arange(24.0).reshape(2, 3, 4)
V = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
MOVES: list[tuple[str, Callable[[Any, Any], Any], Any]] = [
    ("reshape", lambda np, x: np.reshape(x, (4, 6)), A),
    ("reshape -1", lambda np, x: np.reshape(x, (-1, 2)), A),
    ("ravel", lambda np, x: np.ravel(x), A),
    ("permute_dims", lambda np, x: np.permute_dims(x, (2, 0, 1)), A),
    ("transpose", lambda np, x: np.transpose(x), A),
    ("matrix_transpose", lambda np, x: np.matrix_transpose(x), A),
    ("moveaxis", lambda np, x: np.moveaxis(x, 0, -1), A),
    ("moveaxis two", lambda np, x: np.moveaxis(x, (0, 1), (2, 0)), A),
    ("swapaxes", lambda np, x: np.swapaxes(x, 0, 2), A),
    ("expand_dims", lambda np, x: np.expand_dims(x, 1), A),
    ("expand_dims two", lambda np, x: np.expand_dims(x, (0, -1)), A),
    ("squeeze", lambda np, x: np.squeeze(np.expand_dims(x, 0), 0), A),
    ("broadcast_to", lambda np, x: np.broadcast_to(x, (5, 2, 3, 4)), A),
    ("flip", lambda np, x: np.flip(x), A),
    ("flip one", lambda np, x: np.flip(x, 1), A),
    ("roll", lambda np, x: np.roll(x, 2, 2), A),
    ("roll flat", lambda np, x: np.roll(x, -7), A),
    ("roll two", lambda np, x: np.roll(x, (1, -1), (0, 1)), A),
    ("rot90", lambda np, x: np.rot90(x), A),
    ("rot90 back", lambda np, x: np.rot90(x, -1, (1, 2)), A),
    ("concat", lambda np, x: np.concat([x, x[:, :1]], axis=1), A),
    ("concat flat", lambda np, x: np.concat([x, x[:, :1]], axis=None), A),
    ("stack", lambda np, x: np.stack([x, 2 * x], axis=-1), A),
    ("hstack", lambda np, x: np.hstack([x, x]), A),
    ("hstack lines", lambda np, x: np.hstack([x, x]), V),
    ("vstack", lambda np, x: np.vstack([x, x]), V),
    ("atleast_1d", lambda np, x: np.atleast_1d(x), np.float64(2.0)),
    ("atleast_2d", lambda np, x: np.atleast_2d(x), V),
    ("split", lambda np, x: np.split(x, 3, axis=1)[2], A),
    ("split at", lambda np, x: np.split(x, [1, 3], axis=2)[1], A),
    ("unstack", lambda np, x: np.unstack(x, axis=1)[1], A),
    ("tile", lambda np, x: np.tile(x, (2, 1, 3)), A),
    ("tile line", lambda np, x: np.tile(x, 3), V),
    ("repeat", lambda np, x: np.repeat(x, 2, axis=1), A),
    ("repeat flat", lambda np, x: np.repeat(x, 3), V),
    ("repeat each", lambda np, x: np.repeat(x, [0, 1, 2, 0, 3]), V),
    ("pad", lambda np, x: np.pad(x, 1), V),
    ("pad two", lambda np, x: np.pad(x, ((0, 1), (2, 0), (1, 1)), constant_values=7.0), A),
    ("tril", lambda np, x: np.tril(x), A),
    ("triu", lambda np, x: np.triu(x, k=1), A),
    ("diag", lambda np, x: np.diag(x, 1), V),
    ("diag out", lambda np, x: np.diag(x[0], -1), A),
    ("diagonal", lambda np, x: np.diagonal(x, offset=1, axis1=0, axis2=1), A),
    ("diff", lambda np, x: np.diff(x), A),
    ("diff two", lambda np, x: np.diff(x, n=2, axis=1), A),
    ("diff prepend", lambda np, x: np.diff(x, prepend=0.0), V),
    ("take", lambda np, x: np.take(x, np.asarray([2, 0, 2]), axis=1), A),
    ("take negative", lambda np, x: np.take(x, np.asarray([-1, 0]), axis=2), A),
    ("take flat", lambda np, x: np.take(x, np.asarray([[23, 0], [5, -1]])), A),
    ("take_along_axis", lambda np, x: np.take_along_axis(x, np.argsort(-x, axis=1), axis=1), A),
    ("where", lambda np, x: np.where(x > 10, x, -1.0), A),
    ("clip", lambda np, x: np.clip(x, 3, 17.5), A),
    ("clip one", lambda np, x: np.clip(x, None, 17.5), A),
    ("round 2", lambda np, x: np.round(x / 7, 2), A),
    ("broadcast_arrays", lambda np, x: np.broadcast_arrays(x, np.asarray([1.0, 2.0, 3.0, 4.0]))[1], A),
    ("meshgrid", lambda np, x: np.meshgrid(x, x[:2])[1], V),
    ("meshgrid ij", lambda np, x: np.meshgrid(x, x[:2], indexing="ij")[0], V),
]  # fmt: skip


@pytest.mark.parametrize(("name", "f", "x"), MOVES, ids=[m[0] for m in MOVES])
def test_moves(name: str, f: Any, x: Any) -> None:
    for got in both(lambda y: f(nr, y), x):
        agree(got, f(np, x), name)
    agree(f(nr, nr.asarray(x)), f(np, x), name)


# -- products and linear algebra ------------------------------------------------------------------

RNG = np.random.default_rng(11)
M, N = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 4, 5))
S = RNG.normal(size=(2, 3, 3)) + 3 * np.eye(3)
SPD = S @ np.swapaxes(S, -1, -2)
B = RNG.normal(size=(2, 3, 2))
TRI = np.tril(S)
PRODUCTS: list[tuple[str, Callable[[Any, Any, Any], Any], Any, Any]] = [
    ("matmul", lambda np, x, y: np.matmul(x, y), M, N),
    ("matmul broadcast", lambda np, x, y: np.matmul(x, y), M, N[0]),
    ("matmul line left", lambda np, x, y: np.matmul(x, y), M[0, 0], N),
    ("matmul line right", lambda np, x, y: np.matmul(x, y), M, N[0, :, 0]),
    ("matmul lines", lambda np, x, y: np.matmul(x, y), M[0, 0], N[0, :, 0]),
    ("vecdot", lambda np, x, y: np.vecdot(x, y), M, M[0]),
    ("outer", lambda np, x, y: np.outer(x, y), M[0, 0], N[0, 0]),
    ("dot", lambda np, x, y: np.dot(x, y), M[0], N[0]),
    ("tensordot", lambda np, x, y: np.tensordot(x, y, axes=((0, 2), (0, 1))), M, N),
    ("tensordot 1", lambda np, x, y: np.tensordot(x, y[0], axes=1), M, N),
    ("tensordot 0", lambda np, x, y: np.tensordot(x[0], y[0], axes=0), M, N),
    ("cross", lambda np, x, y: np.linalg.cross(x, y), S, S[::-1]),
    ("solve", lambda np, x, y: np.linalg.solve(x, y), S, B),
    ("solve line", lambda np, x, y: np.linalg.solve(x[0], y[0, :, 0]), S, B),
    ("inv", lambda np, x, y: np.linalg.inv(x), S, B),
    ("det", lambda np, x, y: np.linalg.det(x), S, B),
    ("slogdet sign", lambda np, x, y: np.linalg.slogdet(x)[0], S, B),
    ("slogdet log", lambda np, x, y: np.linalg.slogdet(x)[1], S, B),
    ("cholesky", lambda np, x, y: np.linalg.cholesky(x), SPD, B),
    ("cholesky upper", lambda np, x, y: np.linalg.cholesky(x, upper=True), SPD, B),
    ("matrix_power", lambda np, x, y: np.linalg.matrix_power(x, 3), S, B),
    ("matrix_power -2", lambda np, x, y: np.linalg.matrix_power(x, -2), S, B),
    ("trace", lambda np, x, y: np.linalg.trace(x, offset=1), S, B),
    ("matrix_norm", lambda np, x, y: np.linalg.matrix_norm(x), S, B),
    ("vector_norm 1", lambda np, x, y: np.linalg.vector_norm(x, ord=1, axis=-1), S, B),
    ("vector_norm inf", lambda np, x, y: np.linalg.vector_norm(x, ord=float("inf"), axis=0), S, B),
    ("vector_norm 3", lambda np, x, y: np.linalg.vector_norm(x, ord=3, axis=(0, 1)), S, B),
]  # fmt: skip


@pytest.mark.parametrize(("name", "f", "x", "y"), PRODUCTS, ids=[p[0] for p in PRODUCTS])
def test_products(name: str, f: Any, x: Any, y: Any) -> None:
    for got in both(lambda x, y: f(nr, x, y), x, y):
        agree(got, f(np, x, y), name)


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("adjoint", [False, True])
def test_triangular_solve(lower: bool, adjoint: bool) -> None:
    for k in range(2):
        a = S[k]
        want = scipy.linalg.solve_triangular(a, B[k], lower=lower, trans=2 if adjoint else 0)
        agree(nr.linalg.solve_triangular(a, B[k], lower=lower, adjoint=adjoint), want)
    got = nr.linalg.solve_triangular(S, B, lower=lower, adjoint=adjoint)
    agree(np.asarray(got)[1], want)


EINSUMS: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("ij,jk->ik", ((3, 4), (4, 5))),
    ("ij,jk", ((3, 4), (4, 5))),
    ("ii", ((3, 3),)),
    ("ii->i", ((3, 3),)),
    ("ij->ji", ((3, 4),)),
    ("ij->", ((3, 4),)),
    ("i,i", ((3,), (3,))),
    ("i,j->ij", ((3,), (4,))),
    ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
    ("...ij,...jk->...ik", ((2, 3, 4), (2, 4, 5))),
    ("...ij,jk->...ik", ((2, 6, 3, 4), (4, 5))),
    ("...ij,...jk", ((2, 1, 3, 4), (6, 4, 5))),
    ("...ii->...", ((2, 3, 3),)),
    ("...i->i...", ((2, 3, 4),)),
    ("i...,i...->...", ((3, 2), (3, 2))),
    ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 5))),
    ("ijk,ilm,njm,nlk,abc->", ((2, 3, 4), (2, 5, 6), (7, 3, 6), (7, 5, 4), (1, 2, 3))),
    ("ij,ij,ij->i", ((3, 4), (3, 4), (3, 4))),
    ("iij,j->i", ((3, 3, 4), (4,))),
    ("a,ab,abc->abc", ((2,), (2, 3), (2, 3, 4))),
    ("ij, jk -> ik", ((3, 4), (4, 5))),
]


@pytest.mark.parametrize(("subscripts", "shapes"), EINSUMS, ids=[e[0] for e in EINSUMS])
def test_einsum(subscripts: str, shapes: Any) -> None:
    operands = [RNG.normal(size=s) for s in shapes]
    want = np.einsum(subscripts, *operands)
    for got in both(lambda *xs: nr.einsum(subscripts, *xs), *operands):
        agree(got, want, subscripts)
