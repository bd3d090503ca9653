"""The reference meaning of a graph: NumPy, node by node. Every compiled backend is held against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from numr.ir.node import Node, toposort


def interpret(outputs: Sequence[Node], values: Mapping[Node, Any]) -> list[Any]:
    """The outputs' values as NumPy arrays, given values of parameters; leaves bring their own."""
    known: dict[Node, Any] = {}
    with np.errstate(all="ignore"):
        for node in toposort(outputs):
            if node in values:
                known[node] = np.asarray(values[node])
            elif node.value is not None:
                known[node] = np.asarray(node.value)
            else:
                arrays = (known[x] for x in node.inputs)
                result = node.prim.reference(*arrays, **node.params)
                known[node] = np.asarray(result, node.dtype.dtype).reshape(
                    tuple(map(int, node.shape))
                )
    return [known[out] for out in outputs]
