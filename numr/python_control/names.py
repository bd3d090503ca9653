"""What statements do with names: which they assign, which they read, how they jump."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

Function = ast.FunctionDef | ast.AsyncFunctionDef
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LOOPS = (ast.While, ast.For, ast.AsyncFor)


def own(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Nodes that run in the function they stand in: not the bodies of functions and classes within."""
    waiting = list(nodes)[::-1]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.Lambda):
            inside: list[ast.AST] = [node.args]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            inside = [*node.decorator_list, node.args]
        elif isinstance(node, ast.ClassDef):
            inside = [*node.decorator_list, *node.bases, *node.keywords]
        elif isinstance(node, ast.arg):
            inside = []
        else:
            inside = list(ast.iter_child_nodes(node))
        waiting += inside[::-1]


def assigned(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that nodes give a value, or take it from."""
    found: set[str] = set()
    nodes = list(nodes)
    within = {
        id(name)
        for node in own(nodes)
        if isinstance(node, COMPREHENSIONS)
        for generator in node.generators
        for name in ast.walk(generator.target)
    }
    for node in own(nodes):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) if id(node) not in within:
                found.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Import() | ast.ImportFrom():
                found |= {(a.asname or a.name).partition(".")[0] for a in node.names}
            case ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
    return found


def read(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that nodes may read, in functions within them, too."""
    return {
        n.id
        for node in nodes
        for n in ast.walk(node)
        if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Store)
    }


def captured(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that functions defined in nodes may read whenever they are called."""
    found: set[str] = set()
    for node in own(nodes):
        if isinstance(node, (*SCOPES, ast.GeneratorExp)):
            found |= read([node])
    return found


def written_within(nodes: Iterable[ast.AST]) -> set[str]:
    """The names that functions defined in nodes assign as `nonlocal`."""
    return {
        name
        for node in own(nodes)
        if isinstance(node, SCOPES)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Nonlocal)
        for name in inner.names
    }


def declared(nodes: Iterable[ast.AST], kind: type[ast.Global] | type[ast.Nonlocal]) -> set[str]:
    """The names that nodes declare `global`, or `nonlocal`."""
    return {name for node in own(nodes) if isinstance(node, kind) for name in node.names}


def parameters(arguments: ast.arguments) -> list[str]:
    every = [*arguments.posonlyargs, *arguments.args, arguments.vararg]
    return [a.arg for a in [*every, *arguments.kwonlyargs, arguments.kwarg] if a is not None]


def root(node: ast.expr) -> ast.Name | None:
    """x of `x`, `x[i]`, `x.a[i].b` and the like."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node if isinstance(node, ast.Name) else None


def changed(nodes: Iterable[ast.AST]) -> set[str]:
    """The names of what nodes change in place: x of `x[i] = v`."""
    found = set()
    for node in own(nodes):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            base: ast.expr = node
            while isinstance(base, ast.Subscript):
                base = base.value
            if isinstance(base, ast.Name):
                found.add(base.id)
    return found


def jumps(statements: Iterable[ast.stmt]) -> set[str]:
    """How statements may leave the block they are in: some of "break", "continue" and "return"."""
    found: set[str] = set()
    for s in statements:
        match s:
            case ast.Break():
                found.add("break")
            case ast.Continue():
                found.add("continue")
            case ast.Return():
                found.add("return")
            case ast.While() | ast.For() | ast.AsyncFor():
                found |= (jumps(s.body) & {"return"}) | jumps(s.orelse)
            case ast.If() | ast.With() | ast.AsyncWith() | ast.Try() | ast.TryStar() | ast.Match():
                found |= jumps([x for block in blocks(s) for x in block])
    return found


def blocks(statement: ast.stmt) -> list[list[ast.stmt]]:
    """The lists of statements that a statement holds."""
    found = [getattr(statement, field, []) for field in ("body", "orelse", "finalbody")]
    found += [handler.body for handler in getattr(statement, "handlers", [])]
    return [*found, *(case.body for case in getattr(statement, "cases", []))]


def always_true(test: ast.expr) -> bool:
    return isinstance(test, ast.Constant) and bool(test.value)


def leaves_always(statements: Sequence[ast.stmt]) -> bool:
    """Whether the end of a block is never reached."""
    for s in statements:
        match s:
            case ast.Break() | ast.Continue() | ast.Return() | ast.Raise():
                return True
            case ast.If() if leaves_always(s.body) and leaves_always(s.orelse):
                return True
            case ast.With() if leaves_always(s.body):
                # what it manages may swallow an exception, and go on behind
                return not any(isinstance(n, (ast.Raise, ast.Call)) for n in own(s.body))
            case ast.While() if always_true(s.test) and "break" not in jumps(s.body):
                return True
    return False
