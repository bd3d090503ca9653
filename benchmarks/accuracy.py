"""Measures each mathematical function's largest error in ulp against mpmath; writes docs/accuracy.md.

    python -m benchmarks.accuracy [--points 5000] [--output docs/accuracy.md]

Every form that a kernel may call is measured: the scalar one (short remainders of a loop) and, where
glibc's libmvec is used, its AVX-512, AVX2 and SSE forms as far as this processor has them.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

from numr.codegen.backends.cpu import compile as cpu_compile
from numr.codegen.backends.cpu import launcher, machine, objects, special
from numr.codegen.language import operations

Points = Callable[[int, Any], Any]
DTYPES = {"f64": np.float64, "f32": np.float32}
PRECISION = 200


def span(*ends: float) -> Points:
    """Evenly over each of the intervals (a, b), (c, d), ..."""
    pairs = list(zip(ends[::2], ends[1::2], strict=True))
    return lambda n, rng: np.concatenate([rng.uniform(a, b, n // len(pairs) + 1) for a, b in pairs])


def scales(low: float, high: float, signed: bool = True) -> Points:
    """Evenly over the exponents from low to high, of both signs if asked."""

    def draw(n: int, rng: Any) -> Any:
        size = np.exp(rng.uniform(math.log(low), math.log(high), n))
        return size * rng.choice([-1.0, 1.0], n) if signed else size

    return draw


def both(*parts: Points) -> Points:
    return lambda n, rng: np.concatenate([p(n // len(parts) + 1, rng) for p in parts])


def _lgamma(x: Any) -> Any:
    return mpmath.loggamma(x) if x > 0 else mpmath.log(abs(mpmath.gamma(x)))


@dataclass(frozen=True, slots=True)
class Case:
    """A function, its exact value, and where it is measured, in float64's terms."""

    name: str
    exact: Callable[..., Any]
    points: tuple[Points, ...]
    where: str


def case(name: str, where: str, *points: Points, exact: Callable[..., Any] | None = None) -> Case:
    return Case(name, exact or getattr(mpmath, name), points, where)


ANY = scales(1e-300, 1e300)
POSITIVE = both(scales(1e-300, 1e300, signed=False), span(0.5, 2.0, 0.0, 10.0))
SMALL = scales(1e-300, 10.0)
ANGLES = both(span(-10, 10, -1e4, 1e4), scales(1e-300, 1e300))
UNIT = both(span(-1, 1), scales(1e-300, 1.0))
WIDE = both(span(-708, 709, -2, 2), SMALL)

CASES = (
    case("exp", "all that is finite", WIDE),
    case("exp2", "all that is finite", both(span(-1022, 1023, -2, 2), SMALL), exact=lambda x: 2**x),
    case("expm1", "all that is finite", both(span(-40, 709, -2, 2), SMALL)),
    case("log", "x > 0", POSITIVE),
    case("log2", "x > 0", POSITIVE, exact=lambda x: mpmath.log(x) / mpmath.log(2)),
    case("log10", "x > 0", POSITIVE, exact=lambda x: mpmath.log(x) / mpmath.log(10)),
    case("log1p", "x > -1", both(span(-1, 1), POSITIVE, scales(1e-300, 0.99))),
    case("cbrt", "everywhere", ANY, exact=lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x))),
    *(case(n, "everywhere", ANGLES) for n in ("sin", "cos", "tan")),
    *(case(n, "[-1, 1]", UNIT) for n in ("asin", "acos")),
    case("atan", "everywhere", both(span(-10, 10), ANY)),
    *(case(n, "all that is finite", WIDE) for n in ("sinh", "cosh")),
    case("tanh", "everywhere", both(span(-20, 20, -1, 1), SMALL)),
    case("asinh", "everywhere", both(span(-10, 10), ANY)),
    case("acosh", "x >= 1", both(span(1, 10, 1, 1.01), lambda n, rng: 1 + POSITIVE(n, rng))),
    case("atanh", "(-1, 1)", UNIT),
    case("erf", "everywhere", both(span(-6, 6, -1, 1), SMALL)),
    case("erfc", "x < 26", both(span(-6, 26, -1, 1), SMALL)),
    case("rsqrt", "x > 0", both(span(1, 4), POSITIVE), exact=lambda x: 1 / mpmath.sqrt(x)),
    case("lgamma", "x > 0", both(span(0, 4, 0, 200), POSITIVE), exact=_lgamma),
    case("digamma", "x > 0", both(span(0, 4, 0, 200), POSITIVE)),
    case("pow", "x > 0", span(0, 10), span(-30, 30), exact=lambda x, y: x**y),
    case("atan2", "everywhere", ANY, ANY),
    case("hypot", "everywhere", scales(1e-150, 1e150), scales(1e-150, 1e150)),
    case("fmod", "everywhere", span(-1e6, 1e6), span(-10, 10), exact=lambda x, y: x - y * mpmath.mpf(int(x / y))),
    *(
        case("polygamma", f"n = {order}, x > 0", lambda n, rng, o=order: np.full(n, float(o)),
             both(span(0, 10, 5, 60), scales(1e-20, 1e10, signed=False)),
             exact=lambda n, x: mpmath.polygamma(int(n), x))
        for order in (1, 2, 3, 5, 10)
    ),
)  # fmt: skip


def compiled(name: str, code: str, label: str) -> Callable[..., Any]:
    """The function over arrays, as a kernel's loop calls it."""
    arity = 2 if name in operations.MATH_2 else 1
    entry = f"accuracy_{name}_{code}_{label}"
    names = [f"a{k}" for k in range(arity)]
    call = f"{name}({', '.join(f'{a}[i]' for a in names)})"
    text = f"def {entry}(lo, hi, {', '.join(names)}, o):\n    for i in range(lo, hi):\n        o[i] = {call}\n"
    params = ("i64", "i64", *([f"p:{code}"] * (arity + 1)))
    packed = cpu_compile.packed_name(entry)
    address = objects.load(cpu_compile.compile_kernel(text, entry, params, False), packed)

    def run(*arrays: Any) -> Any:
        out = np.empty_like(arrays[0])
        launcher.make_launcher(address, arity + 1, (), hi=out.size)(*arrays, out)
        return out

    return run


@contextmanager
def lanes(count: int) -> Iterator[None]:
    """Kernels compiled for vectors of ``count`` float64 values (1: the scalar functions)."""
    real = machine.host
    host = dataclasses.replace(real(), lanes=max(count, 2), libmvec=real().libmvec and count > 1)
    machine.host = lambda: host
    try:
        yield
    finally:
        machine.host = real


def forms() -> dict[str, int]:
    """The forms to measure here, by name."""
    known = {"AVX-512": 8, "AVX2": 4, "SSE": 2}
    here = machine.host()
    vector = {k: v for k, v in known.items() if v <= here.lanes} if here.libmvec else {}
    return {"scalar": 1, **vector}


def draw(item: Case, code: str, count: int, seed: int = 1) -> list[Any]:
    """Arguments of the case that the dtype can hold, with its own limits of size."""
    rng = np.random.default_rng(seed)
    arrays = [np.resize(p(count, rng), count) for p in item.points]
    if code == "f32":
        # float32 has a tenth of the range: scale the logarithm of large and small arguments.
        limit = 80.0 if item.where == "all that is finite" else 1e37
        arrays = [np.where(np.abs(a) > limit, np.abs(a) ** 0.12 * np.sign(a), a) for a in arrays]
        arrays = [np.where(np.abs(a) < 1e-37, np.abs(a) ** 0.12 * np.sign(a), a) for a in arrays]
    return [np.ascontiguousarray(a.astype(DTYPES[code])) for a in arrays]


def exact_values(item: Case, arrays: list[Any]) -> list[Any]:
    with mpmath.workprec(PRECISION):
        columns = [[mpmath.mpf(float(v)) for v in a] for a in arrays]
        return [item.exact(*row) for row in zip(*columns, strict=True)]


def worst(got: Any, exact: list[Any], code: str) -> tuple[float, int]:
    """The largest error in ulp of the rounded exact value, and where it is.

    Results beyond the dtype's largest value must be infinite, those that round to zero may be zero.
    """
    kind = DTYPES[code]
    largest, at = 0.0, 0
    with mpmath.workprec(PRECISION), np.errstate(over="ignore", under="ignore"):
        for k, (value, true) in enumerate(zip(got, exact, strict=True)):
            rounded = kind(float(true))
            if not np.isfinite(rounded) or not np.isfinite(value):
                error = 0.0 if value == rounded else math.inf
            else:
                unit = mpmath.mpf(float(np.spacing(np.abs(rounded))))
                error = float(abs(mpmath.mpf(float(value)) - true) / unit)
            if error > largest:
                largest, at = error, k
    return largest, at


def nanoseconds(run: Callable[..., Any], arrays: list[Any]) -> float:
    """Per element, over a million ordinary arguments."""
    many = [np.resize(a, 2**20) for a in arrays]
    times = []
    for _ in range(7):
        start = time.perf_counter()
        run(*many)
        times.append(time.perf_counter() - start)
    return min(times) / 2**20 * 1e9


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one case and dtype."""

    case: Case
    code: str
    errors: dict[str, float]
    at: tuple[float, ...]  # of the largest error of all forms
    speed: float


def measure(item: Case, code: str, count: int) -> Row:
    arrays = draw(item, code, count)
    exact = exact_values(item, arrays)
    errors: dict[str, float] = {}
    place, speed, top = 0, 0.0, -1.0
    for label, width in forms().items():
        if item.name in special.SOURCES and width > 1:
            continue  # one scalar form
        with lanes(width):
            run = compiled(item.name, code, label.replace("-", ""))
        errors[label], at = worst(run(*arrays), exact, code)
        if errors[label] > top:
            top, place = errors[label], at
        if width == machine.host().lanes or item.name in special.SOURCES or len(forms()) == 1:
            rng = np.random.default_rng(2)
            usual = [rng.uniform(0.1, 0.9, 2**16).astype(DTYPES[code]) for _ in arrays]
            if item.name == "polygamma":
                usual[0][:] = arrays[0][0]
            if item.name == "acosh":
                usual[0] += 1
            speed = nanoseconds(run, usual)
    return Row(item, code, errors, tuple(float(a[place]) for a in arrays), speed)


OTHERS = "<!-- webgpu: begin -->"

PREAMBLE = """# Accuracy of the mathematical functions

## On the CPU

The largest error seen against mpmath ({precision} bits), in units in the last place of the correctly
rounded result, over {count} arguments for each function and dtype, drawn over the whole domain named:
every exponent and, more densely, the ordinary range. float32's arguments are scaled to its range.
Measured on `{cpu}` with LLVM {llvm}{libc}. No function is above 4 ulp without `fast_math`.

Made by `python -m benchmarks.accuracy`; `tests/backends/cpu/test_vectormath.py` checks the bound on
fewer arguments in every run. `ns` is the time per element of a kernel that does nothing else, one
thread, arguments in (0.1, 0.9), read from and written to memory.

| function | where | dtype | {heads} | at | ns |
|---|---|---|{rules}---|---:|
"""

NOTES = """
* On glibc (2.35 or later, x86-64) loops call libmvec's vector functions; elsewhere they call the
  platform's libm one element at a time, whose accuracy is that platform's (the `scalar` column is
  this machine's libm).
* With AVX-512, exp, expm1, log, log1p, tanh and 1 / sqrt(x) of float64 are vector code of numr's own
  (`vectorforms.py`), put in line: two to three times as fast as calls.
* erf of float32 goes through float64 (libmvec's own reaches 3.98 ulp), as do lgamma, digamma and
  polygamma of float32: they are rounded once.
* lgamma, digamma and polygamma are scalar. **digamma** of a negative argument has an absolute error
  of about 4e-15 near its zeros (x = -0.504, -1.573, ...), where its relative error is not bounded:
  there the value is ill-conditioned in x. **polygamma** of even order has such zeros too.
* abs, sqrt, floor, ceil, trunc, rint, copysign, min, max and the arithmetic are exact or correctly
  rounded. fmod is exact.
* NaN, infinities, signed zeros, subnormal numbers and huge arguments give what NumPy and SciPy give.
* A product that goes straight into a reduction's sum may be rounded together with it, as in BLAS.
* `fast_math=True` lets sums be reordered, products be contracted with all sums and division be
  multiplication by a reciprocal; these functions stay as they are.
"""


def report(rows: list[Row], count: int) -> str:
    import platform

    import llvmlite.binding as llvm

    labels = list(forms())
    libc = platform.libc_ver()
    text = PREAMBLE.format(
        precision=PRECISION,
        count=count,
        cpu=machine.host().cpu,
        llvm=".".join(map(str, llvm.llvm_version_info)),
        libc=f", {libc[0]} {libc[1]}" if libc[0] else "",
        heads=" | ".join(labels),
        rules="---:|" * len(labels),
    )
    for row in rows:
        cells = [f"{row.errors[k]:.2f}" if k in row.errors else "" for k in labels]
        at = ", ".join(f"{v:.6g}" for v in row.at)
        text += f"| {row.case.name} | {row.case.where} | {row.code} | {' | '.join(cells)} | {at} | {row.speed:.2f} |\n"
    return text + NOTES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=5_000)
    parser.add_argument("--output", type=Path, default=Path("docs/accuracy.md"))
    options = parser.parse_args()
    rows = []
    for item in CASES:
        for code in DTYPES:
            rows.append(measure(item, code, options.points))
            print(
                item.name, item.where, code, rows[-1].errors, f"{rows[-1].speed:.2f} ns", flush=True
            )
    # What was measured on other devices stays.
    old = options.output.read_text() if options.output.exists() else ""
    _, mark, others = old.partition(OTHERS)
    text = report(rows, options.points)
    options.output.write_text(f"{text}\n{mark}{others}" if mark else text)


if __name__ == "__main__":
    main()
