"""From a user's function and its specs to a graph whose lengths are formulas."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from numr import messages, tree
from numr.array import to_array
from numr.codegen.export.assemble import Sized
from numr.codegen.export.record import Argument
from numr.devices import to_host
from numr.export.specs import Spec, is_name
from numr.ir.formulas import symbols_of
from numr.ir.node import Node
from numr.ir.symbolic import Scope, Symbolic
from numr.ir.text import Canonical
from numr.jit import Jitted, Traced

# Typical sizes, each symbol its own: primes, so that formulas that differ seldom have one value.
_TYPICAL = (1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049, 1051, 1061, 1063, 1069, 1087, 1091)


@dataclass(slots=True)
class ExportTrace:
    """A function's graph for export, and what is known of its arguments."""

    name: str
    doc: str
    sized: Sized
    other: Sized | None
    symbols: list[str]
    inputs: list[Argument]
    captured: list[Node]
    outputs: list[Node]
    in_tree: Any
    out_tree: Any
    result_names: list[tuple[str, str]]


def traced(
    name: str, fun: Callable[..., Any], specs: Sequence[Any], typical: Mapping[str, int]
) -> ExportTrace:
    """Trace a function on symbolic sizes.

    Raises:
        SymbolicSizeError: if its own Python code depends on the value of one.
        ExportError: for arguments or results that cannot be described.
    """
    Symbolic.as_array = staticmethod(to_array)
    leaves, structure = tree.flatten(tuple(specs))
    arrays = [leaf for leaf in leaves if isinstance(leaf, Spec)]
    _check_leaves(name, leaves, structure)
    symbols = symbols_of(n for s in arrays for n in s.shape)
    if len(symbols) > len(_TYPICAL):
        raise messages.cannot_export(
            f"{name} has {len(symbols)} symbolic sizes; at most {len(_TYPICAL)}"
        )
    for key, n in typical.items():
        if key not in symbols:
            raise messages.cannot_export(
                f"typical= names {key!r}, which no spec of {name} does; there are {symbols}"
            )
        if not isinstance(n, int) or n < 1:
            raise messages.cannot_export(
                f"typical= says {key} = {n!r}, and a size is a whole number from 1 up"
            )
    _check_call(name, fun, specs)
    inputs = _arguments(name, fun, arrays, leaves, structure)
    chosen = {s: typical.get(s, n) for s, n in zip(symbols, _TYPICAL, strict=False)}
    others = _others(chosen)
    result, sized = _trace(name, fun, leaves, structure, Scope(chosen, others))
    other = None
    if symbols:
        again, other = _trace(name, fun, leaves, structure, Scope(others, chosen, chosen))
        _check_same(name, sized[0], other[0])
        _check_captured(name, result.captured, again.captured)
        _check_small(name, fun, leaves, structure, chosen, sized[0])
    doc = inspect.getdoc(fun) or ""
    return ExportTrace(
        name,
        doc,
        sized,
        other,
        symbols,
        inputs,
        result.captured,
        result.outputs,
        describe(structure.unflatten(_numbered(leaves)), name),
        describe(result.out_tree.unflatten(range(len(result.outputs))), name),
        _result_names(result.out_tree),
    )


def _check_small(
    name: str,
    fun: Callable[..., Any],
    leaves: Sequence[Any],
    structure: Any,
    chosen: dict[str, int],
    graph: Canonical,
) -> None:
    """Find what Python's floats decide by a size unseen, as `0.5 * n < 100.0` does: few sizes may decide
    otherwise than many. Conditions may not hold of them, so this trace may end in an error, and says nothing
    then."""
    small = Scope(_others(chosen, 0), chosen, chosen)
    try:
        _, found = _trace(name, fun, leaves, structure, small)
    except Exception:
        return
    _check_same(name, graph, found[0])


def _others(chosen: Mapping[str, int], scale: int = 2) -> dict[str, int]:
    """Other sizes, in the same order, so that what is asked of them has the same answers; with other
    remainders, so that numbers differ that came from the sizes unseen."""
    found: dict[str, int] = {}
    for rank, (symbol, n) in enumerate(sorted(chosen.items(), key=lambda item: item[1])):
        start = scale * n + 30 * (rank + 1)
        found[symbol] = next(m for m in count(start) if all((m - n) % p for p in (2, 3, 5, 7)))
    return {symbol: found[symbol] for symbol in chosen}


def _numbered(leaves: Sequence[Any]) -> list[Any]:
    """The places of array leaves among the arrays; what is fixed is {"fixed": value}."""
    numbers = iter(range(len(leaves)))
    return [next(numbers) if isinstance(leaf, Spec) else _Fixed(leaf) for leaf in leaves]


class _Fixed:
    """A leaf that is no argument any more."""

    def __init__(self, value: Any) -> None:
        self.value = value


def _check_leaves(name: str, leaves: Sequence[Any], structure: Any) -> None:
    for leaf, path in zip(leaves, structure.paths("specs"), strict=True):
        if isinstance(leaf, (Spec, bool, int, float, str)) or leaf is None:
            continue
        raise messages.cannot_export(
            f"{path} of {name} is of type {type(leaf).__name__}",
            "write numr.spec(..) for an array, or a number, text or bool for what is fixed",
        )


def _check_call(name: str, fun: Callable[..., Any], specs: Sequence[Any]) -> None:
    try:
        signature = inspect.signature(fun)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*specs)
    except TypeError as error:
        raise messages.cannot_export(
            f"{name}{signature} cannot be called with {len(specs)} specs: {error}",
            "specs= has an entry for each argument, several in a tuple: (spec, spec)",
        ) from None


def _trace(
    name: str,
    fun: Callable[..., Any],
    leaves: Sequence[Any],
    structure: Any,
    scope: Scope,
) -> tuple[Traced, Sized]:
    typical = scope.typical
    arrays = [leaf for leaf in leaves if isinstance(leaf, Spec)]
    for length in (n for s in arrays for n in s.shape):
        if length.value(typical) < 0:
            at = ", ".join(f"{s} = {typical[s]}" for s in sorted(length.symbols()))
            raise messages.cannot_export(
                f"the length {length} in the specs of {name} is {length.value(typical)} with {at}",
                "say for which sizes it is meant, as in typical={'n': 100}",
            )
        if length.at_least(scope.bounds) < 0:
            scope.require(">=", length)
    specs = [(s.dtype, tuple(scope.size(n) for n in s.shape), False) for s in arrays]

    def rebuild(given: list[Any]) -> tuple[Any, dict[str, Any]]:
        queue = iter(given)
        return structure.unflatten(
            [next(queue) if isinstance(leaf, Spec) else leaf for leaf in leaves]
        ), {}

    inner = fun._fun if isinstance(fun, Jitted) else fun
    result = Traced(name, inner, rebuild, specs)
    return result, (Canonical([*result.params, *result.captured], result.outputs), scope)


def _check_same(name: str, first: Canonical, second: Canonical) -> None:
    """Sizes that numr could not see being used make another graph, or another number in it."""
    given = len(first.inputs)
    inner = [n for n in first.order if n not in set(first.inputs)]
    one, two = first.text.splitlines(), second.text.splitlines()
    for k, (a, b) in enumerate(zip(one, two, strict=False)):
        if a != b:
            location = inner[k - given].location if given <= k < given + len(inner) else None
            raise messages.size_leaked(name, _short(a), _short(b), location)
    if len(one) != len(two):
        raise messages.size_leaked(name, f"{len(one)} nodes", f"{len(two)} nodes", None)
    for k, (n, m) in enumerate(zip(first.sizes, second.sizes, strict=True)):
        if not isinstance(n, Symbolic) and n != m:
            at = next((i for i, a in enumerate(one) if re.search(rf"\bd{k}\b", a)), 0)
            node = inner[at - given] if given <= at < given + len(inner) else None
            raise messages.size_leaked(
                name, f"the length {n}", f"the length {m}", node and node.location
            )


def _check_captured(name: str, first: Sequence[Node], second: Sequence[Node]) -> None:
    """Arrays that the function holds, such as np.array(x.shape), may have come from sizes, too."""
    for a, b in zip(first, second, strict=True):
        one, two = to_host(a.value), to_host(b.value)
        if one.tobytes() != two.tobytes():
            k = next(k for k in np.ndindex(one.shape) if one[k].tobytes() != two[k].tobytes())
            raise messages.size_leaked(
                name, f"the array element {one[k]}", f"the array element {two[k]}", a.location
            )


def _short(line: str) -> str:
    return line if len(line) < 100 else line[:97] + "..."


def _arguments(
    name: str,
    fun: Callable[..., Any],
    arrays: Sequence[Spec],
    leaves: Sequence[Any],
    structure: Any,
) -> list[Argument]:
    """A name for every array, from the function's parameters and the way to the leaf."""
    try:
        parameters = list(inspect.signature(fun).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    paths = []
    for path in structure.paths():
        number, rest = re.match(r"\[(\d+)\](.*)", path, re.DOTALL).groups()  # type: ignore[union-attr]
        k = int(number)
        paths.append((names[k] if k < len(names) else f"x{k}") + rest)
    found: list[Argument] = []
    taken: set[str] = set()
    pairs = [
        (leaf, path) for leaf, path in zip(leaves, paths, strict=True) if isinstance(leaf, Spec)
    ]
    for leaf, path in pairs:
        called = unique(leaf.name or named(path), taken)
        found.append(Argument(called, leaf.dtype, leaf.shape, path, leaf.unit, leaf.doc))
    return found


def named(path: str) -> str:
    """A path such as `params['w'][0]` as a name, `params_w_0`."""
    text = re.sub(r"\W+", "_", path, flags=re.ASCII).strip("_") or "x"
    return text if is_name(text) else f"{text}_"


def unique(name: str, taken: set[str]) -> str:
    """A name that nobody has yet."""
    found, k = name, 2
    while found in taken:
        found, k = f"{name}_{k}", k + 1
    taken.add(found)
    return found


def _result_names(structure: Any) -> list[tuple[str, str]]:
    """(name, path) of each result."""
    paths = structure.paths()
    if len(paths) == 1 and not paths[0]:
        return [("out", "")]
    taken: set[str] = set()
    return [(unique("out" + (f"_{named(p)}" if p else ""), taken), p) for p in paths]


def describe(nested: Any, name: str) -> Any:
    """A nesting of containers as JSON; the leaves are numbers, or `_Fixed`.

    Raises:
        ExportError: for a container of another kind.
    """
    if nested is None or isinstance(nested, int):
        return nested
    if isinstance(nested, _Fixed):
        return {"fixed": nested.value}
    if isinstance(nested, tuple) and hasattr(nested, "_fields"):
        fields = {f: describe(getattr(nested, f), name) for f in nested._fields}
        return {"named": type(nested).__name__, "fields": fields}
    if type(nested) in (tuple, list):
        return {type(nested).__name__: [describe(x, name) for x in nested]}
    if isinstance(nested, dict) and all(isinstance(k, str) for k in nested):
        return {"dict": {k: describe(v, name) for k, v in nested.items()}}
    raise messages.cannot_export(
        f"{name} takes or returns a {type(nested).__name__}, which a file cannot describe",
        "use tuples, lists, namedtuples, and dicts whose keys are texts",
    )
