"""Colourings of the columns of a sparse matrix: columns of one colour are found by one derivative.

References:
    Gebremedhin, Manne, Pothen, What color is your Jacobian? (2005); Gebremedhin, Tarafdar, Manne, Pothen,
    New acyclic and star coloring algorithms (2007); Coleman, More, Estimation of sparse Hessian matrices
    and graph coloring problems (1984).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

__all__ = ["apart", "read", "star"]


def apart(rows: Any, columns: Any, count: int) -> Any:
    """A colour for each of `count` columns, such that no row has two elements in columns of one colour.

    Args:
        rows, columns: where elements may differ from zero.
        count: the number of columns.
    """
    in_column: list[list[int]] = [[] for _ in range(count)]
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        in_column[j].append(i)
    length = np.bincount(rows) if rows.size else rows
    taken: dict[int, set[int]] = {i: set() for i in set(rows.tolist())}
    colours = np.full(count, -1, np.int64)
    # Those with most neighbours first.
    for j in sorted(range(count), key=lambda j: -sum(length[i] for i in in_column[j])):
        colours[j] = colour = _free(taken[i] for i in in_column[j])
        for i in in_column[j]:
            taken[i].add(colour)
    return colours


def star(rows: Any, columns: Any, count: int) -> Any:
    """A colour for each column of a symmetric matrix, such that each element is alone with its colour in
    its row, or the one opposite is in its own: neighbours differ, and a path over four columns has three
    colours or more. An arrow takes 2 of any size, where columns that share no row are as many as it has.

    Args:
        rows, columns: where elements may differ from zero, of both triangles.
        count: the number of columns.
    """
    near: list[list[int]] = [[] for _ in range(count)]
    for i, j in zip(rows.tolist(), columns.tolist(), strict=True):
        if i != j:
            near[j].append(i)
    colours = [-1] * count
    # Of each column and each colour beside it, the first neighbour that has it; and for each column the
    # colours of neighbours that have another one of its colour beside them: with one of these, a column next
    # to it would end a path of two colours over four.
    first: list[dict[int, int]] = [{} for _ in range(count)]
    ends: list[set[int]] = [set() for _ in range(count)]
    twice: list[set[int]] = [set() for _ in range(count)]
    for v in sorted(range(count), key=lambda v: -len(near[v])):
        # Around a neighbour without a colour all colours differ, so that it may have any.
        beside = ({colours[w]} | ends[w] if colours[w] >= 0 else first[w].keys() for w in near[v])
        colours[v] = colour = _free(beside)
        ends[v].update(colours[w] for w in near[v] if colours[w] >= 0 and colour in first[w])
        for w in near[v]:
            other = first[w].setdefault(colour, v)
            if other != v:
                twice[w].add(colour)
                if colours[w] >= 0:
                    ends[other].add(colours[w])
            if colours[w] in twice[v]:
                ends[w].add(colour)
    return np.asarray(colours, np.int64)


def read(rows: Any, columns: Any, colours: Any) -> tuple[Any, Any]:
    """Where the elements of a symmetric matrix are among the sums of its columns by colour.

    Args:
        rows, columns: where elements are.
        colours: a colour for each column, by `star` or `apart`.

    Returns:
        (colour, place) for each element: it is in that colour's sum at that place.
    """
    # An element that shares its row with another of its colour is read from the one opposite.
    key = rows * (int(colours.max(initial=0)) + 1) + colours[columns]
    _, inverse, times = np.unique(key, return_inverse=True, return_counts=True)
    shared = times[inverse] > 1
    return np.where(shared, colours[rows], colours[columns]), np.where(shared, columns, rows)


def _free(taken: Iterable[Iterable[int]]) -> int:
    """The least colour that is in none of the sets."""
    found = set().union(*taken)
    return next(c for c in range(len(found) + 1) if c not in found)
