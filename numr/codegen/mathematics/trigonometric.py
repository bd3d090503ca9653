"""sin, cos, tan of any argument: Payne and Hanek's reduction with integers, and two polynomials."""

from __future__ import annotations

from typing import NamedTuple

from numr.codegen.mathematics.bits import INFINITY, NAN, magnitude_bits
from numr.codegen.mathematics.terms import Coefficients, Formula, Term, polynomial, select

# The binary digits of 2 / pi after the point, 32 to a number.
_TEXT = """
    A2F9836E 4E441529 FC2757D1 F534DDC0 DB629599 3C439041 FE5163AB DEBBC561 B7246E3A 424DD2E0
    06492EEA 09D1921C FE1DEB1C B129A73E E88235F5 2EBB4484 E99C7026 B45F7E41 3991D639 835339F4
    9C845F8B BDF9283B 1FF897FF DE05980F EF2F118B 5A0A6D1F 6D367ECF 27CB09B7 4F463F66 9E5FEA2D
    7527BAC7 EBE5F17B 3D0739F7 8A5292EA 6BFB5FB1 1F8D5D08 56033046 FC7B6BAB F0CFBC20 9AF4361D
    A9E39161 5EE61B08 6599855F 14A06840
"""
_DIGITS = [int(word, 16) for word in _TEXT.split()]
# sin(r) = r + r^3 S(r^2) and cos(r) = 1 - r^2 / 2 + r^4 C(r^2) for |r| <= pi / 4, interpolated at
# Chebyshev nodes: the relative error below 0.4 and 0.2 ulp in float32, 0.2 and 0.05 ulp in float64.
_SIN = Coefficients(
    "-0x1.555552p-3 0x1.110c28p-7 -0x1.9ac98ep-13",
    """-0x1.5555555555555p-3 0x1.1111111110bb2p-7 -0x1.a01a019e83816p-13 0x1.71de379654304p-19
    -0x1.ae600aca92c64p-26 0x1.5e0b05bff20f2p-33""",
)
_COS = Coefficients(
    "0x1.555554p-5 -0x1.6c12d2p-10 0x1.9bd880p-16",
    """0x1.5555555555555p-5 -0x1.6c16c16c16967p-10 0x1.a01a019f4e9b4p-16 -0x1.27e4fa17bf139p-22
    0x1.1eeb68cd22f56p-29 -0x1.907d8f29fe831p-37""",
)
# pi / 2 in two numbers, the first of half the bits.
_HALF_PI = Coefficients("0x1.921p+0 0x1.f6a888p-13", "0x1.921fb5p+0 0x1.110b4611a6263p-26")
QUARTER_PI = 0.7853981633974483


class Angle(NamedTuple):
    """|x| as quadrant (pi / 2) + r, |r| <= pi / 4; of the quadrant the two low bits count."""

    quadrant: Term
    r: Term


def _high_product(m: Term, w: Term) -> Term:
    """The upper half of the product of a mantissa and a word.

    No sum of three overflows, since the mantissa's upper half is far below a half word's limit.
    """
    half = m.dtype.bits // 2
    mask = (1 << half) - 1
    m_high, m_low, w_high, w_low = m >> half, m & mask, w >> half, w & mask
    middle = m_low * w_high + ((m_low * w_low) >> half)
    other = m_high * w_low + (middle & mask)
    return m_high * w_high + (middle >> half) + (other >> half)


def _digits(position: Term) -> list[Term]:
    """Three words of 2 / pi's digits from a position on, which counts a word of zeros before them."""
    width = position.dtype.bits
    count = 8 if width == 32 else 22
    if width == 32:
        table = [0, *_DIGITS[: count - 1]]
    else:
        pairs = zip(_DIGITS[::2], _DIGITS[1::2], strict=True)
        table = [0, *((a << 32) | b for a, b in pairs)][:count]
    words = [position.constant(w) for w in table]
    number = position >> (width.bit_length() - 1)
    # From the whole table to the four words wanted, halving: first the largest step.
    steps = [4, 2, 1] if width == 32 else [16, 8, 4, 2, 1]
    wanted = 4 + sum(steps)
    for step in steps:
        wanted -= step
        far = (number & step).differs(0)
        words = [
            select(far, words[k + step], words[k]) if k + step < len(words) else words[k]
            for k in range(min(wanted, len(words)))
        ]
    shift = position & (width - 1)
    back = (width - 1) - shift
    return [(words[k] << shift) | ((words[k + 1] >> 1) >> back) for k in range(3)]


def _reduced(x: Term) -> Angle:
    """|x| 2 / pi modulo 4 as a fixed-point number of two words, two bits of them before the point."""
    layout = x.layout
    width = layout.word.bits
    bits = magnitude_bits(x)
    exponent = bits >> layout.mantissa
    m = (bits & ((1 << layout.mantissa) - 1)) | (1 << layout.mantissa)
    # x is m 2^(exponent - bias - mantissa); digits worth 4 and more after that factor do not count.
    # Below pi / 4 the position would be negative: there x itself is taken.
    least = layout.bias - 1
    exponent = select(exponent < least, least, exponent)
    position = exponent - (layout.bias + layout.mantissa + 2 - width)
    first, second, third = _digits(position)
    low = m * second + _high_product(m, third)
    carry = (low < m * second).cast(layout.word)
    upper = m * first + _high_product(m, second) + carry
    quadrant = (upper + (1 << (width - 3))) >> (width - 2)
    # What is left, with its sign: the whole number's bits go out at the top. Of a negative number the
    # complement is its magnitude, but for one in the last place.
    rest = (upper - (quadrant << (width - 2))).bitcast(layout.signed)
    sign = rest >> (width - 1)
    flip = sign.bitcast(layout.word)
    size = _times_half_pi(x, rest.bitcast(layout.word) ^ flip, low ^ flip)
    r = select(sign.differs(0), -size, size)
    near = abs(x) < QUARTER_PI
    return Angle(select(near, 0, quadrant), select(near, abs(x), r))


def _times_half_pi(x: Term, upper: Term, lower: Term) -> Term:
    """(upper + lower 2^-width) 2^(2 - width) pi / 2, upper taken apart so that no product is rounded."""
    width = upper.dtype.bits
    # As many bits as the first part of pi / 2 leaves room for.
    cut = (width - 3) - (x.layout.mantissa + 1) // 2 + 1
    low_bits = upper & ((1 << cut) - 1)
    scale = 2.0 ** (2 - width)
    high = (upper - low_bits).cast(x.dtype) * scale
    low = (low_bits.cast(x.dtype) + lower.cast(x.dtype) * 2.0**-width) * scale
    part, rest = _HALF_PI.of(x)
    return high * part + (high * rest + low * (part + rest))


def sine(r: Term) -> Term:
    z = r * r
    return polynomial(z, _SIN.of(r), z * z) * z * r + r


def cosine(r: Term) -> Term:
    z = r * r
    return (polynomial(z, _COS.of(r), z * z) * z - 0.5) * z + 1.0


def _with_sign(y: Term, negative: Term) -> Term:
    """y, its sign changed by the lowest bit of an integer."""
    layout = y.layout
    return (y.bits() ^ (negative << (layout.word.bits - 1))).bitcast(y.dtype)


def _finite(x: Term, y: Term) -> Term:
    """NaN of an infinity."""
    return select(x.isnan(), x, select(abs(x).equals(INFINITY), NAN, y))


def _turned(x: Term, angle: Angle, turns: Term, sign: Term) -> Term:
    """The sine at `turns` quadrants more than the angle's rest, its sign changed."""
    odd = (turns & 1).differs(0)
    y = select(odd, cosine(angle.r), sine(angle.r))
    return _finite(x, _with_sign(y, (turns >> 1) ^ sign))


def sin(x: Term) -> Term:
    angle = _reduced(x)
    sign = x.bits() >> (x.layout.word.bits - 1)
    return _turned(x, angle, angle.quadrant, sign)


def cos(x: Term) -> Term:
    angle = _reduced(x)
    zero = angle.quadrant.constant(0)
    return _turned(x, angle, angle.quadrant + 1, zero)


def tan(x: Term) -> Term:
    angle = _reduced(x)
    s, c = sine(angle.r), cosine(angle.r)
    odd = (angle.quadrant & 1).differs(0)
    y = select(odd, c, s) / select(odd, s, c)
    sign = x.bits() >> (x.layout.word.bits - 1)
    return _finite(x, _with_sign(y, angle.quadrant ^ sign))


FORMULAS: dict[str, Formula] = {"sin": sin, "cos": cos, "tan": tan}
