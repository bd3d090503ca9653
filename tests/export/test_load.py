"""numr.load: what it takes and returns, and the bundles and arguments that it refuses."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import sys
from collections import namedtuple
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.backends.cpu import objects
from numr.codegen.export import bundle
from numr.errors import DTypeError, ExportError, ShapeError, TreeMismatchError

State = namedtuple("State", ["place", "speed"])


def energy(x: Any, k: Any) -> Any:
    """The energy of a chain of springs."""
    return nr.sum(0.5 * k * nr.diff(x) ** 2)


def moved(state: State, options: Mapping[str, Any], count: int) -> Any:
    place = state.place + options["step"] * state.speed * count
    return {"state": State(place, state.speed), "sums": [nr.sum(place), None], "count": count}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load") / "chain"
    chain = nr.spec("n", unit="m"), nr.spec("n - 1")
    state = State(nr.spec("n", 2), nr.spec("n", 2)), {"step": nr.spec(dtype="f64")}, 3
    known = {
        "energy": (energy, chain),
        "force": (nr.grad(energy), chain),
        "moved": (moved, state),
        "second": (lambda x: x[2:] - x[:-2], nr.spec("n")),
        "pairs": (lambda x: x[::2] * x[1::2], nr.spec("2*n")),
        "single": (lambda x: x + 1, nr.spec("n", dtype="f32")),
        "fixed": (lambda x: x * 2, nr.spec(3)),
    }
    nr.export(known, target="native", path=folder, shared=False)
    return folder


@pytest.fixture(scope="module")
def chain(made: Path) -> Any:
    return nr.load(made)


# -- calls ---------------------------------------------------------------------------------------------


def test_functions(chain: Any) -> None:
    assert list(chain.functions) == [
        "energy",
        "force",
        "moved",
        "second",
        "pairs",
        "single",
        "fixed",
    ]
    assert {"energy", "fixed"} <= set(dir(chain))
    assert chain.energy.__name__ == "energy"
    assert chain.energy.__doc__ == "The energy of a chain of springs."
    assert repr(chain.energy) == "energy(x: float64(n,), k: float64(n - 1,)) -> out: float64()"
    assert repr(chain).startswith("Loaded('") and repr(chain.energy) in repr(chain)
    with pytest.raises(AttributeError, match="no function 'torque'; it has energy, force, moved"):
        chain.torque
    with pytest.raises(
        ExportError, match=r"has the functions energy, .*: call one of them by name"
    ):
        chain(np.ones(3))


def test_numbers_and_lists_and_strided_arrays(chain: Any) -> None:
    assert chain.energy([1, 3, 6], [2, 4]) == 22
    x = np.arange(12.0)
    np.testing.assert_array_equal(chain.fixed(x[::5]), [0, 10, 20])
    np.testing.assert_array_equal(chain.fixed((1, 2.5, True)), [2, 5, 2])
    assert chain.single([1, 2]).dtype == np.float32


def test_arrays_of_numr(chain: Any) -> None:
    np.testing.assert_array_equal(chain.fixed(nr.arange(3.0)), [0, 2, 4])


def test_nested_arguments_and_results(chain: Any) -> None:
    place, speed = np.ones((4, 2)), np.arange(8.0).reshape(4, 2)
    found = chain.moved(State(place, speed), {"step": 0.5}, 3)
    assert list(found) == ["state", "sums", "count"]
    assert type(found["state"]).__name__ == "State"
    np.testing.assert_array_equal(found["state"].place, 1 + 1.5 * speed)
    np.testing.assert_array_equal(found["state"].speed, speed)
    assert found["sums"][0] == 8 + 1.5 * 28 and found["sums"][1] is None
    assert found["count"] == 3


def test_very_many_arguments(tmp_path: Path) -> None:
    """More than the direct way of calling takes."""
    specs = [nr.spec("n") for _ in range(130)]
    nr.export(lambda xs: sum(xs), (specs,), target="native", path=tmp_path / "sum", shared=False)
    given = [np.full(3, float(k)) for k in range(130)]
    np.testing.assert_array_equal(nr.load(tmp_path / "sum")(given), np.full(3, 8385.0))


def test_misaligned_arrays_are_copied(chain: Any) -> None:
    data = np.zeros(25, np.uint8)
    data[1:] = np.arange(3.0).view(np.uint8)
    x = data[1:].view(np.float64)
    assert not x.flags.aligned
    np.testing.assert_array_equal(chain.fixed(x), [0, 2, 4])


def test_one_function_is_called_as_it_is(tmp_path: Path) -> None:
    nr.export(nr.sin, nr.spec("n"), target="native", path=tmp_path / "sine", shared=False)
    sine = nr.load(str(tmp_path / "sine"))
    np.testing.assert_array_equal(sine([0.0]), [0.0])
    np.testing.assert_array_equal(sine.sin([0.0]), [0.0])


def test_a_bundle_that_was_exported_again_is_the_new_one(tmp_path: Path) -> None:
    results = []
    for factor in (2.0, 3.0):
        f = lambda x, factor=factor: x * factor
        nr.export({"f": f}, nr.spec("n"), target="native", path=tmp_path / "f", shared=False)
        results.append(nr.load(tmp_path / "f"))
    assert [f([1.0])[0] for f in results] == [2.0, 3.0]


def test_bundles_of_one_name_stay_apart(tmp_path: Path) -> None:
    """Functions of two bundles that have one name in C, the first of which is loaded again."""
    loaded = []
    for folder, other, value in (("a", "f", 1.0), ("b", "g", 2.0)):
        functions = {other: nr.sin, "s": lambda x, value=value: x + value}
        path = tmp_path / folder / "same"
        nr.export(functions, nr.spec("n"), target="native", path=path, shared=False)
        loaded.append(nr.load(path))
    loaded.append(nr.load(tmp_path / "a" / "same"))
    assert [bundle.s([0.0])[0] for bundle in loaded] == [1.0, 2.0, 1.0]


def test_the_files_may_go_once_it_is_loaded(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "copy")
    found = nr.load(tmp_path / "copy").energy
    shutil.rmtree(tmp_path / "copy")
    assert found([1, 3, 6], [2, 4]) == 22


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda c: c.energy(np.ones(3)),
            TreeMismatchError,
            "energy: arguments is a tuple of 1, and a tuple of 2 is needed",
        ),
        (
            lambda c: c.moved(State(1, 2), {"stop": 1}, 3),
            TreeMismatchError,
            r"moved: arguments\[1\] is a dict with \['stop'\], and with \['step'\] is needed",
        ),
        (
            lambda c: c.energy(np.ones((3, 1)), np.ones(2)),
            ShapeError,
            r"energy: x has shape \(3, 1\), and \(n,\) is needed",
        ),
        (
            lambda c: c.energy(np.ones(3), np.ones(3)),
            ShapeError,
            r"energy: k has an axis of length 3, and its shape is \(n - 1,\) with n = 3",
        ),
        (
            lambda c: c.single(np.ones(0, np.float32)),
            ShapeError,
            "single: the size n is 0, and it is at least 1",
        ),
        (
            lambda c: c.pairs(np.ones(5)),
            ShapeError,
            "pairs: the sizes n do not follow from x of length 5",
        ),
        (
            lambda c: c.second(np.ones(1)),
            ShapeError,
            "second takes no arrays with n = 1: it was exported for sizes where n - 2 >= 0",
        ),
        (
            lambda c: c.fixed(np.ones(4)),
            ShapeError,
            r"fixed: x has an axis of length 4, and its shape is \(3,\)",
        ),
        (
            lambda c: c.single(np.ones(4)),
            DTypeError,
            r"single: x is of dtype float64, and float32 is needed(?s:.*)convert it with "
            r"\.astype\('float32'\)",
        ),
        (
            lambda c: c.fixed([1j, 0, 0]),
            DTypeError,
            "fixed: x is of dtype complex128, and float64 is needed",
        ),
    ],
)
def test_arguments_that_do_not_fit(
    chain: Any, call: Callable[[Any], Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call(chain)


# -- bundles that are not as they should be ------------------------------------------------------------


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "chain"))


def refused(folder: Path, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading is an error that names the folder, and nothing is mapped before it."""

    def mapped(*args: Any) -> None:
        raise AssertionError("the code was loaded")

    monkeypatch.setattr(objects, "load_alone", mapped)
    with pytest.raises(ExportError, match=f"(?s)load: {re.escape(str(folder))}: {message}"):
        nr.load(folder)


def test_no_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path, r"there is no manifest\.json.*give the folder that numr", monkeypatch)
    refused(tmp_path / "none", "there is no manifest", monkeypatch)


@pytest.mark.parametrize("change", ["shorter", "other", "none"])
def test_a_file_that_is_not_as_it_was(
    copy: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = copy / "chain.o"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    {
        "shorter": lambda: file.write_bytes(data[:-1]),
        "other": lambda: file.write_bytes(data),
        "none": file.unlink,
    }[change]()
    what = "is missing" if change == "none" else "is not as it was written: its checksum differs"
    refused(copy, rf"chain\.o {what}.*export it again, or copy it again as a whole", monkeypatch)


def test_a_manifest_that_is_not_as_it_was(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = copy / "manifest.json"
    text = file.read_text()
    file.write_text(text[:-10])
    refused(copy, r"manifest\.json is damaged", monkeypatch)
    file.write_text(text.replace('"f32"', '"f64"').replace('"float32"', '"float64"'))
    refused(copy, r"manifest\.json is not as it was written: its checksum differs", monkeypatch)
    file.write_bytes(pickle.dumps({"format": bundle.FORMAT}))
    refused(copy, r"manifest\.json is damaged", monkeypatch)


def rewritten(copy: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A bundle with another manifest whose checksums are right."""
    manifest = json.loads((copy / "manifest.json").read_text())
    contents = {name: (copy / name).read_bytes() for name in manifest["files"]}
    change(manifest)
    del manifest["checksum"]
    bundle.write(copy, manifest, contents)
    # `write` puts its own format first.
    if manifest["format"] != bundle.FORMAT:
        text = (copy / "manifest.json").read_text()
        (copy / "manifest.json").write_text(text.replace(bundle.FORMAT, manifest["format"]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda m: m.update(format="numr-export 99"),
            "its format is 'numr-export 99', and this numr reads 'numr-export 1'.*export it again with this",
        ),
        (
            lambda m: m["machine"].update(triple="riscv64-unknown-linux-gnu"),
            "it is for riscv64-unknown-linux-gnu, and this machine is .*export it on a machine of this kind",
        ),
        (
            lambda m: m["machine"].update(cpu="future", features=["avx2048", "quantum"]),
            "it is for processors such as future, and this one, .*, has no avx2048, quantum.*a lesser one",
        ),
        (
            lambda m: m["needed"].append("numr_no_such_function"),
            "it calls numr_no_such_function, which this machine's C library does not have",
        ),
        (lambda m: m.update(target="fortran"), None),
    ],
    ids=["version", "triple", "processor", "library", "target"],
)
def test_another_version_or_machine(
    copy: Path,
    change: Callable[[dict[str, Any]], None],
    message: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rewritten(copy, change)
    if message is None:
        with pytest.raises(ExportError, match="there is no target 'fortran'"):
            nr.load(copy)
    else:
        refused(copy, message, monkeypatch)


def test_a_file_outside_the_bundle(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = copy / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["files"] = {"../secret": "0" * 64}
    del manifest["checksum"]
    manifest["checksum"] = bundle._checksum(bundle._text(manifest).encode())
    file.write_text(bundle._text(manifest))
    refused(copy, "manifest.json names '../secret', which is outside the bundle", monkeypatch)


def test_nothing_is_unpickled_and_nothing_traced(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("a bundle is data, and holds its code already")

    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, never)
    monkeypatch.setattr(sys.modules["numr.jit"].Traced, "__init__", never)
    monkeypatch.setattr("numr.codegen.program.build_program", never)
    monkeypatch.setattr("numr.codegen.backends.cpu.compile.compile_kernel", never)
    assert nr.load(made).energy([1, 3, 6], [2, 4]) == 22
