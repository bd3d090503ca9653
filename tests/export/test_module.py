"""The JavaScript module without a device, in Node: sizes, formulas, messages; its types; the script for Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.export import spec
from tests.export.webgpu_cases import CASES, energy, exported, f32

RUN = Path(__file__).parents[2] / "examples" / "export" / "run.mjs"
# A device that does nothing but note what is dispatched and with which parameters.
STUB = """
const any = new Proxy(function () {}, { get: (_, k) => (k === "then" ? undefined : any), apply: () => any });
const groups = [], written = [];
const pass = new Proxy({}, { get: (_, k) => (k === "dispatchWorkgroups" ? (...n) => groups.push(n) : any) });
const device = {
  limits: { minUniformBufferOffsetAlignment: 256, maxBufferSize: 2 ** 28, maxStorageBufferBindingSize: 2 ** 27 },
  features: new Set(), lost: new Promise(() => {}), pushErrorScope() {}, popErrorScope: async () => null,
  createBuffer: ({ size, usage }) => ({ size, usage, destroy() {}, unmap() {}, mapAsync: async () => {},
    getMappedRange: () => new ArrayBuffer(size) }),
  createBindGroupLayout: any, createPipelineLayout: any, createShaderModule: any, createBindGroup: any,
  createComputePipelineAsync: async () => any,
  createCommandEncoder: () => new Proxy({}, { get: (_, k) => (k === "beginComputePass" ? () => pass : any) }),
  queue: { submit() {}, writeBuffer: (buffer, at, data, from, size) => {
    if (buffer.usage & 64 && size) written.push([...new Int32Array(data, 0, 4 + 12)]);
  } },
};
"""


def node(script: str, *args: Any) -> Any:
    """What a script puts into `result`; `args` are its arguments."""
    whole = f"const args = {json.dumps(args)};\n{STUB}\nlet result;\n{script}\nconsole.log(JSON.stringify(result));"
    command = [shutil.which("node") or "node", "--input-type=module", "-e", whole]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("module") / "cases"
    names = (
        "energy",
        "many",
        "matmul",
        "nested",
        "fields",
        "logical",
        "half",
        "small",
        "polar",
        "held",
        "rows",
    )
    chosen = exported({k: CASES[k] for k in names})
    chosen["both"] = (lambda x, y: nr.concatenate([x, y]), (f32("2*n + m"), f32("m")))
    chosen["least"] = (lambda x, i: x[i], (f32("max(n, 4)"), spec("n // 2", dtype="int16")))
    nr.export(chosen, target="wgsl", path=path)
    return path


CALLS: list[tuple[str, str, str]] = [
    # function, arguments and sizes in JavaScript, and the message
    ("energy", "{x: new Float32Array(3)}", "energy: k is missing: it is Float32Array [n - 1]"),
    ("energy", "{x: [1], k: [], y: 1}", "energy: there is no argument y; there are x, k"),
    ("energy", "{x: new Float64Array(3), k: [1, 2]}",
     "energy: x is a Float64Array, and Float32Array [n] is needed"),
    ("energy", "{x: new Float32Array(3), k: new Float32Array(3)}",
     "energy: k has length 3, and it is Float32Array [n - 1] with n = 3"),
    ("energy", "{x: [[1, 2]], k: [1]}", "energy: x is nested 2 deep, and Float32Array [n] is needed"),
    ("held", "{x: []}", "held: x has length 0, and it is Float32Array [4]"),
    ("rows", "{x: [[]]}", "rows: the size m is 0, and it is at least 1"),
    ("energy", "{x: ['1', '2'], k: [1]}", "energy: x is of strings, and Float32Array [n] is needed"),
    ("energy", "{x: [1, 2], k: [1]}, {n: 2.5}",
     "energy: the size n is 2.5, and it is a whole number from 1 up"),
    ("energy", "{x: [1, 2], k: [1]}, {m: 2}", "energy: there is no size m; there are n"),
    ("energy", "{x: {length: 4}, k: [1]}", "energy: x is of objects, and Float32Array [n] is needed"),
    ("matmul", "{a: new Float32Array(6), b: new Float32Array(6)}",
     "matmul: the sizes n, m, k do not follow from a of length 6, b of length 6: "
     "nest the arrays by axes, or give the sizes after the arguments, as {n: ..}"),
    ("matmul", "{a: [[1, 2], [3]], b: [[1]]}",
     "matmul: a is ragged: 2 and 1 elements side by side, and Float32Array [n, m] is needed"),
    ("nested", "{params: {w: [[1]]}, x: [[1]]}", "nested: params has no b; it has to have w, b"),
    ("fields", "{p: {x: [1, 2], y: [1]}}", "fields: p_y has length 1, and it is Float32Array [n] with n = 2"),
    ("half", "{x: [1]}", "half: x is of numbers, and Uint16Array [n] is needed"),
    ("small", "{x: [1, 300]}", "small: x holds 300, which is no int8"),
    ("small", "{x: [0.5]}", "small: x holds 0.5, which is no int8"),
    ("polar", "{z: new Float32Array(3)}",
     "polar: z is 3 numbers, and Float32Array of pairs [n] is needed"),
    ("polar", "{z: [1, 2, 3]}",
     "polar: z is not pairs of a real and an imaginary part, and Float32Array of pairs [n] is needed"),
    ("both", "{x: new Float32Array(4), y: new Float32Array(1)}",
     "both: x has length 4, and it is Float32Array [m + 2*n]: no n makes it so"),
    ("rows", "{x: new Float32Array(1)}, {n: 100000, m: 1000}",
     "rows: x has length 1, and it is Float32Array [n, m] with n = 100000, m = 1000"),
]  # fmt: skip


def test_messages(bundle: Path) -> None:
    calls = ",\n".join(
        f"() => model.{name}({given}).then(() => 'no error')" for name, given, _ in CALLS
    )
    found = node(
        f"""
        const {{ load }} = await import(args[0]);
        const model = await load(device);
        result = [];
        for (const call of [{calls}]) result.push(await call().catch((error) => error.message));
        """,
        (bundle / "cases.js").as_uri(),
    )
    for (name, given, message), got in zip(CALLS, found, strict=True):
        assert message in got, (name, given, got)


def test_sizes(bundle: Path) -> None:
    """What kernels are told, for sizes that follow from lengths in each way."""
    calls = [
        "energy({x: new Float32Array(5), k: new Float32Array(4)})",
        "energy([5, 4].reduce((a, n, i) => ({...a, [i ? 'k' : 'x']: new Float32Array(n)}), {}))",
        "matmul({a: [[1, 2], [3, 4], [5, 6]], b: [[1], [2]]})",
        "matmul({a: new Float32Array(6), b: new Float32Array(2)}, {m: 2})",
        "matmul({a: [new Float32Array(2), new Float32Array(2)], b: new Float32Array(6)})",
        "both({x: new Float32Array(9), y: new Float32Array(3)})",
        "least({x: new Float32Array(4), i: new Int16Array(1)}, {n: 3})",
        "many({x: new Float32Array(64 * 65535 + 100)})",
        "nested({params_w: [[1, 2]], params_b_0: [1, 2], x: [[1], [2], [3]]})",
        "energy({x: {mapAsync() {}, size: 20}, k: [1, 1, 1, 1]})",
    ]
    steps = ",\n".join(f"() => model.{call}" for call in calls)
    found = node(
        f"""
        const {{ load }} = await import(args[0]);
        const model = await load(device);
        result = [];
        for (const call of [{steps}]) {{
          groups.length = written.length = 0;
          const value = await call();
          result.push({{ groups: [...groups], first: written[0], length: value?.length ?? typeof value }});
        }}
        """,
        (bundle / "cases.js").as_uri(),
    )
    five, _, three, two, pairs, both, least, many, nested, buffer = found
    none, infinite, nan = 0, 0x7F800000, 0x7FC00000
    assert five["groups"] == [[1, 1]] and five["first"][:5] == [1, none, infinite, nan, 4]
    assert five["length"] == "number"
    for again in (found[1], buffer):
        assert again["groups"] == five["groups"] and again["first"][:5] == five["first"][:5]
    assert three["length"] == two["length"] == 3
    assert pairs["length"] == 6
    assert both["length"] == 12
    assert least["length"] == 1
    assert many["groups"] == [[65535, 2]] and many["length"] == 64 * 65535 + 100
    assert nested["length"] == "object"


def test_limits_and_features(bundle: Path, tmp_path: Path) -> None:
    wide = nr.export(
        nr.sin, spec("n"), target="wgsl", path=tmp_path / "wide", features=("shader-f64",)
    )
    found = node(
        """
        const { load } = await import(args[0]);
        const model = await load(device);
        const message = (promise) => promise.then(() => "no error", (error) => error.message);
        const n = 2 ** 25 + 1, { load: loadWide } = await import(args[1]);
        result = [
          await message(model.many.prepare({ n })),
          await message(model.rows.prepare({ n: 2 ** 16, m: 2 ** 15 })),
          await message(model.rows.prepare({ n: 3 })),
          await message(loadWide(device)),
          await message(load()),
          Object.keys(model),
        ];
        """,
        (bundle / "cases.js").as_uri(),
        (wide.path / "wide.js").as_uri(),
    )
    assert found[0] == (
        f"many: x takes {4 * (2**25 + 1)} bytes, and a buffer of this device has at most {2**27}"
    )
    assert found[1] == f"rows: out has {2**31} elements, and at most {2**31 - 1} can be numbered"
    assert found[2].startswith("rows: the size m does not follow from the arguments: ")
    assert found[3].startswith("this bundle needs the WebGPU feature shader-f64, which the device")
    assert found[4].startswith(
        "there is no WebGPU here: use a current Chrome, Edge, Firefox or Saf"
    )
    names = [f["name"] for f in json.loads((bundle / "manifest.json").read_text())["functions"]]
    assert found[5] == names


def test_conditions(tmp_path: Path) -> None:
    nr.export(lambda x: x[:5], f32("n"), target="wgsl", path=tmp_path / "first")
    found = node(
        """
        const { load } = await import(args[0]);
        const [first] = Object.values(await load(device));
        result = [(await first({ x: new Float32Array(7) })).length,
          await first({ x: new Float32Array(3) }).catch((error) => error.message)];
        """,
        (tmp_path / "first" / "first.js").as_uri(),
    )
    assert found == [
        5,
        "f takes no arrays with n = 3: it was exported for sizes where n - 5 >= 0",
    ]


def test_types(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "use.ts").write_text(f"""
      import {{ load }} from "{(bundle / "cases").as_posix()}.js";
      export async function main(): Promise<number> {{
        const model = await load();
        const n: number = await model.energy({{ x: new Float32Array(3), k: [1, 2] }});
        const c: Float32Array = await model.matmul({{ a: [[1, 2]], b: [[1], [2]] }}, {{ n: 1 }});
        const m: Uint8Array = await model.logical({{ x: [1], m: [true] }});
        const p = await model.energy.prepare({{ n: 3 }});
        const {{ w, b: [first] }} = await model.nested({{ params: {{ w: [[1]], b: [[1]] }}, x: [[1]] }});
        // @ts-expect-error: k is missing
        await model.energy({{ x: [1] }});
        // @ts-expect-error: an array of another type
        await model.energy({{ x: "numbers", k: [1] }});
        // @ts-expect-error: there is no such size
        await model.energy({{ x: [1], k: [] }}, {{ q: 3 }});
        return n + c.length + m.length + (await p.run({{ x: [1, 2], k: [1] }})) + w.length + first.length;
      }}
    """)
    tsc = shutil.which("tsc")
    assert tsc, "the tests need TypeScript: `make browser` installs it on Debian"
    command = [
        tsc,
        "--strict",
        "--noEmit",
        "--target",
        "es2022",
        "--moduleResolution",
        "node",
        "use.ts",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_script(bundle: Path) -> None:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        command = [shutil.which("node") or "node", str(RUN), *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    x = json.dumps({"x": np.ones(3).tolist(), "k": [1, 1]})
    done = run(str(bundle), "energy", x)
    if done.returncode == 0:  # a Node that has WebGPU
        assert json.loads(done.stdout) == float(energy(np.ones(3), np.ones(2)))
    else:
        assert "run.mjs: this JavaScript has no WebGPU: for Node, npm install webgpu" in done.stderr
    done = run(str(bundle), "power", x)
    assert (
        done.returncode == 1 and "the bundle has no function power; it has energy, " in done.stderr
    )
    done = run()
    assert done.returncode == 1 and "say: run.mjs FOLDER FUNCTION" in done.stderr
