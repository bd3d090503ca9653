"""Functions that no C library has (digamma, polygamma), written in the kernel language.

Scalar code with loops: right to about 4 ulp where the function is well conditioned, which is
everywhere but near the zeros that digamma has at negative arguments (there the error is about
4e-15 absolute). They are also plain Python, given the namespace of the language.
"""

from __future__ import annotations

# digamma: one interval [1, 2] around the positive zero, where a rational in (x - zero) keeps the
# relative error (the form and coefficients are those of Maddock's in Boost.Math, BSL-1.0), the
# recurrence towards it, an asymptotic series above 10, reflection below zero.
DIGAMMA = """
def special(x):
    total = f64(0.0)
    if x <= f64(-1.0):
        rest = -x - floor(-x)
        x = f64(1.0) - x
        if rest > f64(0.5):
            rest = rest - f64(1.0)
        if rest == f64(0.0):
            return nan
        total = f64(3.141592653589793) / tan(f64(3.141592653589793) * rest)
    if x == f64(0.0):
        return copysign(inf, -x)
    if x >= f64(10.0):
        z = f64(1.0) / (x * x)
        series = f64(-0.4432598039215686)
        series = fma(series, z, f64(0.08333333333333333))
        series = fma(series, z, f64(-0.021092796092796094))
        series = fma(series, z, f64(0.007575757575757576))
        series = fma(series, z, f64(-0.004166666666666667))
        series = fma(series, z, f64(0.003968253968253968))
        series = fma(series, z, f64(-0.008333333333333333))
        series = fma(series, z, f64(0.08333333333333333))
        return total + (log(x) - f64(0.5) / x - z * series)
    while x > f64(2.0):
        x = x - f64(1.0)
        total = total + f64(1.0) / x
    while x < f64(1.0):
        total = total - f64(1.0) / x
        x = x + f64(1.0)
    gap = x - f64(1.4616321446374059)
    gap = gap - f64(3.309564688275257e-10)
    gap = gap - f64(9.016312093258696e-20)
    t = x - f64(1.0)
    top = f64(-0.0020713321167745952)
    top = fma(top, t, f64(-0.045251321448739056))
    top = fma(top, t, f64(-0.28919126444774784))
    top = fma(top, t, f64(-0.65031853770896507))
    top = fma(top, t, f64(-0.32555031186804491))
    top = fma(top, t, f64(0.25479851061131551))
    low = f64(-0.55789841321675513e-6)
    low = fma(low, t, f64(0.0021284987017821144))
    low = fma(low, t, f64(0.054151797245674225))
    low = fma(low, t, f64(0.43593529692665969))
    low = fma(low, t, f64(1.4606242909763516))
    low = fma(low, t, f64(2.0767117023730469))
    low = fma(low, t, f64(1.0))
    return total + (gap * f64(0.99558162689208984375) + gap * (top / low))
"""

# polygamma(n, x) = (-1)^(n+1) n! zeta(n+1, x), the Hurwitz zeta by Euler-Maclaurin summation:
# terms up to x + k >= 10 + 2n, then the integral, half a term and eight Bernoulli corrections.
# Far below zero the same sum would be as long as -x: there it is reflected.
POLYGAMMA = """
def special(n, x):
    if n == f64(0.0):
        return digamma(x)
    if (n < f64(0.0)) | (n != floor(n)) | isnan(x):
        return nan
    s = n + f64(1.0)
    sign = f64(1.0)
    if fmod(n, f64(2.0)) == f64(0.0):
        sign = f64(-1.0)
    if (x <= f64(0.0)) & (x == floor(x)):
        return sign * inf
    if x == inf:
        return f64(0.0) * sign
    if x <= f64(-20.0):
        part = x - floor(x)
        here = polygamma(n, part)
        return here - sign * (polygamma(n, f64(1.0) - x) - polygamma(n, f64(1.0) - part))
    first = pow(x, -s)
    if isinf(first):
        return sign * first
    k = f64(1.0)
    factorial = f64(1.0)
    while k <= n:
        factorial = factorial * k
        k = k + f64(1.0)
    edge = f64(10.0) + n + n
    # The rounding of start + k, raised to a power, is put back (away), and the sum is compensated
    # (lost): without the two, order 5 is out by 9 ulp.
    start = x
    k = f64(0.0)
    away = f64(0.0)
    total = f64(0.0)
    lost = f64(0.0)
    while x < edge:
        part = pow(x, -s)
        part = (part - part * (s * away / x)) - lost
        grown = total + part
        lost = (grown - total) - part
        total = grown
        k = k + f64(1.0)
        x = start + k
        back = x - start
        away = (start - (x - back)) + (k - back)
    power = pow(x, -s)
    power = power - power * (s * away / x)
    z = f64(1.0) / (x * x)
    term = s / (f64(12.0) * x)
    tail = f64(0.5) + term
    term = -term * z * (s + f64(1.0)) * (s + f64(2.0)) * f64(0.016666666666666666)
    tail = tail + term
    term = -term * z * (s + f64(3.0)) * (s + f64(4.0)) * f64(0.023809523809523808)
    tail = tail + term
    term = -term * z * (s + f64(5.0)) * (s + f64(6.0)) * f64(0.025)
    tail = tail + term
    term = -term * z * (s + f64(7.0)) * (s + f64(8.0)) * f64(0.025252525252525252)
    tail = tail + term
    term = -term * z * (s + f64(9.0)) * (s + f64(10.0)) * f64(0.02531135531135531)
    tail = tail + term
    term = -term * z * (s + f64(11.0)) * (s + f64(12.0)) * f64(0.02532561505065123)
    tail = tail + term
    term = -term * z * (s + f64(13.0)) * (s + f64(14.0)) * f64(0.025329131652661065)
    tail = tail + term
    tail = x / n + tail
    return sign * (factorial * (total + (power * tail - lost)))
"""

SOURCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "digamma": (DIGAMMA, ("f64",)),
    "polygamma": (POLYGAMMA, ("f64", "f64")),
}
