"""jit on methods: `self` as a container whose arrays are arguments and whose other attributes are static."""

from __future__ import annotations

import copy
import weakref
from typing import Any

from numr import tree
from numr.errors import StaticArgumentError
from numr.jit import Jitted
from numr.tree_kinds import kind_of


class _State:
    """An object's attributes taken apart: array leaves, and a key of everything else.

    The method body sees a copy of the object with traced arrays in place of its own, so what the
    method reads is always current; what it assigns to `self` while traced stays on the copy.
    """

    def __init__(self, instance: Any) -> None:
        self.kind = type(instance)
        self.instance = instance


def _take_apart(state: _State) -> tuple[tuple[Any, ...], Any]:
    import numpy as np

    from numr.array import Array

    names, children, fixed = [], [], []
    for name, value in vars(state.instance).items():
        leaves = tree.leaves(value)
        if leaves and all(isinstance(leaf, (Array, np.ndarray)) for leaf in leaves):
            names.append(name)
            children.append(value)
            continue
        try:
            hash(value)
        except TypeError:
            raise StaticArgumentError(
                f"jit: attribute {state.kind.__name__}.{name} is neither arrays nor hashable; make it a tuple, or "
                f"register {state.kind.__name__} with numr.tree.register"
            ) from None
        fixed.append((name, type(value), value))
    return tuple(children), _Shape(
        state.kind, tuple(names), tuple(fixed), weakref.ref(state.instance)
    )


class _Shape:
    """The static part of an object: equal for objects of one class with equal static attributes."""

    __slots__ = ("fixed", "instance", "kind", "names")

    def __init__(
        self, kind: type, names: tuple[str, ...], fixed: tuple[Any, ...], instance: Any
    ) -> None:
        self.kind, self.names, self.fixed, self.instance = kind, names, fixed, instance

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Shape)
            and self.kind is other.kind
            and self.names == other.names
            and self.fixed == other.fixed
        )

    def __hash__(self) -> int:
        return hash((self.kind, self.names, self.fixed))


def _put_together(shape: _Shape, children: Any) -> Any:
    original = shape.instance()
    if original is not None:
        stand_in = copy.copy(original)
    else:
        stand_in = object.__new__(shape.kind)
        stand_in.__dict__.update({name: value for name, _, value in shape.fixed})
    stand_in.__dict__.update(zip(shape.names, children, strict=True))
    return stand_in


tree.register(_State, _take_apart, _put_together)


class BoundJitted:
    """A jitted method of one object."""

    def __init__(self, function: Jitted, instance: Any) -> None:
        self.__wrapped__ = function
        self._instance = instance
        # Registered containers and dataclasses travel as they are.
        self._argument = instance if kind_of(type(instance)) is not None else _State(instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(self._argument, *args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__.trace(self._argument, *args, **kwargs)

    def lower(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__.lower(self._argument, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<bound {self.__wrapped__!r} of {type(self._instance).__name__}>"
