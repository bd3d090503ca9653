"""Random programs as text: functions of an array module, which NumPy and numr run alike.

A program keeps to what has one right answer. Each value knows the lengths of its axes as text
(`n`, `2*n`, `n+1`), so that what fits at one size fits at every other; and how many bits its numbers
need, so that comparisons, sorts and indices are made only from what no rounding can touch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.programs.elementwise import Elementwise
from tests.programs.structural import Structural
from tests.programs.values import Program

# Kinds of lines, the more frequent ones more often.
KINDS = (
    *("unary", "binary", "binary", "binary", "power", "compare", "where", "where"),
    *("reduce", "reduce", "reduce", "line_by_line", "move", "move", "move", "join", "join"),
    *("gather", "gather", "update", "contract", "locate", "convert", "round"),
)


class Writer(Elementwise, Structural):
    """All kinds of lines."""

    def step(self) -> None:
        length, count = len(self.lines), len(self.values)
        try:
            getattr(self, self.choose(KINDS))()
        except LookupError:
            del self.lines[length:], self.values[count:]


def program(
    choose: Callable[[Any], Any], steps: int, smooth: bool, dtypes: tuple[str, ...]
) -> Program:
    """A random program of so many lines or somewhat fewer.

    Args:
        choose: gives an element of a sequence.
        steps: how many lines to try.
        smooth: whether floating results shall be differentiable almost everywhere.
        dtypes: the dtypes of inputs.
    """
    builder = Writer(choose, smooth, dtypes)
    for _ in range(steps):
        builder.step()
    text = "\n".join(builder.lines)
    ends = [v for v in builder.values if not re.search(rf" .*\b{v.name}\b", text)]
    found = [v for v in builder.values if v not in builder.inputs] or builder.values
    outputs = [found[-1]]
    for _ in range(builder.choose((0, 1, 2))):
        outputs.append(builder.choose(builder.choose((ends or found, found))))
    return Program(builder.inputs, tuple(builder.lines), tuple(outputs))
