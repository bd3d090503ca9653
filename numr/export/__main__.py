"""python -m numr.export: write a function of a module as files that run without numr."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numr import export, messages, spec
from numr.codegen.export.target import names
from numr.errors import NumrError

_TRANSFORMS = ("grad", "value_and_grad", "hessian", "jacobian")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m numr.export",
        description="Write functions as files that run without numr and without Python.",
        epilog='example: python -m numr.export spring.py:energy grad:spring.py:energy --spec "n" '
        '--spec "n-1" --target native --path out/spring',
    )
    parser.add_argument(
        "function",
        nargs="+",
        help="module:function or file.py:function; with grad:, hessian:, jacobian: or value_and_grad: "
        "before it, that of it; with name= before that, its name in the bundle",
    )
    parser.add_argument(
        "--spec",
        action="append",
        default=[],
        metavar="SHAPE[:DTYPE]",
        help='an argument, in order: lengths with commas between, such as "n,3" or "2*n:f32"; "" for a number',
    )
    parser.add_argument("--target", default="c", choices=names())
    parser.add_argument("--path", required=True, type=Path, help="the folder to write")
    parser.add_argument(
        "--typical", action="append", default=[], metavar="NAME=NUMBER", help="a typical size"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the target",
    )
    parser.add_argument("--fast-math", action="store_true")
    given = parser.parse_args(arguments)
    try:
        functions: dict[str, Any] = {}
        for text in given.function:
            name, function = _function(text)
            if name in functions:
                raise messages.cannot_export(
                    f"two functions are called {name!r}", f"name one of them: other_{name}={text}"
                )
            functions[name] = function
        bundle = export(
            functions,
            tuple(_spec(text) for text in given.spec),
            target=given.target,
            path=given.path,
            typical=dict(map(_size, given.typical)),
            fast_math=given.fast_math,
            **{k: _value(v) for k, v in map(_pair, given.option)},
        )
    except (NumrError, ImportError, OSError, ValueError) as error:
        print(f"numr.export: {error}", file=sys.stderr)
        return 1
    for name in bundle.functions:
        print(bundle.steps[name].split("\nkernel")[0])
    for file in bundle.files:
        print(bundle.path / file)
    return 0


def _function(text: str) -> tuple[str, Any]:
    """(name, function) of "name=grad:module:function"."""
    import numr

    name, _, rest = text.rpartition("=")
    *transforms, module, attribute = rest.split(":") if ":" in rest else ("", "")
    if not module or not attribute:
        raise messages.cannot_export(f"{text!r} is no function: write module:function")
    found = _module(module)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise messages.cannot_export(f"{module} has no {attribute!r}")
        found = getattr(found, part)
    called = attribute.rpartition(".")[2]
    for transform in reversed(transforms):
        if transform not in _TRANSFORMS:
            raise messages.cannot_export(
                f"{text!r}: there is no {transform!r}; there are {', '.join(_TRANSFORMS)}"
            )
        found = getattr(numr, transform)(found)
        called = f"{transform}_{called}"
    return name or called, found


def _module(name: str) -> Any:
    if not name.endswith(".py"):
        sys.path.insert(0, "")
        return importlib.import_module(name)
    made = importlib.util.spec_from_file_location(Path(name).stem, name)
    if made is None or made.loader is None or not Path(name).is_file():
        raise messages.cannot_export(f"there is no file {name}")
    module = importlib.util.module_from_spec(made)
    sys.modules[made.name] = module
    made.loader.exec_module(module)
    return module


def _spec(text: str) -> Any:
    shape, _, dtype = text.partition(":")
    lengths = [n.strip() for n in _split(shape) if n.strip()]
    return spec(*[int(n) if n.isdigit() else n for n in lengths], dtype=dtype or "f64")


def _split(shape: str) -> list[str]:
    """The texts between commas that are in no parentheses."""
    found, depth = [""], 0
    for letter in shape:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            found.append("")
        else:
            found[-1] += letter
    return found


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign:
        raise messages.cannot_export(f"{text!r} is no setting: write name=value")
    return name, value


def _size(text: str) -> tuple[str, int]:
    name, value = _pair(text)
    if not value.isdigit():
        raise messages.cannot_export(f"--typical {text}: a whole number is needed")
    return name, int(value)


def _value(text: str) -> Any:
    known = {"true": True, "false": False}
    return known.get(text.lower(), int(text) if text.isdigit() else text)


if __name__ == "__main__":
    sys.exit(main())
