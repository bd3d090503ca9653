"""Specs: what an exported function's arguments will be, with sizes that are numbers or names."""

from __future__ import annotations

import keyword
from typing import Any

from numr import messages
from numr.dtypes import DType, as_dtype
from numr.ir.formulas import Formula, parse


class Spec:
    """An array that an exported function takes; made by `numr.spec`."""

    __slots__ = ("doc", "dtype", "name", "shape", "unit")

    def __init__(
        self, shape: tuple[Formula, ...], dtype: DType, name: str, unit: str, doc: str
    ) -> None:
        self.shape = shape
        self.dtype = dtype
        self.name = name
        self.unit = unit
        self.doc = doc

    def __repr__(self) -> str:
        shape = "".join(f"{str(n) if n.number is not None else repr(str(n))}, " for n in self.shape)
        return f"spec({shape}dtype={self.dtype.short!r})"


def spec(
    *shape: int | str, dtype: Any = "f64", name: str = "", unit: str = "", doc: str = ""
) -> Spec:
    """An array argument of a function to export: its lengths, which may have names, and its dtype.

    Args:
        *shape: each a whole number, or a text such as `"n"`, `"2*n"` or `"n - 1"`: names stand for sizes that
            are known when the function is called, each from 1 up. Nothing for a scalar.
        dtype: a numr or NumPy dtype, its name, or a short name such as "f32".
        name: what the argument is called; by default as the function has it.
        unit: its unit, for headers and manifests, such as "m/s".
        doc: a line about it, for headers and manifests.

    Returns:
        The spec.

    Raises:
        ExportError: if a length is none.

    Examples:
        >>> import numr as nr
        >>> nr.spec("n", 3)
        spec('n', 3, dtype='f64')
        >>> nr.spec("2*n - 1", dtype="f32", unit="m")
        spec('2*n - 1', dtype='f32')
    """
    lengths = tuple(_length(n) for n in shape)
    if name and not is_name(name):
        raise messages.bad_spec(f"{name!r} is no name for an argument: use letters, digits and _")
    return Spec(lengths, _dtype(dtype), name, unit, doc)


def is_name(text: str) -> bool:
    """Whether a text can be a name in C, JavaScript and Python."""
    return text.isidentifier() and text.isascii() and not keyword.iskeyword(text)


_SHORT = {"f": "float", "i": "int", "u": "uint", "c": "complex"}


def _dtype(dtype: Any) -> DType:
    if isinstance(dtype, str) and dtype[:1] in _SHORT and dtype[1:].isdigit():
        dtype = _SHORT[dtype[0]] + dtype[1:]
    try:
        return as_dtype(dtype)
    except TypeError as error:
        raise messages.bad_spec(str(error)) from None


def _length(n: Any) -> Formula:
    if isinstance(n, str):
        try:
            found = parse(n)
        except ValueError as error:
            hint: tuple[str, ...] = ()
            if n.lstrip("fiuc").isdigit() or n in ("bool", "float32", "float64"):
                hint = (f"a dtype is given by name: spec(..., dtype={n!r})",)
            raise messages.bad_spec(str(error), *hint) from None
        if any(not is_name(s) for s in found.symbols()):
            raise messages.bad_spec(f"{n!r} holds what can be no name in C, JavaScript and Python")
        if n[1:].isdigit() and n[:1] in _SHORT and n in ("f16", "f32", "f64", "i32", "i64"):
            raise messages.bad_spec(
                f"a length is called {n!r}", f"a dtype is given by name: spec(..., dtype={n!r})"
            )
        return found
    if isinstance(n, bool) or not hasattr(n, "__index__") or n.__index__() < 0:
        raise messages.bad_spec(
            f"a length is a whole number from 0 up or a text, and {n!r} is neither"
        )
    return Formula.of(n.__index__())
