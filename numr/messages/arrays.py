"""Messages about shapes, dtypes, axes and indices that do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.errors import AxisError, DTypeError, IndexOutOfRangeError, Location, ShapeError
from numr.messages.text import Shape, compose, listed, shape_text


def shape_mismatch(
    op: str,
    names: Sequence[str],
    shapes: Sequence[Shape],
    location: Location | None = None,
    hint: str | None = None,
) -> ShapeError:
    """Operands whose shapes do not fit together.

    Args:
        op: the operation as the user wrote it.
        names: what to call each operand.
        shapes: their shapes.
        location: where the user wrote it.
        hint: what to do; by default, what broadcasting says about the shapes.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> print(messages.shape_mismatch("add", ["x", "y"], [(3, 4), (3,)]).args[0])
        add: x has shape (3, 4) and y has shape (3,): these do not fit together
          axis -1 is 4 in x and 3 in y; to line them up, y[:, None] has shape (3, 1)
    """
    given = listed([f"{n} has shape {shape_text(s)}" for n, s in zip(names, shapes, strict=True)])
    hint = hint or _broadcast_hint(names, shapes)
    head = f"{op}: {given}: these do not fit together"
    return ShapeError(compose(head, *([hint] if hint else [])), location=location)


def _broadcast_hint(names: Sequence[str], shapes: Sequence[Shape]) -> str | None:
    for axis in range(1, max(map(len, shapes), default=0) + 1):
        sized = [(n, s[-axis], s) for n, s in zip(names, shapes, strict=True) if len(s) >= axis]
        wide = [entry for entry in sized if entry[1] != 1]
        for name, size, shape in wide[1:]:
            first_name, first_size, first_shape = wide[0]
            if size == first_size:
                continue
            said = f"axis -{axis} is {first_size} in {first_name} and {size} in {name}"
            for low_name, low, high in (
                (name, shape, first_shape),
                (first_name, first_shape, shape),
            ):
                n = len(low)
                if 0 < n < len(high) and tuple(low) == tuple(high[:n]):
                    index = ", ".join([":"] * n + ["None"] * (len(high) - n))
                    new = tuple(low) + (1,) * (len(high) - n)
                    lined = f"{low_name}[{index}] has shape {shape_text(new)}"
                    return f"{said}; to line them up, {lined}"
            return said
    return None


def dtype_mismatch(
    op: str,
    names: Sequence[str],
    dtypes: Sequence[Any],
    location: Location | None = None,
    hint: str | None = None,
) -> DTypeError:
    """Operands of dtypes an operation does not take.

    Examples:
        >>> from numr import messages
        >>> error = messages.dtype_mismatch("bitwise_and", ["x"], ["float64"], hint="use x.astype")
        >>> print(error.args[0])
        bitwise_and is not defined for these dtypes: x is float64
          use x.astype
    """
    given = listed([f"{n} is {d}" for n, d in zip(names, dtypes, strict=True)])
    head = f"{op} is not defined for these dtypes: {given}"
    return DTypeError(compose(head, *([hint] if hint else [])), location=location)


def axis_out_of_range(
    op: str, axis: int, ndim: int, location: Location | None = None, name: str = "axis"
) -> AxisError:
    """An axis an array does not have.

    Examples:
        >>> from numr import messages
        >>> print(messages.axis_out_of_range("sum", 2, 2).args[0])
        sum: axis is 2, but the array has 2 dimensions
          axes go from 0 to 1, or from -1 down to -2
    """
    dimensions = f"{ndim} dimension{'' if ndim == 1 else 's'}"
    head = f"{op}: {name} is {axis}, but the array has {dimensions}"
    if ndim == 0:
        return AxisError(compose(head, "a scalar has no axes"), location=location)
    limits = f"axes go from 0 to {ndim - 1}, or from -1 down to {-ndim}"
    return AxisError(compose(head, limits), location=location)


def index_out_of_range(
    index: int, axis: int, shape: Shape, location: Location | None = None
) -> IndexOutOfRangeError:
    """A constant index outside an array.

    Examples:
        >>> from numr import messages
        >>> print(messages.index_out_of_range(5, 0, (3, 4)).args[0])
        index 5 is out of range for axis 0 of an array of shape (3, 4), which has 3 elements
          indices go from -3 to 2
    """
    length = shape[axis]
    elements = f"{length} element{'' if length == 1 else 's'}"
    head = (
        f"index {index} is out of range for axis {axis} of an array of shape {shape_text(shape)}, "
        f"which has {elements}"
    )
    if length == 0:
        return IndexOutOfRangeError(
            compose(head, "an empty axis has no indices"), location=location
        )
    limits = f"indices go from -{length} to {length - 1}"
    return IndexOutOfRangeError(compose(head, limits), location=location)
