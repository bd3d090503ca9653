"""Arrays know where they are; nothing moves by itself; computations run where their arrays are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.dtypes import int32
from numr.errors import DeviceError
from tests.devices.device import Device, registered

ONES = np.ones(3)


@pytest.fixture
def device() -> Iterator[Device]:
    with registered(lanes=4, index=int32) as made:
        try:
            yield made
        finally:
            nr.set_default_device("cpu")


def test_results_are_where_the_operands_are(device: Device) -> None:
    x = nr.asarray(ONES, device=device.name)
    results: dict[str, Any] = {
        "a number": x + 1,
        "a NumPy array": x + ONES,
        "an array that is only recorded": nr.ones(3) + x,
        "a reduction": nr.sum(x),
        "a gradient": nr.grad(lambda x: nr.sum(x * x))(x),
        "a hessian": nr.hessian(lambda x: nr.sum(x**3))(x),
        "a batch": nr.vmap(lambda row: row * 2)(nr.reshape(x, (3, 1))),
        "jit": nr.jit(lambda x, y: x + y)(x, 2.0),
        "jit beside NumPy": nr.jit(lambda x, y: x + y)(x, ONES),
    }
    for what, result in results.items():
        assert result.device == device.name, what
    x[1] = 5
    assert x.device == device.name
    assert x.tolist() == [1.0, 5.0, 1.0]


def test_moving(device: Device) -> None:
    x = nr.asarray(ONES, device=device.name)
    assert x.to_device(device.name) is x
    back = x.to_device("cpu")
    assert (back.device, x.device) == ("cpu", device.name)
    np.testing.assert_array_equal(back.numpy(), ONES)
    assert back.to_device(device.name).device == device.name


def test_an_equal_array_is_not_moved_along(device: Device) -> None:
    here, moved = nr.asarray(1.0), nr.asarray(1.0).to_device(device.name)
    assert (here.device, moved.device, nr.asarray(1.0).device) == ("cpu", device.name, "cpu")
    assert (here + np.zeros(2)).device == "cpu" and (moved + np.zeros(2)).device == device.name


def test_reading_is_all_that_fetches(device: Device) -> None:
    x = nr.asarray(ONES, device=device.name)
    y = nr.jit(lambda x: nr.sin(x) * 2)(x)
    z = nr.jit(lambda y: y + 1)(y)
    assert device.downloads == 0
    assert float(z[0]) == pytest.approx(2 * np.sin(1) + 1)
    assert device.downloads == 1


def test_the_default_device(device: Device) -> None:
    nr.set_default_device(device.name)
    assert nr.get_default_device() == device.name
    for x in (nr.ones(3), nr.asarray([1.0, 2.0]), nr.asarray(ONES), nr.arange(3) * 2):
        assert x.device == device.name
    assert nr.jit(lambda: nr.arange(3))().device == device.name
    assert nr.jit(lambda x: x + 1)(ONES).device == device.name
    nr.set_default_device("cpu")
    assert nr.jit(lambda x: x + 1)(ONES).device == "cpu"


def test_arrays_of_two_devices(device: Device) -> None:
    here, there = (nr.asarray(ONES, device=d) for d in ("cpu", device.name))
    with pytest.raises(DeviceError) as caught:
        there + here
    message = str(caught.value)
    assert f"shape (3,) float64 on {device.name}, shape (3,) float64 on cpu" in message
    assert "there + here" in message, "the user's line"
    assert f'bring them together with x.to_device("{device.name}")' in message
    with pytest.raises(DeviceError) as caught:
        nr.jit(lambda x, y: x + y)(there, here)
    message = str(caught.value)
    assert "has arguments on several devices" in message and device.name in message
    assert "nr.jit(lambda x, y: x + y)(there, here)" in message


def test_arguments_that_are_not_where_a_function_runs(device: Device) -> None:
    for where, given in (("cpu", device.name), (device.name, "cpu")):
        f = nr.jit(lambda x: x + 1, device=where)
        with pytest.raises(DeviceError) as caught:
            f(nr.asarray(ONES, device=given))
        message = str(caught.value)
        assert f"runs on {where}, and its array arguments are" in message
        assert f'move arrays with x.to_device("{where}")' in message


def test_devices_that_are_not_there() -> None:
    before = nr.get_default_device()
    attempts = [
        lambda: nr.set_default_device("nowhere"),
        lambda: nr.asarray(1.0, device="nowhere"),
        lambda: nr.ones(3).to_device("nowhere"),
        lambda: nr.jit(lambda x: x, device="nowhere")(1.0),
    ]
    for attempt in attempts:
        with pytest.raises(DeviceError) as caught:
            attempt()
        assert 'device "nowhere" cannot be used: numr knows no such device' in str(caught.value)
        assert "devices found:" in str(caught.value)
    assert nr.get_default_device() == before


def test_available_devices_have_the_fastest_first() -> None:
    with registered(rank=9) as fast, registered(rank=-9) as slow:
        found = nr.available_devices()
        assert found[0] == fast.name and found[-1] == slow.name
        assert "cpu" in found and "reference" not in found
    assert fast.name not in nr.available_devices()
