"""Random programs as text: functions of an array module, which NumPy and numr run alike.

A program keeps to what has one right answer. Each value knows the lengths of its axes as text
(`n`, `2*n`, `n+1`), so that what fits at one size fits at every other; and how many bits its numbers
need, so that comparisons, sorts and indices are made only from what no rounding can touch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

FLOATS, INTS = ("float64", "float32"), ("int64", "int32", "uint8")
# Sizes by name; z may be 0.
SYMBOLS = ("n", "m", "k", "z")
EXACT = {"float64": 44, "float32": 22}


@dataclass(frozen=True)
class Value:
    """One line's result.

    Attributes:
        name: its variable.
        lengths: its axes' lengths, as text over the symbols; "1" is the only number.
        dtype: its dtype's name.
        bits: how many bits its values need, in steps of 1/8; None if they are rounded.
        smooth: whether it is differentiable in the inputs, ties aside.
    """

    name: str
    lengths: tuple[str, ...]
    dtype: str
    bits: int | None
    smooth: bool = True

    @property
    def rank(self) -> int:
        return len(self.lengths)

    @property
    def floating(self) -> bool:
        return self.dtype in FLOATS

    @property
    def integer(self) -> bool:
        return self.dtype in INTS

    @property
    def exact(self) -> bool:
        return self.bits is not None


@dataclass(frozen=True)
class Program:
    """A program: its text, its inputs (values whose lengths are symbols) and its outputs."""

    inputs: tuple[Value, ...]
    lines: tuple[str, ...]
    outputs: tuple[Value, ...]

    @property
    def text(self) -> str:
        heading = f"def program(xp, {', '.join(v.name for v in self.inputs)}):"
        result = f"return ({', '.join(v.name for v in self.outputs)},)"
        return "\n    ".join((heading, *self.lines, result)) + "\n"

    def function(self, module: Any) -> Callable[..., Any]:
        names: dict[str, Any] = {}
        exec(compile(self.text, "<program>", "exec"), names)
        return lambda *arrays: names["program"](module, *arrays)

    def __repr__(self) -> str:
        heads = [f"    # {v.name}: {v.dtype}[{', '.join(v.lengths)}]" for v in self.inputs]
        return "\n" + "\n".join(heads) + "\n" + self.text


def positive(length: str) -> bool:
    """Whether a length is at least 1 at every size."""
    return all(
        eval(length, {"n": a, "m": a, "k": a, "z": b}) > 0 for a in (1, 2, 3) for b in (0, 1)
    )


def times(a: str, b: str) -> str:
    """The text of a product of lengths."""
    return b if a == "1" else a if b == "1" else "*".join(sorted(f"{a}*{b}".split("*")))


class Builder:
    """Writes a program line by line; `draw` gives an element of a sequence."""

    def __init__(self, choose: Callable[[Any], Any], smooth: bool, dtypes: tuple[str, ...]) -> None:
        self.choose = choose
        self.only_smooth = smooth
        self.dtypes = dtypes
        self.lines: list[str] = []
        self.values: list[Value] = []
        self.products: dict[str, tuple[str, str, str, int]] = {}
        self.inputs = self._inputs()

    def _inputs(self) -> tuple[Value, ...]:
        choose = self.choose
        shapes = [("n",), ("n", "m"), ("m",), (), ("n", "m", "k"), ("k", "n"), ("n", "n")]
        shapes += [("z", "m"), ("1", "m"), ("n", "1"), ("k", "z", "n"), ("m", "n")]
        for k in range(choose((2, 3, 3, 4))):
            dtype = choose(self.dtypes)
            bits = None if dtype == "bool" else 8
            self.values.append(Value("abcd"[k], choose(shapes), dtype, 1 if bits is None else bits))
        return tuple(self.values)

    # -- picking ---------------------------------------------------------------------------------

    def pick(self, want: Callable[[Value], bool] = lambda v: True) -> Value:
        """A value; recent ones more often. Raises LookupError where there is none."""
        found = [v for v in self.values if want(v)]
        if not found:
            raise LookupError
        return self.choose(found + found[-2:] * (len(found) // 2))

    def write(
        self,
        text: str,
        lengths: tuple[str, ...],
        dtype: str,
        bits: int | None,
        smooth: bool = True,
    ) -> Value:
        if len(lengths) > 4 or any(len(x) > 24 for x in lengths):
            raise LookupError
        if bits is not None and dtype in EXACT and bits > EXACT[dtype]:
            bits = None
        if self.only_smooth and not smooth:
            raise LookupError
        name = f"v{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.values.append(Value(name, tuple(lengths), dtype, bits, smooth))
        return self.values[-1]

    def axis(self, v: Value, want: Callable[[str], bool] = lambda n: True) -> int:
        found = [i for i, n in enumerate(v.lengths) if want(n)]
        if not found:
            raise LookupError
        return self.choose(found)

    def axes(self, v: Value, want: Callable[[str], bool] = lambda n: True) -> tuple[int, ...]:
        found = [i for i, n in enumerate(v.lengths) if want(n)]
        if not found:
            raise LookupError
        return tuple(i for i in found if self.choose((True, False))) or (self.choose(found),)

    def like(self, v: Value, dtype: str | None = None) -> tuple[str, tuple[str, ...], Value]:
        """Another value that broadcasts with v, and the shape of both; adapted where none does."""

        def fits(w: Value) -> bool:
            pairs = zip(w.lengths[::-1], v.lengths[::-1], strict=False)
            return all(a == b or "1" in (a, b) for a, b in pairs)

        if self.choose((0, 0, 0, 1)):
            w = self.pick(lambda w: w.rank > v.rank and (w.floating or not v.floating))
            gone = tuple(range(w.rank))
            w = self.write(f"xp.sum({w.name}, axis={gone})", (), *self._summed(w))
        else:
            w = self.pick(
                lambda w: fits(w) and (dtype is None or (w.dtype == "bool") == (dtype == "bool"))
            )
        text = w.name
        if dtype is not None and w.dtype != dtype:
            w = self.cast(w, dtype)
            text = w.name
        rank = max(v.rank, w.rank)
        a, b = (("1",) * (rank - x.rank) + x.lengths for x in (v, w))
        return text, tuple(p if q == "1" else q for p, q in zip(a, b, strict=True)), w

    def cast(self, v: Value, dtype: str) -> Value:
        """v in another dtype, where that has one meaning."""
        bits = v.bits
        if dtype == v.dtype:
            return v
        if v.floating and dtype in INTS:
            if not v.exact:
                raise LookupError
            low = 0 if dtype == "uint8" else -100
            text = f"xp.clip(xp.nan_to_num({v.name}), {low}, 100).astype('{dtype}')"
            return self.write(text, v.lengths, dtype, 8, False)
        if v.integer and dtype in FLOATS and v.bits is not None and v.bits > 20:
            return self.write(f"({v.name} % 64).astype('{dtype}')", v.lengths, dtype, 9, False)
        if dtype == "bool" and not v.exact:
            raise LookupError
        bits = 1 if dtype == "bool" else None if bits is None else bits + 3
        smooth = v.smooth and v.floating and dtype in FLOATS
        return self.write(f"{v.name}.astype('{dtype}')", v.lengths, dtype, bits, smooth)

    def small(self, v: Value) -> Value:
        """v within -1 and 1, if it is rounded: products of such stay small."""
        if v.exact:
            return v
        return self.write(f"xp.tanh({v.name})", v.lengths, v.dtype, None, v.smooth)

    def _summed(self, v: Value, extra: int = 12) -> tuple[str, int | None, bool]:
        dtype = {"bool": "int64", "int32": "int64", "uint8": "uint64"}.get(v.dtype, v.dtype)
        return dtype, None if v.bits is None else v.bits + extra, v.smooth

    # -- lines -----------------------------------------------------------------------------------

    def unary(self) -> None:
        v = self.pick()
        if v.dtype == "bool":
            self.write(f"~{v.name}", v.lengths, "bool", 1, False)
        elif v.floating:
            kept = ["-{}", "xp.abs({})", "xp.maximum({}, 0)", "xp.clip({}, -1, 1.5)"]
            text = self.choose((["sin", "cos", "tanh"], kept, None))
            if text is None:
                small = self.small(v)
                name = self.choose(
                    ("exp({})", "log1p(xp.abs({}))", "sqrt(1 + {0}*{0})", "arctan({})", "expm1({})")
                    + ("log(1.5 + xp.abs({}))", "exp2({})", "sinh({})", "arcsinh({})")
                )
                if small.exact:
                    name = self.choose(("log1p(xp.abs({}))", "sqrt(1 + {0}*{0})", "arctan({})"))
                self.write("xp." + name.format(small.name), v.lengths, v.dtype, None, v.smooth)
            elif text is kept:
                self.write(
                    self.choose(kept).format(v.name),
                    v.lengths,
                    v.dtype,
                    None if v.bits is None else max(v.bits, 5),
                    v.smooth,
                )
            else:
                self.write(f"xp.{self.choose(text)}({v.name})", v.lengths, v.dtype, None, v.smooth)
        else:
            forms = ("xp.abs({})", "~{}", "{} // 3", "{} % 5", "{} & 7", "xp.square({})", "{} >> 1")
            forms += ("-{}", "{} // -2", "{} % -3") if v.dtype != "uint8" else ("{} << 2",)
            self.write(self.choose(forms).format(v.name), v.lengths, v.dtype, 64, False)

    def round(self) -> None:
        v = self.pick(lambda v: v.floating and v.exact)
        name = self.choose(("floor", "ceil", "trunc", "sign", "rint"))
        name = "round" if name == "rint" else name
        self.write(f"xp.{name}({v.name})", v.lengths, v.dtype, v.bits, False)

    def binary(self) -> None:
        v = self.pick()
        if v.dtype == "bool":
            text, lengths, _ = self.like(v, "bool")
            self.write(f"{v.name} {self.choose('&|^')} {text}", lengths, "bool", 1, False)
            return
        if v.integer:
            text, lengths, _ = self.like(v, v.dtype)
            op = self.choose(("{} + {}", "{} - {}", "{} * {}", "{} ^ {}", "{} & {}"))
            op = self.choose((op, "xp.maximum({}, {})", "xp.minimum({}, {})"))
            self.write(op.format(v.name, text), lengths, v.dtype, 64, False)
            return
        op = self.choose(
            ("{} + {}", "{} - {}", "{} * {}", "xp.maximum({}, {})", "xp.minimum({}, {})")
            + ("{0} / (1 + {1}*{1})", "xp.logaddexp({}, {})", "xp.hypot(1 + xp.abs({}), {})")
        )
        if "*" in op:
            v = self.small(v)
        if self.choose((0, 0, 0, 0, 1)):
            scalar = self.choose(("2", "0.5", "-1", "0", "-0.25", "1"))
            forms = (op.format(v.name, scalar), op.format(scalar, v.name))
            text = self.choose(forms if "/" not in op else forms[:1])
            lengths, bits, smooth = v.lengths, v.bits, v.smooth
        else:
            mixed = self.choose((False, False, True))
            text, lengths, w = self.like(v, None if mixed else v.dtype)
            if w.dtype == "bool" or (w.integer and not self.choose((False, True))):
                w = self.cast(w, v.dtype)
            if w.integer and (w.bits or 64) > 20:
                w = self.write(f"{w.name} % 16", w.lengths, w.dtype, 8, False)
            if "*" in op:
                w = self.small(w)
            text = op.format(v.name, w.name)
            bits = None if v.bits is None or w.bits is None else self._joint(op, v.bits, w.bits)
            smooth = v.smooth and (w.smooth or not w.floating)
            dtype = str(np.result_type(v.dtype, w.dtype))
            if "hypot" in op or "log" in op or "/" in op:
                bits = None
            self.write(text, lengths, dtype, bits, smooth)
            return
        if "hypot" in op or "log" in op or "/" in op:
            bits = None
        bits = None if bits is None else bits + 4
        self.write(text, lengths, v.dtype, bits, smooth)

    @staticmethod
    def _joint(op: str, a: int, b: int) -> int:
        return a + b + 3 if "*" in op else max(a, b) + 4

    def power(self) -> None:
        v = self.small(self.pick(lambda v: v.floating))
        text = self.choose(("{} ** 2", "{} ** 3", "xp.square({})", "(2 + {0}*{0}) ** 0.5"))
        text = self.choose((text, "(1.5 + {0}*{0}) ** -1.5", "2.0 ** xp.tanh({})"))
        bits = None if v.bits is None or "0" in text or "-" in text else 3 * v.bits + 9
        self.write(text.format(v.name), v.lengths, v.dtype, bits, v.smooth)

    def compare(self) -> None:
        v = self.pick(lambda v: v.exact and v.dtype != "bool")
        op = self.choose(("<", "<=", ">", ">=", "==", "!="))
        if self.choose((True, False)):
            self.write(f"{v.name} {op} {self.choose('0123')}", v.lengths, "bool", 1, True)
            return
        _, lengths, w = self.like(v, v.dtype)
        if not w.exact:
            raise LookupError
        self.write(f"{v.name} {op} {w.name}", lengths, "bool", 1, True)

    def where(self) -> None:
        mask = self.pick(lambda v: v.dtype == "bool")
        v = self.pick(lambda v: v.dtype != "bool" and v.lengths[-mask.rank :] == mask.lengths)
        form = self.choose(("v", "w", "0", "guard"))
        if form == "w":
            _, lengths, w = self.like(v, v.dtype)
            bits = None if w.bits is None or v.bits is None else max(v.bits, w.bits)
            text = f"xp.where({mask.name}, {v.name}, {w.name})"
            self.write(text, lengths, v.dtype, bits, v.smooth and w.smooth)
            return
        if form == "guard" and v.floating and v.exact:
            guarded = self.choose(("xp.sqrt({0})", "xp.log({0})", "1 / {0}"))
            text = f"xp.where({v.name} > 0, {guarded.format(v.name)}, 0.0)"
            self.write(text, v.lengths, v.dtype, None, v.smooth)
            return
        other = self.choose(("0", "1", "2"))
        pair = self.choose((f"{v.name}, {other}", f"{other}, {v.name}"))
        self.write(f"xp.where({mask.name}, {pair})", v.lengths, v.dtype, v.bits, v.smooth)

    def reduce(self) -> None:
        v = self.pick(lambda v: v.rank > 0)
        kind = self.choose(("sum", "sum", "sum", "mean", "max", "min", "prod", "var", "logic"))
        if kind == "logic" or v.dtype == "bool":
            if not v.exact:
                raise LookupError
            kind = self.choose(("any", "all", "count_nonzero", "sum"))
        ordered = kind in ("max", "min", "mean", "var")
        axes = self.axes(v, positive if ordered else lambda n: True)
        kept = self.choose((False, True))
        lengths = tuple(
            "1" if i in axes else n for i, n in enumerate(v.lengths) if kept or i not in axes
        )
        dtype, bits, smooth = v.dtype, v.bits, v.smooth
        if kind in ("sum", "prod"):
            if kind == "prod" and v.floating:
                v = (
                    self.small(v)
                    if not v.exact
                    else self.write(f"xp.sin({v.name})", v.lengths, v.dtype, None, v.smooth)
                )
            dtype, bits, smooth = self._summed(v)
            bits = 64 if dtype not in FLOATS else None if kind == "prod" else bits
        elif kind in ("mean", "var"):
            if not v.floating:
                raise LookupError
            bits = None
        elif kind in ("any", "all"):
            dtype, bits, smooth = "bool", 1, False
        elif kind == "count_nonzero":
            dtype, bits, smooth = "int64", 13, False
        axis = axes if len(axes) > 1 or self.choose((False, True)) else axes[0]
        if len(axes) == v.rank and self.choose((False, True)):
            axis = None
        self.write(
            f"xp.{kind}({v.name}, axis={axis}, keepdims={kept})", lengths, dtype, bits, smooth
        )

    def locate(self) -> None:
        v = self.pick(lambda v: v.exact and v.rank > 0)
        axis = self.axis(v, positive)
        kept = self.choose((False, True))
        lengths = tuple(
            "1" if i == axis else n for i, n in enumerate(v.lengths) if kept or i != axis
        )
        name = self.choose(("argmax", "argmin"))
        self.write(f"xp.{name}({v.name}, axis={axis}, keepdims={kept})", lengths, "int64", 6, False)

    def line_by_line(self) -> None:
        """Softmax and its kin, cumulative sums, sorts."""
        v = self.pick(lambda v: v.rank > 0 and v.dtype != "bool")
        axis = self.axis(v, positive)
        forms = ["cumulative_sum", "sort"]
        forms += ["softmax", "logsumexp", "cumulative_prod"] if v.floating else []
        forms += ["argsort"] if v.exact else []
        form = self.choose(forms)
        lengths, dtype, bits, smooth = v.lengths, v.dtype, v.bits, v.smooth
        if form in ("softmax", "logsumexp", "cumulative_prod"):
            v = self.write(f"xp.tanh({v.name})", v.lengths, v.dtype, None, v.smooth)
            bits = None
            if form == "logsumexp":
                lengths = tuple(n for i, n in enumerate(lengths) if i != axis)
        elif form == "cumulative_sum":
            dtype, bits, smooth = self._summed(v)
            bits = 64 if dtype not in FLOATS else bits
        elif form == "argsort":
            dtype, bits, smooth = "int64", 6, False
        self.write(f"xp.{form}({v.name}, axis={axis})", lengths, dtype, bits, smooth)

    def move(self) -> None:
        """Views: axes permuted, flipped, sliced, added, taken away, joined and split."""
        v = self.pick(lambda v: v.rank > 0)
        lengths = list(v.lengths)
        axis = self.axis(v)
        kind = self.choose(
            ("permute", "flip", "slice", "slice", "new", "squeeze", "merge", "split", "broadcast")
        )
        if kind == "permute":
            order = list(range(v.rank))
            for i in range(v.rank - 1, 0, -1):
                j = self.choose(tuple(range(i + 1)))
                order[i], order[j] = order[j], order[i]
            text = f"xp.permute_dims({v.name}, {tuple(order)})"
            lengths = [v.lengths[i] for i in order]
        elif kind == "flip":
            text = f"xp.flip({v.name}, axis={axis})"
        elif kind == "slice":
            n = lengths[axis]
            if not positive(n) or n == "1":
                raise LookupError
            item, length = self.choose(
                (
                    ("1:", f"{n}-1"),
                    (":-1", f"{n}-1"),
                    ("::2", f"({n}+1)//2"),
                    ("1::2", f"({n})//2"),
                    ("::-1", n),
                    ("::-2", f"({n}+1)//2"),
                    (":1", "1"),
                    ("-1:", "1"),
                    ("0", ""),
                    ("-1", ""),
                )
            )
            text = f"{v.name}[{':, ' * axis}{item}]"
            if self.choose((0, 0, 0, 1)):
                text = f"{v.name}[..., {', '.join([item] + [':'] * (v.rank - axis - 1))}]"
            lengths[axis : axis + 1] = [length] if length else []
        elif kind == "new":
            place = self.choose(tuple(range(v.rank + 1)))
            text = f"xp.expand_dims({v.name}, axis={place})"
            lengths.insert(place, "1")
        elif kind == "squeeze":
            axis = self.axis(v, lambda n: n == "1")
            text = f"xp.squeeze({v.name}, axis={axis})"
            del lengths[axis]
        elif kind == "merge":
            if axis + 1 >= v.rank:
                raise LookupError
            a, b = lengths[axis : axis + 2]
            if any(c in a + b for c in "+-/("):
                raise LookupError
            sizes = [f"{v.name}.shape[{i}]" for i in range(v.rank)]
            sizes[axis : axis + 2] = [f"{sizes[axis]} * {sizes[axis + 1]}"]
            text = f"xp.reshape({v.name}, ({', '.join(sizes)},))"
            lengths[axis : axis + 2] = [times(a, b)]
            self.products[times(a, b)] = (a, b, v.name, axis)
        elif kind == "split":
            axis = self.axis(v, lambda n: n in self.products)
            a, b, name, place = self.products[lengths[axis]]
            sizes = [f"{v.name}.shape[{i}]" for i in range(v.rank)]
            sizes[axis : axis + 1] = [f"{name}.shape[{place + i}]" for i in (0, 1)]
            text = f"xp.reshape({v.name}, ({', '.join(sizes)},))"
            lengths[axis : axis + 1] = [a, b]
        else:
            w = self.pick(lambda w: w.lengths[w.rank - v.rank :] == v.lengths)
            text = f"xp.broadcast_to({v.name}, {w.name}.shape)"
            lengths = list(w.lengths)
        self.write(text, tuple(lengths), v.dtype, v.bits, v.smooth)

    def join(self) -> None:
        v = self.pick(lambda v: v.rank > 0)
        axis = self.axis(v)
        lengths = list(v.lengths)
        n = lengths[axis]
        kind = self.choose(
            ("concat", "concat", "stack", "pad", "roll", "tile", "repeat", "tril", "diff")
        )
        bits, smooth = v.bits, v.smooth

        def beside(w: Value) -> bool:
            if w.rank != v.rank or w.dtype != v.dtype:
                return False
            return all(
                i == axis or p == q
                for i, (p, q) in enumerate(zip(v.lengths, w.lengths, strict=True))
            )

        if kind in ("concat", "stack"):
            w = self.pick(
                beside
                if kind == "concat"
                else lambda w: (w.lengths, w.dtype) == (v.lengths, v.dtype)
            )
            names = [v.name, w.name, *([v.name] if self.choose((0, 0, 1)) else [])]
            if kind == "concat":
                lengths[axis] = "+".join(sorted([n, w.lengths[axis]] + [n] * (len(names) - 2)))
                if any(c in lengths[axis] for c in "-/("):
                    lengths[axis] = f"({n})+({w.lengths[axis]})+{len(names)}*0"
                    raise LookupError
            else:
                axis = self.choose(tuple(range(v.rank + 1)))
                lengths.insert(axis, f"{len(names)}*1")
            text = f"xp.{kind}([{', '.join(names)}], axis={axis})"
            bits = None if v.bits is None or w.bits is None else max(v.bits, w.bits)
            smooth = v.smooth and w.smooth
        elif kind == "pad":
            before, after = self.choose(((1, 0), (0, 2), (1, 1), (2, 3)))
            widths = [(0, 0)] * v.rank
            widths[axis] = (before, after)
            value = (
                ", constant_values=1" if self.choose((False, True)) and v.dtype != "bool" else ""
            )
            text = f"xp.pad({v.name}, {tuple(widths)}{value})"
            lengths[axis] = f"({n})+{before + after}"
            bits = None if bits is None else max(bits, 5)
        elif kind == "roll":
            text = f"xp.roll({v.name}, {self.choose((1, -1, 2, 7))}, axis={axis})"
        elif kind == "tile":
            repeats = [1] * v.rank
            repeats[axis] = 2
            text = f"xp.tile({v.name}, {tuple(repeats)})"
            lengths[axis] = f"2*({n})"
        elif kind == "repeat":
            text = f"xp.repeat({v.name}, 2, axis={axis})"
            lengths[axis] = f"2*({n})"
        elif kind == "tril":
            if v.rank < 2:
                raise LookupError
            text = f"xp.{self.choose(('tril', 'triu'))}({v.name}, k={self.choose((0, 1, -1))})"
        else:
            if n == "1" or not positive(n) or v.dtype == "bool":
                raise LookupError
            text = f"xp.diff({v.name}, axis={axis})"
            lengths[axis] = f"{n}-1"
            bits = None if bits is None else bits + 1 if v.floating else 64
        self.write(text, tuple(lengths), v.dtype, bits, smooth)

    def index(self) -> Value:
        """A computed array of whole numbers, of any sign and size."""
        v = self.pick(lambda v: v.exact and v.rank > 0 and v.dtype != "bool" and v.rank < 3)
        return v if v.dtype in ("int64", "int32") else self.cast(v, "int64")

    def gather(self) -> None:
        v = self.pick(lambda v: v.rank > 0)
        axis = self.axis(v, positive)
        n = f"{v.name}.shape[{axis}]"
        lengths = list(v.lengths)
        lead = ":, " * axis
        kind = self.choose(("list", "computed", "computed", "along", "negative", "pair"))
        if kind == "list":
            text = f"{v.name}[{lead}[0, -1, 0]]"
            lengths[axis] = "3*1"
        elif kind in ("computed", "negative"):
            index = self.index()
            place = f"{index.name} % {n}" + (f" - {n}" if kind == "negative" else "")
            form = self.choose(("[]", "take"))
            text = (
                f"{v.name}[{lead}{place}]"
                if form == "[]"
                else f"xp.take({v.name}, {place}, axis={axis})"
            )
            lengths[axis : axis + 1] = index.lengths
        elif kind == "along":
            index = self.pick(
                lambda w: (
                    w.integer
                    and w.rank == v.rank
                    and w.dtype[0] == "i"
                    and all(
                        i == axis or p == q
                        for i, (p, q) in enumerate(zip(v.lengths, w.lengths, strict=True))
                    )
                )
            )
            text = f"xp.take_along_axis({v.name}, {index.name} % {n}, axis={axis})"
            lengths[axis] = index.lengths[axis]
        else:
            if v.rank < 2 or not all(positive(n) for n in v.lengths):
                raise LookupError
            index = self.index()
            last = f"{v.name}.shape[{v.rank - 1}]"
            first = f"{v.name}.shape[0]"
            text = f"{v.name}[{index.name} % {first}, ..., {index.name} % {last}]"
            lengths = [*index.lengths, *lengths[1:-1]]
        self.write(text, tuple(lengths), v.dtype, v.bits, v.smooth)

    def update(self) -> None:
        v = self.pick(lambda v: v.rank > 0 and v.dtype != "bool")
        axis = self.axis(v, positive)
        lead = f"(slice(None),) * {axis}"
        mode = self.choose(("set", "add", "max", "min", "mul"))
        rest = v.lengths[:axis], v.lengths[axis + 1 :]
        kind = self.choose(("slice", "slice", "integer", "computed", "mask"))
        n = f"{v.name}.shape[{axis}]"
        if mode == "mul" and not v.exact:
            mode = "add"
        if kind == "computed":
            index = self.pick(lambda w: w.rank == 1 and w.exact and w.dtype in ("int64", "int32"))
            if mode == "mul":
                mode = "set"
            place, taken = f"{index.name} % {n}", (*rest[0], *index.lengths, *rest[1])
        elif kind == "integer":
            place, taken = self.choose(("0", "-1", "[0]")), (*rest[0], *rest[1])
            taken = (*rest[0], "1", *rest[1]) if place == "[0]" else taken
        elif kind == "mask":
            mask = self.pick(
                lambda w: w.dtype == "bool" and w.rank and w.lengths == v.lengths[: w.rank]
            )
            lead, place, taken = "()", mask.name, ()
        else:
            place, length = self.choose(
                (
                    ("slice(1, None)", f"{v.lengths[axis]}-1"),
                    ("slice(None, None, 2)", f"({v.lengths[axis]}+1)//2"),
                    ("slice(None, None, -1)", v.lengths[axis]),
                    ("slice(0, 1)", "1"),
                )
            )
            taken = (*rest[0], length, *rest[1])
        scalars = self.choose((True, False)) or kind == "mask"
        if scalars:
            new, bits, smooth = self.choose(("2", "1", "0")), v.bits, v.smooth
        else:
            w = self.pick(
                lambda w: (
                    w.dtype == v.dtype
                    and w.rank <= len(taken)
                    and all(
                        p in (q, "1") for p, q in zip(w.lengths[::-1], taken[::-1], strict=False)
                    )
                )
            )
            if mode == "mul" and not w.exact:
                mode = "add"
            new, smooth = w.name, v.smooth and w.smooth
            bits = None if v.bits is None or w.bits is None else max(v.bits, w.bits)
        if mode == "add" and bits is not None:
            bits += 6
        if mode == "mul" and bits is not None:
            bits = bits * 2 + 3
        bits = bits if v.floating else 64
        text = f"xp.updated({v.name}, {lead} + ({place},), '{mode}', {new})"
        self.write(text, v.lengths, v.dtype, bits, smooth)

    def contract(self) -> None:
        v = self.small(self.pick(lambda v: v.rank > 0 and v.dtype != "bool"))
        w = self.pick(
            lambda w: w.rank > 0 and w.dtype == v.dtype and set(w.lengths) & set(v.lengths) - {"1"}
        )
        w = self.small(w)
        bits = None if v.bits is None or w.bits is None else v.bits + w.bits + 12
        bits = bits if v.floating else 64
        if (
            self.choose((True, False))
            and v.rank > 1
            and w.rank > 1
            and v.lengths[:-2] == w.lengths[:-2]
        ):
            right = {
                (-1, -2): "{0} @ {1}",
                (-1, -1): "{0} @ xp.matrix_transpose({1})",
                (-2, -2): "xp.matrix_transpose({0}) @ {1}",
            }
            for (i, j), form in right.items():
                if v.lengths[i] == w.lengths[j]:
                    last = (v.lengths[-1 if i == -2 else -2], w.lengths[-1 if j == -2 else -2])
                    self.write(
                        form.format(v.name, w.name),
                        (*v.lengths[:-2], *last),
                        v.dtype,
                        bits,
                        v.smooth and w.smooth,
                    )
                    return
        letters: list[str] = []
        lengths: dict[str, str] = {}
        for x in (v, w):
            word = ""
            for n in x.lengths:
                known = [c for c, m in lengths.items() if m == n and n != "1" and c not in word]
                if known and self.choose((True, True, False)):
                    word += self.choose(known)
                else:
                    c = "ijklpqrs"[len(lengths)]
                    lengths[c] = n
                    word += c
            letters.append(word)
        kept = [c for c in lengths if self.choose((True, False))]
        text = f"xp.einsum('{','.join(letters)}->{''.join(kept)}', {v.name}, {w.name})"
        self.write(text, tuple(lengths[c] for c in kept), v.dtype, bits, v.smooth and w.smooth)

    def convert(self) -> None:
        self.cast(self.pick(), self.choose((*FLOATS, *INTS, "bool")))

    def step(self) -> None:
        kinds = ("unary", "binary", "binary", "binary", "power", "compare", "where", "where")
        kinds += (
            "reduce",
            "reduce",
            "reduce",
            "line_by_line",
            "move",
            "move",
            "move",
            "join",
            "join",
        )
        kinds += ("gather", "gather", "update", "contract", "locate", "convert", "round")
        length, count = len(self.lines), len(self.values)
        try:
            getattr(self, self.choose(kinds))()
        except LookupError:
            del self.lines[length:], self.values[count:]


def program(
    choose: Callable[[Any], Any], steps: int, smooth: bool, dtypes: tuple[str, ...]
) -> Program:
    """A random program of so many lines or somewhat fewer.

    Args:
        choose: gives an element of a sequence.
        steps: how many lines to try.
        smooth: whether floating results shall be differentiable almost everywhere.
        dtypes: the dtypes of inputs.
    """
    builder = Builder(choose, smooth, dtypes)
    for _ in range(steps):
        builder.step()
    text = "\n".join(builder.lines)
    ends = [v for v in builder.values if not re.search(rf" .*\b{v.name}\b", text)]
    found = [v for v in builder.values if v not in builder.inputs] or builder.values
    outputs = [found[-1]]
    for _ in range(builder.choose((0, 1, 2))):
        outputs.append(builder.choose(builder.choose((ends or found, found))))
    return Program(builder.inputs, tuple(builder.lines), tuple(outputs))


def sizes_at(lengths: tuple[str, ...], sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(int(eval(n, dict(sizes))) for n in lengths)


def arguments(
    inputs: tuple[Value, ...],
    sizes: dict[str, int],
    seed: int,
    awkward: bool,
    generic: bool = False,
) -> list[Any]:
    """Arrays for a program's inputs: multiples of 1/8, some laid out oddly, some with odd values."""
    rng = np.random.default_rng(seed)
    found = []
    for v in inputs:
        shape = sizes_at(v.lengths, sizes)
        x = rng.integers(-12, 13, shape)
        if v.dtype == "bool":
            found.append(np.asarray(x > 0))
            continue
        if v.dtype == "uint8":
            x = np.abs(x)
        y = np.asarray(x / 8 if v.floating and not generic else x)
        if generic and v.floating:
            y = rng.normal(size=shape)
        y = np.asarray(y).astype(v.dtype)
        if awkward and v.floating and y.size:
            odd = np.array([np.nan, np.inf, -np.inf, -0.0, 0.0])
            mask = rng.random(shape) < 0.15
            y = np.where(mask, rng.choice(odd, shape), y).astype(v.dtype)
        layout = rng.integers(0, 5)
        if layout == 1 and y.ndim:
            y = np.flip(np.flip(y).copy())
        elif layout == 2:
            y = np.asarray(y, order="F")
        elif layout == 3 and y.ndim:
            y = np.repeat(y, 2, axis=-1)[..., ::2]
        found.append(y)
    return found


__all__ = ["Program", "Value", "arguments", "program", "sizes_at"]
