"""Loops for users: scan, fori_loop, while_loop, map.

Each runs the user's functions once, on placeholders, and makes primitives that hold their graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numr import messages, tree
from numr.array import Array, from_node, to_array
from numr.functions.operands import SCALARS
from numr.ir.body import Body, close
from numr.ir.dims import as_length, unify_shapes
from numr.ir.node import Node, new_trace
from numr.ir.symbolic import largest
from numr.primitives.elementwise import cast
from numr.primitives.loops import WHILE
from numr.primitives.source import CONST, IOTA, SIZE_OF, param_like
from numr.segments import scan_in_segments, segment_lengths

__all__ = ["fori_loop", "map", "scan", "while_loop"]

_VIEWS = ("broadcast", "reshape", "permute", "cast")


def _is_constant(node: Node) -> bool:
    """Whether a node is made of constants, so that a body has it rather than is given it."""
    if node.value is not None or node.trace is not None:
        return False
    return node.prim in (CONST, IOTA, SIZE_OF) or node.prim.name in _VIEWS


class Leaf:
    """The type of one array: what a placeholder is made of."""

    __slots__ = ("node", "weak")

    def __init__(self, node: Node, weak: bool) -> None:
        self.node, self.weak = node, weak


class Traced:
    """A user's function run once on placeholders."""

    def __init__(
        self, name: str, fun: Callable[..., Any], leaves: Sequence[Leaf], call: Callable[..., Any]
    ) -> None:
        """`call` is given the placeholders' arrays and calls the function."""
        with new_trace(name, getattr(fun, "__name__", repr(fun))) as trace:
            self.params = [param_like(leaf.node, trace) for leaf in leaves]
            arrays = [from_node(p, x.weak) for p, x in zip(self.params, leaves, strict=True)]
            self.result = call(arrays)
            self.leaves, self.structure = tree.flatten(self.result)
            arrays = [to_array(leaf) for leaf in self.leaves]
            # Results as they are while the function runs: afterwards its placeholders stand for nothing.
            self.results = [
                Leaf(a.node, a.weak or _is_number(x))
                for a, x in zip(arrays, self.leaves, strict=True)
            ]
            self.outputs = [x.node for x in self.results]

    def close(self, outputs: Sequence[Node]) -> tuple[Body, list[Node]]:
        """A body with these results, made of the function's, and what it takes from outside first."""
        return close(self.params, outputs, param_like, _is_constant)


def leaves_of(value: Any) -> tuple[list[Leaf], tree.TreeDef]:
    found, structure = tree.flatten(value)
    made = []
    for x in found:
        array = to_array(x)
        made.append(Leaf(array.node, array.weak or _is_number(x)))
    return made, structure


def _is_number(x: Any) -> bool:
    """Whether x is a number of Python's, whose dtype is that of what it meets."""
    return isinstance(x, SCALARS) and not isinstance(x, np.generic)


def arrays_of(nodes: Sequence[Node]) -> list[Array]:
    return [from_node(n) for n in nodes]


def _row(node: Node) -> Node:
    """A node of the type of a row of x."""
    row = param_like(node)
    row.shape = node.shape[1:]
    return row


def _carried(
    name: str,
    function: str,
    start: list[Leaf],
    structure: tree.TreeDef,
    results: Sequence[Leaf],
    given: tree.TreeDef,
) -> bool:
    """Check that what is carried keeps its type; Python's numbers at the start take that of the body.

    Returns:
        Whether a number at the start took another dtype, so that the body must be run again.
    """
    if given != structure:
        raise tree.mismatch(given, structure, (f"what {function} carries on", "the start"), name)
    changed = False
    for path, leaf, out in zip(structure.paths(), start, results, strict=True):
        before, after = leaf.node, out.node
        if after.dtype is not before.dtype and leaf.weak and after.shape == before.shape:
            leaf.node, leaf.weak, changed = cast(before, after.dtype), False, True
        elif after.dtype is not before.dtype and out.weak and after.shape == before.shape:
            continue
        elif after.dtype is not before.dtype or after.shape != before.shape:
            raise messages.carry_changed(
                name, function, path, (before.shape, before.dtype), (after.shape, after.dtype)
            )
        else:
            unify_shapes(after.shape, before.shape)
    return changed


def scan(
    f: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    checkpoint: int | str | None = None,
) -> Any:
    """A loop over the rows of arrays, with what is carried from one step to the next.

    As if by::

        carry, rows = init, []
        for x in xs:
            carry, y = f(carry, x)
            rows.append(y)
        return carry, stack(rows)

    but `f` runs once in Python, and the loop is part of the graph: it is compiled, differentiated
    (forwards and backwards, to any order) and batched with it.

    Args:
        f: a function (carry, x) -> (carry, y). The carry keeps its structure, shapes and dtypes.
        init: the first carry (any pytree).
        xs: arrays (any pytree) with a first axis of one length, of which step t sees row t; None if the
            steps see none.
        length: the number of steps, needed where xs has no arrays.
        reverse: whether to go from the last row to the first; y of row t is row t in either case.
        checkpoint: what derivatives in reverse keep. They need what is carried into every step: all of it
            is kept, or, given a number of steps, only every so many-th, from which the steps between are
            computed anew. Given memory, as "10 MB", as much is kept as fits in it (of one element of a
            `vmap`), which may compute steps several times; `f.lower(...).cost.peak` says what it comes to.

    Returns:
        (carry, ys): the last carry, and y of every step stacked along a new first axis.

    Raises:
        ShapeError: for rows of different lengths, or none and no length.
        ValueError: for a checkpoint of no steps, or of less memory than it can do with.
        TypeError: where a carry changes its shape or dtype, naming the leaf.
        TreeMismatchError: where it changes its structure.

    Examples:
        >>> import numr as nr
        >>> last, sums = nr.scan(lambda c, x: (c + x, c + x), 0.0, nr.arange(1.0, 5.0))
        >>> last.item(), sums.tolist()
        (10.0, [1.0, 3.0, 6.0, 10.0])
        >>> nr.grad(lambda a: nr.scan(lambda c, _: (a * c, None), 1.0, length=5)[0])(2.0).item()
        80.0
    """
    name = function_name("scan", f)
    rows, rows_structure = leaves_of(xs)
    steps = _length(name, rows, rows_structure, length)
    start, structure = leaves_of(init)
    row_leaves = [Leaf(_row(x.node), x.weak) for x in rows]

    def call(arrays: list[Array]) -> Any:
        carry = structure.unflatten(arrays[: len(start)])
        result = f(carry, rows_structure.unflatten(arrays[len(start) :]))
        if not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(
                f"numr.scan: {name} must return (carry, y), not {type(result).__name__}"
            )
        return result

    while True:
        traced = Traced("scan", f, [*start, *row_leaves], call)
        carry, _ = traced.result
        count = len(tree.leaves(carry))
        if not _carried(
            "scan", name, start, structure, traced.results[:count], tree.structure(carry)
        ):
            break
    body, taken = traced.close(_as_started(traced, start))
    carried = [x.node for x in start]
    segments = segment_lengths(f"numr.scan of {name}", checkpoint, steps, carried)
    operands = [*taken, *carried, *(x.node for x in rows)]
    found = scan_in_segments(operands, body, len(taken), len(start), steps, bool(reverse), segments)
    return traced.structure.unflatten(arrays_of(found))


def _as_started(traced: Traced, start: Sequence[Leaf]) -> list[Node]:
    """The results, what is carried in the dtypes it started with."""
    carried = [cast(n, x.node.dtype) for n, x in zip(traced.outputs, start, strict=False)]
    return [*carried, *traced.outputs[len(carried) :]]


def function_name(transform: str, f: Any) -> str:
    if not callable(f):
        raise TypeError(f"numr.{transform} takes a function, not {type(f).__name__}")
    return getattr(f, "__name__", repr(f))


def _length(name: str, rows: Sequence[Leaf], structure: tree.TreeDef, length: Any) -> int:
    from numr.errors import ShapeError

    found: list[tuple[str, int]] = []
    for path, x in zip(structure.paths("xs"), rows, strict=True):
        if not x.node.shape:
            raise ShapeError(f"numr.scan of {name}: {path} has no axis to go along")
        found.append((path, x.node.shape[0]))
    if length is not None:
        found.insert(0, ("length", as_length(length)))
    if not found:
        raise ShapeError(f"numr.scan of {name} has no arrays to go along: say length=...")
    if any(n != found[0][1] for _, n in found):
        told = ", ".join(f"{path} {int(n)}" for path, n in found)
        raise ShapeError(f"numr.scan of {name} goes along arrays of different lengths: {told}")
    return found[-1][1]


def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """`for i in range(lower, upper): value = body_fun(i, value)`, as part of the graph.

    Args:
        lower: the first i. An int, or an integer array of one number. i is int64; it has the dtype of a NumPy
            integer here, as `np.int32(0)`, for devices that have no int64.
        upper: the i after the last. Where both are ints, the loop can be differentiated in reverse.
        body_fun: a function (i, value) -> value, which keeps structure, shapes and dtypes.
        init_val: the first value (any pytree).

    Returns:
        The last value.

    Raises:
        TypeError: for a bound that is no integer, or a value that changes its shape or dtype.

    Examples:
        >>> import numr as nr
        >>> nr.fori_loop(0, 5, lambda i, x: x + i, 0).item()
        10
    """
    name = function_name("fori_loop", body_fun)
    bounds = []
    for what, bound in (("lower", lower), ("upper", upper)):
        if not isinstance(bound, (int, np.integer)) or isinstance(bound, bool):
            bound = to_array(bound)
            if bound.dtype.kind not in "iu" or bound.shape != ():
                raise TypeError(
                    f"numr.fori_loop of {name}: {what} is to be an integer, not an array of shape "
                    f"{messages.shape_text(bound.shape)} and dtype {bound.dtype}"
                )
        bounds.append(bound)
    lower, upper = bounds
    body_fun_ = body_fun
    if isinstance(lower, (int, np.integer)) and isinstance(upper, (int, np.integer)):
        first = to_array(lower)
        lower, upper = (n if isinstance(n, int) else int(n) for n in (lower, upper))

        def step(carry: Any, _: Any) -> Any:
            i, value = carry
            return (i + 1, body_fun_(i, value)), None

        step.__name__ = name
        (_, value), _ = scan(step, (first, init_val), length=largest([upper - lower, 0]))
        return value
    i, end = to_array(lower).astype("int64"), to_array(upper).astype("int64")

    def go(carry: Any) -> Any:
        return carry[0] < end

    def on(carry: Any) -> Any:
        return carry[0] + 1, body_fun_(carry[0], carry[1])

    on.__name__ = name
    return while_loop(go, on, (i, init_val))[1]


def while_loop(
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    init_val: Any,
    max_steps: int | None = None,
    checkpoint: int | str | None = None,
) -> Any:
    """`while cond_fun(value): value = body_fun(value)`, as part of the graph.

    Args:
        cond_fun: a function of the value that returns one boolean.
        body_fun: a function of the value that returns the next one, of its structure, shapes and dtypes.
        init_val: the first value (any pytree).
        max_steps: end after so many steps in any case. Such a loop has derivatives in reverse, which keep
            the value at every step; it goes through all the steps, and does nothing in those that are left.
        checkpoint: as that of `scan`, for a loop with `max_steps`.

    Returns:
        The first value for which `cond_fun` is false; after `max_steps`, the value then.

    Raises:
        TypeError: for a condition that is not one boolean, or a value that changes its shape or dtype.
        ValueError: for a checkpoint without `max_steps`, or as `scan`.
        NotDifferentiableError: in reverse mode, without `max_steps`.

    Examples:
        >>> import numr as nr
        >>> f = lambda x: nr.while_loop(lambda x: x < 100.0, lambda x: 2 * x, x, max_steps=10)
        >>> f(1.0).item(), nr.grad(f)(1.0).item()
        (128.0, 128.0)
    """
    test_name, name = function_name("while_loop", cond_fun), function_name("while_loop", body_fun)
    start, structure = leaves_of(init_val)
    while True:
        traced = Traced("while_loop", body_fun, start, lambda a: body_fun(structure.unflatten(a)))
        if not _carried("while_loop", name, start, structure, traced.results, traced.structure):
            break
    tested = Traced("while_loop", cond_fun, start, lambda a: cond_fun(structure.unflatten(a)))
    if (
        len(tested.outputs) != 1
        or tested.outputs[0].shape != ()
        or tested.outputs[0].dtype.kind != "b"
    ):
        given = ", ".join(f"shape {messages.shape_text(n.shape)} {n.dtype}" for n in tested.outputs)
        raise TypeError(
            f"numr.while_loop: {test_name} must return one boolean, not {given or 'nothing'}"
        )
    body, consts = traced.close(_as_started(traced, start))
    condition, tests = tested.close(tested.outputs)
    if max_steps is not None:
        return _at_most(max_steps, cond_fun, body_fun, structure, start, checkpoint)
    if checkpoint is not None:
        raise ValueError(
            f"numr.while_loop of {name}: checkpoint= is for derivatives in reverse, which need max_steps="
        )
    found = WHILE.results(
        *tests,
        *consts,
        *(x.node for x in start),
        condition=condition,
        body=body,
        tests=len(tests),
        consts=len(consts),
    )
    return structure.unflatten(arrays_of(found))


def _at_most(
    steps: int,
    cond_fun: Callable[[Any], Any],
    body_fun: Callable[[Any], Any],
    structure: tree.TreeDef,
    start: Sequence[Leaf],
    checkpoint: int | str | None,
) -> Any:
    """A while loop as one of known length, whose steps may do nothing."""
    from numr.branching import cond

    def step(value: Any, _: Any) -> Any:
        return cond(cond_fun(value), body_fun, lambda value: value, value), None

    step.__name__ = function_name("while_loop", body_fun)
    first = structure.unflatten(arrays_of([x.node for x in start]))
    return scan(step, first, length=as_length(steps), checkpoint=checkpoint)[0]


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """`f` of each row of arrays, one after another, and the results stacked.

    `vmap` does the same for all rows at once, which is faster and takes memory for all of them.

    Args:
        f: a function of a row (a pytree like xs, of arrays with one axis less).
        xs: arrays (any pytree) with a first axis of one length.

    Returns:
        The results, stacked along a new first axis.

    Examples:
        >>> import numr as nr
        >>> nr.map(lambda row: nr.sum(row**2), nr.reshape(nr.arange(4.0), (2, 2))).tolist()
        [1.0, 13.0]
    """

    def step(carry: Any, x: Any) -> Any:
        return carry, f(x)

    step.__name__ = function_name("map", f)
    return scan(step, (), xs)[1]
