"""The repeated call of a jitted function: a generated check of its arguments, then the program.

A jitted function is mostly called again with arguments like the last ones. This module writes, once
per signature, a Python function that unpacks such arguments, lets the backend check them natively,
runs the program and wraps the result, and that returns None when anything is different.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from numr import config
from numr.array import Array
from numr.devices import HOST, adopted, device_of, memory_of
from numr.runtime.generated import define
from numr.tree_kinds import kind_of

if TYPE_CHECKING:
    from numr.jit import Plan

_UNPACK = {
    "array": "    if type(a{k}) is not Array or a{k}.weak: return None\n    v{k} = a{k}._value",
    "ndarray": "    v{k} = a{k}",
    "float": "    if type(a{k}) is not float: return None\n    v{k} = array(a{k})",
    "adopted": "    v{k} = adopted(a{k})\n    if v{k} is None: return None",
    "sent float": "    if type(a{k}) is not float: return None\n    v{k} = upload(array(a{k}, f{k}))",
}


def _kind(argument: Any, device: str) -> str | None:
    """How the generated function takes an argument; None if it leaves that to the long way."""
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


def fast_call(args: tuple[Any, ...], plan: Plan) -> Callable[[tuple[Any, ...]], Any] | None:
    """A function of the argument tuple that returns the call's result, or None if it does not apply."""
    device = memory_of(plan.device)
    kinds = [_kind(a, device) for a in args]
    guard = plan.guard()
    if guard is None or not args or None in kinds:
        return None
    names = ", ".join(f"v{k}" for k in range(len(args)))
    lines = [
        "def fast(args):",
        f"    if len(args) != {len(args)} or get_config() is not settings: return None",
        f"    {', '.join(f'a{k}' for k in range(len(args)))}, = args",
        *(_UNPACK[kind].format(k=k) for k, kind in enumerate(kinds) if kind is not None),
        f"    if not guard({names}): return None",
        f"    out = run({names})",
    ]
    if plan.single:
        lines += [
            "    result = new(Array)",
            "    result._node = None",
            "    result._value = out[0]",
            "    result.weak = False",
            "    return result",
        ]
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
