"""Loops inside one kernel: which they are, and their values at all sizes, dtypes and ways of being cut up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen import heuristics, lowered, program, repeat
from numr.codegen.emit import Emitter
from numr.codegen.kernel import Literal
from numr.codegen.recent import Recent
from numr.codegen.region import ExprBuilder, Region
from numr.codegen.schedule import Schedule
from numr.dtypes import int32, int64

RNG = np.random.default_rng(5)
SIZES = [0, 1, 2, 15, 16, 17, 127, 128, 129, 1000]


def steps_of(f: Callable[..., Any], *args: Any) -> str:
    return str(nr.jit(f).lower(*args).program)


def in_one_kernel(f: Callable[..., Any], *args: Any) -> bool:
    """Whether no loop of a function is a loop of its program."""
    text = steps_of(f, *args)
    return " of\n" not in text


def close(got: Any, want: Any, rtol: float = 1e-12) -> None:
    got = [g.numpy() for g in nr.tree.leaves(got)]
    want = [np.asarray(w) for w in want]
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        assert g.shape == w.shape
        np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol)


@pytest.fixture(params=["whole", "in pieces", "lane by lane"])
def cut(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a kernel's rounds and lanes are gone through."""
    monkeypatch.setattr(program, "PROGRAMS", Recent(2**24))
    if request.param == "in pieces":
        monkeypatch.setattr(lowered, "STRETCH", 1)
        monkeypatch.setattr(repeat, "FEWEST_ROUNDS", 2)
        monkeypatch.setattr(repeat, "GROWTH", 1)
    if request.param == "lane by lane":
        monkeypatch.setattr(heuristics, "LANES_TOGETHER", 1 << 40)


def pendulum(x: Any, v: Any, xs: Any = None) -> Any:
    """What each lane carries, what all share, rows of both kinds, and rows that are read."""

    def step(carry: Any, row: Any) -> Any:
        x, v, time = carry
        v = v - 0.1 * nr.sin(x) + row * time
        x = x + 0.1 * v
        return (x, v, time + 0.01), (x * v, time)

    return nr.scan(step, (x, v, 0.0), xs)


def pendulum_in_numpy(x: Any, v: Any, xs: Any) -> Any:
    time, rows, times = 0.0, [], []
    for row in xs:
        v = v - 0.1 * np.sin(x) + row * time
        x = x + 0.1 * v
        times.append(time)
        rows.append(x * v)
        time += 0.01
    empty = np.zeros((0, *np.shape(x)))
    return x, v, time, np.stack(rows) if rows else empty, np.array(times)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_lanes(n: int, steps: int, cut: None) -> None:
    x, v, xs = RNG.normal(size=n), RNG.normal(size=n), RNG.normal(size=(steps, n))
    assert in_one_kernel(pendulum, x, v, xs)
    close(nr.jit(pendulum)(x, v, xs), pendulum_in_numpy(x, v, xs))


@pytest.mark.parametrize("shape", [(3, 4), (17, 33), (1, 130), (130, 1), (5, 6, 7)])
def test_lanes_of_several_axes(shape: Any, cut: None) -> None:
    x, v, xs = RNG.normal(size=shape), RNG.normal(size=shape), RNG.normal(size=(5, *shape))
    assert in_one_kernel(pendulum, x, v, xs)
    close(nr.jit(pendulum)(x, v, xs), pendulum_in_numpy(x, v, xs))
    # An operand under a view that no loop over memory walks.
    flipped = lambda x, v, xs: pendulum(nr.moveaxis(x, 0, -1), nr.moveaxis(v, 0, -1), xs)
    other = np.moveaxis(x, 0, -1), np.moveaxis(v, 0, -1)
    rows = RNG.normal(size=(5, *other[0].shape))
    close(nr.jit(flipped)(x, v, rows), pendulum_in_numpy(*other, rows))


@pytest.mark.parametrize("n", [1, 16, 130])
def test_a_small_state_for_each_lane(n: int, cut: None) -> None:
    w = RNG.normal(size=(3, 3)) / 2

    def run(h: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            new = nr.tanh(w @ h + x[::-1])
            return nr.concat([new[1:], new[:1]]), (nr.sum(new), nr.max(new), new)

        return nr.scan(step, h, xs, reverse=True)

    h, xs = RNG.normal(size=(n, 3)), RNG.normal(size=(n, 4, 3))
    batched = nr.vmap(run)
    assert in_one_kernel(batched, h, xs)
    got = nr.jit(batched)(h, xs)
    for k in range(n):
        state, rows = h[k], []
        for x in xs[k][::-1]:
            new = np.tanh(w @ state + x[::-1])
            state = np.roll(new, -1)
            rows.append((new.sum(), new.max(), new))
        want = [state, *(np.stack(r[::-1]) for r in zip(*rows, strict=True))]
        close(nr.tree.map(lambda x, k=k: x[k], got), want)


def escape(x: Any, y: Any, most: int = 300) -> Any:
    def inside(s: Any) -> Any:
        return (s[0] * s[0] + s[1] * s[1] <= 4.0) & (s[2] < most)

    def step(s: Any) -> Any:
        return s[0] * s[0] - s[1] * s[1] + x, 2.0 * s[0] * s[1] + y, s[2] + 1

    return nr.while_loop(inside, step, (0.0, 0.0, 0))


def escape_in_python(x: float, y: float, most: int = 300) -> Any:
    a = b = 0.0
    n = 0
    while a * a + b * b <= 4.0 and n < most:
        a, b, n = a * a - b * b + x, 2.0 * a * b + y, n + 1
    return a, b, n


@pytest.mark.parametrize("shape", [(), (1,), (17,), (12, 11)])
def test_each_lane_goes_round_as_often_as_it_needs(shape: Any, cut: None) -> None:
    x, y = RNG.uniform(-2, 0.6, shape), RNG.uniform(-1.2, 1.2, shape)
    f: Any = escape
    for _ in shape:
        f = nr.vmap(f)
    assert in_one_kernel(f, x, y)
    want = np.vectorize(escape_in_python)(x, y)
    got = nr.jit(f)(x, y)
    np.testing.assert_array_equal(got[2].numpy(), want[2])
    close(got[:2], want[:2])


def test_a_loop_that_never_begins(cut: None) -> None:
    f = lambda x: nr.while_loop(lambda c: c[0] < 0.0, lambda c: (c[0] - 1.0, c[1] * 0.0), (x, x))
    x = np.array([1.0, np.nan, -0.0, np.inf])
    close(nr.jit(nr.vmap(f))(x), [x, x])
    assert np.signbit(nr.jit(f)(-0.0)[1].numpy())


def test_derivatives_of_lanes(cut: None) -> None:
    def newton(a: Any) -> Any:
        return nr.while_loop(
            lambda x: abs(x * x - a) > 1e-12 * a, lambda x: 0.5 * (x + a / x), 1.0 + 0.1 * a
        )

    a = RNG.uniform(1, 200, 37)
    slope = nr.vmap(lambda a: nr.jvp(newton, (a,), (nr.asarray(1.0),))[1])
    assert in_one_kernel(slope, a)
    close(nr.jit(slope)(a), [0.5 / np.sqrt(a)], 1e-9)

    def bounded(a: Any) -> Any:
        return nr.while_loop(
            lambda x: abs(x * x - a) > 1e-12 * a,
            lambda x: 0.5 * (x + a / x),
            1.0 + 0.1 * a,
            max_steps=40,
        )

    for f, want in (
        (nr.grad(bounded), 0.5 * a**-0.5),
        (nr.grad(nr.grad(bounded)), -0.25 * a**-1.5),
    ):
        assert in_one_kernel(nr.vmap(f), a)
        close(nr.jit(nr.vmap(f))(a), [want], 1e-6)


@pytest.mark.parametrize(
    "dtype", ["complex128", "complex64", "float32", "float16", "int32", "uint8"]
)
def test_dtypes(dtype: str, cut: None) -> None:
    x = (RNG.uniform(0.5, 1.5, size=(37, 2)) * (3 if np.dtype(dtype).kind in "iu" else 1)).astype(
        dtype
    )
    if np.dtype(dtype).kind == "c":
        x += (1j * RNG.normal(size=(37, 2))).astype(dtype)

    def run(x: Any) -> Any:
        def step(c: Any, _: Any) -> Any:
            z, flag, n = c
            new = z * z * x[::-1] - x
            return (new, flag ^ (n % 2 == 0), n + 1), (z, flag)

        return nr.scan(step, (x, True, 0), length=3)

    want = nr.jit(nr.vmap(run), device="reference")(x)
    got = nr.jit(nr.vmap(run))(x)
    assert in_one_kernel(nr.vmap(run), x)
    for g, w in zip(nr.tree.leaves(got), nr.tree.leaves(want), strict=True):
        assert g.dtype == w.dtype
        rtol = {2: 2e-2, 4: 1e-5}.get(np.zeros(1, dtype).real.itemsize, 1e-12)
        np.testing.assert_allclose(g.numpy(), w.numpy(), rtol=rtol, atol=rtol)


def test_what_is_swapped_is_not_lost(cut: None) -> None:
    def run(x: Any) -> Any:
        step = lambda c, _: ((c[1], c[2], c[0]), c[0])
        return nr.scan(step, (x, 2 * x, 3 * x), length=4)

    for x in (1.5, RNG.normal(size=40)):
        close(nr.jit(run)(x), [2 * x, 3 * x, x, np.stack([x, 2 * x, 3 * x, x])])


def test_elements_by_a_number_that_is_carried(cut: None) -> None:
    table = RNG.normal(size=11)

    def run(c: Any) -> Any:
        step = lambda c, t: (c + nr.asarray(table)[(t * 7) % 11] + c[t % 3], c[(t + 1) % 3])
        return nr.scan(step, c, nr.arange(9))

    c = RNG.normal(size=(20, 3))
    assert in_one_kernel(nr.vmap(run), c)
    want, rows = c.copy(), []
    for t in range(9):
        rows.append(want[:, (t + 1) % 3].copy())
        want = want + table[(t * 7) % 11] + want[:, [t % 3]]
    close(nr.jit(nr.vmap(run))(c), [want, np.stack(rows, 1)])


@pytest.mark.parametrize("dear", [False, True])
def test_branches(dear: bool, cut: None) -> None:
    work = (lambda x: nr.sin(nr.exp(-x * x))) if dear else (lambda x: 2.0 * x)
    plain = (lambda x: np.sin(np.exp(-x * x))) if dear else (lambda x: 2.0 * x)

    def step(c: Any, t: Any) -> Any:
        x, n = c
        y = nr.cond(x > 0.3, work, lambda x: x + 0.25, x)
        z = nr.switch(t % 3, [nr.cos, lambda x: x, lambda x: nr.tanh(x) * work(x)], y)
        return (z, n + nr.where(z > y, 1, 0)), y

    def run(x: Any) -> Any:
        return nr.scan(step, (x, 0), nr.arange(8))

    def python(x: float) -> Any:
        n, rows = 0, []
        for t in range(8):
            y = plain(x) if x > 0.3 else x + 0.25
            z = [np.cos, lambda x: x, lambda x: np.tanh(x) * plain(x)][t % 3](y)
            rows.append(y)
            x, n = z, n + (z > y)
        return x, n, rows

    for shape in ((), (21,)):
        x = RNG.normal(size=shape)
        f = nr.vmap(run) if shape else run
        assert in_one_kernel(f, x)
        found = [python(v) for v in np.ravel(x)]
        want = [
            np.reshape([r[k] for r in found], (*shape, *s)) for k, s in enumerate(((), (), (8,)))
        ]
        close(nr.jit(f)(x), want)


@pytest.mark.parametrize(
    ("step", "x", "why"),
    [
        (lambda c: c + nr.roll(c, 1), np.ones(100), "a step needs what its neighbours carry"),
        (lambda c: c / nr.sum(c), np.ones(100), "sum goes over more than the numbers of one point"),
        (lambda c: nr.sort(c), np.ones(3), "is no arithmetic of elements"),
        (lambda c: c + c[::-1], np.ones(65), "a step needs what its neighbours carry"),
        (
            lambda c: c + c.T[::-1],
            np.ones((9, 9)),
            "what is carried goes over more than 64 numbers",
        ),
        (lambda c: c * 0.5, np.ones(100), "inside one kernel:"),
    ],
    ids=["neighbours", "sum", "library", "reversed", "numbers", "none"],
)
def test_why_a_loop_is_no_kernel(step: Any, x: Any, why: str) -> None:
    f = nr.jit(lambda x: nr.fori_loop(0, 4, lambda _, c: step(c), x))
    assert why in str(nr.explain(f, x))
    want = nr.asarray(x)
    for _ in range(4):
        want = step(want)
    close(f(x), [want.numpy()])


def test_lanes_of_several_arguments_are_of_one_length() -> None:
    def one(x: Any, v: Any, length: Any) -> Any:
        step = lambda i, s: (s[0] + 0.1 * s[1], s[1] - 0.1 * nr.sin(s[0]) / length)
        return nr.fori_loop(0, 10, step, (x, v))

    args = [RNG.uniform(1, 2, 50) for _ in range(3)]
    f = nr.vmap(one)
    assert in_one_kernel(f, *args)
    x, v, length = args
    for _ in range(10):
        x, v = x + 0.1 * v, v - 0.1 * np.sin(x) / length
    close(nr.jit(f)(*args), [x, v])


def test_new_sizes_compile_nothing() -> None:
    f = nr.jit(nr.vmap(nr.grad(lambda a, b: nr.fori_loop(0, 5, lambda i, c: nr.sin(c) * b, a))))
    f(RNG.normal(size=70), RNG.normal(size=70))
    before = nr.cache.info().kernels.misses
    for n in (65, 99, 128):
        f(RNG.normal(size=n), RNG.normal(size=n))
    assert nr.cache.info().kernels.misses == before


@pytest.mark.parametrize("name", ["scan", "while"])
def test_steps_are_checked_with_the_rounding_errors_of_all_rounds(name: str) -> None:
    w = RNG.normal(size=(5, 5)) / 2
    x = RNG.normal(size=(40, 5))
    with nr.config.override(check=True):
        if name == "scan":
            f = nr.grad(
                lambda h: nr.sum(nr.scan(lambda h, _: (nr.tanh(w @ h), None), h, length=30)[0])
            )
        else:
            f = lambda h: nr.while_loop(
                lambda c: c[1] < 30, lambda c: (nr.tanh(w @ c[0]) + c[0], c[1] + 1), (h, 0)
            )[0]
        nr.jit(nr.vmap(f))(x)


def implicit(x: Any, steps: int = 5) -> Any:
    """Backward Euler: Newton's iteration inside every step."""

    def step(x: Any, _: Any) -> Any:
        newton = lambda y: y - (y - x + 0.3 * y**3) / (1.0 + 0.9 * y * y)
        y = nr.while_loop(lambda y: abs(y - x + 0.3 * y**3) > 1e-12, newton, x, max_steps=50)
        return y, None

    return nr.scan(step, x, length=steps)[0]


def implicit_in_python(x: float, steps: int = 5) -> float:
    for _ in range(steps):
        y = x
        while abs(y - x + 0.3 * y**3) > 1e-12:
            y = y - (y - x + 0.3 * y**3) / (1.0 + 0.9 * y * y)
        x = y
    return x


def powers(a: Any, n: int) -> Any:
    """A matrix product by loops in loops, over a state of four numbers."""

    def multiply(c: Any, k: Any) -> Any:
        def add(i: Any, total: Any) -> Any:
            return total + c[:, i][:, None] * a[i][None, :] * (1.0 + 0.1 * k)

        return nr.fori_loop(0, a.shape[0], add, nr.zeros_like(c)), nr.sum(c)

    return nr.scan(multiply, nr.eye(2), nr.arange(float(n)))


@pytest.mark.parametrize("n", [None, 1, 130])
def test_loops_inside_loops(n: Any, cut: None) -> None:
    x = RNG.uniform(-3, 3, () if n is None else n)
    f = implicit if n is None else nr.vmap(implicit)
    assert in_one_kernel(f, x)
    close(nr.jit(f)(x), [np.vectorize(implicit_in_python)(x)], 1e-10)
    slope = nr.grad(implicit) if n is None else nr.vmap(nr.grad(implicit))
    h = 1e-6
    want = (np.vectorize(implicit_in_python)(x + h) - np.vectorize(implicit_in_python)(x - h)) / (
        2 * h
    )
    np.testing.assert_allclose(nr.jit(slope)(x).numpy(), want, rtol=1e-6)
    a = RNG.normal(size=(2, 2) if n is None else (n, 2, 2))
    g = (lambda a: powers(a, 6)) if n is None else nr.vmap(lambda a: powers(a, 6))
    assert in_one_kernel(g, a)
    c, sums = np.broadcast_to(np.eye(2), a.shape), []
    for k in range(6):
        sums.append(c.sum((-1, -2)))
        c = c @ a * (1.0 + 0.1 * k)
    close(nr.jit(g)(a), [c, np.stack(sums, -1)])


def test_rounds_that_would_change_nothing_are_left_out() -> None:
    """A loop with `max_steps` ends when it has ended."""
    f = nr.jit(lambda x: nr.while_loop(lambda x: x < 8.0, lambda x: x * 2.0, x, max_steps=1 << 40))
    assert f(1.0).item() == 8.0
    assert f(np.nan).numpy() != f(np.nan).numpy()
    assert nr.jit(nr.vmap(lambda x: f(x)))(np.array([0.5, 3.0, 9.0])).tolist() == [8.0, 12.0, 9.0]
    # But not where a round may change something after one that did not.
    skips = nr.jit(
        lambda x: nr.fori_loop(
            0, 6, lambda i, c: nr.cond(i % 2 == 0, lambda c: c + 1.0, lambda c: c, c), x
        )
    )
    assert skips(0.5).item() == 3.5
    rows = nr.array([0.0, 1.0, 0.0, 1.0])
    taken = nr.jit(lambda x: nr.scan(lambda c, r: (nr.where(r > 0, c + r, c), None), x, rows)[0])
    assert taken(0.5).item() == 2.5


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_share_lanes_of_very_different_trip_counts(threads: int) -> None:
    counts = np.concatenate([np.zeros(3000, int), np.arange(3000), np.full(7, 20_000)])
    with nr.config.override(num_threads=threads):
        halves = nr.jit(
            nr.vmap(
                lambda n: nr.while_loop(
                    lambda c: c[1] < n, lambda c: (c[0] + 0.5, c[1] + 1), (0.0, 0)
                )
            )
        )
        for _ in range(5):
            total, n = halves(counts)
            np.testing.assert_array_equal(n.numpy(), counts)
            np.testing.assert_array_equal(total.numpy(), 0.5 * counts)


def test_a_dear_side_that_alone_needs_what_is_carried(cut: None) -> None:
    dear = lambda y: nr.sin(nr.exp(-y * y)) * nr.tanh(y)

    def run(x: Any) -> Any:
        step = lambda c, _: ((nr.where(c[0] > 0.3, dear(c[1]), c[0] + 0.1), c[0]), None)
        return nr.scan(step, (x, 2 * x), length=9)[0]

    inside = lambda x: nr.scan(lambda c, _: (run(c)[0], None), x, length=6)[0]
    for f in (run, inside):
        assert in_one_kernel(f, 0.2)
        want = nr.jit(f, device="reference")(0.2)
        close(nr.jit(f)(0.2), [w.numpy() for w in nr.tree.leaves(want)])


@pytest.mark.parametrize("kind", ["lanes", "shared", "products", "branches"])
def test_long_bodies(kind: str) -> None:
    """Neither recursion nor time is that of a step's length to some power."""
    w = np.array([[0.6, -0.2], [0.1, 0.7]])

    def work(x: Any) -> Any:
        for k in range(40 if kind == "products" else 50 if kind == "branches" else 250):
            if kind == "products":
                x = w @ x
            elif kind == "branches":
                x = nr.cond(x > 0.5, lambda x: 0.7 * nr.sin(nr.exp(x)), lambda x: x + 0.1, x)
            else:
                x = 0.9 * x + 0.01 * k
        return x

    def run(x: Any) -> Any:
        step = lambda c, _: ((0.1 * c[0] + c[1], work(c[1])), None)
        return nr.scan(step, (x, 0.1 if kind == "shared" else x), length=3)[0]

    x = np.ones(2) if kind == "products" else np.array(0.4) if kind == "branches" else np.ones(20)
    assert in_one_kernel(run, x)
    want = nr.jit(run, device="reference")(x)
    close(nr.jit(run)(x), [v.numpy() for v in nr.tree.leaves(want)])


def test_a_known_number_is_cast_before_there_is_a_kernel() -> None:
    """WGSL's compiler refuses an int64 literal as an int32."""
    builder = ExprBuilder()
    emitter = Emitter(builder, Region((), ()), Schedule("points"))
    number = emitter.value(builder.cast(builder.const(-1, int64), int32))
    assert number == Literal(-1, int32) and not emitter.scopes[0].body
