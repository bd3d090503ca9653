"""How wide positions in kernels are: 32 bits where arrays are short, which many devices compute faster."""

from __future__ import annotations

import math
from collections.abc import Iterable

from numr.codegen.target import Capabilities
from numr.dtypes import DType
from numr.ir.body import Body, bodies
from numr.ir.node import Node, toposort

# Numbers of the longest array that has narrow positions: a quarter of what these can count, so that what
# kernels add to a position, and temporaries, fit too.
NARROW = 1 << 29


def positions(length: int, device: Capabilities) -> DType:
    """The dtype of positions in kernels whose longest array has so many numbers."""
    narrow = device.narrow_index
    return narrow if narrow is not None and length < NARROW else device.index


def longest(nodes: Iterable[Node]) -> int:
    """How many numbers the longest array of a graph has; a complex number is two."""
    found = 0
    held: dict[Body, None] = {}
    for node in nodes:
        parts = 2 if node.dtype.kind == "c" else 1
        found = max(found, math.prod(map(int, node.shape)) * parts)
        held |= dict.fromkeys(bodies(node))
    return max(found, *(longest(toposort(body.outputs)) for body in held), 0)
