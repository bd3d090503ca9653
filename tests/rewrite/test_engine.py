"""The engine: fixed points, loops, lengths, long graphs, what it records; and whole programs."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.dtypes import float64
from numr.ir.interpret import interpret
from numr.ir.node import Node, scope, toposort
from numr.ir.rewrite.engine import Rule, index_rules, rewrite_graph
from numr.primitives.elementwise import add, div, like, mul, neg, sub
from numr.primitives.mathematics import exp, pow_, sqrt
from numr.primitives.shape import BROADCAST, PERMUTE, RESHAPE, SLICE
from numr.primitives.source import const, leaf, param
from numr.rules import rewrite
from numr.rules.vocabulary import rule


def vector(n: int = 3) -> Node:
    return leaf(np.linspace(0.5, 2.0, n))


def names(node: Node) -> list[str]:
    return [n.prim.name for n in toposort([node]) if n.inputs]


def test_a_rule_that_changes_the_type_is_an_error() -> None:
    bad = Rule("bad", ("mul",), lambda n: n.inputs[0], "exact", mul, 2)
    with pytest.raises(AssertionError, match="rule bad changed the type"):
        rewrite_graph([], [mul(leaf(np.ones(())), vector())], index_rules([bad], False))


@pytest.mark.parametrize(
    "turn",
    [
        lambda n: sub(n.inputs[1], n.inputs[0]),  # there and back
        lambda n: neg(neg(n)),  # contains what it came from
        lambda n: sub(add(n.inputs[0], n.inputs[1]), n.inputs[1]),  # grows for ever
    ],
)
def test_a_loop_of_rules_is_an_error(turn: Any) -> None:
    rule = Rule("turn", ("sub",), turn, "exact", sub, 2)
    with pytest.raises(AssertionError, match=r"loop on .*turn"):
        rewrite_graph([], [sub(vector(), vector())], index_rules([rule], False))


def test_what_a_rule_makes_is_rewritten_too() -> None:
    x = vector()
    ends = Rule("ends", ("exp",), lambda n: n.inputs[0], "fast", exp, 1)
    makes = Rule("makes", ("neg",), lambda n: add(exp(n.inputs[0]), n.inputs[0]), "fast", neg, 1)
    (out,) = rewrite_graph([], [neg(x)], index_rules([ends, makes], True))
    assert names(out) == ["add"] and set(out.inputs) == {x}


def test_long_chains_take_linear_time_and_no_recursion() -> None:
    def chain(n: int) -> float:
        x = y = param((3,), float64, None)
        for k in range(n):
            y = mul(neg(y), x) if k % 3 else add(y, x)
        start = time.perf_counter()
        (out,) = rewrite([x], [y], False)
        assert len(toposort([out])) > n / 2
        return time.perf_counter() - start

    short = min(chain(2_000) for _ in range(3))
    assert chain(100_000) < 50 * short * 4


def test_equal_subgraphs_merge_wherever_they_were_made() -> None:
    x = vector()
    outer, scope.arena = scope.arena, {}
    try:
        first = exp(mul(x, const(3, x.dtype)))
        scope.arena = {}
        second = exp(mul(x, const(3, x.dtype)))
    finally:
        scope.arena = outer
    assert first is not second
    (out,) = rewrite([x], [add(first, second)], False)
    assert names(out) == ["mul", "exp", "mul"]


def test_products_merge_whichever_way_round_they_are_written() -> None:
    x, y = vector(), vector()
    (out,) = rewrite([x, y], [sub(exp(mul(x, y)), exp(mul(y, x)))], False)
    assert names(out) == ["mul", "exp", "sub"]


def test_rewriting_leaves_nothing_in_the_users_arena() -> None:
    x = vector()
    y = div(neg(x), neg(x))
    before = len(scope.arena)
    rewrite([x], [y], False)
    assert len(scope.arena) == before


def test_every_rewrite_can_be_recorded() -> None:
    x = vector()
    record: list[Any] = []
    rewrite([x], [neg(neg(x))], False, record)
    (fired,) = record
    assert fired.rule == "neg-neg" and fired.after is x and fired.before.prim is neg
    assert fired.where.rsplit(":", 1)[0].endswith("canonical.py")


def test_fast_math_is_asked_for() -> None:
    x = vector()
    y = mul(sqrt(x), sqrt(x))
    assert names(rewrite([x], [y], False)[0]) == ["sqrt", "mul"]
    assert rewrite([x], [y], True) == [x]


# -- lengths: a rewritten program serves every set of sizes ------------------------------------------


def test_lengths_that_happen_to_be_equal_stay_apart() -> None:
    """Two broadcasts differ though their lengths agree this time."""

    def f(c: Any, x: Any, y: Any) -> Any:
        a = nr.permute_dims(nr.broadcast_to(c, (x.shape[0], 3)), (1, 0))
        return a * 1.0, nr.broadcast_to(c, (3, y.shape[0]))

    g = nr.jit(f)
    for n, m in ((100, 100), (100, 200)):
        a, b = g(nr.asarray(2.0), np.zeros(n), np.zeros(m))
        assert (a.shape, b.shape) == ((3, n), (3, m))


def test_a_slice_as_long_as_its_operand_this_time_stays_a_slice() -> None:
    x = param((100,), float64, None)
    part = SLICE(x, starts=(0,), sizes=(100,), steps=(1,))
    assert names(rewrite([x], [part], False)[0]) == ["slice"]
    y = param((100,), float64, None)
    whole = SLICE(y, starts=(0,), sizes=y.shape, steps=(1,))
    assert rewrite([y], [whole], False) == [y]


def test_reshapes_merge_only_where_their_lengths_are_the_same_ones() -> None:
    h = nr.jit(lambda x: nr.reshape(nr.reshape(x, (-1,)), (20, 30)) + 1)
    a = np.arange(600.0)
    for shape in ((20, 30), (30, 20)):
        np.testing.assert_array_equal(h(a.reshape(shape)).numpy(), a.reshape(20, 30) + 1)
    x = param((20, 30), float64, None)
    back = RESHAPE(RESHAPE(x, shape=(600,)), shape=x.shape)
    assert rewrite([x], [back], False) == [x]


def test_axes_of_length_one_kept_for_broadcasting_go() -> None:
    x = param((20,), float64, None)
    column = BROADCAST(RESHAPE(x, shape=(*x.shape, 1)), shape=(*x.shape, 7), axes=(0, 1))
    (out,) = rewrite([x], [column], False)
    assert out.prim is BROADCAST and out.inputs == (x,) and out.params["axes"] == (0,)
    line = RESHAPE(x, shape=(*x.shape, 1))
    assert names(rewrite([x], [PERMUTE(line, order=(1, 0))], False)[0]) == ["reshape"]


# -- whole programs ----------------------------------------------------------------------------------


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


def count(f: Any, *args: Any) -> dict[str, int]:
    """How often each primitive occurs in the rewritten graph of a jitted function."""
    found: dict[str, int] = {}
    for line in str(nr.jit(f).lower(*args).rewritten).splitlines():
        name = line.split("=")[1].split()[0] if "=" in line else ""
        found[name] = found.get(name, 0) + 1
    return found


def test_forces_between_bodies_divide_once() -> None:
    def potential(x: Any, m: Any) -> Any:
        d = x[:, None, :] - x[None, :, :]
        return -0.5 * nr.sum(m[:, None] * m[None, :] / nr.sqrt(nr.sum(d * d, axis=-1) + 0.01))

    found = count(nr.grad(potential), np.ones((20, 3)), np.ones(20))
    assert (found["sqrt"], found["div"]) == (1, 1)
    # The softened distance is never 0: its guard goes.
    assert not {"reshape", "select", "eq"} & set(found)


def test_softmax_divides_rows_not_elements() -> None:
    c = np.ones((20, 30))
    text = str(nr.jit(nr.grad(lambda x: nr.sum(c * nr.softmax(x, axis=1)))).lower(c + 1).rewritten)
    divisions = [line for line in text.splitlines() if " div " in line]
    assert len(divisions) == 1 and divisions[0].endswith("f64[d0]")


def test_the_slope_of_sigmoid_takes_one_exponential() -> None:
    hess = nr.grad(lambda x: nr.sum(nr.grad(lambda v: nr.sum(nr.softplus(v)))(x)))
    assert count(hess, np.ones(20))["exp"] == 1


def test_formulas_are_put_stably() -> None:
    x = nr.asarray([1e-20, 800.0])
    for f, wanted in (
        (lambda v: nr.log(1 + v), np.log1p(x.numpy())),
        (lambda v: nr.exp(v / 800) - 1, np.expm1(x.numpy() / 800)),
        (lambda v: nr.log(1 + nr.exp(v)), np.logaddexp(0, x.numpy())),
        (lambda v: nr.exp(v) / (1 + nr.exp(v)), np.array([0.5, 1.0])),
    ):
        np.testing.assert_allclose(nr.jit(f)(x).numpy(), wanted, rtol=1e-15)


def test_the_mean_of_equal_numbers_is_that_number() -> None:
    x = np.full((49, 3), 1.1)
    means = nr.jit(lambda v: (nr.sum(v * 0 + 1, axis=0) / 49, nr.mean(v * 0 + 1, axis=0)))(x)
    assert all((m.numpy() == 1).all() for m in means)


def test_a_pattern_keeps_its_constants() -> None:
    mine = nr.asarray(2.0)
    square = rule("square", lambda x: pow_(x, like(x, 2)), lambda x: mul(x, x))
    mine.numpy()  # the user's constant is a computed array from here on
    x = leaf(np.ones(()))
    assert square.apply(pow_(x, like(x, 2))) is mul(x, x)
