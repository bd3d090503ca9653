"""The text of regions: every expression named, and written once; and NUMR_DEBUG."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import numr as nr
from numr import config
from numr.codegen.prepare import reachable, roots_of
from numr.debug import Lowered


def lowered(depth: int) -> Lowered:
    """x -> x * (x + 1), again and again: written out, twice as long at every step."""

    def chain(x: nr.Array) -> nr.Array:
        for _ in range(depth):
            x = x * (x + 1.0)
        return x

    found: Lowered = nr.jit(chain).lower(np.ones(7))
    return found


def test_a_line_for_every_distinct_expression() -> None:
    for depth in (3, 6, 9):
        made = lowered(depth)
        assert made._program.fused is not None
        (step,) = made._program.fused.steps
        distinct = [e for e in reachable(roots_of(step.region)) if e.kind not in ("axis", "const")]  # type: ignore[union-attr]
        assert len(distinct) == 1 + 2 * depth
        names = re.findall(r"^  (t\d+) = (.*)", made.regions, re.MULTILINE)
        assert len(names) == len({name for name, _ in names}) == len(distinct)
        assert len({text for _, text in names}) == len(distinct)
        assert len(made.regions) < 200 + 40 * len(distinct)


def test_an_expression_itself_prints_short() -> None:
    made = lowered(9)
    assert made._program.fused is not None
    (step,) = made._program.fused.steps
    assert len(repr(step.region.outputs[0].expr)) < 100  # type: ignore[union-attr]


def test_every_kind_of_expression() -> None:
    def f(x: nr.Array, i: nr.Array) -> nr.Array:
        return nr.sum(nr.pad(x, 1)[:, None] * x, axis=0).at[i].add(nr.asarray(2, dtype="int32") * x)

    text = nr.jit(f).lower(np.ones(9), np.arange(9)).regions
    for part in (
        r"step 0: region",
        r"x0: %\d+:f64\[9\] = param",
        r"t\d+ = x0\[t\d+\] if t\d+ else 0",
        r"t\d+ = select\(t\d+, t\d+, 0\.0\)",
        r"t\d+ = add t\d+ over i\d < d\d",
        r"stored because it is a full|stored because it is what a scatter starts from",
        r"starts as %\d+:f64\[9\] = ",
        r"\[t\d+\] add= t\d+ over i0 < d0",
    ):
        assert re.search(part, text), f"{part} in\n{text}"


# -- NUMR_DEBUG ------------------------------------------------------------------------------------

STAGES = {
    "graph": lambda low: low.graph,
    "rewrite": lambda low: low.rewritten,
    "kernel": lambda low: low.kernels[0].ir,
    "source": lambda low: low.kernels[0].source,
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_printed_once_when_it_happens(
    stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    nr.cache.clear()
    f = nr.jit(lambda x: nr.sum(nr.cbrt(x) + 0.0, axis=1))
    text = STAGES[stage](f.lower(np.ones((3, 40))))
    with config.override(debug=stage):
        for _ in range(3):
            f(np.ones((3, 40)))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"numr {stage}:\n{text}\n"


def test_what_is_fused_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    nr.cache.clear()
    with config.override(debug="fuse"):
        nr.asarray(np.ones(5)).at[1].set(nr.cbrt(nr.asarray([2.0]))[0]).numpy()
    said = capsys.readouterr().err
    assert said.startswith("numr fuse:\nstep 0: region\n")
    assert " = cbrt(" in said


def test_launches_are_printed_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    f = nr.jit(lambda x: nr.sin(x) @ x)
    x = np.ones((6, 6))
    with config.override(debug="launch"):
        for _ in range(3):
            f(x)
    said = capsys.readouterr().err.splitlines()
    assert said[:2] * 3 == said
    assert re.fullmatch(r"numr launch: kernel 0 \(b0, b1\) over .* with d0=6", said[0])
    assert re.fullmatch(r"numr launch: b2: library matmul\(b1, b0\) with d0=6", said[1])
    f(x)
    assert capsys.readouterr().err == ""


def test_caches_tell_what_they_found(capsys: pytest.CaptureFixture[str]) -> None:
    nr.cache.clear()
    f = nr.jit(lambda x: nr.cbrt(x) * 7.5)
    with config.override(debug="cache"):
        f(np.ones(40))
        first = capsys.readouterr().err.splitlines()
        f(np.ones(41))
        again = capsys.readouterr().err.splitlines()
    assert first[0] == "numr cache: new program"
    assert re.fullmatch("numr cache: kernel 0 (compiled|found on disk)", first[1])
    assert first[2:] == ["numr cache: program bound to new sizes (40,)"]
    assert again == ["numr cache: program bound to new sizes (41,)"]


def test_quiet_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    nr.cache.clear()
    nr.jit(lambda x: nr.cbrt(x) * 8.5)(np.ones(40))
    assert capsys.readouterr() == ("", "")


def test_the_environment_asks() -> None:
    code = "import numr as nr; nr.cbrt(nr.asarray([1.0, 8.0])).numpy()"
    folder = Path(nr.__file__).parents[1]
    env = {**os.environ, "PYTHONPATH": str(folder), "NUMR_DEBUG": "graph, kernel"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if line.startswith("numr")] == [
        "numr graph:",
        "numr kernel:",
    ], done.stderr
