"""Declarations of elementwise functions: a signature and a docstring become the function itself.

    @unary(M.exp, INEXACT)
    def exp(x: Any, /) -> Array:
        \"\"\"e**x. ... >>> nr.exp(0.0)\"\"\"

The decorator supplies conversion, promotion and broadcasting, and writes what all functions of a
kind have in common (Args, Returns, Raises) into the docstring, before its first example.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numr.array import Array, from_node
from numr.dtypes import int64
from numr.functions.operands import (
    SCALARS,
    aligned,
    default_float,
    kind_names,
    node_of,
    operand,
    promoted,
)
from numr.ir.node import Node
from numr.primitives.elementwise import cast, in_range
from numr.primitives.shape import zeros_like
from numr.primitives.source import const

Function = Callable[..., Array]

# Dtype kinds that functions take.
ALL, NUMBERS, REALS, INEXACT, FLOATS = "biufc", "iufc", "iuf", "fc", "f"
BITS, INTEGERS, ORDERED = "biu", "iu", "biuf"

# What comes out: the promoted dtype, a floating one (integers are converted), or booleans.
SAME, FLOATING, BOOLEAN = "same", "floating", "boolean"

_REALS = (float, int)

_RETURNS = {
    SAME: "of the promoted dtype",
    FLOATING: "of a floating dtype (booleans and integers are converted to float64)",
    BOOLEAN: "of booleans",
}
_DOC = """{text}

Args:
{args}

Returns:
    Array {shape}, {returns}.

Raises:
{raises}

Examples:
    >>> import numr as nr
{examples}
"""


def _fitting(x1: Any, x2: Any, kinds: str) -> tuple[Node, Node] | None:
    """The nodes of two operands that fit together as they are, which most do; None for others."""
    if type(x1) is Array and not x1.weak:
        a = x1.node
        dtype = a.dtype
        if dtype.kind not in kinds:
            return None
        if type(x2) is Array:
            b = x2.node
            if b.dtype is not dtype or x2.weak:
                return None
            return (a, b) if b.shape == a.shape or not b.shape or not a.shape else None
        if dtype.kind == "f" and type(x2) in _REALS:
            return a, const(x2, dtype)
    elif type(x2) is Array and not x2.weak and type(x1) in _REALS:
        b = x2.node
        if b.dtype.kind == "f" and "f" in kinds:
            return const(x1, b.dtype), b
    return None


def _comparable(prim: Any, x1: Any, x2: Any) -> tuple[Any, Any]:
    """The operands of a comparison; of a whole number outside the array's range only the sign matters."""
    if getattr(prim, "name", "") not in ("eq", "ne", "lt", "le", "gt", "ge"):
        return x1, x2
    for array, number in ((x1, x2), (x2, x1)):
        if type(number) is not int or isinstance(array, SCALARS):
            continue
        _, dtype, weak = operand(array)
        if dtype.kind in "iu" and not weak and not in_range(number, dtype):
            zero = from_node(cast(zeros_like(node_of(array)), int64))
            side = -1 if number < 0 else 1
            return (zero, side) if number is x2 else (side, zero)
    return x1, x2


def unary(prim: Any, kinds: str, result: str = FLOATING) -> Callable[[Function], Function]:
    """Declare a function of one operand that applies a primitive (or a function of one node)."""

    def declare(template: Function) -> Function:
        name = template.__name__

        def function(x: Any, /) -> Array:
            least = default_float() if result == FLOATING else None
            (node,), weak = promoted(name, (x,), kinds, least)
            return from_node(prim(node), weak)

        return _finished(function, template, kinds, result, ["x"])

    return declare


def binary(prim: Any, kinds: str, result: str = SAME) -> Callable[[Function], Function]:
    """Declare a function of two operands, which are promoted and broadcast together."""

    def declare(template: Function) -> Function:
        name = template.__name__

        def function(x1: Any, x2: Any, /) -> Array:
            fitting = _fitting(x1, x2, kinds)
            if fitting is not None:
                return from_node(prim(*fitting))
            if type(x1) is int or type(x2) is int:
                x1, x2 = _comparable(prim, x1, x2)
            least = default_float() if result == FLOATING else None
            nodes, weak = promoted(name, (x1, x2), kinds, least)
            return from_node(prim(*aligned(name, nodes)), weak and result != BOOLEAN)

        return _finished(function, template, kinds, result, ["x1", "x2"])

    return declare


def _finished(
    function: Function, template: Function, kinds: str, result: str, names: list[str]
) -> Function:
    for attribute in ("__name__", "__qualname__", "__module__", "__annotations__"):
        setattr(function, attribute, getattr(template, attribute))
    function.__wrapped__ = template  # type: ignore[attr-defined]
    lines = (template.__doc__ or "").splitlines()
    text, mark, examples = "\n".join(x.removeprefix("    ") for x in lines).partition(">>>")
    taken = kind_names(kinds + ("biu" if result == FLOATING else ""))
    args = [f"    x: array of any shape, {taken}; or a Python number."]
    raises = [f"    DTypeError: for a dtype that is not {taken}."]
    if len(names) == 2:
        args = [
            f"    x1: array, {taken}; or a Python number.",
            "    x2: array of a shape that broadcasts with x1's, likewise.",
        ]
        raises.append("    ShapeError: if the shapes do not broadcast together.")
    function.__doc__ = _DOC.format(
        text=text.strip(),
        args="\n".join(args),
        shape="of x's shape" if len(names) == 1 else "of the broadcast shape",
        returns=_RETURNS[result],
        raises="\n".join(raises),
        examples="\n".join("    " + line for line in (mark + examples).splitlines()),
    )
    return function
