"""The reference meaning of a graph: NumPy, node by node. Every compiled backend is held against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from numr.devices import to_host
from numr.dtypes import float16
from numr.ir.node import Node, toposort
from numr.ir.primitive import siblings_key

Evaluate = Callable[[Node, Sequence[Any]], Any]


def evaluate(node: Node, arrays: Sequence[Any]) -> Any:
    """A node's value by its primitive's reference, given its operands' values."""
    if any(x.dtype.is_half and x.dtype is not float16 for x in node.inputs):
        # NumPy knows no arithmetic of bfloat16, or not all of it.
        arrays = [a.astype(np.float32) if a.dtype.name == "bfloat16" else a for a in arrays]
    return _typed(node.prim.reference(*arrays, **node.params), node)


def _typed(result: Any, node: Node) -> Any:
    """A result in the node's dtype and shape."""
    return np.asarray(result, node.dtype.dtype).reshape(tuple(map(int, node.shape)))


def interpret(
    outputs: Sequence[Node],
    values: Mapping[Node, Any],
    evaluate: Evaluate = evaluate,
) -> list[Any]:
    """The outputs' values as NumPy arrays, given values of nodes; other leaves bring their own.

    Args:
        outputs: what to compute.
        values: nodes whose values are known, parameters among them; nothing below them is computed.
        evaluate: how to compute a node from its operands' values.
    """
    known: dict[Node, Any] = {node: np.asarray(value) for node, value in values.items()}
    wholes: dict[Any, list[Any]] = {}
    with np.errstate(all="ignore"):
        for node in toposort(outputs, known):
            if node.value is not None:
                known[node] = to_host(node.value)
            elif node.prim.has_siblings:
                key = siblings_key(node)
                if key not in wholes:
                    params = {k: v for k, v in node.params.items() if k != "index"}
                    arrays = [known[x] for x in node.inputs]
                    # What is computed within is computed in the same way.
                    wholes[key] = node.prim.whole(*arrays, evaluate=evaluate, **params)  # type: ignore[attr-defined]
                known[node] = _typed(wholes[key][node.params["index"]], node)
            else:
                known[node] = evaluate(node, [known[x] for x in node.inputs])
    return [known[out] for out in outputs]
