"""Matrix multiplication: the one contraction; einsum and its kin are permutes and reshapes around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from numr.dtypes import DType
from numr.ir.dims import Shape, unify, unify_shapes
from numr.ir.node import Node
from numr.ir.primitive import Primitive, Sample
from numr.primitives.elementwise import accumulate
from numr.primitives.shape import batched_first, permute, reshape


class _Matmul(Primitive):
    """out[.., i, j] = sum_k x[.., i, k] y[.., k, j], over equal leading batch axes."""

    lowering = "library"
    library = "matmul"

    def infer(self, x: Node, y: Node) -> tuple[Shape, DType]:
        lead = x.shape[:-2]
        if (
            x.rank < 2
            or lead != y.shape[:-2]
            or x.shape[-1] != y.shape[-2]
            or x.dtype is not y.dtype
        ):
            from numr.errors import ShapeError

            shapes = f"{x.dtype}{tuple(map(int, x.shape))} and {y.dtype}{tuple(map(int, y.shape))}"
            raise ShapeError(f"matmul: operands {shapes} do not fit together")
        unify(x.shape[-1], y.shape[-2])
        return (*unify_shapes(lead, y.shape[:-2]), x.shape[-2], y.shape[-1]), x.dtype

    def reference(self, x: Any, y: Any) -> Any:
        return np.matmul(x, y)

    def jvp(self, out: Node, operands: Any, tangents: Any) -> Node | None:
        x, y = operands
        tx, ty = tangents
        return accumulate(None if tx is None else self(tx, y), None if ty is None else self(x, ty))

    def transpose(self, ct: Node, node: Node, wanted: Sequence[bool]) -> list[Node | None]:
        x, y = node.inputs
        return [
            self(ct, swap_last(y)) if wanted[0] else None,
            self(swap_last(x), ct) if wanted[1] else None,
        ]

    def batch(self, size: int, operands: Any, axes: Any, /) -> tuple[Node, int]:
        x, y = operands
        if axes[1] is None and y.rank == 2:
            # One right operand for all: fold the batch into the rows of one large product.
            x = batched_first(x, axes[0], size)
            folded = reshape(x, (x.shape[0] * x.shape[1], x.shape[2]))
            out = self(folded, y)
            return reshape(out, (x.shape[0], x.shape[1], y.shape[1])), 0
        if axes[0] is None and x.rank == 2:
            # One left operand for all: the batch goes into the columns of one large product.
            y = batched_first(y, axes[1], size)
            columns = reshape(permute(y, (1, 0, 2)), (y.shape[1], y.shape[0] * y.shape[2]))
            out = reshape(self(x, columns), (x.shape[0], y.shape[0], y.shape[2]))
            return out, 1
        return self(batched_first(x, axes[0], size), batched_first(y, axes[1], size)), 0

    def flops(self, node: Node) -> int:
        return 2 * super().flops(node) * int(node.inputs[0].shape[-1])

    def samples(self, rng: np.random.Generator) -> Iterator[Sample]:
        yield Sample(rng.normal(size=(3, 4)), rng.normal(size=(4, 2)))
        yield Sample(rng.normal(size=(33, 9)), rng.normal(size=(9, 31)))
        yield Sample(rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 5)))
        yield Sample(rng.normal(size=(3, 0)), rng.normal(size=(0, 2)))
        yield Sample(rng.normal(size=(0, 3)), rng.normal(size=(3, 2)))
        yield Sample(
            rng.normal(size=(3, 4)).astype(np.float32), rng.normal(size=(4, 2)).astype(np.float32)
        )
        yield Sample(rng.integers(-5, 5, (3, 4)), rng.integers(-5, 5, (4, 2)), smooth=False)
        z = rng.normal(size=(3, 3)) + 1j * rng.normal(size=(3, 3))
        yield Sample(z, z.T)


def swap_last(x: Node) -> Node:
    """x with its last two axes exchanged."""
    return permute(x, (*range(x.rank - 2), x.rank - 1, x.rank - 2))


matmul = _Matmul("matmul")
