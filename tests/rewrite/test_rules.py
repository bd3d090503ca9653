"""Every rewrite rule, tested from its own example: both sides evaluated on awkward values."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from numr.dtypes import as_dtype
from numr.errors import DTypeError
from numr.ir.interpret import interpret
from numr.ir.node import Node, toposort
from numr.ir.rewrite.engine import Rule, index_rules
from numr.primitives.elementwise import add, mul, neg, sub
from numr.primitives.source import const, leaf
from numr.rules import all_rules, phases
from numr.rules.vocabulary import CONSTANTS, MASKS

DTYPES = {
    "b": ["bool"],
    "i": ["int8", "int32", "int64"],
    "u": ["uint8", "uint64"],
    "f": ["float32", "float64"],
    "c": ["complex64", "complex128"],
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.7, -2.3, 1e-9, 1e30, np.inf, -np.inf, np.nan]
WHOLE = [0, 1, 2, 3, 5, 100, 127, -1, -2, -7, -128]
POINTS = 300
# Where the sides may differ by rounding, by how many units in the last place of the greatest operand.
ULPS = 8


def pool(dtype: str, tame: bool) -> list[Any]:
    kind = np.dtype(dtype).kind
    if kind == "b":
        return [True, False]
    if kind in "iu":
        return [n for n in WHOLE if n >= 0 or kind == "i"]
    if kind == "c":
        return [complex(a, b) for a in (0.0, -0.0, 1.5, -2.0, np.inf) for b in (-0.0, 0.0, 3.0)]
    if tame:
        return [0.25, 1.0, 0.7, 2.0, 3.7]
    info = np.finfo(dtype)
    edges = [info.max, -info.max / 4, float(info.smallest_subnormal) * 5, float(info.tiny)]
    return [*SPECIAL, *map(float, edges)]


def names_of(rule: Rule) -> tuple[str, ...]:
    return rule.example.__code__.co_varnames[: rule.arity]


def points(rule: Rule, dtype: str) -> list[tuple[Any, ...]]:
    """Values of the variables: every combination of the awkward ones, or a sample of them."""
    values = pool(dtype, rule.numerics == "fast")
    pools = [[True, False] if name in MASKS else values for name in names_of(rule)]
    found = list(itertools.product(*pools))
    if len(found) > POINTS:
        rng = np.random.default_rng(0)
        found = [found[k] for k in rng.choice(len(found), POINTS, replace=False)]
    return found


def operands(rule: Rule, point: tuple[Any, ...], dtype: str, spread: bool) -> list[Node]:
    """Nodes for the variables: constants, scalars, or small arrays."""
    nodes = []
    for name, value in zip(names_of(rule), point, strict=True):
        with np.errstate(over="ignore"):
            array = np.asarray(value).astype(bool if name in MASKS else dtype)
        if name in CONSTANTS:
            nodes.append(const(array[()], as_dtype(array.dtype)))
        else:
            nodes.append(leaf(np.repeat(array, 2) if spread else array))
    return nodes


def fired(rule: Rule, nodes: list[Node]) -> tuple[Node, Node] | None:
    """Both sides on these operands; None where the rule does not apply."""
    try:
        before = rule.example(*nodes)
    except (DTypeError, TypeError, ValueError):
        return None  # the example makes its own shapes, or does not take this dtype
    after = rule.apply(before) if before.prim.name in rule.roots else None
    return None if after is None else (before, after)


def check(rule: Rule) -> int:
    """How often the rule fired; fails where the two sides disagree."""
    count = 0
    for dtype in (d for kind in rule.kinds for d in DTYPES[kind]):
        for point, spread in itertools.product(points(rule, dtype), (False, True)):
            sides = fired(rule, operands(rule, point, dtype, spread))
            if sides is None:
                continue
            try:
                want, got = interpret(sides, {})
            except ValueError:
                assert spread, rule.name  # the example makes its own shapes
                continue
            count += 1
            assert got.dtype == want.dtype and got.shape == want.shape, f"{rule.name} on {point}"
            agree(rule, sides, got, want, point)
    return count


def same_bits(got: Any, want: Any) -> Any:
    """Equal, signs of zero included, or both NaN; complex numbers by their parts."""
    if want.dtype.kind == "c":
        return same_bits(got.real, want.real) & same_bits(got.imag, want.imag)
    if want.dtype.kind != "f":
        return got == want
    return (got == want) & (np.signbit(got) == np.signbit(want)) | (np.isnan(got) & np.isnan(want))


def agree(rule: Rule, sides: tuple[Node, Node], got: Any, want: Any, point: Any) -> None:
    if rule.numerics == "exact" or want.dtype.kind not in "fc":
        exact = same_bits(got, want)
        assert np.all(exact), f"{rule.name} on {point}: {want} became {got}"
        return
    numbers = [abs(v) for v in point if isinstance(v, float) and np.isfinite(v)]
    extreme = any(v != 0 and not 1e-9 <= v <= 1e9 for v in numbers)
    truth = want.astype(np.float64)
    if want.dtype == np.float32:
        wide = fired(rule, operands(rule, point, "float64", False))
        if wide is not None:
            truth = np.broadcast_to(interpret(wide[:1], {})[0], want.shape)
    elif extreme:
        return  # What is lost or overflows on the way shows only beside a wider truth.
    assert np.all(~np.isnan(got) | np.isnan(want)), f"{rule.name} on {point}: {want} became {got}"
    eps, top = float(np.finfo(want.dtype).eps), float(np.finfo(want.dtype).max)
    steps = interpret([n for n in toposort(sides[:1]) if n.inputs], {})
    sizes = [np.max(np.abs(v[np.isfinite(v)]), initial=0.0) for v in steps if v.dtype.kind == "f"]
    # Rounding is relative to what the left side passes through; a result may also be nearer the truth,
    # or give the number that the left side overflowed before reaching.
    reach = np.maximum(np.abs(truth), max(map(float, sizes)))
    with np.errstate(invalid="ignore", over="ignore"):
        close = (
            np.abs(got - truth) <= ULPS * eps * reach + 4 * np.finfo(want.dtype).smallest_subnormal
        )
        better = np.abs(got - truth) <= np.abs(want - truth)
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    # A stable form may have a value where the formula as written gives none.
    stable = ~np.isnan(got) & ~np.isfinite(truth) & (rule in phases()[1])
    overflowed = extreme & (~np.isfinite(want) | (np.abs(truth) > top / 2**13))
    fine = same | close | better | overflowed | stable
    assert np.all(fine), f"{rule.name} on {point}: {want} became {got}"


@pytest.mark.parametrize("rule", all_rules(), ids=lambda r: r.name)
def test_both_sides_agree(rule: Rule) -> None:
    assert check(rule) > 0, f"the example of {rule.name} never matches its own pattern"


def test_rules_have_names_of_their_own() -> None:
    names = [r.name for r in all_rules()]
    assert len(set(names)) == len(names)


def test_a_rule_knows_where_it_was_declared() -> None:
    for rule in all_rules():
        path, line = rule.where.rsplit(":", 1)
        assert path.endswith(".py") and int(line) > 0


def test_only_canonical_rules_are_all_exact() -> None:
    canonical, stable, _ = phases()
    assert {r.numerics for r in canonical} == {"exact"}
    assert "fast" not in {r.numerics for r in stable}


@pytest.mark.parametrize(
    ("root", "wrong", "example"),
    [
        ("sub", lambda n: add(*n.inputs), lambda x, y: sub(x, y)),
        # Wrong by the sign of zero, and at infinities.
        ("sub", lambda n: neg(n.inputs[1]), lambda x: sub(const(0, x.dtype), x)),
        ("add", lambda n: n.inputs[0], lambda x: add(x, const(0, x.dtype))),
        ("mul", lambda n: const(0, n.dtype), lambda x: mul(x, const(0, x.dtype))),
    ],
)
def test_a_wrong_rule_is_caught(root: str, wrong: Any, example: Any) -> None:
    rule = Rule("wrong", (root,), wrong, "exact", example, example.__code__.co_argcount)
    with pytest.raises(AssertionError, match=r"became|wrong on"):
        check(rule)


def test_a_rule_wrong_by_more_than_rounding_is_caught() -> None:
    rule = Rule(
        "sloppy",
        ("mul",),
        lambda n: mul(mul(n.inputs[0], const(1 + 1e-5, n.dtype)), n.inputs[1]),
        "ulp",
        lambda x, y: mul(x, y),
        2,
    )
    with pytest.raises(AssertionError, match="became"):
        check(rule)


def test_fast_rules_need_fast_math() -> None:
    strict = {r.name for rules in index_rules(all_rules(), False).values() for r in rules}
    fast = {r.name for r in all_rules() if r.numerics == "fast"}
    assert fast and not fast & strict
