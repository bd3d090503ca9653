"""What lowering makes of a Region, kernels in order and what each is called with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numr.codegen.kernel import Kernel
from numr.codegen.region import Sum
from numr.dtypes import DType
from numr.ir.dims import Dim

Factors = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Temporary:
    """A buffer that lives between the stages of one region."""

    shape: tuple[Any, ...]
    dtype: DType


# Size parameters that are where the piece of a loop at hand begins and ends.
BEGIN: Factors = ("begin",)
END: Factors = ("end",)
# Additions that take some tenths of a second.
STRETCH = 1 << 30


@dataclass(frozen=True, slots=True)
class Stage:
    """One kernel and what to call it with.

    `buffers` are ("in" | "out" | "temp", number); each of `sizes` is a product of Dims, Sums, literals;
    the grid has product(`grid`) points, or ceil(product / `block`); `weight` is the work of a region's
    point in additions, and `volume` the lengths of all loops. A kernel whose loop a device would break
    off is launched once for each `piece` of the loop's length, the product of `pieces`, in order (0: pieces
    that take a while). One that `repeats` is launched for one piece after another until it leaves its last
    buffer, a flag that is 0 before, as it is.
    """

    kernel: Kernel
    buffers: tuple[tuple[str, int], ...]
    sizes: tuple[Factors, ...]
    grid: Factors
    block: int
    volume: Factors
    weight: int
    pieces: Factors = ()
    piece: int = 1
    repeats: bool = False

    def points(self, sizes: Sequence[int]) -> int:
        """Grid points for given sizes."""
        return -(-product(self.grid, sizes) // self.block)

    def work(self, sizes: Sequence[int]) -> int:
        """An estimate of the work in additions."""
        return product(self.volume, sizes) * self.weight

    def launches(self, sizes: Sequence[int], interrupted: bool = True) -> list[tuple[int, ...]]:
        """The size parameters of each launch; unless `interrupted`, there is one."""
        total = product(self.pieces, sizes)
        if not interrupted:
            return [self.launch(sizes, 0, total)]
        piece = self.piece or self.stretch(sizes)
        # A loop of no rounds, too, has results.
        return [
            self.launch(sizes, k, min(k + piece, total)) for k in range(0, total, piece) or (0,)
        ]

    def stretch(self, sizes: Sequence[int]) -> int:
        """Rounds that take some tenths of a second: in between, the keyboard is heard."""
        return max(STRETCH * max(product(self.pieces, sizes), 1) // max(self.work(sizes), 1), 1)

    def launch(self, sizes: Sequence[int], begin: int, end: int) -> tuple[int, ...]:
        """The size parameters of a launch for a piece of the loop."""
        bounds = {BEGIN: begin, END: end}
        return tuple(bounds[f] if f in bounds else product(f, sizes) for f in self.sizes)


@dataclass(slots=True)
class Lowered:
    """The kernels of a region in order, and the buffers between them."""

    stages: list[Stage] = field(default_factory=list)
    temporaries: list[Temporary] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Blocks:
    """A factor: how many blocks of `block` a product of lengths makes."""

    terms: Factors
    block: int


def product(terms: Factors, sizes: Sequence[int]) -> int:
    """The value of a product of lengths for given sizes."""
    result = 1
    for term in terms:
        if isinstance(term, Dim):
            result *= sizes[term.index]
        elif isinstance(term, Blocks):
            result *= -(-product(term.terms, sizes) // term.block)
        elif isinstance(term, Sum):
            result *= sum(product((t,), sizes) for t in term.terms)
        else:
            result *= term
    return result
