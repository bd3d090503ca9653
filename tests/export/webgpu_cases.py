"""What the tests of the targets for WebGPU export: functions of every kind of step, with arguments."""

from __future__ import annotations

import zlib
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import numr as nr
import numr.primitives
from numr.array import from_node
from numr.dtypes import DType, as_dtype
from numr.export import spec
from numr.ir.interpret import interpret
from numr.ir.primitive import REGISTRY

Array = np.ndarray[Any, Any]
Point = namedtuple("Point", "x y")
NARROWER = {
    "float64": "float32", "complex128": "complex64", "int64": "int32", "uint64": "uint32",
}  # fmt: skip
# What has results of int64, which WGSL has not.
WIDE = frozenset(("argsort", "iota", "size_of"))
N = 300
RNG = np.random.default_rng(7)
WEIGHTS = RNG.normal(size=(3, 4)).astype(np.float32)


@dataclass(frozen=True)
class Case:
    """A function to export, its specs, and arguments of several sizes."""

    fun: Callable[..., Any]
    specs: tuple[Any, ...]
    arguments: tuple[tuple[Any, ...], ...]


def f32(*shape: Any, **more: Any) -> Any:
    return spec(*shape, dtype="f32", **more)


def numbers(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def energy(x: Any, k: Any) -> Any:
    """The energy of springs in a row."""
    return nr.sum(0.5 * k * nr.diff(x) ** 2)


def springs(*lengths: int) -> tuple[tuple[Array, Array], ...]:
    return tuple((numbers(n), numbers(n - 1)) for n in lengths)


def loss(params: Any, x: Any) -> Any:
    return nr.mean(nr.tanh(x @ params["w"] + params["b"][0]) ** 2)


PARAMS = {"w": numbers(4, 2), "b": [numbers(2)]}


def collatz(n: Any) -> Any:
    """Steps of each number to 1, in one kernel whose loop ends by itself."""

    def step(state: Any) -> Any:
        x, count = state
        going = x > 1
        x = nr.where(going, nr.where(x % 2 == 0, x // 2, 3 * x + 1), x)
        return x, count + going.astype(nr.int32)

    return nr.while_loop(lambda s: nr.any(s[0] > 1), step, (n, nr.zeros_like(n)))[1]


ONE = np.float32(1)
CASES: dict[str, Case] = {
    "energy": Case(energy, (f32("n"), f32("n - 1")), springs(2, 3, 64, 65, 5000)),
    "force": Case(nr.grad(energy), (f32("n"), f32("n - 1")), springs(2, 3, 64, 65, 5000)),
    "stiffness": Case(nr.hessian(energy), (f32("n"), f32("n - 1")), springs(2, 5, 40)),
    # Beyond 65535 workgroups, which have to be spread over two dimensions.
    "many": Case(lambda x: nr.sin(x), (f32("n"),), ((numbers(64 * 65535 + 100),),)),
    "matmul": Case(
        lambda a, b: nr.tanh(a @ b),
        (f32("n", "m"), f32("m", "k")),
        tuple((numbers(n, m), numbers(m, k)) for n, m, k in ((1, 1, 1), (3, 5, 2), (130, 70, 65))),
    ),
    "rows": Case(
        lambda x: nr.softmax(x, axis=1), (f32("n", "m"),), ((numbers(1, 1),), (numbers(70, 300),))
    ),
    # A scan that becomes one kernel, one that is a Loop of steps, and the gradient of that.
    "filtered": Case(
        lambda x: nr.scan(lambda c, a: (0.5 * c + a, c), ONE, x)[1],
        (f32("n"),),
        ((numbers(1),), (numbers(500),)),
    ),
    "rotated": Case(
        lambda x: nr.scan(lambda c, a: (nr.roll(nr.sin(c), 1) + a, c.sum()), x[0], x),
        (f32("n", "m"),),
        ((numbers(1, 1),), (numbers(20, 40),)),
    ),
    "through_time": Case(
        nr.grad(
            lambda x: nr.sum(
                nr.scan(lambda c, a: (nr.roll(nr.sin(c), 1) + a, c.sum()), x[0], x)[1]
            )
        ),
        (f32("n", "m"),),
        ((numbers(12, 40),),),
    ),
    "root": Case(  # Repeat
        lambda a: nr.while_loop(
            lambda y: nr.any(nr.abs(y * y - a) > 1e-5 * a), lambda y: 0.5 * (y + a / y), a
        ),
        (f32(),),
        ((np.float32(2),), (np.float32(9),), (ONE,)),
    ),
    "collatz": Case(collatz, (spec(dtype="i32"),), ((np.int32(27),), (np.int32(1),))),
    "doubled": Case(  # While
        lambda x: nr.while_loop(lambda c: nr.sum(c) < 100, lambda c: nr.roll(c, 1) * 2 + 1, x),
        (f32("n"),),
        ((np.ones(1, np.float32),), (np.arange(50, dtype=np.float32) / 50,)),
    ),
    "either": Case(  # Switch
        lambda x: nr.cond(nr.sum(x) > 0, lambda x: nr.roll(x, 1), lambda x: x[::-1] * 2, x),
        (f32("n"),),
        ((np.ones(1, np.float32),), (np.arange(90, dtype=np.float32),), (-np.ones(3, np.float32),)),
    ),
    "one_of": Case(
        lambda i, x: nr.switch(
            i, [lambda x: nr.roll(x, 1), lambda x: x[::-1] * 2, lambda x: x + 1], x
        ),
        (spec(dtype="i32"), f32("n")),
        tuple((np.int32(i), np.arange(9, dtype=np.float32)) for i in (0, 1, 2, 7, -3)),
    ),
    "counted": Case(
        lambda x: nr.fori_loop(
            np.int32(0), x.shape[0], lambda i, c: nr.sin(c) + x[i], np.float32(0)
        ),
        (f32("n"),),
        ((numbers(1),), (numbers(20),)),
    ),
    # Any int32 is an index, also without integers of 64 bits; negative ones count from the end.
    "picked": Case(
        lambda x, i: x[i],
        (f32("n"), spec("m", dtype="i32")),
        ((numbers(9), np.array([0, -1, 8, -9, 3], np.int32)),),
    ),
    # Sizes are not bounded by what is typical.
    "beyond": Case(
        lambda x: nr.where(nr.arange(x.shape[0]) < 2000, x, 0), (f32("n"),), ((numbers(5000),),)
    ),
    "held": Case(lambda x: nr.tanh(WEIGHTS @ x), (f32(4),), ((numbers(4),),)),
    "nested": Case(
        nr.grad(loss),
        ({"w": f32("m", "k"), "b": [f32("k")]}, f32("n", "m")),
        ((PARAMS, numbers(7, 4)),),
    ),
    "fields": Case(
        lambda p: {"sum": p.x + p.y, "both": (p.x, [p.y])},
        (Point(f32("n"), f32("n")),),
        ((Point(numbers(3), numbers(3)),),),
    ),
    "logical": Case(lambda x, m: m & (x > 0), (f32("n"), spec("n", dtype="bool")),
                    ((numbers(5), np.array([1, 0, 1, 1, 0], bool)),)),
    "small": Case(lambda x: x + nr.flip(x), (spec("n", dtype="int8"),),
                  ((np.array([100, -128, 3, 27, 5], np.int8),),)),
    "half": Case(lambda x: x * 3, (spec("n", dtype="f16"),),
                 ((np.array([1, -2, 0.1, 65504, np.nan], np.float16),),)),
    "polar": Case(lambda z: nr.exp(z) * nr.conj(z), (spec("n", dtype="c64"),),
                  ((np.array([1 + 2j, 0, -1j], np.complex64),),)),
}  # fmt: skip


def exported(cases: dict[str, Case]) -> dict[str, Any]:
    """What `nr.export` takes for them."""
    return {name: (case.fun, case.specs) for name, case in cases.items()}


def primitives() -> Iterator[tuple[str, Callable[..., Any], tuple[Any, ...], list[Array]]]:
    """The largest sample of each primitive, in dtypes that WGSL has: name, function, specs, operands."""
    for name, prim in sorted(REGISTRY.items()):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        samples = list(prim.samples(rng))
        if not samples or name in WIDE:
            continue
        sample = max(samples, key=lambda s: sum(np.size(x) for x in s.operands))
        operands = [np.array(x, order="C") for x in sample.operands]
        operands = [x.astype(NARROWER.get(x.dtype.name, x.dtype)) for x in operands]
        params = {k: _narrowed(v) for k, v in sample.params.items()}

        def fun(*given: Any, prim: Any = prim, params: Any = params) -> Any:
            return from_node(prim(*[x.node for x in given], **params))

        # Some are called as what is a word of Python's.
        yield f"p_{name}", fun, tuple(spec(*x.shape, dtype=x.dtype) for x in operands), operands


def interpreted(fun: Callable[..., Any], operands: list[Array]) -> Array:
    """What the reference interpreter says."""
    (found,) = interpret([fun(*map(nr.array, operands)).node], {})
    return np.asarray(found)


def _narrowed(param: Any) -> Any:
    return as_dtype(NARROWER.get(param.name, param.name)) if isinstance(param, DType) else param


def leaves(nested: Any) -> list[Any]:
    """The arrays of a nesting of dicts, lists and tuples, the same in whatever language."""
    if isinstance(nested, dict):
        return [x for k in sorted(nested) for x in leaves(nested[k])]
    return (
        [x for inner in nested for x in leaves(inner)]
        if isinstance(nested, (list, tuple))
        else [nested]
    )


def agree(got: Any, want: Any, where: str) -> None:
    """Equal dtypes, shapes and values, to a few ulp of float32 in each of several steps.

    What a browser returned has neither shapes nor more than typed arrays and numbers.
    """
    first, second = leaves(got), leaves(want)
    assert len(first) == len(second), where
    for g, w in zip(first, second, strict=True):
        w = np.asarray(w)
        if isinstance(g, (bool, int, float)) or g is None:  # JSON has no NaN
            assert w.ndim == 0, where
            g = np.array(np.nan if g is None else g, w.dtype)
        if (isinstance(g, np.ndarray) and g.ndim == 1 and g.dtype != w.dtype) or (
            w.ndim > 1 and g.ndim == 1
        ):
            g = (g.astype(bool) if w.dtype == bool else g.view(w.dtype)).reshape(w.shape)
        g = np.asarray(g)
        assert g.dtype == w.dtype and g.shape == w.shape, (
            f"{where}: {g.dtype}{g.shape} {w.dtype}{w.shape}"
        )
        if w.dtype.kind in "biu":
            np.testing.assert_array_equal(g, w, where)
            continue
        if w.dtype.name in ("float16", "bfloat16"):
            g, w, tolerance = g.astype(np.float32), w.astype(np.float32), 4e-3
        else:
            tolerance = 5e-6
        scale = float(np.abs(w[np.isfinite(w)]).max(initial=0))
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance * scale, err_msg=where)
