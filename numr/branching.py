"""Branches for users: cond, switch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numr import messages, tree
from numr.array import Array, to_array
from numr.control import Leaf, Traced, arrays_of, function_name, leaves_of
from numr.dtypes import int32
from numr.ir.body import Body
from numr.ir.dims import unify_shapes
from numr.ir.node import Node
from numr.primitives.branches import SWITCH
from numr.primitives.elementwise import cast
from numr.primitives.source import param_like

__all__ = ["cond", "switch"]


def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands: Any
) -> Any:
    """`true_fun(*operands) if pred else false_fun(*operands)`, as part of the graph.

    Only the branch that is chosen runs. Under `vmap` over `pred`, both run, and each element of the batch
    takes its own.

    Args:
        pred: one boolean.
        true_fun: a function of the operands.
        false_fun: a function of the operands, with a result of the same structure, shapes and dtypes.
        operands: any pytrees.

    Returns:
        The result of the branch that is chosen.

    Raises:
        TypeError: for a pred that is not one boolean, or branches with results of different types.

    Examples:
        >>> import numr as nr
        >>> f = lambda x: nr.cond(x > 0, nr.sqrt, lambda x: 0 * x, x)
        >>> f(4.0).item(), nr.grad(f)(4.0).item(), nr.grad(f)(-1.0).item()
        (2.0, 0.25, 0.0)
    """
    which = to_array(pred)
    if which.shape != () or which.dtype.kind != "b":
        raise TypeError(
            f"numr.cond: pred is to be one boolean, not an array of shape "
            f"{messages.shape_text(which.shape)} and dtype {which.dtype}"
        )
    return _branched("cond", cast(which.node, int32), (false_fun, true_fun), operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`, as part of the graph; an index out of range is the nearest one.

    Args:
        index: one integer.
        branches: functions of the operands, with results of one structure, and of the same shapes and
            dtypes.
        operands: any pytrees.

    Returns:
        The result of the branch that is chosen.

    Raises:
        TypeError: for an index that is not one integer, or branches with results of different types.
        ValueError: for no branches.

    Examples:
        >>> import numr as nr
        >>> nr.switch(1, [nr.sin, nr.cos, nr.tan], 0.0).item()
        1.0
    """
    if not branches:
        raise ValueError("numr.switch needs at least one branch")
    number = to_array(index)
    if number.shape != () or number.dtype.kind not in "iu":
        raise TypeError(
            f"numr.switch: index is to be one integer, not an array of shape "
            f"{messages.shape_text(number.shape)} and dtype {number.dtype}"
        )
    from numr.functions.all import clip

    wide = number if number.dtype.itemsize >= 4 else number.astype("int32")
    inside = cast(clip(wide, 0, len(branches) - 1).node, int32)
    return _branched("switch", inside, tuple(branches), operands)


def _branched(
    name: str, which: Node, functions: Sequence[Callable[..., Any]], operands: Sequence[Any]
) -> Any:
    leaves, structure = leaves_of(tuple(operands))
    traced = []
    for f in functions:
        function_name(name, f)
        traced.append(Traced(name, f, leaves, lambda a, f=f: f(*structure.unflatten(a))))
    first = traced[0]
    dtypes = _common(name, functions, traced)
    outputs = [[cast(n, d) for n, d in zip(t.outputs, dtypes, strict=True)] for t in traced]
    return first.structure.unflatten(joined(which, traced, outputs, leaves))


def joined(
    which: Node,
    traced: Sequence[Traced],
    outputs: Sequence[Sequence[Node]],
    leaves: Sequence[Leaf] = (),
) -> list[Array]:
    """The outputs of the branch that `which` says, of branches with the leaves as their operands."""
    bodies, taken = [], []
    for t, results in zip(traced, outputs, strict=True):
        body, extra = t.close(results)
        bodies.append(body)
        taken.append(extra)
    # All branches have the same operands: each ignores what only others take.
    every = list(dict.fromkeys(x for extra in taken for x in extra))
    made = []
    for body, extra in zip(bodies, taken, strict=True):
        mine = dict(zip(extra, body.params, strict=False))
        places = [mine.get(x) or param_like(x) for x in every]
        made.append(Body([*places, *body.params[len(extra) :]], body.outputs))
    found = SWITCH.results(which, *every, *(x.node for x in leaves), branches=tuple(made))
    return arrays_of(found)


def _common(name: str, functions: Sequence[Any], traced: Sequence[Traced]) -> list[Any]:
    """The dtypes of the branches' results: Python's numbers take that of the others.

    Raises:
        TypeError: if results differ in structure, shape or dtype, naming the leaf and the branches.
    """
    first = traced[0]
    names = [getattr(f, "__name__", repr(f)) for f in functions]
    dtypes = [x.node.dtype for x in first.results]
    weak = [x.weak for x in first.results]
    for k, t in enumerate(traced[1:], 1):
        if t.structure != first.structure:
            given = (f"what {names[k]} returns", f"what {names[0]} returns")
            raise tree.mismatch(t.structure, first.structure, given, f"numr.{name}")
        paths = first.structure.paths("result")
        for i, (path, a, b) in enumerate(zip(paths, first.results, t.results, strict=True)):
            same = b.node.dtype is dtypes[i] or weak[i] or b.weak
            if a.node.shape != b.node.shape or not same:
                texts = [
                    f"{n}: shape {messages.shape_text(x.node.shape)} {x.node.dtype}"
                    for n, x in ((names[0], a), (names[k], b))
                ]
                raise TypeError(f"numr.{name}: the branches differ in {path}: {', '.join(texts)}")
            unify_shapes(a.node.shape, b.node.shape)
            if weak[i] and not b.weak:
                dtypes[i], weak[i] = b.node.dtype, False
    return dtypes
