"""What generated C promises to its callers: statuses, workspaces, threads, names, options, and messages."""

from __future__ import annotations

import ctypes
import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import ExportError
from tests.export.c_programs import CLANG, GCC, Program, ran

SHARED = ("-shared", "-fPIC")


def energy(x: Any, k: Any) -> Any:
    """The energy of a chain of springs.

    What?? - this is no trigraph, and */ ends no comment.
    """
    return nr.sum(0.5 * k * nr.diff(x) ** 2)


def library(path: Path, name: str, *flags: str) -> ctypes.CDLL:
    """A bundle as a shared library."""
    made = path / f"lib{name}.so"
    ran([*GCC, *SHARED, "-O1", str(path / f"{name}.c"), "-o", str(made), *flags, "-lm"])
    return ctypes.CDLL(str(made))


def address(x: np.ndarray[Any, Any] | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if x is None else x.ctypes.data)


@pytest.fixture(scope="module")
def spring(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ctypes.CDLL]:
    path = tmp_path_factory.mktemp("c") / "spring"
    specs = nr.spec("n", unit="m", doc="where the masses are"), nr.spec("n - 1", unit="N/m")
    functions = {
        "energy": energy,
        "force": nr.grad(energy),
        "stiffness": nr.hessian(energy),
        "product": (lambda a: nr.tanh(a @ a.T) @ a, nr.spec("n", "m")),
        "halves": (lambda x: x.reshape((2, x.shape[0] // 2)).sum(axis=0), nr.spec("2*n")),
        "longer": (lambda x, y: x[2:] + y, (nr.spec("n"), nr.spec("n - 2"))),
    }
    nr.export(functions, specs, target="c", path=path)
    made = library(path, "spring")
    for name in functions:
        getattr(made, f"spring_{name}_workspace").restype = ctypes.c_int64
    made.spring_metadata.restype = ctypes.c_char_p
    return path, made


def product(made: ctypes.CDLL, a: np.ndarray[Any, Any], shift: int = 0) -> np.ndarray[Any, Any]:
    """One call, with a workspace of its own that begins `shift` bytes into memory."""
    sizes = [ctypes.c_int64(n) for n in a.shape]
    bytes_ = made.spring_product_workspace(*sizes)
    work, out = np.full(bytes_ + shift + 64, 0xA5, np.uint8), np.empty_like(a)
    at = ctypes.c_void_p(work.ctypes.data + shift)
    assert made.spring_product(address(a), address(out), *sizes, at) == 0
    assert (work[:shift] == 0xA5).all() and (work[shift + bytes_ :] == 0xA5).all()
    return out


def test_a_workspace_may_begin_anywhere(spring: Any) -> None:
    a = np.random.default_rng(0).normal(size=(9, 4))
    for shift in (0, 1, 8, 63):
        np.testing.assert_allclose(product(spring[1], a, shift), np.tanh(a @ a.T) @ a, rtol=1e-12)


def test_threads_call_at_once(spring: Any) -> None:
    rng = np.random.default_rng(1)
    given = [rng.normal(size=(40 + k, 7)) for k in range(2)]
    wrong: list[int] = []

    def work(k: int) -> None:
        want = np.tanh(given[k] @ given[k].T) @ given[k]
        wrong.extend(
            k for _ in range(200) if not np.allclose(product(spring[1], given[k]), want, 1e-12)
        )

    threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize("n", [0, -1, -(2**63), 2**62, 2**63 - 1])
def test_sizes_that_are_refused_write_nothing(spring: Any, n: int) -> None:
    _, made = spring
    x, k, out = np.ones(4), np.ones(3), np.full(4, 7.0)
    size = ctypes.c_int64(n)
    assert made.spring_force_workspace(size) == -1
    assert made.spring_force(address(x), address(k), address(out), size, None) == 1
    assert (out == 7.0).all()
    assert made.spring_product_workspace(ctypes.c_int64(2**31), ctypes.c_int64(2**31)) == -1


def test_a_size_that_makes_a_length_negative_is_refused(spring: Any) -> None:
    _, made = spring
    assert made.spring_longer_workspace(ctypes.c_int64(1)) == -1
    assert made.spring_longer_workspace(ctypes.c_int64(2)) >= 0
    x, y, out = np.arange(5.0), np.ones(3), np.empty(3)
    given = [address(x), address(y), address(out), ctypes.c_int64(5), None]
    assert made.spring_longer(*given) == 0 and (out == x[2:] + 1).all()


def test_null_pointers_are_refused_and_write_nothing(spring: Any) -> None:
    _, made = spring
    x, k, out = np.ones(4), np.ones(3), np.full(4, 7.0)
    for missing in range(3):
        arrays = [address(None if j == missing else a) for j, a in enumerate((x, k, out))]
        assert made.spring_force(*arrays, ctypes.c_int64(4), None) == 2
    assert (out == 7.0).all()
    a = np.full((3, 3), 7.0)
    three = ctypes.c_int64(3)
    assert made.spring_product_workspace(three, three) > 0
    assert made.spring_product(address(a), address(a.copy()), three, three, None) == 2


def test_the_library_says_what_is_in_it(spring: Any) -> None:
    path, made = spring
    said = json.loads(made.spring_metadata())
    manifest = json.loads((path / "manifest.json").read_text())
    assert said["functions"] == manifest["functions"] and said["format"] == manifest["format"]
    assert said["numr"] == nr.__version__
    assert said["functions"][0]["doc"].endswith(
        "What?? - this is no trigraph, and */ ends no comment."
    )


def test_a_long_text_about_a_library_is_within_what_c_promises(tmp_path: Path) -> None:
    functions = {f"f{k}": lambda x, k=k: x + k for k in range(40)}
    path = nr.export(functions, nr.spec("n"), target="c", path=tmp_path / "many").path
    made = library(path, "many", "-pedantic", "-O0")
    made.many_metadata.restype = ctypes.c_char_p
    said = json.loads(made.many_metadata())
    assert [f["name"] for f in said["functions"]] == list(functions)
    assert len(made.many_metadata()) > 4095


def test_the_header_is_for_readers_and_for_cplusplus(spring: Any, tmp_path: Path) -> None:
    path, _ = spring
    header = (path / "spring.h").read_text()
    assert "in  x: float64 of shape (n,), in m: where the masses are" in header
    program = tmp_path / "main.cpp"
    program.write_text(
        '#include "spring.h"\nint main() { return spring_energy_workspace(0) != -1; }\n'
    )
    ran([*GCC, "-c", str(path / "spring.c"), "-o", str(tmp_path / "spring.o")])
    made = str(tmp_path / "program")
    options = ("-Wall", "-Wextra", "-Werror", "-pedantic", f"-I{path}")
    ran(["g++", *options, str(program), str(tmp_path / "spring.o"), "-lm", "-o", made])
    ran([made])


def test_functions_share_kernels_and_have_no_state(spring: Any) -> None:
    path, _ = spring
    text = (path / "spring.c").read_text()
    # Nothing outside of functions but constants and functions.
    assert not re.findall(r"^static (?!const|inline|void)", text, re.M)
    assert "malloc" not in text and "lgamma" not in text
    symbols = ran(["nm", "--defined-only", str(path / "libspring.so")])
    data = [s.split()[2] for s in symbols.splitlines() if s.split()[1] in "BbDdC"]
    own = ("completed.0", "__dso_handle", "__bss_start", "_edata", "_end", "_DYNAMIC", "_GLOBAL_OFFSET_TABLE_",
           "__TMC_END__", "__do_global_dtors_aux_fini_array_entry", "__frame_dummy_init_array_entry")  # fmt: skip
    assert set(data) <= set(own)
    bundle = nr.export(
        {"one": (energy, (nr.spec("n"), nr.spec("n - 1"))), "two": (energy, (nr.spec("n"), nr.spec("n - 1")))},
        target="c",
        path=path.parent / "twice",
    )  # fmt: skip
    assert len(re.findall(r"^static void", (bundle.path / "twice.c").read_text(), re.M)) == 1


def test_integers_wrap_divide_and_convert_as_the_jit_has_them(tmp_path: Path) -> None:
    edges = np.array([-(2**63), -(2**63) + 1, -1, 0, 1, 3, 2**63 - 1])
    x, y = (g.ravel() for g in np.meshgrid(edges, edges))
    narrow = [a.astype(np.int8) for a in (x, y)]
    wild = np.array([np.nan, np.inf, -np.inf, 1e300, -1e300, -0.5, 2.0**63, 2.0**31, 255.9, -1.0])

    def whole(a: Any, b: Any) -> Any:
        return a + b, a - b, a * b, a // b, a % b, -a, abs(a), nr.sum(a * b), nr.prod(a)

    def cast(a: Any) -> Any:
        return tuple(a.astype(t) for t in ("int64", "int32", "int8", "uint64", "uint8"))

    functions: dict[str, Any] = {
        "wide": (whole, (nr.spec("n", dtype="i64"),) * 2),
        "narrow": (whole, (nr.spec("n", dtype="i8"),) * 2),
        "cast": (cast, nr.spec("n")),
        # A user's positions wrap, too, where they are no longer small.
        "far": (
            lambda a: a[(nr.arange(a.shape[0]) * 2**40 * 2**40 + 3) % a.shape[0]],
            nr.spec("n"),
        ),
    }
    path = nr.export(functions, target="c", path=tmp_path / "whole").path
    calls = [("wide", [x, y]), ("narrow", narrow), ("cast", [wild]), ("far", [wild])]
    program = Program(path, [(name, a, {"n": len(a[0])}) for name, a in calls])
    sanitized = ("-O0", "-fsanitize=undefined", "-fno-sanitize-recover=all")
    made = program.build(tmp_path / "build", (*CLANG, *sanitized))
    for (name, arrays), got in zip(calls, program.run(made), strict=True):
        entry = functions[name][0]
        for k, (g, w) in enumerate(zip(got, nr.tree.leaves(nr.jit(entry)(*arrays)), strict=True)):
            np.testing.assert_array_equal(g, w.numpy(), err_msg=f"{name} {k}")


def test_fast_math_looks_for_no_nan(tmp_path: Path) -> None:
    f = lambda x: nr.max(nr.maximum(x, 0.5))
    texts = [
        (nr.export({"f": f}, nr.spec("n"), target="c", path=tmp_path / "f", fast_math=fast).path / "f.c").read_text()
        for fast in (False, True)
    ]  # fmt: skip
    assert ["isnan" in t for t in texts] == [True, False]


def test_openmp_and_blas_are_for_those_who_ask(tmp_path: Path) -> None:
    def f(a: Any, b: Any) -> Any:
        return nr.exp(-((a @ b) ** 2)), nr.sum(a, axis=1)

    specs = nr.spec("n", "m"), nr.spec("m", "k")
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=s) for s in ((300, 70), (70, 90))]
    calls = [("f", arrays, {"n": 300, "m": 70, "k": 90})]
    texts = {}
    for options, flags, libraries in (
        ({}, (), ()),
        ({"openmp": True}, ("-fopenmp",), ()),
        ({"openmp": True}, (), ()),
        ({"blas": True}, (), ("-lblas",)),
    ):  # fmt: skip
        name = "_".join(["f", *options])
        bundle = nr.export({"f": f}, specs, target="c", path=tmp_path / name, **options)
        texts[name] = (bundle.path / f"{name}.c").read_text()
        program = Program(bundle.path, calls)
        # Without -fopenmp the same source is for one thread.
        made = program.build(
            tmp_path / f"{name}{len(flags)}", (*GCC, "-O2", *flags), ("-lm", *libraries)
        )
        ((product, total),) = program.run(made)
        np.testing.assert_allclose(product, np.exp(-((arrays[0] @ arrays[1]) ** 2)), rtol=1e-9)
        np.testing.assert_allclose(total, arrays[0].sum(axis=1), rtol=1e-9)
    assert "pragma omp" not in texts["f"] and "cblas" not in texts["f"]
    assert "pragma omp" in texts["f_openmp"] and "cblas_dgemm" in texts["f_blas"]


def test_names_of_c_are_left_to_it(tmp_path: Path) -> None:
    def f(double: Any, exp: Any, int64_t: Any, out: Any) -> Any:
        return nr.exp(double) * exp + int64_t - out

    specs = tuple(nr.spec("long") for _ in range(4))
    path = nr.export({"f": f}, specs, target="c", path=tmp_path / "names").path
    given = [np.arange(3.0) + k for k in range(4)]
    program = Program(path, [("f", given, {"long": 3})])
    ((got,),) = program.run(program.build(tmp_path / "build", GCC))
    np.testing.assert_allclose(got, np.exp(given[0]) * given[1] + given[2] - given[3], rtol=1e-14)


@pytest.mark.parametrize("name", ["sin", "main", "double"])
def test_a_function_called_as_one_of_c_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError) as caught:
        nr.export({name: nr.cos}, nr.spec("n"), target="c", path=tmp_path / name)
    assert f"the function would be called {name!r}, which C has already" in str(caught.value)
    assert "give the folder or the function another name" in str(caught.value)


def test_options_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as caught:
        nr.export(nr.cos, nr.spec("n"), target="c", path=tmp_path / "x", simd=True)
    assert "target \"c\" has no option 'simd'" in str(caught.value)
    assert "openmp=True" in str(caught.value) and "blas=True" in str(caught.value)
    with pytest.raises(ExportError, match="openmp is 1, and True or False is needed"):
        nr.export(nr.cos, nr.spec("n"), target="c", path=tmp_path / "x", openmp=1)


def test_loading_c_says_what_to_do_instead(spring: Any) -> None:
    with pytest.raises(ExportError) as caught:
        nr.load(spring[0])
    text = str(caught.value)
    assert "it is C source, which numr does not build" in text
    assert "cc -std=c11 -O3" in text and 'target="native"' in text
