"""scan, fori_loop, while_loop, map: values, every kind of derivative, batches, against loops in Python."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import program
from numr.codegen.backends.cpu.backend import Cpu
from numr.codegen.loop_region import NotInKernel
from numr.codegen.recent import Recent

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 3)) / 2
XS = RNG.normal(size=(6, 3))
H = RNG.normal(size=3)


def python_scan(
    f: Any, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False
) -> Any:
    """What scan means, step by step in Python."""
    carry, rows = nr.tree.map(nr.asarray, init), []
    steps = range(len(nr.tree.leaves(xs)[0]) if length is None else length)
    for t in reversed(steps) if reverse else steps:
        carry, y = f(carry, nr.tree.map(lambda x, t=t: x[t], xs))
        rows.append(y)
    rows = rows[::-1] if reverse else rows
    return carry, nr.tree.map(lambda *r: nr.stack(r), *rows)


def same(got: Any, want: Any, rtol: float = 1e-10) -> None:
    got, want = nr.tree.leaves(got), nr.tree.leaves(want)
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape and g.dtype == w.dtype
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=rtol, atol=rtol)


def recurrent(scan: Any, w: Any, h: Any, xs: Any, **options: Any) -> Any:
    def step(h: Any, x: Any) -> Any:
        new = nr.tanh(h @ w + x)
        return new, nr.sum(new * x)

    return scan(step, h, xs, **options)


def trees(scan: Any, w: Any, h: Any, xs: Any, **options: Any) -> Any:
    def step(carry: Any, x: Any) -> Any:
        a, count = carry["a"], carry["count"]
        new = nr.sin(a) * x["x"] + w[0]
        return {"a": new, "count": count + 1}, (new * 2.0, count)

    return scan(step, {"a": h, "count": 0}, {"x": xs}, **options)


def only_rows(scan: Any, w: Any, h: Any, xs: Any, **options: Any) -> Any:
    return scan(lambda c, x: (c, nr.exp(x @ w) * h), (), xs, **options)


def running(scan: Any, w: Any, h: Any, xs: Any, **options: Any) -> Any:
    """What is carried does not all depend on everything, and some of it is passed on as it is."""

    def step(carry: Any, x: Any) -> Any:
        a, b, c = carry
        return (a * h, b + a * x, c), (b, c * x)

    return scan(step, (h, h * 0, w[1]), xs, **options)


LOOPS = [recurrent, trees, only_rows, running]
EACH = pytest.mark.parametrize("loop", LOOPS, ids=lambda f: f.__name__)


def number(tree: Any) -> Any:
    total = nr.asarray(0.0)
    for k, x in enumerate(nr.tree.leaves(tree)):
        if x.dtype.is_inexact:
            weights = nr.cos(nr.reshape(nr.arange(float(x.size)), x.shape) + k)
            total = total + nr.sum(weights * x * x)
    return total


def both(loop: Any, **options: Any) -> tuple[Callable[..., Any], Callable[..., Any]]:
    mine, python = (
        lambda w, h, xs, scan=scan: number(loop(scan, w, h, xs, **options))
        for scan in (nr.scan, python_scan)
    )
    return mine, python


def refuse_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise NotInKernel("not in this test")

    monkeypatch.setattr(program, "loop_region", refuse)


@pytest.fixture(params=["in kernels", "natively", "in Python"])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a loop is gone through."""
    if request.param != "in kernels":
        refuse_kernels(monkeypatch)
    if request.param == "in Python":
        monkeypatch.setattr(Cpu, "looped", lambda *args: None)
    monkeypatch.setattr(program, "PROGRAMS", Recent(2**24))


@EACH
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("jitted", [False, True])
def test_values(loop: Any, reverse: bool, jitted: bool, way: None) -> None:
    run = lambda w, h, xs: loop(nr.scan, w, h, xs, reverse=reverse)
    want = loop(python_scan, nr.asarray(W), nr.asarray(H), nr.asarray(XS), reverse=reverse)
    same((nr.jit(run) if jitted else run)(*map(nr.asarray, (W, H, XS))), want)


@EACH
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients(loop: Any, reverse: bool, way: None) -> None:
    mine, python = both(loop, reverse=reverse)
    for argnum in range(3):
        grads = [nr.jit(nr.grad(f, argnum)) for f in (mine, python)]
        same(grads[0](W, H, XS), grads[1](W, H, XS))


@EACH
def test_directions(loop: Any) -> None:
    for f in (recurrent, loop):
        tangents = (W * 0.3, H + 1, XS * XS)
        outs = []
        for scan in (nr.scan, python_scan):
            run = lambda w, h, xs, scan=scan, f=f: [
                x for x in nr.tree.leaves(f(scan, w, h, xs)) if x.dtype.is_inexact
            ]
            outs.append(nr.jvp(run, (W, H, XS), tangents))
        same(*outs)


@EACH
def test_second_derivatives(loop: Any) -> None:
    """Reverse over reverse, forward over reverse, reverse over forward."""
    mine, python = both(loop)
    v = np.array([0.3, -1.0, 0.5])

    def orders(f: Any) -> Any:
        by_h = lambda h: f(W, h, XS)
        along = lambda h: nr.jvp(by_h, (h,), (v,))[1]
        back = lambda h: nr.sum(nr.grad(by_h)(h) * v)
        mixed = lambda w, h: nr.sum(nr.grad(lambda h: f(w, h, XS))(h) * v)
        return (
            nr.grad(back)(H),
            nr.jvp(nr.grad(by_h), (H,), (v,))[1],
            nr.grad(along)(H),
            nr.grad(mixed)(W, H),
        )

    same(nr.jit(lambda: orders(mine))(), nr.jit(lambda: orders(python))(), 1e-8)


def test_third_derivative() -> None:
    f = lambda a: nr.scan(lambda c, _: (a * c, None), 1.0, length=5)[0]
    assert nr.grad(nr.grad(nr.grad(f)))(2.0).item() == pytest.approx(60 * 4)


@EACH
@pytest.mark.parametrize("axes", [(0, None, None), (None, 0, None), (None, None, 1), (0, 0, 0)])
def test_batches(loop: Any, axes: Any) -> None:
    args = [
        x if a is None else np.stack([x, x + 1, -x], axis=a)
        for x, a in zip((W, H, XS), axes, strict=True)
    ]
    pick = lambda k: [
        x if a is None else np.take(x, k, axis=a) for x, a in zip(args, axes, strict=True)
    ]
    for f in (
        lambda w, h, xs: nr.tree.leaves(loop(nr.scan, w, h, xs)),
        lambda w, h, xs: nr.grad(both(loop)[0], (0, 1, 2))(w, h, xs),
    ):
        got = nr.jit(nr.vmap(f, in_axes=axes))(*args)
        rows = [f(*map(nr.asarray, pick(k))) for k in range(3)]
        same(got, [nr.stack(r) for r in zip(*map(nr.tree.leaves, rows), strict=True)], 1e-9)


def test_loops_within_loops() -> None:
    def table(scan: Any, x: Any) -> Any:
        def row(a: Any, x: Any) -> Any:
            b, ys = scan(lambda b, y: (nr.sin(b + a) * y, b), x, XS[:3, 0])
            return b, ys

        return number(scan(row, 0.5, x))

    x = XS[:, 1]
    for transform in (lambda f: f, nr.grad, nr.hessian):
        mine, python = (
            nr.jit(transform(lambda x, s=s: table(s, x))) for s in (nr.scan, python_scan)
        )
        same(mine(x), python(x), 1e-8)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_steps(n: int, way: None) -> None:
    xs = np.arange(float(n))
    last, ys = nr.scan(lambda c, x: (c + x, 2 * x), 1.5, xs)
    assert last.item() == 1.5 + xs.sum() and ys.tolist() == (2 * xs).tolist()
    assert (
        nr.grad(lambda a: nr.scan(lambda c, x: (c * a, x), a, xs)[0])(2.0).item() == (n + 1) * 2**n
    )
    assert nr.scan(lambda c, _: (c + 1, None), 0, length=n)[0].item() == n
    assert nr.map(lambda x: {"y": x + 1}, xs)["y"].shape == (n,)


@pytest.mark.parametrize("n", [1, 255, 256, 257, 5000])
def test_stretches(n: int) -> None:
    """A long loop is gone through in several, and what is carried has two places by turns."""
    fibonacci = lambda c, x: ((c[1], (c[0] + c[1]) % 10007), (c[0], x + c[1]))
    xs = np.arange(n)
    a, b, rows = 0, 1, []
    for x in xs:
        rows.append((a, x + b))
        a, b = b, (a + b) % 10007
    for reverse in (False, True):
        given = xs[::-1] if reverse else xs
        (p, q), ys = nr.scan(fibonacci, (0, 1), given, reverse=reverse)
        assert (p.item(), q.item()) == (a, b)
        want = np.array(rows)[::-1] if reverse else np.array(rows)
        np.testing.assert_array_equal(np.stack([y.numpy() for y in ys], 1), want)


def test_a_loop_is_gone_through_natively_where_its_body_is_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[Any] = []
    real = Cpu.looped
    refuse_kernels(monkeypatch)
    monkeypatch.setattr(program, "PROGRAMS", Recent(2**24))
    monkeypatch.setattr(Cpu, "looped", lambda *a: calls.append(real(*a)) or calls[-1])
    nr.jit(lambda x: nr.scan(lambda c, _: (nr.sin(c), c), x, length=3)[1])(1.25)
    nr.jit(lambda x: nr.while_loop(lambda c: c < 9, lambda c: c * 3, x))(1.25)
    assert len(calls) == 2 and None not in calls
    nr.jit(lambda x: nr.scan(lambda c, _: (nr.linalg.inv(c), None), x, length=3)[0])(np.eye(2))
    assert len(calls) == 2  # a library's call is no kernel


def test_threads_share_a_loop() -> None:
    f = nr.jit(lambda x: nr.scan(lambda c, x: (c * 0.5 + x, c), x[0], x)[1])
    xs = RNG.normal(size=(20, 300))
    want = [f(x).numpy() for x in xs]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            for got, w in zip(pool.map(lambda x: f(x).numpy(), xs), want, strict=True):
                np.testing.assert_array_equal(got, w)


def test_new_lengths_compile_nothing() -> None:
    f = nr.jit(nr.grad(lambda w, h, xs: number(recurrent(nr.scan, w, h, xs))))
    f(W, H, XS)
    before = nr.cache.info().kernels.misses if hasattr(nr.cache.info(), "kernels") else None
    for n in (9, 30, 500):
        f(W, H, RNG.normal(size=(n, 3)))
    after = nr.cache.info().kernels.misses if before is not None else None
    assert before == after


def test_integers_and_booleans_are_carried() -> None:
    def collatz(n: Any) -> Any:
        step = lambda n: nr.where(n % 2 == 0, n // 2, 3 * n + 1)
        return nr.while_loop(
            lambda c: c[0] != 1, lambda c: (step(c[0]), c[1] + 1, ~c[2]), (n, 0, False)
        )

    n, steps, odd = collatz(27)
    assert (n.item(), steps.item(), odd.item()) == (1, 111, True)
    steps = nr.jit(nr.vmap(lambda n: collatz(n)[1]))(np.arange(1, 30))
    assert steps.tolist() == [_collatz(n) for n in range(1, 30)]


def _collatz(n: int) -> int:
    count = 0
    while n != 1:
        n, count = (n // 2 if n % 2 == 0 else 3 * n + 1), count + 1
    return count


def test_while_forward_and_batched(way: None) -> None:
    def root(a: Any) -> Any:
        """Newton's method until it stands."""
        far = lambda x: nr.abs(x * x - a) > 1e-12 * a
        return nr.while_loop(far, lambda x: (x + a / x) / 2, a + 1)

    a = np.array([1.0, 2.0, 9.0, 1e6])
    np.testing.assert_allclose(nr.vmap(root)(a).numpy(), np.sqrt(a))
    value, slope = nr.jvp(root, (2.0,), (1.0,))
    assert value.item() == pytest.approx(2**0.5) and slope.item() == pytest.approx(0.5 / 2**0.5)
    slopes = nr.jit(nr.vmap(lambda a: nr.jvp(root, (a,), (1.0,))[1]))(a)
    np.testing.assert_allclose(slopes.numpy(), 0.5 / np.sqrt(a))
    shared = nr.vmap(lambda a, n: nr.fori_loop(0, n, lambda i, x: x * a, 1.0), (0, None))
    np.testing.assert_allclose(shared(a, nr.asarray(3)).numpy(), a**3)


def test_while_of_so_many_steps_at_most() -> None:
    def root(a: Any, steps: int = 12) -> Any:
        far = lambda c: nr.abs(c[0] * c[0] - a) > 1e-12 * a
        step = lambda c: ((c[0] + a / c[0]) / 2, c[1] + 1)
        return nr.while_loop(far, step, (a + 1, 0), max_steps=steps)

    a = np.array([1.0, 2.0, 9.0, 1e4])
    for x in a:
        assert root(x)[0].item() == pytest.approx(x**0.5) and root(x, 2)[1].item() == 2
        slope = nr.jit(nr.grad(lambda a: root(a)[0]))(x)
        assert slope.item() == pytest.approx(0.5 / x**0.5, rel=1e-9)
    both = nr.jit(nr.vmap(nr.grad(nr.grad(lambda a: root(a)[0]))))(a)
    np.testing.assert_allclose(both.numpy(), -0.25 * a**-1.5, rtol=1e-7)


def test_fori_loop() -> None:
    assert nr.fori_loop(2, 5, lambda i, x: x * 10 + i, 0).item() == 234
    assert nr.fori_loop(5, 2, lambda i, x: x + 1, 0).item() == 0
    f = nr.jit(lambda n, x: nr.fori_loop(0, n, lambda i, x: x * 2 + i, x))
    assert [f(n, 1.0).item() for n in range(4)] == [1.0, 2.0, 5.0, 12.0]
    g = nr.grad(lambda x: nr.fori_loop(0, 3, lambda i, y: nr.sin(y) * x, x))
    h = 1e-6
    value = lambda x: np.sin(np.sin(np.sin(x) * x) * x) * x
    assert g(0.7).item() == pytest.approx((value(0.7 + h) - value(0.7 - h)) / (2 * h), rel=1e-8)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 7, 8, 16, 33])
def test_associative_scan(n: int) -> None:
    x = RNG.normal(size=(n, 2))
    np.testing.assert_allclose(nr.associative_scan(nr.add, x).numpy(), x.cumsum(0), atol=1e-12)
    got = nr.associative_scan(nr.multiply, x.T, reverse=True, axis=1)
    np.testing.assert_allclose(got.numpy(), x[::-1].cumprod(0)[::-1].T, atol=1e-12)

    def affine(first: Any, second: Any) -> Any:
        return first[0] * second[0], first[1] * second[0] + second[1]

    _, b = nr.associative_scan(affine, (x[:, 0], x[:, 1]))
    want, s = [], 0.0
    for k in range(n):
        s = s * x[k, 0] + x[k, 1]
        want.append(s)
    np.testing.assert_allclose(b.numpy(), want, atol=1e-10)
    g = nr.grad(lambda x: nr.sum(nr.associative_scan(nr.add, x) ** 2))(x)
    np.testing.assert_allclose(g.numpy(), 2 * x.cumsum(0)[::-1].cumsum(0)[::-1], atol=1e-10)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8"])
def test_a_loop_counts_in_the_dtype_of_its_first_number(dtype: str) -> None:
    seen = []

    def body(i: nr.Array, x: nr.Array) -> nr.Array:
        seen.append(str(i.dtype))
        return x * i

    lower = np.dtype(dtype).type(1)
    f = lambda x: nr.fori_loop(lower, np.int64(5), body, x)
    assert nr.jit(f)(2.0) == 48
    assert nr.grad(f)(2.0) == 24
    assert set(seen) == {dtype}
    assert nr.fori_loop(lower, np.int32(1), body, 2.0) == 2
