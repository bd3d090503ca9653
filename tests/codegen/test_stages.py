"""The text of regions: every expression named, and written once."""

from __future__ import annotations

import re

import numpy as np

import numr as nr
from numr.codegen.prepare import reachable, roots_of
from numr.debug import Lowered


def lowered(depth: int) -> Lowered:
    """x -> x * (x + 1), again and again: written out, twice as long at every step."""

    def chain(x: nr.Array) -> nr.Array:
        for _ in range(depth):
            x = x * (x + 1.0)
        return x

    found: Lowered = nr.jit(chain).lower(np.ones(7))
    return found


def test_a_line_for_every_distinct_expression() -> None:
    for depth in (3, 6, 9):
        made = lowered(depth)
        assert made._program.fused is not None
        (step,) = made._program.fused.steps
        distinct = [e for e in reachable(roots_of(step.region)) if e.kind not in ("axis", "const")]  # type: ignore[union-attr]
        assert len(distinct) == 1 + 2 * depth
        names = re.findall(r"^  (t\d+) = (.*)", made.regions, re.MULTILINE)
        assert len(names) == len({name for name, _ in names}) == len(distinct)
        assert len({text for _, text in names}) == len(distinct)
        assert len(made.regions) < 200 + 40 * len(distinct)


def test_an_expression_itself_prints_short() -> None:
    made = lowered(9)
    assert made._program.fused is not None
    (step,) = made._program.fused.steps
    assert len(repr(step.region.outputs[0].expr)) < 100  # type: ignore[union-attr]


def test_every_kind_of_expression() -> None:
    def f(x: nr.Array, i: nr.Array) -> nr.Array:
        return nr.sum(nr.pad(x, 1)[:, None] * x, axis=0).at[i].add(nr.asarray(2, dtype="int32") * x)

    text = nr.jit(f).lower(np.ones(9), np.arange(9)).regions
    for part in (
        r"step 0: region",
        r"x0: %\d+:f64\[9\] = param",
        r"t\d+ = x0\[t\d+\] if t\d+ else 0",
        r"t\d+ = select\(t\d+, t\d+, 0\.0\)",
        r"t\d+ = add t\d+ over i\d < d\d",
        r"stored because it is a full|stored because it is what a scatter starts from",
        r"starts as %\d+:f64\[9\] = ",
        r"\[t\d+\] add= t\d+ over i0 < d0",
    ):
        assert re.search(part, text), f"{part} in\n{text}"
