"""Which elements of outputs depend on which elements of inputs: a Jacobian's pattern, from the graph.

No value is computed but those of indices that are known: an element's pattern is the set of input
elements that could move it, whatever the inputs are. Where a primitive has no rule here, each of its
elements counts as depending on all that its operands do, so a pattern is never too small.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numr.ir.interpret import interpret
from numr.ir.node import Node, toposort
from numr.primitives.elementwise import Cast, Elementwise, Select
from numr.primitives.source import PARAM

# What only puts elements elsewhere, by its reference on their numbers.
_MOVES = ("broadcast", "concat", "flip", "gather", "pad", "permute", "reshape", "slice", "slide")

Elements = list[frozenset[int]]
_NOTHING: frozenset[int] = frozenset()


def dependencies(outputs: Sequence[Node], inputs: Sequence[Node]) -> list[Elements]:
    """For each output, the numbers of the input elements that each of its elements depends on; inputs
    are numbered one after another, in row-major order."""
    found: dict[Node, Elements] = {}
    start = 0
    for x in inputs:
        found[x] = [frozenset((k,)) for k in range(start, start + _size(x))]
        start += _size(x)
    for node in toposort(outputs, inputs):
        moving = [x for x in node.inputs if x in found]
        if moving and node.dtype.is_inexact:
            found[node] = _rule(node, found)
    return [found.get(out) or [_NOTHING] * _size(out) for out in outputs]


def _size(x: Node) -> int:
    return math.prod(map(int, x.shape))


def _shape(x: Node) -> tuple[int, ...]:
    return tuple(map(int, x.shape))


def _rule(node: Node, found: Mapping[Node, Elements]) -> Elements:
    prim, name = node.prim, node.prim.name
    if isinstance(prim, (Elementwise, Select, Cast)):
        parts = [found[x] for x in node.inputs if x in found]
        return _united([p if len(p) == _size(node) else p * _size(node) for p in parts])
    if name in _MOVES:
        indices = [_known(x) for x in node.inputs[1:]] if name == "gather" else []
        if all(i is not None for i in indices):
            return _moved(node, found, indices)
    if hasattr(prim, "monoid") and "axes" in node.params:
        return _reduced(found[node.inputs[0]], _shape(node.inputs[0]), node.params["axes"])
    if name == "scatter":
        indices = [_known(x) for x in node.inputs[2:]]
        if all(i is not None for i in indices):
            return _scattered(node, found, indices)
    if name == "matmul":
        return _contracted(node, found)
    every = _NOTHING.union(*(s for x in node.inputs for s in found.get(x, ())))
    return [every] * _size(node)


def _united(parts: Sequence[Elements]) -> Elements:
    if len(parts) == 1:
        return parts[0]
    return [a if a is b else a.union(b, *rest) for a, b, *rest in zip(*parts, strict=True)]


def _known(x: Node) -> Any:
    """A value that does not depend on what is traced, or None."""
    if any(n.prim is PARAM for n in toposort([x])):
        return None
    return interpret([x], {})[0]


def _moved(node: Node, found: Mapping[Node, Elements], indices: Sequence[Any]) -> Elements:
    sets: Elements = [_NOTHING]
    numbers: list[Any] = []
    for x in node.inputs[: len(node.inputs) - len(indices)]:
        if x in found:
            ids = np.arange(len(sets), len(sets) + _size(x)).reshape(_shape(x))
            sets = [*sets, *found[x]]
        else:
            ids = np.zeros(_shape(x), np.int64)
        numbers.append(ids)
    placed = np.asarray(node.prim.reference(*numbers, *indices, **node.params))
    return [sets[k] for k in placed.ravel().tolist()]


def _reduced(elements: Elements, shape: tuple[int, ...], axes: Sequence[int]) -> Elements:
    kept = [i for i in range(len(shape)) if i not in axes]
    ids = np.arange(len(elements)).reshape(shape).transpose([*kept, *axes])
    rows = ids.reshape(math.prod(shape[i] for i in kept), -1)
    return [_NOTHING.union(*(elements[k] for k in row)) for row in rows.tolist()]


def _scattered(node: Node, found: Mapping[Node, Elements], indices: Sequence[Any]) -> Elements:
    base, updates = node.inputs[:2]
    result = list(found.get(base) or [_NOTHING] * _size(node))
    if updates not in found:
        return result
    ids = np.arange(_size(node)).reshape(_shape(node))
    at = [np.clip(i, 0, n - 1) for i, n in zip(indices, ids.shape, strict=False)]
    targets = ids[tuple(at)].ravel().tolist()
    for k, elements in zip(targets, found[updates], strict=True):
        result[k] = result[k] | elements
    return result


def _contracted(node: Node, found: Mapping[Node, Elements]) -> Elements:
    """A product of matrices: known zeros of a factor that does not move leave elements out."""
    x, y = node.inputs
    lead = math.prod(_shape(node)[:-2])
    (m, k), n = _shape(x)[-2:], _shape(y)[-1]
    result = [_NOTHING] * (lead * m * n)
    known = [None if z in found else _known(z) for z in (x, y)]
    left = np.ones((lead, m, k), bool) if known[0] is None else known[0].reshape(lead, m, k) != 0
    right = np.ones((lead, k, n), bool) if known[1] is None else known[1].reshape(lead, k, n) != 0
    for b in range(lead):
        for i in range(m):
            for j in range(n):
                at = np.nonzero(left[b, i] & right[b, :, j])[0].tolist()
                parts = [found[x][(b * m + i) * k + t] for t in at] if x in found else []
                parts += [found[y][(b * k + t) * n + j] for t in at] if y in found else []
                result[(b * m + i) * n + j] = _NOTHING.union(*parts)
    return result
