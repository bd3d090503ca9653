"""The table of mathematical functions in terms of arithmetic, for targets that lack them.

Every rule is one straight line of + - * /, comparisons, select, floor, sqrt, casts, and integer
operations on the bits of numbers of the same width: at most 4 ulp from the exact value, in float32 and
float64, with NumPy's and SciPy's values at zeros, infinities, poles and NaN.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from numr.codegen.mathematics import (
    bits,
    error_function,
    exponential,
    fmod,
    gamma,
    inverse_trigonometric,
    logarithm,
    polygamma,
    power,
    trigonometric,
)
from numr.codegen.mathematics.terms import Rule, rule
from numr.codegen.prepare import reachable, remake, roots_of, transform, with_roots
from numr.codegen.region import Expr, ExprBuilder, Region

__all__ = ["FUNCTIONS", "decomposed", "mathematics"]

FUNCTIONS: dict[str, Rule] = {
    name: rule(formula)
    for formulas in (
        bits.FORMULAS,
        exponential.FORMULAS,
        logarithm.FORMULAS,
        trigonometric.FORMULAS,
        inverse_trigonometric.FORMULAS,
        power.FORMULAS,
        fmod.FORMULAS,
        error_function.FORMULAS,
        gamma.FORMULAS,
        polygamma.FORMULAS,
    )
    for name, formula in formulas.items()
}
# What fast_math takes in their place: good to a few digits fewer, and NaN is not looked for.
FAST: dict[str, Rule] = {name: rule(f) for name, f in error_function.FAST.items()}


def mathematics(
    builder: ExprBuilder, region: Region, native: Collection[str], fast: bool = False
) -> Region:
    """The region without floating-point operations that the target lacks.

    Args:
        builder: what the region's expressions were built with.
        region: any region.
        native: names of scalar operations that the target has for floating-point operands, or a name
            and a dtype, as in "exp:f32".
        fast: whether the rules of `FAST` go before those of `FUNCTIONS`.

    Returns:
        The region, with the rules of `FUNCTIONS` in place of every floating-point operation that is in
        the table and not in `native`, and of those that the rules themselves use.

    Examples:
        >>> from numr.codegen.region import Axis, ExprBuilder, Operand, Output, Region
        >>> from numr.dtypes import float32
        >>> from numr.ir import scalar
        >>> b, i = ExprBuilder(), Axis("i", 8)
        >>> y = b.op(scalar.exp, b.load(0, (b.axis(i),), float32))
        >>> region = Region(
        ...     (Operand(float32, (8,)),), (Output(y, (b.axis(i),), (i,), (8,), float32, 0),)
        ... )
        >>> mathematics(b, region, native={"exp"}) == region
        True
        >>> mathematics(b, region, native=()).outputs[0].expr.data
        select
    """

    return with_roots(region, decomposed(builder, roots_of(region), native, fast))


def decomposed(
    builder: ExprBuilder, roots: Sequence[Expr], native: Collection[str], fast: bool = False
) -> list[Expr]:
    """Expressions without floating-point operations that the target lacks: see `mathematics`."""
    functions = FUNCTIONS | FAST if fast else FUNCTIONS

    def wanted(expr: Expr) -> bool:
        return (
            expr.kind == "op"
            and expr.data.name in functions
            and expr.args[0].dtype.kind == "f"
            and expr.data.name not in native
            and f"{expr.data.name}:{expr.args[0].dtype.short}" not in native
        )

    def rewrite(expr: Expr, args: tuple[Expr, ...]) -> Expr:
        if wanted(expr):
            return functions[expr.data.name](builder, expr, args)
        return remake(builder, expr, args)

    roots = list(roots)
    while any(wanted(e) for e in reachable(roots)):
        roots = transform(roots, rewrite)
    return roots
