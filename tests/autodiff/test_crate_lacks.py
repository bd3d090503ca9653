"""Second order for what the crate never differentiates: every row of the table, in every order of modes."""

from __future__ import annotations

import numpy as np
import pytest

import numr as nr
from tests.autodiff.crate_lacks import ABSENT, FLAT, TABLE, Row
from tests.autodiff.every_order import check, derivatives, reference

KINDS = pytest.mark.parametrize("kind", ["leaf", "composite"])


def test_the_table_is_complete() -> None:
    """What is absent is so: a name that appears in numr is to move into the table."""
    names = {name for row in (*TABLE, *FLAT) for name in row.names.split()}
    assert len(names) > 100
    for name in ABSENT.split():
        assert name not in names
        assert not any(hasattr(space, name) for space in (nr, nr.linalg, nr.special))


def rows(table: tuple[Row, ...]) -> list[object]:
    return [pytest.param(r, id=f"{k}-{r.names}") for k, r in enumerate(table)]


@KINDS
@pytest.mark.parametrize("row", rows(TABLE))
def test_derivatives(row: Row, kind: str) -> None:
    numbers = check(row.f, row.exact, row.args, kind)
    assert all(numbers)


@KINDS
@pytest.mark.parametrize("row", rows(FLAT))
def test_derivatives_that_are_zero(row: Row, kind: str) -> None:
    assert set(derivatives(row.f, row.args, kind).values()) == {0.0}
    assert np.abs(reference(row.f, row.exact, row.args, kind)).max() < 1e-10
