"""Vector forms of a few functions, in LLVM's words for AVX-512, that are put in line.

A call of libmvec saves and restores every vector register around it; these forms do not, and keep
their constants in registers for the whole loop. The scalar function of each is `noinline`, so that
the vectoriser finds its calls, and what it replaced them by is put in line afterwards
(machine.optimise). Everywhere else, and for float32, vectormath.py has libmvec and libm.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from numr.codegen.backends.cpu import erftable

LANES = 8
TYPE = f"<{LANES} x double>"
INDEX = f"<{LANES} x i64>"
MASK = f"<{LANES} x i1>"
# What machine.optimise looks for: the end of every vector form's name.
SUFFIX = "_in_line"

_ESTIMATE = "llvm.x86.avx512.rsqrt14.pd.512"
_SCALE = "llvm.x86.avx512.mask.scalef.pd.512"
_MANTISSA = "llvm.x86.avx512.mask.getmant.pd.512"
_PERMUTE = "llvm.x86.avx512.permvar.df.512"
_EXPONENT = "llvm.x86.avx512.mask.getexp.pd.512"


def constants(values: Sequence[float]) -> str:
    """A vector constant with its type."""
    bits = [int.from_bytes(struct.pack(">d", v), "big") for v in values]
    return f"{TYPE} <" + ", ".join(f"double 0x{b:016X}" for b in bits) + ">"


def splat(value: float) -> str:
    """One number in every lane."""
    return constants([value] * LANES)


class Body:
    """The straight-line body of a vector form; every step returns the value's name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def _new(self, text: str) -> str:
        self.count += 1
        self.lines.append(f"  %t{self.count} = {text}")
        return f"{TYPE} %t{self.count}"

    def fma(self, x: str, y: str, z: str) -> str:
        return self._new(f"call {TYPE} @llvm.fma.v8f64({x}, {y}, {z})")

    def binary(self, op: str, x: str, y: str) -> str:
        return self._new(f"{op} {x}, {_bare(y)}")

    def call(self, name: str, *args: str) -> str:
        return self._new(f"call {TYPE} @{name}({', '.join(args)})")

    def negative(self, x: str) -> str:
        return self._new(f"fneg {x}")

    def signed(self, x: str, sign: str) -> str:
        return self.call("llvm.copysign.v8f64", x, sign)

    def choose(self, test: str, x: str, y: str, yes: str, no: str) -> str:
        self.count += 1
        self.lines.append(f"  %m{self.count} = fcmp {test} {x}, {_bare(y)}")
        return self._new(f"select {MASK} %m{self.count}, {yes}, {no}")

    def index(self, x: str) -> str:
        """Whole numbers as integers."""
        self.count += 1
        self.lines.append(f"  %t{self.count} = fptosi {x} to {INDEX}")
        return f"{INDEX} %t{self.count}"

    def polynomial(self, x: str, square: str, coefficients: Sequence[str]) -> str:
        """By even and odd powers, which halves the chain of operations."""
        halves = []
        for part in (coefficients[0::2], coefficients[1::2]):
            total = part[-1]
            for c in part[-2::-1]:
                total = self.fma(total, square, c)
            halves.append(total)
        return self.fma(halves[1], x, halves[0])


def _bare(value: str) -> str:
    """A value without its type."""
    return value.removeprefix(TYPE + " ")


def _rsqrt(b: Body, x: str) -> str:
    """From the estimate y of 14 bits, for e = 1 - x y^2: y (1 + e/2 + 3/8 e^2 + 5/16 e^3).

    At 0, infinity and NaN, where that is NaN, the estimate is the result.
    """
    y = b.call(_ESTIMATE, x, f"{TYPE} zeroinitializer", "i8 -1")
    product = b.binary("fmul", x, y)
    negative = b.negative(product)
    e = b.fma(negative, y, splat(1.0))
    series = b.fma(b.fma(e, splat(0.3125), splat(0.375)), e, splat(0.5))
    z = b.fma(b.binary("fmul", y, e), series, y)
    return b.choose("ord", z, f"{TYPE} zeroinitializer", z, y)


# exp(r) = 1 + r + r^2 q(r) for |r| <= log(2) / 2: q interpolated at Chebyshev nodes, within 0.15 ulp.
_EXP = [
    splat(float.fromhex(c))
    for c in (
        "0x1.0000000000001p-1",
        "0x1.5555555555556p-3",
        "0x1.5555555553d63p-5",
        "0x1.11111111109b3p-7",
        "0x1.6c16c1788bd90p-10",
        "0x1.a01a01a7c41d5p-13",
        "0x1.a019b90d2ae7ap-16",
        "0x1.71de0dae63bb3p-19",
        "0x1.289185613a3d6p-22",
        "0x1.af38a9b0ec855p-26",
    )
]
_LOG2_E = float.fromhex("0x1.71547652b82fep+0")
_LN2_HIGH = float.fromhex("0x1.62e42fefa39efp-1")
_LN2_LOW = float.fromhex("0x1.abc9e3b39803fp-56")
# Added and subtracted, it rounds to an integer.
_ROUND = 6755399441055744.0


_ZERO = f"{TYPE} zeroinitializer"


def _scaled(b: Body, x: str, k: str) -> str:
    """x 2^k, which overflows and underflows as it should."""
    return b.call(_SCALE, x, k, _ZERO, "i8 -1", "i32 4")


def _clamped(b: Body, x: str, low: float, high: float) -> str:
    """x between bounds; a NaN stays."""
    x = b.choose("olt", x, splat(low), splat(low), x)
    return b.choose("ogt", x, splat(high), splat(high), x)


def _reduced_exp(b: Body, x: str) -> tuple[str, str]:
    """k and exp(r) - 1 for x = k log 2 + r."""
    k = b.binary("fsub", b.fma(x, splat(_LOG2_E), splat(_ROUND)), splat(_ROUND))
    r = b.fma(k, splat(-_LN2_LOW), b.fma(k, splat(-_LN2_HIGH), x))
    square = b.binary("fmul", r, r)
    return k, b.fma(square, b.polynomial(r, square, _EXP), r)


def _exp(b: Body, x: str) -> str:
    k, part = _reduced_exp(b, _clamped(b, x, -746.0, 710.0))
    return _scaled(b, b.binary("fadd", splat(1.0), part), k)


def _bounded_expm1(b: Body, x: str) -> str:
    """2^k (exp(r) - 1 + 1 - 2^-k), for x above -50."""
    k, part = _reduced_exp(b, x)
    rest = b.binary("fsub", splat(1.0), _scaled(b, splat(1.0), b.negative(k)))
    return _scaled(b, b.binary("fadd", part, rest), k)


def _expm1(b: Body, x: str) -> str:
    y = _bounded_expm1(b, _clamped(b, x, -50.0, 710.0))
    return b.signed(y, x)


def _tanh(b: Body, x: str) -> str:
    """m / (m + 2) for m = expm1(2 |x|)."""
    size = b.call("llvm.fabs.v8f64", x)
    size = b.choose("ogt", size, splat(22.0), splat(22.0), size)
    m = _bounded_expm1(b, b.binary("fadd", size, size))
    return b.signed(b.binary("fdiv", m, b.binary("fadd", m, splat(2.0))), x)


# log((1 + s) / (1 - s)) = s (2 + z R(z)) for z = s^2, |s| <= 0.2: interpolated, within 0.01 ulp.
_LOG = [
    splat(float.fromhex(c))
    for c in (
        "0x1.5555555555555p-1",
        "0x1.9999999999f30p-2",
        "0x1.24924923dba6ap-2",
        "0x1.c71c72e2f78d5p-3",
        "0x1.745cab2727663p-3",
        "0x1.3b29fcbbce66dp-3",
        "0x1.0e88ea4725d3dp-3",
        "0x1.16b68338bd78bp-3",
    )
]


def _parts(b: Body, x: str) -> tuple[str, str]:
    """x as 2^k m with m from 0.75 to 1.5; of 0 and infinity k is -inf and inf, and m is 1; of negative
    numbers m is NaN."""
    m = b.call(_MANTISSA, x, "i32 15", _ZERO, "i8 -1", "i32 4")
    k = b.call(_EXPONENT, x, _ZERO, "i8 -1", "i32 4")
    return b.choose("olt", m, splat(1.0), b.binary("fadd", k, splat(1.0)), k), m


def _log_of_parts(b: Body, k: str, f: str) -> str:
    """k log 2 + log(1 + f): f - (f^2 / 2 - s (f^2 / 2 + z R(z))), where s = f / (2 + f), z = s^2."""
    s = b.binary("fdiv", f, b.binary("fadd", splat(2.0), f))
    z = b.binary("fmul", s, s)
    rest = b.binary("fmul", z, b.polynomial(z, b.binary("fmul", z, z), _LOG))
    half = b.binary("fmul", b.binary("fmul", f, splat(0.5)), f)
    low = b.fma(s, b.binary("fadd", half, rest), b.binary("fmul", k, splat(_LN2_LOW)))
    low = b.binary("fsub", b.binary("fsub", half, low), f)
    return b.binary("fsub", b.binary("fmul", k, splat(_LN2_HIGH)), low)


def _log(b: Body, x: str) -> str:
    k, m = _parts(b, x)
    return _log_of_parts(b, k, b.binary("fsub", m, splat(1.0)))


def _log1p(b: Body, x: str) -> str:
    """log of u = 1 + x, with what that sum lost put back; -0.0 stays."""
    u = b.binary("fadd", splat(1.0), x)
    k, m = _parts(b, u)
    most = b.binary("fsub", u, splat(1.0))
    lost = b.binary(
        "fadd",
        b.binary("fsub", splat(1.0), b.binary("fsub", u, most)),
        b.binary("fsub", x, most),
    )
    lost = _scaled(b, lost, b.negative(k))
    # At -1 and infinity, and beyond, where there is nothing to put back, it is NaN.
    lost = b.choose("ord", lost, _ZERO, lost, _ZERO)
    y = _log_of_parts(b, k, b.binary("fadd", b.binary("fsub", m, splat(1.0)), lost))
    return b.choose("oeq", x, _ZERO, x, y)


def _erf(b: Body, x: str) -> str:
    """|x| P(|x|) with a polynomial P for each of eight pieces, from tables that fill one register."""
    size = b.call("llvm.fabs.v8f64", x)
    near = b.choose("ogt", size, splat(5.9375), splat(5.9375), size)
    piece = b.call("llvm.floor.v8f64", b.binary("fmul", near, splat(1 / erftable.PIECE)))
    which = b.index(piece)
    d = b.binary("fsub", b.fma(piece, splat(-erftable.PIECE), near), splat(erftable.PIECE / 2))
    coefficients = [b.call(_PERMUTE, constants(row), which) for row in erftable.COEFFICIENTS]
    y = b.binary("fmul", near, b.polynomial(d, b.binary("fmul", d, d), coefficients))
    y = b.choose("oge", near, splat(5.9375), splat(1.0), y)
    return b.signed(y, x)


FORMS: dict[str, Callable[[Body, str], str]] = {
    "rsqrt": _rsqrt,
    "exp": _exp,
    "expm1": _expm1,
    "log": _log,
    "log1p": _log1p,
    "tanh": _tanh,
    "erf": _erf,
}


def in_line(name: str, scalar: str) -> tuple[list[str], str]:
    """LLVM text that defines `numr.<name>.f64` from a scalar body, and the name of its vector form."""
    body = Body()
    result = FORMS[name](body, f"{TYPE} %x")
    total = "memory(none) nounwind willreturn"
    vector, inner = f"numr_{name}{SUFFIX}", f"numr_{name}"
    variant = f'"vector-function-abi-variant"="_ZGV_LLVM_N{LANES}v_{inner}({vector})"'
    return [
        f"declare {TYPE} @llvm.fma.v8f64({TYPE}, {TYPE}, {TYPE})",
        f"declare {TYPE} @{_ESTIMATE}({TYPE}, {TYPE}, i8)",
        f"declare {TYPE} @{_SCALE}({TYPE}, {TYPE}, {TYPE}, i8, i32)",
        f"declare {TYPE} @{_MANTISSA}({TYPE}, i32, {TYPE}, i8, i32)",
        f"declare {TYPE} @{_EXPONENT}({TYPE}, {TYPE}, i8, i32)",
        f"declare {TYPE} @{_PERMUTE}({TYPE}, {INDEX})",
        f"declare {TYPE} @llvm.floor.v8f64({TYPE})",
        f"declare {TYPE} @llvm.fabs.v8f64({TYPE})",
        f"declare {TYPE} @llvm.copysign.v8f64({TYPE}, {TYPE})",
        f"define internal {TYPE} @{vector}({TYPE} %x) alwaysinline {total} {{",
        *body.lines,
        f"  ret {result}",
        "}",
        f"define internal double @{inner}(double %x0) noinline {total} {{",
        scalar,
        "  ret double %r",
        "}",
        f'define internal double @"numr.{name}.f64"(double %x0) alwaysinline {{',
        f"  %r = call double @{inner}(double %x0) {total} {variant}",
        "  ret double %r",
        "}",
    ], vector
