"""numba-cuda's simulator as a device: a Python thread for each thread of a block, NumPy for memory.

With NUMBA_ENABLE_CUDASIM=1, set before numba.cuda is imported, kernels run without a device and without
the compiler libraries: slowly, one block after another, for tests of small cases.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from numr.codegen.backends.cuda.device import name_of
from numr.codegen.backends.cuda.print import WARP, CudaPrinter
from numr.codegen.kernel import Kernel
from numr.dtypes import ALL
from numr.ir.scalar import TABLE

# Enough for a block that is not full, and for several rounds of a grid.
THREADS, BLOCKS = 32, 3


class Simulator:
    """The simulated device."""

    def __init__(self, ordinal: int) -> None:
        self.name = name_of(ordinal)
        self.ordinal = ordinal
        self.capability = (8, 0)  # what it makes believe to be is no older
        self.fingerprint = "simulator"
        self.threads, self.blocks = THREADS, BLOCKS
        self.allocated = 0

    def within(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def ready(self) -> None:
        pass

    def compile(self, kernel: Kernel, fast_math: bool) -> bytes:
        return CudaPrinter().launched(kernel).encode()

    def load(self, kernel: Kernel, artifact: bytes) -> Any:
        space = language()
        exec(compile(artifact, f"<{kernel.entry}>", "exec"), space)
        # Each of its threads has NumPy's warnings of its own to switch off.
        space[kernel.entry] = np.errstate(all="ignore")(space[kernel.entry])
        return kernel, space["kernel"]

    def launcher(
        self, loaded: Any, blocks: int, threads: int, points: int, sizes: Sequence[int]
    ) -> Callable[..., None]:
        kernel, run = loaded

        def launch(*arrays: Any) -> None:
            views = [
                a.storage.pointer.view("u1" if b.dtype.kind == "b" else b.dtype.dtype)
                for a, b in zip(arrays, kernel.buffers, strict=True)
            ]
            run[blocks, threads](np.int64(points), *views, *map(np.int64, sizes))

        return launch

    def repeated(self, run: Any) -> Any:
        return run

    def allocate(self, nbytes: int) -> Any:
        self.allocated += nbytes
        # Whole words, full of what no kernel may rely on.
        return np.full(-(-nbytes // 16) * 16 or 16, 0x5A, np.uint8)

    def free(self, pointer: Any, nbytes: int) -> None:
        self.allocated -= nbytes

    def free_memory(self) -> int:
        return 1 << 30

    def write(self, pointer: Any, array: np.ndarray[Any, Any]) -> None:
        pointer[: array.nbytes] = array.reshape(-1).view(np.uint8)

    def read(self, pointer: Any, array: np.ndarray[Any, Any]) -> None:
        array.reshape(-1).view(np.uint8)[:] = pointer[: array.nbytes]

    def copy(self, pointer: Any, source: Any, nbytes: int) -> None:
        pointer[:nbytes] = source[:nbytes]

    def stream(self) -> int:
        return 0

    def order(self, before: int, after: int) -> None:
        pass

    def place_of(self, pointer: Any) -> int:
        raise BufferError("simulated memory is not shared with other libraries")

    def wait(self) -> None:
        pass

    def describe(self) -> Mapping[str, str]:
        return {"device": "numba-cuda's simulator (NUMBA_ENABLE_CUDASIM=1)"}


def language() -> dict[str, Any]:
    """The kernel language's functions in NumPy, and what lanes do together."""
    cuda: Any = importlib.import_module("numba.cuda")
    space: dict[str, Any] = {name: op.numpy for name, op in TABLE.items()}
    numbers = [d for d in ALL if d.kind in "iuf" and not d.is_half]
    for dtype in numbers:
        space[dtype.short] = _conversion(dtype.dtype.type)
        space[dtype.name] = dtype.dtype
        space[f"bitcast_{dtype.short}"] = lambda x, kind=dtype.dtype: x.view(kind)
    exchange: list[Any] = [None] * 1024

    def indices(lo: Any, hi: Any, step: Any = 1) -> Iterator[Any]:
        kind = np.int32 if type(lo) is type(hi) is np.int32 else np.int64
        return map(kind, builtins.range(int(lo), int(hi), int(step)))

    # The simulator puts its own module in place of this one in the globals of a kernel.
    space |= {
        "cuda": cuda,
        "exchange": exchange,
        "range": indices,
        "boolean": np.bool_,
        "inf": np.inf,
        "nan": np.nan,
        "fabs": np.abs,
        "fmin_nan": np.minimum,
        "fmax_nan": np.maximum,
        "min_reassoc": np.minimum,
        "max_reassoc": np.maximum,
        "add_reassoc": lambda x, y: x + y,
        "mul_reassoc": lambda x, y: x * y,
        # NumPy takes the square root of a scalar for its power of 0.5, which of -inf is another number.
        "pow": lambda x, y: np.power([x], [y])[0],
        "select": lambda c, x, y: x if c else y,
        "udiv": lambda x, y: x // y,
        "urem": lambda x, y: x % y,
    }
    exec(_TOGETHER, space)
    return space


_TOGETHER = f"""
def atomic_add(buffer, index, value):
    cuda.atomic.add(buffer, index, value)

def barrier():
    cuda.syncthreads()

def shuffle(x, mask):
    lane = cuda.threadIdx.x
    exchange[lane] = x
    cuda.syncthreads()
    other = exchange[(lane & {WARP - 1} ^ int(mask)) + (lane & ~{WARP - 1})]
    cuda.syncthreads()
    return other
"""


def _conversion(kind: Any) -> Callable[[Any], Any]:
    """A conversion that saturates, as kernels' do."""
    if np.issubdtype(kind, np.floating):
        return kind  # type: ignore[no-any-return]
    info = np.iinfo(kind)

    def convert(x: Any) -> Any:
        if isinstance(x, (float, np.floating)):
            if np.isnan(x):
                return kind(0)
            return kind(min(max(int(x) if np.isfinite(x) else x, info.min), info.max))
        if isinstance(x, (bool, np.bool_)):
            return kind(x)
        return np.array(int(x) & (2**64 - 1), np.uint64).astype(kind)[()]

    return convert
