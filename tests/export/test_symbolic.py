"""Tracing with symbolic sizes: what follows, what becomes a condition, and what is the user's decision."""

import math

import numpy as np
import pytest

import numr as nr
from numr.errors import ExportError, ShapeError, SymbolicSizeError
from numr.export.trace import _others, traced
from numr.ir.formulas import parse
from numr.ir.symbolic import Scope, digits, largest, smallest, typical


@pytest.fixture
def scope():
    return Scope({"n": 1009, "m": 1013})


def size(scope, text):
    return scope.size(parse(text))


def test_arithmetic_of_sizes_is_arithmetic_of_formulas(scope):
    n, m = size(scope, "n"), size(scope, "m")
    for found, text in [
        (n + 1, "n + 1"), (1 - n, "1 - n"), (n * m, "n*m"), (n // 2, "n // 2"), (-(-n // 4), "(n + 3) // 4"),
        (2 * n % 2, "0"), (n**2, "n*n"), (abs(n), "n"), (sum([n, m, 1]), "n + m + 1"),
        (math.prod([n, m]), "n*m"), (7 // n, "7 // n"), (7 % n, "7 % n"), (divmod(n, 2)[1], "n % 2"),
    ]:  # fmt: skip
        formula = getattr(found, "formula", None)
        assert str(formula if formula is not None else found) == str(parse(text))


def test_equal_formulas_are_one_object(scope):
    n = size(scope, "n")
    assert n + n is 2 * n
    assert hash(n) == hash(1009)


def test_extremes_of_sizes(scope):
    n, m = size(scope, "n"), size(scope, "m")
    assert str(smallest([n, m]).formula) == "min(n, m)"
    assert largest([n - 1, 0]) is n - 1
    assert (smallest([3, 2]), largest([3, 2])) == (2, 3)
    assert (typical(n), type(typical(n))) == (1009, int)
    assert (digits(n), digits(5)) == (63, 3)


def test_what_follows_needs_no_condition(scope):
    n = size(scope, "n")
    assert n >= 1 and n + 1 > n and not n < 0 and n and n != n + 1
    assert not scope.conditions


ENERGY = (lambda x, k: nr.sum(0.5 * k * nr.diff(x) ** 2)), (nr.spec("n"), nr.spec("n - 1"))


def conditions(fun, *specs):
    found = traced("f", fun, specs, {})
    return [str(c) for c in found.sized[1].conditions.values()]


@pytest.mark.parametrize(
    ("fun", "specs", "wanted"),
    [
        (*ENERGY, []),
        (nr.grad(ENERGY[0]), ENERGY[1], []),
        (lambda x: x[2:] - x[:-2], (nr.spec("n"),), ["n - 2 >= 0"]),
        (lambda x: x[5], (nr.spec("n"),), ["n - 6 >= 0"]),
        (lambda x: x.reshape(-1), (nr.spec("n", "m"),), []),
        (lambda x: x.reshape(-1, 3), (nr.spec("3*n"),), []),
        (lambda x: x[: x.shape[0] // 2], (nr.spec("n"),), []),
        (nr.vmap(lambda x: nr.sum(x**2)), (nr.spec("n", "m"),), []),
        (lambda x: nr.max_pool(x[None, None], 2), (nr.spec("n"),), ["n - 2 >= 0"]),
        (lambda x: nr.fori_loop(0, x.shape[0], lambda i, c: c + x[i], 0.0), (nr.spec("n"),), []),
        (lambda a, b: a @ b, (nr.spec("n", "m"), nr.spec("m", "k")), []),
    ],
)
def test_conditions(fun, specs, wanted):
    found = conditions(fun, *specs)
    # An index from the end is in range as one from the start is.
    assert [c for c in found if c in wanted] == wanted
    assert len(found) == len(wanted)


def test_numbers_of_sizes_are_computed_at_run_time():
    fun = lambda x: x / x.shape[0] + nr.sqrt(x.shape[0]) + (1 / x.shape[0]) + x.shape[0] ** 0.5
    found = traced("f", fun, (nr.spec("n"),), {})
    assert found.sized[0].text.count("size_of") == 1
    assert "1009" not in found.sized[0].text


def shape_dependent(x):
    if x.shape[0] > 3:  # the user's line
        return x
    return -x


DECISIONS = [
    (shape_dependent, "n > 3"),
    (lambda x: x if x.shape[0] == 7 else -x, "n == 7"),
    (lambda x: x if x.shape == (7,) else -x, "n == 7"),
    (lambda x: x * float(x.shape[0]), r"float\(n\)"),
    (lambda x: x * math.sqrt(x.shape[0]), r"float\(n\)"),
    (lambda x: x[: max(x.shape[0], 5)], "5"),
    (lambda x: x if len(x) > 5 else -x, r"len\(x\), which is n"),
    (lambda x: nr.stack(list(x)), r"len\(x\), which is n"),
    (lambda x: x * (int(x.shape[0]) % 2), r"int\(n\)"),
    (lambda x: x if x.shape[0] & (x.shape[0] - 1) else -x, r"and\(n\)"),
    (lambda x: x * x.shape[0].bit_length(), r"bit_length\(n\)"),
    (lambda x: x * round(x.shape[0], -1), r"round\(n\)"),
    (lambda x: x * np.ones(x.shape[0]), "n == 1009"),
    (lambda x: x * np.array(x.shape), r"int\(n\)"),
    (
        lambda x: nr.associative_scan(nr.multiply, x),
        "how many passes associative_scan makes over n rows",
    ),
]


@pytest.mark.parametrize(("fun", "question"), DECISIONS)
def test_a_decision_by_a_size_is_an_error_at_the_users_line(fun, question):
    with pytest.raises(SymbolicSizeError, match=f"Python is to decide .*{question}") as caught:
        traced("f", fun, (nr.spec("n"),), {})
    assert "test_symbolic.py" in str(caught.value.location)
    assert "the number itself in the spec" in str(caught.value)


def test_the_line_of_a_decision():
    with pytest.raises(SymbolicSizeError) as caught:
        traced("f", shape_dependent, (nr.spec("n"),), {})
    assert "# the user's line" in str(caught.value)


LEAKS = [
    lambda x: sum(x[i] for i in range(x.shape[0])),
    lambda x: x * (1.0 / x.shape[0]),
    lambda x: x + len([0] * x.shape[0]),
    lambda x: x * math.gcd(x.shape[0], 6),
    lambda x: x * (len([0] * x.shape[0]) % 2),
    lambda x: x * (len([0] * x.shape[0]) % 7),
    lambda x: x * np.array([len([0] * x.shape[0])]),
    lambda x: x if x.shape[0] > 100.5 else -x,
    lambda x: x * min(1.0, 0.001 * x.shape[0]),
    lambda x: x * 0.1 ** x.shape[0],
    lambda x: x * len(str([0] * x.shape[0])),
]


@pytest.mark.parametrize("fun", LEAKS)
def test_a_size_that_python_used_unseen_is_found(fun):
    with pytest.raises(
        SymbolicSizeError, match="the graph of f depends on the value of a symbolic size"
    ):
        traced("f", fun, (nr.spec("n"),), {})


def test_a_number_that_comes_from_a_size_names_the_line():
    def scaled(x):
        return x * math.sqrt(x.shape[0])  # here

    with pytest.raises(SymbolicSizeError, match="# here"):
        traced("f", scaled, (nr.spec("n"),), {})


def test_sizes_that_are_not_the_same_do_not_fit():
    with pytest.raises(
        ShapeError, match=r"x1 has shape \(n,\) and x2 has shape \(m,\): these do not fit"
    ):
        traced("f", lambda x, y: x + y, (nr.spec("n"), nr.spec("m")), {})


def test_other_sizes_are_in_the_same_order_and_have_other_remainders():
    for chosen in ({"n": 1009, "k": 5}, {"n": 1, "m": 1}, {"n": 1000000, "m": 999999, "k": 2}, {}):
        other = _others(chosen)
        assert list(other) == list(chosen)
        assert len(set(other.values())) == len(other)
        for symbol, n in chosen.items():
            assert all(other[symbol] % p != n % p for p in (2, 3, 5, 7))
            assert all(other[symbol] > other[s] for s, m in chosen.items() if n > m)


def test_divisors_are_not_0():
    assert conditions(lambda x: x * (10 // (x.shape[0] - 1)), nr.spec("n")) == ["n - 2 >= 0"]
    assert conditions(lambda x: x * (10 % (x.shape[0] + 1)), nr.spec("n")) == []


def test_numbers_of_64_bits():
    assert conditions(lambda x: x * 2 ** x.shape[0], nr.spec("n")) == ["-n + 62 >= 0"]
    assert conditions(lambda x: x * 2 ** -x.shape[0], nr.spec("n")) == []
    assert conditions(lambda x: x * x.shape[0] ** 6, nr.spec("n")) == ["-n + 1024 >= 0"]
    assert conditions(lambda x: x * x.shape[0] ** 10, nr.spec("n")) == ["-n + 64 >= 0"]
    assert conditions(lambda x: nr.mean(x) * x.shape[0] ** 2, nr.spec("n", "m", "k")) == []


def test_lengths_are_not_negative():
    assert conditions(lambda x: x * 2, nr.spec("n - 5", "n")) == ["n - 5 >= 0"]
    assert conditions(lambda x: nr.zeros(x.shape[0] - 5), nr.spec("n")) == ["n - 5 >= 0"]
    with pytest.raises(
        ExportError, match=r"the length n - 2000 .* is -991 with n = 1009(?s:.*)typical="
    ):
        conditions(lambda x: x, nr.spec("n - 2000"))
    found = traced("f", lambda x: x, (nr.spec("n - 2000"),), {"n": 3000})
    assert found.inputs[0].shape[0].value({"n": 2001}) == 1


@pytest.mark.parametrize("fun", [nr.max, nr.argmin, nr.median, nr.grad(nr.max)])
def test_what_needs_an_element_needs_a_condition(fun):
    assert conditions(fun, nr.spec("n - 1")) == ["n - 2 >= 0"]
    assert conditions(fun, nr.spec("n")) == []
    assert conditions(lambda x: fun(x[1:]), nr.spec("n")) == ["n - 2 >= 0"]


@pytest.mark.parametrize(
    "fun",
    [
        nr.sum, nr.mean, nr.sort, nr.cumsum, lambda x: x[::-1], lambda x: nr.roll(x, 1), lambda x: nr.concat([x, x]),
        lambda x: nr.linspace(0, 1, x.shape[0]), lambda x: nr.eye(x.shape[0]), lambda x: nr.arange(x.shape[0] - 3),
    ],
)  # fmt: skip
def test_what_needs_no_element_needs_no_condition(fun):
    assert conditions(fun, nr.spec("n")) == []


def test_what_may_be_empty_needs_no_condition():
    for fun in (nr.sum, nr.mean, nr.sort, nr.softmax, nr.ravel, lambda x: nr.reshape(x, (-1, 2))):
        assert conditions(fun, nr.spec("2*n - 2")) == []
    assert conditions(nr.ravel, nr.spec("n - 1", "m")) == []


def test_typical_sizes_decide_which_case_is_meant():
    def last(x, k):
        return x[-k.shape[0] :]

    specs = nr.spec("n"), nr.spec("k")
    found = traced("last", last, specs, {"k": 5})
    assert [str(c) for c in found.sized[1].conditions.values()] == ["-k + n >= 0"]


def test_a_size_of_one_is_no_broadcast():
    found = traced("f", lambda x: x - nr.mean(x, axis=1, keepdims=True), (nr.spec("n", "m"),), {})
    assert not found.sized[1].conditions
