"""What the tests of the CPU backend share: kernels from text, called on arrays."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from numr.codegen.backends.cpu import compile as cpu_compile
from numr.codegen.backends.cpu import launcher, objects

_number = itertools.count()
CODES = {np.dtype(k): v for k, v in {"f4": "f32", "f8": "f64", "?": "bool"}.items()}
CODES |= {np.dtype(f"i{n}"): f"i{8 * n}" for n in (1, 2, 4, 8)}
CODES |= {np.dtype(f"u{n}"): f"u{8 * n}" for n in (1, 2, 4, 8)}


class Kernel:
    """A kernel's body compiled for arrays of given dtypes; calling it runs it over [0, length)."""

    def __init__(
        self, names: str, body: str, dtypes: tuple[Any, ...], ints: str = "", fast: bool = False
    ) -> None:
        self.entry = f"test_kernel_{next(_number)}"
        arguments = ["lo", "hi", *names.split(), *ints.split()]
        lines = [f"def {self.entry}({', '.join(arguments)}):", *body.strip("\n").splitlines()]
        self.text = "\n    ".join(lines) + "\n"
        pointers = tuple(f"p:{CODES[np.dtype(d)]}" for d in dtypes)
        self.params = ("i64", "i64", *pointers, *("i64" for _ in ints.split()))
        self.fast = fast
        self.objects = cpu_compile.compile_kernel(self.text, self.entry, self.params, fast)
        self.packed = objects.load(self.objects, cpu_compile.packed_name(self.entry))

    def llvm(self) -> str:
        return cpu_compile.optimised_llvm(self.text, self.entry, self.params, self.fast)

    def __call__(self, *arrays: Any, length: int, ints: tuple[int, ...] = ()) -> None:
        launcher.make_launcher(self.packed, len(arrays), ints, hi=length)(*arrays)


@pytest.fixture
def kernel() -> type[Kernel]:
    return Kernel


@pytest.fixture
def elementwise() -> Callable[..., Any]:
    """An expression in ``x`` (and ``y``) as a function of arrays."""

    def make(expression: str, dtypes: tuple[Any, ...], result: Any) -> Callable[..., Any]:
        names = "ab"[: len(dtypes)]
        loads = "\n".join(f"    {v} = {a}[i]" for v, a in zip("xy", names, strict=False))
        body = f"for i in range(lo, hi):\n{loads}\n    o[i] = {expression}"
        made = Kernel(" ".join((*names, "o")), body, (*dtypes, result))

        def call(*arrays: Any) -> Any:
            given = [np.ascontiguousarray(a, d) for a, d in zip(arrays, dtypes, strict=True)]
            out = np.empty(given[0].shape, result)
            made(*given, out, length=out.size)
            return out

        return call

    return make
