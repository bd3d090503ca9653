"""Windows along the last axes of an array: their sizes, strides, paddings, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.errors import ShapeError, UnsupportedError
from numr.ir.node import Node
from numr.primitives.elementwise import like
from numr.primitives.shape import PAD

Numbers = int | Sequence[int]


def whole_numbers(name: str, what: str, value: Any, count: int, least: int) -> tuple[int, ...]:
    """One whole number for each of `count` axes, given as one for all or one each.

    Raises:
        ShapeError: for another number of them, or one below `least`.
    """
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * count
    if len(given) != count or not all(isinstance(n, int) and n >= least for n in given):
        raise ShapeError(
            f"{name}: {what} is an integer of at least {least}, or {count} of them, not {value!r}"
        )
    return given


def paddings(
    name: str,
    padding: Any,
    lengths: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[tuple[int, int]]:
    """How much to add before and after each axis."""
    rank = len(lengths)
    if padding == "valid":
        return [(0, 0)] * rank
    if padding == "same":
        out = []
        for n, k, s, d in zip(lengths, sizes, strides, dilations, strict=True):
            total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            out.append((total // 2, total - total // 2))
        return out
    if isinstance(padding, str):
        raise UnsupportedError(
            f"{name}: padding is 'valid', 'same', an integer, or one integer or pair for each axis, "
            f"not {padding!r}"
        )
    if isinstance(padding, (tuple, list)) and any(isinstance(p, (tuple, list)) for p in padding):
        if len(padding) != rank:
            raise ShapeError(f"{name}: padding has one entry for each of {rank} axes: {padding!r}")
        pairs = [whole_numbers(name, "a pair of padding", p, 2, 0) for p in padding]
        return [(low, high) for low, high in pairs]
    return [(n, n) for n in whole_numbers(name, "padding", padding, rank, 0)]


def padded(x: Node, widths: Sequence[tuple[int, int]], value: Any) -> Node:
    """x with its last axes widened."""
    if not any(low or high for low, high in widths):
        return x
    lead = x.rank - len(widths)
    shape = tuple(
        n + low + high if low or high else n
        for n, (low, high) in zip(x.shape[lead:], widths, strict=True)
    )
    starts = (0,) * lead + tuple(low for low, _ in widths)
    return PAD(
        x, like(x, value), starts=starts, shape=(*x.shape[:lead], *shape), steps=(1,) * x.rank
    )


def window_counts(
    name: str,
    lengths: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> tuple[int, ...]:
    """How many windows fit along each axis.

    Raises:
        ShapeError: where not one does.
    """
    found = []
    for n, k, s, d in zip(lengths, sizes, strides, dilations, strict=True):
        rest = n - d * (k - 1) - 1
        if rest < 0 or k < 1:
            raise ShapeError(
                f"{name}: a window of {tuple(map(int, sizes))} with dilation {tuple(dilations)} does "
                f"not fit into {tuple(map(int, lengths))}, the padded lengths of x's last axes"
            )
        found.append(n if rest == n - 1 and s == 1 else rest // s + 1)
    return tuple(found)
