"""Random programs: nests of branches, loops and jumps over a few variables, as Python's source."""

from __future__ import annotations

import linecache
import random
from collections.abc import Callable
from typing import Any

NUMBERS = ("a", "b", "c")
CONSTANTS = (0.37, -0.81, 1.13, 0.59, -0.23)


class Program:
    """Writes one program.

    Args:
        seed: which.
        traced_ranges: whether loops go over `range(n)` of an argument, too.
        whiles: whether there are `while` loops.
        arrays: whether elements of an array are read and assigned.
    """

    def __init__(
        self, seed: int, traced_ranges: bool = True, whiles: bool = True, arrays: bool = False
    ) -> None:
        self.random = random.Random(seed)
        self.arrays = arrays
        self.traced_ranges = traced_ranges
        self.whiles = whiles
        self.counters = 0
        self.lines: list[str] = []

    def write(self) -> str:
        self.lines = ["def program(a, b, n, xs):", "    c, k = 0.25, 0"]
        if self.arrays:
            self.lines.append("    w = 2.0 * xs")
        self.block(1, 4, loops=0)
        last = " + w[0] - w[1] * w[2]" if self.arrays else ""
        self.lines.append(f"    return a - 2.0 * b + 3.0 * c + k{last}")
        return "\n".join(self.lines) + "\n"

    def number(self) -> str:
        pick = self.random.choice
        x, y = pick(NUMBERS), pick(NUMBERS)
        found = pick(
            [
                f"0.5 * {x} + {pick(CONSTANTS)}",
                f"0.6 * {x} - 0.3 * {y}",
                f"{pick(CONSTANTS)} * {x} + 0.1 * k",
                f"0.9 * {x} / (1.0 + {y} * {y})",
                f"{pick(CONSTANTS)}",
            ]
        )
        if self.arrays and self.random.random() < 0.2:
            found = f"0.5 * w[{pick(('k % 3', '-1'))}] - 0.1 * {x}"
        if self.random.random() < 0.2:
            found = f"({found} if {self.test()} else 0.7 * {x})"
        return found

    def test(self) -> str:
        pick = self.random.choice
        x, y = pick(NUMBERS), pick(NUMBERS)
        found = pick(
            [
                f"{x} > {pick(CONSTANTS)}",
                f"{x} * {y} < {pick(CONSTANTS)}",
                f"{pick(CONSTANTS)} < {x} <= {y} + 1.0",
                "k % 3 == 1",
                "k % 2",
                f"n > {pick((0, 2, 4))}",
            ]
        )
        chance = self.random.random()
        if chance < 0.1:
            return f"not ({found})"
        if chance < 0.3:
            return f"{found} {pick(('and', 'or'))} {self.test()}"
        return found

    def block(self, depth: int, size: int, loops: int) -> None:
        before = len(self.lines)
        for _ in range(self.random.randint(1, size)):
            self.statement(depth, loops)
        if len(self.lines) == before:
            self.add(depth, "pass")

    def add(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def statement(self, depth: int, loops: int) -> None:
        pick, chance = self.random.choice, self.random.random()
        if depth < 5 and chance < 0.3:
            self.add(depth, f"if {self.test()}:")
            self.block(depth + 1, 2, loops)
            if self.random.random() < 0.3:
                self.add(depth, f"elif {self.test()}:")
                self.block(depth + 1, 2, loops)
            if self.random.random() < 0.5:
                self.add(depth, "else:")
                self.block(depth + 1, 2, loops)
        elif depth < 5 and loops < 2 and chance < 0.5:
            self.loop(depth, loops)
        elif loops and chance < 0.6:
            self.add(depth, f"if {self.test()}:")
            self.add(depth + 1, pick(("break", "continue", "break")))
        elif chance < 0.66 and depth > 1:
            self.add(depth, f"return {self.number()}")
        elif self.arrays and chance < 0.72:
            place = pick(("k % 3", "0", "-1"))
            self.add(depth, f"w[{place}] {pick(('=', '+='))} {self.number()}")
        elif chance < 0.75:
            self.add(depth, "k += 1")
        elif chance < 0.8:
            x, y = self.random.sample(NUMBERS, 2)
            self.add(depth, f"{x}, {y} = {self.number()}, {x}")
        elif chance < 0.86:
            self.add(depth, f"t = {self.number()}")
            self.add(depth, f"{pick(NUMBERS)} = 0.5 * t + 0.1")
        else:
            self.add(depth, f"{pick(NUMBERS)} = {self.number()}")

    def loop(self, depth: int, loops: int) -> None:
        pick = self.random.choice
        self.counters += 1
        counter = f"i{self.counters}"
        kinds = ["range(3)", "range(1, 8, 2)", "xs", "enumerate(xs)", "zip(xs, range(9))"]
        kinds += ["reversed(xs)", "(0.5, 1.5)"]
        kinds += ["range(n)", "range(n, 0, -1)"] if self.traced_ranges else []
        over = pick(kinds)
        if self.whiles and self.random.random() < 0.35:
            self.add(depth, f"{counter} = 0")
            test = "True" if self.random.random() < 0.2 else f"{counter} < 4 and ({self.test()})"
            self.add(depth, f"while {test}:")
            self.add(depth + 1, f"{counter} += 1")
            if test == "True":
                self.add(depth + 1, f"if {counter} > 3 or {self.test()}:")
                self.add(depth + 2, "break")
        elif over.startswith(("enumerate", "zip")):
            self.add(depth, f"for {counter}, x{counter} in {over}:")
            self.add(depth + 1, f"b = 0.5 * b + 0.1 * {counter} - 0.2 * x{counter}")
        else:
            self.add(depth, f"for {counter} in {over}:")
            self.add(depth + 1, f"c = 0.3 * c + 0.2 * {counter}")
        self.block(depth + 1, 3, loops + 1)
        if self.random.random() < 0.25:
            self.add(depth, "else:")
            self.block(depth + 1, 2, loops)


def compiled(source: str, name: str) -> Callable[..., Any]:
    """The function of a source that `inspect` finds again."""
    file = f"<{name}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    scope: dict[str, Any] = {}
    exec(compile(source, file, "exec"), scope)
    return scope["program"]  # type: ignore[no-any-return]
