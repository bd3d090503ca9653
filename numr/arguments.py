"""What jit makes of an argument: its type and its value, and what is left where it was given away."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr import dtypes, tree
from numr.array import Array, to_array
from numr.dtypes import DType, as_dtype
from numr.errors import LeakedValueError
from numr.ir.dims import Size
from numr.ir.node import scope
from numr.tree_kinds import kind_of

_SCALARS = (bool, int, float, complex)
_ndarray = np.ndarray


def leaf_spec(name: str, leaf: Any) -> tuple[tuple[DType, tuple[int, ...], bool], Any] | None:
    """((dtype, shape, weak), value) of an argument, or None if it is part of a graph: of
    an outer trace's, or one that is differentiated later."""
    kind = type(leaf)
    if isinstance(leaf, Array):
        value = leaf._value
        if value is None:
            node = leaf.node
            if node.trace is not None and node.trace.blocker() is not None:
                return None
            value = leaf._read("jit")
            if node.origin is not None and not scope.paused:
                return None  # a derivative with respect to a variable goes through the function
        return (leaf.dtype, value.shape, leaf.weak), value
    if kind is _ndarray:
        dtype = as_dtype(leaf.dtype)
        flags = leaf.flags
        if not (flags.c_contiguous and flags.aligned and leaf.dtype.isnative):
            leaf = np.array(leaf, dtype.dtype, order="C")
        return (dtype, leaf.shape, False), leaf
    if isinstance(leaf, _SCALARS) and not isinstance(leaf, np.generic):
        if isinstance(leaf, Size):
            leaf = int(leaf)
        dtype = dtypes.DEFAULT_BY_PYTHON[next(k for k in _SCALARS if isinstance(leaf, k))]
        return (dtype, (), True), np.asarray(leaf, dtype.dtype)
    try:
        array = to_array(leaf, copy=False)
    except TypeError as error:
        raise TypeError(
            f"jit({name}) got an argument of type {type(leaf).__name__}, which is not an array, a number or a "
            f"registered container ({error}); mark it static, or register it with numr.tree.register"
        ) from None
    return leaf_spec(name, array)


def is_plain_object(x: Any) -> bool:
    """Whether x is neither an array nor a number nor a container."""
    return kind_of(type(x)) is None and not isinstance(x, (Array, np.ndarray, *_SCALARS))


class _Donated:
    """What stands in a handle whose buffer was given away."""

    def __getattr__(self, name: str) -> Any:
        raise LeakedValueError(
            "this array was donated to a jitted function (donate_argnums) and can no longer be read"
        )


def donate(argument: Any) -> None:
    for leaf in tree.leaves(argument):
        if type(leaf) is Array:
            leaf._node, leaf._value = None, _Donated()
