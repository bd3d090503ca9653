"""What lies between a result and the variables it depends on, also where it has been computed since."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING

from numr.ir.node import Node
from numr.primitives.source import STOP_GRADIENT

if TYPE_CHECKING:
    from numr.autograd.variables import Var

_ids = itertools.count(1)


class Variable:
    """What a leaf of the graph is to derivatives: an identity, and the user's handle while there is one."""

    __slots__ = ("handle", "id")

    def __init__(self, handle: Var) -> None:
        self.id = next(_ids)
        self.handle = weakref.ref(handle)


class History:
    """The way from variables to a result.

    Attributes:
        variables: the nodes of the variables it depends on.
        order: the nodes that depend on variables, in order of creation; variables excluded.
        depends: both.
    """

    __slots__ = ("depends", "order", "variables")

    def __init__(self, result: Node) -> None:
        stack, seen = [result], {result}
        self.variables: set[Node] = set()
        while stack:
            node = stack.pop()
            if type(node.origin) is Variable:
                self.variables.add(node)
                continue
            made = node.made_by
            if made.prim is not STOP_GRADIENT:
                for x in made.inputs:
                    if x not in seen and x.dtype.is_inexact:
                        seen.add(x)
                        stack.append(x)
        self.depends = set(self.variables)
        self.order: list[Node] = []
        for node in sorted(seen - self.variables, key=lambda n: n.number):
            made = node.made_by
            if made.prim is not STOP_GRADIENT and any(x in self.depends for x in made.inputs):
                self.depends.add(node)
                self.order.append(node)
