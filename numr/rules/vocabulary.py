"""What rules are written in: pattern variables, constants, lengths, and the two ways to declare one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numr.dtypes import bool_, complex128, float64
from numr.ir.dims import Size
from numr.ir.node import Node
from numr.ir.rewrite.engine import Numerics, Rule
from numr.ir.rewrite.pattern import pattern_rule
from numr.primitives.source import CONST, constant_value, param

MASKS = "mn"
CONSTANTS = "cd"


def constant(node: Node) -> Any:
    """The value of a constant, with the sign of a real zero visible; None of other nodes."""
    if node.prim is not CONST:
        return None
    value = constant_value(node.params["value"], node.dtype)
    if value == 0 and not isinstance(value, complex):
        return (0.0, math.copysign(1, value))
    return value


def rule(
    name: str,
    left: Callable[..., Node],
    right: Callable[..., Node],
    when: Callable[..., bool] | None = None,
    numerics: Numerics = "exact",
    kinds: str = "f",
) -> Rule:
    """A rule between two patterns, valid for variables of the given dtype kinds.

    The variables m and n stand for masks, c and d for constants, the others for numbers.
    """
    number = complex128 if kinds == "c" else float64

    def variables(names: Sequence[str]) -> list[Node]:
        return [param((), bool_ if name in MASKS else number, None) for name in names]

    def fits(variable: str, node: Node) -> bool:
        if variable in MASKS:
            return node.dtype is bool_
        return node.dtype.kind in kinds and (variable not in CONSTANTS or node.prim is CONST)

    return pattern_rule(
        name,
        left,
        right,
        variables=variables,
        constant=constant,
        fits=fits,
        head=lambda variable: CONST if variable in CONSTANTS else None,
        when=when,
        numerics=numerics,
        kinds=kinds,
    )


def function_rule(
    name: str,
    roots: Sequence[str],
    example: Callable[..., Node],
    numerics: Numerics = "exact",
    kinds: str = "f",
) -> Callable[[Callable[[Node], Node | None]], Rule]:
    """Make a rule of a function from a node to its replacement, or None where it does not apply."""

    def declare(apply: Callable[[Node], Node | None]) -> Rule:
        count = example.__code__.co_argcount
        return Rule(name, tuple(roots), apply, numerics, example, count, kinds)

    return declare


def power_of_two(node: Node) -> bool:
    """Whether a node is a constant by which scaling is exact."""
    value = constant(node)
    return isinstance(value, float) and math.isfinite(value) and math.frexp(abs(value))[0] == 0.5


def moderate(*nodes: Node) -> bool:
    """Whether constants are so near 1 that scaling by them early or late hardly moves the overflow."""
    values = [constant(n) for n in nodes]
    return all(isinstance(v, float) and 2.0**-12 <= abs(v) <= 2.0**12 for v in values)


def same_length(a: int, b: int) -> bool:
    """Whether two lengths are one length, rather than two that have one value this time."""
    if type(a) is Size:
        return type(b) is Size and a.root() is b.root()
    return type(b) is not Size and a == b


def same_lengths(a: Sequence[int], b: Sequence[int]) -> bool:
    return len(a) == len(b) and all(map(same_length, a, b))


def is_literal(n: int, value: int) -> bool:
    """Whether a position is the written number `value`, rather than a length of that value."""
    return not isinstance(n, Size) and n == value
