"""polygamma: the sum that defines it, by Euler and Maclaurin, with reflection left of 0."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from numr.codegen.mathematics.bits import INFINITY, NAN, high
from numr.codegen.mathematics.gamma import circle, digamma
from numr.codegen.mathematics.logarithm import largest
from numr.codegen.mathematics.terms import Formula, Term, first, select
from numr.codegen.region import Expr

# B_2, B_4, ...
_BERNOULLI = [
    Fraction(*pair)
    for pair in (
        (1, 6),
        (-1, 30),
        (1, 42),
        (-1, 30),
        (5, 66),
        (-691, 2730),
        (7, 6),
        (-3617, 510),
        (43867, 798),
    )
]
_PI = Fraction("3.14159265358979323846264338327950288419716939937510582")
# Orders that are known at run time only are taken from tables up to this one.
LARGEST_ORDER = 15


def _corrections(x: Term) -> int:
    """How many of the Bernoulli numbers are used."""
    return 4 if x.single else 8


def _factor(j: int) -> Fraction:
    """The ratio of B_2j+2 / (2j + 2)! to B_2j / (2j)!."""
    return _BERNOULLI[j] / _BERNOULLI[j - 1] / ((2 * j + 1) * (2 * j + 2))


def _edge(x: Term, order: int) -> int:
    """From where on the series alone is right: its first term left out is nothing."""
    used, s = _corrections(x), order + 1
    term = abs(float(_BERNOULLI[used])) / math.factorial(2 * used + 2) * order
    for i in range(2 * used + 1):
        term *= s + i
    reach: float = (term * 2.0 ** (x.layout.mantissa + 4)) ** (1 / (2 * used + 2))
    return math.ceil(reach)


def shift(n: int) -> int:
    """j with 2^(j n) next to n!, so that neither n! nor y^n alone is out of range."""
    return round(math.lgamma(n + 1) / math.log(2.0) / max(n, 1))


class _Pair(NamedTuple):
    """A number of half the bits and a rest."""

    high: Term
    low: Term

    def total(self) -> Term:
        return self.high + self.low

    @staticmethod
    def chosen(condition: Term, new: _Pair, old: _Pair | None) -> _Pair:
        yes, no = (1.0, 0.0) if old is None else old
        return _Pair(select(condition, new.high, yes), select(condition, new.low, no))


def _pair(x: Term) -> _Pair:
    upper = high(x)
    return _Pair(upper, x - upper)


def _pair_product(x: _Pair, y: _Pair) -> _Pair:
    exact = x.high * y.high
    rest = x.high * y.low + x.low * (y.high + y.low)
    upper = high(exact + rest)
    return _Pair(upper, (exact - upper) + rest)


class _Order:
    """The order n: a Python number, or a Term that is one of 0 ... LARGEST_ORDER."""

    def __init__(self, n: Term, known: int | None) -> None:
        self.n, self.known = n, known
        whole = n if known is not None else n.cast(n.layout.signed)
        self.bits = [] if known is not None else [(whole & (1 << i)).differs(0) for i in range(4)]
        self.most = LARGEST_ORDER if known is None else known

    @property
    def possible(self) -> range:
        return range(LARGEST_ORDER + 1) if self.known is None else range(self.known, self.known + 1)

    def pick(self, value: Callable[[int], Any]) -> Term:
        """A number that depends on the order."""
        if self.known is not None:
            return self.n.constant(float(value(self.known)))
        level: Sequence[Any] = [self.n.constant(float(value(k))) for k in self.possible]
        for bit in self.bits:
            level = [select(bit, level[k + 1], level[k]) for k in range(0, len(level), 2)]
        return level[0]  # type: ignore[no-any-return]

    def power(self, y: Term) -> Term:
        """y to the order, scaled: (y / 2^j)^n, j as `shift` says."""
        result: Term = self._power(y * self.pick(lambda n: 2.0 ** -shift(n)), operator.mul)
        return result

    def careful_power(self, y: Term, times: Term | None = None) -> Term:
        """The same, times another number, rounded once."""
        first_factor = None if times is None else _pair(times)
        base = _pair(y * self.pick(lambda n: 2.0 ** -shift(n)))
        result: _Pair = self._power(base, _pair_product, first_factor)
        return result.total()

    def _power(self, y: Any, product: Callable[[Any, Any], Any], result: Any = None) -> Any:
        for i in range(self.most.bit_length()):
            if i:
                y = product(y, y)
            if self.known is None:
                new = y if result is None else product(result, y)
                bit = self.bits[i]
                result = (
                    y.chosen(bit, new, result)
                    if isinstance(y, _Pair)
                    else select(bit, new, 1.0 if result is None else result)
                )
            elif self.known >> i & 1:
                result = y if result is None else product(result, y)
        return result


def _series(order: _Order, x: Term) -> Term:
    """2^(j n) times the sum over k of (x + k)^-(n + 1) from x on, for x at the edge or beyond.

    x^-n (1 / n + 1 / (2 x) + (s / x^2) (B_2 / 2! + (s + 1) (s + 2) / x^2 (B_4 / 4! + ...))), s = n + 1.
    """
    over = 1.0 / x
    square = over * over
    used = _corrections(x)
    total: Any = 1.0
    for j in range(used - 1, 0, -1):
        ratio = order.pick(lambda n, j=j: (n + 2 * j) * (n + 2 * j + 1) * _factor(j))  # type: ignore[misc]
        total = ratio * square * total + 1.0
    total = order.pick(lambda n: Fraction(n + 1, 12)) * square * total + over * 0.5
    total = total + order.pick(lambda n: Fraction(1, max(n, 1)))
    # Beyond, the power is infinite, and what it is made of not a number.
    room = x.layout.bias + 0.9
    most = order.pick(lambda n: 2.0 ** (shift(n) + room / n) if n > 1 else largest(x))
    return select(x > most, 0.0, total / order.careful_power(x))


def _positive(order: _Order, x: Term) -> Term:
    """n! times the sum over k of (x + k)^-(n + 1) for x > 0."""
    edge = _edge(x, order.most)
    far = x >= float(edge)
    series = _series(order, select(far, x, x + float(edge)))
    s = order.pick(lambda n: n + 1)
    upper = high(x)
    lower = x - upper
    terms = series.constant(0.0)
    for k in range(edge - 1, 0, -1):
        y = x + float(k)
        power = order.power(y)
        # The first terms are most of a small x's sum.
        whole = order.careful_power(y, y) if k == 1 else power * y
        # What the sum's rounding left out, times the slope; upper + k is exact.
        lost = lower - (y - (upper + float(k)))
        terms = terms + 1.0 / (whole + s * lost * power)
    factorial = order.pick(lambda n: math.ldexp(math.factorial(n), -n * shift(n)))
    # The factorial first: nothing is out of range before the result is.
    here = (factorial / order.careful_power(x)) / x
    return select(far, series * factorial, (terms + series) * factorial + here)


def _cotangent_derivatives(order: int) -> list[int]:
    """Of the derivative of that order of cot, (-1)^n times: coefficients of the cotangent's powers."""
    coefficients = [0, 1]
    for _ in range(order):
        slope = [k * c for k, c in enumerate(coefficients)][1:]
        coefficients = [a + b for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    return coefficients


def _cotangent_sum(order: _Order, a: Term) -> Term:
    """pi^(n + 1) times that polynomial at pi a, for a > 0."""
    turn = circle(a)
    c = turn.cosine / turn.sine
    c = select(turn.differ, -c, c)
    square = c * c

    def coefficient(n: int, j: int) -> Fraction:
        row, place = _cotangent_derivatives(n), 2 * j + (n + 1) % 2
        return row[place] * _PI ** (n + 1) if place < len(row) else Fraction(0)

    top = max(len(_cotangent_derivatives(n)) for n in order.possible) - 1
    total = order.pick(functools.partial(coefficient, j=top // 2))
    for j in range(top // 2 - 1, -1, -1):
        here = order.pick(functools.partial(coefficient, j=j))
        more = total * square + here
        # The square may be infinite, and a coefficient of a higher order 0.
        total = more if order.known is not None else select(total.equals(0.0), here, more)
    # The order's parity is not the polynomial's.
    odd = order.pick(lambda n: n % 2)
    return total * select(odd.equals(0.0), c, 1.0)


def _known(expr: Expr) -> Any:
    """The value of an expression of constants, else None."""
    if expr.kind == "const":
        return expr.data
    args = [_known(a) for a in expr.args]
    if not args or any(a is None for a in args):
        return None
    if expr.kind == "cast":
        return args[0]
    return float(expr.data.numpy(*args)) if expr.kind == "op" else None


def polygamma(n: Term, x: Term) -> Term:
    """(-1)^(n + 1) n! times the sum; psi_n(x) = (-1)^n psi_n(1 - x) - pi times cot's derivative."""
    value = _known(n.expr)
    if value is not None and (value < 0 or value != int(value)):
        return x.constant(NAN)
    if value == 0:
        return digamma(x)
    known = None if value is None else int(value)
    right = (n >= 0.0) & (n <= float(LARGEST_ORDER)) & n.floor().equals(n)
    order = _Order(select(right, n, 1.0), known)
    a = abs(x)
    left = x < 0.0
    total = _positive(order, select(left, a + 1.0, a))
    sign = order.pick(lambda n: (-1) ** (n + 1))
    y = select(left, _cotangent_sum(order, a) - total, total * sign)
    pole = (x <= 0.0) & x.floor().equals(x)
    y = first(
        (pole, sign * INFINITY),
        (x > largest(x), order.pick(lambda n: (-1) ** (n + 1) * 0.0)),
        otherwise=y,
    )
    y = select(x.isnan(), x, y)
    if known is not None:
        return y
    return first((n.isnan() | ~right, NAN), (n.equals(0.0), digamma(x)), otherwise=y)


FORMULAS: dict[str, Formula] = {"polygamma": polygamma}
