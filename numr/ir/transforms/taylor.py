"""Taylor mode on the graph: the power series of outputs along a curve, given those of some nodes.

A product of series is their convolution, a quotient solves one, and what is linear maps coefficients one
by one. Everything else follows its derivative: y = f(x) has y' = f'(x) x', whose graph is the primitive's
`jvp`, and (j + 1) y[j + 1] = y'[j]. So a primitive needs no rule of its own, and as the coefficients of
inner nodes are kept, order k costs about k^2 evaluations where nested derivatives cost 2^k.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from numr.ir.node import Node, dependents, located, toposort, toposort_between
from numr.primitives.elementwise import accumulate, div, like, mul, neg
from numr.primitives.shape import zeros_like
from numr.primitives.source import param_like

_BILINEAR = ("matmul", "mul")


def taylor(
    outputs: Sequence[Node], series: Mapping[Node, Sequence[Node | None]], order: int
) -> list[list[Node | None]]:
    """Coefficients 1 to `order` of the outputs, where each key of `series` has these; None is zero."""
    run = _Series(outputs, series)
    for j in range(1, order + 1):
        for node in run.order:
            run.at(node, j)
    return [[run.at(out, j) for j in range(1, order + 1)] for out in outputs]


class _Series:
    def __init__(
        self, outputs: Sequence[Node], series: Mapping[Node, Sequence[Node | None]]
    ) -> None:
        self.order = toposort_between(outputs, series)
        self.moving = set(self.order).union(series)
        self.found: dict[tuple[Node, int], Node | None] = {}
        for node, terms in series.items():
            for j, term in enumerate(terms, 1):
                self.found[node, j] = term
        # The rate of change of a node, as a placeholder, and of which node one is.
        self.rates: dict[Node, Node] = {}
        self.of_rate: dict[Node, Node] = {}
        # What is made of rates.
        self.derived: set[Node] = set()
        # The derivative of a node in terms of rates, and what it is made of; None where the node is linear.
        self.derivatives: dict[Node, tuple[Node | None, list[Node]] | None] = {}

    def at(self, node: Node, j: int) -> Node | None:
        """Coefficient j of a node."""
        of = self.of_rate.get(node)
        if of is not None:
            term = self.at(of, j + 1)
            return term if term is None or j == 0 else _scaled(term, float(j + 1))
        if j == 0:
            return self.value(node)
        if node not in self.moving or not node.dtype.is_inexact:
            return None
        if (node, j) not in self.found:
            with located(node.location):
                self.found[node, j] = self._next(node, j)
        return self.found[node, j]

    def value(self, node: Node) -> Node:
        """Coefficient 0 of a node: itself, or what it is with the rates it is made of."""
        of = self.of_rate.get(node)
        if of is not None:
            term = self.at(of, 1)
            return zeros_like(of) if term is None else term
        if node not in self.derived:
            return node
        if (node, 0) not in self.found:
            operands = [self.value(x) for x in node.inputs]
            self.found[node, 0] = node.prim(*operands, **node.params)
        return self.found[node, 0]  # type: ignore[return-value]

    def _next(self, node: Node, j: int) -> Node | None:
        if node.prim.name in _BILINEAR:
            x, y = node.inputs
            return self._convolved(node, x, y, range(j + 1), j)
        if node.prim.name == "div":
            # Of y = n / d: n[j] = sum of y[i] d[j - i].
            rest = self._convolved(None, node, node.inputs[1], range(j), j)
            top = accumulate(self.at(node.inputs[0], j), None if rest is None else neg(rest))
            return None if top is None else div(top, self.value(node.inputs[1]))
        if node not in self.derivatives:
            self.derivatives[node] = self._derivative(node)
        derivative = self.derivatives[node]
        if derivative is None:
            terms = [self.at(x, j) if x in self.moving else None for x in node.inputs]
            if all(t is None for t in terms):
                return None
            operands = tuple([self.value(x) for x in node.inputs])
            return node.prim.jvp(self.value(node), operands, terms, **node.params)
        rate, inner = derivative
        if rate is None:
            return None
        for x in inner:
            self.at(x, j - 1)
        term = self.at(rate, j - 1)
        return term if term is None or j == 1 else _scaled(term, 1.0 / j)

    def _convolved(self, node: Node | None, x: Node, y: Node, places: range, j: int) -> Node | None:
        total: Node | None = None
        for i in places:
            a, b = self.at(x, i), self.at(y, j - i)
            if a is not None and b is not None:
                product = mul(a, b) if node is None else node.prim(a, b, **node.params)
                total = product if total is None else accumulate(total, product)
        return total

    def _derivative(self, node: Node) -> tuple[Node | None, list[Node]] | None:
        moving = [x for x in node.inputs if x in self.moving and x.dtype.is_inexact]
        for x in moving:
            if x not in self.rates:
                self.rates[x] = param_like(x)
                self.of_rate[self.rates[x]] = x
                self.moving.add(self.rates[x])
        tangents = [self.rates[x] if x in moving else None for x in node.inputs]
        rate = node.prim.jvp(node, node.inputs, tangents, **node.params) if moving else None
        if rate is None:
            return None, []
        if rate not in dependents(toposort([rate]), [node, *moving]):
            return None
        inner = toposort_between([rate], [node, *moving, *(self.rates[x] for x in moving)])
        self.moving.update(inner)
        self.derived.update(dependents(inner, [*self.of_rate, *self.derived]).intersection(inner))
        return rate, inner


def _scaled(x: Node, factor: float) -> Node:
    return mul(x, like(x, factor))
