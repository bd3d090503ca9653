"""Control flow: loops and branches that hold bodies.

A node is one result. Those of one loop, its siblings, have the same operands and the same parameters but
for `index`; every backend computes them together, and reverse mode goes through them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from numr.ir.body import Body
from numr.ir.dims import Size
from numr.ir.interpret import Evaluate, evaluate, interpret
from numr.ir.node import Node, dependents, toposort
from numr.ir.primitive import Primitive
from numr.primitives.elementwise import select
from numr.primitives.shape import BROADCAST, zeros_like
from numr.primitives.source import param_like

Flags = tuple[bool, ...]


class Control(Primitive):
    """A primitive with siblings."""

    has_siblings = True
    lowering = "control"

    def results(self, *operands: Node, **params: Any) -> list[Node]:
        """All results."""
        return [self(*operands, **params, index=k) for k in range(self.count(**params))]

    def count(self, **params: Any) -> int:
        """How many results there are."""
        raise NotImplementedError

    def whole(self, *arrays: Any, evaluate: Evaluate = evaluate, **params: Any) -> list[Any]:
        """All results as NumPy arrays: the meaning. `evaluate` computes the nodes of bodies."""
        raise NotImplementedError

    def transposed(
        self, cts: Mapping[int, Node], node: Node, wanted: Sequence[bool]
    ) -> Sequence[Node | None]:
        """Cotangents of wanted operands, given those of results by their index."""
        raise NotImplementedError

    def reference(self, *arrays: Any, index: int, **params: Any) -> Any:
        return self.whole(*arrays, **params)[index]

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> Sequence[Node | None]:
        return self.transposed({node.params["index"]: ct}, node, wanted)


def run(body: Body, arrays: Sequence[Any], evaluate: Evaluate) -> list[Any]:
    """A body's results by the reference."""
    return interpret(body.outputs, dict(zip(body.params, arrays, strict=True)), evaluate)


def split(items: Sequence[Any], *counts: int) -> list[list[Any]]:
    """Consecutive parts of a sequence, of these lengths, and the rest."""
    parts, start = [], 0
    for n in counts:
        parts.append(list(items[start : start + n]))
        start += n
    return [*parts, list(items[start:])]


def only(items: Iterable[Any], flags: Iterable[bool]) -> list[Any]:
    return [x for x, flag in zip(items, flags, strict=True) if flag]


def others(items: Iterable[Any], flags: Iterable[bool]) -> list[Any]:
    return [x for x, flag in zip(items, flags, strict=True) if not flag]


def with_zeros(tangents: Iterable[Node | None], like: Iterable[Node]) -> list[Node]:
    return [zeros_like(x) if t is None else t for t, x in zip(tangents, like, strict=True)]


def linear_in(body: Body, seeds: Iterable[Node]) -> list[bool]:
    """Which results depend on some of the parameters."""
    found = dependents([*body.params, *toposort(body.outputs, body.params)], seeds)
    return [out in found for out in body.outputs]


def place_for(size: int, p: Node) -> Node:
    """A placeholder for a batch of a placeholder's values, the batch first."""
    node = param_like(p)
    node.shape = (size, *p.shape)
    return node


def over_batch(body: Body, which: Flags, size: int) -> tuple[list[Node], list[Any]]:
    """A body over a batch, made once for a size."""
    root = size.root() if isinstance(size, Size) else size
    key = ("batch", which, id(root) if isinstance(root, Size) else root)
    # What the key has the address of is kept, so that nothing else gets it.
    found = body.made(key, lambda: (root, body.batched(which, size, lambda p: place_for(size, p))))
    return found[1]  # type: ignore[no-any-return]


def settled(
    flags: list[bool], go_round: Callable[[list[bool]], tuple[Any, Iterable[bool]]]
) -> tuple[list[bool], Any]:
    """Which of what is carried differs (has a tangent, or a batch axis, ..) once a step adds none.

    Args:
        flags: which does at the start.
        go_round: what is made of a step with such flags, and which of what it carries on differs.

    Returns:
        The flags, and what was made with them.
    """
    while True:
        made, after = go_round(flags)
        grown = [a or b for a, b in zip(flags, after, strict=True)]
        if grown == flags:
            return flags, made
        flags = grown


def spread(found: Sequence[Node], flags: Sequence[bool]) -> list[Node | None]:
    """Items at the places that are flagged, None elsewhere."""
    rest = iter(found)
    return [next(rest) if flag else None for flag in flags]


def on(node: Node, places: Mapping[Node, Node]) -> list[Node]:
    from numr.ir.transforms.substitute import substitute

    return substitute([node], places)


def where_lanes(mask: Node, yes: Node, no: Node) -> Node:
    """A choice for each lane: the axes of `mask` are the first ones of the others."""
    if yes.rank > mask.rank:
        mask = BROADCAST(mask, shape=yes.shape, axes=tuple(range(mask.rank)))
    return select(mask, yes, no)


def in_lanes(mask: Any, x: Any) -> Any:
    """A NumPy array of lanes with axes of length 1 for what one lane has of x."""
    mask = np.asarray(mask)
    return mask.reshape(mask.shape + (1,) * (np.ndim(x) - mask.ndim))


def linear_ends(ends: Sequence[Node], body: Body, seeds: Sequence[Node]) -> list[bool]:
    found = dependents([*body.params, *toposort(ends, body.params)], seeds)
    return [x in found for x in ends]
