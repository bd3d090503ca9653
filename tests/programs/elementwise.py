"""Lines of random programs that work element by element."""

from __future__ import annotations

import numpy as np

from tests.programs.builder import Builder
from tests.programs.values import FLOATS, INTS


class Elementwise(Builder):
    """Arithmetic, functions, comparisons, choices and conversions."""

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
            forms += ("-{}", "{} // -2", "{} % -3") if v.dtype[0] != "u" else ("{} << 2",)
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
            text = self.choose(forms[:1] if "/" in op or "abs" in op else forms)
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

    def convert(self) -> None:
        self.cast(self.pick(), self.choose((*FLOATS, *INTS, "bool")))
