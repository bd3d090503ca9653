"""Work on matrices column by column, in as many launches as a device that breaks long loops off needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from numr.codegen.expansions.field import Field
from numr.codegen.expansions.plan import Launch, Operands, Place
from numr.codegen.expansions.write import Term, Writer
from numr.codegen.kernel import Buffer
from numr.dtypes import bool_


def batch_of(shape: Sequence[int]) -> int:
    return math.prod(shape[:-2])


class Columns:
    """The columns of one launch, from `begin` to `end`, and whether they are the first and the last."""

    def __init__(self, w: Writer, state: Buffer | None = None) -> None:
        """`state` is where variables are kept from one launch to the next."""
        self.w, self.state = w, state
        self.begin, self.end = w.size(), w.size()
        self.first = self.begin.same(0)

    def variables(self, point: Term, *values: Term) -> list[Term]:
        """Variables that start from these values, or where the launch before has left them."""
        w, state = self.w, self.state
        assert state is not None
        found = [w.variable(v) for v in values]
        with w.when(~self.first):
            for k, (v, start) in enumerate(zip(found, values, strict=True)):
                kept = w.load(state, point * len(values) + k)
                w.assign(v, kept > 0 if start.dtype is bool_ else kept)
        return found

    def keep(self, point: Term, *variables: Term) -> None:
        """Leave variables to the next launch."""
        w, state = self.w, self.state
        assert state is not None
        w.barrier()
        with w.first_lane():
            for k, v in enumerate(variables):
                one, zero = (w.term(x, state.dtype) for x in (1, 0))
                kept = w.select(v, one, zero) if v.dtype is bool_ else v
                w.store(state, point * len(variables) + k, kept)


def launches(
    call: Operands,
    count: int,
    cost: Callable[[int], int],
    around: int,
    buffers: Sequence[Place],
    *sizes: int,
    batch: int,
    kernel: int = 0,
) -> list[Launch]:
    """Launches over `count` columns of `cost(k)` rounds each, `around` of them before and after."""
    most = call.device.trips
    if most is None:
        return [Launch(kernel, tuple(buffers), (*sizes, 0, count), batch, around)]
    found, begin, rounds = [], 0, around
    for k in range(count):
        more = cost(k)
        if rounds + more > most and k > begin:
            found.append((begin, k, rounds))
            begin, rounds = k, around
        rounds += more
    found.append((begin, count, rounds))
    return [Launch(kernel, tuple(buffers), (*sizes, b, e), batch, r) for b, e, r in found]


def share(call: Operands) -> Callable[[int], int]:
    """How often a loop that is dealt out to the lanes goes round, for its length."""
    return lambda length: -(-length // call.lanes)


def combining(call: Operands) -> int:
    """How often the loops go round that make one variable of all lanes'."""
    return 4 * math.isqrt(call.lanes) + 2


def nan(f: Field) -> Any:
    return f.whole([f.w.term(math.nan, f.part) for _ in f.parts(f.number(0))])
