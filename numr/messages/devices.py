"""Messages about devices: not there, lost, full, or without what a graph needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numr.errors import DeviceError, DeviceLostError, DTypeError, Location, OutOfMemoryError
from numr.messages.text import Shape, compose, shape_text


def no_device(device: str, reason: str, available: Sequence[str]) -> DeviceError:
    """A device that is not there.

    Examples:
        >>> from numr import messages
        >>> print(messages.no_device("cuda", "no CUDA driver was found", ["cpu"]).args[0])
        device "cuda" cannot be used: no CUDA driver was found
          devices found: cpu
    """
    found = ", ".join(available) or "none"
    return DeviceError(f'device "{device}" cannot be used: {reason}\n  devices found: {found}')


def device_lacks_dtype(
    device: str,
    dtype: Any,
    op: str,
    shape: Shape,
    narrower: str | None,
    location: Location | None = None,
) -> DTypeError:
    """A graph with a dtype its device does not have.

    Examples:
        >>> from numr import messages
        >>> error = messages.device_lacks_dtype("webgpu", "float64", "add", (3,), "float32")
        >>> print(error.args[0])
        device "webgpu" has no float64, which the result of add of shape (3,) is made of
          make it float32 before: x.astype("float32"), dtype="float32" where an array is created
          or let Python's numbers be float32 from the start: numr.config.update(default_float="float32")
    """
    kind = {"leaf": "an array", "param": "an argument"}.get(op, f"the result of {op}")
    head = f'device "{device}" has no {dtype}, which {kind} of shape {shape_text(shape)} is made of'
    lines = []
    if narrower is not None:
        lines.append(
            f'make it {narrower} before: x.astype("{narrower}"), dtype="{narrower}" where an array '
            "is created"
        )
    if narrower in ("float32", "complex64"):
        lines.append(
            "or let Python's numbers be float32 from the start: "
            'numr.config.update(default_float="float32")'
        )
    return DTypeError(compose(head, *lines), location=location)


def device_lost(device: str, location: Location | None = None) -> DeviceLostError:
    """A device that went away while it was in use, or an array that was on it then.

    Examples:
        >>> from numr import messages
        >>> print(messages.device_lost("webgpu").args[0])
        device "webgpu" was lost: its driver reset it, or it was taken away; arrays on it are gone
          make them again from the host's, x.to_device("webgpu"): the next use opens the device anew; ...
    """
    head = (
        f'device "{device}" was lost: its driver reset it, or it was taken away; '
        "arrays on it are gone"
    )
    fix = (
        f'make them again from the host\'s, x.to_device("{device}"): the next use opens the device '
        "anew; functions stay compiled"
    )
    return DeviceLostError(compose(head, fix), location=location)


def unknown_memory(kind: str, number: int) -> DeviceError:
    """An array of another library on a device that numr has not.

    Examples:
        >>> from numr import messages
        >>> print(messages.unknown_memory("Tensor", 10).args[0])
        this Tensor is on a device that numr cannot use (10 in DLPack's numbering)
          move it to the host's memory first, with its own library
    """
    head = f"this {kind} is on a device that numr cannot use ({number} in DLPack's numbering)"
    return DeviceError(compose(head, "move it to the host's memory first, with its own library"))


def device_fault(device: str, error: str, location: Location | None = None) -> DeviceLostError:
    """A device that has run a kernel with a fault, after which it runs nothing more in this process.

    Examples:
        >>> from numr import messages
        >>> error = messages.device_fault("cuda", "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal access)")
        >>> print(error.args[0])
        device "cuda" was lost: CUDA_ERROR_ILLEGAL_ADDRESS (an illegal access); arrays on it are gone
          it runs nothing more in this process: start Python again, or go on with device="cpu"
          a kernel that was started before has failed, numr's or another library's
    """
    head = f'device "{device}" was lost: {error}; arrays on it are gone'
    fix = 'it runs nothing more in this process: start Python again, or go on with device="cpu"'
    cause = "a kernel that was started before has failed, numr's or another library's"
    return DeviceLostError(compose(head, fix, cause), location=location)


def device_failed(
    device: str, error: str, fix: str | None = None, location: Location | None = None
) -> DeviceError:
    """A call of a device's driver that failed, and the device is still there.

    Examples:
        >>> from numr import messages
        >>> print(messages.device_failed("cuda", "cuLaunchKernel: an invalid argument").args[0])
        device "cuda" does not do what numr asks for: cuLaunchKernel: an invalid argument
          please report this, with what `python -m numr.info` prints
    """
    head = f'device "{device}" does not do what numr asks for: {error}'
    report = "please report this, with what `python -m numr.info` prints"
    return DeviceError(compose(head, fix or report), location=location)


def device_gap(device: str, op: str, reason: str, location: Location | None = None) -> DeviceError:
    """An operation that a device cannot run.

    Examples:
        >>> from numr import messages
        >>> print(messages.device_gap("webgpu", "eig", "it has no kernels yet").args[0])
        device "webgpu" cannot run eig: it has no kernels yet
          run this part on another device: x.to_device("cpu")
    """
    head = f'device "{device}" cannot run {op}: {reason}'
    fix = 'run this part on another device: x.to_device("cpu")'
    return DeviceError(compose(head, fix), location=location)


def mixed_devices(
    given: Sequence[tuple[Shape, Any, str]], location: Location | None = None
) -> DeviceError:
    """Arrays of one operation that are on different devices.

    Args:
        given: shape, dtype and device of each.
        location: the user's line.

    Examples:
        >>> from numr import messages
        >>> given = [((3,), "float32", "webgpu"), ((3,), "float32", "cpu")]
        >>> print(messages.mixed_devices(given).args[0])
        these arrays are on different devices: shape (3,) float32 on webgpu, shape (3,) float32 on cpu
          nothing is moved by itself: bring them together with x.to_device("webgpu")
    """
    texts = [f"shape {shape_text(s)} {dtype} on {device}" for s, dtype, device in given]
    head = f"these arrays are on different devices: {', '.join(texts)}"
    away = next((d for _, _, d in given if d != "cpu"), "cpu")
    fix = f'nothing is moved by itself: bring them together with x.to_device("{away}")'
    return DeviceError(compose(head, fix), location=location)


def arguments_elsewhere(
    function: str, device: str | None, given: Sequence[tuple[Shape, Any, str]]
) -> DeviceError:
    """Arguments of a jitted function that are not all on its device, or not all on one.

    Examples:
        >>> from numr import messages
        >>> given = [((3,), "float32", "cpu")]
        >>> print(messages.arguments_elsewhere("step", "webgpu", given).args[0])
        jit(step) runs on webgpu, and its array arguments are: shape (3,) float32 on cpu
          nothing is moved by itself: move arrays with x.to_device("webgpu")
    """
    texts = [f"shape {shape_text(s)} {dtype} on {where}" for s, dtype, where in given]
    where = device or next((d for _, _, d in given if d != "cpu"), "cpu")
    runs = f"runs on {device}, and its" if device else "has arguments on several devices: its"
    head = f"jit({function}) {runs} array arguments are: {', '.join(texts)}"
    fix = f'nothing is moved by itself: move arrays with x.to_device("{where}")'
    return DeviceError(compose(head, fix))


_GIB = 2**30


def out_of_memory(
    shape: Shape,
    dtype: Any,
    itemsize: int,
    free: int | None = None,
    location: Location | None = None,
) -> OutOfMemoryError:
    """An array that does not fit.

    Examples:
        >>> from numr import messages
        >>> print(messages.out_of_memory((100_000, 100_000), "float64", 8).args[0])
        no memory for an array of shape (100000, 100000) and dtype float64: 74.5 GiB
          reduce it before reading it (what is reduced at once is never stored), work in pieces, ...
    """
    size = itemsize
    for length in shape:
        size *= int(length)
    head = (
        f"no memory for an array of shape {shape_text(shape)} and dtype {dtype}: "
        f"{size / _GIB:.3g} GiB"
    )
    if free is not None:
        head += f", and {free / _GIB:.3g} GiB are free"
    fix = (
        "reduce it before reading it (what is reduced at once is never stored), work in pieces, "
        "or use a smaller dtype"
    )
    return OutOfMemoryError(compose(head, fix), location=location)
