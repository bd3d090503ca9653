"""The guide is true: its Python blocks run in order, and print or raise what it says they do.

A ```text block after a ```python block is what that block prints, and the exception it ends with;
`...` stands for anything. Blocks of one page share their names, as in one session. ```py blocks need a
CUDA device: they run with `-m gpu`, and elsewhere in numba-cuda's simulator, in a process of its own.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import linecache
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import numr as nr

DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "guide"
PAGES = sorted(
    [
        *GUIDE.glob("*.md"),
        *(DOCS / "explain").glob("*.md"),
        *DOCS.glob("add_a_*.md"),
        DOCS.parent / "README.md",
    ]
)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass
class Block:
    """Python source of a page, its first line there, and what it should print."""

    source: str
    line: int
    expected: str | None = None


def blocks_of(text: str, chosen: str) -> list[Block]:
    blocks: list[Block] = []
    last_end, last = -1, ""
    for fence in _FENCE.finditer(text):
        language, body = fence.groups()
        if language == chosen:
            blocks.append(Block(body, text.count("\n", 0, fence.start(2)) + 1))
        elif language == "text" and last == chosen and not text[last_end : fence.start()].strip():
            blocks[-1].expected = body
        last_end, last = fence.end(), language
    return blocks


def run(block: Block, names: dict[str, object], file: str) -> str:
    """What a block prints, followed by the exception it ends with."""
    code = compile("\n" * (block.line - 1) + block.source, file, "exec")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            exec(code, names)
        except Exception as error:
            if block.expected is None or type(error).__name__ not in block.expected:
                raise
            kind = type(error)
            module = "" if kind.__module__ == "builtins" else kind.__module__ + "."
            print(f"{module}{kind.__qualname__}: {error}", file=printed)
    return printed.getvalue()


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    """What a page registers is gone after it."""
    from numr.codegen import target
    from numr.ir.primitive import REGISTRY

    primitives, backends = set(REGISTRY), dict(target._MODULES)
    yield
    for name in set(REGISTRY) - primitives:
        del REGISTRY[name]
    target._MODULES.clear()
    target._MODULES.update(backends)


def check(page: Path, chosen: str, names: dict[str, object]) -> int:
    """Runs the page's blocks of one kind, and says how many there were."""
    text = page.read_text()
    # numr's messages quote the user's line: let them find it, in a file of this name
    file = "example.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    blocks = blocks_of(text, chosen)
    try:
        for block in blocks:
            printed = run(block, names, file)
            if block.expected is not None:
                agrees = doctest.OutputChecker().check_output(block.expected, printed, _FLAGS)
                assert agrees, f"{page.name}:{block.line} printed\n{printed}"
    finally:
        linecache.cache.pop(file, None)
    return len(blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path) -> None:
    check(page, "python", {"__name__": "__main__"})


@pytest.mark.gpu
def test_blocks_for_a_cuda_device() -> None:
    assert check(GUIDE / "devices.md", "py", {"np": np, "nr": nr}) == 3


def test_blocks_for_a_cuda_device_in_the_simulator() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", __file__],
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        | {"NUMBA_ENABLE_CUDASIM": "1"},
        cwd=DOCS.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_there_is_a_guide() -> None:
    assert len(PAGES) >= 7
    index = (GUIDE / "index.md").read_text()
    for page in sorted(GUIDE.glob("*.md")):
        if page.stem != "index":
            assert f"({page.name})" in index, f"index.md does not link {page.name}"


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", _FENCE.sub("", page.read_text())):
            assert (page.parent / target).exists(), f"{page.name} links {target}"
