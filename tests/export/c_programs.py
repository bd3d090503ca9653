"""Programs in C that call every function of a bundle on given arrays, built and run as their users would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from numr.codegen.export import abi
from numr.codegen.export.manifest import value
from numr.dtypes import as_dtype

WARNINGS = ("-Wall", "-Wextra", "-Werror")
GCC = ("gcc", "-std=c11", *WARNINGS)
CLANG = ("clang", "-std=c11", *WARNINGS)
# A function's name, the arrays it is given, and its sizes.
Call = tuple[str, Sequence[np.ndarray[Any, Any]], Mapping[str, int]]


class Program:
    """A program for a bundle: it reads inputs from a file and writes results to another.

    Every array is memory of its own of exactly its length, so that tools see what is outside of it.
    """

    def __init__(self, bundle: Path, calls: Sequence[Call]) -> None:
        self.bundle = bundle
        self.calls = list(calls)
        self.manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
        self.described = {f["name"]: f for f in self.manifest["functions"]}

    def outputs(
        self, name: str, sizes: Mapping[str, int]
    ) -> list[tuple[np.dtype[Any], tuple[int, ...]]]:
        return [
            (as_dtype(o["dtype"]).dtype, tuple(value(n, sizes) for n in o["shape"]))
            for o in self.described[name]["outputs"]
        ]

    def source(self) -> str:
        """The program's text."""
        called = self.manifest["name"]
        lines = [
            f'#include "{called}.h"',
            "#include <stdio.h>",
            "#include <stdlib.h>",
            "static FILE *given, *made;",
            "static void *memory(size_t bytes) { void *p = malloc(bytes ? bytes : 1); if (!p) exit(9); return p; }",
            "static void *input(size_t bytes) { void *p = memory(bytes); "
            "if (fread(p, 1, bytes, given) != bytes) exit(8); return p; }",
            "static void result(void *p, size_t bytes) { if (fwrite(p, 1, bytes, made) != bytes) exit(7); free(p); }",
        ]
        body = []
        for k, (name, arrays, sizes) in enumerate(self.calls):
            entry = abi.function_name(called, name)
            values = ", ".join(str(sizes[s]) for s in self.described[name]["sizes"])
            ins = [f"x{j}" for j in range(len(arrays))]
            found = self.outputs(name, sizes)
            outs = [f"y{j}" for j in range(len(found))]
            lines.append(f"static int call{k}(void)\n{{")
            lines += [
                f"    void *{n} = input({x.nbytes});" for n, x in zip(ins, arrays, strict=True)
            ]
            lines += [
                f"    void *{n} = memory({_bytes(o)});" for n, o in zip(outs, found, strict=True)
            ]
            lines.append(f"    const int64_t bytes = {entry}_workspace({values});")
            lines.append("    void *work = bytes > 0 ? memory((size_t)bytes) : NULL;")
            given = ", ".join([*ins, *outs, *([values] if values else []), "work"])
            lines.append(f"    const int status = bytes < 0 ? NUMR_SIZE : {entry}({given});")
            lines += [f"    result({n}, {_bytes(o)});" for n, o in zip(outs, found, strict=True)]
            lines += [f"    free({n});" for n in ins]
            lines.append("    free(work);\n    return status;\n}")
            body.append(f'    if (call{k}()) {{ printf("{name} failed\\n"); return 1; }}')
        lines += [
            "int main(int count, char **arguments)\n{",
            "    if (count != 3) return 2;",
            '    given = fopen(arguments[1], "rb");\n    made = fopen(arguments[2], "wb");',
            "    if (!given || !made) return 3;",
            *body,
            "    fclose(given);\n    return fclose(made);\n}",
            "",
        ]
        return "\n".join(lines)

    def build(
        self, folder: Path, compiler: Sequence[str], libraries: Sequence[str] = ("-lm",)
    ) -> Path:
        """Compile the bundle, or link it, and the program; warnings are errors."""
        folder.mkdir(parents=True, exist_ok=True)
        main, made = folder / "main.c", folder / "program"
        main.write_text(self.source())
        (folder / "given").write_bytes(b"".join(x.tobytes() for _, xs, _ in self.calls for x in xs))
        name = self.manifest["name"]
        code = f"{name}.c" if self.manifest["target"] == "c" else f"lib{name}.a"
        sources = [str(main), str(self.bundle / code)]
        ran([*compiler, f"-I{self.bundle}", *sources, "-o", str(made), *libraries])
        return made

    def run(self, program: Path, under: Sequence[str] = ()) -> list[list[np.ndarray[Any, Any]]]:
        """The results of each call."""
        folder = program.parent
        ran([*under, str(program), str(folder / "given"), str(folder / "made")])
        data = (folder / "made").read_bytes()
        results, at = [], 0
        for name, _, sizes in self.calls:
            one = []
            for dtype, shape in self.outputs(name, sizes):
                bytes_ = _bytes((dtype, shape))
                one.append(np.frombuffer(data[at : at + bytes_], dtype).reshape(shape))
                at += bytes_
            results.append(one)
        assert at == len(data)
        return results


def _bytes(output: tuple[np.dtype[Any], tuple[int, ...]]) -> int:
    return output[0].itemsize * int(np.prod(output[1], dtype=int))


def ran(command: Sequence[str]) -> str:
    """What a command prints; an error of its own is the test's."""
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
