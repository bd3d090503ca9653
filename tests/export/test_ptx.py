"""Target "ptx": the module of PTX, the manifest, loading, and what cannot be exported."""

# ruff: noqa: F811 (fixtures are imported)

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.backends.cuda import compile as compiler
from numr.codegen.backends.cuda import device, driver
from numr.codegen.export import steps
from numr.codegen.export.record import Launch, Loop, Recording, Repeat, Step, Switch, While
from numr.codegen.export.targets.ptx import code
from numr.codegen.export.targets.ptx.target import TARGET
from numr.errors import DeviceError, ExportError, ShapeError
from tests.backends.cuda.conftest import fake_cuda, install, no_cuda  # noqa: F401
from tests.backends.cuda.fake_driver import FakeDriver
from tests.backends.test_conformance import agree
from tests.export.ptx_cases import (  # noqa: F401
    CASES,
    WEIGHTS,
    N,
    Written,
    arguments,
    check_module,
    named,
    takes,
    write,
)

# -- PTX -------------------------------------------------------------------------------------------


def test_a_module_has_the_kernels_of_all_functions(named: Written) -> None:
    check_module(named)


def test_positions_have_64_bits_and_no_launch_is_interrupted(named: Written) -> None:
    assert TARGET.capabilities.narrow_index is None and not TARGET.capabilities.interrupted
    for recording in named.recordings.values():
        assert all(k.index is nr.int64 for k in recording.kernels)


def test_constants_are_in_the_module(named: Written) -> None:
    (described,) = named.manifest["programs"]["layer"]["constants"]
    (words,) = re.findall(rf"\.u64 {described['name']}\[12\] = {{([^}}]*)}}", named.ptx)
    found = np.array([int(w, 16) for w in words.split(",")], np.uint64).view(np.float64)
    np.testing.assert_array_equal(found.reshape(described["shape"]), WEIGHTS)


def test_compute_capabilities(tmp_path: Path) -> None:
    for cc, machine, version in [((9, 0), "sm_90", "7.8"), ("10.0", "sm_100", "9.0")]:
        write(nr.sin, N, tmp_path / "sine", cc=cc)
        ptx = (tmp_path / "sine" / "sine.ptx").read_text()
        assert f".version {version}\n.target {machine}\n" in ptx
        assert not (tmp_path / "sine" / "sine.cubin").exists()
        capability = tuple(
            json.loads((tmp_path / "sine" / "manifest.json").read_text())["capability"]
        )
        assert compiler.to_cubin(ptx, capability)[:4] == b"\x7fELF"


def test_fast_math(tmp_path: Path) -> None:
    for fast in (False, True):
        write(lambda x: x * 3 + 1, nr.spec("n", dtype="f32"), tmp_path / "line", fast_math=fast)
        assert ("fma.rn.ftz.f32" in (tmp_path / "line" / "line.ptx").read_text()) is fast


# -- the manifest ----------------------------------------------------------------------------------


def same_steps(
    described: Sequence[Mapping[str, Any]],
    recorded: Sequence[Step],
    recording: Recording,
    sizes: Mapping[str, int],
) -> None:
    """A manifest's steps are those of a recording, its formulas for some values of the sizes."""

    def value(found: Any) -> int:
        return steps.value(found, sizes)

    def values(formulas: Any) -> list[int]:
        return [f.value(sizes) for f in formulas]

    for d, s in zip(described, recorded, strict=True):
        if isinstance(s, (Launch, Repeat)):
            kind = "kernel" if isinstance(s, Launch) else "repeat"
            assert d[kind] == recording.kernels[s.kernel].entry
            assert d["buffers"] == [[m.kind, m.number] for m in s.buffers]
            assert value(d["points"]) == s.points.value(sizes)
            for key in ("sizes",) if isinstance(s, Launch) else ("first", "again"):
                assert [value(n) for n in d[key]] == values(getattr(s, key))
        elif isinstance(s, Loop):
            assert (d["loop"], value(d["count"])) == (s.symbol, s.count.value(sizes))
            same_steps(d["steps"], s.steps, recording, {**sizes, s.symbol: 2})
        elif isinstance(s, While):
            assert d["while"] == [s.flag.kind, s.flag.number]
            same_steps(d["test"], s.test, recording, sizes)
            same_steps(d["steps"], s.steps, recording, sizes)
        else:
            assert isinstance(s, Switch)
            assert (d["switch"], d["dtype"]) == (
                [s.selector.kind, s.selector.number],
                str(s.selector.dtype),
            )
            for cases in zip(d["cases"], s.cases, strict=True):
                same_steps(*cases, recording, sizes)


@pytest.mark.parametrize("name", CASES)
def test_steps_of_the_manifest_are_those_of_the_recording(name: str, named: Written) -> None:
    for sizes in ({"n": 1, "m": 1}, {"n": 17, "m": 1000}):
        described = named.manifest["programs"][name]["steps"]
        recording = named.recordings[name]
        same_steps(described, recording.steps, recording, sizes)


# -- loading ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_loaded_functions(name: str, named: Written, fake_cuda: FakeDriver) -> None:
    case = CASES[name]
    bundle = nr.load(named.path)
    described = getattr(bundle, name).description
    for sizes in case.sizes:
        given = arguments(case, sizes)
        if name == "choose":
            given[1] = np.array(1)
        if not takes(described, sizes):
            with pytest.raises(ShapeError, match=f"{name} takes no arrays with n = {sizes['n']}"):
                getattr(bundle, name)(*given)
            continue
        got, want = getattr(bundle, name)(*given), case.oracle(*given)
        for g, w in zip(*((r if isinstance(r, tuple) else (r,)) for r in (got, want)), strict=True):
            agree(g, np.asarray(w), f"{name} {sizes}")
    assert fake_cuda.count("cuModuleLoadData") == 1


def test_machine_code_is_taken_where_it_fits(
    named: Written,
    fake_cuda: FakeDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = []

    def module(self: Any, image: bytes) -> Any:
        images.append(image)
        return driver.Module(self, None)

    monkeypatch.setattr(driver.DriverDevice, "module", module)
    monkeypatch.setattr(driver.Module, "address", lambda self, name: 0)
    nr.load(named.path)
    fake_cuda.devices[0].capability = (7, 5)
    monkeypatch.setattr(device, "_opened", device._opened.__wrapped__)  # type: ignore[attr-defined]
    nr.load(named.path)
    assert [i[:4] for i in images] == [b"//\n/", b"\x7fELF"]
    assert all(i.endswith(b"\0") for i in images)


def test_devices_that_are_too_old(tmp_path: Path, fake_cuda: FakeDriver) -> None:
    fake_cuda.devices[0].capability = (7, 5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "module", lambda *args: "")
        nr.export(nr.sin, N, target="ptx", path=tmp_path / "sine", cc=(9, 0))
    with pytest.raises(ExportError) as info:
        nr.load(tmp_path / "sine")
    assert "it is for compute capability 9.0 and later, and the device here has 7.5" in str(
        info.value
    )
    assert "export it with cc=(7, 5)" in str(info.value)


def test_without_a_driver(named: Written, no_cuda: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise OSError(name)

    no_cuda.setattr(driver.ctypes, "CDLL", missing)
    with pytest.raises(DeviceError, match='device "cuda" cannot be used: no CUDA driver was found'):
        nr.load(named.path)


def test_the_simulator_runs_no_ptx(named: Written, no_cuda: pytest.MonkeyPatch) -> None:
    no_cuda.setenv("NUMBA_ENABLE_CUDASIM", "1")
    with pytest.raises(ExportError, match="for CUDA devices, and numba-cuda's simulator is none"):
        nr.load(named.path)


# -- errors of exporting ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arch": "sm_80"}, """target "ptx" has no option 'arch'"""),
        ({"cc": (7, 0)}, r"cc=\(7, 0\): kernels are compiled for \(7, 5\) and later"),
        ({"cc": 80}, "cc=80 is no compute capability"),
        ({"cc": "sm_80"}, "cc='sm_80' is no compute capability"),
        ({"cc": (8, 0, 1)}, r"cc=\(8, 0, 1\) is no compute capability"),
        ({"cc": (8.0, 0)}, r"cc=\(8.0, 0\) is no compute capability"),
        ({"cc": (9, 9)}, r"cc=\(9, 9\): the compiler .* makes no code for that compute capability"),
        ({"cubin": 1}, "cubin is a int"),
    ],
)  # fmt: skip
def test_options_that_are_none(options: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message) as info:
        nr.export(nr.sin, N, target="ptx", path=tmp_path / "sine", **options)
    assert "cubin=True adds" in str(info.value) or "cc=(8, 0) is" in str(info.value)
    assert not (tmp_path / "sine").exists()


def test_without_the_compiler(tmp_path: Path, no_cuda: pytest.MonkeyPatch) -> None:
    no_cuda.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(ExportError, match='target "ptx" needs the CUDA compiler libraries') as info:
        nr.export(nr.sin, N, target="ptx", path=tmp_path / "sine")
    assert 'pip install "numr[cuda]"' in str(info.value)


@pytest.mark.parametrize("name", ["context", "context_open", "metadata"])
def test_names_that_are_taken(name: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"wave.h has something else that is called wave_{name}"):
        nr.export({name: nr.sin}, N, target="ptx", path=tmp_path / "wave")
