"""The backend protocol is what the core calls, no more and no less, and the documents list the same."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from numr.codegen import target

NUMR = Path(target.__file__).parents[1]
PAGE = NUMR.parent / "docs" / "add_a_backend.md"
# What is asked of a backend goes by this name everywhere in the core.
_USE = re.compile(r"(?:\b|_)backend\.([a-z]\w*)")


def members(protocol: type) -> set[str]:
    methods = {
        name
        for name, value in vars(protocol).items()
        if inspect.isfunction(value) or isinstance(value, property)
    }
    return {n for n in methods | set(protocol.__annotations__) if not n.startswith("_")}


def test_the_core_calls_every_member() -> None:
    core = [f for f in NUMR.rglob("*.py") if "backends" not in f.parts]
    used = {name for file in core for name in _USE.findall(file.read_text())}
    assert used == members(target.Backend)


def test_every_method_says_what_it_does() -> None:
    for protocol in (target.Backend, target.Interpreter):
        for name in members(protocol) - set(protocol.__annotations__):
            assert inspect.getdoc(getattr(protocol, name)), name


def test_the_page_lists_the_same() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.MULTILINE)
    assert {n for row in rows for n in re.findall(r"`(\w+)", row)} == members(target.Backend)
