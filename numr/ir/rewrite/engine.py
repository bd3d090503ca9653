"""The rewriting engine: rules by root primitive, applied bottom-up until nothing changes.

Each node of the graph is rebuilt once from rewritten operands and then offered to the rules of its
primitive; a node that a rule returns is offered again. No recursion: the order is the graph's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numr.ir.node import Node, located, toposort

Numerics = Literal["exact", "ulp", "fast"]
# More rewrites of one node than this are a loop in the rules.
LIMIT = 64


@dataclass(frozen=True, slots=True)
class Rule:
    """One rewrite.

    Attributes:
        name: what `numr.debug.rewrites` calls it.
        roots: names of the primitives it can apply to.
        apply: node -> replacement, or None.
        numerics: "exact" (bit for bit), "ulp" (rounding may differ), "fast" (needs fast_math).
        example: variables -> an instance of the left-hand side, for the automatic tests.
        arity: how many variables `example` takes.
    """

    name: str
    roots: tuple[str, ...]
    apply: Callable[[Node], Node | None]
    numerics: Numerics
    example: Callable[..., Node]
    arity: int


@dataclass(frozen=True, slots=True)
class Fired:
    """A rewrite that happened."""

    rule: str
    before: Node
    after: Node


def index_rules(rules: Iterable[Rule], fast_math: bool) -> dict[str, list[Rule]]:
    """Rules by root primitive, without those the numerics forbid."""
    table: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.numerics != "fast" or fast_math:
            for root in rule.roots:
                table.setdefault(root, []).append(rule)
    return table


def rewrite_graph(
    inputs: Sequence[Node],
    outputs: Sequence[Node],
    table: Mapping[str, Sequence[Rule]],
    record: list[Fired] | None = None,
) -> list[Node]:
    """The outputs after one bottom-up pass; operands are always rewritten before their users."""
    new: dict[Node, Node] = {n: n for n in inputs}
    for node in toposort(outputs):
        if node not in new:
            new[node] = _rebuilt(node, new, table, record)
    return [new[out] for out in outputs]


def _rebuilt(node: Node, new: dict[Node, Node], table: Any, record: list[Fired] | None) -> Node:
    if node.value is not None or not node.inputs:
        return node
    with located(node.location):
        operands = tuple(new[x] for x in node.inputs)
        current = node if operands == node.inputs else node.prim(*operands, **node.params)
        for _ in range(LIMIT):
            after = _first(current, table, record)
            if after is None:
                return current
            current = after
    raise AssertionError(f"rewrite rules loop on {node!r}")


def _first(node: Node, table: Any, record: list[Fired] | None) -> Node | None:
    for rule in table.get(node.prim.name, ()):
        after: Node | None = rule.apply(node)
        if after is not None and after is not node:
            if after.shape != node.shape or after.dtype is not node.dtype:
                raise AssertionError(f"rule {rule.name} changed the type of {node!r} to {after!r}")
            if record is not None:
                record.append(Fired(rule.name, node, after))
            return after
    return None
