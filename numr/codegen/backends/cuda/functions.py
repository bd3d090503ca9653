"""The functions that kernels call: bound to libdevice, or written for the dialect NVVM reads.

That dialect is LLVM 7's: it has no minimum, maximum, abs, saturating conversion and fneg.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence

# Ours -> libdevice's, which adds "f" to the name for float32.
LIBDEVICE = {
    name: name
    for name in (
        *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt"),
        *("sin", "cos", "tan", "asin", "acos", "atan", "atan2"),
        *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
        *("erf", "erfc", "rsqrt", "pow", "hypot", "fmod"),
        *("floor", "ceil", "trunc", "sqrt", "copysign", "fma", "fabs"),
    )
} | {"roundeven": "rint"}
# What a kernel may call by its own name; the rest is written in arithmetic, as for every device that
# lacks it: libdevice's lgamma and erfc are off by more than 4 ulp, and so is its pow of float32.
NATIVE = frozenset(LIBDEVICE) - {"erfc", "pow", "roundeven", "fabs", "fma"} | frozenset(
    ("rint", "abs", "maximum", "minimum", "isnan", "isinf", "isfinite", "signbit", "pow:f64")
)
# In float32, with few correct digits, and fast.
FAST = frozenset(("exp", "log", "log2", "log10", "sin", "cos", "tan", "pow"))

_TYPES = {"f32": "float", "f64": "double"}
_NAMED = re.compile(r'@"((?:numr|llvm)\.[a-z0-9_.]+)"')
_DECLARED = re.compile(r'^declare [^\n]*@"(?:numr|llvm)\.[^\n]*\n', re.M)
_NEGATED = re.compile(r"= fneg (?:[a-z]+ )*?(float|double) ")


def complete(text: str, fast_math: bool, also: Sequence[str] = ()) -> str:
    """A module's text with definitions in place of its declarations, and of those named in `also`, in
    NVVM's dialect."""
    names = sorted({*_NAMED.findall(text), *also})
    text = _NEGATED.sub(r"= fsub \1 -0.0, ", _DECLARED.sub("", text))
    parts, needed = [text.replace('@"llvm.', '@"numr.llvm.')], {}
    for name in names:
        family, *rest = name.split(".")
        wanted = ".".join(rest)
        body, declared = _definition(family, rest, fast_math)
        parts.append(
            body.replace("@self", f'@"numr.llvm.{wanted}"' if family == "llvm" else f'@"{name}"')
        )
        needed.update(declared)
    return "\n".join([*parts, *(f"declare {d}" for d in needed.values()), ""])


def _definition(family: str, parts: list[str], fast_math: bool) -> tuple[str, dict[str, str]]:
    """The text of a function, with @self for its name, and what it calls."""
    name, code = parts[0], parts[-1]
    if family == "numr" and name in _TOGETHER:
        return _TOGETHER[name]
    if name == "atomic_add":
        return _SUMS[code]
    if name in LIBDEVICE:
        return _library(name, code, fast_math)
    written = {
        "minimum": _extreme, "maximum": _extreme, "smin": _integer_extreme, "smax": _integer_extreme,
        "umin": _integer_extreme, "umax": _integer_extreme, "abs": _absolute,
        "fptosi": _saturated, "fptoui": _saturated,
    }  # fmt: skip
    return written[name](name, parts), {}


def _library(name: str, code: str, fast_math: bool) -> tuple[str, dict[str, str]]:
    kind = _TYPES[code]
    count = (
        3 if name == "fma" else 2 if name in ("atan2", "pow", "hypot", "fmod", "copysign") else 1
    )
    symbol = f"__nv_{LIBDEVICE[name]}{'f' if code == 'f32' else ''}"
    if fast_math and code == "f32" and name in FAST:
        symbol = symbol.replace("__nv_", "__nv_fast_")
    given = ", ".join(f"{kind} %x{k}" for k in range(count))
    kinds = ", ".join([kind] * count)
    lines = [
        f"define internal {kind} @self({given}) alwaysinline {{",
        f"  %r = call {kind} @{symbol}({given})",
        f"  ret {kind} %r",
        "}",
    ]
    return "\n".join(lines), {symbol: f"{kind} @{symbol}({kinds})"}


def _extreme(name: str, parts: list[str]) -> str:
    """The smaller or greater, NaN if either is."""
    kind = _TYPES[parts[-1]]
    test = "olt" if name == "minimum" else "ogt"
    return f"""define internal {kind} @self({kind} %x, {kind} %y) alwaysinline {{
  %first = fcmp {test} {kind} %x, %y
  %nan = fcmp uno {kind} %x, %x
  %take = or i1 %first, %nan
  %r = select i1 %take, {kind} %x, {kind} %y
  ret {kind} %r
}}"""


def _integer_extreme(name: str, parts: list[str]) -> str:
    kind = parts[-1]
    test = name[0] + ("lt" if name.endswith("min") else "gt")
    return f"""define internal {kind} @self({kind} %x, {kind} %y) alwaysinline {{
  %c = icmp {test} {kind} %x, %y
  %r = select i1 %c, {kind} %x, {kind} %y
  ret {kind} %r
}}"""


def _absolute(name: str, parts: list[str]) -> str:
    kind = parts[-1]
    return f"""define internal {kind} @self({kind} %x, i1 %p) alwaysinline {{
  %c = icmp slt {kind} %x, 0
  %m = sub {kind} 0, %x
  %r = select i1 %c, {kind} %m, {kind} %x
  ret {kind} %r
}}"""


def _saturated(name: str, parts: list[str]) -> str:
    """fptosi.sat.i32.f64: the nearest integer there is towards 0, and 0 of NaN."""
    _, _, target, source = parts
    kind, bits = _TYPES[source], int(target[1:])
    signed = name == "fptosi"
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    return f"""define internal {target} @self({kind} %x) alwaysinline {{
  %below = fcmp olt {kind} %x, {float(low)!r}
  %above = fcmp oge {kind} %x, {_decimal(high)}
  %nan = fcmp uno {kind} %x, %x
  %out = or i1 %below, %above
  %bad = or i1 %out, %nan
  %safe = select i1 %bad, {kind} 0.0, {kind} %x
  %i = {name} {kind} %safe to {target}
  %l = select i1 %below, {target} {low}, {target} %i
  %r = select i1 %above, {target} {high - 1}, {target} %l
  ret {target} %r
}}"""


def _decimal(power: int) -> str:
    """A power of two as LLVM writes numbers of either type."""
    return f"0x{struct.pack('>d', float(power)).hex()}"


def _integer_sum(bits: int) -> str:
    return f"""define internal void @self(i{bits}* %p, i64 %k, i{bits} %x) alwaysinline {{
  %q = getelementptr i{bits}, i{bits}* %p, i64 %k
  %r = atomicrmw add i{bits}* %q, i{bits} %x monotonic
  ret void
}}"""


def _float_sum(kind: str, bits: int) -> tuple[str, dict[str, str]]:
    body = f"""define internal void @self({kind}* %p, i64 %k, {kind} %x) alwaysinline {{
  %q = getelementptr {kind}, {kind}* %p, i64 %k
  %r = call {kind} @llvm.nvvm.atomic.load.add.f{bits}.p0f{bits}({kind}* %q, {kind} %x)
  ret void
}}"""
    name = f"llvm.nvvm.atomic.load.add.f{bits}.p0f{bits}"
    return body, {name: f"{kind} @{name}({kind}*, {kind})"}


_SUMS = {
    "i32": (_integer_sum(32), {}),
    "i64": (_integer_sum(64), {}),
    "f32": _float_sum("float", 32),
    "f64": _float_sum("double", 64),
}

_TOGETHER: dict[str, tuple[str, dict[str, str]]] = {
    "barrier": (
        """define internal void @self() alwaysinline convergent {
  call void @llvm.nvvm.barrier0() convergent
  ret void
}""",
        {"barrier0": "void @llvm.nvvm.barrier0() convergent"},
    ),
    "shuffle": (
        """define internal i32 @self(i32 %x, i32 %mask) alwaysinline convergent {
  %r = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %x, i32 %mask, i32 31) convergent
  ret i32 %r
}""",
        {"bfly": "i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32) convergent"},
    ),
}
