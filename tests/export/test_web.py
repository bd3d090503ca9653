"""Bundles in a headless browser: every primitive, loops, derivatives, the page, and the example that fits."""

from __future__ import annotations

import importlib.util
import inspect
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import numr as nr
from numr.export import spec
from tests.export.browser import Browser
from tests.export.webgpu_cases import (
    CASES,
    Case,
    agree,
    energy,
    exported,
    f32,
    interpreted,
    primitives,
)

# Compiled for long, and of the same kernels as solve and qr.
ALIKE = ("p_inv", "p_det", "p_signdet", "p_logabsdet", "p_lstsq")
EXAMPLE = Path(__file__).parents[2] / "examples" / "export" / "fit" / "fit.py"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def browser(root: Path) -> Iterator[Browser]:
    (root / "empty.html").write_text("<!doctype html><link rel='icon' href='data:,'>")
    with Browser(root) as found:
        yield found


def given(case: Case, arguments: tuple[Any, ...]) -> dict[str, Any]:
    """Arguments by name; those whose several lengths have to be found out are nested."""
    names = inspect.signature(case.fun).parameters
    nested = [x.tolist() if isinstance(x, np.ndarray) and x.ndim > 1 else x for x in arguments]
    return dict(zip(names, nested, strict=True))


def test_functions_as_the_jit_has_them(browser: Browser, root: Path) -> None:
    nr.export(exported(CASES), target="wgsl", path=root / "cases")
    browser.open("/empty.html")
    calls = [(n, a) for n, case in CASES.items() if n != "many" for a in case.arguments]
    found = browser.calls("/cases/cases.js", [(n, given(CASES[n], a)) for n, a in calls])
    for (name, arguments), got in zip(calls, found, strict=True):
        assert not (isinstance(got, dict) and "error" in got), (name, got)
        agree(got, nr.tree.map(np.asarray, nr.jit(CASES[name].fun)(*arguments)), name)
    assert browser.complaints() == []


def test_every_primitive(browser: Browser, root: Path) -> None:
    samples = [s for s in primitives() if s[0] not in ALIKE]
    nr.export({n: (f, s) for n, f, s, _ in samples}, target="wgsl", path=root / "primitives")
    browser.open("/empty.html")
    calls = [(n, {f"x{k}": x for k, x in enumerate(operands)}) for n, _, _, operands in samples]
    found = browser.calls("/primitives/primitives.js", calls)
    for (name, fun, _, operands), got in zip(samples, found, strict=True):
        assert not (isinstance(got, dict) and "error" in got), (name, got)
        agree(got, interpreted(fun, operands), name)


def test_more_points_than_one_dimension_of_workgroups_has(browser: Browser, root: Path) -> None:
    nr.export(lambda x: 2 * x, f32("n"), target="wgsl", path=root / "many")
    browser.open("/empty.html")
    found = browser.run("""
      const model = await (await import("/many/many.js")).load();
      const x = Float32Array.from({ length: 64 * 65535 + 100 }, (_, k) => k);
      const out = await model.f({ x });
      return [out.length, out.findIndex((y, k) => y !== 2 * k)];
    """)
    assert found == [64 * 65535 + 100, -1]


def test_page(browser: Browser, root: Path) -> None:
    specs = f32("n", unit="m", doc="where the weights are"), f32("n - 1", unit="N/m")
    nr.export({"energy": energy, "force": nr.grad(energy)}, specs, target="web", path=root / "page")
    browser.open("/page/index.html")
    script = """
      while (!document.body.dataset.ready) await new Promise((r) => setTimeout(r, 20));
      const form = document.getElementById(args[0]), output = form.querySelector("output");
      for (const [name, text] of Object.entries(args[1])) form.elements[name].value = text;
      delete output.dataset.done;
      form.requestSubmit();
      while (!output.dataset.done) await new Promise((r) => setTimeout(r, 20));
      return [form.innerText, output.textContent, output.className];
    """
    text, output, _ = browser.run(script, "energy", {"x": "[0, 1, 3]", "k": "1, 2"})
    assert output == "4.5"
    assert "The energy of springs in a row." in text
    assert "x, float32 [n] in m: where the weights are" in text
    assert "Returns out, float32 []." in text
    _, output, _ = browser.run(script, "force", {"x": "linspace(0, 2, 3)", "k": "[1, 3]"})
    assert output == "[-1, -2, 3]"
    _, output, kind = browser.run(script, "force", {"x": "[0, 1, 3]", "k": "[1]"})
    assert kind == "wrong"
    x, k = np.float32([0, 1, 3]), np.float32([1, 2])
    assert nr.load(root / "page").energy(x, k) == 4.5
    assert output == "force: k has length 1, and it is Float32Array [n - 1] with n = 3"
    _, output, _ = browser.run(script, "force", {"x": "[0, 1, 3]", "k": "one"})
    assert output == "k: write a number, a list such as [1, 2, 3], or linspace(0, 1, 100)"
    assert browser.complaints() == []


def load_example() -> Any:
    found = importlib.util.spec_from_file_location("example_fit", EXAMPLE)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_a_curve_is_fitted_to_what_is_drawn(browser: Browser, root: Path) -> None:
    example = load_example()
    assert example.main(["--quick", "--output", str(root / "fit")]) == 0
    browser.open("/fit/index.html")
    box = browser.run("""
      while (!state.ready) await new Promise((r) => setTimeout(r, 20));
      const { left, top, width, height } = document.getElementById("board").getBoundingClientRect();
      return [left, top, width, height];
    """)
    steps = [k / 60 for k in range(61)]
    browser.drag([
        (round(box[0] + box[2] * (0.05 + 0.9 * t)), round(box[1] + box[3] * (0.5 - 0.3 * math.sin(6 * t))))
        for t in steps
    ])  # fmt: skip
    found = browser.run("""
      while (state.step < 60) await new Promise((r) => setTimeout(r, 20));
      const x = Float32Array.from(state.points, (p) => p[0]), y = Float32Array.from(state.points, (p) => p[1]);
      const params = Object.fromEntries(Object.entries(state.params).map(([k, p]) => [k, p.slice()]));
      const [loss, slope] = await state.model.slope({ params, x, y });
      const list = (p) => (typeof p === "number" ? p : [...p]);
      const nested = (o) => Object.fromEntries(Object.entries(o).map(([k, p]) => [k, list(p)]));
      return { x: [...x], y: [...y], params: nested(params), loss, slope: nested(slope), losses: state.losses,
        curve: [...state.curve], status: document.getElementById("status").textContent,
        missing: document.getElementById("missing").hidden };
    """)
    assert found["missing"] and "gradients a second" in found["status"]
    x, y = (np.array(found[k], np.float32) for k in "xy")
    assert len(x) > 40 and np.abs(y - 0.6 * np.sin(6 * (x + 0.9) / 1.8)).max() < 0.02
    params = {k: np.array(p, np.float32) for k, p in found["params"].items()}
    params["c"] = params["c"].reshape(())
    loss, slope = nr.jit(nr.value_and_grad(example.loss))(params, x, y)
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-5)
    scale = max(float(np.abs(np.asarray(g)).max()) for g in slope.values())
    for name, g in slope.items():
        np.testing.assert_allclose(found["slope"][name], g, rtol=1e-4, atol=1e-5 * scale)
    losses = found["losses"]
    assert losses[-1] < losses[0] / 5
    assert found["curve"] and np.isfinite(found["curve"]).all()
    assert browser.complaints() == []


def test_the_guide_is_true(browser: Browser, root: Path) -> None:
    guide = (EXAMPLE.parents[3] / "docs" / "guide" / "export.md").read_text()
    found = re.search(r"```js\n(.*?)```\n\n```console\n(.*?)```", guide, re.DOTALL)
    assert found is not None
    functions = {"energy": energy, "force": nr.grad(energy)}
    nr.export(functions, (f32("n"), f32("n - 1")), target="web", path=root / "chain")
    noted = "const said = []; console.log = (...x) => said.push(x.join(' '));"
    (root / "guide.html").write_text(
        f"<link rel='icon' href='data:,'><script>{noted}</script>"
        f"<script type='module'>{found[1]};said.done = true;</script>"
    )
    browser.open("/guide.html")
    script = "while (!said.done) await new Promise((r) => setTimeout(r, 20)); return [...said];"
    assert browser.run(script) == found[2].splitlines()


def test_without_webgpu_the_page_says_so(browser: Browser, root: Path) -> None:
    nr.export(nr.sin, spec("n", dtype="f32"), target="web", path=root / "sine")
    page = root / "sine" / "index.html"
    without = "<script>Object.defineProperty(navigator, 'gpu', {value: undefined})</script>"
    page.write_text(page.read_text().replace("<body>", f"<body>{without}"))
    browser.open("/sine/index.html")
    text = browser.run("""
      while (!document.body.dataset.ready) await new Promise((r) => setTimeout(r, 20));
      return document.getElementById("missing").innerText;
    """)
    assert text.startswith("there is no WebGPU here: use a current Chrome, Edge, Firefox or Safari")


def test_buffers_are_used_again(browser: Browser, root: Path) -> None:
    specs = f32("n"), f32("n - 1")
    nr.export(
        {"energy": energy, "force": nr.grad(energy)}, specs, target="wgsl", path=root / "again"
    )
    browser.open("/empty.html")
    found = browser.run("""
      const { load } = await import("/again/again.js");
      const device = await (await navigator.gpu.requestAdapter()).requestDevice();
      let made = 0;
      const original = device.createBuffer.bind(device);
      device.createBuffer = (d) => (made++, original(d));
      const model = await load(device);
      const prepared = await model.force.prepare({ n: 3 });
      const before = made;
      const first = [...await prepared.run({ x: [0, 1, 3], k: [1, 2] })];
      // In turn and at once, and with what is on the device.
      const calls = [{ x: [0, 0, 0], k: [1, 1] }, { x: [0, 1, 3], k: [1, 2] }];
      const both = await Promise.all(calls.map((args) => prepared.run(args)));
      // What becomes of an array after a call is not the call's.
      const x = Float32Array.of(0, 1, 3);
      const waiting = prepared.run({ x, k: [1, 2] });
      x.fill(0);
      const then = [...await waiting];
      const { out } = await prepared.dispatch({ x: [0, 1, 3], k: [1, 2] });
      const used = made - before;
      const energy = await model.energy({ x: out, k: [1, 1] }, { n: 3 });
      const small = await model.energy({ x: out, k: [1, 1, 1, 1] }).catch((error) => error.message);
      prepared.destroy();
      const gone = await prepared.run({ x: [0, 1, 3], k: [1, 2] }).catch((error) => error.message);
      device.destroy();
      await device.lost;
      const lost = await model.energy({ x: [0, 1], k: [1] }).catch((error) => error.message);
      return { then, first, both: both.map((x) => [...x]), used, energy, small, gone, lost };
    """)
    assert found["first"] == [-1, -3, 4]
    assert found["both"] == [[0, 0, 0], [-1, -3, 4]]
    assert found["then"] == found["first"]
    assert found["used"] == 0
    assert found["energy"] == 0.5 * (2**2 + 7**2)
    assert found["small"] == "energy: x is a buffer of 12 bytes, and 20 are needed"
    assert found["gone"] == "force: its buffers were destroyed"
    assert found["lost"].startswith("the WebGPU device was lost (")
