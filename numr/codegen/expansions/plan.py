"""What a library call expands to: kernels that know no sizes, and how to launch them for some."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numr.codegen.kernel import Kernel
from numr.codegen.target import Capabilities
from numr.dtypes import DType

Place = tuple[str, int]


class NotExpanded(Exception):
    """There are no kernels for a call; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Operands:
    """A call to expand: what is known when a program is built.

    Attributes:
        dtypes: of the operands.
        ranks: of the operands.
        params: the primitive's parameters.
        result: the result's dtype.
        device: what the device can do.
    """

    dtypes: tuple[DType, ...]
    ranks: tuple[int, ...]
    params: Mapping[str, Any]
    result: DType
    device: Capabilities

    @property
    def index(self) -> DType:
        return self.device.index

    @property
    def lanes(self) -> int:
        return self.device.lanes


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel by number on buffers ("in" | "out" | "temp", number), with its sizes and its grid.

    `rounds`: how often the loops of one lane go round, all together, where that may be very many.
    """

    kernel: int
    buffers: tuple[Place, ...]
    sizes: tuple[int, ...]
    points: int
    rounds: int = 0


@dataclass(slots=True)
class Plan:
    """Launches in order, and the shapes and dtypes of the buffers between them."""

    launches: list[Launch] = field(default_factory=list)
    temporaries: list[tuple[tuple[int, ...], DType]] = field(default_factory=list)

    def temporary(self, shape: tuple[int, ...], dtype: DType) -> Place:
        self.temporaries.append((shape, dtype))
        return "temp", len(self.temporaries) - 1


@dataclass(frozen=True, slots=True)
class Expansion:
    """Kernels, and the plan for operands of given shapes and strides (in elements).

    `strided`: whether operands may have any strides, or are row-major.
    """

    kernels: list[Kernel]
    plan: Callable[[Sequence[tuple[int, ...]], Sequence[tuple[int, ...]]], Plan]
    strided: bool = False


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a row-major array, in elements."""
    strides: list[int] = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def lines(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """An array as lines along an axis: how many before it, its length, how many after it."""
    outer = inner = 1
    for n in shape[:axis]:
        outer *= n
    for n in shape[axis + 1 :]:
        inner *= n
    return outer, shape[axis], inner
