"""Constants that change from one reading of a lazy graph to the next become inputs of its program.

A loop such as `x = x + dt * f(step * dt)` records another constant in each pass. Were it part of the
program, each pass would compile. The first graph of a structure is compiled as it stands; the second,
with other constants in some places, gets a program that takes those as inputs, and so does every later
one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from numr.codegen.recent import Recent
from numr.ir.node import Node
from numr.ir.text import Canonical
from numr.ir.transforms.substitute import substitute
from numr.primitives.source import CONST, constant_value, param

# More constants than this are not followed: their program would mostly load its inputs.
FOLLOWED = 64

_VALUE = re.compile(r"(= const +)value=\S+")
# By the structure of a graph without its constants: their last values, and the places that changed.
_seen = Recent[bytes, tuple[tuple[str, ...], frozenset[int]]](4096)
_lock = threading.Lock()


def forget() -> None:
    """Take the next graph of every structure as the first."""
    _seen.clear()


def lifted(graph: Canonical, values: Sequence[Any], device: str) -> tuple[Canonical, list[Any]]:
    """The graph with constants that are known to change as further inputs, and all inputs' values."""
    exponents = {n.inputs[1] for n in graph.order if n.prim.name == "pow"}
    places = [
        n for n in graph.order if n.prim is CONST and n.dtype.kind in "iufc" and n not in exponents
    ]
    if not 0 < len(places) <= FOLLOWED:
        return graph, list(values)
    now = tuple(n.params["value"] for n in places)
    fixed = "".join(str(n.params["value"]) for n in exponents if n.prim is CONST)
    structure = blake2b((_VALUE.sub(r"\1", graph.text) + fixed).encode(), digest_size=16).digest()
    with _lock:
        before, changing = _seen.get(structure) or (now, frozenset())
        changing |= {k for k, (a, b) in enumerate(zip(before, now, strict=True)) if a != b}
        _seen[structure] = (now, changing)
    chosen = [places[k] for k in sorted(changing)]
    if not chosen:
        return graph, list(values)
    numbers = [np.array(constant_value(n.params["value"], n.dtype), n.dtype.dtype) for n in chosen]
    inputs = [param((), n.dtype, None, device) for n in chosen]
    replaced: dict[Node, Node] = dict(zip(chosen, inputs, strict=True))
    outputs = substitute(graph.outputs, replaced)
    return Canonical((*graph.inputs, *inputs), outputs), [*values, *numbers]
