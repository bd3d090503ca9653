"""Messages about results that are not what they must be."""

from __future__ import annotations

import math
from typing import Any

from numr.errors import CheckError, Location
from numr.messages.text import Shape, compose, shape_text


def wrong_result(
    step: str,
    op: str,
    shape: Shape,
    dtype: Any,
    worst: tuple[int, tuple[int, ...], Any, Any, Any],
    location: Location | None = None,
) -> CheckError:
    """A step whose result is not NumPy's.

    Args:
        step: what to call the step.
        op: the primitive that made the result.
        shape, dtype: the result's.
        worst: how many elements differ; where most, what is there, what NumPy has, the difference.
        location: the user's line.

    Returns:
        The exception.

    Examples:
        >>> from numr import messages
        >>> error = messages.wrong_result("step 0", "exp", (9,), "float64", (2, (4,), 2.5, 2.0, 0.5))
        >>> print(error.args[0])
        step 0 of the program gives another result than NumPy: 2 of the 9 elements of exp, ...
          most at index (4,): 2.5 where NumPy has 2.0, a difference of 0.5
          this is a defect of numr: please report it; NUMR_DEBUG=fuse,kernel,source prints what was ...
    """
    count, index, got, want, difference = worst
    head = (
        f"{step} of the program gives another result than NumPy: {count} of the "
        f"{math.prod(map(int, shape))} elements of {op}, of shape {shape_text(shape)} and dtype {dtype}"
    )
    most = f"most at index {index}: {got} where NumPy has {want}, a difference of {difference}"
    fix = (
        "this is a defect of numr: please report it; NUMR_DEBUG=fuse,kernel,source prints what was "
        "compiled"
    )
    return CheckError(compose(head, most, fix), location=location)
