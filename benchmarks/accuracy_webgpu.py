"""Measures the mathematical functions on WebGPU in ulp against mpmath; adds them to docs/accuracy.md.

    python -m benchmarks.accuracy_webgpu [--points 3000] [--into docs/accuracy.md]

The arguments and exact values are those of benchmarks/accuracy.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import CASES, DTYPES, Case, draw, exact_values, worst
from numr.codegen.backends.webgpu.gpu import gpu
from numr.codegen.program import compile_graph
from numr.devices import to_device, to_host
from numr.ir.primitive import REGISTRY
from numr.primitives.source import const, leaf

BEGIN, END = "<!-- webgpu: begin -->", "<!-- webgpu: end -->"
# A device may take smaller float32 numbers for 0.
LEAST = {"f32": 2.0**-125, "f64": 0.0}

HEAD = """{begin}
## On WebGPU

WGSL has no functions of float64 and promises little of those of float32, so numr writes all of them in
terms of arithmetic (`numr/codegen/mathematics`); other devices without a mathematical library get the
same. The largest error over {count} arguments for each function and dtype, measured as above on
{adapter}; float32 results below 2^-125 are left out, since a device may take them for 0.
Made by `python -m benchmarks.accuracy_webgpu`; `tests/codegen/test_mathematics.py` checks the bound of
4 ulp in every run.

| function | where | f32 | at | f64 | at |
|---|---|---:|---|---:|---|
"""

NOTES = """
* The bounds suppose a correctly rounded division and square root, as this adapter has; WGSL allows
  2.5 ulp for a division.
* polygamma of an order that is not a constant has orders 0 to 15; others give NaN.
* `fast_math=True` uses the device's own functions of float32 instead, which are faster and are good to
  a few digits fewer.
"""


def evaluated(item: Case, arrays: list[Any]) -> Any:
    """The function on the device."""
    operands = [leaf(a) for a in arrays]
    if item.name == "rsqrt":
        one = const(1, operands[0].dtype)
        root = REGISTRY["sqrt"](*operands)
        out = REGISTRY["div"](REGISTRY["broadcast"](one, shape=root.shape, axes=()), root)
    else:
        out = REGISTRY[item.name](*operands)
    run = compile_graph(operands, [out], device="webgpu")
    (result,) = run(*(to_device(a, "webgpu") for a in arrays))
    return to_host(result)


def measured(item: Case, code: str, count: int) -> tuple[float, str]:
    """The largest error, and where it is."""
    arrays = draw(item, code, count)
    exact = exact_values(item, arrays)
    got = evaluated(item, arrays)
    kept = [k for k, v in enumerate(exact) if abs(v) >= LEAST[code]]
    error, at = worst(got[kept], [exact[k] for k in kept], code)
    return error, ", ".join(f"{a[kept[at]]:.6g}" for a in arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=3_000)
    parser.add_argument("--into", type=Path, default=Path("docs/accuracy.md"))
    options = parser.parse_args()
    info = gpu().adapter_info
    adapter = f"{info['device']}, {info['description']}"
    text = HEAD.format(begin=BEGIN, count=options.points, adapter=adapter)
    for item in CASES:
        cells = []
        for code in DTYPES:
            error, at = measured(item, code, options.points)
            cells[:0] = [f"{error:.2f}", at]
            print(item.name, item.where, code, f"{error:.2f} at {at}", flush=True)
        text += f"| {item.name} | {item.where} | {' | '.join(cells)} |\n"
    text += NOTES + END + "\n"
    old = options.into.read_text()
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END + "\n")
    options.into.write_text(before.rstrip() + "\n\n" + text + after)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
