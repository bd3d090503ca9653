"""Bodies: closed graphs that primitives hold, such as what a loop does in one step.

A body depends on its parameters and on nothing else: what the user's function took from outside is one
of its parameters, and an operand of the primitive. So it can be differentiated, batched, rewritten and
compiled like any graph, whatever is around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from numr.ir.node import Node, dependents, toposort
from numr.ir.transforms.batch import batch
from numr.ir.transforms.jvp import jvp
from numr.ir.transforms.substitute import substitute


class Body:
    """A closed graph; it is itself only.

    Attributes:
        params: its placeholders.
        outputs: its results.
        memo: other bodies made of it, so that equal requests give one body, and equal loops one node.
    """

    __slots__ = ("memo", "outputs", "params")

    def __init__(self, params: Iterable[Node], outputs: Iterable[Node]) -> None:
        self.params = tuple(params)
        self.outputs = tuple(outputs)
        self.memo: dict[Any, Any] = {}

    def made(self, key: Any, make: Callable[[], Any]) -> Any:
        """What `make` gives, made once for a key."""
        found = self.memo.get(key)
        return (
            self.memo.setdefault(key, make()) if found is None else found
        )  # of threads, the first

    def moved(
        self, which: Sequence[bool], like: Callable[[Node], Node]
    ) -> tuple[list[Node | None], list[Node | None]]:
        """Forward mode: a placeholder for the tangent of each parameter that moves, made by `like`, and
        the results' tangents; None where zero."""
        seeds = [like(p) if m else None for p, m in zip(self.params, which, strict=True)]
        given = {p: s for p, s in zip(self.params, seeds, strict=True) if s is not None}
        return list(seeds), jvp(self.outputs, given)

    def batched(
        self, which: Sequence[bool], size: int, place: Callable[[Node], Node]
    ) -> tuple[list[Node], list[tuple[Node, int | None]]]:
        """Over a batch: the parameters, those that differ over it with it as their first axis, made by
        `place`; and the results with their batch axes."""
        params = [place(p) if m else p for p, m in zip(self.params, which, strict=True)]
        mapped: dict[Node, tuple[Node, int | None]] = {
            p: (q, 0) for p, q in zip(self.params, params, strict=True) if q is not p
        }
        return params, batch(self.outputs, mapped, size)


def close(
    params: Sequence[Node],
    outputs: Sequence[Node],
    like: Callable[[Node], Node],
    constant: Callable[[Node], bool],
) -> tuple[Body, list[Node]]:
    """A body of what outputs do with params, and what else they take, which its first params stand for.

    Args:
        params: placeholders.
        outputs: nodes that depend on them, on others, or on both.
        like: makes a placeholder of a node's type.
        constant: whether a node is rather part of the body than handed to it.
    """
    order = toposort(outputs, params)
    inner = dependents([*params, *order], params)
    inside = set(inner)
    for node in order:
        if node not in inner and constant(node) and all(x in inside for x in node.inputs):
            inside.add(node)
    needed = [x for node in order if node in inner for x in node.inputs] + list(outputs)
    taken = [x for x in dict.fromkeys(needed) if x not in inside]
    places = {x: like(x) for x in taken}
    return Body([*places.values(), *params], substitute(outputs, places)), taken


def bodies(node: Node) -> list[Body]:
    """The bodies that a node holds."""
    held: list[Any] = []
    for value in node.params.values():
        held += value if isinstance(value, tuple) else (value,)
    return [x for x in held if isinstance(x, Body)]
