"""How parameters of the driver's functions reach them, and the error codes they return."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

# The kinds of parameters: 32 bits, 64 bits (addresses and handles too), and where so many bytes are written.
Int = Word = Out = Out4 = Out8 = int

SUCCESS, INVALID_VALUE, OUT_OF_MEMORY, NOT_INITIALIZED = 0, 1, 2, 3
NO_DEVICE, INVALID_DEVICE, INVALID_CONTEXT, INVALID_HANDLE, NOT_FOUND = 100, 101, 201, 400, 500
ILLEGAL_ADDRESS = 700
ERRORS = {
    1: ("INVALID_VALUE", "invalid argument"),
    2: ("OUT_OF_MEMORY", "out of memory"),
    3: ("NOT_INITIALIZED", "initialization error"),
    46: ("DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"),
    100: ("NO_DEVICE", "no CUDA-capable device is detected"),
    101: ("INVALID_DEVICE", "invalid device ordinal"),
    201: ("INVALID_CONTEXT", "invalid device context"),
    209: ("NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"),
    400: ("INVALID_HANDLE", "invalid resource handle"),
    500: ("NOT_FOUND", "named symbol not found"),
    700: ("ILLEGAL_ADDRESS", "an illegal memory access was encountered"),
    701: ("LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"),
    719: ("LAUNCH_FAILED", "unspecified launch failure"),
    999: ("UNKNOWN", "unknown error"),
}
TEXTS = {code: [f"CUDA_ERROR_{a}".encode(), b.encode()] for code, (a, b) in ERRORS.items()}
TEXTS[0] = [b"CUDA_SUCCESS", b"no error"]


class CudaError(Exception):
    """An error code, on its way to the caller."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def address_of(arg: Any) -> int:
    """What ctypes passes for something whose address it is, or which is 64 bits."""
    if arg is None:
        return 0
    if isinstance(arg, bytes):
        return ctypes.cast(arg, ctypes.c_void_p).value or 0
    if hasattr(arg, "_obj"):  # byref
        return ctypes.addressof(arg._obj)
    if isinstance(arg, ctypes.Array):
        return ctypes.addressof(arg)
    assert not isinstance(arg, int), "a bare integer is passed as 32 bits, and 64 are wanted"
    assert ctypes.sizeof(arg) == 8, f"{arg} has not 64 bits"
    return arg.value or 0  # type: ignore[no-any-return]


def number_of(arg: Any) -> int:
    """What ctypes passes for something of 32 bits."""
    if not isinstance(arg, int):
        assert ctypes.sizeof(arg) == 4, f"{arg} has not 32 bits"
        arg = arg.value
    assert -(2**31) <= arg < 2**32, f"{arg} does not fit into 32 bits"
    return arg


def _room(arg: Any, nbytes: int) -> int:
    room = ctypes.sizeof(arg._obj)
    assert room == nbytes, f"{nbytes} bytes are written to {room}"
    return address_of(arg)


CONVERSIONS: dict[str, Callable[[Any], int]] = {
    "Int": number_of,
    "Word": address_of,
    "Out": address_of,
    "Out4": lambda arg: _room(arg, 4),
    "Out8": lambda arg: _room(arg, 8),
}


def put(kind: Any, address: int, value: int) -> None:
    """Write a value of a C type to an address."""
    kind.from_address(address).value = value
