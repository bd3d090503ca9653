"""Results that are views of arguments: copied, since whose memory that is may change it later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from numr import devices


def owning(program: Callable[..., Any], values: Sequence[Any]) -> tuple[Callable[..., Any], Any]:
    """A program, made to return no memory of its arguments that others may write to: a NumPy array's or
    another library's. And its results on the given values. Which results are views never changes.
    """
    results = program(*values)
    views = [k for k, r in enumerate(results) if any(_shares(r, v) for v in values)]
    if not views:
        return program, results

    def copied(results: Any) -> list[Any]:
        return [_own(r) if k in views else r for k, r in enumerate(results)]

    return (lambda *values: copied(program(*values))), copied(results)


def _shares(result: Any, value: Any) -> bool:
    if type(value) is np.ndarray:
        return type(result) is np.ndarray and np.may_share_memory(result, value)
    storage = getattr(value, "storage", None)
    return storage is not None and getattr(result, "storage", None) is storage


def _own(result: Any) -> Any:
    if type(result) is np.ndarray:
        return np.array(result, order="C")
    # Arrays of numr's own never change.
    return devices.copy(result) if result.is_borrowed else result
