"""One choice where several hang together: what is read only where a mask holds is not chosen by it again.

Derivatives choose at every step, so that nothing unselected meets an infinite factor; the outermost of
these selections is enough for the value. Every bit of what is read is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from numr.ir.node import Node, toposort
from numr.ir.transforms.substitute import again, rebuild
from numr.primitives.elementwise import SELECT, expand_like
from numr.primitives.mathematics import bit_and, bit_or
from numr.primitives.reduction import Reduction
from numr.rules.vocabulary import same_lengths

# Masks of one shape with a node, or scalars, and what each is wherever the node is read.
Facts = frozenset[tuple[Node, bool]]
NOTHING: Facts = frozenset()
VIEWS = ("broadcast", "permute", "reshape")
# More is not noted: a long chain of choices, as of a function given piece by piece, has hardly the same twice.
MOST = 64


def drop_choices(inputs: Sequence[Node], outputs: Sequence[Node]) -> list[Node]:
    """The outputs without selections of which only one side is ever read."""
    order = toposort(outputs, inputs)
    if sum(n.prim is SELECT for n in order) < 2:
        return list(outputs)
    known = dict.fromkeys(outputs, NOTHING)
    for node in reversed(order):
        for x, facts in _passed(node, known[node]):
            known[x] = known[x] & facts if x in known else facts

    def make(node: Node, operands: tuple[Node, ...]) -> Node:
        if node.prim is SELECT:
            for side, taken in ((True, operands[1]), (False, operands[2])):
                if (node.inputs[0], side) in known[node]:
                    return expand_like(taken, node)
        return node if operands == node.inputs else again(node, operands)

    return rebuild(outputs, order, make)


def _passed(node: Node, facts: Facts) -> Iterator[tuple[Node, Facts]]:
    """Each operand of a node, with what is known wherever that node reads it."""
    if node.prim is SELECT:
        mask, yes, no = node.inputs
        facts = facts if len(facts) < MOST else NOTHING
        yield mask, _at(mask, facts)
        yield yes, _at(yes, facts | _follows(mask, True))
        yield no, _at(no, facts | _follows(mask, False))
    elif hasattr(node.prim, "op") or node.prim.name == "cast":
        for x in node.inputs:
            yield x, _at(x, facts)
    elif node.prim.name in VIEWS:
        (x,) = node.inputs
        yield x, frozenset(below for m, value in facts for below in _below(node, m, value))
    else:
        whole = isinstance(node.prim, Reduction)
        scalar = frozenset(f for f in facts if not f[0].shape) if whole else NOTHING
        for x in node.inputs:
            yield x, scalar


def _at(x: Node, facts: Facts) -> Facts:
    """What holds of every read of an operand: a scalar is read for all elements alike."""
    return facts if x.shape else frozenset(f for f in facts if not f[0].shape)


def _follows(mask: Node, value: bool) -> Facts:
    """That a mask is so, and what that says of the masks it is made of."""
    found, stack = set(), [mask]
    while stack:
        m = stack.pop()
        found.add((m, value))
        if m.prim is (bit_and if value else bit_or):
            stack += (x for x in m.inputs if len(x.shape) == len(mask.shape) or not x.shape)
    return frozenset(found)


def _below(view: Node, mask: Node, value: bool) -> Iterator[tuple[Node, bool]]:
    """What is known under a view: of scalars the same, of a mask viewed alike what it is a view of."""
    (x,) = view.inputs
    if not mask.shape:
        yield mask, value
    elif mask.prim is view.prim:
        (inner,) = mask.inputs
        if not inner.shape or (
            same_lengths(inner.shape, x.shape)
            and all(same_lengths(mask.params[k], view.params[k]) for k in view.params)
        ):
            yield inner, value
