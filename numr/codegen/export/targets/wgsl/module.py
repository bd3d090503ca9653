"""The JavaScript module of a bundle, its types and its package file: what runs them, and the manifest inside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from numr.codegen.export import manifest
from numr.codegen.export.record import Argument, Recording

_HERE = Path(__file__).parent
_ARRAYS = {
    "bool": "Uint8Array", "float16": "Uint16Array", "bfloat16": "Uint16Array",
    "int64": "BigInt64Array", "uint64": "BigUint64Array",
    "complex64": "Float32Array", "complex128": "Float64Array",
}  # fmt: skip


def script(
    bundle: str,
    recordings: Sequence[Recording],
    described: Mapping[str, Any],
    sources: Mapping[str, str],
) -> str:
    """The module: one file, in which all is but large constants."""
    import numr

    whole = {"functions": [manifest.function(r) for r in recordings], **described}
    texts = ",\n".join(f"  {name}: `\n{text}`" for name, text in sources.items())
    return "\n".join(
        [
            f"// {bundle}: functions for WebGPU, written by numr {numr.__version__}.",
            "//",
            "//     const model = await load();",
            *(f"//     const {_call(f)};" for f in recordings),
            "",
            (_HERE / "device.js").read_text(),
            (_HERE / "arguments.js").read_text(),
            "// What the functions are: arrays, sizes, kernels and steps.\n",
            f"export const manifest = {json.dumps(whole, separators=(',', ':'))};\n",
            f"const WGSL = {{\n{texts}\n}};",
            "",
        ]
    )


def _call(function: Recording) -> str:
    given = ", ".join(name for name, _ in arguments(function))
    return f"out = await model.{function.name}({{{given}}})"


def package(bundle: str) -> str:
    """What tells Node that the module is one, and where its types are."""
    described = {
        "name": bundle.lower(),
        "version": "0.0.0",
        "type": "module",
        "main": f"./{bundle}.js",
        "types": f"./{bundle}.d.ts",
    }
    return json.dumps(described, indent=1) + "\n"


def arguments(function: Recording) -> Iterator[tuple[str, Any]]:
    """The name of each argument that holds arrays, and how it is nested."""
    for tree in function.in_tree["tuple"]:
        first = next(_numbers(tree), None)
        if first is not None:
            described = function.inputs[first]
            yield described.name if isinstance(tree, int) else _root(described.path), tree


def _root(path: str) -> str:
    """`params` of `params['w'][0]`."""
    return path.partition("[")[0].partition(".")[0]


def _numbers(tree: Any) -> Iterator[int]:
    if isinstance(tree, int):
        yield tree
    elif tree is not None and "fixed" not in tree:
        for child in _children(tree).values():
            yield from _numbers(child)


def _children(tree: Mapping[str, Any]) -> Mapping[Any, Any]:
    found = next(tree[k] for k in ("fields", "dict", "tuple", "list") if k in tree)
    return found if isinstance(found, Mapping) else dict(enumerate(found))


# -- types ---------------------------------------------------------------------------------------


def types(bundle: str, recordings: Sequence[Recording]) -> str:
    """The module's types."""
    head = (_HERE / "types.d.ts").read_text()
    lines = [f"// The types of {bundle}.js.", "", *head.splitlines()[1:], ""]
    lines.append("/** The functions of this bundle. */")
    lines.append("export interface Model {")
    for function in recordings:
        lines += _documented(_doc(function), "  ")
        given = "; ".join(f"{name}: {_given(tree, function)}" for name, tree in arguments(function))
        result = _found(function.out_tree, function.outputs)
        sizes = "; ".join(f"{s}?: number" for s in function.symbols)
        kinds = f"{{ {given} }}" if given else "Record<string, never>"
        known = f"{{ {sizes} }}" if sizes else "Record<string, never>"
        lines.append(f"  {function.name}: Call<{kinds}, {result}, {known}>;")
    return "\n".join([*lines, "}", ""])


def _doc(function: Recording) -> list[str]:
    lines = function.doc.splitlines()
    if lines:
        lines.append("")
    for tag, described in (("takes", function.inputs), ("returns", function.outputs)):
        lines += [f"{tag} {array_text(a)}" for a in described]
    return lines


def array_text(a: Argument) -> str:
    """An array to read: name, dtype, shape, unit and doc."""
    unit = f" in {a.unit}" if a.unit else ""
    doc = f": {a.doc}" if a.doc else ""
    return f"{a.name}, {a.dtype} [{', '.join(map(str, a.shape))}]{unit}{doc}"


def _documented(lines: Sequence[str], pad: str) -> list[str]:
    return [
        f"{pad}/**",
        *(f"{pad} * {x}".rstrip().replace("*/", "* /") for x in lines),
        f"{pad} */",
    ]


def _given(tree: Any, function: Recording) -> str:
    """The type of an argument."""
    if isinstance(tree, int):
        return f"Given<{_array(function.inputs[tree].dtype.name)}>"
    if tree is None or "fixed" in tree:
        return "unknown"
    children = _children(tree)
    if "tuple" in tree or "list" in tree:
        return f"readonly [{', '.join(_given(c, function) for c in children.values())}]"
    return (
        f"{{ {'; '.join(f'{json.dumps(k)}: {_given(c, function)}' for k, c in children.items())} }}"
    )


def _found(tree: Any, outputs: Sequence[Argument]) -> str:
    """The type of a result."""
    if tree is None:
        return "null"
    if isinstance(tree, int):
        dtype = outputs[tree].dtype.name
        if outputs[tree].shape or dtype.startswith("complex"):
            return _array(dtype)
        return {"bool": "boolean", "int64": "bigint", "uint64": "bigint"}.get(dtype, "number")
    if "fixed" in tree:
        return json.dumps(tree["fixed"])
    children = _children(tree)
    if "tuple" in tree or "list" in tree:
        return f"[{', '.join(_found(c, outputs) for c in children.values())}]"
    return (
        f"{{ {'; '.join(f'{json.dumps(k)}: {_found(c, outputs)}' for k, c in children.items())} }}"
    )


def _array(dtype: str) -> str:
    return _ARRAYS.get(dtype) or f"{dtype.capitalize()}Array"
