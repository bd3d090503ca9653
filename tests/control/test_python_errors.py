"""What Python's control flow says of what it cannot rewrite: the variable, the reason, and the user's line."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import ControlFlowError, NotDifferentiableError, TracedValueError

XS = np.ones(3)
SHARED: list[Any] = []
STATE = SimpleNamespace(value=1.0)
COUNT = 0


def said(f: Callable[..., Any], *args: Any, error: type[Exception] = ControlFlowError) -> str:
    with pytest.raises(error) as caught:
        nr.jit(f, control_flow=True)(*args)
    return str(caught.value)


def one_way(x: Any) -> Any:
    if x > 0:
        y = x
    return y  # HERE


def shapes(x: Any) -> Any:
    if x > 0:  # HERE
        y = nr.ones(2)
    else:
        y = nr.ones(3)
    return y


def structures(x: Any) -> Any:
    y = (x, x)
    if x > 0:  # HERE
        y = [x, x]
    return y


def strings(x: Any) -> Any:
    if x > 0:  # HERE
        kind = "positive"
    else:
        kind = "negative"
    return kind, x


def grows(n: Any, xs: Any) -> Any:
    total = 0
    for _ in range(n):  # HERE
        total = total + xs
    return total


def dtype(n: Any) -> Any:
    half = n
    while half > 1:  # HERE
        half = half / 2
    return half


def becomes_array(xs: Any) -> Any:
    best = None
    for x in xs:  # HERE
        best = x
    return best


def no_round(x: Any) -> Any:
    while x > 0:
        last = x
        x = x - 1
    return last  # HERE


def no_item(n: Any) -> Any:
    for i in range(n):  # noqa: B007
        pass
    return i  # HERE


def first_round(xs: Any) -> Any:
    for x in xs:
        if x > 1:
            previous = previous + x  # HERE  # noqa: F821, F841
    return x


def appends(xs: Any) -> Any:
    rows = []
    for x in xs:
        rows.append(x)  # HERE
    return rows


def appends_elsewhere(xs: Any) -> Any:
    for x in xs:
        SHARED.append(x)  # HERE
    return xs


def attribute(x: Any) -> Any:
    if x > 0:
        STATE.value = x  # HERE
    return x


def global_variable(x: Any) -> Any:
    global COUNT
    if x > 0:
        COUNT = 1  # HERE
    return x


def nonlocal_variable(x: Any) -> Any:
    count = 0

    def inner() -> Any:
        nonlocal count
        if x > 0:
            count = 1  # HERE
        return x

    return inner() + count


def raises(x: Any) -> Any:
    if x > 0:
        raise ValueError("positive")  # HERE
    return x


def tries(x: Any) -> Any:
    try:
        if x > 0:  # HERE
            x = -x
    except ValueError:
        pass
    return x


def withs(x: Any) -> Any:
    with nullcontext():
        while x > 0:  # HERE
            x = x - 1
    return x


def asserts(x: Any) -> Any:
    assert x > 0  # HERE
    return x


def matches(x: Any) -> Any:
    match x:  # HERE
        case 1:
            return x
    return -x


def comprehension(x: Any) -> Any:
    return [x for v in range(3) if x > v]  # HERE


def generator(x: Any) -> Any:
    def each() -> Any:
        if x > 0:  # HERE
            yield x

    return list(each())


def endless(x: Any) -> Any:
    for k in itertools.count():  # HERE
        if x < k:
            break
    return x


def nothing_returned(x: Any) -> Any:  # HERE
    if x > 0:
        return x


def many(xs: Any) -> Any:
    if xs > 0:  # HERE
        return xs
    return -xs


def many_and(xs: Any) -> Any:
    return xs > 0 and xs < 2  # HERE


def factorial(n: Any) -> Any:
    if n <= 1:  # HERE
        return 1
    return n * nr.control_flow(factorial)(n - 1)


def numpys(x: Any) -> Any:
    out = np.zeros(3)
    if x > 0:  # HERE
        out[0] = 1.0
    return out


def sets_unknown(x: Any) -> Any:
    table = memoryview(bytearray(3))
    if x > 0:  # HERE
        table[0] = 1
    return x


def fill(u: Any) -> None:
    u[0] = 1.0  # HERE


def changed_by_a_helper(x: Any) -> Any:
    u = nr.zeros(2)
    if x > 0:
        fill(u)
    return u


def values_differ(x: Any) -> Any:
    return x if x > 0 else (x, x)  # HERE


def fractional(x: Any) -> Any:
    for _ in range(x):  # HERE
        x = x + 1
    return x


ERRORS: list[tuple[Callable[..., Any], tuple[Any, ...], tuple[str, ...]]] = [
    (one_way, (1.0,), ("`y` has no value here", "on one way only", "give `y` a value")),
    (
        shapes,
        (1.0,),
        ("`y` differs", "shape (2,) float64 if it holds, shape (3,) float64 otherwise"),
    ),
    (structures, (1.0,), ("`y` differs", "[*, *] if it holds, (*, *) otherwise")),
    (strings, (1.0,), ("`kind` differs", "'positive' if it holds, 'negative' otherwise")),
    (
        grows,
        (3, XS),
        ("`total` changes in a traced `for`", "shape () int64 before", "(3,) float64 after"),
    ),
    (dtype, (np.int64(5),), ("`half` changes in a traced `while`", "() int64 before a round")),
    (
        becomes_array,
        (XS,),
        ("`best` changes in a traced `for`: None before a round", "shape () float64"),
    ),
    (no_round, (3.0,), ("`last` has no value here", "the traced `while` above", "not once")),
    (no_item, (3,), ("`i` has no value here", "the traced `for` above", "not once")),
    (first_round, (XS,), ("`previous` has no value here", "in its first round")),
    (appends, (XS,), ("rows.append() inside a traced `for`", "rows[i] = value", "numr.scan")),
    (appends_elsewhere, (XS,), ("SHARED.append() inside a traced `for`",)),
    (attribute, (1.0,), ("STATE.value inside a traced `if`", "use a variable, and assign it")),
    (global_variable, (1.0,), ("the global `COUNT` is assigned inside a traced `if`",)),
    (nonlocal_variable, (1.0,), ("the nonlocal `count` is assigned inside a traced `if`",)),
    (raises, (1.0,), ("`raise` inside a traced `if`", "return a flag")),
    (tries, (1.0,), ("a traced `if` inside `try`", "move the `if` out")),
    (withs, (1.0,), ("a traced `while` inside `with`", "move the `while` out")),
    (asserts, (1.0,), ("the test of `assert` is a traced value", "return the condition")),
    (matches, (1.0,), ("the subject of `match` is a traced value", "if and elif")),
    (comprehension, (1.0,), ("the test in a comprehension is a traced value", "numr.where")),
    (generator, (1.0,), ("the test in a generator is a traced value", "yield what it returns")),
    (endless, (1.0,), ("leaves a loop over a count", "range(n)")),
    (
        nothing_returned,
        (1.0,),
        ("nothing_returned returns shape () float64 on one way", "end it with a"),
    ),
    (many, (XS,), ("`if` decides by one boolean, not by an array of shape (3,)", "numr.where")),
    (many_and, (XS,), ("`and` decides by one boolean", "& | ~")),
    (factorial, (5,), ("a recursion inside a traced `if` does not end", "write it as a loop")),
    (numpys, (1.0,), ("`out` is a NumPy array", "out = numr.asarray(out)")),
    (sets_unknown, (1.0,), ("`table` is a memoryview", "numr arrays, lists and dicts")),
    (changed_by_a_helper, (1.0,), ("an array inside a traced `if` changes", "x[i] = v")),
    (values_differ, (1.0,), ("the conditional expression differs", "shape () float64 if it holds")),
]


@pytest.mark.parametrize(("f", "args", "facts"), ERRORS, ids=[f.__name__ for f, *_ in ERRORS])
def test_error(f: Callable[..., Any], args: tuple[Any, ...], facts: tuple[str, ...]) -> None:
    text = said(f, *args)
    for fact in facts:
        assert fact in text, text
    assert "test_python_errors.py:" in text.splitlines()[1], text
    where = fill if f is changed_by_a_helper else f
    line = text.splitlines()[2].strip()
    assert "# HERE" in line, f"{where.__name__}: {line}"


def test_ranges_need_integers() -> None:
    assert "range() needs integers" in said(fractional, 2.5, error=TypeError)


def test_what_has_no_source() -> None:
    wrapped = nr.grad(one_way)
    made: dict[str, Any] = {}
    exec("def f(x):\n    return x", made)
    for f, why in (
        (lambda x: x, "a lambda's source"),
        (abs, "has no source of its own"),
        (wrapped, "rewrite the function within"),
        (made["f"], "its source cannot be found"),
    ):
        with pytest.raises(ControlFlowError, match=why) as caught:
            nr.control_flow(f)
        assert "test_python_errors.py:" in str(caught.value)
        assert "numr.scan" in str(caught.value)


def test_what_cannot_be_rewritten_whatever_its_values() -> None:
    def jumps() -> Any:
        for _ in range(3):
            try:
                pass
            finally:
                continue  # HERE  # noqa: B012

    def looks() -> Any:
        return locals()  # HERE

    for f, why in ((jumps, "a jump out of `finally`"), (looks, r"locals\(\) would see")):
        with pytest.raises(ControlFlowError, match=why) as caught:
            nr.control_flow(f)
        assert "# HERE" in str(caught.value)


def test_refusals_leave_arguments_alone() -> None:
    """What was half traced when the error came holds what it held."""
    rows = nr.asarray([1.0, 2.0])
    inner = {"a": nr.asarray(1.0)}

    def f(x: Any) -> Any:
        if x > 0:
            rows[0] = x
            inner["a"] = x
            raise ValueError
        return x

    said(f, 1.0)
    assert rows.tolist() == [1.0, 2.0] and inner["a"].item() == 1.0


def test_reverse_through_while() -> None:
    @nr.control_flow
    def f(x: Any) -> Any:
        while x < 100:
            x = x * x
        return x

    with pytest.raises(NotDifferentiableError, match=r"for _ in range\(limit\).*if done: break"):
        nr.grad(f)(2.0)


def test_without_it_the_error_shows_both_ways() -> None:
    def f(x: Any) -> Any:
        if x > 0:  # HERE
            return x
        return -x

    with pytest.raises(TracedValueError) as caught:
        nr.jit(f)(1.0)
    text = str(caught.value)
    assert "# HERE" in text
    assert "numr.cond(condition, f, g, x)" in text and "numr.where(" in text
    assert "numr.while_loop" in text and "@numr.jit(control_flow=True)" in text
    with pytest.raises(TracedValueError, match=r"@numr\.jit\(control_flow=True\)"):
        nr.jit(lambda n: sum(range(n)))(3)
