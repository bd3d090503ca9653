"""What users of JAX write, as they write it: each has the value one expects, in one kind of array and dtype."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import numr as nr
from numr.autograd import Var, backward

X = nr.asarray([1.0, 2.0, 3.0])
ROWS = nr.reshape(nr.arange(12.0), (4, 3))


class Layer(NamedTuple):
    w: Any
    b: Any


@dataclasses.dataclass
class Model:
    layer: Layer
    name: str = dataclasses.field(metadata={"static": True})


@nr.jit
@nr.grad
def decorated(x: Any) -> Any:
    return nr.sum(x**2)


def train() -> Any:
    """Two steps of gradient descent on a structure of parameters, with data and aux."""

    def loss(p: Any, batch: Any) -> Any:
        error = batch @ p["w"] - p["b"][0]
        return nr.mean(error**2), {"error": error, "rows": batch.shape[0]}

    @nr.jit
    def step(p: Any, batch: Any) -> Any:
        (value, _), slopes = nr.value_and_grad(loss, has_aux=True)(p, batch)
        return value, nr.tree.map(lambda v, g: v - 0.001 * g, p, slopes)

    p = {"w": nr.zeros(3), "b": [nr.asarray(1.0), None]}
    first, p = step(p, ROWS)
    second, p = step(p, ROWS)
    return first, second < first


CASES: dict[str, tuple[Callable[[], Any], Any]] = {
    "per-example gradients": (
        lambda: nr.vmap(nr.grad(lambda w, x: nr.sum(w * x) ** 2), (None, 0))(X, ROWS[:2]),
        [[0, 2 * 8, 4 * 8], [6 * 26, 8 * 26, 10 * 26]],
    ),
    "two arguments": (lambda: nr.grad(lambda a, b: a**2 * b, (0, 1))(2.0, 3.0), (12, 4)),
    "the last argument": (lambda: nr.grad(lambda a, b: a**2 * b, -1)(2.0, 3.0), 4),
    "an integer beside": (lambda: nr.value_and_grad(lambda x, n: x**n)(3.0, 2), (9, 6)),
    "a keyword beside": (lambda: nr.grad(lambda x, n: x**n)(3.0, n=2), 6),
    "a text beside": (lambda: nr.grad(lambda x, m: x if m == "a" else -x)(2.0, "a"), 1),
    "aux": (lambda: nr.grad(lambda x: (x**2, {"y": x, "n": 3}), has_aux=True)(2.0), (4, {"y": 2, "n": 3})),
    "a dict, a tuple, None": (
        lambda: nr.grad(lambda p: nr.sum(p["w"] ** 2) + p["b"][0])({"w": X, "b": (1.0, None)}),
        {"w": [2, 4, 6], "b": (1, None)},
    ),
    "a namedtuple": (
        lambda: tuple(nr.grad(lambda p: nr.sum(p.w) * p.b)(Layer(X, 2.0))),
        ([2, 2, 2], 6),
    ),
    "a dataclass": (
        lambda: nr.grad(lambda m: nr.sum(m.layer.w) * m.layer.b)(Model(Layer(X, 2.0), "m")).layer.w,
        [2, 2, 2],
    ),
    "training": (train, (1, True)),
    "decorators": (lambda: decorated(X), [2, 4, 6]),
    "partial": (lambda: functools.partial(nr.grad, argnums=1)(lambda a, b: a * b)(2.0, 3.0), 2),
    "NumPy's functions": (lambda: nr.grad(lambda x: np.sum(np.exp(x) * x))(X * 0), [1, 1, 1]),
    "a list of numbers": (lambda: nr.grad(lambda p: p[0] * p[1])([2.0, 3.0]), [3, 2]),
    "ties of max": (lambda: nr.grad(nr.max)(nr.asarray([1.0, 1.0, 0.0])), [0.5, 0.5, 0]),
    "ties of maximum": (lambda: nr.grad(lambda x: nr.maximum(x, 1.0))(1.0), 0.5),
    "ties of sort": (
        lambda: nr.grad(lambda x: nr.sort(x) @ X)(nr.asarray([2.0, 1.0, 1.0])),
        [3, 1, 2],
    ),
    "abs, relu and norm at 0": (
        lambda: (nr.grad(nr.abs)(0.0), nr.grad(nr.relu)(0.0), nr.grad(nr.linalg.norm)(0 * X)),
        (0, 0, [0, 0, 0]),
    ),
    "where without a guard": (
        lambda: nr.grad(lambda x: nr.sum(nr.where(x > 0, nr.log(x), 0.0)))(nr.asarray([-1.0, 0, 2])),
        [0, 0, 0.5],
    ),
    "indexing": (lambda: nr.grad(lambda x: x[1] ** 2 + x[-1] + x[::2].sum())(X), [1, 4, 2]),
    "indexing twice": (lambda: nr.grad(lambda x: nr.sum(x[nr.asarray([0, 0, 2])]))(X), [2, 0, 1]),
    "a traced index": (lambda: nr.jit(nr.grad(lambda x, i: x[i] ** 2))(X, 2), [0, 0, 6]),
    "a mask times": (lambda: nr.grad(lambda x: nr.sum(x * (x > 1.5)))(X), [0, 1, 1]),
    "argmax as an index": (lambda: nr.grad(lambda x: x[nr.argmax(x)] ** 2)(X), [0, 0, 6]),
    "at add": (
        lambda: nr.grad(lambda x: nr.sum(nr.zeros(3).at[nr.asarray([0, 0])].add(x[:2]) ** 2))(X),
        [6, 6, 0],
    ),
    "at set": (lambda: nr.grad(lambda x: nr.sum(x.at[1].set(x[0] ** 2)))(X), [3, 0, 1]),
    "iterating": (lambda: nr.grad(lambda x: sum(v**2 for v in x))(X), [2, 4, 6]),
    "stop_gradient": (lambda: nr.grad(lambda x: nr.sum(nr.stop_gradient(x) * x))(X), [1, 2, 3]),
    "a closure": (lambda: nr.grad(lambda a: nr.grad(lambda x: a * x**3)(2.0))(1.0), 12),
    "no confusion": (lambda: nr.grad(lambda x: x * nr.grad(lambda y: x + y)(1.0))(1.0), 1),
    "jacfwd of jacrev": (
        lambda: nr.jacfwd(nr.jacrev(nr.prod))(X),
        [[0, 3, 2], [3, 0, 1], [2, 1, 0]],
    ),
    "hessian of two arguments": (
        lambda: nr.hessian(lambda a, b: a**2 * b, (0, 1))(2.0, 3.0),
        ((6, 4), (4, 0)),
    ),
    "a Jacobian by vmap": (
        lambda: nr.vmap(nr.vjp(lambda x: x**2, X)[1])(nr.eye(3))[0],
        np.diag([2, 4, 6]),
    ),
    "a pullback twice": (
        lambda: [nr.vjp(nr.sin, 0.0)[1](c)[0] for c in (1.0, 2.0)],
        [1, 2],
    ),
    "jvp of grad": (lambda: nr.jvp(nr.grad(lambda x: nr.sum(x**3)), (X,), (X,))[1], [6, 24, 54]),
    "linearize": (lambda: nr.linearize(lambda x: x**2, X)[1](X), [2, 8, 18]),
    "grad of jit of grad": (
        lambda: nr.grad(nr.jit(lambda x: nr.sum(nr.grad(lambda y: nr.sum(y**3))(x))))(X),
        [6, 12, 18],
    ),
    "scan": (lambda: nr.grad(lambda a: nr.scan(lambda c, x: (a * c + x, c), 0.0, X)[0])(2.0), 4 + 2),
    "cond": (lambda: nr.grad(lambda x: nr.cond(x > 1.0, nr.square, nr.sin, x))(2.0), 4),
    "an unused argument": (
        lambda: nr.grad(lambda a, b: 2.0 * a, (0, 1))(1.0, X),
        (2, [0, 0, 0]),
    ),
    "a constant": (lambda: nr.grad(lambda x: 3.0)(1.0), 0),
    "nothing": (lambda: nr.grad(nr.sum)(nr.zeros(0)), np.zeros(0)),
    "rounded": (lambda: nr.grad(lambda x: nr.floor(x) + x.astype("int32") * 2.0)(1.5), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_users_write(name: str) -> None:
    call, want = CASES[name]
    got = call()
    leaves, structure = nr.tree.flatten(nr.tree.map(np.asarray, got))
    expected = nr.tree.flatten(want, is_leaf=lambda v: isinstance(v, list) or v is None)[0]
    flat = nr.tree.flatten(got, is_leaf=lambda v: isinstance(v, list) or v is None)[0]
    assert structure.num_leaves == len(leaves) and len(flat) == len(expected)
    for a, b in zip(flat, expected, strict=True):
        if b is None:
            assert a is None
        else:
            np.testing.assert_allclose(
                np.asarray([np.asarray(v) for v in a] if isinstance(a, list) else a), b, rtol=1e-14
            )


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_dtypes_are_kept(dtype: str) -> None:
    """With numbers of Python's, and beside parameters and cotangents of float64."""
    x = nr.asarray([1.0, 2.0], dtype=dtype)
    f = lambda x: nr.sum(2 * nr.sin(x) * 3.0 / 7 + 1)
    for transform in (nr.grad, nr.jacfwd, nr.hessian, lambda f: lambda x: nr.hvp(f)(x, x)):
        assert transform(f)(x).dtype.name == dtype
    assert nr.grad(lambda x: nr.sum(x * np.float64(3)))(x).dtype.name == dtype
    both = nr.grad(lambda p: nr.sum(p["a"] * p["b"]))({"a": x, "b": nr.ones(2)})
    assert (both["a"].dtype.name, both["b"].dtype) == (dtype, nr.float64)
    assert nr.vjp(nr.sin, x)[1](nr.ones(2))[0].dtype.name == dtype
    assert (
        nr.grad(lambda x: x.astype("float64") ** 2)(nr.asarray(1.0, dtype=dtype)).dtype.name
        == dtype
    )


def test_every_function_of_one_array_takes_a_variable() -> None:
    """And what it returns is an array of the same type, with a gradient where one is due."""
    plain = nr.asarray([0.4, 0.9, 0.2])
    taken = 0
    for name in sorted(vars(nr)):
        f = getattr(nr, name)
        if not callable(f) or isinstance(f, type) or name.startswith("_") or name == "cache":
            continue
        try:
            want = f(plain)
        except Exception:  # it takes other things
            continue
        if not isinstance(want, nr.Array) or want.shape not in ((), (3,)):
            continue
        taken += 1
        got = f(Var(plain))
        assert (got.shape, got.dtype) == (want.shape, want.dtype), name
    assert taken > 90
    x = Var(plain)
    total = sum(nr.sum(getattr(nr, n)(x)) for n in ("sin", "sort", "cumsum", "softmax", "abs"))
    want = nr.grad(lambda x: nr.sum(nr.sin(x) + nr.sort(x) + nr.cumsum(x) + nr.softmax(x) + x))(
        plain
    )
    np.testing.assert_allclose(backward(total)[x], want, rtol=1e-14)
