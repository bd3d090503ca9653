"""vmap: a function of single elements made into a function of batches, by rules on its graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from numr import messages, tree
from numr.array import from_node, to_array
from numr.errors import AxisError
from numr.ir.dims import unify
from numr.ir.node import Node, new_trace
from numr.ir.transforms.batch import batch
from numr.primitives.shape import batched_first, move_axis
from numr.primitives.source import param


def vmap(fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """`fun` over a batch: as if called on each element of the mapped axes and the results stacked.

    Args:
        fun: a function of arrays (any pytrees).
        in_axes: which axis of each argument is the batch: an int, None (the same value for all), or a
            tuple with one entry per argument, each an int, None, or a pytree prefix of the argument.
        out_axes: where the batch axis goes in the results: an int or a pytree prefix of the result.

    Returns:
        A function of the batched arguments. Keyword arguments are mapped over axis 0.

    Raises:
        AxisError: for in_axes that do not fit the arguments, or batches of different lengths.

    Examples:
        >>> import numr as nr
        >>> x = nr.reshape(nr.arange(6.0), (2, 3))
        >>> nr.vmap(lambda row, s: s * nr.sum(row), in_axes=(0, None))(x, 10.0).tolist()
        [30.0, 120.0]
    """
    if not callable(fun):
        raise TypeError(f"vmap takes a function, not {type(fun).__name__}")
    name = getattr(fun, "__name__", repr(fun))

    @functools.wraps(fun, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def batched(*args: Any, **kwargs: Any) -> Any:
        axes = _argument_axes(name, in_axes, args)
        leaves, structure = tree.flatten((args, kwargs))
        leaf_axes = [*axes, *(0 for _ in range(len(leaves) - len(axes)))]
        nodes = [to_array(leaf).node for leaf in leaves]
        paths = [_argument(path) for path in structure.paths()]
        size: int | None = None
        mapped_axes: list[tuple[str, int, int]] = []
        for k, (node, axis) in enumerate(zip(nodes, leaf_axes, strict=True)):
            if axis is None:
                continue
            if not -node.rank <= axis < node.rank:
                raise AxisError(
                    f"numr.vmap of {name}: in_axes asks for axis {axis} of the argument at {paths[k]}, which has shape "
                    f"{tuple(map(int, node.shape))}"
                )
            leaf_axes[k] = axis % node.rank
            length = node.shape[axis]
            mapped_axes.append((paths[k], axis, length))
            size = length if size is None else size
        if size is None or any(length != size for _, _, length in mapped_axes):
            raise messages.bad_map_axes(name, mapped_axes)
        for node, axis in zip(nodes, leaf_axes, strict=True):
            if axis is not None:
                size = unify(size, node.shape[axis])
        mapped: dict[Node, tuple[Node, int | None]] = {}
        with new_trace("vmap", name) as trace:
            inner = []
            for leaf, node, axis in zip(leaves, nodes, leaf_axes, strict=True):
                if axis is None:
                    inner.append(leaf)
                    continue
                shape = tuple(n for i, n in enumerate(node.shape) if i != axis)
                place = param(shape, node.dtype, trace)
                place.shape = shape  # the same Sizes, so that lengths stay known to be equal
                mapped[place] = (node, axis)
                inner.append(from_node(place, getattr(leaf, "weak", False)))
            inner_args, inner_kwargs = structure.unflatten(inner)
            result = fun(*inner_args, **inner_kwargs)
            out_leaves, out_structure = tree.flatten(result)
            outs = [to_array(leaf).node for leaf in out_leaves]
        targets = _spread(name, "out_axes", out_axes, result)
        results = []
        for (node, axis), target in zip(batch(outs, mapped, size), targets, strict=True):
            if target is None:
                if axis is not None:
                    raise AxisError(
                        f"numr.vmap of {name}: out_axes is None for a result that differs over the batch"
                    )
                results.append(from_node(node))
                continue
            node = batched_first(node, axis, size)
            if not -node.rank <= target < node.rank:
                raise AxisError(
                    f"numr.vmap of {name}: out_axes asks for axis {target} of a result of shape "
                    f"{tuple(map(int, node.shape))}"
                )
            results.append(from_node(move_axis(node, 0, target % node.rank)))
        return out_structure.unflatten(results)

    return batched


def _spread(name: str, what: str, prefix: Any, value: Any) -> list[int | None]:
    """A pytree prefix of axes, one axis per leaf of the value."""
    if prefix is None or isinstance(prefix, int):
        return [prefix] * len(tree.leaves(value))
    found = tree.broadcast_prefix(prefix, value, f"numr.vmap of {name}: {what}")
    for axis in found:
        if axis is not None and not isinstance(axis, int):
            raise AxisError(f"numr.vmap of {name}: {what} holds {axis!r}; axes are ints or None")
    return list(found)


def _argument(path: str) -> str:
    """A path in (positional arguments, keyword arguments) as a user would write it."""
    return "args" + path[3:] if path.startswith("[0]") else "kwargs" + path[3:]


def _argument_axes(name: str, in_axes: Any, args: tuple[Any, ...]) -> list[int | None]:
    if in_axes is None or isinstance(in_axes, int):
        return _spread(name, "in_axes", in_axes, args)
    if not isinstance(in_axes, (tuple, list)) or len(in_axes) != len(args):
        raise AxisError(
            f"numr.vmap of {name}: in_axes={in_axes!r} must be an int, None, or a tuple with one entry for each of the "
            f"{len(args)} positional arguments"
        )
    found: list[int | None] = []
    for prefix, arg in zip(in_axes, args, strict=True):
        found += _spread(name, "in_axes", prefix, arg)
    return found
