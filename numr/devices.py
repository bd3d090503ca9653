"""Where buffers live, and how they get from one place to another.

A NumPy array is in the host's memory, which is that of the CPU device; every other kind of buffer has
the name of its device in an attribute `device`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from numr import config, messages

HOST = "cpu"
# What DLPack calls the host's memory.
DLPACK_HOST = 1


def device_of(buffer: Any) -> str:
    """The name of the device a buffer is on."""
    return HOST if isinstance(buffer, np.ndarray) else buffer.device


def to_host(buffer: Any) -> Any:
    """A buffer as a NumPy array; one that is such an array already, itself."""
    if isinstance(buffer, np.ndarray):
        return buffer
    from numr.codegen import target

    backend: target.Backend = target.get(buffer.device)
    return backend.download(buffer)


def to_device(buffer: Any, device: str) -> Any:
    """A buffer where a device can use it: itself, or a copy by way of the host."""
    if device_of(buffer) == memory_of(device):
        return buffer
    if memory_of(device) == HOST:
        return to_host(buffer)
    from numr.codegen import target

    backend: target.Backend = target.get(device)
    return backend.upload(to_host(buffer))


def copy(buffer: Any) -> Any:
    """A fresh buffer with the contents of one that is not the host's."""
    from numr.codegen import target

    backend: target.Backend = target.get(buffer.device)
    return backend.copy(buffer)


def adopted(x: Any) -> Any:
    """Another library's array as a buffer over the same memory, if it is on a device that numr has.

    Returns:
        A row-major buffer; `is_borrowed` says whether it is in fact the same memory. None for what the
        host can read.

    Raises:
        DeviceError: for an array on a device that numr has not, or that cannot be used.
    """
    where = getattr(x, "__dlpack_device__", None)
    kind = None if where is None else int(where()[0])
    if kind == DLPACK_HOST:
        return None
    from numr.codegen import target

    for name in target.names():
        adopt = getattr(target.get(name), "adopt", None)
        buffer = None if adopt is None else adopt(x)
        if buffer is not None:
            return buffer
    if kind is not None:
        raise messages.unknown_memory(type(x).__name__, kind)
    return None


def memory_of(device: str) -> str:
    """The device whose memory a device works in: an interpreter's is the host's."""
    if device == HOST:
        return HOST
    from numr.codegen import target

    backend = target.get(device)
    return HOST if getattr(backend, "interprets", False) else backend.name


def wait(buffer: Any) -> None:
    """Return when a buffer's contents are computed."""
    if not isinstance(buffer, np.ndarray):
        from numr.codegen import target

        backend: target.Backend = target.get(buffer.device)
        backend.wait()


def get_default_device() -> str:
    """The device of arrays and computations for which nothing else decides.

    Returns:
        Its name.

    Examples:
        >>> import numr as nr
        >>> nr.get_default_device()
        'cpu'
    """
    return config.get().default_device


def set_default_device(device: str) -> None:
    """Choose the device of arrays and computations for which nothing else decides.

    Arrays that exist stay where they are.

    Args:
        device: a name such as "cpu" or "webgpu".

    Raises:
        DeviceError: for a device that is not there; nothing changes.

    Examples:
        >>> import numr as nr
        >>> nr.set_default_device("cpu")
    """
    require(device)
    config.update(default_device=device)


def available_devices() -> tuple[str, ...]:
    """The devices that can be used here, the fastest first.

    A GPU comes before "cpu"; a graphics driver that has no GPU behind it comes after.

    Returns:
        Names, for `device` arguments.

    Examples:
        >>> import numr as nr
        >>> "cpu" in nr.available_devices()
        True
    """
    from numr.codegen import target

    return tuple(target.usable())


def require(device: str) -> None:
    """Check that a device can be used.

    Raises:
        DeviceError: if it cannot, saying why and what to do.
    """
    from numr.codegen import target

    backend = target.get(device)
    if not getattr(backend, "interprets", False):
        backend.ready()
