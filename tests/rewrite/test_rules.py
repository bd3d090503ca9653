"""Every rewrite rule, tested from its own example: both sides evaluated on awkward values."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.dtypes import as_dtype
from numr.ir.interpret import interpret
from numr.ir.node import Node, scope, toposort
from numr.ir.rewrite.engine import Rule, index_rules, rewrite_graph
from numr.primitives.elementwise import add, mul, sub
from numr.primitives.source import const, leaf
from numr.rules import all_rules, rewrite

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.7, -2.3, 1e-9, 1e-310, 1e300, np.inf, -np.inf, np.nan]
TAME = [0.25, 1.0, 0.7, 2.0, 3.7]
MASKS = "mn"


@pytest.fixture(autouse=True)
def own_arena() -> None:
    """Nodes of earlier tests may carry lengths of their own: examples are made of fresh ones."""
    scope.arena.clear()


def values_for(rule: Rule, dtype: str) -> list[list[Any]]:
    names = rule.example.__code__.co_varnames[: rule.arity]
    numbers = TAME if rule.numerics == "fast" else SPECIAL
    pools = [[True, False] if name in MASKS else numbers for name in names]
    points = list(itertools.product(*pools))
    if len(points) > 400:
        rng = np.random.default_rng(0)
        points = [points[k] for k in rng.choice(len(points), 400, replace=False)]
    with np.errstate(over="ignore"):
        return [
            [
                np.asarray(v).astype(bool if name in MASKS else dtype)
                for name, v in zip(names, point, strict=True)
            ]
            for point in points
        ]


def fires_or_none(rule: Rule, operands: list[Node]) -> tuple[Node, Node] | None:
    try:
        before = rule.example(*operands)
    except Exception as error:
        if "dtypes" in str(error) or "take" in str(error):
            return None
        raise
    after = rule.apply(before) if before.prim.name in rule.roots else None
    return None if after is None else (before, after)


def check(rule: Rule) -> int:
    """How often the rule fired; fails where the two sides disagree."""
    fired = 0
    for dtype in ("float64", "float32"):
        for point in values_for(rule, dtype):
            # Variables, and for rules on constants the constants themselves.
            for kinds in ("leaf", "const"):
                operands = [
                    leaf(v) if kinds == "leaf" else const(v, as_dtype(v.dtype)) for v in point
                ]
                mixed = [*operands[:-1], leaf(point[-1])] if kinds == "const" else operands
                found = fires_or_none(rule, mixed)
                if found is None:
                    continue
                fired += 1
                want, got = interpret(found, {})
                assert got.dtype == want.dtype and got.shape == want.shape
                agree(rule, got, want, point)
    return fired


def agree(rule: Rule, got: Any, want: Any, point: Any) -> None:
    if rule.numerics == "exact" or want.dtype.kind == "b":
        same = (got == want) & (np.signbit(got) == np.signbit(want)) | (
            np.isnan(got) & np.isnan(want)
        )
        assert np.all(same), f"{rule.name} on {point}: {want} became {got}"
        return
    eps = np.finfo(want.dtype).eps
    # A rule that improves accuracy moves the value by what the left side had lost: compare absolutely.
    np.testing.assert_allclose(
        got, want, rtol=8 * eps, atol=8 * eps, err_msg=f"{rule.name} {point}"
    )


@pytest.mark.parametrize("rule", all_rules(), ids=lambda r: r.name)
def test_both_sides_agree(rule: Rule) -> None:
    assert check(rule) > 0, f"the example of {rule.name} never matches its own pattern"


def test_a_wrong_rule_is_caught() -> None:
    wrong = Rule("wrong", ("sub",), lambda n: add(*n.inputs), "exact", lambda x, y: sub(x, y), 2)
    with pytest.raises(AssertionError, match="became"):
        check(wrong)


def test_fast_rules_need_fast_math() -> None:
    strict = {r.name for rules in index_rules(all_rules(), False).values() for r in rules}
    fast = {r.name for r in all_rules() if r.numerics == "fast"}
    assert fast and not fast & strict


def test_a_rule_that_changes_the_type_is_an_error() -> None:
    bad = Rule("bad", ("mul",), lambda n: n.inputs[0], "exact", mul, 2)
    x, y = leaf(np.ones(())), leaf(np.ones(3))
    with pytest.raises(AssertionError, match="changed the type"):
        rewrite_graph([], [mul(x, y)], index_rules([bad], False))


def test_a_loop_of_rules_is_an_error() -> None:
    swap = Rule("swap", ("sub",), lambda n: sub(n.inputs[1], n.inputs[0]), "exact", sub, 2)
    with pytest.raises(AssertionError, match="loop"):
        rewrite_graph([], [sub(leaf(np.ones(2)), leaf(np.ones(2)))], index_rules([swap], False))


def test_long_chains_rewrite_without_recursion() -> None:
    x = leaf(np.ones(3))
    y = x
    for _ in range(30_000):
        y = mul(y, x)
    (out,) = rewrite([x], [y], False)
    assert len(toposort([out])) == 30_001


def test_gradients_keep_their_values() -> None:
    rng = np.random.default_rng(3)
    x = nr.asarray(rng.uniform(0.5, 2.0, (4, 3)))

    def f(v: Any) -> Any:
        return nr.sum(nr.log_softmax(v, axis=1) * nr.exp(-v) / nr.sqrt(v))

    out = nr.grad(f)(x).node
    (after,) = rewrite([x.node], [out], False)
    want, got = interpret([out, after], {})
    np.testing.assert_allclose(got, want, rtol=1e-13)
    assert len(toposort([after])) < len(toposort([out]))


def test_lengths_that_happen_to_be_equal_decide_nothing() -> None:
    f = nr.jit(lambda x: nr.reshape(nr.reshape(x, (-1,)), (20, 30)) + 0.5)
    assert f(np.zeros((20, 30))).shape == (20, 30)
    assert f(np.zeros((30, 20))).shape == (20, 30)
