"""Times exported functions, called from C, beside the jit's kernels, generated C and CasADi's C, by turns.

python -m benchmarks.export [--only arm,call] [--peer-python PATH] [--rounds 200] [--into docs/performance.md]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import numr as nr
from benchmarks import harness, report
from benchmarks.exported.models import MODELS, Model
from benchmarks.exported.program import Timing, Variant, count, source
from benchmarks.workloads import black_scholes
from numr.codegen.backends.cpu.compile import compile_kernel
from numr.codegen.backends.cpu.print import parameters
from numr.codegen.backends.cpu.print import source as kernel_source
from numr.codegen.export.record import Launch, Memory, Recording
from numr.codegen.export.targets.native.target import TARGET
from numr.export.write import _recorded

RESULTS = Path(__file__).resolve().parent / "results" / "export.json"
CC = ("cc", "-std=c11", "-O3", "-march=native")
MANY = 10_000  # options that are priced at once
# numr may take so many times as long as what it is held against; a call may take so many seconds.
KERNELS, GENERATED, PEER, CALL = 1.05, 1.3, 1.0, 0.1e-6
Told = dict[str, dict[str, Any]]


@dataclass
class Case:
    """A function to export: its specs, and the sizes that it is run with."""

    name: str
    title: str
    function: Callable[..., Any]
    specs: tuple[Any, ...]
    sizes: dict[str, int] = field(default_factory=dict)
    model: Model | None = None


def derivative(model: Model) -> Callable[..., Any]:
    """The derivative of a model that is timed beside it."""

    def value(*args: Any) -> Any:
        return model.function(nr, *args)

    if model.derivative == "gradient":
        numbers = tuple(range(model.count))
        return nr.grad(value, argnums=numbers if model.count > 1 else 0)
    if model.derivative == "jacobian":
        jacobian = nr.jacfwd(value)
        return (lambda *args: (value(*args), jacobian(*args))) if model.beside else jacobian

    def weighted(*args: Any) -> Any:
        return nr.sum(args[-1] * value(*args[:-1]))

    return nr.grad(weighted)


def cases() -> list[Case]:
    found = []
    for name, model in MODELS.items():
        specs = tuple(nr.spec(*shape) for shape in model.shapes)
        # The weights of an adjoint are of the results' shape, which is that of the states.
        more = specs[:1] if model.derivative == "adjoint" else ()
        value = lambda *args, model=model: model.function(nr, *args)
        found.append(Case(name, model.title, value, specs, model=model))
        title = f"{model.title}: {'with its ' * model.beside}{model.derivative}"
        found.append(
            Case(f"{name}_derivative", title, derivative(model), (*specs, *more), model=model)
        )
    formula = black_scholes.formula(nr, nr.special.erf)
    price = lambda s, k, t, v: formula(s, k, t, v, 0.03)
    delta = nr.grad(lambda *args: nr.sum(price(*args)))
    options = (nr.spec("n"),) * 4
    for name, f in (("prices", price), ("deltas", delta)):
        title = f"Black-Scholes, {name} of {MANY} options"
        found.append(Case(name, title, f, options, {"n": MANY}))
    found.append(Case("call", "a call: one addition", lambda x: x + 1.0, (nr.spec(),)))
    return found


class Build:
    """The objects of all implementations of all cases, in a folder, and what making them took."""

    def __init__(
        self, folder: Path, only: Sequence[str], peer_python: str, progress: harness.Progress
    ) -> None:
        self.folder = folder
        self.objects: list[str] = []
        self.made: dict[str, Told] = {}
        self.timings: list[Timing] = []
        self._kernels: set[str] = set()
        self.cases = [c for c in cases() if not only or c.name.partition("_")[0] in only]
        self.casadi = harness.run_child(
            "benchmarks.exported.casadi_code", [str(folder)], peer_python, dict(_environment())
        )
        # What is loaded on a first export is none of any function's.
        for target in ("native", "c"):
            nr.export(nr.sin, nr.spec("n"), target=target, path=folder / "warm")
        for case in self.cases:
            progress(f"export: building {case.name}")
            self._build(case)

    def _build(self, case: Case) -> None:
        known = _recorded(case.name, case.function, case.specs, TARGET, {}, False)
        timing = Timing(
            case.name,
            [_shape(a, case) for a in known.inputs],
            [_shape(a, case) for a in known.outputs],
            case.model.low if case.model else 0.1,
        )
        self.made[case.name] = {}
        arguments = [f"in{k}" for k in range(len(known.inputs))]
        arguments += [f"out{k}" for k in range(len(known.outputs))]
        arguments += [str(case.sizes[s]) for s in known.symbols]
        for who, target in (("native", "native"), ("C", "c")):
            called = f"{target}_{case.name}"
            start = time.perf_counter()
            nr.export(
                {case.name: case.function}, case.specs, target=target, path=self.folder / called
            )
            made = f"{called}/{called}.o"
            if target == "c":
                self._cc(f"{called}/{called}.c", made)
            self._note(case, who, time.perf_counter() - start, made)
            entry = f"{called}_{case.name}"
            timing.variants.append(
                Variant(
                    who,
                    f'#include "{called}/{called}.h"',
                    f"{entry}({', '.join(arguments)}, work);",
                )
            )
        timing.variants.append(self._jit(case, known))
        if case.model is not None and "functions" in self.casadi:
            timing.variants.append(self._casadi(case, timing))
        self.timings.append(timing)

    def _note(self, case: Case, who: str, seconds: float, made: str) -> None:
        self.objects.append(made)
        size = _ran(["size", made], self.folder).splitlines()[1].split()[0]
        self.made[case.name][who] = {"seconds": seconds, "bytes": int(size)}

    def _cc(self, given: str, made: str) -> None:
        _ran([*CC, "-c", given, "-o", made], self.folder)

    def _jit(self, case: Case, known: Recording) -> Variant:
        """The jit's own kernels for the same steps, called one after another."""
        declared, calls = [], []
        memories: dict[str, int] = {}
        for k, array in enumerate(known.constants):
            values = ", ".join(map(repr, array.ravel().tolist()))
            declared.append(
                f"static const double {case.name}_const{k}[{max(array.size, 1)}] = {{{values}}};"
            )

        def place(memory: Memory) -> str:
            if memory.kind in ("in", "out"):
                return str(memory)
            if memory.kind == "temp":
                memories[str(memory)] = memory.length.value(case.sizes)
            return f"{case.name}_{memory}"

        for step in known.steps:
            assert isinstance(step, Launch), case.name
            kernel = known.kernels[step.kernel]
            kinds = ["const void *"] * len(kernel.buffers)
            types = ["int64_t", "int64_t", *kinds, *["int64_t"] * len(kernel.sizes)]
            declared.append(f"void {kernel.entry}({', '.join(types)});")
            numbers = [str(n.value(case.sizes)) for n in step.sizes]
            args = ["0", str(step.points.value(case.sizes)), *map(place, step.buffers), *numbers]
            calls.append(f"{kernel.entry}({', '.join(args)});")
            if kernel.entry not in self._kernels:
                self._kernels.add(kernel.entry)
                code = compile_kernel(
                    kernel_source(kernel), kernel.entry, parameters(kernel), False
                )
                made = f"{kernel.entry}.o"
                (self.folder / made).write_bytes(code)
                self.objects.append(made)
        declared += [f"static double {case.name}_{m}[{n}];" for m, n in memories.items()]
        return Variant("kernels", "\n".join(declared), " ".join(calls))

    def _casadi(self, case: Case, timing: Timing) -> Variant:
        told = self.casadi["functions"][case.name]
        start = time.perf_counter()
        self._cc(f"casadi_{case.name}.c", f"casadi_{case.name}.o")
        seconds = told["seconds"] + time.perf_counter() - start
        self._note(case, "CasADi", seconds, f"casadi_{case.name}.o")
        entry = f"casadi_{case.name}"
        given = [f"{'turned' if len(s) == 2 else 'in'}{k}" for k, s in enumerate(timing.inputs)]
        made = [f"out{k}" for k in range(len(timing.outputs))]
        # More than it says, as it uses these arrays for its own.
        return Variant(
            "CasADi",
            f"int {entry}(const double **, double **, long long *, double *, int);",
            f"const double *args[{told['args'] + 1}] = {{{', '.join(given)}}}; "
            f"double *results[{told['results'] + 1}] = {{{', '.join(made)}}}; "
            f"{entry}(args, results, 0, work, 0);",
        )

    def run(self, rounds: int) -> dict[str, dict[str, list[float]]]:
        """Samples by case and implementation, after all results were compared."""
        (self.folder / "main.c").write_text(source(self.timings, rounds, 1 << 14))
        libraries = ["-lmvec", "-lm"] if _has_libmvec() else ["-lm"]
        command = ["cc", "-std=gnu11", "-O2", "main.c", *self.objects, "-o", "program", *libraries]
        _ran(command, self.folder)
        printed = _ran(["./program", "results"], self.folder)
        self._compare(np.fromfile(self.folder / "results"))
        found: dict[str, dict[str, list[float]]] = {}
        for line in printed.splitlines():
            case, who, seconds = line.split()
            found.setdefault(case, {}).setdefault(who, []).append(float(seconds))
        return found

    def _compare(self, results: np.ndarray) -> None:
        for timing in self.timings:
            want: list[np.ndarray] = []
            for variant in timing.variants:
                got = []
                for shape in timing.outputs:
                    n = count(shape)
                    x, results = results[:n], results[n:]
                    by_columns = variant.who == "CasADi" and len(shape) == 2
                    got.append(x.reshape(shape[::-1]).T if by_columns else x.reshape(shape))
                for g, w in zip(got, want or got, strict=True):
                    error = np.abs(g - w).max() / max(np.abs(w).max(), 1e-300)
                    if not error < 1e-12:
                        raise SystemExit(
                            f"WRONG RESULT: {timing.name}, {variant.who}: {error:.1e} off"
                        )
                want = want or got
        assert not results.size


def _environment() -> dict[str, str]:
    return harness.environment(1, Path(tempfile.gettempdir()))


def _shape(argument: Any, case: Case) -> tuple[int, ...]:
    return tuple(n.value(case.sizes) for n in argument.shape)


def _has_libmvec() -> bool:
    from numr.codegen.backends.cpu import machine

    return machine.host().libmvec


def _ran(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:200]}\n{done.stderr[:2000]}")
    return done.stdout


def from_python(case: Case, seconds: float = 0.05) -> float:
    """The seconds of a call of the jitted function, on arrays of its own."""
    random = np.random.default_rng(0)
    given = [nr.asarray(random.uniform(0.1, 1.1, [n.value(case.sizes) for n in s.shape]))
             for s in case.specs]  # fmt: skip
    call = nr.jit(case.function)
    call(*given)
    samples = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(samples) < 5:
        start = time.perf_counter()
        for _ in range(10):
            result = call(*given)
        (result[0] if isinstance(result, tuple) else result).block_until_ready()
        samples.append((time.perf_counter() - start) / 10)
    return median(samples)


def measure(only: Sequence[str], peer_python: str, rounds: int) -> dict[str, Any]:
    progress = harness.terminal_progress()
    with tempfile.TemporaryDirectory() as folder:
        build = Build(Path(folder), only, peer_python, progress)
        progress("export: timing")
        busy = harness.busy_cores()
        samples = build.run(rounds)
    rows = []
    for case in build.cases:
        cells = {
            who: harness.summary(times) | build.made[case.name].get(who, {})
            for who, times in samples[case.name].items()
        }
        for cell in cells.values():
            del cell["samples"]
        rows.append(
            {"name": case.name, "title": case.title, "cells": cells, "jit": from_python(case)}
        )
    progress("")
    entry = report.record("export", "Exported functions", 1, {"rows": rows, "busy": busy})
    version = _ran(["cc", "--version"], Path.cwd()).splitlines()[0]
    peer = build.casadi.get("version") or build.casadi["failed"]
    return entry | {"versions": {"CasADi": peer, "cc": version}}


HEAD = ("", "native", "kernels", "ratio", "C", "ratio", "CasADi", "ratio", "from Python")


def table(result: dict[str, Any]) -> str:
    """The measurements as Markdown: times and their ratios, then what compiling takes and makes."""
    machine, versions = result["machine"], result["versions"]
    lines = [
        f"{result['date'][:10]}; {machine['processor']}, {machine['cores']} cores; CasADi {versions['CasADi']}; "
        f"{versions['cc']}"
        + (
            f"; other work on {result['busy']:.1f} cores"
            if (result["busy"] or 0) > report.QUIET
            else ""
        ),
        "",
        f"| {' | '.join(HEAD)} |",
        "|---|" + "---:|" * (len(HEAD) - 1),
    ]
    for row in result["rows"]:
        cells, texts = row["cells"], [row["title"]]
        for who in ("native", "kernels", "C", "CasADi"):
            texts.append(report.quantity(cells[who]["median"]) if who in cells else "")
            if who != "native":
                texts.append(_verdict(row, who))
        lines.append(f"| {' | '.join([*texts, report.quantity(row['jit'])])} |")
    whos = ("native", "C", "CasADi")
    head = ["compiling, and code", *whos, *whos]
    lines += ["", f"| {' | '.join(head)} |", "|---|" + "---:|" * 6]
    for row in result["rows"]:
        made = [row["cells"].get(who) for who in whos]
        times = [report.quantity(m["seconds"]) if m else "" for m in made]
        sizes = [f"{m['bytes'] / 1000:.1f} kB" if m else "" for m in made]
        lines.append(f"| {' | '.join([row['title'], *times, *sizes])} |")
    return "\n".join(lines)


def _ratios(row: dict[str, Any], who: str) -> tuple[float, float] | None:
    """A ratio that has a target, by medians and by minima: of native code, but of C to the kernels."""
    cells = row["cells"]
    if who not in cells:
        return None
    above, below = ("C", "kernels") if who == "C" else ("native", who)
    first, second = (cells[above][s] / cells[below][s] for s in ("median", "min"))
    return first, second


def _verdict(row: dict[str, Any], who: str) -> str:
    found = _ratios(row, who)
    if found is None:
        return ""
    most = {"kernels": KERNELS, "C": GENERATED, "CasADi": PEER}[who]
    if row["name"] == "call":
        # What is not to be seen beside a call from Python.
        took = row["cells"]["native"]["median"]
        return f"{'met' if took <= CALL else 'MISSED'}" if who == "kernels" else ""
    met = "met" if found[0] <= most or found[1] <= most else "MISSED"
    return f"{found[0]:.2f} ({found[1]:.2f}) {met}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="comma-separated names of functions")
    parser.add_argument("--peer-python", default=sys.executable, help="runs CasADi")
    parser.add_argument("--rounds", type=int, default=200, help="turns that each gets")
    parser.add_argument("--into", type=Path, help="the page whose table is replaced")
    asked = parser.parse_args()
    only = asked.only.split(",") if asked.only else []
    known = sorted({c.name.partition("_")[0] for c in cases()})
    for name in only:
        if name not in known:
            parser.error(f"--only: no {name}; there are {', '.join(known)}")
    result = measure(only, asked.peer_python, asked.rounds)
    text = table(result)
    print(text)
    if asked.into:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        report.insert(asked.into, text, "export")


if __name__ == "__main__":
    main()
