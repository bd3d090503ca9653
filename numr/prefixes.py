"""associative_scan: all prefixes of rows at once, by halving."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numr import messages, tree
from numr.array import Array, to_array
from numr.control import function_name
from numr.errors import ShapeError
from numr.functions import all as functions
from numr.ir.symbolic import Symbolic

__all__ = ["associative_scan"]


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All prefixes of rows under an associative operation, in about 2 log2(n) parallel steps.

    Row t of the result is fn(... fn(fn(row 0, row 1), row 2) ..., row t).

    Args:
        fn: an associative function (a, b) -> c of rows, which it is given many of at once: it must work
            on arrays with any number of rows along `axis`.
        elems: arrays (any pytree) with the same length along `axis`.
        reverse: whether to begin at the last row.
        axis: the axis of the rows.

    Returns:
        Arrays like `elems`.

    Examples:
        >>> import numr as nr
        >>> nr.associative_scan(nr.multiply, nr.arange(1.0, 6.0)).tolist()
        [1.0, 2.0, 6.0, 24.0, 120.0]
    """
    function_name("associative_scan", fn)
    leaves, structure = tree.flatten(elems)
    arrays = [functions.moveaxis(to_array(x), axis, 0) for x in leaves]
    lengths = {int(a.shape[0]) for a in arrays}
    if len(lengths) > 1:
        raise ShapeError(
            f"numr.associative_scan: arrays of different lengths along axis {axis}: "
            f"{', '.join(str(n) for n in sorted(lengths))}"
        )
    for a in arrays:
        if isinstance(a.shape[0], Symbolic):
            raise messages.size_decided(
                f"how many passes associative_scan makes over {a.shape[0]} rows"
            )
    if reverse:
        arrays = [functions.flip(a, axis=0) for a in arrays]

    def combine(first: list[Array], second: list[Array]) -> list[Array]:
        sides = [
            structure.unflatten([functions.moveaxis(a, 0, axis) for a in side])
            for side in (first, second)
        ]
        return [functions.moveaxis(to_array(x), axis, 0) for x in tree.leaves(fn(*sides))]

    def prefixes(rows: list[Array]) -> list[Array]:
        n = int(rows[0].shape[0])
        if n < 2:
            return rows
        pairs = combine([a[0 : n - 1 : 2] for a in rows], [a[1::2] for a in rows])
        odd = prefixes(pairs)
        tail = [a[2::2] for a in rows]
        before = odd if n % 2 else [a[:-1] for a in odd]
        even = combine(before, tail) if n > 2 else tail
        even = [functions.concat([a[:1], b], axis=0) for a, b in zip(rows, even, strict=True)]
        return [_interleaved(a, b, n) for a, b in zip(even, odd, strict=True)]

    found = prefixes(arrays) if arrays else arrays
    if reverse:
        found = [functions.flip(a, axis=0) for a in found]
    return structure.unflatten([functions.moveaxis(a, 0, axis) for a in found])


def _interleaved(even: Array, odd: Array, n: int) -> Array:
    """Rows by turns, n in all."""
    if n % 2:
        odd = functions.concat([odd, even[:1]], axis=0)  # its last row is cut off
    both = functions.stack([even, odd], axis=1)
    return functions.reshape(both, (2 * int(even.shape[0]), *even.shape[1:]))[:n]
