"""Python's control flow rewritten: each construct compiled, against the plain function in Python."""

from __future__ import annotations

import asyncio
import functools
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import cloudpickle
import numpy as np
import pytest

import numr as nr

XS = np.array([0.4, -0.9, 1.2, 0.1])


def branch(x: float) -> float:
    if x > 1:
        y = 2 * x
    elif x > 0:
        y = x
    else:
        y = -x
    return y + 1


def early(x: float) -> float:
    if x > 1:
        return x
    if x < -1:
        return -x
    return x * x


def newton(x: float) -> float:
    guess = 1.0
    while abs(guess * guess - x) > 1e-12:
        guess = (guess + x / guess) / 2
    return guess


def counted(n: int) -> tuple[int, int]:
    i = total = 0
    while i < n:
        i += 1
        if i % 3 == 0:
            continue
        if total > 30:
            break
        total += i
    return i, total


def for_else(x: float) -> float:
    for k in range(6):  # noqa: B007
        x = x * 0.5
        if x < 0.1:
            break
    else:
        x = -x
    return x + k


def while_else(x: float) -> float:
    n = 0
    while n < 4:
        n += 1
        x = x - 1
        if x < 0:
            break
    else:
        x = 100 * x
    return x


def forever(x: float) -> float:
    while True:
        x = 0.5 * x
        if x < 0.3:
            return x


def named(x: float) -> float:
    while (y := x * 0.5) > 0.1:
        x = y - 0.01
    return x + y


def nested(n: int, x: float) -> float:
    for i in range(n):
        for j in range(i, n):
            if (i + j) % 2:
                continue
            if x > 50:
                return x
            x = x + i * j
        else:
            x = x * 1.5
    return -x


def logic(x: float, y: float) -> float:
    inside = 0 < x < 1 and not y > 1
    if inside or (x > 5 and y):
        return 1.0
    return 2.0 if x < 0 or y < -1 else 3.0


def swap(n: int) -> tuple[int, int]:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a, b


def largest(xs: Any) -> tuple[float, int]:
    best, where = xs[0], 0
    for i, x in enumerate(xs):
        if x > best:
            best, where = x, i
    return best, where


def pairs(xs: Any, n: int) -> float:
    total = 0.0
    for x, k in zip(xs, range(n)):  # noqa: B905
        total += x * k
    return total


def backwards(xs: Any, n: int) -> float:
    total = 0.0
    for x in reversed(xs):
        total = 0.5 * total + x
    for i in reversed(range(n)):
        total = 0.5 * total + i
    return total


def downwards(n: int) -> float:
    s = 0.0
    for i in range(n, -3, -2):
        s = 0.5 * s + i
    return s


def elements(xs: Any, n: int) -> Any:
    out = 0.0 * xs
    for i in range(n):
        if i % 2:
            out[i] = xs[i] ** 2
        else:
            out[i] += 1.0
    return out


def containers(x: float) -> Any:
    state = {"place": x, "speed": [0.0, 1.0]}
    while state["place"] < 5:
        state["speed"][0] = state["speed"][0] + 0.3
        state["place"] += state["speed"][0]
    return state


def carried_tuple(n: int) -> Any:
    state = (1.0, (2.0, 3))
    for i in range(n):
        a, (b, k) = state
        state = (b, (a + b * 0.1, k + i))
    return state


def over_numbers(x: float) -> tuple[float, float]:
    for step in (0.1, 0.2, 0.4):
        x += step
        if x > 1.3:
            break
    return x, step


def annotated(x: float) -> float:
    y: float = x
    z: float
    if y > 0:
        y: float = y * 2  # type: ignore[no-redef]
        z = y
    else:
        z = -y
    return z


def handled(x: float) -> float:
    if x > 0:
        try:
            y = {}["nothing"]
        except KeyError:
            y = x
        finally:
            y = 2 * x
    else:
        y = x
    return y


def matched(x: float, kind: str = "double") -> float:
    for _ in range(3):
        match kind:
            case "double" if kind:
                x = 2 * x if x < 3 else x
            case _:
                return x
    return x


def inner_list(x: float) -> Any:
    if x > 0:
        rows = []
        rows.append(x)
        rows.append(2 * x)
        y = rows
    else:
        y = [x, 0.0]
    return y


def helper_in_a_branch(x: float) -> float:
    if x > 0:
        import math

        def twice(v: float) -> float:
            return v * 2 if v > 1 else v + math.pi

        x = twice(x)
    return x


def over_table(table: Any) -> float:
    best = -np.inf
    for row in table:
        for v in row:
            best = v if v > best else best
    return best


def deletes(x: float) -> float:
    t = x
    if x > 0:
        del t
        t = 2.0
    return t


CASES: list[tuple[Callable[..., Any], list[tuple[Any, ...]]]] = [
    (branch, [(2.0,), (0.5,), (-3.0,)]),
    (early, [(2.0,), (0.5,), (-3.0,)]),
    (newton, [(2.0,), (9.0,)]),
    (counted, [(0,), (5,), (100,)]),
    (for_else, [(1.0,), (100.0,)]),
    (while_else, [(1.5,), (100.0,)]),
    (forever, [(1.0,), (100.0,)]),
    (named, [(1.0,), (0.1,)]),
    (nested, [(0, 1.0), (3, 1.0), (9, 1.0), (4, -60.0)]),
    (logic, [(0.5, 0.0), (0.5, 2.0), (6.0, 0.0), (6.0, 1.0), (-1.0, 3.0), (2.0, -2.0)]),
    (swap, [(0,), (10,)]),
    (largest, [(XS,), (-XS,)]),
    (pairs, [(XS, 0), (XS, 3), (XS, 9)]),
    (backwards, [(XS, 0), (XS, 4)]),
    (downwards, [(6,), (-5,)]),
    (elements, [(XS, 0), (XS, 3)]),
    (containers, [(0.0,), (9.0,)]),
    (carried_tuple, [(0,), (5,)]),
    (over_numbers, [(1.25,), (0.5,), (1.0,)]),
    (annotated, [(1.0,), (-1.0,)]),
    (handled, [(1.0,), (-1.0,)]),
    (matched, [(1.0,), (-1.0,)]),
    (deletes, [(1.0,), (-1.0,)]),
    (inner_list, [(1.0,), (-1.0,)]),
    (helper_in_a_branch, [(0.5,), (2.0,), (-1.0,)]),
    (over_table, [(XS.reshape(2, 2),)]),
]


@pytest.mark.parametrize(("f", "calls"), CASES, ids=[f.__name__ for f, _ in CASES])
def test_construct(f: Callable[..., Any], calls: list[tuple[Any, ...]]) -> None:
    g, rewritten = nr.jit(f, control_flow=True), nr.control_flow(f)
    for args in calls:
        want = nr.tree.leaves(f(*(x.copy() if isinstance(x, np.ndarray) else x for x in args)))
        got = nr.tree.leaves(g(*args))
        np.testing.assert_allclose([x.numpy() for x in got], want, rtol=1e-12)
        plain = rewritten(*(x.copy() if isinstance(x, np.ndarray) else x for x in args))
        for a, b in zip(nr.tree.leaves(plain), want, strict=True):
            assert type(a) is type(b)
            np.testing.assert_array_equal(a, b)


# -- what is known stays Python's -----------------------------------------------------------------


def test_order_of_effects_and_unbound_variables() -> None:
    def effects(log: list[Any], n: int) -> Any:
        for i in range(n):
            log.append(i)
            if i == 2:
                continue
            if i == 4:
                break
            log.append(-i)
        else:
            log.append("end")
        while log[-1] and (log.append("test") or True):
            log.append(0)
        value = log[0] or log.append("no") or 5
        return value if n else unknown  # noqa: F821

    for n in (3, 9):
        one: list[Any] = []
        other: list[Any] = []
        assert effects(one, n) == nr.control_flow(effects)(other, n)
        assert one == other

    def unbound(flag: bool) -> int:
        if flag:
            y = 1
        return y

    assert nr.control_flow(unbound)(True) == 1
    with pytest.raises(UnboundLocalError, match="'y'"):
        nr.control_flow(unbound)(False)

    def after_no_rounds() -> int:
        for i in range(0):  # noqa: B007
            pass
        return i

    with pytest.raises(UnboundLocalError, match="'i'"):
        nr.control_flow(after_no_rounds)()


def test_anything_may_change_where_python_decides() -> None:
    def f(x: Any, n: int, limit: int) -> Any:
        array, table, letters = np.zeros(4), {"a": 0}, bytearray(4)
        for i in range(n):
            array[i] = i
            letters[i] = 65 + i
            table["a"] += 1
            if i == limit:
                break
        return x * array.sum() + table["a"] + len(letters.strip(b"\0"))

    assert nr.control_flow(f)(2.0, 4, 2) == f(2.0, 4, 2) == 12.0
    assert nr.jit(lambda x: nr.control_flow(f)(x, 4, 2))(2.0).item() == 12.0


def test_a_round_that_is_taken_back_leaves_nothing() -> None:
    """The first round runs in Python until its `break` turns out to be traced."""

    def f(x: Any) -> Any:
        rows, counts, total = nr.zeros(3), {"n": 0}, np.zeros(2)
        for i in range(3):
            rows[i] = rows[i] + x
            counts["n"] += 1
            total += 1.0
            if x > 2:
                break
            x = x + 1
        return rows, counts, total

    for x in (0.0, 1.5, 5.0):
        for got, want in zip(
            nr.tree.leaves(nr.jit(f, control_flow=True)(x)), nr.tree.leaves(f(x)), strict=True
        ):
            np.testing.assert_array_equal(got, want)


def test_loops_python_knows_are_unrolled_and_see_numbers() -> None:
    seen = []

    @nr.jit(control_flow=True)
    def f(x: Any, table: Any) -> Any:
        for i in range(3):
            seen.append(i)
            if x > i:
                x = x - 0.25
        for name in sorted(table):
            x = x + table[name]
        return x

    assert f(1.5, {"a": 1.0, "b": 2.0}).item() == 4.0
    assert seen == [0, 1, 2]
    assert [type(i) for i in seen] == [int, int, int]


def test_known_arrays_decide_in_python() -> None:
    limit, weights = nr.asarray(2.0), nr.asarray([1.0, 2.0])
    seen = []

    @nr.jit(control_flow=True)
    def f(x: Any) -> Any:
        if limit > 1:
            seen.append("greater")
        for w in weights:
            seen.append(w.shape)
            x = x * w
        return x

    assert f(3.0).item() == 6.0
    assert seen == ["greater", (), ()]


def test_numbers_keep_yielding_to_arrays() -> None:
    @nr.jit(control_flow=True)
    def f(x: Any, n: Any) -> Any:
        s = 0.0
        for i in range(n):
            s = s + 0.5 * i
        k = 2.0 if n > 1 else 3.0
        return s * x, k * x, i * x if False else x

    assert [y.dtype for y in f(np.float32(1), 3)] == ["float32", "float32", "float32"]


# -- functions ------------------------------------------------------------------------------------


def test_closures_defaults_and_signatures() -> None:
    scale = 2.0

    def f(x: Any, /, offset: Any = 1.0, *rest: Any, sign: float = 1.0, **more: Any) -> Any:
        """What it is."""
        if x > 0:
            x = x * scale
        for r in rest:
            x = x + r
        return sign * (x + offset) + sum(more.values())

    g = nr.control_flow(f)
    assert g.__name__ == "f" and g.__doc__ == "What it is." and g.__wrapped__ is f
    assert g.__qualname__ == f.__qualname__ and g.__code__.co_filename == __file__
    assert g(1.0, 2.0, 3.0, sign=-1.0, a=0.5) == f(1.0, 2.0, 3.0, sign=-1.0, a=0.5)
    scale = 10.0
    assert g(1.0) == 11.0 and nr.jit(g)(1.0).item() == 11.0


def test_inner_functions_and_nonlocal() -> None:
    def f(x: Any, n: Any) -> Any:
        total = 0.0

        def add(value: Any) -> None:
            nonlocal total
            total = total + (value if value > 0 else -value)

        def power(base: Any, exponent: int) -> Any:
            return base if exponent == 1 else base * power(base, exponent - 1)

        for i in range(n):
            add(x - i)
        return power(total, 3)

    assert nr.jit(f, control_flow=True)(1.5, 4).item() == pytest.approx(f(1.5, 4))


def test_methods() -> None:
    class Base:
        def start(self) -> float:
            return 10.0

    class Counter(Base):
        def __init__(self) -> None:
            self.__step = 0.5

        @nr.jit(control_flow=True)
        def run(self, limit: Any) -> Any:
            x = super().start()
            while x < limit:
                x = x + self.__step
            return x

        def start(self) -> float:
            raise AssertionError

    counter = Counter()
    assert counter.run(11.7).item() == 12.0

    class Plain:
        def absolute(self, x: Any) -> Any:
            return x if x > 0 else -x

    assert nr.jit(Plain().absolute, control_flow=True)(-2.0).item() == 2.0


def nearly_nothing(x: Any) -> Any:
    return x + 1


def test_helpers_and_recursion() -> None:
    @nr.control_flow
    def relu(x: Any) -> Any:
        return x if x > 0 else 0.0 * x

    @nr.control_flow
    def descend(x: Any, depth: int) -> Any:
        if depth == 0:
            return x
        return descend(relu(x - 0.5), depth - 1)

    f = nr.jit(lambda x: descend(x, 3))
    assert [f(x).item() for x in (2.0, 0.7)] == [0.5, 0.0]
    straight = nr.control_flow(nearly_nothing)
    assert nr.control_flow(relu) is relu and nr.control_flow(straight) is straight
    assert nr.grad(relu)(2.0).item() == 1.0
    many = nr.vmap(nr.vmap(relu))(nr.asarray([[1.0, -1.0], [-2.0, 3.0]]))
    assert many.tolist() == [[1.0, 0.0], [0.0, 3.0]]


def test_decorator_with_options_and_pickling() -> None:
    @functools.partial(nr.jit, control_flow=True, static_argnames="n")
    def f(x: Any, n: int = 3) -> Any:
        for _ in range(n):
            if x > 10:
                break
            x = x * 2
        return x

    assert f(3.0).item() == 12.0 and f(3.0, n=1).item() == 6.0
    again = cloudpickle.loads(cloudpickle.dumps(f))
    assert again(3.0).item() == 12.0


def test_generators_and_coroutines_stay_pythons() -> None:
    def count(n: int) -> Iterator[int]:
        for i in range(n):
            if i != 1:
                yield i

    async def later(n: int) -> int:
        while n < 5:
            n += 1
            await asyncio.sleep(0)
        return n

    assert list(nr.control_flow(count)(4)) == [0, 2, 3]
    assert asyncio.run(nr.control_flow(later)(2)) == 5


def test_tracebacks_name_the_users_lines() -> None:
    def f(x: Any) -> Any:
        while x < 3:
            if x > 0:
                x = x + nothing  # noqa: F821
        return x

    with pytest.raises(NameError) as caught:
        nr.jit(f, control_flow=True)(1.0)
    lines = [e for e in traceback.extract_tb(caught.value.__traceback__) if e.filename == __file__]
    assert lines[-1].line == "x = x + nothing  # noqa: F821" and lines[-1].name == "f"


# -- derivatives and batches ----------------------------------------------------------------------


def slope(f: Callable[[float], float], x: float, h: float = 1e-6) -> float:
    return (f(x + h) - f(x - h)) / (2 * h)


def test_derivatives() -> None:
    def settle(x: float) -> float:
        y = 1.0
        for _ in range(30):
            new = 0.5 * (y + x / y)
            if abs(new - y) < 1e-13:
                return new * x
            y = new
        return y * x

    for f, points in ((branch, (2.0, 0.5, -3.0)), (early, (2.0, 0.5, -3.0)), (settle, (2.0, 9.0))):
        g = nr.control_flow(f)
        for x in points:
            for derivative in (
                nr.grad(g),
                nr.jit(nr.grad(g)),
                lambda x, g=g: nr.jvp(g, (x,), (1.0,))[1],
            ):
                assert derivative(x).item() == pytest.approx(slope(f, x), rel=1e-7)
    assert nr.grad(nr.grad(nr.control_flow(settle)))(2.0).item() == pytest.approx(0.75 / 2**0.5)
    forward = nr.jvp(nr.control_flow(newton), (2.0,), (1.0,))[1]
    assert forward.item() == pytest.approx(0.5 / 2**0.5)


@pytest.mark.parametrize("f", [branch, early, newton, forever, for_else, while_else])
def test_batches(f: Callable[[float], Any]) -> None:
    xs = np.array([2.0, 0.5, 3.0, 40.0])
    got = nr.jit(nr.vmap(nr.control_flow(f)))(xs)
    np.testing.assert_allclose(got.numpy(), [f(x) for x in xs.tolist()], rtol=1e-12)


def test_rows_of_a_matrix() -> None:
    def walk(rows: Any, start: Any) -> Any:
        place = start
        for row in rows:
            if nr.sum(row) > 0:
                place = place + row
            if nr.sum(place) > 4:
                break
        return place

    rows = np.random.default_rng(0).normal(size=(20, 2))
    want = np.zeros(2)
    for row in rows:
        want = want + row if row.sum() > 0 else want
        if want.sum() > 4:
            break
    np.testing.assert_allclose(nr.jit(walk, control_flow=True)(rows, np.zeros(2)).numpy(), want)
    total = nr.jit(nr.grad(lambda s: nr.sum(nr.control_flow(walk)(rows, s))))
    assert total(np.zeros(2)).tolist() == [1.0, 1.0]


def test_a_loop_of_known_length_becomes_small() -> None:
    """A `break` on a traced value makes one loop of the graph, not copies."""

    def f(x: Any) -> Any:
        for _ in range(10_000):
            x = x * 0.999
            if x < 0.5:
                break
        return x

    assert len(str(nr.jit(f, control_flow=True).lower(1.0).graph)) < 3000
    assert nr.jit(f, control_flow=True)(1.0).item() == pytest.approx(f(1.0))
