"""What rewritten code calls: each operator runs as Python does, unless what decides is traced."""

from __future__ import annotations

import operator as python
from builtins import NameError as NameError  # rewritten code finds it here, whatever its own is
from collections.abc import Callable
from typing import Any

from numr import messages
from numr.array import Array
from numr.errors import Location
from numr.python_control import regions
from numr.python_control.branches import _text, branch, choose
from numr.python_control.iterables import iterated as iterated
from numr.python_control.loops import any_of, for_python, while_python
from numr.python_control.values import is_traced, truth
from numr.python_control.variables import Function, Site

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    **{
        name: getattr(python, name)
        for name in ("eq", "ne", "lt", "le", "gt", "ge", "is_", "is_not")
    },
    "in_": lambda x, container: x in container,
    "not_in": lambda x, container: x not in container,
}


def if_(test: Any, then: Function, otherwise: Function, **facts: Any) -> None:
    """`if test: then()` `else: otherwise()`."""
    if not is_traced(test):
        return then() if test else otherwise()  # type: ignore[no-any-return]
    site = Site((then, otherwise), **facts)
    site.begin()
    site.refuse()
    return branch(truth(test, "`if`"), then, otherwise, site)


def while_(test: Function, body: Function, **facts: Any) -> None:
    """`while test(): body()`."""
    while_python(test, body, Site((test, body), **facts))


def for_(iterable: Any, body: Function, **facts: Any) -> None:
    """`for item in iterable: body(item)`."""
    for_python(iterable, body, Site((body,), **facts))


def none_of(*flags: Any) -> Any:
    """Whether nothing jumped."""
    found = any_of(flags)
    return ~found if isinstance(found, Array) else not found


def returned(flag: Any, value: Callable[[], Any], function: str) -> Any:
    """What a function returns, after all its statements."""
    if flag is False:
        return None
    result = value()
    if flag is True or result is None:
        return result
    raise messages.returns_nothing(function, _text(result))


# -- expressions ----------------------------------------------------------------------------------


def either(test: Any, then: Function, otherwise: Function) -> Any:
    """`then() if test else otherwise()`."""
    if not is_traced(test):
        return then() if test else otherwise()
    which = truth(test, "a conditional expression")
    return choose(which, then, otherwise, "the conditional expression")


def _is_truth(x: Any) -> bool:
    return isinstance(x, bool) or (isinstance(x, Array) and x.dtype.kind == "b" and x.shape == ())


def and_(first: Any, *rest: Function) -> Any:
    """`first and rest[0]() and ...`."""
    if not rest or not (is_traced(first) or first):
        return first
    other = and_(rest[0](), *rest[1:])
    if not is_traced(first):
        return other
    if _is_truth(first) and _is_truth(other):
        return first & other
    return choose(truth(first, "`and`"), lambda: other, lambda: first, "the result of `and`")


def or_(first: Any, *rest: Function) -> Any:
    """`first or rest[0]() or ...`."""
    if not rest or (not is_traced(first) and first):
        return first
    other = or_(rest[0](), *rest[1:])
    if not is_traced(first):
        return other
    if _is_truth(first) and _is_truth(other):
        return first | other
    return choose(truth(first, "`or`"), lambda: first, lambda: other, "the result of `or`")


def and_test(first: Any, *rest: Function) -> Any:
    """The truth of `first and rest[0]() and ...`, each of which is a test."""
    if not rest or not (is_traced(first) or first):
        return first
    other = and_test(rest[0](), *rest[1:])
    return _true(first, "`and`") & _true(other, "`and`") if is_traced(first) else other


def or_test(first: Any, *rest: Function) -> Any:
    """The truth of `first or rest[0]() or ...`, each of which is a test."""
    if not rest or (not is_traced(first) and first):
        return first
    other = or_test(rest[0](), *rest[1:])
    return _true(first, "`or`") | _true(other, "`or`") if is_traced(first) else other


def _true(x: Any, what: str) -> Any:
    return truth(x, what) if is_traced(x) else bool(x)


def not_(x: Any) -> Any:
    """`not x`."""
    return ~truth(x, "`not`") if is_traced(x) else not x


def chain(left: Any, *rest: Any) -> Any:
    """`left < a < b`: of rest, signs and functions of operands by turns."""
    right = rest[1]()
    found = _COMPARISONS[rest[0]](left, right)
    return and_(found, lambda: chain(right, *rest[2:])) if rest[2:] else found


def known(test: Any, what: str) -> Any:
    """A test that stays Python's.

    Raises:
        ControlFlowError: if it is traced.
    """
    if is_traced(test):
        raise messages.decided_by_python(what, test.shape, test.dtype)
    return test


# -- before statements that change what is no variable -------------------------------------------


def changing(x: Any, text: str, everywhere: bool) -> None:
    """Before the code `text` changes x in place."""
    regions.check_change(x, text, everywhere)


def rebinding(name: str, variable: Function | None) -> None:
    """Before a global variable is assigned, or a nonlocal one, which `variable` is a closure over."""
    region = regions.innermost()
    if region is None:
        return
    kind = "global" if variable is None else "nonlocal"
    closure = getattr(variable, "__closure__", None)
    if not closure or not region.carries(closure[0]):
        raise messages.rebinds(region.word, name, kind)


def raising() -> None:
    """Before an exception is raised."""
    region = regions.innermost()
    if region is not None:
        raise messages.cannot_raise(region.word)


def explain(error: NameError, lost: dict[str, str]) -> None:
    """Say why a variable has no value, if a traced branch or loop left it without."""
    name = next((n for n in lost if f"'{n}'" in str(error)), None)
    if name is None:
        return
    at = error.__traceback__
    place = None
    while at is not None:  # the innermost place outside numr
        if at.tb_frame.f_globals.get("__name__", "").partition(".")[0] != "numr":
            place = Location((at.tb_frame.f_code, at.tb_lasti))
        at = at.tb_next
    raise messages.no_value(name, lost[name], place) from None
