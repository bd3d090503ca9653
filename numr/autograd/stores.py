"""GradStore and VarGradStore: what `backward` returns, mappings from variables to gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, TypeVar

from numr import messages
from numr.array import Array, from_node, to_array, without_history
from numr.autograd.variables import Var

_Gradient = TypeVar("_Gradient", bound=Array)


class _Store(MutableMapping[Any, Any]):
    """What the two kinds of stores have in common; they differ in what they make of a gradient."""

    def __init__(self) -> None:
        self._gradients: dict[int, Any] = {}
        self._variables: dict[int, Any] = {}

    @staticmethod
    def _made(gradient: Any) -> Any:
        raise NotImplementedError

    @staticmethod
    def _id(x: Any) -> int:
        if isinstance(x, Var):
            return x.id
        if isinstance(x, int) and not isinstance(x, bool):
            return x
        raise messages.no_variable(type(x).__name__)

    @staticmethod
    def _name(x: Any) -> str:
        if isinstance(x, Var):
            return f"variable {x.id} of shape {messages.shape_text(tuple(map(int, x.shape)))}, {x.dtype}"
        return f"variable {x}"

    def __getitem__(self, x: Any) -> Any:
        found = self._gradients.get(self._id(x))
        if found is None:
            raise messages.missing_gradient(self._name(x))
        return found

    def __setitem__(self, x: Any, gradient: Any) -> None:
        key = self._id(x)
        gradient = self._made(gradient)
        var = self._variables.get(key, x)
        if isinstance(var, Var) and gradient.shape != var.shape:
            shapes = [tuple(map(int, y.shape)) for y in (var, gradient)]
            raise messages.wrong_gradient(self._name(var), *shapes)
        self._gradients[key] = gradient
        if isinstance(x, Var) or key not in self._variables:
            self._variables[key] = x

    def __delitem__(self, x: Any) -> None:
        self[x]
        del self._gradients[self._id(x)], self._variables[self._id(x)]

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._variables.values()))

    def __len__(self) -> int:
        return len(self._gradients)

    def __contains__(self, x: object) -> bool:
        return self._id(x) in self._gradients

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        inside = ", ".join(f"{self._name(x)}: {g!r}" for x, g in self.items())
        return f"{type(self).__name__}({{{inside}}})"

    def get(self, x: Any, default: Any = None) -> Any:
        """The gradient of a variable as an array without history.

        Args:
            x: a variable or its id.
            default: what to return where there is no gradient, which stands for zero.

        Returns:
            Array of the variable's shape and dtype, or `default`.

        Raises:
            GradientError: if x is neither.

        Examples:
            >>> from numr.autograd import Var, backward
            >>> x, y = Var(3.0), Var(4.0)
            >>> store = backward(x**2)
            >>> store.get(x).item(), store.get(y), store.get(y, 0.0)
            (6.0, None, 0.0)
        """
        found = self._gradients.get(self._id(x))
        return default if found is None else GradStore._made(found)

    def get_var(self, x: Any, default: Any = None) -> Any:
        """The gradient of a variable as a Var with its history, to be differentiated again.

        Gradients in a `GradStore` have no history, so there it is a constant.

        Args:
            x: a variable or its id.
            default: what to return where there is no gradient, which stands for zero.

        Returns:
            Var of the variable's shape and dtype, or `default`.

        Raises:
            GradientError: if x is neither.

        Examples:
            >>> from numr.autograd import Var, backward, backward_with_graph
            >>> x = Var(3.0)
            >>> gradient = backward_with_graph(x**3).get_var(x)
            >>> gradient.item(), backward(gradient)[x].item()
            (27.0, 18.0)
        """
        found = self._gradients.get(self._id(x))
        return default if found is None else VarGradStore._made(found)

    def insert(self, x: Any, gradient: Any) -> None:
        """Set the gradient of a variable, as `store[x] = gradient` does.

        Args:
            x: a variable or its id; an id that is not known yet is what iteration gives then.
            gradient: an array of the variable's shape.

        Raises:
            GradientError: if x is neither.
            ShapeError: if the gradient does not have the variable's shape.

        Examples:
            >>> from numr.autograd import GradStore, Var
            >>> x, store = Var([1.0, 2.0]), GradStore()
            >>> store.insert(x, [0.5, 0.5])
            >>> store[x]
            numr.Array([0.5, 0.5])
        """
        self[x] = gradient

    def accumulate(self, x: Any, gradient: Any) -> None:
        """Add to the gradient of a variable, or set it where there is none.

        Args:
            x: a variable or its id.
            gradient: an array of the variable's shape.

        Raises:
            GradientError: if x is neither.
            ShapeError: if it does not have the variable's shape.

        Examples:
            >>> from numr.autograd import Var, backward
            >>> x = Var(3.0)
            >>> total = backward(x**2)
            >>> for var, gradient in backward(5.0 * x).items():
            ...     total.accumulate(var, gradient)
            >>> total[x].item()
            11.0
        """
        self.try_accumulate(x, gradient, lambda old, new: old + new)

    def try_accumulate(self, x: Any, gradient: Any, add: Callable[[Any, Any], Any]) -> None:
        """Combine with the gradient of a variable, or set it where there is none.

        Args:
            x: a variable or its id.
            gradient: an array of the variable's shape.
            add: a function (old, new) that returns what is kept. If it raises, the old gradient stays.

        Raises:
            GradientError: if x is neither.
            ShapeError: if the gradient, or what `add` returned, does not have the variable's shape.

        Examples:
            >>> import numr as nr
            >>> from numr.autograd import Var, backward
            >>> x = Var([1.0, -2.0])
            >>> store = backward(nr.sum(x**2))
            >>> store.try_accumulate(x, [1.0, 1.0], nr.maximum)
            >>> store[x]
            numr.Array([2., 1.])
        """
        old = self._gradients.get(self._id(x))
        self[x] = gradient if old is None else add(old, self._made(gradient))


class GradStore(_Store):
    """Gradients by variable, as `backward` returns them: plain arrays.

    A mapping whose keys are variables or their ids. A variable that the loss does not depend on is
    absent: `store[x]` raises, `store.get(x)` is None, which stands for zero. The gradients of one
    `backward` are computed together, when one of them is first needed.

    Examples:
        >>> import numr as nr
        >>> from numr.autograd import Var, backward
        >>> x, y, z = Var([1.0, 2.0]), Var(3.0), Var(4.0)
        >>> store = backward(nr.sum(x) * y)
        >>> store[x], store[y.id].item(), store.get(z)
        (numr.Array([3., 3.]), 3.0, None)
        >>> len(store), z in store, [var is y for var in store]
        (2, False, [True, False])
        >>> store.pop(y).item(), len(store)
        (3.0, 1)
    """

    @staticmethod
    def _made(gradient: Any) -> Any:
        array = to_array(gradient)
        if type(array) is not Array or array._value is None:
            node = without_history(array.node)
            array = array if node is array._node and type(array) is Array else from_node(node)
        return array

    def to_grad_store(self) -> GradStore:
        """The same gradients in a store of its own."""
        return _detached(self)


class VarGradStore(_Store):
    """Gradients by variable with their histories, as `backward_with_graph` returns them: Vars.

    As `GradStore`, but `store[x]` and `get_var` give a Var that can be differentiated again; `get` gives
    the array.

    Examples:
        >>> from numr.autograd import Var, backward, backward_with_graph
        >>> x = Var(2.0)
        >>> store = backward_with_graph(x**3)
        >>> store.get(x).item(), backward(store[x])[x].item()
        (12.0, 12.0)
        >>> store.to_grad_store()[x].item()
        12.0
    """

    @staticmethod
    def _made(gradient: Any) -> Any:
        if isinstance(gradient, Var):
            return gradient
        node = to_array(gradient).node
        return Var._over(node)

    def to_grad_store(self) -> GradStore:
        """The gradients without their histories."""
        return _detached(self)


def _detached(store: _Store) -> GradStore:
    found = GradStore()
    for key, var in store._variables.items():
        found._gradients[key] = GradStore._made(store._gradients[key])
        found._variables[key] = var
    return found
