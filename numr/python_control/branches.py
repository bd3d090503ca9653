"""`if` on a traced value: both ways are traced once, and what they leave in variables is joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numr import messages, tree
from numr.array import Array, from_node
from numr.branching import joined
from numr.control import Leaf, Traced
from numr.dtypes import int32
from numr.ir.dims import unify_shapes
from numr.ir.node import Node
from numr.messages import shape_text
from numr.primitives.elementwise import cast
from numr.python_control.jumps import RESULT
from numr.python_control.values import is_number, is_python_number, same_constant, weak
from numr.python_control.variables import MISSING, Flat, Function, Site, Values

WAYS = ("if it holds", "otherwise")


class Way:
    """One way of a branch, traced: what it leaves in the variables.

    Attributes:
        flats: by variable the value taken apart, or None if it has none.
        jumped: whether a jump leads away at its end, so that variables without a value do not matter.
    """

    def __init__(self, run: Function, get: Callable[[], Values], flags: Sequence[str] = ()) -> None:
        self.flats: dict[str, Flat | None] = {}
        self.jumped = False

        def call(_: Any) -> list[Any]:
            run()
            values = get()
            self.jumped = any(values.get(flag) is True for flag in flags)
            for name, value in values.items():
                self.flats[name] = None if value is MISSING else Flat(value)
            return [x for flat in self.flats.values() if flat for x in flat.numbers()]

        try:
            self.traced = Traced("cond", run, [], call)
        except RecursionError:
            raise messages.endless_recursion("if") from None
        self._types = iter(self.traced.results)

    def types(self, name: str) -> list[Leaf]:
        """The types of a variable's arrays; to be asked in the order of the variables."""
        flat = self.flats[name]
        return [] if flat is None else [next(self._types) for _ in flat.numbers()]


class Join:
    """Joins the variables of two ways, one after another, and then makes the primitive."""

    def __init__(self, which: Array, ways: tuple[Way, Way]) -> None:
        self.which, self.ways = which, ways
        self._outputs: tuple[list[Node], list[Node]] = ([], [])
        self._weak: list[bool] = []
        self._builds: dict[str, Any] = {}

    def add(self, name: str, called: str, before: Any, ignorable: bool) -> bool:
        """Join a variable; False if one way has left it without a value, and that matters."""
        flats = [way.flats[name] for way in self.ways]
        types = [way.types(name) for way in self.ways]
        one, other = flats
        if one is None or other is None:
            given = one or other
            if given is None:
                self._builds[name] = lambda arrays: MISSING
                return True
            without = self.ways[0] if one is None else self.ways[1]
            if not (ignorable or without.jumped):
                return False
            return self._filled(name, given, types[0] or types[1], first=one is not None)
        if one.structure != other.structure:
            raise messages.branches_differ(called, _form(one), _form(other), WAYS)
        if _unchanged(before, one) and _unchanged(before, other):
            self._builds[name] = lambda arrays: before
            return True
        leaves: list[Any] = []
        found = iter(zip(*types, strict=True))
        for a, b in zip(one.leaves, other.leaves, strict=True):
            numbers = is_number(a), is_number(b)
            if numbers == (True, True):
                x, y = next(found)
                leaves.append(self._number(called, a, b, x, y))
            elif numbers == (False, False) and same_constant(a, b):
                leaves.append(lambda arrays, a=a: a)
            else:
                raise messages.branches_differ(called, _text(a), _text(b), WAYS)
        self._builds[name] = lambda arrays: one.structure.unflatten([x(arrays) for x in leaves])
        return True

    def _filled(self, name: str, given: Flat, types: list[Leaf], first: bool) -> bool:
        """A variable that one way leaves without a value, since it jumps: with zeros, which nobody reads."""
        found = iter(types)
        leaves: list[Any] = []
        for x in given.leaves:
            leaf = next(found) if is_number(x) else None
            if leaf is None or is_python_number(x):
                leaves.append(lambda arrays, x=x: x)
            else:
                zero = zeros(leaf).node
                pair = (leaf.node, zero) if first else (zero, leaf.node)
                leaves.append(self._output(*pair, leaf.weak))
        self._builds[name] = lambda arrays: given.structure.unflatten([x(arrays) for x in leaves])
        return True

    def _number(self, called: str, a: Any, b: Any, x: Leaf, y: Leaf) -> Callable[[Any], Any]:
        if is_python_number(a) and is_python_number(b) and same_constant(a, b):
            return lambda arrays: a
        if x.node is y.node:
            return lambda arrays: from_node(x.node, x.weak and y.weak)
        dtypes = x.node.dtype, y.node.dtype
        if x.node.shape != y.node.shape or not (dtypes[0] is dtypes[1] or x.weak or y.weak):
            raise messages.branches_differ(called, type_text(x), type_text(y), WAYS)
        unify_shapes(x.node.shape, y.node.shape)
        if x.weak and y.weak and dtypes[0] is not dtypes[1]:
            raise messages.branches_differ(called, type_text(x), type_text(y), WAYS)
        dtype = dtypes[1] if x.weak else dtypes[0]
        return self._output(cast(x.node, dtype), cast(y.node, dtype), x.weak and y.weak)

    def _output(self, one: Node, other: Node, is_weak: bool) -> Callable[[Any], Any]:
        k = len(self._weak)
        self._outputs[0].append(one)
        self._outputs[1].append(other)
        self._weak.append(is_weak)
        return lambda arrays: weak(arrays[k]) if is_weak else arrays[k]

    def values(self) -> Values:
        arrays: list[Array] = []
        if self._weak:
            traced = [way.traced for way in self.ways[::-1]]
            arrays = joined(cast(self.which.node, int32), traced, self._outputs[::-1])
        return {name: build(arrays) for name, build in self._builds.items()}


def _unchanged(before: Any, flat: Flat) -> bool:
    """Whether a variable holds what it held before."""
    if before is MISSING:
        return False
    was = Flat(before)
    return was.structure == flat.structure and all(
        (isinstance(a, Array) and isinstance(b, Array) and _same_array(a, b)) or same_constant(a, b)
        for a, b in zip(was.leaves, flat.leaves, strict=True)
    )


def _same_array(a: Array, b: Array) -> bool:
    return a.node is b.node if a._value is None or b._value is None else a._value is b._value


def zeros(leaf: Leaf) -> Array:
    from numr.functions.all import zeros

    made: Array = zeros(leaf.node.shape, dtype=leaf.node.dtype)
    return weak(made) if leaf.weak else made


def type_text(x: Leaf) -> str:
    return f"shape {shape_text(x.node.shape)} {x.node.dtype}"


def _text(x: Any) -> str:
    """A leaf in a message: an array by its type, anything else as it is."""
    if isinstance(x, Array) or (is_number(x) and not is_python_number(x)):
        return f"shape {shape_text(x.shape)} {x.dtype}"
    plain = x is None or isinstance(x, (str, bytes)) or is_python_number(x)
    return repr(x) if plain and len(repr(x)) <= 60 else f"a {type(x).__name__}"


def _form(flat: Flat) -> str:
    """A value in a message."""
    if flat.structure == tree.structure(0.0):
        return _text(flat.leaves[0])
    return "None" if flat.structure == tree.structure(None) else flat.structure.text(60)


def branch(which: Array, then: Function, otherwise: Function, site: Site) -> None:
    """Run `then` or `otherwise` by a traced boolean, as a primitive."""
    everything, before = site.everything(), site.get()

    def way(run: Function) -> Way:
        site.enter(everything)
        return Way(run, site.get, site.flags)

    with site.traced(everything):
        join = Join(which, (way(then), way(otherwise)))
    for name in before:
        if not join.add(name, site.explained(name), before[name], name == RESULT):
            site.lose(name, f"the traced `{site.word}` above assigns it on one way only")
            join._builds[name] = lambda arrays: MISSING
    site.put(join.values())


def choose(which: Array, then: Function, otherwise: Function, called: str) -> Any:
    """`then() if which else otherwise()`, as a primitive."""

    def way(run: Function) -> Way:
        found: list[Any] = []
        return Way(lambda: found.append(run()), lambda: {"": found[0]})

    join = Join(which, (way(then), way(otherwise)))
    join.add("", called, MISSING, False)
    return join.values()[""]
