"""The coverage table has no undeclared gap, and the reference pages are up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from numr import coverage
from numr.ir.primitive import REGISTRY

PAGES = Path(__file__).parent.parent / "docs" / "reference" / "primitives"


def test_no_undeclared_gap() -> None:
    assert coverage.missing() == []


def test_every_primitive_has_a_row() -> None:
    assert {row[0] for row in coverage.table()[1:]} == set(REGISTRY)


@pytest.mark.parametrize("name", sorted(coverage.pages()))
def test_pages_are_up_to_date(name: str) -> None:
    text = (PAGES / name).read_text(encoding="utf-8")
    assert text == coverage.pages()[name], (
        "run python -m numr.coverage --pages docs/reference/primitives"
    )


def test_command_line_prints_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage.main([]) == 0
    assert "cholesky" in capsys.readouterr().out
