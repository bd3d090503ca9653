"""Long loops in segments: reverse mode then keeps what is carried into each, and computes the rest anew."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from numr.ir.body import Body
from numr.ir.node import Node
from numr.primitives.control import split
from numr.primitives.loops import SCAN
from numr.primitives.shape import CONCAT, SLICE, reshape
from numr.primitives.source import param_like

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def segment_lengths(name: str, checkpoint: Any, length: int, carried: Sequence[Node]) -> list[int]:
    """How long the segments of a loop are, and those within these.

    Args:
        name: what errors call the loop.
        checkpoint: None, a number of steps, or a text as "10 MB", the memory for what is carried into steps.
        length: the number of steps.
        carried: what is carried.

    Raises:
        TypeError, ValueError: for anything else, or memory that is too little however it is done.
    """
    if checkpoint is None:
        return []
    if isinstance(checkpoint, str):
        return _within(name, _bytes(name, checkpoint), length, carried)
    if isinstance(checkpoint, bool) or not hasattr(checkpoint, "__index__"):
        raise TypeError(
            f'{name}: checkpoint is to be a number of steps, or memory as "10 MB", not {checkpoint!r}'
        )
    steps = checkpoint.__index__()
    if steps < 1:
        raise ValueError(f"{name}: checkpoint is to be at least one step, not {steps}")
    return [steps]


def _bytes(name: str, text: str) -> int:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(
            f'{name}: checkpoint={text!r} is no amount of memory; write it as "10 MB" or "2 GiB"'
        )
    return int(float(found[1]) * _UNITS[found[2].lower()])


def _within(name: str, memory: int, length: int, carried: Sequence[Node]) -> list[int]:
    """The fewest levels of segments whose kept states fit: halving, at last."""
    state = sum(math.prod(map(int, x.shape)) * x.dtype.itemsize for x in carried)
    most = max(math.ceil(math.log2(max(length, 2))), 1)
    for levels in range(1, most + 1):
        parts = _parts(length, levels)
        if parts * levels * state <= memory:
            return [parts**k for k in range(levels - 1, 0, -1)]
    least = most * 2 * state
    raise ValueError(
        f"{name}: checkpoint={memory:,} bytes are too few for {length} steps that carry {state:,} bytes: "
        f"with as much computed anew as can be, {least:,} bytes are kept"
    )


def _parts(length: int, levels: int) -> int:
    """The least number whose power is no less than a length."""
    parts = max(round(length ** (1 / levels)), 1)
    while parts**levels < length:
        parts += 1
    while parts > 1 and (parts - 1) ** levels >= length:
        parts -= 1
    return parts


def scan_in_segments(
    operands: Sequence[Node],
    body: Body,
    consts: int,
    carries: int,
    length: int,
    reverse: bool,
    segments: Sequence[int],
) -> list[Node]:
    """The results of a scan whose steps are those of loops of so many steps each; see `segment_lengths`."""
    fixed, carry, xs = split(operands, consts, carries)

    def steps(carry: Sequence[Node], xs: Sequence[Node], body: Body, length: int) -> list[Node]:
        return SCAN.results(
            *fixed,
            *carry,
            *xs,
            body=body,
            consts=consts,
            carries=carries,
            length=length,
            reverse=reverse,
        )

    if not segments or segments[0] >= length:
        return steps(carry, xs, body, length)
    size = segments[0]
    count = length // size
    whole = count * size

    def grouped(carry: Sequence[Node]) -> list[Node]:
        places = [param_like(x) for x in (*fixed, *carry)]
        for x in xs:
            place = param_like(x)
            place.shape = (size, *x.shape[1:])
            places.append(place)
        inner = scan_in_segments(places, body, consts, carries, size, reverse, segments[1:])
        parts = [reshape(_rows(x, 0, whole), (count, size, *x.shape[1:])) for x in xs]
        found = steps(carry, parts, Body(places, inner), count)
        rows = [reshape(y, (whole, *y.shape[2:])) for y in found[carries:]]
        return [*found[:carries], *rows]

    def rest(carry: Sequence[Node]) -> list[Node]:
        left = [_rows(x, whole, length - whole) for x in xs]
        return scan_in_segments(
            [*fixed, *carry, *left], body, consts, carries, length - whole, reverse, segments[1:]
        )

    if whole == length:
        return grouped(carry)
    first, second = (rest, grouped) if reverse else (grouped, rest)
    before = first(carry)
    after = second(before[:carries])
    early, late = (after, before) if reverse else (before, after)
    joined = zip(early[carries:], late[carries:], strict=True)
    return [*after[:carries], *(CONCAT(a, b, axis=0) for a, b in joined)]


def _rows(x: Node, start: int, count: int) -> Node:
    rest = x.shape[1:]
    if start == 0 and count == x.shape[0]:
        return x
    return SLICE(x, starts=(start, *(0 for _ in rest)), sizes=(count, *rest), steps=(1,) * x.rank)
