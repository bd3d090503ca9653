"""Values of Kernel IR as C expressions; what is used once, soon and without effect is written where it is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from numr.codegen.export.targets.c.spelling import literal, local, stored, unsigned
from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Break,
    Declare,
    For,
    If,
    Let,
    Literal,
    Statement,
    Store,
    Value,
    Var,
)
from numr.dtypes import DType, float32, float64

# How tightly an expression binds: a whole, a product, a sum, anything else.
WHOLE, PRODUCT, SUM, LOOSE = 3, 2, 1, 0
Text = tuple[str, int]

INFIX = {
    "add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "div": ("/", PRODUCT),
    "eq": ("==", LOOSE), "ne": ("!=", LOOSE), "lt": ("<", LOOSE), "le": ("<=", LOOSE),
    "gt": (">", LOOSE), "ge": (">=", LOOSE), "and": ("&", LOOSE), "or": ("|", LOOSE), "xor": ("^", LOOSE),
}  # fmt: skip
_CLASSES = ("isnan", "isinf", "isfinite", "signbit")
# Written where they are used up to this many characters.
_SHORT = 60


class Functions(Protocol):
    """What expressions call."""

    def use(self, name: str) -> str:
        """A function of the prelude."""
        ...

    def libm(self, name: str, dtype: DType, is_vector: bool) -> str:
        """A function of C's library, in a loop that may become vector code or elsewhere."""
        ...

    def mathematics(self, name: str, dtype: DType, order: str = "") -> str:
        """A mathematical function that C's library lacks, or ""."""
        ...


class Expressions:
    """The expressions of one function.

    Args:
        functions: what they may call.
        buffers: the dtypes of arrays.
        positions: integers that cannot overflow.
        changing: variables, which may be other numbers later.
        uses: how often each value is used.
    """

    def __init__(
        self,
        functions: Functions,
        buffers: Mapping[str, DType],
        positions: Collection[str],
        changing: Collection[str],
        uses: Counter[str],
    ) -> None:
        self.functions = functions
        self.buffers = buffers
        self.positions = positions
        self.changing = changing
        self.uses = uses
        # Whether what is printed is in a loop that may become vector code.
        self.is_vector = False
        self.written: dict[str, Text] = {}
        self.products: dict[str, tuple[Value, Value]] = {}

    # -- what is written where it is used -------------------------------------------------------

    def inlined(self, s: Let, here: Collection[str]) -> bool:
        """Keep a value's expression for its one use among `here`; False if it needs a name."""
        name = s.var.name
        if self.uses[name] != 1 or name not in here or s.op in ("load", "guarded_load"):
            return False
        if any(isinstance(a, Var) and a.name in self.changing for a in s.args):
            return False
        text, binds = self.expression(s)
        if len(text) > _SHORT:
            return False
        self.written[name] = text, binds
        if s.op == "mul" and s.var.dtype.kind == "f":
            self.products[name] = (s.args[0], s.args[1])
        return True

    def value(self, x: Value) -> Text:
        if isinstance(x, Literal):
            return literal(x.value, x.dtype), WHOLE
        return self.written.get(x.name, (x.name, WHOLE))

    def text(self, x: Value, binding: int = LOOSE) -> str:
        """A value where at least this binding is needed."""
        text, binds = self.value(x)
        return text if binds >= binding else f"({text})"

    # -- operations ------------------------------------------------------------------------------

    def expression(self, s: Let) -> Text:
        op, dtype = s.op, s.var.dtype
        if op == "load":
            return self.load(s.buffer, s.args[0])
        if op == "guarded_load":
            found, zero = self.load(s.buffer, s.args[1])[0], literal(0, dtype)
            return f"{self.text(s.args[0], WHOLE)} ? {found} : {zero}", LOOSE
        if op == "cast":
            return self.cast(s.args[0], dtype)
        if op == "bitcast":
            return self.bitcast(s.args[0], dtype)
        if op == "select":
            condition, yes, no = (self.text(a, WHOLE) for a in s.args)
            return f"{condition} ? {yes} : {no}", LOOSE
        if s.args[0].dtype.kind == "f":
            return self.floating(s)
        return self.boolean(s) if s.args[0].dtype.kind == "b" else self.integer(s)

    def infix(self, s: Let) -> Text:
        sign, binds = INFIX[s.op]
        x, y = s.args
        if binds == LOOSE:
            return f"{self.text(x, WHOLE)} {sign} {self.text(y, WHOLE)}", LOOSE
        return f"{self.text(x, binds)} {sign} {self.text(y, binds + 1)}", binds

    def floating(self, s: Let) -> Text:
        op, dtype = s.op, s.args[0].dtype
        if op in INFIX:
            return self.infix(s)
        if op == "neg":
            return f"-{self.text(s.args[0], WHOLE)}", PRODUCT
        args = [self.text(a) for a in s.args]
        if op in _CLASSES:
            return f"{op}({args[0]}) != 0", LOOSE
        if op in ("minimum", "maximum"):
            return self.extreme(op[:3], dtype, args[0], args[1])
        order = ""
        if op == "polygamma" and isinstance(s.args[0], Literal):
            order = str(int(s.args[0].value))
            args = args[1:]
        called = self.functions.mathematics(op, dtype, order)
        called = called or self.functions.libm(op, dtype, self.is_vector)
        return f"{called}({', '.join(args)})", WHOLE

    def extreme(self, which: str, dtype: DType, x: str, y: str) -> Text:
        """The smaller or the greater of two, NaN if either is."""
        return f"{self.functions.use(f'numr_{which}_{dtype.short}')}({x}, {y})", WHOLE

    def boolean(self, s: Let) -> Text:
        if s.op == "invert":
            return f"!{self.text(s.args[0], WHOLE)}", PRODUCT
        if s.op in ("minimum", "maximum"):
            sign = "&" if s.op == "minimum" else "|"
            return f"{self.text(s.args[0], WHOLE)} {sign} {self.text(s.args[1], WHOLE)}", LOOSE
        return self.infix(s)

    def integer(self, s: Let) -> Text:
        """On integers; what is not known to be a position wraps around, as NumPy's do."""
        op, dtype = s.op, s.args[0].dtype
        kind, wide = local(dtype), unsigned(dtype)
        if op in ("udiv", "urem"):
            # Neither is negative, which compilers do not know; dividing numbers without a sign is faster.
            sign = "/" if op == "udiv" else "%"
            x, y = (f"({wide}){self.text(a, WHOLE)}" for a in s.args)
            return f"({kind})({x} {sign} {y})", WHOLE
        if op in ("floor_divide", "remainder"):
            x, y = (self.text(a) for a in s.args)
            return f"{self.functions.use(f'numr_{op}_{dtype.short}')}({x}, {y})", WHOLE
        if op in ("minimum", "maximum"):
            return self.extreme(op[:3], dtype, self.text(s.args[0]), self.text(s.args[1]))
        if op in ("eq", "ne", "lt", "le", "gt", "ge") or (
            s.var.name in self.positions and op in INFIX
        ):
            return self.infix(s)
        args = [self.text(a, WHOLE) for a in s.args]
        if op == "neg" and s.var.name in self.positions:
            return f"-{args[0]}", PRODUCT
        if op in ("and", "or", "xor"):
            text = f"{args[0]} {INFIX[op][0]} {args[1]}"
            return (f"({kind})({text})", WHOLE) if dtype.bits < 32 else (text, LOOSE)
        if op in ("add", "sub", "mul"):
            return self.wrapped(INFIX[op][0], args[0], args[1], dtype)
        if op == "neg":
            return f"({kind})(0u - ({wide}){args[0]})", WHOLE
        if op == "invert":
            return f"({kind})~{args[0]}", WHOLE
        if op == "shift_left":
            return f"({kind})(({wide}){args[0]} << {args[1]})", WHOLE
        if op == "shift_right":
            return f"({kind})({args[0]} >> {args[1]})", WHOLE
        assert op == "abs", op
        return f"{args[0]} < 0 ? ({kind})(0u - ({wide}){args[0]}) : {args[0]}", LOOSE

    def wrapped(self, sign: str, x: str, y: str, dtype: DType) -> Text:
        if dtype.kind == "u" and dtype.bits >= 32:
            return f"{x} {sign} {y}", LOOSE
        wide = unsigned(dtype)
        return f"({local(dtype)})(({wide}){x} {sign} ({wide}){y})", WHOLE

    def cast(self, x: Value, dtype: DType) -> Text:
        origin = x.dtype
        if dtype is origin:
            return self.value(x)
        if dtype.kind == "b":
            return f"{self.text(x, WHOLE)} != 0", LOOSE
        if origin.kind == "f" and dtype.kind in "iu":
            called = self.functions.use(f"numr_rounded_{dtype.short}_{origin.short}")
            return f"{called}({self.text(x)})", WHOLE
        return f"({local(dtype)}){self.text(x, WHOLE)}", WHOLE

    def bitcast(self, x: Value, dtype: DType) -> Text:
        if x.dtype.kind == "f" or dtype.kind == "f":
            called = self.functions.use(f"numr_as_{dtype.short}_{x.dtype.short}")
            return f"{called}({self.text(x)})", WHOLE
        return f"({local(dtype)}){self.text(x, WHOLE)}", WHOLE

    # -- memory and reductions -------------------------------------------------------------------

    def load(self, buffer: str, index: Value) -> Text:
        text = f"{buffer}[{self.text(index)}]"
        return (f"{text} != 0", LOOSE) if self.buffers[buffer].kind == "b" else (text, WHOLE)

    def combine(self, monoid: str, old: str, value: Value, dtype: DType, free: bool = False) -> str:
        """One step of a reduction."""
        if monoid in ("max", "min"):
            if dtype.kind == "b":
                return f"{old} {'|' if monoid == 'max' else '&'} {self.text(value, WHOLE)}"
            return self.extreme(monoid, dtype, old, self.text(value))[0]
        if dtype.kind == "f":
            factors = self.products.get(value.name) if isinstance(value, Var) else None
            if free and monoid == "add" and factors is not None and dtype in (float32, float64):
                x, y = (self.text(f) for f in factors)
                called = self.functions.use(f"numr_add_product_{dtype.short}")
                return f"{called}({x}, {y}, {old})"
            binds = SUM if monoid == "add" else PRODUCT
            return f"{old} {INFIX[monoid][0]} {self.text(value, binds + 1)}"
        if monoid in ("and", "or") or dtype.kind == "b":
            sign = {"add": "|", "mul": "&"}.get(monoid) or INFIX[monoid][0]
            text = f"{old} {sign} {self.text(value, WHOLE)}"
            return f"({local(dtype)})({text})" if dtype.kind != "b" and dtype.bits < 32 else text
        return self.wrapped(INFIX[monoid][0], old, self.text(value, WHOLE), dtype)[0]


def uses(body: Sequence[Statement], nested: bool = True) -> Counter[str]:
    """How often each name is used by statements, loops and what is inside of them and of branches too if `nested`."""
    found: Counter[str] = Counter()
    for s in body:
        for value in _used(s) if nested or not isinstance(s, For) else ():
            if isinstance(value, Var):
                found[value.name] += 1
        if nested and isinstance(s, (For, If)):
            found += uses(s.body)
    return found


def _used(s: Statement) -> Iterator[Value]:
    if isinstance(s, Let):
        yield from s.args
    elif isinstance(s, (Declare, Assign, Accumulate)):
        yield s.value
    elif isinstance(s, Store):
        yield s.index
        yield s.value
    elif isinstance(s, For):
        yield s.lo
        yield s.hi
    elif isinstance(s, If):
        yield s.condition
    else:
        assert isinstance(s, Break), s


def changing(body: Sequence[Statement]) -> set[str]:
    """The names of variables."""
    found: set[str] = set()
    for s in body:
        if isinstance(s, Declare):
            found.add(s.var.name)
        elif isinstance(s, (For, If)):
            found |= changing(s.body)
    return found


__all__ = ["LOOSE", "Expressions", "changing", "stored", "uses"]
