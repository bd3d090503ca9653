"""Arrays on a CUDA device to and from other libraries: no copy, in the order of streams, owners kept."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.runtime import dlpack
from tests.backends.cuda.conftest import FakeCupy
from tests.backends.cuda.fake_driver import FakeDriver

COPIES = ("cuMemcpyHtoDAsync_v2", "cuMemcpyDtoHAsync_v2", "cuMemcpyDtoDAsync_v2", "cuLaunchKernel")


class Theirs:
    """Another library's array: memory of the device's, described as CuPy and Numba do."""

    def __init__(self, fake: FakeDriver, host: Any, device: int = 0, stream: int | None = None):
        base = host
        while base.base is not None:
            base = base.base
        lent = fake.devices[device].lend(base)
        self.pointer = lent + host.ctypes.data - base.ctypes.data
        self.host, self.device, self.stream = host, device, stream

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        row_major = self.host.flags.c_contiguous
        return {
            "shape": self.host.shape,
            "typestr": self.host.dtype.str,
            "data": (self.pointer, False),
            "strides": None if row_major else self.host.strides,
            "stream": self.stream,
            "version": 3,
        }


class Tensor(Theirs):
    """The same, that speaks DLPack, as PyTorch's."""

    asked: Any = None

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, self.device)

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None) -> Any:
        self.asked = stream
        x = self.host
        strides = tuple(s // x.itemsize for s in x.strides)
        where = self.pointer, (2, self.device), x.shape, strides
        return dlpack.give(*where, nr.dtypes.as_dtype(x.dtype), self, 0)


KINDS = [Theirs, Tensor]


def values() -> Any:
    return np.arange(24, dtype=np.float32).reshape(4, 6).copy()


def pointer(array: Any) -> int:
    return array._value.storage.pointer  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", KINDS)
def test_memory_is_taken_as_it_is(fake_cuda: FakeDriver, kind: Any) -> None:
    theirs = kind(fake_cuda, values())
    f = nr.jit(lambda x: 2 * x + 1)
    take = nr.from_dlpack if kind is Tensor else lambda x: nr.asarray(x, copy=False)
    before = len(fake_cuda.log)
    mine = take(theirs)
    assert mine.device == "cuda" and pointer(mine) == theirs.pointer
    assert not any(call[0] in COPIES for call in fake_cuda.log[before:])
    np.testing.assert_array_equal(mine.numpy(), theirs.host)
    np.testing.assert_array_equal(f(mine).numpy(), 2 * theirs.host + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_are_read_where_they_are(fake_cuda: FakeDriver, kind: Any) -> None:
    theirs = kind(fake_cuda, values())
    f = nr.jit(lambda x, y: 2 * x + y)
    for _ in range(3):  # the third call is the fast one
        fake_cuda.log.clear()
        got = f(theirs, theirs)
        assert got.device == "cuda"
        assert fake_cuda.count(*COPIES) == fake_cuda.count("cuLaunchKernel") == 1
        np.testing.assert_array_equal(got.numpy(), 3 * theirs.host)
        theirs.host += 1  # by its owner
    other = kind(fake_cuda, np.ones(5, np.float32))
    np.testing.assert_array_equal(f(other, other).numpy(), 3 * np.ones(5))
    mixed = f(theirs, np.float32(1))
    np.testing.assert_array_equal(mixed.numpy(), 2 * theirs.host + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_an_array_of_numrs_does_not_change_with_theirs(fake_cuda: FakeDriver, kind: Any) -> None:
    theirs = kind(fake_cuda, values())
    want = theirs.host.copy()
    mine, same = nr.asarray(theirs), nr.jit(lambda x: (x, x.T))
    results = [mine, *same(theirs), nr.sin(theirs)]
    results += same(theirs)
    for array in results:
        array.realize()
    fake_cuda.wait_for(0)
    theirs.host[:] = 0
    for array, w in zip(results, [want, want, want.T, np.sin(want), want, want.T], strict=True):
        np.testing.assert_allclose(array.numpy(), w, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.T,
        lambda x: x[::2],
        lambda x: x[:, 1:],
        lambda x: x[::-1, ::-1],
        lambda x: x.ravel()[1:],
        lambda x: x.ravel()[3::2],
        lambda x: x[1:, None, 2:3],
        lambda x: x[:0],
        lambda x: x[1:2, 2].reshape(()),
    ],
)
def test_any_strides_and_places(fake_cuda: FakeDriver, kind: Any, view: Any) -> None:
    host = view(values())
    theirs = kind(fake_cuda, host)
    for take in (nr.asarray, lambda x: nr.asarray(x, copy=False), nr.jit(lambda x: x + 0)):
        np.testing.assert_array_equal(take(theirs).numpy(), host)
    np.testing.assert_array_equal(
        nr.sum(theirs, axis=0).numpy() if host.ndim else 1, host.sum(0) if host.ndim else 1
    )


@pytest.mark.parametrize("dtype", [d.name for d in nr.dtypes.ALL if d.name != "bfloat16"])
def test_every_dtype(fake_cuda: FakeDriver, dtype: str) -> None:
    host = np.arange(6).astype(dtype)
    for kind in KINDS:
        mine = nr.asarray(kind(fake_cuda, host))
        assert mine.dtype == dtype
        np.testing.assert_array_equal(mine.numpy(), host)
    back = dlpack.Taken(mine.__dlpack__(max_version=(1, 0)))
    assert back.dtype is mine.dtype and back.pointer == pointer(mine)
    assert mine.__cuda_array_interface__["typestr"] == host.dtype.str


@pytest.mark.parametrize("kind", KINDS)
def test_owners_live_as_long_as_arrays_do(fake_cuda: FakeDriver, kind: Any) -> None:
    theirs = kind(fake_cuda, values())
    alive = weakref.ref(theirs)
    mine = nr.asarray(theirs, copy=False)
    del theirs
    gc.collect()
    assert alive() is not None
    later = mine * 2
    del mine
    gc.collect()
    np.testing.assert_array_equal(later.numpy(), 2 * values())
    del later
    gc.collect()
    assert alive() is None and fake_cuda.devices[0].live == 0


def test_their_devices(fake_cuda: FakeDriver) -> None:
    for kind in KINDS:
        first, second = (kind(fake_cuda, values(), device=k) for k in (0, 1))
        assert nr.asarray(second).device == "cuda:1"
        f = nr.jit(lambda x, y: x + y)
        assert f(second, 1.0).device == "cuda:1" and f(first, 1.0).device == "cuda"
        np.testing.assert_array_equal(f(second, 1.0).numpy(), values() + 1)
        with pytest.raises(nr.errors.DeviceError, match=r"on cuda, .* on cuda:1"):
            f(first, second)
        with pytest.raises(nr.errors.DeviceError, match=r"jit\(.*\) runs on cuda, .* on cuda:1"):
            nr.jit(lambda x: x, device="cuda")(second)


# -- out ---------------------------------------------------------------------------------------------


def test_memory_is_given_as_it_is(fake_cuda: FakeDriver) -> None:
    mine = nr.asarray(values(), device="cuda")
    assert mine.__dlpack_device__() == (2, 0)
    taken = dlpack.Taken(mine.__dlpack__(max_version=(1, 1)))
    assert (taken.pointer, taken.shape, taken.strides) == (pointer(mine), (4, 6), (6, 1))
    assert taken.read_only and taken.device == (2, 0)
    described = mine.__cuda_array_interface__
    assert described["data"] == (pointer(mine), True) and described["version"] == 3
    assert described["strides"] is None and described["stream"] == 1
    assert nr.zeros(0, device="cuda").__cuda_array_interface__["data"][0] == 0
    assert nr.asarray(1.0, device="cuda:1").__dlpack_device__() == (2, 1)
    for other in (nr.asarray(1.0), nr.zeros(3)):
        assert not hasattr(other, "__cuda_array_interface__")


def test_memory_that_was_given_stays(fake_cuda: FakeDriver) -> None:
    taken = dlpack.Taken(nr.asarray(values(), device="cuda").__dlpack__(max_version=(1, 0)))
    gc.collect()
    assert fake_cuda.devices[0].live == 1
    del taken
    gc.collect()
    assert fake_cuda.devices[0].live == 0


def test_who_cannot_be_told_that_memory_is_read_only_gets_a_copy(fake_cuda: FakeDriver) -> None:
    mine = nr.asarray(values(), device="cuda")
    for kwargs in ({}, {"copy": True, "max_version": (1, 0)}):
        taken = dlpack.Taken(mine.__dlpack__(**kwargs))
        assert taken.pointer != pointer(mine) and not taken.read_only
        fake_cuda.wait_for(0)
        there = fake_cuda.devices[0].bytes_at(taken.pointer, 96)
        np.testing.assert_array_equal(there.view(np.float32).reshape(4, 6), values())
    with pytest.raises(BufferError, match=r"read-only, which DLPack before 1\.0 cannot say"):
        mine.__dlpack__(copy=False)
    host = np.from_dlpack(_OnHost(mine))
    np.testing.assert_array_equal(host, values())
    with pytest.raises(BufferError, match="cuda cannot be on another device uncopied"):
        mine.__dlpack__(dl_device=(1, 0), copy=False, max_version=(1, 0))


class _OnHost:
    """Asks for an array in the host's memory."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self.array.__dlpack__(dl_device=(1, 0), max_version=kwargs.get("max_version"))


# -- streams -----------------------------------------------------------------------------------------


def test_they_wait_for_what_was_started(fake_cuda: FakeDriver, fake_cupy: FakeCupy) -> None:
    consumer = fake_cupy.stream(blocking=False)
    f = nr.jit(lambda x: 2 * x)
    x = nr.asarray(values(), device="cuda")
    fake_cuda.wait_for(0)
    fake_cupy.current = fake_cupy.stream(blocking=False)
    for _ in range(2):
        y = f(x)
        taken = dlpack.Taken(y.__dlpack__(stream=consumer.ptr, max_version=(1, 0)))
        fake_cuda.wait_for(consumer.ptr)
        there = fake_cuda.devices[0].bytes_at(taken.pointer, 96).view(np.float32)
        np.testing.assert_array_equal(there.reshape(4, 6), 2 * values())
    events = fake_cuda.count("cuStreamWaitEvent")
    y.__dlpack__(stream=-1, max_version=(1, 0))
    y.__dlpack__(stream=fake_cupy.current.ptr, max_version=(1, 0))
    assert fake_cuda.count("cuStreamWaitEvent") == events
    assert y.__cuda_array_interface__["stream"] == fake_cupy.current.ptr


def test_numr_waits_for_what_they_started(fake_cuda: FakeDriver, fake_cupy: FakeCupy) -> None:
    producer = fake_cupy.stream(blocking=False)
    host = values()
    source = host + 1
    lent = fake_cuda.devices[0]
    theirs = Theirs(fake_cuda, host, stream=producer.ptr)
    f = nr.jit(lambda x: 2 * x)
    work = lent.streams[producer.ptr]
    work.give(lambda: np.copyto(host, source))
    np.testing.assert_array_equal(f(theirs).numpy(), 2 * source)
    tensor = Tensor(fake_cuda, values())
    f(tensor)
    assert tensor.asked == 1  # DLPack's name of the default stream
    fake_cupy.current = fake_cupy.stream()
    f(tensor)
    assert tensor.asked == fake_cupy.current.ptr
