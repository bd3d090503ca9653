"""Conditional expressions, `and`, `or`, `not` and chains of comparisons as calls of operators."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from numr.python_control import names
from numr.python_control.jumps import load, operator

_COMPARISONS = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
    ast.Is: "is_",
    ast.IsNot: "is_not",
    ast.In: "in_",
    ast.NotIn: "not_in",
}


def thunk(body: ast.expr) -> ast.Lambda:
    """`lambda: body`."""
    nothing = ast.arguments([], [], None, [], [], None, [])
    return ast.copy_location(ast.Lambda(nothing, body), body)


def known(test: ast.expr, what: str) -> ast.expr:
    """A test that Python decides: an error where it is traced, which says what it is the test of."""
    return operator("known", [test, ast.Constant(what)], test)


def _stays(nodes: Sequence[ast.expr]) -> bool:
    """Whether expressions cannot become functions: what they assign is assigned where they stand."""
    inside = (ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await)
    return any(isinstance(n, inside) for n in names.own(nodes))


class Expressions(ast.NodeTransformer):
    """Rewrites the expressions of one statement, in lambdas, too, but not in functions and classes.

    Args:
        first: the name of the first parameter, which `super()` means.
        plain: whether control flow stays Python's, as in a generator, and why.
    """

    def __init__(self, first: str | None, plain: str | None = None) -> None:
        self.first = first
        self.plain = plain

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        return node

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef  # type: ignore[assignment]

    def test(self, node: ast.expr) -> ast.expr:
        """An expression of which only the truth matters, so that `n or x > 0` need not be one type."""
        if isinstance(node, ast.BoolOp) and not self.plain and not _stays(node.values[1:]):
            word = "and_test" if isinstance(node.op, ast.And) else "or_test"
            first, *rest = [self.test(v) for v in node.values]
            return operator(word, [first, *map(thunk, rest)], node)
        found: ast.expr = self.visit(node)
        return found

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        stays = self.plain or _stays([node.body, node.orelse])
        node.test = self.test(node.test)
        node.body, node.orelse = self.visit(node.body), self.visit(node.orelse)
        if stays:
            node.test = known(node.test, self.plain or "a conditional expression with :=")
            return node
        return operator("either", [node.test, thunk(node.body), thunk(node.orelse)], node.test)

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        word = "and" if isinstance(node.op, ast.And) else "or"
        stays = self.plain or _stays(node.values[1:])
        self.generic_visit(node)
        if stays:
            why = self.plain or f"`{word}` with :="
            node.values[:-1] = [known(v, why) for v in node.values[:-1]]
            return node
        rest = [thunk(v) for v in node.values[1:]]
        return operator(f"{word}_", [node.values[0], *rest], node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        if not isinstance(node.op, ast.Not):
            return self.generic_visit(node)
        node.operand = self.test(node.operand)
        if self.plain:
            node.operand = known(node.operand, self.plain)
            return node
        return operator("not_", [node.operand], node)

    def visit_Compare(self, node: ast.Compare) -> Any:
        stays = self.plain or _stays(node.comparators)
        self.generic_visit(node)
        if len(node.ops) == 1 or stays:
            return node
        signs = [ast.Constant(_COMPARISONS[type(op)]) for op in node.ops]
        rest = [thunk(c) for c in node.comparators]
        pairs = [x for pair in zip(signs, rest, strict=True) for x in pair]
        return operator("chain", [node.left, *pairs], node)

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        self.generic_visit(node)
        node.ifs = [known(test, "a comprehension") for test in node.ifs]
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
            # which looks for its arguments in the function that calls it: that may be one of ours
            node.args = [load("__class__"), load(self.first or "self")]
            ast.fix_missing_locations(node)
        return node


class Mangled(ast.NodeTransformer):
    """Private names of a class, as Python compiles them within it: `__x` is `_Class__x`."""

    def __init__(self, owner: str) -> None:
        self.prefix = "_" + owner.lstrip("_")

    def name(self, name: str) -> str:
        private = name.startswith("__") and not name.endswith("__") and "." not in name
        return self.prefix + name if private else name

    def visit_Name(self, node: ast.Name) -> Any:
        node.id = self.name(node.id)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        node.attr = self.name(node.attr)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> Any:
        node.arg = self.name(node.arg)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> Any:
        if node.arg:
            node.arg = self.name(node.arg)
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        return node
