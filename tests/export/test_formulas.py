"""Formulas of sizes: Python's own arithmetic is the oracle, over random formulas and values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numr.codegen.export.manifest import tree, value
from numr.ir.formulas import Formula, parse

NAMES = ("n", "m", "k")


def _texts() -> st.SearchStrategy[str]:
    """Formulas as texts that Python evaluates, too; divisors are never 0."""
    leaf = st.one_of(st.sampled_from(NAMES), st.integers(0, 9).map(str))

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        divisor = st.one_of(st.integers(1, 7).map(str), st.sampled_from(NAMES))
        return st.one_of(
            st.tuples(inner, st.sampled_from("+-*"), inner).map(
                lambda t: f"({t[0]} {t[1]} {t[2]})"
            ),
            st.tuples(inner, st.sampled_from(("//", "%")), divisor).map(
                lambda t: f"({t[0]} {t[1]} {t[2]})"
            ),
            st.tuples(st.sampled_from(("min", "max")), inner, inner).map(
                lambda t: f"{t[0]}({t[1]}, {t[2]})"
            ),
            inner.map(lambda t: f"(-{t})"),
        )

    return st.recursive(leaf, larger, max_leaves=6)


SIZES = st.fixed_dictionaries({name: st.integers(1, 40) for name in NAMES})


@settings(max_examples=300, deadline=None)
@given(_texts(), SIZES)
def test_a_formula_has_the_value_that_python_gives(text, sizes):
    formula = parse(text)
    wanted = eval(text, {"min": min, "max": max}, dict(sizes))
    assert formula.value(sizes) == wanted
    assert formula.least <= wanted
    assert value(tree(formula), sizes) == wanted
    assert parse(str(formula)).value(sizes) == wanted


@settings(max_examples=200, deadline=None)
@given(_texts(), SIZES, SIZES)
def test_bounds_of_symbols_bound_formulas(text, sizes, bounds):
    above = {name: bounds[name] + sizes[name] for name in NAMES}
    assert parse(text).at_least(bounds) <= parse(text).value(above)


@pytest.mark.parametrize(
    ("text", "simple"),
    [
        ("n*m//m", "n"),
        ("-(-n//256)", "((n + 255) // 256)"),
        ("(n + 1)*(n - 1)", "n*n - 1"),
        ("3*n % 3", "0"),
        ("max(n - 1, 0)", "n - 1"),
        ("min(n, 2*n)", "n"),
        ("n - n", "0"),
        ("7 // 2", "3"),
        ("2*(n + m) - 2*m", "2*n"),
    ],
)
def test_formulas_are_made_simple(text, simple):
    assert str(parse(text)) == simple


def test_equal_formulas_are_equal_however_they_are_written():
    assert parse("n + n") == parse("2*n")
    assert parse("n*m") == parse("m*n")
    assert hash(parse("(n - 1) + 1")) == hash(Formula.of("n"))


@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("n", 1),
        ("n - 1", 0),
        ("n*m - n", 0),
        ("n - n//2", 1),
        ("n - 2", -1),
        ("n - m", -float("inf")),
    ],
)
def test_least_values(text, least):
    assert parse(text).least == least


@pytest.mark.parametrize(
    "text", ["", "n +", "n ** 2", "n / 2", "f(n)", "1.5", "n // (m - 1)", "x.y", "a b"]
)
def test_what_is_no_length_says_what_is(text):
    with pytest.raises(ValueError, match="is no length: write whole numbers, names"):
        parse(text)
