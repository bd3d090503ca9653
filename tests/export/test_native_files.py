"""Target "native": what is in the files, for which processors, and the options and names that it refuses."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.backends.cpu import machine, processors
from numr.codegen.backends.cpu.compile import kernel_text
from numr.codegen.export import abi
from numr.codegen.export.targets.native import archive, link
from numr.errors import ExportError
from numr.export import Bundle
from tests.export.c_programs import GCC, Program
from tests.export.test_native import FUNCTIONS, energy, long, pointer, softmax

N, CHAIN = nr.spec("n"), (nr.spec("n"), nr.spec("n-1"))
NAMES = ("energy", "force", "softmax", "mixed")


def mixed(x: Any) -> Any:
    return nr.sin(x) * nr.cos(x) + nr.tanh(x)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    functions = {
        "energy": (energy, CHAIN),
        "force": (nr.grad(energy), CHAIN),
        "softmax": (softmax, nr.spec("n", "m")),
        "mixed": (mixed, N),
    }
    folder = tmp_path_factory.mktemp("files") / "all"
    return nr.export(functions, target="native", path=folder, shared=True)


def symbols(file: Path, *options: str) -> str:
    return subprocess.run(
        ["nm", *options, file.name], cwd=file.parent, capture_output=True, text=True, check=True
    ).stdout


def test_symbols(bundle: Bundle) -> None:
    assert bundle.files == ("all.h", "all.o", "liball.a", "liball.so")
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    needed = {line.split()[1] for line in symbols(bundle.path / "all.o", "-u").splitlines()}
    assert needed - {"memcpy", "memset", "memmove"} == set(manifest["needed"])
    # Mathematics and copies, nothing of Python, Numba or numr.
    known = r"(_ZGV\w+|mem(cpy|set|move)|cosh|tanh|exp|sincos|sin|cos)"
    assert all(re.fullmatch(known, name) for name in needed), needed
    functions = [f"all_{name}{suffix}" for name in NAMES for suffix in ("", "_workspace")]
    for file, options in (("all.o", "-g"), ("liball.so", "-D")):
        lines = symbols(bundle.path / file, options, "--defined-only").splitlines()
        assert sorted(line.split()[2] for line in lines) == sorted([*functions, "all_metadata"])
    everything = symbols(bundle.path / "all.o") + symbols(bundle.path / "liball.so", "-D")
    assert not re.search(r"\b_?Py|numba|NRT", everything)
    index = symbols(bundle.path / "liball.a", "-s")
    assert all(f"{name} in all.o" in index for name in functions)


def test_kernels_are_shared(tmp_path: Path) -> None:
    """Two functions of one kernel, which is too large to be in each."""

    def long_one(x: Any) -> Any:
        for k in range(30):
            x = nr.sin(x) * x + nr.sqrt(nr.abs(x)) * k
        return x

    def size(functions: dict[str, Any]) -> int:
        made = nr.export(functions, N, target="native", path=tmp_path / "f", shared=False)
        return (made.path / "f.o").stat().st_size

    one, two = size({"a": long_one}), size({"a": long_one, "b": long_one})
    assert two < 1.3 * one
    assert re.search(r" t numr_k_\w+$", symbols(tmp_path / "f" / "f.o"), re.MULTILINE)


PROGRAM = """
#include "all.h"
#include <stdio.h>
int main(void)
{
    double x[3] = {1, 3, 6}, k[2] = {2, 4}, e, f[3];
    if (all_energy(x, k, &e, 3, NULL) != NUMR_OK || all_energy(x, k, &e, 0, NULL) != NUMR_SIZE) return 1;
    if (all_force(x, k, f, 3, NULL) != NUMR_OK || all_force(NULL, k, f, 3, NULL) != NUMR_NULL) return 1;
    printf("%g %g %g %g\\n", e, f[0], f[1], f[2]);
    return 0;
}
"""


@pytest.mark.parametrize("linked", ["static", "shared"])
@pytest.mark.parametrize("language", ["c", "c++"])
def test_programs_link_it(bundle: Bundle, tmp_path: Path, language: str, linked: str) -> None:
    (tmp_path / "main.c").write_text(PROGRAM)
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    libraries = [f"-l{name}" for name in manifest["libraries"]]
    there = str(bundle.path / "liball.a")
    if linked == "shared":
        there, libraries = "-lall", [f"-L{bundle.path}", f"-Wl,-rpath,{bundle.path}"]
    standard = "-std=c11" if language == "c" else "-std=c++17"
    flags = [standard, "-Wall", "-Wextra", "-Werror", f"-I{bundle.path}"]
    command = ["cc", *flags, "-x", language, "main.c", "-x", "none"]
    command += [*libraries[:1], there, *libraries] if linked == "shared" else [there, *libraries]
    subprocess.run([*command, "-o", "program"], cwd=tmp_path, check=True)
    done = subprocess.run(["./program"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "22 -4 -8 12\n"


def test_large_constants_are_data(tmp_path: Path) -> None:
    w = np.random.default_rng(0).normal(size=(1250, 1000))
    w[0, :4] = np.nan, np.inf, -0.0, 5e-324
    made = nr.export(
        {"f": lambda x: x + w, "g": lambda x: x - w},
        nr.spec(1250, 1000),
        target="native",
        path=tmp_path / "big",
        shared=False,
    )
    # Once, though two functions have it.
    assert w.nbytes < (made.path / "big.o").stat().st_size < 1.1 * w.nbytes
    x = np.ones_like(w)
    np.testing.assert_array_equal(nr.load(made.path).f(x), x + w)
    np.testing.assert_array_equal(nr.load(made.path).g(x), x - w)


def test_long_names_in_archives(tmp_path: Path) -> None:
    made = archive.archive("a_name_of_many_letters.o", b"odd", ["f", "g"])
    (tmp_path / "x.a").write_bytes(made)
    listed = subprocess.run(["ar", "t", "x.a"], cwd=tmp_path, capture_output=True, text=True)
    assert listed.stdout == "a_name_of_many_letters.o\n"
    printed = subprocess.run(["ar", "p", "x.a"], cwd=tmp_path, capture_output=True)
    assert printed.stdout == b"odd"


# -- processors and options ------------------------------------------------------------------------------


@pytest.mark.skipif(not processors.is_x86(machine.host()), reason="names are of x86-64 processors")
def test_a_named_processor(tmp_path: Path) -> None:
    x = np.linspace(0.1, 2.0, 50)
    codes = []
    for cpu in ("x86-64", "x86-64-v3", "x86-64-v4", "host"):
        made = nr.export(
            {"force": (nr.grad(energy), CHAIN), "tanh": (nr.tanh, N)},
            target="native",
            path=tmp_path / cpu / "f",
            cpu=cpu,
            shared=False,
        )
        codes.append((made.path / "f.o").read_bytes())
        said = json.loads((made.path / "manifest.json").read_text())["machine"]
        assert said["cpu"] == (machine.host().cpu if cpu == "host" else cpu)
        if cpu == "x86-64":
            assert said["features"] == []
        if set(said["features"]) <= set(processors.needed(machine.host())):
            np.testing.assert_allclose(nr.load(made.path).tanh(x), np.tanh(x), rtol=1e-15)
    assert len(set(codes)) == 4


@pytest.mark.skipif(not processors.is_x86(machine.host()), reason="names are of x86-64 processors")
def test_what_processors_have() -> None:
    """Against the levels of the System V ABI, and LLVM knows every name."""
    level = {
        "x86-64": set(),
        "x86-64-v2": {"popcnt", "sse3", "sse4.1", "sse4.2", "ssse3"},
        "x86-64-v3": {"avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"},
        "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    }
    known: set[str] = set()
    for (name, more), lanes in zip(level.items(), (2, 2, 4, 8), strict=True):
        known |= more
        assert processors.features(name) == known
        assert processors.named(name).lanes == lanes
        assert processors.named(name).fma == (lanes > 2)
    assert all(processors.named(name).lanes >= 2 for name in processors.X86)


@pytest.mark.skipif(not processors.is_x86(machine.host()), reason="names are of x86-64 processors")
@pytest.mark.parametrize(("cpu", "register"), [("skylake-avx512", "zmm"), ("haswell", "ymm")])
def test_mathematics_is_done_by_whole_vectors(cpu: str, register: str) -> None:
    """Also where LLVM would rather take half of them, for which there is no vector form."""
    kernel = "def k(lo, hi, a, b):\n    for i in range(lo, hi):\n        b[i] = exp(a[i])\n"
    on = processors.named(cpu)
    text = kernel_text(kernel, "k", ("i64", "i64", "p:f64", "p:f64"), False, on)
    assert register in machine.assembly(machine.optimise(text, on), on)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"cpu": "pentium"},
            "cpu='pentium' is no processor that numr makes code for on .*x86-64-v3",
        ),
        ({"cpu": 3}, 'cpu is of type int\n.*\n  cpu="host" or a processor\'s name'),
        ({"shared": 1}, "shared is of type int\n.*\n  shared=True or False"),
        ({"blas": True}, "target \"native\" has no option 'blas'"),
    ],
)
def test_options_that_are_none(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError, match=f"(?s){message}"):
        nr.export(nr.sin, N, target="native", path=tmp_path / "f", **options)
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize(
    ("folder", "functions", "message"),
    [
        ("sin", ["sin"], "the function would be called 'sin', which C has already"),
        ("double", ["double"], "the function would be called 'double', which C has already"),
        (
            "f",
            ["a", "a_workspace"],
            "two functions of the bundle f would be called 'f_a_workspace'",
        ),
        ("f", ["metadata"], "two functions of the bundle f would be called 'f_metadata'"),
    ],
)
def test_names_that_are_taken(
    tmp_path: Path, folder: str, functions: list[str], message: str
) -> None:
    with pytest.raises(ExportError, match=message):
        nr.export(dict.fromkeys(functions, nr.sin), N, target="native", path=tmp_path / folder)


def test_where_there_is_no_elf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numr.codegen.export.targets.native.elf.undefined", lambda data: None)
    made = nr.export(nr.sin, N, target="native", path=tmp_path / "f")
    assert made.files == ("f.h", "f.o")
    assert "cc program.c f.o -l" in (made.path / "f.h").read_text()
    assert "sin" in json.loads((made.path / "manifest.json").read_text())["needed"]
    with pytest.raises(ExportError, match="shared libraries are made for systems with ELF files"):
        nr.export(nr.sin, N, target="native", path=tmp_path / "f", shared=True)


def test_without_a_linker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    made = nr.export(nr.sin, N, target="native", path=tmp_path / "f")
    assert made.files == ("f.h", "f.o", "libf.a")
    assert nr.load(made.path)(np.ones(3)).shape == (3,)
    with pytest.raises(
        ExportError, match=r"libf\.so cannot be made: there is none of cc, gcc, clang"
    ):
        nr.export(nr.sin, N, target="native", path=tmp_path / "f", shared=True)


def test_a_linker_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_COMPILERS", ("false",))
    with pytest.raises(
        ExportError, match=r"(?s)libf\.so cannot be made: false failed.*shared=False"
    ):
        nr.export(nr.sin, N, target="native", path=tmp_path / "f")


@pytest.mark.skipif(shutil.which("ld") is None, reason="needs a linker alone")
def test_a_linker_alone_will_do(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "_COMPILERS", ())
    made = link.shared("libx.so", (bundle.path / "all.o").read_bytes(), ("mvec", "m"))
    (bundle.path.parent / "libx.so").write_bytes(made)
    found = ctypes.CDLL(str(bundle.path.parent / "libx.so"))
    x, out = np.array([[0.0, 1.0]]), np.zeros((1, 2))
    assert found.all_softmax(pointer(x), pointer(out), long(1), long(2), None) == abi.OK
    np.testing.assert_allclose(out.sum(), 1.0)


def test_nothing_outside_of_arrays_is_touched(tmp_path: Path) -> None:
    """Under valgrind, every array and workspace being as long as it has to be and no longer."""
    cpu = "x86-64-v3" if processors.is_x86(machine.host()) else "host"
    path = nr.export(FUNCTIONS, target="native", path=tmp_path / "all", cpu=cpu, shared=False).path
    random, calls = np.random.default_rng(0), []
    for n, m in ((2, 1), (33, 7)):
        sizes = {"n": n, "m": m}
        for name, (_, specs) in FUNCTIONS.items():
            shapes = [tuple(length.value(sizes) for length in s.shape) for s in specs]
            given = [
                random.random(s).astype(t.dtype.dtype) for s, t in zip(shapes, specs, strict=True)
            ]
            calls.append((name, given, sizes))
    program = Program(path, calls)
    libraries = json.loads((path / "manifest.json").read_text())["libraries"]
    made = program.build(tmp_path / "build", GCC, [f"-l{name}" for name in libraries])
    found = program.run(made, ("valgrind", "-q", "--error-exitcode=9", "--leak-check=full"))
    bundle = nr.load(path)
    for (name, given, _), got in zip(calls, found, strict=True):
        want = getattr(bundle, name)(*given)
        for g, w in zip(got, want if isinstance(want, tuple) else (want,), strict=True):
            np.testing.assert_array_equal(g, w, name)
