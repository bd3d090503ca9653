"""Random bits: the rounds of a counter-based generator as one operation on every element."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType, uint32
from numr.ir import scalar as S
from numr.ir.dims import Shape
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.elementwise import align_batch, common_shape

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def rounds(words: Sequence[Any], add: Any, xor: Any, rotated: Any, number: Any) -> tuple[Any, Any]:
    """Threefry-2x32 with 20 rounds on a key of two words and a counter of two, by given arithmetic."""
    first, second, x0, x1 = words
    keys = (first, second, xor(xor(first, second), number(_PARITY)))
    x0, x1 = add(x0, first), add(x1, second)
    for k in range(5):
        for by in _ROTATIONS[k % 2]:
            x0 = add(x0, x1)
            x1 = xor(rotated(x1, by), x0)
        x0 = add(x0, keys[(k + 1) % 3])
        x1 = add(add(x1, keys[(k + 2) % 3]), number(k + 1))
    return x0, x1


class _Threefry(Primitive):
    """One of two random words of 32 bits from a key of two words and a counter of two.

    Threefry-2x32 with 20 rounds; operands (key 0, key 1, counter 0, counter 1), all uint32, and `word`
    says which.
    """

    lowering = "element"
    no_jvp = no_transpose = "its result is integer"

    def infer(self, *operands: Node, word: int) -> tuple[Shape, DType]:
        if any(x.dtype is not uint32 for x in operands):
            from numr.errors import DTypeError

            raise DTypeError(f"threefry takes uint32, not {[str(x.dtype) for x in operands]}")
        return common_shape(self, operands), uint32

    def reference(self, *arrays: Any, word: int) -> Any:
        number = np.uint32
        with np.errstate(over="ignore"):
            return rounds(
                arrays,
                np.add,
                np.bitwise_xor,
                lambda x, by: x << number(by) | x >> number(32 - by),
                number,
            )[word]

    def jvp(self, out: Node, operands: Any, tangents: Any, **params: Any) -> Node | None:
        return None

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        return [None] * 4

    def batch(self, size: int, operands: Any, axes: Any, /, **params: Any) -> tuple[Node, int]:
        return self(*align_batch(operands, axes), **params), 0

    def element(self, ctx: Any, node: Node, index: Any) -> Any:
        op = ctx.builder.op

        def number(value: int) -> Any:
            return ctx.builder.const(value, uint32)

        def rotated(x: Any, by: int) -> Any:
            left = op(S.shift_left, x, number(by))
            return op(S.or_, left, op(S.shift_right, x, number(32 - by)))

        words = [ctx.element(x, index if x.shape else ()) for x in node.inputs]
        return rounds(
            words, lambda x, y: op(S.add, x, y), lambda x, y: op(S.xor, x, y), rotated, number
        )[node.params["word"]]

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        for word in (0, 1):
            words = (rng.integers(0, 2**32, 7, np.uint32) for _ in range(4))
            yield Sample(*words, word=word, smooth=False)
            words = (rng.integers(0, 2**32, s, np.uint32) for s in ((), (), (), (3, 4)))
            yield Sample(*words, word=word, smooth=False)
        yield Sample(*(np.full(1, 2**32 - 1, np.uint32) for _ in range(4)), word=0, smooth=False)


threefry = _Threefry("threefry")
