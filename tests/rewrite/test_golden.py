"""The text of a few rewritten graphs, as it should stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import numr as nr


def rewritten(f: Any, *args: Any) -> str:
    return str(nr.jit(f).lower(*args).rewritten)


CASES: dict[str, tuple[Any, tuple[Any, ...], str]] = {
    "mean square": (
        nr.grad(lambda x: nr.mean(x * x)),
        (np.ones(20),),
        """\
%0 = input f64[d0]
%1 = size_of  length=d0 -> i64[]
%2 = cast %1 dtype=f64 -> f64[]
%3 = const  value=0x1.0000000000000p+1 dtype=f64 -> f64[]
%4 = div %3 %2  -> f64[]
%5 = mul %4 %0  -> f64[d0]
return %5
""",
    ),
    "linear model": (
        nr.grad(lambda w, x, y: nr.sum((x @ w - y) ** 2)),
        (np.ones(20), np.ones((30, 20)), np.ones(30)),
        """\
%0 = input f64[d0]
%1 = input f64[d1, d0]
%2 = input f64[d1]
%3 = reshape %0 shape=(d0,1) -> f64[d0, 1]
%4 = matmul %1 %3  -> f64[d1, 1]
%5 = reshape %4 shape=(d1) -> f64[d1]
%6 = sub %5 %2  -> f64[d1]
%7 = permute %1 order=(1,0) -> f64[d0, d1]
%8 = const  value=0x1.0000000000000p+1 dtype=f64 -> f64[]
%9 = mul %8 %6  -> f64[d1]
%10 = reshape %9 shape=(d1,1) -> f64[d1, 1]
%11 = matmul %7 %10  -> f64[d0, 1]
%12 = reshape %11 shape=(d0) -> f64[d0]
return %12
""",
    ),
    "softmax": (
        lambda x: nr.softmax(x, axis=-1),
        (np.ones((20, 30)),),
        """\
%0 = input f64[d0, d1]
%1 = reduce_max %0 axes=(1) -> f64[d0]
%2 = isfinite %1  -> bool[d0]
%3 = const  value=0x0.0p+0 dtype=f64 -> f64[]
%4 = select %2 %1 %3  -> f64[d0]
%5 = broadcast %4 shape=(d0,d1) axes=(0) -> f64[d0, d1]
%6 = sub %0 %5  -> f64[d0, d1]
%7 = exp %6  -> f64[d0, d1]
%8 = reduce_sum %7 axes=(1) -> f64[d0]
%9 = const  value=0x1.0000000000000p+0 dtype=f64 -> f64[]
%10 = div %9 %8  -> f64[d0]
%11 = broadcast %10 shape=(d0,d1) axes=(0) -> f64[d0, d1]
%12 = mul %7 %11  -> f64[d0, d1]
return %12
""",
    ),
    "distances": (
        lambda x: nr.sqrt(nr.sum((x[:, None, :] - x[None, :, :]) ** 2, axis=-1)),
        (np.ones((20, 3)),),
        """\
%0 = input f64[d0, d1]
%1 = broadcast %0 shape=(d0,d0,d1) axes=(0,2) -> f64[d0, d0, d1]
%2 = broadcast %0 shape=(d0,d0,d1) axes=(1,2) -> f64[d0, d0, d1]
%3 = sub %1 %2  -> f64[d0, d0, d1]
%4 = mul %3 %3  -> f64[d0, d0, d1]
%5 = reduce_sum %4 axes=(2) -> f64[d0, d0]
%6 = sqrt %5  -> f64[d0, d0]
return %6
""",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_golden_text(name: str) -> None:
    f, args, wanted = CASES[name]
    assert rewritten(f, *args) == wanted.strip()
