"""The rewriting engine: rules by root primitive, applied to operands first, until nothing changes.

Every node, and every node that a rule makes, is rebuilt from rewritten operands and offered to the
rules of its primitive; what a rule returns is offered again. No recursion, and each node once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from numr.ir.dims import Size
from numr.ir.node import Node, scope, toposort

Numerics = Literal["exact", "ulp", "fast"]
Table = Mapping[str, Sequence["Rule"]]
# More rewrites than this for the sake of one node are a loop in the rules.
LIMIT = 256


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
        kinds: dtype kinds of the variables it is valid for.
    """

    name: str
    roots: tuple[str, ...]
    apply: Callable[[Node], Node | None]
    numerics: Numerics
    example: Callable[..., Node]
    arity: int
    kinds: str = "f"

    @property
    def where(self) -> str:
        """The file and line that declare the rule."""
        code = self.example.__code__
        return f"{code.co_filename}:{code.co_firstlineno}"


@dataclass(frozen=True, slots=True)
class Fired:
    """A rewrite that happened: which rule, declared where, and the node before and after."""

    rule: str
    before: Node
    after: Node
    where: str = ""


class Arena(dict[tuple[Any, ...], Node]):
    """Interning for rewriting: lengths that are equal by accident stay apart.

    A rewritten program serves every set of sizes its graph's text allows, so two nodes may be merged
    only where their lengths are one length, not where they happen to have one value.
    """

    def get(self, key: tuple[Any, ...], default: Any = None) -> Any:
        return super().get(_identified(key), default)

    def __setitem__(self, key: tuple[Any, ...], node: Node) -> None:
        super().__setitem__(_identified(key), node)


def _identified(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """A key (primitive, operands, parameters..) with the identity of each Size for its value, and the
    operands of commutative operations in one order."""
    if len(key) > 2:
        return (*key[:2], *[_identity(value) for value in key[2:]])
    prim, operands = key
    if len(operands) == 2 and operands[0].number > operands[1].number and commutes(prim):
        return (prim, operands[::-1])
    return key


def commutes(prim: Any) -> bool:
    """Whether operands may be swapped without a trace."""
    op = getattr(prim, "op", None)
    return op is not None and op.symmetric


def _identity(value: Any) -> Any:
    kind = type(value)
    if kind is tuple:
        return tuple([_identity(v) for v in value])
    return ("size", id(value.root())) if kind is Size else value


@contextmanager
def own_arena() -> Iterator[None]:
    """Make the nodes created inside in an Arena of their own, which goes with them."""
    outer, scope.arena = scope.arena, Arena()
    try:
        yield
    finally:
        scope.arena = outer


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
    table: Table,
    record: list[Fired] | None = None,
) -> list[Node]:
    """The outputs with every node in normal form: no rule of the table applies to any of them."""
    done: dict[Node, Node] = {n: n for n in inputs}
    location = scope.location
    try:
        for node in toposort(outputs):
            if node not in done:
                scope.location = node.location
                _settle(node, done, table, record)
    finally:
        scope.location = location
    return [done[out] for out in outputs]


def _settle(origin: Node, done: dict[Node, Node], table: Table, record: list[Fired] | None) -> None:
    """Put the normal form of a node, whose operands have theirs, into `done`."""
    became: dict[Node, Node] = {}
    fired: list[str] = []
    stack = [origin]
    while stack:
        node = stack[-1]
        if node in done:
            stack.pop()
            continue
        after = became.get(node)
        if after is None:
            waiting = [x for x in node.inputs if x not in done]
            if waiting:
                stack.extend(waiting)
                continue
            after = _step(node, done, table, record, fired)
            became[node] = after
            if after is not node and after not in done:
                if len(fired) > LIMIT:
                    raise _loop(origin, fired)
                stack.append(after)
                continue
        if after is not node and after not in done:
            raise _loop(origin, fired)  # it turned into something that contains it
        done[node] = node if after is node else done[after]
        stack.pop()


def _loop(origin: Node, fired: Sequence[str]) -> AssertionError:
    return AssertionError(f"rewrite rules loop on {origin!r}: {', '.join(fired[-6:])}")


def _step(
    node: Node,
    done: dict[Node, Node],
    table: Table,
    record: list[Fired] | None,
    fired: list[str],
) -> Node:
    """The node rebuilt from finished operands or, where it is that already, rewritten once."""
    if not node.inputs:
        return node
    operands = tuple([done[x] for x in node.inputs])
    if operands != node.inputs:
        return node.prim(*operands, **node.params)
    for rule in table.get(node.prim.name, ()):
        after = rule.apply(node)
        if after is not None and after is not node:
            if after.shape != node.shape or after.dtype is not node.dtype:
                raise AssertionError(f"rule {rule.name} changed the type of {node!r} to {after!r}")
            fired.append(rule.name)
            if record is not None:
                record.append(Fired(rule.name, node, after, rule.where))
            return after
    return node
