"""Random numbers from keys: a counter-based generator, so that the same key gives the same numbers.

There is no hidden state. A key is made from a seed, and `split` makes new ones of it; a function that
draws takes a key, and drawing twice from one key gives the same numbers twice. The generator is
Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3;
2011): additions, rotations and exclusive ors of 32-bit words, an own counter for every element. So
numbers are made inside the kernels that use them, in parallel, and are the same on every device.

>>> import numr as nr
>>> key, other = nr.random.split(nr.random.key(0))
>>> nr.random.uniform(key, (2, 3)).shape
(2, 3)
"""

from __future__ import annotations

import math
from typing import Any

from numr.array import Array, from_node, to_array
from numr.dtypes import DType, as_dtype, float32, float64, int64, uint32
from numr.errors import DTypeError, ShapeError
from numr.functions import all as F
from numr.functions.creation import as_shape
from numr.functions.operands import aligned, default_float, node_of, plain
from numr.primitives.random import threefry

_WORD = 0xFFFFFFFF
_MARK = 0x80000000  # the counters of a second block for the same element


def threefry2x32(key: Any, x0: Any, x1: Any, /) -> tuple[Array, Array]:
    """The generator itself: two words of 32 bits from a key of two and a counter of two.

    Args:
        key: array of two uint32.
        x0: array of uint32, the first words of the counters.
        x1: array of uint32, the second words; of a shape that broadcasts with x0's.

    Returns:
        Two arrays of uint32, of the broadcast shape.

    Raises:
        DTypeError: for a key that is not of uint32.
        ShapeError: for a key of another shape.

    Examples:
        >>> import numr as nr
        >>> zero = nr.asarray(0, nr.uint32)
        >>> [hex(w.item()) for w in nr.random.threefry2x32(nr.random.key(0), zero, zero)]
        ['0x6b200159', '0x99ba4efe']
    """
    key = _checked("threefry2x32", key)
    words = [key[0].node, key[1].node, *(node_of(F.astype(x, uint32)) for x in (x0, x1))]
    nodes = aligned("threefry2x32", words, ("key", "key", "x0", "x1"))
    return from_node(threefry(*nodes, word=0)), from_node(threefry(*nodes, word=1))


def _checked(name: str, key: Any) -> Array:
    array = to_array(key)
    if array.dtype is not uint32:
        raise DTypeError(f"{name}: key is two uint32 from numr.random.key, not {array.dtype}")
    if plain(array.shape) != (2,):
        raise ShapeError(
            f"{name}: key has shape (2,), not {plain(array.shape)}; nr.vmap draws from several keys"
        )
    return array


def key(seed: Any, /) -> Array:
    """A key from a seed.

    Args:
        seed: a whole number, of which 64 bits count; or an array of one, which may be traced.

    Returns:
        Vector of two uint32.

    Raises:
        DTypeError: for a seed that is no integer.
        ShapeError: for an array with axes.

    Examples:
        >>> import numr as nr
        >>> nr.random.key(7)
        numr.Array([0, 7], dtype=uint32)
    """
    if isinstance(seed, int):
        return F.asarray([seed >> 32 & _WORD, seed & _WORD], uint32)
    array = to_array(seed)
    if array.dtype.kind not in "iu":
        raise DTypeError(f"key: seed is an integer, not {array.dtype}")
    if array.ndim:
        raise ShapeError(f"key: seed is one number, not an array of shape {plain(array.shape)}")
    high = F.bitwise_right_shift(F.astype(array, int64), 32) if array.dtype.itemsize == 8 else 0
    return F.stack([F.astype(F.asarray(high), uint32), F.astype(array, uint32)])


def _blocks(name: str, key: Any, shape: tuple[int, ...], mark: int = 0) -> tuple[Array, Array]:
    """Two words for each element of a shape, numbered in row-major order."""
    total = math.prod(shape)
    place = F.reshape(F.arange(total), shape)
    high: Any = F.asarray(mark, uint32)
    if total > _WORD:
        high = F.add(high, F.astype(F.bitwise_right_shift(place, 32), uint32))
    return threefry2x32(_checked(name, key), high, F.astype(place, uint32))


def split(key: Any, num: int = 2, /) -> Array:
    """New keys from a key, to be used in its place.

    Args:
        key: vector of two uint32, from `key` or a row of what `split` returns.
        num: how many.

    Returns:
        Array of uint32, of shape (num, 2): unpack it into keys, or map over it with `vmap`.

    Raises:
        DTypeError: for a key that is not of uint32.
        ShapeError: for a key of another shape.

    Examples:
        >>> import numr as nr
        >>> first, second = nr.random.split(nr.random.key(0))
        >>> first.shape
        (2,)
    """
    return F.stack(_blocks("split", key, as_shape(num)), axis=-1)


def fold_in(key: Any, data: Any, /) -> Array:
    """A new key from a key and a number, such as that of a step.

    Args:
        key: vector of two uint32.
        data: a whole number, or an array of one, which may be traced.

    Returns:
        Vector of two uint32.

    Raises:
        DTypeError: for a key that is not of uint32, or data that is no integer.
        ShapeError: for a key of another shape, or data with axes.

    Examples:
        >>> import numr as nr
        >>> nr.random.fold_in(nr.random.key(0), 3).shape
        (2,)
    """
    words = globals()["key"](data)
    return F.stack(threefry2x32(key, words[0], words[1]))


def bits(key: Any, shape: Any = (), /) -> Array:
    """Random words of 32 bits.

    Args:
        key: vector of two uint32.
        shape: shape of the result.

    Returns:
        Array of uint32.

    Raises:
        DTypeError: for a key that is not of uint32.
        ShapeError: for a key of another shape.

    Examples:
        >>> import numr as nr
        >>> nr.random.bits(nr.random.key(0), (3,)).dtype
        numr.uint32
    """
    return F.bitwise_xor(*_blocks("bits", key, as_shape(shape)))


def _floating(name: str, dtype: Any) -> DType:
    found = default_float() if dtype is None else as_dtype(dtype)
    if found.kind != "f":
        raise DTypeError(f"{name}: dtype is a floating one, not {found}")
    return found


def _fraction(high: Array, low: Array, dtype: DType) -> Array:
    """A number from 0 to below 1 with as many bits as a significand has."""
    if dtype is float64:
        top = F.astype(F.bitwise_right_shift(high, 5), float64) * 2.0**26
        return (top + F.astype(F.bitwise_right_shift(low, 6), float64)) * 2.0**-53
    kept = {2: 11 if dtype is as_dtype("float16") else 8}.get(dtype.itemsize, 24)
    mixed = F.bitwise_right_shift(F.bitwise_xor(high, low), 32 - kept)
    return F.astype(F.astype(mixed, float32) * 2.0**-kept, dtype)


def uniform(
    key: Any, shape: Any = (), /, dtype: Any = None, *, low: Any = 0.0, high: Any = 1.0
) -> Array:
    """Random numbers, equally likely everywhere from `low` to below `high`.

    Args:
        key: vector of two uint32.
        shape: shape of the result.
        dtype: element type, by default float64.
        low: the least number; derivatives go through both ends.
        high: the end of the range, which rounding may reach where `low` is not 0.

    Returns:
        Array of the dtype.

    Raises:
        DTypeError: for a key that is not of uint32, or a dtype that is not floating.
        ShapeError: for a key of another shape.

    Examples:
        >>> import numr as nr
        >>> x = nr.random.uniform(nr.random.key(0), (1000,))
        >>> bool(nr.all((x >= 0) & (x < 1)))
        True
    """
    found = _floating("uniform", dtype)
    share = _fraction(*_blocks("uniform", key, as_shape(shape)), found)
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and (low, high) == (0, 1):
        return share
    return share * (high - low) + low


def normal(key: Any, shape: Any = (), /, dtype: Any = None) -> Array:
    """Random numbers of the standard normal distribution, by the method of Box and Muller.

    Args:
        key: vector of two uint32.
        shape: shape of the result.
        dtype: element type, by default float64.

    Returns:
        Array of the dtype. Numbers of 32 bits and fewer go up to 6.7, those of 64 bits up to 8.6.

    Raises:
        DTypeError: for a key that is not of uint32, or a dtype that is not floating.
        ShapeError: for a key of another shape.

    Examples:
        >>> import numr as nr
        >>> x = nr.random.normal(nr.random.key(0), (10_000,))
        >>> abs(nr.mean(x).item()) < 0.05, abs(nr.std(x).item() - 1) < 0.05
        (True, True)
    """
    found = _floating("normal", dtype)
    lengths = as_shape(shape)
    high, low = _blocks("normal", key, lengths)
    if found is float64:
        radius = _fraction(high, low, float64) + 2.0**-54
        turn = _fraction(*_blocks("normal", key, lengths, _MARK), float64)
    else:
        radius = (F.astype(high, float32) + 0.5) * 2.0**-32
        turn = F.astype(F.bitwise_right_shift(low, 8), float32) * 2.0**-24
    out = F.sqrt(F.log(radius) * -2.0) * F.cos(turn * (2 * math.pi))
    return F.astype(out, found)


def bernoulli(key: Any, p: Any = 0.5, /, shape: Any = None) -> Array:
    """Random booleans, True with probability p.

    Args:
        key: vector of two uint32.
        p: the probability, a number or an array.
        shape: shape of the result, with which p broadcasts; by default that of p.

    Returns:
        Array of booleans.

    Raises:
        DTypeError: for a key that is not of uint32, or a p that is not real.
        ShapeError: for a key of another shape, or a p that does not broadcast with `shape`.

    Examples:
        >>> import numr as nr
        >>> nr.random.bernoulli(nr.random.key(0), nr.asarray([0.0, 1.0]))
        numr.Array([False,  True])
    """
    chance = p if isinstance(p, (int, float)) else to_array(p)
    if isinstance(chance, Array) and chance.dtype.kind == "c":
        raise DTypeError(f"bernoulli: p is a real number, not {chance.dtype}")
    own = chance.shape if isinstance(chance, Array) else ()
    lengths = tuple(own) if shape is None else as_shape(shape)
    wide = isinstance(chance, Array) and chance.dtype is float64
    draw = uniform(key, lengths, float64 if wide else float32)
    return F.less(draw, F.broadcast_to(chance, lengths) if own else chance)


__all__ = ["bernoulli", "bits", "fold_in", "key", "normal", "split", "threefry2x32", "uniform"]
