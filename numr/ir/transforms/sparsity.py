"""Which elements of tangents depend on which elements of seeds: a Jacobian's pattern, from the graph.

What is asked is the pattern of a linear map, so a derivative that is zero, and a rule of the user's own,
count as what they are. No value is computed but those of indices that are known: an element's pattern is
the set of seed elements that could move it, whatever the values are at which the derivative is taken. Where
a primitive has no rule here, each of its elements counts as depending on all that its operands do, so a
pattern is never too small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from numr.ir.body import Body
from numr.ir.interpret import interpret
from numr.ir.node import Node, toposort
from numr.ir.primitive import siblings_key
from numr.primitives.control import split
from numr.primitives.elementwise import Cast, Elementwise, Select
from numr.primitives.source import PARAM

# What only puts elements elsewhere, by its reference on their numbers.
_MOVES = (
    "broadcast",
    "concat",
    "flip",
    "gather",
    "pad",
    "permute",
    "reshape",
    "slice",
    "slide",
    "unslide",
)
_SAME = ("alias", "barrier", "named")

Elements = list[frozenset[int]]
_NOTHING: frozenset[int] = frozenset()


def dependencies(
    outputs: Sequence[Node], inputs: Sequence[Node], unknown: Iterable[Node] = ()
) -> list[Elements]:
    """For each output, the numbers of the input elements that each of its elements depends on.

    Args:
        outputs: nodes.
        inputs: nodes whose elements are numbered one after another, in row-major order.
        unknown: nodes whose values the pattern is not to depend on, though they be there.
    """
    given: dict[Node, Elements] = {}
    start = 0
    for x in inputs:
        given[x] = [frozenset((k,)) for k in range(start, start + _size(x))]
        start += _size(x)
    walk = _Walk(given, dict.fromkeys(unknown))
    return [
        found or [_NOTHING] * _size(out)
        for out, found in zip(outputs, walk.to(outputs), strict=True)
    ]


def _size(x: Node) -> int:
    return math.prod(map(int, x.shape))


def _shape(x: Node) -> tuple[int, ...]:
    return tuple(map(int, x.shape))


class _Walk:
    """One pass over a graph, or over a body.

    Attributes:
        found: for each node that depends on something, the sets of its elements.
        values: what is known of placeholders; None where nothing is.
        asked: placeholders whose values the sets depend on.
    """

    def __init__(self, given: Mapping[Node, Elements], values: Mapping[Node, Any]) -> None:
        self.found = dict(given)
        self.values = values
        self.asked: set[Node] = set()
        self.siblings: dict[Any, list[Elements | None]] = {}

    def to(self, outputs: Sequence[Node]) -> list[Elements | None]:
        """The sets of outputs; None where they depend on nothing."""
        for node in toposort(outputs, [*self.found, *self.values]):
            if node.dtype.is_inexact and any(x in self.found for x in node.inputs):
                sets = self.rule(node)
                if sets is not None and any(sets):
                    self.found[node] = sets
        return [self.found.get(out) for out in outputs]

    def known(self, x: Node) -> Any:
        """A value that does not depend on what is traced, or None."""
        order = toposort([x], self.values)
        stops = [
            n for n in dict.fromkeys([x, *(y for n in order for y in n.inputs)]) if n in self.values
        ]
        if any(self.values[n] is None for n in stops) or any(n.prim is PARAM for n in order):
            return None
        self.asked.update(stops)
        return interpret([x], {n: self.values[n] for n in stops})[0]

    def rule(self, node: Node) -> Elements | None:
        prim, name = node.prim, node.prim.name
        if name in _SAME:
            return self.found[node.inputs[0]]
        if isinstance(prim, (Elementwise, Select, Cast)):
            parts = [self.found[x] for x in node.inputs if x in self.found]
            return _united([p if len(p) == _size(node) else p * _size(node) for p in parts])
        if name in _MOVES:
            indices = [self.known(x) for x in node.inputs[1:]] if name == "gather" else []
            if all(i is not None for i in indices):
                return self.moved(node, indices)
        if hasattr(prim, "monoid") and "axes" in node.params:
            sets = self.found[node.inputs[0]]
            return [_all(row) for row in _lines(sets, _shape(node.inputs[0]), node.params["axes"])]
        if name == "scatter":
            indices = [self.known(x) for x in node.inputs[2:]]
            if all(i is not None for i in indices):
                return self.scattered(node, indices)
        if name == "matmul":
            return self.contracted(node)
        if prim.lowering == "scan":
            return self.accumulated(node)
        if name in _LOOPS:
            return self.sibling(node, siblings_key(node), lambda: _LOOPS[name](self, node))
        if prim.lowering == "call":
            body: Body = prim.called(node)  # type: ignore[attr-defined]
            key = body, node.inputs
            return self.sibling(node, key, lambda: self.inside(body, node.inputs))
        if prim.lowering == "library" and "axis" not in node.params:
            return self.matrices(node)
        return [self.every(node.inputs)] * _size(node)

    def every(self, operands: Iterable[Node]) -> frozenset[int]:
        return _all(s for x in operands for s in self.found.get(x, ()))

    def moved(self, node: Node, indices: Sequence[Any]) -> Elements:
        sets: Elements = [_NOTHING]
        numbers: list[Any] = []
        for x in node.inputs[: len(node.inputs) - len(indices)]:
            if x in self.found:
                ids = np.arange(len(sets), len(sets) + _size(x)).reshape(_shape(x))
                sets = [*sets, *self.found[x]]
            else:
                ids = np.zeros(_shape(x), np.int64)
            numbers.append(ids)
        placed = np.asarray(node.prim.reference(*numbers, *indices, **node.params))
        return [sets[k] for k in placed.ravel().tolist()]

    def scattered(self, node: Node, indices: Sequence[Any]) -> Elements:
        base, updates = node.inputs[:2]
        result = list(self.found.get(base) or [_NOTHING] * _size(node))
        ids = np.arange(_size(node)).reshape(_shape(node))
        at = [np.clip(i, 0, n - 1) for i, n in zip(indices, ids.shape, strict=False)]
        targets = ids[tuple(at)].ravel().tolist() if _size(updates) else []
        written = self.found.get(updates) or [_NOTHING] * _size(updates)
        replaced = node.params["mode"] == "set"
        for k, elements in zip(targets, written, strict=True):
            result[k] = elements if replaced else result[k] | elements
        return result

    def contracted(self, node: Node) -> Elements:
        """A product of matrices: known zeros of a factor that does not move leave elements out."""
        x, y = node.inputs
        found = self.found
        lead = math.prod(_shape(node)[:-2])
        (m, k), n = _shape(x)[-2:], _shape(y)[-1]
        result = [_NOTHING] * (lead * m * n)
        known = [None if z in found else self.known(z) for z in (x, y)]
        left = (
            np.ones((lead, m, k), bool) if known[0] is None else known[0].reshape(lead, m, k) != 0
        )
        right = (
            np.ones((lead, k, n), bool) if known[1] is None else known[1].reshape(lead, k, n) != 0
        )
        for b in range(lead):
            for i in range(m):
                for j in range(n):
                    at = np.nonzero(left[b, i] & right[b, :, j])[0].tolist()
                    parts = [found[x][(b * m + i) * k + t] for t in at] if x in found else []
                    parts += [found[y][(b * k + t) * n + j] for t in at] if y in found else []
                    result[(b * m + i) * n + j] = _all(parts)
        return result

    def accumulated(self, node: Node) -> Elements:
        """Each element of a line takes what those before it do, or those after it."""
        axis, shape = node.params["axis"], _shape(node)
        sets = _united([self.found[x] for x in node.inputs if x in self.found])
        result = [_NOTHING] * _size(node)
        lines = np.moveaxis(np.arange(_size(node)).reshape(shape), axis, -1)
        for line in lines.reshape(-1, shape[axis]).tolist():
            total = _NOTHING
            for k in reversed(line) if node.params["reverse"] else line:
                total = result[k] = total | sets[k]
        return result

    def matrices(self, node: Node) -> Elements:
        """An operation on the last two axes: each matrix of the batch by itself."""
        lead = _shape(node.inputs[0])[:-2]
        count = math.prod(lead)
        if count == 0 or any(_shape(x)[: len(lead)] != lead for x in (node, *node.inputs)):
            return [self.every(node.inputs)] * _size(node)
        result: Elements = []
        for b in range(count):
            sets = (self.found[x] for x in node.inputs if x in self.found)
            parts = (s[b * len(s) // count : (b + 1) * len(s) // count] for s in sets)
            result += [_all(s for part in parts for s in part)] * (_size(node) // count)
        return result

    # -- bodies ------------------------------------------------------------------------------------

    def sibling(
        self, node: Node, key: Any, make: Callable[[], list[Elements | None]]
    ) -> Elements | None:
        """One of the results of an operation, which are found together."""
        if key not in self.siblings:
            self.siblings[key] = make()
        index: int = node.params["index"]
        return self.siblings[key][index]

    def inside(self, body: Body, operands: Sequence[Node]) -> list[Elements | None]:
        """The results of a body, given what its parameters stand for."""
        sets = [self.found.get(x) for x in operands]
        values = [None if x in self.found else self.known(x) for x in operands]
        return _of_body(body, sets, values).to(body.outputs)

    def scan(self, node: Node) -> list[Elements | None]:
        """Step after step, until nothing changes any more."""
        p = node.params
        body, consts, carries, length = p["body"], p["consts"], p["carries"], int(p["length"])
        sets = split([self.found.get(x) for x in node.inputs], consts, carries)
        values = split(
            [None if x in self.found else self.known(x) for x in node.inputs], consts, carries
        )
        carry, carried = sets[1], values[1]
        rows: list[Any] = [None] * length
        order = range(length - 1, -1, -1) if p["reverse"] else range(length)
        for done, t in enumerate(order):
            row_sets = [
                s[t * len(s) // length : (t + 1) * len(s) // length] if s else None for s in sets[2]
            ]
            row_values = [None if v is None else v[t] for v in values[2]]
            walk = _of_body(
                body, [*sets[0], *carry, *row_sets], [*values[0], *carried, *row_values]
            )
            out = walk.to(body.outputs)
            steady = out[:carries] == carry and not any(row_sets)
            if steady and walk.asked.isdisjoint(body.params[consts:]):
                for other in order[done:]:
                    rows[other] = out[carries:]
                break
            rows[t] = out[carries:]
            after = [
                walk.known(x) if v is not None else None
                for x, v in zip(body.outputs, carried, strict=False)
            ]
            carry, carried = out[:carries], after
        made: list[Elements | None] = []
        for k, result in enumerate(body.outputs[carries:]):
            size = _size(result)
            made.append([s for row in rows for s in (row[k] or [_NOTHING] * size)])
        return [*carry, *made]

    def loop(self, node: Node) -> list[Elements | None]:
        """What any number of steps may do."""
        p = node.params
        body, tests, consts = p["body"], p["tests"], p["consts"]
        operands = node.inputs[tests:]
        values = [None if x in self.found else self.known(x) for x in operands[:consts]]
        fixed, carry = split([self.found.get(x) for x in operands], consts)
        values += [None] * len(carry)
        while True:
            out = _of_body(body, [*fixed, *carry], values).to(body.outputs)
            grown = [_either(a, b) for a, b in zip(carry, out, strict=True)]
            if grown == carry:
                return carry
            carry = grown

    def switch(self, node: Node) -> list[Elements | None]:
        """What any branch does; or the one that is known to be taken."""
        which, operands = self.known(node.inputs[0]), node.inputs[1:]
        branches = (
            node.params["branches"] if which is None else [node.params["branches"][int(which)]]
        )
        found = [self.inside(b, operands) for b in branches]
        total = found[0]
        for other in found[1:]:
            total = [_either(a, b) for a, b in zip(total, other, strict=True)]
        return total


_LOOPS: dict[str, Callable[[_Walk, Node], list[Elements | None]]] = {
    "scan": _Walk.scan,
    "while": _Walk.loop,
    "switch": _Walk.switch,
}


def _of_body(body: Body, sets: Sequence[Elements | None], values: Sequence[Any]) -> _Walk:
    given = {p: s for p, s in zip(body.params, sets, strict=True) if s}
    rest = {p: v for p, v in zip(body.params, values, strict=True) if p not in given}
    return _Walk(given, rest)


def _all(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    return _NOTHING.union(*sets)


def _united(parts: Sequence[Elements]) -> Elements:
    if len(parts) == 1:
        return parts[0]
    return [a if a is b else a.union(b, *rest) for a, b, *rest in zip(*parts, strict=True)]


def _either(a: Elements | None, b: Elements | None) -> Elements | None:
    return _united([a, b]) if a and b else a or b


def _lines(sets: Elements, shape: tuple[int, ...], axes: Sequence[int]) -> Iterable[Elements]:
    kept = [i for i in range(len(shape)) if i not in axes]
    ids = np.arange(len(sets)).reshape(shape).transpose([*kept, *axes])
    rows = ids.reshape(math.prod(shape[i] for i in kept), -1)
    return ([sets[k] for k in row] for row in rows.tolist())
