"""A bundle's functions as Python functions: arguments are checked against the manifest, sizes solved for."""

from __future__ import annotations

import functools
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numr import messages
from numr.codegen.export import bundle, target
from numr.codegen.export.manifest import formula, value
from numr.codegen.recent import Recent
from numr.dtypes import as_dtype
from numr.errors import DTypeError, ShapeError

Shapes = tuple[tuple[int, ...], ...]
Output = tuple[np.dtype[Any], tuple[int, ...]]


class Loaded:
    """The functions of a bundle, as attributes; one alone can be called itself."""

    def __init__(self, path: Path, manifest: Mapping[str, Any], functions: dict[str, Function]):
        self.path = path
        self.manifest = manifest
        self.functions = functions

    def __getattr__(self, name: str) -> Function:
        found: Function | None = self.__dict__.get("functions", {}).get(name)
        if found is None:
            raise AttributeError(
                f"the bundle has no function {name!r}; it has {', '.join(self.functions)}"
            )
        return found

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.functions]

    def __call__(self, *args: Any) -> Any:
        if len(self.functions) != 1:
            raise messages.bad_bundle(
                self.path,
                f"it has the functions {', '.join(self.functions)}: call one of them by name",
            )
        (function,) = self.functions.values()
        return function(*args)

    def __repr__(self) -> str:
        return f"Loaded({str(self.path)!r}: {', '.join(map(repr, self.functions.values()))})"


class Function:
    """One function of a bundle."""

    def __init__(self, description: Mapping[str, Any], run: Callable[..., Sequence[Any]]) -> None:
        self.description = description
        self.__name__ = self.name = str(description["name"])
        self.__doc__ = description["doc"]
        self._run = run
        self._dtypes = [as_dtype(a["dtype"]) for a in description["inputs"]]
        # Arguments that are arrays in order, which most are, need no looking for them.
        self._flat = description["arguments"] == {"tuple": list(range(len(self._dtypes)))}
        # By the arrays' shapes: sizes, and the outputs' dtypes and shapes.
        self._plans: Recent[Shapes, tuple[list[int], list[Output]]] = Recent(256)

    def __repr__(self) -> str:
        def one(a: Mapping[str, Any]) -> str:
            return f"{a['name']}: {a['dtype']}{shape_text(a['shape'])}"

        inputs = ", ".join(map(one, self.description["inputs"]))
        return f"{self.name}({inputs}) -> {', '.join(map(one, self.description['outputs']))}"

    def __call__(self, *args: Any) -> Any:
        if self._flat and len(args) == len(self._dtypes):
            arrays = [self._array(k, x) for k, x in enumerate(args)]
        else:
            found = dict(_leaves(self.description["arguments"], args, self.name))
            arrays = [self._array(k, found[k]) for k in range(len(found))]
        shapes = tuple(x.shape for x in arrays)
        plan = self._plans.get(shapes)
        if plan is None:
            plan = self._plans[shapes] = self._plan(shapes)
        return _rebuilt(self.description["result"], self._run(arrays, *plan))

    def _plan(self, shapes: Shapes) -> tuple[list[int], list[Output]]:
        sizes = self._sizes(shapes)
        outputs = [
            (as_dtype(o["dtype"]).dtype, tuple(value(n, sizes) for n in o["shape"]))
            for o in self.description["outputs"]
        ]
        return [sizes[s] for s in self.description["sizes"]], outputs

    def _array(self, number: int, x: Any) -> np.ndarray[Any, Any]:
        """An argument as an array of its dtype, row-major and aligned."""
        described, wanted = self.description["inputs"][number], self._dtypes[number]
        array = np.asarray(x)
        if array.dtype != wanted.dtype:
            # Python's numbers and lists have no dtype of their own; an array has, and is not changed.
            if hasattr(x, "dtype") or not np.can_cast(array.dtype, wanted.dtype, "same_kind"):
                raise DTypeError(
                    f"{self.name}: {described['name']} is of dtype {array.dtype}, and {wanted} is needed\n"
                    f"  convert it with .astype({wanted.name!r})"
                )
            array = array.astype(wanted.dtype)
        if array.ndim != len(described["shape"]):
            raise ShapeError(
                f"{self.name}: {described['name']} has shape {array.shape}, and "
                f"{shape_text(described['shape'])} is needed"
            )
        whole = array.flags.c_contiguous and array.flags.aligned
        return array if whole else np.array(array, order="C")

    def _sizes(self, shapes: Shapes) -> dict[str, int]:
        """The size symbols, from the arrays' lengths; every length is checked."""
        lengths = [
            (described, length, n)
            for described, shape in zip(self.description["inputs"], shapes, strict=True)
            for length, n in zip(described["shape"], shape, strict=True)
        ]
        sizes: dict[str, int] = {}
        before = -1
        while len(sizes) > before:
            before = len(sizes)
            for _, length, n in lengths:
                unknown = set(_symbols(length)) - sizes.keys()
                if len(unknown) == 1:
                    (symbol,) = unknown
                    found = _solved(length, symbol, n, sizes)
                    if found is not None:
                        sizes[symbol] = found
        missing = [s for s in self.description["sizes"] if s not in sizes]
        if missing:
            raise ShapeError(
                f"{self.name}: the sizes {', '.join(missing)} do not follow from "
                + ", ".join(f"{d['name']} of length {n}" for d, _, n in lengths)
            )
        for described, length, n in lengths:
            if value(length, sizes) != n:
                at = ", ".join(f"{k} = {v}" for k, v in sizes.items())
                raise ShapeError(
                    f"{self.name}: {described['name']} has an axis of length {n}, and its shape is "
                    f"{shape_text(described['shape'])} with {at}"
                )
        for symbol, n in sizes.items():
            if n < 1:
                raise ShapeError(f"{self.name}: the size {symbol} is {n}, and it is at least 1")
        for condition in self.description["requires"]:
            if not _holds(condition, sizes):
                at = ", ".join(f"{k} = {v}" for k, v in sizes.items())
                raise ShapeError(
                    f"{self.name} takes no arrays with {at}: it was exported for sizes where "
                    f"{formula(condition['formula'])} {condition['relation']} 0"
                )
        return sizes


def loaded(path: Path) -> Loaded:
    """See `numr.load`."""
    manifest = bundle.read(path)
    found = target.get(manifest["target"])
    run = found.load(path, manifest)
    functions = {f["name"]: Function(f, run[f["name"]]) for f in manifest["functions"]}
    return Loaded(path, manifest, functions)


def _holds(condition: Mapping[str, Any], sizes: Mapping[str, int]) -> bool:
    found = value(condition["formula"], sizes)
    return {">=": found >= 0, "==": found == 0, "!=": found != 0}[condition["relation"]]


def _symbols(length: Any) -> Iterator[str]:
    if isinstance(length, str):
        yield length
    elif isinstance(length, list):
        for part in length[1:]:
            yield from _symbols(part)


def _solved(length: Any, symbol: str, n: int, sizes: Mapping[str, int]) -> int | None:
    """The value of a symbol in which a formula grows, where it is n."""
    low, high = 0, max(n, 1)

    def at(x: int) -> int:
        return value(length, {**sizes, symbol: x})

    while at(high) < n:
        high *= 2
        if high > 2**62:
            return None
    while low < high:
        middle = (low + high) // 2
        if at(middle) < n:
            low = middle + 1
        else:
            high = middle
    return low if at(low) == n else None


def shape_text(shape: Sequence[Any]) -> str:
    return messages.shape_text([formula(n) for n in shape])


def _leaves(
    described: Any, given: Any, name: str, path: str = "arguments"
) -> Iterator[tuple[int, Any]]:
    """The arrays of a nesting that has to be as described, each with its number among the inputs."""
    if described is None or (isinstance(described, dict) and "fixed" in described):
        return
    if isinstance(described, int):
        yield described, given
        return
    (kind, children), *rest = described.items()
    if kind == "named":
        kind, children = "fields", rest[0][1]
    if kind in ("tuple", "list"):
        expected = list(enumerate(children))
        fits = isinstance(given, (tuple, list)) and len(given) == len(children)
    else:
        expected = list(children.items())
        fits = isinstance(given, dict) and given.keys() == children.keys()
        if kind == "fields":
            fits = all(hasattr(given, k) for k in children)
    if not fits:
        raise messages.cannot_call(name, path, described, given)
    for key, child in expected:
        part = getattr(given, str(key)) if kind == "fields" else given[key]
        yield from _leaves(child, part, name, f"{path}[{key!r}]")


@functools.cache
def _named(name: str, fields: tuple[str, ...]) -> Any:
    """A namedtuple of these fields: one type for all calls."""
    return namedtuple(name, fields)  # type: ignore[misc]


def _rebuilt(described: Any, results: Sequence[Any]) -> Any:
    if described is None:
        return None
    if isinstance(described, int):
        return results[described]
    if "fixed" in described:
        return described["fixed"]
    if "named" in described:
        fields = {k: _rebuilt(v, results) for k, v in described["fields"].items()}
        return _named(described["named"], tuple(fields))(**fields)
    (kind, children), *_ = described.items()
    if kind == "dict":
        return {k: _rebuilt(v, results) for k, v in children.items()}
    found = [_rebuilt(c, results) for c in children]
    return tuple(found) if kind == "tuple" else found
