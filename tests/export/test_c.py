"""Generated C, built with gcc and clang without a warning, run by itself and under tools, beside the jit."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
import numr.primitives
from numr.array import from_node
from numr.functions.operands import node_of
from numr.ir.interpret import interpret
from numr.ir.primitive import REGISTRY, Primitive, Sample
from tests.backends.test_conformance import agree, build
from tests.backends.test_derivatives import TOLERANCE, gradients
from tests.export.c_programs import CLANG, GCC, Call, Program
from tests.export.example_functions import cases

SANITIZED = (*GCC, "-O0", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")
VALGRIND = ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full")


@dataclass(frozen=True)
class Exported:
    """Functions in one bundle, the calls of them, and what each is compared with."""

    program: Program
    wants: list[Callable[[list[Any]], None]]

    def check(self, folder: Path, compiler: tuple[str, ...], under: tuple[str, ...] = ()) -> None:
        made = self.program.build(folder, compiler)
        for want, got in zip(self.wants, self.program.run(made, under), strict=True):
            want(got)


def specs(arrays: Any) -> tuple[Any, ...]:
    return tuple(nr.spec(*x.shape, dtype=x.dtype.name) for x in arrays)


def samples() -> Iterator[tuple[str, Primitive, Sample]]:
    """Of every primitive the sample with the most elements of those that are not large."""
    for name, prim in sorted(REGISTRY.items()):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        found = [s for s in prim.samples(rng) if sum(x.size for x in s.operands) < 500]
        if found:
            yield name, prim, max(found, key=lambda s: sum(x.size for x in s.operands))


def smooth() -> Iterator[tuple[str, Primitive, Sample]]:
    """A sample of a primitive of every kind, that has derivatives."""
    kinds = set()
    for name, prim in sorted(REGISTRY.items()):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        for sample in prim.samples(rng):
            real = [x for x in sample.operands if x.dtype == np.float64]
            fine = real and sample.smooth and all(np.isfinite(x).all() for x in real)
            if fine and not prim.no_jvp and type(prim) not in kinds:
                kinds.add(type(prim))
                yield name, prim, sample


@pytest.fixture(scope="module")
def primitives(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Every primitive, and derivatives of first and second order of one of every kind."""
    functions: dict[str, Any] = {}
    calls: list[Call] = []
    wants: list[Any] = []

    def add(name: str, f: Any, arrays: Any, want: Any) -> None:
        functions[name] = (f, specs(arrays))
        calls.append((name, [np.array(x, order="C") for x in arrays], {}))
        wants.append(want)

    for name, prim, sample in samples():

        def value(*xs: Any, prim: Any = prim, sample: Any = sample) -> Any:
            return from_node(prim(*map(node_of, xs), **sample.params))

        def same(got: list[Any], prim: Any = prim, sample: Any = sample, name: str = name) -> None:
            (want,) = interpret([build(prim, sample)[1]], {})
            agree(got[0], want, name)

        add(f"of_{name}", value, sample.operands, same)
    for name, prim, sample in smooth():
        given, orders = gradients(prim, sample)
        for order, f in enumerate(orders, 1):

            def close(got: list[Any], f: Any = f, given: Any = given, name: str = name) -> None:
                for g, w in zip(got, nr.jit(f)(*given), strict=True):
                    want = w.numpy()
                    scale = np.abs(want).max(initial=1.0)
                    np.testing.assert_allclose(
                        g, want, rtol=TOLERANCE, atol=TOLERANCE * scale, err_msg=name
                    )

            add(f"{name}_{order}", f, given, close)
    path = tmp_path_factory.mktemp("primitives") / "all"
    nr.export(functions, target="c", path=path)
    return Exported(Program(path, calls), wants)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Functions of the examples, with their derivatives, at several sizes."""
    found = cases()
    path = tmp_path_factory.mktemp("examples") / "examples"
    nr.export({k: (c.fun, c.specs) for k, c in found.items()}, target="c", path=path)
    calls: list[Call] = []
    wants: list[Any] = []
    for name, case in found.items():
        jitted = nr.jit(case.fun)
        for arrays, sizes in case.calls:

            def close(
                got: list[Any],
                jitted: Any = jitted,
                arrays: Any = arrays,
                case: Any = case,
                name: str = name,
            ) -> None:
                for g, w in zip(got, nr.tree.leaves(jitted(*arrays)), strict=True):
                    want = w.numpy()
                    scale = np.abs(want).max(initial=1e-300)
                    np.testing.assert_allclose(
                        g, want, rtol=case.tolerance, atol=case.tolerance * scale, err_msg=name
                    )

            calls.append((name, [np.asarray(x, order="C") for x in arrays], sizes))
            wants.append(close)
    return Exported(Program(path, calls), wants)  # fmt: skip


def test_primitives_by_gcc_under_sanitizers(primitives: Exported, tmp_path: Path) -> None:
    primitives.check(tmp_path, SANITIZED)


def test_primitives_by_clang_under_valgrind(primitives: Exported, tmp_path: Path) -> None:
    primitives.check(tmp_path, (*CLANG, "-O1"), VALGRIND)


def test_examples_by_gcc_as_fast_code(examples: Exported, tmp_path: Path) -> None:
    examples.check(tmp_path, (*GCC, "-O3", "-march=native"))


def test_examples_by_clang_under_valgrind(examples: Exported, tmp_path: Path) -> None:
    examples.check(tmp_path, (*CLANG, "-O1"), VALGRIND)


def test_examples_by_gcc_under_sanitizers(examples: Exported, tmp_path: Path) -> None:
    examples.check(tmp_path, SANITIZED)
