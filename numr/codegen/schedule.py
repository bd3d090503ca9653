"""Schedule: how a Region is to be computed. Data, chosen by `heuristics`, obeyed by `strategies`."""

from __future__ import annotations

from dataclasses import dataclass

from numr.dtypes import DType, int64


@dataclass(frozen=True, slots=True)
class Schedule:
    """How to compute a region.

    Attributes:
        kind: which strategy: points, rows, columns, strips, full, blocks, scatter, loop.
        reduces: whether the region has reductions (literal axes are then unrolled).
        pack: whether operands read again and again in short runs are put in columns first.
        block: elements of the blocked axis one grid point handles (columns, strips, blocks), or lanes (loop).
        piece: updates of one launch (scatter), or rounds (loop); 0 for all of them.
        lanes: how many run one point of the grid together.
        joined: whether the loops over several axes are dealt out to the lanes as one.
        atomic: whether each update is a point of the grid, in no order (scatter).
        flat: whether every element of a result is a point of the grid, or only its first axis is.
        index: the dtype of positions and lengths.
    """

    kind: str
    reduces: bool = False
    block: int = 1
    piece: int = 0
    pack: bool = False
    lanes: int = 1
    joined: bool = False
    atomic: bool = False
    flat: bool = False
    index: DType = int64
