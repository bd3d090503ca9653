"""Messages about export: sizes that are decided too early, specs, targets and bundles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.errors import ExportError, SymbolicSizeError, TreeMismatchError
from numr.messages.text import compose, listed

_FIXES = (
    "the number itself in the spec, as in nr.spec(1000), if the function is for that size",
    "operations on whole arrays, nr.where, or nr.fori_loop and nr.scan for a loop of that length",
    "x.shape[0], 1 / n, n % 2, nr.sqrt(n) and nr.ones(n) in place of len(x), 1.0 / n, n & 1, math.sqrt(n) "
    "and np.ones(n): numr computes these at run time, and Python and NumPy want the number now",
)


def size_decided(question: str) -> SymbolicSizeError:
    """The user's function asks Python about a symbolic size."""
    return SymbolicSizeError(
        compose(
            f"export: Python is to decide {question}, and a size that has a name stands for any from 1 up",
            "use instead:",
            *(f"- {fix}" for fix in _FIXES),
        )
    )


def size_leaked(name: str, first: str, second: str, location: Any) -> SymbolicSizeError:
    """The graph is another one for other sizes, though no comparison says so."""
    return SymbolicSizeError(
        compose(
            f"export: the graph of {name} depends on the value of a symbolic size",
            f"with one size there is   {first}",
            f"and with another one     {second}",
            "as after range(n), list(x), np.ones(n) or math.sqrt(n), which see a number only; use instead:",
            *(f"- {fix}" for fix in _FIXES),
        ),
        location=location,
    )


def bad_spec(what: str, *lines: str) -> ExportError:
    """A spec that is none."""
    return ExportError(compose(f"spec: {what}", *lines))


def no_target(name: Any, known: Sequence[str]) -> ExportError:
    return ExportError(
        compose(
            f"export: there is no target {name!r}",
            f"there are {listed([repr(k) for k in known])}",
        )
    )


def cannot_export(what: str, *lines: str, location: Any = None) -> ExportError:
    """A function or a request that cannot be exported."""
    return ExportError(compose(f"export: {what}", *lines), location=location)


def target_lacks_dtype(
    target: str, function: str, argument: Any, narrower: str | None
) -> ExportError:
    """A spec of a dtype that the target's devices do not have."""
    fix = () if narrower is None else (f'write dtype="{narrower}" in its numr.spec',)
    return ExportError(
        compose(
            f'export: target "{target}" has no {argument.dtype}, which the argument {argument.name} of '
            f"{function} is made of",
            *fix,
        )
    )


def bad_bundle(path: Any, what: str, *lines: str) -> ExportError:
    """A bundle that cannot be used."""
    return ExportError(compose(f"load: {path}: {what}", *lines))


def cannot_call(name: str, path: str, described: Any, given: Any) -> TreeMismatchError:
    """An argument of a loaded function that is nested in another way."""
    (kind, children), *_ = described.items()
    what = (
        f"a {kind} of {len(children)}" if kind in ("tuple", "list") else f"with {sorted(children)}"
    )
    found = f"{type(given).__name__}"
    if isinstance(given, (tuple, list)):
        found = f"{found} of {len(given)}"
    elif isinstance(given, dict):
        found = f"{found} with {sorted(map(str, given))}"
    return TreeMismatchError(f"{name}: {path} is a {found}, and {what} is needed")
