"""The operations of the kernel language: every operator and function, its types and its LLVM form.

Types are named by codes: ``f32 f64 i8 i16 i32 i64 u8 u16 u32 u64 bool``. Nothing here imports
Numba: the table is what a front end (inferred.py) registers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

FLOATS = ("f32", "f64")
SIGNED = ("i8", "i16", "i32", "i64")
UNSIGNED = ("u8", "u16", "u32", "u64")
INTS = SIGNED + UNSIGNED
NUMBERS = FLOATS + INTS
ALL = NUMBERS + ("bool",)
# What several may add to at a time.
WORDS = ("i32", "i64", "u32", "u64", "f32", "f64")

# Functions whose bodies or library bindings vectormath.py supplies, by number of arguments.
MATH_1 = (
    *("exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt"),
    *("sin", "cos", "tan", "asin", "acos", "atan"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
    *("erf", "erfc", "lgamma", "digamma", "rsqrt"),
)
MATH_2 = ("atan2", "pow", "hypot", "fmod", "polygamma")

Emit = Callable[[ir.IRBuilder, str, tuple[str, ...], list[Any]], Any]


@dataclass(frozen=True, slots=True)
class Op:
    """One operation: its possible signatures (result, arguments) and how to emit it."""

    name: str
    signatures: tuple[tuple[str, tuple[str, ...]], ...]
    emit: Emit


def llvm_type(code: str) -> Any:
    """The LLVM value type of a type code."""
    if code[1:2] == ":":
        return llvm_type(code[2:]).as_pointer()
    if code == "f32":
        return ir.FloatType()
    if code == "f64":
        return ir.DoubleType()
    return ir.IntType(1 if code == "bool" else int(code[1:]))


def call_named(builder: ir.IRBuilder, name: str, result: Any, args: list[Any]) -> Any:
    """Call a function that this module declares once, by its LLVM name."""
    known = builder.module.globals.get(name)
    if known is None:
        kind = ir.FunctionType(result, [a.type for a in args])
        known = ir.Function(builder.module, kind, name)
    return builder.call(known, args)


def _intrinsic(stem: str) -> Emit:
    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        suffix = ret if ret in FLOATS else "i" + ret[1:]
        return call_named(b, f"llvm.{stem}.{suffix}", llvm_type(ret), args)

    return emit


def _math(name: str) -> Emit:
    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        return call_named(b, f"numr.{name}.{ret}", llvm_type(ret), args)

    return emit


def _arith(float_op: str, int_op: str) -> Emit:
    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        return getattr(b, float_op if ret in FLOATS else int_op)(*args)

    return emit


def _multiply(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    """A product; `contract` says that a sum which has it too, and only such a sum, may round once."""
    return b.fmul(*args, flags=("contract",)) if ret in FLOATS else b.mul(*args)


def _zero(code: str) -> Any:
    return ir.Constant(llvm_type(code), 0)


def _int_division(remainder: bool) -> Emit:
    """Floor division that cannot trap, as NumPy has it: by zero gives 0, overflow wraps."""

    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        x, y = args
        one, zero = ir.Constant(x.type, 1), _zero(ret)
        by_zero = b.icmp_unsigned("==", y, zero)
        if ret in UNSIGNED:
            safe = b.select(by_zero, one, y)
            value = b.urem(x, safe) if remainder else b.udiv(x, safe)
            return b.select(by_zero, zero, value)
        minus = b.icmp_signed("==", y, ir.Constant(x.type, -1))
        safe = b.select(b.or_(by_zero, minus), one, y)
        rem = b.srem(x, safe)
        wrong = b.and_(b.icmp_signed("!=", rem, zero), b.icmp_signed("<", b.xor(rem, safe), zero))
        if remainder:
            value = b.select(wrong, b.add(rem, safe), rem)
            return b.select(b.or_(by_zero, minus), zero, value)
        quotient = b.sub(b.sdiv(x, safe), b.zext(wrong, x.type))
        return b.select(by_zero, zero, b.select(minus, b.neg(x), quotient))

    return emit


def _fmod(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    """C's remainder, with the sign of the dividend; an integer's by zero is 0, as NumPy has it."""
    if ret in FLOATS:
        return _math("fmod")(b, ret, codes, args)
    x, y = args
    one, zero = ir.Constant(x.type, 1), _zero(ret)
    trap = b.icmp_unsigned("==", y, zero)
    if ret in SIGNED:  # the smallest by -1, too: its remainder is 0
        trap = b.or_(trap, b.icmp_signed("==", y, ir.Constant(x.type, -1)))
    safe = b.select(trap, one, y)
    return b.srem(x, safe) if ret in SIGNED else b.urem(x, safe)


def _unchecked(op: str) -> Emit:
    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        return getattr(b, op)(*args)

    return emit


def _compare(op: str) -> Emit:
    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        if codes[0] in FLOATS:
            return b.fcmp_unordered(op, *args) if op == "!=" else b.fcmp_ordered(op, *args)
        if codes[0] in SIGNED:
            return b.icmp_signed(op, *args)
        return b.icmp_unsigned(op, *args)

    return emit


def _shift(op: str) -> Emit:
    """Shifts by the width or more give 0 (or the sign), as NumPy has them, not LLVM's poison."""

    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        x, count = args
        last = ir.Constant(x.type, x.type.width - 1)
        large = b.icmp_unsigned(">", count, last)
        safe = b.select(large, last, count)
        if op == "shl":
            return b.select(large, _zero(ret), b.shl(x, safe))
        if ret in SIGNED:
            return b.ashr(x, safe)
        return b.select(large, _zero(ret), b.lshr(x, safe))

    return emit


def _extreme(stem: str, *flags: str) -> Emit:
    """Minimum or maximum; on floats NaN propagates (LLVM's IEEE 754-2019 minimum, maximum).

    Without regard to the sign of zero (``nsz``), which NumPy leaves open and which costs two
    more instructions.
    """

    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        if ret in FLOATS:
            value = _intrinsic(stem + "imum")(b, ret, codes, args)
            value.fastmath.add("nsz")
            for flag in flags:
                value.fastmath.add(flag)
            return value
        kind = "s" if ret in SIGNED else "u"
        return call_named(b, f"llvm.{kind}{stem}.i{ret[1:]}", llvm_type(ret), args)

    return emit


def _reassociable(float_op: str, int_op: str) -> Emit:
    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        if ret in FLOATS:
            # A product may join the sum it goes into (see `_multiply`), as in every dot product.
            return getattr(b, float_op)(*args, flags=("reassoc", "contract"))
        return getattr(b, int_op)(*args)

    return emit


def _select(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    return b.select(*args)


def _negate(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    return b.fneg(args[0]) if ret in FLOATS else b.neg(args[0])


def _not(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    return b.not_(args[0])


def _identity(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    return args[0]


def _absolute(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    if ret in UNSIGNED:
        return args[0]
    if ret in FLOATS:
        return _intrinsic("fabs")(b, ret, codes, args)
    return call_named(
        b, f"llvm.abs.{ret}", llvm_type(ret), [args[0], ir.Constant(ir.IntType(1), 0)]
    )


def _classify(test: str) -> Emit:
    def emit(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
        x, code = args[0], codes[0]
        if test == "isnan":
            return b.fcmp_unordered("uno", x, x)
        if test == "signbit":
            bits = ir.IntType(int(code[1:]))
            return b.icmp_signed("<", b.bitcast(x, bits), ir.Constant(bits, 0))
        size = _intrinsic("fabs")(b, code, codes, args)
        infinite = ir.Constant(llvm_type(code), float("inf"))
        return b.fcmp_ordered("==" if test == "isinf" else "<", size, infinite)

    return emit


def _bitcast(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    return b.bitcast(args[0], llvm_type(ret))


def convert(b: ir.IRBuilder, to: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    """A value as another type; float to integer saturates and NaN gives 0 (never poison)."""
    x, source = args[0], codes[0]
    target = llvm_type(to)
    if to == source:
        return x
    if to == "bool":
        zero = ir.Constant(x.type, 0)
        return b.fcmp_unordered("!=", x, zero) if source in FLOATS else b.icmp_signed("!=", x, zero)
    if to in FLOATS:
        if source in FLOATS:
            return b.fpext(x, target) if to == "f64" else b.fptrunc(x, target)
        return b.sitofp(x, target) if source in SIGNED else b.uitofp(x, target)
    if source in FLOATS:
        stem = "fptosi" if to in SIGNED else "fptoui"
        return call_named(b, f"llvm.{stem}.sat.i{to[1:]}.{source}", target, [x])
    if x.type.width == target.width:
        return x
    if x.type.width > target.width:
        return b.trunc(x, target)
    return b.sext(x, target) if source in SIGNED else b.zext(x, target)


def _barrier(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    call_named(b, "numr.barrier", ir.VoidType(), [])
    return ir.Constant(llvm_type(ret), 0)


def _atomic_add(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    name = "f" if codes[2] in FLOATS else "i"
    call_named(b, f"numr.atomic_add.{name}{codes[2][1:]}", ir.VoidType(), args)
    return ir.Constant(llvm_type(ret), 0)


def _shuffle(b: ir.IRBuilder, ret: str, codes: tuple[str, ...], args: list[Any]) -> Any:
    """In words of 32 bits, which is what devices exchange."""
    x, mask = args
    word = ir.IntType(32)

    def exchanged(bits: Any) -> Any:
        return call_named(b, "numr.shuffle", word, [bits, mask])

    width = 1 if ret == "bool" else int(ret[1:])
    whole = b.bitcast(x, ir.IntType(width)) if ret in FLOATS else x
    if width == 64:
        half = ir.Constant(whole.type, 32)
        parts = [exchanged(b.trunc(v, word)) for v in (whole, b.lshr(whole, half))]
        low, high = (b.zext(v, whole.type) for v in parts)
        moved = b.or_(low, b.shl(high, half))
    elif width == 32:
        moved = exchanged(whole)
    else:
        moved = b.trunc(exchanged(b.zext(whole, word)), whole.type)
    return b.bitcast(moved, x.type) if ret in FLOATS else moved


def _same(codes: tuple[str, ...], arity: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((c, (c,) * arity) for c in codes)


def _to_bool(codes: tuple[str, ...], arity: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(("bool", (c,) * arity) for c in codes)


# Python's operators, by the name of the function in the ``operator`` module.
OPERATORS: tuple[Op, ...] = (
    Op("add", _same(NUMBERS, 2), _arith("fadd", "add")),
    Op("sub", _same(NUMBERS, 2), _arith("fsub", "sub")),
    Op("mul", _same(NUMBERS, 2), _multiply),
    Op("truediv", _same(FLOATS, 2), _unchecked("fdiv")),
    Op("floordiv", _same(INTS, 2), _int_division(False)),
    Op("mod", _same(INTS, 2), _int_division(True)),
    Op("and_", _same(INTS + ("bool",), 2), _unchecked("and_")),
    Op("or_", _same(INTS + ("bool",), 2), _unchecked("or_")),
    Op("xor", _same(INTS + ("bool",), 2), _unchecked("xor")),
    Op("lshift", _same(INTS, 2), _shift("shl")),
    Op("rshift", _same(INTS, 2), _shift("shr")),
    Op("neg", _same(NUMBERS, 1), _negate),
    Op("pos", _same(NUMBERS, 1), _identity),
    Op("invert", _same(INTS + ("bool",), 1), _not),
    Op("not_", _same(("bool",), 1), _not),
    Op("eq", _to_bool(ALL, 2), _compare("==")),
    Op("ne", _to_bool(ALL, 2), _compare("!=")),
    Op("lt", _to_bool(ALL, 2), _compare("<")),
    Op("le", _to_bool(ALL, 2), _compare("<=")),
    Op("gt", _to_bool(ALL, 2), _compare(">")),
    Op("ge", _to_bool(ALL, 2), _compare(">=")),
)

FUNCTIONS: tuple[Op, ...] = (
    *(Op(c, tuple((c, (s,)) for s in ALL), convert) for c in NUMBERS),
    Op("boolean", _to_bool(ALL, 1), convert),
    *(Op(n, _same(FLOATS, 1), _math(n)) for n in MATH_1),
    *(Op(n, _same(FLOATS, 2), _math(n)) for n in MATH_2 if n != "fmod"),
    Op("fmod", _same(NUMBERS, 2), _fmod),
    *(Op(n, _same(FLOATS, 1), _intrinsic(n)) for n in ("sqrt", "floor", "ceil", "trunc")),
    # roundeven is what rint does in the default rounding mode, and needs no libm.
    Op("rint", _same(FLOATS, 1), _intrinsic("roundeven")),
    Op("copysign", _same(FLOATS, 2), _intrinsic("copysign")),
    Op("fma", _same(FLOATS, 3), _intrinsic("fma")),
    Op("fabs", _same(NUMBERS, 1), _absolute),
    *(Op(n, _to_bool(FLOATS, 1), _classify(n)) for n in ("isnan", "isinf", "isfinite", "signbit")),
    Op("fmin_nan", _same(NUMBERS, 2), _extreme("min")),
    Op("fmax_nan", _same(NUMBERS, 2), _extreme("max")),
    Op("select", tuple((c, ("bool", c, c)) for c in ALL), _select),
    Op("add_reassoc", _same(NUMBERS, 2), _reassociable("fadd", "add")),
    Op("mul_reassoc", _same(NUMBERS, 2), _reassociable("fmul", "mul")),
    Op("min_reassoc", _same(NUMBERS, 2), _extreme("min", "reassoc")),
    Op("max_reassoc", _same(NUMBERS, 2), _extreme("max", "reassoc")),
    # Between lanes: what a device binds these names to is its own.
    Op("barrier", (("bool", ()),), _barrier),
    Op("atomic_add", tuple(("bool", (f"s:{c}", "i64", c)) for c in WORDS), _atomic_add),
    Op("shuffle", tuple((c, (c, "i32")) for c in ALL), _shuffle),
    # Index arithmetic on operands known to be non-negative, the divisor known to be non-zero.
    Op("udiv", _same(INTS, 2), _unchecked("udiv")),
    Op("urem", _same(INTS, 2), _unchecked("urem")),
    *(
        Op(f"bitcast_{a}", tuple((a, (s,)) for s in NUMBERS if s[1:] == a[1:]), _bitcast)
        for a in NUMBERS
    ),
)
