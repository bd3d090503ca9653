"""The benchmark of derivatives: which ratios it shows, and what counts as met."""

from __future__ import annotations

from benchmarks import derivatives


def entry(**changed: float) -> dict:
    times = {"value": 1.0, "gradient": 2.0, "both": 2.5, "product": 5.0} | changed
    row = {
        "title": "f",
        "flops": {"value": 10, "gradient": 30, "both": 40, "product": 90},
        "times": {name: {"min": t, "median": 2 * t} for name, t in times.items()},
    }
    return {"threads": 1, "busy": 0.0, "functions": [row], "memory": []}


def test_a_product_is_held_against_the_gradient() -> None:
    (row,) = entry()["functions"]
    assert derivatives.ratio(row, "product", "flops") == 3.0
    assert derivatives.ratio(row, "product", "times", "min") == 2.5
    assert (
        "| f | 1.00 s | 3.00 | 2.00 (2.00) | 4.00 | 2.50 (2.50) | 3.00 | 2.50 (2.50) | met |"
        in (derivatives.lines(entry()))
    )


def test_what_is_missed_is_said() -> None:
    for slow in ({"gradient": 3.1}, {"both": 3.1}, {"product": 6.1}):
        assert any("MISSED" in line for line in derivatives.lines(entry(**slow)))
