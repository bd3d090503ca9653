"""Print Kernel IR as WGSL.

WGSL has compilers that take NaN and infinity for impossible, reorder sums and let small integers be
larger than they are. What must not be taken apart is therefore passed through the bits of an integer
(`hide`), tested by bits, or written as a function of prelude.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from numr.codegen.backends.webgpu import prelude
from numr.codegen.kernel import (
    Accumulate,
    Assign,
    Barrier,
    Break,
    Combine,
    Declare,
    For,
    If,
    Kernel,
    Let,
    Literal,
    Statement,
    Store,
    Value,
    Var,
)
from numr.dtypes import DType, float16, int32

# How many points a workgroup runs where each is one invocation's.
POINTS_PER_GROUP = 64

INFIX = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "udiv": "/", "urem": "%",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
    "and": "&", "or": "|", "xor": "^",
}  # fmt: skip
NATIVE = {"floor": "floor", "ceil": "ceil", "trunc": "trunc", "rint": "round", "sqrt": "sqrt"}
# What a device computes with few correct digits, but fast.
FAST = frozenset(
    ("exp", "exp2", "log", "log2", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh",
     "asinh", "acosh", "atanh", "atan2", "pow")
)  # fmt: skip
_TYPES = frozenset(("i32", "u32", "i64", "u64", "f16", "f32", "f64"))
STEP = {"add": "+", "mul": "*", "and": "&", "or": "|"}
WRAPPING = ("add", "sub", "mul", "neg", "shift_left", "invert", "floor_divide")


def storage(dtype: DType) -> str:
    """The type of a buffer's elements; integers of 8 and 16 bits are packed in words."""
    return "u32" if dtype.kind == "b" or packed(dtype) else dtype.short


def local(dtype: DType) -> str:
    """The type of a value."""
    if dtype.kind == "b":
        return "bool"
    return {"i": "i32", "u": "u32"}[dtype.kind] if packed(dtype) else dtype.short


def packed(dtype: DType) -> bool:
    """Whether several elements share a word of a buffer."""
    return dtype.kind in "iu" and dtype.bits < 32


def bytes_of(dtype: DType) -> int:
    """How many bytes an element of a buffer takes."""
    return 4 if dtype.kind == "b" else dtype.itemsize


class WgslPrinter:
    """WGSL text of kernels: one uniform block of sizes, then the buffers."""

    def __init__(
        self, fast_math: bool = False, windows: Sequence[tuple[int, int]] = (), spare: bool = False
    ) -> None:
        """How to print.

        Args:
            fast_math: whether NaN, infinities and the sign of zero matter.
            windows: for each buffer how many bindings it is spread over, of how many elements each.
            spare: whether there may be workgroups more than points, where a point is a workgroup's.
        """
        self.fast_math = fast_math
        self.spare = spare
        self.windows = tuple(windows)

    def print(self, kernel: Kernel) -> str:
        """The whole module."""
        self.kernel = kernel
        self.memory = {b.name: b.dtype for b in kernel.buffers}
        self.shared = {m.name: m.dtype for m in kernel.shared}
        self.written = {b.name for b in kernel.buffers if b.written}
        self.spread = dict(
            zip(self.memory, self.windows or [(1, 0)] * len(self.memory), strict=True)
        )
        self.functions: dict[str, None] = {}
        self.sums: set[str] = set()
        self.questioned = _inverted(kernel.body)
        body = list(self.block(kernel.body, 1))
        lanes = kernel.lanes
        size = lanes if lanes > 1 else POINTS_PER_GROUP
        head = [*self.requirements(), *self.bindings()]
        for m in kernel.shared:
            kind = "u32" if m.dtype.kind == "b" else local(m.dtype)
            head.append(f"var<workgroup> {m.name}: array<{kind}, {m.length}>;")
        head += prelude.text(self.functions, size)
        point = "i32(group.x + group.y * groups.x)"
        start = [f"  let point = {point};", "  let lane = i32(local);"]
        if lanes == 1:
            start = [f"  let point = {point} * {size} + i32(local);"]
        if lanes == 1 or self.spare:
            # Drivers that run shaders on processors pay for this in every barrier that follows.
            start.append("  if (point >= P.points) { return; }")
        return "\n".join(
            [
                *head,
                f"@compute @workgroup_size({size})",
                "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,",
                "        @builtin(local_invocation_index) local: u32) {",
                *start,
                *body,
                "}",
                "",
            ]
        )

    # -- what is around the body -----------------------------------------------------------------

    def requirements(self) -> list[str]:
        sizes = "".join(f" {name}: i32," for name in self.kernel.sizes)
        # `none` is 0, `inf` and `nan` are bits: no compiler knows them.
        narrow = any(b.dtype is float16 for b in self.kernel.buffers)
        return [
            *(["enable f16;"] if narrow else []),
            f"struct Parameters {{ points: i32, none: u32, inf: u32, nan: u32,{sizes} }};",
            "@group(0) @binding(0) var<uniform> P: Parameters;",
        ]

    def bindings(self) -> Iterator[str]:
        number = 0
        for b in self.kernel.buffers:
            kind = storage(b.dtype)
            if packed(b.dtype) and b.written:
                kind = "atomic<u32>"
            access = "read_write" if b.written else "read"
            count, length = self.spread[b.name]
            for w in range(count):
                number += 1
                name = b.name if count == 1 else f"{b.name}_{w}"
                yield f"@group(0) @binding({number}) var<storage, {access}> {name}: array<{kind}>;"
            if count > 1 and packed(b.dtype):
                length //= 4 // b.dtype.itemsize  # what is spread is words
            if count > 1:
                yield from prelude.windowed(b.name, kind, count, length, b.written)

    def call(self, name: str, *args: str) -> str:
        """A function of the prelude."""
        self.functions[name] = None
        return f"{name}({', '.join(args)})"

    # -- statements ------------------------------------------------------------------------------

    def block(self, body: Sequence[Statement], depth: int) -> Iterator[str]:
        pad = "  " * depth
        for s in body:
            if isinstance(s, For):
                yield from self.loop(s, depth)
            elif isinstance(s, If):
                yield f"{pad}if ({self.value(s.condition)}) {{"
                yield from self.block(s.body, depth + 1)
                yield f"{pad}}}"
            elif isinstance(s, Let) and s.op == "guarded_load":
                condition, index = s.args
                zero = self.literal(Literal(0, s.var.dtype))
                yield f"{pad}var {_name(s.var)}: {local(s.var.dtype)} = {zero};"
                loaded = self.load(s.buffer, self.value(index))
                yield f"{pad}if ({self.value(condition)}) {{ {_name(s.var)} = {loaded}; }}"
            else:
                yield f"{pad}{self.statement(s)}"

    def loop(self, s: For, depth: int) -> Iterator[str]:
        pad, name, kind = "  " * depth, _name(s.var), local(s.var.dtype)
        if isinstance(s.lo, Var) and s.lo.name == "lo":
            # The kernel's range: this is one point of it.
            yield f"{pad}{{ let {name}: {kind} = {self.index(s.var.dtype, 'point')};"
        else:
            lo, step = self.value(s.lo), "1"
            if s.dealt:
                lo, step = f"{lo} + lane", str(self.kernel.lanes)
            test = f"{name} < {self.value(s.hi)}"
            yield f"{pad}for (var {name}: {kind} = {lo}; {test}; {name} = {name} + {step}) {{"
        yield from self.block(s.body, depth + 1)
        yield f"{pad}}}"

    def index(self, dtype: DType, text: str) -> str:
        return text if dtype is int32 else f"{dtype.short}({text})"

    def statement(self, s: Statement) -> str:
        if isinstance(s, Let):
            return f"let {_name(s.var)}: {local(s.var.dtype)} = {self.expression(s)};"
        if isinstance(s, Declare):
            return f"var {_name(s.var)}: {local(s.var.dtype)} = {self.value(s.value)};"
        if isinstance(s, Assign):
            return f"{_name(s.var)} = {self.value(s.value)};"
        if isinstance(s, Accumulate):
            step = self.combine(s.monoid, _name(s.var), self.value(s.value), s.var.dtype)
            return f"{_name(s.var)} = {step};"
        if isinstance(s, Combine):
            return f"{_name(s.var)} = {self.call(self.across(s), _name(s.var), 'lane')};"
        if isinstance(s, Barrier):
            return "workgroupBarrier(); storageBarrier();"
        if isinstance(s, Break):
            return "break;"
        assert isinstance(s, Store)
        value, index = self.value(s.value), self.value(s.index)
        dtype = self.dtype_of(s.buffer)
        if s.mode != "set":
            value = self.combine(s.mode, self.load(s.buffer, index), value, dtype)
        return self.store(s.buffer, index, value) + ";"

    def across(self, s: Combine) -> str:
        """The prelude's function that combines lanes, which needs that of two values."""
        name = f"lanes_{s.monoid}_{local(s.var.dtype)}"
        if s.monoid in ("max", "min"):
            self.combine(s.monoid, "", "", s.var.dtype)
        return name

    def combine(self, monoid: str, old: str, new: str, dtype: DType) -> str:
        """One step of a reduction."""
        if monoid in ("max", "min"):
            return self.extreme(monoid, old, new, dtype)
        return self.narrowed(f"({old} {STEP[monoid]} {new})", dtype)

    def extreme(self, which: str, a: str, b: str, dtype: DType) -> str:
        """The greater or smaller of two, NaN if either is."""
        if dtype.kind == "f" and not self.fast_math:
            return self.call(f"{which}_nan_{dtype.short}", a, b)
        if dtype.kind == "b":
            return f"({a} {'|' if which == 'max' else '&'} {b})"
        return f"{which}({a}, {b})"

    # -- memory ----------------------------------------------------------------------------------

    def dtype_of(self, buffer: str) -> DType:
        return self.shared.get(buffer) or self.memory[buffer]

    def place(self, buffer: str, index: str) -> str:
        return f"{buffer}[{index}]"

    def load(self, buffer: str, index: str) -> str:
        dtype = self.dtype_of(buffer)
        if buffer in self.shared:
            return f"({buffer}[{index}] != 0u)" if dtype.kind == "b" else f"{buffer}[{index}]"
        spread = self.spread[buffer][0] > 1
        atomic = buffer in self.written
        if packed(dtype):
            per_word = 4 // dtype.itemsize
            at = f"({index}) / {per_word}"
            word = f"load_{buffer}({at})" if spread else f"{buffer}[{at}]"
            if atomic and not spread:
                word = f"atomicLoad(&{word})"
            return self.call(f"unpack_{dtype.short}", word, index)
        text = f"load_{buffer}({index})" if spread else f"{buffer}[{index}]"
        return f"({text} != 0u)" if dtype.kind == "b" else text

    def store(self, buffer: str, index: str, value: str) -> str:
        dtype = self.dtype_of(buffer)
        if dtype.kind == "b":
            value = f"select(0u, 1u, {value})"
        if buffer in self.shared:
            return f"{buffer}[{index}] = {value}"
        spread = self.spread[buffer][0] > 1
        if packed(dtype):
            # Neighbours that other invocations store share the word.
            per_word = 4 // dtype.itemsize
            at, mask = f"({index}) / {per_word}", self.call(f"mask_{dtype.short}", index)
            bits = self.call(f"pack_{dtype.short}", value, index)
            if spread:
                return f"store_{buffer}({at}, ~{mask}, {bits})"
            return f"atomicAnd(&{buffer}[{at}], ~{mask}); atomicOr(&{buffer}[{at}], {bits})"
        return f"store_{buffer}({index}, {value})" if spread else f"{buffer}[{index}] = {value}"

    # -- expressions -----------------------------------------------------------------------------

    def expression(self, s: Let) -> str:
        op, dtype = s.op, s.var.dtype
        if op == "load":
            return self.load(s.buffer, self.value(s.args[0]))
        if op == "cast":
            return self.cast(s.args[0], dtype)
        args = [self.value(a) for a in s.args]
        if op == "bitcast":
            return f"bitcast<{local(dtype)}>({args[0]})"
        if op == "select":
            return f"select({args[2]}, {args[1]}, {args[0]})"
        operand = s.args[0].dtype
        text = self.spelled(op, s, args, operand)
        if op in WRAPPING:
            text = self.narrowed(text, dtype)
        if s.var.name in self.questioned:
            # Or a compiler takes not (a < b) for a >= b, which NaN is not.
            return f"((select(0u, 1u, {text}) ^ P.none) != 0u)"
        return text

    def spelled(self, op: str, s: Let, args: list[str], operand: DType) -> str:
        kind = operand.kind
        if kind == "f" and all(isinstance(a, Literal) for a in s.args):
            # No compiler then works it out, which those of float64 cannot.
            args[0] = self.call(f"hide_{operand.short}", args[0])
        if op in ("add", "sub", "mul") and kind == "f":
            return self.arithmetic(op, s, args, operand)
        if op in ("xor", "eq", "ne") and kind == "b":
            return f"({args[0]} {'==' if op == 'eq' else '!='} {args[1]})"
        if op == "ne" and kind == "f":
            # `!=` of NaN is false on some devices, whatever way round it is written.
            return f"((select(0u, 1u, {args[0]} == {args[1]}) ^ P.none) == 0u)"
        if op in INFIX:
            return f"({args[0]} {INFIX[op]} {args[1]})"
        if op in ("shift_left", "shift_right"):
            count = s.args[1]
            by = f"{count.value}u" if isinstance(count, Literal) else f"u32({args[1]})"
            return f"({args[0]} {'<<' if op == 'shift_left' else '>>'} {by})"
        if op == "neg":
            zero = self.literal(Literal(0, operand))
            return f"({zero} - {args[0]})" if kind == "u" else f"(-{args[0]})"
        if op == "invert":
            return f"(!{args[0]})" if kind == "b" else f"(~{args[0]})"
        if op in ("maximum", "minimum"):
            return self.extreme(op[:3], args[0], args[1], operand)
        if op == "abs":
            return f"abs({args[0]})"
        if op == "rsqrt":
            one = self.literal(Literal(1, operand))
            return f"({one} / sqrt({args[0]}))"
        if op in NATIVE and kind == "f":
            return f"{NATIVE[op]}({args[0]})"
        if op in FAST and self.fast_math:
            return f"{op}({', '.join(args)})"
        return self.call(f"{op}_{local(operand)}", *args)

    def arithmetic(self, op: str, s: Let, args: list[str], dtype: DType) -> str:
        """Sums and products of floats, protected from algebra that IEEE arithmetic does not obey."""
        if not self.fast_math:
            same = s.args[0] == s.args[1]
            for k, a in enumerate(s.args):
                literal = isinstance(a, Literal) and a.value == 0
                nested = op != "mul" and isinstance(a, Var) and a.name in self.sums
                if literal or nested or (k == 1 and same and op == "sub"):
                    args[k] = self.call(f"hide_{dtype.short}", args[k])
            if op != "mul":
                self.sums.add(s.var.name)
        return f"({args[0]} {INFIX[op]} {args[1]})"

    def narrowed(self, text: str, dtype: DType) -> str:
        """A result of 32 bits as the smaller integer it stands for."""
        if not packed(dtype):
            return text
        return self.call(f"wrap_{dtype.short}", text)

    def cast(self, x: Value, to: DType) -> str:
        text, origin = self.value(x), x.dtype
        if to.kind == "b":
            return f"({text} != {self.literal(Literal(0, origin))})"
        if origin.kind == "b":
            one, zero = (self.literal(Literal(v, to)) for v in (1, 0))
            return f"select({zero}, {one}, {text})"
        if origin.kind == "f" and to.kind in "iu":
            kind = local(to)
            text = self.call(f"{kind}_of_{origin.short}", text)
            return self.narrowed(text, to)
        if local(origin) != local(to):
            text = f"{local(to)}({text})"
        return self.narrowed(text, to) if to.kind in "iu" else text

    def value(self, x: Value) -> str:
        return self.literal(x) if isinstance(x, Literal) else self.size(x)

    def size(self, x: Var) -> str:
        if x.name in self.kernel.sizes:
            return self.index(x.dtype, f"P.{x.name}")
        if x.name == "lane":
            return self.index(x.dtype, "lane")
        return _name(x)

    def literal(self, x: Literal) -> str:
        kind = x.dtype.kind
        if kind == "b":
            return "true" if x.value else "false"
        if kind == "f":
            return self.float_literal(float(x.value), x.dtype)
        value = int(x.value)
        suffix = {"i32": "i", "u32": "u", "i64": "li", "u64": "lu"}[local(x.dtype)]
        if kind == "i" and value == (-(2**63) if suffix == "li" else -(2**31)):
            # A minus sign is an operation, and the number behind it would be out of range.
            return f"({value + 1}{suffix} - 1{suffix})"
        return f"({value}{suffix})" if value < 0 else f"{value}{suffix}"

    def float_literal(self, value: float, dtype: DType) -> str:
        if math.isnan(value):
            return self.call(f"nan_{dtype.short}")
        if dtype.bits == 32:
            value = prelude.as_float32(value)
        if math.isinf(value):
            text = self.call(f"inf_{dtype.short}")
            return text if value > 0 else f"(-{text})"
        if dtype.bits == 32:
            return (
                f"bitcast<f32>({prelude.bits32(value)}u)" if _odd(value) else _decimal(value, "f")
            )
        return _decimal(value, {16: "h", 64: "lf"}[dtype.bits])


def _name(x: Var) -> str:
    """A variable's name; i32 is not free to be one."""
    return x.name + "_" if x.name in _TYPES else x.name


def _odd(value: float) -> bool:
    """Negative zero and subnormal numbers, which compilers of literals lose."""
    return (value == 0 and math.copysign(1, value) < 0) or 0 < abs(value) < 2.0**-126


def _decimal(value: float, suffix: str) -> str:
    text = value.hex() if value != int(value) or abs(value) >= 2**31 else f"{int(value)}.0"
    text += suffix
    return f"({text})" if value < 0 else text


def _inverted(body: Sequence[Statement]) -> set[str]:
    """Comparisons that are negated somewhere."""
    found: set[str] = set()
    for s in body:
        if isinstance(s, (For, If)):
            found |= _inverted(s.body)
        elif isinstance(s, Let) and s.op == "invert":
            found |= {a.name for a in s.args if isinstance(a, Var) and a.dtype.kind == "b"}
    return found
