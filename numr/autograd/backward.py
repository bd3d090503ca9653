"""backward: forward mode over the history of a loss, transposed, with respect to its variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from numr import config, messages
from numr.array import Array, from_node, without_history
from numr.autograd.history import History
from numr.autograd.stores import GradStore, VarGradStore
from numr.autograd.variables import Var, known_as
from numr.ir.node import Node, located, scope
from numr.ir.transforms.transpose import transpose
from numr.lazy import compute_together, realize
from numr.primitives.guards import add_cotangents
from numr.primitives.shape import broadcast_to
from numr.primitives.source import const, param_like


class BackwardHook(Protocol):
    """What `backward` tells of the gradients as they become complete."""

    def on_leaf_grad_ready(self, var: Var, grad: Array) -> None:
        """Called once for each variable that has a gradient, when nothing is added to it any more.

        Args:
            var: the variable.
            grad: its gradient, of its shape and dtype, as the store has it: an Array, or a Var with its
                history in `backward_with_graph`.
        """


def _tangents(nodes: Iterable[Node], seeds: Mapping[Node, Node]) -> dict[Node, Node]:
    """The tangents of nodes in order, when the keys of `seeds` move by their values."""
    tangents = dict(seeds)
    for node in nodes:
        made = node.made_by
        incoming = [tangents.get(x) for x in made.inputs]
        if any(t is not None for t in incoming):
            with located(made.location):
                tangent = made.prim.jvp(node, made.inputs, incoming, **made.params)
            if tangent is not None:
                tangents[node] = tangent
    return tangents


def _pulled(loss: Any, function: str, graph: bool, hooks: BackwardHook | None) -> Any:
    """The gradients of a loss in a store.

    A long history is gone through in stretches, each computed before the one below it.
    """
    if not isinstance(loss, Array):
        raise messages.loss_not_an_array(function, type(loss).__name__)
    out = loss.node
    if loss.size != 1 or out.dtype.kind != "f":
        shape = tuple(map(int, out.shape)) if loss.size != 1 else ()
        raise messages.loss_not_one_number(function, shape, out.dtype)
    store: Any = VarGradStore() if graph else GradStore()
    history = History(out)
    if not history.variables:
        return store
    order = history.order
    first_use: dict[Node, int] = {out: 0}
    for k, node in reversed(list(enumerate(order))):
        first_use.update((x, k) for x in node.made_by.inputs if x in history.variables)
    collected: dict[Node, Node] = {out: broadcast_to(const(1, out.dtype), out.shape)}
    ready: list[Array] = []
    for start, end in reversed(_stretches(order, config.get().node_limit)):
        _through(order[start:end], history.depends, collected)
        if not graph:
            for node, ct in collected.items():
                collected[node] = without_history(ct)
        if start and (out.trace is None or out.trace.blocker() is None) and scope.trace is None:
            realize(collected.values())
        complete = [x for x in collected if x in history.variables and first_use[x] >= start]
        for x in sorted(complete, key=lambda x: first_use[x], reverse=True):
            var = known_as(x.origin, x)
            gradient = collected.pop(x)
            store[var] = Var._over(gradient) if graph else from_node(gradient)
            ready.append(store[var])
            if hooks is not None:
                hooks.on_leaf_grad_ready(var, store[var])
    compute_together([*ready, loss])
    return store


def _stretches(order: list[Node], limit: int) -> list[tuple[int, int]]:
    """Where to cut a long history: where something has been computed, so that nothing is twice."""
    starts = [0]
    for k in range(1, len(order)):
        length = k - starts[-1]
        if length >= 2 * limit or (length >= limit // 2 and order[k - 1].value is not None):
            starts.append(k)
    return list(zip(starts, [*starts[1:], len(order)], strict=True))


def _through(nodes: list[Node], depends: set[Node], collected: dict[Node, Node]) -> None:
    """Pull the cotangents of a stretch's nodes back to what is below it."""
    inside = set(nodes)
    below = {x: None for n in nodes for x in n.made_by.inputs if x in depends and x not in inside}
    seeds = {x: param_like(x) for x in below}
    tangents = _tangents(nodes, seeds)
    outs = [n for n in nodes if n in collected]
    cts = [collected.pop(n) for n in outs]
    moved = [tangents.get(n) for n in outs]
    found = transpose(moved, list(seeds.values()), cts, add_cotangents)
    for x, ct in zip(seeds, found, strict=True):
        if ct is not None:
            before = collected.get(x)
            collected[x] = ct if before is None else add_cotangents(before, ct)


def backward(loss: Array, hooks: BackwardHook | None = None) -> GradStore:
    """The gradients of a loss with respect to every variable it depends on.

    The gradients are lazy arrays without a history, computed together when one of them is first needed
    (and so is the loss, if it has not been read before).

    Args:
        loss: an array of one element, float16 to float64, computed from `Var`s.
        hooks: an object with a method `on_leaf_grad_ready(var, grad)`, called once for each variable
            that has a gradient, when it is complete.

    Returns:
        A `GradStore`. Variables that the loss does not depend on are absent; a loss that depends on none
        gives an empty one. For complex variables a gradient is df/dx - i df/dy, as for `numr.grad`.

    Raises:
        GradientError: for a loss of several elements, of no floating-point dtype, or that is no array.
        NotDifferentiableError: for an operation without a derivative on the way.

    Examples:
        >>> import numr as nr
        >>> from numr.autograd import Var, backward
        >>> x, y = Var([1.0, 2.0]), Var(3.0)
        >>> store = backward(nr.sum(x**2) * y)
        >>> store[x], store[y].item()
        (numr.Array([ 6., 12.]), 5.0)
    """
    return _pulled(loss, "backward", False, hooks)  # type: ignore[no-any-return]


def backward_with_graph(loss: Array, hooks: BackwardHook | None = None) -> VarGradStore:
    """As `backward`, with gradients that can be differentiated again.

    Args:
        loss: an array of one element, float16 to float64, computed from `Var`s.
        hooks: as for `backward`; the gradients are Vars.

    Returns:
        A `VarGradStore`, whose gradients have their histories.

    Raises:
        GradientError: for a loss of several elements, of no floating-point dtype, or that is no array.
        NotDifferentiableError: for an operation without a derivative on the way.

    Examples:
        >>> import numr as nr
        >>> from numr.autograd import Var, backward, backward_with_graph
        >>> x = Var([1.0, 2.0])
        >>> gradient = backward_with_graph(nr.sum(nr.exp(x))).get_var(x)
        >>> backward(nr.sum(gradient * nr.asarray([1.0, 0.0])))[x]
        numr.Array([2.71828183, 0.        ])
    """
    return _pulled(loss, "backward_with_graph", True, hooks)  # type: ignore[no-any-return]
