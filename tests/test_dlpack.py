"""DLPack capsules against other implementations of them: NumPy's, and NVIDIA's of arrays on a device."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from cuda.core.utils import StridedMemoryView

import numr as nr
from numr.dtypes import ALL, as_dtype
from numr.runtime import dlpack
from numr.runtime.device_array import row_major


class Lender:
    """Host memory that says it is on a device."""

    def __init__(self, array: Any, device: tuple[int, int], flags: int | None = 0) -> None:
        self.array, self.device, self.flags = array, device, flags

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, **_: Any) -> Any:
        a = self.array
        strides = tuple(s // a.itemsize for s in a.strides)
        place = a.ctypes.data, self.device, a.shape, strides
        return dlpack.give(*place, as_dtype(a.dtype), a, self.flags)


@pytest.mark.parametrize("dtype", [d.name for d in ALL])
@pytest.mark.parametrize("flags", [None, 0, dlpack.READ_ONLY])
def test_numpy_reads_what_is_given(dtype: str, flags: int | None) -> None:
    x = np.arange(12).astype(dtype).reshape(3, 4)
    for view in (x, x.T, x[::2, 1:], x[:, ::-1], x[0], x[1, 2], x[:0]):
        got = np.from_dlpack(Lender(np.asarray(view), (1, 0), flags))
        np.testing.assert_array_equal(got, view)
        assert got.dtype == x.dtype and got.shape == np.shape(view)
        if flags is not None and np.lib.NumpyVersion(np.__version__) >= "2.1.0":
            assert got.flags.writeable == (flags == 0)


@pytest.mark.parametrize("dtype", ["float32", "int8", "complex128", "bool", "float16", "uint64"])
def test_nvidias_library_reads_what_is_given(dtype: str) -> None:
    x = np.arange(12).astype(dtype).reshape(3, 4)
    for view in (x, x.T, x[::2, 1:]):
        for flags in (None, dlpack.READ_ONLY):
            got = StridedMemoryView.from_dlpack(Lender(view, (2, 3), flags), stream_ptr=-1)
            assert (got.ptr, got.device_id, got.shape) == (view.ctypes.data, 3, view.shape)
            strides = got.strides or row_major(got.shape)
            assert strides == tuple(s // x.itemsize for s in view.strides)
            assert got.dtype == x.dtype and got.is_device_accessible
            if flags is not None:
                assert got.readonly


@pytest.mark.parametrize("version", [None, (1, 0)])
@pytest.mark.parametrize("dtype", ["float32", "int8", "complex128", "bool", "float16", "uint64"])
def test_what_numpy_gives_is_taken(dtype: str, version: Any) -> None:
    x = np.arange(12).astype(dtype).reshape(3, 4)
    for view in (x, x.T, x[::2, 1:], x[:, ::-1], x[1, :2]):
        taken = dlpack.Taken(view.__dlpack__(max_version=version))
        assert (taken.pointer, taken.device, taken.shape) == (view.ctypes.data, (1, 0), view.shape)
        strides = taken.strides or row_major(taken.shape)
        assert strides == tuple(s // x.itemsize for s in view.strides)
        assert taken.dtype.dtype == x.dtype and not taken.read_only
    x.flags.writeable = False
    if version is not None:
        assert dlpack.Taken(x.__dlpack__(max_version=version)).read_only


def test_bfloat16_goes_around() -> None:
    x = np.arange(5).astype(ml_dtypes.bfloat16)
    taken = dlpack.Taken(Lender(x, (2, 0)).__dlpack__())
    assert taken.dtype.name == "bfloat16" and taken.shape == (5,)


class Owner:
    """What memory belongs to, that can be seen to end."""


@pytest.mark.parametrize("flags", [None, 0])
def test_memory_lives_as_long_as_it_is_used(flags: int | None) -> None:
    x = np.arange(4.0)

    def given() -> tuple[Any, weakref.ref[Owner]]:
        owner = Owner()
        place = x.ctypes.data, (1, 0), x.shape, (1,)
        return dlpack.give(*place, nr.float64, owner, flags), weakref.ref(owner)

    capsule, alive = given()
    assert alive() is not None
    del capsule  # nobody took it
    assert alive() is None and not dlpack._given

    capsule, alive = given()
    taken = dlpack.Taken(capsule)
    del capsule
    assert alive() is not None
    del taken
    gc.collect()
    assert alive() is None and not dlpack._given


def test_a_capsule_is_used_once() -> None:
    capsule = np.arange(3.0).__dlpack__()
    assert dlpack.Taken(capsule).shape == (3,)
    with pytest.raises(BufferError, match="not a DLPack capsule, or one that was used before"):
        dlpack.Taken(capsule)
    with pytest.raises(BufferError, match="not a DLPack capsule"):
        dlpack.Taken(object())


def test_a_newer_version_is_refused() -> None:
    capsule = Lender(np.arange(3.0), (1, 0)).__dlpack__()
    (managed,) = [m for m, *_ in dlpack._given.values()]
    managed.major = 2
    with pytest.raises(BufferError, match=r"DLPack 2\.0 is newer than numr knows"):
        dlpack.Taken(capsule)
    managed.major, managed.tensor.dtype.lanes = 1, 4
    with pytest.raises(BufferError, match=r"no dtype like that .*\(code 2, 64 bits, 4 lanes\)"):
        dlpack.Taken(capsule)


def test_arrays_on_devices_that_numr_has_not() -> None:
    for f in (nr.asarray, nr.from_dlpack, nr.sin, nr.jit(nr.sin)):
        with pytest.raises(
            nr.errors.DeviceError, match=r"this Lender is on a device .* \(10 in DLPack's"
        ):
            f(Lender(np.arange(3.0), (10, 0)))


def test_only_what_has_dlpack_is_taken_from_it() -> None:
    with pytest.raises(TypeError, match="from_dlpack takes an array with __dlpack__, not list"):
        nr.from_dlpack([1.0])
