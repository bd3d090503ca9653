"""Pytrees: nested containers taken apart into a flat list of leaves and a structure, and rebuilt.

`jit`, `grad`, `vmap` and the others take and return any nesting of dicts, lists, tuples,
namedtuples, dataclasses and `None`. A `TreeDef` is a flat tuple of nodes in preorder, so hashing,
comparing and pickling one are tuple operations and nothing here recurses: depth costs memory, not
stack.
"""

from __future__ import annotations

import builtins  # `map` is a name of this module
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from numr.errors import StaticArgumentError, TreeMismatchError
from numr.tree_kinds import KINDS, LEAVES, Children, Keys, Kind, kind_of, register

__all__ = [
    "TreeDef",
    "broadcast_prefix",
    "flatten",
    "leaves",
    "map",
    "mismatch",
    "paths",
    "register",
    "structure",
]

Leaf = Any

# One node of a TreeDef: None for a leaf, else (type, number of children, static part).
_TreeNode = tuple[type, int, Any] | None


class TreeDef:
    """The structure of a pytree without its leaves: hashable, comparable, picklable.

    Dicts with equal keys are equal structures whatever the order their keys were written in.

    Examples:
        >>> from numr import tree
        >>> leaves, structure = tree.flatten({"w": [1, 2], "b": 3})
        >>> leaves
        [3, 1, 2]
        >>> structure
        TreeDef({'b': *, 'w': [*, *]})
        >>> structure.unflatten([30, 10, 20])
        {'w': [10, 20], 'b': 30}
    """

    __slots__ = ("_hash", "nodes", "num_leaves")

    def __init__(self, nodes: tuple[_TreeNode, ...], num_leaves: int) -> None:
        self.nodes = nodes
        self.num_leaves = num_leaves
        self._hash: int | None = None

    def __hash__(self) -> int:
        found = self._hash
        if found is None:
            try:
                found = self._hash = hash(self.nodes)
            except TypeError:
                _reject_unhashable(self.nodes)
        return found

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, TreeDef) and self.nodes == other.nodes

    def __reduce__(self) -> tuple[Any, ...]:
        return (TreeDef, (self.nodes, self.num_leaves))

    def __repr__(self) -> str:
        return f"TreeDef({self.text()})"

    def text(self, limit: int = 2000) -> str:
        """The structure as Python would write it, `*` for each leaf, cut off after `limit`."""
        stack: list[str] = []
        for node in reversed(self.nodes):
            if node is None:
                stack.append("*")
                continue
            cls, n, aux = node
            parts = stack[: -n - 1 : -1]
            del stack[len(stack) - n :]
            kind = _required_kind(cls)
            if kind.show is not None:
                shown = kind.show(aux, parts)
            else:
                names = [entry.lstrip(".") for entry in kind.entries(aux, n)]
                fields = ", ".join(f"{e}={p}" for e, p in zip(names, parts, strict=True))
                shown = f"{cls.__name__}({fields})"
            stack.append(shown if len(shown) <= limit else shown[: limit - 4] + " ...")
        return stack[0]

    def unflatten(self, leaves: Iterable[Leaf]) -> Any:
        """Put a tree of this structure together.

        Args:
            leaves: as many leaves as the structure has, in the order `flatten` gives them.

        Returns:
            The tree.

        Raises:
            TreeMismatchError: for another number of leaves.

        Examples:
            >>> from numr import tree
            >>> tree.structure((0, [0, 0])).unflatten("abc")
            ('a', ['b', 'c'])
        """
        leaves = list(leaves)
        nodes = self.nodes
        if len(leaves) != self.num_leaves:
            raise TreeMismatchError(
                f"a tree of {self.num_leaves} leaves cannot be built from {len(leaves)}\n"
                f"  structure: {self.text()}"
            )
        if len(nodes) == len(leaves) + 1:  # one flat container
            cls, _, aux = nodes[0]  # type: ignore[misc]
            return tuple(leaves) if cls is tuple else _required_kind(cls).unflatten(aux, leaves)
        # Backwards through the preorder, a container finds its children on top of the stack.
        stack: list[Any] = []
        for node in reversed(nodes):
            if node is None:
                stack.append(leaves.pop())
            else:
                cls, n, aux = node
                children = stack[: -n - 1 : -1]
                del stack[len(stack) - n :]
                stack.append(_required_kind(cls).unflatten(aux, children))
        return stack[0]

    def paths(self, root: str = "") -> list[str]:
        """How each leaf is reached from the tree, written as Python: see `paths`."""
        found: list[str] = []
        _walk_paths(self.nodes, root, lambda index, path: found.append(path))
        return found


def _required_kind(cls: type) -> Kind:
    kind = kind_of(cls)
    if kind is None:
        raise TreeMismatchError(f"{cls.__name__} is not a pytree container in this process")
    return kind


def _reject_unhashable(nodes: tuple[_TreeNode, ...]) -> NoReturn:
    paths: dict[int, str] = {}
    _walk_paths(nodes, "", lambda i, p: None, lambda i, p: paths.__setitem__(i, p))
    for i, node in enumerate(nodes):
        try:
            hash(node)
        except TypeError as error:
            cls = node[0].__name__ if node else "leaf"
            raise StaticArgumentError(
                f"a static field of the {cls} at <tree>{paths[i]} cannot be hashed ({error}), so "
                f"nothing can be cached by it; use a hashable value there (a tuple for a list), or "
                f"make the field a leaf"
            ) from None
    raise AssertionError("every node is hashable")


def _walk_paths(
    nodes: tuple[_TreeNode, ...],
    root: str,
    at_leaf: Callable[[int, str], Any],
    at_container: Callable[[int, str], Any] | None = None,
) -> None:
    stack = [root]
    for index, node in enumerate(nodes):
        path = stack.pop()
        if node is None:
            at_leaf(index, path)
            continue
        if at_container is not None:
            at_container(index, path)
        cls, n, aux = node
        stack.extend(path + entry for entry in reversed(_required_kind(cls).entries(aux, n)))


_LEAF_DEF = TreeDef((None,), 1)
_FLAT_TUPLES: dict[int, TreeDef] = {}
_SUSPICIOUS = 100_000  # nodes after which a tree is checked for containing itself


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Leaf], TreeDef]:
    """Take a tree apart into its leaves and its structure.

    Args:
        tree: any nesting of dicts, lists, tuples, namedtuples, dataclasses, None and registered
            classes; everything else is a leaf. A dataclass field declared with
            `dataclasses.field(metadata={"static": True})` belongs to the structure.
        is_leaf: called with each container (and leaf); where it returns True, that is a leaf.

    Returns:
        The leaves, dicts' in the order of their sorted keys, and the `TreeDef`.

    Raises:
        ValueError: if a container contains itself.

    Examples:
        >>> from numr import tree
        >>> tree.flatten((1, {"b": 2, "a": None}))
        ([1, 2], TreeDef((*, {'a': None, 'b': *})))
        >>> tree.flatten([(1, 2), 3], is_leaf=lambda x: isinstance(x, tuple))
        ([(1, 2), 3], TreeDef([*, *]))
    """
    leaf_types = LEAVES
    cls = type(tree)
    if is_leaf is None:
        if cls is tuple and leaf_types.issuperset(builtins.map(type, tree)):
            n = len(tree)
            found = _FLAT_TUPLES.get(n)
            if found is None:
                found = _FLAT_TUPLES[n] = TreeDef(((tuple, n, None),) + (None,) * n, n)
            return list(tree), found
        if cls in leaf_types:
            return [tree], _LEAF_DEF
    leaves: list[Leaf] = []
    nodes: list[_TreeNode] = []
    stack = [tree]
    suspicious = _SUSPICIOUS
    while stack:
        item = stack.pop()
        cls = type(item)
        kind = None if is_leaf is not None and is_leaf(item) else KINDS.get(cls) or kind_of(cls)
        if kind is None:
            leaves.append(item)
            nodes.append(None)
            continue
        children, aux = kind.flatten(item)
        nodes.append((cls, len(children), aux))
        if is_leaf is None and leaf_types.issuperset(builtins.map(type, children)):
            leaves.extend(children)
            nodes.extend([None] * len(children))
        else:
            stack.extend(reversed(children))
            if len(nodes) > suspicious:
                _reject_cycle(tree)
                suspicious *= 2
    return leaves, TreeDef(tuple(nodes), len(leaves))


def _reject_cycle(tree: Any) -> None:
    """Raise if a container contains itself (depth first; `open_` is the path to the item)."""
    open_: set[int] = set()
    done: dict[int, Any] = {}  # holds the objects too, so that no identity is used twice
    stack: list[tuple[Any, bool]] = [(tree, True)]
    while stack:
        item, entering = stack.pop()
        if not entering:
            open_.discard(id(item))
            done[id(item)] = item
            continue
        kind = kind_of(type(item))
        if kind is None or id(item) in done:
            continue
        if id(item) in open_:
            raise ValueError(f"a {type(item).__name__} in this tree contains itself")
        children = kind.flatten(item)[0]
        if len(children):
            open_.add(id(item))
            stack.append((item, False))
            stack.extend((child, True) for child in children)


def leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Leaf]:
    """The leaves of a tree: the first half of `flatten`.

    Examples:
        >>> from numr import tree
        >>> tree.leaves({"a": 1, "b": (2, None)})
        [1, 2]
    """
    return flatten(tree, is_leaf)[0]


def structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeDef:
    """The structure of a tree: the second half of `flatten`.

    Examples:
        >>> from numr import tree
        >>> tree.structure([1, 2]) == tree.structure([3, 4])
        True
    """
    return flatten(tree, is_leaf)[1]


def map(  # the name users of other frameworks look for
    f: Callable[..., Any], tree: Any, *rest: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """Apply a function to each leaf of a tree, or to the corresponding leaves of several.

    Args:
        f: takes one leaf of each tree.
        tree: the first tree; the result has its structure.
        *rest: more trees of the same structure.
        is_leaf: see `flatten`.

    Returns:
        The tree of results.

    Raises:
        TreeMismatchError: if the trees differ in structure.

    Examples:
        >>> from numr import tree
        >>> tree.map(lambda p, g: p - g / 10, {"w": 1.0, "b": [2.0]}, {"w": 5.0, "b": [10.0]})
        {'w': 0.5, 'b': [1.0]}
    """
    first, structure = flatten(tree, is_leaf)
    columns = [first]
    for k, other in enumerate(rest):
        values, other_structure = flatten(other, is_leaf)
        if other_structure != structure:
            raise mismatch(structure, other_structure, ("the first tree", f"tree {k + 2}"))
        columns.append(values)
    return structure.unflatten([f(*row) for row in zip(*columns, strict=True)])


def paths(tree: Any, root: str = "", is_leaf: Callable[[Any], bool] | None = None) -> list[str]:
    """How each leaf of a tree is reached, written as Python, for error messages.

    Args:
        tree: any tree.
        root: what to call the tree itself.
        is_leaf: see `flatten`.

    Returns:
        One string for each leaf, in the order of `flatten`.

    Examples:
        >>> from numr import tree
        >>> tree.paths(({"w": [1.0, 2.0]}, 3.0), "args")
        ["args[0]['w'][0]", "args[0]['w'][1]", 'args[1]']
    """
    return structure(tree, is_leaf).paths(root)


def mismatch(
    first: TreeDef, second: TreeDef, names: tuple[str, str], root: str = "<tree>"
) -> TreeMismatchError:
    """The error for two structures that should be equal, saying where they part.

    Args:
        first: one structure.
        second: another one, not equal to the first.
        names: what to call the two.
        root: what to call a tree in a path.

    Returns:
        The error, to be raised by the caller.

    Examples:
        >>> from numr import tree
        >>> a, b = tree.structure({"w": (1, 2)}), tree.structure({"w": (1, 2, 3)})
        >>> print(tree.mismatch(a, b, ("parameters", "gradients"), "params").args[0])
        parameters and gradients differ at params['w']: a tuple of 2 against a tuple of 3
          parameters: {'w': (*, *)}
          gradients: {'w': (*, *, *)}
    """
    # Up to the first differing node the preorders agree, and so do the paths.
    at = next(i for i, (a, b) in enumerate(zip(first.nodes, second.nodes, strict=False)) if a != b)
    found: dict[int, str] = {}
    _walk_paths(first.nodes, root, found.__setitem__, found.__setitem__)
    here, there = _describe(first.nodes[at], second.nodes[at])
    return TreeMismatchError(
        f"{names[0]} and {names[1]} differ at {found[at]}: {here} against {there}\n"
        f"  {names[0]}: {first.text()}\n"
        f"  {names[1]}: {second.text()}"
    )


def _describe(first: _TreeNode, second: _TreeNode) -> tuple[str, str]:
    """What sets two nodes apart, as briefly as it can be said."""
    texts = []
    for node, other in ((first, second), (second, first)):
        if node is None:
            texts.append("a leaf")
        elif node[0] is type(None):
            texts.append("None")
        elif other is None or node[0] is not other[0]:
            texts.append(f"a {node[0].__name__}")
        elif node[1] != other[1] and not isinstance(node[2], Keys):
            texts.append(f"a {node[0].__name__} of {node[1]}")
        else:
            texts.append(f"a {node[0].__name__} with {node[2]!r}")
    return texts[0], texts[1]


def broadcast_prefix(
    prefix: Any,
    tree: Any,
    name: str = "in_axes",
    root: str = "<tree>",
    is_leaf: Callable[[Any], bool] | None = None,
) -> list[Leaf]:
    """One leaf of a prefix for each leaf of a tree: a leaf of the prefix stands for a subtree.

    Args:
        prefix: a tree that agrees with `tree` from the root down, and may stop early. None counts
            as a leaf of it.
        tree: the full tree.
        name: what to call the prefix in an error.
        root: what to call the tree in an error.
        is_leaf: see `flatten`; for `tree`.

    Returns:
        As many leaves of `prefix` as `tree` has leaves.

    Raises:
        TreeMismatchError: if the prefix does not agree with the tree.

    Examples:
        >>> from numr import tree
        >>> tree.broadcast_prefix((0, None), ({"w": 1, "b": 2}, 3))
        [0, 0, None]
    """
    found: list[Leaf] = []
    stack = [(prefix, tree, root)]
    while stack:
        short, full, path = stack.pop()
        kind = None if short is None else kind_of(type(short))
        if kind is None:
            found.extend([short] * structure(full, is_leaf).num_leaves)
            continue
        children, aux = kind.flatten(short)
        node = (type(short), len(children), aux)
        other: _TreeNode = None
        others: Children = ()
        full_kind = None if is_leaf is not None and is_leaf(full) else kind_of(type(full))
        if full_kind is not None:
            others, full_aux = full_kind.flatten(full)
            other = (type(full), len(others), full_aux)
        if node != other:
            here, there = _describe(node, other)
            raise TreeMismatchError(
                f"{name} does not fit its tree at {path}: {here} in {name}, {there} in the tree\n"
                f"  {name}: {prefix!r}\n"
                f"  tree: {structure(tree, is_leaf).text()}"
            )
        entries = kind.entries(aux, len(children))
        triples = [(c, o, path + e) for c, o, e in zip(children, others, entries, strict=True)]
        stack.extend(reversed(triples))
    return found
