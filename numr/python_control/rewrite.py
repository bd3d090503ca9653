"""From a function to the same function rewritten: its source, its syntax tree, and its closure.

The new code keeps the user's file and line numbers, so that tracebacks and messages name them.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

from numr import messages
from numr.python_control import names, operators
from numr.python_control.expressions import Mangled
from numr.python_control.jumps import OPERATORS
from numr.python_control.statements import rewrite

_MARK = "__numr_control_flow__"  # on functions that are rewritten already


def rewritten(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with its control flow rewritten."""
    if isinstance(function, types.MethodType):
        return types.MethodType(rewritten(function.__func__), function.__self__)
    if not isinstance(function, types.FunctionType):
        raise messages.cannot_rewrite(
            function, f"a {type(function).__name__} has no source of its own"
        )
    if hasattr(function, _MARK) or OPERATORS in function.__code__.co_freevars:
        return function
    if hasattr(function, "__wrapped__"):
        why = "it is what another decorator or transform made: rewrite the function within"
        raise messages.cannot_rewrite(function, why)
    node = _definition(function)
    _refuse(function, node)
    owner = function.__qualname__.rpartition(".")[0].rpartition(".")[2]
    if owner and owner != "<locals>":
        node = Mangled(owner).visit(node)
    node.decorator_list = []
    rewrite(node)
    node.name = "numr.function"  # its own name may be a global variable, or one around it
    return _function_of(node, function)


def _definition(function: types.FunctionType) -> names.Function:
    """The syntax tree of a function, with its places in its file."""
    if function.__name__ == "<lambda>":
        raise messages.cannot_rewrite(
            function, "a lambda's source cannot be told from what is around it"
        )
    try:
        lines, first = inspect.getsourcelines(function.__code__)
    except (OSError, TypeError):
        raise messages.cannot_rewrite(function, "its source cannot be found") from None
    source = "".join(lines)
    # Indented as it is, so that columns and strings of several lines stay what they are.
    indented = source[:1].isspace()
    try:
        tree: Any = ast.parse("if True:\n" + source if indented else source)
    except SyntaxError:
        raise messages.cannot_rewrite(function, "its source is not that of a function") from None
    node = tree.body[0].body[0] if indented else tree.body[0]
    if not isinstance(node, names.Function) or node.name != function.__code__.co_name:
        raise messages.cannot_rewrite(function, "its source is not that of a function")
    ast.increment_lineno(node, first - (2 if indented else 1))
    return node


def _refuse(function: types.FunctionType, node: names.Function) -> None:
    """What cannot be rewritten, whatever its values are."""
    for n in ast.walk(node):
        if isinstance(n, (ast.Try, ast.TryStar)):
            for s in n.finalbody:
                if names.jumps([s]):
                    why = "a jump out of `finally` discards an exception, which flags cannot"
                    raise messages.cannot_rewrite(function, why, s.lineno)
        name = n.func.id if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) else ""
        if name in ("locals", "exec", "eval") and name not in function.__globals__:
            why = f"{name}() would see the variables of the rewritten function"
            raise messages.cannot_rewrite(function, why, n.lineno)  # type: ignore[attr-defined]


def _function_of(node: names.Function, function: types.FunctionType) -> Callable[..., Any]:
    """A function with the new body, and everything else of the old one: defaults, globals, closure."""
    code = function.__code__
    given = [ast.arg(name) for name in (*code.co_freevars, OPERATORS)]
    factory = ast.FunctionDef(
        "numr.factory", ast.arguments([], given, None, [], [], None, []), [node], []
    )
    factory.type_params = []  # type: ignore[attr-defined]  # which Python 3.12 asks for
    module = ast.Module([ast.fix_missing_locations(ast.copy_location(factory, node))], [])
    compiled = compile(
        module, code.co_filename, "exec", flags=code.co_flags & _FUTURES, dont_inherit=True
    )
    (outer,) = (c for c in compiled.co_consts if isinstance(c, types.CodeType))
    made = next(
        c for c in outer.co_consts if isinstance(c, types.CodeType) and c.co_name == node.name
    )
    made = _renamed(made, code.co_name, code.co_qualname)
    cells = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
    cells[OPERATORS] = types.CellType(operators)
    closure = tuple(cells[name] for name in made.co_freevars)
    new = types.FunctionType(
        made, function.__globals__, function.__name__, function.__defaults__, closure
    )
    new.__kwdefaults__ = function.__kwdefaults__
    functools.update_wrapper(new, function)
    setattr(new, _MARK, True)
    return new


def _futures() -> int:
    import __future__

    return functools.reduce(
        int.__or__, (getattr(__future__, n).compiler_flag for n in __future__.all_feature_names)
    )


_FUTURES = _futures()


def _renamed(code: types.CodeType, name: str, qualified: str) -> types.CodeType:
    """Code whose parts that became functions have the name of the function they were part of."""
    inner: list[Any] = []
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            ours = c.co_name.startswith("numr.")
            inside = f"{qualified}.<locals>.{c.co_name}"
            c = _renamed(c, name, qualified) if ours else _renamed(c, c.co_name, inside)
        inner.append(c)
    return code.replace(co_name=name, co_qualname=qualified, co_consts=tuple(inner))
