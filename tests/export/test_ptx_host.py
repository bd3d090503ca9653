"""Target "ptx": its host in C gives the right results on a driver that is not there, and fails as it should."""

# ruff: noqa: F811 (fixtures are imported)

from __future__ import annotations

import ctypes
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.codegen.export import abi, steps
from tests.backends.cuda.conftest import fake_cuda, install, no_cuda  # noqa: F401
from tests.backends.cuda.fake_driver import FakeDriver
from tests.backends.test_conformance import agree
from tests.export.cuda_host import WARNINGS, Host, include
from tests.export.ptx_cases import (  # noqa: F401
    CASES,
    SLOW,
    Array,
    N,
    Written,
    arguments,
    check_module,
    force,
    named,
    of_kinds,
    specs_of,
    takes,
    write,
)


@pytest.fixture
def host(named: Written, fake_cuda: FakeDriver) -> Iterator[Host]:
    made = Host(named.path, fake_cuda)
    assert (made.status, made.error) == (abi.OK, "")
    yield made
    made.close()
    assert (fake_cuda.devices[0].live, fake_cuda.devices[0].retained) == (0, 0)
    assert not fake_cuda.modules


class Log:
    """Notes what a manifest's steps launch."""

    def __init__(self, kernels: Mapping[str, Any]) -> None:
        self.kernels = kernels
        self.launches: list[tuple[Any, ...]] = []

    def launch(
        self, kernel: str, buffers: Sequence[Any], sizes: tuple[int, ...], points: int
    ) -> None:
        described = self.kernels[kernel]
        assert len(sizes) == described["sizes"]
        blocks = min(-(-points // described["points"]), 64)
        self.launches.append((kernel, blocks, described["threads"], points, sizes))

    def clear(self, flag: Any) -> None: ...

    def number(self, buffer: Any, dtype: str) -> int:
        return 0


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("energy", {"n": 700}), ("layer", {"n": 70}), ("rolls", {"n": 3, "m": 5}), ("lanes", {"n": 9}),
     ("force", {"n": 20000}), ("softmax", {"n": 100, "m": 7})],
)  # fmt: skip
def test_the_host_launches_what_the_manifest_says(
    name: str,
    sizes: dict[str, int],
    host: Host,
    fake_cuda: FakeDriver,
) -> None:
    fake_cuda.computes = False
    case = CASES[name]
    host(name, *arguments(case, sizes), **sizes)
    found = []
    for call in fake_cuda.calls("cuLaunchKernel"):
        entry, points, pointers, given = call[-1]
        assert all(p % 64 == 0 for p in pointers)
        found.append((entry, call[2], call[5], points, given))
    log = Log(host.manifest["kernels"])
    program = host.manifest["programs"][name]
    memory = {kind: [None] * 20 for kind in ("in", "out", "const", "temp")}
    steps.run(program["steps"], sizes, memory, log)
    assert found == log.launches


@pytest.mark.parametrize(("name", "n"), [("force", 700), ("softmax", 700), ("force", 20000)])
def test_grids_are_those_of_the_jit(
    name: str, n: int, named: Written, fake_cuda: FakeDriver
) -> None:
    fake_cuda.computes = False
    case, sizes = CASES[name], {"n": n, "m": 1000}
    given = arguments(case, sizes)

    def grids() -> list[tuple[Any, ...]]:
        found = [(call[2], call[5]) for call in fake_cuda.calls("cuLaunchKernel")]
        fake_cuda.log.clear()
        return found

    made = Host(named.path, fake_cuda)
    made(name, *given, **sizes)
    made.close()
    exported = grids()
    nr.jit(case.fun, device="cuda")(*given).numpy()
    assert grids() == exported


@pytest.mark.parametrize("name", CASES)
def test_symbolic_sizes(name: str, host: Host) -> None:
    case = CASES[name]
    for sizes in case.sizes:
        given = arguments(case, sizes)
        if not takes(host.described[name], sizes):
            order = [sizes[s] for s in host.described[name]["sizes"]]
            assert host.workspace(name, *order) == -1
            assert host.raw(name, [*given, *host.outputs(name, sizes)], order) == abi.SIZE
            continue
        for other in [-1, 0, 1, 2, 7] if name == "choose" else [None]:
            if other is not None:
                given[1] = np.array(other)
            want = case.oracle(*given)
            want = want if isinstance(want, tuple) else (want,)
            for g, w in zip(host(name, *given, **sizes), want, strict=True):
                agree(g, np.asarray(w), f"{name} {sizes}")
    assert takes(host.described[name], case.sizes[-1])


def test_kinds_of_primitives(
    tmp_path: Path,
    install: Callable[[FakeDriver], FakeDriver],
) -> None:
    path = tmp_path / "kinds"
    cases = {name: (fun, given) for name, fun, given in of_kinds()}
    assert len(cases) > 45
    known = {name: (fun, specs_of(given)) for name, (fun, given) in cases.items()}
    check_module(Written(path, {r.name: r for r in write(known, None, path, cubin=True)}))
    made = Host(path, install(FakeDriver()))
    for name, (fun, given) in cases.items():
        if name in SLOW:
            continue
        want = nr.jit(fun, device="reference")(*given)
        several = isinstance(want, (tuple, list))
        for g, w in zip(made(name, *given), want if several else [want], strict=True):
            agree(g, w.numpy(), name)
    made.close()


def test_memory_is_allocated_once(host: Host, fake_cuda: FakeDriver) -> None:
    def call(n: int) -> int:
        host("force", *arguments(CASES["force"], {"n": n}), n=n)
        return fake_cuda.count("cuMemAlloc_v2")

    assert [call(n) for n in (5, 700, 700, 3, 800)] == [1, 2, 2, 2, 3]
    assert fake_cuda.devices[0].live == 1
    assert max(c[2] for c in fake_cuda.calls("cuMemAlloc_v2")) == host.workspace("force", 800)


def test_threads_with_a_context_each(named: Written, fake_cuda: FakeDriver) -> None:
    case = CASES["until"]

    def run(n: int) -> None:
        made = Host(named.path, fake_cuda, device=n % 2)
        given = arguments(case, {"n": n})
        agree(made("until", *given, n=n)[0], case.oracle(*given))
        made.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(2, 8)))
    assert [d.live for d in fake_cuda.devices] == [d.retained for d in fake_cuda.devices] == [0, 0]


def test_sizes_that_are_refused(host: Host, fake_cuda: FakeDriver) -> None:
    before = len(fake_cuda.log)
    for n in (0, -1, -(2**63), 2**63 - 1, 2**60):
        assert host.workspace("force", n) == -1
        x, k, out = np.ones(4), np.ones(3), np.full(4, 7.0)
        assert host.raw("force", [x, k, out], [n]) == abi.SIZE
        assert (out == 7).all()
    assert host.workspace("softmax", 2**31, 2**31) == -1
    assert [host.workspace("windows", n) >= 0 for n in (1, 9)] == [False, True]
    assert host.raw("windows", [np.ones(3), np.ones(1)], [1]) == abi.SIZE
    assert len(fake_cuda.log) == before
    assert host.workspace("force", 2) == 192


def test_null_pointers(host: Host, fake_cuda: FakeDriver) -> None:
    before = len(fake_cuda.log)
    x, k, out = np.ones(4), np.ones(3), np.full(4, 7.0)
    for given in ([None, k, out], [x, None, out], [x, k, None]):
        assert host.raw("force", given, [4]) == abi.NULL
    host.context, context = ctypes.c_void_p(), host.context
    assert host.raw("force", [x, k, out], [4]) == abi.NULL
    host.close()
    host.context = context
    assert (out == 7).all() and len(fake_cuda.log) == before
    assert host.function("context_open")(None, 0, b"") == abi.NULL
    assert host.function("context_open")(ctypes.byref(ctypes.c_void_p()), 0, None) == abi.NULL


def test_a_driver_that_fails(host: Host, fake_cuda: FakeDriver) -> None:
    case, fake = CASES["force"], fake_cuda
    arrays = [*arguments(case, {"n": 4}), np.empty(4)]
    for function, code_, text in [
        ("cuMemAlloc_v2", 2, "cuMemAlloc: out of memory"),
        ("cuMemcpyHtoD_v2", 700, "cuMemcpyHtoD: an illegal memory access was encountered"),
        ("cuLaunchKernel", 701, "cuLaunchKernel: too many resources requested for launch"),
        ("cuMemcpyDtoH_v2", 719, "cuMemcpyDtoH: unspecified launch failure"),
        ("cuCtxPushCurrent_v2", 201, "cuCtxPushCurrent: invalid device context"),
        ("cuCtxPopCurrent_v2", 201, "cuCtxPopCurrent: invalid device context"),
    ]:
        fake.failing[function] = [code_]
        assert (host.raw("force", arrays, [4]), host.error) == (3, text)
        if function.startswith("cuCtxPop"):
            fake.stack.pop()  # which was not done
        assert not fake.stack
    # Another call is as if nothing had been.
    agree(host("force", *arrays[:2], n=4)[0], force(*arrays[:2]))
    fake.devices[0].memory = 1 << 12
    assert host.raw("force", [np.ones(9000), np.ones(8999), np.ones(9000)], [9000]) == 3
    assert host.error == "cuMemAlloc: out of memory"
    agree(host("force", *arrays[:2], n=4)[0], force(*arrays[:2]))


def test_contexts_that_do_not_open(named: Written, fake_cuda: FakeDriver) -> None:
    def opened(**given: Any) -> tuple[int, str]:
        made = Host(named.path, fake_cuda, **given)
        found = made.status, made.error
        made.close()
        assert not fake_cuda.stack and not fake_cuda.modules
        assert not any(d.retained for d in fake_cuda.devices)
        return found

    assert opened(device=7) == (3, "cuDeviceGet: invalid device ordinal")
    assert opened(image=".version 7.8\n") == (3, "cuModuleGetFunction: named symbol not found")
    fake_cuda.failing["cuModuleLoadData"] = 209
    text = "cuModuleLoadData: no kernel image is available for execution on the device"
    assert opened() == (3, text)
    fake_cuda.failing.clear()
    fake_cuda.devices.clear()
    assert opened() == (3, "cuInit: no CUDA-capable device is detected")


def test_metadata(host: Host) -> None:
    found = json.loads(host.function("metadata", ctypes.c_char_p)())
    assert found["functions"] == host.manifest["functions"]
    assert (found["numr"], found["format"]) == (nr.__version__, host.manifest["format"])


def test_the_program(
    named: Written,
    host: Host,
    fake_cuda: FakeDriver,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def run(*given: str) -> tuple[int, str, str]:
        words = [b"named", *(g.encode() for g in given)]
        main = host.function("main")
        status = main(len(words), (ctypes.c_char_p * len(words))(*words))
        ctypes.CDLL(None).fflush(None)
        out, err = capfd.readouterr()
        return status, out, err

    ptx = str(named.path / "named.ptx")
    status, out, err = run(ptx, "9", "2")
    assert (status, err) == (0, ""), out
    blocks = re.findall(r"^(\w+): status 0\n((?:  .*\n)+)", out, re.M)
    assert [name for name, _ in blocks] == list(CASES)
    x = 0.5 + 0.25 * (np.arange(9) % 8)
    shown = dict(blocks)
    assert shown["energy"] == f"  out, 1 numbers: {energy_of(x):.9g}\n"
    doubled = " ".join(f"{v:.9g}" for v in 2 * x[:8])
    assert shown["choose"] == f"  out, 9 numbers: {doubled} ...\n"
    assert shown["parts"] == f"  out, 18 numbers:{' 0' * 8} ...\n"
    status, out, err = run(ptx, "0", "2")
    assert (status, out) == (1, "energy does not take these sizes\n")
    for given in ((ptx, "9"), ("nowhere.ptx", "9", "2")):
        assert run(*given) == (2, "", "usage: named named.ptx n m\n")
    fake_cuda.failing["cuMemAlloc_v2"] = 2
    status, out, err = run(ptx, "9", "2")
    assert (status, err) == (3, "cuMemAlloc: out of memory\n")


def energy_of(x: Array) -> float:
    return float((0.5 * x[:-1] * np.diff(x) ** 2).sum())


def test_clang_and_cxx(named: Written, tmp_path: Path) -> None:
    flags = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{include()}", f"-I{named.path}"]
    sources = [named.path / f"named_{part}.c" for part in ("host", "main")]
    commands = [["clang", "-std=c11", *flags, *map(str, sources)]]
    program = tmp_path / "program.cpp"
    program.write_text(
        '#include "named.h"\nint main() { return named_force_workspace(3) == -1 ? NUMR_DEVICE : NUMR_OK; }\n'
    )
    commands.append(["g++", "-std=c++17", *flags, str(program)])
    for command in commands:
        assert shutil.which(command[0]), command[0]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert "-std=c11" in WARNINGS


def test_names_that_are_no_c(tmp_path: Path) -> None:
    """What numr's own names are, nothing of a user's is; a function may have no result, and no sizes count."""
    known = {
        "launch": (lambda context, words: context + words, (N, N)),
        "nothing": (lambda x: (), (N,)),
        "empty": (lambda x: x[:0] * 2, (nr.spec(3),)),
    }
    write(known, None, tmp_path / "odd")
    command = ["gcc", *WARNINGS, f"-I{include()}", "-fsyntax-only"]
    files = [str(tmp_path / "odd" / f"odd_{part}.c") for part in ("host", "main")]
    done = subprocess.run([*command, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    header = (tmp_path / "odd" / "odd.h").read_text()
    assert (
        "const double *context_, const double *words, double *out, int64_t n, odd_context *context"
        in header
    )
    write({"nothing": lambda x: ()}, N, tmp_path / "none")
    assert ".entry" not in (tmp_path / "none" / "none.ptx").read_text()
    done = subprocess.run([*command, str(tmp_path / "none" / "none_host.c")], check=False)
    assert done.returncode == 0
