"""Branches and loops as calls of operators on functions, whose variables are those of the user's function.

The functions share the variables as Python's closures do, so what runs in Python runs as it is written;
an operator that makes a primitive reads and writes the variables through the closures' cells.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from numr.python_control import names
from numr.python_control.expressions import Expressions, known, thunk
from numr.python_control.jumps import (
    LOST,
    OPERATORS,
    RESULT,
    RETURNED,
    Jumps,
    assign,
    load,
    operator,
)
from numr.python_control.liveness import liveness

_ITERATORS = {"range", "enumerate", "zip", "reversed"}
_CHANGES = {"append", "extend", "insert", "remove", "clear", "update", "add", "discard", "sort"}
_CHANGES |= {"reverse", "appendleft", "extendleft", "setdefault", "pop", "popitem", "popleft"}


def rewrite(node: names.Function) -> None:
    """Rewrite the body of a function, and of those in it, in place."""
    generates = any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in names.own(node.body))
    if generates or isinstance(node, ast.AsyncFunctionDef):
        _leave(node, "a generator" if generates else "an async function")
        return
    start = node.body[:1] if ast.get_docstring(node) is not None else []
    body = node.body[len(start) :]
    if not body:
        return
    shared = names.declared(body, ast.Nonlocal)
    globals_ = names.declared(body, ast.Global)
    body = [_Declarations().visit(s) for s in body]
    found = liveness(body)
    jumps = Jumps(found)
    lowered = jumps.function(body)
    local = names.assigned(lowered) - shared - globals_
    writer = _Writer(node, jumps, globals_, shared)
    writer.local = local | set(names.parameters(node.args))
    written = writer.block(lowered)
    first = _declared(globals_, shared, node)
    # Names that only the inner functions assign are variables of this one all the same.
    never = [assign(name, ast.Constant(None), node) for name in sorted(local)]
    if never:
        hidden = ast.If(ast.Constant(False), never, [])
        first.append(ast.fix_missing_locations(ast.copy_location(hidden, node)))
    if jumps.returns:
        first.append(assign(RETURNED, False, node))
        value = ast.Lambda(ast.arguments([], [], None, [], [], None, []), load(RESULT))
        given = operator("returned", [load(RETURNED), value, ast.Constant(node.name)], node)
        written.append(ast.copy_location(ast.Return(given), node))
    if writer.operators:
        first.append(assign(LOST, ast.Dict([], []), node))
        written = [_explained(written, node)]
    node.body = [*start, *first, *written]


def _explained(body: list[ast.stmt], node: ast.AST) -> ast.stmt:
    """The body, with an explanation of variables that have no value because a branch did not run."""
    explain = operator("explain", [load("numr.error"), load(LOST)], node)
    unbound = ast.Attribute(load(OPERATORS), "NameError", ast.Load())
    handler = ast.ExceptHandler(unbound, "numr.error", [ast.Expr(explain), ast.Raise(None, None)])
    made = ast.Try(body, [handler], [], [])
    return ast.fix_missing_locations(ast.copy_location(made, node))


def _leave(node: names.Function, why: str) -> None:
    """A function whose control flow stays Python's: its tests say so where they are traced."""
    expressions = Expressions(None, why)
    for s in names.own(node.body):
        if isinstance(s, (ast.If, ast.While)):
            s.test = known(s.test, why)
        elif isinstance(s, names.SCOPES) and not isinstance(s, (ast.Lambda, ast.ClassDef)):
            rewrite(s)
    node.body = [expressions.visit(s) for s in node.body]


class _Declarations(ast.NodeTransformer):
    """Takes out `global` and `nonlocal`, which inner functions declare for themselves, and annotations
    of variables, which cannot be declared so."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = visit_FunctionDef  # type: ignore[assignment]

    def visit_Global(self, node: ast.Global) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_Nonlocal(self, node: ast.Nonlocal) -> ast.AST:
        return ast.copy_location(ast.Pass(), node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value), node)


def _declared(globals_: set[str], shared: set[str], like: ast.AST) -> list[ast.stmt]:
    """`global` and `nonlocal`, as far as there are names for them."""
    found: list[ast.stmt] = [ast.Global(sorted(globals_))] if globals_ else []
    found += [ast.Nonlocal(sorted(shared))] if shared else []
    return [ast.copy_location(s, like) for s in found]


class _Writer:
    """Writes the lowered statements of one function."""

    def __init__(
        self, node: names.Function, jumps: Jumps, globals_: set[str], shared: set[str]
    ) -> None:
        self.jumps = jumps
        self.globals, self.shared = globals_, shared
        self.local: set[str] = set()
        self.operators = 0
        self.within: list[str] = []  # `try` and `with` around
        arguments = names.parameters(node.args)
        self.expressions = Expressions(arguments[0] if arguments else None)
        self.written_within = names.written_within(node.body)

    def block(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        return [new for s in statements for new in self._statement(s)]

    def _statement(self, s: ast.stmt) -> list[ast.stmt]:
        match s:
            case ast.If():
                return self._if(s)
            case ast.While():
                return self._while(s)
            case ast.For():
                return self._for(s)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                rewrite(s)
                s.decorator_list = [self.expressions.visit(d) for d in s.decorator_list]
                s.args = self.expressions.visit(s.args)
                return [s]
            case ast.Try() | ast.TryStar() | ast.With() | ast.Match():
                return [self._other(s)]
            case ast.Assert():
                s = self.expressions.visit(s)
                assert isinstance(s, ast.Assert)
                s.test = known(s.test, "`assert`")
                return [s]
        return [*self._checks(s), self.expressions.visit(s)]

    # -- branches and loops ----------------------------------------------------------------------

    def _if(self, s: ast.If) -> list[ast.stmt]:
        test = self.expressions.test(s.test)
        both = [*s.body, *s.orelse]
        then, otherwise = self._define("then", s.body, s), self._define("otherwise", s.orelse, s)
        return [then, otherwise, self._call("if_", s, both, [test], [then, otherwise], test)]

    def _while(self, s: ast.While) -> list[ast.stmt]:
        test = self.expressions.test(s.test)
        asked = ast.copy_location(ast.Return(test), test)
        go = self._define("test", [], s, [asked])
        body = self._define("body", s.body, s)
        return [go, body, self._call("while_", s, s.body, [], [go, body], test)]

    def _for(self, s: ast.For) -> list[ast.stmt]:
        over = self.expressions.visit(self._iterated(s.iter))
        given = ast.copy_location(ast.Assign([s.target], load("numr.item")), s.target)
        body = self._define(
            "body", [ast.fix_missing_locations(given), *s.body], s, item="numr.item"
        )
        every = [given, *s.body]
        return [body, self._call("for_", s, every, [over], [body], over)]

    def _iterated(self, node: ast.expr) -> ast.expr:
        """What a loop goes over, where `range`, `zip` and their like may be given traced values."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            return node
        if node.func.id not in _ITERATORS or node.func.id in self.local:
            return node
        made = operator("iterated", [node.func, *map(self._iterated, node.args)], node)
        made.keywords = node.keywords
        return made

    def _define(
        self,
        name: str,
        body: Sequence[ast.stmt],
        like: ast.stmt,
        written: list[ast.stmt] | None = None,
        item: str | None = None,
    ) -> ast.FunctionDef:
        """A function of the variables around it."""
        given = names.assigned(body) | self.written_within
        declared = _declared(given & self.globals, given & (self.local | self.shared), like)
        arguments = ast.arguments([], [ast.arg(item)] if item else [], None, [], [], None, [])
        inside = declared + (written or self.block(body))
        made = ast.FunctionDef(f"numr.{name}", arguments, inside or [ast.Pass()], [])
        made.type_params = []  # type: ignore[attr-defined]  # which Python 3.12 asks for
        return ast.fix_missing_locations(ast.copy_location(made, like))

    def _call(
        self,
        name: str,
        s: ast.stmt,
        inside: Sequence[ast.stmt],
        values: list[ast.expr],
        functions: Sequence[ast.FunctionDef],
        like: ast.AST,
    ) -> ast.stmt:
        """The operator, told which variables are part of the result."""
        self.operators += 1
        facts = self.jumps.liveness.of(s)
        given = (names.assigned(inside) | self.written_within) & self.local
        read = facts.after | facts.head
        flags = tuple(f for f in self.jumps.flags[id(s)] if f in given)
        changed = (names.changed(inside) - given) - {OPERATORS}
        facts_ = {
            "variables": tuple(sorted(given & read)),
            "scratch": tuple(sorted(n for n in given - read if "." not in n)),
            "changed": tuple(sorted(changed)),
            "flags": flags,
            "stops": self.jumps.stops.get(id(s), ()),
            "certain": tuple(sorted(facts.certain)),
            "within": self.within[-1] if self.within else None,
            "word": "if" if isinstance(s, ast.If) else "for" if isinstance(s, ast.For) else "while",
        }
        call = operator(name, [*values, *(load(f.name) for f in functions)], like)
        call.keywords = [ast.keyword(k, _constant(v)) for k, v in facts_.items()]
        call.keywords.append(ast.keyword("lost", load(LOST)))
        made = ast.Expr(call)
        return ast.fix_missing_locations(ast.copy_location(made, like))

    # -- what stays a statement ------------------------------------------------------------------

    def _other(self, s: ast.Try | ast.TryStar | ast.With | ast.Match) -> ast.stmt:
        if isinstance(s, ast.Match):
            s.subject = operator(
                "known", [self.expressions.visit(s.subject), ast.Constant("`match`")], s.subject
            )
            for case in s.cases:
                if case.guard is not None:
                    case.guard = known(self.expressions.visit(case.guard), "`match`")
                case.body = self.block(case.body)
            return s
        if isinstance(s, ast.With):
            s.items = [self.expressions.visit(item) for item in s.items]
            self.within.append("with")
            s.body = self.block(s.body)
            self.within.pop()
            return s
        self.within.append("try")
        s.body = self.block(s.body)
        self.within.pop()
        for handler in s.handlers:
            handler.body = self.block(handler.body)
        s.orelse = self.block(s.orelse)
        s.finalbody = self.block(s.finalbody)
        return s

    def _checks(self, s: ast.stmt) -> list[ast.stmt]:
        """Operators before a statement that may change what is no variable of this function."""
        found: list[ast.Call] = []
        if isinstance(s, ast.Raise):
            found.append(operator("raising", [], s))
        for name in sorted(names.assigned([s]) & (self.globals | self.shared)):
            variable = ast.Constant(None) if name in self.globals else thunk(load(name))
            found.append(operator("rebinding", [ast.Constant(name), variable], s))
        for node in names.own([s]):
            if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(
                node.ctx, ast.Load
            ):
                found += self._changing(node.value, ast.unparse(node), node)
        match s:
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name, value=base) as called)):
                if name in _CHANGES:
                    found += self._changing(base, f"{ast.unparse(called)}()", called)
        return [ast.fix_missing_locations(ast.copy_location(ast.Expr(c), s)) for c in found]

    def _changing(self, base: ast.expr, text: str, like: ast.AST) -> list[ast.Call]:
        root = names.root(base)
        if root is None:
            return []
        everywhere = root.id not in self.local | self.shared
        arguments = [load(root.id), ast.Constant(text), ast.Constant(everywhere)]
        return [operator("changing", arguments, like)]


def _constant(value: Any) -> ast.expr:
    if isinstance(value, tuple):
        return ast.Tuple([ast.Constant(v) for v in value], ast.Load())
    return ast.Constant(value)
