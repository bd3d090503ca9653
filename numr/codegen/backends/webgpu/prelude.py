"""Functions that printed WGSL calls: what the language lacks, or promises less of than is needed.

Names end in the type they work on. NaN and infinity are recognised by their bits, and made of bits
that a parameter brings, since a compiler may take either for impossible.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator


def bits32(value: float) -> int:
    """The bits of a float32."""
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def as_float32(value: float) -> float:
    """A number as float32 has it; infinite where that is too small."""
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


class _Float:
    """What the functions of a floating dtype are written with."""

    def __init__(self, name: str, word: str, suffix: str, bits: int, fraction: int) -> None:
        self.name, self.word, self.signed = name, word, word.replace("u", "i")
        self.suffix = suffix
        self.sign = f"{1 << (bits - 1)}{suffix}"
        self.rest = f"{(1 << (bits - 1)) - 1}{suffix}"
        self.infinite = f"{((1 << (bits - fraction - 1)) - 1) << fraction}{suffix}"


_FLOATS = {
    "f32": _Float("f32", "u32", "u", 32, 23),
    "f64": _Float("f64", "u64", "lu", 64, 52),
}
_RANGES = {
    ("i32", "f32"): ("-2147483648.0f", "2147483648.0f", "(-2147483647i - 1i)", "2147483647i", "0i"),
    ("u32", "f32"): ("0.0f", "4294967296.0f", "0u", "4294967295u", "0u"),
    ("i64", "f32"): (
        "-0x1p+63f", "0x1p+63f", "(-9223372036854775807li - 1li)", "9223372036854775807li", "0li",
    ),
    ("u64", "f32"): ("0.0f", "0x1p+64f", "0lu", "18446744073709551615lu", "0lu"),
}  # fmt: skip


def _float_function(name: str, f: _Float) -> str:
    t, w = f.name, f.word
    magnitude = f"(bitcast<{w}>(x) & {f.rest})"
    one = {
        "isnan": f"(x: {t}) -> bool {{ return {magnitude} > {f.infinite}; }}",
        "isinf": f"(x: {t}) -> bool {{ return {magnitude} == {f.infinite}; }}",
        "isfinite": f"(x: {t}) -> bool {{ return {magnitude} < {f.infinite}; }}",
        "signbit": f"(x: {t}) -> bool {{ return (bitcast<{w}>(x) & {f.sign}) != 0{f.suffix}; }}",
        "copysign": f"(x: {t}, y: {t}) -> {t} "
        f"{{ return bitcast<{t}>({magnitude} | (bitcast<{w}>(y) & {f.sign})); }}",
        "hide": f"(x: {t}) -> {t} {{ return bitcast<{t}>(bitcast<{w}>(x) ^ {w}(P.none)); }}",
        "max_nan": f"(x: {t}, y: {t}) -> {t} "
        f"{{ return select(select(max(x, y), y, isnan_{t}(y)), x, isnan_{t}(x)); }}",
        "min_nan": f"(x: {t}, y: {t}) -> {t} "
        f"{{ return select(select(min(x, y), y, isnan_{t}(y)), x, isnan_{t}(x)); }}",
        "inf": f"() -> {t} {{ return {t}(bitcast<f32>(P.inf)); }}",
        "nan": f"() -> {t} {{ return {t}(bitcast<f32>(P.nan)); }}",
    }
    return one[name]


def _integer_function(name: str, t: str) -> str:
    """Floor division and its remainder; by zero they give 0."""
    zero = {"i32": "0i", "u32": "0u", "i64": "0li", "u64": "0lu"}[t]
    one = zero.replace("0", "1")
    plain = f"(x: {t}, y: {t}) -> {t} {{ let d = select(y, {one}, y == {zero});"
    if t[0] == "u":
        result = "x / d" if name == "floor_divide" else "x % d"
        return f"{plain} return select({result}, {zero}, y == {zero}); }}"
    # The least integer over -1 has no quotient; negated it wraps to itself, as in NumPy.
    quotient = f"let q = select(x / select(d, {one}, d == -{one}), -x, d == -{one});"
    rest = f"let r = select(x - q * d, {zero}, d == -{one});"
    lower = f"(r != {zero}) && ((r < {zero}) != (d < {zero}))"
    result = (
        f"select(q, q - {one}, {lower})" if name == "floor_divide" else f"select(r, r + d, {lower})"
    )
    return f"{plain} {quotient} {rest} return select({result}, {zero}, y == {zero}); }}"


def _conversion(to: str, origin: str) -> str:
    """Float to integer: saturating, NaN to 0."""
    low, high, least, most, zero = _RANGES[to, "f32"]
    if origin == "f64":
        low, high = low.replace("f", "lf"), high.replace("f", "lf")
    safe = f"select(x, {origin}(0.0), isnan_{origin}(x) || x <= {low} || x >= {high})"
    result = f"select(select({to}({safe}), {least}, x <= {low}), {most}, x >= {high})"
    return f"(x: {origin}) -> {to} {{ return select({result}, {zero}, isnan_{origin}(x)); }}"


def _packing(name: str, dtype: str) -> str:
    bits = int(dtype[1:])
    t, mask = ("i32" if dtype[0] == "i" else "u32"), (1 << bits) - 1
    shift = f"(u32(i) % {32 // bits}u) * {bits}u"
    if name == "wrap":
        inner = f"(x << {32 - bits}u) >> {32 - bits}u" if t == "i32" else f"x & {mask}u"
        return f"(x: {t}) -> {t} {{ return {inner}; }}"
    if name == "unpack":
        return f"(word: u32, i: i32) -> {t} {{ return wrap_{dtype}({t}(word >> ({shift}))); }}"
    if name == "pack":
        return f"(x: {t}, i: i32) -> u32 {{ return (u32(x) & {mask}u) << ({shift}); }}"
    return f"(i: i32) -> u32 {{ return {mask}u << ({shift}); }}"


_ZEROS = {"f32": "0.0f", "f64": "0.0lf", "i32": "0i", "u32": "0u", "i64": "0li", "u64": "0lu"}


def _across(monoid: str, t: str, lanes: int) -> list[str]:
    """The reduction of one value of every lane, in two steps of about the square root of their number:
    the order is always the same, and there are two barriers, which cost more than what they part."""
    kind = "u32" if t == "bool" else t
    parts = 1 << (lanes.bit_length() // 2)
    first, second = f"scratch_{monoid}_{t}", f"partial_{monoid}_{t}"
    step = {
        "add": "total + next", "mul": "total * next", "and": "total & next", "or": "total | next",
        "max": f"max_nan_{t}(total, next)" if t[0] == "f" else "max(total, next)",
        "min": f"min_nan_{t}(total, next)" if t[0] == "f" else "min(total, next)",
    }[monoid]  # fmt: skip
    value = "select(0u, 1u, value)" if t == "bool" else "value"
    return [
        f"var<workgroup> {first}: array<{kind}, {lanes}>;",
        f"var<workgroup> {second}: array<{kind}, {parts}>;",
        f"fn lanes_{monoid}_{t}(value: {t}, lane: i32) -> {t} {{",
        f"  {first}[lane] = {value};",
        "  workgroupBarrier();",
        f"  if (lane < {parts}) {{",
        f"    var total = {first}[lane];",
        f"    for (var k: i32 = lane + {parts}; k < {lanes}; k = k + {parts}) {{",
        f"      let next = {first}[k]; total = {step};",
        "    }",
        f"    {second}[lane] = total;",
        "  }",
        "  workgroupBarrier();",
        f"  var total = {second}[0];",
        f"  for (var k: i32 = 1; k < {parts}; k = k + 1) {{",
        f"    let next = {second}[k]; total = {step};",
        "  }",
        f"  return total{' != 0u' if t == 'bool' else ''};",
        "}",
    ]


def _needs(name: str) -> list[str]:
    """The functions that a function calls."""
    head, _, t = name.rpartition("_")
    if head in ("max_nan", "min_nan"):
        return [f"isnan_{t}"]
    if head.endswith("_of"):
        return [f"isnan_{t}"]
    if head == "unpack":
        return [f"wrap_{t}"]
    if name.startswith("lanes_") and t[0] == "f" and ("max" in head or "min" in head):
        return [f"{head[-3:]}_nan_{t}", f"isnan_{t}"]
    return []


def text(names: Collection[str], lanes: int) -> Iterator[str]:
    """The functions named and all they call, for a workgroup of so many invocations."""
    wanted: dict[str, None] = {}
    for name in names:
        wanted.update(dict.fromkeys([*_needs(name), name]))
    for name in wanted:
        head, _, t = name.rpartition("_")
        if name.startswith("lanes_"):
            yield from _across(head.removeprefix("lanes_"), t, lanes)
        elif head.endswith("_of"):
            yield f"fn {name}{_conversion(head.removesuffix('_of'), t)}"
        elif head in ("wrap", "pack", "unpack", "mask"):
            yield f"fn {name}{_packing(head, t)}"
        elif head in ("floor_divide", "remainder"):
            yield f"fn {name}{_integer_function(head, t)}"
        else:
            yield f"fn {name}{_float_function(head, _FLOATS[t])}"


def windowed(name: str, kind: str, count: int, length: int, written: bool) -> Iterator[str]:
    """Loads and stores of a buffer that is spread over several bindings of so many elements."""
    atomic = kind.startswith("atomic")
    value = "u32" if atomic else kind

    def pick(w: int, action: str) -> str:
        here = "" if w == count - 1 else f"if (i < {(w + 1) * length}) "
        return f"{here}{{ {action} }}"

    def place(w: int) -> str:
        return f"{name}_{w}[i - {w * length}]" if w else f"{name}_0[i]"

    reads = [
        pick(w, f"return {f'atomicLoad(&{place(w)})' if atomic else place(w)};")
        for w in range(count)
    ]
    yield f"fn load_{name}(i: i32) -> {value} {{ {' '.join(reads)} }}"
    if not written:
        return
    if atomic:
        writes = [
            pick(w, f"atomicAnd(&{place(w)}, kept); atomicOr(&{place(w)}, bits); return;")
            for w in range(count)
        ]
        yield f"fn store_{name}(i: i32, kept: u32, bits: u32) {{ {' '.join(writes)} }}"
        return
    writes = [pick(w, f"{place(w)} = x; return;") for w in range(count)]
    yield f"fn store_{name}(i: i32, x: {kind}) {{ {' '.join(writes)} }}"
