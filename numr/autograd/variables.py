"""Var: an array that gradients are taken with respect to; and `no_grad`."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from numr import messages
from numr.array import Array, from_node, to_array
from numr.autograd.history import History, Variable
from numr.ir.node import Node, scope, without_histories
from numr.primitives.source import ALIAS, fresh_serial, leaf


class Var(Array):
    """An array that gradients are taken with respect to.

    It is an `Array`: operators, every function of numr and NumPy's ufuncs take it, and what they return
    are Arrays that remember how they came from it. `backward` goes back that way.

    Args:
        array: the values (any array-like); they are computed now, and have no history.
        requires_grad: whether `backward` gives a gradient for it; otherwise it is a constant.

    Raises:
        GradientError: for integers or booleans with `requires_grad`, which have no derivative.

    Examples:
        >>> import numr as nr
        >>> from numr.autograd import Var, backward
        >>> w, x = Var([1.0, 2.0]), Var([3.0, 4.0], requires_grad=False)
        >>> w.shape, w.dtype, w.requires_grad
        ((2,), numr.float64, True)
        >>> gradients = backward(nr.sum(w * x))
        >>> gradients[w], x in gradients
        (numr.Array([3., 4.]), False)
    """

    __slots__ = ("_requires_grad", "_variable")

    _requires_grad: bool  # as a leaf
    _variable: Variable

    def __init__(self, array: Any, requires_grad: bool = True) -> None:
        x = to_array(array)
        if requires_grad and not x.dtype.is_inexact:
            raise messages.variable_not_inexact(x.dtype)
        self.weak = False
        self._requires_grad = bool(requires_grad)
        self._variable = Variable(self)
        self._hold(x)

    def _hold(self, x: Array) -> None:
        """Be a leaf of an array's values."""
        node = x.node
        if node.trace is not None and node.trace.blocker() is not None:
            # In a function that is being traced, whose derivatives go through the leaf.
            node = ALIAS(node, serial=fresh_serial())
        else:
            value, device = x._read("Var()"), node.device
            node = leaf(value, node.dtype)
            node.device = device
        if self._requires_grad:
            node.origin = self._variable
        self._node = node
        self._value = None

    @classmethod
    def _over(cls, node: Node, variable: Variable | None = None) -> Var:
        """A handle over a node as it is: a variable's, or a derived one, such as a gradient."""
        var: Var = object.__new__(cls)
        var._node, var.weak, var._requires_grad = node, False, variable is not None
        var._value = node.value if node.origin is None else None
        if node.value is None:
            node.handle = weakref.ref(var)
        var._variable = variable or Variable(var)
        return var

    @property
    def id(self) -> int:
        """The number of the variable: aliases have the same, every other Var another one."""
        return self._variable.id

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are taken with respect to it, or to what it was computed from."""
        return self._requires_grad or bool(History(self.node).variables)

    @property
    def is_leaf(self) -> bool:
        """Whether gradients are given for it; gradients that are Vars have a history instead."""
        return self._requires_grad and self.node.origin is self._variable

    def alias(self) -> Var:
        """The same variable under another handle: the same id, and one gradient for both."""
        same: Var = object.__new__(type(self))
        same._node, same._value, same.weak = self._node, self._value, self.weak
        same._requires_grad, same._variable = self._requires_grad, self._variable
        return same

    def detach(self) -> Array:
        """The values as an Array, which derivatives take for constants.

        Examples:
            >>> from numr.autograd import Var, backward
            >>> x = Var(3.0)
            >>> backward(x * x.detach())[x].item()
            3.0
        """
        return super().detach()

    def become(self, updated: Array) -> None:
        """Hold other values, under the same id: inside `no_grad` only, if gradients are taken."""
        if self._requires_grad and not scope.paused:
            raise messages.changed_variable(tuple(map(int, self.shape)), self.dtype)
        if scope.changing is not None:
            scope.changing(self)
        self._hold(updated)

    def __copy__(self) -> Array:
        return from_node(self.node)

    def __deepcopy__(self, memo: Any) -> Var:
        return Var(self.detach(), self._requires_grad)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Var, (np.array(self._host("pickling")), self._requires_grad))

    def __repr__(self) -> str:
        text = super().__repr__().removeprefix("numr.Array")
        return f"numr.autograd.Var{text[:-1]}, id={self.id})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self.size == 1 else repr(self)


def known_as(variable: Variable, node: Node) -> Var:
    """The user's handle of a variable, or another one where there is none any more."""
    handle = variable.handle()
    if handle is None:
        handle = Var._over(node, variable)
        variable.handle = weakref.ref(handle)
    return handle


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without a history: results made inside are constants to `backward`.

    A context, and a decorator of functions. It is about variables: in a function given to `numr.grad` and
    its like, use `numr.stop_gradient`.

    Examples:
        >>> from numr.autograd import Var, backward, no_grad
        >>> x = Var(3.0)
        >>> with no_grad():
        ...     factor = x * x
        >>> backward(factor * x)[x].item()
        9.0

        Variables may be changed in place inside; they keep their ids:

        >>> with no_grad():
        ...     x[...] = x - 0.5
        >>> x.item()
        2.5
    """
    with without_histories():
        yield
