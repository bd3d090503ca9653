"""Python operators and NumPy-like methods of Array, each one line over the public functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numr.array import Array

_OPERANDS = (bool, int, float, complex)


def _functions() -> Any:
    import numr.functions.all as functions

    return functions


def _acceptable(x: Any) -> bool:
    """Whether an operator should try: otherwise Python asks the other operand."""
    from numr.array import Array

    return (
        isinstance(x, (Array, *_OPERANDS))
        or hasattr(x, "__array_interface__")
        or hasattr(x, "dtype")
        or isinstance(x, list)
    )


def _binary(name: str) -> Callable[..., Any]:
    def forward(self: Any, other: Any) -> Any:
        return getattr(_functions(), name)(self, other) if _acceptable(other) else NotImplemented

    return forward


def _reflected(name: str) -> Callable[..., Any]:
    def backward(self: Any, other: Any) -> Any:
        return getattr(_functions(), name)(other, self) if _acceptable(other) else NotImplemented

    return backward


def _unary(name: str) -> Callable[..., Any]:
    def apply(self: Any) -> Any:
        return getattr(_functions(), name)(self)

    return apply


def _method(name: str) -> Callable[..., Any]:
    """A method that is the function of the same name with the array first."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        # NumPy's methods take the axis by position; the standard's functions by keyword.
        if args and name in _AXIS_FIRST:
            kwargs["axis"], args = args[0], args[1:]
        return getattr(_functions(), name)(self, *args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"numr.{name} of this array."
    return method


_AXIS_FIRST = frozenset(
    ("sum", "prod", "max", "min", "mean", "var", "std", "any", "all", "argmax", "argmin", "cumsum", "cumprod", "sort",
     "argsort", "squeeze")
)  # fmt: skip


class Operators:
    """What Array inherits."""

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
    __neg__, __pos__ = _unary("negative"), _unary("positive")
    __abs__, __invert__ = _unary("abs"), _unary("bitwise_invert")

    sum, prod, mean, var, std = (_method(n) for n in ("sum", "prod", "mean", "var", "std"))
    max, min, any, all = (_method(n) for n in ("max", "min", "any", "all"))
    argmax, argmin, cumsum, cumprod = (
        _method(n) for n in ("argmax", "argmin", "cumsum", "cumprod")
    )
    sort, argsort, squeeze, ravel = (_method(n) for n in ("sort", "argsort", "squeeze", "ravel"))
    conj, round, clip, dot = (_method(n) for n in ("conj", "round", "clip", "dot"))
    take, repeat, diagonal, trace = (_method(n) for n in ("take", "repeat", "diagonal", "trace"))
    swapaxes, nonzero, searchsorted = (_method(n) for n in ("swapaxes", "nonzero", "searchsorted"))
    flatten = ravel

    def astype(self: Any, dtype: Any, /, *, copy: bool = True) -> Array:
        """numr.astype of this array."""
        return _functions().astype(self, dtype)  # type: ignore[no-any-return]

    def reshape(self: Any, *shape: Any) -> Array:
        """numr.reshape of this array; the shape as one tuple or as several numbers."""
        return _functions().reshape(self, shape[0] if len(shape) == 1 else shape)  # type: ignore[no-any-return]

    def transpose(self: Any, *axes: Any) -> Array:
        """numr.transpose of this array; the axes as one tuple, as several numbers, or none."""
        order = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return _functions().transpose(self, order or None)  # type: ignore[no-any-return]

    def copy(self: Any) -> Array:
        """The array itself under a new handle: arrays are values, so nothing need be copied."""
        return self.__copy__()  # type: ignore[no-any-return]

    @property
    def T(self: Any) -> Array:
        """The transpose of a matrix."""
        if self.ndim != 2:
            from numr.errors import ShapeError

            raise ShapeError(f".T is for two axes, not {self.ndim}; use .mT or numr.permute_dims")
        return _functions().matrix_transpose(self)  # type: ignore[no-any-return]

    @property
    def mT(self: Any) -> Array:
        """The last two axes exchanged."""
        return _functions().matrix_transpose(self)  # type: ignore[no-any-return]

    @property
    def real(self: Any) -> Array:
        """The real part."""
        return _functions().real(self)  # type: ignore[no-any-return]

    @property
    def imag(self: Any) -> Array:
        """The imaginary part."""
        return _functions().imag(self)  # type: ignore[no-any-return]
