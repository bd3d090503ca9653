"""The repeated call of a jitted function: a generated check of its arguments, then the program.

A jitted function is mostly called again with arguments like the last ones. This module writes, once
per signature, a Python function that unpacks such arguments, lets the backend check them natively,
runs the program and wraps the result, and that returns None when anything is different.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from numr import config
from numr.array import Array
from numr.devices import HOST, adopted, device_of, memory_of
from numr.runtime.generated import define
from numr.tree_kinds import kind_of

if TYPE_CHECKING:
    from numr.jit import Plan

# How a leaf is taken: `{a}` is the argument, `{v}` the buffer it comes to, `{k}` its number.
_UNPACK = {
    "array": "    if type({a}) is not Array or {a}.weak: return None\n    {v} = {a}._value",
    "ndarray": "    {v} = {a}",
    "float": "    if type({a}) is not float: return None\n    {v} = array({a})",
    "adopted": "    {v} = adopted({a})\n    if {v} is None: return None",
    "sent float": "    if type({a}) is not float: return None\n    {v} = upload(array({a}, f{k}))",
}
# An argument's form: how a leaf is taken, or a container's type, its keys (of a dict) and what is in it.
Form = str | tuple[type, tuple[str, ...], tuple[Any, ...]]


def _form(argument: Any, device: str) -> Form | None:
    """The form of an argument; None if it is left to the long way."""
    kind = type(argument)
    if kind is tuple or kind is list:
        inner = tuple([_form(x, device) for x in argument])
        return None if None in inner else (kind, (), inner)
    if kind is dict:
        keys = tuple(sorted(argument)) if all(type(k) is str for k in argument) else None
        if keys is None:
            return None
        inner = tuple([_form(argument[k], device) for k in keys])
        return None if None in inner else (dict, keys, inner)
    return _kind(argument, device)


def _kind(argument: Any, device: str) -> str | None:
    """How the generated function takes a leaf."""
    here = device == HOST
    if type(argument) is Array and not argument.weak and argument._value is not None:
        return "array" if device_of(argument._value) == device else None
    if type(argument) is np.ndarray and here:
        return "ndarray"
    if type(argument) is float:
        return "float" if here else "sent float"
    if not here and type(argument) is not np.ndarray and kind_of(type(argument)) is None:
        buffer = None if isinstance(argument, Array) else adopted(argument)
        return "adopted" if buffer is not None and buffer.device == device else None
    return None


class _Unpacking:
    """The lines that take arguments apart."""

    def __init__(self) -> None:
        self.leaves = 0
        self.names = 0

    def lines(self, name: str, form: Form) -> Iterator[str]:
        if isinstance(form, str):
            yield _UNPACK[form].format(a=name, v=f"v{self.leaves}", k=self.leaves)
            self.leaves += 1
            return
        kind, keys, inner = form
        parts = [f"a{self.names + k}" for k in range(len(inner))]
        self.names += len(inner)
        yield f"    if type({name}) is not {kind.__name__} or len({name}) != {len(inner)}: return None"
        if keys:
            yield f"    if not {set(keys)!r}.issubset({name}): return None"
            yield from (f"    {p} = {name}[{k!r}]" for p, k in zip(parts, keys, strict=True))
        elif parts:
            yield f"    {', '.join(parts)}, = {name}"
        for part, x in zip(parts, inner, strict=True):
            yield from self.lines(part, x)


def _spelled(structure: Any, marks: dict[int, int]) -> str | None:
    """An expression that makes a result of `out`, given one with a mark in place of each leaf."""
    kind = type(structure)
    if id(structure) in marks:
        return f"wrap(out[{marks[id(structure)]}])"
    if structure is None:
        return "None"
    if kind not in (tuple, list, dict):
        return None
    items = structure.values() if kind is dict else structure
    parts = [_spelled(x, marks) for x in items]
    if None in parts:
        return None
    if kind is dict:
        return "{" + ", ".join(f"{k!r}: {p}" for k, p in zip(structure, parts, strict=True)) + "}"
    inner = "".join(f"{p}, " for p in parts)
    return f"({inner})" if kind is tuple else f"[{inner}]"


def fast_call(args: tuple[Any, ...], plan: Plan) -> Callable[[tuple[Any, ...]], Any] | None:
    """A function of the argument tuple that returns the call's result, or None if it does not apply."""
    device = memory_of(plan.device)
    form = _form(args, device)
    if form is None or not args:
        return None
    key = form, id(config.get())
    if key not in plan.fast:
        plan.fast[key] = config.get(), _written(form, plan, device)
    return plan.fast[key][1]


def _written(form: Form, plan: Plan, device: str) -> Callable[[tuple[Any, ...]], Any] | None:
    guard = plan.guard()
    if guard is None:
        return None
    unpacking = _Unpacking()
    lines = [
        "def fast(args):",
        "    if get_config() is not settings: return None",
        *unpacking.lines("args", form),
    ]
    names = ", ".join(f"v{k}" for k in range(unpacking.leaves))
    lines += [f"    if not guard({names}): return None", f"    out = run({names})"]
    marks = [object() for _ in plan.weak]
    result = plan.out_tree.unflatten(marks)
    spelled = _spelled(result, {id(mark): k for k, mark in enumerate(marks)})
    if plan.single:
        lines += [
            "    result = new(Array)",
            "    result._node = None",
            "    result._value = out[0]",
            "    result.weak = False",
            "    return result",
        ]
    elif spelled is not None and result is not None:
        lines += [f"    return {spelled}"]
    else:
        lines += ["    return unflatten([wrap(v) for v in out])"]
    from numr.array import from_value
    from numr.codegen import target

    space: dict[str, Any] = {
        "Array": Array,
        "adopted": adopted,
        "array": np.array,
        "get_config": config.get,
        "settings": config.get(),
        "guard": guard,
        "run": plan.run,
        "new": object.__new__,
        "unflatten": plan.out_tree.unflatten,
        "wrap": from_value,
    }
    if device != HOST:
        space["upload"] = target.get(device).upload
        space |= {f"f{k}": dtype.dtype for k, (dtype, _, _) in enumerate(plan.specs)}
    return define("fast", lines, space)  # type: ignore[no-any-return]
