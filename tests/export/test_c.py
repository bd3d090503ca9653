"""Generated C, built with gcc and clang without a warning, run by itself and under tools, beside the jit."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import numr as nr
import numr.primitives
from numr.array import from_node
from numr.functions.operands import node_of
from numr.ir.interpret import interpret
from numr.ir.primitive import REGISTRY, Primitive, Sample
from tests.backends.test_conformance import agree, build
from tests.backends.test_derivatives import TOLERANCE, gradients
from tests.export.c_programs import CLANG, GCC, Program
from tests.export.example_functions import cases

# A compiler's command, and what the program runs under.
Build = tuple[tuple[str, ...], tuple[str, ...]]
FAST: Build = ((*GCC, "-O3", "-march=native"), ())
SANITIZED: Build = ((*GCC, "-O0", "-fsanitize=undefined,address", "-fno-sanitize-recover=all"), ())
UNDER_VALGRIND = ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full")
VALGRIND: Build = ((*CLANG, "-O1"), UNDER_VALGRIND)
PLAIN_VALGRIND: Build = ((*CLANG, "-O0"), UNDER_VALGRIND)
Check = Callable[[list[Any]], None]


class Exported:
    """Functions to export in one bundle, the calls of them, and a check of each call's results."""

    def __init__(self) -> None:
        self.functions: dict[str, Any] = {}
        self.calls: list[Any] = []
        self.checks: list[Check] = []

    def call(self, name: str, arrays: Any, sizes: Any, check: Check) -> None:
        self.calls.append((name, [np.array(x, order="C") for x in arrays], sizes))
        self.checks.append(check)

    def run(self, folder: Path, *builds: Build) -> None:
        """Export once, and build, run and check by every way."""
        path = nr.export(self.functions, target="c", path=folder / "bundle").path
        program = Program(path, self.calls)
        for k, (compiler, under) in enumerate(builds):
            made = program.build(folder / str(k), compiler)
            for check, results in zip(self.checks, program.run(made, under), strict=True):
                check(results)


def close(want: Any, tolerance: float, where: str) -> Check:
    """A check that results are within a tolerance of the largest number of each."""

    def check(got: list[Any]) -> None:
        for g, w in zip(got, want, strict=True):
            scale = np.abs(w[np.isfinite(w)]).max(initial=1e-300)
            np.testing.assert_allclose(
                g,
                w,
                rtol=tolerance,
                atol=tolerance * scale,
                err_msg=f"{where}: {len(want)} results",
            )

    return check


def numbers(nested: Any) -> list[Any]:
    return [x.numpy() for x in nr.tree.leaves(nested)]


def samples(prim: Primitive) -> list[Sample]:
    """Those that are not large, the smallest first."""
    rng = np.random.default_rng(zlib.crc32(prim.name.encode()))
    found = [s for s in prim.samples(rng) if sum(x.size for x in s.operands) < 500]
    return sorted(found, key=lambda s: sum(x.size for x in s.operands))


def smooth() -> Iterator[tuple[str, Primitive, Sample]]:
    """A sample of a primitive of every kind, that has derivatives."""
    kinds = set()
    for name, prim in sorted(REGISTRY.items()):
        for sample in samples(prim):
            real = [x for x in sample.operands if x.dtype == np.float64 and x.size]
            fine = real and sample.smooth and all(np.isfinite(x).all() for x in real)
            if fine and not prim.no_jvp and type(prim) not in kinds:
                kinds.add(type(prim))
                yield name, prim, sample


def specs(arrays: Any) -> tuple[Any, ...]:
    return tuple(nr.spec(*x.shape, dtype=x.dtype.name) for x in arrays)


def primitives() -> Exported:
    """Every primitive, and derivatives of first and second order of one of every kind."""
    made = Exported()
    for name, prim in sorted(REGISTRY.items()):
        for sample in samples(prim)[-1:]:

            def value(*xs: Any, prim: Any = prim, sample: Any = sample) -> Any:
                return from_node(prim(*map(node_of, xs), **sample.params))

            (want,) = interpret([build(prim, sample)[1]], {})
            made.functions[f"of_{name}"] = (value, specs(sample.operands))
            made.call(
                f"of_{name}", sample.operands, {}, lambda got, w=want, n=name: agree(got[0], w, n)
            )
    for name, prim, sample in smooth():
        given, orders = gradients(prim, sample)
        for order, f in enumerate(orders, 1):
            called = f"{name}_{order}"
            made.functions[called] = (f, specs(given))
            want = numbers(nr.jit(f, device="reference")(*given))
            made.call(called, given, {}, close(want, TOLERANCE, called))
    return made


def examples() -> Exported:
    """Functions of the examples, with their derivatives, at several sizes."""
    made = Exported()
    for name, case in cases().items():
        made.functions[name] = (case.fun, case.specs)
        jitted = nr.jit(case.fun)
        for arrays, sizes in case.calls:
            check = close(numbers(jitted(*arrays)), case.tolerance, f"{name} {sizes}")
            made.call(name, arrays, sizes, check)
    return made


def test_every_primitive_and_derivatives_of_every_kind(tmp_path: Path) -> None:
    primitives().run(tmp_path, SANITIZED, PLAIN_VALGRIND)


def test_functions_of_the_examples(tmp_path: Path) -> None:
    examples().run(tmp_path, FAST, SANITIZED, VALGRIND)
