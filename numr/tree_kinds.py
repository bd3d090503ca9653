"""The container types pytrees are made of: how each comes apart, goes together and is written."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
Children = Sequence[Any]


class Kind:
    """How one container type comes apart and goes together again."""

    __slots__ = ("entries", "flatten", "show", "unflatten")

    def __init__(
        self,
        flatten: Callable[[Any], tuple[Children, Any]],
        unflatten: Callable[[Any, Children], Any],
        entries: Callable[[Any, int], Sequence[str]] | None = None,
        show: Callable[[Any, Sequence[str]], str] | None = None,
    ) -> None:
        self.flatten = flatten
        self.unflatten = unflatten
        self.entries = entries or (lambda aux, n: [f"[{i}]" for i in range(n)])
        self.show = show


class Keys:
    """The keys of a dict: sorted for comparison, with the order they were written in beside."""

    __slots__ = ("hash", "keys", "order")

    def __init__(self, order: tuple[Any, ...]) -> None:
        self.order = order
        try:
            self.keys = tuple(sorted(order))
        except TypeError:  # keys of types that do not compare
            self.keys = order
        self.hash = hash(self.keys)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Keys) and self.keys == other.keys)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Keys, (self.order,))

    def __repr__(self) -> str:
        return repr(list(self.keys))


# Sorting the same keys on every call would dominate the flattening of a parameter dict. Only string
# keys are remembered: (1,), (1.0,) and (True,) are equal as tuples and yet different keys.
_KEYS: dict[tuple[Any, ...], Keys] = {}
_ALL_STRINGS = frozenset({str})
_CACHE_LIMIT = 4096


def _keys(mapping: dict[Any, Any]) -> Keys:
    order = tuple(mapping)
    if not _ALL_STRINGS.issuperset(map(type, order)):
        return Keys(order)
    found = _KEYS.get(order)
    if found is None:
        if len(_KEYS) >= _CACHE_LIMIT:
            _KEYS.clear()
        found = _KEYS[order] = Keys(order)
    return found


def _dict_flatten(tree: dict[Any, Any]) -> tuple[Children, Any]:
    keys = _keys(tree)
    return [tree[k] for k in keys.keys], keys


def _dict_unflatten(keys: Keys, children: Children) -> dict[Any, Any]:
    if keys.keys is keys.order or keys.keys == keys.order:
        return dict(zip(keys.keys, children, strict=True))
    values = dict(zip(keys.keys, children, strict=True))
    return {k: values[k] for k in keys.order}


def _defaultdict_flatten(tree: defaultdict[Any, Any]) -> tuple[Children, Any]:
    keys = _keys(tree)
    return [tree[k] for k in keys.keys], (tree.default_factory, keys)


def _dict_entries(keys: Keys, n: int) -> Sequence[str]:
    return [f"[{k!r}]" for k in keys.keys]


def _show_dict(keys: Keys, parts: Sequence[str]) -> str:
    return "{" + ", ".join(f"{k!r}: {p}" for k, p in zip(keys.keys, parts, strict=True)) + "}"


def _show_tuple(aux: Any, parts: Sequence[str]) -> str:
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def _attributes(aux: Any, n: int) -> Sequence[str]:
    return [f".{name}" for name in aux[0]]


_BUILTIN_KINDS: dict[type, Kind] = {
    tuple: Kind(lambda t: (t, None), lambda aux, c: tuple(c), show=_show_tuple),
    list: Kind(lambda t: (t, None), lambda aux, c: list(c), show=lambda a, p: f"[{', '.join(p)}]"),
    dict: Kind(_dict_flatten, _dict_unflatten, _dict_entries, _show_dict),
    type(None): Kind(lambda t: ((), None), lambda aux, c: None, show=lambda a, p: "None"),
    OrderedDict: Kind(  # the order of an OrderedDict is part of its value
        lambda t: (list(t.values()), tuple(t)),
        lambda keys, c: OrderedDict(zip(keys, c, strict=True)),
        lambda keys, n: [f"[{k!r}]" for k in keys],
    ),
    defaultdict: Kind(
        _defaultdict_flatten,
        lambda aux, c: defaultdict(aux[0], _dict_unflatten(aux[1], c)),
        lambda aux, n: _dict_entries(aux[1], n),
    ),
}
# Types met so far: containers by type, and the types known to be leaves. Both forget everything
# beyond the built-in ones when they grow large, so that classes made in a loop are not kept alive.
KINDS: dict[type, Kind] = dict(_BUILTIN_KINDS)
_REGISTERED: dict[type, Kind] = {}
_BUILTIN_LEAVES = frozenset({int, float, complex, bool, str, bytes})
LEAVES: set[type] = set(_BUILTIN_LEAVES)


def kind_of(cls: type) -> Kind | None:
    """The container kind of a type, or None for a type whose instances are leaves."""
    kind = KINDS.get(cls)
    if kind is not None or cls in LEAVES:
        return kind
    if len(KINDS) + len(LEAVES) >= _CACHE_LIMIT:
        # one by one, so that another thread never sees the tables without the built-in types
        for learned in list(KINDS):
            if learned not in _BUILTIN_KINDS and learned not in _REGISTERED:
                KINDS.pop(learned, None)
        LEAVES.intersection_update(_BUILTIN_LEAVES)
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        kind = _namedtuple_kind(cls)
    elif dataclasses.is_dataclass(cls):
        kind = _dataclass_kind(cls)
    if kind is None:
        LEAVES.add(cls)
    else:
        KINDS[cls] = kind
    return kind


def _namedtuple_kind(cls: type) -> Kind:
    aux = (cls._fields,)  # type: ignore[attr-defined]
    return Kind(lambda t: (t, aux), lambda a, c: tuple.__new__(cls, c), _attributes)


def _dataclass_kind(cls: type) -> Kind:
    fields = dataclasses.fields(cls)
    names = tuple(f.name for f in fields if not f.metadata.get("static"))
    statics = tuple(f.name for f in fields if f.metadata.get("static"))

    def take_apart(tree: Any) -> tuple[Children, Any]:
        values = tuple([(name, getattr(tree, name)) for name in statics])
        return [getattr(tree, name) for name in names], (names, values)

    def put_together(aux: Any, children: Children) -> Any:
        # Neither __init__ nor __post_init__ runs: those may check or convert what the user gave,
        # and here the fields may hold traced values, axes or anything else a `map` returned.
        made: Any = object.__new__(cls)
        for name, child in zip(names, children, strict=True):
            object.__setattr__(made, name, child)
        for name, value in aux[1]:
            object.__setattr__(made, name, value)
        return made

    return Kind(take_apart, put_together, _attributes)


def register(
    cls: type[T],
    flatten_fn: Callable[[T], tuple[Iterable[Any], Hashable]],
    unflatten_fn: Callable[[Any, Children], T],
    names_fn: Callable[[Any], Sequence[str]] | None = None,
) -> type[T]:
    """Make instances of a class containers, as lists and dicts are.

    Args:
        cls: the class; subclasses are registered separately.
        flatten_fn: takes an instance, returns its children and whatever else is needed to rebuild
            it. The second part is static: it is compared and hashed, and `jit` traces anew when it
            changes.
        unflatten_fn: takes the static part and the new children, returns an instance. The children
            may be anything, so it should not check or convert them.
        names_fn: takes the static part, returns how each child is written in an error message,
            such as `".weight"`; by default `"[0]"`, `"[1]"` and so on.

    Returns:
        The class.

    Raises:
        ValueError: if the class is registered already or is a built-in container.

    Examples:
        >>> from numr import tree
        >>> class Polynomial:
        ...     def __init__(self, coefficients, variable):
        ...         self.coefficients, self.variable = coefficients, variable
        >>> _ = tree.register(
        ...     Polynomial,
        ...     lambda p: (p.coefficients, p.variable),
        ...     lambda variable, coefficients: Polynomial(list(coefficients), variable),
        ... )
        >>> doubled = tree.map(lambda c: 2 * c, Polynomial([1, 2, 3], "x"))
        >>> doubled.coefficients, doubled.variable
        ([2, 4, 6], 'x')
    """
    if cls in _BUILTIN_KINDS or cls in _REGISTERED:
        raise ValueError(f"{cls.__name__} is a pytree container already")

    def take_apart(tree: Any) -> tuple[Children, Any]:
        children, aux = flatten_fn(tree)
        return list(children), aux

    entries = None if names_fn is None else lambda aux, n: names_fn(aux)
    _REGISTERED[cls] = KINDS[cls] = Kind(take_apart, unflatten_fn, entries)
    LEAVES.discard(cls)
    return cls
