"""Hosts in C of PTX bundles, run in this process with tests/backends/cuda's fake driver for CUDA's.

The calls of the driver go through a file in C (`SHIM`), which is compiled against the real cuda.h, to the
fake's functions. Kernels are known to the fake by `register`.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from cuda import pathfinder

from numr.codegen.export import abi
from numr.codegen.export.manifest import value
from numr.codegen.export.record import Recording
from numr.dtypes import as_dtype
from tests.backends.cuda.fake_driver import FakeDriver
from tests.backends.cuda.fake_kernels import KNOWN, artifact

WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror")
# Each function of the driver that hosts call: its parameters in C, and how ctypes has them.
_P, _W, _I = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32
FUNCTIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "cuInit": ("unsigned a", (_I,)),
    "cuGetErrorString": ("CUresult a, const char **b", (_I, _P)),
    "cuDeviceGet": ("CUdevice *a, int b", (_P, _I)),
    "cuDeviceGetAttribute": ("int *a, CUdevice_attribute b, CUdevice c", (_P, _I, _I)),
    "cuDevicePrimaryCtxRetain": ("CUcontext *a, CUdevice b", (_P, _I)),
    "cuDevicePrimaryCtxRelease": ("CUdevice a", (_I,)),
    "cuCtxPushCurrent": ("CUcontext a", (_P,)),
    "cuCtxPopCurrent": ("CUcontext *a", (_P,)),
    "cuModuleLoadData": ("CUmodule *a, const void *b", (_P, _P)),
    "cuModuleGetFunction": ("CUfunction *a, CUmodule b, const char *c", (_P, _P, _P)),
    "cuModuleGetGlobal": ("CUdeviceptr *a, size_t *b, CUmodule c, const char *d", (_P, _P, _P, _P)),
    "cuModuleUnload": ("CUmodule a", (_P,)),
    "cuMemAlloc": ("CUdeviceptr *a, size_t b", (_P, _W)),
    "cuMemFree": ("CUdeviceptr a", (_W,)),
    "cuMemcpyHtoD": ("CUdeviceptr a, const void *b, size_t c", (_W, _P, _W)),
    "cuMemcpyDtoH": ("void *a, CUdeviceptr b, size_t c", (_P, _W, _W)),
    "cuMemsetD32": ("CUdeviceptr a, unsigned b, size_t c", (_W, _I, _W)),
    "cuLaunchKernel": (
        "CUfunction a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f, unsigned g, "
        "unsigned h, CUstream i, void **j, void **k",
        (_P, *[_I] * 7, _P, _P, _P),
    ),
}


def _shim() -> str:
    lines = [
        "#include <cuda.h>",
        "#define NAME(name) #name",
        "#define TEXT(name) NAME(name)",
    ]
    for name, (parameters, kinds) in FUNCTIONS.items():
        given = ", ".join("abcdefghijk"[: len(kinds)])
        lines += [
            f"CUresult (*hook_{name})({parameters});",
            # cuda.h has newer forms of some under their old names.
            f"const char *name_{name}(void) {{ return TEXT({name}); }}",
            f"CUresult CUDAAPI {name}({parameters}) {{ return hook_{name}({given}); }}",
        ]
    return "\n".join([*lines, ""])


SHIM = _shim()


def include() -> str:
    """Where cuda.h is: it comes with the compilers that the tests install."""
    found = pathfinder.find_nvidia_header_directory("cudart")
    assert found is not None, "there is no cuda.h"
    return str(found)


def register(recordings: Iterable[Recording]) -> None:
    """Let the fake driver know kernels."""
    for recording in recordings:
        for kernel in recording.kernels:
            KNOWN[kernel.entry] = artifact(kernel)


class Host:
    """The host of a bundle, built, on a device of a fake driver's."""

    def __init__(
        self, bundle: Path, fake: FakeDriver, device: int = 0, image: str | None = None
    ) -> None:
        self.manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
        self.called = self.manifest["name"]
        self.library = build(bundle, self.called)
        self._hooks = [self._hook(name, fake) for name in FUNCTIONS]
        self.described = {f["name"]: f for f in self.manifest["functions"]}
        text = (bundle / f"{self.called}.ptx").read_text() if image is None else image
        self.context = ctypes.c_void_p()
        error = self.function("context_error", ctypes.c_char_p)
        error.argtypes = [ctypes.c_void_p]
        self._error = error
        self.status = self.function("context_open")(
            ctypes.byref(self.context), device, text.encode() + b"\0"
        )

    def function(self, name: str, kind: Any = ctypes.c_int) -> Any:
        found = getattr(self.library, f"{self.called}_{name}")
        found.restype = kind
        return found

    @property
    def error(self) -> str:
        """What failed last."""
        return str(self._error(self.context).decode())

    def close(self) -> None:
        close = self.function("context_close", None)
        close.argtypes = [ctypes.c_void_p]
        close(self.context)

    def workspace(self, name: str, *sizes: int) -> int:
        entry = abi.function_name(self.called, name)
        query = getattr(self.library, f"{entry}_workspace")
        query.restype, query.argtypes = ctypes.c_int64, [ctypes.c_int64] * len(sizes)
        return int(query(*sizes))

    def outputs(self, name: str, sizes: Mapping[str, int]) -> list[np.ndarray[Any, Any]]:
        """New arrays for the results, filled with bytes that are no result."""
        made = []
        for o in self.described[name]["outputs"]:
            shape = tuple(max(value(n, sizes), 0) for n in o["shape"])
            array = np.empty(shape, as_dtype(o["dtype"]).dtype)
            array.reshape(-1).view(np.uint8)[:] = 0xA5
            made.append(array)
        return made

    def raw(
        self, name: str, arrays: Sequence[np.ndarray[Any, Any] | None], sizes: Sequence[int]
    ) -> int:
        """Call a function as C does: its status."""
        entry = getattr(self.library, abi.function_name(self.called, name))
        pointers = [ctypes.c_void_p(None if a is None else a.ctypes.data) for a in arrays]
        return int(entry(*pointers, *map(ctypes.c_int64, sizes), self.context))

    def __call__(self, name: str, *arrays: Any, **sizes: int) -> list[np.ndarray[Any, Any]]:
        given = [
            np.ascontiguousarray(x, as_dtype(i["dtype"]).dtype)
            for x, i in zip(arrays, self.described[name]["inputs"], strict=True)
        ]
        results = self.outputs(name, sizes)
        status = self.raw(
            name, [*given, *results], [sizes[s] for s in self.described[name]["sizes"]]
        )
        assert status == abi.OK, (status, self.error)
        return results

    def _hook(self, name: str, fake: FakeDriver) -> Any:
        getter = getattr(self.library, f"name_{name}")
        getter.restype = ctypes.c_char_p
        kinds = FUNCTIONS[name][1]
        function = getattr(fake, getter().decode())
        function.argtypes = kinds

        def call(*args: Any) -> int:
            try:
                return int(function(*args))
            except AssertionError:  # which is in `fake.misuse`, where the fixture finds it
                return 999

        hook = ctypes.CFUNCTYPE(ctypes.c_int, *kinds)(call)
        pointer = ctypes.c_void_p.in_dll(self.library, f"hook_{name}")
        pointer.value = ctypes.cast(hook, ctypes.c_void_p).value
        return hook


def build(bundle: Path, called: str) -> ctypes.CDLL:
    """Host and program as a shared library, in which undefined behaviour ends the process; built once."""
    shim, library = bundle / "shim.c", bundle / "host.so"
    if library.exists():
        return ctypes.CDLL(str(library))
    shim.write_text(SHIM)
    sanitized = ("-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")
    command = ["gcc", *WARNINGS, "-O1", "-fPIC", "-shared", *sanitized, f"-I{include()}"]
    command += [f"-Dmain={called}_main", "-o", str(library)]
    command += [str(bundle / f) for f in (f"{called}_host.c", f"{called}_main.c")]
    done = subprocess.run([*command, str(shim)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(library))
