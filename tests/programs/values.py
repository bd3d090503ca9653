"""What a random program is made of: values that know their axes' lengths as text, and arguments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

FLOATS, INTS = ("float64", "float32"), ("int64", "int32", "uint8")


@dataclass(frozen=True)
class Value:
    """One line's result.

    Attributes:
        name: its variable.
        lengths: its axes' lengths, as text over the symbols; "1" is the only number.
        dtype: its dtype's name.
        bits: how many bits its values need, in steps of 1/8; None if they are rounded.
        smooth: whether it is differentiable in the inputs, ties aside.
    """

    name: str
    lengths: tuple[str, ...]
    dtype: str
    bits: int | None
    smooth: bool = True

    @property
    def rank(self) -> int:
        return len(self.lengths)

    @property
    def floating(self) -> bool:
        return self.dtype in FLOATS

    @property
    def integer(self) -> bool:
        return self.dtype[:3] in ("int", "uin")

    @property
    def exact(self) -> bool:
        return self.bits is not None


@dataclass(frozen=True)
class Program:
    """A program: its text, its inputs (values whose lengths are symbols) and its outputs."""

    inputs: tuple[Value, ...]
    lines: tuple[str, ...]
    outputs: tuple[Value, ...]

    @property
    def text(self) -> str:
        heading = f"def program(xp, {', '.join(v.name for v in self.inputs)}):"
        result = f"return ({', '.join(v.name for v in self.outputs)},)"
        return "\n    ".join((heading, *self.lines, result)) + "\n"

    def function(self, module: Any) -> Callable[..., Any]:
        names: dict[str, Any] = {}
        exec(compile(self.text, "<program>", "exec"), names)
        return lambda *arrays: names["program"](module, *arrays)

    def __repr__(self) -> str:
        heads = [f"    # {v.name}: {v.dtype}[{', '.join(v.lengths)}]" for v in self.inputs]
        return "\n" + "\n".join(heads) + "\n" + self.text


def positive(length: str) -> bool:
    """Whether a length is at least 1 at every size."""
    return all(
        eval(length, {"n": a, "m": a, "k": a, "z": b}) > 0 for a in (1, 2, 3) for b in (0, 1)
    )


def times(a: str, b: str) -> str:
    """The text of a product of lengths."""
    return b if a == "1" else a if b == "1" else "*".join(sorted(f"{a}*{b}".split("*")))


def sizes_at(lengths: tuple[str, ...], sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(int(eval(n, dict(sizes))) for n in lengths)


def arguments(
    inputs: tuple[Value, ...],
    sizes: dict[str, int],
    seed: int,
    awkward: bool,
    generic: bool = False,
) -> list[Any]:
    """Arrays for a program's inputs: multiples of 1/8, some laid out oddly, some with odd values."""
    rng = np.random.default_rng(seed)
    found = []
    for v in inputs:
        shape = sizes_at(v.lengths, sizes)
        x = rng.integers(-12, 13, shape)
        if v.dtype == "bool":
            found.append(np.asarray(x > 0))
            continue
        if v.dtype == "uint8":
            x = np.abs(x)
        y = np.asarray(x / 8 if v.floating and not generic else x)
        if generic and v.floating:
            y = rng.normal(size=shape)
        y = np.asarray(y).astype(v.dtype)
        if awkward and v.floating and y.size:
            odd = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0])
            mask = rng.random(shape) < 0.15
            y = np.where(mask, rng.choice(odd, shape), y).astype(v.dtype)
        layout = rng.integers(0, 5)
        if layout == 1 and y.ndim:
            y = np.flip(np.flip(y).copy())
        elif layout == 2:
            y = np.asarray(y, order="F")
        elif layout == 3 and y.ndim:
            y = np.repeat(y, 2, axis=-1)[..., ::2]
        found.append(y)
    return found
