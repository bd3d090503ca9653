"""Python operators and NumPy-like methods of Array, each the public function of its name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numr.array import Array


def _functions() -> Any:
    # Functions need Array, and Array needs this module: they meet when one is first called.
    import numr.functions.all as functions

    return functions


def _acceptable(x: Any) -> bool:
    """Whether an operator should try an operand; otherwise Python asks the operand itself."""
    return isinstance(x, _OPERANDS) or hasattr(x, "__array__") or hasattr(x, "__dlpack__")


def _binary(name: str) -> Callable[[Any, Any], Any]:
    function: Any = None

    def forward(self: Any, other: Any) -> Any:
        nonlocal function
        if function is None:
            function = getattr(_functions(), name)
        return function(self, other) if _acceptable(other) else NotImplemented

    return forward


def _reflected(name: str) -> Callable[[Any, Any], Any]:
    function: Any = None

    def backward(self: Any, other: Any) -> Any:
        nonlocal function
        if function is None:
            function = getattr(_functions(), name)
        return function(other, self) if _acceptable(other) else NotImplemented

    return backward


def _method(name: str) -> Callable[..., Any]:
    """A method that is the function of the same name, the array being its first argument."""

    function: Any = None

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal function
        if function is None:
            function = getattr(_functions(), name)
        # numpy.sum(x) calls x.sum(dtype=None, out=None): what NumPy fills in is not for us.
        for filled_in in ("out", "dtype"):
            if filled_in in kwargs and kwargs[filled_in] is None:
                del kwargs[filled_in]
        return function(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`numr.{name}` of this array, with the same further arguments."
    return method


def _methods(*names: str) -> tuple[Callable[..., Any], ...]:
    return tuple(map(_method, names))


class Operators:
    """What Array inherits: operators and methods.

    Examples:
        >>> import numr as nr
        >>> x = nr.asarray([[1.0, 2.0], [3.0, 4.0]])
        >>> (2 * x.T - 1).sum(axis=0)
        numr.Array([ 4., 12.])
    """

    __slots__ = ()

    __add__, __radd__ = _binary("add"), _reflected("add")
    __sub__, __rsub__ = _binary("subtract"), _reflected("subtract")
    __mul__, __rmul__ = _binary("multiply"), _reflected("multiply")
    __truediv__, __rtruediv__ = _binary("divide"), _reflected("divide")
    __floordiv__, __rfloordiv__ = _binary("floor_divide"), _reflected("floor_divide")
    __mod__, __rmod__ = _binary("remainder"), _reflected("remainder")
    __pow__, __rpow__ = _binary("pow"), _reflected("pow")
    __matmul__, __rmatmul__ = _binary("matmul"), _reflected("matmul")
    __and__, __rand__ = _binary("bitwise_and"), _reflected("bitwise_and")
    __or__, __ror__ = _binary("bitwise_or"), _reflected("bitwise_or")
    __xor__, __rxor__ = _binary("bitwise_xor"), _reflected("bitwise_xor")
    __lshift__, __rlshift__ = _binary("bitwise_left_shift"), _reflected("bitwise_left_shift")
    __rshift__, __rrshift__ = _binary("bitwise_right_shift"), _reflected("bitwise_right_shift")
    __lt__, __le__ = _binary("less"), _binary("less_equal")
    __gt__, __ge__ = _binary("greater"), _binary("greater_equal")
    __eq__, __ne__ = _binary("equal"), _binary("not_equal")  # type: ignore[assignment]
    __neg__, __pos__, __abs__, __invert__ = _methods(
        "negative", "positive", "abs", "bitwise_invert"
    )
    __round__ = _method("round")

    def __divmod__(self: Any, other: Any) -> tuple[Array, Array]:
        return self // other, self % other

    def __rdivmod__(self: Any, other: Any) -> tuple[Array, Array]:
        return other // self, other % self

    def __trunc__(self: Any) -> int:
        return math.trunc(self.item())

    def __floor__(self: Any) -> int:
        return math.floor(self.item())

    def __ceil__(self: Any) -> int:
        return math.ceil(self.item())

    sum, prod, mean, var, std = _methods("sum", "prod", "mean", "var", "std")
    max, min, any, all = _methods("max", "min", "any", "all")
    argmax, argmin, cumsum, cumprod = _methods("argmax", "argmin", "cumsum", "cumprod")
    sort, argsort, searchsorted, nonzero = _methods("sort", "argsort", "searchsorted", "nonzero")
    squeeze, ravel, swapaxes, take = _methods("squeeze", "ravel", "swapaxes", "take")
    repeat, diagonal, trace, dot = _methods("repeat", "diagonal", "trace", "dot")
    conj, conjugate, round, clip = _methods("conj", "conjugate", "round", "clip")
    astype = _method("astype")
    flatten = ravel

    def reshape(self, *shape: Any, copy: bool | None = None) -> Array:
        """`numr.reshape` of this array; the shape as one tuple or as several numbers."""
        wanted = shape[0] if len(shape) == 1 else shape
        return _functions().reshape(self, wanted)  # type: ignore[no-any-return]

    def transpose(self, *axes: Any) -> Array:
        """`numr.transpose` of this array; the axes as one tuple, as several numbers, or none."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return _functions().transpose(self, order or None)  # type: ignore[no-any-return]

    def copy(self: Any) -> Array:
        """The array under a new handle: arrays are values, so nothing need be copied."""
        return self.__copy__()  # type: ignore[no-any-return]

    @property
    def T(self: Any) -> Array:
        """The transpose of a matrix; for more axes use `mT` or `numr.permute_dims`."""
        if self.ndim != 2:
            from numr.errors import ShapeError

            raise ShapeError(
                f".T is for matrices, and the shape is {tuple(map(int, self.shape))}\n"
                "  use .mT to exchange the last two axes, or numr.permute_dims"
            )
        return _functions().matrix_transpose(self)  # type: ignore[no-any-return]

    @property
    def mT(self) -> Array:
        """The last two axes exchanged."""
        return _functions().matrix_transpose(self)  # type: ignore[no-any-return]

    @property
    def real(self) -> Array:
        """The real part."""
        return _functions().real(self)  # type: ignore[no-any-return]

    @property
    def imag(self) -> Array:
        """The imaginary part."""
        return _functions().imag(self)  # type: ignore[no-any-return]


_OPERANDS = (Operators, bool, int, float, complex, np.ndarray, np.generic, list, tuple)
