"""Region x Schedule -> Kernels: what is left of a region is what its target has, then a strategy emits it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from numr.codegen.decompose import decompose
from numr.codegen.halves import halves, has_halves
from numr.codegen.kernel import InvalidKernel, stores, verify
from numr.codegen.lowered import Lowered
from numr.codegen.mathematics import mathematics
from numr.codegen.prepare import (
    join_reciprocal_roots,
    roots_of,
    share_squares,
    transform,
    unroll,
    with_roots,
)
from numr.codegen.ranges import narrow
from numr.codegen.region import Expr, ExprBuilder, Region
from numr.codegen.schedule import Schedule
from numr.codegen.signs import absorb_signs, join_differences
from numr.ir.dims import Dim


def lower(
    region: Region,
    schedule: Schedule,
    native: Collection[str] | None = None,
    fast_math: bool = False,
    limits: Mapping[Dim, int] | None = None,
) -> Lowered:
    """Kernels that compute a region as its schedule says, in the mathematics that is native.

    `limits` has the most that lengths can be.
    """
    builder = ExprBuilder()
    # A builder of our own: numbering then depends on the region alone, and so does the kernel's text.
    region = with_roots(
        region, transform(roots_of(region), lambda e, args: _import(builder, e, args))
    )
    if has_halves(region):
        region = halves(builder, region, native or ())
    if schedule.reduces:
        # Squares first, so that mirrored terms are recognised, and again for what is then left of them.
        region = join_differences(builder, unroll(builder, region))
        region = share_squares(builder, region)
        region = share_squares(builder, absorb_signs(builder, region))
    if not region.outputs:
        return Lowered()  # results with an axis of length 0 were written out: nothing to do
    region = join_reciprocal_roots(builder, decompose(builder, region))
    region = narrow(builder, region, limits or {}, schedule.index)
    if native is not None:
        region = mathematics(builder, region, native, fast_math)
    from numr.codegen.pack import behind, pack
    from numr.codegen.strategies import STRATEGIES

    strategy = STRATEGIES[schedule.kind]
    if schedule.pack:
        packed, lowered, columns = pack(builder, region, schedule)
        rest, first = strategy(builder, packed, schedule), len(lowered.temporaries)
        lowered.stages += [behind(stage, columns, first) for stage in rest.stages]
        lowered.temporaries += rest.temporaries
    else:
        lowered = strategy(builder, region, schedule)
    stored: set[tuple[str, int]] = set()
    for stage in lowered.stages:
        verify(stage.kernel)
        places = dict(zip((b.name for b in stage.kernel.buffers), stage.buffers, strict=True))
        stored.update(places[name] for name in stores(stage.kernel.body))
    if not {("out", o.slot) for o in region.outputs if o.mode != "go"} <= stored:
        raise InvalidKernel("a result of the region is stored by none of its kernels")
    return lowered


def _import(builder: ExprBuilder, expr: Expr, args: tuple[Expr, ...]) -> Expr:
    bound = expr.data[1] if expr.kind == "reduce" else ()
    bound = (expr.data,) if expr.kind == "rounds" else bound
    return builder._make(expr.kind, expr.data, args, expr.dtype, bound)
