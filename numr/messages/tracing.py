"""Messages about values that are not known while a function is traced."""

from __future__ import annotations

from typing import Any

from numr.errors import (
    LeakedValueError,
    Location,
    StaticArgumentError,
    TracedValueError,
    nearest_user_location,
)
from numr.messages.text import Shape, compose, made_at, shape_text

# What to use instead, by the Python operation that was tried on a traced value.
_INSTEAD = {
    "bool": (
        "`if`, `while`, `and`, `or` and `not` need a value that is known during tracing",
        (
            "numr.where(condition, a, b) to choose by element; & | ~ for and, or, not",
            "numr.cond(condition, f, g, x) and numr.while_loop to decide while the function runs",
            "@numr.jit(control_flow=True), or @numr.control_flow on a function that is called, which makes "
            "these of Python's own `if`, `while`, `for`, `and`, `or` and `not`",
            "numr.maximum, numr.minimum and numr.clip for max() and min()",
            "the decision outside the traced function, on what it returned",
            "static_argnums, if this is an argument that is a plain Python value",
        ),
    ),
    "int": (
        "a Python int is needed here, as for range(), a shape or an index into a list",
        (
            "numr.fori_loop, numr.vmap or operations on whole arrays, for a loop of that length",
            "@numr.jit(control_flow=True), which makes a loop in the graph of `for i in range(n)`",
            "x[i] on a numr array in place of an index into a Python list; x.shape[k] for sizes",
            "static_argnums, if this is an argument that is a plain Python value",
        ),
    ),
    "float": (
        "a Python number is needed here",
        (
            "numr functions in place of those of Python's math module",
            ".astype(...) in place of float() and complex() to convert",
            "reading the value from what the traced function returns",
        ),
    ),
    "asarray": (
        "NumPy needs the numbers themselves",
        (
            "the numr function of the same name in place of NumPy's",
            "reading the value from what the traced function returns",
        ),
    ),
    "iter": (
        "the loop runs over an array that has no axis of known length",
        ("numr.vmap, or operations on whole arrays, in place of a Python loop",),
    ),
}


# Other operations, by the one whose advice fits them; for anything else that of float() does.
_SAME = {
    "range": "int",
    "index": "int",
    "range() or an index": "int",
    "numpy": "asarray",
    "tolist": "asarray",
    "__dlpack__": "asarray",
}


def traced_value(
    operation: str,
    shape: Shape,
    dtype: Any,
    created: Location | None = None,
    transform: str = "jit",
    location: Location | None = None,
) -> TracedValueError:
    """A Python decision on a value that is not known while a function is traced.

    Args:
        operation: what was tried, as "bool", "float()", "range() or an index", "asarray", "iter".
        shape: the value's shape.
        dtype: its dtype.
        created: where the user made the value.
        transform: what traces the function.
        location: where the decision is.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> print(messages.traced_value("bool", (), "bool", transform="grad").args[0])
        bool() of a traced value, of shape () and dtype bool, inside numr.grad
          `if`, `while`, `and`, `or` and `not` need a value that is known during tracing
          use one of
            numr.where(condition, a, b) to choose by element; & | ~ for and, or, not
            ...
    """
    name = operation.removesuffix("()").removeprefix("numpy.")
    why, instead = _INSTEAD.get(_SAME.get(name, name), _INSTEAD["float"])
    spelled = {"asarray": "numpy.asarray()", "index": "an index"}
    call = spelled.get(name) or (name if not name.isidentifier() else f"{name}()")
    head = (
        f"{call} of a traced value, of shape {shape_text(shape)} and dtype {dtype}, "
        f"inside numr.{transform}"
    )
    lines = [why, *made_at(created, location or nearest_user_location())]
    lines += ["use one of", *("  " + text for text in instead)]
    return TracedValueError(compose(head, *lines), location=location)


def carry_changed(
    loop: str, function: str, path: str, before: tuple[Shape, Any], after: tuple[Shape, Any]
) -> TypeError:
    """What a loop carries that is of another type after a step.

    Examples:
        >>> from numr import messages
        >>> print(messages.carry_changed("scan", "step", "[0]", ((3,), "float64"), ((3,), "float32")))
        numr.scan of step: what it carries changes at [0]: shape (3,) float64 before a step, shape (3,) ...
          it must keep its shape and dtype: convert or reshape it at the start or at the end of the step
    """
    a, b = (f"shape {shape_text(shape)} {dtype}" for shape, dtype in (before, after))
    where = f" at {path}" if path else ""
    head = (
        f"numr.{loop} of {function}: what it carries changes{where}: {a} before a step, {b} after"
    )
    fix = "it must keep its shape and dtype: convert or reshape it at the start or at the end of the step"
    return TypeError(compose(head, fix))


def leaked_value(
    shape: Shape,
    dtype: Any,
    transform: str,
    function: str,
    created: Location | None = None,
    location: Location | None = None,
) -> LeakedValueError:
    """A traced value used after its function has returned.

    Examples:
        >>> from numr import messages
        >>> print(messages.leaked_value((3,), "float64", "jit", "step").args[0])
        a traced value, of shape (3,) and dtype float64, is used after numr.jit of step has ...
          it stands for no array any more: return it from step instead of storing it in a ...
    """
    head = (
        f"a traced value, of shape {shape_text(shape)} and dtype {dtype}, is used after "
        f"numr.{transform} of {function} has returned"
    )
    fix = (
        f"it stands for no array any more: return it from {function} instead of storing it in a "
        f"global, an attribute or a list (has_aux=True returns more than what is differentiated)"
    )
    made = made_at(created, location or nearest_user_location())
    return LeakedValueError(compose(head, *made, fix), location=location)


def unhashable_static(function: str, argument: str, value: Any) -> StaticArgumentError:
    """A static argument that cannot be a key.

    Examples:
        >>> from numr import messages
        >>> print(messages.unhashable_static("f", "sizes", [1, 2]).args[0])
        the static argument sizes of f is a list, which cannot be hashed: [1, 2]
          pass a hashable value (a tuple for a list, a frozen dataclass for a dict), or do not ...
    """
    text = repr(value)
    if len(text) > 80:
        text = text[:77] + "..."
    return StaticArgumentError(
        f"the static argument {argument} of {function} is a {type(value).__name__}, which cannot "
        f"be hashed: {text}\n"
        f"  pass a hashable value (a tuple for a list, a frozen dataclass for a dict), or do not "
        f"make it static"
    )
