"""Rewriting before fusion: what only derivatives need goes, formulas are put stably, work is saved."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from numr.ir.node import Node, dependents, toposort
from numr.ir.rewrite.engine import Fired, Rule, index_rules, own_arena, rewrite_graph
from numr.ir.transforms.substitute import again, rebuild

TRANSPARENT = ("alias", "named", "stop_gradient")
CANONICAL, STABLE, SIMPLIFY = 0, 1, 2


@functools.cache
def phases() -> tuple[tuple[Rule, ...], ...]:
    """The rules of each phase, in the order they are tried: canonical, stable, simplify.

    The canonical ones run along with the others, so that these meet every formula in one form.
    """
    import numr.primitives  # noqa: F401  (some rules apply to whole kinds of the registry)
    from numr.rules import canonical, scattered, simplify, stable, structure

    return (
        (*canonical.RULES, *structure.RULES),
        stable.RULES,
        (*simplify.RULES, *scattered.RULES),
    )


def all_rules() -> tuple[Rule, ...]:
    """Every rule."""
    return tuple(rule for phase in phases() for rule in phase)


@functools.cache
def _table(phase: int, fast_math: bool) -> dict[str, list[Rule]]:
    return index_rules((*phases()[CANONICAL], *phases()[phase]), fast_math)


def reintern(
    inputs: Sequence[Node], outputs: Sequence[Node], expanding: bool = False
) -> list[Node]:
    """The outputs made anew in the current arena, so that equal nodes are one, without aliases, the
    bodies of calls in their place; and, when `expanding`, without composites."""
    called: dict[Any, list[Node]] = {}

    def make(node: Node, operands: tuple[Node, ...]) -> Node:
        prim = node.prim
        if prim.name in TRANSPARENT:
            return operands[0]
        if prim.lowering == "call":
            body = prim.called(node)  # type: ignore[attr-defined]
            key = body, operands
            if key not in called:
                places = dict(zip(body.params, operands, strict=True))
                called[key] = rebuild(
                    body.outputs, toposort(body.outputs, body.params), make, places
                )
            return called[key][node.params["index"]]
        if node.value is not None or ("serial" in node.params and not node.inputs):
            return node
        anew = getattr(prim, "expand", prim) if expanding else prim
        return anew(*operands, **node.params)  # type: ignore[no-any-return]

    return rebuild(outputs, toposort(outputs, inputs), make)


def expand(inputs: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    """The outputs without aliases and composites, equal subgraphs merged."""
    return reintern(inputs, outputs, expanding=True)


def rewrite(
    inputs: Sequence[Node],
    outputs: Sequence[Node],
    fast_math: bool,
    record: list[Fired] | None = None,
) -> list[Node]:
    """The outputs in their simplest form: the same inputs, the same lengths.

    Args:
        inputs: nodes to treat as given.
        outputs: what to compute.
        fast_math: allow rules that ignore NaN, infinities and the sign of zero.
        record: where to note every rewrite.
    """
    from numr.rules.selected import drop_choices
    from numr.rules.sharing import join_reciprocals, share_reciprocals

    with own_arena():
        # Formulas are recognised as they were written, with composites whole; then put apart.
        outputs = reintern(inputs, outputs)
        outputs = rewrite_graph(inputs, outputs, _table(STABLE, fast_math), record)
        outputs = rewrite_graph(inputs, outputs, _table(SIMPLIFY, fast_math), record)
        if any(hasattr(n.prim, "expand") for n in toposort(outputs)):
            outputs = expand(inputs, outputs)
            outputs = rewrite_graph(inputs, outputs, _table(SIMPLIFY, fast_math), record)
        fewer = drop_choices(inputs, outputs)
        if fewer != outputs:
            outputs = rewrite_graph(inputs, fewer, _table(SIMPLIFY, fast_math), record)
        outputs = share_reciprocals(inputs, outputs, fast_math)
        return _without_barriers(join_reciprocals(inputs, outputs))


def _without_barriers(outputs: Sequence[Node]) -> list[Node]:
    """The outputs with a view in the place of each barrier: nothing is found to be equal any more."""
    from numr.primitives.checkpoints import AGAIN, BARRIER

    order = toposort(outputs)
    barriers = [n for n in order if n.prim is BARRIER]

    def make(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.prim is BARRIER:
            return AGAIN(*operands, shape=operands[0].shape, **node.params)  # type: ignore[no-any-return]
        return again(node, operands)

    above = dependents(order, barriers)
    return rebuild(outputs, [n for n in order if n in above], make)
