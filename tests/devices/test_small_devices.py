"""Devices that lack something: 64-bit numbers, bindings, a library. What they can do, and the errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr import dtypes
from numr.codegen.backends.cpu.backend import BACKEND as CPU
from numr.codegen.expansions import EXPANSIONS
from numr.dtypes import int32
from numr.errors import DeviceError, DTypeError
from tests.devices.device import registered

SHORT = frozenset(d for d in dtypes.ALL if d.bits < 64 or d.name == "complex64")
X = np.random.default_rng(0).normal(size=(3, 40)).astype(np.float32)

# Integers that are only positions, in functions of float32.
POSITIONS: dict[str, Callable[..., Any]] = {
    "tril": nr.tril,
    "eye": lambda x: x * nr.eye(3, 40, dtype=nr.float32),
    "indices": lambda x: x[nr.arange(2) + 1, 2 * nr.arange(2)],
    "a window": lambda x: x[:, nr.arange(30)[:, None] + nr.arange(4)],
    "from the end": lambda x: x[:, nr.arange(4) - 3],
    "where": lambda x: nr.where(nr.arange(40) % 3 > 1, x, 0),
    "argmax": lambda x: nr.argmax(x, axis=1).astype(nr.float32),
    "argmin of all": lambda x: nr.argmin(x).astype(nr.int32),
    "searchsorted": lambda x: nr.searchsorted(x[0, :9], x).astype(nr.int32),
    "searchsorted as an index": lambda x: nr.take(x[1], nr.searchsorted(x[0, :9], x[2])),
    "the gradient of a window": nr.grad(lambda x: nr.sum(x[:, nr.arange(9) + 3] ** 2)),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_positions_need_no_64_bit_integers(name: str) -> None:
    f = POSITIONS[name]
    with registered(dtypes=SHORT, index=int32, lanes=8) as device:
        got = nr.jit(f, device=device.name)(X)
        np.testing.assert_allclose(got.numpy(), nr.jit(f)(X).numpy(), rtol=1e-6)


def test_numbers_of_64_bits_are_refused_by_name() -> None:
    with registered(dtypes=SHORT, index=int32) as device:

        def counts(x: Any) -> Any:
            return nr.arange(5) * 3_000_000_000 + nr.sum(x).astype(nr.int64)

        with pytest.raises(DTypeError) as caught:
            nr.jit(counts, device=device.name)(X)
        assert f'device "{device.name}" has no int64' in str(caught.value)
        assert "nr.sum(x).astype(nr.int64)" in str(caught.value), "the user's line"
        with pytest.raises(DTypeError, match="has no float64"):
            nr.jit(lambda x: x + 1, device=device.name)(np.ones(3))
        assert not device.launched


def test_a_range_that_does_not_fit_stays_wide() -> None:
    """Positions times a number that takes them out of 32 bits."""
    with registered(index=int32) as device:
        got = nr.jit(lambda x: x + nr.arange(40) * 100_000_000, device=device.name)(X.astype(float))
        np.testing.assert_array_equal(got.numpy(), X + np.arange(40) * 100_000_000)
        assert "i64" in device.launched[0].text()


def test_comparisons_that_lengths_decide_are_gone() -> None:
    """Whether an index is negative is not asked where it cannot be."""
    f = nr.jit(lambda x: x[:, nr.arange(30) + 1])
    assert "lt" not in str(f.lower(X).kernels[0].ir)
    f = nr.jit(lambda x: x[:, nr.arange(30) - 1])
    assert "lt" in str(f.lower(X).kernels[0].ir)
    np.testing.assert_array_equal(f(X).numpy(), X[:, np.arange(30) - 1])


@pytest.mark.parametrize("most", [3, 4, 8])
def test_kernels_take_as_many_buffers_as_the_device_binds(most: int) -> None:
    arrays = [X + k for k in range(12)]

    def everything(*xs: Any) -> Any:
        total = xs[0]
        for k, x in enumerate(xs[1:]):
            total = nr.sin(total) / (k + 1) + x
        return total, nr.sum(total, axis=1)

    with registered(max_buffers=most, index=int32) as device:
        got = nr.jit(everything, device=device.name)(*arrays)
        assert max(len(k.buffers) for k in device.launched) <= most
        for a, b in zip(got, nr.jit(everything)(*arrays), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("most", [3, 8])
def test_more_arrays_are_joined_than_a_kernel_binds(most: int) -> None:
    arrays = [X[:, : k + 1] for k in range(20)]
    with registered(max_buffers=most, index=int32) as device:
        got = nr.jit(lambda *xs: nr.concat(xs, axis=1) + 1, device=device.name)(*arrays)
        assert max(len(k.buffers) for k in device.launched) <= most
        np.testing.assert_array_equal(got.numpy(), np.concatenate(arrays, axis=1) + 1)
        got = nr.jit(lambda *xs: nr.stack(xs), device=device.name)(*[X + k for k in range(20)])
        assert max(len(k.buffers) for k in device.launched) <= most
        np.testing.assert_array_equal(got.numpy(), np.stack([X + k for k in range(20)]))


def test_a_gap_is_an_error_before_anything_runs() -> None:
    with registered(gaps={"erf": "its arithmetic is too coarse"}) as device:
        with pytest.raises(DeviceError) as caught:
            nr.jit(lambda x: nr.special.erf(x + 1), device=device.name)(X)
        message = str(caught.value)
        assert "erf" in message and "its arithmetic is too coarse" in message
        assert "nr.special.erf(x + 1)" in message
        assert not device.launched


def test_a_library_call_without_kernels_is_an_error_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(EXPANSIONS, "sort")
    with registered() as device:
        with pytest.raises(DeviceError, match="cannot run sort: there are no kernels for it"):
            nr.jit(lambda x: nr.sort(nr.sin(x)), device=device.name)(X)
        assert not device.launched


def test_every_library_call_of_the_cpu_has_kernels() -> None:
    assert set(CPU.library) == set(EXPANSIONS)


def test_loops_that_a_driver_would_break_off_are_an_error() -> None:
    with registered(trips=20) as device:
        with pytest.raises(DeviceError, match="breaks loops off after 20 rounds"):
            nr.jit(lambda x: nr.sum(x, axis=1), device=device.name)(X)
        got = nr.jit(lambda x: nr.sum(x, axis=0), device=device.name)(X)
        np.testing.assert_allclose(got.numpy(), X.sum(0), rtol=1e-6)


@pytest.mark.parametrize("n", [19, 20, 21, 45])
def test_updates_come_in_pieces_that_a_driver_lets_pass(n: int) -> None:
    """In order, so that the last of several to one place wins."""
    rng = np.random.default_rng(n)
    places, values = rng.integers(0, 9, n), rng.normal(size=(n, 3))

    def f(places: Any, values: Any) -> Any:
        rows = nr.zeros((9, 3)).at[places]
        return rows.add(values), rows.set(values), nr.zeros(9).at[places].max(values[:, 0])

    with registered(trips=20, index=int32, lanes=4) as device:
        got = [r.numpy() for r in nr.jit(f, device=device.name)(places, values)]
        assert len(device.launched) >= 2 * -(-3 * n // 20) + -(-n // 20)
    for a, b in zip(got, nr.jit(f)(places, values), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-12)
