"""Functions that printed C calls, each printed only where it is called, after those that it calls itself.

Names are `numr_<what>_<type>`. Mathematics is C's own library's, but for what that lacks, or does with global state
(lgamma): those come from numr's own table (`codegen/mathematics`).
"""

from __future__ import annotations

import re
from collections import Counter

from numr.codegen.export.targets.c.expressions import Expressions, uses
from numr.codegen.export.targets.c.spelling import literal, local, unsigned
from numr.codegen.kernel import Let, Literal, Value, Var
from numr.codegen.mathematics import FUNCTIONS, decomposed
from numr.codegen.prepare import reachable
from numr.codegen.region import Expr, ExprBuilder
from numr.dtypes import ALL, DType, float32, float64
from numr.ir.scalar import TABLE

_SHORT = {d.short: d for d in ALL}
_OWN = frozenset(("lgamma", "digamma", "polygamma", "rsqrt"))
_NATIVE = frozenset(FUNCTIONS) - _OWN
# What glibc 2.35 has forms for vectors of, and what it has had them of since 2.22.
_VECTORS = frozenset(
    ("exp2", "expm1", "log2", "log10", "log1p", "cbrt", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
     "asinh", "acosh", "atanh", "erf", "erfc", "atan2", "hypot")
)  # fmt: skip
_OLD_VECTORS = frozenset(("exp", "log", "pow", "sin", "cos"))
# Operations whose C names differ.
_LIBM = {"abs": "fabs"}
# float32's go through float64, as kernels of the CPU have them: libm's own are good to a few digits fewer.
_THROUGH_F64 = frozenset(("lgamma", "digamma", "polygamma"))
_NAME = re.compile(r"numr_(\w+?)_([a-z]+\d+)(?:_([a-z]+\d+))?$")


class Prelude:
    """The functions that have been called, in an order in which they can be printed.

    Args:
        fast_math: whether NaN need not be looked for.
    """

    def __init__(self, fast_math: bool = False) -> None:
        self._fast_math = fast_math
        self._made: dict[str, str] = {}
        self._library: dict[str, tuple[str, DType]] = {}
        self._apart: dict[str, DType] = {}

    # -- what expressions call ---------------------------------------------------------------------

    def use(self, name: str) -> str:
        """A function or a macro of this module's."""
        if name not in self._made and name in _MACROS:
            self._made[name] = _MACROS[name]
        elif name not in self._made:
            match = _NAME.match(name)
            assert match is not None, name
            what, first, second = match.groups()
            make = getattr(self, f"_{what}")
            self._made[name] = make(name, _SHORT[first], _SHORT.get(second or ""))
        return name

    def libm(self, name: str, dtype: DType, is_vector: bool) -> str:
        """A function of C's library.

        Of a sine and a cosine GCC makes one call, which is faster but has no form for vectors: where these may be
        made the two have names of their own.
        """
        called = _LIBM.get(name, name) + ("f" if dtype is float32 else "")
        self._library[called] = name, dtype
        if is_vector and name in ("sin", "cos"):
            self._apart[called] = dtype
            return f"numr_{called}"
        return called

    def mathematics(self, name: str, dtype: DType, order: str = "") -> str:
        """A function of numr's table, polygamma of a known order as one of its own; "" if C has it."""
        if name not in _OWN:
            return ""
        called = f"numr_{name}{order}_{dtype.short}"
        if called not in self._made:
            if dtype is float32 and name in _THROUGH_F64:
                inner = self.mathematics(name, float64, order)
                names = ["x", "y"][: TABLE[name].arity - bool(order)]
                given = ", ".join(f"(double){n}" for n in names)
                lines = [f"    return (float){inner}({given});"]
            else:
                names, lines = self._from_table(name, dtype, order)
            parameters = ", ".join(f"{local(dtype)} {n}" for n in names)
            head = f"static inline {local(dtype)} {called}({parameters})"
            self._made[called] = "\n".join([head, "{", *lines, "}", ""])
        return called

    # -- what is printed -----------------------------------------------------------------------------

    def texts(self) -> list[str]:
        """The functions' definitions, after declarations of the library's."""
        return [*self._declarations(), *self._made.values()]

    def _declarations(self) -> list[str]:
        """That the library's functions depend on nothing but their arguments, and have forms for vectors.

        Compilers know neither, since functions may set errno, and then make no vector code.
        """
        pure: list[str] = []
        for called, (name, dtype) in sorted(self._library.items()):
            kind = "NUMR_PURE"
            if name in _VECTORS or name in _OLD_VECTORS:
                kind = "NUMR_VECTOR" if name in _VECTORS else "NUMR_OLD_VECTOR"
            elif name not in ("sqrt", "fmod"):
                continue
            t = local(dtype)
            given = ", ".join([t] * TABLE[name].arity)
            pure.append(f"extern {t} {called}({given}) {kind};")
        apart: list[str] = []
        for called, dtype in sorted(self._apart.items()):
            t = local(dtype)
            apart += [
                "#ifdef NUMR_HAS_VECTORS",
                f'extern {t} numr_{called}({t}) __asm__("{called}") NUMR_OLD_VECTOR;',
                "#else",
                f"#define numr_{called} {called}",
                "#endif",
            ]
        return ["\n".join([_PURE, *pure, "#endif", *apart, ""])] if pure else []

    # -- one line each -----------------------------------------------------------------------------

    def _min(self, name: str, dtype: DType, _: None) -> str:
        return self._extreme(name, dtype, "<")

    def _max(self, name: str, dtype: DType, _: None) -> str:
        return self._extreme(name, dtype, ">")

    def _extreme(self, name: str, dtype: DType, sign: str) -> str:
        # A NaN is neither smaller nor greater, so that y is the result where it is one.
        nan = " || isnan(x)" if dtype.kind == "f" and not self._fast_math else ""
        return _function(name, dtype, "x y", f"return x {sign} y{nan} ? x : y;")

    def _as(self, name: str, to: DType, origin: DType) -> str:
        """The bits of a number as another."""
        t = local(to)
        return (
            f"static inline {t} {name}({local(origin)} x)\n{{\n    {t} y;\n"
            "    memcpy(&y, &x, sizeof y);\n    return y;\n}\n"
        )

    def _rounded(self, name: str, to: DType, origin: DType) -> str:
        """A floating number as an integer: cut off, the nearest there is beyond its range, 0 for NaN."""
        t, signed = local(to), to.kind == "i"
        low, high = (
            (-(2.0 ** (to.bits - 1)), 2.0 ** (to.bits - 1)) if signed else (0.0, 2.0**to.bits)
        )
        most = f"{'' if signed else 'U'}INT{to.bits}_MAX"
        least = f"INT{to.bits}_MIN" if signed else "0"
        # What is above the least by less than 1 is cut off to it, which a cast does as well.
        return (
            f"static inline {t} {name}({local(origin)} x)\n{{\n"
            f"    return x >= {literal(high, origin)} ? {most}\n"
            f"         : x > {literal(low, origin)} ? ({t})x : isnan(x) ? 0 : {least};\n}}\n"
        )

    def _floor_divide(self, name: str, dtype: DType, _: None) -> str:
        """Rounded down; 0 where the divisor is 0, and the least number divided by -1 is itself."""
        t = local(dtype)
        if dtype.kind == "u":
            return _function(name, dtype, "x y", f"return y == 0 ? 0 : ({t})(x / y);")
        return _function(
            name,
            dtype,
            "x y",
            f"if (y == 0 || y == -1) {{\n        return y == 0 ? 0 : ({t})(0u - ({unsigned(dtype)})x);\n    }}",
            f"return ({t})(x / y - (x % y != 0 && (x < 0) != (y < 0)));",
        )

    def _remainder(self, name: str, dtype: DType, _: None) -> str:
        """With the sign of the divisor; 0 where that is 0."""
        t = local(dtype)
        if dtype.kind == "u":
            return _function(name, dtype, "x y", f"return y == 0 ? 0 : ({t})(x % y);")
        return _function(
            name,
            dtype,
            "x y",
            "if (y == 0 || y == -1) {\n        return 0;\n    }",
            f"return ({t})(x % y + (x % y != 0 && (x < 0) != (y < 0) ? y : 0));",
        )

    def _add_product(self, name: str, dtype: DType, _: None) -> str:
        """Rounded once where that is fast: in sums whose terms may go in any order."""
        t, f = local(dtype), "f" if dtype is float32 else ""
        return (
            f"static inline {t} {name}({t} x, {t} y, {t} z)\n{{\n"
            f"#if defined(__FMA__) || defined(FP_FAST_FMA{f.upper()})\n    return fma{f}(x, y, z);\n"
            "#else\n    return x * y + z;\n#endif\n}\n"
        )

    # -- from the table of mathematics -------------------------------------------------------------

    def _from_table(self, name: str, dtype: DType, order: str) -> tuple[list[str], list[str]]:
        """Names of parameters, and the lines of a function's formula."""
        b = ExprBuilder()
        names = ["x", "y"][: TABLE[name].arity - bool(order)]
        leaves = [b.load(k, (), dtype) for k in range(len(names))]
        given = (b.const(float(order), dtype), *leaves) if order else tuple(leaves)
        formula = FUNCTIONS[name](b, b.op(TABLE[name], *given), given)
        (formula,) = decomposed(b, [formula], _NATIVE)
        known: dict[Expr, Value] = {e: Var(n, dtype) for e, n in zip(leaves, names, strict=True)}
        statements: list[Let] = []
        for e in reachable([formula]):
            if e in known:
                continue
            if e.kind == "const":
                known[e] = Literal(e.data, e.dtype)
                continue
            var = Var(f"v{len(statements) + 1}", e.dtype)
            op = e.data.name if e.kind == "op" else e.kind
            statements.append(Let(var, op, tuple(known[a] for a in e.args)))
            known[e] = var
        counts = uses(statements)
        counts += Counter([str(known[formula])])
        printer = Expressions(self, {}, (), (), counts)
        lines = [
            f"    const {local(s.var.dtype)} {s.var} = {printer.expression(s)[0]};"
            for s in statements
            if not printer.inlined(s, counts)
        ]
        return names, [*lines, f"    return {printer.text(known[formula])};"]


def _function(name: str, dtype: DType, names: str, *lines: str) -> str:
    t = local(dtype)
    parameters = ", ".join(f"{t} {n}" for n in names.split())
    body = "\n    ".join(lines)
    return f"static inline {t} {name}({parameters})\n{{\n    {body}\n}}\n"


_MACROS = {
    "NUMR_KEEP_LOOP": """\
/* GCC would write a short loop out before it looks for vectors, and then finds fewer. */
#if defined(__GNUC__) && !defined(__clang__)
#define NUMR_KEEP_LOOP _Pragma("GCC unroll 1")
#else
#define NUMR_KEEP_LOOP
#endif
"""
}
_PURE = """\
/* These depend on nothing but their arguments: errno is not looked at. With glibc on x86-64 they have forms
   for vectors, too, which come with -lm; clang takes those where it is told -fveclib=libmvec. */
#if defined(__GNUC__)
#define NUMR_PURE __attribute__((__const__))
#define NUMR_OLD_VECTOR NUMR_PURE
#define NUMR_VECTOR NUMR_PURE
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__clang__)
#if __GLIBC_PREREQ(2, 22)
#define NUMR_HAS_VECTORS
#undef NUMR_OLD_VECTOR
#define NUMR_OLD_VECTOR __attribute__((__const__, __simd__("notinbranch")))
#endif
#if __GLIBC_PREREQ(2, 35)
#undef NUMR_VECTOR
#define NUMR_VECTOR __attribute__((__const__, __simd__("notinbranch")))
#endif
#endif"""
