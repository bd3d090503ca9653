"""Arrays in the memory of a device: a shape and strides over a buffer that the host cannot see into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from numr import devices
from numr.runtime.generated import define


class DeviceArray:
    """An array in the memory of a device: a shape and strides, in elements, over a buffer.

    Each kind of device has its own subclass, whose `device` is the device's name.
    """

    __slots__ = ("dtype", "shape", "storage", "strides")

    device: str

    def __init__(
        self,
        storage: Any,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        strides: tuple[int, ...] | None = None,
    ) -> None:
        self.storage = storage
        self.shape = shape
        self.dtype = dtype
        self.strides = strides  # None if row-major

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        count = 1
        for n in self.shape:
            count *= n
        return count

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def is_contiguous(self) -> bool:
        return self.strides is None or self.strides == row_major(self.shape)

    def element_strides(self) -> tuple[int, ...]:
        """How many elements further the next along each axis is."""
        return row_major(self.shape) if self.strides is None else self.strides

    @property
    def is_borrowed(self) -> bool:
        """Whether the memory is another library's, who may write to it."""
        return getattr(self.storage, "owner", None) is not None

    def reshape(self, shape: tuple[int, ...]) -> Self:
        """The same elements in another shape: a view, or a copy of what is not row-major."""
        if not self.is_contiguous:
            return devices.copy(self).reshape(shape)  # type: ignore[no-any-return]
        return self._view(shape, None)

    def _view(self, shape: tuple[int, ...], strides: tuple[int, ...] | None) -> Self:
        """The same memory under another shape and strides."""
        return type(self)(self.storage, shape, self.dtype, strides)

    def transpose(self, order: Sequence[int]) -> Self:
        strides = self.element_strides()
        shape = tuple(self.shape[i] for i in order)
        return self._view(shape, tuple(strides[i] for i in order))

    def spread(self, shape: tuple[int, ...], axes: Sequence[int]) -> Self:
        """A view in a larger shape: axis i of this is its axis `axes[i]`, the others repeat it."""
        strides = [0] * len(shape)
        for stride, axis, n in zip(self.element_strides(), axes, self.shape, strict=True):
            strides[axis] = 0 if n == 1 else stride
        return self._view(shape, tuple(strides))


def guard(
    kind: type[DeviceArray],
    specs: Sequence[tuple[np.dtype[Any], tuple[int, ...]]],
    device: Any = None,
) -> Callable[..., bool]:
    """A check that arguments are row-major arrays of a kind, of these dtypes and shapes, in one expression;
    and of one device, where there may be several."""
    tests = [
        f"type(a{k}) is kind and a{k}.strides is None and a{k}.shape == {shape}"
        f" and a{k}.dtype is d{k}"
        f"{'' if device is None else f' and a{k}.storage.device is device'}"
        for k, (_, shape) in enumerate(specs)
    ]
    names = ", ".join(f"a{k}" for k in range(len(specs)))
    space = {"kind": kind, "device": device} | {
        f"d{k}": dtype for k, (dtype, _) in enumerate(specs)
    }
    lines = [f"def accepts({names}): return {' and '.join(tests) or True}"]
    return define("accepts", lines, space)  # type: ignore[no-any-return]


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a row-major array, in elements."""
    strides: list[int] = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))
