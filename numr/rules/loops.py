"""Loops of a graph: two that carry the same become one, and what nobody wants is not carried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from numr.ir.body import Body
from numr.ir.dims import Extent
from numr.ir.node import Node, dependents, located, toposort
from numr.ir.primitive import siblings_key
from numr.ir.transforms.substitute import substitute
from numr.primitives.branches import SWITCH
from numr.primitives.control import only, split
from numr.primitives.loops import SCAN
from numr.primitives.source import param_like


def tidied(outputs: Sequence[Node], extent: Callable[[int], Extent]) -> list[Node]:
    """The outputs, their loops joined and without what is not wanted.

    Derivatives in reverse want what is carried into each step; where the loop's results are wanted too,
    both are found by one loop.

    Args:
        outputs: the graph.
        extent: what a length is for any sizes: loops of one length are those of one extent.
    """
    outputs = pruned(outputs)
    joined = False
    while (replaced := _joined(outputs, extent)) is not None:
        outputs, joined = substitute(outputs, replaced), True
    return pruned(outputs) if joined else outputs


def pruned(outputs: Sequence[Node]) -> list[Node]:
    """The outputs, their loops and branches without operands and results that they do not need."""
    outputs = list(outputs)
    done: set[Any] = set()
    while (replaced := _pruned(outputs, done)) is not None:
        outputs = substitute(outputs, replaced)
    return outputs


def _wanted(outputs: Sequence[Node]) -> dict[Any, list[Node]]:
    """The wanted results of each loop and branch."""
    found: dict[Any, list[Node]] = {}
    for node in toposort(outputs):
        # What is called goes when its place is rewritten: it is no loop.
        if node.prim.has_siblings and node.prim.lowering == "control":
            found.setdefault(siblings_key(node), []).append(node)
    return found


# -- joining ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Scan:
    """A scan taken apart: its operands, its body's parameters and results."""

    node: Node

    @property
    def body(self) -> Body:
        body: Body = self.node.params["body"]
        return body

    def parts(self, items: Sequence[Node]) -> list[list[Node]]:
        return split(items, self.node.params["consts"], self.node.params["carries"])


def _joined(outputs: Sequence[Node], extent: Callable[[int], Extent]) -> dict[Node, Node] | None:
    """The results of two loops as those of one; None if no two can be one."""
    loops = [nodes for nodes in _wanted(outputs).values() if nodes[0].prim is SCAN]
    for k, second in enumerate(loops):
        for first in loops[:k]:
            a, b = first[0].params, second[0].params
            if a["reverse"] != b["reverse"] or extent(a["length"]) != extent(b["length"]):
                continue
            # The later one in order cannot be what the earlier one is made of.
            if not dependents(toposort(second), first).isdisjoint(second):
                continue
            with located(second[0].location):
                found = _join(first, second)
            if found is not None:
                return found
    return None


def _join(first: list[Node], second: list[Node]) -> dict[Node, Node] | None:
    one, other = _Scan(first[0]), _Scan(second[0])
    # Both made anew on placeholders of their own: what is equal is then one node.
    own = [param_like(p) for p in one.body.params]
    outs = substitute(one.body.outputs, dict(zip(one.body.params, own, strict=True)))
    inputs, params = one.parts(one.node.inputs), one.parts(own)
    inputs2, params2 = other.parts(other.node.inputs), other.parts(other.body.params)
    places = {p: param_like(p) for p in other.body.params}
    fresh: list[list[int]] = [[], [], []]
    for part in (0, 2):
        known = dict(zip(inputs[part], params[part], strict=True))
        for k, (x, p) in enumerate(zip(inputs2[part], params2[part], strict=True)):
            if x in known:
                places[p] = known[x]
            else:
                fresh[part].append(k)
    same = {k: inputs[1].index(x) for k, x in enumerate(inputs2[1]) if x in inputs[1]}
    while same:
        # What begins alike, and is alike in a step if all that is was before, is alike.
        assumed = places | {params2[1][k]: params[1][i] for k, i in same.items()}
        nexts = substitute([other.body.outputs[k] for k in same], assumed)
        alike = {k: i for (k, i), n in zip(same.items(), nexts, strict=True) if n is outs[i]}
        if len(alike) == len(same):
            break
        same = alike
    if not any(params[1][i].dtype.kind in "fc" for i in same.values()):
        return None  # two loops that count are not yet one
    fresh[1] = [k for k in range(len(inputs2[1])) if k not in same]
    places |= {params2[1][k]: params[1][i] for k, i in same.items()}
    outs2 = substitute(other.body.outputs, places)
    nexts, rows = split(outs, len(inputs[1]))
    nexts2, rows2 = split(outs2, len(inputs2[1]))

    def both(a: list[list[Node]], b: list[list[Node]]) -> list[Node]:
        return [n for part in range(3) for n in (*a[part], *(b[part][k] for k in fresh[part]))]

    left = [[places[p] for p in part] for part in params2]
    results = [*nexts, *(nexts2[k] for k in fresh[1]), *rows, *rows2]
    body = Body(both(params, left), results)
    carries = len(nexts) + len(fresh[1])
    given: dict[str, Any] = one.node.params | {
        "body": body,
        "consts": len(inputs[0]) + len(fresh[0]),
        "carries": carries,
    }
    operands = both(inputs, inputs2)

    def result(index: int) -> Node:
        return SCAN(*operands, **given | {"index": index})

    found = {}
    for node in first:
        k = node.params["index"]
        found[node] = result(k if k < len(nexts) else carries + k - len(nexts))
    for node in second:
        k = node.params["index"]
        if k >= len(nexts2):
            found[node] = result(carries + len(rows) + k - len(nexts2))
        else:
            found[node] = result(same[k] if k in same else len(nexts) + fresh[1].index(k))
    return found


# -- pruning ---------------------------------------------------------------------------------------


def _pruned(outputs: Sequence[Node], done: set[Any]) -> dict[Node, Node] | None:
    """The results of a loop as those of one that carries no more than they need; None if all are so."""
    # Those first that others feed: what they do not need, those need not make.
    for key, nodes in reversed(_wanted(outputs).items()):
        if key in done:
            continue
        done.add(key)
        with located(nodes[0].location):
            found = _prune(nodes)
        if found is not None:
            done.update(siblings_key(n) for n in found.values())
            return found
    return None


def _prune(nodes: list[Node]) -> dict[Node, Node] | None:
    """The results, in order, of a loop or branch that has only what they need; None if it has already."""
    prim, params = nodes[0].prim, nodes[0].params
    find = _pruned_branches if prim is SWITCH else _pruned_scan if prim is SCAN else _pruned_while
    given, operands, places = find(params, nodes[0].inputs, [n.params["index"] for n in nodes])
    if len(operands) == len(nodes[0].inputs) and len(places) == prim.count(**params):  # type: ignore[attr-defined]
        return None
    return {
        n: prim(*operands, **params | given | {"index": places[n.params["index"]]}) for n in nodes
    }


Pruned = tuple[dict[str, Any], list[Node], dict[int, int]]


def _pruned_branches(
    params: dict[str, Any], operands: Sequence[Node], wanted: Sequence[int]
) -> Pruned:
    number, *rest = operands
    made = [(b, pruned([b.outputs[k] for k in wanted])) for b in params["branches"]]
    used = [set(toposort(outs)) for _, outs in made]
    kept = [
        k
        for k in range(len(rest))
        if any(b.params[k] in seen for (b, _), seen in zip(made, used, strict=True))
    ]
    branches = tuple(Body([b.params[k] for k in kept], outs) for b, outs in made)
    places = {k: n for n, k in enumerate(wanted)}
    return {"branches": branches}, [number, *(rest[k] for k in kept)], places


def _needed(
    body: Body, wanted: Iterable[int], carry: Sequence[Node]
) -> tuple[list[int], list[Node], set[Node]]:
    """Which results of a step are needed in the end, what they are, and all that they are made of."""
    needed = set(wanted)
    while True:
        kept = sorted(needed)
        outs = pruned([body.outputs[k] for k in kept])
        used = set(toposort(outs))
        needed |= {k for k, p in enumerate(carry) if p in used}
        if len(needed) == len(kept):
            return kept, outs, used


def _pruned_scan(params: dict[str, Any], operands: Sequence[Node], wanted: Sequence[int]) -> Pruned:
    body, carries = params["body"], params["carries"]
    parts = split(operands, params["consts"], carries)
    places = split(body.params, params["consts"], carries)
    kept, outs, used = _needed(body, wanted, places[1])
    carried = {k for k in kept if k < carries}
    flags = [
        [p in used for p in places[0]],
        [k in carried for k in range(carries)],
        [p in used for p in places[2]],
    ]
    own = [p for part, f in zip(places, flags, strict=True) for p in only(part, f)]
    given = [x for part, f in zip(parts, flags, strict=True) for x in only(part, f)]
    new = {"body": Body(own, outs), "consts": sum(flags[0]), "carries": len(carried)}
    return new, given, {k: n for n, k in enumerate(kept)}


def _pruned_while(
    params: dict[str, Any], operands: Sequence[Node], wanted: Sequence[int]
) -> Pruned:
    body, condition, tests = params["body"], params["condition"], params["tests"]
    seen, fixed, first = split(operands, tests, params["consts"])
    places, carry = split(body.params, len(fixed))
    tested, conditions = split(condition.params, tests)
    goes = set(toposort(condition.outputs))
    wanted = [*wanted, *(k for k, p in enumerate(conditions) if p in goes)]
    kept, outs, used = _needed(body, wanted, carry)
    flags = [p in used for p in places]
    new = {
        "body": Body([*only(places, flags), *(carry[k] for k in kept)], outs),
        "condition": Body([*tested, *(conditions[k] for k in kept)], condition.outputs),
        "consts": sum(flags),
    }
    given = [*seen, *only(fixed, flags), *(first[k] for k in kept)]
    return new, given, {k: n for n, k in enumerate(kept)}
