"""Which values are traced, and what a test says of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from numr import messages
from numr.array import Array, from_node


def is_traced(x: Any) -> bool:
    """Whether x is an array whose value is not known while the function is traced."""
    if not isinstance(x, Array) or x._value is not None:
        return False
    node = x.node
    return node.value is None and node.trace is not None and node.trace.blocker() is not None


def is_number(x: Any) -> bool:
    """Whether a leaf is an array or a number, and so may be part of a graph."""
    if isinstance(x, (np.ndarray, np.generic)):
        return x.dtype.kind in "biufc"
    return isinstance(x, (Array, bool, int, float, complex))


def is_python_number(x: Any) -> bool:
    return isinstance(x, (bool, int, float, complex)) and not isinstance(x, np.generic)


def truth(test: Array, what: str) -> Array:
    """The boolean that Python would find in a traced value of one element."""
    from numr.functions.all import reshape

    if test.size != 1:
        raise messages.not_one_truth(what, test.shape, test.dtype)
    one = reshape(test, ()) if test.shape else test
    if one.dtype.kind == "b":
        return one
    found: Any = one != 0
    return found  # type: ignore[no-any-return]


def same_constant(a: Any, b: Any) -> bool:
    """Whether two values that are no arrays are one value to Python: 0.0 and -0.0 are not, nor 1 and True."""
    if a is b:
        return True
    if type(a) is not type(b) or isinstance(a, (Array, np.ndarray)):
        return False
    if is_python_number(a):
        return repr(a) == repr(b)
    try:
        return bool(a == b)
    except Exception:  # whatever a comparison of the user's raises, they are not known to be equal
        return False


def fresh(value: Any) -> Any:
    """A value whose containers and arrays may be changed without changing those of the given one."""
    from numr import tree

    leaves, structure = tree.flatten(value)
    if not any(isinstance(x, (Array, np.ndarray)) for x in leaves) and structure == _LEAF:
        return value
    return structure.unflatten([_fresh_leaf(x) for x in leaves])


def _fresh_leaf(x: Any) -> Any:
    if isinstance(x, Array):
        return x.__copy__()
    return x.copy() if type(x) is np.ndarray else x


def weak(x: Array) -> Array:
    """The array as a number of Python's, whose dtype yields to that of what it meets."""
    return from_node(x.node, True)


def _leaf() -> Any:
    from numr import tree

    return tree.structure(0.0)


_LEAF = _leaf()
