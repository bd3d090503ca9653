"""What the tests of the target "ptx" export: functions with sizes that have names, and how to."""

from __future__ import annotations

import json
import operator
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
import numr.primitives
from numr.array import from_node
from numr.codegen.export.manifest import value
from numr.codegen.export.record import Recording
from numr.codegen.export.targets.ptx import code, target
from numr.codegen.export.targets.ptx.target import TARGET, Ptx
from numr.functions.operands import node_of
from numr.ir.primitive import REGISTRY
from tests.export.cuda_host import register

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(5)
WEIGHTS = RNG.normal(size=(3, 4))
# Primitives of whose kind others are here, and which take the assembler long.
LONG = frozenset(
    ("eigh", "eigh_vectors", "logabsdet", "lstsq", "qr_left", "qr_right", "signdet", "svd", "svd_left",
     "svd_right")
)  # fmt: skip
# Which take long where a kernel is Python.
SLOW = frozenset(("eigh_values_value", "svd_values_value"))
# Of elements: besides the first one, what libdevice has and what numr writes out.
ALSO = frozenset(("atan2", "erf", "lgamma", "nextafter", "pow", "sin", "tanh"))


def energy(x: Any, k: Any) -> Any:
    """The energy of springs in a row."""
    return nr.sum(0.5 * k * nr.diff(x) ** 2)


@dataclass(frozen=True)
class Case:
    """A function with sizes that have names, arguments for them, and the same in NumPy."""

    fun: Callable[..., Any]
    specs: tuple[Any, ...]
    sizes: tuple[dict[str, int], ...]
    oracle: Callable[..., Any]


def rolls(x: Array) -> tuple[Array, Array]:
    c, sums = np.zeros(x.shape[1]), []
    for row in x:
        sums.append(c.sum())
        c = np.roll(c, 1) + row
    return c, np.array(sums)


def until(x: Array) -> Array:
    while x.sum() < 10:
        x = np.abs(np.roll(x, 1)) * 2 + 1
    return x


def lanes(x: Array) -> Array:
    x = x.copy()
    while (x < 20).any():
        x = np.where(x < 20, x + 1, x)
    return x


def force(x: Array, k: Array) -> Array:
    f = k * np.diff(x)
    return np.concatenate([[0.0], f]) - np.concatenate([f, [0.0]])


N = nr.spec("n")
# Several points are one thread's, and 128 threads a block: 700 is more than one, 1 is one point.
CASES = {
    "energy": Case(
        energy, (N, nr.spec("n - 1")), ({"n": 1}, {"n": 2}, {"n": 700}),
        lambda x, k: (0.5 * k * np.diff(x) ** 2).sum(),
    ),
    "force": Case(nr.grad(energy), (N, nr.spec("n - 1")), ({"n": 1}, {"n": 700}), force),
    "layer": Case(
        lambda x: nr.tanh(x @ WEIGHTS), (nr.spec("n", 3),), ({"n": 1}, {"n": 70}),
        lambda x: np.tanh(x @ WEIGHTS),
    ),
    "softmax": Case(
        lambda x: nr.softmax(x, axis=1), (nr.spec("n", "m"),), ({"n": 1, "m": 1}, {"n": 3, "m": 300}),
        lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True),
    ),
    "rolls": Case(
        lambda x: nr.scan(lambda c, a: (nr.roll(c, 1) + a, c.sum()), nr.zeros(x.shape[1]), x),
        (nr.spec("n", "m"),), ({"n": 1, "m": 1}, {"n": 4, "m": 3}), rolls,
    ),
    "until": Case(
        lambda x: nr.while_loop(lambda c: nr.sum(c) < 10, lambda c: nr.abs(nr.roll(c, 1)) * 2 + 1, x),
        (N,), ({"n": 1}, {"n": 5}), until,
    ),
    # Of more rounds than one launch has.
    "lanes": Case(
        nr.vmap(lambda x: nr.while_loop(lambda c: c < 20, lambda c: c + 1, x)), (N,), ({"n": 1}, {"n": 3}),
        lanes,
    ),
    "choose": Case(
        lambda x, i: nr.switch(i, [lambda x: x * 2, lambda x: nr.roll(x, 1), lambda x: nr.sum(x) * x], x),
        (N, nr.spec(dtype="i64")), ({"n": 1}, {"n": 5}),
        lambda x, i: [x * 2, np.roll(x, 1), x.sum() * x][min(max(i, 0), 2)],
    ),
    # Refused for n = 1.
    "windows": Case(
        lambda x: x.reshape(-1, 3)[2:].mean(axis=1), (nr.spec("3*n"),), ({"n": 2}, {"n": 9}),
        lambda x: x.reshape(-1, 3)[2:].mean(axis=1),
    ),
    "halves": Case(
        lambda x: x * 2, (nr.spec("n", dtype="f16"),), ({"n": 1}, {"n": 700}), lambda x: x * 2,
    ),
    "parts": Case(
        lambda z, b: nr.where(b, nr.conj(z) * 1j, 0), (nr.spec("n", dtype="c128"), nr.spec("n", dtype="bool")),
        ({"n": 1}, {"n": 9}), lambda z, b: np.where(b, np.conj(z) * 1j, 0),
    ),
}  # fmt: skip


def takes(described: Mapping[str, Any], sizes: Mapping[str, int]) -> bool:
    """Whether sizes are such as the conditions of a manifest's function ask for."""
    holds = {">=": operator.ge, "==": operator.eq, "!=": operator.ne}
    return all(holds[r["relation"]](value(r["formula"], sizes), 0) for r in described["requires"])


def arguments(case: Case, sizes: Mapping[str, int]) -> list[Array]:
    made = []
    for s in case.specs:
        shape = tuple(n.value(sizes) for n in s.shape)
        x = RNG.normal(size=shape)
        if s.dtype.kind == "c":
            x = x + 1j * RNG.normal(size=shape)
        made.append(np.asarray(x > 0 if s.dtype.kind == "b" else x).astype(s.dtype.dtype))
    return made


def of_kinds() -> Iterator[tuple[str, Callable[..., Any], tuple[Any, ...]]]:
    """A sample of one primitive of each kind, with elements."""
    seen = set()
    for name, prim in sorted(REGISTRY.items()):
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        full = [s for s in prim.samples(rng) if all(0 < np.size(x) < 100 for x in s.operands)]
        if not full or name in LONG or (type(prim) in seen and name not in ALSO):
            continue
        seen.add(type(prim))
        # Some begin with what has one element.
        sample = next((s for s in full if max(map(np.size, s.operands), default=9) > 2), full[0])

        def fun(*xs: Any, prim: Any = prim, sample: Any = sample) -> Any:
            return from_node(prim(*map(node_of, xs), **sample.params))

        yield f"{name}_value", fun, sample.operands


def specs_of(arrays: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(nr.spec(*np.shape(x), dtype=str(np.asarray(x).dtype)) for x in arrays)


def write(functions: Any, specs: Any, path: Path, **options: Any) -> list[Recording]:
    """Export to "ptx"; what was recorded."""
    seen: list[Recording] = []
    real = Ptx.files

    def files(self: Ptx, bundle: str, recordings: Sequence[Recording], fast_math: bool) -> Any:
        seen.extend(recordings)
        return real(self, bundle, recordings, fast_math)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ptx, "files", files)
        patch.setattr(target, "TARGET", replace(TARGET, rounds=8))
        nr.export(functions, specs, target="ptx", path=path, **options)
    register(seen)
    return seen


@dataclass(frozen=True)
class Written:
    path: Path
    recordings: Mapping[str, Recording]

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / "manifest.json").read_text())
        return found

    @property
    def ptx(self) -> str:
        return (self.path / f"{self.path.name}.ptx").read_text()


@pytest.fixture(scope="session")
def named(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """The cases with sizes that have names, assembled."""
    path = tmp_path_factory.mktemp("ptx") / "named"
    known = {name: (case.fun, case.specs) for name, case in CASES.items()}
    return Written(path, {r.name: r for r in write(known, None, path, cubin=True)})


def check_module(written: Written) -> None:
    """A bundle's module has its kernels, and the assembler took it."""
    found = re.findall(r"\.visible \.entry (\w+)\(", written.ptx)
    launched = code.launched(written.recordings.values())
    assert sorted(found) == sorted(launched) == sorted(written.manifest["kernels"])
    assert ".version 7.8\n.target sm_75\n" in written.ptx
    assert (written.path / f"{written.path.name}.cubin").read_bytes()[:4] == b"\x7fELF"
