"""Bundles of WGSL through wgpu, as the jit and the interpreter have it; the files; what cannot be exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.errors import DTypeError, ExportError, ShapeError
from numr.export import spec
from tests.export.webgpu_cases import (
    CASES,
    agree,
    energy,
    exported,
    f32,
    interpreted,
    primitives,
)

# Each way a primitive becomes kernels; the browser's tests have all primitives.
KINDS = (
    "add", "cast", "exp", "floor_divide", "gather", "lgamma", "pad", "reduce_max", "reduce_sum", "select",
    "shift_left", "threefry", "whole_power",
    "cumsum", "linear_recurrence", "matmul", "qr", "scatter", "solve", "sort", "triangular_solve",
)  # fmt: skip


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("wgsl") / "cases"
    nr.export(exported(CASES), target="wgsl", path=path)
    return nr.load(path)


@pytest.mark.parametrize("name", CASES)
def test_as_the_jit(cases: Any, name: str) -> None:
    function = getattr(cases, name)
    for arguments in CASES[name].arguments:
        want = nr.tree.map(np.asarray, nr.jit(CASES[name].fun)(*arguments))
        agree(function(*arguments), want, name)


def test_every_kind_of_primitive(tmp_path: Path) -> None:
    samples = [s for s in primitives() if s[0].removeprefix("p_") in KINDS]
    assert len(samples) == len(KINDS)
    nr.export({n: (f, s) for n, f, s, _ in samples}, target="wgsl", path=tmp_path / "kinds")
    bundle = nr.load(tmp_path / "kinds")
    for name, fun, _, operands in samples:
        agree(getattr(bundle, name)(*operands), interpreted(fun, operands), name)


def test_float64_where_a_device_has_it(tmp_path: Path) -> None:
    x = np.linspace(0.1, 3, 70)
    bundle = nr.export(
        nr.grad(lambda x: nr.sum(nr.log(x) ** 2)),
        spec("n"),
        target="wgsl",
        path=tmp_path / "wide",
        features=("shader-f64",),
    )
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    assert manifest["features"] == ["shader-f64", "shader-int64"]
    np.testing.assert_allclose(nr.load(bundle.path)(x), 2 * np.log(x) / x, rtol=1e-14)


def test_typical_sizes_are_not_built_in(tmp_path: Path) -> None:
    functions = {
        "sums": lambda x: nr.sum(nr.sin(x), axis=1),
        "loop": lambda x: nr.scan(lambda c, a: (c * 0.5 + a, c.sum()), x[0], x)[1],
    }
    typical = {"n": 3, "m": 2}
    path = tmp_path / "typical"
    nr.export(functions, f32("n", "m"), target="wgsl", path=path, typical=typical)
    bundle = nr.load(path)
    for shape in ((3, 2), (7, 5), (1, 40)):
        x = np.linspace(-1, 2, shape[0] * shape[1], dtype=np.float32).reshape(shape)
        for name, fun in functions.items():
            agree(getattr(bundle, name)(x), np.asarray(nr.jit(fun)(x)), name)


@pytest.mark.parametrize("n", ["n", 10_000])
def test_long_loops_are_launched_in_pieces(tmp_path: Path, n: int | str) -> None:
    def smoothed(x: Any) -> Any:
        return nr.scan(lambda c, a: (0.999 * c + a, c), np.float32(1), x)

    bundle = nr.export(smoothed, f32(n), target="wgsl", path=tmp_path / "long")
    assert "for round1 in 1 .. " in bundle.steps["smoothed"]
    function = nr.load(bundle.path)
    # Drivers break a loop off that goes round more often than 65535 times.
    for length in (1, 4096, 4097, 200_000) if n == "n" else (n,):
        x = np.random.default_rng(1).random(length).astype(np.float32)
        agree(function(x), nr.tree.map(np.asarray, nr.jit(smoothed)(x)), str(length))


def test_int64_where_a_device_has_it(tmp_path: Path) -> None:
    def order(x: Any) -> Any:
        return nr.argmax(x), nr.argsort(x)

    bundle = nr.export(
        order, f32(50), target="web", path=tmp_path / "wide", features="shader-int64"
    )
    x = np.random.default_rng(2).random(50).astype(np.float32)
    agree(nr.load(bundle.path)(x), (np.argmax(x), np.argsort(x)), "order")


# -- files -------------------------------------------------------------------------------------


def test_files(tmp_path: Path) -> None:
    specs = f32("n", unit="m", doc="where the weights are"), f32("n - 1")
    functions = {"energy": energy, "again": energy, "force": nr.grad(energy)}
    bundle = nr.export(functions, specs, target="wgsl", path=tmp_path / "spring")
    kernels = [f for f in bundle.files if f.startswith("kernels/")]
    assert kernels == ["kernels/k0.wgsl", "kernels/k1.wgsl"], "equal kernels are one file"
    others = sorted(set(bundle.files) - set(kernels))
    assert others == ["package.json", "spring.d.ts", "spring.js"]
    script = (bundle.path / "spring.js").read_text()
    assert "const out = await model.energy({x, k});" in script
    assert all((bundle.path / k).read_text() in script for k in kernels)
    assert "import " not in script.replace('await import("node:fs/promises")', "").replace(
        "import.meta", ""
    )
    types = (bundle.path / "spring.d.ts").read_text()
    assert "takes x, float32 [n] in m: where the weights are" in types
    assert (
        "energy: Call<{ x: Given<Float32Array>; k: Given<Float32Array> }, number, { n?: number }>;"
        in types
    )
    assert "force: Call<{ x: Given<Float32Array>; k: Given<Float32Array> }, Float32Array, " in types


def test_types_of_nestings(tmp_path: Path) -> None:
    chosen = {k: CASES[k] for k in ("nested", "fields", "logical", "polar")}
    bundle = nr.export(exported(chosen), target="wgsl", path=tmp_path / "nest")
    types = (bundle.path / "nest.d.ts").read_text()
    array = "Given<Float32Array>"
    assert f'{{ params: {{ "w": {array}; "b": readonly [{array}] }}; x: {array} }}' in types
    assert (
        '{ "w": Float32Array; "b": [Float32Array] }, { k?: number; m?: number; n?: number }>'
        in types
    )
    assert f'{{ p: {{ "x": {array}; "y": {array} }} }}' in types
    assert '{ "sum": Float32Array; "both": [Float32Array, [Float32Array]] }' in types
    assert "m: Given<Uint8Array> }, Uint8Array" in types


def test_constants_are_held_once(tmp_path: Path) -> None:
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    functions = {"one": lambda x: weights @ x, "two": lambda x: nr.sin(weights @ x)}
    bundle = nr.export(functions, f32(4), target="wgsl", path=tmp_path / "held")
    assert (bundle.path / "constants.bin").read_bytes() == weights.tobytes()
    x = np.ones(4, np.float32)
    np.testing.assert_array_equal(nr.load(bundle.path).one(x), weights @ x)


# -- what cannot be -----------------------------------------------------------------------------


def message(error: pytest.ExceptionInfo[Any]) -> str:
    return str(error.value)


def test_float64_arguments(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as error:
        nr.export(energy, (spec("n"), spec("n - 1")), target="wgsl", path=tmp_path / "x")
    assert 'target "wgsl" has no float64, which the argument x of energy is made of' in message(
        error
    )
    assert 'write dtype="float32" in its numr.spec' in message(error)
    assert not (tmp_path / "x").exists()


def test_float64_inside_names_the_line(tmp_path: Path) -> None:
    def f(x: Any) -> Any:
        return x * nr.arange(3.0, dtype="float64")  # here

    with pytest.raises(DTypeError) as error:
        nr.export(f, f32(3), target="wgsl", path=tmp_path / "x")
    assert 'device "wgsl" has no float64' in message(error)
    assert "# here" in message(error)
    assert 'x.astype("float32")' in message(error)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cpu": "host"}, "target \"wgsl\" has no option 'cpu'"),
        ({"features": ("shader-f128",)}, "there is no feature 'shader-f128'"),
        ({"features": "f64"}, "'shader-f64' or 'shader-int64'"),
    ],
)
def test_options(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError) as error:
        nr.export(nr.sin, f32("n"), target="wgsl", path=tmp_path / "x", **options)
    assert words in message(error)


def test_a_name_that_promises(tmp_path: Path) -> None:
    with pytest.raises(ExportError) as error:
        nr.export({"then": nr.sin}, f32("n"), target="wgsl", path=tmp_path / "x")
    assert "a function called then would make JavaScript take the module for a promise" in message(
        error
    )


def test_wrong_arguments(cases: Any) -> None:
    x = np.ones(5, np.float32)
    with pytest.raises(ShapeError) as error:
        cases.energy(x, x)
    assert "energy: k has an axis of length 5" in message(error)
    with pytest.raises(DTypeError) as wide:
        cases.energy(x.astype(np.float64), x[1:])
    assert "energy: x is of dtype float64, and float32 is needed" in message(wide)


def test_a_feature_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from numr.codegen.backends.webgpu.gpu import gpu

    nr.export(nr.sin, spec("n"), target="wgsl", path=tmp_path / "x", features=("shader-f64",))
    monkeypatch.setattr(gpu(), "features", frozenset())
    with pytest.raises(ExportError) as error:
        nr.load(tmp_path / "x")
    assert "it needs the WebGPU feature shader-f64, shader-int64" in message(error)


def test_a_binding_that_is_too_small(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from numr.codegen.backends.webgpu.gpu import gpu
    from numr.errors import DeviceError

    monkeypatch.setitem(gpu().limits, "max-storage-buffer-binding-size", 1 << 16)
    x = np.ones(40_000, np.float32)
    with pytest.raises(DeviceError) as error:
        cases.energy(x, x[1:])
    assert (
        "an array of energy is larger than the 65536 bytes that an exported kernel reads"
        in message(error)
    )


def test_altered_kernels_are_refused(tmp_path: Path) -> None:
    bundle = nr.export(nr.sin, f32("n"), target="wgsl", path=tmp_path / "x")
    file = bundle.path / "kernels" / "k0.wgsl"
    file.write_text(file.read_text().replace("64", "32"))
    with pytest.raises(ExportError) as error:
        nr.load(bundle.path)
    assert "kernels/k0.wgsl is not as it was written" in message(error)
