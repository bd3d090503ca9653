"""Pytrees: every container type, structures as keys, paths, mismatches, depth."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections import OrderedDict, defaultdict, namedtuple
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from numr import tree
from numr.errors import StaticArgumentError, TreeMismatchError


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Layer:
    weight: Any
    bias: Any
    activation: str = dataclasses.field(default="tanh", metadata={"static": True})


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    value: Any
    derived: Any = dataclasses.field(init=False, default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "derived", self.value + 1)


class Pair:
    def __init__(self, first: Any, second: Any, label: str) -> None:
        self.first, self.second, self.label = first, second, label


tree.register(
    Pair,
    lambda p: ((p.first, p.second), p.label),
    lambda label, children: Pair(*children, label),
    names_fn=lambda label: (".first", ".second"),
)

SAMPLES = [
    1.0,
    None,
    (),
    [],
    {},
    (1, 2, 3),
    [1, 2],
    {"b": 1, "a": 2},
    {2: 1, "a": 2},
    OrderedDict(b=1, a=2),
    defaultdict(list, b=1, a=2),
    Point(1, 2),
    Point([1, None], {"k": (2,)}),
    Layer(1, [2, 3]),
    Frozen(3),
    ({"w": [1, 2, Layer(3, None)]}, None, [[[]], ()]),
]


@pytest.mark.parametrize("sample", SAMPLES, ids=repr)
def test_round_trip(sample: Any) -> None:
    leaves, structure = tree.flatten(sample)
    assert structure.num_leaves == len(leaves)
    rebuilt = structure.unflatten(leaves)
    assert rebuilt == sample
    assert type(rebuilt) is type(sample)
    assert structure.unflatten(iter(leaves)) == sample


@pytest.mark.parametrize("sample", SAMPLES, ids=repr)
def test_structures_are_keys(sample: Any) -> None:
    one, other = tree.structure(sample), tree.structure(copy.deepcopy(sample))
    assert one == other
    assert hash(one) == hash(other)
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert hash(again) == hash(one)
    assert again.unflatten(tree.leaves(sample)) == sample


def test_structures_differ() -> None:
    structures = [tree.structure(sample) for sample in SAMPLES]
    for i, one in enumerate(structures):
        for other in structures[i + 1 :]:
            assert one != other


def test_leaves_are_anything_else() -> None:
    class Custom(dict):  # type: ignore[type-arg]
        pass

    for leaf in (1, 1j, "text", b"", range(3), {1, 2}, object(), Custom(a=1), Layer, int):
        assert tree.leaves(leaf) == [leaf]
        assert tree.leaves([leaf, (leaf,)]) == [leaf, leaf]


def test_dict_order_is_kept_and_does_not_matter() -> None:
    written = {"z": 1, "a": 2, "m": 3}
    leaves, structure = tree.flatten(written)
    assert leaves == [2, 3, 1]
    assert list(structure.unflatten(leaves)) == ["z", "a", "m"]
    assert structure == tree.structure({"a": 0, "m": 0, "z": 0})
    assert hash(structure) == hash(tree.structure({"a": 0, "m": 0, "z": 0}))
    assert tree.structure(OrderedDict(a=1, b=2)) != tree.structure(OrderedDict(b=2, a=1))


def test_keys_that_do_not_compare_keep_their_order() -> None:
    mixed = {"b": 1, 0: 2, None: 3}
    assert tree.leaves(mixed) == [1, 2, 3]
    # equal as tuples, but each tree must come back with the keys it had
    for key in (1, True, 1.0):
        assert [type(k) for k in tree.map(lambda v: v, {key: 0})] == [type(key)]


def test_defaultdict_keeps_its_factory() -> None:
    rebuilt = tree.map(lambda v: v + 1, defaultdict(int, a=1))
    assert rebuilt["a"] == 2
    assert rebuilt["missing"] == 0


def test_static_fields_belong_to_the_structure() -> None:
    layer = Layer(1, 2, activation="relu")
    assert tree.leaves(layer) == [1, 2]
    assert tree.map(lambda v: 10 * v, layer) == Layer(10, 20, activation="relu")
    assert tree.structure(layer) != tree.structure(Layer(1, 2))


def test_rebuilding_a_dataclass_does_not_run_its_constructor() -> None:
    marker = object()  # marker + 1 would fail in __post_init__
    assert tree.map(lambda v: marker, Frozen(1)).value is marker


def test_registered_class() -> None:
    doubled = tree.map(lambda v: 2 * v, [Pair(1, (2, 3), "name")])[0]
    assert (doubled.first, doubled.second, doubled.label) == (2, (4, 6), "name")
    assert tree.paths(Pair(1, (2, 3), "name"), "p") == ["p.first", "p.second[0]", "p.second[1]"]
    with pytest.raises(ValueError, match="Pair is a pytree container already"):
        tree.register(Pair, lambda p: ((), None), lambda aux, children: Pair(1, 2, ""))


def test_registering_a_class_that_was_met_as_a_leaf() -> None:
    class Late:
        def __init__(self, value: Any) -> None:
            self.value = value

    assert len(tree.leaves((Late(1),))) == 1
    tree.register(Late, lambda t: ([t.value, 0], None), lambda aux, children: Late(children[0]))
    assert tree.leaves((Late(1), Late(2))) == [1, 0, 2, 0]


def test_paths() -> None:
    value = (0, {"w": [1, 2, Layer(3, Point(4, None))]})
    assert tree.paths(value, "args") == [
        "args[0]",
        "args[1]['w'][0]",
        "args[1]['w'][1]",
        "args[1]['w'][2].weight",
        "args[1]['w'][2].bias.x",
    ]
    assert tree.paths(5, "x") == ["x"]


def test_is_leaf() -> None:
    value = [(1, 2), {"a": (3, 4)}, None]
    assert tree.leaves(value, is_leaf=lambda t: isinstance(t, tuple)) == [(1, 2), (3, 4)]
    assert tree.leaves(value, is_leaf=lambda t: t is None) == [1, 2, 3, 4, None]
    assert tree.map(len, value, is_leaf=lambda t: isinstance(t, tuple)) == [2, {"a": 2}, None]


def test_map_of_several() -> None:
    assert tree.map(lambda a, b, c: a + b * c, {"x": 1}, {"x": 2}, {"x": 3}) == {"x": 7}
    assert tree.map(lambda a, b: a + b, {"x": 1, "y": 2}, {"y": 10, "x": 20}) == {"x": 21, "y": 12}


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ({"w": (1, 2)}, {"w": (1, 2, 3)}, "at <tree>['w']: a tuple of 2 against a tuple of 3"),
        ({"w": 1}, {"b": 1}, "at <tree>: a dict with ['w'] against a dict with ['b']"),
        ([1, [2]], [1, 2], "at <tree>[1]: a list against a leaf"),
        ([1, None], [1, 2], "at <tree>[1]: None against a leaf"),
        ((1,), [1], "at <tree>: a tuple against a list"),
        (Layer(1, 2), Layer(1, 2, "relu"), "at <tree>: a Layer with"),
        ([Point(1, 2)], [Point(1, (2,))], "at <tree>[0].y: a leaf against a tuple"),
    ],
)
def test_mismatch_message(first: Any, second: Any, said: str) -> None:
    with pytest.raises(TreeMismatchError) as caught:
        tree.map(lambda a, b: a, first, second)
    message = str(caught.value)
    assert said in message
    assert f"the first tree: {tree.structure(first).text()}" in message
    assert f"tree 2: {tree.structure(second).text()}" in message


def test_wrong_number_of_leaves() -> None:
    with pytest.raises(TreeMismatchError, match="a tree of 2 leaves cannot be built from 3"):
        tree.structure([1, 2]).unflatten([1, 2, 3])


def test_unhashable_static_field() -> None:
    structure = tree.structure([Layer(1, 2, activation=["not", "hashable"])])  # type: ignore[arg-type]
    with pytest.raises(StaticArgumentError, match=r"Layer at <tree>\[0\].*unhashable type: 'list'"):
        hash(structure)


def test_broadcast_prefix() -> None:
    value = ({"w": 1, "b": [2, 3]}, 4, None)
    assert tree.broadcast_prefix(0, value) == [0, 0, 0, 0]
    assert tree.broadcast_prefix((0, None, 1), value) == [0, 0, 0, None]
    assert tree.broadcast_prefix(({"w": 5, "b": 6}, 7, None), value) == [6, 6, 5, 7]
    with pytest.raises(TreeMismatchError) as caught:
        tree.broadcast_prefix(({"w": 5}, 7, None), value, "in_axes", "args")
    assert "in_axes does not fit its tree at args[0]: a dict with ['w'] in in_axes" in str(
        caught.value
    )


def test_deep_trees_do_not_recurse() -> None:
    deep: Any = 1
    for level in range(20_000):
        deep = [deep] if level % 2 else (deep, None)
    leaves, structure = tree.flatten(deep)
    assert leaves == [1]
    assert structure.paths("t")[0].count("[0]") == 20_000
    assert hash(structure) == hash(tree.structure(deep))
    rebuilt = structure.unflatten([2])
    for _ in range(20_000):
        rebuilt = rebuilt[0]
    assert rebuilt == 2
    assert len(structure.text()) <= 2000


def test_a_tree_that_contains_itself() -> None:
    value: list[Any] = [1]
    value.append({"again": value})
    with pytest.raises(ValueError, match="contains itself"):
        tree.flatten(value)


def test_large_trees_are_not_taken_for_cycles() -> None:
    shared = [1, [2]]
    value = [[shared, shared] for _ in range(50_000)]
    assert tree.structure(value).num_leaves == 200_000


def test_classes_made_in_a_loop_are_forgotten() -> None:
    from numr import tree_kinds

    for _ in range(5000):
        tree.leaves([namedtuple("Local", "a b")(1, type("Other", (), {})())])
    assert len(tree_kinds.KINDS) + len(tree_kinds.LEAVES) <= 4100
    assert tree.leaves((1, [2], {"a": 3}, Pair(4, 5, ""))) == [1, 2, 3, 4, 5]


def nested(leaf: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaf | st.none(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.lists(inner, max_size=4).map(tuple)
            | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4)
            | st.builds(Point, inner, inner)
            | st.builds(Layer, inner, inner, st.sampled_from(["a", "b"]))
        ),
        max_leaves=20,
    )


@given(nested(st.integers()))
def test_any_tree_round_trips(value: Any) -> None:
    leaves, structure = tree.flatten(value)
    assert structure.unflatten(leaves) == value
    numbered = structure.unflatten(range(len(leaves)))
    assert tree.leaves(numbered) == list(range(len(leaves)))
    paths = tree.paths(value, "value")
    assert len(set(paths)) == len(leaves)
    for path, leaf in zip(paths, leaves, strict=True):
        assert eval(path) == leaf


def test_importing_it_is_cheap() -> None:
    import subprocess
    import sys

    code = (
        "import sys, types; numr = types.ModuleType('numr'); numr.__path__ = sys.argv[1:];"
        "sys.modules['numr'] = numr; import numr.tree; assert 'numpy' not in sys.modules"
    )
    folder = tree.__file__.rpartition("/")[0]
    subprocess.run([sys.executable, "-c", code, folder], check=True)
